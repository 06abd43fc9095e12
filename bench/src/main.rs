//! Side-by-side benchmarks: what a request costs the gateway and what it costs nginx, on this machine.

mod arguments;
mod cases;
mod child;
mod client;
mod cores;
mod h2load;
mod idle;
mod load;
mod log;
mod machine;
mod measure;
mod output;
mod prevent;
mod process;
mod proxies;
mod ready;
mod requests;
mod setting;
mod soak;
mod statistics;
mod streams;
mod transfer;
mod upstream;
mod workplace;
mod wrk;

use crate::arguments::{Arguments, Command};
use crate::setting::Unmet;
use clap::Parser as _;
use std::process::ExitCode;

/// Whether what was measured is within what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Kept,
    Broken,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        None => requests::run(&arguments.requests),
        Some(Command::Transfer(it)) => transfer::run(&it),
        Some(Command::Ready(it)) => ready::run(&it),
        Some(Command::Idle(it)) => idle::run(&it),
        Some(Command::Streams(it)) => streams::run(&it),
        Some(Command::Soak(it)) => soak::run(&it),
        Some(Command::Prevent(it)) => prevent::run(&it),
        Some(Command::Upstream) => upstream::run(),
        Some(Command::Leash(it)) => child::run_leashed(&it),
        Some(Command::Janitor(it)) => workplace::clean_up_after(&it),
    };
    match done {
        Ok(Verdict::Kept) => ExitCode::SUCCESS,
        Ok(Verdict::Broken) => ExitCode::from(1),
        Err(error) => {
            output::failure(&error);
            ExitCode::from(code_of(&error))
        }
    }
}

fn code_of(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Unmet>() {
        Some(Unmet::Usage(_)) => 2,
        Some(Unmet::Missing { .. }) => 4,
        None => 5,
    }
}
