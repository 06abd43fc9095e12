//! The body of the request is larger than a gateway or the app allows.
//!
//! ## What you see
//! 413, or a connection that breaks in the middle of an upload. nginx logs `client intended to send
//! too large body: N bytes`; Envoy `request_payload_too_large`; Django `RequestDataTooBig`, Spring
//! `MaxUploadSizeExceededException`, Express `PayloadTooLargeError: request entity too large`.
//!
//! ## Why it happens
//! Each hop has a limit of its own: nginx 1 MB (`client_max_body_size`), an AWS API Gateway 10 MB,
//! a Lambda 6 MB, Express 100 kB for JSON. The smallest one decides.
//!
//! ## How to tell
//! Who answered the 413: its `Server` field and its page. Small uploads pass. If an app refuses and
//! closes before it has read all, the caller may see 502 instead: `client_upload_rejected`. Long
//! headers are `client_header_too_large`.
//!
//! ## Fix
//! Raise the limit where such uploads are meant, on that route only and on every hop; or let
//! callers upload to storage directly, or in parts.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use evidence::Limit;

pub(super) static CAUSE: Cause = Cause {
    id: "client_body_too_large",
    family: Family::F15,
    title: "The caller's body is larger than allowed",
    side: Side::Client,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Find the hop whose page or `Server` field the 413 carries"),
        Fix::new(
            "If such uploads are meant to pass, raise the limit of that route on every hop: \
             `client_max_body_size` in nginx",
        ),
        Fix::new("Or let callers upload in parts, or straight to storage"),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    let text = "Where such bodies are meant, raise the limit for that route, and in the app too";
    let old = advice::old(dossier, Limit::Body).filter(|_| advice::proxy(dossier) == Hop::Nginx);
    let set = match old {
        Some((file, old)) => Step::diff(
            text,
            file,
            format!("-    {};\n+    client_max_body_size 50m;", old.trim_end_matches(';')),
            Risk::Reload,
        ),
        None => advice::set(
            dossier,
            text,
            &[
                (Hop::Nginx, "client_max_body_size 50m;"),
                (Hop::IngressNginx, "nginx.ingress.kubernetes.io/proxy-body-size: 50m"),
                (Hop::Apache, "LimitRequestBody 52428800"),
                (Hop::Caddy, "request_body { max_size 50MB }"),
                (Hop::Traefik, "buffering: { maxRequestBodyBytes: 52428800 }"),
            ],
        ),
    };
    let mut now = vec![set];
    now.extend(advice::apply(dossier));
    Cure {
        now,
        lasting: vec![Step::say("Let large files go to a store directly, by a signed URL")],
        verify: vec![Step::look(
            "See an answer to 40 MB",
            "head -c 40000000 /dev/zero | curl -sS -o /dev/null -w '%{http_code}\\n' --data-binary @- http://SITE/PATH",
        )],
        ..Cure::default()
    }
}
