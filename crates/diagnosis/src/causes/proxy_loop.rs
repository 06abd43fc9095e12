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

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    Some(match dossier.upstream() {
        Some(to) => format!("{} sends requests to {to}, where it is itself again", dossier.hop()),
        None => format!("requests came back to {} itself, until a limit ended it", dossier.hop()),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    Cure {
        before: vec![
            Step::look(
                "Compare where the proxy listens with where it sends requests",
                platform::config_of(dossier),
            )
            .at(at.clone()),
        ],
        now: advice::change(
            dossier,
            "Dial the app's own address in place of the proxy's",
            &[
                (Hop::Nginx, "-proxy_pass http://example.com;\nproxy_pass http://APP:PORT;"),
                (Hop::Apache, "ProxyPass / http://APP:PORT/"),
                (Hop::HaProxy, "server app APP:PORT"),
            ],
        ),
        lasting: vec![Step::say(
            "Where a name of the site means the proxy inside of the network too, give the app a name of its own",
        )],
        verify: vec![advice::through(
            dossier,
            "an answer of the app, and one line for it in the access log",
        )],
    }
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
