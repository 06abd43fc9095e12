//! `docs/guide/`, and the example in the README: what `goodgate why` and `goodgate doctor` say of
//! the inputs that a page opens with.
//!
//! A page names its inputs in a comment, and what stands from there to `<!-- end -->` is written
//! here. The files are in `docs/guide/inputs/`, in a folder with the name of the page:
//!
//! ```text
//! <!-- why: error.log gunicorn.log -->
//! <!-- verdict: error.log -->
//! <!-- paste: line.txt -->
//! <!-- pipe: compose.log from docker compose logs -->
//! <!-- doctor: nginx.conf gunicorn.conf.py -->
//! ```

use super::Page;
use crate::run;
use anyhow::{Context, Result, bail};
use diagnosis::report::text;
use diagnosis::why::{Question, why};
use diagnosis::{doctor, report::Report};
use evidence::{Arrival, Testimony};
use std::fs;
use std::path::Path;

const FOLDER: &str = "docs/guide";
const INPUTS: &str = "docs/guide/inputs";
const END: &str = "<!-- end -->";
/// Times without a year are taken for times of this one, so that pages do not age.
const YEAR: i32 = 2026;

/// The names that inputs have where they are not files, as the command gives them.
const PASTED: &str = "pasted text";
const PIPED: &str = "standard input";

pub(super) fn pages() -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    for name in names(FOLDER)? {
        let Some(stem) = name.strip_suffix(".md") else { continue };
        let path = format!("{FOLDER}/{name}");
        let old = read(&path)?;
        let text = fill(&old, stem).with_context(|| format!("cannot write {path}"))?;
        pages.push(Page { path, text });
    }
    Ok(pages)
}

/// The page with what stands behind each marker exchanged. `folder`: where its inputs are.
pub(super) fn fill(page: &str, folder: &str) -> Result<String> {
    fill_with(page, &|name| read(&format!("{INPUTS}/{folder}/{name}")))
}

fn fill_with(page: &str, load: &dyn Fn(&str) -> Result<String>) -> Result<String> {
    let mut text = String::with_capacity(page.len());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        text += line;
        text.push('\n');
        let Some(order) = Order::read(line) else { continue };
        if !lines.by_ref().any(|it| it == END) {
            bail!("no `{END}` follows `{line}`");
        }
        text += &order.show(load).with_context(|| format!("cannot do `{line}`"))?;
        text += END;
        text.push('\n');
    }
    Ok(text)
}

/// What a marker asks for.
struct Order<'a> {
    way: Way<'a>,
    files: Vec<&'a str>,
}

enum Way<'a> {
    Files,
    /// Files too, and only what the answer opens with.
    Verdict,
    Paste,
    /// The command whose output is piped.
    Pipe(&'a str),
    Doctor,
}

impl<'a> Order<'a> {
    fn read(line: &'a str) -> Option<Order<'a>> {
        let inside = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
        let (word, rest) = inside.split_once(": ")?;
        let (files, way) = match word {
            "why" => (rest, Way::Files),
            "verdict" => (rest, Way::Verdict),
            "paste" => (rest, Way::Paste),
            "doctor" => (rest, Way::Doctor),
            "pipe" => {
                let (file, command) = rest.split_once(" from ")?;
                (file, Way::Pipe(command))
            }
            _ => return None,
        };
        Some(Order { way, files: files.split(' ').collect() })
    }

    /// The inputs and the answer, as they would stand in a terminal.
    fn show(&self, load: &dyn Fn(&str) -> Result<String>) -> Result<String> {
        let mut inputs = Vec::new();
        for name in &self.files {
            inputs.push((*name, load(name)?));
        }
        let names = self.files.join(" ");
        let (files, answer) = match &self.way {
            Way::Files => (cat(&inputs), said(&inputs, Arrival::File)),
            Way::Verdict => (cat(&inputs), opening(&said(&inputs, Arrival::File))),
            Way::Doctor => (cat(&inputs), advice(&inputs)),
            Way::Paste => (String::new(), said(&renamed(&inputs, PASTED), Arrival::Stream)),
            Way::Pipe(_) => (String::new(), said(&renamed(&inputs, PIPED), Arrival::Stream)),
        };
        let command = match &self.way {
            Way::Files | Way::Verdict => format!("$ goodgate why {names}\n"),
            Way::Doctor => format!("$ goodgate doctor {names}\n"),
            Way::Paste => format!("$ goodgate why '{}'\n", all(&inputs).trim_end()),
            Way::Pipe(from) => {
                format!("$ {from}\n{}$ {from} | goodgate why\n", all(&inputs))
            }
        };
        if matches!(self.way, Way::Paste) && command.matches('\'').count() > 2 {
            bail!("a quote would end the pasted text");
        }
        let shown = format!("{files}{command}{answer}");
        if shown.contains("```") {
            bail!("an input holds a fence, which would end the example");
        }
        Ok(format!("```console\n{shown}```\n"))
    }
}

fn renamed<'a>(inputs: &[(&'a str, String)], name: &'a str) -> Vec<(&'a str, String)> {
    vec![(name, all(inputs))]
}

fn all(inputs: &[(&str, String)]) -> String {
    inputs.iter().map(|(_, text)| text.as_str()).collect()
}

fn cat(inputs: &[(&str, String)]) -> String {
    inputs.iter().map(|(name, text)| format!("$ cat {name}\n{text}\n")).collect()
}

fn testimony(inputs: &[(&str, String)], arrival: Arrival) -> Testimony {
    let inputs: Vec<(&str, &str)> = inputs.iter().map(|(name, it)| (*name, it.as_str())).collect();
    Testimony::of(&inputs, arrival, YEAR)
}

fn said(inputs: &[(&str, String)], arrival: Arrival) -> String {
    let report: Report = why(&testimony(inputs, arrival), &Question::default());
    text::render(&report, false)
}

/// The answer up to its first empty line.
fn opening(answer: &str) -> String {
    match answer.split_once("\n\n") {
        Some((opening, _)) => format!("{opening}\n...\n"),
        None => answer.to_owned(),
    }
}

fn advice(inputs: &[(&str, String)]) -> String {
    text::advice(&doctor::examine(&testimony(inputs, Arrival::File)), false)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(run::root().join(path)).with_context(|| format!("cannot read {path}"))
}

/// What stands in a folder, by name.
fn names(folder: &str) -> Result<Vec<String>> {
    let path: &Path = &run::root().join(folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("cannot list {folder}"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "2026/11/20 10:30:15 [error] 7#7: *5 connect() failed (111: Connection \
                           refused) while connecting to upstream, client: 192.0.2.9, server: x, \
                           request: \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:8000/\"\n";

    fn filled(page: &str) -> Result<String> {
        fill_with(page, &|_| Ok(REFUSED.to_owned()))
    }

    #[test]
    fn an_answer_stands_between_its_marker_and_the_end() {
        let page = filled("# A\n<!-- why: error.log -->\nold\n<!-- end -->\nafter\n").unwrap();
        assert!(page.starts_with("# A\n<!-- why: error.log -->\n```console\n$ cat error.log\n"));
        assert!(page.contains("\n$ goodgate why error.log\n502 from nginx: "), "{page}");
        assert!(page.ends_with("```\n<!-- end -->\nafter\n") && !page.contains("old"));
        assert_eq!(filled(&page).unwrap(), page);
    }

    #[test]
    fn pipes_and_pastes_are_named_as_the_command_names_them() {
        let page = filled("<!-- pipe: a.log from docker logs web -->\n<!-- end -->\n").unwrap();
        assert!(page.contains("$ docker logs web | goodgate why\n") && page.contains(PIPED));
        let page = filled("<!-- paste: a.txt -->\n<!-- end -->\n").unwrap();
        assert!(page.contains("$ goodgate why '2026/11/20") && page.contains(PASTED));
    }

    #[test]
    fn a_verdict_is_what_the_answer_opens_with() {
        let page = filled("<!-- verdict: error.log -->\n<!-- end -->\n").unwrap();
        assert!(page.contains("502 from nginx: ") && !page.contains("\nProof\n"), "{page}");
        assert!(page.ends_with("\n...\n```\n<!-- end -->\n"));
    }

    #[test]
    fn other_comments_stay_and_a_marker_without_an_end_is_a_complaint() {
        let page = "<!-- features: by hand -->\ntext\n";
        assert_eq!(filled(page).unwrap(), page);
        assert!(filled("<!-- why: error.log -->\ntext\n").is_err());
    }
}
