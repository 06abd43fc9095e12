//! The report for a terminal or a mail: what people forward.

use super::{Exhibit, Next, Report, Step, words};
use crate::answer::visible;
use crate::doctor::{Advice, Severity};
use crate::show::{escaped, wrap};

/// The widest line. Commands and quotes are never broken: half a command does harm.
pub const WIDTH: usize = 100;
/// Where the text beside the name of a fact begins.
const FACTS: usize = 12;

/// The report as plain text, or with colours for a terminal.
#[must_use]
pub fn render(report: &Report, colour: bool) -> String {
    render_with(report, &[], colour)
}

/// The report, opened by what was left out of the inputs.
#[must_use]
pub fn render_with(report: &Report, left_out: &[String], colour: bool) -> String {
    let mut page = Page { text: String::new(), colour };
    if !left_out.is_empty() {
        page.prose("", "", &format!("Left out: {}.", left_out.join("; ")), Paint::Faint);
        page.text.push('\n');
    }
    page.verdict(report);
    if words::is_open(report) {
        page.next(&report.next);
    }
    page.proof(&report.evidence);
    page.path(report);
    page.fix(report);
    if !words::is_open(report) {
        page.next(&report.next);
    }
    page.rest(report);
    page.text
}

/// What the doctor found, the worst first.
#[must_use]
pub fn advice(advice: &[Advice], colour: bool) -> String {
    let mut page = Page { text: String::new(), colour };
    for it in advice {
        page.advice(it);
    }
    page.text
}

/// What a piece of text is, for the eye.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paint {
    Plain,
    Bold,
    Faint,
    Failure,
    Good,
    Command,
}

struct Page {
    text: String,
    colour: bool,
}

impl Page {
    fn verdict(&mut self, report: &Report) {
        let paint = match report.verdict {
            super::Verdict::NoFailure => Paint::Good,
            _ => Paint::Failure,
        };
        let sentence = visible(&words::verdict(report));
        // The opening is short, and its colon stands in the first line.
        let opening = sentence.find(": ").filter(|it| *it < WIDTH).unwrap_or(0);
        for (at, line) in wrap(&sentence, WIDTH - 2).iter().enumerate() {
            match line.split_at_checked(opening).filter(|_| at == 0) {
                Some((opening, rest)) => self.line("", &[(opening, paint), (rest, Paint::Bold)]),
                None => self.line("  ", &[(line, Paint::Bold)]),
            }
        }
        for (name, text) in words::facts(report) {
            self.fact(name, &text);
        }
    }

    fn advice(&mut self, it: &Advice) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let paint = if it.severity == Severity::Hint { Paint::Bold } else { Paint::Failure };
        let opening = format!("{} {}:", it.severity.name(), it.cause);
        let sentence = format!("{opening} {}", visible(&it.statement));
        for (at, line) in wrap(&sentence, WIDTH - 2).iter().enumerate() {
            match line.strip_prefix(&*opening).filter(|_| at == 0) {
                Some(rest) => self.line("", &[(&opening, paint), (rest, Paint::Plain)]),
                None => self.line("  ", &[(line, Paint::Plain)]),
            }
        }
        for quote in &it.exhibits {
            self.quote(&format!("{}:{}", quote.source, quote.line), &quote.quote);
        }
        for (_, steps) in words::steps(&it.fix) {
            for step in steps {
                self.step(step);
            }
        }
    }

    fn fact(&mut self, name: &str, text: &str) {
        let mut name = format!("{name:<width$}", width = FACTS - 2);
        for line in wrap(&visible(text), WIDTH - FACTS) {
            self.line("  ", &[(&name, Paint::Faint), (&line, Paint::Plain)]);
            name = " ".repeat(FACTS - 2);
        }
    }

    fn next(&mut self, next: &[Next]) {
        if next.is_empty() {
            return;
        }
        self.heading("To find out");
        for it in next {
            let needs = it.needs.as_ref().map(|it| format!(" (needs {it})")).unwrap_or_default();
            let text = format!("On {}{needs}: {}", it.place, it.decides);
            self.prose("  ", "  ", &text, Paint::Plain);
            self.command("    ", &it.run);
            for then in &it.then {
                let text = format!("if {}, then {}", then.condition, then.cause);
                self.prose("    ", "      ", &text, Paint::Plain);
            }
        }
    }

    fn proof(&mut self, exhibits: &[Exhibit]) {
        if exhibits.is_empty() {
            return;
        }
        self.heading("Proof");
        for it in exhibits {
            self.quote(&words::place(it), &it.quote);
            for text in [Some(it.says.clone()), words::against(it)].into_iter().flatten() {
                self.prose("      ", "      ", &text, Paint::Faint);
            }
        }
    }

    /// A quote beside its place, or below it where both are too long for a line.
    fn quote(&mut self, place: &str, quote: &str) {
        let (place, quote) = (visible(place), escaped(quote));
        match place.chars().count() + quote.chars().count() + 4 <= WIDTH {
            true => self.line(
                "  ",
                &[(&place, Paint::Faint), ("  ", Paint::Plain), (&quote, Paint::Plain)],
            ),
            false => {
                self.line("  ", &[(&place, Paint::Faint)]);
                self.line("    ", &[(&quote, Paint::Plain)]);
            }
        }
    }

    fn path(&mut self, report: &Report) {
        if report.path.is_empty() {
            return;
        }
        self.heading("Path, from what was seen to the root");
        for (at, link) in report.path.iter().enumerate() {
            let proof = |id: &String| report.evidence.iter().find(|it| it.id == *id);
            let places: Vec<String> =
                link.evidence.iter().filter_map(proof).map(words::place).collect();
            let places =
                if places.is_empty() { String::new() } else { format!(" [{}]", places.join(", ")) };
            let text = format!("{}, because {}{places}", link.effect, link.because);
            self.prose(&format!("  {}. ", at + 1), "     ", &text, Paint::Plain);
        }
    }

    fn fix(&mut self, report: &Report) {
        let parts = words::steps(&report.fix);
        if parts.is_empty() {
            return;
        }
        self.heading("Fix");
        for (name, steps) in parts {
            self.line("  ", &[(name, Paint::Bold)]);
            for step in steps {
                self.step(step);
            }
        }
    }

    fn step(&mut self, step: &Step) {
        self.prose("  - ", "    ", &step.text, Paint::Plain);
        if let Some(note) = words::note(step) {
            self.prose("    ", "    ", &format!("({note})"), Paint::Faint);
        }
        if let Some(file) = &step.file {
            self.line("      ", &[(&visible(file), Paint::Faint)]);
        }
        for line in step.diff.iter().flat_map(|it| it.lines()) {
            let paint = match line.as_bytes().first() {
                Some(b'-') => Paint::Failure,
                Some(b'+') => Paint::Good,
                _ => Paint::Plain,
            };
            self.line("      ", &[(&escaped(line), paint)]);
        }
        if let Some(run) = &step.run {
            self.command("      ", run);
        }
    }

    /// What is for those who want to know more.
    fn rest(&mut self, report: &Report) {
        self.section("Ruled out", &report.rejected, |page, it| {
            page.prose("  ", "      ", &format!("{}: {}", it.cause, it.why), Paint::Plain);
        });
        self.section("Not looked at", &report.not_looked_at, |page, it| {
            page.prose("  ", "      ", &format!("{}: {}", it.source, it.why), Paint::Plain);
            if let Some(run) = &it.run {
                page.command("      ", run);
            }
        });
        self.section("Other incidents", &report.others, |page, it| {
            page.prose("  ", "      ", &words::other(it), Paint::Plain);
        });
        if let Some(more) = words::left_out(report) {
            self.prose("  ", "  ", &more, Paint::Plain);
        }
        let listed = &report.read[..report.read.len().min(words::READ)];
        self.section("Read", listed, |page, it| {
            let text = format!("{}: {}", it.source, words::read(it));
            page.prose("  ", "      ", &text, Paint::Faint);
        });
        if report.read.len() > listed.len() {
            let more = format!("and {} more", report.read.len() - listed.len());
            self.prose("  ", "  ", &more, Paint::Faint);
        }
        if let Some(names) = words::to_put_in(report) {
            self.text.push('\n');
            self.prose("", "  ", &names, Paint::Plain);
        }
        if let Some(confidence) = words::confidence(report) {
            self.text.push('\n');
            self.prose("", "  ", &format!("Confidence: {confidence}"), Paint::Plain);
        }
    }

    fn section<T>(&mut self, name: &str, items: &[T], mut show: impl FnMut(&mut Page, &T)) {
        if items.is_empty() {
            return;
        }
        self.heading(name);
        for it in items {
            show(self, it);
        }
    }

    fn heading(&mut self, name: &str) {
        self.text.push('\n');
        self.line("", &[(name, Paint::Bold)]);
    }

    /// Sentences, broken between words.
    fn prose(&mut self, first: &str, indent: &str, text: &str, paint: Paint) {
        let columns = WIDTH - first.len().max(indent.len());
        for (at, line) in wrap(&visible(text), columns).iter().enumerate() {
            self.line(if at == 0 { first } else { indent }, &[(line, paint)]);
        }
    }

    /// A command, whole; the further lines of a long one are marked as a shell marks them.
    fn command(&mut self, indent: &str, run: &str) {
        for (at, line) in run.lines().enumerate() {
            let prompt = if at == 0 { "$ " } else { "> " };
            self.line(indent, &[(prompt, Paint::Faint), (&escaped(line), Paint::Command)]);
        }
    }

    fn line(&mut self, indent: &str, pieces: &[(&str, Paint)]) {
        self.text.push_str(indent);
        for (text, paint) in pieces {
            self.paint(text, *paint);
        }
        // Nothing but colour ends in a space.
        let end = self.text.trim_end_matches(' ').len();
        self.text.truncate(end);
        self.text.push('\n');
    }

    fn paint(&mut self, text: &str, paint: Paint) {
        let code = match paint {
            Paint::Plain => "",
            Paint::Bold => "1",
            Paint::Faint => "2",
            Paint::Failure => "1;31",
            Paint::Good => "1;32",
            Paint::Command => "36",
        };
        match self.colour && !code.is_empty() && !text.trim().is_empty() {
            true => self.text += &format!("\x1b[{code}m{text}\x1b[0m"),
            false => self.text += text,
        }
    }
}
