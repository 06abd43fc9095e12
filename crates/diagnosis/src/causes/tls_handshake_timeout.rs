//! The connection stood, and the target did not finish the TLS handshake in time.
//!
//! ## What you see
//! 504 after `timeout.tls`. nginx logs `upstream timed out (110: Connection timed out) while SSL
//! handshaking to upstream`, Go `net/http: TLS handshake timeout`, HAProxy answers 503 with `sC--`.
//!
//! ## Why it happens
//! The process behind the port is stuck or has no time, so that the kernel accepts connections and
//! nobody serves them; packets above a certain size are lost on the way (a large certificate is the
//! first thing that needs them); or the port speaks plain HTTP and waits for a line.
//!
//! ## How to tell
//! A plain request to the same port tells the third from the others. If a handshake from the
//! target's own machine works at once, look at the network; if not, at the process.
//!
//! ## Fix
//! Free the stuck process or the path. A longer `timeout.tls` only hides it: callers wait longer
//! for the same answer.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;
use exchange::TlsFault;

pub(super) static CAUSE: Cause = Cause {
    id: "tls_handshake_timeout",
    family: Family::F7,
    title: "The TLS handshake was not done in time",
    side: Side::AppServer,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::TlsTimedOut, 0.45)], ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let TlsFault::TimedOut(limit) = case.tls_fault()? else {
        return None;
    };
    Some(Finding::new(
        0.5,
        format!(
            "{} accepted the connection and did not finish the TLS handshake within {}",
            case.dialled(),
            words(limit.value)
        ),
        "the connection stood, and the handshake never came to its end",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let port = case.place().map_or(443, |it| it.port);
    vec![
        Fix::run("See how far the handshake comes", format!("{} </dev/null", case.handshake())),
        Fix::run(
            "See whether the port speaks plain HTTP",
            format!("curl -v http://{}/", case.endpoint()),
        ),
        Fix::run(
            "On the target, see whether connections wait unserved (a full Recv-Q)",
            format!("ss -ltn 'sport = :{port}'"),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_handshake_that_never_ends() {
        check(
            "tls: timed_out | to=10.0.0.7:443",
            "tls_handshake_timeout: 10.0.0.7:443 accepted the connection and did not finish the \
             TLS handshake within 60 s",
        );
    }

    #[test]
    fn a_connection_that_never_stood() {
        check_not("connect: timed_out | to=10.0.0.7:443", "tls_handshake_timeout");
    }
}
