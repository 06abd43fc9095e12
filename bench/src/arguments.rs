//! What may be asked for on the command line.

use crate::cases::Case;
use crate::prevent::peers::Peer;
use crate::proxies::Kind;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// CPU time per request of the gateway beside nginx, on this machine.
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) requests: Requests,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Large bodies down and up while the proxy's memory is watched
    Transfer(Transfer),
    /// Time from the start of a proxy to its first answer, and its memory then
    Ready(Ready),
    /// Memory with many idle client connections
    Idle(Idle),
    /// Memory with many answers at a time over HTTP/2, held open or not taken by the client
    Streams(Streams),
    /// Mixed load with faults for a long time, and whether anything grows or is lost
    Soak(Soak),
    /// Failed requests that clients see while targets misbehave, beside nginx, HAProxy and Envoy
    Prevent(Prevent),
    /// The responder that the proxies forward to; started by the other commands
    #[command(hide = true)]
    Upstream,
    /// Becomes another program that ends when the benchmark does
    #[command(hide = true)]
    Leash(Leash),
    /// Removes the working folder when the benchmark is gone
    #[command(hide = true)]
    Janitor(Janitor),
}

/// What every measurement takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The gateway's binary, or `none`; by default the `goodgate` beside this program
    #[arg(long, value_name = "PATH")]
    pub(crate) gateway: Option<PathBuf>,
    /// Measure only these
    #[arg(long, value_delimiter = ',', value_name = "PROXY,...")]
    pub(crate) only: Vec<Kind>,
    /// Add nginx and HAProxy without an access log
    #[arg(long)]
    pub(crate) extra: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// How many workers each proxy has
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) workers: u32,
    /// The cores that the proxy under test has to itself
    #[arg(long, value_delimiter = ',', default_value = "0", value_name = "CORE,...")]
    pub(crate) proxy_core: Vec<usize>,
    /// The core that the load generator and the upstream share
    #[arg(long, default_value_t = 1, value_name = "CORE")]
    pub(crate) load_core: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Requests {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How often each proxy gets its turn in each case
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// How long a turn lasts
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) seconds: u32,
    /// Measure only these cases
    #[arg(long, value_delimiter = ',', value_name = "CASE,...")]
    pub(crate) cases: Vec<Case>,
    /// How many client connections there are, instead of each case's own number
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: Option<u32>,
    /// Fail if the gateway's CPU time is more than this many times nginx's in any case
    #[arg(long, value_name = "RATIO", value_parser = positive)]
    pub(crate) bound: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Transfer {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Size of the body in each direction
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub(crate) mib: u64,
    /// Fail if the gateway's memory peaks this many MiB above where it began
    #[arg(long, value_name = "MIB", value_parser = positive)]
    pub(crate) bound: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Ready {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How often each proxy is started
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) starts: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Idle {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many connections are held, each after one request
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=16_000))]
    pub(crate) connections: u64,
    /// Fail if an idle connection of HTTP/1 without TLS costs the gateway more KiB
    #[arg(long, value_name = "KIB", value_parser = positive)]
    pub(crate) bound: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Streams {
    #[command(flatten)]
    pub(crate) common: Common,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) connections: u32,
    /// How many requests are made at a time on each connection
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) streams: u32,
    /// How long memory is watched while the answers stay open
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub(crate) seconds: u32,
    /// Fail if the gateway's memory grows by more KiB per stream
    #[arg(long, value_name = "KIB", value_parser = positive)]
    pub(crate) bound: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// How long the load lasts
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_080))]
    pub(crate) minutes: u32,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prevent {
    /// The gateway's binary; by default the `goodgate` beside this program
    #[arg(long, value_name = "PATH")]
    pub(crate) gateway: Option<PathBuf>,
    /// How often each proxy gets its turn in each situation
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Play only these situations
    #[arg(long, value_delimiter = ',', value_name = "SITUATION,...")]
    pub(crate) only: Vec<String>,
    /// Let only these take part
    #[arg(long, value_delimiter = ',', value_name = "PROXY,...")]
    pub(crate) proxies: Vec<Peer>,
    /// Multiplies how many requests come at a time
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = positive)]
    pub(crate) scale: f64,
    /// What the lots are drawn from; each round draws others
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Keep each result in this file, and leave out what is in it already
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// Write the results to this file too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Keep the configuration, the logs and the failed requests of each run in this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) keep: Option<PathBuf>,
    /// List the situations and what is within reach
    #[arg(long)]
    pub(crate) list: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Leash {
    /// The process to end with
    #[arg(long)]
    pub(crate) parent: i32,
    #[arg(long, value_delimiter = ',')]
    pub(crate) cores: Vec<usize>,
    /// Where the moment of the start is written
    #[arg(long)]
    pub(crate) stamp: PathBuf,
    /// Stay above the program instead of becoming it
    #[arg(long)]
    pub(crate) keeps: bool,
    pub(crate) program: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Janitor {
    pub(crate) folder: PathBuf,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(it) if it.is_finite() && it > 0.0 => Ok(it),
        _ => Err("a number above 0 is wanted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn cases_and_proxies_come_as_lists() {
        let it = Arguments::parse_from(["bench", "--cases", "small,sse", "--only", "nginx"]);
        assert_eq!(it.requests.cases, [Case::Small, Case::Sse]);
        assert_eq!(it.requests.common.only, [Kind::Nginx]);
    }
}
