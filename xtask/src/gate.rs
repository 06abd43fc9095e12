//! `cargo xtask test`: the one gate. CI runs this line and no other.

use crate::{docs, install, run, say};
use anyhow::{Error, Result, bail, ensure};
use std::time::{Duration, Instant};

/// Every step runs, also after one has failed: one run shows all that is wrong.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    steps.step("Debian packages", install::for_tests);
    steps.step("format", || run::show(&mut run::cargo(&["fmt", "--all", "--check"])));
    steps.step("generated pages", docs::check);
    steps.step("clippy", clippy);
    let built = steps.step("build", || run::show(&mut run::cargo(&["build", "-p", "goodgate"])));
    // Some of the Rust tests start servers of Python apps.
    let installed = steps.step("Python packages", install::python);
    steps.step("Rust tests", rust_tests);
    steps.step("Python tests", || match (built, installed) {
        (true, true) => python_tests(),
        _ => bail!("not run: a step that they need has failed"),
    });
    steps.close()
}

fn clippy() -> Result<()> {
    let words = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    run::show(&mut run::cargo(&words))
}

/// With nextest where it is installed, because a test that hangs is ended and named there.
fn rust_tests() -> Result<()> {
    let words: &[&str] = if run::works(&mut run::cargo(&["nextest", "--version"])) {
        &["nextest", "run", "--workspace", "--no-fail-fast"]
    } else {
        say::note("cargo-nextest is not installed: cargo's own runner does the same, more slowly");
        &["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"]
    };
    // Scenes of the lab start the binary, which the build step has just made.
    run::show(run::cargo(words).env("GOODGATE_BIN", binary()))
}

fn python_tests() -> Result<()> {
    let words = ["-m", "pytest", "lab/python"];
    run::show(run::command(install::interpreter(), &words).env("GOODGATE_BIN", binary()))
}

fn binary() -> std::path::PathBuf {
    run::target().join("debug/goodgate")
}

/// What was done so far, and how it went.
#[derive(Default)]
struct Steps {
    done: Vec<(&'static str, Duration, Option<Error>)>,
}

impl Steps {
    /// Runs one step and tells whether it passed.
    fn step(&mut self, name: &'static str, task: impl FnOnce() -> Result<()>) -> bool {
        say::heading(name);
        let began = Instant::now();
        let problem = task().err();
        if let Some(it) = &problem {
            say::problem(it);
        }
        let passed = problem.is_none();
        self.done.push((name, began.elapsed(), problem));
        passed
    }

    fn close(self) -> Result<()> {
        say::heading("summary");
        for (name, took, problem) in &self.done {
            say::outcome(name, *took, problem.as_ref());
        }
        let failed: Vec<&str> = self
            .done
            .iter()
            .filter_map(|(name, _, problem)| problem.as_ref().map(|_| *name))
            .collect();
        say::tally(self.done.len() - failed.len(), failed.len());
        ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
        Ok(())
    }
}
