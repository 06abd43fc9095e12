//! A target was taken out of the load balancer, and ended or was cut off before its last requests
//! were done.
//!
//! ## What you see
//! 502 or 504 at each deploy or scaling in. The target's state is `draining` with
//! `Target.DeregistrationInProgress`; in the balancer's log the failed requests are the long ones,
//! sent before the target left.
//!
//! ## Why it happens
//! The balancer lets a target finish for the deregistration delay (300 s by default). If the
//! instance is ended before that, or a request or WebSocket outlives it, the connection is closed
//! in the middle. Or the app stops to listen on SIGTERM before the balancer knows.
//!
//! ## How to tell
//! The failures end with the deploy, and hit targets that left. At any other time it is
//! `lb_idle_mismatch` or the app itself. In Kubernetes the same is `deploy_in_progress`.
//!
//! ## Fix
//! Give the process the time: let it answer what it has after SIGTERM, and end it only when the
//! delay is over (`stopTimeout`, a lifecycle hook, `preStop`). Make the delay longer than the
//! longest request.

use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, When, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "lb_deregistration",
    family: Family::F14,
    title: "A target was taken out while requests were on their way",
    side: Side::Platform,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        clues: &[during(Sign::LbDeregistered, DECIDES)],
        brings: &["connection_reset", "premature_close", "endpoints_empty"],
        says,
        cure,
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
        0.1,
        "a target of the balancer may have been taken out while it had the request",
        "a balancer answered 502 by itself, as it does when a leaving target ends in the middle",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See which targets are leaving",
            "aws elbv2 describe-target-health --target-group-arn ARN",
        ),
        Fix::new(
            "Let the delay be longer than the longest request, and the process live until it is \
             over",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::LbDeregistered, When::During).into_iter().next()?;
    Some(match seen.key.who.as_deref().or(seen.key.upstream.as_deref()) {
        Some(who) => format!(
            "{who} was taken out of the load balancer while requests to it were on their way"
        ),
        None => {
            "a target was taken out of the load balancer while requests to it were on their way"
                .to_owned()
        }
    })
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        now: vec![
            Step::run(
                "Give requests time to end after the target is taken out",
                "aws elbv2 modify-target-group-attributes --target-group-arn ARN --attributes Key=deregistration_delay.timeout_seconds,Value=120",
                Risk::None,
            ),
            Step::say(
                "Let the app go on serving for that long: stop it after the delay, not with it (`preStop: sleep 30` and a longer `terminationGracePeriodSeconds`; `stopTimeout` of ECS)",
            ),
        ],
        lasting: vec![Step::say("Close idle connections with `Connection: close` while draining")],
        verify: vec![Step::look(
            "Deploy under load: no answer but 200",
            "while sleep 0.2; do curl -sS -o /dev/null -w '%{http_code}\\n' http://SITE/PATH; done",
        )],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_502_of_the_balancer_may_be_a_target_that_left() {
        check_among("status: 502 | fresh server=awselb/2.0", "lb_deregistration");
    }

    #[test]
    fn a_504_of_the_balancer_is_no_target_that_left() {
        check_not("status: 504 | fresh server=awselb/2.0", "lb_deregistration");
        check_not("status: 502 | fresh server=nginx/1.25", "lb_deregistration");
    }
}
