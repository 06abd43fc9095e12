//! The gateway's host had no memory left for a connection, or the gateway has used nearly all that
//! it is allowed.
//!
//! ## What you see
//! 503 for many upstreams at once. HAProxy logs `Out of system buffers` or `ENOMEM returned by OS`,
//! the kernel `TCP: out of memory -- consider tuning tcp_mem`.
//!
//! ## Why it happens
//! The host or the container is out of memory, or TCP's own share (`tcp_mem`) is used up by many
//! connections whose other side reads slowly. Goodgate itself refuses new requests above
//! `limits.memory`, a share of what its control group allows, since the kernel would kill it soon.
//!
//! ## How to tell
//! The kernel's log, and the memory of TCP in `/proc/net/sockstat` against `tcp_mem`.
//!
//! ## Fix
//! Find who uses the memory. Fewer slow connections (`pool.connections`) help at once; more memory,
//! or a larger share for TCP, after.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use evidence::Sign;
use exchange::Refusal;

pub(super) static CAUSE: Cause = Cause {
    id: "gateway_memory",
    family: Family::F11,
    title: "The gateway's host has no memory for a connection",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::MemoryOut, 0.92)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    if case.refusal() == Some(Refusal::MemoryFull) {
        return Some(Finding::new(
            0.95,
            "the gateway uses nearly all memory that its control group allows, and takes no new \
             requests",
            "the memory in use is above `limits.memory`; no upstream was asked",
        ));
    }
    case.no_memory().then(|| {
        Finding::new(
            0.9,
            format!(
                "the gateway's host has no memory left for its connection to {}",
                case.dialled()
            ),
            "the gateway's own system refused; the upstream has no part in it",
        )
    })
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See what the kernel says about memory, and what TCP uses of its share",
            "dmesg -T | grep -i 'out of memory' | tail; cat /proc/net/sockstat; \
             sysctl net.ipv4.tcp_mem",
        ),
        Fix::run("See who uses the memory", "ps -eo rss,pid,comm --sort=-rss | head"),
        Fix::new("Bound connections to slow upstreams with `pool.connections`"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!("{} has no memory or buffers left of its own", dossier.hop()))
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    Cure {
        before: vec![Step::look("See who takes the memory", "free -m; ps -eo rss,comm --sort=-rss | head; sudo dmesg -T | grep -iE 'oom|out of memory' | tail").at(at.clone())],
        now: vec![
            advice::set(
                dossier,
                "Give each connection less: buffers times connections must fit into memory",
                &[
                    (Hop::Nginx, "proxy_buffers 8 8k;\nproxy_buffer_size 8k;"),
                    (Hop::HaProxy, "tune.bufsize 16384\nmaxconn 5000"),
                    (Hop::Envoy, "per_connection_buffer_limit_bytes: 32768"),
                ],
            ),
            Step::say("Or give the proxy's container or host more memory"),
        ],
        lasting: vec![Step::say("Bound the connections, and stream large bodies in place of buffering them")],
        verify: vec![Step::look("See memory left under load", "free -m").at(at)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn no_memory_for_a_socket() {
        check(
            "connect: no_memory | to=10.0.0.7:8000",
            "gateway_memory: the gateway's host has no memory left for its connection to \
             10.0.0.7:8000",
        );
    }

    #[test]
    fn no_memory_for_new_requests() {
        check(
            "refused: memory_full",
            "gateway_memory: the gateway uses nearly all memory that its control group allows, and \
             takes no new requests",
        );
    }

    #[test]
    fn no_memory_to_read() {
        check(
            "head: errno | fresh to=10.0.0.7:8000 errno=105",
            "gateway_memory: the gateway's host has no memory left for its connection to \
             10.0.0.7:8000",
        );
    }

    #[test]
    fn another_number_is_another_cause() {
        check_not("head: errno | fresh to=10.0.0.7:8000 errno=113", "gateway_memory");
    }
}
