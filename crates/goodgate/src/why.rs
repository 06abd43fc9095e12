//! What `goodgate why` does: finds out what its inputs are, reads them and asks the engine.

mod bunzip;
pub(crate) mod inputs;
mod progress;
mod reading;
mod scanning;
mod seeking;
mod sharing;
mod tar;
pub(crate) mod times;
mod unpacking;
mod words;

use diagnosis::report::{NotLookedAt, Report};
use diagnosis::why::Question;
use inputs::{Inputs, Refused};
use progress::Progress;
pub(crate) use reading::{Limits, Wanted};
pub(crate) use words::reason;

/// What is asked, besides the inputs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) wanted: Wanted,
    pub(crate) incident: Option<String>,
    /// The report is for others: addresses and names are masked.
    pub(crate) share: bool,
    /// A terminal may show how far it is.
    pub(crate) progress: bool,
}

/// What came of it.
pub(crate) struct Answer {
    /// `None` where nothing at all could be read.
    pub(crate) report: Option<Report>,
    /// What comes first in a report for people: which parts of the inputs were left out.
    pub(crate) notes: Vec<String>,
    pub(crate) refused: Vec<Refused>,
}

/// Reads the inputs and explains what failed in them.
pub(crate) fn answer(inputs: Inputs, asked: &Asked, limits: &Limits) -> Answer {
    let progress = if asked.progress { Progress::shown() } else { Progress::silent() };
    let Inputs { inputs, mut refused } = inputs;
    let read = reading::read(&inputs, &asked.wanted, limits, &progress);
    drop(progress);
    refused.extend(read.refused);
    let testimony = read.testimony;
    if testimony.sources.is_empty() {
        return Answer { report: None, notes: Vec::new(), refused };
    }
    let question = Question { incident: asked.incident.clone() };
    let mut report = diagnosis::why::why(&testimony, &question);
    sharing::place(&mut report, &read.rotated);
    let mut notes = Vec::new();
    for source in &testimony.sources {
        let Some(skipped) = &source.skipped else { continue };
        notes.push(format!("{}: {skipped}", source.name));
        missed(&mut report, &source.name, skipped);
    }
    for it in &refused {
        missed(&mut report, &it.name, &it.why.why());
    }
    sharing::masked(&mut report, &mut notes, asked.share);
    Answer { report: Some(report), notes, refused }
}

/// Says that something was not looked at, if the report does not say so already.
fn missed(report: &mut Report, source: &str, why: &str) {
    if report.not_looked_at.iter().any(|it| it.source == source && it.why == why) {
        return;
    }
    let (source, why) = (source.to_owned(), why.to_owned());
    report.not_looked_at.push(NotLookedAt { source, why, run: None });
}
