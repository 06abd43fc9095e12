//! nginx dials a name from a variable, and has no resolver to look it up while it runs.

use super::files::Files;
use super::{Check, Found, Severity, add};
use crate::report::Risk;
use evidence::What;

pub(super) const CHECK: Check = Check { cause: "dns_nxdomain", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let nginx = || files.facts().filter(|it| it.is_nginx());
    if nginx().any(|it| matches!(it.what(), What::Resolver { .. })) {
        return;
    }
    let groups = nginx().any(|it| matches!(it.what(), What::Member { .. }));
    let containers = files.units.iter().any(super::files::Unit::is_container);
    for dial in files.dials.iter().filter(|it| it.fact.is_nginx()) {
        let What::Dials { to, .. } = dial.fact.what() else { continue };
        if !to.contains('$') {
            continue;
        }
        // The variable may hold a group's name, or an address.
        let severity = if groups { Severity::Risk } else { Severity::Breaks };
        let server = if containers { "127.0.0.11" } else { "<address of your DNS server>" };
        let statement = format!(
            "nginx dials `{to}`, whose value it must look up for each request, and no `resolver` \
             is set"
        );
        let lines = format!("resolver {server} valid=10s;");
        let step =
            add("Name a resolver in the `server` or `http` block", dial.fact, &lines, Risk::Reload);
        found.say(severity, statement, &[dial.fact], vec![step]);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "dns_nxdomain";

    #[test]
    fn a_variable_without_a_resolver() {
        check(
            ID,
            "n.conf nginx: dials http://$backend:80",
            "breaks: nginx dials `$backend:80`, whose value it must look up for each request, and \
             no `resolver` is set",
        );
        check(
            ID,
            "n.conf nginx: dials http://$backend, member app 192.0.2.1:80",
            "risk: nginx dials `$backend`, whose value it must look up for each request, and no \
             `resolver` is set",
        );
    }

    #[test]
    fn with_a_resolver_or_without_a_variable_all_is_well() {
        check_nothing(ID, "n.conf nginx: dials http://$b:80; http.conf nginx: resolver 127.0.0.11");
        check_nothing(ID, "n.conf nginx: dials http://backend:80");
        check_nothing(ID, "Caddyfile caddy: dials http://$b:80");
    }
}
