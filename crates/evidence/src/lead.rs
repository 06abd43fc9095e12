//! What loggers of all languages put before a message: time, process, level, logger.

use crate::clock::{self, Stamp};

/// What stands before a message, and where the message begins.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Lead<'a> {
    pub(crate) at: Option<Stamp>,
    pub(crate) pid: Option<u32>,
    pub(crate) level: Option<&'a str>,
    pub(crate) logger: Option<&'a str>,
    pub(crate) inset: usize,
}

impl<'a> Lead<'a> {
    /// `[2026-11-20 15:15:57 +0000] [5456] [CRITICAL] `, `WARNING:waitress.queue:`, `INFO:     `,
    /// `2026-11-20T15:16:30.123Z ERROR 1 --- [app] [thread] o.a.C : `, and their like.
    pub(crate) fn of(text: &'a str) -> Lead<'a> {
        let mut lead = Lead::default();
        // Each step takes one part off; no logger writes more of them.
        for _ in 0..12 {
            let blank = text.len() - lead.inset - text[lead.inset..].trim_start().len();
            let rest = &text[lead.inset + blank..];
            let Some(length) = lead.part(rest) else { break };
            lead.inset += blank + length;
        }
        if lead.inset > 0 {
            lead.inset += text[lead.inset..].len() - text[lead.inset..].trim_start().len();
        }
        lead
    }

    /// Whether there is anything before the message.
    pub(crate) fn any(&self) -> bool {
        self.inset > 0
    }

    /// Whether the logger, if the line names one, is one of these or below it.
    pub(crate) fn is_of(&self, loggers: &[&str]) -> bool {
        self.logger.is_none_or(|it| {
            loggers.iter().any(|of| {
                it.strip_prefix(of).is_some_and(|it| it.is_empty() || it.starts_with('.'))
            })
        })
    }

    /// Takes in the first part of a text; its length.
    fn part(&mut self, text: &'a str) -> Option<usize> {
        let begun = self.at.is_some() || self.level.is_some();
        if let Some(inner) = text.strip_prefix('[') {
            let end = inner.bytes().take(120).position(|it| it == b']')?;
            return self.bracketed(&inner[..end], begun).then_some(end + 2);
        }
        if self.at.is_none()
            && let Some((at, length)) = time(text)
        {
            self.at = Some(at);
            let rest = text[length..].trim_start_matches([',', ' ', '\t']);
            let zone = ZONES.iter().find_map(|it| rest.strip_prefix(it)?.strip_prefix(' '));
            return Some(text.len() - zone.unwrap_or(rest).len());
        }
        if self.level.is_none()
            && let Some((level, length)) = level(text)
        {
            self.level = Some(level);
            return Some(length);
        }
        if !begun {
            return None;
        }
        for mark in ["- ", "| ", "--- ", ": "] {
            if text.starts_with(mark) {
                return Some(mark.len());
            }
        }
        // Flask: `[TIME] ERROR in app: `.
        if let Some((module, _)) = text.strip_prefix("in ").and_then(|it| it.split_once(": "))
            && module.chars().all(is_of_name)
        {
            return Some("in : ".len() + module.len());
        }
        self.numbered(text).or_else(|| self.named(text))
    }

    fn bracketed(&mut self, inner: &'a str, begun: bool) -> bool {
        let trimmed = inner.trim();
        if let Some((at, _)) = time(trimmed).filter(|_| self.at.is_none()) {
            self.at = Some(at);
            return true;
        }
        if let Some(level) = word_of_level(trimmed).filter(|_| self.level.is_none()) {
            self.level = Some(level);
            return true;
        }
        let digits = trimmed
            .split([':', '#', '-'])
            .all(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()));
        if digits {
            self.pid =
                self.pid.or(trimmed.split([':', '#', '-']).next().and_then(|it| it.parse().ok()));
            return true;
        }
        // A thread or a logger: only after a time or a level.
        let blank = trimmed.contains(' ') && !trimmed.starts_with("Thread-");
        let named = begun && !blank && !trimmed.contains(['"', '=', '/']);
        if named && trimmed.contains('.') {
            self.logger = self.logger.or(Some(trimmed));
        }
        named
    }

    /// `1 --- ` of Spring, and `12345 ` between a level and a message.
    fn numbered(&mut self, text: &'a str) -> Option<usize> {
        let digits = text.len() - text.trim_start_matches(|it: char| it.is_ascii_digit()).len();
        let follows = text.get(digits..)?.starts_with(" --- ");
        (digits > 0 && follows).then(|| {
            self.pid = self.pid.or(text[..digits].parse().ok());
            digits + 5
        })
    }

    /// The name of a logger: `waitress.queue:`, `o.a.c.Connector   : `, `app - `, `module:f:12 - `,
    /// `org.apache.catalina.Server.start `.
    fn named(&mut self, text: &'a str) -> Option<usize> {
        if self.logger.is_some() {
            return None;
        }
        let name = text.len() - text.trim_start_matches(is_of_name).len();
        let (name, rest) = text.split_at(name);
        if name.is_empty() || name.starts_with(|it: char| it.is_ascii_digit()) {
            return None;
        }
        let mark = if rest.starts_with(':')
            && !rest[1..].starts_with([' ', ':', '/'])
            && !rest[1..].is_empty()
        {
            // Of loguru: `module:function:12 - `.
            let dash = rest.find(" - ").filter(|it| !rest[..*it].contains(' '));
            dash.map_or(1, |it| it + 3)
        } else if rest.starts_with(" - ") {
            3
        } else if rest.trim_start().starts_with(": ")
            && (rest.starts_with(' ') || name.contains('.'))
        {
            rest.len() - rest.trim_start().len() + 2
        } else if rest.starts_with(' ') && name.matches('.').count() >= 2 {
            1
        } else {
            return None;
        };
        self.logger = Some(name);
        Some(name.len() + mark)
    }
}

fn is_of_name(it: char) -> bool {
    it.is_ascii_alphanumeric() || matches!(it, '_' | '.' | '$' | '-')
}

fn time(text: &str) -> clock::Found {
    let first = *text.as_bytes().first()?;
    if first.is_ascii_digit() {
        return clock::iso(text).or_else(|| clock::day_first(text));
    }
    if !first.is_ascii_uppercase() {
        return None;
    }
    clock::ctime(text)
}

/// Names of zones that PostgreSQL and others write after a time.
const ZONES: [&str; 9] = ["UTC", "GMT", "CET", "CEST", "EST", "EDT", "PST", "PDT", "MSK"];

const LEVELS: [&str; 17] = [
    "DEBUG",
    "INFO",
    "NOTICE",
    "WARNING",
    "WARN",
    "ERROR",
    "ERR",
    "CRITICAL",
    "CRIT",
    "ALERT",
    "EMERGENCY",
    "FATAL",
    "SEVERE",
    "TRACE",
    "LOG",
    "PANIC",
    "Warning",
];

fn word_of_level(word: &str) -> Option<&str> {
    LEVELS.iter().any(|it| word.eq_ignore_ascii_case(it)).then_some(word)
}

/// `ERROR: `, `ERROR    `, `error: `, `INFO:`, with the colon and one run of blanks.
fn level(text: &str) -> Option<(&str, usize)> {
    let length = text.len() - text.trim_start_matches(|it: char| it.is_ascii_alphabetic()).len();
    let word = word_of_level(&text[..length])?;
    let upper = word.bytes().all(|it| it.is_ascii_uppercase());
    let lower = word.bytes().all(|it| it.is_ascii_lowercase());
    match text.as_bytes().get(length)? {
        b':' if upper || lower => Some((word, length + 1)),
        b' ' | b'\t' if upper => Some((word, length + 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Lead;

    #[track_caller]
    fn check(text: &str, message: &str, level: Option<&str>, logger: Option<&str>) {
        let lead = Lead::of(text);
        assert_eq!((&text[lead.inset..], lead.level, lead.logger), (message, level, logger));
    }

    #[test]
    fn all_that_loggers_write_is_taken_off() {
        check(
            "[2026-11-20 15:15:57 +0000] [5456] [CRITICAL] WORKER TIMEOUT (pid:5588)",
            "WORKER TIMEOUT (pid:5588)",
            Some("CRITICAL"),
            None,
        );
        check(
            "WARNING:waitress.queue:Task queue depth is 3",
            "Task queue depth is 3",
            Some("WARNING"),
            Some("waitress.queue"),
        );
        check(
            "INFO:     Started server process [1]",
            "Started server process [1]",
            Some("INFO"),
            None,
        );
        check(
            "2026-11-20 15:16:30,375 ERROR    Exception inside application: x",
            "Exception inside application: x",
            Some("ERROR"),
            None,
        );
        check(
            "2026-11-20T15:16:30.123Z ERROR 1 --- [app] [nio-8080-exec-1] o.a.c.C.Valve     : died",
            "died",
            Some("ERROR"),
            Some("o.a.c.C.Valve"),
        );
        check(
            "20-Nov-2026 15:16:30.123 SEVERE [main] org.apache.catalina.core.Server.init died here",
            "died here",
            Some("SEVERE"),
            Some("org.apache.catalina.core.Server.init"),
        );
        check(
            "2026-11-20 15:16:30.123 | ERROR    | app.main:get:12 - boom",
            "boom",
            Some("ERROR"),
            Some("app.main"),
        );
        check("2026-11-20 15:16:30,123 - root - ERROR - boom", "boom", Some("ERROR"), Some("root"));
        check(
            "[20-Nov-2026 15:16:30] WARNING: [pool www] child 5",
            "[pool www] child 5",
            Some("WARNING"),
            None,
        );
        check("Fri Nov 20 15:16:30 2026 - *** x", "*** x", None, None);
        check("2026-11-20 15:16:30.123 UTC [77] FATAL:  sorry", "sorry", Some("FATAL"), None);
    }

    #[test]
    fn words_of_a_message_are_left() {
        check("Error: listen EADDRINUSE", "Error: listen EADDRINUSE", None, None);
        check(
            "requests.exceptions.HTTPError: 502",
            "requests.exceptions.HTTPError: 502",
            None,
            None,
        );
        check("[pool www] child", "[pool www] child", None, None);
        check("", "", None, None);
        check("é[", "é[", None, None);
        check("[é", "[é", None, None);
    }
}
