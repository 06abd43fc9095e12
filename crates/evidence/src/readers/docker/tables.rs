//! `docker ps` and `docker compose ps`, of both versions of compose, and `docker service ps`.

use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::readers::exit::exited;
use crate::readers::table::{columns, is_name};
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const TABLE: Reader = Reader {
    name: "docker ps",
    product: Product::Docker,
    hooks: &[
        "Exited (",
        "exited (",
        "Exit ",
        "Restarting",
        "Up ",
        "unhealthy",
        "health: starting",
        "Dead",
        "Paused",
        "running",
        "task: non-zero exit",
        "No such image",
    ],
    fits: |line| line.ident.is_none() && row(&line.text).is_some(),
    read,
    source: "https://docs.docker.com/reference/cli/docker/container/ls/; docker compose ps 1.29, 2.20",
    example: "3f2e1d0c9b8a   shop:1   \"gunicorn app:app\"   2 hours ago   Exited (3) 2 minutes \
              ago             shop-web-1",
};

struct Row<'a> {
    name: &'a str,
    status: &'a str,
    columns: Vec<&'a str>,
}

fn row(text: &str) -> Option<Row<'_>> {
    if text.starts_with(' ') {
        return None;
    }
    let columns: Vec<&str> = columns(text).take(16).collect();
    let (first, last) = (*columns.first()?, *columns.last()?);
    let status = *columns.iter().skip(1).find(|it| is_status(it))?;
    let hex = |it: &str| it.len() >= 12 && it.bytes().all(|it| it.is_ascii_hexdigit());
    let quoted = columns.iter().any(|it| it.starts_with('"'));
    let name = match hex(first) {
        // The name stands last; a container without ports has no column for them.
        true if columns.len() >= 4 && last != status => last,
        true => return None,
        // `docker compose ps`: the name stands first. Version 1 does not quote the command.
        false if quoted && columns.len() >= 3 => first,
        false if columns.len() >= 3 && is_old_state(status) => first,
        false => return None,
    };
    is_name(name).then_some(Row { name, status, columns })
}

fn is_status(text: &str) -> bool {
    const STARTS: [&str; 6] =
        ["Exited (", "exited (", "Restarting (", "restarting", "Up ", "running"];
    STARTS.iter().any(|it| text.starts_with(it)) || is_old_state(text) || says(text).is_some()
}

/// The states of compose 1: `Up`, `Up (healthy)`, `Exit 1`, `Restarting`.
fn is_old_state(text: &str) -> bool {
    let ended = text.strip_prefix("Exit ").is_some_and(|it| it.parse::<u8>().is_ok());
    ended
        || matches!(
            text,
            "Up" | "Up (healthy)"
                | "Up (unhealthy)"
                | "Up (health: starting)"
                | "Restarting"
                | "Paused"
        )
}

/// What a status says: the sign and what it counts.
fn says(status: &str) -> Option<(Sign, Option<i64>)> {
    let code = || {
        between(status, "(", ")")
            .and_then(|it| it.parse().ok())
            .or_else(|| status.strip_prefix("Exit ").and_then(number))
    };
    if status.starts_with("Exited (")
        || status.starts_with("exited (")
        || status.starts_with("Exit ")
    {
        let (sign, number) = exited(code()?);
        return Some((sign, Some(number)));
    }
    if status.starts_with("Restarting") || status.starts_with("restarting") {
        return Some((Sign::CrashLooping, code()));
    }
    let up = status.starts_with("Up") || status.starts_with("running");
    let sign = match status {
        "Dead" | "dead" | "Created" | "created" => Sign::ProcessInactive,
        "Paused" | "paused" => Sign::Hung,
        _ if !up => return None,
        _ if status.ends_with("(Paused)") => Sign::Hung,
        _ if status.ends_with("(unhealthy)") => Sign::ContainerUnhealthy,
        _ if status.ends_with("(health: starting)") || status.ends_with("(starting)") => {
            Sign::StartingUp
        }
        _ if status.ends_with("(healthy)") => Sign::Ready,
        _ => Sign::Started,
    };
    Some((sign, None))
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some(row) = row(&line.text) else { return };
    let Some((sign, number)) = says(row.status) else { return };
    sink.event(
        Event::new(Product::Docker, sign, Trust::B, span_of(&line.text, row.status))
            .who(Some(row.name))
            .number(number),
    );
    // What the host listens on for the container: `0.0.0.0:80->8000/tcp, :::80->8000/tcp`.
    for port in row.columns.iter().flat_map(|it| it.split(", ")) {
        let Some((host, inner)) = port.split_once("->") else { continue };
        let host = match host.strip_prefix(":::") {
            Some(number) => format!("[::]:{number}"),
            None => host.to_owned(),
        };
        if inner.ends_with("/tcp") && crate::address::port(&host).is_some() {
            sink.event(
                Event::new(Product::Docker, Sign::Listening, Trust::B, span_of(&line.text, port))
                    .upstream(Some(host))
                    .who(Some(row.name))
                    .detail(Some(format!("published from the container's port {inner}"))),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn rows_of_docker_ps_are_read() {
        check(
            "3f2e1d0c9b8a   shop:1    \"gunicorn app:app\"   2 hours ago   Up 2 minutes (unhealthy)   \
             0.0.0.0:80->8000/tcp, :::80->8000/tcp   shop-web-1",
            "Docker: ContainerUnhealthy who=shop-web-1 | Up 2 minutes (unhealthy); Docker: \
             Listening upstream=0.0.0.0:80 who=shop-web-1 detail=published from the container's \
             port 8000/tcp | 0.0.0.0:80->8000/tcp; Docker: Listening upstream=[::]:80 \
             who=shop-web-1 detail=published from the container's port 8000/tcp | :::80->8000/tcp",
        );
        check(
            "3f2e1d0c9b8a   shop:1    \"gunicorn app:app\"   2 hours ago   Restarting (1) 5 seconds ago             shop-web-1",
            "Docker: CrashLooping who=shop-web-1 number=1 | Restarting (1) 5 seconds ago",
        );
    }

    #[test]
    fn rows_of_both_composes_are_read() {
        check(
            "shop-web-1   shop-web   \"gunicorn app:app\"   web   3 minutes ago   Exited (137) 1 \
             minute ago",
            "Docker: ProcessKilled who=shop-web-1 number=9 | Exited (137) 1 minute ago",
        );
        check(
            "shop_web_1     gunicorn app:app    Exit 1   ",
            "Docker: ProcessExited who=shop_web_1 number=1 | Exit 1",
        );
        check(
            "shop_db_1      docker-entrypoint.sh postgres   Up (health: starting)   5432/tcp",
            "Docker: StartingUp who=shop_db_1 | Up (health: starting)",
        );
    }

    #[test]
    fn headers_and_sentences_are_no_rows() {
        check_nothing("CONTAINER ID   IMAGE   COMMAND   CREATED   STATUS   PORTS   NAMES");
        check_nothing("It was running  and then  Exited (1)  again");
        check_nothing("3f2e1d0c9b8a   \"x");
    }
}
