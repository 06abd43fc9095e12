//! A group whose servers are switched off, or whose only one can be set aside.

use super::files::{Fact, Files};
use super::{Check, Found, Severity, add};
use crate::report::{Risk, Step};
use evidence::{Limit, What};
use std::collections::BTreeMap;

pub(super) const CHECK: Check = Check { cause: "no_live_upstreams", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let mut groups: BTreeMap<(u32, &str), Vec<(Fact<'_>, bool)>> = BTreeMap::new();
    for it in files.facts() {
        if let What::Member { group, disabled, .. } = it.what() {
            groups.entry((it.source, group)).or_default().push((it, *disabled));
        }
    }
    for ((_, group), members) in groups {
        let off: Vec<Fact<'_>> = members.iter().filter(|it| it.1).map(|it| it.0).collect();
        let on: Vec<Fact<'_>> = members.iter().filter(|it| !it.1).map(|it| it.0).collect();
        let Some(first) = off.first().copied() else { continue };
        let product = first.product().name();
        match on.as_slice() {
            [] => {
                let statement = format!(
                    "every server of `{group}` is switched off: {product} has nobody to ask"
                );
                let shown = &off[..off.len().min(4)];
                let step = Step::say("Switch a server on again, or have callers told on purpose");
                found.say(Severity::Breaks, statement, shown, vec![step]);
            }
            [one] if one.is_nginx() && failures(files, *one) != Some(0) => {
                let statement = format!(
                    "one server of `{group}` is left, and nginx sets it aside after a failure: \
                     beside one that is `down` it is not spared as a single server is"
                );
                let lines = format!("{} max_fails=0;", one.setting.quote.trim_end_matches(';'));
                let step = match one.setting.quote.contains("max_fails") {
                    true => Step::say("Set `max_fails=0` for it while it is alone"),
                    false => {
                        add("Do not set it aside while it is alone", *one, &lines, Risk::Reload)
                    }
                };
                found.say(Severity::Risk, statement, &[*one, first], vec![step]);
            }
            _ => {
                let statement = format!(
                    "{} of {} servers of `{group}` are switched off",
                    off.len(),
                    members.len()
                );
                let shown = &off[..off.len().min(4)];
                let step = Step::say("Switch them on again, or take them out");
                found.say(Severity::Hint, statement, shown, vec![step]);
            }
        }
    }
}

/// `max_fails` of a server's line, or of its neighbours where it has none.
fn failures(files: &Files<'_>, member: Fact<'_>) -> Option<i64> {
    let mut mine = false;
    for it in files.units.iter().flat_map(|it| &it.facts) {
        if std::ptr::eq(it.setting, member.setting) {
            mine = true;
        } else if mine {
            match it.limit(Limit::MaxFails) {
                Some(count) => return Some(count),
                None if it.setting.line != member.setting.line => return None,
                None => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "no_live_upstreams";

    #[test]
    fn nobody_is_left() {
        check(
            ID,
            "h.cfg haproxy: member app 192.0.2.1:80 disabled, member app 192.0.2.2:80 disabled",
            "breaks: every server of `app` is switched off: HAProxy has nobody to ask",
        );
    }

    #[test]
    fn one_is_left_and_may_be_set_aside() {
        let said = "risk: one server of `app` is left, and nginx sets it aside after a failure: \
                    beside one that is `down` it is not spared as a single server is";
        check(ID, "n.conf nginx: member app 192.0.2.1:80, member app 192.0.2.2:80 disabled", said);
        check_nothing(
            ID,
            "n.conf nginx: member app 192.0.2.1:80, max-fails 0, member b 192.0.2.2:80",
        );
    }

    #[test]
    fn some_are_off_perhaps_on_purpose() {
        check(
            ID,
            "h.cfg haproxy: member app 192.0.2.1:80, member app 192.0.2.2:80 disabled",
            "hint: 1 of 2 servers of `app` are switched off",
        );
    }

    #[test]
    fn a_single_server_is_spared() {
        check_nothing(ID, "n.conf nginx: member app 192.0.2.1:80, max-fails 3");
    }
}
