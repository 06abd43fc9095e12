//! The request to switch to WebSocket lost its `Upgrade` header on the way, or reached an app that
//! cannot switch.
//!
//! ## What you see
//! The browser says `WebSocket connection failed: Error during WebSocket handshake: Unexpected
//! response code: 400` (or 200, 404, 426, 502). Uvicorn logs `Unsupported upgrade request.` and `No
//! supported WebSocket library detected.`; Tomcat, Jetty and others answer 400 or 426.
//!
//! ## Why it happens
//! `Upgrade` and `Connection` belong to one hop. A proxy must be told to pass them on: nginx needs
//! `proxy_http_version 1.1` and both `proxy_set_header` lines. HTTP/2 has no such header at all. Or
//! the app server lacks the library (`uvicorn[standard]`, `websockets`), or the path is another.
//!
//! ## How to tell
//! Ask the app directly: 101 there and something else through the gateway means the gateway; no 101
//! there either means the app. A tunnel that opens and breaks later is `websocket_idle_timeout`.
//!
//! ## Fix
//! In nginx set `proxy_http_version 1.1`, `proxy_set_header Upgrade $http_upgrade` and
//! `proxy_set_header Connection $connection_upgrade`. In the app install the WebSocket library and
//! check the path.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::text::{DECIDES, Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "upgrade_not_forwarded",
    family: Family::F8,
    title: "A WebSocket did not reach the app as one",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::UpgradeRefused, 0.87)],
        clues: &[during(Sign::UpgradeRefused, DECIDES)],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Ask the app directly for a switch: it must answer 101",
            format!(
                "curl -isN --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H \
                 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' \
                 {}/PATH",
                case.url(),
            ),
        ),
        Fix::new("Let each proxy pass `Upgrade` and `Connection` on, over HTTP/1.1"),
        Fix::new(
            "If the app itself does not switch, install its WebSocket library and check the path",
        ),
    ]
}
