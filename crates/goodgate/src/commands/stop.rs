//! `goodgate stop`: end the running gateway, and wait until it is gone.

use super::running::Running;
use crate::control::client;
use crate::output::Output;
use crate::problem::Failure;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Stop the running gateway
///
/// Clients have their answers first, within `shutdown.deadline`. Ends when the process is gone.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    running: Running,
    /// Do not let clients have their answers
    #[arg(long)]
    now: bool,
}

/// Beyond the deadline of the gateway: for its last lines, and what it has started.
const BEYOND: Duration = Duration::from_secs(10);

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    // Opened first, so that it is that process which is waited for, whoever has its number then.
    let process = Process::of(&arguments.running.folder()?)?;
    let wish = if arguments.now { "{\"now\": true}" } else { "" };
    let told = arguments.running.ask("POST", "stop", wish)?.body;
    let deadline = if arguments.now { 0.0 } else { told["deadline"].as_f64().unwrap_or(0.0) };
    let deadline = Duration::try_from_secs_f64(deadline).unwrap_or_default();
    let Some(process) = process else {
        // As where it runs in a container of its own.
        return Ok(output.line("it was told to stop; from here its process cannot be seen")?);
    };
    match process.is_gone_within(deadline + BEYOND) {
        true => Ok(output.line(&format!("process {} is gone", process.pid))?),
        false => Err(Failure::StillThere { pid: process.pid }),
    }
}

struct Process {
    pid: i32,
    handle: OwnedFd,
}

impl Process {
    /// `None` where it cannot be seen from here.
    fn of(folder: &Path) -> Result<Option<Process>, Failure> {
        let status = client::ask(folder, "GET", "status", "")?;
        if !status.is_fine() {
            return Err(Failure::Refused(status));
        }
        let seen = client::pid_behind(folder)?;
        let said = status.body["pid"].as_i64().and_then(|it| i32::try_from(it).ok());
        let pid = seen.filter(|it| Some(*it) == said);
        let handle =
            pid.and_then(Pid::from_raw).and_then(|it| pidfd_open(it, PidfdFlags::empty()).ok());
        Ok(pid.zip(handle).map(|(pid, handle)| Process { pid, handle }))
    }

    fn is_gone_within(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut ends = [PollFd::new(&self.handle, PollFlags::IN)];
            match poll(&mut ends, Timespec::try_from(left).ok().as_ref()) {
                Ok(0) => return false,
                Ok(_) => return true,
                Err(_) if left.is_zero() => return false,
                Err(_) => {}
            }
        }
    }
}
