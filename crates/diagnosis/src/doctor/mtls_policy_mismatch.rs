//! A mesh demands mutual TLS, and a rule of the same mesh has callers speak without it.

use super::files::Files;
use super::{Check, Found, Severity, change};
use crate::report::Risk;
use evidence::What;

pub(super) const CHECK: Check = Check { cause: "mtls_policy_mismatch", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let modes = || {
        files.facts().filter_map(|it| match it.what() {
            What::MeshTls { mode, host } => Some((it, &**mode, host.as_deref())),
            _ => None,
        })
    };
    // What servers demand has no host; what callers speak names whom they call.
    let demanded = |wanted: &str| modes().find(|(_, mode, host)| host.is_none() && *mode == wanted);
    for (fact, mode, host) in modes() {
        let Some(host) = host else { continue };
        // Never less: whichever side speaks in the clear is told to encrypt.
        let (demand, secures) = match mode {
            "DISABLE" | "SIMPLE" => (demanded("STRICT"), false),
            "ISTIO_MUTUAL" | "MUTUAL" => (demanded("DISABLE"), true),
            _ => continue,
        };
        let Some((proof, ..)) = demand else { continue };
        let statement = match mode {
            "DISABLE" | "SIMPLE" => format!(
                "callers of `{host}` speak {mode}, but its side demands mutual TLS (STRICT)"
            ),
            _ => format!("callers of `{host}` speak {mode}, but its side has mutual TLS off"),
        };
        let (plain, old, new) = match secures {
            true => (proof, "DISABLE", "PERMISSIVE"),
            false => (fact, mode, "ISTIO_MUTUAL"),
        };
        let new = plain.setting.quote.replacen(old, new, 1);
        let step = change("Have both sides speak mutual TLS", plain, &new, Risk::None);
        found.say(Severity::Breaks, statement, &[fact, proof], vec![step]);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "mtls_policy_mismatch";

    #[test]
    fn strict_against_disabled() {
        check(
            ID,
            "p.yml kubernetes peer: mesh STRICT; d.yml kubernetes rule: mesh DISABLE orders",
            "breaks: callers of `orders` speak DISABLE, but its side demands mutual TLS (STRICT)",
        );
    }

    #[test]
    fn mutual_against_off() {
        check(
            ID,
            "p.yml kubernetes peer: mesh DISABLE; d.yml kubernetes rule: mesh ISTIO_MUTUAL orders",
            "breaks: callers of `orders` speak ISTIO_MUTUAL, but its side has mutual TLS off",
        );
    }

    #[test]
    fn what_agrees_or_permits_is_fine() {
        for settings in [
            "p.yml kubernetes peer: mesh STRICT; d.yml kubernetes rule: mesh ISTIO_MUTUAL orders",
            "p.yml kubernetes peer: mesh PERMISSIVE; d.yml kubernetes rule: mesh DISABLE orders",
            "d.yml kubernetes rule: mesh DISABLE orders",
        ] {
            check_nothing(ID, settings);
        }
    }
}
