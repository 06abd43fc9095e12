//! `goodgate`: the commands, wired to the crates that do the work, and the words for what fails.

mod commands;
#[cfg_attr(not(test), expect(dead_code, reason = "asked by the part of `run` that serves"))]
mod listening;
mod output;
mod problem;
mod serve;
mod settings;
#[cfg_attr(not(test), expect(dead_code, reason = "asked by the part of `run` that serves"))]
mod waiting;

use clap::Parser;
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    let output = Output::of_this_process();
    let done = match commands::Arguments::try_parse() {
        Ok(arguments) => commands::run(arguments, &output),
        Err(it) => Err(problem::Failure::Arguments(it)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => problem::report(&failure, &output),
    }
}
