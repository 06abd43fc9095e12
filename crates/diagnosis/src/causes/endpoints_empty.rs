//! The gateway knows the service, and its list of servers is empty.
//!
//! ## What you see
//! 503 at once, without any attempt. An AWS balancer answers 503 from `awselb/2.0` when no target
//! is registered; Envoy sets `UH` or `no healthy upstream`; ingress-nginx logs `Service "ns/app"
//! does not have any active Endpoint.` and answers 503; Traefik `no available server`; Kong
//! `failure to get a peer from the ring-balancer`; HAProxy `X/<NOSRV>`.
//!
//! ## Why it happens
//! Nothing is registered: zero replicas, no pod is ready, a selector that fits no pod, a target
//! group without targets, a discovery that lost its entries. Or all left at the same moment in a
//! deploy.
//!
//! ## How to tell
//! The list itself: `kubectl get endpointslices`. Pods that are there and not ready:
//! `k8s_readiness_failing`. Pods ready and the list empty: `k8s_selector_mismatch`. Servers in the
//! list that failed: `no_live_upstreams`.
//!
//! ## Fix
//! Find why nobody is in the list, beginning with the number of replicas. Keep at least one ready
//! through a deploy (`maxUnavailable: 0`) and through a drain of nodes (a PodDisruptionBudget).

use crate::advice;
use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::{SPEAKS, Text, When, before};
use evidence::{Sign, Stack};

pub(super) static CAUSE: Cause = Cause {
    id: "endpoints_empty",
    family: Family::F12,
    title: "The service has no server to send to",
    side: Side::Platform,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::NoLiveUpstream, 0.01),
            (Sign::NoEndpoints, 0.68),
            (Sign::Answered503, 0.12),
        ],
        clues: &[before(Sign::SelectorEmpty, 5.0), before(Sign::LbTargetUnhealthy, SPEAKS)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Subject::UpstreamStatus(503) = case.subject else {
        return None;
    };
    let confidence = match case.server().to_ascii_lowercase().as_str() {
        // It has one reason only for a 503 of its own.
        "awselb" => 0.65,
        "envoy" | "istio-envoy" | "kong" | "traefik" => 0.15,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!("{} has no server to send the request to", case.server()),
        "a balancer answered 503 by itself, as it does when its list of servers is empty",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "With Kubernetes, see the list and the pods beside it",
            "kubectl get endpointslices,pods -o wide",
        ),
        Fix::run(
            "With AWS, see the targets and why they are out",
            "aws elbv2 describe-target-health --target-group-arn ARN",
        ),
        Fix::new("Keep at least one server ready through deploys and drains"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::SelectorEmpty, When::Before);
    let who = seen.first().and_then(|it| it.key.who.as_deref());
    let hop = dossier.hop();
    Some(match (who, dossier.upstream()) {
        (Some(who), _) => format!("the service {who} has no ready pod"),
        (None, Some(to)) if dossier.sign() == Sign::NoEndpoints => {
            format!("{hop} knows no server behind {to}")
        }
        _ if dossier.saw(Sign::LbTargetUnhealthy) => {
            format!("{hop} holds all targets for unhealthy")
        }
        _ => return None,
    })
}

fn cure(dossier: &Dossier) -> Cure {
    if dossier.incident.hop.stack() == Stack::Aws {
        let look = "aws elbv2 describe-target-health --target-group-arn ARN";
        return Cure {
            before: vec![Step::look("See each target's state and reason", look)],
            now: vec![
                Step::run(
                    "Register a target, where there is none",
                    "aws elbv2 register-targets --target-group-arn ARN --targets Id=INSTANCE",
                    Risk::None,
                ),
                Step::say(
                    "Correct the check or the app, where the reason is `Target.FailedHealthChecks`, `Target.Timeout` or `Target.ResponseCodeMismatch`",
                ),
            ],
            verify: vec![Step::look("See `healthy`", look)],
            ..Cure::default()
        };
    }
    if !platform::kubernetes(dossier) {
        return Cure {
            before: vec![
                Step::look("See which servers the proxy knows", platform::config_of(dossier))
                    .at(advice::hop_host(dossier)),
            ],
            now: vec![Step::run(
                "Start the servers, or name them where the proxy looks for them",
                platform::restart(dossier),
                Risk::Restart,
            )],
            verify: vec![advice::through(dossier, "an answer of the app")],
            ..Cure::default()
        };
    }
    Cure {
        before: vec![Step::look(
            "See whether there are pods, whether they are ready, and whether their labels fit the service",
            "kubectl get endpointslices,pods -o wide --show-labels; kubectl describe service SERVICE",
        )],
        now: vec![
            Step::run(
                "No pod: start some",
                "kubectl scale deployment/APP --replicas=2",
                Risk::None,
            ),
            Step::look(
                "Pods that are not ready: see why",
                "kubectl describe pods; kubectl logs POD",
            ),
            Step::say(
                "Ready pods that the service does not have: let its `selector` name their labels",
            ),
        ],
        lasting: vec![Step::say(
            "Two replicas at least, and a PodDisruptionBudget with `minAvailable: 1`",
        )],
        verify: vec![Step::look("See addresses", "kubectl get endpointslices -o wide")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_among, check_not, explained};

    #[test]
    fn a_balancer_of_aws_says_503_for_one_reason() {
        check(
            "status: 503 | fresh server=awselb/2.0",
            "endpoints_empty: awselb has no server to send the request to",
        );
    }

    #[test]
    fn another_balancer_has_other_reasons_too() {
        check_among("status: 503 | fresh server=envoy", "endpoints_empty");
    }

    #[test]
    fn a_502_of_a_balancer_was_sent_to_somebody() {
        check_not("status: 502 | fresh server=awselb/2.0", "endpoints_empty");
    }

    #[test]
    fn the_service_is_said() {
        let log = "W1120 15:16:30.123456       7 controller.go:1117] Service \"prod/shop\" does not have any active Endpoint.\n";
        let table = "NAME         ENDPOINTS   AGE\nshop         <none>      5m12s\n";
        let report = explained(&[("ingress.log", log), ("endpoints.txt", table)]);
        assert_eq!(report.candidates[0].cause, "endpoints_empty");
        assert!(
            report.statement.contains("the service shop has no ready pod"),
            "{}",
            report.statement
        );
    }
}
