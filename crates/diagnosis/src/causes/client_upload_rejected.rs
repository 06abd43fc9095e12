//! The upstream turned an upload away and closed before it had read all of it.
//!
//! ## What you see
//! Large uploads fail with 502, small ones work. nginx logs `writev() failed (32: Broken pipe)
//! while sending request to upstream` or `recv() failed (104: Connection reset by peer)`. The app's
//! own log often shows 413, 401 or 403 for the same request.
//!
//! ## Why it happens
//! The app decides from the head that it does not want the body, answers and closes. Its system
//! still holds body bytes that nobody read, and therefore sends RST, which destroys the answer that
//! was on its way.
//!
//! ## How to tell
//! Failures go with the size of the body, and come while the body is being sent. The app's access
//! log has the true status.
//!
//! ## Fix
//! Raise the app's limit for bodies if such uploads are meant to pass. Otherwise refuse them at the
//! gateway, where the answer arrives, or let the app read on (lingering close) before it closes.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{Loss, MUCH, loss, window};
use crate::text::Text;
use crate::wording;
use evidence::{Product, Sign, Stack};
use exchange::{Fault, HeadFault, SendFault};

pub(super) static CAUSE: Cause = Cause {
    id: "client_upload_rejected",
    family: Family::F4,
    title: "The upstream closed before it had read the upload",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::Reset, 0.04), (Sign::SendBroken, 0.28)], cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let body = case.exchange.request.body_bytes;
    if body == 0 || 0 < case.received() {
        return None;
    }
    let sending = match case.fault()? {
        Fault::Send(SendFault::Reset | SendFault::Closed) => true,
        Fault::Head(HeadFault::Reset) => false,
        _ => return None,
    };
    let confidence = match loss(case)? {
        Loss::AtOnce | Loss::AtWork(_) if sending => 0.45,
        Loss::AtOnce | Loss::AtWork(_) if MUCH <= body => 0.4,
        Loss::AtOnce | Loss::AtWork(_) => 0.2,
        Loss::OnReuse(_) | Loss::AtWatchdog(_) => 0.05,
        Loss::InAnswer => return None,
    };
    Some(Finding::new(
        confidence,
        format!(
            "{} closed before it had read the upload, of which {body} bytes had come from the \
             client",
            case.server()
        ),
        "a system that is told to close while body bytes lie unread sends a reset",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look in the app's log for the status that it meant to send, such as 413 or 401",
            format!("journalctl {}", window(case)),
        ),
        Fix::new("If such uploads are meant to pass, raise the app's own limit for bodies"),
        Fix::new("If not, let the app read the body to its end before it closes"),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    let limit = match dossier.server_product() {
        Some(Product::PhpFpm | Product::Php) => "`post_max_size` and `upload_max_filesize`",
        Some(Product::Django) => "`DATA_UPLOAD_MAX_MEMORY_SIZE`",
        Some(Product::Flask) => "`MAX_CONTENT_LENGTH`",
        Some(Product::Tomcat | Product::Spring) => {
            "`maxSwallowSize` and `spring.servlet.multipart.max-request-size`"
        }
        Some(Product::Uwsgi) => "`limit-post`",
        _ => "the app's limit for bodies",
    };
    let early = match dossier.incident.hop.stack() {
        Stack::Nginx => "`client_max_body_size` in nginx",
        Stack::Apache => "`LimitRequestBody` in Apache",
        Stack::Envoy => "the `buffer` filter's `max_request_bytes`",
        Stack::Traefik => "`buffering.maxRequestBodyBytes` in Traefik",
        Stack::Caddy => "`request_body max_size` in Caddy",
        _ => "the proxy's limit for bodies",
    };
    Cure {
        before: vec![wording::read_log(
            dossier,
            "See why the app refused the upload: its size, or who sent it",
        )],
        now: vec![
            Step::say(format!("If such uploads are meant to pass, raise {limit}")),
            Step::say(format!(
                "If not, refuse them before the app does, where the answer arrives: {early}"
            )),
        ],
        lasting: vec![Step::say(
            "Let the app read what is left of the body before it closes, so that its 413 or 401 arrives",
        )],
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_among, check_not};

    #[test]
    fn an_upload_that_is_cut_while_it_goes_out() {
        check(
            "send: reset | fresh after=80ms body=900000 method=POST",
            "client_upload_rejected: the upstream closed before it had read the upload, of which \
             900000 bytes had come from the client",
        );
    }

    #[test]
    fn a_small_body_fits_into_the_systems_buffer() {
        check_among("head: reset | fresh after=80ms body=500", "client_upload_rejected");
    }

    #[test]
    fn a_request_without_a_body_is_no_upload() {
        check_not("send: reset | fresh after=80ms", "client_upload_rejected");
    }

    #[test]
    fn a_clean_close_had_read_it_all() {
        check_not("head: closed | fresh after=80ms body=900000", "client_upload_rejected");
    }
}
