//! The gateway could not open another connection, because its own limit of open files is reached.
//!
//! ## What you see
//! 503 for many upstreams at once, under load. nginx logs `socket() failed (24: Too many open
//! files) while connecting to upstream` and answers 500; Go says `accept4: too many open files;
//! retrying in 5ms`; HAProxy `reached process FD limit`. The kernel's own limit shows as `VFS:
//! file-max limit N reached`.
//!
//! ## Why it happens
//! Each proxied request holds two descriptors. A limit of 1,024, the default of many systems, ends
//! at about 500 requests; slow upstreams get there with little traffic, and a leak without any.
//!
//! ## How to tell
//! Count the open files of the gateway's process against its limit.
//!
//! ## Fix
//! Raise the limit of the service (`LimitNOFILE=65536` in its unit). If the count grows without
//! traffic, look for what is left open; if it grows with slow upstreams, bound them by
//! `pool.connections`.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use evidence::{Limit, Sign, Stack};
use exchange::{ConnectFault, Refusal};

/// ENFILE: the limit of the whole system.
const SYSTEM: i32 = 23;

pub(super) static CAUSE: Cause = Cause {
    id: "gateway_fd_exhausted",
    family: Family::F11,
    title: "The gateway has no file descriptor left",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::NoDescriptors, 0.95)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    if case.refusal() == Some(Refusal::NoDescriptors) {
        return Some(Finding::new(
            0.95,
            "the gateway's process has no file descriptor left for another connection",
            "the gateway's own system refused to accept the connection; no upstream was asked",
        ));
    }
    let ConnectFault::NoDescriptors = case.connect_fault()? else {
        return None;
    };
    let whose = match case.attempt()?.errno {
        Some(SYSTEM) => "the gateway's host",
        _ => "the gateway's process",
    };
    Some(Finding::new(
        0.95,
        format!("{whose} has no file descriptor left for a connection to {}", case.dialled()),
        "the gateway's own system refused to open a socket; the upstream was never asked",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Compare the gateway's open files with its limit",
            "p=$(pgrep -xo goodgate); ls /proc/$p/fd | wc -l; grep 'open files' /proc/$p/limits",
        ),
        Fix::new("Raise the limit of its service: `LimitNOFILE=65536` in the systemd unit"),
        Fix::new("Bound connections to slow upstreams with `pool.connections`"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let stack = dossier.incident.hop.stack();
    let hop = dossier.hop();
    let limit = dossier.limit(Limit::Descriptors, |it| it.stack() == stack);
    let of = limit.map(|(value, _)| format!(" of {value}")).unwrap_or_default();
    Some(format!("{hop} reached its limit{of} of open files, and could not open a connection"))
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    let process = match dossier.incident.hop.stack() {
        Stack::Nginx => "nginx",
        Stack::Apache => "apache2",
        Stack::HaProxy => "haproxy",
        Stack::Envoy => "envoy",
        Stack::Traefik => "traefik",
        Stack::Caddy => "caddy",
        _ => "PROXY",
    };
    let set = advice::set(
        dossier,
        "Raise the limit: two files for each connection that is proxied, and one for each log and cached file",
        &[
            (Hop::Nginx, "worker_rlimit_nofile 65535;"),
            (Hop::HaProxy, "maxconn 20000\nulimit-n 65535"),
        ],
    );
    Cure {
        before: vec![
            Step::look(
                "Compare what is open with the limit, and see what it is: thousands in `CLOSE-WAIT` are a leak, not a load",
                format!("for p in $(pgrep {process}); do ls /proc/$p/fd | wc -l; grep 'open files' /proc/$p/limits; done; ss -tan | awk '{{print $1}}' | sort | uniq -c"),
            )
            .at(at.clone()),
        ],
        now: vec![
            set,
            Step::run(
                "Raise the service's limit with it, and start it anew",
                format!("sudo mkdir -p /etc/systemd/system/{process}.service.d && printf '[Service]\\nLimitNOFILE=65535\\n' | sudo tee /etc/systemd/system/{process}.service.d/limits.conf && sudo systemctl daemon-reload && sudo systemctl restart {process}"),
                Risk::Restart,
            )
            .at(at.clone()),
        ],
        lasting: vec![Step::say("Reuse connections to the upstream, and let an alarm ring at 80 % of the limit")],
        verify: vec![Step::look("See the new limit in force", format!("grep 'open files' /proc/$(pgrep -o {process})/limits")).at(at)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn no_descriptor_left() {
        check(
            "connect: no_descriptors | to=10.0.0.7:8000 errno=24",
            "gateway_fd_exhausted: the gateway's process has no file descriptor left for a \
             connection to 10.0.0.7:8000",
        );
    }

    #[test]
    fn nor_for_a_client() {
        check(
            "refused: no_descriptors",
            "gateway_fd_exhausted: the gateway's process has no file descriptor left for another \
             connection",
        );
    }

    #[test]
    fn nor_in_the_whole_system() {
        check(
            "connect: no_descriptors | to=10.0.0.7:8000 errno=23",
            "gateway_fd_exhausted: the gateway's host has no file descriptor left for a \
             connection to 10.0.0.7:8000",
        );
    }

    #[test]
    fn a_missing_port_is_another_shortage() {
        check_not("connect: no_local_port | to=10.0.0.7:8000", "gateway_fd_exhausted");
    }

    #[test]
    fn nginx_has_no_file_left() {
        let line = nginx(
            "socket() failed (24: Too many open files) while connecting to upstream",
            "http://127.0.0.1:8000/",
        );
        let report = check_report(
            &[("error.log", &line)],
            "gateway_fd_exhausted: nginx reached its limit of open files, and could not open a connection",
        );
        check_told(&report, &["worker_rlimit_nofile 65535;"]);
    }
}
