//! Somebody further out gives up before those further in, so work goes on that nobody waits for.
//!
//! ## What you see
//! The caller gets 504 or leaves after T1, and the app's log shows the same request succeed at T2,
//! later. Access logs show 499 (nginx), `CD` (HAProxy), `DC` (Envoy) or 460 (AWS) at one constant
//! time. uWSGI logs `SIGPIPE: writing to a closed pipe/socket/fd (probably the client
//! disconnected)`. Callers try again, and the work is done twice.
//!
//! ## Why it happens
//! The limits of the chain do not fall from the outside in. Outer ones are often fixed: 29 s at AWS
//! API Gateway, 60 s at AWS balancers, 100 s at Cloudflare.
//!
//! ## How to tell
//! List them: client, CDN or balancer, gateway, app server, dependency. Each must be longer than
//! the next one further in.
//!
//! ## Fix
//! Shorten the inner limits until each lies below the one outside it. Lengthening the outer ones
//! instead hides slow work, and can go only as far as the first one that is fixed.

use crate::case::{Case, Subject, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Dossier, span};
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::{GUNICORN, waited_in_vain};
use crate::text::{Claim, SPEAKS, Text};
use crate::wording;
use evidence::{Limit, Sign};
use exchange::{Micros, Phase};

/// Limits of clients, CDNs and balancers in front of us, in seconds.
const OUTER: [Micros; 9] = [5, 10, 15, 20, 29, 30, 60, 100, 120];

pub(super) static CAUSE: Cause = Cause {
    id: "timeout_ladder_inverted",
    family: Family::F5,
    title: "An outer time limit is shorter than an inner one",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::HeadTimedOut, 0.005)], reason, says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    match case.subject {
        Subject::ClientClosed(Phase::WaitFirstByte | Phase::ReadHead) => {
            let waited = case.exchange.all_phases().total();
            let limit = outer(waited)?;
            Some(Finding::new(
                0.15,
                format!(
                    "the client gave up after {limit} s, before {} had answered",
                    case.server()
                ),
                format!(
                    "{} is a limit that callers and balancers use, not a chance",
                    words(waited)
                ),
            ))
        }
        Subject::Failed(fault) if waited_in_vain(case) => {
            let limit = fault.limit()?;
            Some(Finding::new(
                if limit.value <= GUNICORN { 0.08 } else { 0.02 },
                format!(
                    "`{}` of {} may be shorter than what {} allows itself",
                    limit.name,
                    words(limit.value),
                    case.server()
                ),
                "the app was not told that we gave up, and may be working on",
            ))
        }
        _ => None,
    }
}

/// The outer limit that a wait fits, in seconds.
fn outer(waited: Micros) -> Option<Micros> {
    OUTER.into_iter().find(|seconds| {
        let limit = seconds * 1_000_000;
        waited.abs_diff(limit) <= (limit / 50).clamp(200_000, 600_000)
    })
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "List the limits from the client to the dependency, and find the one that is longer \
 than the one outside it",
        ),
        Fix::new(
            "Shorten the inner one: the app server's `--timeout`, the driver's statement limit, \
             `timeout.first_byte` of this upstream",
        ),
    ]
}

/// The proxy gives up before the app server would.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    if dossier.sign() != Sign::HeadTimedOut {
        return Vec::new();
    }
    let outer = dossier.limit(Limit::Read, |it| it.stack().is_proxy());
    let inner = dossier.limit(Limit::Worker, |it| it.stack().runs_apps());
    match (outer, inner) {
        (Some((outer, cite)), Some((inner, other))) if outer < inner => {
            let says =
                format!("the proxy waits {}, the app server allows {}", span(outer), span(inner));
            vec![Claim::new(SPEAKS, says, vec![cite, other])]
        }
        _ => Vec::new(),
    }
}

fn says(dossier: &Dossier) -> Option<String> {
    let (outer, _) = dossier.limit(Limit::Read, |it| it.stack().is_proxy())?;
    let (inner, _) = dossier.limit(Limit::Worker, |it| it.stack().runs_apps())?;
    (outer < inner).then(|| {
        format!(
            "{} gives up after {} and {} works on for up to {}: the outer limit is the shorter one",
            dossier.hop(),
            span(outer),
            wording::app(dossier),
            span(inner)
        )
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let outer = dossier.limit(Limit::Read, |it| it.stack().is_proxy()).map(|(it, _)| it);
    let inner = dossier.limit(Limit::Worker, |it| it.stack().runs_apps());
    // Below the proxy's, so that the app ends first and says why.
    let target = outer.map(|it| (it / 1000).saturating_sub(5).max(1));
    let limit = wording::worker_limit(dossier);
    let text = match target {
        Some(seconds) => {
            format!("Let the app end before {} does: {limit} at {seconds} s", dossier.hop())
        }
        None => format!("Set {limit} below {} of {}", wording::read_limit(dossier), dossier.hop()),
    };
    let diff = inner.zip(target).and_then(|((value, cite), seconds)| {
        let old = (value / 1000).to_string();
        wording::change(dossier, text.clone(), &cite, &old, &seconds.to_string(), Risk::None)
    });
    Cure {
        before: Vec::new(),
        now: vec![diff.unwrap_or_else(|| Step::say(text)), wording::restarted(dossier)],
        lasting: vec![Step::say(
            "Let each limit lie below the one outside it, queries and calls of the app first; \
             lengthening the outer ones instead hides slow work",
        )],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not, ranked};

    #[test]
    fn a_client_that_leaves_at_a_round_time_has_a_limit() {
        let case = "client_closed | fresh after=29s | server=gunicorn";
        assert!(ranked(case).contains(&"timeout_ladder_inverted"));
    }

    #[test]
    fn a_client_that_leaves_at_another_time_has_lost_patience() {
        check_not("client_closed | fresh after=17s", "timeout_ladder_inverted");
    }

    #[test]
    fn a_wait_in_vain_may_have_been_too_short() {
        check_among("head: timed_out | fresh after=60s", "timeout_ladder_inverted");
    }
}
