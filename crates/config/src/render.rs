//! Complaints as people read them: the line, a mark under the place, and what to do.

use crate::complaint::{Complaint, Complaints, Lines, Severity};
use std::fmt::Write;
use std::ops::Range;
use unicode_width::UnicodeWidthChar;

/// Bytes of a line that are shown; the rest of a longer one is left out on both sides.
const WIDTH: usize = 120;
const TAB: usize = 4;

pub(crate) fn render(all: &Complaints, file_name: &str, text: &str, colour: bool) -> String {
    let paint = Paint { colour };
    let lines = Lines::of(text);
    let mut out = headline(all, file_name, paint);
    for it in all.iter() {
        out.push('\n');
        one(&mut out, it, file_name, &lines, paint);
    }
    if all.left_out() > 0 {
        line(&mut out, format_args!("\n  and {} more", all.left_out()));
    }
    out
}

fn headline(all: &Complaints, file_name: &str, paint: Paint) -> String {
    if all.has_errors() {
        return format!("{}: {file_name} is not valid\n", paint.severity(Severity::Error, "error"));
    }
    let warning = paint.severity(Severity::Warning, "warning");
    format!("{warning}: {file_name} is valid, but probably not what you want\n")
}

fn one(out: &mut String, it: &Complaint, file_name: &str, lines: &Lines<'_>, paint: Paint) {
    let sign = match it.severity {
        Severity::Error => "×",
        Severity::Warning => "⚠",
    };
    line(out, format_args!("  {} {}", paint.severity(it.severity, sign), it.message));
    match &it.span {
        Some(span) => snippet(out, it, span, file_name, lines, paint),
        None => line(out, format_args!("    [{}]", it.code)),
    }
    if let Some(help) = &it.help {
        line(out, format_args!("  {}: {help}", paint.help("help")));
    }
}

fn snippet(
    out: &mut String,
    it: &Complaint,
    span: &Range<usize>,
    file_name: &str,
    lines: &Lines<'_>,
    paint: Paint,
) {
    let (number, column) = lines.place(span.start);
    let (start, text) = lines.line(number);
    let view = View::of(text, span.start - start, span.end.max(span.start) - start);
    let digits = number.to_string().len();
    let gap = " ".repeat(digits);
    line(out, format_args!(" {gap} ╭─[{file_name}:{number}:{column}]  [{}]", it.code));
    if number > 1 {
        let before = View::of(lines.line(number - 1).1, 0, 0).text;
        if !before.trim().is_empty() {
            line(out, format_args!(" {:>digits$} │ {before}", number - 1));
        }
    }
    line(out, format_args!(" {number} │ {}", view.text));
    underline(out, it, &view, &gap, paint);
    line(out, format_args!(" {gap} ╰────"));
}

/// The mark, and below its middle the label.
fn underline(out: &mut String, it: &Complaint, view: &View, gap: &str, paint: Paint) {
    let before = " ".repeat(view.before);
    let Some(label) = &it.label else {
        let mark = paint.severity(it.severity, &"─".repeat(view.marked));
        return line(out, format_args!(" {gap} · {before}{mark}"));
    };
    let left = (view.marked - 1) / 2;
    let mark = format!("{}┬{}", "─".repeat(left), "─".repeat(view.marked - 1 - left));
    line(out, format_args!(" {gap} · {before}{}", paint.severity(it.severity, &mark)));
    let hook = format!("{}╰── {label}", " ".repeat(left));
    line(out, format_args!(" {gap} · {before}{}", paint.severity(it.severity, &hook)));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

/// A line as a terminal shows it: tabs widened, control characters replaced, long ends cut.
struct View {
    text: String,
    /// Columns before the mark.
    before: usize,
    /// Columns of the mark, at least one.
    marked: usize,
}

impl View {
    /// `from` and `to` are bytes of the line; what lies beyond its end is not marked.
    fn of(line: &str, from: usize, to: usize) -> Self {
        let window = window(line, from);
        let mut text = String::from(if window.start > 0 { "…" } else { "" });
        let mut columns = text.chars().count();
        let (mut before, mut until) = (None, None);
        for (byte, it) in line[window.clone()].char_indices() {
            let byte = window.start + byte;
            before = before.or((byte >= from).then_some(columns));
            until = until.or((byte >= to).then_some(columns));
            let cell = cell(it, columns);
            columns += width(&cell);
            text.push_str(&cell);
        }
        let before = before.unwrap_or(columns);
        let marked = until.unwrap_or(columns).saturating_sub(before).max(1);
        text.truncate(text.trim_end().len());
        if window.end < line.len() {
            text.push('…');
        }
        Self { text, before, marked }
    }
}

/// The bytes of a line that are shown.
fn window(line: &str, from: usize) -> Range<usize> {
    if line.len() <= WIDTH {
        return 0..line.len();
    }
    let start = line.floor_char_boundary(from.saturating_sub(WIDTH / 3));
    start..line.floor_char_boundary(start + WIDTH)
}

fn cell(it: char, column: usize) -> String {
    match it {
        '\t' => " ".repeat(TAB - column % TAB),
        it if it.is_control() => "\u{fffd}".to_owned(),
        it => it.to_string(),
    }
}

fn width(cell: &str) -> usize {
    cell.chars().map(|it| it.width().unwrap_or(0)).sum()
}

#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn severity(self, severity: Severity, text: &str) -> String {
        match severity {
            Severity::Error => self.with("1;31", text),
            Severity::Warning => self.with("1;33", text),
        }
    }

    fn help(self, text: &str) -> String {
        self.with("36", text)
    }

    fn with(self, style: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// What was typed, made fit for a message: no control characters, not endless.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut short: String = text.chars().take(MOST).flat_map(visible).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

fn visible(it: char) -> impl Iterator<Item = char> {
    let escaped = it.is_control().then(|| it.escape_default());
    let plain = (!it.is_control()).then_some(it);
    escaped.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mark of the first `needle` must stand under it.
    fn check(text: &str, needle: &str, expected: &str) {
        let start = text.find(needle).unwrap();
        let complaint = Complaint::error("code", "message").at(start..start + needle.len());
        let rendered = render(&Complaints::from(vec![complaint]), "f", text, false);
        let drawn: Vec<&str> = rendered.lines().filter(|it| it.contains(['│', '·'])).collect();
        assert_eq!(drawn.join("\n"), expected, "{text:?}");
    }

    #[test]
    fn the_mark_stands_under_the_place() {
        check("a = 1", "1", " 1 │ a = 1\n   ·     ─");
        check("x = 2\na = 10\n", "10", " 1 │ x = 2\n 2 │ a = 10\n   ·     ──");
        check("é = \"日本\" # x", "#", " 1 │ é = \"日本\" # x\n   ·            ─");
        check("\ta = 1", "a", " 1 │     a = 1\n   ·     ─");
        check("ab\t= 1", "=", " 1 │ ab  = 1\n   ·     ─");
        check("a = \"\"\"x\ny\"\"\"", "\"\"\"x\ny", " 1 │ a = \"\"\"x\n   ·     ────");
        check("a = \u{1b}[1m", "[", " 1 │ a = \u{fffd}[1m\n   ·      ─");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        let view = View::of(&text, 500, 504);
        assert!(view.text.chars().count() <= WIDTH + 2);
        let under: String = view.text.chars().skip(view.before).take(view.marked).collect();
        assert_eq!(under, "HERE");
    }

    #[test]
    fn a_label_hangs_from_the_middle_of_the_mark() {
        let complaint = Complaint::error("c", "m").at(0..8).label("did you mean `timeout`?");
        let rendered = render(&Complaints::from(vec![complaint]), "f", "time_out = 1", false);
        assert!(rendered.contains("   · ───┬────\n   ·    ╰── did you mean"), "{rendered}");
    }

    #[test]
    fn what_was_typed_cannot_steer_the_terminal() {
        assert_eq!(shown("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n");
        assert_eq!(shown(&"x".repeat(81)).chars().count(), 81);
    }
}
