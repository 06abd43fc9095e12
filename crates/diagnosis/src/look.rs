//! The first look: which causes one exchange is consistent with, in microseconds.

use crate::case::{Case, Subject, words};
use crate::catalogue::{Cause, Finding, RetryClass, Side};
use crate::causes::CATALOGUE;
use crate::child;
use crate::wire::wire;
use exchange::{Attempt, Heard, Phase};
use serde::Serialize;

/// What the record of one exchange says about why it failed.
pub struct Look {
    /// The fault at the hop that answered.
    pub wire: &'static str,
    /// At least one; they exclude each other, most plausible first, and sum to at most 1.
    pub candidates: Vec<Candidate>,
    side: Side,
    /// One sentence without a full stop.
    pub statement: String,
    pub evidence: Vec<Evidence>,
    pub retry: Retry,
    pub retryable: bool,
    pub fix: Vec<Fix>,
}

impl Look {
    /// The first candidate.
    #[must_use]
    pub fn cause(&self) -> &'static Cause {
        self.candidates[0].cause
    }

    /// On whose side the first candidate lies.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }
}

#[derive(Clone, Copy)]
pub struct Candidate {
    pub cause: &'static Cause,
    pub confidence: f32,
}

/// A recorded fact and why it matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    pub source: String,
    pub quote: String,
    pub says: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retry {
    pub class: RetryClass,
    pub says: &'static str,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    pub text: String,
    /// A command that does it or checks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl Fix {
    pub fn new(text: impl Into<String>) -> Fix {
        Fix { text: text.into(), run: None }
    }

    pub fn run(text: impl Into<String>, run: impl Into<String>) -> Fix {
        Fix { text: text.into(), run: Some(run.into()) }
    }
}

/// Ranks the catalogue against one case. Always finds something: the wire fault itself is the
/// least that can be said.
#[must_use]
pub fn first_look(case: &Case) -> Look {
    let wire = wire(case);
    let mut found: Vec<(&'static Cause, Finding)> = CATALOGUE
        .iter()
        .filter_map(|entry| Some((entry.cause, (entry.cause.look)(case)?)))
        .collect();
    // Stable: ties go to the earlier, more specific entry.
    found.sort_by(|(_, a), (_, b)| b.confidence.total_cmp(&a.confidence));

    if found.is_empty() {
        let cause = crate::entry(wire).map_or(&CATALOGUE[0], |it| it).cause;
        found.push((cause, Finding::new(0.5, cause.title, "this is all that was recorded")));
    }
    let sum: f32 = found.iter().map(|(_, it)| it.confidence).sum();
    let scale = if sum > 1.0 { sum.recip() } else { 1.0 };
    let candidates = found
        .iter()
        .map(|(cause, it)| Candidate { cause, confidence: it.confidence * scale })
        .collect();
    let (cause, finding) = found.swap_remove(0);
    let class = retry_class(case, cause);
    let look = Look {
        wire,
        candidates,
        side: finding.side.unwrap_or(cause.side),
        statement: finding.statement,
        evidence: evidence(case, finding.says),
        retry: Retry { class, says: says(class, case) },
        retryable: retryable(class, case),
        fix: (cause.fix)(case),
    };
    match &case.exchange.heard {
        None => look,
        Some(heard) => deepened(case, look, heard),
    }
}

/// The same with what the app itself said: its word on what it did goes before what others can guess
/// of it.
fn deepened(case: &Case, look: Look, heard: &Heard) -> Look {
    let Some(cause) = crate::entry(heard.cause).map(|it| it.cause) else {
        return look;
    };
    let rest: f32 = look.candidates.iter().map(|it| it.confidence).sum();
    let left = (1.0 - heard.confidence).max(0.0) / rest.max(1.0);
    let others = look.candidates.into_iter().filter(|it| it.cause.id != cause.id);
    let others = others.map(|it| Candidate { confidence: it.confidence * left, ..it });
    let first = Candidate { cause, confidence: heard.confidence };
    let said = heard.quotes.iter().map(|it| Evidence {
        source: it.source.to_string(),
        quote: it.quote.to_string(),
        says: it.says.to_string(),
    });
    let steps = heard
        .steps
        .iter()
        .map(|it| Fix { text: it.text.to_string(), run: it.run.as_deref().map(str::to_owned) });
    let class = child::retry_class(case.fault(), retry_class(case, cause));
    Look {
        wire: look.wire,
        candidates: [first].into_iter().chain(others.filter(|it| WORTH <= it.confidence)).collect(),
        side: cause.side,
        statement: heard.statement.to_string(),
        evidence: look.evidence.into_iter().chain(said).collect(),
        retry: Retry { class, says: says(class, case) },
        retryable: retryable(class, case),
        fix: if heard.steps.is_empty() { (cause.fix)(case) } else { steps.collect() },
    }
}

/// Beside what the app said, candidates below this are not worth a word.
const WORTH: f32 = 0.02;

/// Once the client has bytes of an answer, nothing may be repeated, whatever the cause; and where the
/// target said that it did not process the request, everything may.
fn retry_class(case: &Case, cause: &Cause) -> RetryClass {
    let answer_is_out = case.attempt().is_some_and(|it| it.phase == Phase::ReadBody);
    match case.fault() {
        _ if answer_is_out => RetryClass::R4,
        Some(fault) if fault.unprocessed() => RetryClass::R1,
        _ => cause.retry,
    }
}

fn says(class: RetryClass, case: &Case) -> &'static str {
    match class {
        RetryClass::R0 => "nothing was sent: safe to repeat, any method",
        RetryClass::R1 => "the target did not process it: safe to repeat, any method",
        RetryClass::R2 if case.idempotent() => "sent, no answer came: this method may be repeated",
        RetryClass::R2 => {
            "sent, no answer came: it may have been done, so do not repeat it blindly"
        }
        RetryClass::R3 => "it will fail the same way again until something is changed",
        RetryClass::R4 => "part of the answer is already delivered: not to be repeated here",
    }
}

fn retryable(class: RetryClass, case: &Case) -> bool {
    match class {
        RetryClass::R0 | RetryClass::R1 => true,
        RetryClass::R2 => case.idempotent(),
        RetryClass::R3 | RetryClass::R4 => false,
    }
}

/// The deciding act first, then what earlier attempts met.
fn evidence(case: &Case, says: String) -> Vec<Evidence> {
    let attempts = &case.exchange.attempts;
    let source = |at: usize| match attempts.len() {
        1 => "gateway".to_owned(),
        all => format!("gateway, attempt {} of {all}", at + 1),
    };
    let Some((last, earlier)) = attempts.split_last() else {
        let quote = request_line(case);
        return vec![Evidence { source: "gateway".to_owned(), quote, says }];
    };
    let mut evidence =
        vec![Evidence { source: source(earlier.len()), quote: act(last, case.subject), says }];
    for (at, attempt) in earlier.iter().enumerate() {
        evidence.push(Evidence {
            source: source(at),
            quote: attempt_line(attempt),
            says: "an earlier attempt of the same request".to_owned(),
        });
    }
    evidence
}

fn request_line(case: &Case) -> String {
    match case.subject {
        Subject::Refused(refusal) => format!("refused before any attempt: {}", refusal.name()),
        _ => format!("no attempt was made; phase {}", case.exchange.phase().name()),
    }
}

fn act(attempt: &Attempt, subject: Subject) -> String {
    match subject {
        Subject::UpstreamStatus(status) | Subject::NotSwitched(status) => {
            format!("{} answered {status}", attempt.target)
        }
        Subject::ClientClosed(phase) => {
            format!("the client closed in phase {}; {}", phase.name(), attempt_line(attempt))
        }
        _ => attempt_line(attempt),
    }
}

/// One attempt as a line: what was done, to whom, how it ended, with every number that we have.
fn attempt_line(attempt: &Attempt) -> String {
    let place = match &attempt.address {
        Some(address) => address.to_string(),
        None => attempt.target.to_string(),
    };
    let mut line = format!("{} {place}", attempt.phase.name());
    if let Some(fault) = &attempt.fault {
        line += &format!(": {}", fault.name());
    }
    if let Some(errno) = attempt.errno {
        line += &format!(" (errno {errno})");
    }
    if let Some(spent) = attempt.phases.get(attempt.phase) {
        line += &format!(" after {}", words(spent));
    }
    if let Some(connection) = &attempt.connection {
        line += &match connection.ordinal {
            1 => ", fresh connection".to_owned(),
            ordinal => format!(
                ", request {ordinal} on a connection idle for {}",
                words(connection.idle_for)
            ),
        };
        line += &format!(", {} bytes sent, {} received", attempt.sent, attempt.received);
    }
    if let Some(limit) = attempt.fault.as_ref().and_then(exchange::Fault::limit) {
        line += &format!(", limit {}", limit.name);
    }
    if !attempt.first_bytes.is_empty() {
        let shown = &attempt.first_bytes[..attempt.first_bytes.len().min(32)];
        line += &format!(", first bytes \"{}\"", shown.escape_ascii());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{CASES, exchange};

    /// Every case of the list, with whatever its look is asked for.
    fn each(check: impl Fn(&str, &Look)) {
        for line in CASES {
            let exchange = exchange(line);
            let Some(case) = Case::of(&exchange) else { continue };
            check(line, &first_look(&case));
        }
    }

    #[test]
    fn there_is_always_something_to_say() {
        each(|line, look| {
            assert!(!look.candidates.is_empty(), "{line}");
            assert!(!look.evidence.is_empty(), "{line}");
            assert!(!look.fix.is_empty(), "{line}: nothing to do about {}", look.cause().id);
        });
    }

    #[test]
    fn candidates_are_ranked_and_share_at_most_one() {
        each(|line, look| {
            assert!(look.candidates.is_sorted_by(|a, b| b.confidence <= a.confidence), "{line}");
            assert!(look.candidates.iter().all(|it| 0.0 < it.confidence), "{line}");
            let sum: f32 = look.candidates.iter().map(|it| it.confidence).sum();
            assert!(sum <= 1.001, "{line}: {sum}");
        });
    }

    #[test]
    fn what_is_said_is_a_sentence_without_a_full_stop() {
        each(|line, look| {
            let evidence = look.evidence.iter().map(|it| it.says.as_str());
            for text in evidence.chain([look.statement.as_str()]) {
                assert!(!text.is_empty() && !text.ends_with('.'), "{line}: {text}");
                assert!(!text.contains('\n') && !text.contains("  "), "{line}: {text}");
            }
        });
    }

    #[test]
    fn the_wire_fault_is_a_cause_of_the_catalogue() {
        each(|line, look| assert!(crate::entry(look.wire).is_some(), "{line}: {}", look.wire));
    }

    #[test]
    fn an_answer_that_has_begun_is_never_repeated() {
        each(|line, look| {
            if line.starts_with("body: ") {
                assert_eq!((look.retry.class, look.retryable), (RetryClass::R4, false), "{line}");
            }
        });
    }
}
