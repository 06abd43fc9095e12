//! The client's session is bound to one server, which is gone or down, and the gateway does not
//! choose another.
//!
//! ## What you see
//! Some users get 502 or 503 with every request while others get none; without cookies it works.
//! HAProxy shows D or I as the third of its four flags, as in `SCDN`: the cookie names a server
//! that is down, or one that does not exist. Apache logs `AH01167: balancer://b: All workers are in
//! error state for route (r1)`.
//!
//! ## Why it happens
//! A cookie, a hash of the address or a route in the session id decides the server. After a deploy
//! or a crash the server of that name is not there, and the gateway either insists (`option
//! persist`, no `option redispatch`, `nofailover=On`) or sends on to one that does not know the
//! session.
//!
//! ## How to tell
//! Failures go with users, not with routes or times. Delete the cookie, and it works. If every
//! server fails, it is `no_live_upstreams`.
//!
//! ## Fix
//! Let the gateway choose anew (`option redispatch`), keep sessions in a store that all instances
//! share, and drain a server before it goes so that no new sessions are bound to it.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;

pub(super) static CAUSE: Cause = Cause {
    id: "sticky_target_gone",
    family: Family::F12,
    title: "A session is bound to a server that is gone",
    side: Side::Gateway,
    retry: RetryClass::R0,
    passing: false,
    look: silent,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Try the same request without its cookies: if that works, the binding is the reason",
        ),
        Fix::new(
            "Let the gateway choose another server when the bound one is gone: `option redispatch` \
             in HAProxy",
        ),
        Fix::new("Keep sessions outside the instances, so that any server may take any user"),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        now: vec![advice::set(
            dossier,
            "Let a caller whose server is gone be sent to another one",
            &[
                (Hop::HaProxy, "option redispatch\ncookie SERVERID insert indirect nocache"),
                (Hop::Apache, "ProxySet nofailover=Off"),
                (
                    Hop::IngressNginx,
                    "nginx.ingress.kubernetes.io/session-cookie-change-on-failure: \"true\"",
                ),
            ],
        )],
        lasting: vec![Step::say(
            "Keep sessions in a store that all servers share, so that no caller needs a certain one",
        )],
        verify: vec![advice::through(dossier, "an answer with an old cookie too")],
        ..Cure::default()
    }
}
