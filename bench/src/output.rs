//! All that this program prints: results on standard output, the rest on standard error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the output module")]

use crate::statistics::Spread;
use anyhow::Result;
use serde::Serialize;

/// Widths of the columns; the last one is as wide as its text.
const WIDTHS: [usize; 6] = [26, 21, 26, 20, 12, 0];

pub(crate) fn results<T: Serialize>(json: bool, results: &T, text: fn(&T) -> String) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(results)?);
    } else {
        println!("{}", text(results).trim_end());
    }
    Ok(())
}

pub(crate) fn line(text: &str) {
    println!("{text}");
}

pub(crate) fn progress(text: &str) {
    eprintln!("{text}");
}

pub(crate) fn failure(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

pub(crate) fn write_line(text: &mut String, cells: &[&str]) {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS) {
        // Not by `{:width$}`: two spaces stay even where a cell is too wide for its column.
        line.push_str(cell);
        line.push_str(&" ".repeat(width.saturating_sub(cell.chars().count()).max(2)));
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// `10.11 (9.84 - 10.68)`, or a dash where nothing was measured.
pub(crate) fn spread(spread: Option<Spread>, unit: f64, digits: usize) -> String {
    let Some(Spread { median, least, most }) = spread else { return "-".to_owned() };
    let [median, least, most] = [median, least, most].map(|it| format!("{:.digits$}", it / unit));
    format!("{median} ({least} - {most})")
}

pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1024.0 / 1024.0)
}
