//! Large bodies through each proxy, down and up, while its memory is watched.

use crate::arguments::Transfer;
use crate::machine::Machine;
use crate::process::{self, Memory};
use crate::proxies::{Kind, Proxy};
use crate::setting::{Setting, Unmet};
use crate::{Verdict, output};
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use std::thread::sleep;
use std::time::{Duration, Instant};

const MIB: u64 = 1024 * 1024;
const BETWEEN_SAMPLES: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    Down,
    Up,
}

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    bytes: u64,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    proxy: Kind,
    direction: Direction,
    /// Resident bytes before the body, and the most while it went through.
    start: u64,
    peak: u64,
    seconds: f64,
    cpu_seconds: f64,
    above_bound: bool,
}

pub(crate) fn run(asked: &Transfer) -> Result<Verdict> {
    let setting = Setting::new(&asked.common)?;
    if asked.bound.is_some() && !setting.kinds.contains(&Kind::Goodgate) {
        let what = "`--bound` holds the gateway's memory, so it has to take part".to_owned();
        return Err(Unmet::Usage(what).into());
    }
    let machine = Machine::of(&setting);
    let bytes = asked.mib * MIB;
    let mut rows = Vec::new();
    for kind in &setting.kinds {
        for direction in [Direction::Down, Direction::Up] {
            output::progress(&format!("{}: {}", kind.name(), direction.name()));
            let row = measure(&setting, *kind, direction, bytes)
                .with_context(|| format!("{}, {}", kind.name(), direction.name()))?;
            rows.push(hold(row, asked.bound));
        }
    }
    let results = Results { machine, bytes, rows };
    output::results(asked.common.json, &results, text)?;
    let broken = results.rows.iter().any(|it| it.above_bound);
    Ok(if broken { Verdict::Broken } else { Verdict::Kept })
}

fn hold(row: Row, bound: Option<f64>) -> Row {
    let grown = row.peak.saturating_sub(row.start) as f64 / MIB as f64;
    let above = row.proxy == Kind::Goodgate && bound.is_some_and(|most| grown > most);
    Row { above_bound: above, ..row }
}

/// Each transfer has a proxy of its own: a peak cannot be told from one before it.
fn measure(setting: &Setting, kind: Kind, direction: Direction, bytes: u64) -> Result<Row> {
    let proxy = setting.start(kind)?;
    let start = process::memory(proxy.pid())?;
    let cpu = proxy.cpu_time()?;
    let began = Instant::now();
    let sampled = while_sampling(&proxy, || send(&proxy, direction, bytes))?;
    let seconds = began.elapsed().as_secs_f64();
    let end = process::memory(proxy.pid())?;
    // The kernel's own peak sees what lies between two samples, but it is from the start of the
    // process on: where it has not moved, only the samples tell of this transfer.
    let peak = if end.peak > start.peak { sampled.max(end.peak) } else { sampled };
    Ok(Row {
        proxy: kind,
        direction,
        start: start.resident,
        peak,
        seconds,
        cpu_seconds: (proxy.cpu_time()? - cpu).threads_ns as f64 / 1e9,
        above_bound: false,
    })
}

fn send(proxy: &Proxy, direction: Direction, bytes: u64) -> Result<()> {
    let mut connection = proxy.connect()?;
    let (answer, expected) = match direction {
        Direction::Down => (connection.get(&format!("/fill/{bytes}"))?, Some(bytes)),
        Direction::Up => (connection.post("/upload", bytes)?, None),
    };
    ensure!(answer.status == 200, "the answer has status {}", answer.status);
    ensure!(expected.is_none_or(|it| it == answer.length), "the body has {} bytes", answer.length);
    Ok(())
}

/// The most resident bytes seen while `work` is done beside us.
fn while_sampling(proxy: &Proxy, work: impl FnOnce() -> Result<()> + Send) -> Result<u64> {
    std::thread::scope(|scope| {
        let work = scope.spawn(work);
        let mut most = 0;
        while !work.is_finished() {
            let Memory { resident, .. } = process::memory(proxy.pid())?;
            most = most.max(resident);
            sleep(BETWEEN_SAMPLES);
        }
        work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(most)
    })
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::Down => "down",
            Direction::Up => "up",
        }
    }
}

fn text(results: &Results) -> String {
    let (machine, size) = (results.machine.text(), results.bytes / MIB);
    let mut text = format!("{machine}\n{size} MiB each; memory is resident, of all processes\n\n");
    output::write_line(
        &mut text,
        &["direction", "proxy", "MiB at start", "MiB at peak", "MiB/s", "CPU s"],
    );
    for row in &results.rows {
        let rate = format!("{:.0}", size as f64 / row.seconds);
        let mark = if row.above_bound { "  ABOVE THE BOUND" } else { "" };
        let cpu = format!("{:.2}{mark}", row.cpu_seconds);
        let (start, peak) = (output::mib(row.start), output::mib(row.peak));
        let cells = [row.direction.name(), row.proxy.name(), &start, &peak, &rate, &cpu];
        output::write_line(&mut text, &cells);
    }
    text
}
