//! Completions and manual pages. The binary writes them itself, so that they fit it.

use super::Machine;
use crate::run;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Each shell, and what it calls the file.
const SHELLS: &[(&str, &str)] =
    &[("bash", "goodgate.bash"), ("zsh", "_goodgate"), ("fish", "goodgate.fish")];

/// Writes both beneath `work`. The binary for this machine says them for all.
pub(super) fn write(binaries: &[(Machine, PathBuf)], work: &Path) -> Result<PathBuf> {
    let (_, binary) = binaries
        .iter()
        .find(|(machine, _)| machine.is_here())
        .context("completions and manual pages need the binary of this machine: build it too")?;
    let papers = work.join("papers");
    let completions = papers.join("completions");
    fs::create_dir_all(&completions)?;
    for (shell, name) in SHELLS {
        let script = run::said(&mut run::command(binary, &["completions", shell]))?;
        fs::write(completions.join(name), script)?;
    }
    let man = papers.join("man");
    fs::create_dir(&man)?;
    run::quietly(run::command(binary, &["man"]).arg(&man))?;
    Ok(papers)
}
