//! The gateway spoke TLS to a port that serves plain HTTP.
//!
//! ## What you see
//! Every request fails in the handshake. nginx logs `wrong version number`, Go `tls: first record
//! does not look like a TLS handshake` or `http: server gave HTTP response to HTTPS client`. A
//! server that waits for the end of a line never answers at all, so it may look like a slow
//! handshake instead.
//!
//! ## Why it happens
//! `https://` in the target and a server that listens without TLS, such as Gunicorn or Uvicorn
//! without a certificate, or the wrong one of two ports.
//!
//! ## How to tell
//! The same port answers a plain request.
//!
//! ## Fix
//! Write `http://` in the target, or the port that has TLS.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::opening::Opening;
use crate::report::{Cure, Step};
use crate::text::{Claim, STRONG, Text};
use crate::tls_words;
use evidence::{Scheme, Sign};
use exchange::TlsFault;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_to_plain_port",
    family: Family::F7,
    title: "The target does not speak TLS on this port",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectFailed, 0.03),
            (Sign::TlsToPlain, 0.93),
            (Sign::TlsTimedOut, 0.2),
            (Sign::TlsClosed, 0.08),
            (Sign::TlsFailed, 0.1),
            (Sign::Answered502, 0.02),
        ],
        brings: &[
            "no_live_upstreams",
            "health_check_wrong_port_or_scheme",
            "worker_timeout_killed",
        ],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let (confidence, statement, says) = match case.tls_fault()? {
        TlsFault::PlainHttp => (
            0.95,
            format!("{} answered the TLS handshake with plain HTTP", case.dialled()),
            "the first bytes that came back were an HTTP status line",
        ),
        TlsFault::NotTls if Opening::of(case.first_bytes()) == Opening::Http1 => (
            0.95,
            format!("{} answered the TLS handshake with plain HTTP", case.dialled()),
            "the first bytes that came back were an HTTP status line",
        ),
        TlsFault::NotTls if Opening::of(case.first_bytes()) == Opening::Http2 => (
            0.9,
            format!("{} answered the TLS handshake with plain HTTP/2", case.dialled()),
            "the first bytes that came back were an HTTP/2 SETTINGS frame",
        ),
        TlsFault::TimedOut(_) => (
            0.3,
            format!("{} may speak plain HTTP and be waiting for the end of a line", case.dialled()),
            "a plain HTTP server takes a TLS hello for the start of a request",
        ),
        TlsFault::Closed | TlsFault::Reset => (
            0.12,
            format!("{} may speak plain HTTP and have hung up on the TLS hello", case.dialled()),
            "a plain HTTP server cannot read a TLS hello",
        ),
        _ => return None,
    };
    Some(Finding::new(confidence, statement, says))
}

fn fix(case: &Case) -> Vec<Fix> {
    let endpoint = case.endpoint();
    vec![
        Fix::run(
            "See whether the port answers a plain request",
            format!("curl -v http://{endpoint}/"),
        ),
        Fix::new(format!(
            "If it does, write `http://` in {}, or the port that serves TLS",
            case.setting("targets")
        )),
    ]
}

/// TLS is sent to a port on which the app says that it speaks plain HTTP.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let pairs = dossier.pair_claims(CAUSE.id);
    if !pairs.is_empty() {
        return pairs;
    }
    let dial = dossier.dials().into_iter().find(|it| it.scheme == Scheme::Https);
    if let Some(it) = &dial
        && it.to.starts_with("unix:")
    {
        let says = "TLS is spoken to a unix socket, on which apps speak plain HTTP";
        return vec![Claim::new(6.0, says, vec![it.cite.clone()])];
    }
    let plain = dossier.listener_there().filter(|it| it.scheme == Scheme::Http);
    match (dial, plain) {
        (Some(dial), Some(it)) => vec![Claim::new(
            STRONG,
            "the app speaks plain HTTP on that port",
            vec![it.cite, dial.cite],
        )],
        _ => Vec::new(),
    }
}

fn says(dossier: &Dossier) -> Option<String> {
    if let Some(says) = dossier.pair_says(CAUSE.id) {
        return Some(says);
    }
    Some(format!(
        "{} greets {} with TLS, and what answers there is no TLS",
        dossier.hop(),
        dossier.address()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: advice::past(dossier, "an answer over plain HTTP shows that the port has no TLS")
            .into_iter()
            .collect(),
        now: tls_words::without(dossier, "Speak plain HTTP to this port"),
        lasting: vec![Step::say(
            "Where the way to the upstream is not your own, give the app TLS, or dial its TLS port, instead",
        )],
        verify: vec![advice::through(dossier, "an answer of the app")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told, nginx};
    use crate::testing::{check, check_among, check_not};

    #[test]
    fn http_in_answer_to_a_hello() {
        check(
            "tls: plain_http | to=10.0.0.7:8000",
            "tls_to_plain_port: 10.0.0.7:8000 answered the TLS handshake with plain HTTP",
        );
    }

    #[test]
    fn http2_in_answer_to_a_hello() {
        check(
            "tls: not_tls | to=10.0.0.7:8000 bytes=000012040000000000",
            "tls_to_plain_port: 10.0.0.7:8000 answered the TLS handshake with plain HTTP/2",
        );
    }

    #[test]
    fn a_silent_plain_port_looks_like_a_slow_handshake() {
        check_among("tls: timed_out | to=10.0.0.7:8000", "tls_to_plain_port");
    }

    #[test]
    fn an_alert_is_spoken_by_tls_only() {
        check_not("tls: alert=40 | to=10.0.0.7:8000", "tls_to_plain_port");
    }

    #[test]
    fn the_port_is_said() {
        let line = nginx(
            "SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number) while SSL handshaking to upstream",
            "https://203.0.113.98:8000/",
        );
        let report = check_report(
            &[("error.log", &line)],
            "tls_to_plain_port: nginx greets 203.0.113.98:8000 with TLS, and what answers there is no TLS",
        );
        check_told(
            &report,
            &[
                "-    proxy_pass https://203.0.113.98:8000;",
                "+    proxy_pass http://203.0.113.98:8000;",
            ],
        );
    }
}
