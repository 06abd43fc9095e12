//! Hitch, the TLS proxy: what it says of its backend, in syslog and on its standard error.
//!
//! `20261120T151630.123456 [412] {backend-connect}: Connection refused`; lines about one connection
//! begin with the client and its ports: `192.0.2.1:5 :4711 8:9 backend connect timeout`.

use crate::event::Event;
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const LOG: Reader = Reader {
    name: "Hitch log",
    product: Product::Hitch,
    hooks: &[
        "{backend-connect}",
        "{backend} ",
        "backend connect timeout",
        "SSL socket error (backend)",
        "{core}",
    ],
    fits: |line| message(line).is_some(),
    read: |line, sink| {
        let Some((sign, words)) = message(line).and_then(said) else { return };
        sink.event(Event::new(Product::Hitch, sign, Trust::C, span_of(&line.text, words)));
    },
    source: "https://github.com/varnish/hitch: src/hitch.c, src/logging.c",
    example: "20261120T151630.123456 [412] {backend-connect}: Connection refused",
};

/// The message behind time, process and connection.
fn message<'a>(line: &'a Line) -> Option<&'a str> {
    let named = line.ident.as_deref() == Some("hitch");
    let mut rest = line.text.trim_end();
    let mut stamped = false;
    // `20261120T151630.123456 `.
    if let Some((time, after)) = rest.split_once(' ') {
        let is_time = time.len() >= 15
            && time.as_bytes()[8] == b'T'
            && time.bytes().all(|it| it.is_ascii_digit() || it == b'T' || it == b'.');
        (stamped, rest) = if is_time { (true, after) } else { (false, rest) };
    }
    if let Some((pid, after)) = rest.strip_prefix('[').and_then(|it| it.split_once("] "))
        && pid.trim().bytes().all(|it| it.is_ascii_digit())
    {
        rest = after;
    }
    // `192.0.2.1:5 :4711 8:9 `.
    let mut words = rest.splitn(4, ' ');
    let connection = [words.next(), words.next(), words.next()];
    let numeric = |it: &str| it.bytes().all(|it| it.is_ascii_hexdigit() || b".:[]".contains(&it));
    if connection.iter().all(|it| it.is_some_and(|it| it.contains(':') && numeric(it))) {
        rest = words.next()?;
    }
    let own = rest.starts_with("{backend-connect}") || rest.starts_with("{core} ");
    (named || stamped || own).then_some(rest)
}

fn said(text: &str) -> Option<(Sign, &str)> {
    if let Some(reason) = text.strip_prefix("{backend-connect}: ") {
        let sign = match reason {
            "Connection refused" => Sign::ConnectRefused,
            "Cannot assign requested address" | "Address not available" => Sign::NoLocalPort,
            "Connection timed out" | "Operation timed out" => Sign::ConnectTimedOut,
            "No route to host" => Sign::HostUnreachable,
            "Network is unreachable" => Sign::NetworkUnreachable,
            "Permission denied" => Sign::ConnectDenied,
            "Operation not permitted" => Sign::ConnectNotPermitted,
            "No such file or directory" => Sign::SocketMissing,
            "Resource temporarily unavailable" => Sign::SocketBacklogFull,
            "Connection reset by peer" => Sign::Reset,
            "Too many open files" => Sign::NoDescriptors,
            _ => Sign::ConnectFailed,
        };
        return Some((sign, text));
    }
    if let Some(reason) = text.strip_prefix("{backend} Socket error: ") {
        return Some((broken(reason), text));
    }
    if let Some(reason) = text.strip_prefix("SSL socket error (backend): ") {
        return Some((broken(reason), text));
    }
    if text.starts_with("{backend} Connection closed (in handshake)") {
        return Some((Sign::TlsClosed, text));
    }
    (text == "backend connect timeout").then_some((Sign::ConnectTimedOut, text))
}

/// A connection that was made and broke.
fn broken(reason: &str) -> Sign {
    match reason {
        "Connection reset by peer" => Sign::Reset,
        "Broken pipe" => Sign::SendBroken,
        // What connect() gives late.
        "Connection refused" => Sign::ConnectRefused,
        "Connection timed out" => Sign::HeadTimedOut,
        "No route to host" => Sign::HostUnreachable,
        _ => Sign::Disconnected,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn a_failed_connection_is_told_by_the_words_of_the_system() {
        for (words, sign) in [
            ("Cannot assign requested address", "NoLocalPort"),
            ("Connection refused", "ConnectRefused"),
            ("No route to host", "HostUnreachable"),
            ("Too many open files", "NoDescriptors"),
        ] {
            let said = format!("{{backend-connect}}: {words}");
            check(
                &format!("Nov 20 15:16:30 edge hitch[411]: 20261120T151630.123456 [412] {said}"),
                &format!("Hitch: {sign} | {said}"),
            );
            check(&said, &format!("Hitch: {sign} | {said}"));
        }
    }

    #[test]
    fn a_connection_that_broke_is_read_behind_the_client() {
        check(
            "20261120T151630.123456 [412] 192.0.2.1:5000 :4711 10:9 backend connect timeout",
            "Hitch: ConnectTimedOut | backend connect timeout",
        );
        check(
            "20261120T151630.123456 [412] {backend} Socket error: Connection reset by peer",
            "Hitch: Reset | {backend} Socket error: Connection reset by peer",
        );
    }

    #[test]
    fn what_is_the_clients_or_another_programs_is_none() {
        check_nothing(
            "20261120T151630.123456 [412] {client} Socket error: Connection reset by peer",
        );
        check_nothing("GET /{backend-connect}: Connection refused");
        check_nothing("20261120é {backend-connect}: x");
        check_nothing("{core} Hitch starting");
    }
}
