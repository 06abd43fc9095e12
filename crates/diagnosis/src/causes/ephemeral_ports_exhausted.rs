//! Every local port towards this one target is in use, so no further connection can be opened.
//!
//! ## What you see
//! 503 under load, for one target, while others are fine. nginx logs `connect() to A failed (99:
//! Cannot assign requested address)` at crit, HAProxy `Connect() failed for backend X: no free
//! ports.`, Go `connect: cannot assign requested address`.
//!
//! ## Why it happens
//! A connection needs a local port, about 28,000 of which are open to each address and port of a
//! target, and a closed one keeps its port for a minute (TIME_WAIT). 500 new connections a second
//! use them up. The root is mostly that connections are not kept: a target that answers
//! `Connection: close`, or one that is limited to few requests a connection.
//!
//! ## How to tell
//! Count the sockets in TIME_WAIT towards the target against `ip_local_port_range`.
//!
//! ## Fix
//! Keep connections: let the target keep them alive, and give `pool.idle` room. Then a wider port
//! range, or more addresses of the target.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;
use exchange::ConnectFault;

pub(super) static CAUSE: Cause = Cause {
    id: "ephemeral_ports_exhausted",
    family: Family::F11,
    title: "The gateway has no local port left towards this target",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::NoLocalPort, 0.9)], ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let ConnectFault::NoLocalPort = case.connect_fault()? else {
        return None;
    };
    Some(Finding::new(
        0.9,
        format!("the gateway's host has no free local port for a connection to {}", case.dialled()),
        "the gateway's own system refused to choose a port; the upstream was never asked",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let port = case.port().unwrap_or(80);
    vec![
        Fix::run(
            "Count closed connections that still hold a port, against the range",
            format!(
                "ss -Htan state time-wait 'dport = :{port}' | wc -l; \
                 sysctl net.ipv4.ip_local_port_range"
            ),
        ),
        Fix::new(format!(
            "Keep connections instead of opening new ones: keep-alive on the target, and room \
             in {}",
            case.setting("pool.idle")
        )),
        Fix::run("Widen the range of ports", "sysctl -w net.ipv4.ip_local_port_range='1024 65000'"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn no_port_left() {
        check(
            "connect: no_local_port | to=10.0.0.7:8000",
            "ephemeral_ports_exhausted: the gateway's host has no free local port for a \
             connection to 10.0.0.7:8000",
        );
    }

    #[test]
    fn a_missing_descriptor_is_another_shortage() {
        check_not("connect: no_descriptors | to=10.0.0.7:8000", "ephemeral_ports_exhausted");
    }
}
