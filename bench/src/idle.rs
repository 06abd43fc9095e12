//! What idle client connections cost each proxy in memory, and what it takes without any.

use crate::arguments::Idle;
use crate::client::{Connection, dial};
use crate::machine::Machine;
use crate::process;
use crate::proxies::{Kind, Proxy};
use crate::setting::{Setting, Unmet};
use crate::streams::client::Client;
use crate::{Verdict, output};
use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Files that are open besides the connections, on either side.
const RESERVE: u64 = 200;

const BETWEEN_SAMPLES: Duration = Duration::from_millis(100);
/// Memory is settled when it has not fallen for so long.
const CALM: Duration = Duration::from_secs(3);
/// Less than this is no fall.
const GRAIN: u64 = 256 * 1024;
/// How long settling may take: proxies close idle connections a minute after their last request.
const SETTLE: Duration = Duration::from_secs(30);

/// The largest window that there is (RFC 9113 6.9.1).
const WIDE: u32 = i32::MAX.unsigned_abs();

/// How the clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Manner {
    Http1,
    Http1Tls,
    Http2,
}

impl Manner {
    const ALL: [Manner; 3] = [Manner::Http1, Manner::Http1Tls, Manner::Http2];

    fn name(self) -> &'static str {
        match self {
            Manner::Http1 => "HTTP/1",
            Manner::Http1Tls => "HTTP/1 over TLS",
            Manner::Http2 => "HTTP/2",
        }
    }
}

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    connections: u64,
    rows: Vec<Row>,
}

/// Bytes, as proportional set size.
#[derive(Debug, Serialize)]
struct Row {
    manner: Manner,
    proxy: Kind,
    start: u64,
    /// When the last connection had its answer.
    answered: u64,
    /// When memory fell no more.
    settled: u64,
    /// What it grew by, settled.
    each: f64,
    above_bound: bool,
}

pub(crate) fn run(asked: &Idle) -> Result<Verdict> {
    allow_files(2 * asked.connections + RESERVE)?;
    let setting = Setting::new(&asked.common)?;
    if asked.bound.is_some() && !setting.kinds.contains(&Kind::Goodgate) {
        let what = "`--bound` holds the gateway's memory, so it has to take part".to_owned();
        return Err(Unmet::Usage(what).into());
    }
    let tls = Arc::new(client_tls(&setting.place.file("cert.pem"))?);
    let machine = Machine::of(&setting);
    let mut rows = Vec::new();
    for manner in Manner::ALL {
        for kind in &setting.kinds {
            output::progress(&format!("{}: {}", manner.name(), kind.name()));
            let row = measure(&setting, *kind, manner, asked, &tls);
            rows.push(row.with_context(|| format!("{}, {}", manner.name(), kind.name()))?);
        }
    }
    let results = Results { machine, connections: asked.connections, rows };
    output::results(asked.common.json, &results, text)?;
    let broken = results.rows.iter().any(|it| it.above_bound);
    Ok(if broken { Verdict::Broken } else { Verdict::Kept })
}

/// The proxies inherit the limit, and HAProxy wants a second file ready for each connection.
pub(crate) fn allow_files(wanted: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|it| it < wanted) {
        let what = format!("{wanted} open files are needed; `ulimit -Hn` allows fewer");
        return Err(Unmet::Usage(what).into());
    }
    if limit.current.is_some_and(|it| it < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit })?;
    }
    Ok(())
}

/// A client that trusts the certificate of the listeners.
pub(crate) fn client_tls(certificate: &Path) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).context("reading the certificate")?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder?.with_root_certificates(roots).with_no_client_auth())
}

/// Each has a proxy of its own: memory that was used once is often kept.
fn measure(
    setting: &Setting,
    kind: Kind,
    manner: Manner,
    asked: &Idle,
    tls: &Arc<ClientConfig>,
) -> Result<Row> {
    let proxy = setting.start(kind)?;
    let start = process::proportional(proxy.pid())?;
    let held = (0..asked.connections).map(|_| Held::used_once(&proxy, manner, tls));
    let held = held.collect::<Result<Vec<_>>>()?;
    let answered = process::proportional(proxy.pid())?;
    let settled = settled(&proxy)?;
    drop(held);
    let each = settled.saturating_sub(start) as f64 / asked.connections as f64;
    let above = asked.bound.is_some_and(|it| it * 1024.0 < each);
    let above_bound = above && manner == Manner::Http1 && kind == Kind::Goodgate;
    Ok(Row { manner, proxy: kind, start, answered, settled, each, above_bound })
}

/// The least, once it has not fallen for a while.
fn settled(proxy: &Proxy) -> Result<u64> {
    let began = Instant::now();
    let mut least = process::proportional(proxy.pid())?;
    let mut fell = began;
    while fell.elapsed() < CALM && began.elapsed() < SETTLE {
        sleep(BETWEEN_SAMPLES);
        let now = process::proportional(proxy.pid())?;
        if now + GRAIN < least {
            fell = Instant::now();
            least = now;
        }
    }
    process::proportional(proxy.pid())
}

/// A connection that is open for as long as this is kept.
#[expect(dead_code, reason = "connections are held, not used")]
enum Held {
    Http1(Connection),
    Http1Tls(Box<Connection<StreamOwned<ClientConnection, TcpStream>>>),
    Http2(Client),
}

impl Held {
    fn used_once(proxy: &Proxy, manner: Manner, tls: &Arc<ClientConfig>) -> Result<Held> {
        match manner {
            Manner::Http1 => {
                let mut connection = proxy.connect()?;
                let answer = connection.get("/small")?;
                ensure!(answer.status == 200, "the answer has status {}", answer.status);
                Ok(Held::Http1(connection))
            }
            Manner::Http1Tls => {
                let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
                let session = ClientConnection::new(tls.clone(), name)?;
                let stream = StreamOwned::new(session, dial(proxy.tls_addr())?);
                let mut connection = Connection::over(stream, proxy.tls_addr());
                let answer = connection.get("/small")?;
                ensure!(answer.status == 200, "the answer has status {}", answer.status);
                Ok(Held::Http1Tls(Box::new(connection)))
            }
            Manner::Http2 => {
                let mut client = Client::open(proxy.h2_addr(), "/small", 1, WIDE)?;
                client.take_answer()?;
                Ok(Held::Http2(client))
            }
        }
    }
}

fn text(results: &Results) -> String {
    let (machine, count) = (results.machine.text(), results.connections);
    let mut text = format!(
        "{machine}\n{count} connections, one request each, then idle; memory is proportional\n\n"
    );
    let title = ["clients", "proxy", "MiB at start", "MiB when answered", "settled", "KiB each"];
    output::write_line(&mut text, &title);
    for row in &results.rows {
        let mark = if row.above_bound { "  ABOVE THE BOUND" } else { "" };
        let each = format!("{:.1}{mark}", row.each / 1024.0);
        let [start, answered, settled] = [row.start, row.answered, row.settled].map(output::mib);
        let cells = [row.manner.name(), row.proxy.name(), &start, &answered, &settled, &each];
        output::write_line(&mut text, &cells);
    }
    text
}
