//! Apache takes several Unix sockets with the same URL for one backend, and sends all of their
//! traffic to the first path.
//!
//! ## What you see
//! Requests for one app are answered by another, or fail with the errors of a socket that the route
//! does not name: `AH02454: http: attempt to connect to Unix domain socket /run/a.sock
//! (localhost:80) failed` on the routes of b. At level info Apache says `AH01149: Sharing worker
//! ...` while it reads its configuration.
//!
//! ## Why it happens
//! A worker of mod_proxy is known by the URL behind the bar. `unix:/run/a.sock|http://localhost/`
//! and `unix:/run/b.sock|http://localhost/` have the same one, so they share a worker, and the
//! worker has one path.
//!
//! ## How to tell
//! Two `ProxyPass` lines differ in the socket and agree behind the bar. The socket named in the
//! error is not the one of the route; a missing socket on the right path is `unix_socket_missing`.
//!
//! ## Fix
//! Give each a host of its own behind the bar: `unix:/run/a.sock|http://app-a/`,
//! `unix:/run/b.sock|http://app-b/`. Set `ProxyPreserveHost` if the app looks at the name.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;

pub(super) static CAUSE: Cause = Cause {
    id: "shared_worker_path",
    family: Family::F10,
    title: "Apache sends all socket paths to the first one",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Find the lines that share a URL",
            "grep -rnE 'unix:[^|]+\\|' /etc/apache2 /etc/httpd",
        ),
        Fix::new(
            "Give each socket a host of its own behind the bar, then reload: \
             `unix:/run/a.sock|http://app-a/`",
        ),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    Cure {
        before: vec![
            Step::look("See which processes share the socket's path", "sudo ss -lxp")
                .at(at.clone()),
        ],
        now: vec![
            Step::say(
                "Give each app a socket path of its own, such as `/run/APP/app.sock`, in its unit and in the proxy",
            ),
            Step::run("Start both anew", platform::restart(dossier), Risk::Restart).at(at),
        ],
        verify: vec![advice::through(dossier, "an answer of the right app")],
        ..Cure::default()
    }
}
