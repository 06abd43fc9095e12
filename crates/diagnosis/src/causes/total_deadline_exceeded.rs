//! All attempts together took longer than the route, or the caller of a gRPC call, allows.
//!
//! ## What you see
//! 504 after the same total time, whatever each attempt was doing. Envoy has such a limit by
//! default (15 s, retries included); most others count each attempt alone.
//!
//! ## Why it happens
//! One slow attempt, or several that each failed after a while: a connect that timed out, then a
//! second target that was slow. The limit protects the caller from the sum. A caller may say how long
//! it waits, and then that is the limit where it is shorter: `X-Request-Timeout-Ms`, or what Envoy,
//! aio-request and the clients of OpenAI and Anthropic send for the same.
//!
//! ## How to tell
//! Look at the attempts: where most of the time went is the true cause. A limit for the whole that
//! is below the limit for one step never lets that step's own limit speak.
//!
//! ## Fix
//! Cure what took the time. Set the limits of the steps well below the total (`timeout.connect`,
//! `timeout.first_byte`), so that a second attempt has time left. A longer total hides all of this
//! from you, though not from those who wait.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::wording;
use evidence::Sign;
use exchange::{Fault, Limit, Phase};

pub(super) static CAUSE: Cause = Cause {
    id: "total_deadline_exceeded",
    family: Family::F5,
    title: "All attempts together took longer than the route or the caller allows",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::HeadTimedOut, 0.005), (Sign::Deadline, 0.87)],
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Deadline(limit) = case.fault()? else {
        return None;
    };
    let Some(attempt) = case.attempt() else {
        return Some(Finding::new(
            0.9,
            "the time that the caller gave the request was over when it came".to_owned(),
            format!("`{}` said that nothing was left, so nothing was sent on", limit.name),
        ));
    };
    let attempts = match case.exchange.attempts.len() {
        1 => "the first attempt".to_owned(),
        all => format!("attempt {all}"),
    };
    let (whose, says) = match limit.name {
        CALL => (
            "caller's",
            "the caller's deadline (`grpc-timeout`) bounds its call to the end".to_owned(),
        ),
        name if limit.is_callers() => {
            ("caller's", format!("the caller said in `{name}` how long it waits for an answer"))
        }
        name => ("route's", format!("`{name}` counts over all attempts, and ended this one")),
    };
    Some(Finding::new(
        0.55,
        format!(
            "the {whose} {} passed while {attempts} was {} {}",
            words(limit.value),
            doing(attempt.phase),
            case.dialled()
        ),
        says,
    ))
}

/// The deadline of a gRPC call.
const CALL: &str = "grpc-timeout";

fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Route | Phase::Admit | Phase::Select | Phase::Queue => "waiting for",
        Phase::Resolve => "resolving the name of",
        Phase::Connect => "connecting to",
        Phase::Tls => "in the TLS handshake with",
        Phase::SendHead | Phase::SendBody => "sending to",
        Phase::WaitFirstByte => "waiting for the first byte of",
        Phase::ReadHead | Phase::ReadBody | Phase::WaitEvidence => "reading the answer of",
    }
}

fn fix(case: &Case) -> Vec<Fix> {
    let slowest = case.exchange.all_phases().iter().max_by_key(|(_, spent)| *spent);
    let mut fixes = Vec::new();
    if let Some((phase, spent)) = slowest {
        fixes.push(Fix::new(format!(
            "Begin where the time went: {} in phase {}",
            words(spent),
            phase.name()
        )));
    }
    if let Some(Fault::Deadline(limit)) = case.fault()
        && limit.is_callers()
        && limit.name != CALL
    {
        fixes.push(Fix::new(format!(
            "Let the caller wait as long as it takes, if it can: it is the one that says `{}`. The \
             target is told in `X-Request-Timeout-Ms` how much is left and may give up in time",
            limit.name
        )));
        return fixes;
    }
    if let Some(Fault::Deadline(Limit { name: CALL, .. })) = case.fault() {
        fixes.push(Fix::new(
            "Give the call as long as it takes where it is made; the server is told how much is \
             left and may give up in time",
        ));
        return fixes;
    }
    fixes.push(Fix::new(
        "Set `timeout.connect` and `timeout.first_byte` of the upstream well below the route's \
         `timeout.total`, so that a second attempt has time left",
    ));
    fixes
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![wording::stacks(dossier)],
        now: vec![Step::say(format!(
            "Set the limits of the steps well below the total, so that a second attempt has time \
             left: {} and {}",
            wording::connect_limit(dossier.incident.hop.stack()),
            wording::read_limit(dossier)
        ))],
        lasting: vec![Step::say(
            "Cure what took the time in each attempt; a longer total hides it from you, though not \
             from those who wait",
        )],
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn the_sum_was_too_long() {
        check(
            "deadline | fresh after=60s",
            "total_deadline_exceeded: the route's 60 s passed while the first attempt was \
             waiting for the first byte of 127.0.0.1:8000",
        );
        check(
            "deadline | to=10.0.0.7:80 phase=connect",
            "total_deadline_exceeded: the route's 60 s passed while the first attempt was \
             connecting to 10.0.0.7:80",
        );
    }

    #[test]
    fn the_callers_own_deadline_is_told_as_that() {
        check(
            "call_deadline | fresh after=60s",
            "total_deadline_exceeded: the caller's 60 s passed while the first attempt was \
             waiting for the first byte of 127.0.0.1:8000",
        );
    }

    #[test]
    fn a_caller_that_waits_less_than_the_route_allows() {
        check(
            "request_deadline | fresh after=60s",
            "total_deadline_exceeded: the caller's 60 s passed while the first attempt was \
             waiting for the first byte of 127.0.0.1:8000",
        );
        check(
            "request_deadline | never_sent",
            "total_deadline_exceeded: the time that the caller gave the request was over when it came",
        );
    }

    #[test]
    fn the_limit_of_a_step_is_not_the_sum() {
        check_not("head: timed_out | fresh after=60s", "total_deadline_exceeded");
    }
}
