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
/// A program that may lie at any address is harder to attack; Zig's linker makes one only if told.
fn flags() -> Result<String> {
    let home = std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set")?;
    let cargo = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let renamed = [(run::target(), "/target"), (run::root(), "/goodgate"), (cargo, "/cargo")];
    let renamed = renamed.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    Ok(format!("{}\x1f-Clink-arg=-pie", renamed.join("\x1f")))
}

/// A binary that names an interpreter needs a library of the machine that it runs on.
fn ensure_static(binary: &Path) -> Result<()> {
    let bytes = std::fs::read(binary).with_context(|| format!("{} is absent", binary.display()))?;
    let program = Program::read(&bytes).context("not a 64-bit program of Linux")?;
    ensure!(!program.wants_loader, "{} is not static: it wants a loader", binary.display());
    ensure!(program.moves, "{} lies at fixed addresses", binary.display());
    Ok(())
}

/// What the head of a program says (elf(5)).
#[derive(Debug, PartialEq, Eq)]
struct Program {
    /// It may lie at any address (`ET_DYN`).
    moves: bool,
    /// It names an interpreter (`PT_INTERP`), which is what a dynamic one does.
    wants_loader: bool,
}

impl Program {
    fn read(elf: &[u8]) -> Option<Program> {
        const MOVES: u64 = 3;
        const INTERPRETER: u64 = 3;
        // 64-bit, the lowest byte first.
        elf.strip_prefix(b"\x7fELF\x02\x01")?;
        let number = |at: usize, length: usize| -> Option<u64> {
            let bytes = elf.get(at..at.checked_add(length)?)?;
            Some(bytes.iter().rev().fold(0, |sum, it| sum << 8 | u64::from(*it)))
        };
        let (first, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
        let mut program = Program { moves: number(0x10, 2)? == MOVES, wants_loader: false };
        for row in 0..count {
            let at = usize::try_from(first.checked_add(row * size)?).ok()?;
            program.wants_loader |= number(at, 4)? == INTERPRETER;
        }
        Some(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program with a header for each of these types.
    fn program(kind: u8, types: &[u8]) -> Vec<u8> {
        let mut elf = b"\x7fELF\x02\x01".to_vec();
        elf.resize(0x40, 0);
        (elf[0x10], elf[0x20], elf[0x36]) = (kind, 0x40, 0x38);
        for it in types {
            elf[0x38] += 1;
            elf.push(*it);
            elf.resize(elf.len() + 0x37, 0);
        }
        elf
    }

    #[track_caller]
    fn check(kind: u8, types: &[u8], moves: bool, wants_loader: bool) {
        let expected = Program { moves, wants_loader };
        assert_eq!(Program::read(&program(kind, types)), Some(expected));
    }

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        check(3, &[1, 2], true, false);
        check(3, &[6, 3, 1], true, true);
        check(2, &[1], false, false);
    }

    #[test]
    fn what_is_no_whole_program_is_neither() {
        assert_eq!(Program::read(b"#!/bin/sh\n"), None);
        let cut = program(3, &[1, 2]);
        assert_eq!(Program::read(&cut[..0x50]), None);
    }
}
