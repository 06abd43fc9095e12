//! `goodgate causes`: every reason for a failed request that we know, by family.

use super::Format;
use crate::output::Output;
use crate::problem::Failure;
use diagnosis::{CATALOGUE, Cause, Family, RetryClass};
use serde::Serialize;

/// List every cause of a failed request that can be named
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// How to print the list
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One cause in `--format json`.
#[derive(Serialize)]
pub(super) struct Entry {
    id: &'static str,
    family: Family,
    title: &'static str,
    side: &'static str,
    retry: RetryClass,
}

impl Entry {
    pub(super) fn of(cause: &Cause) -> Entry {
        Entry {
            id: cause.id,
            family: cause.family,
            title: cause.title,
            side: cause.side.name(),
            retry: cause.retry,
        }
    }
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let mut causes: Vec<&Cause> = CATALOGUE.iter().map(|it| it.cause).collect();
    causes.sort_by_key(|it| it.family);
    match arguments.format {
        Format::Text => output.text(&list(&causes, output))?,
        Format::Json => {
            output.json(&causes.into_iter().map(Entry::of).collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

/// The causes under the headings of their families.
fn list(causes: &[&Cause], output: &Output) -> String {
    let widest = causes.iter().map(|it| it.id.len()).max().unwrap_or_default();
    let mut text = String::new();
    for family in causes.chunk_by(|a, b| a.family == b.family) {
        let heading = family[0].family;
        let gap = if text.is_empty() { "" } else { "\n" };
        let heading = output.bold(&format!("{heading:?}  {}", heading.title()));
        text += &format!("{gap}{heading}\n");
        for cause in family {
            text += &format!("  {:<widest$}  {}\n", cause.id, cause.title);
        }
    }
    text
}
