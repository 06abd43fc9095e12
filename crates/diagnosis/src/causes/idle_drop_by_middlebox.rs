//! A firewall, NAT or balancer on the way had forgotten the idle connection that was reused.
//!
//! ## What you see
//! After a quiet spell of minutes the first requests hang until a limit ends them, or get a reset
//! at once, and the next ones work. The app's log has no trace of them.
//!
//! ## Why it happens
//! Such boxes keep a table of flows and forget the idle ones: after 350 s (AWS NLB and NAT
//! gateway), 240 s (Azure), 600 s (Google Cloud). Neither end is told. The next packet is dropped
//! or answered with RST.
//!
//! ## How to tell
//! Failures only on reused connections that had been idle for longer than the box remembers, and
//! the target never received the request. Without a network between the two it cannot be this.
//!
//! ## Fix
//! Keep no connection idle for that long (`pool.idle_for` below the box's limit), or let TCP
//! keep-alive probes refresh the flow more often than it forgets.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::forgotten;
use crate::text::Text;
use crate::wording;
use evidence::Sign;
use exchange::{Fault, HeadFault, SendFault};

pub(super) static CAUSE: Cause = Cause {
    id: "idle_drop_by_middlebox",
    family: Family::F4,
    title: "Something on the way forgot the idle connection",
    side: Side::Network,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::Reset, 0.03), (Sign::Disconnected, 0.02)], cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let (confidence, how) = match case.fault()? {
        Fault::Send(SendFault::Reset) | Fault::Head(HeadFault::Reset) => {
            (0.6, "answered with a reset")
        }
        Fault::Send(SendFault::Errno) | Fault::Head(HeadFault::TimedOut(_) | HeadFault::Errno) => {
            (0.6, "met with silence")
        }
        // Only a body that fills our own buffers notices the silence before the wait begins.
        Fault::Send(SendFault::TimedOut(_)) => (0.35, "met with silence"),
        _ => return None,
    };
    let idle = forgotten(case).filter(|_| case.received() == 0)?;
    Some(Finding::new(
        confidence,
        format!(
            "something between us and {} forgot a connection that had been idle for {}",
            case.dialled(),
            words(idle)
        ),
        format!(
            "firewalls and NAT forget idle flows after four minutes or more; this one was {how}"
        ),
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Set `pool.idle_for` of this upstream below four minutes"),
        Fix::new(
            "Or raise the idle limit of the box on the way, where it has one: 350 s is fixed for \
             an AWS NAT gateway, 4 min is the default of Azure",
        ),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: Vec::new(),
        now: vec![
            Step::say(format!(
                "Keep no connection idle for as long as the box between remembers it (350 s on AWS, \
                 4 min on Azure): {}",
                wording::idle_reuse(dossier.incident.hop.stack()).replace("2s", "60s")
            )),
            wording::reload(dossier),
        ],
        lasting: vec![Step::run(
            "Let TCP keep-alive probes refresh the flow, where the proxy turns them on for its sockets",
            "sudo sysctl -w net.ipv4.tcp_keepalive_time=60",
            Risk::None,
        )],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn silence_after_minutes_of_rest() {
        check(
            "head: timed_out | to=10.0.0.7:80 reused idle=400s after=60s",
            "idle_drop_by_middlebox: something between us and 10.0.0.7:80 forgot a connection \
             that had been idle for 6 min",
        );
    }

    #[test]
    fn a_reset_after_minutes_of_rest() {
        check(
            "head: reset | to=10.0.0.7:80 reused idle=400s",
            "idle_drop_by_middlebox: something between us and 10.0.0.7:80 forgot a connection \
             that had been idle for 6 min",
        );
    }

    #[test]
    fn a_clean_close_came_from_the_server() {
        check_not("head: closed | to=10.0.0.7:80 reused idle=400s", "idle_drop_by_middlebox");
    }

    #[test]
    fn nothing_stands_between_us_and_loopback() {
        check_not("head: reset | to=127.0.0.1:80 reused idle=400s", "idle_drop_by_middlebox");
        check_not("head: reset | to=10.0.0.7:80 reused idle=40s", "idle_drop_by_middlebox");
    }
}
