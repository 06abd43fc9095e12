//! nginx: open source, so without active checks and slow start.

use super::{
    AT_ONCE, ATTEMPTS, CONNECT, EJECTED, FAILURES, Front, LOOK_EVERY, Peer, Places, Program, START,
    WORKERS, milliseconds, version,
};
use crate::prevent::names::NAME;
use crate::setting::find_program;
use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::read_to_string;
use std::path::PathBuf;
use tokio::time::{Instant, sleep};

const FILE: &str = "nginx.conf";
const PID: &str = "nginx.pid";

pub(super) fn configuration(front: &Front, daemon: bool) -> String {
    let Front { listen, places, folder, .. } = front;
    let (connect, read) = (milliseconds(CONNECT), milliseconds(front.read()));
    let daemon = if daemon { "on" } else { "off" };
    // Started by root, a worker would take another user and could not use our folder.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let folder = folder.display();
    let (upstream, pass) = match places {
        Places::Addresses(all) => {
            let servers = all.iter().map(|it| {
                let ejected = EJECTED.as_secs();
                format!(
                    "server {it} max_fails={FAILURES} fail_timeout={ejected}s max_conns={AT_ONCE};"
                )
            });
            let servers = servers.collect::<Vec<_>>().join("\n        ");
            let upstream = format!(
                "upstream app {{
        zone app 256k;
        least_conn;
        {servers}
        keepalive 32;
    }}"
            );
            (upstream, "proxy_pass http://app;".to_owned())
        }
        // A name that is looked up again must stand in a variable, which rules out an upstream.
        Places::Name { port, server, .. } => {
            let pass = format!(
                "resolver {server} ipv6=off;
            resolver_timeout {connect};
            set $app {NAME};
            proxy_pass http://$app:{port};"
            );
            (String::new(), pass)
        }
    };
    format!(
        r#"daemon {daemon};
{user}
worker_processes {WORKERS};
pid {folder}/{PID};
error_log {folder}/error.log info;
events {{
    worker_connections 4096;
}}
http {{
    access_log off;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {upstream}
    server {{
        listen {listen} backlog=1024;
        location / {{
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_connect_timeout {connect};
            proxy_read_timeout {read};
            proxy_next_upstream error timeout invalid_header http_502 http_503 http_504;
            proxy_next_upstream_tries {ATTEMPTS};
            {pass}
        }}
    }}
}}
"#
    )
}

pub(super) fn find() -> Result<Program> {
    let path = find_program("nginx", "`cargo xtask peers`; on Debian: apt-get install nginx")?;
    let version = version(&path, "-v")?;
    Ok(Program { peer: Peer::Nginx, path, version })
}

/// As a daemon it can be upgraded; with `daemon off` it ignores the signal.
pub(super) fn start(front: &Front, daemon: bool) -> Result<Vec<OsString>> {
    let file = front.write(FILE, &configuration(front, daemon))?;
    // `-e`: before the configuration is read, errors would go to a file of the system's nginx.
    let folder = front.folder.clone();
    Ok(vec!["-p".into(), folder.into(), "-e".into(), "stderr".into(), "-c".into(), file.into()])
}

pub(super) fn reload(front: &Front) -> Result<()> {
    front.write(FILE, &configuration(front, false))?;
    signal(front, PID, Signal::HUP)
}

/// <https://nginx.org/en/docs/control.html>, "Upgrading Executable on the Fly".
pub(super) async fn restart(front: &Front) -> Result<()> {
    signal(front, PID, Signal::USR2)?;
    let old = format!("{PID}.oldbin");
    let until = Instant::now() + START;
    let renamed: PathBuf = front.folder.join(&old);
    let fresh: PathBuf = front.folder.join(PID);
    while !(renamed.is_file() && read_to_string(&fresh).is_ok_and(|it| !it.is_empty())) {
        ensure!(Instant::now() < until, "the new nginx does not come up");
        sleep(LOOK_EVERY).await;
    }
    signal(front, &old, Signal::QUIT)
}

fn signal(front: &Front, file: &str, signal: Signal) -> Result<()> {
    let text =
        read_to_string(front.folder.join(file)).context("reading the process id of nginx")?;
    let pid = Pid::from_raw(text.trim().parse()?).context("a process id")?;
    kill_process(pid, signal).context("telling nginx")
}
