//! A machine on the way remembers every connection in a table, the table is full, and it drops the
//! packets of new ones.
//!
//! ## What you see
//! New connections time out at random, to all addresses, while open ones go on. The kernel of that
//! machine logs `nf_conntrack: nf_conntrack: table full, dropping packet`. A gateway sees only
//! that: nginx `upstream timed out (110: Connection timed out) while connecting to upstream`. DNS
//! fails as well.
//!
//! ## Why it happens
//! NAT and stateful firewalls (so every Docker host and Kubernetes node) keep an entry for each
//! flow, also minutes after it ended. Many short connections, a scan, or a table that is small for
//! the machine fill it.
//!
//! ## How to tell
//! `nf_conntrack_count` has reached `nf_conntrack_max` on the gateway's host, on the target's or on
//! a NAT between them. `firewall_drop` drops one port always, `accept_backlog_full` one listener;
//! this drops anything for a while.
//!
//! ## Fix
//! Make fewer connections: keep them alive towards upstreams. Then raise
//! `net.netfilter.nf_conntrack_max` with the memory for it, and shorten how long closed flows are
//! remembered.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::window;
use crate::text::{DECIDES, Text, When, during};
use crate::wording;
use evidence::{Sign, Stack};

pub(super) static CAUSE: Cause = Cause {
    id: "conntrack_table_full",
    family: Family::F3,
    title: "The kernel's connection table is full and packets are dropped",
    side: Side::Platform,
    retry: RetryClass::R0,
    passing: true,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::ConnectTimedOut, 0.005)],
        clues: &[during(Sign::ConntrackFull, DECIDES)],
        brings: &["firewall_drop"],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Compare the entries with the limit, on each host on the way",
            "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
        ),
        Fix::run(
            "Look for the kernel's line",
            format!("journalctl -k {} --grep 'nf_conntrack'", window(case)),
        ),
        Fix::new(
            "Keep connections to upstreams alive; then raise `net.netfilter.nf_conntrack_max`",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    wording::first(dossier, Sign::ConntrackFull, When::During)?;
    Some(
        "the kernel's connection table is full, and it drops packets of new connections".to_owned(),
    )
}

fn cure(dossier: &Dossier) -> Cure {
    let count = "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max";
    let mut lasting = Vec::new();
    if dossier.incident.hop.stack() == Stack::Nginx {
        lasting.push(Step::say(
            "Make fewer connections: `keepalive 32;` in the `upstream` block, with \
             `proxy_http_version 1.1;` and `proxy_set_header Connection \"\";`",
        ));
    } else {
        lasting.push(Step::say(
            "Make fewer connections: let the proxy keep those to the upstream alive",
        ));
    }
    lasting.push(Step::say(
        "Keep the setting in `/etc/sysctl.d/`, and watch the count against the limit",
    ));
    Cure {
        before: vec![Step::look("See the count against the limit, and who fills it", format!("{count}; sudo conntrack -S"))],
        now: vec![
            Step::run(
                "Raise the limit, at some 320 bytes of memory an entry: that hides a leak or a scan that fills any table",
                "sudo sysctl -w net.netfilter.nf_conntrack_max=262144",
                Risk::None,
            )
            .hides(),
        ],
        lasting,
        verify: vec![Step::look("The count stays below the limit under load", count)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{UNREACHED, check_text, nginx_to};

    #[test]
    fn the_table_of_the_kernel_is_full() {
        check_text(
            &[
                ("error.log", &nginx_to("192.0.2.9:8000", UNREACHED)),
                (
                    "kern.log",
                    "Nov 20 15:16:30 gw kernel: nf_conntrack: nf_conntrack: table full, dropping packet\n",
                ),
            ],
            "conntrack_table_full: the kernel's connection table is full, and it drops packets of new connections\n\
             before: See the count against the limit, and who fills it [sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max; sudo conntrack -S] checks\n\
             now: Raise the limit, at some 320 bytes of memory an entry: that hides a leak or a scan that fills any table [sudo sysctl -w net.netfilter.nf_conntrack_max=262144] hides\n\
             lasting: Make fewer connections: `keepalive 32;` in the `upstream` block, with `proxy_http_version 1.1;` and `proxy_set_header Connection \"\";`\n\
             lasting: Keep the setting in `/etc/sysctl.d/`, and watch the count against the limit\n\
             verify: The count stays below the limit under load [sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max] checks",
        );
    }
}
