//! A gRPC call got an answer that is no gRPC: a page, a redirect, or plain HTTP.
//!
//! ## What you see
//! Clients show `UNAVAILABLE`, `UNKNOWN` or `UNIMPLEMENTED` with texts such as `unexpected HTTP
//! status code received from server: 502 (Bad Gateway)` or `transport: received unexpected
//! content-type "text/html"`. nginx logs `upstream sent no :status header` or `upstream sent
//! invalid :status`.
//!
//! ## Why it happens
//! The route led to a web app, a login page or a proxy's error page; or a proxy on the way drops
//! trailers, in which gRPC carries its status; or grpc-web was sent to a plain gRPC server.
//!
//! ## How to tell
//! The content type of the answer: anything but `application/grpc` did not come from a gRPC server.
//! A gRPC server that fails answers 200 with `grpc-status`. Raw bytes instead of frames are
//! `http2_to_http1`.
//!
//! ## Fix
//! Route the call (`/package.Service/Method`) to the gRPC port, over HTTP/2 on every hop and with
//! trailers. Let browsers use grpc-web through a translating proxy.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::show;
use crate::text::Text;
use evidence::Sign;
use exchange::{BodyFault, HeadFault};

pub(super) static CAUSE: Cause = Cause {
    id: "grpc_mismatch",
    family: Family::F8,
    title: "The answer to a gRPC call is no gRPC",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::StreamReset, 0.02),
            (Sign::NotHttp, 0.04),
            (Sign::Http2Bytes, 0.03),
            (Sign::Http1ToHttp2, 0.07),
            (Sign::Http2ToHttp1, 0.1),
            (Sign::GrpcMismatch, 0.88),
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    if let Some(BodyFault::NoGrpcStatus) = case.body_fault() {
        return Some(Finding::new(
            0.9,
            format!("the answer of {} ended without a grpc-status", case.server()),
            "gRPC says in the trailers how a call ended; something on the way drops them, or what \
             answered is no gRPC",
        ));
    }
    let HeadFault::NotGrpc { status, content_type } = case.head_fault()? else {
        return None;
    };
    let what = match content_type {
        Some(it) => format!("content type {}", show::text(it)),
        None => "no content type".to_owned(),
    };
    Some(Finding::new(
        0.95,
        format!("{} answered a gRPC call with HTTP {status} and {what}", case.server()),
        "a gRPC server answers with `application/grpc`, even when it fails",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Look at the status and the content type of the answer: what wrote it, if not the gRPC \
             server",
        ),
        Fix::run(
            "Ask the server directly for what it serves",
            format!("grpcurl -plaintext {} list", case.endpoint()),
        ),
        Fix::new(
            "Match the route on the path `/package.Service/` and send it over HTTP/2 to the gRPC \
             port",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} speaks gRPC to {}, and what answers there is no gRPC",
        dossier.hop(),
        dossier.address()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let to = dossier.upstream().map_or_else(|| "HOST:PORT".to_owned(), advice::word);
    Cure {
        before: vec![
            Step::look(
                "See whether gRPC answers on that port",
                format!("grpcurl -plaintext {to} list"),
            )
            .at(advice::hop_host(dossier)),
        ],
        now: advice::change(
            dossier,
            "Send gRPC to the port that serves it, over HTTP/2, and other routes as plain HTTP",
            &[
                (Hop::Nginx, "location /PACKAGE.SERVICE/ { grpc_pass grpc://ADDRESS:PORT; }"),
                (Hop::IngressNginx, "nginx.ingress.kubernetes.io/backend-protocol: \"GRPC\""),
                (Hop::HaProxy, "server app ADDRESS:PORT proto h2"),
                (Hop::Traefik, "- url: h2c://ADDRESS:PORT"),
                (Hop::Caddy, "reverse_proxy h2c://ADDRESS:PORT"),
                (
                    Hop::Envoy,
                    "typed_extension_protocol_options: { explicit_http_config: { http2_protocol_options: {} } }",
                ),
                (Hop::Istio, "appProtocol: grpc"),
            ],
        ),
        verify: vec![Step::look(
            "See the services listed through the proxy",
            "grpcurl SITE:443 list",
        )],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;
    use crate::testing::report::{check_report, nginx};

    #[test]
    fn a_page_in_answer_to_a_call() {
        check(
            "head: not_grpc | fresh server=nginx/1.25 received=40",
            "grpc_mismatch: nginx answered a gRPC call with HTTP 503 and content type text/html",
        );
        check(
            "head: not_grpc_untyped | fresh received=40",
            "grpc_mismatch: the upstream answered a gRPC call with HTTP 200 and no content type",
        );
    }

    #[test]
    fn trailers_were_dropped() {
        check(
            "body: no_grpc_status | fresh received=4000 answered=200",
            "grpc_mismatch: the answer of the upstream ended without a grpc-status",
        );
    }

    #[test]
    fn an_answer_without_a_status_of_http2() {
        let line = nginx(
            "upstream sent no :status header while reading response header from upstream",
            "grpc://203.0.113.98:8000",
        );
        check_report(
            &[("error.log", &line)],
            "grpc_mismatch: nginx speaks gRPC to 203.0.113.98:8000, and what answers there is no gRPC",
        );
    }
}
