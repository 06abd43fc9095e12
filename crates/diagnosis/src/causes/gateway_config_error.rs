//! The gateway's own configuration sends the request nowhere.
//!
//! ## What you see
//! 500 for every request of one route, at once. Envoy marks `NC`, HAProxy writes `FRONTEND/<NOSRV>`
//! with 503, Apache `AH01144: No protocol handler was valid for the URL`.
//!
//! ## Why it happens
//! The upstream of the route has an empty list of targets: all were removed, or whatever generates
//! the configuration found none.
//!
//! ## How to tell
//! No attempt was made. The configuration shows the upstream without targets.
//!
//! ## Fix
//! Give the upstream a target, and let `goodgate check` judge a configuration before it is put to
//! use.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::text::{Claim, DECIDES, Text, before};
use evidence::{Sign, What};
use exchange::Refusal;

pub(super) static CAUSE: Cause = Cause {
    id: "gateway_config_error",
    family: Family::F11,
    title: "The route leads to an upstream without targets",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::NoEndpoints, 0.07), (Sign::NoCluster, 0.92), (Sign::Answered500, 0.05)],
        clues: &[before(Sign::NoCluster, DECIDES)],
        brings: &["endpoints_empty", "no_live_upstreams"],
        reason,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Refusal::NoTarget = case.refusal()? else {
        return None;
    };
    let route = case.exchange.route.as_deref().unwrap_or("this request");
    let upstream = case.exchange.upstream.as_deref().unwrap_or("an upstream");
    Some(Finding::new(
        0.95,
        format!("route {route} leads to {upstream}, which has no target"),
        "there was nobody to send the request to",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(format!("Write at least one target into {}", case.setting("targets"))),
        Fix::run("See all that the configuration lacks", "goodgate check --strict"),
    ]
}

/// A server that the configuration itself takes out of use, or a name that it lacks.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let disabled = dossier.settings(|it| match &it.what {
        What::Member { disabled: true, .. } => {
            Some("the server is taken out of use by its own line")
        }
        What::Missing { .. } => Some("the configuration lacks what it names"),
        _ => None,
    });
    let claim = |(says, cite): (&str, _)| Claim::new(6.0, says, vec![cite]);
    disabled.into_iter().take(1).map(claim).collect()
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn an_upstream_without_targets() {
        check(
            "refused: no_target",
            "gateway_config_error: route orders leads to orders, which has no target",
        );
    }

    #[test]
    fn a_request_without_a_route_never_came_so_far() {
        check_not("refused: no_route", "gateway_config_error");
    }
}
