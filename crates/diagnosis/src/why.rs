//! From testimony to the report.

use crate::report::Report;
use evidence::Testimony;

/// What is asked about the testimony.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The incident to explain, by the id of an earlier report of the same inputs.
    pub incident: Option<String>,
}

/// Explains what failed. The same testimony and question give the same report, byte for byte.
#[must_use]
pub fn why(testimony: &Testimony, question: &Question) -> Report {
    crate::engine::report(&testimony.settled(), question, None)
}

/// The same as if one cause were not in the catalogue: where the truth is not among what can be
/// said, nothing may be said with confidence.
#[must_use]
pub fn why_without(testimony: &Testimony, question: &Question, cause: &str) -> Report {
    crate::engine::report(&testimony.settled(), question, Some(cause))
}
