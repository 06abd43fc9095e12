//! The gateways that take turns, each with the settings that its manual recommends, brought to one
//! time scale and alike for all.

mod envoy;
mod goodgate;
mod haproxy;
mod nginx;

use super::callers;
use super::fingerprint;
use super::ports::free_address;
use super::situation::Situation;
use super::target::HEALTH;
use crate::child::Child;
use crate::cores;
use crate::workplace::Workplace;
use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Until a connection to a target stands.
const CONNECT: Duration = Duration::from_secs(2);
/// Until a target has answered.
const READ: Duration = Duration::from_secs(3);
/// All tries for one request.
const ATTEMPTS: u32 = 3;
/// After so many failures a target is left out,
const FAILURES: u32 = 3;
/// for so long.
const EJECTED: Duration = Duration::from_secs(2);
/// Between two health checks.
const CHECK: Duration = Duration::from_secs(1);
/// Requests at a time for one target.
const AT_ONCE: usize = 100;
/// In which a target that came back is brought up to its full share.
const SLOW_START: Duration = Duration::from_secs(5);
/// Threads or processes that serve.
const WORKERS: usize = 2;

/// How long a gateway may take until it serves.
const START: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Answers that must come well one after the other before a gateway counts as ready.
const ANSWERS: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Peer {
    Goodgate,
    Nginx,
    Haproxy,
    Envoy,
}

impl Peer {
    pub(crate) const ALL: [Peer; 4] = [Peer::Goodgate, Peer::Nginx, Peer::Haproxy, Peer::Envoy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Goodgate => "goodgate",
            Peer::Nginx => "nginx",
            Peer::Haproxy => "haproxy",
            Peer::Envoy => "envoy",
        }
    }

    /// nginx speaks HTTP/2 to upstreams for gRPC alone.
    pub(crate) fn can(self, situation: &Situation) -> bool {
        self != Peer::Nginx || !situation.servers.speak_http2()
    }

    /// As people write it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Peer::Goodgate => "Goodgate",
            Peer::Nginx => "nginx",
            Peer::Haproxy => "HAProxy",
            Peer::Envoy => "Envoy",
        }
    }
}

/// Where the programs of the peers are.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) peer: Peer,
    pub(crate) path: PathBuf,
    /// What it says of its version; of the gateway also when it was built.
    pub(crate) version: String,
}

/// How a gateway knows its targets.
#[derive(Clone, Debug)]
pub(crate) enum Places {
    Addresses(Vec<SocketAddr>),
    /// So many at most behind a name that changes.
    Name {
        port: u16,
        server: SocketAddr,
        most: usize,
    },
}

impl Places {
    fn count(&self) -> usize {
        match self {
            Places::Addresses(it) => it.len(),
            Places::Name { most, .. } => *most,
        }
    }
}

/// What a configuration is made from.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    pub(crate) listen: SocketAddr,
    /// For the peer's own figures.
    pub(crate) admin: SocketAddr,
    pub(crate) places: Places,
    /// Whether the targets speak HTTP/2 without TLS.
    pub(crate) http2: bool,
    /// Its own, for this run.
    pub(crate) folder: PathBuf,
    /// Counts reloads; a setting that does not matter changes with it.
    pub(crate) edition: u32,
}

impl Front {
    pub(crate) fn new(places: Places, http2: bool, folder: PathBuf) -> Result<Front> {
        let (listen, admin) = (free_address()?, free_address()?);
        Ok(Front { listen, admin, places, http2, folder, edition: 0 })
    }

    /// The time to wait for a target, a little longer with each edition.
    fn read(&self) -> Duration {
        READ + Duration::from_millis(self.edition.into())
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))?;
        Ok(path)
    }
}

/// A gateway that runs.
pub(crate) struct Gateway<'a> {
    program: &'a Program,
    place: &'a Workplace,
    pub(crate) front: Front,
    /// The last one serves; those before it may still end.
    children: Vec<Child>,
}

impl<'a> Gateway<'a> {
    /// `supervised`: so that it can be restarted as its manual says.
    pub(crate) async fn start(
        program: &'a Program,
        place: &'a Workplace,
        front: Front,
        supervised: bool,
    ) -> Result<Gateway<'a>> {
        let mut gateway = Gateway { program, place, front, children: Vec::new() };
        let arguments = match program.peer {
            Peer::Goodgate => goodgate::start(&gateway.front)?,
            Peer::Nginx => nginx::start(&gateway.front, supervised)?,
            Peer::Haproxy => haproxy::start(&gateway.front)?,
            Peer::Envoy => envoy::start(&gateway.front, supervised)?,
        };
        gateway.spawn(&arguments, supervised && program.peer == Peer::Nginx)?;
        gateway.until_ready().await.context("waiting for the first answers")?;
        Ok(gateway)
    }

    /// Has it read its configuration again, in which a time-out changed by a millisecond.
    pub(crate) async fn reload(&mut self) -> Result<()> {
        self.front.edition += 1;
        match self.program.peer {
            Peer::Goodgate => goodgate::reload(&self.program.path, &self.front).await,
            Peer::Nginx => nginx::reload(&self.front),
            Peer::Haproxy => haproxy::reload(&self.front, self.pid()?),
            Peer::Envoy => envoy::reload(&self.front),
        }
    }

    /// Puts a new process in its place, without a gap, as its manual says.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        match self.program.peer {
            Peer::Goodgate => self.spawn(&goodgate::takeover(&self.front), false),
            Peer::Nginx => nginx::restart(&self.front).await,
            Peer::Haproxy => self.spawn(&haproxy::takeover(&self.front, self.pid()?), false),
            Peer::Envoy => self.spawn(&envoy::takeover(&self.front), false),
        }
    }

    fn spawn(&mut self, arguments: &[OsString], daemon: bool) -> Result<()> {
        let name = format!("{}-{}", self.program.peer.name(), self.children.len());
        let (place, program) = (self.place, &self.program.path);
        let cores = cores::allowed()?;
        let child = match daemon {
            false => Child::start(place, &name, &cores, program, arguments)?,
            true => Child::start_daemon(place, &name, &cores, program, arguments)?,
        };
        self.children.push(child);
        Ok(())
    }

    async fn until_ready(&mut self) -> Result<()> {
        let until = Instant::now() + START;
        let mut well = 0;
        while well < ANSWERS {
            let status = callers::status(self.front.listen, HEALTH).await;
            well = if matches!(status, Ok(200)) { well + 1 } else { 0 };
            self.check_running()?;
            if until < Instant::now() {
                let said = self.children.last().map(Child::last_words).unwrap_or_default();
                bail!("it does not serve: {status:?}{said}");
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    pub(crate) fn check_running(&mut self) -> Result<()> {
        self.children.last_mut().map_or(Ok(()), Child::check_running)
    }

    fn pid(&self) -> Result<u32> {
        self.children.last().map(Child::pid).context("no gateway was started")
    }

    /// What its processes wrote, by the name of the file.
    pub(crate) fn outputs(&self) -> Vec<PathBuf> {
        self.children.iter().flat_map(Child::outputs).collect()
    }

    /// Ends it at once: nobody is served any more.
    pub(crate) fn kill(self) {
        self.children.into_iter().for_each(Child::kill);
    }
}

/// Which peers are there, and why others are not.
pub(crate) fn find(wanted: &[Peer], gateway: Option<&Path>) -> (Vec<Program>, Vec<(Peer, String)>) {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for peer in wanted {
        let program = match peer {
            Peer::Goodgate => goodgate::find(gateway),
            Peer::Nginx => nginx::find(),
            Peer::Haproxy => haproxy::find(),
            Peer::Envoy => envoy::find(),
        };
        match program.map(with_settings) {
            Ok(it) => found.push(it),
            Err(error) => missing.push((*peer, format!("{error:#}"))),
        }
    }
    (found, missing)
}

/// Adds to the version what tells these settings from others.
fn with_settings(program: Program) -> Program {
    let at = SocketAddr::from(([127, 0, 0, 1], 1));
    let places = [
        Places::Addresses(vec![at]),
        Places::Addresses(vec![at; 2]),
        Places::Name { port: 1, server: at, most: 2 },
    ];
    let texts = places.map(|places| {
        let (folder, http2) = (PathBuf::new(), false);
        let front = Front { listen: at, admin: at, places, http2, folder, edition: 0 };
        match program.peer {
            Peer::Goodgate => goodgate::configuration(&front),
            Peer::Nginx => nginx::configuration(&front, false),
            Peer::Haproxy => haproxy::configuration(&front),
            Peer::Envoy => envoy::configuration(&front),
        }
    });
    let settings = fingerprint::of(texts.concat().into_bytes()) as u32;
    Program { version: format!("{}, settings {settings:08x}", program.version), ..program }
}

/// The first line of what a program says when asked for its version.
fn version(program: &Path, option: &str) -> Result<String> {
    let output = std::process::Command::new(program)
        .arg(option)
        .output()
        .with_context(|| format!("starting `{}`", program.display()))?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().find(|it| !it.is_empty()).unwrap_or_default().trim().to_owned())
}

/// As all four take it.
fn milliseconds(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}
