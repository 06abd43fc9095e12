//! The golden cases: what real servers wrote when a fault was made on purpose, and what `why` must
//! answer. `lab/python/record.py` records them; what is expected was decided before `why` was asked.

use diagnosis::report::{Exhibit, Report};
use diagnosis::why::{Question, why};
use evidence::{Arrival, Product, Testimony, What};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");

struct Case {
    /// `CAUSE/NAME`.
    name: String,
    /// Name and text, as written by the servers.
    files: Vec<(String, String)>,
    answer: Value,
}

impl Case {
    #[expect(clippy::disallowed_methods, reason = "a test may read its cases")]
    fn of(cause: &str, folder: &Path) -> Case {
        let name = format!("{cause}/{}", last(folder));
        let mut files = Vec::new();
        let mut answer = Value::Null;
        for path in listed(folder) {
            let text = fs::read_to_string(&path).unwrap_or_else(|it| panic!("{name}: {it}"));
            match last(&path) {
                "case.json" => answer = serde_json::from_str(&text).expect("case.json is JSON"),
                file => files.push((file.to_owned(), text)),
            }
        }
        assert!(answer.is_object() && !files.is_empty(), "{name} lacks its files or case.json");
        Case { name, files, answer }
    }

    fn testimony(&self) -> Testimony {
        let inputs: Vec<(&str, &str)> =
            self.files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        Testimony::of(&inputs, Arrival::File, 2026)
    }

    fn report(&self) -> Report {
        why(&self.testimony(), &Question::default())
    }

    fn text(&self, file: &str) -> Option<&str> {
        self.files.iter().find(|(name, _)| name == file).map(|(_, text)| text.as_str())
    }

    /// What is wrong about the report, if anything.
    fn complaint(&self, report: &Report) -> Option<String> {
        let said = serde_json::to_value(report.verdict).expect("a verdict has a name");
        let ranked: Vec<String> = report
            .candidates
            .iter()
            .map(|it| format!("{} {:.2}", it.cause, it.confidence))
            .collect();
        let complaint = |what: String| {
            let name = &self.name;
            Some(format!("{name}: {what}; it said {said}: {}", ranked.join(", ")))
        };
        if said != self.answer["verdict"] {
            return complaint(format!("the verdict is {}", self.answer["verdict"]));
        }
        let expected = self.answer["expect"].as_str().unwrap_or_default();
        if matches!(expected, "unknown" | "no_failure") {
            if report.cause != "unknown" {
                return complaint(format!("{expected} names no cause"));
            }
        } else if report.cause != expected {
            return complaint(format!("the cause is {expected}"));
        }
        let three: Vec<&str> = report.candidates.iter().take(3).map(|it| &*it.cause).collect();
        let wanted = self.answer["candidates"].as_array().into_iter().flatten();
        let mut absent = wanted.filter_map(Value::as_str).filter(|it| !three.contains(it));
        absent.next().and_then(|it| complaint(format!("{it} is not in the first three")))
    }
}

fn cases() -> Vec<Case> {
    let causes = listed(Path::new(FOLDER));
    let of_cause = |cause: &PathBuf| -> Vec<Case> {
        listed(cause).iter().map(|folder| Case::of(last(cause), folder)).collect()
    };
    causes.iter().flat_map(of_cause).collect()
}

/// What stands in a folder, by name.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|it| panic!("{}: {it}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn last(path: &Path) -> &str {
    path.file_name().and_then(|it| it.to_str()).expect("names are UTF-8")
}

#[test]
fn why_names_what_was_done_to_real_servers() {
    let complaints = cases().into_iter().filter_map(|it| it.complaint(&it.report()));
    let wrong: Vec<String> = complaints.collect();
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_quote_stands_in_its_file() {
    for case in cases() {
        for exhibit in case.report().evidence {
            let name = &case.name;
            let text = case.text(&exhibit.source).unwrap_or_default();
            assert!(stands(text, &exhibit), "{name}: {exhibit:?}");
        }
    }
}

/// The quote stands at its place, byte for byte; one that was decoded stands there encoded.
fn stands(text: &str, exhibit: &Exhibit) -> bool {
    let quote = exhibit.quote.as_bytes();
    match exhibit.offset {
        Some(offset) => {
            let at = offset as usize;
            text.as_bytes().get(at..at + quote.len()) == Some(quote)
                && exhibit.length == Some(quote.len() as u64)
        }
        None => {
            let encoded = serde_json::to_string(&exhibit.quote).expect("a string is JSON");
            text.contains(encoded.trim_matches('"'))
        }
    }
}

#[test]
fn no_command_keeps_a_blank_whose_value_was_read() {
    let alone = |run: &str, word: &str| {
        let parts = run.split(|it: char| !it.is_ascii_alphanumeric() && it != '_' && it != '-');
        parts.into_iter().any(|it| it == word)
    };
    let mut wrong = Vec::new();
    for case in cases() {
        let testimony = case.testimony();
        let report = case.report();
        let cure = &report.fix;
        let steps = cure.before.iter().chain(&cure.now).chain(&cure.lasting).chain(&cure.verify);
        let runs = steps.filter_map(|it| it.run.as_ref());
        let runs = runs.chain(report.next.iter().map(|it| &it.run));
        let missing = report.not_looked_at.iter().filter_map(|it| it.run.as_ref());
        let runs: Vec<&String> = runs.chain(missing).collect();
        let any = |word: &str| runs.iter().any(|it| alone(it, word));
        let settings = || testimony.settings.iter().map(|(_, it)| &it.what);
        let plain = |it: &str| it.contains('.') && !it.contains(['*', '$', '~', ':', '/']);
        let served = settings().any(|it| matches!(it, What::ServedAs { host } if plain(host)));
        let dialled = report.incident.as_ref().and_then(|it| it.upstream.as_deref());
        let reached = dialled.is_some_and(|it| !it.starts_with("unix:") && it.contains(':'));
        let services: Vec<_> = settings().filter(|it| matches!(it, What::Service { .. })).collect();
        let composed = |it: &&&String| it.contains("docker compose") && alone(it, "APP");
        let keys = || testimony.ledger.groups.keys();
        let pods = keys().any(|it| it.product == Product::Kubernetes && it.who.is_some());
        let units = keys().any(|it| {
            let app = |it: &str| it.ends_with(".service") && !it.starts_with("nginx");
            it.product == Product::Systemd && it.who.as_deref().is_some_and(app)
        });
        for (known, word) in [
            (served, "SITE"),
            (served, "URL"),
            (pods, "POD"),
            (units, "UNIT"),
            (reached && runs.iter().any(|it| it.contains("HOST:PORT")), "HOST"),
        ] {
            if known && any(word) {
                wrong.push(format!("{}: {word}", case.name));
            }
        }
        if services.len() == 1 && runs.iter().any(|it| composed(&it)) {
            wrong.push(format!("{}: APP of compose", case.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_report_keeps_the_contract() {
    let schema = include_str!("../contracts/report.schema.json");
    let schema = serde_json::from_str(schema).expect("the contract is JSON");
    let contract = jsonschema::validator_for(&schema).expect("the contract is a schema");
    for case in cases() {
        let report = serde_json::to_value(case.report()).expect("a report is JSON");
        let errors: Vec<String> = contract
            .iter_errors(&report)
            .map(|it| format!("{} at {}", it, it.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", case.name);
    }
}

#[test]
fn a_case_is_small_and_names_no_machine() {
    for case in cases() {
        for (file, text) in &case.files {
            let name = &case.name;
            assert!(text.len() < 60_000, "{name}: {file} is large");
            for path in ["/root/", "/home/", "/tmp/"] {
                assert!(!text.contains(path), "{name}: {file} holds {path}");
            }
        }
        for key in ["expect", "verdict", "about", "made_with"] {
            assert!(case.answer.get(key).is_some(), "{}: case.json says no {key}", case.name);
        }
    }
}
