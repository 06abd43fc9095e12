//! The app runs, but listens on another port than the one that is dialled.
//!
//! ## What you see
//! Every request is refused at once, from the first one on, though the app is up and says so:
//! `Listening at: http://127.0.0.1:8001`, `Uvicorn running on http://127.0.0.1:8001`. Other
//! gateways log `connect() failed (111: Connection refused)`.
//!
//! ## Why it happens
//! The port was changed on one side only, a default differs (3000, 5000, 8000, 8080), `PORT` in the
//! environment wins over the configuration, or the published port of a container is taken for the
//! one inside.
//!
//! ## How to tell
//! `ss -ltnp` lists the app with another port than the dialled one. In Kubernetes the Service's
//! `targetPort` is not among the container's ports.
//!
//! ## Fix
//! Make both sides name the same port: between containers the one inside, not the published one.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Dossier, Listener};
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{Claim, DECIDES, RULES_OUT, Text};
use crate::{platform, wording};
use evidence::{Product, Sign, What, address};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "wrong_port",
    family: Family::F3,
    title: "The app listens on another port",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectRefused, 0.2),
            (Sign::ConnectFailed, 0.1),
            (Sign::NoLiveUpstream, 0.005),
            (Sign::Answered502, 0.06),
            (Sign::Answered504, 0.005),
        ],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::Refused) = case.fault()? else {
        return None;
    };
    let port = case.port()?;
    Some(Finding::new(
        0.13,
        format!("the app may listen on another port than {port}"),
        "a system refuses on a port that nobody opened, whatever else it runs",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See on which ports the app does listen", "ss -ltnp"),
        Fix::run(
            "For a container, see which port lies inside",
            "docker ps --format '{{.Names}} {{.Ports}}'",
        ),
        Fix::new("Name that port in `targets` of this upstream"),
    ]
}

/// Where the proxy dials one port, and the app's own lines or files name another.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    if let Some(there) = dossier.listener_there() {
        return vec![Claim::new(
            RULES_OUT,
            "that is the port on which the app listens",
            vec![there.cite],
        )];
    }
    let mut claims: Vec<Claim> = without_port(dossier).into_iter().collect();
    let dialled = dossier.dialled();
    let ports: Vec<u16> = dialled.iter().filter_map(|it| address::port(&it.to)).collect();
    let targets = dossier.target_ports();
    let by_hosts = dossier.published_by_hosts();
    for ((host, container), cite) in dossier.published() {
        let by_host = by_hosts.iter().any(|(it, _)| *it == (host, container));
        let wanted = |port: &u16| *port == host && host != container && by_host;
        let inside = dialled.iter().any(|it| !address::is_loopback(&it.to));
        if let Some((_, target)) = targets.iter().find(|(port, _)| wanted(port)) {
            let says = format!(
                "{host} is the port on the host; inside the network the app has {container}"
            );
            claims.push(Claim::new(6.0, says, vec![target.clone(), cite]));
        } else if ports.iter().any(wanted) && inside {
            let says = format!(
                "{host} is the port on the host; inside the network the app has {container}"
            );
            claims.push(Claim::new(6.0, says, vec![cite]));
        } else if let Some(it) = other(dossier, &[container]).filter(|_| ports.is_empty()) {
            let says = format!(
                "the app listens on {}, and the container's port is {container}",
                it.address
            );
            claims.push(Claim::new(4.0, says, vec![it.cite, cite]));
        }
    }
    if !ports.is_empty()
        && dossier.sign() != Sign::HeadTimedOut
        && let Some(it) = other(dossier, &ports)
    {
        let says =
            format!("{} listens on {}, not on port {}", it.product.name(), it.address, ports[0]);
        let setting = dialled.iter().filter_map(|it| dossier.dial_setting(&it.to));
        let cites = std::iter::once(it.cite).chain(setting).collect();
        claims.push(Claim::new(if it.said { 5.5 } else { 5.0 }, says, cites));
    }
    if dossier.sign() == Sign::BootTimedOut
        && let Some(it) = dossier.listeners().into_iter().find(|it| it.said)
    {
        let says =
            format!("the app listens on {}, not on the port that the platform gave it", it.address);
        claims.push(Claim::new(DECIDES, says, vec![it.cite]));
    }
    claims
}

/// HAProxy dials the port that the client used where the line of a server names none.
fn without_port(dossier: &Dossier) -> Option<Claim> {
    let servers = dossier.settings(|it| match &it.what {
        What::Member { address, disabled: false, .. } if it.product == Product::HaProxy => {
            let named = address.contains(['$', '@', '/', '%', ':']) || address.is_empty();
            (!named).then_some(())
        }
        _ => None,
    });
    let bound = dossier.settings(|it| match &it.what {
        What::Listens { address, .. } if it.product == Product::HaProxy => address::port(address),
        _ => None,
    });
    let (_, server) = servers.into_iter().next()?;
    let (port, door) = bound.into_iter().next()?;
    let says = format!("without a port HAProxy dials the one that the client used, such as {port}");
    Some(Claim::new(5.5, says, vec![server, door]))
}

/// A listener on another port than these.
fn other(dossier: &Dossier, ports: &[u16]) -> Option<crate::dossier::Listener> {
    dossier
        .listeners_behind()
        .into_iter()
        .find(|it| address::port(&it.address).is_some_and(|port| !ports.contains(&port)))
}

fn says(dossier: &Dossier) -> Option<String> {
    let hop = dossier.hop();
    let dialled = dossier.dialled();
    let to = dialled.first().map(|it| it.to.as_str());
    let port = to.and_then(address::port);
    if let Some(port) = port
        && let Some(((host, container), _)) = dossier
            .published_by_hosts()
            .into_iter()
            .find(|((host, inside), _)| *host == port && host != inside)
    {
        return Some(format!(
            "{hop} dials port {host}, which is the port on the host; between containers the app \
             has {container}"
        ));
    }
    let there = elsewhere(dossier)?;
    let app = product_name(&there);
    Some(match port {
        Some(port) => format!("{hop} dials port {port}, and {app} listens on {}", there.address),
        None => {
            format!("{app} listens on {}, another port than the one that is wanted", there.address)
        }
    })
}

/// What listens, on another port than the dialled one.
fn elsewhere(dossier: &Dossier) -> Option<Listener> {
    let ports: Vec<u16> = dossier.dialled().iter().filter_map(|it| address::port(&it.to)).collect();
    other(dossier, &ports)
}

fn product_name(it: &Listener) -> &'static str {
    match it.product {
        Product::Unknown | Product::Page | Product::Shell => "the app",
        it => it.name(),
    }
}

fn cure(dossier: &Dossier) -> Cure {
    let dialled = dossier.dialled();
    let to = dialled.first().map(|it| it.to.clone());
    let port = to.as_deref().and_then(address::port);
    let published = dossier.published_by_hosts();
    let inside = published
        .iter()
        .find(|((host, container), _)| Some(*host) == port && host != container)
        .map(|((_, container), _)| *container);
    let there = elsewhere(dossier);
    let right = inside.or_else(|| there.as_ref().and_then(|it| address::port(&it.address)));
    let mut now = Vec::new();
    let diff = to.as_deref().zip(port).zip(right).and_then(|((to, port), right)| {
        let cite = dossier.dial_setting(to)?;
        let text = format!("Dial port {right}, where the app listens");
        let (old, new) = (format!(":{port}"), format!(":{right}"));
        wording::change(dossier, text, &cite, &old, &new, Risk::None)
    });
    match (diff, right) {
        (Some(diff), _) => now.extend([diff, wording::reload(dossier)]),
        (None, Some(right)) if dossier.sign() != Sign::BootTimedOut => now.extend([
            Step::say(format!(
                "Dial port {right} in the configuration of {}, where the app listens",
                dossier.hop()
            )),
            wording::reload(dossier),
        ]),
        _ => {
            let given = "Let the app listen on the port that the environment gives it (`PORT`)";
            now.extend([Step::say(given), wording::restarted(dossier)]);
        }
    }
    Cure {
        before: Vec::new(),
        now,
        lasting: vec![Step::say(
            "Keep the port in one place that both sides read, such as a variable of the deploy",
        )],
        verify: vec![match (to.as_deref().filter(|it| platform::is_plain(it)), right) {
            (Some(to), Some(right)) => Step::look(
                format!("The app answers on port {right}"),
                format!("curl -sv http://{}:{right}/ -o /dev/null", bracketed(address::host(to))),
            ),
            _ => wording::through(dossier),
        }],
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use crate::testing::{REFUSED, check_among, check_not, check_text, nginx_to};

    #[test]
    fn a_refusal_may_be_the_wrong_door() {
        check_among("connect: refused | to=10.0.0.7:8000", "wrong_port");
    }

    #[test]
    fn a_socket_file_has_no_port() {
        check_not("connect: socket_stale | to=unix:/run/app.sock", "wrong_port");
    }

    #[test]
    fn a_server_without_a_port_gets_that_of_the_client() {
        let report = crate::testing::explained(&[
            (
                "haproxy.cfg",
                "frontend web\n    bind *:8080\n    default_backend app\nbackend app\n    server a 192.0.2.7\n",
            ),
            ("page.txt", "504 Gateway Time-out\n"),
        ]);
        assert_eq!(report.candidates.first().map(|it| it.cause.as_str()), Some("wrong_port"));
    }

    #[test]
    fn the_dialled_port_is_changed_in_its_file() {
        check_text(
            &[
                ("error.log", &nginx_to("127.0.0.1:8001", REFUSED)),
                (
                    "nginx.conf",
                    "server {\n    listen 80;\n    location / {\n        proxy_pass http://127.0.0.1:8001;\n    }\n}\n",
                ),
                ("gunicorn.conf.py", "bind = '127.0.0.1:8000'\n"),
            ],
            "wrong_port: nginx dials port 8001, and gunicorn listens on 127.0.0.1:8000\n\
             now: Dial port 8000, where the app listens (nginx.conf: -proxy_pass http://127.0.0.1:8001 +proxy_pass http://127.0.0.1:8000)\n\
             now: Check the configuration of nginx and take it over [sudo sh -c 'nginx -t && nginx -s reload'] reload\n\
             lasting: Keep the port in one place that both sides read, such as a variable of the deploy\n\
             verify: The app answers on port 8000 [curl -sv http://127.0.0.1:8000/ -o /dev/null] checks",
        );
    }

    #[test]
    fn the_port_of_a_service_of_kubernetes_is_no_port_of_the_host() {
        let log = "2022-03-01T09:48:49Z ERR Skipping service: no endpoints found ingress=shop namespace=default providerName=kubernetes serviceName=shop\n";
        let manifest = "kind: Ingress\nmetadata: {name: shop}\nspec:\n  ingressClassName: traefik\n  rules:\n  - http:\n      paths:\n      - backend:\n          service: {name: shop, port: {number: 80}}\n---\nkind: Service\nmetadata: {name: shop}\nspec:\n  ports:\n  - port: 80\n    targetPort: 8080\n";
        let report = crate::testing::explained(&[("traefik.log", log), ("shop.yaml", manifest)]);
        assert_ne!(report.cause, "wrong_port", "{:?}", report.candidates);
    }
}
