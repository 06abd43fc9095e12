//! HAProxy.

use super::{
    AT_ONCE, ATTEMPTS, CHECK, CONNECT, FAILURES, Front, Peer, Places, Program, SLOW_START, WORKERS,
    milliseconds, version,
};
use crate::prevent::names::NAME;
use crate::prevent::target::HEALTH;
use crate::setting::find_program;
use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;

const FILE: &str = "haproxy.cfg";
const SOCKET: &str = "haproxy.sock";

pub(super) fn configuration(front: &Front) -> String {
    let Front { listen, places, http2, folder, .. } = front;
    let [connect, read, check, slow_start] =
        [CONNECT, front.read(), CHECK, SLOW_START].map(milliseconds);
    let retries = ATTEMPTS - 1;
    let folder = folder.display();
    // It has no mode for an emergency: the only server would be out even where it serves again.
    let observed = match places.count() {
        1 => String::new(),
        _ => format!(" observe layer7 error-limit {FAILURES} on-error mark-down"),
    };
    let proto = if *http2 { " proto h2 check-proto h2" } else { "" };
    let (resolvers, servers) = match places {
        Places::Addresses(all) => {
            let servers = all.iter().enumerate();
            let servers = servers.map(|(number, it)| format!("server app{number} {it}{proto}"));
            (String::new(), servers.collect::<Vec<_>>().join("\n    "))
        }
        Places::Name { port, server, most } => (
            format!(
                "
resolvers names
    nameserver ours {server}
    timeout resolve 1s
    timeout retry 1s
    hold valid 1s
"
            ),
            format!(
                "server-template app {most} {NAME}:{port} resolvers names resolve-prefer ipv4 \
                 init-addr none"
            ),
        ),
    };
    format!(
        "global
    nbthread {WORKERS}
    stats socket {folder}/{SOCKET} mode 600 level admin expose-fd listeners
{resolvers}
defaults
    mode http
    timeout connect {connect}
    timeout client 75s
    timeout server {read}
    timeout http-keep-alive 75s
    option abortonclose

frontend all
    bind {listen}
    http-request disable-l7-retry if METH_POST
    default_backend app

backend app
    balance leastconn
    retries {retries}
    retry-on all-retryable-errors
    option redispatch
    option httpchk
    http-check send meth GET uri {HEALTH} ver HTTP/1.1 hdr Host {NAME}
    default-server check inter {check}{observed} slowstart {slow_start} maxconn {AT_ONCE}
    {servers}
"
    )
}

pub(super) fn find() -> Result<Program> {
    let path = find_program("haproxy", "`cargo xtask peers`; on Debian: apt-get install haproxy")?;
    let version = version(&path, "-v")?;
    Ok(Program { peer: Peer::Haproxy, path, version })
}

/// With a master process, which a reload needs.
pub(super) fn start(front: &Front) -> Result<Vec<OsString>> {
    let file = front.write(FILE, &configuration(front))?;
    Ok(vec!["-W".into(), "-db".into(), "-f".into(), file.into()])
}

/// Management guide, 4: the new process gets the listeners over the socket and has the old one
/// finish.
pub(super) fn takeover(front: &Front, pid: u32) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["-W".into(), "-db".into(), "-f".into()];
    arguments.push(front.folder.join(FILE).into());
    arguments.push("-x".into());
    arguments.push(front.folder.join(SOCKET).into());
    arguments.push("-sf".into());
    arguments.push(pid.to_string().into());
    arguments
}

pub(super) fn reload(front: &Front, pid: u32) -> Result<()> {
    front.write(FILE, &configuration(front))?;
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process id")?;
    kill_process(pid, Signal::USR2).context("telling HAProxy")
}
