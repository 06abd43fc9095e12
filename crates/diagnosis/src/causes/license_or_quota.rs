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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::window;
use crate::text::{DECIDES, Text, When, during};
use crate::wording;
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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::QuotaDenied, When::During)?;
    Some(format!(
        "a service that {} needs refused for quota, licence or payment{}",
        wording::app(dossier),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![wording::read_log(
            dossier,
            "Read which service refused, and whether it says `Retry-After`",
        )],
        now: vec![
            Step::say(
                "For a rate wait as long as it says, and spread the calls; for a quota that is used up ask for more, or use less",
            ),
            Step::say("Answer callers 503 with `Retry-After` meanwhile, not 500"),
        ],
        lasting: vec![Step::say(
            "Cache answers, use separate keys for jobs and for users, and watch what is left of the quota",
        )],
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn a_quota_is_used_up() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/pay.py\", line 4, in pay\n    ask()\nopenai.RateLimitError: Error code: 429 - {'error': {'code': 'insufficient_quota'}}\n",
            )],
            "license_or_quota: a service that the app needs refused for quota, licence or payment: openai.RateLimitError: Error code: 429\n\
             before: Read which service refused, and whether it says `Retry-After` [journalctl -u APP --since -1h] checks\n\
             now: For a rate wait as long as it says, and spread the calls; for a quota that is used up ask for more, or use less\n\
             now: Answer callers 503 with `Retry-After` meanwhile, not 500\n\
             lasting: Cache answers, use separate keys for jobs and for users, and watch what is left of the quota\n\
             verify: A request that failed gets its answer [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
