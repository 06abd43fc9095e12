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

use crate::advice;
use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Dossier, span};
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{AGAINST, Claim, DECIDES, SPEAKS, Text, during};
use evidence::{Limit, Product, Sign, Stack};

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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let closes = dossier.limit(Limit::KeepAliveClose, |it| it.stack().runs_apps());
    let (hop, at) = (dossier.hop(), dossier.server_at());
    Some(match closes {
        Some((value, _)) => format!(
            "{at} closes idle connections after {}, sooner than {hop} stops reusing them",
            span(value)
        ),
        None => format!("{at} closed a connection that {hop} was about to reuse"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let text = "Let the app keep idle connections for longer than the load balancer (60 s by default at AWS, 600 s at Google Cloud)";
    let long = match dossier.incident.hop.stack() {
        Stack::Gcp => 620,
        _ => 75,
    };
    let now = match dossier.server_product() {
        Some(Product::Gunicorn) => Step::diff(
            text,
            Some("gunicorn.conf.py".to_owned()),
            format!("+    keepalive = {long}"),
            Risk::Restart,
        ),
        Some(Product::Uvicorn) => {
            Step::run(text, format!("uvicorn APP --timeout-keep-alive {long}"), Risk::Restart)
        }
        Some(Product::Hypercorn) => {
            Step::run(text, format!("hypercorn --keep-alive {long} APP"), Risk::Restart)
        }
        Some(Product::Node) => Step::diff(
            text,
            None,
            format!(
                "+    server.keepAliveTimeout = {long}_000;\n+    server.headersTimeout = {}_000;",
                long + 1
            ),
            Risk::Restart,
        ),
        Some(Product::Tomcat | Product::Spring) => Step::diff(
            text,
            None,
            format!("+    server.tomcat.keep-alive-timeout={long}s"),
            Risk::Restart,
        ),
        _ => Step::diff(
            format!("{text}; here for nginx as the target"),
            None,
            format!("+    keepalive_timeout {long}s;"),
            Risk::Reload,
        ),
    };
    let verify = match dossier.incident.hop.stack() {
        Stack::Aws => Step::look(
            "See the balancer's 502 end",
            "aws cloudwatch get-metric-statistics --namespace AWS/ApplicationELB --metric-name HTTPCode_ELB_502_Count --dimensions Name=LoadBalancer,Value=LOADBALANCER --statistics Sum --period 300 --start-time START --end-time END",
        ),
        _ => advice::through(dossier, "an answer, again after a pause of a minute"),
    };
    Cure {
        before: match dossier.incident.hop.stack() {
            Stack::Aws => vec![Step::look(
                "See the balancer's limit",
                "aws elbv2 describe-load-balancer-attributes --load-balancer-arn ARN --query \"Attributes[?Key=='idle_timeout.timeout_seconds']\"",
            )],
            _ => Vec::new(),
        },
        now: vec![now],
        verify: vec![verify],
        ..Cure::default()
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
