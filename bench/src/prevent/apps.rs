//! Real servers as targets: Gunicorn and Uvicorn, each instance a process of its own, and an nginx
//! that speaks HTTP/2.

use super::ledger::Ledger;
use super::peers::Places;
use super::ports::free_address;
use super::python;
use super::relay::Relay;
use super::target::ANSWER;
use crate::child::Child;
use crate::setting::find_program;
use crate::workplace::Workplace;
use crate::{cores, process};
use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// How long one may take until it listens, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const WORKERS: u32 = 4;
const THREADS: u32 = 4;
const LEDGER: &str = "ledger.txt";

/// Writes what it begins and finishes at the end of a file, whole lines at a time.
const WSGI: &str = include_str!("apps/wsgi.py");
const ASGI: &str = include_str!("apps/asgi.py");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Python {
    /// A master with workers of threads.
    Gunicorn,
    /// One process.
    Uvicorn,
}

/// One instance, at an address that it keeps over restarts.
pub(crate) struct App {
    pub(crate) at: SocketAddr,
    python: Python,
    number: usize,
    folder: PathBuf,
    child: tokio::sync::Mutex<Option<Child>>,
}

impl App {
    pub(crate) async fn start(python: Python, number: usize, place: &Workplace) -> Result<App> {
        let folder = place.file("apps");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("wsgi.py"), WSGI)?;
        std::fs::write(folder.join("asgi.py"), ASGI)?;
        let (at, child) = (free_address()?, tokio::sync::Mutex::default());
        let app = App { at, python, number, folder, child };
        app.start_again(place).await?;
        app.until_it_listens().await?;
        Ok(app)
    }

    /// Does not wait until it listens: a deployment would not, and callers must not notice.
    pub(crate) async fn start_again(&self, place: &Workplace) -> Result<()> {
        let mut child = self.child.lock().await;
        if let Some(before) = child.as_mut() {
            let until = Instant::now() + PATIENCE;
            while before.check_running().is_ok() {
                ensure!(Instant::now() < until, "{:?} does not end", self.python);
                sleep(LOOK_EVERY).await;
            }
        }
        let (program, arguments) = self.command()?;
        let name = format!("app{}", self.number);
        *child = Some(Child::start(place, &name, &cores::allowed()?, &program, &arguments)?);
        Ok(())
    }

    fn command(&self) -> Result<(PathBuf, Vec<OsString>)> {
        let folder = self.folder.display();
        let (host, port) = (self.at.ip(), self.at.port());
        let line = match self.python {
            Python::Gunicorn => format!(
                "gunicorn --bind {host}:{port} --workers {WORKERS} --worker-class gthread \
                 --threads {THREADS} --chdir {folder} wsgi:app"
            ),
            Python::Uvicorn => format!(
                "uvicorn --host {host} --port {port} --app-dir {folder} --log-level warning \
                 asgi:app"
            ),
        };
        let mut words = line.split_whitespace();
        let program = python::program(words.next().unwrap_or_default())?;
        Ok((program, words.map(OsString::from).collect()))
    }

    async fn until_it_listens(&self) -> Result<()> {
        until_it_listens(self.at).await.with_context(|| format!("starting {:?}", self.python))
    }

    pub(crate) async fn tell(&self, signal: Signal) {
        if let Some(child) = self.child.lock().await.as_ref() {
            child.tell(signal);
        }
    }

    pub(crate) async fn kill(&self) {
        if let Some(child) = self.child.lock().await.take() {
            child.kill();
        }
    }

    /// Of the workers, one.
    pub(crate) async fn kill_worker(&self) -> Result<()> {
        let child = self.child.lock().await;
        let master = child.as_ref().context("it does not run")?.pid();
        let worker = process::family(master).get(1).copied().context("it has no worker")?;
        crate::child::signal(worker, Signal::KILL);
        Ok(())
    }
}

/// nginx, for as many targets as there are listeners, each as if some way off.
pub(crate) struct Http2 {
    child: Child,
    relays: Vec<Relay>,
}

impl Http2 {
    pub(crate) async fn start(count: usize, requests: u32, place: &Workplace) -> Result<Http2> {
        let folder = place.file("apps");
        std::fs::create_dir_all(&folder)?;
        let mut listeners = Vec::new();
        for _ in 0..count {
            listeners.push(free_address()?);
        }
        let file = folder.join("http2.conf");
        let ledger = folder.join(LEDGER);
        std::fs::write(&file, configuration(&listeners, requests, &folder, &ledger))?;
        let program =
            find_program("nginx", "`cargo xtask peers`; on Debian: apt-get install nginx")?;
        let arguments: [OsString; 6] =
            ["-p".into(), folder.into(), "-e".into(), "stderr".into(), "-c".into(), file.into()];
        let child = Child::start(place, "http2", &cores::allowed()?, &program, &arguments)?;
        let mut relays = Vec::new();
        for at in listeners {
            until_it_listens(at).await.context("starting the targets that speak HTTP/2")?;
            relays.push(Relay::start(free_address()?, at).await?);
        }
        Ok(Http2 { child, relays })
    }

    pub(crate) fn places(&self) -> Places {
        Places::Addresses(self.relays.iter().map(|it| it.at).collect())
    }

    pub(crate) fn kill(self) {
        self.child.kill();
    }
}

/// Each answer has the body that a caller expects, and each request makes two lines of the ledger.
fn configuration(
    listeners: &[SocketAddr],
    requests: u32,
    folder: &std::path::Path,
    ledger: &std::path::Path,
) -> String {
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let (folder, ledger) = (folder.display(), ledger.display());
    let listen: String = listeners.iter().map(|it| format!("listen {it} http2; ")).collect();
    // A number of so many digits is followed by dots up to the length of an answer.
    let bodies: String = (1..=6)
        .map(|digits| {
            let dots = ".".repeat(ANSWER - digits);
            format!("\"~^[0-9]{{{digits}}}$\" \"{dots}\"; ")
        })
        .collect();
    format!(
        r#"daemon off;
{user}
worker_processes 1;
pid {folder}/http2.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    log_format ledger "begun $http_x_number\ndone $http_x_number";
    access_log {ledger} ledger;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_x_number $dots {{ {bodies} }}
    keepalive_requests {requests};
    server {{
        {listen}
        location / {{ return 200 "$http_x_number$dots"; }}
    }}
}}
"#
    )
}

/// Takes over what real servers wrote, and forgets it.
pub(crate) fn read_ledger(place: &Workplace, ledger: &Ledger) {
    let text = std::fs::read_to_string(place.file("apps").join(LEDGER)).unwrap_or_default();
    ledger.read(&text);
}

async fn until_it_listens(at: SocketAddr) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(at).await.is_err() {
        ensure!(Instant::now() < until, "nobody listens at {at}");
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}
