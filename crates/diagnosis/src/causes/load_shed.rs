//! Something behind the gateway turned the request away on purpose: a rate limit, an overload
//! guard, or maintenance.
//!
//! ## What you see
//! 429 or 503, fast, often with `Retry-After`. An nginx behind us answers 503 by default and logs
//! `limiting requests, excess: N.NNN by zone "z"` or `limiting connections by zone "z"`; Envoy sets
//! the flags `RL`, `OM` or `DO`.
//!
//! ## Why it happens
//! Somebody decided that fewer answered requests are better than many slow ones. Also maintenance
//! pages answer 503.
//!
//! ## How to tell
//! The answer carries `Retry-After` or fields such as `RateLimit`, and only some callers or some
//! seconds are hit.
//!
//! ## Fix
//! Wait as long as `Retry-After` says, and spread retries at random; without that they keep the
//! limit reached. If the limit is too low for honest traffic, raise it where it is set.

use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::{STRONG, Text, When, during};
use crate::wording;
use evidence::{Sign, Stack};

pub(super) static CAUSE: Cause = Cause {
    id: "load_shed",
    family: Family::F2,
    title: "The upstream turned the request away on purpose",
    side: Side::AppServer,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[(Sign::Answered503, 0.1)],
        clues: &[during(Sign::RateLimited, STRONG)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Subject::UpstreamStatus(503) = case.subject else {
        return None;
    };
    Some(Finding::new(
        0.1,
        format!("{} may be turning requests away on purpose", case.server()),
        "503 is what rate limits, overload guards and maintenance pages answer",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Look whether the answer has `Retry-After`, and wait for that long"),
        Fix::new("Spread retries at random, or they will keep the limit reached"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::RateLimited, When::During)?;
    let rule = seen.detail().map(|it| format!(" by the rule {}", wording::brief(it)));
    Some(format!(
        "{} turned requests away{}, because there were too many",
        seen.key.product.name(),
        rule.unwrap_or_default()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let mut now = vec![Step::say(
        "Let callers wait as long as `Retry-After` says, and spread what they repeat at random",
    )];
    let rule = match dossier.incident.hop.stack() {
        Stack::Nginx => Some("`limit_req` and `limit_conn` (and say 429: `limit_req_status 429;`)"),
        Stack::HaProxy => {
            Some("the `deny` rule on `sc_http_req_rate` (and say 429: `deny_status 429`)")
        }
        Stack::Envoy => Some("the `local_ratelimit` filter or the overload manager"),
        Stack::Traefik => Some("the `rateLimit` or `inFlightReq` middleware"),
        _ => None,
    };
    if let Some(rule) = rule {
        now.push(Step::say(format!(
            "If honest traffic is above the limit and the app can take it, raise it in {rule}"
        )));
    }
    Cure {
        before: Vec::new(),
        now,
        lasting: vec![Step::say(
            "Measure what the app can work on at once, and set the limit by that",
        )],
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check_among, check_not, check_text, explained};

    #[test]
    fn a_503_may_be_on_purpose() {
        check_among("status: 503 | fresh", "load_shed");
    }

    #[test]
    fn a_502_of_the_upstream_is_not() {
        check_not("status: 502 | fresh", "load_shed");
    }

    #[test]
    fn what_a_limit_does_to_one_caller_is_no_failure() {
        let log = "2026/11/20 15:16:30 [error] 7#7: *1 limiting requests, excess: 5.320 by zone \"api\", client: 192.0.2.7, server: api.example.com, request: \"GET /data HTTP/1.1\", host: \"api.example.com\"\n";
        for status in [429, 503] {
            let access = format!(
                "192.0.2.7 - - [20/Nov/2026:15:16:30 +0000] \"GET /data HTTP/1.1\" {status} 197 \"-\" \"curl/8.5.0\"\n"
            );
            let report = explained(&[("error.log", log), ("access.log", &access)]);
            assert_eq!(report.verdict, Verdict::NoFailure, "{status}: {}", report.statement);
            assert!(report.statement.contains("nginx refused 1"), "{}", report.statement);
        }
    }

    #[test]
    fn more_were_turned_away_than_the_limit_says() {
        check_text(
            &[
                (
                    "error.log",
                    "2026/11/20 15:16:30 [error] 7#7: *1 limiting requests, excess: 5.320 by zone \"api\", client: 192.0.2.7, server: api.example.com, request: \"GET /data HTTP/1.1\", host: \"api.example.com\"\n",
                ),
                (
                    "access.log",
                    "192.0.2.7 - - [20/Nov/2026:15:16:30 +0000] \"GET /data HTTP/1.1\" 503 197 \"-\" \"curl/8.5.0\"\n192.0.2.8 - - [20/Nov/2026:15:16:30 +0000] \"GET /data HTTP/1.1\" 503 197 \"-\" \"curl/8.5.0\"\n",
                ),
            ],
            "load_shed: nginx turned requests away by the rule api, because there were too many\n\
             now: Let callers wait as long as `Retry-After` says, and spread what they repeat at random\n\
             now: If honest traffic is above the limit and the app can take it, raise it in `limit_req` and `limit_conn` (and say 429: `limit_req_status 429;`)\n\
             lasting: Measure what the app can work on at once, and set the limit by that\n\
             verify: A request that failed gets its answer through nginx [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
