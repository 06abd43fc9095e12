//! What holds for every answer.

use crate::scenes::scenes;
use crate::world::{Input, report, testimony};
use diagnosis::report::{Report, Sufficiency, Verdict};
use diagnosis::why::{Question, why};
use evidence::Arrival;
use serde_json::Value;

/// Every answer to the scenes, and to what is left of them without one of their inputs.
fn answers() -> Vec<(String, Vec<Input>, Report)> {
    let mut answers = Vec::new();
    for world in scenes() {
        for left_out in 0..=world.inputs.len() {
            let mut inputs = world.inputs.clone();
            let name = match left_out < inputs.len() {
                true => format!("{} without {}", world.name, inputs.remove(left_out).name),
                false => world.name.to_owned(),
            };
            let report = report(&inputs);
            answers.push((name, inputs, report));
        }
    }
    answers
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    for world in scenes() {
        let once = serde_json::to_string(&world.report()).unwrap();
        let again = serde_json::to_string(&world.report()).unwrap();
        assert_eq!(once, again, "{}", world.name);
    }
}

#[test]
fn every_answer_keeps_the_contract() {
    let schema = serde_json::from_str(include_str!("../../contracts/report.schema.json")).unwrap();
    let contract = jsonschema::validator_for(&schema).expect("the contract is a schema");
    for (name, _, report) in answers() {
        let value: Value = serde_json::to_value(&report).unwrap();
        let complaints: Vec<String> = contract
            .iter_errors(&value)
            .map(|it| format!("{}: {it}", it.instance_path()))
            .collect();
        assert!(complaints.is_empty(), "{name}: {complaints:?}");
    }
}

#[test]
fn candidates_exclude_each_other_and_a_name_is_earned() {
    for (name, _, report) in answers() {
        let sum: f64 = report.candidates.iter().map(|it| it.confidence).sum();
        assert!(sum <= 1.0, "{name}: {sum}");
        assert!(report.candidates.is_sorted_by(|a, b| a.confidence >= b.confidence), "{name}");
        let at = |it: usize| report.candidates.get(it).map_or(0.0, |it| it.confidence);
        if report.verdict == Verdict::Named {
            // Shown with two decimals, rounded down.
            assert!(at(0) >= 0.8 && at(0) - at(1) >= 0.29, "{name}: {:?}", report.candidates);
        }
        let named = matches!(report.verdict, Verdict::Named | Verdict::Either);
        assert_eq!(named, report.cause != "unknown", "{name}");
    }
}

#[test]
fn there_is_something_to_do_next_unless_all_is_known() {
    for (name, _, report) in answers() {
        assert!(report.next.len() <= 3, "{name}");
        let known = report.verdict == Verdict::Named && report.sufficiency == Sufficiency::High;
        let healthy = report.verdict == Verdict::NoFailure;
        assert!(known || healthy || !report.next.is_empty(), "{name}: {}", report.statement);
        assert!(!known || report.next.is_empty(), "{name}");
    }
}

#[test]
fn every_exhibit_that_is_named_is_there() {
    for (name, _, report) in answers() {
        let ids: Vec<&str> = report.evidence.iter().map(|it| it.id.as_str()).collect();
        for link in &report.path {
            for id in &link.evidence {
                assert!(ids.contains(&id.as_str()), "{name}: {id} in {}", link.effect);
            }
        }
        for it in &report.rejected {
            let cited = it.why.rsplit_once("(e").and_then(|(_, it)| it.strip_suffix(')'));
            let number = cited.filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
            assert!(
                number.is_none_or(|it| ids.contains(&format!("e{it}").as_str())),
                "{name}: {}",
                it.why
            );
        }
    }
}

#[test]
fn every_quote_stands_in_its_source() {
    for (name, inputs, report) in answers() {
        for it in &report.evidence {
            let source = inputs.iter().find(|input| input.name == it.source).expect("a source");
            assert!(source.text.contains(&it.quote), "{name}: {}", it.quote);
            let Some(offset) = it.offset else { continue };
            let there = source.text.get(offset as usize..offset as usize + it.quote.len());
            assert_eq!(there, Some(it.quote.as_str()), "{name}");
            let number = source.text[..offset as usize].matches('\n').count() as u64 + 1;
            assert_eq!(it.line, Some(number), "{name}: {}", it.quote);
        }
    }
}

#[test]
fn every_incident_can_be_asked_for() {
    for world in scenes() {
        let testimony = testimony(&world.inputs, Arrival::File);
        let first = why(&testimony, &Question::default());
        for other in &first.others {
            let question = Question { incident: Some(other.id.clone()) };
            let asked = why(&testimony, &question);
            assert_eq!(asked.incident.map(|it| it.id), Some(other.id.clone()), "{}", world.name);
        }
    }
}
