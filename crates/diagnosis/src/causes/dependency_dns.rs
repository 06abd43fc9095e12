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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::window;
use crate::text::{DECIDES, Text, When, before};
use crate::{platform, wording};
use evidence::{Sign, address};

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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::DbNameUnknown, When::Before)?;
    Some(format!(
        "{} could not resolve the name{} of something that it needs{}",
        wording::app(dossier),
        wording::named(&seen),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let seen = wording::first(dossier, Sign::DbNameUnknown, When::Before);
    let host = seen.and_then(|it| it.key.upstream.as_deref()).map(address::host);
    let host = host.filter(|it| platform::is_plain(it)).unwrap_or("NAME");
    let look = platform::inside(dossier, &format!("getent hosts {host}"));
    let now = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => {
            "Correct the name in the app's settings: `SERVICE.NAMESPACE.svc.cluster.local` for a service of another namespace"
        }
        (_, true) => {
            "Name the service as the compose file does, and put both on one network: names of services exist only there"
        }
        _ => {
            "Correct the name in the app's settings, or the resolver of its host (`/etc/resolv.conf`)"
        }
    };
    Cure {
        before: vec![Step::look("Ask where the app runs, not on your own machine", look.clone())],
        now: vec![Step::say(now), wording::restarted(dossier)],
        lasting: vec![Step::say(
            "Let the app check what it needs at its start, so that a deploy fails and not a request",
        )],
        verify: vec![Step::look("The name resolves", look), wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn the_name_of_the_database_is_unknown() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/db.py\", line 9, in load\n    a\npsycopg2.OperationalError: could not translate host name \"db\" to address: Name or service not known\n",
            )],
            "dependency_dns: the app could not resolve the name of something that it needs: psycopg2.OperationalError: could not translate host name\n\
             before: Ask where the app runs, not on your own machine [getent hosts NAME] checks\n\
             now: Correct the name in the app's settings, or the resolver of its host (`/etc/resolv.conf`)\n\
             now: Restart the app with that [sudo systemctl restart APP] restart\n\
             lasting: Let the app check what it needs at its start, so that a deploy fails and not a request\n\
             verify: The name resolves [getent hosts NAME] checks\n\
             verify: A request that failed gets its answer [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
