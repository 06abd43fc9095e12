//! What idle client connections cost each proxy in memory.

use crate::arguments::Idle;
use crate::client::Connection;
use crate::machine::Machine;
use crate::process;
use crate::proxies::{Kind, Proxy};
use crate::setting::{Setting, Unmet};
use crate::{Verdict, output};
use anyhow::{Context as _, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

/// Files that are open besides the connections, on either side.
const RESERVE: u64 = 200;

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    connections: u64,
    rows: Vec<Row>,
}

/// Bytes, as proportional set size.
#[derive(Debug, Serialize)]
struct Row {
    proxy: Kind,
    start: u64,
    with_connections: u64,
}

pub(crate) fn run(asked: &Idle) -> Result<Verdict> {
    allow_files(2 * asked.connections + RESERVE)?;
    let setting = Setting::new(&asked.common)?;
    let machine = Machine::of(&setting);
    let mut rows = Vec::new();
    for kind in &setting.kinds {
        output::progress(kind.name());
        let row = measure(&setting, *kind, asked.connections);
        rows.push(row.with_context(|| format!("connections to {}", kind.name()))?);
    }
    let results = Results { machine, connections: asked.connections, rows };
    output::results(asked.common.json, &results, text)?;
    Ok(Verdict::Kept)
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

fn measure(setting: &Setting, kind: Kind, connections: u64) -> Result<Row> {
    let proxy = setting.start(kind)?;
    let start = process::proportional(proxy.pid())?;
    let held = (0..connections).map(|_| used_once(&proxy)).collect::<Result<Vec<_>>>()?;
    let with_connections = process::proportional(proxy.pid())?;
    drop(held);
    Ok(Row { proxy: kind, start, with_connections })
}

fn used_once(proxy: &Proxy) -> Result<Connection> {
    let mut connection = proxy.connect()?;
    let answer = connection.get("/small")?;
    ensure!(answer.status == 200, "the answer has status {}", answer.status);
    Ok(connection)
}

fn text(results: &Results) -> String {
    let (machine, count) = (results.machine.text(), results.connections);
    let mut text = format!("{machine}\n{count} connections, one request each, then idle\n\n");
    output::write_line(&mut text, &["", "proxy", "MiB at start", "MiB with them", "KiB each"]);
    for row in &results.rows {
        let grown = row.with_connections.saturating_sub(row.start);
        let each = format!("{:.1}", grown as f64 / 1024.0 / count as f64);
        let (start, with) = (output::mib(row.start), output::mib(row.with_connections));
        output::write_line(&mut text, &["", row.proxy.name(), &start, &with, &each]);
    }
    text
}
