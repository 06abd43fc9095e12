//! The gateway got a request that it had already passed on once: it is calling itself.
//!
//! ## What you see
//! 502 or 508 at once; without a check for loops, a storm of connections until some limit is
//! reached (`worker_connections are not enough` in nginx), from one single request.
//!
//! ## Why it happens
//! A target is the gateway's own address or public name, or the next proxy sends the request back:
//! a DNS name that means the gateway from inside, a balancer in front given as its own target.
//!
//! ## How to tell
//! `Via` of the request names this gateway already.
//!
//! ## Fix
//! Point the target at the app itself instead of at its public name.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;
use exchange::Refusal;

pub(super) static CAUSE: Cause = Cause {
    id: "proxy_loop",
    family: Family::F11,
    title: "The request came back to the gateway that had sent it",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::ConnectionTableFull, 0.03), (Sign::ProxyLoop, 0.95)],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Refusal::Loop = case.refusal()? else {
        return None;
    };
    let upstream = case.exchange.upstream.as_deref();
    let next = upstream.map_or(String::new(), |it| format!(", on its way to {it}"));
    Some(Finding::new(
        0.95,
        format!("the request came back to this gateway, which had already passed it on{next}"),
        "the request carries this gateway's own mark",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(format!(
            "Point {} at the app itself: not at this gateway, nor at a name or balancer that leads \
             back to it",
            case.setting("targets")
        )),
        Fix::run("See which addresses are this gateway's", "ss -ltnp | grep goodgate"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_request_that_returns() {
        check(
            "refused: loop",
            "proxy_loop: the request came back to this gateway, which had already passed it on, \
             on its way to orders",
        );
    }

    #[test]
    fn a_missing_target_is_no_loop() {
        check_not("refused: no_target", "proxy_loop");
    }
}
