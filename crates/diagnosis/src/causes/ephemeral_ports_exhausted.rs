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

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use evidence::{Sign, address};
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
    text: Text { behind: &[(Sign::NoLocalPort, 0.9)], says, cure, ..Text::NONE },
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

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} has no free local port left for a connection to {}",
        dossier.hop(),
        dossier.address()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    let to = dossier
        .upstream()
        .map_or_else(|| "ADDRESS".to_owned(), |it| advice::word(address::host(it)));
    let count = format!(
        "ss -tan dst {to} | awk '{{print $1}}' | sort | uniq -c; sysctl net.ipv4.ip_local_port_range"
    );
    Cure {
        before: vec![Step::look("Count the connections to the upstream: tens of thousands in `TIME-WAIT` are connections used once", count.clone()).at(at.clone())],
        now: advice::change(
            dossier,
            "Keep connections to the upstream open and reuse them",
            &[
                (Hop::Nginx, "upstream app {\n    server ADDRESS:PORT;\n    keepalive 64;\n}\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";"),
                (Hop::HaProxy, "http-reuse safe"),
                (Hop::Apache, "ProxyPass / http://ADDRESS:PORT/ enablereuse=on keepalive=On"),
                (Hop::Traefik, "serversTransports: { app: { maxIdleConnsPerHost: 256 } }"),
            ],
        ),
        lasting: vec![
            Step::run("Let more ports be used, and those in `TIME-WAIT` again", "sudo sysctl -w net.ipv4.ip_local_port_range='1024 65000' net.ipv4.tcp_tw_reuse=1", Risk::None).at(at.clone()),
            Step::say("Keep both in `/etc/sysctl.d/`; several addresses of the upstream multiply the ports"),
        ],
        verify: vec![Step::look("See the number stay in the thousands", count).at(at)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
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

    #[test]
    fn nginx_has_no_port_left() {
        let line = nginx(
            "connect() to 127.0.0.1:8000 failed (99: Cannot assign requested address) while connecting to upstream",
            "http://127.0.0.1:8000/",
        );
        check_report(
            &[("error.log", &line)],
            "ephemeral_ports_exhausted: nginx has no free local port left for a connection to 127.0.0.1:8000",
        );
    }
}
