//! The Debian package, by `dpkg-deb`. The binary is static, so that one package fits every release of
//! Debian and Ubuntu.

use super::{Machine, Release, tree};
use crate::run;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// What of the sources is installed, and where.
const INSTALLED: &[(&str, &str)] = &[
    ("packaging/goodgate.toml", CONFIGURATION),
    ("packaging/systemd/goodgate.service", "usr/lib/systemd/system/goodgate.service"),
    ("packaging/systemd/goodgate.socket", "usr/lib/systemd/system/goodgate.socket"),
    ("packaging/debian/copyright", "usr/share/doc/goodgate/copyright"),
    ("docs/guide/deploy.md", "usr/share/doc/goodgate/deploy.md"),
];

/// Kept as the administrator wrote it.
const CONFIGURATION: &str = "etc/goodgate/goodgate.toml";

/// What dpkg runs.
const SCRIPTS: &[&str] = &["postinst", "prerm", "postrm"];

pub(super) fn write(
    release: &Release,
    machine: Machine,
    binary: &Path,
    papers: &Path,
) -> Result<()> {
    let root = installed(release, machine, binary, papers)?;
    let control = root.join("DEBIAN");
    fs::create_dir(&control)?;
    fs::write(control.join("control"), describe(release.version, machine, kilobytes(&root)?))?;
    fs::write(control.join("conffiles"), format!("/{CONFIGURATION}\n"))?;
    for name in SCRIPTS {
        let script = run::root().join("packaging/debian").join(name);
        tree::copy(&script, &control.join(name), 0o755)?;
    }
    tree::settle(&root, release.epoch)?;
    let name = format!("goodgate_{}_{}.deb", release.version, machine.short());
    let mut pack = run::command("dpkg-deb", &["--build", "--root-owner-group", "-Zxz"]);
    pack.env("SOURCE_DATE_EPOCH", release.epoch.to_string());
    run::quietly(pack.arg(&root).arg(release.out.join(name)))
}

/// The tree as it is installed.
fn installed(release: &Release, machine: Machine, binary: &Path, papers: &Path) -> Result<PathBuf> {
    let root = release.work.join(format!("debian-{}", machine.short()));
    tree::copy(binary, &root.join("usr/bin/goodgate"), 0o755)?;
    let reload = run::root().join("packaging/systemd/reload");
    tree::copy(&reload, &root.join("usr/lib/goodgate/reload"), 0o755)?;
    for (from, to) in INSTALLED {
        tree::copy(&run::root().join(from), &root.join(to), 0o644)?;
    }
    for (from, to) in [
        ("completions/goodgate.bash", "usr/share/bash-completion/completions/goodgate"),
        ("completions/_goodgate", "usr/share/zsh/vendor-completions/_goodgate"),
        ("completions/goodgate.fish", "usr/share/fish/vendor_completions.d/goodgate.fish"),
    ] {
        tree::copy(&papers.join(from), &root.join(to), 0o644)?;
    }
    let pages = root.join("usr/share/man/man1");
    tree::copy_all(&papers.join("man"), &pages)?;
    let changes = root.join("usr/share/doc/goodgate/changelog");
    tree::copy(&run::root().join("CHANGELOG.md"), &changes, 0o644)?;
    // Debian keeps both compressed; without name and time, so that the bytes stay the same.
    for name in super::names(&pages)? {
        compress(&pages.join(name))?;
    }
    compress(&changes)?;
    Ok(root)
}

fn compress(file: &Path) -> Result<()> {
    run::quietly(run::command("gzip", &["-9", "-n", "--"]).arg(file))
}

/// `DEBIAN/control` (deb-control(5)).
fn describe(version: &str, machine: Machine, kilobytes: u64) -> String {
    format!(
        "Package: goodgate\n\
         Version: {version}\n\
         Architecture: {}\n\
         Maintainer: The authors of Goodgate\n\
         Installed-Size: {kilobytes}\n\
         Depends: adduser\n\
         Recommends: ca-certificates\n\
         Section: web\n\
         Priority: optional\n\
         Description: gateway that explains every failed request\n \
         An API gateway in one static binary, which prevents 502, 503 and 504 where it\n \
         can. Where it cannot, it says in the answer, in the log and in Proxy-Status why\n \
         a request failed, and what to do. It also reads the logs of other gateways.\n",
        machine.short()
    )
}

/// What a tree takes on a disk, as dpkg counts it: each file rounded up.
fn kilobytes(path: &Path) -> Result<u64> {
    if !path.is_dir() {
        let file = fs::metadata(path).with_context(|| format!("cannot see {}", path.display()))?;
        return Ok(file.len().div_ceil(1024));
    }
    super::names(path)?.iter().try_fold(1, |sum, it| Ok(sum + kilobytes(&path.join(it))?))
}
