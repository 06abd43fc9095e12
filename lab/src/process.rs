//! A server of ours or of others as a child process: started, awaited, stopped by its own id.

use crate::scratch::Scratch;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Any of these servers is up in a fraction of it, even on a busy machine.
const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at something that we wait for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// `nobody` and `nogroup`, on every Linux.
const NOBODY: &str = "65534";

pub(crate) struct Process {
    child: Child,
    name: &'static str,
    log: PathBuf,
}

impl Process {
    /// Its output goes to a file in `scratch`; it is killed when dropped.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        scratch: &Scratch,
    ) -> io::Result<Process> {
        let log = scratch.path().join("output.log");
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.kill_on_drop(true).spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("{name} cannot be started: {error}"))
        })?;
        Ok(Process { child, name, log })
    }

    /// Waits until it accepts connections there.
    pub(crate) async fn until_it_listens(&mut self, at: SocketAddr) -> io::Result<()> {
        let began = Instant::now();
        while TcpStream::connect(at).await.is_err() {
            self.still_starting(began)?;
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// An error once it has ended or taken too long.
    fn still_starting(&mut self, began: Instant) -> io::Result<()> {
        let ended = self.child.try_wait()?;
        let why = match ended {
            Some(status) => format!("ended as it started ({status})"),
            None if began.elapsed() > STARTS_WITHIN => "does not become ready".to_owned(),
            None => return Ok(()),
        };
        Err(io::Error::other(format!("{} {why}; it said:\n{}", self.name, self.said())))
    }

    /// What it wrote to its output.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().and_then(|it| Pid::from_raw(it.cast_signed()));
        // One that is gone already cannot be told, and need not be.
        let told = pid.map(|it| kill_process(it, Signal::TERM));
        debug_assert!(!matches!(told, Some(Err(it)) if it != rustix::io::Errno::SRCH));
    }

    pub(crate) async fn ended(&mut self, within: Duration) -> io::Result<ExitStatus> {
        match timeout(within, self.child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                let name = self.name;
                let told = format!("{name} did not end within {within:?}; it said:\n");
                Err(io::Error::new(io::ErrorKind::TimedOut, told + &self.said()))
            }
        }
    }
}

/// The command, as somebody who is not root where that matters and we are.
pub(crate) fn command(program: &Path, ordinary_user: bool) -> Command {
    if !(ordinary_user && rustix::process::geteuid().is_root()) {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(program);
    command
}

/// Lets an ordinary user write into a folder that root made.
pub(crate) fn open_to_all(scratch: &Scratch) -> io::Result<()> {
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o777))
}
