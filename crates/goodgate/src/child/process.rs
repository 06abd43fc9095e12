//! One run of the app: a process and those that it starts, in a group of their own.

use crate::listening::lives;
use crate::notify;
use exchange::Ending;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getppid, getrlimit, kill_process,
    kill_process_group, set_parent_process_death_signal, setrlimit, test_kill_process_group,
    waitpgid,
};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// How often a group that was told to end is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// Ourselves, as the kernel knows this program: also after its file was replaced.
const OURSELVES: &str = "/proc/self/exe";

/// By sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3).
const MANAGER: [&str; 6] = [
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];

pub(super) struct Process {
    child: Child,
    pid: Pid,
    began: Instant,
}

/// What a run begins with.
pub(super) struct Start<'a> {
    pub(super) file: &'a Path,
    pub(super) arguments: &'a [OsString],
    pub(super) environment: &'a [(&'static str, String)],
    /// The soft limit of open files that it gets: ours, before we raised it.
    pub(super) descriptors: Option<u64>,
}

impl Process {
    /// Our own program runs first in the new process, so that the kernel is told to end it with us.
    pub(super) fn start(start: &Start) -> io::Result<Process> {
        let mut command = Command::new(OURSELVES);
        command.arg("become-child").arg("--parent").arg(std::process::id().to_string());
        if let Some(it) = start.descriptors {
            command.arg("--descriptors").arg(it.to_string());
        }
        command.arg("--").arg(start.file).args(start.arguments);
        for variable in notify::VARIABLES {
            command.env_remove(variable);
        }
        command.envs(start.environment.iter().map(|(name, value)| (name, value)));
        // What a service manager says to us alone.
        MANAGER.iter().for_each(|it| {
            command.env_remove(it);
        });
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn()?;
        let id = child.id().and_then(|it| Pid::from_raw(it.cast_signed()));
        let pid = id.ok_or_else(|| io::Error::other("it ended before it had begun"))?;
        Ok(Process { child, pid, began: Instant::now() })
    }

    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    pub(super) fn lasted(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn outputs(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    pub(super) async fn ended(&mut self) -> Ending {
        match self.child.wait().await {
            Ok(status) => ending(status),
            // Somebody else has reaped it; how it ended nobody knows.
            Err(_) => Ending::Code(-1),
        }
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        // One that is gone already cannot be told, and need not be.
        let _ = kill_process(self.pid, Signal::TERM);
    }

    /// Ends all of its group, now.
    pub(super) fn kill(&self) {
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    /// What it started and left behind is asked to end, and killed at `until`. Only after it has
    /// ended itself.
    pub(super) async fn clear(&self, until: Instant) {
        if self.group_is_gone() {
            return;
        }
        let _ = kill_process_group(self.pid, Signal::TERM);
        while Instant::now() < until {
            if self.group_is_gone() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        self.kill();
    }

    fn group_is_gone(&self) -> bool {
        // Where we are the first process of a container, those whose parent is gone are ours.
        while let Ok(Some(_)) = waitpgid(self.pid, WaitOptions::NOHANG) {}
        // What nobody has reaped yet does nothing any more.
        test_kill_process_group(self.pid).is_err() || !lives(self.id())
    }
}

fn ending(status: ExitStatus) -> Ending {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Ending::Signal(signal),
        (None, code) => Ending::Code(code.unwrap_or(-1)),
    }
}

/// The first thing that the new process does: it is ended when its parent is, even by SIGKILL, and
/// turns into the app. Returns only where it cannot.
pub(crate) fn become_child(
    parent: u32,
    descriptors: Option<u64>,
    command: &[OsString],
) -> io::Error {
    // Survives the change of programs, except to one that changes its user (PR_SET_PDEATHSIG(2)).
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    // What we do without is nothing that the app has to do without; it would inherit that.
    let _ = rustix::thread::disable_transparent_huge_pages(false);
    let still = getppid().is_some_and(|it| it.as_raw_nonzero().get().cast_unsigned() == parent);
    if !still {
        return io::Error::other("whoever started it is gone");
    }
    if let Some(soft) = descriptors {
        let limit = getrlimit(Resource::Nofile);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(soft), ..limit });
    }
    let Some((program, arguments)) = command.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "there is no command");
    };
    std::process::Command::new(program).args(arguments).exec()
}

/// The soft limit of open files as it is now.
pub(super) fn descriptors() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
