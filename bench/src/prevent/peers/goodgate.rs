//! Goodgate itself.

use super::{
    AT_ONCE, ATTEMPTS, CHECK, CONNECT, EJECTED, FAILURES, Front, Peer, Places, Program, SLOW_START,
    WORKERS, milliseconds, version,
};
use crate::prevent::names::NAME;
use crate::prevent::target::HEALTH;
use crate::setting::Unmet;
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

const FILE: &str = "goodgate.toml";

/// Beside what all peers have, its own defaults.
pub(super) fn configuration(front: &Front) -> String {
    let Front { listen, admin, places, http2, folder, .. } = front;
    let folder = folder.display();
    let [connect, first_byte, check, ejected, slow_start] =
        [CONNECT, front.read(), CHECK, EJECTED, SLOW_START].map(milliseconds);
    let scheme = if *http2 { "h2c" } else { "http" };
    let mut text = format!(
        r#"workers = {WORKERS}

[listen]
http = "{listen}"

[status]
listen = "{admin}"

[data]
dir = "{folder}/data"

[log]
access = "{folder}/access.log"
"#
    );
    let targets: Vec<String> = match places {
        Places::Addresses(all) => all.iter().map(|it| format!("\"{scheme}://{it}\"")).collect(),
        Places::Name { port, server, .. } => {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n[dns]\nservers = [\"{server}\"]\n");
            vec![format!("\"{scheme}://{NAME}:{port}\"")]
        }
    };
    let targets = targets.join(", ");
    let _ = write!(
        text,
        r#"
[upstream.app]
targets = [{targets}]
timeout = {{ connect = "{connect}", first_byte = "{first_byte}" }}
health = {{ path = "{HEALTH}", interval = "{check}", timeout = "{check}" }}
eject = {{ after = {FAILURES}, first = "{ejected}" }}
slow_start = "{slow_start}"
concurrency = {{ requests = {AT_ONCE} }}

[route.all]
match = "/*"
to = "app"
retry = {{ attempts = {ATTEMPTS} }}
"#
    );
    text
}

pub(super) fn find(gateway: Option<&Path>) -> Result<Program> {
    let path = match gateway {
        // A child is started in another folder, where a relative path would mean something else.
        Some(it) => std::path::absolute(it)?,
        None => std::env::current_exe()?.with_file_name("goodgate"),
    };
    if !path.is_file() {
        let what = format!("the gateway `{}`", path.display());
        let hint = "build it with `cargo build --release`, or pass `--gateway PATH`";
        return Err(Unmet::Missing { what, hint }.into());
    }
    // Two builds have the same version, and results of one are not those of the other.
    let built = path.metadata()?.modified()?.duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let version = format!("{} built {built}", version(&path, "--version")?);
    Ok(Program { peer: Peer::Goodgate, path, version })
}

pub(super) fn start(front: &Front) -> Result<Vec<OsString>> {
    let file = front.write(FILE, &configuration(front))?;
    Ok(vec!["run".into(), "--config".into(), file.into()])
}

pub(super) fn takeover(front: &Front) -> Vec<OsString> {
    let file = front.folder.join(FILE);
    vec!["run".into(), "--takeover".into(), "--config".into(), file.into()]
}

pub(super) async fn reload(program: &Path, front: &Front) -> Result<()> {
    let file = front.write(FILE, &configuration(front))?;
    let mut command = tokio::process::Command::new(program);
    let done = command.arg("reload").arg("--config").arg(file).kill_on_drop(true).output().await?;
    if !done.status.success() {
        bail!("the reload failed: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}
