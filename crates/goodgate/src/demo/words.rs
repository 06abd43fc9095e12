//! The tour in words: what others say, and what Goodgate says.

use super::targets::{Others, Target, method};
use super::tour::{Fix, Report, Seen};
use crate::output::{Output, count};
use lab::client::Answer;

/// Columns of the whole block, and of what stands left of the text.
const WIDTH: usize = 100;
const INDENT: usize = 12;

pub(super) fn opening(targets: &[Target]) -> String {
    let bad = targets.iter().filter(|it| it.others != Others::Fine).count();
    format!(
        "\n{} that misbehave, and one that does not. Each is asked through the gateway now;\n\
         `others` is what nginx answers in the same situation.\n\n",
        count(bad, "target")
    )
}

pub(super) fn block(target: &Target, seen: &Seen, output: &Output) -> String {
    let name = output.bold(&target.path());
    let mut text = format!("{name}  {}\n", target.does());
    if 1 < seen.answers.len() {
        text += &row("asked", &asked(target, seen));
    }
    text += &row("others", &output.faint(target.others.words()));
    text += &row("Goodgate", &outcome(seen, output));
    if let Some(report) = &seen.report {
        text += &explained(report, output);
    }
    if !seen.is_expected(target) {
        text += &row("", &output.red("this is not what was expected here"));
    }
    text + "\n"
}

/// Each request and its status: `POST 200, 0.7 s later POST 502`.
fn asked(target: &Target, seen: &Seen) -> String {
    let steps = target.expects().iter().zip(&seen.answers).map(|(expect, answer)| {
        let pause = expect.pause.as_secs_f64();
        let later = if pause > 0.0 { format!("{pause} s later ") } else { String::new() };
        format!("{later}{} {}", method(expect.ask), status(answer))
    });
    steps.collect::<Vec<_>>().join(", ")
}

fn outcome(seen: &Seen, output: &Output) -> String {
    let took = output.faint(&format!("after {:.1} ms", seen.took.as_secs_f64() * 1e3));
    let Some(last) = seen.answers.last() else { return took };
    let status = status(last);
    match &seen.report {
        Some(report) if last.cut() => {
            let cut = format!("{status}, cut {took}; its report says");
            format!("{cut} {}", output.red(&report.cause))
        }
        Some(report) => format!("{} {took}", output.red(&format!("{status} {}", report.cause))),
        None if last.status == Some(200) => format!("{} {took}", output.green("200 OK")),
        None => format!("{} {took}", output.red(&status)),
    }
}

fn status(answer: &Answer) -> String {
    answer.status.map_or_else(|| "no answer".to_owned(), |it| it.to_string())
}

fn explained(report: &Report, output: &Output) -> String {
    let mut text = String::new();
    for line in wrapped(&sentence(&report.detail)) {
        text += &row("", &line);
    }
    match report.fix.now.first() {
        Some(fix) => text + &first_fix(fix, output),
        None => text,
    }
}

fn first_fix(fix: &Fix, output: &Output) -> String {
    let mut text = String::new();
    for (at, line) in wrapped(&sentence(&fix.text)).iter().enumerate() {
        text += &row(if at == 0 { "fix" } else { "" }, line);
    }
    for line in fix.run.iter().flat_map(|it| continued(it)) {
        text += &row("", &output.code(&line));
    }
    text
}

fn row(label: &str, text: &str) -> String {
    let mut row = format!("  {label:<width$}{text}", width = INDENT - 2);
    row.truncate(row.trim_end().len());
    row + "\n"
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    let first = letters.next().map(|it| it.to_uppercase().collect::<String>());
    first.map_or_else(String::new, |first| format!("{first}{}.", letters.as_str()))
}

/// Lines that fit right of the indent, broken between words.
fn wrapped(text: &str) -> Vec<String> {
    filled(text.split_whitespace(), WIDTH - INDENT)
}

/// A command over as many lines as it takes, still one command when it is copied.
fn continued(command: &str) -> Vec<String> {
    const MORE: &str = " \\";
    let mut lines = filled(shell_words(command), WIDTH - INDENT - MORE.len());
    let last = lines.len().saturating_sub(1);
    for line in &mut lines[..last] {
        *line += MORE;
    }
    lines
}

fn filled<'a>(words: impl IntoIterator<Item = &'a str>, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                *line += " ";
                *line += word;
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Split at spaces outside quotes.
fn shell_words(command: &str) -> Vec<&str> {
    let mut quote = None;
    let ends = |it: char| {
        match quote {
            None if matches!(it, '\'' | '"') => quote = Some(it),
            Some(open) if open == it => quote = None,
            _ => {}
        }
        it == ' ' && quote.is_none()
    };
    command.split(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_only_where_they_must() {
        let text = "word ".repeat(40);
        let lines = wrapped(&text);
        assert!(lines.iter().all(|it| it.len() <= WIDTH - INDENT), "{lines:?}");
        assert_eq!(lines.len(), 3);
        assert_eq!(lines.join(" "), text.trim_end());
        assert_eq!(wrapped(&"x".repeat(200)).len(), 1);
        assert_eq!(wrapped(""), Vec::<String>::new());
    }

    #[test]
    fn a_long_command_goes_on_in_the_next_line_but_not_inside_quotes() {
        let pattern = format!("'{}'", "a b ".repeat(20));
        let command = format!("journalctl --since @1 --grep {pattern}");
        let first = "journalctl --since @1 --grep \\".to_owned();
        assert_eq!(continued(&command), [first, pattern]);
        assert_eq!(continued("ss -ltn"), ["ss -ltn"]);
    }

    #[test]
    fn a_statement_becomes_a_sentence() {
        assert_eq!(sentence("nothing listens"), "Nothing listens.");
        assert_eq!(sentence("Start it."), "Start it.");
        assert_eq!(sentence(""), "");
    }
}
