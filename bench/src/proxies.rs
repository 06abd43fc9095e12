//! The proxies under test: how each is configured, started and asked.

mod goodgate;
mod haproxy;
mod nginx;

use crate::cases::Plan;
use crate::child::Child;
use crate::client::Connection;
use crate::log::AccessLog;
use crate::process::{self, CpuTime};
use crate::setting::{Setting, find_program};
use crate::workplace::Workplace;
use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a proxy may take until it answers.
const START: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Kind {
    Goodgate,
    Nginx,
    NginxWithoutLog,
    HaproxyWithoutLog,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Goodgate => "goodgate",
            Kind::Nginx => "nginx",
            Kind::NginxWithoutLog => "nginx_without_log",
            Kind::HaproxyWithoutLog => "haproxy_without_log",
        }
    }

    /// What has to be installed for it.
    pub(crate) fn program(self) -> Option<&'static str> {
        match self {
            Kind::Goodgate => None,
            Kind::Nginx | Kind::NginxWithoutLog => Some("nginx"),
            Kind::HaproxyWithoutLog => Some("haproxy"),
        }
    }

    /// nginx speaks HTTP/2 to upstreams for gRPC alone.
    pub(crate) fn can(self, plan: &Plan) -> bool {
        !plan.h2_upstream || matches!(self, Kind::Goodgate | Kind::HaproxyWithoutLog)
    }

    fn logs(self) -> bool {
        matches!(self, Kind::Goodgate | Kind::Nginx)
    }
}

/// What a configuration names.
struct Names {
    plain: SocketAddr,
    tls: SocketAddr,
    /// For clients that speak HTTP/2 without TLS.
    h2: SocketAddr,
    upstream: SocketAddr,
    h2_upstream: Option<SocketAddr>,
    workers: u32,
    /// The folder that holds the certificate, and files of the proxy's own.
    folder: PathBuf,
    /// `None`: no access log.
    log: Option<PathBuf>,
    /// A start of file names that no other proxy here has.
    prefix: &'static str,
}

/// A proxy that runs and has answered.
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    child: Child,
    plain: SocketAddr,
    tls: SocketAddr,
    h2: SocketAddr,
    pub(crate) log: Option<AccessLog>,
    /// From its start to its first answer.
    pub(crate) ready_after: Duration,
}

impl Proxy {
    pub(crate) fn start(kind: Kind, setting: &Setting) -> Result<Proxy> {
        let [plain, tls, h2] = free_addresses()?;
        // The gateway tells both versions apart by their first bytes.
        let h2 = if kind == Kind::Goodgate { plain } else { h2 };
        let log = kind.logs().then(|| setting.place.file(&format!("{}.log", kind.name())));
        let names = Names {
            plain,
            tls,
            h2,
            upstream: setting.upstream_addr,
            h2_upstream: setting.h2_upstream_addr,
            workers: setting.workers,
            folder: setting.place.path().to_owned(),
            log: log.clone(),
            prefix: kind.name(),
        };
        let (program, arguments) = prepare(kind, setting, &names)?;
        let (place, cores) = (&setting.place, &setting.proxy_cores);
        let mut child = Child::start(place, kind.name(), cores, &program, &arguments)?;
        let ready_after = first_answer(&mut child, plain)
            .with_context(|| format!("waiting for the first answer of {}", kind.name()))?;
        Ok(Proxy { kind, child, plain, tls, h2, log: log.map(AccessLog::new), ready_after })
    }

    pub(crate) fn addr(&self, plan: &Plan) -> SocketAddr {
        match plan.streams {
            _ if plan.tls => self.tls,
            Some(_) => self.h2,
            None => self.plain,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    pub(crate) fn cpu_time(&self) -> Result<CpuTime> {
        process::cpu_time(self.pid())
    }

    pub(crate) fn check_running(&mut self) -> Result<()> {
        self.child.check_running()
    }

    pub(crate) fn connect(&self) -> Result<Connection> {
        Connection::open(self.plain)
    }

    /// Of its listener with TLS.
    pub(crate) fn tls_addr(&self) -> SocketAddr {
        self.tls
    }

    /// Of its listener for HTTP/2 without TLS.
    pub(crate) fn h2_addr(&self) -> SocketAddr {
        self.h2
    }

    /// One request of the case, so that a proxy that answers something else is not measured.
    pub(crate) fn check_answer(&self, plan: &Plan) -> Result<()> {
        let mut connection = self.connect()?;
        let answer = match plan.upload {
            0 => connection.get(plan.path)?,
            bytes => connection.post(plan.path, bytes as u64)?,
        };
        ensure!(answer.status == 200, "the answer has status {}", answer.status);
        ensure!(answer.length >= plan.answer as u64, "the answer has {} bytes", answer.length);
        Ok(())
    }
}

fn prepare(kind: Kind, setting: &Setting, names: &Names) -> Result<(PathBuf, Vec<OsString>)> {
    let (file, text) = match kind {
        Kind::Goodgate => ("goodgate.toml", goodgate::configuration(names)),
        Kind::Nginx => ("nginx.conf", nginx::configuration(names)),
        Kind::NginxWithoutLog => ("nginx_without_log.conf", nginx::configuration(names)),
        Kind::HaproxyWithoutLog => ("haproxy.cfg", haproxy::configuration(names)),
    };
    let file = setting.place.write(file, &text)?;
    let arguments = match kind {
        Kind::Goodgate => goodgate::arguments(file),
        Kind::Nginx | Kind::NginxWithoutLog => nginx::arguments(&names.folder, file),
        Kind::HaproxyWithoutLog => haproxy::arguments(file),
    };
    let program = match (kind.program(), &setting.gateway) {
        (Some(name), _) => find_program(name, "on Debian: apt-get install nginx haproxy")?,
        (None, Some(gateway)) => gateway.clone(),
        (None, None) => bail!("no gateway was given"),
    };
    Ok((program, arguments))
}

/// Addresses that nothing listens on now.
fn free_addresses<const COUNT: usize>() -> Result<[SocketAddr; COUNT]> {
    // All are held at once, or the kernel may give the same port twice.
    let held: Vec<TcpListener> = (0..COUNT)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    let mut free = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); COUNT];
    for (free, held) in free.iter_mut().zip(&held) {
        *free = held.local_addr()?;
    }
    Ok(free)
}

/// An upstream that speaks HTTP/2: an nginx that answers by itself, on the core of the load.
pub(crate) fn start_h2_upstream(place: &Workplace, core: usize) -> Result<(Child, SocketAddr)> {
    let [addr] = free_addresses()?;
    let file = place.write("h2_upstream.conf", &nginx::h2_upstream(place.path(), addr))?;
    let program = find_program("nginx", "on Debian: apt-get install nginx")?;
    let arguments = nginx::arguments(place.path(), file);
    let mut child = Child::start(place, "h2_upstream", &[core], &program, &arguments)?;
    let until = Instant::now() + START;
    while TcpStream::connect(addr).is_err() {
        child.check_running()?;
        ensure!(Instant::now() < until, "the upstream for HTTP/2 did not begin to listen");
        sleep(Duration::from_millis(1));
    }
    Ok((child, addr))
}

fn first_answer(child: &mut Child, addr: SocketAddr) -> Result<Duration> {
    let until = Instant::now() + START;
    loop {
        let answer = Connection::open(addr).and_then(|mut it| it.get("/small"));
        match answer {
            Ok(answer) if answer.status == 200 => return child.age(),
            Ok(answer) if Instant::now() > until => bail!("its status was {}", answer.status),
            Err(error) if Instant::now() > until => return Err(error),
            Ok(_) | Err(_) => child.check_running()?,
        }
        sleep(Duration::from_micros(200));
    }
}
