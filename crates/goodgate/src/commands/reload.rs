//! `goodgate reload`: have the running gateway read its configuration again.

use super::Format;
use super::running::Running;
use crate::output::{Output, count};
use crate::problem::Failure;

/// Have the running gateway read its configuration again
///
/// What runs goes on where the file is wrong, and every complaint is shown here.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    running: Running,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let done = arguments.running.ask("POST", "reload", "")?.body;
    if arguments.format == Format::Json {
        return Ok(output.json(&done)?);
    }
    if let Some(warnings) = done["warnings"].as_str() {
        output.message(warnings);
    }
    let number = |key: &str| usize::try_from(done[key].as_u64().unwrap_or(0)).unwrap_or(0);
    let (routes, upstreams) = (number("routes"), number("upstreams"));
    let file = done["file"].as_str().unwrap_or_default();
    let what = format!("{}, {}", count(routes, "route"), count(upstreams, "upstream"));
    Ok(output.line(&format!("reloaded {file}: {what}"))?)
}
