//! The target wants each connection to begin with a PROXY header, and the gateway sends none.
//!
//! ## What you see
//! Connections are ended at once, with TLS and without. HAProxy as the target logs `Received
//! something which does not look like a PROXY protocol header`, nginx `broken header: "GET /..."
//! while reading PROXY protocol`.
//!
//! ## Why it happens
//! A balancer that sends the header (an AWS NLB, HAProxy with `send-proxy`) stood before that port,
//! and its listener demands it: `accept-proxy` in HAProxy, `proxy_protocol` in nginx's `listen`.
//! Whoever comes without it is turned away.
//!
//! ## How to tell
//! The target's log has such a line, or its configuration such a word; `curl --haproxy-protocol`
//! gets an answer where plain `curl` gets none.
//!
//! ## Fix
//! Open a port without the demand for the gateway. Taking it from the existing port needs the
//! balancer changed at the same time.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::{DECIDES, Text, during};
use evidence::{Sign, What};
use exchange::TlsFault;

pub(super) static CAUSE: Cause = Cause {
    id: "proxy_protocol_mismatch",
    family: Family::F8,
    title: "The target expects the PROXY header",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::TlsToPlain, 0.005),
            (Sign::Closed, 0.003),
            (Sign::Disconnected, 0.005),
            (Sign::ProxyHeaderMissing, 0.95),
        ],
        clues: &[during(Sign::ProxyHeaderMissing, DECIDES)],
        brings: &[
            "connection_reset",
            "premature_close",
            "tls_to_plain_port",
            "response_header_timeout",
            "no_live_upstreams",
        ],
        reason: |it| it.pair_claims("proxy_protocol_mismatch"),
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match case.tls_fault() {
        Some(TlsFault::Closed | TlsFault::Reset) => 0.04,
        Some(_) => return None,
        None if case.turned_away() && case.plain() => 0.03,
        None => return None,
    };
    Some(Finding::new(
        confidence,
        format!("{} may expect a PROXY header at the start of each connection", case.dialled()),
        "a listener that demands the header ends every connection that begins without it",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let place = case.place();
    let scheme = if place.is_some_and(|it| it.https) { "https" } else { "http" };
    vec![
        Fix::run(
            "See whether the header makes the difference",
            format!("curl -v --haproxy-protocol {scheme}://{}/", case.endpoint()),
        ),
        Fix::new(
            "If it does, open a port on the target without `accept-proxy` (HAProxy) or \
             `proxy_protocol` (nginx), and give the gateway that one",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    if let Some(says) = dossier.pair_says(CAUSE.id) {
        return Some(says);
    }
    let sends = dossier.settings(|it| match it.what {
        What::ProxyHeader { sends } => Some(sends),
        _ => None,
    });
    let (hop, at) = (dossier.hop(), dossier.address());
    Some(match sends.first() {
        Some((true, _)) => {
            format!("{hop} sends the PROXY header to {at}, which does not expect it")
        }
        Some((false, _))
            if !dossier.incident.of_requests() || dossier.sign() == Sign::ProxyHeaderMissing =>
        {
            format!("{hop} expects the PROXY header, and what stands before it does not send one")
        }
        _ if dossier.sign() == Sign::ProxyHeaderMissing => {
            format!("{hop} expects the PROXY header on a connection that came without one")
        }
        _ => format!("{at} expects the PROXY header, and {hop} does not send it"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let expects = dossier.sign() == Sign::ProxyHeaderMissing;
    let now = match expects {
        true => advice::change(
            dossier,
            "Let whoever stands before this proxy send the header, or let this proxy not expect it where callers come directly",
            &[
                (Hop::Nginx, "-listen 80 proxy_protocol;\nlisten 80;"),
                (Hop::HaProxy, "-bind :80 accept-proxy\nbind :80"),
            ],
        ),
        false => advice::change(
            dossier,
            "Let both sides agree: the proxy sends the header, and the app's server expects it",
            &[
                (Hop::Nginx, "-proxy_protocol on;"),
                (Hop::HaProxy, "server app ADDRESS:PORT send-proxy-v2"),
                (
                    Hop::Envoy,
                    "transport_socket: { name: envoy.transport_sockets.upstream_proxy_protocol }",
                ),
            ],
        ),
    };
    let to = dossier.upstream().map_or_else(|| "HOST:PORT".to_owned(), advice::word);
    Cure {
        before: vec![
            Step::look("Ask with the header and without: one of them answers", format!("curl -sS --haproxy-protocol http://{to}/ -o /dev/null; curl -sS http://{to}/ -o /dev/null"))
                .at(advice::hop_host(dossier)),
        ],
        now,
        verify: vec![advice::through(dossier, "an answer of the app")],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_listed, check_not};

    #[test]
    fn a_plain_request_that_is_turned_away() {
        check_listed("head: closed | fresh to=10.0.0.7:8000 after=1ms", "proxy_protocol_mismatch");
    }

    #[test]
    fn a_handshake_that_is_turned_away() {
        check_listed("tls: closed | to=10.0.0.7:443", "proxy_protocol_mismatch");
    }

    #[test]
    fn a_target_that_answered_before_needs_no_header() {
        check_not(
            "head: closed | fresh to=10.0.0.7:8000 server=nginx after=1ms",
            "proxy_protocol_mismatch",
        );
    }
}
