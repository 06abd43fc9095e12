//! What was written to what is meant, with the checks that look at more than one setting.
//!
//! Each struct of `written` is taken apart field by field: a setting that goes nowhere is a warning
//! of the compiler.

mod ladder;
mod route;
mod upstream;

use crate::complaint::{Complaint, Complaints};
use crate::leaf::{Leaf, Word};
use crate::routes::Routes;
use crate::tree::Node;
use crate::typed::{
    AccessLog, Answers, Backoff, CertificateFiles, Child, Cipher, ClientCa, Config, Data, Dns,
    Http2Limits, Http3Limits, Https, Limits, Listen, Log, Shutdown, TlsVersion, Upstream,
};
use crate::written;
use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The configuration, good only if nothing was complained about as an error.
pub(crate) fn resolve(
    file: written::File,
    tree: &Node,
    base: &Path,
    complaints: &mut Complaints,
) -> Config {
    Resolve { tree, base, complaints, upstreams: HashMap::new(), https_only: false }.config(file)
}

/// Where the folder of a running gateway is written.
pub(crate) const DATA_DIR: [&str; 2] = ["data", "dir"];

struct Resolve<'a> {
    tree: &'a Node,
    base: &'a Path,
    complaints: &'a mut Complaints,
    upstreams: HashMap<String, Arc<Upstream>>,
    /// What `listen` says for routes that say nothing.
    https_only: bool,
}

impl Resolve<'_> {
    fn config(mut self, file: written::File) -> Config {
        let written::File {
            workers,
            listen,
            console,
            status,
            data,
            log,
            limits,
            shutdown,
            child,
            answers,
            dns,
            upstream,
            route,
        } = file;
        let listen = self.listen(listen);
        let mut upstreams = self.upstreams(upstream);
        let routes = self.routes(route, &mut upstreams);
        let config = Config {
            workers,
            listen,
            console: status.listen.as_ref().is_none_or(|it| it.means == console.listen.means),
            status: self.status(&console, status),
            data: self.data(data),
            log: self.log(log),
            limits: limited(limits),
            shutdown: ended(shutdown),
            child: self.child(child),
            answers: answered(answers),
            dns: resolved_by(dns),
            upstreams,
            routes: Routes::new(routes),
        };
        self.check_addresses(&config);
        self.check_https_only(&config);
        self.check_ladder(&config);
        self.check_loops(&config.routes);
        self.check_unused(&config);
        config
    }

    fn listen(&mut self, listen: written::Listen) -> Listen {
        let written::Listen {
            http,
            https,
            trusted_proxies,
            proxy_protocol,
            https_only,
            http2,
            http3,
            timeout,
        } = listen;
        let written::ListenTimeout { head, idle, body } = timeout;
        let assumed = http.is_none() && https.is_none();
        let http = match http {
            Some(http) => all(http.into_vec()),
            None if assumed => vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))],
            None => Vec::new(),
        };
        if http.is_empty() && https.is_none() && !self.tree.has(&["listen", "https"]) {
            self.error("nothing_to_listen", &["listen", "http"], "nothing is listened on");
        }
        let https = https.and_then(|it| self.https(it));
        if http3 {
            self.check_http3(https.as_ref());
        }
        if proxy_protocol && trusted_proxies.is_empty() {
            let message = "no `trusted_proxies` are named, so nobody may speak the PROXY protocol";
            self.error("no_effect", &["listen", "proxy_protocol"], message);
        }
        self.https_only = https_only;
        Listen {
            http,
            assumed,
            http3: http3 && https.is_some(),
            https,
            trusted_proxies: all(trusted_proxies),
            proxy_protocol,
            http2,
            head: head.means,
            idle: idle.means,
            body: body.means,
        }
    }

    /// HTTP/3 is spoken by the side of `https`, with the same certificates and TLS 1.3.
    fn check_http3(&mut self, https: Option<&Https>) {
        let place = ["listen", "http3"];
        match https {
            // Where it is written and wrong, that was said already.
            None if !self.tree.has(&["listen", "https"]) => {
                let complaint = Complaint::error("no_https", "HTTP/3 is never spoken without TLS");
                let help = "add `listen.https` with an address and a certificate";
                self.complain(&place, complaint.help(help));
            }
            Some(Https { ciphers, min_version: TlsVersion::V12, .. })
                if !ciphers.is_empty() && !ciphers.iter().any(is_of_13) =>
            {
                let message = "none of `listen.https.ciphers` can be used with TLS 1.3, which \
                               HTTP/3 needs";
                self.error("no_effect", &place, message);
            }
            _ => {}
        }
    }

    fn https(&mut self, https: written::Https) -> Option<Https> {
        let written::Https {
            addr,
            cert,
            key,
            ocsp,
            certs,
            client_ca,
            client_optional,
            min_version,
            ciphers,
            tickets,
        } = https;
        let place = ["listen", "https"];
        let one = match (cert, key) {
            (Some(cert), Some(key)) => Some(written::CertificateTable { cert, key, ocsp }),
            (None, None) => None,
            (cert, _) => {
                let (has, lacks) = if cert.is_some() { ("cert", "key") } else { ("key", "cert") };
                if !self.tree.has(&["listen", "https", lacks]) {
                    let message = format!("`listen.https` has a `{has}` and no `{lacks}`");
                    self.error("missing_key", &place, &message);
                }
                return None;
            }
        };
        if one.is_some() && certs.is_some() {
            let complaint = Complaint::error("two_actions", "`certs` cannot stand beside `cert`");
            self.complain(&place, complaint.help("put all of them into the list"));
            return None;
        }
        let certs = certs.unwrap_or_default();
        if one.is_none() && certs.is_empty() {
            // Either was complained about already, or nothing was written.
            if ["cert", "key", "certs"].iter().all(|it| !self.tree.has(&["listen", "https", it])) {
                let complaint =
                    Complaint::error("missing_key", "`listen.https` has no certificate");
                self.complain(&place, complaint.help("add `cert` and `key`, or a list `certs`"));
            }
            return None;
        }
        if client_optional && client_ca.is_none() {
            let message = "`client_optional` has no effect without `client_ca`";
            self.error("no_effect", &["listen", "https", "client_optional"], message);
        }
        if let Some(ciphers) = &ciphers
            && min_version == TlsVersion::V13
            && !ciphers.iter().any(is_of_13)
        {
            let message =
                "none of these can be used with TLS 1.3, the lowest version that is spoken";
            self.error("no_effect", &["listen", "https", "ciphers"], message);
        }
        let certificates = one.into_iter().chain(certs).map(|it| CertificateFiles {
            cert: self.file(it.cert),
            key: self.file(it.key),
            ocsp: it.ocsp.map(|it| self.file(it)),
        });
        Some(Https {
            addr: addr.means,
            certificates: certificates.collect(),
            client_ca: client_ca
                .map(|it| ClientCa { file: self.file(it), optional: client_optional }),
            min_version,
            ciphers: ciphers.unwrap_or_default(),
            tickets,
        })
    }

    fn status(
        &mut self,
        console: &written::Console,
        status: written::Status,
    ) -> Option<SocketAddr> {
        let written::Console { listen: console } = console;
        let written::Status { listen: status } = status;
        let Some(status) = status else {
            return console.means;
        };
        if self.tree.has(&["console", "listen"]) && status.means != console.means {
            let complaint = Complaint::warning(
                "no_effect",
                "`console.listen` has no effect in this version, since `status.listen` is set",
            );
            self.complain(&["console", "listen"], complaint);
        }
        status.means
    }

    fn data(&mut self, data: written::Data) -> Data {
        let written::Data { dir } = data;
        Data { dir: self.file(dir), assumed: !self.tree.has(&DATA_DIR) }
    }

    fn log(&mut self, log: written::Log) -> Log {
        let written::Log { access } = log;
        let access = match access.means {
            AccessLog::File(path) => AccessLog::File(self.base.join(path)),
            other => other,
        };
        Log { access }
    }

    fn child(&self, child: written::Child) -> Child {
        let written::Child { restart, start_timeout, stop_timeout, backoff, evidence_wait, output } =
            child;
        let written::Backoff { first, longest, reset_after } = backoff;
        Child {
            written: self.tree.has(&["child"]),
            restart,
            start_timeout: start_timeout.means,
            stop_timeout: stop_timeout.means,
            backoff: Backoff {
                first: first.means,
                longest: longest.means,
                reset_after: reset_after.means,
            },
            evidence_wait: evidence_wait.means,
            output: output.means,
        }
    }

    /// Who is sent to `https` must find it there.
    fn check_https_only(&mut self, config: &Config) {
        let Listen { https, trusted_proxies, .. } = &config.listen;
        if https.is_some() || !trusted_proxies.is_empty() || self.tree.has(&["listen", "https"]) {
            return;
        }
        let Some(route) = config.routes.all().iter().find(|it| it.https_only) else {
            return;
        };
        let of_route = ["route", &*route.name, "https_only"];
        let place =
            if self.tree.has(&of_route) { &of_route[..] } else { &["listen", "https_only"] };
        let complaint = Complaint::error("no_https", "nothing here is reached by `https`");
        self.complain(
            place,
            complaint
                .help("add `listen.https`, or name the proxy that ends TLS in `trusted_proxies`"),
        );
    }

    /// Two listeners cannot have the same address, unless the system chooses the port.
    fn check_addresses(&mut self, config: &Config) {
        let http = config.listen.http.iter().enumerate().map(|(index, addr)| {
            let list = self.tree.at(&["listen", "http"]);
            (list.items().get(index).unwrap_or(list).span.clone(), *addr)
        });
        let https = config
            .listen
            .https
            .iter()
            .map(|it| (self.tree.at(&["listen", "https", "addr"]).span.clone(), it.addr));
        let status_from = if self.tree.has(&["status", "listen"]) { "status" } else { "console" };
        let status = config
            .status
            .iter()
            .map(|it| (self.tree.at(&[status_from, "listen"]).span.clone(), *it));
        let mut seen = HashSet::new();
        for (span, addr) in http.chain(https).chain(status).collect::<Vec<_>>() {
            if addr.port() != 0 && !seen.insert(addr) {
                let message = format!("two listeners cannot both have port {}", addr.port());
                self.complaints.push(Complaint::error("same_address", message).at(span));
            }
        }
    }

    /// The name of an upstream or a route stands in metrics, records and addresses of the API.
    fn is_good_name(&mut self, kind: &str, name: &str) -> bool {
        let is_letter = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
        if (1..=64).contains(&name.len()) && name.bytes().all(is_letter) {
            return true;
        }
        let complaint = Complaint::error("bad_name", format!("this cannot name a {kind}"))
            .at(self.tree.at(&[kind, name]).key.clone())
            .help("1 to 64 letters, digits, `-`, `_` and `.`");
        self.complaints.push(complaint);
        false
    }

    /// A file, counted from the folder of the configuration.
    fn file<L: Leaf<Value = PathBuf>>(&self, path: Word<L>) -> PathBuf {
        self.base.join(path.means)
    }

    fn error(&mut self, code: &'static str, place: &[&str], message: &str) {
        self.complain(place, Complaint::error(code, message));
    }

    /// At the value on a path of keys, or at the key of the table that lacks it.
    fn complain(&mut self, place: &[&str], complaint: Complaint) {
        let node = self.tree.at(place);
        let is_there = self.tree.has(place) && node.entries().is_empty();
        let span = if is_there { &node.span } else { &node.key };
        self.complaints.push(complaint.at(span.clone()));
    }
}

fn is_of_13(cipher: &Cipher) -> bool {
    cipher.number() & 0xff00 == 0x1300
}

fn all<L: Leaf>(words: Vec<Word<L>>) -> Vec<L::Value> {
    words.into_iter().map(|it| it.means).collect()
}

fn limited(limits: written::Limits) -> Limits {
    let written::Limits {
        connections,
        connections_per_address,
        client_rate,
        memory,
        request_head,
        request_fields,
        uri,
        response_head,
        response_fields,
        interim_responses,
        http2,
        http3,
    } = limits;
    let written::Http2Limits { streams, resets, controls } = http2;
    let http2 = Http2Limits { streams, resets, controls };
    let http3 = {
        let written::Http3Limits { connections, streams, resets, controls } = http3;
        Http3Limits { connections, streams, resets, controls }
    };
    Limits {
        connections,
        connections_per_address,
        client_rate: client_rate.means,
        memory,
        request_head: request_head.means,
        request_fields,
        uri: uri.means,
        response_head: response_head.means,
        response_fields,
        interim_responses,
        http2,
        http3,
    }
}

fn ended(shutdown: written::Shutdown) -> Shutdown {
    let written::Shutdown { grace, idle, deadline } = shutdown;
    Shutdown { grace: grace.means, idle: idle.means, deadline: deadline.means }
}

fn answered(answers: written::Answers) -> Answers {
    let written::Answers { name, trusted } = answers;
    Answers { name: name.means.into(), trusted: all(trusted) }
}

fn resolved_by(dns: written::Dns) -> Dns {
    let written::Dns { servers, timeout, keep_for } = dns;
    Dns { servers: all(servers), timeout: timeout.means, keep_for: keep_for.means }
}
