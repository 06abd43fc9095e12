//! The doctor: what configurations of other gateways and app servers will do wrong, before it fails.
//!
//! One file a check, in `doctor/`. A check compares settings of all files together; what the files
//! do not show is never held against them.

mod files;
#[cfg(test)]
mod testing;

pub(crate) use self::keepalive_race::{closes_by_default, reuses_by_default};
use crate::report::{Cure, Risk, Step};
use evidence::Testimony;
use files::{Fact, Files};
use serde::Serialize;

mod bound_to_loopback;
mod dns_nxdomain;
mod dns_stale_ip;
mod endpoints_empty;
mod gateway_fd_exhausted;
mod header_too_big;
mod http_to_tls_port;
mod k8s_target_port_mismatch;
mod keepalive_race;
mod keepalive_unused;
mod localhost_in_container;
mod mtls_policy_mismatch;
mod no_health_check;
mod no_live_upstreams;
mod process_hung;
mod proxy_connection_table_full;
mod proxy_protocol_mismatch;
mod request_header_too_big_for_upstream;
mod resolver_missing;
mod startup_not_ready;
mod timeout_ladder_inverted;
mod tls_to_plain_port;
mod tls_unverified;
mod unix_socket_missing;
mod upgrade_not_forwarded;
mod worker_oom_killed_cgroup;
mod worker_pool_exhausted;
mod wrong_network;
mod wrong_port;
mod wrong_protocol;

/// Advice beyond this is counted, not kept.
pub const MAX_ADVICE: usize = 200;

/// One thing to look for.
pub(crate) struct Check {
    /// What it leads to, as the catalogue of causes names it.
    pub(crate) cause: &'static str,
    pub(crate) look: fn(&Files<'_>, &mut Found<'_>),
}

/// Every check, by the severity of what it finds as a rule.
static CHECKS: &[Check] = &[
    wrong_port::CHECK,
    k8s_target_port_mismatch::CHECK,
    dns_nxdomain::CHECK,
    resolver_missing::CHECK,
    localhost_in_container::CHECK,
    bound_to_loopback::CHECK,
    wrong_network::CHECK,
    unix_socket_missing::CHECK,
    tls_to_plain_port::CHECK,
    http_to_tls_port::CHECK,
    wrong_protocol::FASTCGI,
    wrong_protocol::UWSGI,
    proxy_protocol_mismatch::CHECK,
    mtls_policy_mismatch::CHECK,
    endpoints_empty::CHECK,
    no_live_upstreams::CHECK,
    timeout_ladder_inverted::CHECK,
    keepalive_race::CHECK,
    upgrade_not_forwarded::CHECK,
    tls_unverified::CHECK,
    request_header_too_big_for_upstream::CHECK,
    proxy_connection_table_full::CHECK,
    gateway_fd_exhausted::CHECK,
    keepalive_unused::CHECK,
    dns_stale_ip::CHECK,
    startup_not_ready::CHECK,
    process_hung::CHECK,
    worker_pool_exhausted::CHECK,
    worker_oom_killed_cgroup::CHECK,
    no_health_check::CHECK,
    header_too_big::CHECK,
];

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Requests fail, always.
    Breaks,
    /// Requests fail now and then, or under load.
    Risk,
    /// It may be meant so.
    Hint,
}

impl Severity {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Breaks => "breaks",
            Severity::Risk => "risk",
            Severity::Hint => "hint",
        }
    }
}

/// A setting that was found wanting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    pub severity: Severity,
    pub cause: &'static str,
    /// One sentence without a full stop.
    pub statement: String,
    pub exhibits: Vec<Quote>,
    pub fix: Cure,
}

/// The words of a file that show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Quote {
    pub source: String,
    pub line: u64,
    pub quote: String,
}

/// What all checks say of these settings, the worst first.
#[must_use]
pub fn examine(testimony: &Testimony) -> Vec<Advice> {
    let files = Files::of(testimony);
    let mut all = Vec::new();
    for check in CHECKS {
        let mut found = Found { cause: check.cause, advice: &mut all };
        (check.look)(&files, &mut found);
    }
    all.sort_by_key(|it| it.severity);
    all
}

/// Where checks put what they find.
pub(crate) struct Found<'a> {
    cause: &'static str,
    advice: &'a mut Vec<Advice>,
}

impl Found<'_> {
    /// Whether more would be kept.
    fn is_full(&self) -> bool {
        self.advice.len() >= MAX_ADVICE
    }

    /// Says something once; the facts are its proof.
    fn say(
        &mut self,
        severity: Severity,
        statement: impl Into<String>,
        facts: &[Fact<'_>],
        now: Vec<Step>,
    ) {
        let statement = statement.into();
        let known = |it: &Advice| it.cause == self.cause && it.statement == statement;
        if self.is_full() || self.advice.iter().any(known) {
            return;
        }
        let mut exhibits: Vec<Quote> = Vec::new();
        for it in facts.iter().map(Fact::quote) {
            if !exhibits.contains(&it) {
                exhibits.push(it);
            }
        }
        let fix = Cure { now, ..Cure::default() };
        self.advice.push(Advice { severity, cause: self.cause, statement, exhibits, fix });
    }
}

/// A change of the words of one fact.
fn change(text: impl Into<String>, fact: Fact<'_>, new: &str, risk: Risk) -> Step {
    let end = if fact.is_nginx() && !fact.setting.quote.ends_with(';') { ";" } else { "" };
    let old: String = fact.setting.quote.lines().map(|it| format!("-{it}\n")).collect();
    let old = old.trim_end_matches('\n');
    Step::diff(text, Some(fact.name.to_owned()), format!("{old}{end}\n+{new}{end}"), risk)
}

/// Lines to put in beside a fact.
fn add(text: impl Into<String>, fact: Fact<'_>, lines: &str, risk: Risk) -> Step {
    let lines: Vec<String> = lines.lines().map(|it| format!("+{it}")).collect();
    Step::diff(text, Some(fact.name.to_owned()), lines.join("\n"), risk)
}

/// The words with another number in place of their last one.
fn with_number(quote: &str, number: &str) -> Option<String> {
    let end = quote.rfind(|it: char| it.is_ascii_digit())? + 1;
    let start = quote[..end].rfind(|it: char| !it.is_ascii_digit());
    let start = start.map_or(0, |at| at + quote[at..].chars().next().map_or(1, char::len_utf8));
    let unit = quote[end..].find(|it: char| !it.is_ascii_alphabetic());
    let after = unit.map_or(quote.len(), |it| end + it);
    Some(format!("{}{number}{}", &quote[..start], &quote[after..]))
}

/// `30 s`, `500 ms`.
fn duration(milliseconds: i64) -> String {
    match milliseconds % 1000 {
        0 => format!("{} s", milliseconds / 1000),
        _ => format!("{milliseconds} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_changed_in_its_own_words() {
        for (quote, want) in [
            ("proxy_read_timeout 30s", Some("proxy_read_timeout 90")),
            ("--timeout=120 --x", Some("--timeout=90 --x")),
            ("keepalive = 2  # é", Some("keepalive = 90  # é")),
            ("é2", Some("é90")),
            ("timeout", None),
        ] {
            assert_eq!(with_number(quote, "90").as_deref(), want, "{quote}");
        }
    }

    #[test]
    fn every_file_is_a_check_and_every_check_says_what_it_leads_to() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/doctor");
        let files = std::fs::read_dir(folder).expect("the folder of checks").count();
        // files.rs and testing.rs are none, and wrong_protocol.rs is two.
        assert_eq!(files, CHECKS.len() + 2 - 1);
        for it in CHECKS {
            assert!(it.cause.bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'_')));
        }
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(examine(&Testimony::default()), []);
    }
}
