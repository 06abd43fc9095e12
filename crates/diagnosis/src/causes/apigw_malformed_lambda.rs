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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, any};
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
             --filter-pattern 'Malformed'",
        ),
        Fix::new(
            "Return `statusCode` as a number and `body` as a string in every branch of the \
             function",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::LambdaMalformed, When::Any);
    let what = seen.iter().find_map(|it| it.detail()).filter(|it| it.len() < 80);
    Some(
        match what.or(dossier
            .incident
            .detail
            .as_deref()
            .filter(|_| dossier.sign() == Sign::LambdaMalformed))
        {
            Some(what) => format!(
                "the function's answer does not have the shape that the gateway wants: {what}"
            ),
            None => {
                "the function's answer does not have the shape that the gateway wants".to_owned()
            }
        },
    )
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See what the function returns",
            "aws lambda invoke --function-name FUNCTION --payload fileb://event.json answer.json && cat answer.json",
        )],
        now: vec![Step::diff(
            "Return a status as a number, headers as strings, and the body as a string",
            None,
            "-    return {\"ok\": True}\n+    return {\"statusCode\": 200, \"headers\": {\"Content-Type\": \"application/json\"}, \"body\": json.dumps({\"ok\": True})}",
            Risk::None,
        )],
        lasting: vec![Step::say(
            "Return so from every branch, the one for errors too; an adapter (Mangum, Powertools) does it for you",
        )],
        verify: vec![Step::look(
            "See `statusCode` and a `body` that is a string",
            "aws lambda invoke --function-name FUNCTION --payload fileb://event.json answer.json && cat answer.json",
        )],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::explained;

    #[test]
    fn the_gateway_says_so() {
        let report = explained(&[(
            "gateway.log",
            "(b5b3a1f0-1111-4222-8333-444455556666) Execution failed due to configuration error: Malformed Lambda proxy response\n",
        )]);
        assert_eq!(report.cause, "apigw_malformed_lambda");
        assert_eq!(
            report.statement,
            "the function's answer does not have the shape that the gateway wants"
        );
    }
}
