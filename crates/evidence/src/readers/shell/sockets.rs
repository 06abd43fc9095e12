//! `ls -l` of a socket, `ss -ltnp`, `netstat -tlnp`.

use crate::address::port;
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const FILES: Reader = Reader {
    name: "ls -l of a socket",
    product: Product::Shell,
    hooks: &["srw", "sr-", "s---"],
    fits: |line| line.ident.is_none() && file(&line.text).is_some(),
    read: |line, sink| {
        if let Some((mode, path)) = file(&line.text) {
            sink.event(
                Event::new(Product::Shell, Sign::SocketMode, Trust::B, span_of(&line.text, mode))
                    .who(Some(path))
                    .detail(Some(short(mode))),
            );
        }
    },
    source: "coreutils ls(1), -l; POSIX ls",
    example: "srw------- 1 root root 0 Nov 20 08:41 /run/app.sock",
};

pub(crate) const SOCKETS: Reader = Reader {
    name: "ss and netstat",
    product: Product::Shell,
    hooks: &["LISTEN"],
    fits: |line| line.ident.is_none() && row(&line.text).is_some(),
    read: sockets,
    source: "iproute2 ss(8); net-tools netstat(8)",
    example: "LISTEN 0      2048       127.0.0.1:8000      0.0.0.0:*    \
              users:((\"gunicorn\",pid=1490,fd=5))",
};

/// Mode to group, and the path of a socket.
fn file(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let mode = text.split(' ').next()?;
    let flags = mode.as_bytes().get(1..10)?;
    let is_mode = mode.starts_with('s')
        && flags.iter().all(|it| b"rwxsStT-".contains(it))
        && mode.len() <= 11;
    if !is_mode {
        return None;
    }
    let mut words = text.split_ascii_whitespace();
    let (_mode, links, _owner) = (words.next()?, words.next()?, words.next()?);
    let group = words.next()?;
    links.parse::<u32>().ok()?;
    // Size, and a date of two or three words; the path is the rest.
    let _size = words.next()?.parse::<u64>().ok()?;
    let path = words.last()?;
    let end = span_of(text, group).end;
    Some((&text[..end], path))
}

/// `srw-rw---- app www-data`, without the number of links.
fn short(mode: &str) -> String {
    let mut words = mode.split_ascii_whitespace();
    let (mode, _links) = (words.next().unwrap_or(""), words.next());
    let rest: Vec<&str> = words.collect();
    format!("{mode} {}", rest.join(" "))
}

struct Row<'a> {
    waiting: i64,
    limit: i64,
    address: &'a str,
    process: Option<&'a str>,
    pid: Option<u32>,
    /// ss prints how long the queue is and may become; netstat prints other things there.
    queues: bool,
}

fn row(text: &str) -> Option<Row<'_>> {
    let words: Vec<&str> = text.split_ascii_whitespace().take(12).collect();
    let state = words.iter().position(|it| *it == "LISTEN")?;
    let netstat = state >= 5 && words[0].starts_with("tcp");
    if netstat {
        let (pid, process) = match words.get(state + 1).and_then(|it| it.split_once('/')) {
            Some((pid, process)) => (pid.parse().ok(), Some(process.trim_end_matches(':'))),
            None => (None, None),
        };
        let row = Row { waiting: 0, limit: 0, address: words[3], process, pid, queues: false };
        return has_port(words[3]).then_some(row);
    }
    // `ss` names the kind of socket first where it lists several.
    if state > 1 || state == 1 && !matches!(words[0], "tcp" | "u_str" | "v_str") {
        return None;
    }
    let (waiting, limit) =
        (words.get(state + 1)?.parse().ok()?, words.get(state + 2)?.parse().ok()?);
    let address = *words.get(state + 3)?;
    if !has_port(address) && !address.starts_with('/') {
        return None;
    }
    let users = text.find("users:((").map(|at| &text[at..]);
    Some(Row {
        waiting,
        limit,
        address,
        process: users.and_then(|it| between(it, "\"", "\"")),
        pid: users.and_then(|it| between(it, "pid=", ",")).and_then(|it| it.parse().ok()),
        queues: true,
    })
}

/// Older tools write IPv6 without brackets: `:::8080`.
fn has_port(address: &str) -> bool {
    port(address).is_some()
        || address.strip_prefix(":::").is_some_and(|it| it.parse::<u16>().is_ok())
}

fn sockets(line: &Line, sink: &mut dyn Sink) {
    let Some(row) = row(&line.text) else { return };
    let span = span_of(&line.text, row.address);
    let address = match row.address.strip_prefix(":::") {
        Some(port) => format!("[::]:{port}"),
        None => row.address.to_owned(),
    };
    let tell = |sign, span| {
        Event::new(Product::Shell, sign, Trust::B, span)
            .upstream(Some(address.clone()))
            .who(row.process)
            .pid(row.pid)
    };
    sink.event(tell(Sign::Listening, span));
    if row.queues && row.waiting > row.limit && row.limit > 0 {
        let start = line.text.find("LISTEN").unwrap_or(0);
        let end = span_of(&line.text, row.address).end;
        sink.event(tell(Sign::BacklogOverflow, start..end.max(start)).number(Some(row.limit)));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn owner_and_mode_of_a_socket_are_read() {
        check(
            "srw-rw---- 1 app www-data 0 Nov 20 08:41 /run/shop/app.sock",
            "the shell: SocketMode who=/run/shop/app.sock detail=srw-rw---- app www-data | \
             srw-rw---- 1 app www-data",
        );
        check_nothing("-rw-r--r-- 1 root root 0 Nov 20 08:41 /run/app.pid");
        check_nothing("srw-rw---- is the mode of it");
        check_nothing("srwé------ 1 a b 0 x");
    }

    #[test]
    fn listening_sockets_and_full_queues_are_read() {
        check(
            "LISTEN 129    128        127.0.0.1:8000      0.0.0.0:*    users:((\"gunicorn\",pid=9,fd=5))",
            "the shell: Listening upstream=127.0.0.1:8000 who=gunicorn | 127.0.0.1:8000; the \
             shell: BacklogOverflow upstream=127.0.0.1:8000 who=gunicorn number=128 | LISTEN 129    \
             128        127.0.0.1:8000",
        );
        check(
            "tcp6       0      0 :::8080       :::*        LISTEN      812/node",
            "the shell: Listening upstream=[::]:8080 who=node | :::8080",
        );
        check_nothing("LISTEN to what I say 1 2");
        check_nothing("State  Recv-Q Send-Q Local Address:Port  LISTEN");
    }
}
