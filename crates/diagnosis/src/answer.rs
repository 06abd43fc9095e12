//! The body of an answer that the gateway makes itself: what failed, cut to who may read it.
//!
//! Paths, hosts, server names and first bytes were chosen by strangers. Each form escapes them for
//! its own reader: a JSON parser, a browser, a terminal.

mod amendment;
mod grpc;
mod html;
mod problem;
mod text;

use crate::catalogue::{RetryClass, Side};
use crate::look::Look;
use crate::show::takes_effect;
pub use amendment::Amendment;
use exchange::{Attempt, Exchange};
pub use grpc::{CallStatus, call_status};

/// Who reads an answer, and so how much it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// A stranger: which cause, no address, no path, no proof.
    Public,
    /// A caller who may know how the gateway reaches its upstreams.
    Trusted,
    /// Who runs the gateway: also the raw first bytes of what could not be parsed.
    Operator,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `application/problem+json` (RFC 9457).
    Problem,
    /// A page for people.
    Html,
    /// Lines for a terminal.
    Text,
}

impl Form {
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Form::Problem => "application/problem+json",
            Form::Html => "text/html; charset=utf-8",
            Form::Text => "text/plain; charset=utf-8",
        }
    }
}

/// Which form a caller wants. JSON unless the `Accept` field ranks another one strictly above it,
/// because most callers are programs, and many of them send `*/*`.
#[must_use]
pub fn form(accept: Option<&str>) -> Form {
    let accept = accept.unwrap_or("*/*");
    let problem = quality(accept, "application/problem+json").0;
    let json = problem.max(quality(accept, "application/json").0);
    let (text, _) = quality(accept, "text/plain");
    let (html, html_is_named) = quality(accept, "text/html");
    if html_is_named && html > json && html >= text {
        Form::Html
    } else if text > json {
        Form::Text
    } else {
        Form::Problem
    }
}

/// How much an `Accept` field wants a media type (RFC 9110 12.5.1): its most specific range decides.
/// The flag says that the range names the type itself, not a whole group.
fn quality(accept: &str, wanted: &str) -> (f32, bool) {
    let group = wanted.split('/').next().unwrap_or_default();
    let mut best = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let specific = match name.split_once('/') {
            _ if name.eq_ignore_ascii_case(wanted) => 3,
            Some((it, "*")) if it.eq_ignore_ascii_case(group) => 2,
            Some(("*", "*")) => 1,
            _ => continue,
        };
        if specific > best.0 {
            best = (specific, weight(parts));
        }
    }
    (best.1, best.0 == 3)
}

/// The value of the `q` parameter; one that cannot be read wants nothing.
fn weight<'a>(parameters: impl Iterator<Item = &'a str>) -> f32 {
    let mut values = parameters.filter_map(|it| it.split_once('='));
    match values.find(|(name, _)| name.trim().eq_ignore_ascii_case("q")) {
        Some((_, value)) => {
            let value = value.trim().parse().unwrap_or(0.0);
            if (0.0..=1.0).contains(&value) { value } else { 0.0 }
        }
        None => 1.0,
    }
}

/// The whole body of an answer with this status.
#[must_use]
pub fn body(
    form: Form,
    look: &Look,
    exchange: &Exchange,
    status: u16,
    audience: Audience,
) -> String {
    match form {
        Form::Problem => problem::body(look, exchange, status, audience),
        Form::Html => html::body(look, exchange, status, audience),
        Form::Text => text::body(look, exchange, status, audience),
    }
}

/// The block that the gateway prints on its own terminal when a request fails.
#[must_use]
pub fn block(look: &Look, exchange: &Exchange, colour: bool) -> String {
    let status = exchange.answer.as_ref().map(|it| it.status);
    text::block(look, exchange, status, colour)
}

/// The same text, on one line, with everything that would take effect written out.
pub(crate) fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '\n' | '\t' => seen.push(' '),
            it if takes_effect(it) => seen.extend(it.escape_default()),
            it => seen.push(it),
        }
    }
    seen
}

/// How an attempt ended, as one word: its fault, or that it got an answer after all.
fn ending(attempt: &Attempt) -> &'static str {
    match (&attempt.fault, attempt.status) {
        (Some(fault), _) => fault.name(),
        (None, Some(_)) => "answered",
        (None, None) => "unfinished",
    }
}

/// Whose side a cause lies on, for people.
pub(crate) fn whose(side: Side) -> &'static str {
    match side {
        Side::Client => "the caller's",
        Side::ClientProxy => "a proxy's in front of the caller",
        Side::CdnOrLb => "the content network's or balancer's in front of the gateway",
        Side::Gateway => "the gateway's",
        Side::Network => "the network's",
        Side::AppServer => "the app server's",
        Side::App => "the app's",
        Side::Dependency => "a service's that the app depends on",
        Side::Platform => "the platform's",
        Side::ThirdParty => "a third party's",
        Side::Unknown => "not known",
    }
}

/// What somebody can do who has no access to anything: a visitor of a page, a stranger's program.
fn advice(look: &Look, exchange: &Exchange) -> &'static str {
    let reads = matches!(&*exchange.request.method, "GET" | "HEAD");
    match (look.cause().passing, look.retry.class, look.side()) {
        (true, _, _) if reads => "This often passes by itself within moments.",
        (true, RetryClass::R0 | RetryClass::R1, _) => {
            "Nothing was done with what you sent. You can send it again in a moment."
        }
        (_, RetryClass::R2 | RetryClass::R4, _) if !reads => {
            "What you sent may have been carried out. Check that before you send it again."
        }
        (true, _, _) => "This often passes by itself. Try again in a moment.",
        (_, _, Side::Client | Side::ClientProxy) => {
            "Check the address and what was sent: the same request will fail the same way again."
        }
        _ => {
            "You did nothing wrong, and trying again will not help yet. If you cannot wait, give \
             the request id to the people who run this site."
        }
    }
}

#[cfg(test)]
mod tests;
