//! A proxy in a container dials a name that no service of its network has.

use super::files::Files;
use super::{Check, Found, Severity, change};
use crate::manual::distance;
use crate::report::{Risk, Step};
use evidence::Product;
use evidence::address::{host, is_ip, is_loopback, socket};
use std::collections::HashSet;

pub(super) const CHECK: Check = Check { cause: "dns_nxdomain", look };

/// Longer names are not compared.
const MAX_NAME: usize = 63;

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let mut names: Vec<&str> = files.service_names().collect();
    names.sort_unstable();
    if names.is_empty() {
        return;
    }
    let mut seen = HashSet::new();
    for dial in &files.dials {
        for (fact, address) in &dial.addresses {
            let name = host(address);
            let simple = name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it));
            let other = socket(address).is_some() || is_ip(address) || is_loopback(address);
            if other || !simple || name.is_empty() || !files.named(name).is_empty() {
                continue;
            }
            // A group of another file may have this name.
            if evidence::address::port(address).is_none() && dial.fact.is_nginx() {
                continue;
            }
            if found.is_full() || !seen.insert(name) {
                continue;
            }
            let near = names.iter().filter(|it| it.len().max(name.len()) <= MAX_NAME);
            let near = near.take(100).map(|it| (distance(name, it), *it)).min();
            let near = near.filter(|(far, it)| *far <= 2.max(it.len() / 3)).map(|(_, it)| it);
            // The other services of a cluster may stand in files that were not given.
            let cluster = dial.fact.product() == Product::Kubernetes;
            if cluster && near.is_none() {
                continue;
            }
            let inside = !cluster && files.container_of(dial).is_some();
            let severity = if inside { Severity::Breaks } else { Severity::Risk };
            let product = fact.product().name();
            let statement = match near {
                Some(near) => format!(
                    "{product} dials `{name}`, which is no service of these files; there is `{near}`"
                ),
                None => format!("{product} dials `{name}`, which is no service of these files"),
            };
            let step = match near {
                Some(near) => {
                    let new = fact.setting.quote.replacen(name, near, 1);
                    change(format!("Dial `{near}`"), *fact, &new, Risk::Reload)
                }
                None => Step::say(format!(
                    "Dial a service by its name in the compose file: {}",
                    names.iter().take(4).copied().collect::<Vec<_>>().join(", ")
                )),
            };
            found.say(severity, statement, &[*fact], vec![step]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "dns_nxdomain";

    #[test]
    fn a_mistyped_service() {
        check(
            ID,
            "n.conf nginx: dials http://backnd:80; c.yml docker nginx: service nginx; \
             c.yml docker backend: service backend",
            "breaks: nginx dials `backnd`, which is no service of these files; there is `backend`",
        );
    }

    #[test]
    fn it_is_not_known_where_the_proxy_runs() {
        check(
            ID,
            "n.conf nginx: dials http://web:80; c.yml docker api: service application",
            "risk: nginx dials `web`, which is no service of these files",
        );
    }

    #[test]
    fn names_of_the_outside_and_of_groups_are_left_alone() {
        for dials in
            ["app:80", "APP:80", "api.example.com:80", "192.0.2.1:80", "localhost:80", "web"]
        {
            let settings =
                format!("n.conf nginx: dials http://{dials}; c.yml docker app: service app");
            check_nothing(ID, &settings);
        }
        check_nothing(ID, "n.conf nginx: dials http://web:80");
        check_nothing(
            ID,
            "k.yml kubernetes in: dials http://web:80; k.yml kubernetes a: service orders",
        );
    }
}
