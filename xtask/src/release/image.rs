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
    fn commands(
        &self,
        tag: &str,
        machine: Machine,
        tree: &Path,
        file: &Path,
        epoch: u64,
    ) -> [Command; 2] {
        let platform = format!("linux/{}", machine.short());
        let time = format!("--timestamp={epoch}");
        let archive = format!("docker-archive:{}:{tag}", file.display());
        let (mut build, save) = match self {
            Builder::Docker => (
                run::command("docker", &["build"]),
                run::command("docker", &["save", "--output", &file.to_string_lossy(), tag]),
            ),
            Builder::Podman => (
                // In Docker's format: the other one has no health check.
                run::command("podman", &["build", "--format=docker", &time]),
                run::command("podman", &["push", tag, &archive]),
            ),
            Builder::Buildah => (
                run::command("buildah", &["bud", "--format=docker", &time]),
                run::command("buildah", &["push", tag, &archive]),
            ),
        };
        build.args(["--platform", &platform, "--tag", tag]).arg(tree);
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
    for mut command in builder.commands(&tag, machine, tree, &file, release.epoch) {
        command.env("SOURCE_DATE_EPOCH", release.epoch.to_string());
        run::quietly(&mut command).context("the image was not built")?;
    }
    run::quietly(run::command("gzip", &["-9", "-n", "--"]).arg(&file))
}
