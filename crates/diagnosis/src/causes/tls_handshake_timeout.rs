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

use crate::advice::{self, Hop};
use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use evidence::{Sign, address};
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
    text: Text { behind: &[(Sign::TlsTimedOut, 0.45)], says, cure, ..Text::NONE },
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

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} took {}'s connection and did not end the TLS handshake in time",
        dossier.address(),
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let to = dossier.upstream().map_or_else(|| "HOST:443".to_owned(), advice::word);
    Cure {
        before: vec![
            Step::look(
                "Time the handshake from there",
                format!("curl -sS -o /dev/null -w 'tcp %{{time_connect}} tls %{{time_appconnect}}\\n' https://{to}/"),
            )
            .at(advice::hop_host(dossier)),
        ],
        now: vec![
            Step::look("See whether the upstream's workers are busy, or its CPU is: handshakes wait for both", "uptime; ss -ltn").at("the upstream's host"),
            Step::look(
                "See whether large packets get lost: no answer with `-s 1472` while small ones pass is an MTU that is too large",
                format!("ping -M do -s 1472 -c 3 {}", address::host(&to)),
            )
            .at(advice::hop_host(dossier)),
            Step::say("Give the upstream the workers or CPU that it lacks, or lower the MTU, as these show"),
        ],
        lasting: advice::change(
            dossier,
            "Keep connections open, so that fewer handshakes are needed",
            &[
                (Hop::Nginx, "keepalive 32;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_ssl_session_reuse on;"),
            ],
        ),
        verify: vec![
            Step::look(
                "See `tls` within a second, ten times",
                format!("for i in 1 2 3 4 5 6 7 8 9 10; do curl -sS -o /dev/null -w '%{{time_appconnect}}\\n' https://{to}/; done"),
            )
            .at(advice::hop_host(dossier)),
        ],
    }
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
