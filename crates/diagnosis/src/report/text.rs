//! The report for a terminal or a mail: what people forward.

use super::Report;

/// The widest line.
pub const WIDTH: usize = 100;

/// The report as plain text.
#[must_use]
pub fn render(report: &Report) -> String {
    format!("{}\n", report.statement)
}
