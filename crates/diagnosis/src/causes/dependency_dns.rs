//! The app cannot resolve the name of its database or of another service that it needs.
//!
//! ## What you see
//! 500 from the app. Python logs `[Errno -2] Name or service not known` or `[Errno -3] Temporary
//! failure in name resolution`; libpq `could not translate host name "db" to address`; Node
//! `getaddrinfo ENOTFOUND db` or `getaddrinfo EAI_AGAIN db`; Java `java.net.UnknownHostException:
//! db`; Go `dial tcp: lookup db on 127.0.0.11:53: no such host`; PHP `php_network_getaddresses:
//! getaddrinfo failed`.
//!
//! ## Why it happens
//! The service has another name or namespace, is on another Docker network, does not run (Docker
//! names only what runs), or the resolver of that container is slow or blocked.
//!
//! ## How to tell
//! These words stand in the app's log. In the gateway's log they are about the app itself:
//! `dns_nxdomain`, `dns_timeout`. `not known` and ENOTFOUND mean that there is no such name;
//! `temporary` and EAI_AGAIN that nobody answered.
//!
//! ## Fix
//! Correct the name, or put both on one network. For silence see the resolver of that container,
//! not the one of the host.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::signs::window;
use crate::text::{DECIDES, Text, before};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "dependency_dns",
    family: Family::F13,
    title: "The app cannot resolve the name of something it needs",
    side: Side::Platform,
    retry: RetryClass::R2,
    passing: false,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::DbNameUnknown, DECIDES)],
        brings: &[
            "crash_at_start",
            "crash_loop",
            "unhandled_exception",
            "response_header_timeout",
            "upstream_own_5xx",
        ],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("Ask from within the app's container", "getent hosts NAME; cat /etc/resolv.conf"),
        Fix::run(
            "Find the name in the app's log",
            format!(
                "journalctl {} --grep 'not known|name resolution|ENOTFOUND|EAI_AGAIN|no such \
                 host|translate host name'",
                window(case),
            ),
        ),
        Fix::new(
            "Correct the name in the app's settings, or join the network on which it is known",
        ),
    ]
}
