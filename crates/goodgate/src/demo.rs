//! `goodgate demo`: the gateway before a row of targets that misbehave, a tour of them on the
//! terminal, and the same as a page.

mod page;
mod stage;
mod targets;
mod tour;
mod words;

use crate::loud;
use crate::output::Output;
use crate::problem::Failure;
use crate::serve::{self, ready, until_stopped};
use crate::signals::Signals;
use proxy::{Gateway, Leave, Options as PlaneOptions, Style};
use stage::Stage;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use targets::TARGETS;
use tokio::runtime::Builder;

/// Exit code of a tour on which a target was not explained as it should be.
const FOUND: u8 = 1;
/// Exit code of a tour that was to be whole and was ended before.
const UNFINISHED: u8 = 5;

pub(crate) struct Options {
    pub(crate) listen: Option<SocketAddr>,
    /// End after the tour, and fail if it was not as expected.
    pub(crate) once: bool,
    /// When the process began.
    pub(crate) began: Instant,
}

pub(crate) fn run(options: &Options, output: &Output) -> Result<(), Failure> {
    // The targets play on this runtime whenever it is waited on, which is always after the start.
    let front =
        Builder::new_current_thread().enable_all().build().map_err(serve::Failure::Signals)?;
    let mut signals = Signals::new(&front).map_err(serve::Failure::Signals)?;
    let stage = {
        let _entered = front.enter();
        Stage::set().map_err(Failure::Demo)?
    };
    let config = stage.config(options.listen).map_err(Failure::Demo)?;
    let reopen = Arc::new(AtomicBool::new(false));
    let plane = PlaneOptions {
        style: Style::Json,
        any_port: true,
        reopen: reopen.clone(),
        witness: None,
        inherited: Vec::new(),
        takes_over: false,
        tell: loud::teller(output),
    };
    let gateway = Gateway::start(config, plane).map_err(serve::Failure::Start)?;
    output.message(&ready(&gateway.live(), options.began));
    let at =
        gateway.live().http.first().copied().ok_or_else(stage::nowhere).map_err(Failure::Demo)?;
    let toured = front.block_on(signals.unless_asked_to_stop(tour(at, output)));
    match toured.transpose()? {
        // Asked to stop before the end, which is no success for who wanted the whole tour.
        None => {
            gateway.stop(Leave::Close, &AtomicBool::new(true));
            return if options.once { Err(Failure::Shown { exit: UNFINISHED }) } else { Ok(()) };
        }
        Some(wrong) if options.once => {
            gateway.stop(Leave::Close, &AtomicBool::new(true));
            return conclude(wrong, output);
        }
        Some(_) => {
            output.message(&format!("open http://{at}/ to open each one yourself; Ctrl-C stops"));
            front.block_on(until_stopped(gateway, &reopen, signals, output));
        }
    }
    Ok(())
}

/// Meets one target after the other. Gives how many were not as expected.
async fn tour(at: SocketAddr, output: &Output) -> Result<usize, Failure> {
    output.text(&words::opening(TARGETS))?;
    let mut wrong = 0;
    for target in TARGETS {
        let seen = tour::meet(target, at).await.map_err(Failure::Demo)?;
        wrong += usize::from(!seen.is_expected(target));
        output.text(&words::block(target, &seen, output))?;
    }
    Ok(wrong)
}

fn conclude(wrong: usize, output: &Output) -> Result<(), Failure> {
    let all = TARGETS.len();
    output.line(&format!("{} of {all} as expected", all - wrong))?;
    if 0 < wrong { Err(Failure::Shown { exit: FOUND }) } else { Ok(()) }
}
