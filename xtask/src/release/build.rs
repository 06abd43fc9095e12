//! Static binaries, for any machine from any: the C parts are compiled and everything is linked by
//! Zig's compiler, which brings musl for every machine and comes from PyPI in a pinned version.

use super::Machine;
use crate::run;
use anyhow::{Context, Result, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Pinned: another version makes other bytes.
const COMPILER: &[&str] = &["ziglang==0.17.1", "cargo-zigbuild==0.24.0"];

pub(super) fn binary(machine: Machine) -> Result<PathBuf> {
    compiler()?;
    if !has(machine)? {
        run::quietly(&mut run::command("rustup", &["target", "add", machine.target()]))
            .context("Rust's standard library for this machine is not installed")?;
    }
    let words = ["zigbuild", "--release", "--locked", "-p", "goodgate", "--target"];
    let mut cargo = run::cargo(&words);
    cargo.arg(machine.target()).env("PATH", path()?).env("CARGO_ENCODED_RUSTFLAGS", flags()?);
    run::show(&mut cargo)?;
    let binary = run::target().join(machine.target()).join("release/goodgate");
    ensure_static(&binary)?;
    Ok(binary)
}

/// Makes the environment with the compiler, unless that was done.
fn compiler() -> Result<()> {
    let stamp = environment().join("installed.txt");
    let wanted = COMPILER.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|it| it == wanted) {
        return Ok(());
    }
    let folder = environment().display().to_string();
    run::quietly(&mut run::command("python3", &["-m", "venv", "--clear", &folder]))?;
    let words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run::quietly(run::command(environment().join("bin/python"), &words).args(COMPILER))?;
    // Written last: an install that was cut short is done again.
    std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn environment() -> PathBuf {
    run::target().join("release-tools")
}

/// Whether the standard library for a machine is installed.
fn has(machine: Machine) -> Result<bool> {
    let words = ["--print", "target-libdir", "--target", machine.target()];
    let folder = run::said(&mut run::command("rustc", &words))?;
    Ok(Path::new(folder.trim()).exists())
}

/// With the compiler first.
fn path() -> Result<OsString> {
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(environment().join("bin")).chain(std::env::split_paths(&usual));
    Ok(std::env::join_paths(all)?)
}

/// Where the sources lay on this machine is nobody's business, and would make other bytes elsewhere.
fn flags() -> Result<String> {
    let home = std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set")?;
    let cargo = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let renamed = [(run::target(), "/target"), (run::root(), "/goodgate"), (cargo, "/cargo")];
    let flags = renamed.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    Ok(flags.join("\x1f"))
}

fn ensure_static(binary: &Path) -> Result<()> {
    let bytes = std::fs::read(binary).with_context(|| format!("{} is absent", binary.display()))?;
    let wants = wants_loader(&bytes).context("not a 64-bit program of Linux");
    ensure!(!wants?, "{} is not static: it wants a loader of the system", binary.display());
    Ok(())
}

/// Whether a program names an interpreter, which is what a dynamic one does (elf(5), `PT_INTERP`).
fn wants_loader(elf: &[u8]) -> Option<bool> {
    const INTERPRETER: u64 = 3;
    // 64-bit, the lowest byte first.
    elf.strip_prefix(b"\x7fELF\x02\x01")?;
    let number = |at: usize, length: usize| -> Option<u64> {
        let bytes = elf.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0, |sum, it| sum << 8 | u64::from(*it)))
    };
    let (first, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    for row in 0..count {
        let at = usize::try_from(first.checked_add(row * size)?).ok()?;
        if number(at, 4)? == INTERPRETER {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program header each, of these types.
    fn program(types: &[u8]) -> Vec<u8> {
        let mut elf = b"\x7fELF\x02\x01".to_vec();
        elf.resize(0x40, 0);
        (elf[0x20], elf[0x36], elf[0x38]) = (0x40, 0x38, types.len() as u8);
        for it in types {
            elf.push(*it);
            elf.resize(elf.len() + 0x37, 0);
        }
        elf
    }

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        assert_eq!(wants_loader(&program(&[1, 2])), Some(false));
        assert_eq!(wants_loader(&program(&[6, 3, 1])), Some(true));
    }

    #[test]
    fn what_is_no_whole_program_is_neither() {
        assert_eq!(wants_loader(b"#!/bin/sh\n"), None);
        let cut = program(&[1, 2]);
        assert_eq!(wants_loader(&cut[..0x50]), None);
    }
}
