//! Tests of the catalogue as a whole: that its causes can be told apart, and that its tables are sound.

use crate::causes::CATALOGUE;
use crate::next::LOOKS;
use crate::text::Text;
use evidence::{Kind, Sign};
use std::collections::{BTreeMap, BTreeSet};

fn behind(sign: Sign) -> Vec<(&'static str, f32, &'static Text)> {
    let all = CATALOGUE.iter().filter_map(|it| {
        let (_, share) = it.cause.text.behind.iter().find(|(there, _)| *there == sign)?;
        Some((it.cause.id, *share, &it.cause.text))
    });
    all.collect()
}

#[test]
fn every_share_is_a_probability_and_those_of_a_sign_are_at_most_one() {
    let mut wrong = Vec::new();
    for &sign in Sign::ALL {
        let shares = behind(sign);
        let odd = shares.iter().filter(|(_, it, _)| !(0.001..=0.999).contains(it));
        wrong.extend(odd.map(|(id, share, _)| format!("{id} behind {sign:?}: {share}")));
        let sum: f32 = shares.iter().map(|(_, it, _)| it).sum();
        if sum > 1.0 + 1e-5 {
            wrong.push(format!("{sign:?}: {sum}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_cause_names_a_sign_twice() {
    for entry in CATALOGUE {
        let text = &entry.cause.text;
        let behind: BTreeSet<Sign> = text.behind.iter().map(|(it, _)| *it).collect();
        assert_eq!(behind.len(), text.behind.len(), "{}: behind", entry.cause.id);
        let clues: BTreeSet<Sign> = text.clues.iter().map(|it| it.sign).collect();
        assert_eq!(clues.len(), text.clues.len(), "{}: clues", entry.cause.id);
    }
}

#[test]
fn every_failure_has_a_cause_and_every_accident_says_something() {
    let mut unused = Vec::new();
    for &sign in Sign::ALL {
        let used = CATALOGUE.iter().any(|it| {
            let text = &it.cause.text;
            text.behind.iter().any(|(it, _)| *it == sign)
                || text.clues.iter().any(|it| it.sign == sign)
        });
        let counts = matches!(sign.kind(), Kind::Wire | Kind::Cut | Kind::Act);
        if counts && !used {
            unused.push(sign);
        }
    }
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn every_effect_is_a_cause_and_none_brings_itself_about() {
    let effects: BTreeMap<&str, &[&str]> =
        CATALOGUE.iter().map(|it| (it.cause.id, it.cause.text.brings)).collect();
    for (id, brings) in &effects {
        for effect in *brings {
            assert!(effects.contains_key(effect), "{id} brings {effect}, which is no cause");
        }
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = brings.to_vec();
        while let Some(it) = open.pop() {
            if reached.insert(it) {
                open.extend(effects[it]);
            }
        }
        assert!(!reached.contains(id), "{id} brings itself about");
    }
}

#[test]
fn every_outcome_of_a_look_is_a_cause() {
    for look in LOOKS {
        for (outcome, id) in look.then {
            assert!(crate::entry(id).is_some(), "{outcome}: {id}");
        }
    }
}

/// Two causes of one sign can be told apart: by a sign that speaks for one alone, by comparing
/// facts, or by something to look at that names one and not the other.
#[test]
fn causes_of_one_sign_can_be_told_apart() {
    let clues = |text: &Text| -> BTreeSet<Sign> { text.clues.iter().map(|it| it.sign).collect() };
    let reasons = |text: &Text| !std::ptr::fn_addr_eq(text.reason, Text::NONE.reason);
    let mut alike = BTreeSet::new();
    for &sign in Sign::ALL {
        let causes = behind(sign);
        for (at, (one, _, a)) in causes.iter().enumerate() {
            for (other, _, b) in &causes[at + 1..] {
                let looked = LOOKS.iter().any(|look| {
                    let names = |id: &str| look.then.iter().any(|(_, it)| *it == id);
                    names(one) != names(other) || names(one) && names(other)
                });
                if clues(a) == clues(b) && !reasons(a) && !reasons(b) && !looked {
                    alike.insert((*one, *other));
                }
            }
        }
    }
    assert!(alike.is_empty(), "{alike:#?}");
}
