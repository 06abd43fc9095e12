//! uWSGI's options, in its ini files and command lines (uwsgi-docs.readthedocs.io, "Options").

use super::words::{bytes, integer, is_safe, lines, millis, pair, section};
use crate::address::authority;
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const UWSGI: Config = Config {
    name: "uWSGI settings",
    product: Product::Uwsgi,
    fits,
    read,
    source: "https://uwsgi-docs.readthedocs.io/en/latest/Options.html",
    example: "[uwsgi]\nsocket = /run/app.sock\nbuffer-size = 4096\n",
};

const NAMES: [&str; 18] = [
    "socket",
    "uwsgi-socket",
    "http-socket",
    "http",
    "harakiri",
    "buffer-size",
    "chmod-socket",
    "die-on-term",
    "wsgi-file",
    "chdir",
    "module",
    "master",
    "processes",
    "vacuum",
    "plugins",
    "enable-threads",
    "listen",
    "http-timeout",
];

fn fits(_: &str, text: &str) -> bool {
    let headed = lines(text).any(|it| section(it) == Some("uwsgi"));
    let options = || lines(text).filter(|it| !it.starts_with(['#', ';', '[']));
    let known = options().filter(|it| assignment(it).is_some_and(|(it, _)| NAMES.contains(&it)));
    let known = known.count();
    let other = lines(text).any(|it| section(it).is_some_and(|it| it != "uwsgi"));
    headed || !other && known >= 2 && known * 2 >= options().count()
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Uwsgi, text);
    let mut within = true;
    // Another protocol may be set beside the socket.
    let set = |line| assignment(line).filter(|(name, _)| is_protocol(name)).map(|it| named(it.1));
    let spoken = lines(text).find_map(set).unwrap_or(Scheme::Uwsgi);
    for line in lines(text).filter(|it| !it.starts_with(['#', ';'])) {
        if let Some(name) = section(line) {
            within = name == "uwsgi";
            continue;
        }
        if let Some((name, value)) = assignment(line).filter(|_| within) {
            option(&mut places, spoken, name, value, line);
        }
    }
    places.settings
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = pair(line, '=')?;
    let plain = name.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'));
    (plain && !name.is_empty()).then_some((name, value))
}

/// Adds what an option says, where `socket` speaks `spoken`; whether it says where the server listens.
pub(super) fn option<'t>(
    places: &mut Places<'t>,
    spoken: Scheme,
    name: &str,
    value: &'t str,
    quote: &'t str,
) -> bool {
    if !is_safe(quote) {
        return false;
    }
    let mut listens = |scheme| {
        let address = if value.starts_with('/') { value } else { authority(value) };
        places.add(What::Listens { address: address.to_owned(), scheme }, quote);
        true
    };
    match name {
        "socket" => return listens(spoken),
        "uwsgi-socket" => return listens(Scheme::Uwsgi),
        "http" | "http-socket" => return listens(Scheme::Http),
        "https" | "https-socket" => return listens(Scheme::Https),
        "fastcgi-socket" => return listens(Scheme::FastCgi),
        "enable-proxy-protocol" | "http-enable-proxy-protocol" => {
            places.add(What::ProxyHeader { sends: false }, quote);
        }
        "harakiri" | "http-timeout" => {
            let limit = if name == "harakiri" { Limit::Worker } else { Limit::Read };
            places.limit(limit, millis(value, 1000), quote);
        }
        "socket-timeout" => places.limit(Limit::Send, millis(value, 1000), quote),
        "http-keepalive" => places.limit(Limit::KeepAliveClose, millis(value, 1000), quote),
        "buffer-size" => places.limit(Limit::RequestHead, bytes(value), quote),
        "listen" => places.limit(Limit::Backlog, integer(value), quote),
        "processes" | "workers" | "threads" => {
            places.limit(Limit::Workers, integer(value), quote);
        }
        "max-requests" => places.limit(Limit::RequestsPerWorker, integer(value), quote),
        "reload-mercy" | "worker-reload-mercy" => {
            places.limit(Limit::Graceful, millis(value, 1000), quote);
        }
        "limit-as" => {
            let megabytes = integer(value).and_then(|it| it.checked_mul(1 << 20));
            places.limit(Limit::Memory, megabytes, quote);
        }
        "chmod-socket" => places.add(What::SocketMode { mode: value.to_owned() }, quote),
        "chown-socket" => places.add(What::SocketOwner { name: value.to_owned() }, quote),
        "uid" => places.add(What::User { name: value.to_owned() }, quote),
        "master" | "die-on-term" | "need-app" if !matches!(value, "false" | "0" | "no") => {
            places.add(What::On { option: name.to_owned() }, quote);
        }
        _ => {}
    }
    false
}

/// Whether an option names what `socket` speaks.
pub(super) fn is_protocol(name: &str) -> bool {
    matches!(name, "protocol" | "socket-protocol")
}

pub(super) fn named(protocol: &str) -> Scheme {
    match protocol {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "fastcgi" | "fastcgi-nph" => Scheme::FastCgi,
        "scgi" => Scheme::Scgi,
        "uwsgi" => Scheme::Uwsgi,
        _ => Scheme::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn files_and_pieces_are_read() {
        for (text, want) in [
            (
                "[uwsgi]\nmodule = app:app\nmaster = true\nprocesses = 4\n; a remark\nsocket = /run/app.sock\nchmod-socket = 660\nharakiri = 30\nbuffer-size=32768\nlisten = 128\nuid = www-data\n\n[other]\nharakiri = 1\n",
                "uWSGI: On { option: \"master\" }; Limit Workers 4; Listens /run/app.sock; SocketMode { mode: \"660\" }; \
                 Limit Worker 30000; Limit RequestHead 32768; Limit Backlog 128; User { name: \"www-data\" }",
            ),
            (
                "socket = 127.0.0.1:3031\nharakiri = 5",
                "uWSGI: Listens 127.0.0.1:3031; Limit Worker 5000",
            ),
            ("[uwsgi]\nsocket = :8080\nprotocol = http\n", "uWSGI: Listens :8080"),
            ("[uwsgi]\nhttp-socket=:8080", "uWSGI: Listens :8080"),
        ] {
            check_config("app.ini", text, want);
        }
        assert!(!super::fits("uwsgi.ini", "[mysqld]\nsocket = /run/mysqld.sock\nport = 3306\n"));
        assert!(!super::fits("uwsgi.log", "*** Starting uWSGI 2.0.21 ***\nbuffer-size = odd\n"));
    }
}
