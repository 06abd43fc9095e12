//! Processes that end when we do, however we end.
//!
//! A child is started through this program itself: the child asks the kernel for a signal at its
//! parent's death, takes its cores, and then becomes the program that was wanted. So nothing is left
//! behind even where no destructor runs.

use crate::arguments::Leash;
use crate::workplace::Workplace;
use crate::{Verdict, cores, process};
use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal};
use rustix::time::{ClockId, clock_gettime};
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal as signal_of};

/// How long a child may take to end by itself.
const GRACE: Duration = Duration::from_secs(3);

pub(crate) struct Child {
    name: String,
    inner: std::process::Child,
    output: PathBuf,
    errors: PathBuf,
    stamp: PathBuf,
}

impl Child {
    pub(crate) fn start(
        place: &Workplace,
        name: &str,
        cores: &[usize],
        program: &Path,
        arguments: &[OsString],
    ) -> Result<Child> {
        Child::spawn(place, name, cores, program, arguments, &[])
    }

    /// A program that leaves its parent, as daemons do: a process of ours stays above it, and ends
    /// with all that came of it.
    pub(crate) fn start_daemon(
        place: &Workplace,
        name: &str,
        cores: &[usize],
        program: &Path,
        arguments: &[OsString],
    ) -> Result<Child> {
        Child::spawn(place, name, cores, program, arguments, &["--keeps"])
    }

    fn spawn(
        place: &Workplace,
        name: &str,
        cores: &[usize],
        program: &Path,
        arguments: &[OsString],
        more: &[&str],
    ) -> Result<Child> {
        let output = place.file(&format!("{name}.stdout"));
        let errors = place.file(&format!("{name}.stderr"));
        let stamp = place.file(&format!("{name}.started"));
        let inner = Command::new(std::env::current_exe()?)
            .arg("leash")
            .args(["--parent", &std::process::id().to_string()])
            .args(["--cores", &list(cores)])
            .arg("--stamp")
            .arg(&stamp)
            .args(more)
            .arg("--")
            .arg(program)
            .args(arguments)
            .current_dir(place.path())
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .stderr(File::create(&errors)?)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Child { name: name.to_owned(), inner, output, errors, stamp })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.inner.id()
    }

    /// All that it wrote to standard output so far.
    pub(crate) fn said(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.output)?)
    }

    /// The files with what it wrote.
    pub(crate) fn outputs(&self) -> [PathBuf; 2] {
        [self.output.clone(), self.errors.clone()]
    }

    /// Ends it and its own children at once.
    pub(crate) fn kill(mut self) {
        process::family(self.pid()).into_iter().for_each(|pid| signal(pid, Signal::KILL));
        // Killed, so this returns at once; it only takes the entry from the process table.
        let _ = self.inner.wait();
    }

    pub(crate) fn tell(&self, what: Signal) {
        signal(self.pid(), what);
    }

    /// Time since the program that was wanted began, without what starting through us took.
    pub(crate) fn age(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(&self.stamp)?;
        let began = Duration::from_nanos(text.trim().parse()?);
        Ok(now().saturating_sub(began))
    }

    pub(crate) fn check_running(&mut self) -> Result<()> {
        match self.inner.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}{}", self.name, self.last_words()),
        }
    }

    /// What it said on standard error, the last lines of it.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.errors).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(5)..];
        if last.is_empty() { String::new() } else { format!(": {}", last.join("\n")) }
    }

    /// Waits for it to end by itself.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        match self.ended_within(limit)? {
            Some(status) => Ok(status),
            None => bail!("{} did not end within {} s", self.name, limit.as_secs()),
        }
    }

    fn ended_within(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let until = Instant::now() + limit;
        loop {
            let status = self.inner.try_wait()?;
            if status.is_some() || Instant::now() >= until {
                return Ok(status);
            }
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !matches!(self.inner.try_wait(), Ok(None)) {
            return;
        }
        // Its own children are found now: after its death nothing tells that they were its.
        let family = process::family(self.pid());
        signal(self.pid(), Signal::TERM);
        if matches!(self.ended_within(GRACE), Ok(Some(_))) {
            return;
        }
        family.into_iter().for_each(|pid| signal(pid, Signal::KILL));
        // Killed, so this returns at once; it only takes the entry from the process table.
        let _ = self.inner.wait();
    }
}

/// As the command line takes it.
fn list(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended in between, which is what we want.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// The child's side: becomes the program.
pub(crate) fn run_leashed(leash: &Leash) -> Result<Verdict> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    if rustix::process::getppid() != Pid::from_raw(leash.parent) {
        bail!("the benchmark ended before its child began");
    }
    cores::move_to(&leash.cores)?;
    std::fs::write(&leash.stamp, now().as_nanos().to_string())?;
    if leash.keeps {
        return keep(leash);
    }
    let error = Command::new(&leash.program).args(&leash.arguments).exec();
    Err(error).with_context(|| format!("starting `{}`", leash.program.display()))
}

/// Stays above a daemon until it is told to end, and ends all that came of it.
fn keep(leash: &Leash) -> Result<Verdict> {
    // Whoever loses its parent below us becomes our child.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut told = signal_of(SignalKind::terminate())?;
        Command::new(&leash.program)
            .args(&leash.arguments)
            .spawn()
            .with_context(|| format!("starting `{}`", leash.program.display()))?;
        told.recv().await;
        anyhow::Ok(())
    })?;
    let us = std::process::id();
    let family = process::family(us).into_iter().filter(|it| *it != us);
    family.for_each(|pid| signal(pid, Signal::KILL));
    Ok(Verdict::Kept)
}

/// The one clock that reads the same in parent and child.
fn now() -> Duration {
    let it = clock_gettime(ClockId::Monotonic);
    Duration::new(it.tv_sec.unsigned_abs(), it.tv_nsec.unsigned_abs() as u32)
}
