//! An answer as lines for a terminal, and the same as a block on the gateway's own.

use super::{Audience, advice, visible, whose};
use crate::look::{Fix, Look};
use crate::show::wrap;
use exchange::Exchange;

/// Lines are at most this long, so that they survive side by side windows. Commands are never
/// broken: half a command does harm.
const COLUMNS: usize = 100;
/// Where the text beside a label begins.
const INDENT: usize = 11;

pub(super) fn body(look: &Look, exchange: &Exchange, status: u16, audience: Audience) -> String {
    match audience {
        Audience::Public => public(look, exchange, status),
        Audience::Trusted | Audience::Operator => block(look, exchange, Some(status), false),
    }
}

fn public(look: &Look, exchange: &Exchange, status: u16) -> String {
    let cause = look.cause();
    let mut page = Page { text: String::new(), paint: Paint { colour: false } };
    page.headline(Some(status), cause.id, cause.title);
    page.row("do", advice(look, exchange));
    page.row("request", &exchange.id.to_string());
    page.text
}

/// `status` is absent where the client left before there was one.
pub(super) fn block(look: &Look, exchange: &Exchange, status: Option<u16>, colour: bool) -> String {
    let mut page = Page { text: String::new(), paint: Paint { colour } };
    page.headline(status, look.cause().id, &look.statement);
    for evidence in &look.evidence {
        page.row(&evidence.source, &evidence.quote);
        page.row("", &evidence.says);
    }
    page.row("side", whose(look.side()));
    if let Some(others) = others(look) {
        page.row("or else", &others);
    }
    for (at, fix) in look.fix.iter().enumerate() {
        page.fix(if at == 0 { "fix" } else { "" }, fix);
    }
    page.row("retry", look.retry.says);
    page.row("request", &request(exchange));
    page.text
}

/// The other candidates, if the first one shares its place.
fn others(look: &Look) -> Option<String> {
    let ids: Vec<&str> = look.candidates.iter().skip(1).map(|it| it.cause.id).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}

/// The id, and what was asked for as far as it fits on the line.
fn request(exchange: &Exchange) -> String {
    let asked = &exchange.request;
    let line = format!("{}  {} {}{}", exchange.id, asked.method, asked.host, asked.path);
    let line = visible(&line);
    match line.char_indices().nth(COLUMNS - INDENT - 1) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

struct Page {
    text: String,
    paint: Paint,
}

impl Page {
    /// `502 process_down: nothing is listening ...`
    fn headline(&mut self, status: Option<u16>, cause: &str, statement: &str) {
        let status = status.map(|it| format!("{it} ")).unwrap_or_default();
        let plain = format!("{status}{cause}: {}", visible(statement));
        let mut lines = wrap(&plain, COLUMNS).into_iter();
        let first = lines.next().unwrap_or_default();
        let head = status.len() + cause.len() + 1;
        // A cause is one word of ASCII, so the first line never breaks inside it.
        let (head, rest) = first.split_at_checked(head).unwrap_or((&first, ""));
        self.text += &format!("{}{rest}\n", self.paint.failure(head));
        for line in lines {
            self.text += &format!("{line}\n");
        }
    }

    /// A label and wrapped text beside it; a label that is too wide stands above.
    fn row(&mut self, label: &str, text: &str) {
        let text = visible(text);
        let mut label = label.to_owned();
        if label.len() + 3 > INDENT {
            self.text += &format!("  {}\n", self.paint.label(&label));
            label.clear();
        }
        for line in wrap(&text, COLUMNS - INDENT) {
            self.line(&label, &line);
            label.clear();
        }
    }

    fn fix(&mut self, label: &str, fix: &Fix) {
        self.row(label, &fix.text);
        if let Some(run) = &fix.run {
            let command = self.paint.command(&visible(run));
            self.line("", &format!("$ {command}"));
        }
    }

    fn line(&mut self, label: &str, text: &str) {
        let padded = format!("{label:<width$}", width = INDENT - 2);
        self.text += &format!("  {}{text}\n", self.paint.label(&padded));
    }
}

struct Paint {
    colour: bool,
}

impl Paint {
    fn failure(&self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn label(&self, text: &str) -> String {
        self.with("2", text)
    }

    fn command(&self, text: &str) -> String {
        self.with("36", text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        match self.colour && !text.trim().is_empty() {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}
