//! What HAProxy says of servers, of its frontends and of itself: in syslog, and behind
//! `[WARNING]  (8) : ` on its standard error.

use super::message;
use crate::clock::{self, Stamp};
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(in crate::readers) const EVENTS: Reader = Reader {
    name: "HAProxy events",
    product: Product::HaProxy,
    hooks: &[
        " is DOWN",
        " is UP",
        " is going DOWN",
        "Health check for ",
        "has no server available",
        "Connect() failed for backend",
        "process FD limit",
        "system FD limit",
        "could not resolve address",
        "cannot bind socket",
        "unable to find required",
        "rrors found in configuration",
        " : parsing [",
        "performing a hard-stop",
        "exited with code ",
        "PROXY protocol header",
        "SSL handshake",
        "changed its IP from",
        "New worker (",
    ],
    fits: |line| said(&line.text).is_some(),
    read,
    source: "haproxy src/check.c, src/server.c, src/proto_tcp.c, src/session.c; HAProxy 2.6.12",
    example: "Server app/web1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", \
              check duration: 0ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, \
              0 remaining in queue.",
};

struct Said<'a> {
    sign: Sign,
    words: &'a str,
    upstream: Option<&'a str>,
    who: Option<&'a str>,
    detail: Option<&'a str>,
    number: Option<i64>,
    at: Option<Stamp>,
    /// Why a check failed, beside that the server goes down.
    check: Option<(Sign, &'a str, Option<i64>)>,
}

fn new<'a>(sign: Sign, words: &'a str) -> Said<'a> {
    Said {
        sign,
        words,
        upstream: None,
        who: None,
        detail: None,
        number: None,
        at: None,
        check: None,
    }
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some(said) = said(&line.text) else { return };
    let event = |sign, words| {
        Event::new(Product::HaProxy, sign, Trust::C, span_of(&line.text, words))
            .at(said.at)
            .upstream(said.upstream)
            .who(said.who)
    };
    sink.event(event(said.sign, said.words).detail(said.detail).number(said.number));
    if let Some((sign, words, code)) = said.check {
        sink.event(event(sign, words).number(code));
    }
}

fn said(text: &str) -> Option<Said<'_>> {
    let text = message(text);
    let text = text.trim_start();
    // `[WARNING] 049/041157 (4436) : `, `[ALERT]    (8) : `.
    let tagged = ["[ALERT]", "[WARNING]", "[NOTICE]", "[EMERG]"].iter().find_map(|it| {
        let rest = text.strip_prefix(it)?;
        let at = crate::scan::clip(rest, 40).find(" : ")?;
        Some((*it == "[ALERT]", &rest[at + 3..]))
    });
    match tagged {
        Some((alert, rest)) => fixed(rest).or_else(|| at_start(rest, alert)),
        // Of its terminal, without what stands before: `config : backend 'app', server 'web1': could
        // not resolve address 'app'.`
        None if text.starts_with("config : ") => at_start(text, false),
        None => fixed(text).or_else(|| at_frontend(text)),
    }
}

fn fixed(text: &str) -> Option<Said<'_>> {
    let first = text.split(' ').next()?;
    match first {
        "Server" | "Backup" => server(text.strip_prefix("Backup ").unwrap_or(text)),
        "Health" => check(text),
        "backend" | "Backend" => {
            let rest = &text["backend ".len().min(text.len())..];
            let (name, words) = rest.split_once(' ')?;
            nobody_left(name, words)
        }
        "proxy" => {
            let (name, words) = text.strip_prefix("proxy ")?.split_once(' ')?;
            nobody_left(name, words)
        }
        "Connect()" => connect(text),
        "Proxy" => limit(text),
        "Current" | "Former" => worker(text),
        "New" if text.starts_with("New worker (") => Some(new(Sign::ProxyStarted, &text[..10])),
        "soft-stop" => Some(new(Sign::ReloadCut, text.strip_suffix('.').unwrap_or(text)))
            .filter(|_| text.starts_with("soft-stop running for too long")),
        _ => address_changed(text, first),
    }
}

/// `backend be has no server available!`; up to 1.5 there was a space before the mark.
fn nobody_left<'a>(name: &'a str, words: &'a str) -> Option<Said<'a>> {
    let rest = words.strip_prefix("has no server available")?;
    let mark = rest.len() - rest.trim_start_matches([' ', '!']).len();
    let words = words[..words.len() - rest.len() + mark].trim_end();
    Some(Said { upstream: Some(name.trim_matches('\'')), ..new(Sign::NoLiveUpstream, words) })
}

/// `Server be/s is DOWN, reason: …, info: "…", check duration: 0ms. 0 active and …`.
fn server(text: &str) -> Option<Said<'_>> {
    let (name, rest) = text.strip_prefix("Server ")?.split_once(' ')?;
    if !name.contains('/') {
        return None;
    }
    let (sign, words) = if rest.starts_with("is DOWN") {
        (Sign::ServerDown, &rest[..7])
    } else if rest.starts_with("is going DOWN") {
        (Sign::ServerDown, &rest[..13])
    } else if rest.starts_with("is UP") {
        (Sign::ServerUp, &rest[..5])
    } else {
        return None;
    };
    let said = Said { who: Some(name), ..new(sign, &text[..span_of(text, words).end]) };
    let Some((reason, words)) = reason(rest) else {
        let detail = between(rest, "(", ")").filter(|_| sign == Sign::ServerDown);
        return Some(Said { detail, ..said });
    };
    let check = check_sign(reason).filter(|_| sign == Sign::ServerDown);
    let check = check.map(|it| (it, words, code(rest)));
    Some(Said { detail: Some(reason), check, ..said })
}

/// `Health check for server be/s failed, reason: Layer7 wrong status, code: 503, …`.
fn check(text: &str) -> Option<Said<'_>> {
    let rest = text.strip_prefix("Health check for ")?;
    let rest = rest.strip_prefix("backup ").unwrap_or(rest).strip_prefix("server ")?;
    let (name, rest) = rest.split_once(' ')?;
    let rest = rest.strip_prefix("conditionally ").unwrap_or(rest);
    let after = rest.strip_prefix("failed")?;
    let (sign, words, code) = match reason(after) {
        Some((reason, words)) => {
            (check_sign(reason).unwrap_or(Sign::HealthFailed), words, code(after))
        }
        None => (Sign::HealthFailed, &rest[..6], None),
    };
    let info = between(after, "info: \"", "\"");
    Some(Said { who: Some(name), number: code, detail: info, ..new(sign, words) })
}

/// The reason, and the words from `reason: ` to its end.
fn reason(text: &str) -> Option<(&str, &str)> {
    let at = text.find("reason: ")?;
    let rest = &text[at + 8..];
    let end = rest.find([',', '.', '(']).unwrap_or(rest.len());
    let reason = rest[..end].trim_end();
    (!reason.is_empty()).then(|| (reason, &text[at..at + 8 + reason.len()]))
}

fn code(text: &str) -> Option<i64> {
    number(&text[text.find(", code: ")? + 8..])
}

/// Why a check failed. Pagers and narrow terminals cut lines, and some mark it with `>`: what is
/// left counts while only one reason begins so.
fn check_sign(reason: &str) -> Option<Sign> {
    const REASONS: [(&str, Sign); 10] = [
        ("Layer4 timeout", Sign::HealthTimedOut),
        ("Layer6 timeout", Sign::HealthTimedOut),
        ("Layer7 timeout", Sign::HealthTimedOut),
        ("External check timeout", Sign::HealthTimedOut),
        ("Layer4 connection problem", Sign::HealthConnectFailed),
        ("Socket error", Sign::HealthConnectFailed),
        ("Layer6 invalid response", Sign::HealthWrongProtocol),
        ("Layer7 invalid response", Sign::HealthWrongProtocol),
        ("Layer7 wrong status", Sign::HealthWrongAnswer),
        ("External check error", Sign::HealthFailed),
    ];
    let reason = reason.trim_end_matches(['>', '…', '.', ' ']);
    let mut begin = REASONS.iter().filter(|(it, _)| it.starts_with(reason) && reason.len() > 6);
    let (_, sign) = begin.next()?;
    begin.next().is_none().then_some(*sign)
}

/// `Connect() failed for backend be: no free ports.`
fn connect(text: &str) -> Option<Said<'_>> {
    let rest = text.strip_prefix("Connect() failed for backend ")?;
    let (name, reason) = rest.split_once(": ")?;
    let sign = if reason.starts_with("can't connect to destination unix socket") {
        Sign::SocketBacklogFull
    } else if reason.starts_with("no free ports") || reason.starts_with("local address already") {
        Sign::NoLocalPort
    } else {
        Sign::ConnectFailed
    };
    let words = text.trim_end_matches('.');
    Some(Said { upstream: Some(name), ..new(sign, words) })
}

/// `Proxy fe reached process FD limit (maxsock=4031). Please check 'ulimit-n' and restart.`
fn limit(text: &str) -> Option<Said<'_>> {
    let rest = text.strip_prefix("Proxy ")?;
    let (_, rest) = rest.split_once(" reached ")?;
    let sign = match rest {
        it if it.starts_with("process FD limit") => Sign::NoDescriptors,
        it if it.starts_with("system FD limit") => Sign::NoDescriptors,
        it if it.starts_with("system memory limit") => Sign::MemoryOut,
        _ => return None,
    };
    let end = rest.find([' ', '(']).and_then(|_| rest.find("limit")).map(|at| at + 5)?;
    let count = between(rest, "maxsock=", ")").and_then(number);
    let start = span_of(text, rest).start - "reached ".len();
    let words = &text[start..start + "reached ".len() + end];
    Some(Said { number: count, ..new(sign, words) })
}

/// `Current worker (12) exited with code 139 (Segmentation fault)`.
fn worker(text: &str) -> Option<Said<'_>> {
    let (_, rest) = text.split_once(") exited with code ")?;
    let code = number(rest)?;
    // Killed by a signal, other than one that asks it to end.
    let crashed = code > 128 && !matches!(code, 130 | 143);
    let width = rest.bytes().take_while(u8::is_ascii_digit).count();
    let end = text.len() - rest.len() + width;
    crashed
        .then(|| Said { number: Some(code - 128), ..new(Sign::ProxyWorkerCrashed, &text[..end]) })
}

/// `be/s changed its IP from 192.0.2.1 to 192.0.2.2 by resolvers/dns.`
fn address_changed<'a>(text: &'a str, name: &'a str) -> Option<Said<'a>> {
    let rest = text[name.len()..].strip_prefix(" changed its IP from ")?;
    let address = rest.split_once(" to ")?.1.split(' ').next()?;
    let end = span_of(text, address).end;
    let words = text[name.len()..end].trim_start();
    Some(Said { who: Some(name), upstream: Some(address), ..new(Sign::Resolved, words) })
        .filter(|_| name.contains('/'))
}

/// Faults of the configuration and of listening, which HAProxy tells as `[ALERT]`.
fn at_start(text: &str, alert: bool) -> Option<Said<'_>> {
    if let Some(at) = text.find("could not resolve address '") {
        let rest = &text[at..];
        let name = between(rest, "'", "'")?;
        let words = &rest[..span_of(rest, name).end + 1];
        let said = new(Sign::NameNotFound, words);
        return Some(Said { upstream: Some(name), detail: Some(name), ..said });
    }
    if let Some(at) = text.find("cannot bind socket") {
        let rest = &text[at..];
        let sign = match rest.starts_with("cannot bind socket (Address already in use)") {
            true => Sign::PortInUse,
            false => Sign::BindFailed,
        };
        let end = rest.find(')').map_or("cannot bind socket".len(), |it| it + 1);
        let address = between(rest, "[", "]").or_else(|| between(rest, "for [", "]"));
        return Some(Said { detail: address, ..new(sign, &rest[..end]) });
    }
    if let Some(at) = text.find("unable to find required ") {
        let name = between(&text[at..], "'", "'")?;
        let words = &text[at..span_of(text, name).end + 1];
        return Some(Said { upstream: Some(name), ..new(Sign::NoCluster, words) });
    }
    if let Some(rest) = text.trim_start_matches("config : ").strip_prefix("parsing [") {
        // `parsing [/etc/haproxy/haproxy.cfg:12] : unknown keyword 'x' in 'global' section`.
        let (place, why) = rest.split_once(']')?;
        let known = alert && place.contains(':') && why.starts_with(" : ");
        let why = crate::scan::clip(why.get(3..)?.trim_end(), 200);
        return known.then(|| Said { detail: Some(why), ..new(Sign::ConfigRefused, why) });
    }
    let at = text.find("rrors found in configuration")?;
    let words = &text[at.saturating_sub(1)..at + "rrors found in configuration".len()];
    Some(new(Sign::ConfigRefused, words))
}

/// `192.0.2.1:5000 [06/Feb/2009:12:14:14.655] fe/1: SSL handshake failure`.
fn at_frontend(text: &str) -> Option<Said<'_>> {
    const TABLE: [(&str, Sign); 7] = [
        ("SSL handshake failure", Sign::ClientTls),
        ("Connection error during SSL handshake", Sign::ClientTls),
        ("Connection closed during SSL handshake", Sign::ClientTls),
        ("Timeout during SSL handshake", Sign::ClientTls),
        (
            "Received something which does not look like a PROXY protocol header",
            Sign::ProxyHeaderMissing,
        ),
        ("Timeout while waiting for PROXY protocol header", Sign::ProxyHeaderMissing),
        ("Connection closed while waiting for PROXY protocol header", Sign::ProxyHeaderMissing),
    ];
    let (client, rest) = text.split_once(" [")?;
    let (at, end) = clock::day_first(rest)?;
    let (place, words) = rest[end..].strip_prefix("] ")?.split_once(": ")?;
    if client.contains(' ') || !place.contains('/') || place.contains(' ') {
        return None;
    }
    let (words_known, sign) = TABLE.iter().find(|(it, _)| words.starts_with(it))?;
    Some(Said { at: Some(at), ..new(*sign, &words[..words_known.len()]) })
}
