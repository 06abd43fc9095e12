//! The project's own tasks: everything that CI and developers run goes through here.

mod docs;
mod features;
mod fuzz;
mod gate;
mod install;
mod new;
mod release;
mod run;
mod say;
mod score;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>

  test                       install what is missing, then every check and test
  docs [--check]             write (or compare) the generated pages
  new cause <name> <family>  start a cause from the template, such as `new cause stale_dns F6`
  peers                      install nginx, haproxy and wrk, for comparisons
  release [--out DIR] [--machine x86_64|aarch64] [--binary MACHINE=FILE] [--no-images]
          [--allow-missing]  make binaries, archives, packages, images and their checksums
  fuzz [target] [--seconds N] [--product NAME]
                             run the targets of fuzz/; for `lines` also those of one product
  score [--all] [FILE ...]   how often `goodgate why` is right, over files of cases";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match task(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say::problem(&problem);
            ExitCode::FAILURE
        }
    }
}

fn task(words: &[&str]) -> Result<()> {
    match words {
        ["test"] => gate::run(),
        ["docs"] => docs::write(),
        ["docs", "--check"] => docs::check(),
        ["new", "cause", name] => new::cause(name, ""),
        ["new", "cause", name, family] => new::cause(name, family),
        ["peers"] => install::peers(),
        ["release", order @ ..] => release::run(&release::Order::read(order)?),
        ["fuzz", order @ ..] => fuzz::run(&fuzz::Order::read(order)?),
        ["score", "--all", files @ ..] => score::run(files, true),
        ["score", files @ ..] => score::run(files, false),
        _ => bail!("{USAGE}"),
    }
}
