//! What the tasks print. Everything goes to standard error, in order with what the tools print.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "this is the output module")]

use std::time::Duration;

pub(crate) fn problem(problem: &anyhow::Error) {
    eprintln!("error: {problem:#}");
}

/// A step begins.
pub(crate) fn heading(name: &str) {
    eprintln!("\n== {name}");
}

/// Something a reader wants to know, in one line.
pub(crate) fn note(text: &str) {
    eprintln!("   {text}");
}

/// A command, as it could be typed.
pub(crate) fn command(line: &str) {
    eprintln!("   $ {line}");
}

/// What a program printed, word for word.
pub(crate) fn quote(text: &str) {
    eprint!("{text}");
}

/// One row of the summary.
pub(crate) fn outcome(name: &str, took: Duration, problem: Option<&anyhow::Error>) {
    let seconds = took.as_secs_f32();
    match problem {
        None => eprintln!("   ok      {seconds:7.1} s  {name}"),
        Some(it) => eprintln!("   FAILED  {seconds:7.1} s  {name}: {it:#}"),
    }
}

/// One row of a release: a file and its size.
pub(crate) fn made(name: &str, bytes: u64) {
    eprintln!("   made      {bytes:>12} B  {name}");
}

/// One row of a release: what is absent.
pub(crate) fn not_made(name: &str, why: &anyhow::Error) {
    eprintln!("   NOT MADE                  {name}: {why:#}");
}

/// The closing line. On standard output, because programs read it.
pub(crate) fn tally(passed: usize, failed: usize) {
    println!("steps: {passed} passed, {failed} failed");
}
