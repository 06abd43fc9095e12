//! The gateway has no route for the host, the path and the method of the request.
//!
//! ## What you see
//! Status 404, or 405 where only the method does not fit, made by the gateway; no upstream was
//! asked.
//!
//! ## Why it happens
//! A typing mistake in the URL, a host name that no route has (a request by address, a health
//! check), a path without its prefix, or a route that was removed. Or an answer that was to be fetched
//! later and is not there any more. `"/x"` takes `/x` alone;
//! `"/x/*"` takes it and all below.
//!
//! ## How to tell
//! Compare host and path of the request with the routes of the configuration.
//!
//! ## Fix
//! Correct the URL, or add a route.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Step};
use crate::show;
use crate::text::Text;
use exchange::Refusal;

pub(super) static CAUSE: Cause = Cause {
    id: "no_route_matched",
    family: Family::F15,
    title: "No route of the gateway takes this request",
    side: Side::Client,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let request = &case.exchange.request;
    let host = match show::text(&request.host) {
        empty if empty.is_empty() => "no host".to_owned(),
        host => host,
    };
    let path = show::text(&request.path);
    let (statement, says) = match case.refusal()? {
        Refusal::NoRoute => (
            format!("no route matches {path} on {host}"),
            "routes were compared by host, then by path; none was left",
        ),
        Refusal::LaterGone => (
            "no answer is kept under this address".to_owned(),
            "an answer to be fetched later is kept in memory: until it was fetched or its time was \
             over, until it is given up with DELETE, and not beyond the end of the process",
        ),
        Refusal::MethodNotAllowed => (
            format!(
                "routes match {path} on {host}, but none takes {}",
                show::text(&request.method)
            ),
            "host and path have a route, the method has none",
        ),
        _ => return None,
    };
    Some(Finding::new(0.95, statement, says))
}

fn fix(case: &Case) -> Vec<Fix> {
    let first = match case.refusal() {
        Some(Refusal::LaterGone) => {
            return vec![Fix::new(
                "Send the first request again, and fetch its answer sooner, or keep it for longer: \
                 `later.keep` of the route",
            )];
        }
        Some(Refusal::MethodNotAllowed) => {
            "Use a method that the route takes, or add this one to its `methods`"
        }
        _ => "Correct host or path of the request, or add a route whose `match` takes them",
    };
    vec![
        Fix::new(first),
        Fix::new("`\"/x\"` takes `/x` alone; `\"/x/*\"` takes `/x` and all below it"),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![
            Step::look("See which hosts and paths the proxy knows", platform::config_of(dossier))
                .at(advice::hop_host(dossier)),
        ],
        now: advice::change(
            dossier,
            "Add the host and path that callers use, or let them use one that is there",
            &[
                (
                    Hop::Nginx,
                    "server_name SITE;\nlocation /PATH { proxy_pass http://ADDRESS:PORT; }",
                ),
                (Hop::Traefik, "routers: { app: { rule: Host(`SITE`), service: app } }"),
                (Hop::Caddy, "SITE {\n    reverse_proxy ADDRESS:PORT\n}"),
                (Hop::HaProxy, "use_backend app if { hdr(host) -i SITE }"),
                (Hop::Goodgate, "match = { host = \"SITE\", path = \"/PATH\" }"),
            ],
        ),
        verify: vec![advice::through(dossier, "an answer of the app")],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn a_path_that_nobody_has() {
        check("refused: no_route", "no_route_matched: no route matches /orders on api.example.com");
    }

    #[test]
    fn a_method_that_nobody_has() {
        check(
            "refused: method_not_allowed | method=DELETE",
            "no_route_matched: routes match /orders on api.example.com, but none takes DELETE",
        );
    }

    #[test]
    fn a_route_without_a_target_is_a_route() {
        check_not("refused: no_target", "no_route_matched");
    }
}
