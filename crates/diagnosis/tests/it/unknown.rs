//! Where the truth is not in the catalogue, nothing else is said with confidence.

use crate::scenes::scenes;
use crate::world::{brings, testimony};
use diagnosis::report::Verdict;
use diagnosis::why::{Question, why_without};
use evidence::Arrival;

#[test]
fn without_the_true_cause_no_other_is_named_but_what_it_brings_about() {
    let mut wrong = Vec::new();
    for world in scenes().into_iter().filter(|it| it.cause != "unknown") {
        let testimony = testimony(&world.inputs, Arrival::File);
        let report = why_without(&testimony, &Question::default(), world.cause);
        assert!(report.candidates.iter().all(|it| it.cause != world.cause), "{}", world.name);
        let named = report.verdict == Verdict::Named || report.confidence >= 0.8;
        let first = report.candidates.first().map_or("", |it| it.cause.as_str());
        if named && !brings(world.cause, first, 0) {
            wrong.push(format!("{}: {} {:?}", world.name, report.statement, report.candidates));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
