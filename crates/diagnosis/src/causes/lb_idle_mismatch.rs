//! The load balancer keeps idle connections to its target for longer than the target does, and now
//! and then uses one that is just being closed.
//!
//! ## What you see
//! Rare 502s from `awselb/2.0`, more when it is quiet. In the balancer's log `elb_status_code` is
//! 502, `target_status_code` is `-`, `target_processing_time` is -1 or near 0 and the app has no
//! line for the request; CloudWatch counts it as `HTTPCode_ELB_5XX_Count`.
//!
//! ## Why it happens
//! An AWS balancer keeps idle connections for 60 s by default. Gunicorn closes them after 2 s,
//! Uvicorn and Node after 5 s, Apache after 5 s. It is `keepalive_race` with a balancer as the
//! gateway.
//!
//! ## How to tell
//! The 502s come at once and not at deploys; a target that died has lines of its own
//! (`worker_crashed`); at deploys it is `lb_deregistration`.
//!
//! ## Fix
//! Let the app keep idle connections for longer than the balancer: more than 60 s (`gunicorn
//! --keep-alive 75`, `uvicorn --timeout-keep-alive 75`, `server.keepAliveTimeout = 75000` with
//! `headersTimeout` above it in Node).

use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::text::{AGAINST, Claim, DECIDES, SPEAKS, Text, during};
use evidence::{Sign, Stack};

pub(super) static CAUSE: Cause = Cause {
    id: "lb_idle_mismatch",
    family: Family::F14,
    title: "The target closes idle connections before the balancer does",
    side: Side::AppServer,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[(Sign::Disconnected, 0.02), (Sign::Answered502, 0.01)],
        clues: &[during(Sign::LbIdleClosed, DECIDES)],
        brings: &["keepalive_race", "premature_close", "connection_reset"],
        reason,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Subject::UpstreamStatus(502) = case.subject else {
        return None;
    };
    if !case.server().eq_ignore_ascii_case("awselb") {
        return None;
    }
    Some(Finding::new(
        0.35,
        "the balancer may have used an idle connection that its target was closing",
        "a balancer answered 502 by itself: its connection to the target broke",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Look in the balancer's log for 502 with `-` as the target's status and a time near 0",
        ),
        Fix::new(
            "Let the app keep idle connections for longer than the balancer does: 75 s against 60 \
             s",
        ),
    ]
}

/// Cloud balancers reuse connections for minutes; app servers close them after seconds.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    match dossier.incident.hop.stack() {
        Stack::Aws | Stack::Gcp | Stack::Azure if dossier.incident.of_requests() => {
            vec![Claim::new(
                SPEAKS,
                "the load balancer reuses connections for longer than most app servers keep them",
                Vec::new(),
            )]
        }
        _ => vec![Claim::new(AGAINST, "no cloud balancer was seen", Vec::new())],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_502_of_the_balancer_may_be_a_lost_idle_connection() {
        check_among("status: 502 | fresh server=awselb/2.0", "lb_idle_mismatch");
    }

    #[test]
    fn a_504_of_the_balancer_is_no_lost_connection() {
        check_not("status: 504 | fresh server=awselb/2.0", "lb_idle_mismatch");
        check_not("status: 502 | fresh server=nginx/1.25", "lb_idle_mismatch");
    }
}
