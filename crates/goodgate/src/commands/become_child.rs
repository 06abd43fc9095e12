//! `goodgate become-child`: the first moment of an app that `goodgate run -- COMMAND` starts. Nobody
//! types it.

use crate::child;
use crate::output::Output;
use crate::problem::Failure;
use std::ffi::OsString;

/// Turn into the app of `goodgate run -- COMMAND`
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The process that it ends with
    #[arg(long)]
    parent: u32,
    /// The soft limit of open files that it gets
    #[arg(long)]
    descriptors: Option<u64>,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// What shells answer for a program that cannot be run.
const CANNOT_RUN: u8 = 126;

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let Arguments { parent, descriptors, command } = arguments;
    let why = child::become_child(*parent, *descriptors, command);
    let program = command.first().map(|it| it.to_string_lossy()).unwrap_or_default();
    output.failure(&format!("cannot start `{program}`: {why}"), None);
    Err(Failure::Shown { exit: CANNOT_RUN })
}
