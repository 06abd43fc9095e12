//! A real goodgate in a process of its own.

use crate::process::{self, Process};
use crate::scene::Playing;
use crate::scratch::Scratch;
use crate::stage;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::time::Duration;
use tokio::time::{Instant, sleep};

use crate::client::{Client, End};

/// For something that happens right after what we saw.
const SOON: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a goodgate is to live with.
#[derive(Default)]
pub struct Hardship {
    /// A command that starts it, such as `prlimit --nofile=64`.
    pub through: Vec<String>,
    /// Of its environment.
    pub variables: Vec<(String, String)>,
    /// Where it listens instead of on loopback.
    pub address: Option<Ipv4Addr>,
    /// Where its access log goes instead of the file that [`Gateway::records`] reads.
    pub log: Option<PathBuf>,
    /// The app that it starts itself: a program and its arguments.
    pub app: Vec<String>,
}

impl Hardship {
    /// Started by this command.
    #[must_use]
    pub fn through(words: &str) -> Hardship {
        let through = words.split_whitespace().map(str::to_owned).collect();
        Hardship { through, ..Hardship::default() }
    }

    /// With this in its environment.
    #[must_use]
    pub fn with(name: &str, value: &str) -> Hardship {
        let variables = vec![(name.to_owned(), value.to_owned())];
        Hardship { variables, ..Hardship::default() }
    }
}

/// A running goodgate, killed when dropped.
pub struct Gateway {
    /// Where it serves.
    pub listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub status: SocketAddr,
    process: Process,
    scratch: Scratch,
    /// What its configuration begins with.
    opening: String,
    /// What it goes on with.
    config: String,
    /// Where the processes write that came after the first one; the last is the one that runs.
    outputs: Vec<Scratch>,
}

/// Its configuration, in a folder of its own.
const FILE: &str = "goodgate.toml";

impl Gateway {
    /// With `config` below the tables that say where to listen and to log. `config` may begin with
    /// keys of `[listen]`.
    pub async fn start(config: &str) -> io::Result<Gateway> {
        Gateway::start_as(|_| config.to_owned(), false).await
    }

    /// With an app that it starts itself: a program and its arguments.
    pub async fn with_app(config: &str, app: &[String]) -> io::Result<Gateway> {
        let hardship = Hardship { app: app.to_vec(), ..Hardship::default() };
        Gateway::start_in(&hardship, |_| config.to_owned(), false).await
    }

    /// With one route that leads to a scene.
    pub async fn before(playing: &Playing) -> io::Result<Gateway> {
        let Playing { upstream_extra, route_extra, file_extra, .. } = playing;
        let config = |listen| {
            let url = playing.url_for(listen);
            format!(
                "{file_extra}\
                 [upstream.scene]\ntargets = [\"{url}\"]\n{upstream_extra}\n\
                 [route.scene]\nmatch = \"/*\"\nto = \"scene\"\n{route_extra}"
            )
        };
        Gateway::start_as(config, playing.conditions.ordinary_user).await
    }

    /// The same under conditions of its host.
    pub async fn under(hardship: &Hardship, config: &str) -> io::Result<Gateway> {
        Gateway::start_in(hardship, |_| config.to_owned(), false).await
    }

    async fn start_as(
        config: impl Fn(SocketAddr) -> String,
        ordinary_user: bool,
    ) -> io::Result<Gateway> {
        Gateway::start_in(&Hardship::default(), config, ordinary_user).await
    }

    async fn start_in(
        hardship: &Hardship,
        config: impl Fn(SocketAddr) -> String,
        ordinary_user: bool,
    ) -> io::Result<Gateway> {
        let binary = binary()?;
        let scratch = Scratch::new("goodgate")?;
        process::open_to_all(&scratch)?;
        let address = hardship.address.unwrap_or(Ipv4Addr::LOCALHOST);
        let listen = SocketAddr::from((address, stage::free_port()?));
        let status = SocketAddr::from((address, stage::free_port()?));
        let access = match &hardship.log {
            Some(log) => log.clone(),
            None => scratch.path().join("access.jsonl"),
        };
        // One worker, so that requests meet the connections of those before them.
        let opening = format!(
            "workers = 1\n\
             [status]\nlisten = \"{status}\"\n\
             [log]\naccess = {access:?}\n\
             [listen]\nhttp = \"{listen}\"\n"
        );
        let config = config(listen);
        let file = scratch.write(FILE, &format!("{opening}{config}"))?;
        let mut command = match hardship.through.split_first() {
            None => process::command(&binary, ordinary_user),
            Some((first, words)) => {
                let mut command = process::command(Path::new(first), ordinary_user);
                command.args(words).arg(&binary);
                command
            }
        };
        command.envs(hardship.variables.iter().map(|it| (&it.0, &it.1)));
        command.arg("run").arg("--config").arg(file);
        if !hardship.app.is_empty() {
            command.arg("--").args(&hardship.app);
        }
        let mut process = Process::start("goodgate", command, &scratch)?;
        process.until_it_listens(status).await?;
        until_ready(status).await?;
        let outputs = Vec::new();
        Ok(Gateway { listen, status, process, scratch, opening, config, outputs })
    }

    /// Has it go over to a configuration by SIGHUP, and waits until it says that it did, which it
    /// has said as often before as `times` has it.
    pub async fn hang_up(&mut self, config: &str, times: usize) -> io::Result<()> {
        self.write(config)?;
        self.process.signal(Signal::HUP);
        self.process.until_it_says("\nreloaded ", times + 1).await
    }

    /// Has another process with so many workers serve instead of it, and waits until it has ended,
    /// for as long as its last client may stay.
    pub async fn take_over(&mut self, workers: usize, within: Duration) -> io::Result<ExitStatus> {
        let rest = self.opening.split_once('\n').map_or("", |(_, rest)| rest);
        self.opening = format!("workers = {workers}\n{rest}");
        self.write(&self.config.clone())?;
        let mut before = self.start_another(&["--takeover"])?;
        self.process.until_it_says("took over from process", 1).await?;
        let ended = before.ended(within).await;
        ended.map_err(|it| io::Error::other(format!("{it}\nits successor said:\n{}", self.said())))
    }

    /// Kills it, so that all that it has is lost, and starts another one in its place.
    pub async fn kill_and_start(&mut self) -> io::Result<()> {
        self.process.signal(Signal::KILL);
        self.process.ended(SOON).await?;
        self.start_another(&[])?;
        self.process.until_it_listens(self.status).await?;
        until_ready(self.status).await
    }

    /// Gives the process that was ours before.
    fn start_another(&mut self, more: &[&str]) -> io::Result<Process> {
        let output = Scratch::new("goodgate-again")?;
        let mut command = tokio::process::Command::new(binary()?);
        command.arg("run").args(more).arg("--config").arg(self.scratch.path().join(FILE));
        let process = Process::start("goodgate", command, &output)?;
        self.outputs.push(output);
        Ok(std::mem::replace(&mut self.process, process))
    }

    fn write(&mut self, config: &str) -> io::Result<()> {
        config.clone_into(&mut self.config);
        self.scratch.write(FILE, &format!("{}{config}", self.opening)).map(drop)
    }

    /// Has it go over to a configuration, of which only what it was started with is left out. Gives
    /// what the command said.
    pub async fn reload(&self, config: &str) -> io::Result<Output> {
        self.scratch.write(FILE, &format!("{}{config}", self.opening))?;
        self.command(&["reload"]).await
    }

    /// Runs a command that speaks to it.
    pub async fn command(&self, words: &[&str]) -> io::Result<Output> {
        let mut command = tokio::process::Command::new(binary()?);
        command.args(words).arg("--config").arg(self.scratch.path().join(FILE));
        command.kill_on_drop(true).output().await
    }

    pub async fn client(&self) -> io::Result<Client> {
        Client::connect(self.listen).await
    }

    /// The access log as it is now. A line that is still being written does not count.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        let path = self.scratch.path().join("access.jsonl");
        let text = fs::read_to_string(path).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|it| serde_json::from_str(it).unwrap_or(Value::Null)).collect()
    }

    /// How many records there are, where they are too many to be read at once.
    pub fn record_count(&self) -> io::Result<u64> {
        let mut file = fs::File::open(self.scratch.path().join("access.jsonl"))?;
        let mut block = vec![0; 1 << 16];
        let mut count = 0;
        loop {
            match file.read(&mut block)? {
                0 => return Ok(count),
                length => count += block[..length].iter().filter(|it| **it == b'\n').count() as u64,
            }
        }
    }

    /// Waits for this many records; gives what there are if they do not come.
    pub async fn records_soon(&self, count: usize) -> Vec<Value> {
        let began = Instant::now();
        while self.records().len() < count && began.elapsed() < SOON {
            sleep(LOOK_EVERY).await;
        }
        self.records()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Waits for the process to end by itself.
    pub async fn ended(&mut self, within: Duration) -> io::Result<ExitStatus> {
        self.process.ended(within).await
    }

    /// Stops it, and gives its records, which are all there then.
    pub async fn stopped(mut self) -> io::Result<Vec<Value>> {
        self.terminate();
        self.ended(SOON).await?;
        Ok(self.records())
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// What it said on its output.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.said()
    }
}

async fn until_ready(status: SocketAddr) -> io::Result<()> {
    let ask = b"GET /readyz HTTP/1.1\r\nHost: status\r\nConnection: close\r\n\r\n";
    let began = Instant::now();
    loop {
        let answer = Client::connect(status).await?.exchange(ask).await;
        if answer.status == Some(200) && answer.end == End::Whole {
            return Ok(());
        }
        if began.elapsed() > SOON {
            return Err(io::Error::other(format!("/readyz still answers {}", answer.words())));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The command itself, to be given other words.
pub fn goodgate() -> io::Result<tokio::process::Command> {
    let mut command = tokio::process::Command::new(binary()?);
    command.kill_on_drop(true);
    Ok(command)
}

/// `GOODGATE_BIN`, else the one that was built beside this program.
pub fn binary() -> io::Result<PathBuf> {
    if let Some(path) = std::env::var_os("GOODGATE_BIN") {
        return Ok(path.into());
    }
    let this = std::env::current_exe()?;
    // A test lies in `deps`, one folder below the binaries.
    let beside = this.ancestors().skip(1).take(2).map(|it| it.join("goodgate"));
    beside.into_iter().find(|it| it.is_file()).ok_or_else(|| {
        let hint = "there is no goodgate beside this program\n\n\
                    hint: run `cargo build -p goodgate`, or say where it is with GOODGATE_BIN";
        io::Error::new(io::ErrorKind::NotFound, hint)
    })
}
