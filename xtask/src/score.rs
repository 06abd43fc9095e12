//! `cargo xtask score`: how often the engine is right over files of cases with known causes.
//!
//! A case is one JSON object a line, with `inputs` (name, text), `cause` (a label), `determinable`
//! (`single`: right when the first candidate is accepted; `ranked`: when one of the first three is)
//! and `certainty`. `accepted.json` beside the file maps labels to ids of the catalogue. The texts
//! are other people's: they stay outside of this repository, and where they are absent there is
//! nothing to score.

use crate::{run, say};
use anyhow::{Context, Result};
use diagnosis::report::{Report, Verdict};
use diagnosis::why::{Question, why};
use evidence::{Arrival, Testimony};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the cases stand, from the top of the source tree.
const CASES: &str = "../shared/cases";
/// The verdict that claims to be sure.
const SURE: f64 = 0.9;

pub(crate) fn run(files: &[&str], verbose: bool) -> Result<()> {
    let folder = run::root().join(CASES);
    let files: Vec<PathBuf> = match files {
        [] => vec![folder.join("dev.jsonl")],
        given => given.iter().map(PathBuf::from).collect(),
    };
    if let Some(absent) = files.iter().find(|it| !it.exists()) {
        say::note(&format!("there are no cases to score: {} does not exist", absent.display()));
        return Ok(());
    }
    let accepted: Value = json(&folder.join("accepted.json"))?;
    let mut tally = Tally::default();
    for file in &files {
        for case in cases(file)? {
            tally.case(&case, &accepted, verbose);
        }
    }
    tally.print();
    let walkthroughs = folder.join("walkthroughs.jsonl");
    if walkthroughs.exists() {
        walk(&walkthroughs)?;
    }
    Ok(())
}

fn json(path: &Path) -> Result<Value> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

fn cases(path: &Path) -> Result<Vec<Value>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().filter(|it| !it.trim().is_empty());
    lines.map(|it| serde_json::from_str(it).context("a line is not JSON")).collect()
}

fn explain(case: &Value) -> (Report, Vec<(String, String)>) {
    let inputs: Vec<(String, String)> = list(&case["inputs"])
        .iter()
        .map(|it| (text(&it["name"]).to_owned(), text(&it["text"]).to_owned()))
        .collect();
    let borrowed: Vec<(&str, &str)> =
        inputs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let testimony = Testimony::of(&borrowed, Arrival::File, 2026);
    (why(&testimony, &Question::default()), inputs)
}

/// Right and all, of one kind.
#[derive(Clone, Copy, Default)]
struct Share {
    first: u32,
    three: u32,
    right: u32,
    all: u32,
}

#[derive(Default)]
struct Tally {
    all: Share,
    by: BTreeMap<(&'static str, String), Share>,
    /// Named, by tenths of confidence: right and all.
    named: BTreeMap<u32, (u32, u32)>,
    sure: (u32, u32),
    quotes: (u32, u32),
}

impl Tally {
    fn case(&mut self, case: &Value, accepted: &Value, verbose: bool) {
        let (report, inputs) = explain(case);
        let label = text(&case["cause"]);
        let good: Vec<&str> = list(&accepted[label]).iter().map(text).collect();
        let healthy = label == "no_failure";
        let candidates: Vec<&str> = report.candidates.iter().map(|it| it.cause.as_str()).collect();
        let is_good = |it: &&str| good.contains(it);
        let (first, three) = match healthy {
            true => (report.verdict == Verdict::NoFailure, report.verdict == Verdict::NoFailure),
            false => {
                (candidates.first().is_some_and(is_good), candidates.iter().take(3).any(is_good))
            }
        };
        let right = if text(&case["determinable"]) == "ranked" { three } else { first };
        let share = Share { first: first.into(), three: three.into(), right: right.into(), all: 1 };
        self.all.add(share);
        for by in ["cause", "proxy", "certainty"] {
            self.by.entry((by, text(&case[by]).to_owned())).or_default().add(share);
        }
        if report.verdict == Verdict::Named {
            let bucket = self.named.entry((report.confidence * 10.0) as u32).or_default();
            bucket.0 += u32::from(first);
            bucket.1 += 1;
            if report.confidence >= SURE {
                self.sure.0 += u32::from(first);
                self.sure.1 += 1;
            }
        }
        for exhibit in &report.evidence {
            let source = inputs.iter().find(|(name, _)| *name == exhibit.source);
            self.quotes.1 += 1;
            self.quotes.0 += u32::from(source.is_some_and(|(_, text)| exact(text, exhibit)));
        }
        if verbose || !right {
            let ranked: Vec<String> = report
                .candidates
                .iter()
                .map(|it| format!("{} {:.2}", it.cause, it.confidence))
                .collect();
            say::note(&format!(
                "{} {} ({}, {} {}): wanted {}; {:?}: {}",
                if right { "right" } else { "WRONG" },
                text(&case["id"]),
                text(&case["proxy"]),
                text(&case["certainty"]),
                text(&case["determinable"]),
                label,
                report.verdict,
                ranked.join(", "),
            ));
        }
    }

    fn print(&self) {
        let mut lines = vec![format!("all: {}", self.all.words())];
        let mut kind = "";
        for ((by, value), share) in &self.by {
            if *by != kind {
                lines.push(format!("by {by}:"));
                kind = by;
            }
            lines.push(format!("  {value}: {}", share.words()));
        }
        lines.push("named, by confidence:".to_owned());
        for (tenth, (right, all)) in &self.named {
            lines.push(format!("  0.{tenth}: {right} of {all} right"));
        }
        let (right, all) = self.sure;
        lines.push(format!(
            "named at {SURE} or more: {all} of {} cases ({}), {right} right ({})",
            self.all.all,
            percent(all, self.all.all),
            percent(right, all)
        ));
        let (exact, all) = self.quotes;
        lines.push(format!("quotes that stand in their source as cited: {exact} of {all}"));
        say::note(&lines.join("\n"));
    }
}

impl Share {
    fn add(&mut self, other: Share) {
        self.first += other.first;
        self.three += other.three;
        self.right += other.right;
        self.all += other.all;
    }

    fn words(self) -> String {
        format!(
            "{} of {} right ({}); first {}, in the first three {}",
            self.right,
            self.all,
            percent(self.right, self.all),
            self.first,
            self.three
        )
    }
}

fn percent(part: u32, all: u32) -> String {
    format!("{:.1} %", f64::from(part) * 100.0 / f64::from(all.max(1)))
}

/// The quote stands at its place, byte for byte; where a layer was undone, it stands in the text.
fn exact(source: &str, exhibit: &diagnosis::report::Exhibit) -> bool {
    match exhibit.offset {
        Some(offset) => source
            .as_bytes()
            .get(offset as usize..offset as usize + exhibit.quote.len())
            .is_some_and(|it| it == exhibit.quote.as_bytes()),
        None => source.contains(&exhibit.quote) || source.contains(&escaped(&exhibit.quote)),
    }
}

fn escaped(quote: &str) -> String {
    serde_json::to_string(quote).unwrap_or_default().trim_matches('"').to_owned()
}

/// The walkthroughs say which verdict is right, and which first candidates.
fn walk(path: &Path) -> Result<()> {
    let mut right = 0;
    let cases = cases(path)?;
    for case in &cases {
        let (report, _) = explain(case);
        let verdict = serde_json::to_value(report.verdict)?;
        let first = report.candidates.first().map(|it| it.cause.as_str());
        let good: Vec<&str> = list(&case["accepted"]).iter().map(text).collect();
        let fits = verdict == case["verdict"]
            && match first {
                Some(first) => good.contains(&first),
                None => good.is_empty(),
            };
        right += u32::from(fits);
        if !fits {
            let ranked: Vec<String> = report
                .candidates
                .iter()
                .map(|it| format!("{} {}", it.cause, it.confidence))
                .collect();
            say::note(&format!(
                "WRONG {}: wanted {} of {good:?}; {verdict}: {}",
                text(&case["id"]),
                case["verdict"],
                ranked.join(", ")
            ));
        }
    }
    say::note(&format!("walkthroughs: {right} of {} right", cases.len()));
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
