//! The sentences that both forms of the report share. Nothing is escaped here.

use super::{Effect, Exhibit, IncidentSummary, Other, Read, Report, Risk, Sufficiency, Verdict};
use evidence::Origin;
use evidence::clock::Zone;

/// Inputs that are listed; the others are counted.
pub(super) const READ: usize = 10;

/// The verdict in one sentence: what failed, why, how often, since when.
pub(super) fn verdict(report: &Report) -> String {
    let why = match report.verdict {
        Verdict::Either => either(report),
        Verdict::Unknown => unknown(report),
        Verdict::Named | Verdict::NoFailure => report.statement.clone(),
    };
    let opening = match (report.verdict, report.status, maker(report)) {
        (Verdict::NoFailure, ..) => "No failure".to_owned(),
        (_, Some(status), Some(by)) => format!("{status} from {by}"),
        (_, Some(status), None) => status.to_string(),
        (_, None, Some(by)) => format!("Failure at {by}"),
        (_, None, None) => "Failure".to_owned(),
    };
    let counts = report.incident.as_ref().and_then(|it| counts(it, report.verdict));
    let counts = counts.map(|it| format!("; {it}")).unwrap_or_default();
    format!("{opening}: {why}{counts}.")
}

fn maker(report: &Report) -> Option<&str> {
    report.incident.as_ref()?.made_by.as_deref()
}

/// `either A or B`, with the statement where nothing is ranked.
fn either(report: &Report) -> String {
    let leading = report.candidates.iter().take(leaders(report));
    let titles: Vec<String> = leading.map(|it| named(&it.cause)).collect();
    match titles.is_empty() {
        true => report.statement.clone(),
        false => format!("either {}", one_of(&titles)),
    }
}

/// How many candidates reach 0.9 together: two or three.
fn leaders(report: &Report) -> usize {
    let mut sum = 0.0;
    let reach = report.candidates.iter().position(|it| {
        sum += it.confidence;
        sum >= 0.9
    });
    reach.map_or(3, |it| it + 1).clamp(2, 3)
}

fn unknown(report: &Report) -> String {
    let titles: Vec<String> = report.candidates.iter().take(3).map(|it| named(&it.cause)).collect();
    match titles.is_empty() {
        true => report.statement.clone(),
        false => format!(
            "{}; these inputs do not say why, and what would fit is that {}",
            report.statement,
            one_of(&titles)
        ),
    }
}

/// `a worker crashed (worker_crashed)`.
fn named(cause: &str) -> String {
    match crate::entry(cause) {
        Some(entry) => format!("{} ({cause})", lower(entry.cause.title)),
        None => cause.to_owned(),
    }
}

/// A headline within a sentence: its first word is written small, unless it is a name in capitals.
fn lower(title: &str) -> String {
    let mut letters = title.chars();
    let (first, second) = (letters.next(), letters.next());
    match (first, second) {
        (Some(first), Some(second)) if first.is_ascii_uppercase() && !second.is_uppercase() => {
            format!("{}{}", first.to_ascii_lowercase(), &title[1..])
        }
        _ => title.to_owned(),
    }
}

/// `a, b or c`.
fn one_of(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [some @ .., last] => format!("{} or {last}", some.join(", ")),
    }
}

/// `412 of 9,120 requests failed (callers saw 398) since ...`.
fn counts(incident: &IncidentSummary, verdict: Verdict) -> Option<String> {
    let noun = if verdict == Verdict::NoFailure { "try" } else { "request" };
    let failed = match (incident.failed, incident.of) {
        (Some(failed), Some(of)) => format!("{} of {} failed", number(failed), counted(of, noun)),
        (Some(failed), None) => format!("{} failed", counted(failed, noun)),
        (None, _) => return span(incident),
    };
    let saw = incident.client_saw.filter(|it| Some(*it) != incident.failed);
    let saw = saw.map(|it| match it {
        0 => "no caller saw it".to_owned(),
        it => format!("callers saw {}", number(it)),
    });
    let absorbed = incident.absorbed.filter(|it| *it > 0);
    let absorbed = absorbed.map(|it| format!("retries absorbed {}", number(it)));
    let aside: Vec<String> = [saw, absorbed].into_iter().flatten().collect();
    let aside = if aside.is_empty() { String::new() } else { format!(" ({})", aside.join(", ")) };
    let span = span(incident).map(|it| format!(" {it}")).unwrap_or_default();
    Some(format!("{failed}{aside}{span}"))
}

/// `from 2026-01-02 03:04:05 to 03:09:11 UTC`.
fn span(incident: &IncidentSummary) -> Option<String> {
    let zone = match incident.zone {
        Zone::Read => "UTC",
        Zone::Assumed => "(the log names no time zone)",
    };
    let (first, last) = (incident.first.as_deref(), incident.last.as_deref());
    let (first, last) = (first.or(last)?, last.or(first)?);
    let (from, to) = (time(first), time(last));
    Some(match incident.ongoing {
        Some(true) if from == to => format!("at {from} {zone}, and may go on"),
        Some(true) => {
            format!("since {from}, last at {} {zone}, and it goes on", beside(&to, &from))
        }
        _ if from == to => format!("at {from} {zone}"),
        _ => format!("from {from} to {} {zone}", beside(&to, &from)),
    })
}

/// A time for people: `2026-01-02 03:04:05` for `2026-01-02T03:04:05.678Z`.
pub(super) fn time(rfc3339: &str) -> String {
    let plain = rfc3339.strip_suffix('Z').unwrap_or(rfc3339);
    match plain.split_once('T') {
        Some((date, clock)) => format!("{date} {}", clock.split('.').next().unwrap_or(clock)),
        None => plain.to_owned(),
    }
}

/// A time without the date that it shares with the one before it.
fn beside(time: &str, other: &str) -> String {
    match (time.split_once(' '), other.split_once(' ')) {
        (Some((day, clock)), Some((same, _))) if day == same => clock.to_owned(),
        _ => time.to_owned(),
    }
}

/// What stands in the rows under the verdict: a name and a text.
pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let ranked = |it: &super::Candidate| format!("{} {}", it.cause, percent(it.confidence));
    let candidates: Vec<String> = report.candidates.iter().map(ranked).collect();
    match report.verdict {
        Verdict::Named => facts.push(("cause", report.cause.clone())),
        Verdict::Either if !candidates.is_empty() => facts.push(("either", candidates.join(", "))),
        Verdict::Unknown if !candidates.is_empty() => facts.push(("fits", candidates.join(", "))),
        _ => {}
    }
    let wire = report.wire.as_ref().filter(|it| **it != report.cause);
    facts.extend(wire.map(|it| ("seen as", it.clone())));
    if report.side != crate::Side::Unknown {
        facts.push(("side", crate::answer::whose(report.side).to_owned()));
    }
    if let Some(incident) = &report.incident {
        let to = [&incident.upstream, &incident.service];
        let to: Vec<&str> = to.into_iter().flatten().map(String::as_str).collect();
        if !to.is_empty() {
            facts.push(("upstream", to.join(", ")));
        }
        facts.extend(routes(&incident.routes).map(|it| ("routes", it)));
    }
    if report.verdict != Verdict::NoFailure && !report.retry.says.is_empty() {
        facts.push(("retry", report.retry.says.clone()));
    }
    facts
}

/// What who runs the commands has to put in, where anything is left.
pub(super) fn to_put_in(report: &Report) -> Option<String> {
    let left = crate::blanks::left(report);
    let words: Vec<String> = left.iter().map(|(word, says)| format!("{word} ({says})")).collect();
    (!words.is_empty()).then(|| format!("To put into the commands: {}", words.join(", ")))
}

/// The routes that failed most often, at most four.
fn routes(routes: &[(String, u64)]) -> Option<String> {
    let shown = routes.iter().take(4).map(|(route, count)| format!("{route} ({})", number(*count)));
    let shown: Vec<String> = shown.collect();
    let more = match routes.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!shown.is_empty()).then(|| shown.join(", ") + &more)
}

/// Whether the verdict leaves a choice, so that what decides it stands first.
pub(super) fn is_open(report: &Report) -> bool {
    match report.verdict {
        Verdict::Either | Verdict::Unknown => true,
        Verdict::Named => report.sufficiency != Sufficiency::High,
        Verdict::NoFailure => false,
    }
}

/// `nginx-error.log:12`.
pub(super) fn place(exhibit: &Exhibit) -> String {
    match exhibit.line {
        Some(line) => format!("{}:{line}", exhibit.source),
        None => exhibit.source.clone(),
    }
}

/// What an exhibit does against which causes, where it does not speak for the verdict.
pub(super) fn against(exhibit: &Exhibit) -> Option<String> {
    let only = exhibit.supports.is_empty() && !exhibit.refutes.is_empty();
    only.then(|| format!("speaks against {}", exhibit.refutes.join(", ")))
}

/// What a step asks for, besides doing it.
pub(super) fn note(step: &super::Step) -> Option<String> {
    let risk = match step.risk {
        Risk::None => None,
        Risk::Reload => Some("takes effect with a reload"),
        Risk::Restart => Some("needs a restart, which may cut requests"),
        Risk::Data => Some("may lose data: make a copy first"),
    };
    let effect =
        (step.effect == Effect::Hides).then_some("only hides it: what is behind it goes on");
    let place = step.place.as_ref().map(|it| format!("on {it}"));
    let parts: Vec<String> =
        place.into_iter().chain([risk, effect].into_iter().flatten().map(str::to_owned)).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The steps under their headings, as far as there are any.
pub(super) fn steps(cure: &super::Cure) -> Vec<(&'static str, &[super::Step])> {
    let all = [
        ("First", &cure.before),
        ("Now", &cure.now),
        ("For good", &cure.lasting),
        ("Then check", &cure.verify),
    ];
    all.into_iter().filter(|(_, it)| !it.is_empty()).map(|(name, it)| (name, &**it)).collect()
}

/// An incident in short: `2026-01-02 01:00:00, 31 failed, worker_timeout_killed: ...`.
pub(super) fn other(other: &Other) -> String {
    let at = other.first.as_deref().or(other.last.as_deref()).map(time);
    let failed = other.failed.map(|it| format!("{} failed", number(it)));
    let head = [at, failed, Some(other.cause.clone())];
    let head: Vec<String> = head.into_iter().flatten().collect();
    format!("{}: {} ({})", head.join(", "), other.statement, other.id)
}

/// What was read of a source.
pub(super) fn read(read: &Read) -> String {
    let mut parts = Vec::new();
    parts.extend(read.bytes.map(size));
    parts.extend(read.lines.map(|it| counted(it, "line")));
    parts.extend(match (read.from.as_deref().map(time), read.to.as_deref().map(time)) {
        (Some(from), Some(to)) if from != to => Some(format!("{from} to {}", beside(&to, &from))),
        (Some(at), _) | (None, Some(at)) => Some(at),
        (None, None) => None,
    });
    let share = read.understood.filter(|it| it.is_finite());
    // A file with one strange line in a thousand is not understood whole.
    parts
        .extend(share.map(|it| format!("{} % understood", (it * 100.0).floor().clamp(0.0, 100.0))));
    parts.extend(match read.origin {
        Origin::ThisHost => Some("of this host".to_owned()),
        Origin::NamedTarget => Some("as asked for".to_owned()),
        Origin::Elsewhere => None,
    });
    parts.join(", ")
}

/// How sure, and of how much: `high, 93 %: every hop ...`. `None` where nothing was claimed.
pub(super) fn confidence(report: &Report) -> Option<String> {
    let covers = match report.sufficiency {
        Sufficiency::High => "every hop down to the root is covered by these inputs",
        Sufficiency::Medium => "only the hop that answered is covered by these inputs",
        Sufficiency::Low => "these inputs hold a symptom only",
    };
    let word = match report.confidence {
        0.8.. => "high",
        0.5.. => "medium",
        it if it > 0.0 => "low",
        _ => return (report.incident.is_some()).then(|| format!("none: {covers}")),
    };
    Some(format!("{word}, {}: {covers}", percent(report.confidence)))
}

/// Never certain, and never nothing.
fn percent(share: f64) -> String {
    format!("{} %", (share * 100.0).round().clamp(1.0, 99.0))
}

/// `9,120`.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn counted(count: u64, noun: &str) -> String {
    let plural = match (count, noun.strip_suffix('y')) {
        (1, _) => noun.to_owned(),
        (_, Some(stem)) => format!("{stem}ies"),
        (_, None) => format!("{noun}s"),
    };
    format!("{} {plural}", number(count))
}

/// `1.2 MB`, in steps of a thousand.
fn size(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => counted(bytes, "byte"),
    }
}

/// Incidents that are not listed.
pub(super) fn left_out(report: &Report) -> Option<String> {
    (report.left_out > 0).then(|| format!("and {} more", number(report.left_out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes_are_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [1, 999, 1_500, 2_000_000].map(size),
            ["1 byte", "999 bytes", "1.5 kB", "2.0 MB"]
        );
        assert_eq!(size(u64::MAX), "18446744073.7 GB");
    }

    #[test]
    fn nothing_is_certain() {
        assert_eq!([0.0, 0.004, 0.5, 1.0].map(percent), ["1 %", "1 %", "50 %", "99 %"]);
        assert_eq!(percent(f64::NAN), "NaN %");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(time("2026-01-02T03:04:05.678901Z"), "2026-01-02 03:04:05");
        assert_eq!(time("yesterday"), "yesterday");
        assert_eq!(beside("2026-01-02 04:00:00", "2026-01-02 03:00:00"), "04:00:00");
        assert_eq!(beside("2026-01-03 04:00:00", "2026-01-02 03:00:00"), "2026-01-03 04:00:00");
    }

    #[test]
    fn a_headline_joins_a_sentence_and_a_name_stays_a_name() {
        assert_eq!(lower("The worker crashed"), "the worker crashed");
        assert_eq!(lower("TLS was refused"), "TLS was refused");
        assert_eq!(lower(""), "");
    }
}
