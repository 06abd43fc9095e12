//! nginx looks a name up once, when it starts: a container that comes back with another address is
//! not found again until a reload.

use super::files::Files;
use super::tls_to_plain_port::each;
use super::{Check, Found, Severity};
use crate::report::{Risk, Step};
use evidence::address::host;
use evidence::{Product, What};

pub(super) const CHECK: Check = Check { cause: "dns_stale_ip", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for (_, fact, address) in each(files).filter(|it| it.1.is_nginx()) {
        let name = host(address);
        let compose = files.named(name).iter().find_map(|it| {
            files.units[*it].find(|it| match it.what() {
                What::Service { .. } if it.product() == Product::Docker => Some(()),
                _ => None,
            })
        });
        let Some((proof, ())) = compose else { continue };
        let statement = format!(
            "nginx looks `{name}` up once, when it starts; after `docker compose up` has made that \
             container anew, it may dial the old address"
        );
        let steps = vec![
            Step::run(
                "Reload nginx after a container was made anew",
                "docker compose exec nginx nginx -s reload",
                Risk::Reload,
            ),
            Step::say(
                "Or have it look the name up while it runs: `resolver 127.0.0.11 valid=10s;`, and \
                 `resolve` behind the server in a group with a `zone` (since 1.27.3)",
            ),
        ];
        found.say(Severity::Hint, statement, &[fact, proof], steps);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "dns_stale_ip";

    #[test]
    fn a_name_of_compose_in_a_group_or_not() {
        let said = "hint: nginx looks `app` up once, when it starts; after `docker compose up` has \
                    made that container anew, it may dial the old address";
        check(ID, "n.conf nginx: dials http://app:80; c.yml docker app: service app", said);
        check(
            ID,
            "n.conf nginx: dials http://up, member up app:80; c.yml docker app: service app",
            said,
        );
    }

    #[test]
    fn addresses_that_stay_are_fine() {
        check_nothing(ID, "n.conf nginx: dials http://$app:80; c.yml docker app: service app");
        check_nothing(ID, "n.conf nginx: dials http://app:80; s.yml kubernetes app: service app");
        check_nothing(ID, "c caddy: dials http://app:80; c.yml docker app: service app");
    }
}
