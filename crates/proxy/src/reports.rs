//! The answers to the last failed requests, so that a caller whose answer was cut can still read
//! why.

use exchange::ExchangeId;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// How many are kept.
const KEPT: usize = 1_000;

#[derive(Default)]
pub(crate) struct Reports {
    ring: Mutex<VecDeque<(ExchangeId, Arc<str>)>>,
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

    pub(crate) fn find(&self, id: ExchangeId) -> Option<Arc<str>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().rev().find(|(it, _)| *it == id).map(|(_, text)| text.clone())
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
}
