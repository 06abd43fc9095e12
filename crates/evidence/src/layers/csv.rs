//! Tables that log products export (CloudWatch Logs Insights, Datadog, Kibana): a row is a time, a
//! few short columns and the message (RFC 4180).

use super::{Inner, Peeled};
use crate::clock::{self, Stamp};

/// Columns beyond this are not looked at.
const MAX_CELLS: usize = 32;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    let first = text.as_bytes().first()?;
    if !(first.is_ascii_digit() || *first == b'"' || first.is_ascii_alphabetic())
        || !text.contains(',')
    {
        return None;
    }
    let cells = cells(text)?;
    // One of the first columns is a whole time and nothing else.
    let (time, at) = cells.iter().take(3).enumerate().find_map(|(at, it)| Some((at, time(it)?)))?;
    let messages = cells.iter().enumerate().filter(|(at, _)| *at != time);
    let (_, message) = messages.max_by_key(|(_, it)| it.len())?;
    // A comma may only be that of a fraction, as in `2026-01-02 03:04:05,678 ERROR boom`.
    let fraction = message.bytes().take_while(u8::is_ascii_digit).count() == 3 && time == 0;
    if fraction || !message.contains(' ') || 2 < time {
        return None;
    }
    let line = message.trim_end_matches(['\n', '\r']).to_owned();
    Some(Peeled { inner: Inner::Decoded(line), at: Some(at), ..Peeled::from(0) })
}

fn time(cell: &str) -> Option<Stamp> {
    if let Some((at, end)) = clock::iso(cell) {
        return (end == cell.len()).then_some(at);
    }
    let digits = !cell.is_empty() && cell.bytes().all(|it| it.is_ascii_digit());
    (digits && matches!(cell.len(), 10 | 13 | 16 | 19)).then(|| clock::any(cell)).flatten()
}

/// The cells of a row; `None` where it is none. In quotes, a quote is doubled.
fn cells(text: &str) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let mut rest = text;
    while cells.len() < MAX_CELLS {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut cell = String::new();
            let mut inner = quoted;
            loop {
                let Some((part, after)) = inner.split_once('"') else {
                    // The message goes on in the next line.
                    cell.push_str(inner);
                    cells.push(cell);
                    return (cells.len() > 1).then_some(cells);
                };
                cell.push_str(part);
                match after.strip_prefix('"') {
                    Some(more) => {
                        cell.push('"');
                        inner = more;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
            cells.push(cell);
            match rest.strip_prefix(',') {
                Some(after) => rest = after,
                None if rest.is_empty() => break,
                None => return None,
            }
            continue;
        }
        match rest.split_once(',') {
            Some((cell, after)) => {
                cells.push(cell.to_owned());
                rest = after;
            }
            None => {
                cells.push(rest.to_owned());
                break;
            }
        }
    }
    (cells.len() > 1).then_some(cells)
}
