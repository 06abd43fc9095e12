//! Ranks the catalogue against what was read.

use crate::catalogue::{RetryClass, Side};
use crate::report::{Cure, Report, Retry, SCHEMA, Sufficiency, Verdict};
use crate::why::Question;
use evidence::Testimony;

pub(crate) fn report(_: &Testimony, _: &Question) -> Report {
    Report {
        schema: SCHEMA,
        verdict: Verdict::NoFailure,
        cause: "unknown".to_owned(),
        wire: None,
        family: None,
        side: Side::Unknown,
        status: None,
        retry: Retry { class: RetryClass::R3, says: String::new() },
        statement: "nothing in these inputs has failed".to_owned(),
        confidence: 0.0,
        sufficiency: Sufficiency::Low,
        candidates: Vec::new(),
        incident: None,
        others: Vec::new(),
        left_out: 0,
        path: Vec::new(),
        evidence: Vec::new(),
        rejected: Vec::new(),
        not_looked_at: Vec::new(),
        next: Vec::new(),
        fix: Cure::default(),
        read: Vec::new(),
    }
}
