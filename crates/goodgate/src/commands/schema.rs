//! `goodgate schema`: the configuration as JSON Schema, for editors.

use crate::output::Output;
use crate::problem::Failure;

/// Print the JSON Schema of the configuration, for editors
///
/// An editor that knows TOML schemas completes and checks a file whose first line is
/// `#:schema ./goodgate.schema.json`, after `goodgate schema > goodgate.schema.json`.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments, output: &Output) -> Result<(), Failure> {
    Ok(output.json(&config::schema())?)
}
