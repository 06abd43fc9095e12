//! Reports on texts, for the tests of what causes say of them and what they tell to do.

use crate::report::{Cure, Report};
use crate::why::{Question, why};
use evidence::{Arrival, Testimony};

/// What these inputs, a name and a text each, are explained by.
pub(crate) fn report(inputs: &[(&str, &str)]) -> Report {
    why(&Testimony::of(inputs, Arrival::File, 2026), &Question::default())
}

/// The cause that comes first and the statement must be these: `cause: statement`. Nothing that
/// harms may be told, and something must be.
#[track_caller]
pub(crate) fn check_report(inputs: &[(&str, &str)], expected: &str) -> Report {
    let report = report(inputs);
    assert_eq!(format!("{}: {}", report.cause, report.statement), expected, "{report:#?}");
    sound(&report.fix);
    report
}

/// An error line of nginx about a request to this upstream.
pub(crate) fn nginx(message: &str, upstream: &str) -> String {
    format!(
        "2026/11/20 15:16:30 [error] 12#12: *5 {message}, client: 192.0.2.1, server: example.com, \
         request: \"GET /data HTTP/1.1\", upstream: \"{upstream}\", host: \"example.com\"\n"
    )
}

/// The lines of a cure that must stand in it, in any step.
#[track_caller]
pub(crate) fn check_told(report: &Report, words: &[&str]) {
    let cure = format!("{:?}", report.fix);
    for it in words {
        assert!(cure.contains(it), "{it} is not in {cure}");
    }
}

#[track_caller]
fn sound(cure: &Cure) {
    assert!(!cure.now.is_empty(), "nothing is told");
    let all = [&cure.before, &cure.now, &cure.lasting, &cure.verify];
    for step in all.into_iter().flatten() {
        let text = format!("{step:?}");
        for never in crate::causes::FORBIDDEN {
            assert!(!text.contains(never), "{never}: {text}");
        }
        assert!(!step.text.trim().is_empty() && !step.text.ends_with('.'), "{text}");
    }
}
