//! `goodgate man`: the manual pages of these commands, for packages.

use crate::problem::Failure;
use clap::CommandFactory;
use std::path::PathBuf;

/// Write the manual pages of these commands into a folder, for packages
#[derive(clap::Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    /// A folder that is there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let command = super::Arguments::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, &arguments.folder)?;
    Ok(())
}
