//! A worker process of the proxy died, and every request that it held vanished with it.
//!
//! ## What you see
//! Many clients lose their connections in the same second, on all routes, and the access log has no
//! lines for them. nginx logs at level alert `worker process N exited on signal 11 (core dumped)`;
//! HAProxy `Current worker (N) exited with code 139 (Segmentation fault)`; Apache `AH00052: child
//! pid N exit signal Segmentation fault (11)`; the kernel `nginx[N]: segfault at ...`.
//!
//! ## Why it happens
//! A bug in the proxy or in a module that was loaded into it (Lua, a firewall, a tracer), a module
//! built for another version, broken memory, or a kill for memory (signal 9).
//!
//! ## How to tell
//! The process that died is the proxy's, at the time of the failures; upstreams saw their
//! connections end. If a worker of the app died, it is `worker_crashed`; signal 9 points to
//! `gateway_memory`.
//!
//! ## Fix
//! Take the core dump, update the proxy and its modules together, and leave out the module that was
//! added last. Signal 9: give it memory, or find what uses it.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::signs::window;
use crate::text::{DECIDES, Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "gateway_worker_crash",
    family: Family::F11,
    title: "A worker of the proxy itself crashed",
    side: Side::Gateway,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[during(Sign::ProxyWorkerCrashed, DECIDES)],
        brings: &["premature_close", "connection_reset"],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look for the death of a worker",
            format!(
                "journalctl {} --grep 'exited on signal|exited with code|exit signal|segfault'",
                window(case),
            ),
        ),
        Fix::run("See the dump", "coredumpctl list --since today"),
        Fix::new(
            "Update the proxy and its modules together; leave out the one that was added last",
        ),
    ]
}
