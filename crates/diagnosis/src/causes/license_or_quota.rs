//! A service that the app calls refuses it: the quota is used up, the rate is too high, or a
//! licence or payment is missing.
//!
//! ## What you see
//! 500 or 503 from the app, with 402, 403 or 429 from the other service in its log: `429 Too Many
//! Requests`, `Rate limit exceeded`, `insufficient_quota`, `ThrottlingException`, `quotaExceeded`,
//! `RESOURCE_EXHAUSTED`, `License expired`.
//!
//! ## Why it happens
//! A limit by minute, day or month was reached, often by retries or by a job that shares the key; a
//! trial or a card ended; a key was locked.
//!
//! ## How to tell
//! The other service answers, fast, and says so. 429 with `Retry-After` passes by itself, 402 and
//! 403 do not. If it does not answer, it is `external_api_slow`.
//!
//! ## Fix
//! Wait as long as `Retry-After` says, and spread the calls. For a quota that is used up, ask for
//! more or use less: cache answers, separate the keys of jobs and of users. Tell callers 503 with
//! `Retry-After`, not 500.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::signs::window;
use crate::text::{DECIDES, Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "license_or_quota",
    family: Family::F13,
    title: "A service that the app calls refuses for quota or licence",
    side: Side::ThirdParty,
    retry: RetryClass::R2,
    passing: false,
    look: silent,
    fix,
    text: Text {
        clues: &[during(Sign::QuotaDenied, DECIDES)],
        brings: &["unhandled_exception", "upstream_own_5xx"],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Find the refusal in the app's log",
            format!(
                "journalctl {} --grep '429|402|quota|[Rr]ate \
                 limit|Throttl|RESOURCE_EXHAUSTED|[Ll]icen[cs]e'",
                window(case),
            ),
        ),
        Fix::new(
            "Wait as long as its `Retry-After` says, and make fewer calls: cache, and no blind \
             retries",
        ),
        Fix::new("See in the account of that service which limit was reached, and by which key"),
    ]
}
