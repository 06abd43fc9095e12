//! The answers to the last failed requests, so that a caller whose answer was cut can still read
//! why.

use exchange::ExchangeId;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// How many are kept.
const KEPT: usize = 1_000;

#[derive(Default)]
pub(crate) struct Reports {
    ring: Mutex<VecDeque<(ExchangeId, Arc<str>)>>,
    /// What was found out later. Kept apart: it may come before the report itself, whose answer is
    /// still being read.
    amendments: Mutex<VecDeque<(ExchangeId, Value)>>,
}

impl Reports {
    /// `text` is cut to the audience of its exchange.
    pub(crate) fn keep(&self, id: ExchangeId, text: String) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if KEPT <= ring.len() {
            ring.pop_front();
        }
        ring.push_back((id, text.into()));
    }

    /// `amendment` is cut to the same audience.
    pub(crate) fn amend(&self, id: ExchangeId, amendment: Value) {
        let mut amendments = self.amendments.lock().unwrap_or_else(PoisonError::into_inner);
        if KEPT <= amendments.len() {
            amendments.pop_front();
        }
        amendments.push_back((id, amendment));
    }

    pub(crate) fn find(&self, id: ExchangeId) -> Option<Arc<str>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let text = ring.iter().rev().find(|(it, _)| *it == id).map(|(_, text)| text.clone())?;
        drop(ring);
        let amendments = self.amendments_of(id);
        if amendments.is_empty() {
            return Some(text);
        }
        let Ok(Value::Object(mut report)) = serde_json::from_str(&text) else {
            return Some(text);
        };
        report.insert("amendments".to_owned(), amendments.into());
        let text = serde_json::to_string_pretty(&report).ok()?;
        Some((text + "\n").into())
    }

    fn amendments_of(&self, id: ExchangeId) -> Vec<Value> {
        let amendments = self.amendments.lock().unwrap_or_else(PoisonError::into_inner);
        amendments.iter().filter(|(it, _)| *it == id).map(|(_, it)| it.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let reports = Reports::default();
        let id = |n| ExchangeId::new(n, 0);
        for n in 0..=KEPT as u64 {
            reports.keep(id(n), n.to_string());
        }
        assert_eq!(reports.find(id(0)), None);
        assert_eq!(reports.find(id(1)).as_deref(), Some("1"));
    }

    #[test]
    fn an_amendment_stands_beside_the_report_whichever_comes_first() {
        let reports = Reports::default();
        let id = |n| ExchangeId::new(n, 0);
        reports.amend(id(1), Value::from("later"));
        assert_eq!(reports.find(id(1)), None);
        reports.keep(id(1), "{\"cause\": \"a\"}".to_owned());
        reports.keep(id(2), "{}".to_owned());
        let found = reports.find(id(1)).expect("it is kept");
        let found: Value = serde_json::from_str(&found).expect("it is JSON");
        assert_eq!((&found["cause"], &found["amendments"][0]), (&"a".into(), &"later".into()));
        assert_eq!(reports.find(id(2)).as_deref(), Some("{}"));
    }
}
