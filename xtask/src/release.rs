//! `cargo xtask release`: everything that is given to others, made from one commit: static binaries,
//! archives, Debian packages, images, the installer, and the checksums of them all.
//!
//! What cannot be made on this machine is said at the end, and the task fails then, unless
//! `--allow-missing` was asked for. The same commit gives the same archives and packages, byte for byte:
//! every time in them is the commit's.

mod archive;
mod build;
mod debian;
mod image;
mod papers;
mod tree;

use crate::{run, say};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// What of a release does not need a binary of its own.
const INSTALLER: &str = "install.sh";
const SUMS: &str = "SHA256SUMS";

/// A machine that binaries are made for; each is Linux, and the binaries need nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    X86_64,
    Aarch64,
}

impl Machine {
    const ALL: [Machine; 2] = [Machine::X86_64, Machine::Aarch64];

    /// As `uname -m` says it.
    fn name(self) -> &'static str {
        match self {
            Machine::X86_64 => "x86_64",
            Machine::Aarch64 => "aarch64",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Machine::X86_64 => "x86_64-unknown-linux-musl",
            Machine::Aarch64 => "aarch64-unknown-linux-musl",
        }
    }

    /// As Debian and Docker call it.
    fn short(self) -> &'static str {
        match self {
            Machine::X86_64 => "amd64",
            Machine::Aarch64 => "arm64",
        }
    }

    fn read(word: &str) -> Result<Machine> {
        let found = Machine::ALL.into_iter().find(|it| it.name() == word);
        found.with_context(|| format!("`{word}` is neither x86_64 nor aarch64"))
    }

    /// Whether this machine starts its binaries.
    fn is_here(self) -> bool {
        self.name() == std::env::consts::ARCH
    }
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    out: PathBuf,
    machines: Vec<Machine>,
    /// Binaries that are there already and are not built.
    given: Vec<(Machine, PathBuf)>,
    images: bool,
    allow_missing: bool,
}

impl Order {
    pub(crate) fn read(words: &[&str]) -> Result<Order> {
        let mut order = Order {
            out: run::target().join("release-files"),
            machines: Vec::new(),
            given: Vec::new(),
            images: true,
            allow_missing: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("`{word}` lacks its value"));
            match *word {
                "--out" => order.out = std::path::absolute(value()?)?,
                "--machine" => order.machines.push(Machine::read(value()?)?),
                "--binary" => {
                    let value = value()?;
                    let (machine, file) =
                        value.split_once('=').context("`--binary` takes MACHINE=FILE")?;
                    order.given.push((Machine::read(machine)?, std::path::absolute(file)?));
                }
                "--no-images" => order.images = false,
                "--allow-missing" => order.allow_missing = true,
                _ => bail!("`{word}` is no option of `release`"),
            }
        }
        if order.machines.is_empty() {
            order.machines = match order.given.is_empty() {
                true => Machine::ALL.to_vec(),
                false => order.given.iter().map(|(machine, _)| *machine).collect(),
            };
        }
        Ok(order)
    }

    fn given(&self, machine: Machine) -> Option<&Path> {
        let found = self.given.iter().find(|(it, _)| *it == machine);
        found.map(|(_, file)| file.as_path())
    }
}

/// What all parts of one release share.
struct Release {
    version: &'static str,
    /// Seconds since 1970: the time of everything in it.
    epoch: u64,
    out: PathBuf,
    /// For what is made on the way.
    work: PathBuf,
    images: bool,
}

/// A part that was not made, and why.
struct Missing {
    part: String,
    why: anyhow::Error,
}

pub(crate) fn run(order: &Order) -> Result<()> {
    let release = Release::begin(order)?;
    let mut missing = Vec::new();
    let mut binaries = Vec::new();
    for machine in &order.machines {
        say::heading(&format!("binary for {}", machine.name()));
        let made = match order.given(*machine) {
            Some(file) => Ok(file.to_owned()),
            None => build::binary(*machine),
        };
        match made {
            Ok(file) => binaries.push((*machine, file)),
            Err(why) => missing.push(Missing::new(&format!("all for {}", machine.name()), why)),
        }
    }
    if !binaries.is_empty() {
        let papers = papers::write(&binaries, &release.work)?;
        for (machine, binary) in &binaries {
            release.pack(*machine, binary, &papers, &mut missing)?;
        }
    }
    release.close(&missing)?;
    let names: Vec<&str> = missing.iter().map(|it| it.part.as_str()).collect();
    ensure!(names.is_empty() || order.allow_missing, "not made: {}", names.join(", "));
    Ok(())
}

impl Release {
    fn begin(order: &Order) -> Result<Release> {
        let out = order.out.clone();
        if out.exists() {
            // Nothing of an earlier release may get into these checksums.
            ensure!(is_ours(&out)?, "{} holds what is no release: choose another", out.display());
            fs::remove_dir_all(&out)?;
        }
        fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
        let work = out.join(".work");
        fs::create_dir(&work)?;
        Ok(Release {
            version: env!("CARGO_PKG_VERSION"),
            epoch: epoch()?,
            out,
            work,
            images: order.images,
        })
    }

    /// Everything that holds one binary.
    fn pack(
        &self,
        machine: Machine,
        binary: &Path,
        papers: &Path,
        missing: &mut Vec<Missing>,
    ) -> Result<()> {
        say::heading(&format!("packages for {}", machine.name()));
        let tree = tree::of_archive(self, machine, binary, papers)?;
        archive::write(self, &tree)?;
        if let Err(why) = debian::write(self, machine, binary, papers) {
            missing.push(Missing::new(&format!("Debian package for {}", machine.name()), why));
        }
        let image = || image::write(self, machine, &tree);
        if let Some(Err(why)) = self.images.then(image) {
            missing.push(Missing::new(&format!("image for {}", machine.name()), why));
        }
        Ok(())
    }

    /// The installer, the checksums and the table.
    fn close(self, missing: &[Missing]) -> Result<()> {
        say::heading("release");
        fs::remove_dir_all(&self.work)?;
        tree::copy(&run::root().join("packaging/install.sh"), &self.out.join(INSTALLER), 0o755)?;
        let made = names(&self.out)?;
        let words: Vec<&str> = made.iter().map(String::as_str).collect();
        let mut command = run::command("sha256sum", &["--"]);
        let sums = run::said(command.args(&words).current_dir(&self.out))?;
        fs::write(self.out.join(SUMS), sums)?;
        say::note(&format!("{}, version {}", self.out.display(), self.version));
        for name in &made {
            say::made(name, fs::metadata(self.out.join(name))?.len());
        }
        say::made(SUMS, fs::metadata(self.out.join(SUMS))?.len());
        for it in missing {
            say::not_made(&it.part, &it.why);
        }
        Ok(())
    }
}

impl Missing {
    fn new(part: &str, why: anyhow::Error) -> Missing {
        let missing = Missing { part: part.to_owned(), why };
        say::problem(&missing.why);
        missing
    }
}

/// Empty, or with checksums and nothing that they do not name.
fn is_ours(out: &Path) -> Result<bool> {
    let sums = fs::read_to_string(out.join(SUMS)).unwrap_or_default();
    let listed = |name: &str| sums.lines().any(|it| it.ends_with(&format!("  {name}")));
    Ok(names(out)?.iter().all(|it| it == SUMS || it == ".work" || listed(it)))
}

/// What stands in a folder, by name.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = fs::read_dir(folder);
    for entry in entries.with_context(|| format!("cannot list {}", folder.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// The time of the commit, unless the environment names another
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn epoch() -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => run::said(&mut run::command("git", &["log", "-1", "--format=%ct"]))
            .context("without git, SOURCE_DATE_EPOCH must say the time of the release")?,
    };
    text.trim().parse().context("SOURCE_DATE_EPOCH is a number of seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, machines: &[Machine]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(Order::read(&words).unwrap().machines, machines, "{line}");
    }

    #[test]
    fn what_is_given_is_what_is_packed() {
        check("", &Machine::ALL);
        check("--machine aarch64", &[Machine::Aarch64]);
        check("--binary x86_64=/bin/true", &[Machine::X86_64]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in ["--out", "--machine arm", "--binary /bin/true", "--all"] {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert!(Order::read(&words).is_err(), "{line}");
        }
    }
}
