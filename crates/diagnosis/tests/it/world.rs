//! Inputs, and what is asked of the answer to them.

use diagnosis::report::{Report, Verdict};
use diagnosis::why::{Question, why};
use evidence::{Arrival, Testimony};

pub(crate) const YEAR: i32 = 2026;

/// Where an input comes from; what may carry it follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// What a process writes to its own log or standard output.
    Process,
    /// The kernel, the service manager, a tool: what a process cannot write.
    Host,
    Configuration,
}

#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) from: From,
    pub(crate) text: String,
}

/// Inputs with one truth.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) inputs: Vec<Input>,
    /// The input without which the cause cannot be known; empty where several say it.
    pub(crate) decisive: &'static str,
    pub(crate) verdict: Verdict,
    /// As the report has it: `unknown` where it names none.
    pub(crate) cause: &'static str,
}

impl World {
    pub(crate) fn report(&self) -> Report {
        report(&self.inputs)
    }

    pub(crate) fn map(&self, of: impl Fn(&Input) -> String) -> World {
        let mut world = self.clone();
        for it in &mut world.inputs {
            it.text = of(it);
        }
        world
    }

    /// What is wrong with an answer that should be that to the world as it is; confidence may move a
    /// little.
    pub(crate) fn wrong(&self, change: &str, changed: &Report) -> Option<String> {
        let before = self.report().confidence;
        let same = (changed.verdict, changed.cause.as_str()) == (self.verdict, self.cause);
        let near = (changed.confidence - before).abs() <= 0.1;
        (!same || !near).then(|| {
            let (name, statement) = (self.name, &changed.statement);
            let ranked: Vec<String> = changed
                .candidates
                .iter()
                .map(|it| format!("{} {}", it.cause, it.confidence))
                .collect();
            format!("{name}, {change}: {statement} ({before} before; {})", ranked.join(", "))
        })
    }
}

pub(crate) fn report(inputs: &[Input]) -> Report {
    why(&testimony(inputs, Arrival::File), &Question::default())
}

pub(crate) fn testimony(inputs: &[Input], arrival: Arrival) -> Testimony {
    let inputs: Vec<(&str, &str)> =
        inputs.iter().map(|it| (it.name.as_str(), it.text.as_str())).collect();
    Testimony::of(&inputs, arrival, YEAR)
}

/// The answer to texts that are files of their own.
pub(crate) fn of(inputs: &[(&str, &str)]) -> Report {
    why(&Testimony::of(inputs, Arrival::File, YEAR), &Question::default())
}

pub(crate) fn confidence(report: &Report, cause: &str) -> f64 {
    report.candidates.iter().find(|it| it.cause == cause).map_or(0.0, |it| it.confidence)
}

/// What the answer says, without how sure it is.
pub(crate) fn answer(report: &Report) -> (Verdict, String, Vec<String>) {
    let candidates = report.candidates.iter().map(|it| it.cause.clone()).collect();
    (report.verdict, report.cause.clone(), candidates)
}

/// A line of nginx's error log: at a time, what, while doing what, to whom.
pub(crate) fn nginx(at: &str, says: &str, doing: &str, upstream: &str) -> String {
    format!(
        "2026/11/20 {at} [error] 1234#1234: *5 {says} while {doing}, client: 192.0.2.1, server: \
         api.example.com, request: \"GET /data HTTP/1.1\", upstream: \"{upstream}/data\", host: \
         \"api.example.com\"\n"
    )
}

/// The first cause brings the second about, through others or not.
pub(crate) fn brings(cause: &str, effect: &str, depth: usize) -> bool {
    let effects = diagnosis::entry(cause).map_or(&[][..], |it| it.cause.text.brings);
    depth < 5 && effects.iter().any(|it| *it == effect || brings(it, effect, depth + 1))
}
