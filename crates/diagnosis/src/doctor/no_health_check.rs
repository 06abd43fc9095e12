//! Several servers, and nobody looks whether they live: a dead one gets its share of the requests.

use super::files::{Fact, Files};
use super::{Check, Found, Severity};
use crate::report::Step;
use evidence::{Product, What};
use std::collections::BTreeMap;

pub(super) const CHECK: Check = Check { cause: "process_down", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let mut groups: BTreeMap<(u32, &str), (Fact<'_>, usize)> = BTreeMap::new();
    let mut checked: Vec<u32> = Vec::new();
    for it in files.facts() {
        match it.what() {
            // nginx sets servers aside by their failures, and its own checks are sold apart.
            What::Member { group, disabled: false, .. } if looks(it.product()) => {
                groups.entry((it.source, group)).or_insert((it, 0)).1 += 1;
            }
            What::HealthCheck { .. } if checked.last() != Some(&it.source) => {
                checked.push(it.source);
            }
            _ => {}
        }
    }
    for ((source, group), (fact, count)) in groups {
        if count < 2 || checked.contains(&source) {
            continue;
        }
        let statement = format!(
            "{} has {count} servers in `{group}` and checks none: one that is down still gets its \
             share of requests",
            fact.product().name()
        );
        let text = match fact.product() {
            Product::HaProxy => {
                "Write `check` behind each server, and `option httpchk GET /health`"
            }
            _ => "Have each server checked, at a path that answers without its dependencies",
        };
        found.say(Severity::Hint, statement, &[fact], vec![Step::say(text)]);
    }
}

/// Products that can look after their servers and do not unless told.
fn looks(product: Product) -> bool {
    matches!(product, Product::HaProxy | Product::Envoy | Product::Traefik | Product::Caddy)
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "process_down";

    #[test]
    fn two_servers_that_nobody_looks_at() {
        check(
            ID,
            "h.cfg haproxy: member app 192.0.2.1:80, member app 192.0.2.2:80",
            "hint: HAProxy has 2 servers in `app` and checks none: one that is down still gets its \
             share of requests",
        );
    }

    #[test]
    fn one_server_or_a_check_is_fine() {
        check_nothing(ID, "h.cfg haproxy: member app 192.0.2.1:80");
        check_nothing(ID, "h.cfg haproxy: member a 192.0.2.1:80, member a 192.0.2.2:80, health /");
        check_nothing(ID, "n.conf nginx: member a 192.0.2.1:80, member a 192.0.2.2:80");
    }
}
