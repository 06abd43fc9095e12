//! The gateway runs in a container and dials `localhost`, which is that container itself.
//!
//! ## What you see
//! Every request is refused at once, though the app answers on the host or in its own container.
//! nginx in Docker logs `connect() failed (111: Connection refused) while connecting to upstream
//! ... upstream: "http://127.0.0.1:8000/"`.
//!
//! ## Why it happens
//! Each container has a loopback of its own. `localhost`, `127.0.0.1` and `::1` never leave it.
//!
//! ## How to tell
//! The upstream is configured as `localhost` or a loopback address, and `/.dockerenv` exists, or
//! the gateway's network namespace is not the app's.
//!
//! ## Fix
//! Name the app's service (`http://app:8000` in Compose), or for an app on the host
//! `host.docker.internal` with `extra_hosts: ["host.docker.internal:host-gateway"]`.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{Claim, RULES_OUT, Text};
use crate::{platform, wording};
use evidence::{Sign, Trust, What, address};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "localhost_in_container",
    family: Family::F3,
    title: "The gateway's container dials its own loopback",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::ConnectRefused, 0.01)],
        brings: &["process_down"],
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
    case.loopback().then(|| {
        Finding::new(
            0.05,
            format!("{} is the gateway's own container, if it runs in one", case.dialled()),
            "a container's loopback holds nothing but what runs in that container",
        )
    })
}

fn fix(case: &Case) -> Vec<Fix> {
    let port = case.port().unwrap_or(8000);
    vec![
        Fix::run(
            "See whether the gateway runs in a container",
            "ls /.dockerenv /run/.containerenv",
        ),
        Fix::new(format!(
            "If it does, dial the app by its service name, such as `http://app:{port}`, or the \
             host by `host.docker.internal`"
        )),
    ]
}

/// The proxy dials itself, and runs in a container.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let dialled = dossier.dialled();
    let Some(local) = dialled.iter().find(|it| {
        address::is_loopback(&it.to)
            || address::is_unspecified(&it.to) && address::port(&it.to).is_some()
    }) else {
        return vec![Claim::new(
            RULES_OUT,
            "the proxy does not dial its own container",
            Vec::new(),
        )];
    };
    let Some(container) = dossier.hop_in_container() else {
        return match dossier.incident.of_requests() {
            true => vec![Claim::new(
                -1.5,
                "nothing shows that the proxy runs in a container",
                Vec::new(),
            )],
            false => vec![Claim::new(
                0.5,
                "in a container this is the container itself",
                vec![local.cite.clone()],
            )],
        };
    };
    if dossier.listener_there().is_some_and(|it| it.service == dossier.incident.service) {
        return Vec::new();
    }
    let says = format!(
        "{} runs in a container, where {} is that container itself",
        dossier.hop(),
        address::host(&local.to)
    );
    // Who asked may be a container on the host of a proxy that is in none.
    let guessed = container.sign == Some(Sign::InContainer) && container.trust == Trust::D;
    let weight = if guessed { 5.3 } else { 6.5 };
    vec![Claim::new(weight, says, vec![local.cite.clone(), container])]
}

fn says(dossier: &Dossier) -> Option<String> {
    let dialled = dossier.dialled();
    let local = dialled
        .iter()
        .find(|it| address::is_loopback(&it.to) || address::is_unspecified(&it.to))?;
    Some(format!(
        "{} dials {} from inside its container, where that is the container itself and not the app",
        dossier.hop(),
        local.to
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let dialled = dossier.dialled();
    let local =
        dialled.iter().find(|it| address::is_loopback(&it.to) || address::is_unspecified(&it.to));
    let to = local.map(|it| it.to.clone()).unwrap_or_default();
    let port = address::port(&to).map_or_else(|| "PORT".to_owned(), |it| it.to_string());
    let service = there(dossier, address::port(&to));
    let name = service.as_deref().unwrap_or("APP");
    let text = format!("Dial the app by the name of its service: `{name}:{port}`");
    let diff = local.and_then(|it| {
        let cite = dossier.dial_setting(&it.to).unwrap_or_else(|| it.cite.clone());
        let written =
            if cite.quote.contains("localhost") { "localhost" } else { address::host(&it.to) };
        cite.sign
            .is_none()
            .then(|| wording::change(dossier, text.clone(), &cite, written, name, Risk::None))?
    });
    Cure {
        before: Vec::new(),
        now: vec![diff.unwrap_or_else(|| Step::say(text)), wording::reload(dossier)],
        lasting: vec![Step::say(
            "For an app on the host itself dial `host.docker.internal`, with `extra_hosts: \
             [\"host.docker.internal:host-gateway\"]`, and let the app listen on that address too",
        )],
        verify: vec![Step::look(
            format!("The app answers from inside the container of {}", dossier.hop()),
            match platform::hop_service(dossier) {
                Some(hop) => format!("docker compose exec {hop} wget -qO- http://{name}:{port}/"),
                None => format!("docker exec PROXY wget -qO- http://{name}:{port}/"),
            },
        )],
    }
}

/// The service that listens on the port, or the only one besides the proxy.
fn there(dossier: &Dossier, port: Option<u16>) -> Option<String> {
    let ours = dossier.incident.service.as_deref();
    let listens = dossier
        .listeners()
        .into_iter()
        .find(|it| address::port(&it.address) == port && it.service.as_deref() != ours);
    let by_listener = listens.and_then(|it| it.service);
    let hop = dossier.hop().to_lowercase();
    let mut services: Vec<String> = dossier
        .settings(|it| match &it.what {
            What::Service { name } => Some(name.clone()),
            _ => None,
        })
        .into_iter()
        .map(|(name, _)| name)
        .filter(|it| Some(it.as_str()) != ours && !it.contains(&hop))
        .collect();
    services.dedup();
    by_listener
        .or_else(|| (services.len() == 1).then(|| services.remove(0)))
        .filter(|it| platform::is_plain(it))
}

#[cfg(test)]
mod tests {
    use crate::testing::{REFUSED, check_among, check_not, check_text, explained, nginx};

    #[test]
    fn a_refusal_by_loopback_may_be_the_wrong_loopback() {
        check_among("connect: refused | to=127.0.0.1:8000", "localhost_in_container");
        check_among("connect: refused | to=[::1]:8000", "localhost_in_container");
    }

    #[test]
    fn another_machine_is_no_loopback() {
        check_not("connect: refused | to=172.18.0.3:8000", "localhost_in_container");
    }

    #[test]
    fn the_proxy_dials_its_own_container() {
        check_text(
            &[
                ("error.log", &nginx(REFUSED)),
                (
                    "nginx.conf",
                    "server {\n    listen 80;\n    location / {\n        proxy_pass http://localhost:8000;\n    }\n}\n",
                ),
                (
                    "compose.yml",
                    "services:\n  nginx:\n    image: nginx\n    ports: [\"80:80\"]\n  app:\n    image: shop\n",
                ),
            ],
            "localhost_in_container: nginx dials 127.0.0.1:8000 from inside its container, where that is the container itself and not the app\n\
             now: Dial the app by the name of its service: `app:8000` (nginx.conf: -proxy_pass http://localhost:8000 +proxy_pass http://app:8000)\n\
             now: Check the configuration of nginx and take it over [docker compose exec nginx sh -c 'nginx -t && nginx -s reload'] reload\n\
             lasting: For an app on the host itself dial `host.docker.internal`, with `extra_hosts: [\"host.docker.internal:host-gateway\"]`, and let the app listen on that address too\n\
             verify: The app answers from inside the container of nginx [docker compose exec nginx wget -qO- http://app:8000/] checks",
        );
    }

    #[test]
    fn who_asked_came_through_a_bridge_of_docker() {
        let line = nginx(REFUSED).replace("client: 192.0.2.7", "client: 172.18.0.1");
        assert!(line.contains("172.18.0.1"), "{line}");
        let report = explained(&[("error.log", &line)]);
        assert_eq!(report.candidates[0].cause, "localhost_in_container");
        assert!(report.confidence < 0.8, "{:?}", report.candidates);
    }
}
