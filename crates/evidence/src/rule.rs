//! Fixed messages with holes, as tables of text.
//!
//! A pattern is the message from its first letter, with holes in braces: `{upstream}`, `{who}`,
//! `{detail}`, `{number}`, `{seconds}`, `{pid}`, `{status}`, `{route}` and `{client}` fill the field
//! of that name, `{_}` passes over words of the component, `{caller}` over words of a caller. The
//! decisive words stand between `«` and `»`, or go from the first letter to the last one matched;
//! they always end before what a caller sent.

use crate::event::Event;
use crate::lead::Lead;
use crate::line::Line;
use crate::product::Product;
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) struct Rule {
    pub(crate) pattern: &'static str,
    sign: Sign,
    trust: Trust,
}

/// A component's fixed message about its own act.
pub(crate) const fn rule(pattern: &'static str, sign: Sign) -> Rule {
    Rule { pattern, sign, trust: Trust::C }
}

/// Words of an app, which anybody may write.
pub(crate) const fn words(pattern: &'static str, sign: Sign) -> Rule {
    Rule { pattern, sign, trust: Trust::D }
}

/// A guess about what another did.
pub(crate) const fn guess(pattern: &'static str, sign: Sign) -> Rule {
    Rule { pattern, sign, trust: Trust::E }
}

/// What the first rule that a message fits makes of it. The message begins at `start`.
pub(crate) fn event<'a>(
    rules: &[Rule],
    product: Product,
    text: &'a str,
    start: usize,
) -> Option<Event<'a>> {
    rules.iter().find_map(|it| it.event(product, text, start))
}

/// The same for a line, after what a logger puts before its message. A line of another logger than
/// these is an app's own words.
pub(crate) fn told<'a>(
    rules: &[Rule],
    product: Product,
    loggers: &[&str],
    line: &'a Line,
) -> Option<Event<'a>> {
    let lead = Lead::of(&line.text);
    if !lead.is_of(loggers) {
        return None;
    }
    let event = event(rules, product, &line.text, lead.inset)?;
    let pid = event.pid.or(lead.pid);
    Some(event.at(lead.at).pid(pid))
}

enum Piece<'p> {
    Literal(&'p str),
    Hole(&'p str),
    Opens,
    Closes,
}

/// The first piece of a pattern, and the rest.
fn piece(pattern: &str) -> Option<(Piece<'_>, &str)> {
    if let Some(rest) = pattern.strip_prefix('«') {
        return Some((Piece::Opens, rest));
    }
    if let Some(rest) = pattern.strip_prefix('»') {
        return Some((Piece::Closes, rest));
    }
    if let Some((name, rest)) = pattern.strip_prefix('{').and_then(|it| it.split_once('}')) {
        return Some((Piece::Hole(name), rest));
    }
    let end = pattern.find(['{', '«', '»']).unwrap_or(pattern.len());
    (end > 0).then(|| (Piece::Literal(&pattern[..end]), &pattern[end..]))
}

impl Rule {
    fn event<'a>(&self, product: Product, text: &'a str, start: usize) -> Option<Event<'a>> {
        let mut event = Event::new(product, self.sign, self.trust, start..start);
        let (mut at, mut from, mut to) = (start, start, None);
        let mut rest = self.pattern;
        while let Some((piece, after)) = piece(rest) {
            rest = after;
            match piece {
                Piece::Opens => (from, to) = (at, None),
                Piece::Closes => to = Some(at),
                Piece::Literal(it) => at += text[at..].strip_prefix(it).map(|_| it.len())?,
                Piece::Hole(name) => {
                    if matches!(name, "route" | "client" | "caller") {
                        to = to.or(Some(at));
                    }
                    let length = length(name, &text[at..], rest)?;
                    event = filled(event, name, &text[at..at + length])?;
                    at += length;
                }
            }
        }
        let end = to.unwrap_or(at);
        event.span = from..from + text[from..end].trim_end_matches([' ', ':', ',']).len();
        Some(event)
    }
}

/// How many bytes fill a hole. Numbers take their digits, other holes all up to the literal after
/// them; at the end of a pattern a detail takes the rest of the line, others a word.
fn length(name: &str, text: &str, rest: &str) -> Option<usize> {
    match name {
        "number" | "pid" | "status" => Some(run(text, |it| it.is_ascii_digit())),
        "seconds" => Some(run(text, |it| it.is_ascii_digit() || it == '.')),
        _ => match literal(rest) {
            Some(it) => memchr::memmem::find(text.as_bytes(), it.as_bytes()),
            None if matches!(name, "detail" | "caller") => Some(text.trim_end().len()),
            None => Some(run(text, |it| !it.is_whitespace())),
        },
    }
}

fn run(text: &str, holds: impl Fn(char) -> bool) -> usize {
    text.len() - text.trim_start_matches(holds).len()
}

/// The next fixed words of a pattern.
fn literal(mut rest: &str) -> Option<&str> {
    loop {
        let (piece, after) = piece(rest)?;
        match piece {
            Piece::Literal(it) => return Some(it),
            Piece::Hole(_) => return None,
            Piece::Opens | Piece::Closes => rest = after,
        }
    }
}

fn filled<'a>(event: Event<'a>, name: &str, text: &'a str) -> Option<Event<'a>> {
    if text.is_empty() && name != "_" && name != "caller" {
        return None;
    }
    let word = text.trim_matches([' ', '"', '\'', ',', ';']).trim_end_matches('.');
    Some(match name {
        "upstream" => event.upstream(Some(word)),
        "who" => event.who(Some(word)),
        "detail" => event.detail(Some(text.trim())),
        "number" => event.number(text.parse().ok()),
        "seconds" => event.number(milliseconds(text)),
        "pid" => event.pid(text.parse().ok()),
        "status" => event.status(Some(text.parse().ok().filter(|it| (100..600).contains(it))?)),
        "route" => event.route(Some(text)),
        "client" => event.client(Some(text)),
        _ => event,
    })
}

/// `30` and `12.663394` seconds, in milliseconds.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    let seconds: f64 = text.trim_end_matches('.').parse().ok()?;
    Some((seconds * 1000.0).round() as i64)
}

/// Fails where a rule's message could be passed over, because it holds none of the hooks.
#[cfg(test)]
#[track_caller]
pub(crate) fn assert_hooked(hooks: &[&str], rules: &[Rule]) {
    for rule in rules {
        let mut rest = rule.pattern;
        let mut hooked = false;
        let mut literal = String::new();
        while let Some((piece, after)) = piece(rest) {
            rest = after;
            match piece {
                Piece::Literal(it) => literal += it,
                Piece::Hole(_) => literal.push('\u{0}'),
                Piece::Opens | Piece::Closes => {}
            }
            hooked = hooks.iter().any(|it| literal.contains(it));
        }
        assert!(hooked, "no hook in {}", rule.pattern);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &[Rule] = &[
        rule(
            "child {pid} exited on signal {number} ({detail}) after {_} seconds",
            Sign::ProcessKilled,
        ),
        rule("Error handling request {route}", Sign::UnhandledException),
        rule("took {seconds} s «too long»", Sign::RequestSlow),
        rule("listens on {upstream}", Sign::Listening),
    ];

    #[track_caller]
    fn check(text: &str, want: Option<&str>) {
        let found = event(RULES, Product::Unknown, text, 0);
        assert_eq!(found.map(|it| text[it.span].to_owned()).as_deref(), want, "{text}");
    }

    #[test]
    fn the_span_ends_before_what_a_caller_sent() {
        check("Error handling request /x?listens on", Some("Error handling request"));
        check("Error handling request ", None);
    }

    #[test]
    fn marks_bound_the_span() {
        check("took 1.5 s too long, sadly", Some("too long"));
        check("took long", None);
    }

    #[test]
    fn holes_are_filled_by_their_names() {
        let text = "child 57 exited on signal 9 (SIGKILL) after 12.66 seconds from start";
        let event = event(RULES, Product::Unknown, text, 0).expect("an event");
        assert_eq!(
            (event.pid, event.number, event.detail),
            (Some(57), Some(9), Some("SIGKILL".into()))
        );
        check("listens on", None);
        check("it listens on x", None);
    }
}
