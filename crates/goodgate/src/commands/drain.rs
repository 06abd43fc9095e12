//! `goodgate drain`: ask clients and balancers to leave, or leave a target alone, while everybody is
//! still served.

use super::running::Running;
use super::target::{self, Named};
use crate::output::Output;
use crate::problem::Failure;

/// Ask clients to leave the running gateway, or leave a target alone
///
/// Without --target it is the gateway that is about to go: /readyz says no, and every answer ends
/// its connection. New connections are served all the same, until `goodgate stop`.
///
/// With --target it is that target: it gets no new requests as long as another one of its upstream
/// is there, and those that it has in hand end. This holds until it is taken back, or the gateway
/// restarts.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    running: Running,
    /// The target that is to get no new requests, such as http://127.0.0.1:8001
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// The upstream of which it is one [default: all that have it]
    #[arg(long, value_name = "NAME", requires = "target")]
    upstream: Option<String>,
    /// Take it back
    #[arg(long)]
    undo: bool,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let Arguments { running, target, upstream, undo } = arguments;
    if let Some(target) = target {
        let named = Named { target, upstream: upstream.as_deref() };
        let verb = if *undo { "undrain" } else { "drain" };
        let back = "`--undo` takes it back";
        let words = if *undo { "drains no longer" } else { "gets no new requests" };
        let hint = Some(back).filter(|_| !undo);
        return target::order(running, verb, named, None, words, hint, output);
    }
    let (method, words) = match undo {
        false => ("POST", "draining; `goodgate drain --undo` takes it back"),
        true => ("DELETE", "draining no longer"),
    };
    running.ask(method, "drain", "")?;
    Ok(output.line(words)?)
}
