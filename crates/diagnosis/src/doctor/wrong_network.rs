//! A proxy and its app are containers of one file, and share no network.

use super::files::{Fact, Files, Unit};
use super::{Check, Found, Severity, add};
use crate::report::Risk;
use evidence::What;
use evidence::address::host;

pub(super) const CHECK: Check = Check { cause: "wrong_network", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for dial in &files.dials {
        let Some(own) = files.container_of(dial).filter(|it| !it.shares_host()) else { continue };
        let mine = networks(own);
        for (fact, address) in &dial.addresses {
            for other in files.named_by(dial, host(address)).into_iter().map(|it| &files.units[it])
            {
                if other.source != own.source
                    || other.shares_host()
                    || is_service(own) != is_service(other)
                {
                    continue;
                }
                let theirs = networks(other);
                let shared = mine.iter().any(|(_, it)| theirs.iter().any(|(_, its)| it == its));
                let default = mine.is_empty() && theirs.is_empty();
                if shared || default {
                    continue;
                }
                let (Some(here), Some(there)) = (own.service, other.service) else { continue };
                let statement = format!(
                    "`{here}` is in {} and `{there}` in {}: they share no network",
                    names(&mine),
                    names(&theirs)
                );
                let mut proofs = vec![*fact];
                proofs.extend(mine.first().or(theirs.first()).map(|it| it.0));
                proofs.extend(theirs.first().map(|it| it.0));
                let (home, wanted) = match theirs.first() {
                    Some((_, name)) => (own, *name),
                    None => (own, "default"),
                };
                let Some(beside) = home.facts.first() else { continue };
                let text = format!("Put `{here}` into the network `{wanted}` as well");
                let lines = format!("    networks:\n      - {wanted}");
                let step = add(text, *beside, &lines, Risk::Restart);
                found.say(Severity::Breaks, statement, &proofs, vec![step]);
            }
        }
    }
}

/// Only services of compose are in networks of compose.
fn is_service(unit: &Unit<'_>) -> bool {
    unit.facts.iter().any(|it| {
        matches!(it.what(), What::Service { .. }) && it.product() == evidence::Product::Docker
    })
}

fn networks<'t>(unit: &Unit<'t>) -> Vec<(Fact<'t>, &'t str)> {
    unit.all(|it| match it.what() {
        What::Network { name } => Some(&**name),
        _ => None,
    })
}

fn names(networks: &[(Fact<'_>, &str)]) -> String {
    let names: Vec<String> = networks.iter().map(|(_, it)| format!("`{it}`")).collect();
    match names.is_empty() {
        true => "the default network".to_owned(),
        false => names.join(" and "),
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "wrong_network";

    #[test]
    fn two_networks_with_nothing_in_common() {
        check(
            ID,
            "n.conf nginx: dials http://app:80; c.yml docker nginx: service nginx, network front; \
             c.yml docker app: service app, network back",
            "breaks: `nginx` is in `front` and `app` in `back`: they share no network",
        );
    }

    #[test]
    fn one_is_in_the_default_network_alone() {
        check(
            ID,
            "n.conf nginx: dials http://app:80; c.yml docker nginx: service nginx; \
             c.yml docker app: service app, network back",
            "breaks: `nginx` is in the default network and `app` in `back`: they share no network",
        );
    }

    #[test]
    fn one_network_in_common_is_enough() {
        for networks in [
            ("network a, network b", "network b"),
            ("service x", "service y"),
            ("hostnet", "network b"),
        ] {
            let settings = format!(
                "n.conf nginx: dials http://app:80; c.yml docker nginx: service nginx, {}; \
                 c.yml docker app: service app, {}",
                networks.0, networks.1
            );
            check_nothing(ID, &settings);
        }
    }
}
