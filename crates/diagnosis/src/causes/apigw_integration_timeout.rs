//! AWS API Gateway waited for its integration until its own limit, and answered 504.
//!
//! ## What you see
//! 504 after 29 s (REST) or 30 s (HTTP) with `{"message": "Endpoint request timed out"}`. The
//! execution log says `Execution failed due to a timeout error`; the access log has
//! `integrationLatency` near 29000; the function or server goes on and logs a success later.
//!
//! ## Why it happens
//! The limit of an integration is 29 s by default and cannot be passed by any setting of the
//! backend. A cold start, a slow query or a large job took longer.
//!
//! ## How to tell
//! Always the same time, and the backend ends later than that. An error before the limit is the
//! backend's own (`lambda_limits`, `apigw_malformed_lambda`). Any outer limit that is shorter than
//! an inner one is `timeout_ladder_inverted`.
//!
//! ## Fix
//! Make the work shorter, or take it out of the request: accept with 202, work from a queue, let
//! the caller ask for the result. Give the function a limit below 29 s, so that it says itself what
//! it waited for.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "apigw_integration_timeout",
    family: Family::F14,
    title: "The gateway's limit for one integration call was reached",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::IntegrationTimedOut, 0.87), (Sign::Answered504, 0.01)],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Find the line in the execution log",
            "aws logs filter-log-events --log-group-name API-Gateway-Execution-Logs_ID/STAGE \
             --filter-pattern '\"timeout error\"'",
        ),
        Fix::new(
            "Take the work out of the request: accept it with 202 and let the caller ask for the \
             result",
        ),
        Fix::new(
            "Give the function or the server a limit below 29 s, so that it names what it waited \
             for",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} waits for an integration for 29 s by default, and this one did not answer by then",
        dossier.hop()
    ))
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look("See how long the backend takes", "aws logs tail /aws/lambda/FUNCTION --since 1h --filter-pattern REPORT")],
        now: vec![
            Step::say("Make the backend answer sooner: its log says where the time goes"),
            Step::run(
                "Where the work is meant to take longer, ask for a longer limit (regional REST APIs only); it hides slowness, and callers wait for longer",
                "aws apigateway update-integration --rest-api-id API --resource-id RESOURCE --http-method METHOD --patch-operations op=replace,path=/timeoutInMillis,value=60000",
                Risk::None,
            )
            .hides(),
        ],
        lasting: vec![Step::say("Answer 202 with a place to ask for the result, and do the work behind a queue")],
        verify: vec![Step::look("See answers before the limit", "curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n' https://API.execute-api.REGION.amazonaws.com/STAGE/PATH")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::check_report;

    #[test]
    fn the_limit_is_said() {
        check_report(
            &[(
                "gateway.log",
                "(b5b3a1f0-1111-4222-8333-444455556666) Execution failed due to a timeout error\n",
            )],
            "apigw_integration_timeout: AWS API Gateway waits for an integration for 29 s by default, and this one did not answer by then",
        );
    }
}
