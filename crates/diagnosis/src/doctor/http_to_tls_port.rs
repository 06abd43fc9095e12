//! A proxy speaks plain HTTP to a port that listens with TLS.

use super::files::Files;
use super::tls_to_plain_port::{each, spoken};
use super::{Check, Found, Severity, change};
use crate::report::Risk;
use evidence::Scheme;

pub(super) const CHECK: Check = Check { cause: "http_to_tls_port", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for (dial, fact, address) in each(files) {
        if !matches!(dial.scheme, Scheme::Http | Scheme::Grpc | Scheme::Http2) {
            continue;
        }
        let new = dial.fact.setting.quote.replacen("http://", "https://", 1);
        let step = || change("Speak TLS to it", dial.fact, &new, Risk::Reload);
        let product = fact.product().name();
        for at in files.surely_reached(dial, address) {
            if let Some((proof, Scheme::Https | Scheme::Grpcs)) =
                spoken(&files.units[at], dial.port(address))
            {
                let statement = format!(
                    "{product} speaks plain HTTP to {address}, where {} expects TLS",
                    proof.product().name()
                );
                found.say(Severity::Breaks, statement, &[dial.fact, proof], vec![step()]);
            }
        }
        if evidence::address::port(address) == Some(443) {
            let said = files.surely_reached(dial, address);
            if said.iter().any(|it| spoken(&files.units[*it], Some(443)).is_some()) {
                continue;
            }
            let statement = format!("{product} speaks plain HTTP to {address}, a port of TLS");
            found.say(Severity::Risk, statement, &[dial.fact], vec![step()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "http_to_tls_port";

    #[test]
    fn the_next_proxy_expects_tls() {
        check(
            ID,
            "a.conf nginx: dials http://127.0.0.1:8443; b.cfg haproxy: listens https://:8443",
            "breaks: nginx speaks plain HTTP to 127.0.0.1:8443, where HAProxy expects TLS",
        );
    }

    #[test]
    fn port_443_without_tls_is_a_risk() {
        check(
            ID,
            "a.conf nginx: dials http://api.example.com:443",
            "risk: nginx speaks plain HTTP to api.example.com:443, a port of TLS",
        );
    }

    #[test]
    fn what_fits_is_left_alone() {
        for settings in [
            "a.conf nginx: dials https://127.0.0.1:443; b.cfg haproxy: listens https://:443",
            "a.conf nginx: dials http://127.0.0.1:443; b.cfg haproxy: listens http://:443",
            "a.conf nginx: dials http://127.0.0.1:8443; b.cfg haproxy: listens :8443",
        ] {
            check_nothing(ID, settings);
        }
    }
}
