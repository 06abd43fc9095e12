//! What the reports on a few lines say, and some words of what they tell to do.

use super::explained;
use crate::report::Report;

/// The cause that comes first and the statement must be these: `cause: statement`.
#[track_caller]
pub(crate) fn check_report(inputs: &[(&str, &str)], expected: &str) -> Report {
    let report = explained(inputs);
    assert_eq!(format!("{}: {}", report.cause, report.statement), expected, "{report:#?}");
    assert!(!report.fix.now.is_empty(), "nothing is told");
    report
}

/// These words must stand in what is told, in any step.
#[track_caller]
pub(crate) fn check_told(report: &Report, words: &[&str]) {
    let cure = format!("{:?}", report.fix);
    for it in words {
        assert!(cure.contains(it), "{it} is not in {cure}");
    }
}

/// An error line of nginx about a request to this upstream.
pub(crate) fn nginx(message: &str, upstream: &str) -> String {
    format!(
        "2026/11/20 15:16:30 [error] 12#12: *5 {message}, client: 192.0.2.1, server: example.com, \
         request: \"GET /data HTTP/1.1\", upstream: \"{upstream}\", host: \"example.com\"\n"
    )
}
