//! nginx is told to keep connections to the app, but speaks HTTP/1.0, which closes each of them:
//! under load the ports run out.

use super::files::Files;
use super::{Check, Found, Severity, add};
use crate::report::Risk;
use evidence::{Limit, What};

pub(super) const CHECK: Check = Check { cause: "ephemeral_ports_exhausted", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for dial in files.dials.iter().filter(|it| it.fact.is_nginx()) {
        // Only a proxied HTTP server keeps its version.
        if !matches!(dial.scheme, evidence::Scheme::Http | evidence::Scheme::Https) {
            continue;
        }
        let kept = files.limit_for(dial, Limit::KeepAliveConnections).filter(|it| it.1 > 0);
        let Some((fact, _)) = kept else { continue };
        let version = files.find_for(dial, |it| match it.what() {
            What::HttpVersion { version } => Some(version != "1.0"),
            _ => None,
        });
        if version.is_some_and(|(_, it)| it) {
            continue;
        }
        let statement = "nginx is told to keep connections to the app, but without \
                         `proxy_http_version 1.1` it closes each after one request (before 1.29.7)";
        let lines = "proxy_http_version 1.1;\nproxy_set_header Connection \"\";";
        let step = add("Speak HTTP/1.1, and do not ask to close", dial.fact, lines, Risk::Reload);
        found.say(Severity::Risk, statement, &[fact, dial.fact], vec![step]);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "ephemeral_ports_exhausted";

    #[test]
    fn the_version_is_missing() {
        check(
            ID,
            "n.conf nginx api: dials http://app; n.conf nginx: keepalive 32",
            "risk: nginx is told to keep connections to the app, but without \
             `proxy_http_version 1.1` it closes each after one request (before 1.29.7)",
        );
    }

    #[test]
    fn with_it_or_without_keeping_all_is_well() {
        check_nothing(ID, "n.conf nginx: dials http://app, keepalive 32, http 1.1");
        check_nothing(ID, "n.conf nginx: dials http://app, keepalive 0");
        check_nothing(ID, "n.conf nginx: dials fastcgi://app, keepalive 32");
        check_nothing(ID, "n.conf nginx: dials http://app");
    }
}
