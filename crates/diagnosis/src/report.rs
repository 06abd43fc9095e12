//! The report: the ranked answer to "why", in the shape of `goodgate.report/1`.
//!
//! The fields and their meaning are fixed: other programs read them. Rendering for people is in
//! [`text`] and [`markdown`].

pub mod markdown;
pub mod text;
mod words;

#[cfg(test)]
mod tests;

use crate::catalogue::{RetryClass, Side};
use evidence::clock::Zone;
use evidence::{Origin, Trust};
use serde::Serialize;

pub const SCHEMA: &str = "goodgate.report/1";

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub verdict: Verdict,
    /// The first candidate's id where one or two are named, else `unknown`.
    pub cause: String,
    /// The fault at the hop that answered, as an id of the catalogue.
    pub wire: Option<String>,
    pub family: Option<String>,
    pub side: Side,
    /// What the hop answered, or answers for this fault.
    pub status: Option<u16>,
    pub retry: Retry,
    pub statement: String,
    pub confidence: f64,
    pub sufficiency: Sufficiency,
    pub candidates: Vec<Candidate>,
    pub incident: Option<IncidentSummary>,
    pub others: Vec<Other>,
    /// Incidents that are in neither.
    pub left_out: u64,
    /// From what the caller saw to the root.
    pub path: Vec<Link>,
    pub evidence: Vec<Exhibit>,
    pub rejected: Vec<Rejected>,
    pub not_looked_at: Vec<NotLookedAt>,
    pub next: Vec<Next>,
    pub fix: Cure,
    pub read: Vec<Read>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The first candidate at 0.8 or more, and 0.3 ahead.
    Named,
    /// Two or three candidates reach 0.9 together.
    Either,
    Unknown,
    /// Healthy, a client's doing, or absorbed by a retry.
    NoFailure,
}

/// How much of the way to the root the inputs cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sufficiency {
    /// A symptom only.
    Low,
    /// Only the hop that answered.
    Medium,
    /// Every hop down to the root has a source that covers the window.
    High,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Retry {
    pub class: RetryClass,
    pub says: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    pub cause: String,
    pub confidence: f64,
}

/// The failures that the report explains.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IncidentSummary {
    pub id: String,
    pub first: Option<String>,
    pub last: Option<String>,
    pub zone: Zone,
    pub ongoing: Option<bool>,
    pub failed: Option<u64>,
    pub of: Option<u64>,
    pub client_saw: Option<u64>,
    pub absorbed: Option<u64>,
    pub made_by: Option<String>,
    pub upstream: Option<String>,
    pub service: Option<String>,
    pub routes: Vec<(String, u64)>,
}

/// Another incident of the inputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Other {
    pub id: String,
    pub cause: String,
    pub confidence: f64,
    pub first: Option<String>,
    pub last: Option<String>,
    pub failed: Option<u64>,
    pub statement: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Link {
    pub effect: String,
    pub because: String,
    /// Ids of exhibits.
    pub evidence: Vec<String>,
}

/// A quoted line or setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exhibit {
    pub id: String,
    pub trust: Trust,
    pub source: String,
    pub line: Option<u64>,
    /// The quote's first byte in the source, where the source has these bytes.
    pub offset: Option<u64>,
    pub length: Option<u64>,
    pub quote: String,
    pub says: String,
    pub supports: Vec<String>,
    pub refutes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rejected {
    pub cause: String,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotLookedAt {
    pub source: String,
    pub why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// What to run to decide between candidates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Next {
    #[serde(rename = "where")]
    pub place: String,
    pub run: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    pub decides: String,
    pub then: Vec<Then>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Then {
    #[serde(rename = "if")]
    pub condition: String,
    pub cause: String,
}

/// What to do: first of all, now, for good, and how to see that it worked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cure {
    pub before: Vec<Step>,
    pub now: Vec<Step>,
    pub lasting: Vec<Step>,
    pub verify: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    pub risk: Risk,
    pub effect: Effect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    None,
    Reload,
    Restart,
    Data,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Such failures no longer happen.
    Prevents,
    /// They are no longer seen; what is behind them goes on.
    Hides,
    /// It only looks.
    Checks,
}

/// One input.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Read {
    pub source: String,
    pub origin: Origin,
    pub bytes: Option<u64>,
    pub lines: Option<u64>,
    pub from: Option<String>,
    pub to: Option<String>,
    /// The share of the lines looked at that a reader knows.
    pub understood: Option<f64>,
}

impl Step {
    /// Something to do that needs no command.
    #[must_use]
    pub fn say(text: impl Into<String>) -> Step {
        Step {
            text: text.into(),
            run: None,
            file: None,
            diff: None,
            place: None,
            risk: Risk::None,
            effect: Effect::Prevents,
        }
    }

    /// A command that only looks.
    #[must_use]
    pub fn look(text: impl Into<String>, run: impl Into<String>) -> Step {
        Step { run: Some(run.into()), effect: Effect::Checks, ..Step::say(text) }
    }

    /// A command that changes something.
    #[must_use]
    pub fn run(text: impl Into<String>, run: impl Into<String>, risk: Risk) -> Step {
        Step { run: Some(run.into()), risk, ..Step::say(text) }
    }

    /// A change of a configuration: the lines to take out and to put in, as `-old` and `+new`.
    #[must_use]
    pub fn diff(
        text: impl Into<String>,
        file: Option<String>,
        diff: impl Into<String>,
        risk: Risk,
    ) -> Step {
        Step { file, diff: Some(diff.into()), risk, ..Step::say(text) }
    }

    #[must_use]
    pub fn at(self, place: impl Into<String>) -> Step {
        Step { place: Some(place.into()), ..self }
    }

    #[must_use]
    pub fn hides(self) -> Step {
        Step { effect: Effect::Hides, ..self }
    }
}
