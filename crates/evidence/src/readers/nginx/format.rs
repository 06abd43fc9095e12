//! Access lines in a format that a configuration gives: `log_format main '$remote_addr …'`.

use super::access::{Access, closing_quote};
use crate::event::Sink;
use crate::line::Line;
use crate::product::Product;
use memchr::memmem;

/// A compiled `log_format`.
#[derive(Clone, Debug)]
pub struct LogFormat {
    /// What a line begins with.
    head: String,
    /// Variables, and the text behind each.
    fields: Vec<Field>,
    /// A quote inside a value is written `\"`.
    escapes: bool,
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    behind: memmem::Finder<'static>,
}

/// The formats that a configuration of nginx defines.
#[must_use]
pub fn log_formats(text: &str) -> Vec<LogFormat> {
    const MOST: usize = 64;
    let starts = memmem::find_iter(text.as_bytes(), b"log_format ").take(MOST);
    starts.filter_map(|at| LogFormat::of(&text[at..at + directive_end(&text[at..])])).collect()
}

/// Where a directive ends: at the first semicolon outside of quotes.
fn directive_end(text: &str) -> usize {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b';') => return at + 1,
            (None, b'\'' | b'"') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    text.len()
}

impl LogFormat {
    /// From the directive (`log_format main escape=json '…' '…';`), or from the text of the format
    /// alone. `None` where it names no status, or where two variables stand side by side, so that
    /// nobody could tell where one ends.
    #[must_use]
    pub fn of(text: &str) -> Option<LogFormat> {
        let (format, escapes) = match text.trim().strip_prefix("log_format") {
            Some(rest) => directive(rest)?,
            None => (text.trim().to_owned(), true),
        };
        let mut pieces = format.split('$');
        let head = pieces.next()?.to_owned();
        let mut fields: Vec<Field> = Vec::new();
        let mut count = 0;
        for piece in pieces {
            let (name, behind) = match piece.strip_prefix('{') {
                Some(rest) => rest.split_once('}')?,
                None => {
                    let name = |it: char| it.is_ascii_alphanumeric() || it == '_';
                    piece.split_at(piece.find(|it| !name(it)).unwrap_or(piece.len()))
                }
            };
            count += 1;
            if name.is_empty() || count > 200 {
                return None;
            }
            let finder = memmem::Finder::new(behind).into_owned();
            fields.push(Field { name: name.to_owned(), behind: finder });
        }
        let last = fields.len().checked_sub(1)?;
        let apart = fields[..last].iter().all(|it| !it.behind.needle().is_empty());
        let status = fields.iter().any(|it| it.name == "status");
        (apart && status).then_some(LogFormat { head, fields, escapes })
    }

    /// Whether a line is written in this format.
    #[must_use]
    pub fn fits(&self, line: &Line) -> bool {
        self.request(&line.text).is_some()
    }

    /// Reads a line that fits.
    pub fn read(&self, line: &Line, sink: &mut dyn Sink) {
        if let Some(request) = self.request(&line.text) {
            request.tell(&line.text, sink);
        }
    }

    fn request<'a>(&self, text: &'a str) -> Option<Access<'a>> {
        let mut access = Access::new(Product::Nginx);
        let mut rest = text.strip_prefix(self.head.as_str())?;
        for field in &self.fields {
            let (value, after) = self.cut(field, rest)?;
            access.set(&field.name, value);
            rest = after;
        }
        access.number().filter(|_| rest.is_empty())?;
        Some(access)
    }

    /// The value, and what follows the text behind it.
    fn cut<'a>(&self, field: &Field, rest: &'a str) -> Option<(&'a str, &'a str)> {
        let behind = field.behind.needle();
        if behind.is_empty() {
            return Some((rest, ""));
        }
        let end = match behind[0] == b'"' && self.escapes {
            true => closing_quote(rest).filter(|at| rest.as_bytes()[*at..].starts_with(behind))?,
            false if behind[0] == b' ' && field.name.starts_with("upstream_") => {
                list_end(&field.behind, rest)?
            }
            false => field.behind.find(rest.as_bytes())?,
        };
        Some((&rest[..end], &rest[end + behind.len()..]))
    }
}

/// Where a list ends whose elements have spaces between them, as the fields have.
fn list_end(behind: &memmem::Finder<'_>, rest: &str) -> Option<usize> {
    behind.find_iter(rest.as_bytes()).find(|at| {
        let (before, after) = rest.as_bytes().split_at(*at);
        !before.ends_with(b",") && !before.ends_with(b" :") && !after.starts_with(b" : ")
    })
}

/// ` main escape=none '…' "…";`: the strings, joined, and whether quotes in values are escaped.
fn directive(rest: &str) -> Option<(String, bool)> {
    let mut rest = rest.trim_start();
    let mut format = String::new();
    let (mut escapes, mut words) = (true, 0);
    while let Some(first) = rest.chars().next().filter(|it| *it != ';') {
        if first == '\'' || first == '"' {
            let (string, after) = string(&rest[1..], first)?;
            format += &string;
            rest = after.trim_start();
            continue;
        }
        let end = rest.find([' ', '\t', '\n', '\r', ';']).unwrap_or(rest.len());
        escapes &= &rest[..end] != "escape=none";
        words += 1;
        // A format without spaces needs no quotes.
        if rest[..end].contains('$') {
            format += &rest[..end];
        }
        rest = rest[end..].trim_start();
    }
    (words > 0 && !format.is_empty()).then_some((format, escapes))
}

/// A string of nginx's configuration up to its closing quote (ngx_conf_read_token).
fn string(text: &str, quote: char) -> Option<(String, &str)> {
    let mut string = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == quote {
            return Some((string, &text[at + 1..]));
        }
        if letter != '\\' {
            string.push(letter);
            continue;
        }
        match letters.next()?.1 {
            't' => string.push('\t'),
            'n' => string.push('\n'),
            'r' => string.push('\r'),
            it @ ('"' | '\'' | '\\') => string.push(it),
            it => string.extend(['\\', it]),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::LogFormat;
    use crate::line::Line;

    fn request(format: &str, text: &str) -> Option<String> {
        let format = LogFormat::of(format)?;
        assert_eq!(format.fits(&Line::bare(text)), format.request(text).is_some());
        let it = format.request(text)?;
        let words = [Some(it.status), it.statuses, it.addresses, it.route, it.client];
        Some(words.map(|it| it.unwrap_or("")).join("|"))
    }

    #[test]
    fn a_format_reads_the_lines_that_it_writes() {
        let format = "log_format main '$remote_addr [$time_local] \"$request\" $status '\n  \
                      'rt=$request_time up=$upstream_addr ${upstream_status}';";
        let line = "192.0.2.1 [27/Oct/2023:10:30:15 +0000] \"GET /a HTTP/1.1\" 504 rt=1.2 \
                    up=192.0.2.7:80, 192.0.2.8:80 504, 504";
        let want = "504|504, 504|192.0.2.7:80, 192.0.2.8:80|/a|192.0.2.1";
        assert_eq!(request(format, line).as_deref(), Some(want));
        let one = line.replace(", 192.0.2.8:80", "").replace(" 504, 504", " 504");
        assert_eq!(request(format, &one).as_deref(), Some("504|504|192.0.2.7:80|/a|192.0.2.1"));
    }

    #[test]
    fn what_a_caller_sent_ends_no_field() {
        let format = r#"log_format j escape=json '{"request":"$request","s":"$status"}';"#;
        let line = r#"{"request":"GET /\",\"s\":\"502\"} HTTP/1.1","s":"200"}"#;
        assert_eq!(request(format, line).as_deref(), Some("200|||/\\\",\\\"s\\\":\\\"502\\\"}|"));
    }

    #[test]
    fn what_nobody_could_take_apart_is_no_format() {
        for text in [
            "",
            "log_format",
            "log_format a;",
            "$status$request",
            "$request",
            "log_format a '$status",
            "log_format a '${status'",
            "$",
        ] {
            assert!(LogFormat::of(text).is_none(), "{text}");
        }
        assert_eq!(request("$status x", "502 y"), None);
        assert_eq!(request("a $status", "é"), None);
    }
}
