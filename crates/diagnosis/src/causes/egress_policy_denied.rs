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
use crate::look::Fix;
use crate::signs::{address, remote};
use crate::text::{DECIDES, Text, any};
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

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_among, check_not};

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
}
