//! An app in a container listens on loopback, where no other container reaches it.

use super::files::{Files, Unit};
use super::{Check, Found, Severity, change};
use crate::report::{Risk, Step};
use evidence::address::{is_loopback, is_unspecified, port};
use evidence::{Product, What};

pub(super) const CHECK: Check = Check { cause: "bound_to_loopback", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let mut dialled = vec![Vec::new(); files.units.len()];
    for dial in &files.dials {
        for (fact, address) in dial.addresses.iter().filter(|(_, it)| !is_loopback(it)) {
            let Some(port) = dial.port(address) else { continue };
            for at in files.surely_reached(dial, address) {
                dialled[at].push((*fact, port));
            }
        }
    }
    for (unit, dials) in files.units.iter().zip(dialled) {
        let listens = unit.all(|it| match it.what() {
            What::Listens { address, .. } => port(address).map(|port| (&**address, port)),
            _ => None,
        });
        let Some((fact, (address, at))) =
            listens.iter().find(|(_, (address, _))| is_loopback(address)).copied()
        else {
            continue;
        };
        let open = |(_, (address, port)): &(_, (&str, u16))| *port == at && !is_loopback(address);
        if listens.iter().any(open) || unit.shares_host() {
            continue;
        }
        let leads = |from: u16| {
            let to = |it: super::Fact<'_>| {
                matches!(it.what(), What::Publishes { host, container }
                    if *host == from && *container == at)
                .then_some(())
            };
            from == at || unit.find(to).is_some()
        };
        let dial = dials.iter().find(|(_, port)| leads(*port)).map(|it| it.0);
        let reached = dial.or_else(|| leads_in(unit, at));
        let product = fact.product().name();
        let statement = match (unit.is_container(), reached) {
            (true, Some(_)) => format!(
                "{product} listens on {address} within its container, where no other container \
                 and no published port reaches it"
            ),
            (false, Some(_)) => format!(
                "{product} listens on {address} alone, but is dialled at another address of its \
                 machine"
            ),
            (_, None) => continue,
        };
        let severity = if unit.is_container() { Severity::Breaks } else { Severity::Risk };
        let proofs: Vec<super::Fact<'_>> = [Some(fact), reached].into_iter().flatten().collect();
        let open = format!("0.0.0.0:{at}");
        let quote = &fact.setting.quote;
        let step = match is_unspecified(&open) && quote.contains(address) {
            true => {
                let new = quote.replacen(address, &open, 1);
                change("Listen on every address of the container", fact, &new, Risk::Restart)
            }
            false => Step::say(format!("Have it listen on `{open}`")),
        };
        found.say(severity, statement, &proofs, vec![step]);
    }
}

/// A port of the host that leads to this one.
fn leads_in<'t>(unit: &Unit<'t>, at: u16) -> Option<super::Fact<'t>> {
    let leads = unit.find(|it| match it.what() {
        What::Publishes { container, .. } if *container == at => Some(()),
        // Containers of one pod share their loopback, but a service comes from outside.
        What::TargetPort { port } if *port == at && it.product() != Product::Kubernetes => Some(()),
        _ => None,
    });
    leads.map(|(fact, ())| fact)
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "bound_to_loopback";

    #[test]
    fn an_app_in_a_container_is_dialled_by_its_name() {
        check(
            ID,
            "n.conf nginx: dials http://app:8000; c.yml docker app: service app; \
             c.yml gunicorn app: listens 127.0.0.1:8000",
            "breaks: gunicorn listens on 127.0.0.1:8000 within its container, where no other \
             container and no published port reaches it",
        );
    }

    #[test]
    fn a_published_port_leads_to_loopback() {
        check(
            ID,
            "c.yml docker app: service app, publishes 80:5000; c.yml flask app: listens 127.0.0.1:5000",
            "breaks: Flask listens on 127.0.0.1:5000 within its container, where no other \
             container and no published port reaches it",
        );
    }

    #[test]
    fn another_machine_is_dialled_perhaps() {
        check(
            ID,
            "n.conf nginx: dials http://192.0.2.1:8000; g.py gunicorn: listens 127.0.0.1:8000",
            "risk: gunicorn listens on 127.0.0.1:8000 alone, but is dialled at another address of \
             its machine",
        );
    }

    #[test]
    fn loopback_that_is_dialled_as_such_is_fine() {
        for settings in [
            "n.conf nginx: dials http://127.0.0.1:8000; g.py gunicorn: listens 127.0.0.1:8000",
            "n.conf nginx: dials http://app:8000; c.yml docker app: service app; c.yml gunicorn app: listens 0.0.0.0:8000",
            "c.yml docker app: service app; c.yml gunicorn app: listens 127.0.0.1:8000",
            "k.yml kubernetes in: dials web:80; k.yml kubernetes web: service web, publishes 80:80; \
             k.yml gunicorn web: listens 127.0.0.1:8000",
            "c.yml docker app: service app, hostnet, publishes 1:8000; c.yml gunicorn app: listens 127.0.0.1:8000",
        ] {
            check_nothing(ID, settings);
        }
    }
}
