//! Caddy's file, of version 2 and of version 1 (caddyserver.com/docs/caddyfile).

use super::words::{bytes, host_port, integer, is_authority, is_safe, lines, millis, words};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const CADDY: Config = Config {
    name: "Caddyfile",
    product: Product::Caddy,
    fits,
    read,
    source: "https://caddyserver.com/docs/caddyfile/directives/reverse_proxy",
    example: "example.com {\n    reverse_proxy localhost:8000\n}\n",
};

fn fits(_: &str, text: &str) -> bool {
    let code = lines(text).any(|it| it.ends_with(';') || it.starts_with("import "));
    let (mut all, mut dials, mut known) = (0, false, false);
    let mut block = false;
    for line in lines(text).filter(|it| !it.starts_with('#')) {
        for statement in words(line).split_inclusive(|it| matches!(*it, "{" | "}")) {
            all += 1;
            block |= statement.last() == Some(&"{");
            let bare = match statement {
                [bare @ .., "}"] => bare,
                whole => whole,
            };
            dials |= is_dialling(bare, block);
            known |= bare.first() == Some(&"trusted_proxies");
        }
    }
    !code && (dials && all == 1 || block && (dials || known))
}

/// `reverse_proxy [path] upstream ...`, `proxy / upstream`.
fn is_dialling(words: &[&str], inside: bool) -> bool {
    let (least, most) = match words.first() {
        Some(&("reverse_proxy" | "php_fastcgi")) => (2, 12),
        Some(&"proxy") => (3, 12),
        _ => return false,
    };
    if !(least..=most).contains(&words.len()) {
        return false;
    }
    let opens = words.last() == Some(&"{");
    let other = words[1..].iter().filter(|it| is_path(it)).count() + usize::from(opens);
    let upstreams: Vec<&str> =
        words[1..].iter().copied().filter(|it| upstream(it).is_some()).collect();
    // A name alone may be a word of a sentence.
    let plain = |it: &&str| it.contains([':', '/', '{']) || **it == *"localhost";
    let named = upstreams.len() == 1 && (opens || inside && words.len() <= 3);
    (named || upstreams.iter().all(plain))
        && (!upstreams.is_empty() || opens)
        && upstreams.len() + other == words.len() - 1
}

fn is_path(word: &str) -> bool {
    word.starts_with(['/', '@', '*'])
}

fn upstream(word: &str) -> Option<(&str, Scheme)> {
    if word.starts_with("unix/") {
        return Some((word.trim_start_matches("unix/"), Scheme::Http));
    }
    match word.split_once("://") {
        Some((scheme, _)) => host_port(word).map(|it| (it, Scheme::of(scheme))),
        None if word == "{" || is_path(word) => None,
        None => {
            let local = word.strip_prefix(':').is_some_and(|it| it.parse::<u16>().is_ok());
            (local || is_authority(word)).then_some((word, Scheme::Http))
        }
    }
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut reading =
        Reading { places: Places::new(Product::Caddy, text), open: Vec::new(), lost: 0 };
    for line in lines(text).filter(|it| !it.starts_with('#')) {
        let all = words(line);
        reading.line(&all);
    }
    reading.places.settings
}

const MAX_DEPTH: usize = 32;

struct Reading<'t> {
    places: Places<'t>,
    /// What opened the blocks around.
    open: Vec<&'t str>,
    lost: usize,
}

impl<'t> Reading<'t> {
    fn line(&mut self, all: &[&'t str]) {
        let mut start = 0;
        for (at, word) in all.iter().enumerate() {
            match *word {
                "{" => {
                    self.statement(&all[start..at]);
                    self.enter(all.get(start).copied().filter(|_| start < at), &all[start..at]);
                    start = at + 1;
                }
                "}" => {
                    self.statement(&all[start..at]);
                    self.leave();
                    start = at + 1;
                }
                _ => {}
            }
        }
        self.statement(&all[start..]);
    }

    fn enter(&mut self, name: Option<&'t str>, all: &[&'t str]) {
        if self.open.len() >= MAX_DEPTH {
            self.lost += 1;
            return;
        }
        if let (true, Some(name)) = (self.open.is_empty(), name) {
            let site = !matches!(name, "reverse_proxy" | "proxy" | "transport" | "handle")
                && !name.starts_with('(');
            let host = name.trim_end_matches(',');
            self.places.service(site.then_some(host));
            if site && host.contains('.') && all.len() < 20 {
                self.places.add(What::ServedAs { host: host.to_owned() }, host);
            }
        }
        self.open.push(name.unwrap_or_default());
    }

    fn leave(&mut self) {
        if self.lost > 0 {
            self.lost -= 1;
            return;
        }
        self.open.pop();
        if self.open.is_empty() {
            self.places.service(None);
        }
    }

    fn statement(&mut self, all: &[&'t str]) {
        let [name, values @ ..] = all else { return };
        let value = values.first().copied().unwrap_or_default();
        let last = values.last().unwrap_or(name);
        let quote = self.places.between(name, last);
        let quote = if is_safe(quote) { quote } else { name };
        let within = |it: &str| self.open.contains(&it);
        match *name {
            "reverse_proxy" | "proxy" | "php_fastcgi" => self.dial(name, values),
            "to" | "upstream" if within("reverse_proxy") || within("proxy") => {
                self.dial("reverse_proxy", values);
            }
            _ if !(within("reverse_proxy") || within("proxy") || within("php_fastcgi")) => {
                self.outside(name, value, quote);
            }
            "tls" if values.is_empty() => {
                self.places.add(What::On { option: "tls".to_owned() }, quote);
            }
            _ => self.inside(name, values, quote),
        }
    }

    fn outside(&mut self, name: &str, value: &str, quote: &'t str) {
        match name {
            "idle" if self.open.contains(&"timeouts") => {
                self.places.limit(Limit::Client, millis(value, 1000), quote);
            }
            "max_header_size" => self.places.limit(Limit::RequestHead, bytes(value), quote),
            _ => {}
        }
    }

    fn dial(&mut self, name: &str, values: &[&'t str]) {
        for word in values.iter().copied() {
            let Some((to, scheme)) = upstream(word) else { continue };
            let scheme = if name == "php_fastcgi" { Scheme::FastCgi } else { scheme };
            let address = match to.starts_with('/') {
                true => format!("unix:{to}"),
                false => to.to_owned(),
            };
            let quote = if is_safe(word) { word } else { to };
            self.places.add(What::Dials { to: address, scheme }, quote);
        }
    }

    fn inside(&mut self, name: &str, values: &[&'t str], quote: &'t str) {
        let value = values.first().copied().unwrap_or_default();
        let second = values.get(1).copied().unwrap_or_default();
        let time = millis(value, 1000);
        let places = &mut self.places;
        match name {
            "dial_timeout" => places.limit(Limit::Connect, time, quote),
            "response_header_timeout" | "read_timeout" | "timeout" => {
                places.limit(Limit::Read, time, quote);
            }
            "write_timeout" => places.limit(Limit::Send, time, quote),
            "keepalive" if value == "off" => places.add(What::Reuses { on: false }, quote),
            "keepalive" => {
                places.limit(Limit::KeepAliveReuse, time, quote);
            }
            "keepalive_idle_conns" => {
                places.limit(Limit::KeepAliveConnections, integer(value), quote);
            }
            "max_response_header" => places.limit(Limit::AnswerHead, bytes(value), quote),
            "versions" => places.add(What::HttpVersion { version: values.join(" ") }, quote),
            "tls_insecure_skip_verify" | "insecure_skip_verify" => {
                places.add(What::Verifies { on: false }, quote);
            }
            "tls_server_name" => {
                places.add(What::SendsName { name: Some(value.to_owned()) }, quote);
            }
            "tls_trusted_ca_certs" | "tls_trust_pool" => {
                places.add(What::Trusts { file: values.join(" ") }, quote);
            }
            "resolvers" => places.add(What::Resolver { address: value.to_owned() }, quote),
            "proxy_protocol" => places.add(What::ProxyHeader { sends: true }, quote),
            "health_uri" | "health_path" | "health_check" => {
                let path = value.split('?').next().unwrap_or(value);
                let check =
                    What::HealthCheck { path: Some(path.to_owned()), port: None, scheme: None };
                places.add(check, path);
            }
            "health_timeout" => places.limit(Limit::Probe, time, quote),
            "fail_duration" | "fail_timeout" => places.limit(Limit::SetAside, time, quote),
            "max_fails" => places.limit(Limit::MaxFails, integer(value), quote),
            "lb_try_duration" | "try_duration" => {
                places.add(What::Retries { on: value.to_owned() }, quote);
            }
            "header_up" | "header_upstream" if value.eq_ignore_ascii_case("host") => {
                let (name, value) = ("Host".to_owned(), second.to_owned());
                places.add(What::SetsHeader { name, value }, quote);
            }
            "header_up" | "header_upstream" if value.eq_ignore_ascii_case("upgrade") => {
                places.add(What::PassesUpgrade, quote);
            }
            "websocket" => places.add(What::PassesUpgrade, quote),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn sites_of_both_versions_are_read() {
        for (text, want) in [
            (
                "{\n\tdebug\n}\napi.example.com {\n\treverse_proxy /v1/* https://192.0.2.1:443 app:8000 {\n\t\ttransport http {\n\t\t\ttls\n\t\t\ttls_insecure_skip_verify\n\t\t\tdial_timeout 2s\n\t\t\tversions h2c 2\n\t\t}\n\t\theader_up Host {upstream_hostport}\n\t\thealth_uri /up?key=1\n\t}\n}\n",
                "Caddy: [api.example.com] ServedAs { host: \"api.example.com\" }; [api.example.com] Dials 192.0.2.1:443 Https; \
                 [api.example.com] Dials app:8000 Http; [api.example.com] On { option: \"tls\" }; [api.example.com] Verifies { on: false }; \
                 [api.example.com] Limit Connect 2000; [api.example.com] HttpVersion { version: \"h2c 2\" }; \
                 [api.example.com] SetsHeader { name: \"Host\", value: \"{upstream_hostport}\" }; \
                 [api.example.com] HealthCheck { path: Some(\"/up\"), port: None, scheme: None }",
            ),
            (
                "tools.example.com {\n  proxy / localhost:5004 {\n    transparent\n  }\n# log /var/log/a\n}",
                "Caddy: [tools.example.com] ServedAs { host: \"tools.example.com\" }; [tools.example.com] Dials localhost:5004 Http",
            ),
            (":80 { reverse_proxy app:3000 }", "Caddy: [:80] Dials app:3000 Http"),
            (
                "a.b {\n  reverse_proxy app\n}",
                "Caddy: [a.b] ServedAs { host: \"a.b\" }; [a.b] Dials app Http",
            ),
            ("reverse_proxy unix//run/app.sock", "Caddy: Dials unix:/run/app.sock Http"),
            ("php_fastcgi unix//run/php.sock", "Caddy: Dials unix:/run/php.sock FastCgi"),
        ] {
            check_config("Caddyfile", text, want);
        }
    }

    #[test]
    fn prose_and_other_files_are_none() {
        for text in [
            "reverse_proxy is what I use, and it fails with 502",
            "proxy / to the app does not work",
            "location / {\n  proxy_pass http://a;\n}",
            "func main() {\n  fmt.Println(\"reverse_proxy\")\n}",
        ] {
            assert!(!super::fits("Caddyfile", text), "{text}");
        }
    }
}
