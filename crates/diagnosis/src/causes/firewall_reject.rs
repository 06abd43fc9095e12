//! A firewall on the way refuses the connection, although the app listens.
//!
//! ## What you see
//! Refusals or `No route to host` within a millisecond or two from this gateway, while the app
//! answers on its own machine. It looks like `process_down` or `no_route`.
//!
//! ## Why it happens
//! The packet filter is set to reject, not to drop: with a TCP reset or `icmp-port-unreachable`
//! (seen as ECONNREFUSED), or with `icmp-host-prohibited` (EHOSTUNREACH), the default of firewalld.
//!
//! ## How to tell
//! `ss -ltnp` on the target shows the listener, and a connect there works. A rule with `reject`
//! stands in `nft list ruleset` or `iptables -S`, and its counter grows.
//!
//! ## Fix
//! Allow the gateway's address on that port, as narrowly as that (`firewall-cmd --permanent
//! --add-rich-rule`), and reload.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::Cure;
use crate::signs::{neighbour_silent, remote};
use crate::text::{Claim, DECIDES, RULES_OUT, Text, When, during};
use crate::wording;
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "firewall_reject",
    family: Family::F3,
    title: "A firewall refuses connections to the upstream",
    side: Side::Network,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::ConnectRefused, 0.005), (Sign::HostUnreachable, 0.1)],
        clues: &[during(Sign::FirewallRejected, DECIDES)],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match case.fault()? {
        Fault::Connect(ConnectFault::Refused) if remote(case) => 0.03,
        Fault::Connect(ConnectFault::HostUnreachable) if !neighbour_silent(case) => 0.25,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!("a firewall before {} may refuse this gateway", case.dialled()),
        "a filter that rejects answers in the target's place, and fast",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "On the target, look for a rule that rejects, and whether its counter grows",
            "nft list ruleset | grep -n reject",
        ),
        Fix::new(format!(
            "Allow this gateway's address on port {} there, and no more than that",
            case.port().unwrap_or(80)
        )),
    ]
}

fn reason(dossier: &Dossier) -> Vec<Claim> {
    match dossier.dials_loopback() {
        true => vec![Claim::new(RULES_OUT, "the proxy dials its own machine", Vec::new())],
        false => Vec::new(),
    }
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::FirewallRejected, When::During)?;
    let to = seen.key.upstream.as_deref().or(dossier.upstream());
    Some(match to {
        Some(to) => format!("a firewall rejected the connection to {}", wording::brief(to)),
        None => "a firewall rejected the connection".to_owned(),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    wording::allowed(dossier)
}

#[cfg(test)]
mod tests {
    use crate::testing::{REFUSED, check_among, check_not, check_text, nginx_to};

    #[test]
    fn an_answer_in_the_targets_place() {
        check_among("connect: host_unreachable | to=10.0.0.7:80 after=1ms", "firewall_reject");
        check_among("connect: refused | to=10.0.0.7:80", "firewall_reject");
    }

    #[test]
    fn a_firewall_does_not_take_seconds_to_refuse() {
        check_not("connect: host_unreachable | to=10.0.0.7:80 after=3s", "firewall_reject");
    }

    #[test]
    fn the_rule_of_firewalld_gets_a_hole_for_the_proxy_alone() {
        check_text(
            &[
                ("error.log", &nginx_to("192.0.2.9:8000", REFUSED)),
                (
                    "kern.log",
                    "Nov 20 15:16:30 app1 kernel: [12.345678] FINAL_REJECT: IN=eth0 OUT= SRC=192.0.2.7 DST=192.0.2.9 PROTO=TCP DPT=8000\n",
                ),
            ],
            "firewall_reject: a firewall rejected the connection to 192.0.2.9:8000\n\
             before: See which rule it is [sudo firewall-cmd --list-all] checks\n\
             now: Allow the proxy's address, and only that, on port 8000 [sudo firewall-cmd --permanent --add-rich-rule='rule family=ipv4 source address=PROXY_ADDRESS port port=8000 protocol=tcp accept' && sudo firewall-cmd --reload]\n\
             lasting: Do the same where clouds keep such rules: the security group of the target, the network ACL in both directions, a NetworkPolicy\n\
             verify: 192.0.2.9:8000 answers by itself [curl -sv http://192.0.2.9:8000/ -o /dev/null] checks",
        );
    }
}
