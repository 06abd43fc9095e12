//! The target is part of a service mesh that demands mutual TLS, and the gateway does not take
//! part.
//!
//! ## What you see
//! Connections stand and are reset or closed at once, with TLS as with plain HTTP. Behind Envoy it
//! reads `upstream connect error or disconnect/reset before headers. reset reason: connection
//! termination`; requests from inside the mesh work.
//!
//! ## Why it happens
//! Beside the app runs a proxy (Istio with `PeerAuthentication` in mode STRICT, Linkerd, Consul)
//! that accepts only the mesh's own certificates. A gateway outside the mesh has none; one whose
//! rule says plain towards a strict workload, or mesh TLS towards one without the proxy, is turned
//! away as well.
//!
//! ## How to tell
//! The app answers on its own port from inside its own container, and the log of the proxy beside
//! it shows a refused peer.
//!
//! ## Fix
//! Take the gateway into the mesh, go through the mesh's ingress, or let the policy accept plain
//! connections on the one port that the gateway needs.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{Claim, DECIDES, HINTS, SPEAKS, Text, When, any};
use evidence::{Kind, Product, Sign, Stack, What};
use exchange::TlsFault;

pub(super) static CAUSE: Cause = Cause {
    id: "mtls_policy_mismatch",
    family: Family::F7,
    title: "A service mesh lets only its own members in",
    side: Side::Platform,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectFailed, 0.01),
            (Sign::TlsClientCertRequired, 0.02),
            (Sign::TlsToPlain, 0.02),
            (Sign::MtlsMismatch, 0.95),
            (Sign::Disconnected, 0.02),
        ],
        clues: &[any(Sign::MtlsMismatch, DECIDES), any(Sign::PolicyDenied, HINTS)],
        brings: &["tls_to_plain_port", "connection_reset", "premature_close", "tls_peer_closed"],
        reason,
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match case.tls_fault() {
        Some(TlsFault::Closed | TlsFault::Reset) if !case.loopback() => 0.1,
        Some(_) => return None,
        None if case.turned_away() && case.plain() && !case.loopback() => 0.04,
        None => return None,
    };
    // A mesh stands in front of addresses, not of socket files.
    let port = case.port()?;
    Some(Finding::new(
        confidence,
        format!(
            "a service mesh may be turning the gateway away from port {port} of {}",
            case.host()
        ),
        "the connection stood and was ended at once, as a strict mesh does with strangers",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run("With Istio, see which policies apply", "kubectl get peerauthentication -A"),
        Fix::new(
            "Take the gateway into the mesh or go through its ingress; or let the policy accept \
             plain connections on this one port (`portLevelMtls` in Istio)",
        ),
    ]
}

/// What the mesh's policies say against each other, and a mesh's way to fail.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let modes = dossier.settings(|it| match &it.what {
        What::MeshTls { mode, .. } => Some(mode.clone()),
        _ => None,
    });
    // Envoy, Istio and Linkerd: the proxies of meshes.
    let mesh = dossier.incident.hop.stack() == Stack::Envoy;
    let failing = matches!(dossier.sign().kind(), Kind::Wire | Kind::Answer);
    let decided = modes
        .iter()
        .find(|(mode, _)| matches!(mode.as_str(), "DISABLE" | "STRICT" | "ISTIO_MUTUAL" | "NONE"));
    match decided {
        Some((mode, cite)) if failing || mesh => {
            vec![Claim::new(5.5, format!("the mesh sets mutual TLS to {mode}"), vec![cite.clone()])]
        }
        Some((mode, cite)) => vec![Claim::new(
            SPEAKS,
            format!("the mesh sets mutual TLS to {mode}"),
            vec![cite.clone()],
        )],
        None => Vec::new(),
    }
}

fn says(dossier: &Dossier) -> Option<String> {
    let modes = dossier.settings(|it| match &it.what {
        What::MeshTls { mode, host } => Some((mode.as_str(), host.as_deref())),
        _ => None,
    });
    let strict = modes.iter().any(|((mode, _), _)| *mode == "STRICT");
    let seen = dossier.seen(Sign::MtlsMismatch, When::Any);
    let who = seen.first().and_then(|it| it.key.who.as_deref().or(it.key.upstream.as_deref()));
    Some(match (who, strict) {
        (Some(who), _) => format!("the mesh's rules for {who} disagree on mutual TLS"),
        (None, true) => format!(
            "{} takes mutual TLS only (STRICT), and {} speaks to it without",
            dossier.address(),
            dossier.hop()
        ),
        (None, false) => return None,
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let linkerd = dossier.incident.hop == Product::Linkerd || dossier.read(Product::Linkerd);
    if linkerd && !dossier.read(Product::Istio) {
        return of_linkerd();
    }
    Cure {
        before: vec![Step::look(
            "See which rules apply, and which pods have no sidecar",
            "istioctl analyze -A; kubectl get peerauthentication,destinationrule -A; istioctl proxy-status",
        )],
        now: vec![
            Step::diff(
                "Let the rule of the client's side follow the mesh",
                None,
                "     trafficPolicy:\n       tls:\n-        mode: DISABLE\n+        mode: ISTIO_MUTUAL",
                Risk::None,
            ),
            Step::run(
                "Give a client without a sidecar one, by its namespace, and start its pods anew",
                "kubectl label namespace NAMESPACE istio-injection=enabled && kubectl -n NAMESPACE rollout restart deployment/CLIENT",
                Risk::Restart,
            ),
        ],
        lasting: vec![Step::diff(
            "For a port that must take plain requests (probes, clients outside the mesh), say so for that port alone",
            None,
            "+  portLevelMtls:\n+    PORT:\n+      mode: PERMISSIVE",
            Risk::None,
        )],
        verify: vec![Step::look("See no IST0113 and no CONFLICT", "istioctl analyze -A")],
    }
}

fn of_linkerd() -> Cure {
    Cure {
        before: vec![Step::look(
            "See which connections have mutual TLS, and which policies apply",
            "linkerd viz edges deployment -A; kubectl get server,authorizationpolicy,meshtlsauthentication -A",
        )],
        now: vec![Step::run(
            "Take the client into the mesh, by its namespace, and start its pods anew",
            "kubectl annotate namespace NAMESPACE linkerd.io/inject=enabled && kubectl -n NAMESPACE rollout restart deployment/CLIENT",
            Risk::Restart,
        )],
        lasting: vec![Step::say(
            "For a port that must take plain requests, name its clients in an AuthorizationPolicy with a NetworkAuthentication, for that Server alone",
        )],
        verify: vec![Step::look("See every check of the data plane pass", "linkerd check --proxy")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_listed, check_not};

    #[test]
    fn a_client_outside_of_linkerd() {
        let line = "[   126.292891s]  INFO ThreadId(01) inbound:accept{client.addr=192.0.2.7:5000}: linkerd_app_inbound::policy::tcp: Connection denied server.name=shop tls=None(NoClientHello) client=192.0.2.7:5000\n";
        let report = crate::testing::explained(&[("linkerd.log", line)]);
        assert_eq!(report.cause, "mtls_policy_mismatch");
        assert!(format!("{:?}", report.fix).contains("linkerd.io/inject"));
    }

    #[test]
    fn a_handshake_that_a_mesh_ends() {
        check_listed("tls: reset | to=10.0.0.7:443", "mtls_policy_mismatch");
    }

    #[test]
    fn a_plain_request_that_a_mesh_ends() {
        check_listed("head: reset | fresh to=10.0.0.7:8000 after=1ms", "mtls_policy_mismatch");
    }

    #[test]
    fn the_own_machine_is_no_mesh() {
        check_not("tls: reset | to=127.0.0.1:443", "mtls_policy_mismatch");
    }

    #[test]
    fn a_target_that_answered_before_lets_us_in() {
        check_not(
            "head: reset | fresh to=10.0.0.7:8000 server=gunicorn after=1ms",
            "mtls_policy_mismatch",
        );
    }
}
