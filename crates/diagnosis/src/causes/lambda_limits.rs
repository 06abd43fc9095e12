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
use crate::look::Fix;
use crate::text::{DECIDES, Text, during};
use evidence::Sign;

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
        behind: &[(Sign::LambdaFailed, 0.8)],
        clues: &[during(Sign::LambdaFailed, DECIDES)],
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
