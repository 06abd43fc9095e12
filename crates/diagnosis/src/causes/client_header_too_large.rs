//! The caller's headers or its URI are larger than the gateway accepts.
//!
//! ## What you see
//! 431 or 414. nginx answers 400 with `client sent too long header line` or 414 with `client sent
//! too long URI`, HAProxy marks `PR`.
//!
//! ## Why it happens
//! Cookies that add up over all apps of one domain, a token that grew with the user's groups, or a
//! query that should have been a body.
//!
//! ## How to tell
//! It happens to some users only, and ends when they clear their cookies.
//!
//! ## Fix
//! Make the cookies or the token smaller; send long queries as a body. If the size is meant, raise
//! `limits.request_head` or `limits.uri` knowingly: the app behind has a limit too
//! (`request_header_too_big_for_upstream`).

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use exchange::Refusal;

pub(super) static CAUSE: Cause = Cause {
    id: "client_header_too_large",
    family: Family::F15,
    title: "The request's head or URI is larger than the limit",
    side: Side::Client,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let read = case.exchange.request.head_bytes;
    let (statement, says) = match case.refusal()? {
        Refusal::UriTooLong => (
            "the URI of the request is longer than `limits.uri` allows".to_owned(),
            "the first line of the request was refused before anything was done",
        ),
        Refusal::HeadTooLarge => (
            format!(
                "the head of the request is larger than `limits.request_head` or has more fields \
                 than `limits.request_fields` allows: {read} bytes were read"
            ),
            "the head of the request was refused before anything was done",
        ),
        _ => return None,
    };
    Some(Finding::new(0.95, statement, says))
}

fn fix(case: &Case) -> Vec<Fix> {
    match case.refusal() {
        Some(Refusal::UriTooLong) => vec![
            Fix::new("Send what makes the URI long as a body, with POST"),
            Fix::new("Or raise `limits.uri`; the app behind has a limit too"),
        ],
        _ => vec![
            Fix::new("Clear the cookies of this site, and keep session data on the server"),
            Fix::new(
                "Or raise `limits.request_head` and `limits.request_fields`; the app behind has \
                 limits too",
            ),
        ],
    }
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        now: vec![
            Step::say("Let the caller send less: remove old cookies, and keep tokens below 4 kB"),
            advice::set(
                dossier,
                "Where the size is meant, take larger heads, here and in the app server behind",
                &[
                    (Hop::Nginx, "large_client_header_buffers 4 32k;"),
                    (Hop::IngressNginx, "large-client-header-buffers: \"4 32k\""),
                    (Hop::Apache, "LimitRequestFieldSize 32768"),
                    (Hop::HaProxy, "tune.bufsize 65536"),
                    (Hop::Envoy, "max_request_headers_kb: 96"),
                ],
            ),
        ],
        verify: vec![Step::look(
            "See an answer to a head of 16 kB",
            "curl -sS -o /dev/null -w '%{http_code}\\n' -H \"X-Test: $(head -c 16000 /dev/zero | tr '\\0' a)\" http://SITE/PATH",
        )],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_head_beyond_the_limit() {
        check(
            "refused: head_too_large | request_head=33000",
            "client_header_too_large: the head of the request is larger than \
             `limits.request_head` or has more fields than `limits.request_fields` allows: \
             33000 bytes were read",
        );
    }

    #[test]
    fn a_uri_beyond_the_limit() {
        check(
            "refused: uri_too_long",
            "client_header_too_large: the URI of the request is longer than `limits.uri` allows",
        );
    }

    #[test]
    fn a_slow_head_may_be_small() {
        check_not("refused: head_timeout | took=10s", "client_header_too_large");
    }
}
