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

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::{Text, When, during};
use evidence::{Product, Sign};

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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::RouteWrong, When::During).into_iter().next()?;
    if seen.key.product == Product::PhpFpm {
        return Some(format!(
            "{} asks php-fpm for a script that is not there, by `SCRIPT_FILENAME`",
            dossier.hop()
        ));
    }
    Some(format!(
        "{} sends the path to a place that {} does not have",
        dossier.hop(),
        dossier.server_at()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let php = dossier
        .seen(Sign::RouteWrong, When::During)
        .iter()
        .any(|it| it.key.product == Product::PhpFpm);
    if php {
        return Cure {
            before: vec![Step::look("See whether the script lies under `root`, and where php-fpm runs too (another container needs the same files at the same path)", platform::config_of(dossier)).at(advice::hop_host(dossier))],
            now: advice::change(
                dossier,
                "Tell php-fpm the path as it sees it",
                &[(Hop::Nginx, "root /var/www/html;\nfastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;")],
            ),
            verify: vec![advice::through(dossier, "200")],
            ..Cure::default()
        };
    }
    Cure {
        before: advice::past(dossier, "the path as the app has it").into_iter().collect(),
        now: advice::change(
            dossier,
            "Send the path that the app has: with a slash at the end, nginx replaces what `location` matched",
            &[
                (Hop::Nginx, "location /api/ {\n    proxy_pass http://ADDRESS:PORT/;\n}"),
                (Hop::IngressNginx, "nginx.ingress.kubernetes.io/rewrite-target: /$2"),
                (Hop::HaProxy, "http-request replace-path /api(/)?(.*) /\\2"),
                (Hop::Caddy, "handle_path /api/* {\n    reverse_proxy ADDRESS:PORT\n}"),
                (Hop::Traefik, "stripPrefix: { prefixes: [/api] }"),
                (Hop::Envoy, "prefix_rewrite: /"),
                (Hop::Goodgate, "strip_prefix = \"/api\""),
            ],
        ),
        verify: vec![advice::through(dossier, "200")],
        ..Cure::default()
    }
}
