//! A firewall on the way drops the connection without a word.
//!
//! ## What you see
//! Connecting times out, every time, from this gateway, and works from elsewhere. nginx answers 504
//! and logs `upstream timed out (110: Connection timed out) while connecting to upstream`; HAProxy
//! 503 with `sC--`; Caddy 502 with `dial tcp A:P: i/o timeout`.
//!
//! ## Why it happens
//! A security group, network policy or packet filter has no rule for this path and drops, which is
//! the default of the clouds. Nobody answers, so the SYN is repeated until a limit ends it.
//!
//! ## How to tell
//! From the target itself the port answers. A capture on the target sees no SYN. If it sees them
//! and the listen queue is full, it is `accept_backlog_full`; if no port of that machine answers to
//! anybody, `host_down`.
//!
//! ## Fix
//! Allow the gateway's address on that port where the rule is missing: security group of the
//! target, network ACL in both directions, NetworkPolicy, `nft list ruleset`. A longer connect
//! timeout only makes each failure take longer.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::Cure;
use crate::signs::{address, remote};
use crate::text::{Claim, DECIDES, SPEAKS, STRONG, Text, When, during};
use crate::wording;
use evidence::{Sign, What};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "firewall_drop",
    family: Family::F3,
    title: "A firewall drops connections to the upstream",
    side: Side::Network,
    retry: RetryClass::R0,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectTimedOut, 0.32),
            (Sign::HostUnreachable, 0.02),
            (Sign::ConnectFailed, 0.12),
            (Sign::TlsTimedOut, 0.1),
            (Sign::Answered504, 0.1),
        ],
        clues: &[during(Sign::FirewallDropped, DECIDES)],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::TimedOut(limit)) = case.fault()? else {
        return None;
    };
    let dialled = case.dialled();
    Some(Finding::new(
        if remote(case) { 0.4 } else { 0.03 },
        format!(
            "nothing came back from {dialled} within {}: something on the way drops it",
            words(limit.value)
        ),
        "a closed port would have been refused at once; silence is a drop",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let (address, port) = (address(case), case.port().unwrap_or(80));
    vec![
        Fix::run(
            "On the target, see whether anything arrives while you try",
            format!("tcpdump -ni any 'tcp port {port} and tcp[tcpflags] & tcp-syn != 0'"),
        ),
        Fix::run("See where on the way it ends", format!("tracepath -n {address}")),
        Fix::new(format!(
            "Allow this gateway to reach port {port} of {address}: security group, network ACL, \
             NetworkPolicy, packet filter"
        )),
    ]
}

/// A rule of the packet filter that drops what the gateway sends: all of it, or what goes to the
/// dialled port.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let ports: Vec<u16> =
        dossier.dialled().iter().filter_map(|it| evidence::address::port(&it.to)).collect();
    let rules = dossier.settings(|it| match &it.what {
        What::Blocks { port: Some(port), rejects: false, .. } => {
            ports.contains(port).then_some((STRONG, "a rule drops what goes to that port"))
        }
        What::Blocks { port: None, rejects: false, .. } => {
            Some((SPEAKS, "a rule drops all that no rule before it has let through"))
        }
        _ => None,
    });
    let rule = rules.into_iter().max_by(|a, b| a.0.0.total_cmp(&b.0.0));
    rule.map(|((weight, says), cite)| Claim::new(weight, says, vec![cite])).into_iter().collect()
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::FirewallDropped, When::During)?;
    let to = seen.key.upstream.as_deref().or(dossier.upstream());
    Some(match to {
        Some(to) => format!("a firewall dropped the packets to {}", wording::brief(to)),
        None => "a firewall dropped the packets".to_owned(),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    wording::allowed(dossier)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_rule_that_drops_everything_speaks_for_it() {
        let report = crate::testing::explained(&[
            ("fw.sh", "iptables -A INPUT -s 192.0.2.0/24 -j ACCEPT\niptables -I DOCKER -j DROP\n"),
            ("page.txt", "504 Gateway Time-out\n"),
        ]);
        let ids: Vec<&str> = report.candidates.iter().map(|it| it.cause.as_str()).collect();
        assert!(ids.iter().take(3).any(|it| *it == "firewall_drop"), "{ids:?}");
    }

    use crate::testing::{UNREACHED, check, check_among, check_not, check_text, nginx_to};

    #[test]
    fn silence_across_a_network_is_a_drop() {
        check(
            "connect: timed_out | to=10.0.0.7:8000",
            "firewall_drop: nothing came back from 10.0.0.7:8000 within 60 s: something on the \
             way drops it",
        );
    }

    #[test]
    fn a_firewall_rarely_stands_on_loopback() {
        check_among("connect: timed_out | to=127.0.0.1:8000", "firewall_drop");
    }

    #[test]
    fn a_refusal_is_an_answer() {
        check_not("connect: refused | to=10.0.0.7:8000", "firewall_drop");
    }

    #[test]
    fn the_rule_of_ufw_gets_a_hole_for_the_proxy_alone() {
        check_text(
            &[
                ("error.log", &nginx_to("192.0.2.9:8000", UNREACHED)),
                (
                    "kern.log",
                    "Nov 20 15:16:30 app1 kernel: [12.345678] [UFW BLOCK] IN=eth0 OUT= MAC=aa:bb SRC=192.0.2.7 DST=192.0.2.9 LEN=60 TOS=0x00 PROTO=TCP SPT=51000 DPT=8000 WINDOW=64240 SYN URGP=0\n",
                ),
            ],
            "firewall_drop: a firewall dropped the packets to 192.0.2.9:8000\n\
             before: See which rule it is [sudo ufw status numbered] checks\n\
             now: Allow the proxy's address, and only that, on port 8000 [sudo ufw allow from PROXY_ADDRESS to any port 8000 proto tcp]\n\
             lasting: Do the same where clouds keep such rules: the security group of the target, the network ACL in both directions, a NetworkPolicy\n\
             verify: 192.0.2.9:8000 answers by itself [curl -sv http://192.0.2.9:8000/ -o /dev/null] checks",
        );
    }
}
