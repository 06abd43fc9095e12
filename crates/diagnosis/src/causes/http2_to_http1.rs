//! A gateway spoke HTTP/2 or gRPC to a server that understands HTTP/1 only.
//!
//! ## What you see
//! Every request fails at once. nginx logs `upstream sent too large http2 frame: 4740180`, which is
//! the letters HTT read as a length; Go `http2: frame too large, note that the frame header looked
//! like an HTTP/1.1 header`; Gunicorn and others log an invalid request line that begins with `PRI
//! * HTTP/2.0`.
//!
//! ## Why it happens
//! `grpc_pass`, h2c (`h2c://`, `proto h2`, `appProtocol: kubernetes.io/h2c`) or an HTTP/2 setting
//! points at a port that serves plain HTTP/1. Often the gRPC server listens on another port than
//! the web one.
//!
//! ## How to tell
//! `curl --http1.1` gets an answer from the port and `curl --http2-prior-knowledge` gets none. The
//! reverse is `http1_to_http2`; over TLS the two sides mostly notice it in the handshake, see
//! `alpn_mismatch`.
//!
//! ## Fix
//! Speak HTTP/1 to that port, or point at the port that speaks HTTP/2.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::Cure;
use crate::text::Text;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "http2_to_http1",
    family: Family::F8,
    title: "A gateway spoke HTTP/2 to a server that knows HTTP/1 only",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        behind: &[
            (Sign::Http2ToHttp1, 0.85),
            (Sign::GrpcMismatch, 0.05),
            (Sign::ProtocolError, 0.12),
        ],
        reason: |it| it.pair_claims("http2_to_http1"),
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See which of the two the port understands",
            format!("curl -v --http2-prior-knowledge http://{}/", case.endpoint()),
        ),
        Fix::new(
            "Take HTTP/2 off the gateway's setting for this upstream, or give it the port of the \
             gRPC server",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    if let Some(says) = dossier.pair_says(CAUSE.id) {
        return Some(says);
    }
    Some(format!("{} speaks HTTP/2 to {}, which speaks HTTP/1", dossier.hop(), dossier.address()))
}

fn cure(dossier: &Dossier) -> Cure {
    let to = dossier.upstream().unwrap_or("ADDRESS");
    let (nginx, haproxy, traefik) = (
        format!("-grpc_pass grpc://{to};\nproxy_pass http://{to};"),
        format!("-server app {to} proto h2\nserver app {to}"),
        format!("-- url: h2c://{to}\n- url: http://{to}"),
    );
    Cure {
        before: advice::past(dossier, "`HTTP/1.1` in the first line of the answer")
            .into_iter()
            .collect(),
        now: advice::change(
            dossier,
            "Speak HTTP/1.1 to this port, or dial the port on which the app has HTTP/2",
            &[
                (Hop::Nginx, &nginx),
                (
                    Hop::IngressNginx,
                    "-nginx.ingress.kubernetes.io/backend-protocol: \"GRPC\"\nnginx.ingress.kubernetes.io/backend-protocol: \"HTTP\"",
                ),
                (Hop::HaProxy, &haproxy),
                (Hop::Traefik, &traefik),
                (Hop::Envoy, "-http2_protocol_options: {}\nhttp_protocol_options: {}"),
                (Hop::Istio, "appProtocol: http"),
            ],
        ),
        verify: vec![advice::through(dossier, "an answer of the app")],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};

    #[test]
    fn the_letters_of_http_as_a_length() {
        let line = nginx(
            "upstream sent too large http2 frame: 4740180 while reading response header from upstream",
            "grpc://203.0.113.98:8000",
        );
        check_report(
            &[("error.log", &line)],
            "http2_to_http1: nginx speaks HTTP/2 to 203.0.113.98:8000, which speaks HTTP/1",
        );
    }
}
