//! One side sends the PROXY header, and the other does not expect it, or the reverse.

use super::files::{Fact, Files};
use super::tls_to_plain_port::each;
use super::{Check, Found, Severity};
use crate::report::Step;
use evidence::What;

pub(super) const CHECK: Check = Check { cause: "proxy_protocol_mismatch", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for (dial, fact, address) in each(files) {
        // What one server of several is sent stands in its own line.
        let own = &files.units[dial.unit];
        let alone = own.all(|it| matches!(it.what(), What::Dials { .. }).then_some(())).len() == 1;
        let same = |it: Fact<'_>| alone || it.setting.line == dial.fact.setting.line;
        let sends = files.find_for(dial, |it| header(it, true).filter(|()| same(it)));
        for at in files.surely_reached(dial, address) {
            let unit = &files.units[at];
            let all = unit.listens();
            let port = dial.port(address);
            let Some((listens, _)) = all.iter().find(|it| Some(it.1) == port).copied() else {
                continue;
            };
            let same = |it: Fact<'_>| all.len() == 1 || it.setting.line == listens.setting.line;
            let expects = unit.find(|it| header(it, false).filter(|()| same(it)));
            let (one, other) = (fact.product().name(), listens.product().name());
            match (sends, expects) {
                (Some((proof, ())), None) => {
                    let statement = format!(
                        "{one} sends the PROXY header to {address}, and {other} does not expect it"
                    );
                    let step = Step::say(format!(
                        "Have {other} expect it, or have {one} send none: both on or both off"
                    ));
                    found.say(Severity::Breaks, statement, &[proof, listens], vec![step]);
                }
                (None, Some((proof, ()))) => {
                    let statement = format!(
                        "{other} expects the PROXY header, and {one} sends none to {address}"
                    );
                    let step = Step::say(format!(
                        "Have {one} send it, or have {other} expect none: both on or both off"
                    ));
                    found.say(Severity::Breaks, statement, &[proof, dial.fact], vec![step]);
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
    }
}

fn header(fact: Fact<'_>, wanted: bool) -> Option<()> {
    matches!(fact.what(), What::ProxyHeader { sends } if *sends == wanted).then_some(())
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "proxy_protocol_mismatch";

    #[test]
    fn sent_and_not_expected() {
        check(
            ID,
            "h.cfg haproxy: dials 127.0.0.1:80, proxy-header sent; n.conf nginx: listens :80",
            "breaks: HAProxy sends the PROXY header to 127.0.0.1:80, and nginx does not expect it",
        );
    }

    #[test]
    fn expected_and_not_sent() {
        check(
            ID,
            "h.cfg haproxy: dials 127.0.0.1:80; n.conf nginx: listens :80, proxy-header expected",
            "breaks: nginx expects the PROXY header, and HAProxy sends none to 127.0.0.1:80",
        );
    }

    #[test]
    fn both_or_neither_and_other_ports_are_fine() {
        for settings in [
            "h.cfg haproxy: dials 127.0.0.1:80, proxy-header sent; n.conf nginx: listens :80, proxy-header expected",
            "h.cfg haproxy: dials 127.0.0.1:80; n.conf nginx: listens :80",
            "h.cfg haproxy: dials 127.0.0.1:81, proxy-header sent; n.conf nginx: listens :80",
        ] {
            check_nothing(ID, settings);
        }
    }
}
