//! The connection to the upstream was reset, and nothing recorded says why.
//!
//! ## What you see
//! A 502. nginx logs `recv() failed (104: Connection reset by peer) while reading response header
//! from upstream`, `writev() failed (104: Connection reset by peer)` or `send() failed (32: Broken
//! pipe) while sending request to upstream`; HAProxy `SH--`; Apache `(104)Connection reset by peer:
//! AH01102: error reading status line from remote server A:P`; Go `read: connection reset by peer`;
//! Node `ECONNRESET` or `socket hang up`; Envoy the flag `UR` or `UC`.
//!
//! ## Why it happens
//! A symptom. A process that ends with unread data in its sockets resets them, and so does one that
//! closes before it has read a whole upload. Firewalls and balancers reset what they have forgotten
//! or dislike.
//!
//! ## How to tell
//! By time and connection. Reused and idle before: `keepalive_race`, or after minutes
//! `idle_drop_by_middlebox`. With a body half sent: `client_upload_rejected`. After a constant
//! time: `worker_timeout_killed`. After any time: `worker_crashed` or a kill for memory.
//!
//! ## Fix
//! Read the app server's log and the kernel's at that second; they name the cause if it was a
//! process. If they are silent, capture packets on both ends to see who sent the RST.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::Cure;
use crate::signs::{Loss, MUCH, YOUNG, certificate_missing, forgotten, loss, window, worked};
use crate::text::Text;
use crate::wording;
use evidence::Sign;
use exchange::{ConnectFault, Fault, HeadFault, SendFault};

pub(super) static CAUSE: Cause = Cause {
    id: "connection_reset",
    family: Family::F4,
    title: "The connection to the upstream was reset",
    side: Side::Unknown,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::Reset, 0.08),
            (Sign::SendBroken, 0.1),
            (Sign::StreamReset, 0.02),
            (Sign::Disconnected, 0.1),
            (Sign::Answered502, 0.03),
        ],
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    match case.fault()? {
        Fault::Connect(ConnectFault::Reset) => Some(Finding::new(
            0.5,
            format!("{} reset the connection while it was being opened", case.dialled()),
            "the other end took the connection and threw it away at once",
        )),
        Fault::Connect(ConnectFault::Errno)
        | Fault::Send(SendFault::Errno)
        | Fault::Head(HeadFault::Errno) => Some(Finding::new(
            if forgotten(case).is_some() { 0.3 } else { 0.5 },
            format!("the system ended the connection to {}{}", case.dialled(), errno(case)),
            "the error number is all that the system said",
        )),
        Fault::Send(SendFault::Reset | SendFault::Closed) | Fault::Head(HeadFault::Reset) => {
            Some(reset(case, loss(case)?))
        }
        _ => None,
    }
}

fn reset(case: &Case, loss: Loss) -> Finding {
    let after_bodyless = case.attempt().is_some_and(|it| it.after_bodyless);
    let body = case.exchange.request.body_bytes;
    let uploading = match case.fault() {
        Some(Fault::Send(_)) => 0 < body,
        _ => MUCH <= body,
    };
    let confidence = match loss {
        Loss::OnReuse(idle) if idle < YOUNG && !after_bodyless => 0.3,
        Loss::OnReuse(_) => 0.05,
        Loss::AtWatchdog(_) => 0.15,
        Loss::AtOnce if certificate_missing(case) => 0.05,
        Loss::AtOnce | Loss::AtWork(_) if uploading => 0.15,
        Loss::AtOnce | Loss::AtWork(_) => 0.35,
        // That half a head had come says more.
        Loss::InAnswer => 0.1,
    };
    Finding::new(
        confidence,
        format!(
            "{} {} the connection {} after the request had begun to go out",
            case.server(),
            if matches!(case.fault(), Some(Fault::Send(SendFault::Closed))) {
                "closed"
            } else {
                "reset"
            },
            words(worked(case))
        ),
        "the other end threw the connection away, which does not say why",
    )
}

fn errno(case: &Case) -> String {
    let errno = case.attempt().and_then(|it| it.errno);
    errno.map_or_else(String::new, |it| format!(" with error number {it}"))
}

fn fix(case: &Case) -> Vec<Fix> {
    let window = window(case);
    vec![
        Fix::run(
            "Look in the logs of that time for a process that ended or was killed",
            format!("journalctl {window} --grep 'exit|kill|SIG|died|TIMEOUT|segfault'"),
        ),
        Fix::run(
            "If there is nothing, see who sends the RST",
            format!(
                "tcpdump -ni any 'tcp port {} and tcp[tcpflags] & tcp-rst != 0'",
                case.port().unwrap_or(80)
            ),
        ),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    wording::silence(dossier)
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_among, check_not};

    #[test]
    fn a_reset_on_a_fresh_connection_has_no_better_name() {
        check(
            "head: reset | fresh after=700ms | server=uvicorn",
            "connection_reset: uvicorn reset the connection 700 ms after the request had begun \
             to go out",
        );
    }

    #[test]
    fn another_error_is_told_by_its_number() {
        check(
            "head: errno | fresh errno=110",
            "connection_reset: the system ended the connection to 127.0.0.1:8000 with error \
             number 110",
        );
    }

    #[test]
    fn a_root_that_explains_more_comes_first() {
        check_among("head: reset | reused idle=5s", "connection_reset");
        check_among("head: reset | fresh after=30s", "connection_reset");
    }

    #[test]
    fn a_clean_close_is_no_reset() {
        check_not("head: closed | fresh after=700ms", "connection_reset");
    }
}
