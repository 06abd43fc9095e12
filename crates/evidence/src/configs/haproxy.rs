//! HAProxy (docs.haproxy.org, "Configuration Manual").

use super::words::{integer, lines, millis, mostly, words};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const HAPROXY: Config = Config {
    name: "HAProxy configuration",
    product: Product::HaProxy,
    fits,
    read,
    source: "https://docs.haproxy.org/3.2/configuration.html",
    example: "backend app\n    timeout server 30s\n    server app1 192.0.2.1:8000 check\n",
};

const SECTIONS: [&str; 9] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "resolvers",
    "peers",
    "userlist",
    "cache",
];

const KNOWN: [&str; 32] = [
    "bind",
    "mode",
    "balance",
    "option",
    "timeout",
    "server",
    "server-template",
    "default-server",
    "default_backend",
    "use_backend",
    "acl",
    "maxconn",
    "retries",
    "http-request",
    "http-response",
    "http-check",
    "http-reuse",
    "log",
    "stats",
    "daemon",
    "user",
    "group",
    "chroot",
    "nameserver",
    "hold",
    "resolve_retries",
    "errorfile",
    "cookie",
    "redirect",
    "stick-table",
    "log-format",
    "nbthread",
];

fn fits(_: &str, text: &str) -> bool {
    let (mut all, mut known, mut own) = (0, 0, 0);
    for line in lines(text).filter(|it| !it.starts_with('#')) {
        all += 1;
        if line.ends_with([';', '{', '}']) {
            return false;
        }
        let words = words(line);
        let name = words.first().copied().unwrap_or_default();
        let first = words.get(1).copied().unwrap_or_default();
        own += usize::from(match name {
            "timeout" => words.len() == 3 && TIMEOUTS.contains(&first),
            "server" => words.len() >= 3 && is_server(words[2]),
            "bind" | "balance" | "http-reuse" | "default_backend" => {
                words.len() >= 2 && !first.starts_with('=')
            }
            "option" => first.starts_with("http") || first.contains("log") || first == "redispatch",
            "tune.bufsize" | "tune.maxrewrite" => words.len() == 2,
            "maxconn" => words.len() == 2,
            _ => false,
        });
        let section = SECTIONS.contains(&name) && words.len() <= 3;
        known += usize::from(section || KNOWN.contains(&name) || name.starts_with("tune."));
    }
    own > 0 && known == all || own > 1 && mostly(known, all)
}

const TIMEOUTS: [&str; 11] = [
    "connect",
    "client",
    "server",
    "queue",
    "check",
    "tunnel",
    "http-request",
    "http-keep-alive",
    "client-fin",
    "server-fin",
    "tarpit",
];

fn is_server(address: &str) -> bool {
    let port = address.rsplit_once(':').is_some_and(|(_, it)| it.parse::<u16>().is_ok());
    port || address.starts_with(['/', '$'])
        || address.starts_with("unix@")
        || address.parse::<std::net::IpAddr>().is_ok()
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut reading = Reading {
        places: Places::new(Product::HaProxy, text),
        section: "",
        name: "",
        modes: Modes::of(text),
    };
    for line in lines(text).filter(|it| !it.starts_with('#')) {
        let all = words(line);
        if let [name, values @ ..] = all.as_slice() {
            let last = values.last().unwrap_or(name);
            let quote = reading.places.between(name, last);
            reading.line(name, values, quote);
        }
    }
    reading.places.settings
}

struct Reading<'t> {
    places: Places<'t>,
    section: &'t str,
    name: &'t str,
    modes: Modes<'t>,
}

/// What sections speak: `mode http`, of their own or by their defaults.
struct Modes<'t> {
    by_default: &'t str,
    own: Vec<(&'t str, &'t str)>,
}

/// Sections beyond this have the mode of the defaults.
const MAX_MODES: usize = 1_000;

impl<'t> Modes<'t> {
    fn of(text: &'t str) -> Modes<'t> {
        let mut modes = Modes { by_default: "", own: Vec::new() };
        let (mut section, mut name) = ("", "");
        for line in lines(text).filter(|it| !it.starts_with('#')) {
            let mut words = line.split_whitespace();
            let (first, second) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            match first {
                it if SECTIONS.contains(&it) => (section, name) = (it, second),
                "mode" if section == "defaults" => modes.by_default = second,
                "mode" if modes.own.len() < MAX_MODES => modes.own.push((name, second)),
                _ => {}
            }
        }
        modes.own.sort_unstable();
        modes
    }

    fn scheme(&self, section: &str) -> Scheme {
        let at = self.own.binary_search_by(|(it, _)| (*it).cmp(section));
        match at.map_or(self.by_default, |at| self.own[at].1) {
            "http" => Scheme::Http,
            "tcp" => Scheme::Tcp,
            _ => Scheme::Unknown,
        }
    }
}

impl<'t> Reading<'t> {
    fn line(&mut self, name: &'t str, values: &[&'t str], quote: &'t str) {
        let value = values.first().copied().unwrap_or_default();
        let second = values.get(1).copied().unwrap_or_default();
        if SECTIONS.contains(&name) {
            (self.section, self.name) = (name, value);
            let named = matches!(name, "frontend" | "backend" | "listen") && !value.is_empty();
            return self.places.service(named.then_some(value));
        }
        match name {
            "server" | "server-template" => self.server(values, quote),
            "default-server" => self.options(values),
            "default_backend" | "use_backend" => {
                self.add(What::Dials { to: value.to_owned(), scheme: Scheme::Unknown }, quote);
            }
            "bind" => self.bind(values, quote),
            "timeout" => self.timeout(value, second, quote),
            "http-reuse" => {
                self.add(What::Reuses { on: value != "never" }, quote);
                if value == "always" {
                    self.add(What::On { option: "http-reuse always".to_owned() }, quote);
                }
            }
            "option" => self.option(values, quote),
            "http-check" if value == "send" => {
                let path =
                    values.iter().position(|it| *it == "uri").and_then(|it| values.get(it + 1));
                if let Some(path) = path {
                    self.health_check(path);
                }
            }
            "retry-on" | "retries" => self.add(What::Retries { on: values.join(" ") }, quote),
            "maxconn" | "fullconn" => self.limit(Limit::Concurrency, integer(value), quote),
            "tune.bufsize" => self.limit(Limit::AnswerHead, integer(value), quote),
            "ulimit-n" => self.limit(Limit::Descriptors, integer(value), quote),
            "nameserver" => self.add(What::Resolver { address: second.to_owned() }, quote),
            "user" if self.section == "global" => {
                self.add(What::User { name: value.to_owned() }, quote);
            }
            "log-format" => self.add(What::LogFormat { format: value.to_owned() }, quote),
            "http-request" if values.contains(&"deny") && values.contains(&"503") => {
                self.add(What::LimitsRate { rule: values.join(" ") }, quote);
            }
            _ => {}
        }
    }

    fn add(&mut self, what: What, quote: &'t str) {
        self.places.add(what, quote);
    }

    fn limit(&mut self, limit: Limit, value: Option<i64>, quote: &'t str) {
        self.places.limit(limit, value, quote);
    }

    fn health_check(&mut self, path: &'t str) {
        let path = path.split('?').next().unwrap_or(path);
        self.add(What::HealthCheck { path: Some(path.to_owned()), port: None, scheme: None }, path);
    }

    fn timeout(&mut self, name: &str, value: &str, quote: &'t str) {
        let limit = match name {
            "connect" => Limit::Connect,
            "server" => Limit::Read,
            "queue" => Limit::Total,
            "check" => Limit::Probe,
            "client" | "http-request" | "http-keep-alive" => Limit::Client,
            _ => return,
        };
        self.limit(limit, millis(value, 1), quote);
    }

    fn option(&mut self, values: &[&'t str], quote: &'t str) {
        match values.first().copied().unwrap_or_default() {
            "httpchk" => match values.iter().skip(1).find(|it| it.starts_with('/')) {
                Some(path) => self.health_check(path),
                None => self.add(
                    What::HealthCheck { path: Some("/".to_owned()), port: None, scheme: None },
                    quote,
                ),
            },
            "http-server-close" | "httpclose" | "forceclose" => {
                self.add(What::Reuses { on: false }, quote);
            }
            "redispatch" => self.add(What::Retries { on: "redispatch".to_owned() }, quote),
            _ => {}
        }
    }

    fn bind(&mut self, values: &[&'t str], quote: &'t str) {
        let Some(addresses) = values.first() else { return };
        let scheme = if values.contains(&"ssl") { Scheme::Https } else { Scheme::Http };
        for address in addresses.split(',') {
            let address = match address.strip_prefix('/') {
                Some(_) => format!("unix:{address}"),
                None => address.to_owned(),
            };
            self.add(What::Listens { address, scheme }, quote);
        }
        if value(values, "verify") == Some("required") {
            self.add(What::VerifiesClients, quote);
        }
        if values.contains(&"accept-proxy") {
            self.add(What::ProxyHeader { sends: false }, quote);
        }
    }

    fn server(&mut self, values: &[&'t str], quote: &'t str) {
        let [_, address, options @ ..] = values else { return };
        let has = |name: &str| options.contains(&name);
        let address = address.strip_prefix("unix@").unwrap_or(address);
        let address = match address.starts_with('/') {
            true => format!("unix:{address}"),
            false => address.to_owned(),
        };
        let scheme = match (has("ssl"), value(options, "proto")) {
            (true, _) => Scheme::Https,
            (false, Some("h2")) => Scheme::Http2,
            (false, Some("fcgi")) => Scheme::FastCgi,
            _ => self.modes.scheme(self.name),
        };
        let group = self.name.to_owned();
        let disabled = has("disabled");
        self.add(What::Member { group, address: address.clone(), disabled }, quote);
        self.add(What::Dials { to: address, scheme }, quote);
        self.options(options);
    }

    fn options(&mut self, options: &[&'t str]) {
        for (at, name) in options.iter().copied().enumerate() {
            let next = options.get(at + 1).copied().unwrap_or(name);
            let quote = self.places.between(name, next);
            match name {
                "verify" => self.add(What::Verifies { on: next == "required" }, quote),
                "ca-file" => self.add(What::Trusts { file: next.to_owned() }, quote),
                "crt" => self.add(What::ShowsCertificate, quote),
                "sni" => self.add(What::SendsName { name: Some(next.to_owned()) }, quote),
                "send-proxy" | "send-proxy-v2" | "send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn" => {
                    self.add(What::ProxyHeader { sends: true }, name);
                }
                "maxconn" => self.limit(Limit::Concurrency, integer(next), quote),
                "maxqueue" => self.limit(Limit::Backlog, integer(next), quote),
                "pool-purge-delay" => self.limit(Limit::KeepAliveReuse, millis(next, 1000), quote),
                "fall" => self.limit(Limit::MaxFails, integer(next), quote),
                "alpn" | "proto" => self.add(What::HttpVersion { version: next.to_owned() }, quote),
                "check" => {
                    self.add(What::HealthCheck { path: None, port: None, scheme: None }, name);
                }
                "port" if next.parse::<u16>().is_ok() => self.add(
                    What::HealthCheck { path: None, port: next.parse().ok(), scheme: None },
                    quote,
                ),
                "check-ssl" => self.add(
                    What::HealthCheck { path: None, port: None, scheme: Some(Scheme::Https) },
                    name,
                ),
                _ => {}
            }
        }
    }
}

fn value<'t>(options: &[&'t str], name: &str) -> Option<&'t str> {
    let at = options.iter().position(|it| *it == name)?;
    options.get(at + 1).copied()
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn the_way_connections_are_shared_is_read() {
        check_config(
            "h.cfg",
            "backend app\n  http-reuse always\n  server a 192.0.2.1:80\nbackend b\n  http-reuse safe\n  server a 192.0.2.1:80\n",
            "HAProxy: [app] Reuses { on: true }; [app] On { option: \"http-reuse always\" }; \
             [app] Member { group: \"app\", address: \"192.0.2.1:80\", disabled: false }; [app] Dials 192.0.2.1:80 Unknown; \
             [b] Reuses { on: true }; [b] Member { group: \"b\", address: \"192.0.2.1:80\", disabled: false }; \
             [b] Dials 192.0.2.1:80 Unknown",
        );
    }

    #[test]
    fn sections_and_servers_are_read() {
        check_config(
            "haproxy.cfg",
            "global\n    maxconn 2000\n    user haproxy\ndefaults\n    mode http\n    timeout connect 5s\n    timeout client 30000\n    timeout server 1m\n    option redispatch\nfrontend web\n    bind *:443 ssl crt /etc/cert.pem accept-proxy\n    default_backend app\nbackend app\n    balance roundrobin\n    option httpchk GET /health?key=1\n    http-reuse safe\n    server a 192.0.2.1:8443 ssl verify none check maxconn 20 # first\n    server b 192.0.2.2:80 send-proxy disabled\n",
            "HAProxy: Limit Concurrency 2000; User { name: \"haproxy\" }; Limit Connect 5000; Limit Client 30000; Limit Read 60000; \
             Retries { on: \"redispatch\" }; [web] Listens *:443; [web] ProxyHeader { sends: false }; [web] Dials app Unknown; \
             [app] HealthCheck { path: Some(\"/health\"), port: None, scheme: None }; [app] Reuses { on: true }; \
             [app] Member { group: \"app\", address: \"192.0.2.1:8443\", disabled: false }; [app] Dials 192.0.2.1:8443 Https; \
             [app] Verifies { on: false }; [app] HealthCheck { path: None, port: None, scheme: None }; [app] Limit Concurrency 20; \
             [app] Member { group: \"app\", address: \"192.0.2.2:80\", disabled: true }; [app] Dials 192.0.2.2:80 Http; \
             [app] ProxyHeader { sends: true }",
        );
    }

    #[test]
    fn pieces_are_read() {
        check_config(
            "",
            "server  app1 192.0.2.1:88 check disabled  # no checks",
            "HAProxy: Member { group: \"\", address: \"192.0.2.1:88\", disabled: true }; Dials 192.0.2.1:88 Unknown; \
             HealthCheck { path: None, port: None, scheme: None }",
        );
        check_config("", "timeout server 50s", "HAProxy: Limit Read 50000");
        check_config(
            "",
            "server app1 192.0.2.1:88 port 9000",
            "HAProxy: Member { group: \"\", address: \"192.0.2.1:88\", disabled: false }; Dials 192.0.2.1:88 Unknown; \
             HealthCheck { path: None, port: Some(9000), scheme: None }",
        );
    }

    #[test]
    fn prose_and_logs_are_none() {
        for text in [
            "server app1 is DOWN, reason: Layer4 timeout",
            "the timeout server value was too low",
            "timeout server 50s\nbut that did not help\nand neither did this\nany idea?",
            "server 192.0.2.1:80;",
        ] {
            assert!(!super::fits("haproxy.cfg", text), "{text}");
        }
    }
}
