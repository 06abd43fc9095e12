//! The report for an issue or a chat.
//!
//! What stands in logs was partly written by strangers, and an issue page acts on what it is given:
//! it mentions people, links, loads pictures. So every word of a sentence that is more than letters
//! becomes code, and every quote and command a block whose fence is longer than any in it.

use super::{Exhibit, Next, Report, Step, words};
use crate::answer::visible;
use crate::doctor::Advice;
use crate::show::{escaped, units};

/// The report as Markdown.
#[must_use]
pub fn render(report: &Report) -> String {
    render_with(report, &[])
}

/// The report, opened by what was left out of the inputs.
#[must_use]
pub fn render_with(report: &Report, left_out: &[String]) -> String {
    let mut page = Page { text: String::new() };
    page.line(&format!("## {}", heading(report)));
    if !left_out.is_empty() {
        page.paragraph(&format!("Left out: {}.", left_out.join("; ")));
    }
    page.gap();
    page.line(&format!("**{}**", prose(&words::verdict(report))));
    page.facts(report);
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
pub fn advice(advice: &[Advice]) -> String {
    let mut page = Page { text: String::new() };
    for it in advice {
        page.gap();
        page.line(&format!("## {}: {}", it.severity.name(), prose(it.cause)));
        page.paragraph(&format!("{}.", it.statement));
        for quote in &it.exhibits {
            page.gap();
            page.line(&format!("{}:", code(&visible(&format!("{}:{}", quote.source, quote.line)))));
            page.block("text", &escaped(&quote.quote));
        }
        for (name, steps) in words::steps(&it.fix) {
            for step in steps {
                page.step(name, step);
            }
        }
    }
    page.text
}

fn heading(report: &Report) -> String {
    let status = report.status.map(|it| format!("{it}: ")).unwrap_or_default();
    match report.verdict {
        super::Verdict::Named => format!("{status}{}", prose(&report.cause)),
        super::Verdict::Either => format!("{status}one of two causes or three"),
        super::Verdict::Unknown => format!("{status}cause not known yet"),
        super::Verdict::NoFailure => "No failure".to_owned(),
    }
}

struct Page {
    text: String,
}

impl Page {
    fn facts(&mut self, report: &Report) {
        let facts = words::facts(report);
        let rows: Vec<Vec<String>> =
            facts.into_iter().map(|(name, text)| vec![name.to_owned(), text]).collect();
        self.table(["what", "here"], &rows);
    }

    fn next(&mut self, next: &[Next]) {
        if next.is_empty() {
            return;
        }
        self.section("To find out");
        for it in next {
            let needs = it.needs.as_ref().map(|it| format!(" (needs {it})")).unwrap_or_default();
            self.paragraph(&format!("On {}{needs}: {}", it.place, it.decides));
            self.block("sh", &it.run);
            self.gap();
            for then in &it.then {
                self.item(&format!("if {}, then {}", then.condition, then.cause));
            }
        }
    }

    fn proof(&mut self, exhibits: &[Exhibit]) {
        if exhibits.is_empty() {
            return;
        }
        self.section("Proof");
        for it in exhibits {
            let against = words::against(it).map(|it| format!("; {it}")).unwrap_or_default();
            // The place is one word, whatever its name.
            self.gap();
            let place = code(&visible(&words::place(it)));
            self.line(&format!("{place}: {}{}", prose(&it.says), prose(&against)));
            self.block("text", &escaped(&it.quote));
        }
    }

    fn path(&mut self, report: &Report) {
        if report.path.is_empty() {
            return;
        }
        self.section("Path, from what was seen to the root");
        self.gap();
        for (at, link) in report.path.iter().enumerate() {
            let text = format!("{}, because {}", link.effect, link.because);
            self.line(&format!("{}. {}", at + 1, prose(&text)));
        }
    }

    fn fix(&mut self, report: &Report) {
        let parts = words::steps(&report.fix);
        if parts.is_empty() {
            return;
        }
        self.section("Fix");
        for (name, steps) in parts {
            for step in steps {
                self.step(name, step);
            }
        }
    }

    fn step(&mut self, name: &str, step: &Step) {
        let note = words::note(step).map(|it| format!(" ({it})")).unwrap_or_default();
        self.gap();
        self.line(&format!("**{name}:** {}{}", prose(&step.text), tail(&note)));
        if let Some(diff) = &step.diff {
            if let Some(file) = &step.file {
                self.gap();
                self.line(&format!("In {}:", code(&visible(file))));
            }
            self.block("diff", diff);
        }
        if let Some(run) = &step.run {
            self.block("sh", run);
        }
    }

    fn rest(&mut self, report: &Report) {
        self.items("Ruled out", &report.rejected, |it| format!("{}: {}", it.cause, it.why));
        if !report.not_looked_at.is_empty() {
            self.section("Not looked at");
            for it in &report.not_looked_at {
                self.paragraph(&format!("{}: {}", it.source, it.why));
                if let Some(run) = &it.run {
                    self.block("sh", run);
                }
            }
        }
        self.items("Other incidents", &report.others, words::other);
        if let Some(more) = words::left_out(report) {
            self.item(&more);
        }
        if !report.read.is_empty() {
            self.section("Read");
            let listed = report.read.iter().take(words::READ);
            let rows: Vec<Vec<String>> =
                listed.map(|it| vec![it.source.clone(), words::read(it)]).collect();
            self.table(["source", "what was read"], &rows);
            if report.read.len() > rows.len() {
                self.paragraph(&format!("and {} more", report.read.len() - rows.len()));
            }
        }
        if let Some(names) = words::to_put_in(report) {
            self.paragraph(&format!("{names}."));
        }
        if let Some(confidence) = words::confidence(report) {
            self.paragraph(&format!("Confidence: {confidence}."));
        }
    }

    fn items<T>(&mut self, name: &str, items: &[T], words: impl Fn(&T) -> String) {
        if items.is_empty() {
            return;
        }
        self.section(name);
        self.gap();
        for it in items {
            self.item(&words(it));
        }
    }

    fn section(&mut self, name: &str) {
        self.gap();
        self.line(&format!("### {name}"));
    }

    fn paragraph(&mut self, text: &str) {
        self.gap();
        self.line(&prose(text));
    }

    fn item(&mut self, text: &str) {
        self.line(&format!("- {}", prose(text)));
    }

    /// A table, where its cells are short and hold nothing that ends a cell; else a list.
    fn table(&mut self, head: [&str; 2], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return;
        }
        self.gap();
        let plain = |it: &String| !it.contains(['|', '\\']) && it.chars().count() <= 90;
        if !rows.iter().flatten().all(plain) {
            for row in rows {
                self.item(&row.join(": "));
            }
            return;
        }
        self.line(&format!("| {} |", head.join(" | ")));
        self.line("|---|---|");
        for row in rows {
            let cells: Vec<String> = row.iter().map(|it| prose(it)).collect();
            self.line(&format!("| {} |", cells.join(" | ")));
        }
    }

    /// A block of code that nothing in it can end.
    fn block(&mut self, language: &str, text: &str) {
        let fence = "`".repeat(longest_run(text).max(2) + 1);
        self.gap();
        self.line(&format!("{fence}{language}"));
        for line in text.lines() {
            self.line(&escaped(line));
        }
        self.line(&fence);
    }

    fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    fn line(&mut self, text: &str) {
        self.text += text.trim_end();
        self.text.push('\n');
    }
}

fn tail(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!(" {}", prose(note)) }
}

/// A sentence in which every word that could mean something to Markdown is code.
fn prose(text: &str) -> String {
    let text = visible(text);
    let words = units(&text).into_iter().enumerate().map(|(at, it)| match starts_a_list(it) {
        true if at == 0 => code(it),
        _ => word(it),
    });
    words.collect::<Vec<String>>().join(" ")
}

/// `1.`, `-`, `---`: where they stand first, they make a list or a line.
fn starts_a_list(word: &str) -> bool {
    let number = word.trim_end_matches(['.', ')']);
    let digits = number.bytes().all(|it| it.is_ascii_digit());
    word.starts_with('-') || digits && number.len() < word.len()
}

/// Punctuation around a word, which means nothing there.
const AROUND: &[char] = &['(', ')', ',', ';', ':', '.', '?', '\''];

fn word(word: &str) -> String {
    let after_start = word.trim_start_matches(AROUND);
    let inner = after_start.trim_end_matches(AROUND);
    let start = &word[..word.len() - after_start.len()];
    let end = &after_start[inner.len()..];
    let quoted = inner.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
    if let Some(inner) = quoted.filter(|it| !it.is_empty() && !it.contains('`')) {
        return format!("{start}{}{end}", code(inner));
    }
    let plain = |it: char| it.is_alphanumeric() || matches!(it, '-' | '\'' | ',' | '.' | '%' | ';');
    let name = inner.bytes().any(|it| !it.is_ascii_digit() && !b".:".contains(&it));
    let dotted = inner.contains('.') && name;
    let time = !name && inner.contains(':') && inner.bytes().all(|it| it != b'.');
    let issue = inner.get(..3).is_some_and(|it| it.eq_ignore_ascii_case("gh-"));
    match (inner.chars().all(plain) || time) && !dotted && !issue && !start.contains(':') {
        true => word.to_owned(),
        // An opening colon belongs to what it opens: `::1`.
        false if start.ends_with(':') => code(word),
        false => format!("{start}{}{end}", code(inner)),
    }
}

/// A span of code that nothing in it can end.
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for it in text.bytes() {
        run = if it == b'`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(prose(text), want, "{text}");
    }

    #[test]
    fn sentences_stay_sentences() {
        check(
            "gunicorn closed it, as nginx reused it (2 s).",
            "gunicorn closed it, as nginx reused it (2 s).",
        );
        check("412 of 9,120 requests, 99.8 % of them", "412 of 9,120 requests, 99.8 % of them");
        check("", "");
    }

    #[test]
    fn names_and_addresses_are_code() {
        check("worker_crashed at 127.0.0.1:8000", "`worker_crashed` at `127.0.0.1:8000`");
        check("run `ss -ltnp` (as root)", "run `ss -ltnp` (as root)");
        check("::1 and [::1]:80", "`::1` and `[::1]:80`");
    }

    #[test]
    fn nobody_is_mentioned_and_nothing_is_linked() {
        check("@all see #12", "`@all` see `#12`");
        check("https://example.com/x www.example.com", "`https://example.com/x` `www.example.com`");
        check("[x](https://example.com)", "`[x](https://example.com`)");
        check("<img src=x>", "`<img` `src=x>`");
        check("GH-12 a/b#3 **x** _y_ ~~z~~", "`GH-12` `a/b#3` `**x**` `_y_` `~~z~~`");
        check("1. - > # x", "`1.` - `>` `#` x");
        check("--- x", "`---` x");
        check("at 03:04:05 (14)", "at 03:04:05 (14)");
        check("a `b ``c", "a ``` `b ``c ```");
    }

    #[test]
    fn no_fence_is_ended_from_inside() {
        let mut page = Page { text: String::new() };
        page.block("text", "```\n<b>\n`````");
        assert_eq!(page.text, "``````text\n```\n<b>\n`````\n``````\n");
    }
}
