//! What a cause is. The causes themselves are one file each, in `causes/`.

use crate::case::Case;
use crate::look::Fix;
use crate::text::Text;
use serde::Serialize;

/// One reason why requests fail: what it is called, how it is recognised, what to do.
pub struct Cause {
    /// The same word everywhere: file, JSON, documentation, lab scene.
    pub id: &'static str,
    pub family: Family,
    /// A sentence fragment without a full stop, as a headline.
    pub title: &'static str,
    /// Whose side it lies on.
    pub side: Side,
    pub retry: RetryClass,
    /// Waiting a little may cure it: a browser page tries again by itself.
    pub passing: bool,
    /// How strongly the record of one exchange speaks for it; `None` where it says nothing.
    pub look: fn(&Case) -> Option<Finding>,
    /// What to do, most useful first, worded for this case.
    pub fix: fn(&Case) -> Vec<Fix>,
    /// How it is recognised in what others wrote.
    pub text: Text,
}

/// What one cause claims of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How plausible, between 0 and 1. The candidates of a look exclude each other, so plausible
    /// neighbours must share: 0.6 and 0.3, not 0.9 and 0.9.
    pub confidence: f32,
    /// One sentence without a full stop: who did what, with the numbers of this case.
    pub statement: String,
    /// Why the recorded fact matters, as a sentence fragment; stands beside the quote.
    pub says: String,
    /// Whose side it lies on here, where that is not the side on which the cause usually lies.
    pub side: Option<Side>,
}

impl Finding {
    pub fn new(confidence: f32, statement: impl Into<String>, says: impl Into<String>) -> Finding {
        Finding { confidence, statement: statement.into(), says: says.into(), side: None }
    }

    pub(crate) fn on(self, side: Side) -> Finding {
        Finding { side: Some(side), ..self }
    }
}

/// The look of a cause that the record of one exchange cannot show: it takes the log, the state or
/// the history of somebody else.
pub(crate) fn silent(_: &Case) -> Option<Finding> {
    None
}

/// The families of `docs/causes/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Family {
    F1,
    F2,
    F3,
    F4,
    F5,
    F6,
    F7,
    F8,
    F9,
    F10,
    F11,
    F12,
    F13,
    F14,
    F15,
}

impl Family {
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Family::F1 => "Life of the upstream process",
            Family::F2 => "Overload and capacity",
            Family::F3 => "Reaching the address",
            Family::F4 => "Established connection lost",
            Family::F5 => "Time",
            Family::F6 => "Names",
            Family::F7 => "TLS to the upstream",
            Family::F8 => "Protocol mismatch",
            Family::F9 => "Malformed response",
            Family::F10 => "Local sockets and permissions",
            Family::F11 => "The gateway's own host",
            Family::F12 => "Selection and health",
            Family::F13 => "Dependencies behind the app",
            Family::F14 => "Platform",
            Family::F15 => "Not an upstream fault",
        }
    }
}

/// Whose side a cause lies on; the words of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Client,
    ClientProxy,
    CdnOrLb,
    Gateway,
    Network,
    AppServer,
    App,
    Dependency,
    Platform,
    ThirdParty,
    Unknown,
}

impl Side {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::ClientProxy => "client_proxy",
            Side::CdnOrLb => "cdn_or_lb",
            Side::Gateway => "gateway",
            Side::Network => "network",
            Side::AppServer => "app_server",
            Side::App => "app",
            Side::Dependency => "dependency",
            Side::Platform => "platform",
            Side::ThirdParty => "third_party",
            Side::Unknown => "unknown",
        }
    }
}

/// When a failed request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum RetryClass {
    /// No byte of the request left us: any method, at once, better elsewhere.
    R0,
    /// The target proved that it did not process the request: any method.
    R1,
    /// Sent, no byte of an answer came: only what may safely happen twice.
    R2,
    /// The same target will fail the same way again.
    R3,
    /// Bytes of the answer have reached the client: never.
    R4,
}

/// A cause with its manual page, which is the comment at the top of its file.
pub struct Entry {
    pub cause: &'static Cause,
    pub(crate) source: &'static str,
}

impl Entry {
    /// The page in Markdown: the leading `//!` lines of the cause's file.
    #[must_use]
    pub fn page(&self) -> String {
        let lines = self.source.lines().map_while(|it| it.strip_prefix("//!"));
        lines
            .map(|it| it.strip_prefix(' ').unwrap_or(it))
            .fold(String::new(), |page, line| page + line + "\n")
    }
}

/// Finds a cause by its id.
#[must_use]
pub fn entry(id: &str) -> Option<&'static Entry> {
    crate::causes::CATALOGUE.iter().find(|it| it.cause.id == id)
}
