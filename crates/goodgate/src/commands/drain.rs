//! `goodgate drain`: ask clients and balancers to leave, while everybody is still served.

use super::running::Running;
use crate::output::Output;
use crate::problem::Failure;

/// Ask clients and balancers to leave the running gateway
///
/// /readyz says no, and every answer ends its connection. New connections are served all the same,
/// until `goodgate stop`.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    running: Running,
    /// Take it back
    #[arg(long)]
    undo: bool,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let (method, words) = match arguments.undo {
        false => ("POST", "draining; `goodgate drain --undo` takes it back"),
        true => ("DELETE", "draining no longer"),
    };
    arguments.running.ask(method, "drain", "")?;
    Ok(output.line(words)?)
}
