//! What came of runs, and the file in which they stand until all are there.

use super::callers::{Call, Seen};
use super::ledger::Ledger;
use super::peers::{Peer, Program};
use super::schedule::{Method, Part};
use super::stage::Run;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::Duration;

/// Of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) round: u32,
    pub(crate) situation: String,
    /// Of what the situation was then.
    pub(crate) script: u64,
    pub(crate) proxy: Peer,
    /// With which lots and how many requests at a time; others cannot be compared.
    pub(crate) seed: u64,
    pub(crate) scale: f64,
    /// Of the proxy; another build or other settings are another proxy.
    pub(crate) version: String,
    pub(crate) parts: BTreeMap<Part, Figures>,
    /// How the failed ones failed.
    pub(crate) kinds: BTreeMap<String, u32>,
    /// POSTs that targets carried out more than once.
    pub(crate) duplicates: u32,
}

/// Of the requests of one part, or of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) asked: u32,
    pub(crate) answered: u32,
    pub(crate) failed: u32,
    /// Of the failed ones, POSTs that a target had begun: to send them again might run them twice.
    pub(crate) in_hand: u32,
    /// How often targets began a request of this part.
    pub(crate) attempts: u32,
    /// Of the requests that clients gave up: how many a target began, and with how many of those it
    /// went on for nobody.
    pub(crate) left: u32,
    pub(crate) for_nobody: u32,
    /// Microseconds between the first and the last time that one was due.
    pub(crate) lasted: u64,
    /// Of those that were answered until the last was due.
    pub(crate) meanwhile: u32,
    /// Milliseconds, sorted, of those that were answered.
    pub(crate) took: Vec<u32>,
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Figures) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.failed += other.failed;
        self.in_hand += other.in_hand;
        self.attempts += other.attempts;
        self.left += other.left;
        self.for_nobody += other.for_nobody;
        self.lasted += other.lasted;
        self.meanwhile += other.meanwhile;
        self.took.extend(&other.took);
        self.took.sort_unstable();
    }

    /// Of a thousand.
    pub(crate) fn share(&self) -> Option<f64> {
        per(1000.0 * f64::from(self.failed), self.asked)
    }

    pub(crate) fn attempts_each(&self) -> Option<f64> {
        per(f64::from(self.attempts), self.asked)
    }

    /// A second.
    pub(crate) fn goodput(&self) -> Option<f64> {
        (self.lasted > 0).then(|| f64::from(self.meanwhile) * 1e6 / self.lasted as f64)
    }

    /// Milliseconds within which 99 of 100 answers came.
    pub(crate) fn p99(&self) -> Option<f64> {
        let last = self.took.len().checked_sub(1)?;
        self.took.get(last * 99 / 100).map(|it| f64::from(*it))
    }

    /// Of a thousand requests that were given up.
    pub(crate) fn for_nobody_share(&self) -> Option<f64> {
        per(1000.0 * f64::from(self.for_nobody), self.left)
    }
}

fn per(sum: f64, count: u32) -> Option<f64> {
    (count > 0).then(|| sum / f64::from(count))
}

impl Outcome {
    pub(super) fn of(run: &Run<'_>, calls: &[Call], ledger: &Ledger) -> Outcome {
        let mut parts: BTreeMap<Part, Vec<Call>> = BTreeMap::new();
        let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
        for call in calls {
            parts.entry(call.ask.part).or_default().push(*call);
            if call.seen.is_failure() {
                *kinds.entry(call.seen.name()).or_default() += 1;
            }
        }
        let posts = calls.iter().filter(|it| it.ask.method == Method::Post);
        let duplicates = posts.filter(|it| ledger.entry(it.ask.number).done > 1).count();
        Outcome {
            round: run.round,
            situation: run.situation.name.to_owned(),
            script: run.situation.fingerprint(),
            proxy: run.program.peer,
            seed: run.seed,
            scale: run.scale,
            version: run.program.version.clone(),
            parts: parts.into_iter().map(|(part, it)| (part, figures(&it, ledger))).collect(),
            kinds,
            duplicates: count(duplicates),
        }
    }

    /// Of all parts together.
    pub(crate) fn whole(&self) -> Figures {
        let mut whole = Figures::default();
        self.parts.values().for_each(|it| whole.add(it));
        whole
    }

    /// Whether it stands for that run.
    pub(super) fn is_of(&self, run: &Run<'_>) -> bool {
        let Run { round, situation, program, seed, scale, .. } = run;
        let Program { peer, version, .. } = program;
        self.round == *round
            && self.situation == situation.name
            && self.script == situation.fingerprint()
            && self.proxy == *peer
            && self.seed == *seed
            && self.scale == *scale
            && self.version == *version
    }
}

fn figures(calls: &[Call], ledger: &Ledger) -> Figures {
    let mut figures = Figures { asked: count(calls.len()), ..Figures::default() };
    let dues = || calls.iter().map(|it| it.ask.due);
    let first = dues().min().unwrap_or_default();
    let last = dues().max().unwrap_or_default();
    figures.lasted = u64::try_from((last - first).as_micros()).unwrap_or(u64::MAX);
    for call in calls {
        let entry = ledger.entry(call.ask.number);
        figures.attempts += entry.begun;
        match call.seen {
            Seen::Answered => {
                figures.answered += 1;
                figures.took.push(milliseconds(call.took));
                figures.meanwhile += u32::from(call.ask.due + call.took <= last);
            }
            Seen::Left if entry.begun > 0 => {
                figures.left += 1;
                figures.for_nobody += u32::from(entry.cancelled < entry.begun);
            }
            Seen::Left => {}
            _ => {
                figures.failed += 1;
                let posted = call.ask.method == Method::Post && entry.begun > 0;
                figures.in_hand += u32::from(posted);
            }
        }
    }
    figures.took.sort_unstable();
    figures
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Those of an earlier run of this program. A line that was cut as it was written is left out.
pub(crate) fn read(path: &Path) -> Result<Vec<Outcome>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        it => it.with_context(|| format!("reading `{}`", path.display()))?,
    };
    Ok(text.lines().filter_map(|it| serde_json::from_str(it).ok()).collect())
}

/// At the end of the file, as a line of its own.
pub(crate) fn append(path: &Path, outcome: &Outcome) -> Result<()> {
    let context = || format!("writing `{}`", path.display());
    let mut file =
        OpenOptions::new().create(true).append(true).read(true).open(path).with_context(context)?;
    // The line before may have been cut.
    let begin = if ends_whole(path) { "" } else { "\n" };
    let line = format!("{begin}{}\n", serde_json::to_string(outcome)?);
    file.write_all(line.as_bytes()).with_context(context)
}

fn ends_whole(path: &Path) -> bool {
    std::fs::read(path).map_or(true, |it| it.is_empty() || it.ends_with(b"\n"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::prevent::schedule::Ask;
    use crate::prevent::situations;

    pub(crate) fn outcome(round: u32, proxy: Peer, situation: &str, figures: Figures) -> Outcome {
        Outcome {
            round,
            situation: situation.to_owned(),
            script: 0,
            proxy,
            seed: 1,
            scale: 1.0,
            version: "1".to_owned(),
            parts: BTreeMap::from([(Part::Steady, figures)]),
            kinds: BTreeMap::new(),
            duplicates: 0,
        }
    }

    fn call(number: u32, method: Method, seen: Seen, took: u64) -> Call {
        let due = Duration::from_millis(u64::from(number) * 100);
        let part = Part::Steady;
        let ask = Ask { number, due, method, path: "/", part, leaves_after: None };
        Call { ask, seen, took: Duration::from_millis(took) }
    }

    #[test]
    fn calls_are_counted_with_what_the_ledger_has_of_them() {
        let ledger = Ledger::default();
        let calls = [
            call(0, Method::Get, Seen::Answered, 7),
            call(1, Method::Post, Seen::Status(502), 9),
            call(2, Method::Post, Seen::Closed, 9),
            call(3, Method::Get, Seen::Left, 9),
            call(4, Method::Get, Seen::Answered, 450),
            call(5, Method::Get, Seen::Left, 9),
        ];
        for number in [0, 0, 1, 3, 4, 5] {
            ledger.begin(number);
        }
        ledger.cancel(5);
        let it = figures(&calls, &ledger);
        assert_eq!((it.asked, it.answered, it.failed, it.in_hand), (6, 2, 2, 1));
        assert_eq!((it.attempts, it.left, it.for_nobody), (6, 2, 1));
        assert_eq!((it.meanwhile, it.lasted, it.took.clone()), (1, 500_000, vec![7, 450]));
        assert_eq!(it.share(), Some(1000.0 / 3.0));
        assert_eq!(it.goodput(), Some(2.0));
    }

    #[test]
    fn a_result_stands_for_its_run_alone() {
        let all = situations::all();
        let [situation, other] = [&all[0], &all[1]];
        let program = Program { peer: Peer::Nginx, path: "nginx".into(), version: "1".to_owned() };
        let newer = Program { version: "2".to_owned(), ..program.clone() };
        let run = Run { round: 1, situation, program: &program, seed: 1, scale: 1.0, keep: None };
        let it = Outcome::of(&run, &[], &Ledger::default());
        assert!(it.is_of(&run));
        assert!(!it.is_of(&Run { round: 2, ..run }));
        assert!(!it.is_of(&Run { situation: other, ..run }));
        assert!(!it.is_of(&Run { program: &newer, ..run }));
        assert!(!it.is_of(&Run { seed: 2, ..run }));
        assert!(!it.is_of(&Run { scale: 2.0, ..run }));
        assert!(!Outcome { script: 7, ..it }.is_of(&run));
    }

    #[test]
    fn the_99th_of_a_hundred_is_the_99th() {
        let figures = |took: Vec<u32>| Figures { took, ..Figures::default() };
        assert_eq!(figures((1..=100).collect()).p99(), Some(99.0));
        assert_eq!(figures(vec![3]).p99(), Some(3.0));
        assert_eq!(figures(Vec::new()).p99(), None);
    }

    #[test]
    fn a_file_is_gone_on_with_after_a_line_that_was_cut() {
        let name = format!("goodgate-bench-resume-test-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let one = outcome(1, Peer::Nginx, "a", Figures::default());
        let other = outcome(1, Peer::Envoy, "a", Figures { asked: 2, ..Figures::default() });
        assert_eq!(read(&path).unwrap(), []);
        append(&path, &one).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], &whole[..40]].concat()).unwrap();
        append(&path, &other).unwrap();
        assert_eq!(read(&path).unwrap(), [one, other]);
        std::fs::remove_file(&path).unwrap();
    }
}
