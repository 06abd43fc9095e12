//! The request reaches an app, but by a route or a rewritten path that this app does not have.
//!
//! ## What you see
//! 404 or 405 from the app for URLs that exist, sometimes 301 in circles, or the pages of another
//! service. The gateway logs nothing wrong. The app's log shows the path that arrived:
//! `/api/api/orders`, `//orders`, or `/orders` where it serves `/api/orders`.
//!
//! ## Why it happens
//! A prefix is taken off that the app expects, or left on that it does not know. In nginx a
//! `proxy_pass` with a path, if only `/`, replaces what `location` matched, and without one it does
//! not; two routes overlap and the longer one wins; a default server takes a host name that nobody
//! claims.
//!
//! ## How to tell
//! Compare the path at the gateway with the path in the app's log. If the gateway itself answered
//! 404, no route took it: `no_route_matched`. If the app behind a port is a stranger, it is
//! `wrong_port` or `dns_stale_ip`.
//!
//! ## Fix
//! Decide which side owns the prefix: take it off with `strip_prefix`, or let the app know it
//! (`root_path`, `SCRIPT_NAME`, `server.servlet.context-path`). In nginx check the slash at the end
//! of `proxy_pass`.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "wrong_route_or_path",
    family: Family::F12,
    title: "The path arrives at the app as another one",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::RouteWrong, 0.88)],
        clues: &[during(Sign::RouteWrong, 5.0)],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Ask the app for the path as it should be",
            format!("curl -si {}/PATH | head -n 20", case.url()),
        ),
        Fix::new(
            "Compare the path in the app's log with the one that was asked for, and correct \
             `strip_prefix` or the app's base path",
        ),
    ]
}
