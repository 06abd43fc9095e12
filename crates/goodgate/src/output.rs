//! The only place that prints: results to standard output, messages to standard error.

mod behind;
mod markdown;

use behind::{Behind, Messages};
use clap::builder::StyledStr;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

/// How long an end waits for the last messages to be read.
const LAST_MESSAGES: Duration = Duration::from_secs(1);

/// Where results and messages go, and whether they may be coloured there.
#[derive(Clone)]
pub(crate) struct Output {
    result_colour: bool,
    message_colour: bool,
    /// Who writes messages, where nobody may wait for that.
    behind: Option<Arc<Behind>>,
}

impl Output {
    /// Colour for terminals only, and never against `NO_COLOR` or on a terminal that calls itself
    /// dumb.
    pub(crate) fn of_this_process() -> Output {
        let set = |name| std::env::var_os(name).unwrap_or_default();
        let wanted = set("NO_COLOR").is_empty() && set("TERM") != "dumb";
        Output {
            result_colour: wanted && io::stdout().is_terminal(),
            message_colour: wanted && io::stderr().is_terminal(),
            behind: None,
        }
    }

    /// The same for who must not wait: messages are written by a thread of their own.
    pub(crate) fn in_background(&self) -> Output {
        let behind = self.behind.clone();
        let behind = behind.or_else(|| Behind::start(Messages).map(Arc::new));
        Output { behind, ..self.clone() }
    }

    /// Waits until messages are written, but not for ever.
    pub(crate) fn settle(&self) {
        if let Some(behind) = &self.behind {
            behind.settle(LAST_MESSAGES);
        }
    }

    pub(crate) fn result_colour(&self) -> bool {
        self.result_colour
    }

    pub(crate) fn message_colour(&self) -> bool {
        self.message_colour
    }

    pub(crate) fn messages_to_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// A result that ends its own lines.
    pub(crate) fn text(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// A result of one line.
    pub(crate) fn line(&self, line: &str) -> io::Result<()> {
        self.text(&format!("{line}\n"))
    }

    pub(crate) fn json(&self, value: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_string_pretty(value)?;
        self.line(&json)
    }

    /// Headings and code stand out on a terminal; a pipe gets the page as it is.
    pub(crate) fn markdown(&self, page: &str) -> io::Result<()> {
        match self.result_colour {
            true => self.text(&markdown::painted(page)),
            false => self.text(page),
        }
    }

    /// Text that the argument parser has styled, as a result.
    pub(crate) fn styled(&self, text: &StyledStr) -> io::Result<()> {
        self.text(&painted(text, self.result_colour))
    }

    /// Text that the argument parser has styled, as a message.
    pub(crate) fn styled_message(&self, text: &StyledStr) {
        self.message(&painted(text, self.message_colour));
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        paint(self.result_colour, "1", text)
    }

    pub(crate) fn faint(&self, text: &str) -> String {
        paint(self.result_colour, "2", text)
    }

    pub(crate) fn red(&self, text: &str) -> String {
        paint(self.result_colour, "1;31", text)
    }

    pub(crate) fn green(&self, text: &str) -> String {
        paint(self.result_colour, "1;32", text)
    }

    pub(crate) fn code(&self, text: &str) -> String {
        paint(self.result_colour, "36", text)
    }

    /// Why a command failed, and what to do about it.
    pub(crate) fn failure(&self, why: &str, hint: Option<&str>) {
        let mut text = format!("{}: {why}\n", paint(self.message_colour, "1;31", "error"));
        if let Some(hint) = hint {
            text += &format!("\n{}: {hint}\n", paint(self.message_colour, "1;36", "hint"));
        }
        self.message(&text);
    }

    /// Whole lines, whether or not the last one is ended. Where they cannot be written, nobody is
    /// left to tell.
    pub(crate) fn message(&self, text: &str) {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let text = format!("{text}{end}");
        match &self.behind {
            Some(behind) => behind.say(text),
            None => drop(io::stderr().lock().write_all(text.as_bytes())),
        }
    }
}

/// `1 route`, `2 routes`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn painted(text: &StyledStr, colour: bool) -> String {
    if colour { text.ansi().to_string() } else { text.to_string() }
}

fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
