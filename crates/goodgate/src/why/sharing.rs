//! The last touches of a report: where its quotes stand, and what must not be in it.

use super::reading::Rotated;
use diagnosis::report::Report;
use diagnosis::share::Mask;

/// Names the file of a rotated log that each quote stands in, and counts from its start.
pub(super) fn place(report: &mut Report, rotated: &[Rotated]) {
    for exhibit in &mut report.evidence {
        let Some(log) = rotated.iter().find(|it| it.source == exhibit.source) else { continue };
        let file = match (exhibit.offset, exhibit.line) {
            (Some(offset), _) => log.files.iter().rfind(|(_, start, _)| *start <= offset),
            (None, Some(line)) => log.files.iter().rfind(|(_, _, before)| *before < line),
            (None, None) => None,
        };
        if let Some((name, start, before)) = file {
            exhibit.source.clone_from(name);
            exhibit.offset = exhibit.offset.map(|it| it - start);
            exhibit.line = exhibit.line.map(|it| it.saturating_sub(*before));
        }
    }
}

/// Masks secrets, and for others to read also addresses and names.
pub(super) fn masked(report: &mut Report, notes: &mut [String], share: bool) {
    let mut mask = if share { Mask::for_others(report) } else { Mask::secrets() };
    mask.report(report);
    for note in notes {
        mask.text(note);
    }
}
