//! Apache httpd (httpd.apache.org/docs/2.4, mod_proxy, mod_ssl, core).

use super::words::{host_port, integer, is_safe, joined, lines, millis, mostly, words};
use crate::address::authority;
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const APACHE: Config = Config {
    name: "Apache configuration",
    product: Product::Apache,
    fits,
    read,
    source: "https://httpd.apache.org/docs/2.4/mod/mod_proxy.html",
    example: "<VirtualHost *:80>\n    ProxyPass / http://127.0.0.1:8000/\n</VirtualHost>\n",
};

/// Directives that no other format has, in lower letters.
const OWN: [&str; 30] = [
    "proxypass",
    "proxypassmatch",
    "proxypassreverse",
    "proxypreservehost",
    "proxyrequests",
    "proxytimeout",
    "proxyset",
    "proxyiobuffersize",
    "proxyaddheaders",
    "balancermember",
    "sslproxyengine",
    "sslproxyverify",
    "sslproxycheckpeercn",
    "sslproxycheckpeername",
    "sslproxycheckpeerexpire",
    "sslproxyprotocol",
    "sslproxycacertificatefile",
    "requestreadtimeout",
    "maxrequestworkers",
    "maxclients",
    "serverlimit",
    "threadsperchild",
    "keepalivetimeout",
    "responsefieldsize",
    "limitrequestfieldsize",
    "limitrequestline",
    "documentroot",
    "rewriterule",
    "rewritecond",
    "sethandler",
];

const KNOWN: [&str; 22] = [
    "servername",
    "serveralias",
    "serveradmin",
    "serverroot",
    "listen",
    "timeout",
    "keepalive",
    "loadmodule",
    "errorlog",
    "customlog",
    "loglevel",
    "sslengine",
    "sslcertificatefile",
    "sslcertificatekeyfile",
    "rewriteengine",
    "requestheader",
    "header",
    "alias",
    "require",
    "options",
    "allowoverride",
    "user",
];

fn fits(_: &str, text: &str) -> bool {
    let (mut all, mut known, mut own) = (0, 0, 0);
    for line in lines(text).filter(|it| !it.starts_with('#')) {
        all += 1;
        let name = line.split([' ', '\t']).next().unwrap_or(line);
        let lower = name.trim_start_matches(['<', '/']).trim_end_matches('>').to_ascii_lowercase();
        let block = name.starts_with('<')
            && line.ends_with('>')
            && [
                "virtualhost",
                "proxy",
                "proxymatch",
                "location",
                "locationmatch",
                "directory",
                "ifmodule",
                "files",
                "filesmatch",
            ]
            .contains(&&*lower);
        let is_own = OWN.contains(&&*lower) && line.len() > name.len() && words(line).len() <= 16;
        own += usize::from(is_own || block && lower == "virtualhost");
        known += usize::from(block || is_own || KNOWN.contains(&&*lower));
    }
    own > 0 && mostly(known, all)
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut reading = Reading {
        names: virtual_hosts(text).into_iter(),
        places: Places::new(Product::Apache, text),
        balancer: "",
        location: "",
    };
    for statement in statements(text) {
        reading.statement(statement);
    }
    reading.places.settings
}

/// The lines that are no remarks.
fn statements(text: &str) -> Vec<&str> {
    joined(text).into_iter().filter(|it| !it.starts_with('#')).collect()
}

/// The `ServerName` of each virtual host, in order.
fn virtual_hosts(text: &str) -> Vec<Option<&str>> {
    let mut names = Vec::new();
    for line in lines(text) {
        if starts(line, "<VirtualHost") {
            names.push(None);
        } else if starts(line, "ServerName")
            && let Some(name) = names.last_mut()
        {
            *name = line.split_whitespace().nth(1);
        }
    }
    names
}

fn starts(line: &str, name: &str) -> bool {
    line.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name))
}

struct Reading<'t, I: Iterator<Item = Option<&'t str>>> {
    places: Places<'t>,
    names: I,
    /// The balancer and the location whose block is open.
    balancer: &'t str,
    location: &'t str,
}

impl<'t, I: Iterator<Item = Option<&'t str>>> Reading<'t, I> {
    fn statement(&mut self, line: &'t str) {
        if let Some(block) = line.strip_prefix('<') {
            return self.block(block.trim_end_matches('>'));
        }
        let all = words(line);
        let Some((name, values)) = all.split_first() else { return };
        let value = values.first().copied().unwrap_or_default();
        let on = value.eq_ignore_ascii_case("on");
        let seconds = || millis(value, 1000);
        let quote = line;
        match name.to_ascii_lowercase().as_str() {
            "proxypass" | "proxypassmatch" => self.proxy_pass(values, quote),
            "rewriterule" => self.rewrite(values, quote),
            "sethandler" => {
                if let Some(url) = value.strip_prefix("proxy:") {
                    self.dials(url, quote);
                }
            }
            "balancermember" => self.member(values, quote),
            "proxyset" => self.parameters(values),
            "proxytimeout" => self.places.limit(Limit::Read, seconds(), quote),
            "timeout" | "keepalivetimeout" => self.places.limit(Limit::Client, seconds(), quote),
            "requestreadtimeout" => {
                for it in values {
                    let time = it.split_once('=').and_then(|(_, it)| crate::reader::number(it));
                    self.places.limit(Limit::Client, time.and_then(|it| it.checked_mul(1000)), it);
                }
            }
            "maxrequestworkers" | "maxclients" | "serverlimit" => {
                self.places.limit(Limit::Concurrency, integer(value), quote);
            }
            "listenbacklog" => self.places.limit(Limit::Backlog, integer(value), quote),
            "proxyiobuffersize" | "responsefieldsize" => {
                self.places.limit(Limit::AnswerHead, integer(value), quote);
            }
            "limitrequestfieldsize" | "limitrequestline" => {
                self.places.limit(Limit::RequestHead, integer(value), quote);
            }
            "limitrequestbody" => self.places.limit(Limit::Body, integer(value), quote),
            "listen" => {
                let address = match value.parse::<u16>() {
                    Ok(_) => format!(":{value}"),
                    Err(_) => value.to_owned(),
                };
                let tls = values.get(1).is_some_and(|it| it.eq_ignore_ascii_case("https"));
                let scheme = if tls { Scheme::Https } else { Scheme::Http };
                self.places.add(What::Listens { address, scheme }, quote);
            }
            "servername" => self.places.add(What::ServedAs { host: value.to_owned() }, quote),
            "user" => self.places.add(What::User { name: value.to_owned() }, quote),
            "proxypreservehost" if on => {
                let (name, value) = ("Host".to_owned(), "on".to_owned());
                self.places.add(What::SetsHeader { name, value }, quote);
            }
            "sslproxyverify" => {
                let on = !matches!(value.to_ascii_lowercase().as_str(), "none" | "optional_no_ca");
                self.places.add(What::Verifies { on }, quote);
            }
            "sslproxycheckpeername" | "sslproxycheckpeercn" => {
                self.places.add(What::Verifies { on }, quote);
            }
            "sslproxyengine" => self.places.add(What::On { option: line.to_owned() }, quote),
            "sslproxyprotocol" => {
                self.places.add(What::TlsVersions { versions: values.join(" ") }, quote);
            }
            "sslproxycacertificatefile" => {
                self.places.add(What::Trusts { file: value.to_owned() }, quote);
            }
            "logformat" => self.places.add(What::LogFormat { format: value.to_owned() }, quote),
            "setenv" if value == "force-proxy-request-1.0" || value == "proxy-nokeepalive" => {
                self.places.add(What::On { option: value.to_owned() }, quote);
            }
            _ => {}
        }
    }

    fn block(&mut self, block: &'t str) {
        let all = words(block);
        let value = all.get(1).copied().unwrap_or_default();
        match all.first().map(|it| it.to_ascii_lowercase()).as_deref() {
            Some("virtualhost") => {
                let name = self.names.next().flatten();
                self.places.service(name);
            }
            Some("/virtualhost") => self.places.service(None),
            Some("proxy") => self.balancer = value.strip_prefix("balancer://").unwrap_or_default(),
            Some("/proxy") => self.balancer = "",
            Some("location" | "locationmatch") => self.location = value,
            Some("/location" | "/locationmatch") => self.location = "",
            _ => {}
        }
    }

    /// `ProxyPass /path URL key=value ...`; within a location without the path.
    fn proxy_pass(&mut self, values: &[&'t str], quote: &'t str) {
        let has_path = values.first().is_some_and(|it| it.starts_with(['/', '^', '(']));
        let at = usize::from(has_path || self.location.is_empty());
        let Some(url) = values.get(at) else { return };
        self.dials(url, quote);
        self.parameters(&values[at + 1..]);
    }

    fn rewrite(&mut self, values: &[&'t str], quote: &'t str) {
        let [_, url, flags, ..] = values else { return };
        let proxies = flags
            .trim_matches(['[', ']'])
            .split(',')
            .any(|it| it == "P" || it.eq_ignore_ascii_case("proxy"));
        if proxies {
            self.dials(url, quote);
        }
    }

    fn dials(&mut self, url: &'t str, quote: &'t str) {
        let Some((to, scheme)) = target(url) else { return };
        let safe = if is_safe(url) { first_line(quote) } else { to };
        self.places.add(What::Dials { to: to.to_owned(), scheme }, safe);
    }

    fn member(&mut self, values: &[&'t str], quote: &'t str) {
        let named = values.first().filter(|it| it.starts_with("balancer://"));
        let values = if named.is_some() { &values[1..] } else { values };
        let Some((to, scheme)) = values.first().and_then(|it| target(it)) else { return };
        let group = named.map_or(self.balancer, |it| &it["balancer://".len()..]);
        let safe = if is_safe(quote) { first_line(quote) } else { to };
        let status = values.iter().find_map(|it| it.strip_prefix("status="));
        let disabled = status.is_some_and(|it| it.contains(['D', 'S', 'E']) && !it.contains('-'));
        let (group, address) = (group.trim_end_matches('/').to_owned(), to.to_owned());
        self.places.add(What::Member { group, address, disabled }, safe);
        self.places.add(What::Dials { to: to.to_owned(), scheme }, safe);
        self.parameters(&values[1..]);
    }

    fn parameters(&mut self, values: &[&'t str]) {
        for word in values {
            let Some((name, value)) = word.split_once('=') else { continue };
            let time = millis(value, 1000);
            match name {
                "timeout" => self.places.limit(Limit::Read, time, word),
                "connectiontimeout" => self.places.limit(Limit::Connect, time, word),
                "retry" => self.places.limit(Limit::SetAside, time, word),
                "ttl" => self.places.limit(Limit::KeepAliveReuse, time, word),
                "max" => self.places.limit(Limit::Concurrency, integer(value), word),
                "responsefieldsize" => {
                    self.places.limit(Limit::AnswerHead, integer(value), word);
                }
                "disablereuse" if value.eq_ignore_ascii_case("on") => {
                    self.places.add(What::Reuses { on: false }, word);
                }
                "enablereuse" if value.eq_ignore_ascii_case("on") => {
                    self.places.add(What::Reuses { on: true }, word);
                }
                "keepalive" => self.places.add(What::On { option: (*word).to_owned() }, word),
                "upgrade" => self.places.add(What::PassesUpgrade, word),
                _ => {}
            }
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text).trim_end_matches(['\\', ' '])
}

/// `http://host:80/`, `unix:/run/app.sock|http://localhost/`, `balancer://name`.
fn target(url: &str) -> Option<(&str, Scheme)> {
    if let Some((socket, over)) = url.split_once('|') {
        let scheme = over.split("://").next().unwrap_or(over).trim_end_matches(':');
        return socket.starts_with("unix:").then_some((socket, Scheme::of(scheme)));
    }
    let (scheme, rest) = url.split_once("://")?;
    let scheme = match scheme {
        "h2" => Scheme::Http2,
        "ws" => Scheme::Http,
        "wss" => Scheme::Https,
        it => Scheme::of(it),
    };
    // A rule's back references follow the host: `http://app:80$1`.
    let end =
        rest.find('$').filter(|it| *it > 0).map_or(url.len(), |it| url.len() - rest.len() + it);
    let host = host_port(&url[..end]).unwrap_or_default();
    let variable = rest.starts_with(['%', '$']);
    match host.is_empty() {
        false => Some((host, scheme)),
        true => variable.then(|| (authority(url), scheme)).filter(|(it, _)| is_safe(it)),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn virtual_hosts_and_balancers_are_read() {
        check_config(
            "site.conf",
            "Listen 443 https\n<Proxy balancer://app>\n  BalancerMember http://192.0.2.1:8000 retry=5 connectiontimeout=2\n  BalancerMember https://192.0.2.2:8443 status=+D\n</Proxy>\n<VirtualHost *:80>\n  ProxyPassMatch ^/static !\n  ProxyPass /a unix:/run/a.sock|http://localhost/ timeout=30 \\\n    disablereuse=on\n  ProxyPass / balancer://app/\n  RewriteRule ^/ws(.*) ws://192.0.2.3:9000$1 [P,L]\n  ProxyTimeout 60\n  SSLProxyVerify none\n  ServerName www.example.com\n</VirtualHost>\n",
            "Apache: Listens :443; Member { group: \"app\", address: \"192.0.2.1:8000\", disabled: false }; Dials 192.0.2.1:8000 Http; \
             Limit SetAside 5000; Limit Connect 2000; Member { group: \"app\", address: \"192.0.2.2:8443\", disabled: true }; \
             Dials 192.0.2.2:8443 Https; [www.example.com] Dials unix:/run/a.sock Http; [www.example.com] Limit Read 30000; \
             [www.example.com] Reuses { on: false }; [www.example.com] Dials app Unknown; \
             [www.example.com] Dials 192.0.2.3:9000 Http; [www.example.com] Limit Read 60000; \
             [www.example.com] Verifies { on: false }; [www.example.com] ServedAs { host: \"www.example.com\" }",
        );
    }

    #[test]
    fn single_lines_are_read_and_secrets_are_not_quoted() {
        for (text, want) in [
            ("ProxyPass / http://localhost:3000/", "Apache: Dials localhost:3000 Http"),
            ("<Location /x>\nProxyPass http://a:1\n</Location>", "Apache: Dials a:1 Http"),
            ("ProxyPass / http://me:secret@a:80/", "Apache: Dials a:80 Http"),
            ("MaxRequestWorkers 150", "Apache: Limit Concurrency 150"),
            (
                "SetHandler \"proxy:unix:/run/php.sock|fcgi://localhost\"",
                "Apache: Dials unix:/run/php.sock FastCgi",
            ),
        ] {
            check_config("", text, want);
        }
    }

    #[test]
    fn prose_and_logs_are_none() {
        for text in [
            "I use ProxyPass in my configuration and it fails",
            "[Fri Jan 02 03:04:05 2026] [proxy:error] [pid 1] AH00898: Error during SSL Handshake",
            "<html><body>ProxyPass</body></html>",
        ] {
            assert!(!super::fits("httpd.conf", text), "{text}");
        }
    }
}
