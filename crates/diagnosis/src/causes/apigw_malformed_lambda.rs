//! The Lambda function gave API Gateway something that does not have the shape of an HTTP answer.
//!
//! ## What you see
//! 502 with `{"message": "Internal server error"}`, at once. The execution log says `Execution
//! failed due to configuration error: Malformed Lambda proxy response`; the function's own log
//! shows a success.
//!
//! ## Why it happens
//! With a proxy integration the function must return an object with `statusCode` (a number),
//! `headers` (strings) and `body` (a string). Common mistakes: the object itself as the body
//! instead of its JSON, nothing returned because a callback or an `await` is missing, or an
//! exception.
//!
//! ## How to tell
//! The function ran and ended well, and the answer is refused. If it did not end well, its log says
//! so: `lambda_limits`, `unhandled_exception`.
//!
//! ## Fix
//! Return `{ statusCode: 200, headers: {}, body: JSON.stringify(result) }`, in every branch, errors
//! included; bytes as Base64 with `isBase64Encoded`.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{DECIDES, Text, any};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "apigw_malformed_lambda",
    family: Family::F14,
    title: "The function gave an answer that the gateway cannot read",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::LambdaMalformed, 0.93)],
        clues: &[any(Sign::LambdaMalformed, DECIDES)],
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Find the line in the execution log",
            "aws logs filter-log-events --log-group-name API-Gateway-Execution-Logs_ID/STAGE \
             --filter-pattern 'Malformed'",
        ),
        Fix::new(
            "Return `statusCode` as a number and `body` as a string in every branch of the \
             function",
        ),
    ]
}
