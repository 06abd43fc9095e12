//! The port of the target belongs to a server that does not speak HTTP: a database, a mail server,
//! SSH.
//!
//! ## What you see
//! Every request fails at once, and what came back is not HTTP. Go says `malformed HTTP response
//! "SSH-2.0-..."`, nginx `upstream sent no valid HTTP/1.0 header`.
//!
//! ## Why it happens
//! A wrong port in the target, or another service took the port on that machine. Some servers greet
//! first (SSH, MySQL, SMTP), others complain about the request (Redis, PostgreSQL).
//!
//! ## How to tell
//! The first bytes tell most protocols apart; the list of listening sockets on the target names the
//! program.
//!
//! ## Fix
//! Correct the port in the target.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::opening::Opening;
use crate::platform;
use crate::report::{Cure, Step};
use crate::show;
use crate::text::{Claim, DECIDES, Text, When, during};
use evidence::{Product, Sign};
use exchange::{HeadFault, TlsFault};

pub(super) static CAUSE: Cause = Cause {
    id: "wrong_protocol_service",
    family: Family::F8,
    title: "Another kind of server listens on that port",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::NotHttp, 0.12), (Sign::StatusLineBad, 0.1)],
        clues: &[during(Sign::SpokenToInHttp, DECIDES)],
        brings: &["premature_close", "connection_reset", "response_header_timeout"],
        reason,
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    let opening = Opening::of(case.first_bytes());
    let (spoken, confidence) = match (case.head_fault(), case.tls_fault()) {
        (Some(HeadFault::NotHttp), _) => ("HTTP", 0.9),
        (Some(HeadFault::StatusLine), _) if opening.name().is_some() => ("HTTP", 0.9),
        (None, Some(TlsFault::NotTls)) => ("TLS", 0.9),
        (None, Some(TlsFault::Protocol)) => ("TLS", 0.15),
        _ => return None,
    };
    // Right services, spoken to in the wrong way: they have causes of their own.
    let elsewhere = match opening {
        Opening::Http1 | Opening::Http2 => true,
        Opening::Tls | Opening::FastCgi => spoken == "HTTP",
        _ => false,
    };
    let dialled = case.dialled();
    let (confidence, statement) = match opening.name() {
        _ if elsewhere => return None,
        Some(name) => (confidence, format!("{dialled} speaks {name}, not {spoken}")),
        None => (confidence * 0.8, format!("what {dialled} answered is not {spoken}")),
    };
    let says = match case.first_bytes() {
        [] => "the bytes that came back were not kept".to_owned(),
        bytes => format!("the answer began with {}", show::bytes(bytes)),
    };
    Some(Finding::new(confidence, statement, says))
}

fn fix(case: &Case) -> Vec<Fix> {
    let port = case.port().unwrap_or(80);
    vec![
        Fix::run(
            "On the target, see which program has that port",
            format!("ss -ltnp 'sport = :{port}'"),
        ),
        Fix::new(format!("Correct the port in {}", case.setting("targets"))),
    ]
}

/// What answered in the words of another protocol, or a listener that has one of its own.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let mut claims = dossier.pair_claims(CAUSE.id);
    if let Some((name, quoted)) = greeting(dossier) {
        let says = format!("what came back begins as {name} does");
        let cite = dossier.incident.cites.first().filter(|it| it.quote.contains(&quoted));
        claims.push(Claim::new(6.0, says, cite.cloned().into_iter().collect()));
    }
    claims
}

/// The protocol of what an upstream answered, as Go quotes it: `malformed HTTP response
/// "SSH-2.0-OpenSSH_9.6"`.
fn greeting(dossier: &Dossier) -> Option<(&'static str, String)> {
    let cites = dossier.incident.cites.iter();
    let texts = cites.map(|it| it.quote.as_str()).chain(dossier.incident.detail.as_deref());
    texts.take(4).find_map(|text| {
        let (_, rest) = text.split_once("malformed HTTP response ")?;
        let bytes = unquoted(rest.trim_start_matches(['\\', '"']));
        let name = match Opening::of(&bytes) {
            Opening::Http1 | Opening::Http2 | Opening::Tls | Opening::FastCgi => return None,
            opening => opening.name()?,
        };
        Some((name, text.to_owned()))
    })
}

/// The first bytes of a string as Go writes it: `\x15\x03`, `\u0000`, letters.
fn unquoted(text: &str) -> Vec<u8> {
    const FIRST: usize = 8;
    let mut bytes = Vec::new();
    let mut rest = text;
    while bytes.len() < FIRST {
        let escaped = rest.trim_start_matches('\\');
        let (length, value) = match escaped.as_bytes() {
            [b'x', ..] if escaped.len() < rest.len() => {
                let digits = escaped.get(1..3).unwrap_or_default();
                (3, u8::from_str_radix(digits, 16).ok())
            }
            [first, ..] => (1, Some(*first)),
            [] => break,
        };
        let (Some(value), Some(after)) = (value, escaped.get(length..)) else { break };
        bytes.push(value);
        rest = after;
    }
    bytes
}

fn says(dossier: &Dossier) -> Option<String> {
    if let Some(says) = dossier.pair_says(CAUSE.id) {
        return Some(says);
    }
    let (hop, at) = (dossier.hop(), dossier.address());
    let other = dossier.seen(Sign::SpokenToInHttp, When::During).first().map(|it| it.key.product);
    let name = other.map(Product::name).or_else(|| greeting(dossier).map(|it| it.0));
    if let Some(name) = name.filter(|_| dossier.incident.hop.stack().is_proxy()) {
        return Some(format!("{hop} speaks HTTP to {at}, where {name} listens"));
    }
    Some(format!(
        "what listens at {} speaks no HTTP: {} sent its request to another kind of service",
        dossier.address(),
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let port = dossier.port().map_or_else(|| "PORT".to_owned(), |it| it.to_string());
    Cure {
        before: vec![
            advice::raw(
                dossier,
                "See what it says of itself: SSH, SMTP, MySQL and Redis name themselves",
            ),
            Step::look(
                "See which process has that port",
                format!("sudo ss -ltnp 'sport = :{port}'"),
            )
            .at(platform::host_of(dossier)),
        ],
        now: advice::change(dossier, "Dial the app's port in place of this one", &[]),
        verify: vec![advice::through(dossier, "an answer of the app")],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::nginx;
    use crate::testing::{check, check_not, explained};

    #[test]
    fn what_each_service_says_of_a_request() {
        let traefik = |answer: &str| {
            format!(
                "2026-11-20T15:16:30Z ERR 502 Bad Gateway error=\"net/http: HTTP/1.x transport connection broken: malformed HTTP response \\\"{answer}\\\"\"\n"
            )
        };
        for (answer, name) in
            [("SSH-2.0-OpenSSH_9.6", "SSH"), ("-ERR wrong number of arguments", "Redis or POP3")]
        {
            let report = explained(&[("traefik.log", &traefik(answer))]);
            assert_eq!(report.cause, "wrong_protocol_service", "{:?}", report.candidates);
            assert!(report.statement.contains(name), "{}", report.statement);
        }
        let report = explained(&[("traefik.log", &traefik("hello"))]);
        assert_ne!(report.cause, "wrong_protocol_service");
    }

    #[test]
    fn redis_takes_the_request_for_an_attack() {
        let closed = nginx(
            "upstream prematurely closed connection while reading response header from upstream",
            "http://127.0.0.1:6379/",
        );
        let redis = "13:M 20 Nov 2026 15:16:30.937 # Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis.\n";
        let report = explained(&[("error.log", &closed), ("redis.log", redis)]);
        assert_eq!(report.cause, "wrong_protocol_service", "{:?}", report.candidates);
        // A scan of an open port alone is no failure.
        assert_eq!(explained(&[("redis.log", redis)]).cause, "unknown");
    }

    #[test]
    fn a_port_of_ssh() {
        check(
            "head: not_http | fresh to=10.0.0.7:22 bytes=5353482d322e302d4f70656e535348",
            "wrong_protocol_service: 10.0.0.7:22 speaks SSH, not HTTP",
        );
    }

    #[test]
    fn a_port_of_a_database() {
        check(
            "head: not_http | fresh to=10.0.0.7:3306 bytes=4a0000000a382e302e3336",
            "wrong_protocol_service: 10.0.0.7:3306 speaks MySQL, not HTTP",
        );
    }

    #[test]
    fn tls_to_a_port_of_a_mail_server() {
        check(
            "tls: not_tls | to=10.0.0.7:25 bytes=323230206d61696c",
            "wrong_protocol_service: 10.0.0.7:25 speaks SMTP or FTP, not TLS",
        );
    }

    #[test]
    fn bytes_that_nobody_knows() {
        check(
            "head: not_http | fresh to=10.0.0.7:7 bytes=68656c6c6f",
            "wrong_protocol_service: what 10.0.0.7:7 answered is not HTTP",
        );
    }

    #[test]
    fn tls_is_the_right_service_in_the_wrong_way() {
        check_not("head: not_http | fresh bytes=15030100020246", "wrong_protocol_service");
    }
}
