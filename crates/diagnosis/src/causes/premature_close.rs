//! The upstream closed the connection without one byte of an answer, and nothing recorded says why.
//!
//! ## What you see
//! A 502. nginx logs `upstream prematurely closed connection while reading response header from
//! upstream`; Apache `(20014)Internal error (specific information not available): AH01102: error
//! reading status line from remote server` or `(70014)End of file found`; Go, Caddy and Traefik
//! `EOF`; HAProxy `SH--`. curl says `Empty reply from server`.
//!
//! ## Why it happens
//! A symptom. A worker crashed or was killed, the app server ended an idle connection, the port
//! speaks TLS or another protocol, or the app closes on purpose (an address filter).
//!
//! ## How to tell
//! By time and connection. Reused and idle before: `keepalive_race`. Within milliseconds on a fresh
//! one: the wrong protocol, or a crash at the first touch. After a constant time:
//! `worker_timeout_killed`. After any time: `worker_crashed` or a kill for memory.
//!
//! ## Fix
//! Read the app server's log and the kernel's at that second. Send the same request straight to the
//! app: if it fails there too, the app or its server is the place to look.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::Cure;
use crate::signs::{Loss, YOUNG, certificate_missing, loss, window, worked};
use crate::text::Text;
use crate::wording;
use evidence::Sign;
use exchange::{Fault, HeadFault};

pub(super) static CAUSE: Cause = Cause {
    id: "premature_close",
    family: Family::F4,
    title: "The upstream closed without an answer",
    side: Side::Unknown,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::Closed, 0.12), (Sign::Disconnected, 0.12)], cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Head(HeadFault::Closed) = case.fault()? else {
        return None;
    };
    let after_bodyless = case.attempt()?.after_bodyless;
    let confidence = match loss(case)? {
        Loss::InAnswer => return None,
        _ if 0 < case.received() => return None,
        Loss::OnReuse(idle) if idle < YOUNG && !after_bodyless => 0.3,
        Loss::OnReuse(_) => 0.05,
        Loss::AtWatchdog(_) => 0.15,
        Loss::AtOnce if certificate_missing(case) => 0.05,
        Loss::AtOnce | Loss::AtWork(_) => 0.4,
    };
    Some(Finding::new(
        confidence,
        format!(
            "{} closed the connection {} after the request, without one byte of an answer",
            case.server(),
            words(worked(case))
        ),
        "the other end said that it is done, which does not say why",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look in the logs of that time for a process that ended or was killed",
            format!("journalctl {} --grep 'exit|kill|SIG|died|TIMEOUT|segfault'", window(case)),
        ),
        Fix::run("Ask the app itself, without the gateway", ask(case)),
    ]
}

fn ask(case: &Case) -> String {
    match case.unix_path() {
        Some(path) => format!("curl -v --unix-socket '{path}' http://localhost/"),
        None => format!("curl -v http://{}/", case.dialled()),
    }
}

fn cure(dossier: &Dossier) -> Cure {
    wording::silence(dossier)
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_among, check_not};

    #[test]
    fn a_close_on_a_fresh_connection_has_no_better_name() {
        check(
            "head: closed | fresh after=700ms | server=uvicorn",
            "premature_close: uvicorn closed the connection 700 ms after the request, without \
             one byte of an answer",
        );
    }

    #[test]
    fn a_root_that_explains_more_comes_first() {
        check_among("head: closed | reused idle=5s", "premature_close");
        check_among("head: closed | fresh after=30s", "premature_close");
    }

    #[test]
    fn half_a_head_is_more_than_nothing() {
        check_not("head: closed | fresh received=20", "premature_close");
        check_not("head: closed | fresh received=20 after=30s", "premature_close");
    }
}
