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
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::Cure;
use crate::show;
use crate::text::Text;
use evidence::Sign;
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "http2_to_http1",
    family: Family::F8,
    title: "A gateway spoke HTTP/2 to a server that knows HTTP/1 only",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
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

fn look(case: &Case) -> Option<Finding> {
    if let Some(HeadFault::AnsweredHttp1) = case.head_fault() {
        return Some(Finding::new(
            0.95,
            format!("{} speaks HTTP/1, and the gateway HTTP/2 to it", case.dialled()),
            format!("the answer began with {}", show::bytes(case.first_bytes())),
        ));
    }
    // Others hang up on the preface without a word.
    (case.http2_unanswered() && case.plain() && case.turned_away()).then(|| {
        Finding::new(
            0.45,
            format!("{} hung up at once on HTTP/2, which it may not know", case.dialled()),
            "servers of HTTP/1 close on a preface that is no request to them",
        )
    })
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See which of the two the port understands",
            format!("curl -v --http2-prior-knowledge http://{}/", case.endpoint()),
        ),
        Fix::new(
            "Take `protocol` off the upstream, and write `http://` for `h2c://`; or give it the \
             port of the gRPC server",
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
    use crate::testing::{check, check_listed, check_not};

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

    #[test]
    fn an_answer_of_http1_on_our_own_wire() {
        check(
            "head: answered_http1 | http2 fresh to=127.0.0.1:8000 bytes=485454502f312e3120343030",
            "http2_to_http1: 127.0.0.1:8000 speaks HTTP/1, and the gateway HTTP/2 to it",
        );
        check_listed("head: closed | http2 fresh after=1ms", "http2_to_http1");
    }

    #[test]
    fn who_ever_answered_knows_it() {
        check_not("head: closed | fresh after=1ms", "http2_to_http1");
        check_not("head: closed | http2 fresh after=1ms server=envoy", "http2_to_http1");
        check_not("head: closed | http2_spoken fresh after=1ms", "http2_to_http1");
    }
}
