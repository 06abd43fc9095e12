//! `goodgate explain`: the manual page of one cause.

use super::{Format, causes};
use crate::output::Output;
use crate::problem::Failure;
use diagnosis::manual;
use serde::Serialize;

/// Read what is known about a cause
///
/// What you see, why it happens, how to tell it from its neighbours, and what to do.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The cause, as answers, logs and `goodgate causes` name it
    #[arg(value_name = "CAUSE")]
    cause: String,
    /// How to print the page
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    entry: causes::Entry,
    /// Markdown.
    page: String,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let id = arguments.cause.trim();
    let Some((entry, page)) = diagnosis::entry(id).zip(manual::page(id)) else {
        return Err(Failure::UnknownCause { id: id.to_owned(), nearest: manual::nearest(id) });
    };
    match arguments.format {
        Format::Text => output.markdown(&page)?,
        Format::Json => {
            output.json(&Page { entry: causes::Entry::of(entry.cause), page: entry.page() })?;
        }
    }
    Ok(())
}
