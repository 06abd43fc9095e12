//! The app listens on 127.0.0.1 of its own machine or container, where nobody else can reach it.
//!
//! ## What you see
//! The app answers `curl http://localhost:PORT` beside it, and refuses everybody else. It said so
//! at its start: `Listening at: http://127.0.0.1:8000`, `Running on http://127.0.0.1:5000`, `Local:
//! http://localhost:3000`.
//!
//! ## Why it happens
//! Development servers, Gunicorn, Uvicorn and Flask listen on loopback unless told otherwise. In a
//! container that is the loopback of that container alone, which publishing a port does not change.
//!
//! ## How to tell
//! `ss -ltnp` on the app's side shows `127.0.0.1:PORT` or `[::1]:PORT`, and the dialled address is
//! another one.
//!
//! ## Fix
//! Bind the app to the address that is dialled, or to all (`0.0.0.0`, `[::]`) where a firewall or
//! the container's network keeps strangers out.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Cite, Dossier, Listener};
use crate::look::Fix;
use crate::reach::Dialled;
use crate::report::{Cure, Risk, Step};
use crate::signs::{listener, remote};
use crate::text::{Claim, RULES_OUT, Text};
use crate::{platform, wording};
use evidence::{Product, Setting, Sign, What, address};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "bound_to_loopback",
    family: Family::F3,
    title: "The app listens on its own loopback only",
    side: Side::AppServer,
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
    remote(case).then(|| {
        Finding::new(
            0.08,
            format!("the app may listen on 127.0.0.1 only, and not on {}", case.dialled()),
            "an app on loopback is refused to everybody who dials another address",
        )
    })
}

fn fix(case: &Case) -> Vec<Fix> {
    let port = case.port().unwrap_or(8000);
    vec![
        Fix::run("On the target, see whether the listener stands at 127.0.0.1", listener(case)),
        Fix::new(format!(
            "Bind the app to the dialled address, or in a container to all: \
             `gunicorn --bind 0.0.0.0:{port}`, `uvicorn --host 0.0.0.0`; outside a container \
             that opens it to the whole network"
        )),
    ]
}

/// The app listens on its own loopback, and the proxy comes from elsewhere.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    if let Some((address, cites)) = published(dossier) {
        let says = format!(
            "the container's port is published, and its process listens on {address}, where nobody \
             outside of the container reaches it"
        );
        return vec![Claim::new(6.5, says, cites)];
    }
    if dossier.dials_loopback() {
        return vec![Claim::new(RULES_OUT, "the proxy dials its own machine", Vec::new())];
    }
    let dialled = dossier.dialled();
    let Some(it) = bound(dossier) else {
        // In a container of its own, an app that keeps to its loopback is refused to all others.
        let inside = dialled.first().filter(|it| crate::reach::is_container_address(&it.to));
        let other = dossier.listeners_behind().is_empty();
        let claim = |it: &crate::reach::Dialled| {
            let says = "another container is dialled, where a loopback is not the proxy's";
            Claim::new(2.6, says, vec![it.cite.clone()])
        };
        return inside.filter(|_| other).map(claim).into_iter().collect();
    };
    if dialled.is_empty() && dossier.hop_in_container().is_none() {
        return Vec::new();
    }
    let says = format!(
        "{} listens on {}, where only its own machine reaches it",
        it.product.name(),
        it.address
    );
    vec![Claim::new(if it.said { 7.0 } else { 6.5 }, says, vec![it.cite])]
}

fn says(dossier: &Dossier) -> Option<String> {
    let it = bound(dossier)?;
    let from = match dossier.upstream() {
        Some(upstream) => format!(", and {} dials {upstream}", dossier.hop()),
        None => String::new(),
    };
    Some(format!(
        "{} listens on {}, where only its own machine or container reaches it{from}",
        match it.product {
            Product::Unknown | Product::Page | Product::Shell => "the app",
            it => it.name(),
        },
        it.address
    ))
}

/// A process on the loopback of a container whose port is published: what is published leads to the
/// container's other address.
fn published<'d>(dossier: &'d Dossier) -> Option<(&'d str, Vec<Cite>)> {
    let dialled = dossier.incident.upstream.as_deref().map(address::port);
    let settings = &dossier.testimony.settings;
    settings.iter().find_map(|(source, it)| {
        let What::Publishes { container, .. } = &it.what else { return None };
        if it.service.is_none() || dialled.is_some_and(|port| port != Some(*container)) {
            return None;
        }
        let of_same = |(other, at): &&(u32, Setting)| other == source && at.service == it.service;
        let same = || settings.iter().filter(of_same);
        if same().any(|(_, it)| it.what == What::HostNetwork) {
            return None;
        }
        let listens = |at: &'d Setting| match &at.what {
            What::Listens { address, .. } if address::port(address) == Some(*container) => {
                Some((address.as_str(), at))
            }
            _ => None,
        };
        let all: Vec<_> = same().filter_map(|(_, it)| listens(it)).collect();
        let (address, at) = *all.first()?;
        let local = all.iter().all(|(address, _)| address::is_loopback(address));
        local.then(|| (address, vec![Cite::setting(*source, at), Cite::setting(*source, it)]))
    })
}

/// The listener that only its own machine reaches.
fn bound(dossier: &Dossier) -> Option<Listener> {
    let dialled = dossier.dialled();
    // A path is on this machine, and a name that was not found was not dialled.
    let network = |it: &Dialled| address::socket(&it.to).is_none();
    if !dialled.iter().all(network) || unresolved(dossier.sign()) {
        return None;
    }
    let port = dialled.iter().find_map(|it| address::port(&it.to));
    dossier.listeners_behind().into_iter().find(|it| {
        address::is_loopback(&it.address) && (port.is_none() || address::port(&it.address) == port)
    })
}

fn unresolved(sign: Sign) -> bool {
    use Sign::*;
    matches!(sign, NameNotFound | NameServerFailed | NameRefused | NameTimedOut | NameUnresolved)
}

fn cure(dossier: &Dossier) -> Cure {
    let it = bound(dossier);
    let port = it.as_ref().and_then(|it| address::port(&it.address)).or(dossier.port());
    let at = format!("0.0.0.0:{}", port.map_or_else(|| "PORT".to_owned(), |it| it.to_string()));
    let product = it.as_ref().map(|it| it.product);
    let bind = wording::bind(product, &at);
    let text = format!("Bind the app to all addresses: `{bind}`");
    let diff = it.as_ref().filter(|it| !it.said).and_then(|it| {
        let old = address::host(&it.address);
        wording::change(dossier, text.clone(), &it.cite, old, "0.0.0.0", Risk::None)
    });
    let guard = match (platform::kubernetes(dossier), dossier.hop_in_container().is_some()) {
        (true, _) | (_, true) => {
            "Publish no port of the app: the containers' own network is the way to it"
        }
        _ => "Let a firewall admit only the proxy's address to that port",
    };
    Cure {
        before: Vec::new(),
        now: vec![diff.unwrap_or_else(|| Step::say(text)), wording::restarted(dossier)],
        lasting: vec![Step::say(guard)],
        verify: vec![
            Step::look(
                "It listens on all addresses, not on 127.0.0.1",
                platform::inside(
                    dossier,
                    &match port {
                        Some(port) => format!("ss -ltn 'sport = :{port}'"),
                        None => "ss -ltn".to_owned(),
                    },
                ),
            ),
            wording::through(dossier),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{REFUSED, check_among, check_not, check_text, nginx_to};

    #[test]
    fn a_refusal_by_another_machine_may_be_this() {
        check_among("connect: refused | to=172.18.0.3:8000", "bound_to_loopback");
    }

    #[test]
    fn a_published_port_does_not_lead_to_the_loopback_of_the_container() {
        let run = |address: &str, more: &str| {
            format!(
                "docker run -p 4180:4180 {more}example/oauth2-proxy --upstream=http://127.0.0.1:8181 --http-address={address}\n"
            )
        };
        let cause = |text: &str| crate::testing::explained(&[("run.sh", text)]).cause;
        assert_eq!(cause(&run("127.0.0.1:4180", "")), "bound_to_loopback");
        assert_ne!(cause(&run("0.0.0.0:4180", "")), "bound_to_loopback");
        assert_ne!(cause(&run("127.0.0.1:4181", "")), "bound_to_loopback");
        assert_ne!(cause(&run("127.0.0.1:4180", "--network host ")), "bound_to_loopback");
    }

    #[test]
    fn an_app_on_loopback_does_not_refuse_loopback() {
        check_not("connect: refused | to=127.0.0.1:8000", "bound_to_loopback");
    }

    #[test]
    fn the_bind_of_the_app_is_changed_in_its_file() {
        check_text(
            &[
                ("error.log", &nginx_to("192.0.2.9:8000", REFUSED)),
                ("gunicorn.conf.py", "bind = '127.0.0.1:8000'\n"),
            ],
            "bound_to_loopback: gunicorn listens on 127.0.0.1:8000, where only its own machine or container reaches it, and nginx dials 192.0.2.9:8000\n\
             now: Bind the app to all addresses: `gunicorn --bind 0.0.0.0:8000` (gunicorn.conf.py: -bind = '127.0.0.1:8000' +bind = '0.0.0.0:8000')\n\
             now: Restart gunicorn with that [sudo systemctl restart gunicorn] restart\n\
             lasting: Let a firewall admit only the proxy's address to that port\n\
             verify: It listens on all addresses, not on 127.0.0.1 [ss -ltn 'sport = :8000'] checks\n\
             verify: A request that failed gets its answer through nginx [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
