//! The request was refused because of who sent it: without credentials, with wrong ones, or without
//! the right.
//!
//! ## What you see
//! 401 or 403 from the gateway, a service that decides for it, or the app. nginx logs `user "x":
//! password mismatch`, `no user/password was provided for basic authentication`, `access forbidden
//! by rule` or `auth request unexpected status: 500 while sending to client`; Envoy sets `UAEX`
//! with `ext_authz_denied` or `rbac_access_denied_matched_policy[none]`; gateways with JWT say `Jwt
//! is expired`, `Jwt issuer is not configured`, `RBAC: access denied`.
//!
//! ## Why it happens
//! A token that has ended, was made for another audience, or is signed by a key that was changed; a
//! clock that is wrong; an address that is not on the list; a missing right. If the service that
//! decides fails itself, callers see 403 or 500 for all.
//!
//! ## How to tell
//! For one caller it is the credentials; for all at once the keys (JWKS), the clock or the service
//! that decides. 401 says who are you, 403 says you may not. A certificate that is refused in the
//! handshake is `client_tls`.
//!
//! ## Fix
//! Renew the token, or give the right. For all callers: see whether the gateway can reach the keys
//! and the service that decides, and cure that; do not switch it off.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;

pub(super) static CAUSE: Cause = Cause {
    id: "auth_denied",
    family: Family::F15,
    title: "The request was refused for who sent it",
    side: Side::Client,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "See whether one caller is hit or all: credentials in the one case, keys, clock or the \
             deciding service in the other",
        ),
        Fix::new(
            "Renew the token, and compare its `exp`, `aud` and `iss` with what the gateway expects",
        ),
    ]
}

fn cure(_: &Dossier) -> Cure {
    Cure {
        before: vec![Step::look(
            "See what the refusal says",
            "curl -sS -i -H \"Authorization: Bearer $TOKEN\" https://SITE/PATH | grep -iE '^HTTP|www-authenticate'",
        )],
        now: vec![Step::say(
            "Let the caller send a key that is valid, has not run out, and may use this route",
        )],
        verify: vec![Step::look(
            "See 200 with that key",
            "curl -sS -o /dev/null -w '%{http_code}\\n' -H \"Authorization: Bearer $TOKEN\" https://SITE/PATH",
        )],
        ..Cure::default()
    }
}
