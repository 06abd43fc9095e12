//! `goodgate doctor`: what configurations of other gateways and app servers will do wrong.

use crate::output::{Output, count};
use crate::problem::Failure;
use clap::ValueEnum;
use diagnosis::doctor::{Advice, MAX_ADVICE, Severity, examine};
use diagnosis::report::{markdown, text};
use evidence::{Arrival, CONFIGS, Ledger, Origin, Shape, Testimony};
use serde::Serialize;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Find what will fail in the configuration of another gateway
///
/// Reads nginx, HAProxy, Gunicorn, compose files and the like, all together: what one file dials,
/// another one must serve.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Files and folders to read; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// End with 1 for risks too
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// For an issue or a chat
    Md,
}

/// The largest text that is a configuration.
const MAX_BYTES: u64 = 4 << 20;
/// Files of one folder beyond this are not read, nor are folders that lie deeper.
const MAX_FILES: usize = 1000;
const MAX_DEPTH: usize = 8;
/// Times play no part in a configuration.
const YEAR: i32 = 2000;

/// What `--format json` prints.
#[derive(Serialize)]
struct Findings<'a> {
    advice: &'a [Advice],
    /// More may have been found than is listed.
    cut: bool,
    read: &'a [Input],
}

/// A file, and what it was recognised as.
#[derive(Serialize)]
struct Input {
    source: String,
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let mut room = Room::default();
    for path in &arguments.files {
        room.take(path)?;
    }
    let advice = examine(&room.testimony);
    match arguments.format {
        Format::Text => {
            let found = text::advice(&advice, output.result_colour());
            output.text(&format!("{found}{}", summary(&advice, &room.inputs, output)))?;
        }
        Format::Md => {
            let found = markdown::advice(&advice);
            let found = if found.is_empty() { "Nothing was found.\n".to_owned() } else { found };
            output.text(&found)?;
        }
        Format::Json => output.json(&Findings {
            advice: &advice,
            cut: advice.len() >= MAX_ADVICE,
            read: &room.inputs,
        })?,
    }
    if room.inputs.iter().all(|it| it.format.is_none()) {
        let known: Vec<&str> = CONFIGS.iter().map(|it| it.name).collect();
        let hint = format!("known are: {}", known.join(", "));
        output.failure("none of this is a configuration that is known", Some(&hint));
        return Err(Failure::Shown { exit: 4 });
    }
    let worst = if arguments.strict { Severity::Risk } else { Severity::Breaks };
    match advice.iter().any(|it| it.severity <= worst) {
        true => Err(Failure::Shown { exit: 1 }),
        false => Ok(()),
    }
}

/// What was found in numbers, and what was read.
fn summary(advice: &[Advice], inputs: &[Input], output: &Output) -> String {
    let gap = if advice.is_empty() { "" } else { "\n" };
    let named = [(Severity::Breaks, "break"), (Severity::Risk, "risk"), (Severity::Hint, "hint")];
    let numbers = named
        .map(|(severity, name)| (advice.iter().filter(|it| it.severity == severity).count(), name));
    let counts =
        numbers.into_iter().filter(|it| it.0 > 0).map(|(number, name)| count(number, name));
    let counts: Vec<String> = counts.collect();
    let found = match counts.is_empty() {
        true => output.green("nothing was found"),
        false => output.bold(&counts.join(", ")),
    };
    let mut text = format!("{gap}{found}\n");
    let (known, other): (Vec<_>, Vec<_>) = inputs.iter().partition(|it| it.format.is_some());
    for it in known.iter().chain(other.iter().take(MAX_LISTED)) {
        let what = it.note.as_deref().or(it.format).unwrap_or("no configuration that is known");
        let line = format!("  {}: {what}", visible(&it.source));
        text += &format!("{}\n", output.faint(&line));
    }
    if other.len() > MAX_LISTED {
        let more = format!("  and {} more that are none", other.len() - MAX_LISTED);
        text += &format!("{}\n", output.faint(&more));
    }
    text
}

/// Files that are no configurations, as far as they are listed.
const MAX_LISTED: usize = 10;

/// A file may have any name, even one that moves the cursor.
fn visible(name: &str) -> String {
    let mut seen = String::new();
    for it in name.chars() {
        match it.is_control() || matches!(it, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}') {
            true => seen.extend(it.escape_default()),
            false => seen.push(it),
        }
    }
    seen
}

/// What was read so far.
#[derive(Default)]
struct Room {
    testimony: Testimony,
    inputs: Vec<Input>,
}

impl Room {
    fn take(&mut self, path: &Path) -> Result<(), Failure> {
        if path == Path::new("-") {
            let unreadable = |why| Failure::Unreadable { file: "standard input".to_owned(), why };
            let bytes = whole(io::stdin().lock()).map_err(unreadable)?;
            self.add("standard input", &bytes, Arrival::Stream);
            return Ok(());
        }
        let name = path.display().to_string();
        let unreadable = |why| Failure::Unreadable { file: name.clone(), why };
        if fs::metadata(path).map_err(unreadable)?.is_dir() {
            let files = inside(path).map_err(unreadable)?;
            for file in files {
                self.found(&file);
            }
            return Ok(());
        }
        let bytes = fs::File::open(path).and_then(whole).map_err(unreadable)?;
        self.add(&name, &bytes, Arrival::File);
        Ok(())
    }

    /// A file of a folder: one that cannot be read is noted, and the others still count.
    fn found(&mut self, path: &Path) {
        let name = path.display().to_string();
        match fs::File::open(path).and_then(whole) {
            Ok(bytes) => self.add(&name, &bytes, Arrival::File),
            Err(why) => {
                let note = Some(format!("not read: {why}"));
                self.inputs.push(Input { source: name, format: None, note });
            }
        }
    }

    fn add(&mut self, name: &str, bytes: &[u8], arrival: Arrival) {
        let text = String::from_utf8_lossy(bytes);
        let mut shape = Shape::of(name, bytes, arrival, YEAR);
        // Whoever calls the doctor says that these are configurations: lines that a log could hold
        // as well do not make them one.
        if shape.config.is_none() && !shape.binary {
            shape.config = CONFIGS.iter().find(|it| (it.fits)(name, &text));
        }
        let source = u32::try_from(self.testimony.sources.len()).unwrap_or(u32::MAX);
        let format = shape.config.map(|it| it.name);
        self.inputs.push(Input { source: name.to_owned(), format, note: None });
        if format.is_some() {
            self.testimony.add(name, &shape, Origin::Elsewhere, Ledger::default());
            self.testimony.configure(source, &shape, name, &text);
        }
    }
}

/// All of a text, if it is no longer than a configuration.
fn whole(input: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(io::Error::other("it is larger than 4 MiB, which no configuration is")),
        false => Ok(bytes),
    }
}

/// The files of a folder and of those in it, by name. Hidden ones, links to folders and what is not
/// a plain file are passed over.
fn inside(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(why) if depth == 0 => return Err(why),
            Err(_) => continue,
            Ok(entries) => entries,
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let skipped = hidden || entry.file_name() == "node_modules";
            match entry.file_type() {
                Ok(it) if it.is_dir() && !skipped && depth < MAX_DEPTH => {
                    folders.push((path, depth + 1));
                }
                // `sites-enabled` holds links.
                Ok(it) if !it.is_dir() && !skipped && path.is_file() => files.push(path),
                _ => {}
            }
            if files.len() >= MAX_FILES {
                folders.clear();
                break;
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_refused() {
        assert_eq!(whole(&b"listen 80;"[..]).expect("it is short"), b"listen 80;");
        assert!(whole(io::repeat(b'x')).is_err());
    }

    #[test]
    fn what_is_no_configuration_is_said_to_be_none() {
        let mut room = Room::default();
        room.add("gunicorn.conf.py", b"bind = \"127.0.0.1:8000\"\ntimeout = 30\n", Arrival::File);
        room.add("notes.txt", b"call the plumber\n", Arrival::File);
        room.add("picture", &[0; 100], Arrival::File);
        let formats: Vec<bool> = room.inputs.iter().map(|it| it.format.is_some()).collect();
        assert_eq!(formats, [true, false, false]);
        assert_eq!(room.testimony.sources.len(), 1);
        assert!(room.testimony.settings.iter().all(|it| it.0 == 0));
    }
}
