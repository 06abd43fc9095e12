//! nginx passes the headers of a WebSocket on, but speaks HTTP/1.0 to the app, which has none.

use super::files::Files;
use super::{Check, Found, Severity, add};
use crate::report::Risk;
use evidence::What;

pub(super) const CHECK: Check = Check { cause: "upgrade_not_forwarded", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for dial in files.dials.iter().filter(|it| it.fact.is_nginx()) {
        let upgrade = |it: super::Fact<'_>| (*it.what() == What::PassesUpgrade).then_some(());
        let Some((fact, ())) = files.find_for(dial, upgrade) else { continue };
        let version = files.find_for(dial, |it| match it.what() {
            What::HttpVersion { version } => Some(version != "1.0"),
            _ => None,
        });
        if version.is_some_and(|(_, it)| it) {
            continue;
        }
        let statement = "nginx passes `Upgrade` on without `proxy_http_version 1.1`: before 1.29.7 \
                         it then speaks HTTP/1.0, and WebSockets fail";
        let step = add("Speak HTTP/1.1 to the app", fact, "proxy_http_version 1.1;", Risk::Reload);
        let proofs: Vec<super::Fact<'_>> =
            [Some(fact), version.map(|it| it.0)].into_iter().flatten().collect();
        found.say(Severity::Risk, statement, &proofs, vec![step]);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "upgrade_not_forwarded";
    const SAID: &str = "risk: nginx passes `Upgrade` on without `proxy_http_version 1.1`: before \
                        1.29.7 it then speaks HTTP/1.0, and WebSockets fail";

    #[test]
    fn the_version_is_missing_or_wrong() {
        check(ID, "n.conf nginx: dials http://app, upgrade", SAID);
        check(ID, "n.conf nginx: dials http://app, upgrade, http 1.0", SAID);
    }

    #[test]
    fn with_it_or_without_upgrades_all_is_well() {
        check_nothing(ID, "n.conf nginx: dials http://app, http 1.1, upgrade");
        check_nothing(ID, "n.conf nginx api: dials http://app, upgrade; n.conf nginx: http 1.1");
        check_nothing(ID, "n.conf nginx: dials http://app");
    }
}
