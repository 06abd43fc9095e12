//! Command lines of servers, wherever they stand: a unit, a compose file, an image, a Procfile, a
//! shell. From each manual: gunicorn, uvicorn, uwsgi, hypercorn, daphne, waitress, puma, Flask, Node.

use super::words::{bytes, integer, is_safe, words};
use crate::address::authority;
use crate::product::Product;
use crate::setting::{Limit, Places, Scheme, What};

/// Words before a program that only start it.
const WRAPPERS: [&str; 26] = [
    "sudo",
    "exec",
    "env",
    "nice",
    "nohup",
    "time",
    "command",
    "dumb-init",
    "tini",
    "gosu",
    "su-exec",
    "poetry",
    "pipenv",
    "uv",
    "run",
    "bundle",
    "npx",
    "--",
    "-m",
    "-g",
    "newrelic-admin",
    "run-program",
    "ddtrace-run",
    "opentelemetry-instrument",
    "dotenv",
    "pdm",
];

/// How many shells may start one another.
const MAX_SHELLS: usize = 4;

/// The most words of a command that are looked at.
const MAX_WORDS: usize = 2000;

/// Reads a command line; nothing is added for programs that are not known.
pub(super) fn read<'t>(places: &mut Places<'t>, line: &'t str) -> Option<Product> {
    read_words(places, &words(line))
}

/// Reads a command that is written as a list of words.
pub(super) fn read_words<'t>(places: &mut Places<'t>, words: &[&'t str]) -> Option<Product> {
    within(places, &words[..words.len().min(MAX_WORDS)], 0)
}

/// Whether a line starts a server that is known.
pub(super) fn is_known(line: &str) -> bool {
    read(&mut Places::new(Product::Unknown, line), line).is_some()
}

/// Reads options of a server that stand without its name.
pub(super) fn flags<'t>(places: &mut Places<'t>, product: Product, words: &[&'t str]) {
    places.product(product);
    let words = &words[..words.len().min(MAX_WORDS)];
    Server { places, product, words, bound: true }.read("");
}

/// Reads the options of an image whose program is the one that it is named after.
pub(super) fn of_image<'t>(places: &mut Places<'t>, image: &'t str, words: &[&'t str]) {
    let name = image.rsplit('/').next().unwrap_or(image);
    let name = name.split([':', '@']).next().unwrap_or(name);
    let words = &words[..words.len().min(MAX_WORDS)];
    let product = product(name, words).map(|it| it.0);
    let bound = product.is_none();
    places.product(product.unwrap_or(Product::Unknown));
    Server { places, product: product.unwrap_or(Product::Unknown), words, bound }.read(image);
}

/// The command itself as a fact, up to the first word that could hold a secret.
pub(super) fn runs<'t>(places: &mut Places<'t>, words: &[&'t str]) {
    let safe: Vec<&'t str> = words.iter().copied().take_while(|it| is_shown(it)).take(60).collect();
    if let (Some(first), Some(last)) = (safe.first(), safe.last()) {
        let quote = places.between(first, last);
        places.add(What::Runs { command: safe.join(" ") }, quote);
    }
}

/// A word that gives away nothing: no password in an option or an assignment, no `-pSECRET`.
fn is_shown(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let attached = word.strip_prefix("-p").is_some_and(|it| it.starts_with(char::is_alphabetic));
    is_safe(word) && !attached && !lower.contains("pass") && !lower.contains("key")
}

fn within<'t>(places: &mut Places<'t>, all: &[&'t str], shells: usize) -> Option<Product> {
    let at = program(all)?;
    let name = all[at].rsplit('/').next().unwrap_or(all[at]);
    let rest = &all[at + 1..];
    if matches!(name, "sh" | "bash" | "ash" | "dash" | "zsh") {
        let script = rest.iter().position(|it| it.starts_with('-') && it.ends_with('c'))?;
        let script = words(rest.get(script + 1)?);
        return (shells < MAX_SHELLS).then(|| within(places, &script, shells + 1))?;
    }
    // `migrate && gunicorn ...`: the last that is known counts.
    if let Some(end) = all.iter().rposition(|it| matches!(*it, "&&" | ";" | "||")) {
        let known = within(places, &all[end + 1..], shells);
        return known.or_else(|| within(places, &all[..end], shells));
    }
    if name == "local-ssl-proxy" {
        return local_ssl_proxy(places, rest);
    }
    let (product, rest) = product(name, rest)?;
    let mut server = Server { places, product, words: rest, bound: false };
    server.places.product(product);
    server.read(all[at]);
    Some(product)
}

/// `local-ssl-proxy --source 443 --target 9000`: a proxy of Node that dials `localhost`.
fn local_ssl_proxy<'t>(places: &mut Places<'t>, rest: &[&'t str]) -> Option<Product> {
    let at = rest.iter().position(|it| matches!(*it, "--target" | "-t"))?;
    let port = *rest.get(at + 1)?;
    port.parse::<u16>().ok()?;
    places.product(Product::Node);
    let quote = places.between(rest[at], port);
    places.add(What::Dials { to: format!("localhost:{port}"), scheme: Scheme::Http }, quote);
    Some(Product::Node)
}

/// Where the program's name stands: behind wrappers and assignments of variables.
fn program(all: &[&str]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = all.get(at) {
        let assigned = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
        });
        let name = word.rsplit('/').next().unwrap_or(word);
        let python = name.starts_with("python") && all.get(at + 1) == Some(&"-m");
        let waits = name.starts_with("wait-for") || name == "dockerize";
        if waits {
            at = all.iter().position(|it| *it == "--")?;
        } else if !(assigned || python || WRAPPERS.contains(&name)) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// The product of a program's name, and the words that are its own.
fn product<'w, 't>(name: &str, rest: &'w [&'t str]) -> Option<(Product, &'w [&'t str])> {
    let first = rest.first().copied().unwrap_or_default();
    let behind = |count: usize| rest.get(count..).unwrap_or_default();
    Some(match name {
        "gunicorn" | "gunicorn3" => (Product::Gunicorn, rest),
        "uvicorn" => (Product::Uvicorn, rest),
        "fastapi" if matches!(first, "run" | "dev") => (Product::FastApi, behind(1)),
        "uwsgi" | "uwsgi_python" | "uwsgi_python3" => (Product::Uwsgi, rest),
        "hypercorn" => (Product::Hypercorn, rest),
        "daphne" => (Product::Daphne, rest),
        "waitress-serve" => (Product::Waitress, rest),
        "flask" if rest.contains(&"run") => (Product::Flask, rest),
        "puma" => (Product::Puma, rest),
        "unicorn" | "unicorn_rails" => (Product::Unicorn, rest),
        "rails" if matches!(first, "s" | "server") => (Product::Puma, behind(1)),
        "rackup" => (Product::Ruby, rest),
        "node" | "nodejs" => (Product::Node, rest),
        "java" => (Product::Java, rest),
        "oauth2-proxy" | "oauth2_proxy" => (Product::Go, rest),
        "http.server" => (Product::Python, rest),
        "php-fpm" => (Product::PhpFpm, rest),
        "php" if rest.contains(&"-S") => (Product::Php, rest),
        "manage.py" if first == "runserver" => (Product::Django, behind(1)),
        it if it.starts_with("python") => match rest.first()?.rsplit('/').next() {
            Some("manage.py") if rest.get(1) == Some(&"runserver") => (Product::Django, behind(2)),
            _ => return None,
        },
        _ => return None,
    })
}

struct Server<'p, 't, 'w> {
    places: &'p mut Places<'t>,
    product: Product,
    words: &'w [&'t str],
    /// Whether the command says where it listens, or where else that is said.
    bound: bool,
}

impl<'t> Server<'_, 't, '_> {
    fn read(&mut self, program: &'t str) {
        let mut at = 0;
        let (mut host, mut port) = (None, None);
        while let Some(word) = self.words.get(at).copied() {
            at += 1;
            if !word.starts_with('-') {
                // `python3 -m http.server 9000`.
                if self.product == Product::Python && word.parse::<u16>().is_ok() {
                    port = Some((word, word));
                }
                self.positional(word);
                continue;
            }
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None if attached(word) => (&word[..2], Some(&word[2..])),
                None => (word, None),
            };
            let (value, quote) = match value {
                Some(it) => (it.trim_matches(['"', '\'']), word),
                None => match self.words.get(at).copied() {
                    Some(it) => (it, self.places.between(word, it)),
                    None => ("", word),
                },
            };
            match flag {
                "--host" if self.takes_host() => host = Some((value, quote)),
                "--http-address" if self.product == Product::Waitress => {
                    host = Some((value, quote));
                }
                "-h" if self.product == Product::Flask => host = Some((value, quote)),
                "-b" | "--bind" if matches!(self.product, Product::Daphne | Product::Python) => {
                    host = Some((value, quote));
                    // What follows the address is the port.
                    at += usize::from(!word.contains('='));
                }
                "-b" | "--binding" if self.product == Product::Ruby => host = Some((value, quote)),
                "-p" | "--port" if self.takes_port() => port = Some((value, quote)),
                _ => self.flag(flag, value, quote),
            }
        }
        self.host_and_port(host, port);
        if !self.bound {
            self.by_default(program);
        }
    }

    fn takes_host(&self) -> bool {
        let own = matches!(self.product, Product::Gunicorn | Product::Hypercorn | Product::Java);
        !own && !matches!(self.product, Product::Go | Product::Unknown)
    }

    fn takes_port(&self) -> bool {
        self.takes_host()
    }

    /// `runserver 0.0.0.0:8000`.
    fn positional(&mut self, word: &'t str) {
        let number = word.parse::<u16>().is_ok();
        if self.product == Product::Django && (number || crate::address::port(word).is_some()) {
            let address = if number { format!("127.0.0.1:{word}") } else { word.to_owned() };
            self.listens(address, Scheme::Http, word);
        }
    }

    fn host_and_port(
        &mut self,
        host: Option<(&'t str, &'t str)>,
        port: Option<(&'t str, &'t str)>,
    ) {
        let (address, quote) = match (host, port) {
            (Some((host, first)), Some((port, last))) => {
                let (first, last) = self.in_order(first, last);
                (joined(host, port), self.places.between(first, last))
            }
            (Some((host, quote)), None) => (joined(host, self.default_port()), quote),
            (None, Some((port, quote))) => (joined(self.default_host(), port), quote),
            (None, None) => return,
        };
        let quote = if quote.len() > 200 || !is_safe(quote) {
            port.or(host).map_or(quote, |it| it.1)
        } else {
            quote
        };
        self.listens(address, Scheme::Http, quote);
    }

    fn in_order(&self, first: &'t str, last: &'t str) -> (&'t str, &'t str) {
        if first.as_ptr() <= last.as_ptr() { (first, last) } else { (last, first) }
    }

    fn listens(&mut self, address: String, scheme: Scheme, quote: &'t str) {
        self.bound = true;
        let certificate = |it: &&str| {
            let flag = it.split('=').next().unwrap_or(it);
            matches!(flag, "--certfile" | "--ssl-certfile")
        };
        let scheme = match scheme {
            Scheme::Http if self.words.iter().any(certificate) => Scheme::Https,
            it => it,
        };
        self.places.add(What::Listens { address, scheme }, quote);
    }

    fn default_host(&self) -> &'static str {
        match self.product {
            Product::Puma
            | Product::Unicorn
            | Product::Waitress
            | Product::FastApi
            | Product::Python => "0.0.0.0",
            Product::Node | Product::Ruby => "",
            _ => "127.0.0.1",
        }
    }

    fn default_port(&self) -> &'static str {
        match self.product {
            Product::Flask => "5000",
            Product::Puma => "9292",
            Product::Waitress => "8080",
            Product::Node | Product::Ruby => "",
            _ => "8000",
        }
    }

    /// Servers that listen on loopback alone unless they are told otherwise.
    fn by_default(&mut self, program: &'t str) {
        // Gunicorn takes `PORT` from its environment, and all of it may stand in a file.
        if self.product == Product::Gunicorn && self.places.text().contains("PORT") {
            return;
        }
        let local = matches!(
            self.product,
            Product::Gunicorn
                | Product::Uvicorn
                | Product::Hypercorn
                | Product::Daphne
                | Product::Flask
                | Product::Django
        );
        // A name alone may be a program that is told all by its environment.
        if local && !self.words.is_empty() {
            let address = format!("127.0.0.1:{}", self.default_port());
            let last = self.words.iter().find(|it| !it.starts_with('-')).copied();
            let quote = last.filter(|it| is_safe(it)).map(|it| self.places.between(program, it));
            let quote = quote.filter(|it| it.len() <= 120 && is_safe(it)).unwrap_or(program);
            self.listens(address, Scheme::Http, quote);
        }
    }

    fn flag(&mut self, flag: &str, value: &'t str, quote: &'t str) {
        match self.product {
            Product::Gunicorn => self.gunicorn(flag, value, quote),
            Product::Uvicorn | Product::FastApi => self.uvicorn(flag, value, quote),
            Product::Uwsgi => {
                let name = flag.trim_start_matches('-');
                let name = match flag {
                    "-s" => "socket",
                    "-p" => "processes",
                    "-t" => "harakiri",
                    "-b" => "buffer-size",
                    "-l" => "listen",
                    _ => name,
                };
                let spoken = self.protocol();
                self.bound |= super::uwsgi::option(self.places, spoken, name, value, quote);
            }
            Product::Hypercorn => self.hypercorn(flag, value, quote),
            Product::Puma | Product::Unicorn => self.ruby(flag, value, quote),
            Product::Daphne => match flag {
                "-u" | "--unix-socket" => self.listens(unix(value), Scheme::Http, quote),
                "-t" | "--http-timeout" => self.seconds(Limit::Worker, value, quote),
                _ => {}
            },
            Product::Waitress => match flag {
                "--listen" => self.listens(authority(value).to_owned(), Scheme::Http, quote),
                "--unix-socket" => self.listens(unix(value), Scheme::Http, quote),
                "--threads" => self.places.limit(Limit::Workers, integer(value), quote),
                "--backlog" => self.places.limit(Limit::Backlog, integer(value), quote),
                _ => {}
            },
            Product::Java => match flag {
                "-Dserver.port" | "--server.port" => {
                    self.listens(format!(":{value}"), Scheme::Http, quote);
                }
                _ => {}
            },
            Product::Go | Product::Unknown => self.any(flag, value, quote),
            Product::Php if flag == "-S" => self.listens(value.to_owned(), Scheme::Http, quote),
            _ => {}
        }
    }

    /// Options that proxies and servers of all kinds have: `--http-address=127.0.0.1:4180`,
    /// `--upstream=http://app:8080`.
    fn any(&mut self, flag: &str, value: &'t str, quote: &'t str) {
        let value = value.trim_matches(['"', '\'']);
        let at = authority(value);
        if crate::address::port(at).is_none() || !is_safe(quote) {
            return;
        }
        match flag {
            "--http-address"
            | "--listen-address"
            | "--listen"
            | "--bind"
            | "--bind-address"
            | "--address"
            | "--addr"
            | "--http-addr"
            | "--web.listen-address" => {
                self.listens(at.to_owned(), Scheme::Http, quote);
            }
            "--upstream" | "--upstream-url" | "--backend" | "--backend-url" | "--proxy-to"
            | "--target" => {
                let scheme = match value.split_once("://").map(|it| it.0) {
                    Some("https") => Scheme::Https,
                    _ => Scheme::Http,
                };
                self.places.add(What::Dials { to: at.to_owned(), scheme }, quote);
            }
            _ => {}
        }
    }

    /// What uWSGI's `--socket` speaks, by an option beside it.
    fn protocol(&self) -> Scheme {
        use super::uwsgi::{is_protocol, named};
        let mut words = self.words.iter().enumerate();
        let set = words.find_map(|(at, word)| {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (*word, self.words.get(at + 1).copied()),
            };
            is_protocol(flag.strip_prefix("--")?).then_some(value)?
        });
        set.map_or(Scheme::Uwsgi, named)
    }

    fn seconds(&mut self, limit: Limit, value: &str, quote: &'t str) {
        self.places.limit(limit, super::words::millis(value, 1000), quote);
    }

    fn gunicorn(&mut self, flag: &str, value: &'t str, quote: &'t str) {
        match flag {
            "-b" | "--bind" => self.listens(bind(value), Scheme::Http, quote),
            "-c" | "--config" => self.bound = true,
            "--proxy-protocol" => self.places.add(What::ProxyHeader { sends: false }, quote),
            "--cert-reqs" if value == "2" => self.places.add(What::VerifiesClients, quote),
            "-t" | "--timeout" => self.seconds(Limit::Worker, value, quote),
            "--graceful-timeout" => self.seconds(Limit::Graceful, value, quote),
            "--keep-alive" => self.seconds(Limit::KeepAliveClose, value, quote),
            "-w" | "--workers" => self.places.limit(Limit::Workers, integer(value), quote),
            "--threads" => self.places.limit(Limit::Workers, integer(value), quote),
            "--max-requests" => {
                self.places.limit(Limit::RequestsPerWorker, integer(value), quote);
            }
            "--worker-connections" => self.places.limit(Limit::Concurrency, integer(value), quote),
            "--backlog" => self.places.limit(Limit::Backlog, integer(value), quote),
            "--limit-request-field_size" => {
                self.places.limit(Limit::RequestHead, bytes(value), quote);
            }
            "-u" | "--user" => self.places.add(What::User { name: value.to_owned() }, quote),
            _ => {}
        }
    }

    fn uvicorn(&mut self, flag: &str, value: &'t str, quote: &'t str) {
        match flag {
            "--uds" => self.listens(unix(value), Scheme::Http, quote),
            "--fd" => self.bound = true,
            "--workers" => self.places.limit(Limit::Workers, integer(value), quote),
            "--timeout-keep-alive" => self.seconds(Limit::KeepAliveClose, value, quote),
            "--timeout-graceful-shutdown" => self.seconds(Limit::Graceful, value, quote),
            "--limit-concurrency" => self.places.limit(Limit::Concurrency, integer(value), quote),
            "--limit-max-requests" => {
                self.places.limit(Limit::RequestsPerWorker, integer(value), quote);
            }
            "--backlog" => self.places.limit(Limit::Backlog, integer(value), quote),
            "--h11-max-incomplete-event-size" => {
                self.places.limit(Limit::RequestHead, bytes(value), quote);
            }
            _ => {}
        }
    }

    fn hypercorn(&mut self, flag: &str, value: &'t str, quote: &'t str) {
        match flag {
            "-b" | "--bind" | "--insecure-bind" => self.listens(bind(value), Scheme::Http, quote),
            "-c" | "--config" => self.bound = true,
            "-w" | "--workers" => self.places.limit(Limit::Workers, integer(value), quote),
            "--keep-alive" => self.seconds(Limit::KeepAliveClose, value, quote),
            "--graceful-timeout" => self.seconds(Limit::Graceful, value, quote),
            "--backlog" => self.places.limit(Limit::Backlog, integer(value), quote),
            _ => {}
        }
    }

    fn ruby(&mut self, flag: &str, value: &'t str, quote: &'t str) {
        match flag {
            "-b" | "--bind" | "-l" | "--listen" => {
                self.listens(bind(value), Scheme::Http, quote);
            }
            "-C" | "-c" | "--config" | "--config-file" => self.bound = true,
            "-w" | "--workers" => self.places.limit(Limit::Workers, integer(value), quote),
            _ => {}
        }
    }
}

/// `-b0.0.0.0:80`, `-w4`: a flag of one letter with its value.
fn attached(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() > 2
        && bytes[0] == b'-'
        && bytes[1].is_ascii_lowercase()
        && bytes[2].is_ascii_digit()
}

/// What stands behind `--bind`: an address, a port alone, or a socket.
fn bind(value: &str) -> String {
    match value.strip_prefix("unix:") {
        Some(path) => unix(path),
        None if value.starts_with('/') => unix(value),
        None => authority(value).to_owned(),
    }
}

fn unix(path: &str) -> String {
    format!("unix:{}", path.strip_prefix("//").unwrap_or(path))
}

fn joined(host: &str, port: &str) -> String {
    let host = authority(host);
    let bare_ipv6 = host.matches(':').count() > 1 && !host.starts_with('[');
    match (bare_ipv6, port) {
        (_, "") => host.to_owned(),
        (true, port) => format!("[{host}]:{port}"),
        (false, _) if crate::address::port(host).is_some() => host.to_owned(),
        (false, port) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Places, Product, runs};
    use crate::configs::words::words;

    #[test]
    fn what_runs_is_shown_up_to_the_first_secret() {
        for (line, want) in [
            ("redis-server --requirepass hush", "redis-server"),
            ("mysql -u me -phush app", "mysql -u me"),
            ("API_KEY=hush node a.js", ""),
            ("app --db postgres://me:hush@db/x", "app --db"),
            ("gunicorn -b :80 a:b", "gunicorn -b :80 a:b"),
        ] {
            let mut places = Places::new(Product::Shell, line);
            runs(&mut places, &words(line));
            let quote = places.settings.first().map_or("", |it| &it.quote);
            assert_eq!(quote, want, "{line}");
        }
    }

    #[test]
    fn chains_of_shells_and_wrappers_come_to_an_end() {
        for line in ["sh -c 'sh -c \"sh -c x\"'", "&& && &&", "env env env", "sh -c", "-b", ""] {
            assert_eq!(super::read(&mut Places::new(Product::Shell, line), line), None, "{line}");
        }
        let chain = "gunicorn && ".repeat(1900) + "daphne -p 1";
        assert!(super::read(&mut Places::new(Product::Shell, &chain), &chain).is_some());
    }
}
