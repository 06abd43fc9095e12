//! `goodgate demo`: the gateway before targets that misbehave, with a tour of them.

use super::run::address;
use crate::demo;
use crate::output::Output;
use crate::problem::Failure;
use std::net::SocketAddr;
use std::time::Instant;

/// Watch the gateway explain targets that misbehave
///
/// Starts the gateway and a row of targets, each broken in its own way, asks each of them and
/// shows what others would say beside what Goodgate says. Then it serves the same as a page.
/// Nothing but this machine's own loopback is used.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Where to listen [default: 127.0.0.1:8080, or the next free port]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<SocketAddr>,
    /// End after the tour; exit code 1 if an explanation is not the expected one
    #[arg(long)]
    once: bool,
}

pub(super) fn run(arguments: &Arguments, output: &Output, began: Instant) -> Result<(), Failure> {
    demo::run(&demo::Options { listen: arguments.listen, once: arguments.once, began }, output)
}
