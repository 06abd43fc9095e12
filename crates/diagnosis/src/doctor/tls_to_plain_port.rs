//! A proxy speaks TLS to a port that listens without it.

use super::files::{Dial, Fact, Files, Unit};
use super::{Check, Found, Severity, change};
use crate::report::Risk;
use evidence::address::port;
use evidence::{Scheme, What};

pub(super) const CHECK: Check = Check { cause: "tls_to_plain_port", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for (dial, fact, address) in each(files) {
        if !matches!(dial.scheme, Scheme::Https | Scheme::Grpcs) {
            continue;
        }
        for at in files.surely_reached(dial, address) {
            let unit = &files.units[at];
            let Some((proof, scheme)) = spoken(unit, dial.port(address)) else { continue };
            // A server may be given its certificate elsewhere on its command line.
            let secured = ["certfile", "keyfile", "ssl", "tls"].iter().any(|it| unit.mentions(it));
            if scheme != Scheme::Http || secured {
                continue;
            }
            let statement = format!(
                "{} speaks TLS to {address}, but {} listens there without it",
                fact.product().name(),
                proof.product().name()
            );
            let new = fact.setting.quote.replacen("https://", "http://", 1);
            let new = new.replacen("grpcs://", "grpc://", 1);
            let step = change("Speak plain HTTP to it", dial.fact, &new, Risk::Reload);
            found.say(Severity::Breaks, statement, &[dial.fact, proof], vec![step]);
        }
    }
}

/// Each address that is dialled.
pub(super) fn each<'f, 't>(
    files: &'f Files<'t>,
) -> impl Iterator<Item = (&'f Dial<'t>, Fact<'t>, &'t str)> {
    files.dials.iter().flat_map(|dial| dial.addresses.iter().map(move |it| (dial, it.0, it.1)))
}

/// What is spoken at a port of a unit, where it says so.
pub(super) fn spoken<'t>(unit: &Unit<'t>, wanted: Option<u16>) -> Option<(Fact<'t>, Scheme)> {
    unit.find(|it| match it.what() {
        What::Listens { address, scheme } if wanted.is_some() && port(address) == wanted => {
            Some(*scheme)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "tls_to_plain_port";

    #[test]
    fn the_app_knows_no_tls() {
        check(
            ID,
            "n.conf nginx: dials https://127.0.0.1:8000; g.py gunicorn: listens http://0.0.0.0:8000",
            "breaks: nginx speaks TLS to 127.0.0.1:8000, but gunicorn listens there without it",
        );
    }

    #[test]
    fn a_certificate_or_another_port_is_fine() {
        for settings in [
            "n.conf nginx: dials https://127.0.0.1:8000; g.py gunicorn: listens http://:8000, runs gunicorn --certfile x",
            "n.conf nginx: dials https://127.0.0.1:8443; g.py gunicorn: listens http://:8000",
            "n.conf nginx: dials https://127.0.0.1:8000; g.py gunicorn: listens :8000",
            "n.conf nginx: dials http://127.0.0.1:8000; g.py gunicorn: listens http://:8000",
        ] {
            check_nothing(ID, settings);
        }
    }
}
