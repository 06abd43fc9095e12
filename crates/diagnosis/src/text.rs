//! What a cause makes of text: the part of a cause that reads other people's logs.

use crate::dossier::{Cite, Dossier};
use crate::report::Cure;
use evidence::{Sign, Trust};

/// How one cause is recognised in what others wrote.
pub struct Text {
    /// Faults on the wire that it can be behind, and its share of those where nothing else is
    /// known: the stated prior.
    pub behind: &'static [(Sign, f32)],
    /// Signs that speak for it or against it.
    pub clues: &'static [Clue],
    /// What follows from comparing facts: configurations, addresses, times.
    pub reason: fn(&Dossier) -> Vec<Claim>,
    /// Causes that it brings about: what speaks for them does not speak against it.
    pub brings: &'static [&'static str],
    /// The statement, where more can be said than the title: one sentence without a full stop.
    pub says: fn(&Dossier) -> Option<String>,
    /// What to do, in the words of the products seen. Where it is empty, the page's own advice is
    /// given.
    pub cure: fn(&Dossier) -> Cure,
}

impl Text {
    /// Nothing that text shows.
    pub const NONE: Text = Text {
        behind: &[],
        clues: &[],
        reason: |_| Vec::new(),
        brings: &[],
        says: |_| None,
        cure: |_| Cure {
            before: Vec::new(),
            now: Vec::new(),
            lasting: Vec::new(),
            verify: Vec::new(),
        },
    };
}

/// A sign and how it weighs, in nats of log-odds.
#[derive(Clone, Copy, Debug)]
pub struct Clue {
    pub sign: Sign,
    pub weight: f32,
    pub when: When,
}

/// When a sign must have been seen to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Around a failure of the incident.
    During,
    /// At any time before the last failure, unless what it says was over by then.
    Before,
    /// Whenever: it does not pass.
    Any,
}

/// Only this cause makes such a sign: it may decide alone.
pub const DECIDES: f32 = 7.0;
pub const STRONG: f32 = 4.5;
pub const SPEAKS: f32 = 2.5;
pub const HINTS: f32 = 1.0;
pub const AGAINST: f32 = -2.5;
pub const RULES_OUT: f32 = -6.0;

/// A sign around the time of the failures.
pub const fn during(sign: Sign, weight: f32) -> Clue {
    Clue { sign, weight, when: When::During }
}

/// A sign before the failures, whose effect lasts.
pub const fn before(sign: Sign, weight: f32) -> Clue {
    Clue { sign, weight, when: When::Before }
}

/// A sign at any time.
pub const fn any(sign: Sign, weight: f32) -> Clue {
    Clue { sign, weight, when: When::Any }
}

/// The most that evidence of a class may weigh. A component's fixed message about its own act may
/// decide alone; a guess may never.
#[must_use]
pub(crate) fn cap(trust: Trust) -> f32 {
    match trust {
        Trust::A | Trust::B | Trust::C => 7.0,
        Trust::D => 4.5,
        Trust::E => 0.7,
    }
}

/// A conclusion from comparing facts.
pub struct Claim {
    pub weight: f32,
    /// Why it matters, as a sentence fragment.
    pub says: String,
    pub cites: Vec<Cite>,
}

impl Claim {
    pub fn new(weight: f32, says: impl Into<String>, cites: Vec<Cite>) -> Claim {
        Claim { weight, says: says.into(), cites }
    }
}
