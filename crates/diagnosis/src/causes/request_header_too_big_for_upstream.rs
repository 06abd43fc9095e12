//! The request's head is within the gateway's limit and beyond the target's, which hung up on it.
//!
//! ## What you see
//! Some users fail and others do not; the same user works again after clearing cookies. Many
//! servers answer 400, 414 or 431; uWSGI logs `invalid request block size: 4161 (max 4096)...skip`
//! and closes without an answer, and so do others.
//!
//! ## Why it happens
//! Cookies grow until the head passes a limit: 4 KiB in uWSGI (`buffer-size`), 8 KiB a field in
//! Gunicorn (`--limit-request-field_size`), 8 KiB in Tomcat (`maxHttpHeaderSize`) and nginx
//! (`large_client_header_buffers`), 16 KiB in Node (`--max-http-header-size`).
//!
//! ## How to tell
//! The request's head was large, and the connection ended at once. A small request to the same path
//! works.
//!
//! ## Fix
//! Make the cookies smaller, or raise the target's limit to what your callers need and no further:
//! it bounds the memory that strangers can claim.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, during};
use evidence::{Product, Sign};
use exchange::{Fault, HeadFault, SendFault};

pub(super) static CAUSE: Cause = Cause {
    id: "request_header_too_big_for_upstream",
    family: Family::F9,
    title: "The request's headers are too large for the target",
    side: Side::AppServer,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::Reset, 0.03), (Sign::Closed, 0.02)],
        clues: &[during(Sign::RequestTooBigForUpstream, DECIDES)],
        brings: &["connection_reset", "premature_close"],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let (Fault::Head(HeadFault::Closed | HeadFault::Reset)
    | Fault::Send(SendFault::Closed | SendFault::Reset)) = case.fault()?
    else {
        return None;
    };
    if case.received() > 0 {
        return None;
    }
    let size = case.exchange.request.head_bytes;
    // The common limits are 4, 8 and 16 KiB.
    let confidence = match size {
        0..4_096 => return None,
        4_096..8_192 => 0.15,
        8_192..16_384 => 0.35,
        _ => 0.5,
    };
    Some(Finding::new(
        confidence,
        format!(
            "the request's head has {size} bytes, which may be more than {} accepts",
            case.server()
        ),
        "the target hung up without an answer, as some servers do on a head beyond their limit",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let size = case.exchange.request.head_bytes;
    vec![
        Fix::run(
            "See whether a small request to the same target works",
            format!("curl -v {}/", case.url()),
        ),
        Fix::new(
            "Make the caller's cookies smaller: keep session data on the server instead of in them",
        ),
        Fix::new(format!(
            "Or raise the target's limit above {size} bytes (uWSGI `buffer-size`, Gunicorn \
             `--limit-request-field_size`, Node `--max-http-header-size`), no further than needed: \
             it bounds the memory that a stranger can claim"
        )),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::RequestTooBigForUpstream, When::During).into_iter().next()?;
    let limit =
        seen.detail().filter(|it| it.len() < 60).map(|it| format!(" ({it})")).unwrap_or_default();
    Some(format!(
        "the head of the request is larger than {}'s buffer{limit}",
        seen.key.product.name()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let room = "Give the app server room for it";
    let at = platform::host_of(dossier);
    let server = match dossier
        .seen(Sign::RequestTooBigForUpstream, When::During)
        .first()
        .map(|it| it.key.product)
    {
        Some(Product::Uwsgi) => Step::diff(
            room,
            Some("uwsgi.ini".to_owned()),
            "+    buffer-size = 32768",
            Risk::Restart,
        ),
        Some(Product::Gunicorn) => Step::diff(
            room,
            Some("gunicorn.conf.py".to_owned()),
            "+    limit_request_field_size = 16380\n+    limit_request_line = 8190",
            Risk::Restart,
        ),
        Some(Product::Uvicorn) => {
            Step::run(room, "uvicorn APP --h11-max-incomplete-event-size 65536", Risk::Restart)
        }
        Some(Product::Node) => {
            Step::run(room, "node --max-http-header-size=32768 APP", Risk::Restart)
        }
        Some(Product::Tomcat) => Step::diff(
            room,
            Some("server.xml".to_owned()),
            "+    maxHttpRequestHeaderSize=\"32768\"",
            Risk::Restart,
        ),
        _ => Step::say(room),
    };
    Cure {
        now: vec![
            server.at(at.clone()),
            Step::run("Start it anew", platform::restart(dossier), Risk::Restart).at(at),
        ],
        lasting: vec![Step::say(
            "Let cookies and tokens be smaller: an id in place of the session, and cookies of one path only",
        )],
        verify: vec![Step::look(
            "See an answer to a request with a head of 8 kB",
            "curl -sS -o /dev/null -w '%{http_code}\\n' -H \"X-Test: $(head -c 8000 /dev/zero | tr '\\0' a)\" http://SITE/PATH",
        )],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_told, nginx};
    use crate::testing::{check_listed, check_not, explained};

    #[test]
    fn a_large_head_and_a_target_that_hangs_up() {
        check_listed(
            "head: closed | fresh request_head=9000 after=1ms",
            "request_header_too_big_for_upstream",
        );
    }

    #[test]
    fn a_small_head_fits_everywhere() {
        check_not(
            "head: closed | fresh request_head=900 after=1ms",
            "request_header_too_big_for_upstream",
        );
    }

    #[test]
    fn an_answer_that_began_took_the_head() {
        check_not(
            "head: closed | fresh request_head=9000 received=20",
            "request_header_too_big_for_upstream",
        );
    }

    #[test]
    fn uwsgi_says_the_size() {
        let line = nginx(
            "recv() failed (104: Connection reset by peer) while reading response header from upstream",
            "uwsgi://127.0.0.1:8000",
        );
        let uwsgi =
            "Fri Nov 20 15:16:30 2026 - invalid request block size: 5800 (max 4096)...skip\n";
        let report = explained(&[("error.log", &line), ("uwsgi.log", uwsgi)]);
        assert_eq!(report.cause, "request_header_too_big_for_upstream");
        check_told(&report, &["+    buffer-size = 32768"]);
    }
}
