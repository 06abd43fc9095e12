//! The gateway sent a plain request to a port that speaks TLS.
//!
//! ## What you see
//! Every request fails at once, with one of three faces: the connection is reset or closed (servers
//! with OpenSSL), seven bytes come back that begin with 15 03 (a TLS alert; Go: `malformed HTTP
//! response "\x15\x03\x01..."`, nginx: `upstream sent no valid HTTP/1.0 header`), or an answer 400
//! with `The plain HTTP request was sent to HTTPS port` (nginx) or `Client sent an HTTP request to
//! an HTTPS server.` (Go).
//!
//! ## Why it happens
//! `http://` in the target and a server that was given a certificate, or the wrong one of two
//! ports.
//!
//! ## How to tell
//! The same port answers over TLS.
//!
//! ## Fix
//! Write `https://` in the target.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::opening::Opening;
use crate::report::{Cure, Step};
use crate::show;
use crate::text::{Claim, DECIDES, SPEAKS, Text, When, during};
use crate::tls_words;
use evidence::{Kind, Scheme, Sign, address};
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "http_to_tls_port",
    family: Family::F8,
    title: "The target speaks TLS on this port, and the gateway does not",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::Reset, 0.06),
            (Sign::Closed, 0.03),
            (Sign::Disconnected, 0.03),
            (Sign::NotHttp, 0.2),
            (Sign::TlsBytes, 0.95),
            (Sign::PlainToTlsPort, 0.95),
            (Sign::ProtocolError, 0.08),
        ],
        clues: &[during(Sign::PlainToTlsPort, DECIDES), during(Sign::TlsBytes, DECIDES)],
        brings: &[
            "premature_close",
            "connection_reset",
            "malformed_status_line",
            "no_live_upstreams",
            "health_check_wrong_port_or_scheme",
        ],
        reason,
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    if let Some(HeadFault::NotHttp | HeadFault::StatusLine) = case.head_fault() {
        return match Opening::of(case.first_bytes()) {
            Opening::Tls => Some(Finding::new(
                0.95,
                format!("{} answered a plain request with TLS", case.dialled()),
                format!("the answer began with {}, a TLS record", show::bytes(case.first_bytes())),
            )),
            _ => None,
        };
    }
    let port = case.port().filter(|_| case.turned_away() && case.plain())?;
    Some(Finding::new(
        if usual(port) { 0.6 } else { 0.05 },
        format!("port {port} may speak TLS and have hung up on a plain request"),
        "a TLS server that cannot read the first bytes may end the connection without a word",
    ))
}

/// The ports that people give to TLS. Of those that systems hand out at random none tells anything,
/// whatever its last digits.
fn usual(port: u16) -> bool {
    matches!(port, 443 | 4443 | 6443 | 8443 | 9443 | 10443)
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See whether the port speaks TLS", format!("{} </dev/null", case.handshake())),
        Fix::new(format!(
            "If it does, write `https://` instead of `http://` in {}",
            case.setting("targets")
        )),
    ]
}

/// Plain HTTP is sent to a port that is known for TLS, or that says that it speaks it.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let pairs = dossier.pair_claims(CAUSE.id);
    if !pairs.is_empty() {
        return pairs;
    }
    let plain = |it: &crate::dossier::Dial| matches!(it.scheme, Scheme::Http | Scheme::Unknown);
    let dials = dossier.dials();
    if dials.iter().any(|it| it.scheme == Scheme::Https) && dossier.sign().kind() == Kind::Wire {
        return Vec::new();
    }
    let there = dossier.listener_there().filter(|it| it.scheme == Scheme::Https);
    if let Some(it) = there {
        return vec![Claim::new(5.5, "the app speaks TLS on that port", vec![it.cite])];
    }
    // A server of Go says who greeted it without TLS.
    let plainly = |it: &crate::dossier::Seen| {
        it.detail().is_some_and(|it| it.starts_with("tls: first record does not look"))
    };
    let greeted = dossier.seen(Sign::ClientTls, When::During).into_iter().find(plainly);
    let lost = [Sign::Closed, Sign::Reset, Sign::Disconnected, Sign::NotHttp];
    if let Some(it) = greeted.filter(|_| lost.contains(&dossier.sign())) {
        let says = "a server got plain bytes where it speaks TLS";
        return vec![Claim::new(5.5, says, vec![it.cite()])];
    }
    let port = dossier.port();
    let dialled = dials.into_iter().find(|it| plain(it) && address::port(it.to).is_some_and(usual));
    match dialled {
        Some(it) => vec![Claim::new(4.0, "the port is one that usually speaks TLS", vec![it.cite])],
        None if port.is_some_and(usual) => {
            vec![Claim::new(SPEAKS, "the port is one that usually speaks TLS", Vec::new())]
        }
        None => Vec::new(),
    }
}

fn says(dossier: &Dossier) -> Option<String> {
    if let Some(says) = dossier.pair_says(CAUSE.id) {
        return Some(says);
    }
    Some(format!("{} speaks plain HTTP to {}, which speaks TLS", dossier.hop(), dossier.address()))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![tls_words::certificate(
            dossier,
            "See that the port speaks TLS, and for which names",
        )],
        now: tls_words::with(dossier, "Speak TLS to this port, and check its certificate"),
        lasting: vec![Step::say(
            "Where proxy and app share a host, a plain port of the app on 127.0.0.1 saves the handshakes",
        )],
        verify: vec![
            tls_words::verified(dossier),
            advice::through(dossier, "an answer of the app"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::check_report;
    use crate::testing::{check, check_among, check_listed, check_not};

    #[test]
    fn an_alert_in_answer_to_a_request() {
        check(
            "head: not_http | fresh to=10.0.0.7:8443 bytes=15030100020246",
            "http_to_tls_port: 10.0.0.7:8443 answered a plain request with TLS",
        );
    }

    #[test]
    fn a_port_for_tls_that_hangs_up() {
        check_listed("head: closed | fresh to=10.0.0.7:8443 after=1ms", "http_to_tls_port");
    }

    #[test]
    fn any_port_that_hangs_up_may_speak_tls() {
        check_listed("head: reset | fresh to=10.0.0.7:8000 after=1ms", "http_to_tls_port");
    }

    #[test]
    fn over_tls_it_cannot_be() {
        check_not("head: closed | fresh tls to=10.0.0.7:8443 after=1ms", "http_to_tls_port");
    }

    #[test]
    fn a_server_that_worked_for_a_while_has_read_the_request() {
        check_not("head: closed | fresh to=10.0.0.7:8443 after=3s", "http_to_tls_port");
    }

    /// 41443 was drawn, not chosen.
    #[test]
    fn the_last_digits_of_any_port_say_nothing() {
        check_among("head: closed | fresh to=10.0.0.7:41443 after=1ms", "http_to_tls_port");
    }

    #[test]
    fn another_protocol_is_no_tls() {
        check_not("head: not_http | fresh bytes=5353482d322e30", "http_to_tls_port");
    }

    #[test]
    fn bytes_of_tls() {
        let line = r#"2026-11-20T15:16:30Z ERR 502 Bad Gateway error="read tcp 192.0.2.2:41000->203.0.113.98:8443: net/http: HTTP/1.x transport connection broken: malformed HTTP response \"\\x15\\x03\\x01\\x00\\x02\\x02\""
    "#;
        check_report(
            &[("traefik.log", line)],
            "http_to_tls_port: Traefik speaks plain HTTP to 203.0.113.98:8443, which speaks TLS",
        );
    }
}
