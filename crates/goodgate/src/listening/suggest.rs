//! Which listener was probably meant, when nothing listens where an app was expected.

use super::Listener;
use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};

/// The listener that is most likely the app, if any is likely at all. Never guesses about another
/// machine.
pub(crate) fn suggest(wanted: SocketAddr, listeners: &[Listener]) -> Option<&Listener> {
    let ip = wanted.ip();
    let here =
        ip.is_loopback() || ip.is_unspecified() || listeners.iter().any(|it| it.address.ip() == ip);
    if !here {
        return None;
    }
    let likely = listeners.iter().filter(|it| it.address != wanted && likeness(it, wanted) > 0);
    likely.min_by_key(|it| {
        let away = it.address.port().abs_diff(wanted.port());
        (Reverse(likeness(it, wanted)), away, it.address)
    })
}

/// The URL to put a gateway in front of a listener on this machine.
pub(crate) fn url(listener: &Listener) -> String {
    let address = listener.address;
    match address.ip() {
        // A name would be looked up, and could then mean the other family.
        IpAddr::V6(ip) if ip.is_loopback() => format!("http://{address}"),
        ip if ip.is_loopback() || ip.is_unspecified() => {
            format!("http://localhost:{}", address.port())
        }
        _ => format!("http://{address}"),
    }
}

/// How much a listener looks like the app that was meant; 0 is not at all.
fn likeness(listener: &Listener, wanted: SocketAddr) -> u8 {
    let kind = listener.command.as_deref().map(kind);
    match (kind, listener.own) {
        (Some(Kind::System), _) => 0,
        // The app is where it should be, on another address of this machine.
        _ if listener.address.port() == wanted.port() => 5,
        (Some(Kind::AppServer), true) => 4,
        (Some(Kind::AppServer), false) => 3,
        (Some(Kind::Unknown), true) => 2,
        // Nothing is known of it but its port.
        (Some(Kind::Unknown), false) | (None, _) => {
            u8::from(DEV_PORTS.contains(&listener.address.port()))
        }
    }
}

/// Ports that frameworks listen on where nothing else is said. A container's app shows as another
/// user's process on such a port.
const DEV_PORTS: [u16; 11] = [3000, 4000, 4200, 5000, 5173, 8000, 8001, 8080, 8081, 8888, 9000];

enum Kind {
    AppServer,
    /// Something that speaks another protocol than HTTP, or is no app.
    System,
    Unknown,
}

fn kind(command: &str) -> Kind {
    let command = command.to_ascii_lowercase();
    let mut words = command.split(|it: char| !it.is_ascii_alphanumeric());
    let program = words.clone().next().unwrap_or_default();
    if SYSTEM.iter().any(|it| program.starts_with(it)) {
        return Kind::System;
    }
    let of_an_app = |word: &str| {
        let bare = word.trim_end_matches(|it: char| it.is_ascii_digit());
        APP_SERVERS.contains(&bare)
    };
    if words.any(of_an_app) { Kind::AppServer } else { Kind::Unknown }
}

/// Languages, servers and tools that apps are started with; versions behind them do not count.
const APP_SERVERS: [&str; 38] = [
    "python",
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "granian",
    "uwsgi",
    "waitress",
    "flask",
    "django",
    "fastapi",
    "streamlit",
    "node",
    "nodejs",
    "deno",
    "bun",
    "npm",
    "pnpm",
    "yarn",
    "next",
    "vite",
    "nuxt",
    "java",
    "gradle",
    "mvn",
    "ruby",
    "puma",
    "unicorn",
    "rails",
    "rackup",
    "php",
    "frankenphp",
    "dotnet",
    "go",
    "air",
    "beam",
    "mix",
    "cargo",
];

const SYSTEM: [&str; 30] = [
    "sshd",
    "systemd",
    "cupsd",
    "dnsmasq",
    "named",
    "unbound",
    "rpcbind",
    "chronyd",
    "ntpd",
    "avahi",
    "dockerd",
    "containerd",
    "kubelet",
    "postgres",
    "postmaster",
    "mysqld",
    "mariadbd",
    "redis",
    "valkey",
    "memcached",
    "mongod",
    "rabbitmq",
    "epmd",
    "exim",
    "master",
    "smbd",
    "vsftpd",
    "xrdp",
    "x11vnc",
    "goodgate",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A listener in one line: `127.0.0.1:8080 python app.py`; `~` before the address is another
    /// user's, and no command is one that we may not see.
    fn listener(line: &str) -> Listener {
        let (address, command) = line.split_once(' ').unwrap_or((line, ""));
        Listener {
            address: address.trim_start_matches('~').parse().unwrap(),
            own: !address.starts_with('~'),
            pid: (!command.is_empty()).then_some(1),
            command: (!command.is_empty()).then(|| command.to_owned()),
        }
    }

    #[track_caller]
    fn check(wanted: &str, listening: &[&str], expected: Option<&str>) {
        let listeners: Vec<Listener> = listening.iter().map(|it| listener(it)).collect();
        let suggested = suggest(wanted.parse().unwrap(), &listeners).map(url);
        assert_eq!(suggested.as_deref(), expected, "{wanted} {listening:?}");
    }

    const SSH: &str = "~0.0.0.0:22 sshd: /usr/sbin/sshd -D";
    const DATABASE: &str = "127.0.0.1:5432 postgres -D /srv/data";
    const DJANGO: &str = "127.0.0.1:8080 python3.12 manage.py runserver";

    #[test]
    fn an_app_server_is_meant_and_no_daemon() {
        check("127.0.0.1:8000", &[SSH, DATABASE, DJANGO], Some("http://localhost:8080"));
        check("127.0.0.1:8000", &["127.0.0.1:7999 thing", DJANGO], Some("http://localhost:8080"));
        check("127.0.0.1:8000", &[SSH, DATABASE], None);
        check("127.0.0.1:8000", &[], None);
    }

    #[test]
    fn the_nearest_of_equals_is_meant() {
        let node = "0.0.0.0:3000 node server.js";
        check("127.0.0.1:3001", &[DJANGO, node], Some("http://localhost:3000"));
        check("127.0.0.1:8000", &[DJANGO, node], Some("http://localhost:8080"));
    }

    #[test]
    fn the_right_port_on_another_address_comes_first() {
        let elsewhere = "10.0.0.7:8000 app";
        check("127.0.0.1:8000", &[DJANGO, elsewhere], Some("http://10.0.0.7:8000"));
        check("127.0.0.1:8000", &["[::1]:8000 app", DJANGO], Some("http://[::1]:8000"));
        check("10.0.0.7:8000", &["10.0.0.7:22 sshd", DJANGO], Some("http://localhost:8080"));
    }

    #[test]
    fn a_process_that_we_may_not_see_counts_only_on_a_port_of_apps() {
        check("127.0.0.1:8000", &["~0.0.0.0:8080"], Some("http://localhost:8080"));
        check("127.0.0.1:8000", &["~0.0.0.0:631"], None);
        check("127.0.0.1:8000", &["~0.0.0.0:8080", DJANGO], Some("http://localhost:8080"));
    }

    #[test]
    fn nothing_is_guessed_about_another_machine() {
        check("10.1.2.3:8000", &[DJANGO], None);
    }

    #[test]
    fn a_name_is_matched_as_a_word() {
        check("127.0.0.1:1", &["~127.0.0.1:2 django-like"], Some("http://localhost:2"));
        check("127.0.0.1:1", &["~127.0.0.1:2 mango"], None);
        check("127.0.0.1:1", &["~127.0.0.1:2 algo"], None);
    }
}
