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
    AccessLog, Answers, Config, Dns, Https, Limits, Listen, Log, Shutdown, Upstream,
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
    Resolve { tree, base, complaints, upstreams: HashMap::new() }.config(file)
}

struct Resolve<'a> {
    tree: &'a Node,
    base: &'a Path,
    complaints: &'a mut Complaints,
    upstreams: HashMap<String, Arc<Upstream>>,
}

impl Resolve<'_> {
    fn config(mut self, file: written::File) -> Config {
        let written::File {
            workers,
            listen,
            console,
            status,
            log,
            limits,
            shutdown,
            answers,
            dns,
            upstream,
            route,
        } = file;
        let mut upstreams = self.upstreams(upstream);
        let routes = self.routes(route, &mut upstreams);
        let config = Config {
            workers,
            listen: self.listen(listen),
            status: self.status(&console, status),
            log: self.log(log),
            limits: limited(limits),
            shutdown: ended(shutdown),
            answers: answered(answers),
            dns: resolved_by(dns),
            upstreams,
            routes: Routes::new(routes),
        };
        self.check_addresses(&config);
        self.check_ladder(&config);
        self.check_loops(&config.routes);
        self.check_unused(&config);
        config
    }

    fn listen(&mut self, listen: written::Listen) -> Listen {
        let written::Listen { http, https, trusted_proxies, timeout } = listen;
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
        let https = https.map(|written::Https { addr, cert, key }| Https {
            addr: addr.means,
            cert: self.file(cert),
            key: self.file(key),
        });
        Listen {
            http,
            assumed,
            https,
            trusted_proxies: all(trusted_proxies),
            head: head.means,
            idle: idle.means,
            body: body.means,
        }
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

    fn log(&mut self, log: written::Log) -> Log {
        let written::Log { access } = log;
        let access = match access.means {
            AccessLog::File(path) => AccessLog::File(self.base.join(path)),
            other => other,
        };
        Log { access }
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

fn all<L: Leaf>(words: Vec<Word<L>>) -> Vec<L::Value> {
    words.into_iter().map(|it| it.means).collect()
}

fn limited(limits: written::Limits) -> Limits {
    let written::Limits {
        request_head,
        request_fields,
        uri,
        response_head,
        response_fields,
        interim_responses,
    } = limits;
    Limits {
        request_head: request_head.means,
        request_fields,
        uri: uri.means,
        response_head: response_head.means,
        response_fields,
        interim_responses,
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
    let written::Dns { servers, timeout } = dns;
    Dns { servers: all(servers), timeout: timeout.means }
}
