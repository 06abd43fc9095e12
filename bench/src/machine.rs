//! What the numbers were measured on; without it they mean nothing.

use crate::proxies::Kind;
use crate::setting::{Setting, find_program};
use serde::Serialize;
use std::path::Path;
use std::process::Command;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    /// Over the last minute, as the measurement began; more than a little spoils it.
    load: String,
    programs: Vec<String>,
}

impl Machine {
    pub(crate) fn of(setting: &Setting) -> Machine {
        let cpus = read("/proc/cpuinfo");
        let cores = cpus.lines().filter(|it| it.starts_with("processor")).count();
        let name = cpus.lines().find_map(|it| it.strip_prefix("model name")?.split_once(": "));
        Machine {
            processor: name.map_or("unknown", |(_, name)| name).to_owned(),
            cores,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            programs: programs(setting),
        }
    }

    pub(crate) fn text(&self) -> String {
        let Machine { processor, cores, kernel, load, programs } = self;
        let programs = programs.join("; ");
        format!("{processor}, {cores} cores, Linux {kernel}, load {load}\n{programs}")
    }
}

fn programs(setting: &Setting) -> Vec<String> {
    let mut lines: Vec<String> =
        setting.kinds.iter().filter_map(|it| version(*it, setting)).collect();
    lines.dedup();
    lines
}

fn version(kind: Kind, setting: &Setting) -> Option<String> {
    let option = if kind == Kind::Goodgate { "--version" } else { "-v" };
    let program = match kind.program() {
        Some(name) => find_program(name, "it is installed with the proxy").ok()?,
        None => setting.gateway.clone()?,
    };
    first_line(&program, option)
}

/// nginx tells its version on standard error, the others on standard output.
fn first_line(program: &Path, option: &str) -> Option<String> {
    let output = Command::new(program).arg(option).output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Some(String::from_utf8_lossy(&text).lines().next()?.to_owned())
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
