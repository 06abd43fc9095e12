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
//! `proxy_http_version 1.1` and both `proxy_set_header` lines. HTTP/2 has no such header, but a
//! CONNECT of its own (RFC 8441), which not every proxy knows. Or the app server lacks the library
//! (`uvicorn[standard]`, `websockets`), or the path is another.
//!
//! ## How to tell
//! Ask the app directly: 101 there and something else through the gateway means the gateway; no 101
//! there either means the app. A tunnel that opens and breaks later is `websocket_idle_timeout`.
//!
//! ## Fix
//! In nginx set `proxy_http_version 1.1`, `proxy_set_header Upgrade $http_upgrade` and
//! `proxy_set_header Connection $connection_upgrade`. In the app install the WebSocket library and
//! check the path.

use crate::advice::{self, Hop};
use crate::case::{Case, Subject};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{Claim, DECIDES, Text, When, during};
use evidence::{Product, Setting, Sign, What};
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "upgrade_not_forwarded",
    family: Family::F8,
    title: "A WebSocket did not reach the app as one",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::UpgradeRefused, 0.87)],
        clues: &[during(Sign::UpgradeRefused, DECIDES)],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

/// We have passed the request on as it came, so that it is no gateway here, but what comes after it.
fn look(case: &Case) -> Option<Finding> {
    let status = match (case.subject, case.head_fault()) {
        (_, Some(HeadFault::NoExtendedConnect)) => {
            let statement = format!(
                "{} takes no upgrade over HTTP/2, which is all that the gateway speaks to it",
                case.dialled()
            );
            let says = "its SETTINGS do not allow extended CONNECT (RFC 8441 3)";
            return Some(Finding::new(0.9, statement, says));
        }
        (Subject::NotSwitched(status), _) => status,
        (_, Some(HeadFault::NotSwitched(status))) => *status,
        _ => return None,
    };
    let server = case.server();
    if status == 101 {
        let finding = Finding::new(
            0.8,
            format!("{server} answered 101, but not to this handshake"),
            "its Sec-WebSocket-Accept does not fit the key that was sent",
        );
        return Some(finding.on(Side::AppServer));
    }
    let (confidence, says) = match status {
        400 | 404 | 405 => {
            (0.6, "a server that cannot switch answers so, and one that does not know the path")
        }
        426 => (0.85, "it says itself that no upgrade reached it, or not one that it takes"),
        501 => (0.85, "it says itself that it cannot do this"),
        _ => (0.85, "it took the request for an ordinary one: the switch did not reach the app"),
    };
    let statement = format!("{server} was asked to switch protocols, and answered {status}");
    Some(Finding::new(confidence, statement, says).on(Side::AppServer))
}

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

/// nginx passes the headers on, but speaks HTTP/1.0, which has no upgrades: so it did before 1.29.7
/// unless it was told otherwise.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let of_nginx = |it: &Setting| it.product.stack() == Product::Nginx.stack();
    let version = dossier.settings(|it| match &it.what {
        What::HttpVersion { version } if of_nginx(it) && version != "1.0" => Some(()),
        _ => None,
    });
    let passed =
        dossier.settings(|it| (of_nginx(it) && it.what == What::PassesUpgrade).then_some(()));
    match passed.into_iter().next() {
        Some(((), cite)) if version.is_empty() => {
            vec![Claim::new(2.0, "nginx speaks HTTP/1.0 to the app, without upgrades", vec![cite])]
        }
        _ => Vec::new(),
    }
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::UpgradeRefused, When::During);
    let server = seen.iter().find(|it| it.key.product.stack().runs_apps()).map(|it| it.key.product);
    Some(match server {
        // Uvicorn says so itself.
        Some(it) if seen.iter().any(|it| it.run.opening.quote.contains("WebSocket library")) => {
            format!("{} has no WebSocket library, so that it cannot take the upgrade", it.name())
        }
        Some(it) => format!("the upgrade did not reach {} as one", it.name()),
        None => format!("the upgrade to a WebSocket did not get through {}", dossier.hop()),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let mut now = advice::change(
        dossier,
        "Pass the upgrade on",
        &[
            (
                Hop::Nginx,
                "proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection \"upgrade\";\nproxy_read_timeout 1h;",
            ),
            (Hop::Apache, "ProxyPass /ws ws://ADDRESS:PORT/ws upgrade=websocket"),
            (Hop::HaProxy, "timeout tunnel 1h"),
            (Hop::Envoy, "upgrade_configs: [{ upgrade_type: websocket }]"),
        ],
    );
    if dossier.read(Product::Uvicorn) {
        now.push(
            Step::run(
                "Give uvicorn a WebSocket library, and start it anew",
                "pip install 'uvicorn[standard]'",
                Risk::Restart,
            )
            .at("the app's host"),
        );
    }
    Cure {
        now,
        verify: vec![Step::look(
            "See `101 Switching Protocols`",
            "curl -sS -i -N --max-time 5 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' http://SITE/PATH | head -1",
        )],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not, explained};

    #[test]
    fn an_app_that_does_not_switch() {
        check(
            "status: 404 | server=uvicorn upgrade=websocket",
            "upgrade_not_forwarded: uvicorn was asked to switch protocols, and answered 404",
        );
        check(
            "status: 501 | upgrade=WebSocket",
            "upgrade_not_forwarded: the upstream was asked to switch protocols, and answered 501",
        );
        check(
            "head: not_switched | server=nginx upgrade=other",
            "upgrade_not_forwarded: nginx was asked to switch protocols, and answered 200",
        );
        check(
            "head: switched_wrongly | upgrade=websocket",
            "upgrade_not_forwarded: the upstream answered 101, but not to this handshake",
        );
    }

    #[test]
    fn a_decision_is_none_of_it() {
        check_not("status: 503 | upgrade=websocket", "upgrade_not_forwarded");
        for line in
            ["status: 401 | upgrade=websocket", "status: 404 | upgrade=other", "status: 404"]
        {
            let exchange = crate::testing::exchange(line);
            assert!(crate::Case::of(&exchange).is_none(), "{line}");
        }
    }

    #[test]
    fn headers_of_an_upgrade_over_http_1_0_lead_nowhere() {
        let conf = |version: &str| {
            format!(
                "server {{\n    listen 80;\n    location /ws {{\n        proxy_pass http://192.0.2.10:9000;\n        {version}proxy_set_header Upgrade $http_upgrade;\n        proxy_set_header Connection upgrade;\n    }}\n}}\n"
            )
        };
        let first = |version: &str| {
            let report = explained(&[("nginx.conf", &conf(version))]);
            report.candidates.first().map(|it| it.cause.clone())
        };
        assert_eq!(first("").as_deref(), Some("upgrade_not_forwarded"));
        assert_ne!(first("proxy_http_version 1.1; ").as_deref(), Some("upgrade_not_forwarded"));
    }
}
