//! Folders as they are packed: which file lies where, with which mode, at which time.

use super::{Machine, Release};
use crate::run;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// What of the sources goes into an archive, and where.
const ARCHIVED: &[(&str, &str)] = &[
    ("LICENSE", "LICENSE"),
    ("README.md", "README.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("docs/guide/deploy.md", "deploy.md"),
    ("packaging/goodgate.toml", "goodgate.toml"),
    ("packaging/systemd/goodgate.service", "systemd/goodgate.service"),
    ("packaging/systemd/goodgate.socket", "systemd/goodgate.socket"),
    ("packaging/systemd/sysusers.conf", "systemd/sysusers.conf"),
    ("packaging/docker/Dockerfile", "Dockerfile"),
    ("packaging/docker/dockerignore", ".dockerignore"),
    ("packaging/docker/goodgate.toml", "docker/goodgate.toml"),
];

/// What is in an archive, in a folder that has its name.
pub(super) fn of_archive(
    release: &Release,
    machine: Machine,
    binary: &Path,
    papers: &Path,
) -> Result<PathBuf> {
    let name = format!("goodgate-{}-{}-linux", release.version, machine.name());
    let tree = release.work.join(name);
    copy(binary, &tree.join("goodgate"), 0o755)?;
    let reload = run::root().join("packaging/systemd/reload");
    copy(&reload, &tree.join("systemd/reload"), 0o755)?;
    for (from, to) in ARCHIVED {
        copy(&run::root().join(from), &tree.join(to), 0o644)?;
    }
    for kind in ["completions", "man"] {
        copy_all(&papers.join(kind), &tree.join(kind))?;
    }
    settle(&tree, release.epoch)?;
    Ok(tree)
}

/// A file with this mode; the folders above it are made.
pub(super) fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// The files of a folder, each readable by all.
pub(super) fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for name in super::names(from)? {
        copy(&from.join(&name), &to.join(&name), 0o644)?;
    }
    Ok(())
}

/// Gives everything below one time, and folders one mode, whatever the umask was.
pub(super) fn settle(path: &Path, epoch: u64) -> Result<()> {
    if path.is_dir() {
        for name in super::names(path)? {
            settle(&path.join(name), epoch)?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    let time = UNIX_EPOCH + Duration::from_secs(epoch);
    fs::File::open(path)?.set_modified(time)?;
    Ok(())
}
