//! nginx is told to keep connections to the app, but speaks HTTP/1.0, which closes each of them:
//! under load the ports run out.

use super::files::{Dial, Fact, Files};
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
        if let Some((version, true)) = version {
            closes(files, dial, &[fact, version], found);
            continue;
        }
        let statement = "nginx is told to keep connections to the app, but without \
                         `proxy_http_version 1.1` it closes each after one request (before 1.29.7)";
        let lines = "proxy_http_version 1.1;\nproxy_set_header Connection \"\";";
        let step = add("Speak HTTP/1.1, and do not ask to close", dial.fact, lines, Risk::Reload);
        found.say(Severity::Risk, statement, &[fact, dial.fact], vec![step]);
    }
}

/// HTTP/1.1 is spoken; before 1.29.7 nginx asks the app to close nevertheless, unless the header is
/// emptied.
fn closes(files: &Files<'_>, dial: &Dial<'_>, facts: &[Fact<'_>], found: &mut Found<'_>) {
    let connection = |it: Fact<'_>| match it.what() {
        What::SetsHeader { name, value } if name.eq_ignore_ascii_case("connection") => {
            Some(value.trim_matches(['"', '\'']).eq_ignore_ascii_case("close"))
        }
        _ => None,
    };
    let set = files.find_for(dial, connection).map(|(_, it)| it);
    // A file that empties it in one place may include the same in another.
    let elsewhere =
        files.facts().filter(|it| it.is_nginx()).any(|it| connection(it) == Some(false));
    if set == Some(false) || set.is_none() && elsewhere {
        return;
    }
    let statement = "nginx is told to keep connections to the app, but without `proxy_set_header \
                     Connection \"\"` it asks the app to close each of them (before 1.29.7)";
    let lines = "proxy_set_header Connection \"\";";
    let step = add("Do not ask to close", dial.fact, lines, Risk::Reload);
    found.say(Severity::Hint, statement, facts, vec![step]);
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
    fn the_header_asks_to_close() {
        let asks = "hint: nginx is told to keep connections to the app, but without \
                    `proxy_set_header Connection \"\"` it asks the app to close each of them (before \
                    1.29.7)";
        check(ID, "n.conf nginx: dials http://app, keepalive 32, http 1.1", asks);
        check(
            ID,
            "n.conf nginx: dials http://app, keepalive 32, http 1.1, sets Connection close",
            asks,
        );
        for value in ["\"\"", "$connection_upgrade", "upgrade"] {
            let settings = format!(
                "n.conf nginx: dials http://app, keepalive 32, http 1.1, sets Connection {value}"
            );
            check_nothing(ID, &settings);
        }
    }

    #[test]
    fn with_it_or_without_keeping_all_is_well() {
        check_nothing(
            ID,
            "n.conf nginx: dials http://app, keepalive 32, http 1.1, sets Connection ",
        );
        check_nothing(ID, "n.conf nginx: dials http://app, keepalive 0");
        check_nothing(ID, "n.conf nginx: dials fastcgi://app, keepalive 32");
        check_nothing(ID, "n.conf nginx: dials http://app");
    }
}
