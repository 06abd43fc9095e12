//! Where a program's message begins in a line that was pasted: behind marks of mails and Markdown,
//! what a logger puts in front, and the names of fields; and which words of it are its own.

use super::flat::Flat;
use super::logfmt;
use crate::lead::Lead;
use crate::reader::span_of;

/// Lines longer than this are data.
const LONGEST: usize = 4000;

/// Pairs of a line beyond these are not looked at.
const MAX_PAIRS: usize = 256;

/// Fields of structured logs that hold an error or a message, the more telling first.
const FIELDS: [&str; 27] = [
    "error",
    "err",
    "error/message",
    "err/message",
    "error/msg",
    "err/msg",
    "error.message",
    "errorMessage",
    "fields/error",
    "exception",
    "exception/message",
    "thrown/message",
    "@x",
    "cause",
    "reason",
    "message",
    "msg",
    "Message",
    "fields/message",
    "short_message",
    "@m",
    "@mt",
    "log",
    "detail",
    "details",
    "ex",
    "text",
];

/// Fields that hold the level, whatever the logger calls it.
const LEVELS: [&str; 11] = [
    "level",
    "severity",
    "lvl",
    "loglevel",
    "@level",
    "@l",
    "Level",
    "log.level",
    "log/level",
    "levelname",
    "level_name",
];

/// The messages of a line, or none where the line is that of a request, or says itself that nothing
/// failed.
pub(super) fn messages(text: &str) -> Vec<&str> {
    of_level(text, true)
}

/// The messages of a line of any level.
pub(super) fn all(text: &str) -> Vec<&str> {
    of_level(text, false)
}

fn of_level(text: &str, failing: bool) -> Vec<&str> {
    if text.len() > LONGEST || text.trim().is_empty() {
        return Vec::new();
    }
    let text = unmarked(text);
    let lead = Lead::of(text);
    if failing && (lead.level.is_some_and(is_calm) || begins_calm(text)) {
        return Vec::new();
    }
    let own = text.get(lead.inset..).unwrap_or(text);
    let object = own.find("{\"").or_else(|| own.find("{ \""));
    if let Some(flat) = object.and_then(|at| Flat::of(&own[at..])) {
        if failing && flat.any(&LEVELS).is_some_and(is_calm) {
            return Vec::new();
        }
        let before = own[..object.unwrap_or(0)].trim_end();
        let head = Some(before).filter(|it| !it.is_empty() && !is_request(it));
        return FIELDS.iter().filter_map(|it| flat.text(it)).chain(head).collect();
    }
    if is_request(own) {
        return Vec::new();
    }
    let pairs: Vec<(&str, &str)> = logfmt::pairs(own).take(MAX_PAIRS).collect();
    let pair = |name: &str| pairs.iter().find(|(it, _)| *it == name).map(|(_, it)| *it);
    let level = ["level", "lvl", "severity"].iter().find_map(|it| pair(it));
    if failing && level.is_some_and(is_calm) {
        return Vec::new();
    }
    let plain = FIELDS.iter().filter(|it| !it.contains('/'));
    let mut found: Vec<&str> = plain.filter_map(|it| pair(it)).filter(|it| it.len() > 3).collect();
    found.push(own);
    // `error:0A00010B:SSL routines:…` begins like a level.
    if text.contains(":SSL routines:") {
        found.push(text);
    }
    found
}

/// A level at which nothing has failed. As a number: those of bunyan and pino, and of syslog.
pub(super) fn is_calm(level: &str) -> bool {
    [
        "info",
        "debug",
        "trace",
        "notice",
        "dbg",
        "inf",
        "trc",
        "information",
        "verbose",
        "10",
        "20",
        "30",
        "5",
        "6",
        "7",
    ]
    .iter()
    .any(|it| level.eq_ignore_ascii_case(it))
}

/// `INFO[0003] …` of logrus, `3:16PM INF …` of zerolog, `[15:16:30 INF] …` of Serilog, and klog's
/// `I1120 15:16:30.123456 …`.
pub(super) fn begins_calm(text: &str) -> bool {
    const CALM: [&str; 9] =
        ["INF", "DBG", "TRC", "INFO", "DEBU", "DEBUG", "TRACE", "NOTICE", "TRAC"];
    let word = |it: &str| {
        let it = it.trim_matches(['[', ']']);
        let it = it.split_once('[').map_or(it, |(it, _)| it);
        CALM.contains(&it)
    };
    let klog = text.strip_prefix('I').is_some_and(|it| {
        it.as_bytes()
            .get(..5)
            .is_some_and(|it| it[..4].iter().all(u8::is_ascii_digit) && it[4] == b' ')
    });
    klog || text.split_ascii_whitespace().take(3).any(word)
}

/// Whether a logger wrote the line: there is a time or a level, which prose does not have.
pub(super) fn is_logged(text: &str) -> bool {
    let text = unmarked(text);
    let structured =
        || ["level=", "\"level\"", "\"severity\"", "lvl="].iter().any(|it| text.contains(it));
    Lead::of(text).any() || structured()
}

/// Whether the line says at what level it is, and that is one of failures.
pub(super) fn is_failure(text: &str) -> bool {
    const BAD: [&str; 9] =
        ["err", "error", "eror", "fatal", "panic", "critical", "crit", "severe", "alert"];
    let bad =
        |it: &str| BAD.iter().any(|bad| it.eq_ignore_ascii_case(bad)) || matches!(it, "50" | "60");
    let text = unmarked(text);
    if let Some(level) = Lead::of(text).level {
        return bad(level);
    }
    if text.starts_with('{') {
        return Flat::of(text).and_then(|it| it.any(&LEVELS)).is_some_and(bad);
    }
    ["level", "lvl", "severity"].iter().find_map(|it| logfmt::value(text, it)).is_some_and(bad)
}

/// A line about a request, in which a caller's words may stand anywhere.
fn is_request(text: &str) -> bool {
    const MARKS: [&str; 9] = [
        "HTTP/1.1\"",
        "HTTP/1.0\"",
        "HTTP/2.0\"",
        "HTTP/2\"",
        "HTTP/3",
        "Mozilla/",
        "ser-Agent",
        "ser_agent",
        "eferer",
    ];
    MARKS.iter().any(|it| text.contains(it))
}

/// Without `> ` of a quotation, `- ` of a list, and the quotes or backticks around a whole line.
fn unmarked(text: &str) -> &str {
    let mut text = text.trim();
    for _ in 0..8 {
        let marks = ["> ", ">", "- ", "* ", "`", "• ", "| ", "# ", "… ", "..."];
        let Some(rest) = marks.iter().find_map(|it| text.strip_prefix(it)) else { break };
        text = rest.trim_start();
    }
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|it| it.strip_suffix(quote)) {
            return inner;
        }
    }
    text.trim_end_matches('`')
}

/// Where words stand in a message that are its own: outside of quotes, and behind a mark that loggers
/// and wrapped errors put between their parts.
pub(super) fn own(message: &str, words: &str) -> Option<usize> {
    const TRIES: usize = 8;
    let mut from = 0;
    for _ in 0..TRIES {
        let found = memchr::memmem::find(message.as_bytes().get(from..)?, words.as_bytes())?;
        let at = from + found;
        if is_own(&message[..at]) {
            return Some(at);
        }
        from = at + words.len();
    }
    None
}

/// Where words stand behind a verb of failure without any mark: `Cannot read from it tls: …`. Only
/// where a logger wrote the line, because people write so too.
pub(super) fn behind_failure(message: &str, words: &str) -> Option<usize> {
    const VERBS: [&str; 7] =
        ["annot ", "ailed ", "rror ", "nable to ", "ould not ", "an't ", "ailure "];
    let at = memchr::memmem::find(message.as_bytes(), words.as_bytes())?;
    let before = &message[..at];
    let said = VERBS.iter().any(|it| before.contains(it)) && before.ends_with(' ');
    (said && before.len() < 200 && is_outside(before)).then_some(at)
}

fn is_own(before: &str) -> bool {
    let ends = before.trim_end_matches([' ', '\t']);
    let marked = ends.is_empty()
        || ends.ends_with([':', ']', ')', '(', '[', '>', '|', '=', ';', '-', '—', ','])
        || before.ends_with('\t')
        || before.ends_with("='")
        || ends.ends_with("(error");
    marked && is_outside(before)
}

/// Everything between quotes belongs to others; what is left has to be a program's words.
fn is_outside(before: &str) -> bool {
    let mut outside = true;
    let mut plain = true;
    let mut escaped = false;
    for letter in before.chars() {
        match letter {
            '"' if !escaped => outside = !outside,
            '<' | '?' | '{' if outside => plain = false,
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
    }
    // Quotes that a logger escaped are quotes all the same.
    let escapes = before.matches("\\\"").count();
    outside && plain && escapes.is_multiple_of(2)
}

/// Where a message of this line begins in it.
pub(super) fn inset(text: &str, message: &str) -> usize {
    span_of(text, message).start
}

#[cfg(test)]
mod tests {
    use super::{messages, own};

    #[test]
    fn messages_are_found_behind_all_that_tools_put_before_them() {
        for text in [
            "boom",
            "> boom",
            "`boom`",
            "\"boom\"",
            "2026-11-20T15:16:30Z ERROR boom",
            "time=\"2026-11-20T15:16:30Z\" level=error msg=boom",
            "level=error ts=2026-11-20T15:16:30Z err=\"boom\"",
            r#"{"level":"error","msg":"boom"}"#,
            r#"{"severity":"ERROR","error":{"message":"boom"}}"#,
        ] {
            assert_eq!(messages(text).first(), Some(&"boom"), "{text}");
        }
        for text in [
            "",
            "INFO: boom",
            r#"{"level":"info","error":"boom"}"#,
            "level=debug msg=boom",
            "192.0.2.1 \"GET / HTTP/1.1\" 502 \"boom\"",
        ] {
            assert!(messages(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn words_of_others_are_not_its_own() {
        assert_eq!(own("a: b: boom", "boom"), Some(6));
        assert_eq!(own("Get \"http://x/boom\": boom", "boom"), Some(21));
        for text in ["said boom", "a \": boom\"", "GET /?a=: boom", "é boom", "<p>: boom"] {
            assert_eq!(own(text, "boom"), None, "{text}");
        }
    }
}
