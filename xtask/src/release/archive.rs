//! The archive for people without a package manager, and for `install.sh`.

use super::Release;
use crate::run;
use anyhow::Result;
use std::path::Path;

/// By GNU tar, which packs the same tree into the same bytes when it is told to.
pub(super) fn write(release: &Release, tree: &Path) -> Result<()> {
    let name = tree.file_name().unwrap_or_default().to_string_lossy();
    let file = release.out.join(format!("{name}.tar.gz"));
    let words = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];
    let mut tar = run::command("tar", &words);
    // Without its own name and time in the head.
    tar.arg("--use-compress-program=gzip -9 -n").arg("--create").arg("--file").arg(file);
    run::quietly(tar.arg("-C").arg(&release.work).arg(&*name))
}
