//! What is needed beside Rust: a few Debian packages, and Python packages in an environment of their
//! own.

use crate::{run, say};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

struct Package {
    name: &'static str,
    /// A command that succeeds where the package is installed.
    probe: &'static [&'static str],
    /// Installing it starts a service of this name.
    service: Option<&'static str>,
}

const fn tool(name: &'static str, probe: &'static [&'static str]) -> Package {
    Package { name, probe, service: None }
}

const FOR_TESTS: &[Package] = &[
    tool("curl", &["curl", "--version"]),
    // The other program that `packaging/install.sh` downloads with.
    tool("wget", &["wget", "--version"]),
    tool("shellcheck", &["shellcheck", "--version"]),
    // Makes the certificates.
    tool("openssl", &["openssl", "version"]),
    // The lab plays scenes through it, to see that others fail for the same reason.
    Package { name: "nginx", probe: &["/usr/sbin/nginx", "-v"], service: Some("nginx") },
    // A caller of the listener that no library of ours is a part of.
    tool("openssl", &["openssl", "version"]),
    // Slow clients by the hundred; asked for help it exits with 1. And clocks that jump.
    tool("slowhttptest", &["test", "-x", "/usr/bin/slowhttptest"]),
    tool("faketime", &["faketime", "--version"]),
    tool("python3-venv", &["python3", "-c", "import ensurepip, venv"]),
];

/// More gateways, and what puts load on them.
const PEERS: &[Package] = &[
    Package { name: "haproxy", probe: &["/usr/sbin/haproxy", "-v"], service: Some("haproxy") },
    // Asked for its version it exits with 1.
    tool("wrk", &["test", "-x", "/usr/bin/wrk"]),
    tool("nghttp2-client", &["h2load", "--version"]),
];

/// What `cargo xtask test` needs.
pub(crate) fn for_tests() -> Result<()> {
    debian(FOR_TESTS)
}

/// What the lab's table and the benchmarks compare with.
pub(crate) fn peers() -> Result<()> {
    debian(FOR_TESTS)?;
    debian(PEERS)
}

/// Installs the packages that are missing.
fn debian(packages: &[Package]) -> Result<()> {
    let missing: Vec<&Package> = packages.iter().filter(|it| !there(it)).collect();
    if missing.is_empty() {
        say::note("nothing is missing");
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|it| it.name).collect();
    if !is_root()? {
        let line = format!("sudo apt-get install --yes {}", names.join(" "));
        bail!("these Debian packages are missing: run `{line}`, then this again");
    }
    say::note(&format!("missing: {}", names.join(", ")));
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], names.as_slice()].concat())?;
    missing.into_iter().filter_map(|it| it.service).try_for_each(stop)
}

fn apt_get(words: &[&str]) -> Result<()> {
    let mut command = run::command("apt-get", words);
    run::quietly(command.env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Stops a service that came with a package that we have just installed; it was nobody's before.
fn stop(service: &str) -> Result<()> {
    if Path::new("/run/systemd/system").exists() {
        return run::quietly(&mut run::command("systemctl", &["disable", "--now", service]));
    }
    let script = format!("/etc/init.d/{service}");
    if Path::new(&script).exists() {
        return run::quietly(&mut run::command(script, &["stop"]));
    }
    Ok(())
}

fn there(package: &Package) -> bool {
    run::works(&mut run::command(package.probe[0], &package.probe[1..]))
}

fn is_root() -> Result<bool> {
    let output = run::command("id", &["-u"]).output().context("cannot start `id`")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

/// Makes the virtual environment and fills it with the pinned packages, unless that was done.
pub(crate) fn python() -> Result<()> {
    let wanted = std::fs::read_to_string(run::root().join("lab/python/requirements.txt"))?;
    let stamp = environment().join("installed.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|it| it == wanted) {
        say::note("nothing is missing");
        return Ok(());
    }
    let folder = environment().display().to_string();
    run::quietly(&mut run::command("python3", &["-m", "venv", "--clear", &folder]))?;
    let words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let mut pip = run::command(interpreter(), &words);
    run::quietly(pip.args(["-r", "lab/python/requirements.txt"]))?;
    // Written last: an install that was cut short is done again.
    std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Python inside the environment.
pub(crate) fn interpreter() -> PathBuf {
    environment().join("bin/python")
}

fn environment() -> PathBuf {
    run::target().join("venv")
}
