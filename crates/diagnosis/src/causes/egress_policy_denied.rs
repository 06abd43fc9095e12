//! A rule on the gateway's own side does not let the connection out.
//!
//! ## What you see
//! `connect() failed (1: Operation not permitted)`, or `(13: Permission denied)` on a TCP address,
//! on every request to that target, at once. With a Kubernetes NetworkPolicy or a cloud's egress
//! rules it is a connect timeout instead.
//!
//! ## Why it happens
//! A packet filter on the gateway's machine drops in its OUTPUT chain (EPERM), a `prohibit` route
//! covers the address (EACCES), `IPAddressDeny=` or `RestrictAddressFamilies=` of its unit, a
//! seccomp profile, or an egress policy of the platform.
//!
//! ## How to tell
//! The error comes from the gateway's own system: no packet leaves. Another program of another
//! user on the same machine may well get through.
//!
//! ## Fix
//! Allow this one destination in the rule that denies it.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{address, remote};
use crate::text::{DECIDES, Text, When, any};
use crate::{platform, wording};
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "egress_policy_denied",
    family: Family::F3,
    title: "A rule on the gateway's side does not let it out",
    side: Side::Platform,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectTimedOut, 0.03),
            (Sign::NetworkUnreachable, 0.05),
            (Sign::ConnectDenied, 0.02),
            (Sign::ConnectNotPermitted, 0.88),
        ],
        clues: &[any(Sign::PolicyDenied, DECIDES)],
        brings: &["firewall_drop"],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match case.fault()? {
        Fault::Connect(ConnectFault::NotPermitted) => 0.75,
        Fault::Connect(ConnectFault::PermissionDenied) if case.unix_path().is_none() => 0.2,
        Fault::Connect(ConnectFault::TimedOut(_)) if remote(case) => 0.04,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!("this machine's own rules do not let the gateway connect to {}", case.dialled()),
        "this system itself forbade the connection: nothing was sent",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look for a rule about what goes out",
            "nft list ruleset | grep -nA20 'hook output'",
        ),
        Fix::run("Look for a route that prohibits it", format!("ip route get {}", address(case))),
        Fix::run(
            "Look at what the gateway's unit forbids",
            "systemctl show -p IPAddressDeny,IPAddressAllow,RestrictAddressFamilies goodgate",
        ),
        Fix::new("Allow this one destination in the rule that denies it"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let hop = dossier.hop();
    if let Some(seen) = wording::first(dossier, Sign::PolicyDenied, When::Any) {
        let to = seen.key.upstream.as_deref().or(dossier.upstream());
        let to = to.map(|it| format!(" to {}", wording::brief(it))).unwrap_or_default();
        return Some(format!("a network policy denies the traffic{to}"));
    }
    let upstream = dossier.upstream()?;
    Some(format!("a rule of the own host of {hop} forbids it to connect to {upstream}"))
}

fn cure(dossier: &Dossier) -> Cure {
    let to = dossier.address();
    let (look, now) = match platform::kubernetes(dossier) {
        true => (
            Step::look(
                "See which policies select the proxy and the app",
                "kubectl get networkpolicy -A -o wide",
            ),
            Step::say(format!(
                "Add a rule to the policy that allows the proxy's pods to reach {to}, on that port alone"
            )),
        ),
        false => (
            Step::look(
                "See which rule denies it: the packet filter's output chain, or the unit's own limits",
                "sudo nft list ruleset; systemctl show -p IPAddressDeny,RestrictAddressFamilies PROXY",
            ),
            Step::say(format!("Allow {to}, and nothing else, in the rule that denies it")),
        ),
    };
    Cure {
        before: vec![look],
        now: vec![now],
        lasting: vec![Step::say(
            "Keep the rule beside the proxy's own configuration, so that a new upstream brings its rule along",
        )],
        verify: vec![wording::answers(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_among, check_not, check_text, nginx_to};

    #[test]
    fn not_permitted_is_our_own_side() {
        check(
            "connect: not_permitted | to=10.0.0.7:8000 errno=1",
            "egress_policy_denied: this machine's own rules do not let the gateway connect to \
             10.0.0.7:8000",
        );
    }

    #[test]
    fn a_policy_may_also_drop() {
        check_among("connect: timed_out | to=10.0.0.7:8000", "egress_policy_denied");
    }

    #[test]
    fn a_socket_file_is_not_egress() {
        check_not("connect: permission_denied | to=unix:/run/app.sock", "egress_policy_denied");
    }

    #[test]
    fn the_own_host_forbids_it() {
        check_text(
            &[(
                "error.log",
                &nginx_to(
                    "192.0.2.9:8000",
                    "connect() to 192.0.2.9:8000 failed (1: Operation not permitted) while connecting to upstream",
                ),
            )],
            "egress_policy_denied: a rule of the own host of nginx forbids it to connect to 192.0.2.9:8000\n\
             before: See which rule denies it: the packet filter's output chain, or the unit's own limits [sudo nft list ruleset; systemctl show -p IPAddressDeny,RestrictAddressFamilies nginx] checks\n\
             now: Allow 192.0.2.9:8000, and nothing else, in the rule that denies it\n\
             lasting: Keep the rule beside the proxy's own configuration, so that a new upstream brings its rule along\n\
             verify: 192.0.2.9:8000 answers by itself [curl -sv http://192.0.2.9:8000/ -o /dev/null] checks",
        );
    }
}
