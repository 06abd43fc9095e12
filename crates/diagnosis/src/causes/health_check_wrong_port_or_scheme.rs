//! The health check dials a port where nobody listens, or speaks another protocol than the port
//! does.
//!
//! ## What you see
//! Servers are down from the first minute. HAProxy logs `Health check for server b/s1 failed,
//! reason: Layer4 connection problem, info: "Connection refused"`, `Layer6 invalid response` for
//! TLS to a plain port, or `Socket error, info: "Connection reset by peer"` for plain HTTP to a TLS
//! port; kubelet `Readiness probe failed: Get "http://10.0.0.7:8080/health": dial tcp
//! 10.0.0.7:8080: connect: connection refused` or `http: server gave HTTP response to HTTPS
//! client`.
//!
//! ## Why it happens
//! The port of the check is set apart from that of the traffic (`check port`, `httpGet.port`,
//! `HealthCheckPort`) and stayed when the app moved; or TLS was switched on for one and not for the
//! other.
//!
//! ## How to tell
//! Traffic to the same server works, on another port or scheme than the check's. If traffic fails
//! with the same words, it is `process_down`, `wrong_port` or `http_to_tls_port` itself.
//!
//! ## Fix
//! Let the check use the port and scheme of the traffic. Where it must differ (a port for
//! management), let the app listen there on the same address.

use super::k8s_readiness_failing::{Probe, probe};
use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::{Dossier, Seen};
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::{Claim, DECIDES, HINTS, STRONG, Text, When, before};
use evidence::{Sign, Stack};

pub(super) static CAUSE: Cause = Cause {
    id: "health_check_wrong_port_or_scheme",
    family: Family::F12,
    title: "The health check speaks to the wrong port or protocol",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: false,
    look: silent,
    fix,
    text: Text {
        clues: &[
            before(Sign::HealthWrongProtocol, DECIDES),
            before(Sign::HealthConnectFailed, 1.5),
            before(Sign::HealthFailed, HINTS),
        ],
        brings: &["no_live_upstreams", "endpoints_empty"],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Compare port and scheme of the check with those of the traffic"),
        Fix::run("See on which ports the app listens", "ss -ltnp"),
        Fix::new(
            "Correct the check: `check-ssl` or no `check-ssl` in HAProxy, `scheme: HTTPS` in a \
             probe",
        ),
    ]
}

/// A check that goes to a port of its own, where nobody was read to listen, and does not get
/// through; the traffic goes to another one.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let Some((port, cite)) = dossier.strayed_check() else {
        let says = "nothing listens on the port that the probe dials";
        return probe(dossier, Probe::Refused, HINTS, says);
    };
    let failed = [Sign::HealthConnectFailed, Sign::HealthTimedOut, Sign::ReadinessFailed];
    let mut failed = failed.into_iter().flat_map(|it| dossier.seen(it, When::Before));
    let Some(failed) = failed.next() else { return Vec::new() };
    let says = format!("the check goes to port {port}, and the traffic to another one");
    vec![Claim::new(STRONG, says, vec![cite, failed.cite()])]
}

fn says(dossier: &Dossier) -> Option<String> {
    let wrong = dossier.seen(Sign::HealthWrongProtocol, When::Before).into_iter().next();
    let who = |it: &Seen| it.key.who.as_deref().map(|it| format!(" of {it}")).unwrap_or_default();
    if let Some(seen) = wrong {
        return Some(format!(
            "the health check{} speaks another protocol than the port, so that {} takes it out of use",
            who(&seen),
            seen.key.product.name()
        ));
    }
    let (port, _) = dossier.strayed_check()?;
    let seen = dossier.seen(Sign::HealthConnectFailed, When::Before).into_iter().next()?;
    let app = dossier
        .listener_there()
        .map(|it| format!(", and {} listens on {}", it.product.name(), it.address));
    Some(format!(
        "the health check{} goes to port {port}, where nothing answers{}",
        who(&seen),
        app.unwrap_or_default()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let text = "Let the check go to the port of the app, with its scheme";
    let now = match dossier.incident.hop.stack() {
        _ if platform::kubernetes(dossier) => vec![Step::diff(
            text,
            None,
            " readinessProbe:\n   httpGet:\n+    port: PORT\n+    scheme: HTTPS",
            Risk::Restart,
        )],
        Stack::Aws => vec![Step::run(
            text,
            "aws elbv2 modify-target-group --target-group-arn ARN --health-check-port traffic-port --health-check-protocol HTTP",
            Risk::None,
        )],
        _ => advice::change(
            dossier,
            text,
            &[
                (
                    Hop::HaProxy,
                    "server app ADDRESS:PORT check port PORT check-ssl verify required ca-file CA",
                ),
                (
                    Hop::Envoy,
                    "health_checks: [{ transport_socket_match_criteria: { useTls: true } }]",
                ),
                (Hop::Traefik, "healthCheck: { scheme: https, port: PORT }"),
                (Hop::Caddy, "health_port PORT"),
            ],
        ),
    };
    Cure {
        before: vec![Step::look("See which of the two the port speaks", "curl -sS -i http://TARGET:PORT/ | head -1; openssl s_client -connect TARGET:PORT </dev/null 2>&1 | head -3").at(advice::hop_host(dossier))],
        now,
        verify: vec![advice::through(dossier, "an answer of the app")],
        ..Cure::default()
    }
}
