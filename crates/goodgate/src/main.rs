//! `goodgate`: the commands, wired to the crates that do the work, and the words for what fails.

mod activation;
mod arrival;
mod child;
mod commands;
mod control;
mod demo;
mod folder;
mod listening;
mod loud;
mod mcp;
mod notify;
mod output;
mod problem;
#[cfg(test)]
mod scratch;
mod serve;
mod settings;
mod signals;
mod takeover;
mod waiting;
mod watch;
mod why;

use clap::Parser;
use output::Output;
use std::process::ExitCode;

/// Requests and answers are many short-lived pieces on few threads; measured 1-4 % less CPU.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let began = std::time::Instant::now();
    let output = Output::of_this_process();
    let done = match commands::Arguments::try_parse() {
        Ok(arguments) => commands::run(arguments, &output, began),
        Err(it) => Err(problem::Failure::Arguments(it)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => problem::report(&failure, &output),
    }
}
