//! The gateway, with its defaults except for what all proxies here have in common.

use super::Names;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(super) fn configuration(names: &Names) -> String {
    let Names { plain, tls, upstream, folder, log, workers, .. } = names;
    let h2_upstream = names.h2_upstream.map(h2_upstream).unwrap_or_default();
    let folder = folder.display();
    let log = log.as_ref().map_or_else(|| "off".to_owned(), |it| it.display().to_string());
    format!(
        r#"workers = {workers}

[listen]
http = "{plain}"
https = {{ addr = "{tls}", cert = "{folder}/cert.pem", key = "{folder}/key.pem" }}

[log]
access = "{log}"

[upstream.origin]
targets = ["http://{upstream}"]

[route.all]
match = "/*"
to = "origin"
{h2_upstream}"#
    )
}

fn h2_upstream(addr: SocketAddr) -> String {
    format!(
        r#"
[upstream.h2]
targets = ["h2c://{addr}"]

[route.h2]
match = "/h2/*"
to = "h2"
"#
    )
}

pub(super) fn arguments(file: PathBuf) -> Vec<OsString> {
    vec!["run".into(), "--config".into(), file.into()]
}
