//! The connect limit is shorter than connecting to that place takes, at least now and then.
//!
//! ## What you see
//! Some requests fail with a connect timeout and most do not, on a target that is far away or
//! reached over a lossy path.
//!
//! ## Why it happens
//! Connecting takes one round trip, TLS one or two more. A lost SYN is repeated after a full
//! second, so a limit below that gives each connection a single try.
//!
//! ## How to tell
//! Three times the round trip (`ping`) is more than the limit, or the limit is below one second and
//! the failures are rare and at random. If all requests fail, it is not this.
//!
//! ## Fix
//! For a far target set `timeout.connect` to at least three round trips, and above one second where
//! packets are lost. Elsewhere leave it short: a longer limit hides lost packets and full queues as
//! slowness.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Dossier, span};
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{address, remote};
use crate::text::Text;
use crate::{platform, wording};
use evidence::{Limit, Sign, address};
use exchange::{ConnectFault, Fault, Micros};

/// Nothing on earth is farther than this round trip, or nearly.
const ROUND_THE_WORLD: Micros = 300_000;

/// A lost SYN is sent again after this time (RFC 6298).
const SECOND_TRY: Micros = 1_000_000;

pub(super) static CAUSE: Cause = Cause {
    id: "connect_timeout_too_short",
    family: Family::F3,
    title: "The connect limit is too short for that distance",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::ConnectTimedOut, 0.04)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::TimedOut(limit)) = case.fault()? else {
        return None;
    };
    let confidence = match limit.value {
        _ if !remote(case) => return None,
        0..ROUND_THE_WORLD => 0.45,
        ROUND_THE_WORLD..=SECOND_TRY => 0.2,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!(
            "{} of `{}` may be too short to connect to {}",
            words(limit.value),
            limit.name,
            case.dialled()
        ),
        "a connection takes a round trip, and a lost packet is repeated only after one second",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("Measure the round trip", format!("ping -c 5 {}", address(case))),
        Fix::new(
            "Set `timeout.connect` to at least three of them, and above 1 s where packets are \
             lost; a longer one only hides drops and full queues",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let (limit, _) = wording::hop_limit(dossier, Limit::Connect)?;
    let hop = dossier.hop();
    Some(format!("{hop} gives a connection to {} only {}", dossier.address(), span(limit)))
}

fn cure(dossier: &Dossier) -> Cure {
    let setting = wording::connect_limit(dossier.incident.hop.stack());
    let to = dossier
        .upstream()
        .map(address::host)
        .filter(|it| platform::is_plain(it))
        .unwrap_or("ADDRESS");
    Cure {
        before: vec![Step::look("Measure the round trip, and whether packets are lost", format!("ping -c 20 {to}"))],
        now: vec![
            Step::say(format!(
                "Raise {setting} to three round trips, and above 1 s where packets are lost (a lost \
                 SYN is repeated after 1 s): a longer timeout than that hides loss and full queues"
            ))
            .hides(),
            wording::reload(dossier),
        ],
        lasting: vec![Step::say("Keep connections to a far upstream alive, so that few requests need a new one")],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_among, check_not};

    #[test]
    fn a_limit_shorter_than_the_way_round_the_world() {
        check(
            "connect: timed_out | to=10.0.0.7:80 limit=100ms",
            "connect_timeout_too_short: 100 ms of `timeout.connect` may be too short to connect \
             to 10.0.0.7:80",
        );
    }

    #[test]
    fn a_limit_that_leaves_no_second_try() {
        check_among("connect: timed_out | to=10.0.0.7:80 limit=1s", "connect_timeout_too_short");
    }

    #[test]
    fn two_seconds_are_enough() {
        check_not("connect: timed_out | to=10.0.0.7:80 limit=2s", "connect_timeout_too_short");
        check_not("connect: timed_out | to=127.0.0.1:80 limit=100ms", "connect_timeout_too_short");
    }
}
