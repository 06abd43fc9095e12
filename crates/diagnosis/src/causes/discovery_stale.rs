//! Service discovery still lists servers that are gone, and the gateway dials them.
//!
//! ## What you see
//! A share of the requests fails with refusals or time limits, at addresses that no instance has
//! any more. Consul shows them as passing or critical for long, Eureka keeps them (`EMERGENCY!
//! EUREKA MAY BE INCORRECTLY CLAIMING INSTANCES ARE UP WHEN THEY'RE NOT.`), Kong logs `balancer not
//! found for`, Envoy goes on with its last list when its control plane is away (`gRPC config stream
//! closed: 14`).
//!
//! ## Why it happens
//! An instance ended without taking itself off the list, the time after which it is dropped is
//! long, the registry protects its entries because many vanished at once, or the gateway lost its
//! connection to the registry.
//!
//! ## How to tell
//! Compare the address that failed with the list of the registry and with what runs. Gone from
//! both, the gateway is behind; gone only from what runs, the registry is. For names in DNS it is
//! `dns_stale_ip`, within seconds of a deploy `deploy_in_progress`.
//!
//! ## Fix
//! Let instances leave the list before they stop, shorten the time to live of an entry, and check
//! health from the gateway too. Let it try another server after a refusal.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::{DECIDES, Text, When, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "discovery_stale",
    family: Family::F12,
    title: "Service discovery hands out servers that are gone",
    side: Side::Platform,
    retry: RetryClass::R0,
    passing: false,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::NameNotFound, 0.01), (Sign::NoEndpoints, 0.05)],
        clues: &[during(Sign::DiscoveryStale, DECIDES)],
        brings: &["process_down", "firewall_drop", "endpoints_empty"],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Compare the address that failed with the registry's list and with what runs"),
        Fix::new(
            "Look in the gateway's log for a lost connection to the registry or the control plane",
        ),
        Fix::new(
            "Let instances take themselves off the list before they stop, and shorten the life of \
             an entry",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::DiscoveryStale, When::During).into_iter().next()?;
    let who = seen.key.upstream.as_deref().or(seen.key.who.as_deref());
    Some(match who {
        Some(who) => format!("service discovery still hands out {who}, which is gone"),
        None => format!("service discovery hands {} a server that is gone", dossier.hop()),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let look = match platform::kubernetes(dossier) {
        true => Step::look(
            "Compare the endpoints with the pods that run",
            "kubectl get endpointslices,pods -o wide",
        ),
        false => {
            Step::look("Compare what discovery says with what runs", platform::config_of(dossier))
                .at(advice::hop_host(dossier))
        }
    };
    Cure {
        before: vec![look],
        now: vec![
            Step::say("Take the entry that is gone out of the registry"),
            advice::reloaded(dossier, "Let the proxy ask for the servers afresh"),
        ],
        lasting: vec![Step::say(
            "Let a server leave the registry before it ends: deregister, wait (`preStop: sleep 10`), then stop; and let entries without a sign of life expire",
        )],
        verify: vec![advice::through(dossier, "an answer of the app, ten times of ten")],
    }
}
