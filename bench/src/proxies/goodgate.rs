//! The gateway, with its defaults except for what all proxies here have in common.

use super::Names;
use std::ffi::OsString;
use std::path::PathBuf;

pub(super) fn configuration(names: &Names) -> String {
    let Names { plain, tls, upstream, folder, log, prefix: _ } = names;
    let folder = folder.display();
    let log = log.as_ref().map_or_else(|| "off".to_owned(), |it| it.display().to_string());
    format!(
        r#"workers = 1

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
"#
    )
}

pub(super) fn arguments(file: PathBuf) -> Vec<OsString> {
    vec!["run".into(), "--config".into(), file.into()]
}
