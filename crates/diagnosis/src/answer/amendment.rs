//! What an app said about a failure after its answer was out: a line of its own in the access log,
//! and a part of the stored report. The record that it amends stays as it was.

use super::{Audience, visible};
use crate::catalogue::Side;
use evidence::clock::rfc3339;
use exchange::{Exchange, Heard, Micros, Quote};
use serde::Serialize;
use serde_json::Value;

pub struct Amendment<'a> {
    pub exchange: &'a Exchange,
    pub heard: &'a Heard,
    /// When it was made, in microseconds since 1970.
    pub at: Micros,
    /// When the request had failed.
    pub failed: Micros,
    /// Other failures of the same app that were open at that time: any of them may be meant.
    pub others: usize,
}

/// A line of the access log. Names and order are a contract, here and below.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    amends: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(flatten)]
    told: Full<'a>,
}

#[derive(Serialize)]
struct Full<'a> {
    cause: &'a str,
    side: Side,
    confidence: f64,
    statement: &'a str,
    evidence: &'a [Quote],
    link: Link,
}

/// How it belongs to the exchange.
#[derive(Serialize)]
struct Link {
    after_ms: f64,
    others: usize,
    says: String,
}

#[derive(Serialize)]
struct Public<'a> {
    cause: &'a str,
}

impl Amendment<'_> {
    fn side(&self) -> Side {
        crate::entry(self.heard.cause).map_or(Side::Unknown, |it| it.cause.side)
    }

    fn told(&self) -> Full<'_> {
        let heard = self.heard;
        Full {
            cause: heard.cause,
            side: self.side(),
            confidence: (f64::from(heard.confidence) * 100.0).floor() / 100.0,
            statement: &heard.statement,
            evidence: &heard.quotes,
            link: self.link(),
        }
    }

    fn link(&self) -> Link {
        let after_ms = self.at.saturating_sub(self.failed) as f64 / 1e3;
        let mut says = format!(
            "the same app said so, or ended so, {after_ms:.0} ms after this request failed"
        );
        match self.others {
            0 => {}
            1 => says += "; another failure at that time may be meant instead",
            others => says += &format!("; any of {others} other failures may be meant instead"),
        }
        Link { after_ms, others: self.others, says }
    }

    /// One JSON object, without an end of line.
    #[must_use]
    pub fn line(&self) -> String {
        let exchange = self.exchange;
        let line = Line {
            time: rfc3339(i64::try_from(self.at).unwrap_or(i64::MAX)),
            amends: exchange.id.to_string(),
            route: exchange.route.as_deref(),
            upstream: exchange.upstream.as_deref(),
            target: exchange.last_attempt().map(|it| &*it.target),
            told: self.told(),
        };
        serde_json::to_string(&line).expect("strings, numbers and lists always become JSON")
    }

    /// As a part of the report that is kept of the exchange.
    #[must_use]
    pub fn json(&self, audience: Audience) -> Value {
        let json = match audience {
            Audience::Public => serde_json::to_value(Public { cause: self.heard.cause }),
            Audience::Trusted | Audience::Operator => serde_json::to_value(self.told()),
        };
        json.expect("strings, numbers and lists always become JSON")
    }

    /// Lines for the gateway's own terminal.
    #[must_use]
    pub fn block(&self) -> String {
        let Heard { cause, statement, quotes, .. } = self.heard;
        let mut text = format!("{} was {cause}: {}\n", self.exchange.id, visible(statement));
        for it in quotes {
            text += &format!("  {}: {}\n", visible(&it.source), visible(&it.quote));
        }
        text + &format!("  {}\n", self.link().says)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;

    fn heard() -> Heard {
        let quote = Quote {
            source: "gunicorn, process 7".into(),
            quote: "ZeroDivisionError: division by zero".into(),
            says: "an exception ended the request, at app.py:42".into(),
        };
        Heard {
            cause: "unhandled_exception",
            confidence: 0.959,
            statement: "the app failed with ZeroDivisionError".into(),
            quotes: vec![quote],
            steps: Vec::new(),
        }
    }

    fn amendment<'a>(exchange: &'a Exchange, heard: &'a Heard, others: usize) -> Amendment<'a> {
        Amendment { exchange, heard, at: 2_250_000, failed: 2_000_000, others }
    }

    #[test]
    fn a_line_names_what_it_amends_and_how_it_is_linked() {
        let (exchange, heard) = (exchange("head: closed | fresh after=300ms"), heard());
        let line: Value = serde_json::from_str(&amendment(&exchange, &heard, 0).line()).unwrap();
        assert_eq!(line["amends"], exchange.id.to_string());
        assert_eq!(line["cause"], "unhandled_exception");
        assert_eq!(line["confidence"], 0.95);
        assert_eq!(line["link"]["after_ms"], 250.0);
        assert_eq!(line["evidence"][0]["source"], "gunicorn, process 7");
    }

    #[test]
    fn where_several_failed_at_once_it_says_so() {
        let (exchange, heard) = (exchange("head: closed | fresh after=300ms"), heard());
        let says = |others| amendment(&exchange, &heard, others).link().says;
        assert!(!says(0).contains("instead"));
        assert!(says(1).ends_with("; another failure at that time may be meant instead"));
        assert!(says(4).ends_with("; any of 4 other failures may be meant instead"));
    }

    #[test]
    fn strangers_get_the_cause_alone() {
        let (exchange, heard) = (exchange("head: closed | fresh after=300ms"), heard());
        let json = amendment(&exchange, &heard, 0).json(Audience::Public);
        assert_eq!(json.to_string(), r#"{"cause":"unhandled_exception"}"#);
        let json = amendment(&exchange, &heard, 0).json(Audience::Trusted);
        assert!(json.to_string().contains("app.py:42"));
    }
}
