//! The gateway spoke HTTP/1.1, and the target understands HTTP/2 only.
//!
//! ## What you see
//! Every request fails at once. The answer begins with the bytes 00 00 12 04 00: Go says `malformed
//! HTTP response "\x00\x00\x12\x04..."`, HAProxy `PH--`, Apache AH01102 with end of file. Over TLS
//! it may be alert 120, no application protocol.
//!
//! ## Why it happens
//! gRPC servers and some others take HTTP/2 without any upgrade ("prior knowledge", h2c) and
//! nothing else.
//!
//! ## How to tell
//! `curl --http2-prior-knowledge` gets an answer where `curl --http1.1` gets none.
//!
//! ## Fix
//! Let the server accept HTTP/1.1 beside HTTP/2 on that port, or put one before it that translates.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::opening::Opening;
use crate::report::{Cure, Step};
use crate::show;
use crate::text::{Claim, DECIDES, SPEAKS, Text, during};
use evidence::{Sign, address};
use exchange::{HeadFault, TlsFault};

pub(super) static CAUSE: Cause = Cause {
    id: "http1_to_http2",
    family: Family::F8,
    title: "The target speaks HTTP/2 only",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::Closed, 0.01),
            (Sign::NotHttp, 0.22),
            (Sign::Http2Bytes, 0.92),
            (Sign::Http1ToHttp2, 0.88),
            (Sign::ProtocolError, 0.13),
        ],
        clues: &[during(Sign::Http1ToHttp2, DECIDES), during(Sign::Http2Bytes, DECIDES)],
        brings: &["premature_close", "connection_reset", "malformed_status_line"],
        reason,
        says,
        cure,
    },
};

/// The port of nearly all examples of gRPC, which speaks HTTP/2 only.
const GRPC: u16 = 50051;

fn reason(dossier: &Dossier) -> Vec<Claim> {
    let mut claims = dossier.pair_claims("http1_to_http2");
    if dossier.sign() == Sign::NotHttp && claims.is_empty() {
        let here = dossier.dialled().into_iter().find(|it| address::port(&it.to) == Some(GRPC));
        let claim = here.map(|it| Claim::new(SPEAKS, "gRPC is served on that port", vec![it.cite]));
        claims.extend(claim);
    }
    claims
}

fn look(case: &Case) -> Option<Finding> {
    if let Some(TlsFault::Alert(120)) = case.tls_fault()
        && !case.http2()
    {
        return Some(Finding::new(
            0.8,
            "the target accepts no protocol that the gateway offers, which is HTTP/1.1",
            "alert 120, no application protocol, ended the handshake",
        ));
    }
    let (HeadFault::NotHttp | HeadFault::StatusLine) = case.head_fault()? else {
        return None;
    };
    let Opening::Http2 = Opening::of(case.first_bytes()) else {
        return None;
    };
    Some(Finding::new(
        0.95,
        format!("{} speaks HTTP/2 only: it answered with a SETTINGS frame", case.dialled()),
        format!("the answer began with {}", show::bytes(case.first_bytes())),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let scheme = if case.plain() { "http" } else { "https" };
    vec![
        Fix::run(
            "See whether the target answers over HTTP/2",
            format!("curl -v --http2-prior-knowledge {scheme}://{}/", case.endpoint()),
        ),
        Fix::new("Let the server accept HTTP/1.1 on that port too"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    if let Some(says) = dossier.pair_says(CAUSE.id) {
        return Some(says);
    }
    Some(format!(
        "{} speaks HTTP/1 to {}, which speaks HTTP/2 only",
        dossier.hop(),
        dossier.address()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let to = dossier.upstream().unwrap_or("ADDRESS");
    let (nginx, haproxy, caddy) = (
        format!("-proxy_pass http://{to};\ngrpc_pass grpc://{to};"),
        format!("server app {to} proto h2"),
        format!("reverse_proxy h2c://{to}"),
    );
    let (traefik, apache) =
        (format!("-- url: http://{to}\n- url: h2c://{to}"), format!("ProxyPass / h2c://{to}/"));
    let run = match dossier.upstream() {
        Some(it) => {
            format!("curl -sv --http2-prior-knowledge http://{}/ -o /dev/null", advice::word(it))
        }
        None => "curl -sv --http2-prior-knowledge http://HOST:PORT/ -o /dev/null".to_owned(),
    };
    Cure {
        before: vec![
            Step::look("See that the port answers HTTP/2 without TLS", run.clone())
                .at(advice::hop_host(dossier)),
        ],
        now: advice::change(
            dossier,
            "Speak HTTP/2 to this port (nginx does so for gRPC)",
            &[
                (Hop::Nginx, &nginx),
                (Hop::IngressNginx, "nginx.ingress.kubernetes.io/backend-protocol: \"GRPC\""),
                (Hop::HaProxy, &haproxy),
                (Hop::Caddy, &caddy),
                (Hop::Traefik, &traefik),
                (Hop::Apache, &apache),
                (
                    Hop::Envoy,
                    "typed_extension_protocol_options: { explicit_http_config: { http2_protocol_options: {} } }",
                ),
                (Hop::Istio, "appProtocol: http2"),
            ],
        ),
        lasting: vec![Step::say("Or let the app speak HTTP/1.1 on that port too")],
        verify: vec![advice::through(dossier, "an answer of the app")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not, explained, nginx_to};

    #[test]
    fn settings_in_answer_to_a_request() {
        check(
            "head: not_http | fresh to=10.0.0.7:50051 bytes=000012040000000000",
            "http1_to_http2: 10.0.0.7:50051 speaks HTTP/2 only: it answered with a SETTINGS frame",
        );
    }

    #[test]
    fn no_protocol_in_common() {
        check(
            "tls: alert=120 | to=10.0.0.7:443",
            "http1_to_http2: the target accepts no protocol that the gateway offers, which is \
             HTTP/1.1",
        );
    }

    #[test]
    fn a_greeting_of_mysql_begins_with_zeros_too() {
        check_not("head: not_http | fresh bytes=4a0000000a382e30", "http1_to_http2");
    }

    #[test]
    fn the_usual_port_of_grpc_speaks_for_it() {
        let says =
            "upstream sent no valid HTTP/1.0 header while reading response header from upstream";
        let first =
            |to: &str| explained(&[("error.log", &nginx_to(to, says))]).candidates.remove(0).cause;
        assert_eq!(first("192.0.2.10:50051"), "http1_to_http2");
        assert_ne!(first("192.0.2.10:8000"), "http1_to_http2");
    }
}
