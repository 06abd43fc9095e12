//! `goodgate completions`: what a shell needs to complete our commands.

use crate::output::Output;
use crate::problem::Failure;
use clap::CommandFactory;
use clap_complete::Shell;

/// Print what a shell needs to complete these commands
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut command = super::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "goodgate", &mut script);
    Ok(output.text(&String::from_utf8_lossy(&script))?)
}
