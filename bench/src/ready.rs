//! How long each proxy takes from its start to its first answer, and its memory then.

use crate::arguments::Ready;
use crate::machine::Machine;
use crate::process;
use crate::proxies::Kind;
use crate::setting::Setting;
use crate::statistics::Spread;
use crate::{Verdict, output};
use anyhow::Result;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    starts: u32,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    proxy: Kind,
    milliseconds: Option<Spread>,
    /// Proportional set size: a page that two processes share counts half in each.
    memory: Option<Spread>,
}

/// One start of one proxy.
struct Start {
    milliseconds: f64,
    memory: f64,
}

pub(crate) fn run(asked: &Ready) -> Result<Verdict> {
    let setting = Setting::new(&asked.common)?;
    let machine = Machine::of(&setting);
    let mut starts: Vec<Vec<Start>> = setting.kinds.iter().map(|_| Vec::new()).collect();
    for round in 1..=asked.starts {
        output::progress(&format!("start {round} of {}", asked.starts));
        for (kind, starts) in setting.kinds.iter().zip(&mut starts) {
            starts.push(start(&setting, *kind)?);
        }
    }
    let rows = setting.kinds.iter().zip(&starts).map(|(kind, starts)| Row {
        proxy: *kind,
        milliseconds: Spread::of(starts.iter().map(|it| it.milliseconds)),
        memory: Spread::of(starts.iter().map(|it| it.memory)),
    });
    let results = Results { machine, starts: asked.starts, rows: rows.collect() };
    output::results(asked.common.json, &results, text)?;
    Ok(Verdict::Kept)
}

fn start(setting: &Setting, kind: Kind) -> Result<Start> {
    let proxy = setting.start(kind)?;
    Ok(Start {
        milliseconds: proxy.ready_after.as_secs_f64() * 1_000.0,
        memory: process::proportional(proxy.pid())? as f64,
    })
}

fn text(results: &Results) -> String {
    let (machine, starts) = (results.machine.text(), results.starts);
    let mut text = format!("{machine}\n{starts} starts; medians (least - most)\n\n");
    output::write_line(&mut text, &["", "proxy", "ms to first answer", "MiB then"]);
    for row in &results.rows {
        let time = output::spread(row.milliseconds, 1.0, 1);
        let memory = output::spread(row.memory, 1024.0 * 1024.0, 1);
        output::write_line(&mut text, &["", row.proxy.name(), &time, &memory]);
    }
    text
}
