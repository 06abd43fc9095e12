//! nginx: tuned as one would for this work, with a log line like the gateway's.

use super::Names;
use crate::cases::SMALL;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// As many fields as the gateway's line, buffered, which is the cheapest log that nginx has.
const LOG_FORMAT: &str = r#"log_format json escape=json
        '{"time":$msec,"id":"$request_id",'
        '"client":"$remote_addr","port":$remote_port,"tls":"$https","ordinal":$connection_requests,'
        '"method":"$request_method","host":"$host","path":"$uri","version":"$server_protocol",'
        '"caller_id":"$http_x_request_id","request_bytes":$request_length,'
        '"route":"all","upstream":"origin","target":"$upstream_addr",'
        '"target_status":"$upstream_status","connect":"$upstream_connect_time",'
        '"first_byte":"$upstream_header_time","answered":"$upstream_response_time",'
        '"target_sent":"$upstream_bytes_sent","target_received":"$upstream_bytes_received",'
        '"status":$status,"body_bytes":$body_bytes_sent,"bytes":$bytes_sent,'
        '"took":$request_time,"end":"$request_completion"}';"#;

pub(super) fn configuration(names: &Names) -> String {
    let Names { plain, tls, h2, upstream, folder, workers, prefix, .. } = names;
    let folder = folder.display();
    let (user, log, temporary) = (user(), log(names), temporary(&names.folder, prefix));
    format!(
        r"daemon off;
{user}worker_processes {workers};
pid {folder}/{prefix}.pid;
error_log stderr warn;
events {{
    worker_connections 16384;
    multi_accept on;
}}
http {{
    {log}
    {temporary}
    default_type text/plain;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    upstream origin {{
        server {upstream};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {plain} backlog=1024;
        listen {tls} ssl http2 backlog=1024;
        listen {h2} http2 backlog=1024;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_protocols TLSv1.3;
        proxy_http_version 1.1;
        proxy_set_header Connection '';
        proxy_set_header Host $host;
        proxy_set_header X-Request-Id $request_id;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_request_buffering off;
        # The disk has no part in this, as it has none in the gateway.
        proxy_max_temp_file_size 0;
        location / {{
            proxy_pass http://origin;
        }}
        location /events {{
            proxy_buffering off;
            proxy_pass http://origin;
        }}
        location /hold {{
            proxy_buffering off;
            proxy_pass http://origin;
        }}
    }}
}}
"
    )
}

/// A server of its own, as cheap as it gets: it writes no log and answers from its configuration.
pub(super) fn h2_upstream(folder: &Path, addr: SocketAddr) -> String {
    let (user, answer) = (user(), "s".repeat(SMALL));
    let temporary = temporary(folder, "h2_upstream");
    let folder = folder.display();
    format!(
        r#"daemon off;
{user}worker_processes 1;
pid {folder}/h2_upstream.pid;
error_log stderr warn;
events {{
    worker_connections 1024;
}}
http {{
    access_log off;
    {temporary}
    default_type text/plain;
    keepalive_requests 1000000000;
    server {{
        listen {addr} http2;
        location / {{
            return 200 "{answer}";
        }}
    }}
}}
"#
    )
}

pub(super) fn arguments(folder: &Path, file: PathBuf) -> Vec<OsString> {
    // `-e`: before the configuration is read, errors would go to a file of the system's nginx.
    vec!["-p".into(), folder.into(), "-e".into(), "stderr".into(), "-c".into(), file.into()]
}

/// Started by root, a worker would take another user and could not use our folder.
fn user() -> &'static str {
    if rustix::process::geteuid().is_root() { "user root;\n" } else { "" }
}

fn log(names: &Names) -> String {
    match &names.log {
        Some(path) => {
            let path = path.display();
            format!("{LOG_FORMAT}\n    access_log {path} json buffer=64k flush=1s;")
        }
        None => "access_log off;".to_owned(),
    }
}

/// The folders that nginx makes at its start, even those that it never uses.
fn temporary(folder: &Path, prefix: &str) -> String {
    let folder = folder.join(format!("{prefix}.temporary"));
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let lines = kinds.map(|kind| format!("{kind}_temp_path {}.{kind};", folder.display()));
    lines.join("\n    ")
}
