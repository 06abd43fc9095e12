//! Gunicorn's settings file: Python assignments (docs.gunicorn.org, "Settings").

use crate::address::authority;
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const SETTINGS: Config = Config {
    name: "gunicorn settings",
    product: Product::Gunicorn,
    fits,
    read,
    source: "https://docs.gunicorn.org/en/stable/settings.html",
    example: "bind = \"0.0.0.0:5000\"\nworkers = 2\ntimeout = 30\n",
};

const NAMES: [&str; 12] = [
    "bind",
    "workers",
    "threads",
    "timeout",
    "graceful_timeout",
    "keepalive",
    "backlog",
    "max_requests",
    "worker_class",
    "worker_connections",
    "limit_request_field_size",
    "user",
];

fn fits(name: &str, text: &str) -> bool {
    let known = text.lines().filter_map(assignment).filter(|(it, _)| NAMES.contains(it)).count();
    known >= 2 || known == 1 && (name.contains("gunicorn") || text.contains("bind"))
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Gunicorn, text);
    let set = |name: &str| text.lines().filter_map(assignment).any(|it| it.0 == name);
    let scheme = if set("certfile") { Scheme::Https } else { Scheme::Http };
    for line in text.lines() {
        let Some((name, value)) = assignment(line) else { continue };
        let quote = line.trim();
        let number = || value.trim_matches(['"', '\'']).parse::<i64>().ok();
        let seconds = || number().map(|it| it * 1000);
        let limit = |limit, value: Option<i64>| value.map(|value| What::Limit { limit, value });
        let what = match name {
            "bind" => Some(What::Listens {
                address: authority(value.trim_matches(['"', '\'', '[', ']'])).to_owned(),
                scheme,
            }),
            "workers" | "threads" => limit(Limit::Workers, number()),
            "timeout" => limit(Limit::Worker, seconds()),
            "graceful_timeout" => limit(Limit::Graceful, seconds()),
            "keepalive" => limit(Limit::KeepAliveClose, seconds()),
            "backlog" => limit(Limit::Backlog, number()),
            "max_requests" => limit(Limit::RequestsPerWorker, number()),
            "worker_connections" => limit(Limit::Concurrency, number()),
            "limit_request_field_size" => limit(Limit::RequestHead, number()),
            "proxy_protocol" if !matches!(value, "False" | "None" | "0" | "'off'" | "\"off\"") => {
                Some(What::ProxyHeader { sends: false })
            }
            "cert_reqs" if matches!(value, "2" | "ssl.CERT_REQUIRED") => {
                Some(What::VerifiesClients)
            }
            "user" => Some(What::User { name: value.trim_matches(['"', '\'']).to_owned() }),
            _ => None,
        };
        if let Some(what) = what {
            places.add(what, quote);
        }
    }
    places.settings
}

/// `name = value  # comment`, at the start of a line.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim_end();
    let plain = name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    let value = value.split(" #").next().unwrap_or(value).trim();
    (plain && !name.is_empty() && !value.starts_with('=')).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn the_address_and_the_limits_are_read() {
        check_config(
            "gunicorn.conf.py",
            "bind = '127.0.0.1:8000'\ntimeout = 120  # long reports\n",
            "gunicorn: Listens 127.0.0.1:8000; Limit Worker 120000",
        );
    }

    #[test]
    fn what_the_address_speaks_is_read() {
        check_config(
            "gunicorn.conf.py",
            "bind = '127.0.0.1:8000'\nproxy_protocol = True\n",
            "gunicorn: Listens 127.0.0.1:8000; ProxyHeader { sends: false }",
        );
        check_config(
            "gunicorn.conf.py",
            "bind = '127.0.0.1:8000'\nproxy_protocol = False\ncert_reqs = 2\n",
            "gunicorn: Listens 127.0.0.1:8000; VerifiesClients",
        );
    }

    #[test]
    fn any_python_file_is_no_settings_file() {
        assert!(!super::fits("app.py", "import flask\napp = flask.Flask(__name__)\n"));
    }
}
