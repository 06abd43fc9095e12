//! The Lambda function behind the balancer or gateway failed, was throttled, or gave an answer that
//! is too large or of the wrong shape.
//!
//! ## What you see
//! 502 or 503. The balancer's log has an `error_reason`: `LambdaThrottling`, `LambdaUnhandled`,
//! `LambdaInvalidResponse`, `LambdaResponseTooLarge`, `LambdaConnectionTimeout`,
//! `LambdaAccessDenied`. The function's own log says `Task timed out after 30.03 seconds`, `Runtime
//! exited with error: signal: killed`, `Runtime.ExitError`, `Process exited before completing
//! request` or `Rate Exceeded.`
//!
//! ## Why it happens
//! Its time, its memory, the number of instances at once (1000 for an account by default), or the
//! size of its answer (1 MB behind a balancer) was reached; an exception ended it; or its answer
//! lacks what the balancer wants.
//!
//! ## How to tell
//! `error_reason` names it. Timed out: what does it wait for (`external_api_slow`,
//! `db_slow_or_locked`)? Killed: compare `Max Memory Used` with `Memory Size` in the REPORT line.
//! Behind API Gateway the shape is `apigw_malformed_lambda`.
//!
//! ## Fix
//! Cure what it waits for, or give it the memory that its REPORT line asks for. Ask for more
//! instances at once, or reserve some. A higher timeout only lets callers wait longer and hides the
//! wait, and API Gateway ends at 29 s anyway.

use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Dossier, span};
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, during};
use evidence::{Product, Sign};

pub(super) static CAUSE: Cause = Cause {
    id: "lambda_limits",
    family: Family::F14,
    title: "The function failed or reached a limit",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::LambdaFailed, 0.65)],
        clues: &[during(Sign::LambdaFailed, DECIDES)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Subject::UpstreamStatus(502) = case.subject else {
        return None;
    };
    if !case.server().eq_ignore_ascii_case("awselb") {
        return None;
    }
    Some(Finding::new(
        0.15,
        "a function behind the balancer may have failed or reached a limit",
        "a balancer answered 502 by itself, as it does for a function without a proper answer",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Read what the function says",
            "aws logs filter-log-events --log-group-name /aws/lambda/NAME --filter-pattern \
             '?\"Task timed out\" ?ERROR ?\"Runtime exited\"'",
        ),
        Fix::new("Look up `error_reason` in the balancer's log: it names the limit"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::WorkerTimedOut, When::During);
    let limit = seen
        .iter()
        .find(|it| it.key.product == Product::AwsLambda)
        .and_then(|it| it.run.opening.number);
    if let Some(limit) = limit {
        return Some(format!("the function reached its limit of {}", span(limit)));
    }
    let memory = dossier.seen(Sign::OomKilled, When::During);
    memory
        .iter()
        .any(|it| it.key.product == Product::AwsLambda)
        .then(|| "the function reached its limit of memory".to_owned())
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See duration and memory of the last calls, and what the function said",
            "aws logs tail /aws/lambda/FUNCTION --since 1h --filter-pattern '?REPORT ?Task ?Error'",
        )],
        now: vec![
            Step::run(
                "Memory: give it more; CPU grows with it",
                "aws lambda update-function-configuration --function-name FUNCTION --memory-size 1024",
                Risk::None,
            ),
            Step::run(
                "Time: give it more, below the 29 s of the API gateway; it hides a call that hangs",
                "aws lambda update-function-configuration --function-name FUNCTION --timeout 28",
                Risk::None,
            )
            .hides(),
            Step::say("Throttled: raise the reserved concurrency, or ask for a higher quota"),
        ],
        lasting: vec![Step::say(
            "Give each call to a database or service a limit below the function's, and hand longer work to a queue",
        )],
        verify: vec![Step::look(
            "See calls end within their limits",
            "aws logs tail /aws/lambda/FUNCTION --since 10m --filter-pattern REPORT",
        )],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_502_of_the_balancer_may_be_a_function() {
        check_among("status: 502 | fresh server=awselb/2.0", "lambda_limits");
    }

    #[test]
    fn a_504_of_the_balancer_is_no_broken_answer() {
        check_not("status: 504 | fresh server=awselb/2.0", "lambda_limits");
        check_not("status: 502 | fresh server=nginx/1.25", "lambda_limits");
    }
}
