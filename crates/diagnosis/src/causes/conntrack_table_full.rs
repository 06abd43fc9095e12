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
use crate::look::Fix;
use crate::signs::window;
use crate::text::{DECIDES, Text, during};
use evidence::Sign;

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
