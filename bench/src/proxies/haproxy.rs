//! HAProxy without a log: it writes none to files, so a column with one would measure a log daemon.

use super::Names;
use std::ffi::OsString;
use std::path::PathBuf;

pub(super) fn configuration(names: &Names) -> String {
    let Names { plain, tls, upstream, folder, log: _, prefix: _ } = names;
    let folder = folder.display();
    format!(
        r"global
    nbthread 1
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
    bind {tls} ssl crt {folder}/both.pem
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }}
    default_backend origin

backend origin
    server origin {upstream} pool-max-conn 64
"
    )
}

pub(super) fn arguments(file: PathBuf) -> Vec<OsString> {
    vec!["-db".into(), "-f".into(), file.into()]
}
