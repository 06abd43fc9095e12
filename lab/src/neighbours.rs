//! nginx and haproxy with a configuration that means the same as ours, for one scene.

use crate::process::{self, Process};
use crate::scene::{Conditions, Playing};
use crate::scratch::Scratch;
use crate::stage;
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// Another gateway, killed when dropped.
pub struct Neighbour {
    pub listen: SocketAddr,
    process: Process,
    _scratch: Scratch,
}

impl Neighbour {
    /// What it said on its output.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.said()
    }
}

pub async fn nginx(playing: &Playing) -> io::Result<Neighbour> {
    start("nginx", "/usr/sbin/nginx", &["-e", "stderr", "-c"], nginx_config, playing).await
}

pub async fn haproxy(playing: &Playing) -> io::Result<Neighbour> {
    start("haproxy", "/usr/sbin/haproxy", &["-db", "-f"], haproxy_config, playing).await
}

type Config = fn(&Playing, SocketAddr, &Path) -> String;

async fn start(
    name: &'static str,
    program: &str,
    arguments: &[&str],
    config: Config,
    playing: &Playing,
) -> io::Result<Neighbour> {
    let scratch = Scratch::new(name)?;
    process::open_to_all(&scratch)?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, stage::free_port()?));
    let file = scratch.write(name, &config(playing, listen, scratch.path()))?;
    let mut command = process::command(Path::new(program), playing.conditions.ordinary_user);
    command.args(arguments).arg(file);
    let mut process = Process::start(name, command, &scratch)?;
    process.until_it_listens(listen).await?;
    Ok(Neighbour { listen, process, _scratch: scratch })
}

fn nginx_config(playing: &Playing, listen: SocketAddr, folder: &Path) -> String {
    let url = playing.url_for(listen);
    let place = Place::of(&url);
    let Conditions { limits, ca, dns, client, .. } = &playing.conditions;
    let patience = limits.patience.as_millis();
    let folder = folder.display();

    let mut tls = String::new();
    if let Some(ca) = ca {
        let ca = ca.display();
        line(&mut tls, format_args!("proxy_ssl_verify on;"));
        line(&mut tls, format_args!("proxy_ssl_verify_depth 3;"));
        line(&mut tls, format_args!("proxy_ssl_trusted_certificate {ca};"));
        line(&mut tls, format_args!("proxy_ssl_server_name on;"));
        line(&mut tls, format_args!("proxy_ssl_name {};", place.asked(&playing.conditions)));
    }
    if let Some((certificate, key)) = client {
        line(&mut tls, format_args!("proxy_ssl_certificate {};", certificate.display()));
        line(&mut tls, format_args!("proxy_ssl_certificate_key {};", key.display()));
    }
    // A name that is looked up at run time must stand in a variable, which rules out a pool.
    let (pool, pass) = match dns {
        Some(server) => (
            String::new(),
            format!(
                "resolver {server} ipv6=off;\nresolver_timeout {patience}ms;\n\
                 set $place {};\nproxy_pass {}://$place;",
                place.authority, place.scheme
            ),
        ),
        None => (
            format!("upstream scene {{ server {}; keepalive 8; }}", place.authority),
            format!("proxy_pass {}://scene;", place.scheme),
        ),
    };
    format!(
        "daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr info;
events {{ worker_connections 256; }}
http {{
access_log off;
client_body_temp_path {folder}/client;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
{pool}
server {{
listen {listen};
location / {{
client_max_body_size 0;
proxy_request_buffering off;
proxy_http_version 1.1;
proxy_set_header Connection \"\";
proxy_ssl_protocols TLSv1.2 TLSv1.3;
proxy_connect_timeout {patience}ms;
proxy_send_timeout {patience}ms;
proxy_read_timeout {patience}ms;
{tls}{pass}
}}
}}
}}
"
    )
}

fn haproxy_config(playing: &Playing, listen: SocketAddr, folder: &Path) -> String {
    let url = playing.url_for(listen);
    let place = Place::of(&url);
    let Conditions { limits, ca, dns, client, .. } = &playing.conditions;
    let patience = limits.patience.as_millis();

    let mut server = place.authority.replace("unix:", "unix@");
    if place.scheme == "https" && ca.is_none() {
        // These scenes break off before a certificate is shown.
        server += " ssl verify none";
    }
    if let Some(ca) = ca {
        let asked = place.asked(&playing.conditions);
        let ca = ca.display();
        server += &format!(" ssl verify required ca-file {ca} verifyhost {asked}");
        // SNI holds names only.
        if asked.parse::<IpAddr>().is_err() {
            server += &format!(" sni str({asked})");
        }
    }
    if let Some((certificate, key)) = client {
        // Both in one file, the key beside the certificate under its own name.
        let both = folder.join("client.pem");
        let read = |it| std::fs::read_to_string(it).unwrap_or_default();
        let written = std::fs::write(&both, read(certificate) + &read(key));
        debug_assert!(written.is_ok(), "the folder is ours");
        server += &format!(" crt {}", both.display());
    }
    let mut resolvers = String::new();
    if let Some(dns) = dns {
        resolvers = format!(
            "resolvers lab\nnameserver lab {dns}\ntimeout resolve {patience}ms\n\
             timeout retry {patience}ms\nresolve_retries 1\n"
        );
        server += " resolvers lab resolve-prefer ipv4 init-addr none";
    }
    format!(
        "global
maxconn 256
{resolvers}
defaults
mode http
timeout connect {patience}ms
timeout server {patience}ms
timeout client 10s
frontend lab
bind {listen}
default_backend scene
backend scene
server scene {server}
"
    )
}

fn line(to: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(to, "{text}").expect("writing to a string cannot fail");
}

/// The parts of a target, as the neighbours write them.
struct Place {
    scheme: &'static str,
    /// `127.0.0.1:8000`, `app.internal:8000`, `unix:/run/app.sock`.
    authority: String,
}

impl Place {
    fn of(url: &str) -> Place {
        match url.split_once("://") {
            Some(("https", rest)) => Place { scheme: "https", authority: rest.to_owned() },
            Some((_, rest)) => Place { scheme: "http", authority: rest.to_owned() },
            None => Place { scheme: "http", authority: url.to_owned() },
        }
    }

    /// The name or address that the certificate must be for.
    fn asked<'a>(&'a self, conditions: &Conditions) -> &'a str {
        let host = self.authority.rsplit_once(':').map_or(&*self.authority, |(host, _)| host);
        conditions.server_name.unwrap_or(host)
    }
}
