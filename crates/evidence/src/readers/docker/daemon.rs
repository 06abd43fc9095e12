//! What compose prints of containers, and what the daemon answers and logs.

use crate::clock::{self, Stamp};
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::readers::exit::exited;
use crate::readers::table::{columns, is_name};
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const COMPOSE: Reader = Reader {
    name: "docker compose up",
    product: Product::Docker,
    hooks: &[" exited with code ", "Container ", "dependency failed to start"],
    fits: |line| compose(&line.text).is_some(),
    read: |line, sink| {
        if let Some(said) = compose(&line.text) {
            said.tell(line, None, sink);
        }
    },
    source: "docker compose 2.20 pkg/compose; docker-compose 1.29",
    example: "web-1 exited with code 1",
};

pub(crate) const DAEMON: Reader = Reader {
    name: "Docker daemon",
    product: Product::Docker,
    hooks: &[
        "rror response from daemon",
        "OCI runtime",
        "driver failed programming external connectivity",
        "port is already allocated",
        "executable file not found",
        "pull access denied",
        "manifest unknown",
        "manifest for ",
        "task: non-zero exit",
        "Health check for container ",
    ],
    fits: |line| daemon(line).is_some(),
    read: |line, sink| {
        if let Some((said, at)) = daemon(line) {
            said.tell(line, at, sink);
        }
    },
    source: "moby 24 daemon/errors.go, libnetwork; runc libcontainer",
    example: "Error response from daemon: driver failed programming external connectivity on \
              endpoint shop-web-1 (3f2e): Bind for 0.0.0.0:80 failed: port is already allocated",
};

struct Said<'a> {
    sign: Sign,
    words: &'a str,
    who: Option<&'a str>,
    upstream: Option<&'a str>,
    detail: Option<&'a str>,
    number: Option<i64>,
}

impl Said<'_> {
    fn tell(self, line: &Line, at: Option<Stamp>, sink: &mut dyn Sink) {
        sink.event(
            Event::new(Product::Docker, self.sign, Trust::B, span_of(&line.text, self.words))
                .at(at)
                .who(self.who)
                .upstream(self.upstream)
                .detail(self.detail)
                .number(self.number),
        );
    }
}

fn said<'a>(sign: Sign, words: &'a str) -> Said<'a> {
    Said { sign, words, who: None, upstream: None, detail: None, number: None }
}

fn compose(text: &str) -> Option<Said<'_>> {
    let text = text.trim();
    if let Some((name, code)) = text.split_once(" exited with code ") {
        let code = code.split(' ').next()?.parse().ok()?;
        let (sign, number) = exited(code);
        return is_name(name).then_some(Said {
            who: Some(name),
            number: Some(number),
            ..said(sign, text)
        });
    }
    if let Some(rest) = text.strip_prefix("dependency failed to start: ") {
        let name = rest.strip_prefix("container ").unwrap_or(rest).split(' ').next()?;
        let sign = match rest.contains("unhealthy") {
            true => Sign::ContainerUnhealthy,
            false => Sign::BootFailed,
        };
        return Some(Said { who: Some(name), detail: Some(rest), ..said(sign, text) });
    }
    // ` ✘ Container shop-db-1  Error`, ` Container shop-db-1  Started  0.4s`.
    let rest = text.trim_start_matches(|it: char| !it.is_ascii_alphanumeric());
    let rest = rest.strip_prefix("Container ")?;
    let mut words = rest.split_ascii_whitespace();
    let (name, state) = (words.next()?, words.next()?);
    let sign = match state {
        "Error" => Sign::BootFailed,
        "Unhealthy" => Sign::ContainerUnhealthy,
        "Started" | "Running" => Sign::Started,
        "Healthy" => Sign::Ready,
        "Stopping" => Sign::ShuttingDown,
        "Stopped" => Sign::ProcessStopped,
        "Restarting" | "Restarted" => Sign::ContainerRestarted,
        _ => return None,
    };
    // Only the time that it took may follow.
    let ends = words.next().is_none_or(|it| it.ends_with('s') && number(it).is_some());
    let end = span_of(text, state).end;
    let start = span_of(text, rest).start;
    (ends && is_name(name))
        .then(|| Said { who: Some(name), ..said(sign, &text[start - "Container ".len()..end]) })
}

/// The daemon's words: in its log (`time="…" level=… msg="…"`), or as its clients print them.
fn daemon<'l>(line: &'l Line) -> Option<(Said<'l>, Option<Stamp>)> {
    let text = line.text.trim_start();
    if let Some(rest) = text.strip_prefix("time=\"") {
        let (time, rest) = rest.split_once('"')?;
        let message = rest.split_once("msg=\"")?.1;
        return Some((daemon_says(message)?, clock::any(time)));
    }
    if line.ident.as_deref() == Some("dockerd") {
        return Some((daemon_says(text)?, None));
    }
    if line.ident.is_some() {
        return None;
    }
    const HEADS: [&str; 8] = [
        "Error response from daemon:",
        "docker: Error response from daemon:",
        "ERROR: for ",
        "ERROR: ",
        "Error: ",
        "OCI runtime ",
        "Cannot start service ",
        "\"task: non-zero exit",
    ];
    let headed = HEADS.iter().any(|it| text.starts_with(it));
    let swarm = text.contains(" Shutdown ") && text.contains("\"task: non-zero exit");
    if swarm {
        // `docker service ps`: the task's name is the second column.
        let who = columns(text).nth(1).map(|it| it.trim_start_matches(['\\', '_', ' ']));
        let said = Said { who: who.filter(|it| is_name(it)), ..daemon_says(text)? };
        return Some((said, None));
    }
    headed.then_some(())?;
    Some((daemon_says(text)?, None))
}

fn daemon_says(message: &str) -> Option<Said<'_>> {
    let endpoint = between(message, "on endpoint ", " ").filter(|it| is_name(it));
    if let Some(at) = message.find(" failed: port is already allocated") {
        let address = message[..at].rsplit(' ').next();
        let start = address.map_or(at, |it| at - it.len());
        let end = at + " failed: port is already allocated".len();
        return Some(Said {
            who: endpoint,
            upstream: address,
            ..said(Sign::PortInUse, &message[start..end])
        });
    }
    if let Some(at) = message.find(": bind: address already in use") {
        let address = message[..at].rsplit(' ').next();
        let start = address.map_or(at, |it| at - it.len());
        let end = at + ": bind: address already in use".len();
        return Some(Said {
            who: endpoint,
            upstream: address,
            ..said(Sign::PortInUse, &message[start..end])
        });
    }
    if let Some(at) = message.find("exec: ").filter(|_| message.contains("OCI runtime")) {
        let rest = &message[at..];
        let ends = ["not found in $PATH", "no such file or directory", "permission denied"];
        let end = ends.iter().find_map(|it| rest.find(it).map(|at| at + it.len()))?;
        let words = &rest[..end];
        return Some(Said { detail: Some(words), ..said(Sign::BootFailed, words) });
    }
    if let Some(at) = message.find("task: non-zero exit (") {
        let words = &message[at..];
        let code = number(&words["task: non-zero exit (".len()..])?;
        let (sign, number) = exited(code);
        let end = words.find(')').map_or(words.len(), |it| it + 1);
        return Some(Said { number: Some(number), ..said(sign, &words[..end]) });
    }
    if let Some(rest) = message.strip_prefix("Health check for container ") {
        let who = rest.split(' ').next().filter(|it| is_name(it));
        let sign = match rest.contains("timeout") {
            true => Sign::HealthTimedOut,
            false => Sign::ContainerUnhealthy,
        };
        let words = message.split(" timeout").next().unwrap_or(message);
        return Some(Said { who, ..said(sign, words) });
    }
    const FIXED: [(&str, Sign); 6] = [
        ("pull access denied for ", Sign::ImagePullFailed),
        ("manifest unknown", Sign::ImagePullFailed),
        ("No such image", Sign::ImagePullFailed),
        ("no space left on device", Sign::AppDiskFull),
        ("OCI runtime create failed", Sign::BootFailed),
        ("OCI runtime exec failed", Sign::HealthFailed),
    ];
    let (words, sign) = FIXED.iter().find(|(it, _)| message.contains(it))?;
    let at = message.find(words)?;
    Some(said(*sign, &message[at..at + words.trim_end().len()]))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn compose_tells_what_became_of_containers() {
        check(
            "shop_web_1 exited with code 137",
            "Docker: ProcessKilled who=shop_web_1 number=9 | shop_web_1 exited with code 137",
        );
        check(
            " ✘ Container shop-db-1  Error",
            "Docker: BootFailed who=shop-db-1 | Container shop-db-1  Error",
        );
        check(
            "dependency failed to start: container shop-db-1 is unhealthy",
            "Docker: ContainerUnhealthy who=shop-db-1 detail=container shop-db-1 is unhealthy | \
             dependency failed to start: container shop-db-1 is unhealthy",
        );
        check_nothing("the worker exited with code none");
        check_nothing("Container shop-db-1 Error in line 12");
    }

    #[test]
    fn the_daemon_tells_why_a_container_did_not_start() {
        check(
            "Error response from daemon: driver failed programming external connectivity on \
             endpoint shop-web-1 (3f2e): Error starting userland proxy: listen tcp4 0.0.0.0:80: \
             bind: address already in use",
            "Docker: PortInUse upstream=0.0.0.0:80 who=shop-web-1 | 0.0.0.0:80: bind: address \
             already in use",
        );
        check(
            "time=\"2026-11-20T15:16:30.1Z\" level=error msg=\"Handler for POST returned error: OCI \
             runtime create failed: exec: \\\"gunicorn\\\": executable file not found in $PATH: \
             unknown\"",
            "Docker: BootFailed detail=exec: \\\"gunicorn\\\": executable file not found in $PATH \
             | exec: \\\"gunicorn\\\": executable file not found in $PATH",
        );
        check(
            "abc12   shop_web.1   shop:1   node1   Shutdown   Failed 3 minutes ago   \"task: non-zero exit (1)\"",
            "Docker: ProcessExited who=shop_web.1 number=1 | task: non-zero exit (1)",
        );
        check_nothing("time=\"2026-11-20T15:16:30Z\" level=info msg=\"GET /OCI\"");
        check_nothing("GET /Error response from daemon: port is already allocated HTTP/1.1");
    }
}
