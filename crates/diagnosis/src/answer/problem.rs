//! An answer as `application/problem+json`: the report, cut to the audience.

use super::{Audience, ending};
use crate::look::{Evidence, Fix, Look, Retry};
use crate::show::takes_effect;
use exchange::{Attempt, Exchange, Unrepeated};
use serde::Serialize;

/// What a stranger may know. Names and order of the fields are a contract, here and below.
#[derive(Serialize)]
struct Public<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    cause: &'a str,
    retryable: bool,
    request_id: String,
}

/// The same and everything else.
#[derive(Serialize)]
struct Full<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    /// Where the whole report can be fetched while it is kept.
    instance: String,
    cause: &'a str,
    wire: &'a str,
    side: &'a str,
    retry: &'a Retry,
    retryable: bool,
    evidence: &'a [Evidence],
    fix: Fixes<'a>,
    attempts: Vec<Try<'a>>,
    /// Why there were no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_repeated: Option<&'static str>,
    request_id: String,
}

#[derive(Serialize)]
struct Fixes<'a> {
    now: &'a [Fix],
}

#[derive(Serialize)]
struct Try<'a> {
    target: &'a str,
    phase: &'a str,
    ms: f64,
    fault: &'a str,
    /// What the target said instead of HTTP or TLS; only the operator may have it, because it may
    /// hold anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_bytes: Option<FirstBytes>,
}

#[derive(Serialize)]
struct FirstBytes {
    hex: String,
    text: String,
}

pub(super) fn body(look: &Look, exchange: &Exchange, status: u16, audience: Audience) -> String {
    let json = match audience {
        Audience::Public => serde_json::to_string_pretty(&public(look, exchange, status)),
        Audience::Trusted | Audience::Operator => {
            serde_json::to_string_pretty(&full(look, exchange, status, audience))
        }
    };
    harmless(&json.expect("strings, numbers and lists always become JSON")) + "\n"
}

fn public<'a>(look: &'a Look, exchange: &Exchange, status: u16) -> Public<'a> {
    let cause = look.cause();
    Public {
        r#type: kind(cause.id),
        title: cause.title,
        status,
        cause: cause.id,
        retryable: look.retryable,
        request_id: exchange.id.to_string(),
    }
}

fn full<'a>(look: &'a Look, exchange: &'a Exchange, status: u16, audience: Audience) -> Full<'a> {
    let cause = look.cause();
    Full {
        r#type: kind(cause.id),
        title: cause.title,
        status,
        detail: &look.statement,
        instance: format!("/.well-known/goodgate/reports/{}", exchange.id),
        cause: cause.id,
        wire: look.wire,
        side: look.side().name(),
        retry: &look.retry,
        retryable: look.retryable,
        evidence: &look.evidence,
        fix: Fixes { now: &look.fix },
        attempts: exchange.attempts.iter().map(|it| attempt(it, audience)).collect(),
        not_repeated: exchange.unrepeated.map(Unrepeated::name),
        request_id: exchange.id.to_string(),
    }
}

fn kind(cause: &str) -> String {
    format!("/.well-known/goodgate/causes/{cause}")
}

fn attempt(attempt: &Attempt, audience: Audience) -> Try<'_> {
    let shown = audience == Audience::Operator && !attempt.first_bytes.is_empty();
    Try {
        target: &attempt.target,
        phase: attempt.phase.name(),
        ms: attempt.phases.total() as f64 / 1e3,
        fault: ending(attempt),
        first_bytes: shown.then(|| first_bytes(&attempt.first_bytes)),
    }
}

fn first_bytes(bytes: &[u8]) -> FirstBytes {
    FirstBytes {
        hex: bytes.iter().map(|it| format!("{it:02x}")).collect(),
        text: bytes.escape_ascii().to_string(),
    }
}

/// Escapes what serde leaves as it is and a terminal that shows the answer would obey. Only
/// strings can hold such characters, so the values stay the same.
fn harmless(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for it in json.chars() {
        match it {
            '\n' => safe.push(it),
            it if takes_effect(it) => safe += &format!("\\u{:04x}", u32::from(it)),
            it => safe.push(it),
        }
    }
    safe
}
