//! The image for containers, from `packaging/docker/Dockerfile`, as a file for `docker load`.

use super::{Machine, Release};
use crate::run;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Programs that build from a Dockerfile. Each makes the same image; the first that works is taken.
enum Builder {
    Docker,
    Podman,
    Buildah,
}

impl Builder {
    fn here() -> Option<Builder> {
        // Docker's client is of no use without its server.
        if run::works(&mut run::command("docker", &["version"])) {
            return Some(Builder::Docker);
        }
        if run::works(&mut run::command("podman", &["version"])) {
            return Some(Builder::Podman);
        }
        run::works(&mut run::command("buildah", &["version"])).then_some(Builder::Buildah)
    }

    /// Builds what lies in a folder, and writes it to a file.
    fn commands(&self, tag: &str, machine: Machine, tree: &Path, file: &Path) -> [Command; 2] {
        let platform = format!("linux/{}", machine.short());
        let archive = format!("docker-archive:{}:{tag}", file.display());
        let (build, save) = match self {
            Builder::Docker => (
                run::command("docker", &["build", "--platform", &platform, "--tag", tag]),
                run::command("docker", &["save", "--output", &file.to_string_lossy(), tag]),
            ),
            // Else podman leaves the health check out, which is Docker's own.
            Builder::Podman => (
                run::command(
                    "podman",
                    &["build", "--format=docker", "--platform", &platform, "--tag", tag],
                ),
                run::command("podman", &["push", tag, &archive]),
            ),
            Builder::Buildah => (
                run::command(
                    "buildah",
                    &["bud", "--format=docker", "--platform", &platform, "--tag", tag],
                ),
                run::command("buildah", &["push", tag, &archive]),
            ),
        };
        let mut build = build;
        build.arg(tree);
        [build, save]
    }
}

pub(super) fn write(release: &Release, machine: Machine, tree: &Path) -> Result<()> {
    let Some(builder) = Builder::here() else {
        bail!("no Docker server answers, and neither podman nor buildah is installed");
    };
    let tag = format!("goodgate:{}-{}", release.version, machine.short());
    let name = format!("goodgate-{}-{}-image.tar", release.version, machine.name());
    let file = release.out.join(&name);
    for mut command in builder.commands(&tag, machine, tree, &file) {
        command.env("SOURCE_DATE_EPOCH", release.epoch.to_string());
        run::quietly(&mut command).context("the image was not built")?;
    }
    run::quietly(run::command("gzip", &["-9", "-n", "--"]).arg(&file))
}
