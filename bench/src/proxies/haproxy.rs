//! HAProxy without a log: it writes none to files, so a column with one would measure a log daemon.

use super::Names;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(super) fn configuration(names: &Names) -> String {
    let Names { plain, tls, h2, upstream, folder, workers, .. } = names;
    let (choice, h2_upstream) = names.h2_upstream.map(h2_upstream).unwrap_or_default();
    let folder = folder.display();
    format!(
        r"global
    nbthread {workers}
    ssl-default-bind-options ssl-min-ver TLSv1.3

defaults
    mode http
    option forwardfor
    http-reuse always
    timeout connect 5s
    timeout client 75s
    timeout server 60s

frontend all
    bind {plain}
    bind {tls} ssl crt {folder}/both.pem alpn h2,http/1.1
    bind {h2} proto h2
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }}
    {choice}default_backend origin

backend origin
    server origin {upstream} pool-max-conn 64
{h2_upstream}"
    )
}

/// The choice of a backend, and the backend.
fn h2_upstream(addr: SocketAddr) -> (String, String) {
    let choice = "use_backend h2 if { path_beg /h2/ }\n    ".to_owned();
    (choice, format!("\nbackend h2\n    server h2 {addr} proto h2 pool-max-conn 64\n"))
}

pub(super) fn arguments(file: PathBuf) -> Vec<OsString> {
    vec!["-db".into(), "-f".into(), file.into()]
}
