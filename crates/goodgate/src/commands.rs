//! The commands: one file each, with its arguments and what it does.

mod become_child;
mod causes;
mod check;
mod completions;
mod demo;
pub(crate) mod doctor;
mod drain;
mod explain;
mod formats;
mod man;
mod mcp;
mod reload;
mod route;
mod run;
mod running;
mod schema;
mod status;
mod stop;
mod target;
mod why;

use crate::output::Output;
use crate::problem::Failure;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use std::time::Instant;

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "goodgate.toml";

/// A gateway that explains every failed request.
#[derive(Parser)]
#[command(name = "goodgate", version, after_help = EXAMPLES)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  goodgate why /var/log/nginx           find out why requests fail, from logs
  goodgate demo                         watch it explain targets that misbehave
  goodgate run http://localhost:8000    put the gateway in front of an app
  goodgate run -- gunicorn app:app      start the app too, and hear why it fails
  goodgate check goodgate.toml          find every mistake in a file at once
  goodgate route GET /orders/7          say which route takes a request, and why
  goodgate explain process_down         read what is known about a cause
  goodgate doctor nginx.conf app.py     find what will fail in other gateways' files";

const EXIT_CODES: &str = "\
Exit codes:
  0  fine
  1  a failure was found
  2  the command line cannot be understood
  3  the configuration is not valid
  4  an input or the other side could not be read or reached
  5  the work itself failed";

#[derive(Subcommand)]
enum Command {
    Why(why::Arguments),
    Run(run::Arguments),
    Status(status::Arguments),
    Reload(reload::Arguments),
    Drain(drain::Arguments),
    Target(target::Arguments),
    Stop(stop::Arguments),
    Demo(demo::Arguments),
    Check(check::Arguments),
    Route(route::Arguments),
    Schema(schema::Arguments),
    Causes(causes::Arguments),
    Explain(explain::Arguments),
    Doctor(doctor::Arguments),
    Formats(formats::Arguments),
    Mcp(mcp::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
    #[command(hide = true)]
    BecomeChild(become_child::Arguments),
}

/// How a command that reads prints what it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// `began` is when the process did.
pub(crate) fn run(arguments: Arguments, output: &Output, began: Instant) -> Result<(), Failure> {
    match arguments.command {
        Some(Command::Why(it)) => why::run(it, output),
        Some(Command::Run(it)) => run::run(it, output, began),
        Some(Command::Status(it)) => status::run(&it, output),
        Some(Command::Reload(it)) => reload::run(&it, output),
        Some(Command::Drain(it)) => drain::run(&it, output),
        Some(Command::Target(it)) => target::run(&it, output),
        Some(Command::Stop(it)) => stop::run(&it, output),
        Some(Command::Demo(it)) => demo::run(&it, output, began),
        Some(Command::Check(it)) => check::run(&it, output),
        Some(Command::Route(it)) => route::run(&it, output),
        Some(Command::Schema(it)) => schema::run(&it, output),
        Some(Command::Causes(it)) => causes::run(&it, output),
        Some(Command::Explain(it)) => explain::run(&it, output),
        Some(Command::Doctor(it)) => doctor::run(&it, output),
        Some(Command::Formats(it)) => formats::run(&it, output),
        Some(Command::Mcp(it)) => mcp::run(&it),
        Some(Command::Completions(it)) => completions::run(&it, output),
        Some(Command::Man(it)) => man::run(&it),
        Some(Command::BecomeChild(it)) => become_child::run(&it, output),
        None => Ok(output.styled(&Arguments::command().render_help())?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_examples_can_be_typed() {
        for line in EXAMPLES.lines().skip(1) {
            let words = line.split("    ").next().unwrap_or_default().split_whitespace();
            assert!(Arguments::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
