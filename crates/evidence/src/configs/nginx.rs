//! nginx, OpenResty and what is built of them (nginx.org/en/docs, "Modules reference").
//!
//! Files are read whole, in pieces and in one line: a server block without `http {}`, a few
//! directives without any block, a directive without its semicolon.

use super::words::{bytes, integer, millis, mostly, quoted};
use crate::address::authority;
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const NGINX: Config = Config {
    name: "nginx configuration",
    product: Product::Nginx,
    fits,
    read,
    source: "https://nginx.org/en/docs/dirindex.html",
    example: "server {\n    listen 80;\n    location / {\n        proxy_pass http://127.0.0.1:8000;\n    }\n}\n",
};

/// Beginnings of directives that no other format has.
const OWN: [&str; 9] = [
    "proxy_",
    "fastcgi_",
    "uwsgi_",
    "scgi_",
    "grpc_",
    "memcached_",
    "keepalive_",
    "client_",
    "ssl_",
];

const KNOWN: [&str; 62] = [
    "http",
    "server",
    "location",
    "upstream",
    "events",
    "stream",
    "types",
    "map",
    "geo",
    "if",
    "listen",
    "server_name",
    "root",
    "index",
    "try_files",
    "include",
    "return",
    "rewrite",
    "set",
    "access_log",
    "error_log",
    "error_page",
    "add_header",
    "gzip",
    "gzip_types",
    "user",
    "pid",
    "worker_processes",
    "worker_connections",
    "worker_rlimit_nofile",
    "resolver",
    "resolver_timeout",
    "limit_req",
    "limit_req_zone",
    "limit_conn",
    "limit_conn_zone",
    "log_format",
    "keepalive",
    "sendfile",
    "tcp_nopush",
    "tcp_nodelay",
    "default_type",
    "charset",
    "server_tokens",
    "large_client_header_buffers",
    "send_timeout",
    "expires",
    "allow",
    "deny",
    "auth_basic",
    "auth_basic_user_file",
    "alias",
    "internal",
    "autoindex",
    "split_clients",
    "ip_hash",
    "least_conn",
    "zone",
    "load_module",
    "real_ip_header",
    "set_real_ip_from",
    "types_hash_max_size",
];

/// The deepest that blocks may be nested; what is deeper counts as part of the last.
const MAX_DEPTH: usize = 32;

fn is_known(name: &str) -> bool {
    OWN.iter().any(|it| name.starts_with(it)) || KNOWN.contains(&name)
}

fn fits(_: &str, text: &str) -> bool {
    let (mut all, mut known, mut own) = (0, 0, 0);
    each(text, |it| {
        if let Statement::Directive { words, ended } | Statement::Open { words, ended } = it {
            let Some(name) = words.first() else { return };
            all += 1;
            let is_own = OWN.iter().any(|it| name.starts_with(it));
            // Without an end it is one short directive and no prose.
            let whole = ended || is_own && (2..=4).contains(&words.len());
            known += usize::from(is_known(name) && whole);
            own += usize::from(whole && (is_own || ended && DECISIVE.contains(name)));
        }
    });
    own > 0 && mostly(known, all)
}

/// Directives that make a text nginx's, where they end in a semicolon or open a block.
const DECISIVE: [&str; 16] = [
    "server",
    "location",
    "upstream",
    "events",
    "listen",
    "server_name",
    "worker_connections",
    "worker_processes",
    "worker_rlimit_nofile",
    "try_files",
    "resolver",
    "limit_req",
    "limit_req_zone",
    "log_format",
    "large_client_header_buffers",
    "error_log",
];

enum Statement<'w, 't> {
    Directive {
        words: &'w [&'t str],
        /// A semicolon closes it.
        ended: bool,
    },
    Open {
        words: &'w [&'t str],
        /// Always: a brace closes it.
        ended: bool,
    },
    Close,
}

/// The statements of a text in order.
fn each<'t>(text: &'t str, mut found: impl FnMut(Statement<'_, 't>)) {
    let bytes = text.as_bytes();
    let mut words: Vec<&'t str> = Vec::new();
    let (mut at, mut new_line) = (0, true);
    while at < bytes.len() {
        match bytes[at] {
            b'\n' => {
                new_line = true;
                at += 1;
            }
            it if it.is_ascii_whitespace() => at += 1,
            b'#' => {
                at += memchr::memchr(b'\n', &bytes[at..]).unwrap_or(bytes.len() - at);
            }
            b';' => {
                found(Statement::Directive { words: &words, ended: true });
                words.clear();
                at += 1;
            }
            b'{' => {
                found(Statement::Open { words: &words, ended: true });
                words.clear();
                at += 1;
            }
            b'}' => {
                if !words.is_empty() {
                    found(Statement::Directive { words: &words, ended: false });
                }
                words.clear();
                found(Statement::Close);
                at += 1;
            }
            _ => {
                let (word, end) = word(text, at);
                // A line that begins with a directive ends one that lacks its semicolon.
                let lacks =
                    words.first().is_some_and(|it| OWN.iter().any(|own| it.starts_with(own)));
                if new_line && lacks && is_known(word) {
                    found(Statement::Directive { words: &words, ended: false });
                    words.clear();
                }
                words.push(word);
                new_line = false;
                at = end;
            }
        }
    }
    if !words.is_empty() {
        found(Statement::Directive { words: &words, ended: false });
    }
}

/// The word at a place, without quotes, and where it ends. `${name}` is part of a word.
fn word(text: &str, start: usize) -> (&str, usize) {
    let bytes = text.as_bytes();
    let quote = bytes[start];
    if matches!(quote, b'"' | b'\'') {
        let mut at = start + 1;
        while at < bytes.len() && bytes[at] != quote {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        let at = at.min(bytes.len());
        return (text.get(start + 1..at).unwrap_or_default(), (at + 1).min(bytes.len()));
    }
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                let rest = &bytes[at..bytes.len().min(at + 200)];
                at += memchr::memchr(b'}', rest).map_or(2, |it| it + 1);
            }
            b';' | b'{' | b'}' => break,
            it if it.is_ascii_whitespace() => break,
            _ => at += 1,
        }
    }
    let at = at.min(bytes.len()).max(start + 1);
    let at = (at..=bytes.len()).find(|it| text.is_char_boundary(*it)).unwrap_or(bytes.len());
    (&text[start..at], at)
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let names = server_names(text);
    let mut reader = Reading {
        places: Places::new(Product::Nginx, text),
        blocks: Vec::new(),
        deeper: 0,
        names: names.into_iter(),
    };
    each(text, |it| reader.statement(&it));
    reader.places.settings
}

/// The name of each server block, in order.
fn server_names(text: &str) -> Vec<Option<&str>> {
    let mut names = Vec::new();
    let mut open: Vec<Option<usize>> = Vec::new();
    each(text, |it| match it {
        Statement::Open { words, .. } => {
            open.push((words == ["server"]).then_some(names.len()));
            if words == ["server"] {
                names.push(None);
            }
        }
        Statement::Close => {
            open.pop();
        }
        Statement::Directive { words: ["server_name", name, ..], .. } => {
            if let Some(Some(at)) = open.last() {
                let named = !matches!(*name, "_" | "");
                names[*at] = names[*at].or(named.then_some(*name));
            }
        }
        Statement::Directive { .. } => {}
    });
    names
}

struct Reading<'t, I: Iterator<Item = Option<&'t str>>> {
    places: Places<'t>,
    /// The words that opened the blocks around the place that is read.
    blocks: Vec<Block<'t>>,
    deeper: usize,
    names: I,
}

struct Block<'t> {
    name: &'t str,
    argument: &'t str,
    /// Something stands in it.
    filled: bool,
}

impl<'t, I: Iterator<Item = Option<&'t str>>> Reading<'t, I> {
    fn statement(&mut self, statement: &Statement<'_, 't>) {
        match statement {
            Statement::Open { words, .. } => self.open(words),
            Statement::Close => self.close(),
            Statement::Directive { words, .. } => {
                if let [name, values @ ..] = words {
                    let last = values.last().unwrap_or(name);
                    let quote = self.places.between(name, last);
                    self.directive(name, values, quote);
                }
            }
        }
    }

    fn open(&mut self, words: &[&'t str]) {
        if self.blocks.len() >= MAX_DEPTH {
            self.deeper += 1;
            return;
        }
        let name = words.first().copied().unwrap_or_default();
        let argument = words.get(1).copied().unwrap_or_default();
        if words == ["server"] {
            let name = self.names.next().flatten();
            self.places.service(name);
        }
        self.blocks.push(Block { name, argument, filled: false });
    }

    fn close(&mut self) {
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        let Some(block) = self.blocks.pop() else { return };
        match block.name {
            "server" => self.places.service(None),
            "upstream" if !block.filled && !block.argument.is_empty() => {
                let quote = self.places.between(block.name, block.argument);
                let name = format!("a server in {}", block.argument);
                self.places.add(What::Missing { name }, quote);
            }
            _ => {}
        }
    }

    fn group(&self) -> Option<&'t str> {
        self.blocks.last().filter(|it| it.name == "upstream").map(|it| it.argument)
    }

    fn directive(&mut self, name: &'t str, values: &[&'t str], quote: &'t str) {
        let value = values.first().copied().unwrap_or_default();
        let second = values.get(1).copied().unwrap_or_default();
        if let Some(block) = self.blocks.last_mut() {
            block.filled = true;
        }
        if let Some(group) = self.group() {
            return self.in_upstream(group, name, values, quote);
        }
        match name {
            "proxy_pass" | "grpc_pass" | "fastcgi_pass" | "uwsgi_pass" | "scgi_pass"
            | "memcached_pass" => self.pass(name, value, quote),
            "listen" => self.listen(values, quote),
            "server_name" => {
                for host in values.iter().filter(|it| !matches!(**it, "_" | "")) {
                    self.places.add(What::ServedAs { host: (*host).to_owned() }, host);
                }
            }
            "proxy_set_header" | "grpc_set_header" => self.header(value, second, quote),
            "proxy_http_version" => {
                self.add(What::HttpVersion { version: value.to_owned() }, quote);
            }
            "proxy_ssl_verify" | "grpc_ssl_verify" | "uwsgi_ssl_verify" => {
                self.add(What::Verifies { on: value == "on" }, quote);
            }
            "proxy_ssl_trusted_certificate" | "grpc_ssl_trusted_certificate" => {
                self.add(What::Trusts { file: value.to_owned() }, quote);
            }
            "proxy_ssl_protocols" | "grpc_ssl_protocols" => {
                self.add(What::TlsVersions { versions: values.join(" ") }, quote);
            }
            "proxy_ssl_server_name" | "grpc_ssl_server_name" if value != "on" => {
                self.add(What::SendsName { name: None }, quote);
            }
            "proxy_ssl_server_name" | "grpc_ssl_server_name" => {
                self.add(What::SendsName { name: Some("on".to_owned()) }, quote);
            }
            "proxy_ssl_name" | "grpc_ssl_name" => {
                self.add(What::SendsName { name: Some(value.to_owned()) }, quote);
            }
            "ssl_verify_client" if value == "on" => self.add(What::VerifiesClients, quote),
            "proxy_ssl_certificate" | "grpc_ssl_certificate" | "uwsgi_ssl_certificate" => {
                self.add(What::ShowsCertificate, quote);
            }
            "proxy_protocol" if value == "on" => self.add(What::ProxyHeader { sends: true }, quote),
            "proxy_next_upstream"
            | "fastcgi_next_upstream"
            | "uwsgi_next_upstream"
            | "grpc_next_upstream" => self.add(What::Retries { on: values.join(" ") }, quote),
            "limit_req" | "limit_conn" => {
                self.add(What::LimitsRate { rule: values.join(" ") }, quote);
            }
            "log_format" => {
                let format = values.get(1..).unwrap_or_default().concat();
                self.add(What::LogFormat { format }, quote);
            }
            "resolver" => {
                for address in values.iter().filter(|it| !it.contains('=')) {
                    self.places.add(What::Resolver { address: (*address).to_owned() }, quote);
                }
            }
            "user" if self.blocks.is_empty() => {
                self.add(What::User { name: value.to_owned() }, quote);
            }
            _ => {
                if let Some((limit, value)) = limit(name, values) {
                    self.places.limit(limit, value, quote);
                }
            }
        }
    }

    fn add(&mut self, what: What, quote: &'t str) {
        self.places.add(what, quote);
    }

    fn pass(&mut self, name: &str, value: &'t str, quote: &'t str) {
        let address = authority(value);
        if address.is_empty() || ambiguous(value) {
            return;
        }
        let scheme = match (value.split_once("://"), name) {
            (Some((scheme, _)), _) => Scheme::of(scheme),
            (None, "proxy_pass") if self.blocks.iter().any(|it| it.name == "stream") => Scheme::Tcp,
            (None, "proxy_pass") => Scheme::Unknown,
            (None, _) => Scheme::of(name.split('_').next().unwrap_or_default()),
        };
        let quote = quoted(quote, address);
        self.add(What::Dials { to: address.to_owned(), scheme }, quote);
    }

    fn listen(&mut self, values: &[&'t str], quote: &'t str) {
        let Some(value) = values.first() else { return };
        let has = |name: &str| values.contains(&name);
        let address = match value.parse::<u16>() {
            Ok(_) => format!(":{value}"),
            Err(_) => (*value).to_owned(),
        };
        let scheme = if has("ssl") { Scheme::Https } else { Scheme::Http };
        self.add(What::Listens { address, scheme }, quote);
        if has("proxy_protocol") {
            self.add(What::ProxyHeader { sends: false }, quote);
        }
    }

    fn header(&mut self, name: &str, value: &str, quote: &'t str) {
        if name.eq_ignore_ascii_case("upgrade") {
            self.add(What::PassesUpgrade, quote);
        } else if name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case("connection") {
            let (name, value) = (name.to_owned(), value.to_owned());
            self.add(What::SetsHeader { name, value }, quote);
        }
    }

    fn in_upstream(&mut self, group: &str, name: &str, values: &[&'t str], quote: &'t str) {
        let value = values.first().copied().unwrap_or_default();
        match name {
            "server" => self.member(group, values, quote),
            "keepalive" => self.places.limit(Limit::KeepAliveConnections, integer(value), quote),
            "keepalive_timeout" => {
                self.places.limit(Limit::KeepAliveReuse, millis(value, 1000), quote);
            }
            _ => {}
        }
    }

    fn member(&mut self, group: &str, values: &[&'t str], quote: &'t str) {
        let Some(address) = values.first() else { return };
        let disabled = values.contains(&"down");
        let member =
            What::Member { group: group.to_owned(), address: (*address).to_owned(), disabled };
        self.add(member, quote);
        for value in &values[1..] {
            match value.split_once('=') {
                Some(("max_fails", count)) => {
                    self.places.limit(Limit::MaxFails, integer(count), value);
                }
                Some(("fail_timeout", time)) => {
                    self.places.limit(Limit::SetAside, millis(time, 1000), value);
                }
                Some(("max_conns", count)) => {
                    self.places.limit(Limit::Concurrency, integer(count), value);
                }
                _ => {}
            }
        }
    }
}

/// A user's part that cannot be told from a path.
fn ambiguous(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, it)| it);
    let user = rest.split(['/', '?']).next().unwrap_or(rest);
    rest.contains('@') && !user.contains('@') && user.contains(':')
}

/// The limit that a directive sets.
pub(super) fn limit(name: &str, values: &[&str]) -> Option<(Limit, Option<i64>)> {
    let value = values.first().copied()?;
    let ms = millis(value, 1000);
    let (family, rest) = name.split_once('_').unwrap_or((name, ""));
    let passes = matches!(family, "proxy" | "fastcgi" | "uwsgi" | "scgi" | "grpc" | "memcached");
    Some(match (passes, rest, name) {
        (true, "connect_timeout", _) => (Limit::Connect, ms),
        (true, "read_timeout", _) => (Limit::Read, ms),
        (true, "send_timeout", _) => (Limit::Send, ms),
        (true, "next_upstream_timeout", _) => (Limit::Total, ms),
        (true, "buffer_size", _) => (Limit::AnswerHead, bytes(value)),
        (
            _,
            _,
            "keepalive_timeout" | "client_header_timeout" | "client_body_timeout" | "send_timeout",
        ) => (Limit::Client, ms),
        (_, _, "client_max_body_size") => (Limit::Body, bytes(value)),
        (_, _, "large_client_header_buffers") => {
            (Limit::RequestHead, values.get(1).and_then(|it| bytes(it)))
        }
        (_, _, "worker_connections") => (Limit::Connections, integer(value)),
        (_, _, "worker_rlimit_nofile") => (Limit::Descriptors, integer(value)),
        (_, _, "worker_processes") => (Limit::Workers, integer(value)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn a_group_without_a_server_lacks_one() {
        check_config(
            "default.conf",
            "# app\nupstream app.example.com {\n}\nserver {\n  location / {\n    proxy_pass http://app.example.com;\n  }\n}\n",
            "nginx: Missing { name: \"a server in app.example.com\" }; Dials app.example.com Http",
        );
        check_config(
            "",
            "upstream app {\n  include /etc/nginx/servers;\n}\nserver { listen 80; }",
            "nginx: Listens :80",
        );
    }

    #[test]
    fn a_whole_file_is_read_with_its_servers_and_groups() {
        check_config(
            "nginx.conf",
            "user www-data;\nevents { worker_connections 768; }\nhttp {\n  log_format main '$remote_addr '\n    '$status';\n  upstream app {\n    server 192.0.2.1:8000 max_fails=3 fail_timeout=30s;\n    server unix:/run/app.sock down;\n    keepalive 16; keepalive_timeout 60s;\n  }\n  server {\n    listen 443 ssl proxy_protocol;\n    location / {\n      proxy_pass http://app;\n      proxy_read_timeout 30s;\n      proxy_set_header Host $host;\n      proxy_set_header Upgrade $http_upgrade;\n    }\n    server_name api.example.com;\n  }\n}\n",
            "nginx: User { name: \"www-data\" }; Limit Connections 768; LogFormat { format: \"$remote_addr $status\" }; \
             Member { group: \"app\", address: \"192.0.2.1:8000\", disabled: false }; Limit MaxFails 3; Limit SetAside 30000; \
             Member { group: \"app\", address: \"unix:/run/app.sock\", disabled: true }; \
             Limit KeepAliveConnections 16; Limit KeepAliveReuse 60000; \
             [api.example.com] Listens :443; [api.example.com] ProxyHeader { sends: false }; \
             [api.example.com] Dials app Http; [api.example.com] Limit Read 30000; \
             [api.example.com] SetsHeader { name: \"Host\", value: \"$host\" }; [api.example.com] PassesUpgrade; \
             [api.example.com] ServedAs { host: \"api.example.com\" }",
        );
    }

    #[test]
    fn pieces_and_single_lines_are_read() {
        for (text, want) in [
            (
                "server { listen 80; location / { proxy_pass http://127.0.0.1:8001; } }",
                "nginx: Listens :80; Dials 127.0.0.1:8001 Http",
            ),
            (
                "location ~ \\.php$ {\n  fastcgi_pass unix:/run/php/php-fpm.sock;\n}",
                "nginx: Dials unix:/run/php/php-fpm.sock FastCgi",
            ),
            ("proxy_ssl_protocols TLSv1", "nginx: TlsVersions { versions: \"TLSv1\" }"),
            (
                "upstream a {\n  # b\n  server :80;\n}",
                "nginx: Member { group: \"a\", address: \":80\", disabled: false }",
            ),
            ("grpc_pass grpcs://$backend;", "nginx: Dials $backend Grpcs"),
            (
                "proxy_buffer_size 4k;\nproxy_ssl_verify on;",
                "nginx: Limit AnswerHead 4096; Verifies { on: true }",
            ),
            (
                "proxy_pass http://a:80\nproxy_read_timeout 5",
                "nginx: Dials a:80 Http; Limit Read 5000",
            ),
            ("proxy_pass http://me:secret@a:80;", "nginx: Dials a:80 Http"),
            ("proxy_pass http://me:sec/ret@a:80;", "nginx: "),
            ("proxy_pass http://${name}:80/;", "nginx: Dials ${name}:80 Http"),
        ] {
            check_config("", text, want);
        }
    }

    #[test]
    fn prose_logs_and_other_files_are_none() {
        for text in [
            "proxy_pass to the backend does not work since we moved the server to the cloud, please help",
            "the server { answers with 502",
            "2026/01/02 03:04:05 [error] 7#7: *1 connect() failed; upstream: \"http://a\"",
            "example.com {\n  reverse_proxy localhost:80\n}",
            "",
            "{{{{;;;;}}}}\\",
        ] {
            assert!(!super::fits("nginx.conf", text), "{text}");
        }
        let deep = "location / {".repeat(100_000) + "proxy_pass http://a;";
        assert_eq!(super::read("", &deep).len(), 1);
    }
}
