//! A proxy in a container dials `localhost`, which is that container alone.

use super::files::Files;
use super::{Check, Found, Severity, change};
use crate::report::{Risk, Step};
use evidence::address::{host, is_loopback};
use evidence::{Product, What};

pub(super) const CHECK: Check = Check { cause: "localhost_in_container", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for dial in &files.dials {
        let Some(own) = files.container_of(dial) else { continue };
        // Containers of a pod share their loopback, and what runs beside it may be in any file.
        let pod = own.facts.iter().any(|it| it.product() == Product::Kubernetes);
        if own.shares_host() || pod {
            continue;
        }
        for (fact, address) in dial.addresses.iter().filter(|(_, it)| is_loopback(it)) {
            let Some(dialled) = dial.port(address) else { continue };
            let at = |it: super::Fact<'_>| match it.what() {
                What::Publishes { host, container } if *host == dialled => Some(*container),
                What::Publishes { container, .. } if *container == dialled => Some(dialled),
                What::Exposes { port } if *port == dialled => Some(dialled),
                What::Listens { address, .. } => {
                    evidence::address::port(address).filter(|it| *it == dialled)
                }
                _ => None,
            };
            if own.find(at).is_some() {
                continue;
            }
            let other = files.units.iter().find_map(|it| {
                let named = it.find(|it| match it.what() {
                    What::Service { name } => Some(&**name),
                    _ => None,
                })?;
                let (proof, port) = it.find(at)?;
                Some((named.1, proof, port))
            });
            let statement = match other {
                Some((name, ..)) => format!(
                    "{} runs in a container and dials `{}`, which is that container itself; the \
                     app is `{name}`",
                    fact.product().name(),
                    host(address)
                ),
                None => format!(
                    "{} runs in a container and dials `{}`, which is that container itself",
                    fact.product().name(),
                    host(address)
                ),
            };
            let runs = own.facts.first().copied();
            let proofs: Vec<super::Fact<'_>> =
                [Some(*fact), runs, other.map(|it| it.1)].into_iter().flatten().collect();
            let step = match other {
                Some((name, _, port)) => {
                    let new = fact.setting.quote.replacen(address, &format!("{name}:{port}"), 1);
                    change(format!("Dial the service `{name}`"), *fact, &new, Risk::Reload)
                }
                None => Step::say(
                    "Dial the app's service by its name, or `host.docker.internal` where the app \
                     runs on the host",
                ),
            };
            let severity = if other.is_some() { Severity::Breaks } else { Severity::Risk };
            found.say(severity, statement, &proofs, vec![step]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "localhost_in_container";

    #[test]
    fn the_app_is_another_container() {
        check(
            ID,
            "n.conf nginx: dials http://localhost:8000; c.yml docker nginx: service nginx; \
             c.yml docker app: service app, exposes 8000",
            "breaks: nginx runs in a container and dials `localhost`, which is that container \
             itself; the app is `app`",
        );
    }

    #[test]
    fn nothing_is_known_of_the_app() {
        check(
            ID,
            "c.yml caddy proxy: container, dials http://127.0.0.1:8000",
            "risk: Caddy runs in a container and dials `127.0.0.1`, which is that container itself",
        );
    }

    #[test]
    fn the_network_of_the_host_and_the_own_port_are_fine() {
        for settings in [
            "n.conf nginx: dials http://localhost:8000; c.yml docker nginx: service nginx, hostnet",
            "n.conf nginx: dials http://localhost:8000; c.yml docker app: service app, exposes 8000",
            "c.yml caddy all: container, dials http://localhost:8000; c.yml gunicorn all: listens :8000",
            "k.yml kubernetes pod: container; k.yml nginx pod: dials http://localhost:8000",
        ] {
            check_nothing(ID, settings);
        }
    }
}
