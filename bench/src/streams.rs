//! What answers that are on their way over HTTP/2 cost each proxy in memory.

pub(crate) mod client;

use crate::arguments::Streams;
use crate::client::Connection;
use crate::machine::Machine;
use crate::process;
use crate::proxies::Kind;
use crate::setting::{Setting, Unmet};
use crate::{Verdict, idle, output};
use anyhow::{Context as _, Result, ensure};
use client::Client;
use serde::Serialize;
use std::thread::sleep;
use std::time::{Duration, Instant};

const BETWEEN_SAMPLES: Duration = Duration::from_millis(50);
/// How long it may take until the upstream is at all answers.
const BEGIN: Duration = Duration::from_secs(10);
/// Files that are open on either side for each stream: in a proxy a second one may be kept ready.
const FILES: u64 = 3;
const RESERVE: u64 = 400;
/// The largest window that there is (RFC 9113 6.9.1).
const WIDE: u32 = i32::MAX.unsigned_abs();

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Manner {
    /// They read an event stream that is held open.
    Held,
    /// They allow no byte of a large answer.
    NoWindow,
    /// They allow all of a large answer, and then take no byte from their sockets.
    Unread,
}

impl Manner {
    const ALL: [Manner; 3] = [Manner::Held, Manner::NoWindow, Manner::Unread];

    fn name(self) -> &'static str {
        match self {
            Manner::Held => "held open",
            Manner::NoWindow => "no window",
            Manner::Unread => "unread",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Manner::Held => "/hold",
            Manner::NoWindow | Manner::Unread => "/large",
        }
    }

    /// What the clients allow of each answer.
    fn window(self) -> u32 {
        match self {
            Manner::Held | Manner::Unread => WIDE,
            Manner::NoWindow => 0,
        }
    }
}

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    connections: u32,
    streams: u32,
    rows: Vec<Row>,
}

/// Bytes, as proportional set size.
#[derive(Debug, Serialize)]
struct Row {
    manner: Manner,
    proxy: Kind,
    start: u64,
    most: u64,
    /// What it grew by.
    each: f64,
    above_bound: bool,
}

pub(crate) fn run(asked: &Streams) -> Result<Verdict> {
    idle::allow_files(FILES * u64::from(asked.connections * asked.streams) + RESERVE)?;
    let setting = Setting::new(&asked.common)?;
    if asked.bound.is_some() && !setting.kinds.contains(&Kind::Goodgate) {
        let what = "`--bound` holds the gateway's memory, so it has to take part".to_owned();
        return Err(Unmet::Usage(what).into());
    }
    let machine = Machine::of(&setting);
    let mut rows = Vec::new();
    for manner in Manner::ALL {
        for kind in &setting.kinds {
            output::progress(&format!("{}: {}", manner.name(), kind.name()));
            let row = measure(&setting, *kind, manner, asked);
            rows.push(row.with_context(|| format!("{}, {}", manner.name(), kind.name()))?);
        }
    }
    let (connections, streams) = (asked.connections, asked.streams);
    let results = Results { machine, connections, streams, rows };
    output::results(asked.common.json, &results, text)?;
    let broken = results.rows.iter().any(|it| it.above_bound);
    Ok(if broken { Verdict::Broken } else { Verdict::Kept })
}

/// Each has a proxy of its own: memory that was used once is often kept.
fn measure(setting: &Setting, kind: Kind, manner: Manner, asked: &Streams) -> Result<Row> {
    let proxy = setting.start(kind)?;
    let all = u64::from(asked.connections * asked.streams);
    let start = process::proportional(proxy.pid())?;
    let mut clients = (0..asked.connections)
        .map(|_| Client::open(proxy.h2_addr(), manner.path(), asked.streams, manner.window()))
        .collect::<Result<Vec<_>>>()?;
    let mut open = Connection::open(setting.upstream_addr)?;
    let began = Instant::now();
    let mut most = 0;
    let mut until = None;
    loop {
        if manner != Manner::Unread {
            clients.iter_mut().try_for_each(Client::read)?;
        }
        most = most.max(process::proportional(proxy.pid())?);
        let count = open_answers(&mut open)?;
        let now = Instant::now();
        match until {
            None if count == all => {
                until = Some(now + Duration::from_secs(asked.seconds.into()));
            }
            None => ensure!(now < began + BEGIN, "{count} of {all} requests came to the upstream"),
            Some(_) => ensure!(count == all, "{count} of {all} answers were left open"),
        }
        if until.is_some_and(|it| it <= now) {
            break;
        }
        sleep(BETWEEN_SAMPLES);
    }
    // The upstream that they go on for is shared with the next proxy.
    drop(clients);
    drop(proxy);
    while 0 < open_answers(&mut open)? {
        sleep(BETWEEN_SAMPLES);
        ensure!(began.elapsed() < 4 * BEGIN, "the upstream still answers those who left");
    }
    let each = most.saturating_sub(start) as f64 / all as f64;
    let above = asked.bound.is_some_and(|it| it * 1024.0 < each);
    let above_bound = kind == Kind::Goodgate && above;
    Ok(Row { manner, proxy: kind, start, most, each, above_bound })
}

/// Of the upstream, those that wait for something.
fn open_answers(connection: &mut Connection) -> Result<u64> {
    let answer = connection.get("/open-answers")?;
    let text = String::from_utf8(answer.start)?;
    text.parse().context("reading how many answers are open")
}

fn text(results: &Results) -> String {
    let Results { machine, connections, streams, rows } = results;
    let mut text = format!(
        "{}\n{connections} connections with {streams} streams each; memory is proportional\n\n",
        machine.text()
    );
    let title = ["clients", "proxy", "MiB at start", "MiB at most", "KiB each", ""];
    output::write_line(&mut text, &title);
    for row in rows {
        let each = format!("{:.1}", row.each / 1024.0);
        let (start, most) = (output::mib(row.start), output::mib(row.most));
        let mark = if row.above_bound { "ABOVE THE BOUND" } else { "" };
        let cells = [row.manner.name(), row.proxy.name(), &start, &most, &each, mark];
        output::write_line(&mut text, &cells);
    }
    text
}
