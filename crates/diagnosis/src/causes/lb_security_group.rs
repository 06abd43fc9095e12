//! A security group or network rule keeps the load balancer from the port of its targets.
//!
//! ## What you see
//! 504 after ten seconds from `awselb/2.0`, or all targets unhealthy with `Target.Timeout`. In the
//! balancer's log `target_processing_time` is -1; the targets see nothing.
//!
//! ## Why it happens
//! The group of the targets does not let the balancer's group in on the port of the traffic or of
//! the check, a network ACL drops the way back (ports 1024 to 65535), or the targets stand in
//! another subnet than thought. An AWS balancer gives up on connecting after 10 s.
//!
//! ## How to tell
//! From a machine in the balancer's subnet the port is silent too; from the target itself it
//! answers. If connecting works and the answer is late, the 504 comes at the idle limit (60 s) and
//! it is `response_header_timeout`. Anywhere else than at a balancer this is `firewall_drop`.
//!
//! ## Fix
//! Let the balancer's group in, on the port of the traffic and of the check, by the id of the group
//! and not by address. Open no more than that.

use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, before};
use evidence::{Sign, Stack};

pub(super) static CAUSE: Cause = Cause {
    id: "lb_security_group",
    family: Family::F14,
    title: "The balancer may not reach the port of its target",
    side: Side::Platform,
    retry: RetryClass::R0,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::ConnectTimedOut, 0.02), (Sign::Answered504, 0.02)],
        clues: &[before(Sign::LbUnreachable, DECIDES)],
        brings: &["firewall_drop", "health_check_timeout"],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Subject::UpstreamStatus(504) = case.subject else {
        return None;
    };
    if !case.server().eq_ignore_ascii_case("awselb") {
        return None;
    }
    Some(Finding::new(
        0.2,
        "the balancer may not have reached the port of its target",
        "a balancer answered 504 by itself: it could not connect within 10 s, or got no answer in \
         time",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See why the targets are unhealthy",
            "aws elbv2 describe-target-health --target-group-arn ARN",
        ),
        Fix::run(
            "See the rules of the targets' group",
            "aws ec2 describe-security-groups --group-ids SG --query \
             'SecurityGroups[].IpPermissions'",
        ),
        Fix::new("Allow the balancer's security group on the port of the traffic and of the check"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::LbUnreachable, When::Before);
    let who = seen.first().and_then(|it| it.key.who.as_deref()).or(dossier.upstream())?;
    Some(format!(
        "{} cannot reach {who}: a security group or network rule between them drops it",
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let port = dossier.port().map_or_else(|| "PORT".to_owned(), |it| it.to_string());
    let now = match dossier.incident.hop.stack() {
        Stack::Gcp => Step::run(
            "Let the balancer and its health checks in, to this port",
            format!(
                "gcloud compute firewall-rules create allow-lb --network=NETWORK --allow=tcp:{port} --source-ranges=130.211.0.0/22,35.191.0.0/16"
            ),
            Risk::None,
        ),
        _ => Step::run(
            "Let the balancer's security group in, to this port",
            format!(
                "aws ec2 authorize-security-group-ingress --group-id TARGET_GROUP --protocol tcp --port {port} --source-group LB_GROUP"
            ),
            Risk::None,
        ),
    };
    Cure {
        before: vec![Step::look(
            "See which groups and rules lie between",
            "aws elbv2 describe-target-health --target-group-arn ARN; aws ec2 describe-security-groups --group-ids LB_GROUP TARGET_GROUP",
        )],
        now: vec![
            now,
            Step::say(
                "See that the network ACLs of both subnets let the answers out again (ports 1024-65535)",
            ),
        ],
        verify: vec![Step::look(
            "See `healthy`",
            "aws elbv2 describe-target-health --target-group-arn ARN",
        )],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_504_of_the_balancer_may_be_a_closed_port() {
        check_among("status: 504 | fresh server=awselb/2.0", "lb_security_group");
    }

    #[test]
    fn a_502_of_the_balancer_reached_somebody() {
        check_not("status: 502 | fresh server=awselb/2.0", "lb_security_group");
        check_not("status: 504 | fresh server=nginx/1.25", "lb_security_group");
    }
}
