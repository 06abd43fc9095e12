//! The report for an issue or a chat.

use super::Report;

/// The report as Markdown.
#[must_use]
pub fn render(report: &Report) -> String {
    format!("{}\n", report.statement)
}
