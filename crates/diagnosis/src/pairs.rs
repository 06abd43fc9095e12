//! What a proxy speaks to an address, against what is understood there: the comparison that all
//! causes of a wrong protocol share. Whatever understands one of the two is never held against both.

use crate::dossier::{Cite, Dossier, Listener};
use crate::text::Claim;
use evidence::address::{self, host, is_ip, is_ipv6, is_loopback, is_unspecified, port, socket};
use evidence::{Kind, Product, Scheme, Setting, Sign, Stack, What};
use std::collections::{BTreeSet, HashMap};

/// A protocol as the first bytes on a connection have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// HTTP/1 without TLS.
    Http1,
    /// HTTP/1 or HTTP/2 without TLS.
    Http,
    /// HTTP/2 without TLS and without asking, as gRPC has it.
    Http2,
    Tls,
    /// HTTP, perhaps over TLS: what is not said.
    HttpOrTls,
    FastCgi,
    Uwsgi,
    Scgi,
    Ajp,
    /// Something of its own: databases, caches and queues.
    Own(Product),
}

impl Speech {
    /// What a proxy speaks that dials with this scheme, as far as it says so.
    pub(crate) fn spoken(scheme: Scheme) -> Option<Speech> {
        Some(match scheme {
            Scheme::Http => Speech::Http1,
            Scheme::Http2 | Scheme::Grpc => Speech::Http2,
            Scheme::Https | Scheme::Grpcs => Speech::Tls,
            Scheme::FastCgi => Speech::FastCgi,
            Scheme::Uwsgi => Speech::Uwsgi,
            Scheme::Scgi => Speech::Scgi,
            Scheme::Ajp => Speech::Ajp,
            Scheme::Tcp | Scheme::Unknown => return None,
        })
    }

    /// What a server understands where it listens, as far as it says so.
    pub(crate) fn understood(product: Product, scheme: Scheme) -> Option<Speech> {
        Some(match (product, scheme) {
            // php-fpm knows nothing but FastCGI.
            (Product::PhpFpm, _) => Speech::FastCgi,
            (it, _) if matches!(it.stack(), Stack::Database | Stack::Cache) => Speech::Own(it),
            (it, Scheme::Http) if knows_http1_alone(it) => Speech::Http1,
            (_, Scheme::Http) => Speech::Http,
            (it, Scheme::Unknown) if knows_http1_alone(it) && it != Product::Uwsgi => {
                Speech::HttpOrTls
            }
            (_, scheme) => Speech::spoken(scheme)?,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Speech::Http1 | Speech::Http => "HTTP",
            Speech::Http2 => "HTTP/2",
            Speech::Tls => "TLS",
            Speech::HttpOrTls => "HTTP or TLS",
            Speech::FastCgi => "FastCGI",
            Speech::Uwsgi => "uwsgi",
            Speech::Scgi => "SCGI",
            Speech::Ajp => "AJP",
            Speech::Own(it) => it.name(),
        }
    }

    fn is_http(self) -> bool {
        use Speech::*;
        matches!(self, Http1 | Http | Http2 | Tls | HttpOrTls)
    }

    /// The cause that it is to speak this where that is understood; `None`: it may go well.
    pub(crate) fn clash(self, understood: Speech) -> Option<&'static str> {
        use Speech::*;
        if self == understood {
            return None;
        }
        Some(match (self, understood) {
            (Http1 | Http2, Http) | (Http1 | Tls, HttpOrTls) => return None,
            // Which of the two is refused is not said.
            (HttpOrTls | Http, it) if it.is_http() => return None,
            (_, Own(_)) => "wrong_protocol_service",
            (FastCgi, _) | (_, FastCgi) => "fastcgi_mismatch",
            (Uwsgi, _) | (_, Uwsgi) => "uwsgi_mismatch",
            (Ajp | Scgi, _) | (_, Ajp | Scgi) => "wrong_protocol_service",
            (Tls, _) => "tls_to_plain_port",
            (Http1 | Http2, Tls) => "http_to_tls_port",
            (Http1, Http2) => "http1_to_http2",
            (Http2, Http1) => "http2_to_http1",
            _ => return None,
        })
    }
}

/// Servers that have HTTP/2 with TLS at most.
fn knows_http1_alone(product: Product) -> bool {
    use Product::*;
    matches!(
        product,
        Gunicorn | Uvicorn | Uwsgi | Daphne | Waitress | Flask | Django | Puma | Unicorn | Php
    )
}

/// Servers that have no option for the PROXY header.
fn never_expects_header(product: Product) -> bool {
    use Product::*;
    matches!(
        product,
        Uvicorn | Hypercorn | Daphne | Waitress | Flask | Django | Unicorn | PhpFpm | Php
    )
}

/// Two sides of one address that do not understand each other.
pub(crate) struct Pair {
    pub(crate) cause: &'static str,
    /// A sentence without a full stop.
    pub(crate) says: String,
    /// The lines of both sides, the dialling one first.
    pub(crate) cites: Vec<Cite>,
    /// The server itself said where it listens.
    said: bool,
}

/// A dialled address with what is spoken to it.
struct Dialled<'a> {
    to: &'a str,
    scheme: Scheme,
    setting: &'a Setting,
    source: u32,
}

/// Dialled addresses and listeners beyond this are not compared.
const MAX_SIDES: usize = 100;

/// Where anything listens, and what a host knows of services.
struct Sides<'a> {
    listeners: Vec<Listener>,
    /// Service, port of the host and port of its container.
    published: Vec<(&'a str, u16, u16)>,
    services: BTreeSet<&'a str>,
}

impl<'a> Dossier<'a> {
    /// What shows that this is the cause: two lines that contradict each other.
    pub(crate) fn pair_claims(&self, cause: &str) -> Vec<Claim> {
        let pair = self.pairs().into_iter().find(|it| it.cause == cause);
        let claim = |it: Pair| Claim::new(if it.said { 7.0 } else { 6.5 }, it.says, it.cites);
        pair.map(claim).into_iter().collect()
    }

    /// The sentence that names the two sides of this cause.
    pub(crate) fn pair_says(&self, cause: &str) -> Option<String> {
        self.pairs().into_iter().find(|it| it.cause == cause).map(|it| it.says)
    }

    /// Two sides of the dialled address that do not understand each other.
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        if !stood(self.sign()) {
            return Vec::new();
        }
        let dialled = self.dialled_settings();
        if dialled.is_empty() {
            return Vec::new();
        }
        let sides = self.sides();
        dialled.iter().filter_map(|it| self.pair(it, &sides)).collect()
    }

    fn pair(&self, dial: &Dialled<'a>, sides: &Sides<'a>) -> Option<Pair> {
        let there: Vec<&Listener> =
            sides.listeners.iter().filter(|it| sides.meet(dial, it)).collect();
        let first = there.first()?;
        let (hop, to) = (dial.setting.product.name(), dial.to);
        let cite = || Cite::setting(dial.source, dial.setting);
        let pair = |cause, says, with: Vec<Cite>, said| {
            let cites = std::iter::once(cite()).chain(with).collect();
            Some(Pair { cause, says, cites, said })
        };
        if let Some(spoken) = Speech::spoken(dial.scheme) {
            let known = there.iter().filter_map(|it| {
                let speech = self.understood_at(it)?;
                Some((*it, speech, spoken.clash(speech)))
            });
            let known: Vec<_> = known.collect();
            // One that understands it is enough.
            if known.iter().all(|it| it.2.is_some())
                && let Some((listener, speech, Some(cause))) = known.first()
            {
                let server = listener.product.name();
                let says = match speech {
                    Speech::Own(_) => {
                        format!("{hop} speaks {} to {to}, where {server} listens", spoken.name())
                    }
                    _ => format!(
                        "{hop} speaks {} to {to}, where {server} expects {}",
                        spoken.name(),
                        speech.name()
                    ),
                };
                return pair(*cause, says, vec![listener.cite.clone()], listener.said);
            }
        }
        self.header(dial, first, &there, &pair)
    }

    /// The PROXY header: sent by one and not expected by the other, or the reverse.
    fn header(
        &self,
        dial: &Dialled<'a>,
        first: &Listener,
        there: &[&Listener],
        pair: &dyn Fn(&'static str, String, Vec<Cite>, bool) -> Option<Pair>,
    ) -> Option<Pair> {
        const CAUSE: &str = "proxy_protocol_mismatch";
        let sends = self.dial_has(dial, |it| matches!(it, What::ProxyHeader { sends: true }));
        let expects = there.iter().find_map(|it| {
            self.listener_has(it, |it| matches!(it, What::ProxyHeader { sends: false }))
        });
        let (hop, server, to) = (dial.setting.product.name(), first.product.name(), dial.to);
        match (sends, expects) {
            (Some(sends), None) => {
                // A log alone does not show all options of its server.
                let configured = there.iter().any(|it| !it.said);
                let unread = self.seen(Sign::RequestUnreadable, crate::text::When::During);
                let unread = unread.into_iter().find(|it| it.key.product == first.product);
                let sure = configured || never_expects_header(first.product) || unread.is_some();
                let mut cites = vec![sends, first.cite.clone()];
                cites.extend(unread.map(|it| it.cite()));
                let says = format!(
                    "{hop} sends the PROXY header to {to}, and {server} does not expect it"
                );
                sure.then(|| pair(CAUSE, says, cites, first.said))?
            }
            (None, Some(expects)) if dial.scheme != Scheme::Unknown || self.is_server(dial) => {
                let says = format!(
                    "{server} expects the PROXY header at {to}, and {hop} does not send it"
                );
                pair(CAUSE, says, vec![expects], false)
            }
            _ => None,
        }
    }

    /// HAProxy and nginx say at the server's line whether the header is sent.
    fn is_server(&self, dial: &Dialled<'a>) -> bool {
        matches!(dial.setting.product.stack(), Stack::HaProxy | Stack::Nginx)
    }

    /// What a proxy's own certificate and the listener's demand for one say: the line that demands
    /// it, and that of the proxy's certificate where it has one.
    pub(crate) fn demands_certificate(&self) -> Option<(Cite, Cite, Option<Cite>)> {
        let sides = self.sides();
        self.dialled_settings().into_iter().find_map(|dial| {
            if !matches!(dial.scheme, Scheme::Https | Scheme::Grpcs) {
                return None;
            }
            let mut there = sides.listeners.iter().filter(|it| sides.meet(&dial, it));
            let demand = there
                .find_map(|it| self.listener_has(it, |it| matches!(it, What::VerifiesClients)))?;
            let shows = self.dial_has(&dial, |it| matches!(it, What::ShowsCertificate));
            Some((demand, Cite::setting(dial.source, dial.setting), shows))
        })
    }

    /// The dialled addresses by configuration: those of the failures, where they are known.
    fn dialled_settings(&self) -> Vec<Dialled<'a>> {
        let settings = || self.testimony.settings.iter();
        let mut schemes: HashMap<(u32, &str), Scheme> = HashMap::new();
        for (source, it) in settings() {
            if let What::Dials { to, scheme } = &it.what {
                schemes.entry((*source, to)).or_insert(*scheme);
            }
        }
        let scheme_of = |source: u32, group: &str| {
            schemes.get(&(source, group)).copied().unwrap_or(Scheme::Unknown)
        };
        let ours = self.upstream();
        let group_of =
            |group: &str| ours.is_some_and(|it| it.split('/').next().is_some_and(|it| it == group));
        let groups: BTreeSet<(u32, &str)> = settings()
            .filter_map(|(source, it)| match &it.what {
                What::Member { group, .. } => Some((*source, group.as_str())),
                _ => None,
            })
            .collect();
        let mut all: Vec<Dialled> = Vec::new();
        let mut wanted: Vec<bool> = Vec::new();
        for (source, setting) in settings() {
            if all.len() >= MAX_SIDES {
                break;
            }
            let (to, scheme, group) = match &setting.what {
                // Its members are the addresses.
                What::Dials { to, .. } if groups.contains(&(*source, to.as_str())) => continue,
                What::Dials { to, scheme } => (to.as_str(), *scheme, setting.service.as_deref()),
                What::Member { group, address, disabled: false } => {
                    (address.as_str(), scheme_of(*source, group), Some(group.as_str()))
                }
                _ => continue,
            };
            let named = group.is_some_and(&group_of);
            wanted.push(named || ours.is_some_and(|ours| same_address(to, ours)));
            all.push(Dialled { to, scheme, setting, source: *source });
        }
        match ours {
            Some(_) if wanted.iter().any(|it| *it) => {
                let mut wanted = wanted.into_iter();
                all.retain(|_| wanted.next().unwrap_or(false));
            }
            // A path through some other proxy failed.
            Some(_) => all.clear(),
            None => {}
        }
        all
    }

    /// Where anything listens, proxies too.
    fn sides(&self) -> Sides<'a> {
        let mut listeners = self.all_listeners();
        listeners.truncate(MAX_SIDES);
        let mut published = Vec::new();
        let mut services = BTreeSet::new();
        for (source, it) in &self.testimony.settings {
            services.extend(it.service.as_deref());
            match &it.what {
                What::Listens { address, scheme }
                    if it.product.stack().is_proxy() && listeners.len() < 2 * MAX_SIDES =>
                {
                    listeners.push(Listener {
                        address: address.clone(),
                        product: it.product,
                        service: it.service.clone(),
                        scheme: *scheme,
                        said: false,
                        cite: Cite::setting(*source, it),
                    });
                }
                What::Publishes { host, container } if published.len() < MAX_SIDES => {
                    let service = it.service.as_deref();
                    published.extend(service.map(|service| (service, *host, *container)));
                }
                What::Service { name } => {
                    services.insert(name);
                }
                _ => {}
            }
        }
        Sides { listeners, published, services }
    }

    /// What a listener understands: as its log or its configuration says.
    fn understood_at(&self, it: &Listener) -> Option<Speech> {
        let scheme = match it.scheme {
            Scheme::Unknown => written(&it.cite.quote),
            scheme => scheme,
        };
        // A certificate may be given to a server elsewhere on its command line.
        let secured = || {
            const WORDS: [&str; 4] = ["certfile", "keyfile", "ssl", "tls"];
            self.beside(it).any(|other| WORDS.iter().any(|word| other.quote.contains(word)))
        };
        match Speech::understood(it.product, scheme)? {
            Speech::Http | Speech::Http1
                if !it.said && it.product.stack().runs_apps() && secured() =>
            {
                Some(Speech::HttpOrTls)
            }
            speech => Some(speech),
        }
    }

    /// Settings of the same file and service as a listener.
    fn beside<'l>(&self, it: &'l Listener) -> impl Iterator<Item = &'a Setting> + use<'a, 'l> {
        self.testimony
            .settings
            .iter()
            .filter(move |(source, other)| *source == it.cite.source && other.service == it.service)
            .map(|(_, other)| other)
    }

    /// A fact that belongs to a listener: of its line, or of its block where it is the only one.
    fn listener_has(&self, it: &Listener, is: impl Fn(&What) -> bool) -> Option<Cite> {
        if it.said {
            return None;
        }
        let listens = self.beside(it).filter(|it| matches!(it.what, What::Listens { .. })).count();
        let at = it.cite.line;
        let mut there = self.beside(it).filter(|other| is(&other.what));
        let found = there.find(|other| {
            listens == 1 || Some(other.line) == at || matches!(other.what, What::VerifiesClients)
        })?;
        Some(Cite::setting(it.cite.source, found))
    }

    /// A fact that belongs to a dialled address: of its line, or of its block where it is the only
    /// one.
    fn dial_has(&self, dial: &Dialled<'a>, is: impl Fn(&What) -> bool) -> Option<Cite> {
        let beside = || {
            self.testimony
                .settings
                .iter()
                .filter(|(source, it)| *source == dial.source && it.service == dial.setting.service)
        };
        let others = beside().any(|(_, it)| {
            matches!(&it.what, What::Dials { to, .. } if to != dial.to)
                && it.line != dial.setting.line
        });
        let mut there = beside().filter(|(_, it)| is(&it.what));
        let (source, it) = there.find(|(_, it)| !others || it.line == dial.setting.line)?;
        Some(Cite::setting(*source, it))
    }
}

impl Sides<'_> {
    /// Whether a dialled address leads to a listener.
    fn meet(&self, dial: &Dialled, it: &Listener) -> bool {
        let (to, at) = (dial.to, it.address.as_str());
        let same_file = it.cite.source == dial.source;
        if same_file && it.service.is_some() && it.service == dial.setting.service {
            return false;
        }
        if socket(to).is_some() || socket(at).is_some() {
            return socket(to) == socket(at);
        }
        let implied = match dial.scheme {
            Scheme::Http => Some(80),
            Scheme::Https => Some(443),
            _ => None,
        };
        let Some((dialled, listens)) = port(to).or(implied).zip(port(at)) else { return false };
        let (name, service) = (host(to), it.service.as_deref());
        if dialled != listens {
            // From the host, through a port that a container publishes.
            let published = (service.unwrap_or_default(), dialled, listens);
            return service.is_some()
                && (is_loopback(to) || is_ip(to))
                && self.published.contains(&published);
        }
        let of_service = service == Some(name);
        // A proxy's port is dialled elsewhere too: on the same machine, or where a name or another
        // file says that it is this one.
        let elsewhere = match same_file {
            true => !is_loopback(to) || port(to).is_none(),
            false => !is_ip(to) && name.contains('.'),
        };
        if it.product.stack().is_proxy() && !of_service && elsewhere {
            return false;
        }
        match () {
            () if is_unspecified(at) || of_service => {
                of_service || service.is_none() || !self.services.contains(name)
            }
            () if is_loopback(to) != is_loopback(at) => false,
            () if is_ip(to) && is_ip(at) && is_ipv6(to) != is_ipv6(at) => false,
            () => is_loopback(to) || !is_ip(to) || !is_ip(at) || name == host(at),
        }
    }
}

/// What a server's own line says that it speaks where it listens.
fn written(quote: &str) -> Scheme {
    // A URL; Spring's `port 8443 (https)`; Tomcat's `["https-jsse-nio-8443"]`.
    const WORDS: [(&str, Scheme); 7] = [
        ("https://", Scheme::Https),
        ("http://", Scheme::Http),
        ("(https)", Scheme::Https),
        ("(http)", Scheme::Http),
        ("[\"https-", Scheme::Https),
        ("[\"http-", Scheme::Http),
        ("[\"ajp-", Scheme::Ajp),
    ];
    let found = WORDS.iter().find(|(it, _)| quote.contains(it));
    found.map_or(Scheme::Unknown, |(_, scheme)| *scheme)
}

fn same_address(to: &str, ours: &str) -> bool {
    if to == ours {
        return true;
    }
    if socket(to).is_some() || socket(ours).is_some() {
        return socket(to) == socket(ours);
    }
    let ports = address::port(to) == address::port(ours);
    let named = !is_ip(to) && host(to) != "localhost";
    ports
        && address::port(to).is_some()
        && (host(to) == host(ours) || named || is_loopback(to) && is_loopback(ours))
}

/// A connection stood before this fault, or none was seen to fail.
fn stood(sign: Sign) -> bool {
    use Sign::*;
    !matches!(
        sign,
        ConnectRefused
            | ConnectTimedOut
            | HostUnreachable
            | NetworkUnreachable
            | ConnectDenied
            | ConnectNotPermitted
            | NoLocalPort
            | NoDescriptors
            | SocketMissing
            | SocketDenied
            | SocketStale
            | SocketBacklogFull
            | NameNotFound
            | NameServerFailed
            | NameRefused
            | NameTimedOut
            | NameUnresolved
    ) && sign.kind() != Kind::Cut
}

#[cfg(test)]
mod tests {
    use super::Speech;
    use crate::testing::explained;
    use crate::testing::report::nginx;
    use evidence::{Product, Scheme};

    const CLOSED: &str =
        "upstream prematurely closed connection while reading response header from upstream";
    const RESET: &str =
        "recv() failed (104: Connection reset by peer) while reading response header from upstream";
    const WAITED: &str = "upstream timed out (110: Connection timed out) while reading response header from upstream";

    /// The report on a fault of nginx at an address, and both sides' configurations, must name this
    /// cause, and quote both sides.
    #[track_caller]
    fn named(cause: &str, fault: (&str, &str), dials: &str, listens: (&str, &str), words: &str) {
        let log = nginx(fault.0, fault.1);
        let server = format!("server {{ listen 80; location / {{ {dials}; }} }}\n");
        let report =
            explained(&[("error.log", &log), ("nginx.conf", &server), (listens.0, listens.1)]);
        assert_eq!(report.cause, cause, "{:?}", report.candidates);
        assert_eq!(report.statement, words);
        for file in ["nginx.conf", listens.0] {
            let quoted = report
                .evidence
                .iter()
                .any(|it| it.source == file && it.supports.iter().any(|it| it == cause));
            assert!(quoted, "{file} is not quoted: {:?}", report.evidence);
        }
    }

    /// The same must not be named, nor stand among what is likely.
    #[track_caller]
    fn not_named(cause: &str, fault: (&str, &str), dials: &str, listens: (&str, &str)) {
        let log = nginx(fault.0, fault.1);
        let server = format!("server {{ listen 80; location / {{ {dials}; }} }}\n");
        let report =
            explained(&[("error.log", &log), ("nginx.conf", &server), (listens.0, listens.1)]);
        let likely = report.candidates.iter().any(|it| it.cause == cause && it.confidence > 0.3);
        assert!(!likely, "{:?}", report.candidates);
    }

    #[test]
    fn http_to_fastcgi() {
        let pool =
            |address| format!("[www]\nlisten = {address}\npm = static\npm.max_children = 2\n");
        let fault = (RESET, "http://127.0.0.1:9000/");
        let dials = "proxy_pass http://127.0.0.1:9000";
        named(
            "fastcgi_mismatch",
            fault,
            dials,
            ("www.conf", &pool("127.0.0.1:9000")),
            "nginx speaks HTTP to 127.0.0.1:9000, where php-fpm expects FastCGI",
        );
        not_named("fastcgi_mismatch", fault, dials, ("www.conf", &pool("127.0.0.1:9001")));
        let fault = (RESET, "fastcgi://127.0.0.1:9000");
        let dials = "fastcgi_pass 127.0.0.1:9000";
        not_named("fastcgi_mismatch", fault, dials, ("www.conf", &pool("9000")));
    }

    #[test]
    fn http_to_uwsgi_and_the_reverse() {
        let fault = (CLOSED, "http://unix:/run/app.sock:/");
        let dials = "proxy_pass http://unix:/run/app.sock";
        named(
            "uwsgi_mismatch",
            fault,
            dials,
            ("uwsgi.ini", "[uwsgi]\nmodule = app:app\nsocket = /run/app.sock\n"),
            "nginx speaks HTTP to unix:/run/app.sock, where uWSGI expects uwsgi",
        );
        let ini = "[uwsgi]\nmodule = app:app\nhttp-socket = /run/app.sock\n";
        not_named("uwsgi_mismatch", fault, dials, ("uwsgi.ini", ini));
        let ini = "[uwsgi]\nmodule = app:app\nsocket = /run/app.sock\nprotocol = http\n";
        not_named("uwsgi_mismatch", fault, dials, ("uwsgi.ini", ini));
        named(
            "uwsgi_mismatch",
            (WAITED, "uwsgi://127.0.0.1:8000"),
            "uwsgi_pass 127.0.0.1:8000",
            ("gunicorn.conf.py", "bind = '127.0.0.1:8000'\nworkers = 2\n"),
            "nginx speaks uwsgi to 127.0.0.1:8000, where gunicorn expects HTTP",
        );
    }

    #[test]
    fn http_to_tls_and_the_reverse() {
        let fault = (CLOSED, "http://127.0.0.1:8000/");
        let dials = "proxy_pass http://127.0.0.1:8000";
        let tls = "bind = '127.0.0.1:8000'\nworkers = 2\ncertfile = 'a.pem'\n";
        let plain = "bind = '127.0.0.1:8000'\nworkers = 2\n";
        named(
            "http_to_tls_port",
            fault,
            dials,
            ("gunicorn.conf.py", tls),
            "nginx speaks HTTP to 127.0.0.1:8000, where gunicorn expects TLS",
        );
        not_named("http_to_tls_port", fault, dials, ("gunicorn.conf.py", plain));
        let fault = (
            "peer closed connection in SSL handshake while SSL handshaking to upstream",
            "https://127.0.0.1:8000/",
        );
        let dials = "proxy_pass https://127.0.0.1:8000";
        named(
            "tls_to_plain_port",
            fault,
            dials,
            ("gunicorn.conf.py", plain),
            "nginx speaks TLS to 127.0.0.1:8000, where gunicorn expects HTTP",
        );
        not_named("tls_to_plain_port", fault, dials, ("gunicorn.conf.py", tls));
    }

    #[test]
    fn grpc_to_http1() {
        let fault = (CLOSED, "grpc://127.0.0.1:8000");
        let dials = "grpc_pass grpc://127.0.0.1:8000";
        named(
            "http2_to_http1",
            fault,
            dials,
            ("gunicorn.conf.py", "bind = '127.0.0.1:8000'\nworkers = 2\n"),
            "nginx speaks HTTP/2 to 127.0.0.1:8000, where gunicorn expects HTTP",
        );
        // Hypercorn has HTTP/2 without TLS too.
        not_named(
            "http2_to_http1",
            fault,
            dials,
            ("Procfile", "web: hypercorn -b 127.0.0.1:8000 a:b\n"),
        );
    }

    #[test]
    fn a_worker_that_waits_for_a_request_in_another_protocol() {
        let log = "[2026-11-20 15:16:00 +0000] [14] [INFO] Listening at: http://127.0.0.1:8000 (14)\n\
                   [2026-11-20 15:16:46 +0000] [14] [CRITICAL] WORKER TIMEOUT (pid:15)\n";
        let config = |pass: &str| {
            format!(
                "upstream app {{ server 127.0.0.1:8000; }}\nserver {{ listen 80; location / {{ {pass}; }} }}\n"
            )
        };
        let cause = |pass| explained(&[("nginx.conf", &config(pass)), ("gunicorn.log", log)]).cause;
        assert_eq!(cause("uwsgi_pass app"), "uwsgi_mismatch");
        assert_eq!(cause("proxy_pass http://app"), "worker_timeout_killed");
    }

    #[test]
    fn a_port_that_a_container_publishes_leads_to_the_one_inside() {
        let fault = (CLOSED, "http://127.0.0.1:8080/");
        let dials = "proxy_pass http://127.0.0.1:8080";
        let compose = |ports| {
            format!(
                "services:\n  app:\n    image: shop\n    command: uwsgi --socket :9000 --module app:app\n    ports:\n      - \"{ports}\"\n"
            )
        };
        named(
            "uwsgi_mismatch",
            fault,
            dials,
            ("compose.yml", &compose("8080:9000")),
            "nginx speaks HTTP to 127.0.0.1:8080, where uWSGI expects uwsgi",
        );
        not_named("uwsgi_mismatch", fault, dials, ("compose.yml", &compose("8081:9000")));
        not_named("uwsgi_mismatch", fault, dials, ("compose.yml", &compose("8080:9001")));
    }

    #[test]
    fn a_proxys_own_port_is_not_what_it_dials_elsewhere() {
        let log = nginx(CLOSED, "http://api.example.com:80/");
        let config = "server { listen 80 proxy_protocol; location / { proxy_pass http://api.example.com; } }\n";
        let report = explained(&[("error.log", &log), ("nginx.conf", config)]);
        assert_ne!(report.cause, "proxy_protocol_mismatch");
        let config = "upstream app { server 192.0.2.7:443; }\nserver { listen 443 ssl proxy_protocol; location / { proxy_pass http://app; } }\n";
        let report = explained(&[("nginx.conf", config)]);
        assert_ne!(report.cause, "proxy_protocol_mismatch");
    }

    #[test]
    fn http_to_ajp() {
        let tomcat = |protocol, port| {
            format!(
                "20-Nov-2026 15:16:00.123 INFO [main] org.apache.coyote.AbstractProtocol.start Starting ProtocolHandler [\"{protocol}-nio-{port}\"]\n"
            )
        };
        let fault = (CLOSED, "http://127.0.0.1:8009/");
        let dials = "proxy_pass http://127.0.0.1:8009";
        named(
            "wrong_protocol_service",
            fault,
            dials,
            ("catalina.log", &tomcat("ajp", 8009)),
            "nginx speaks HTTP to 127.0.0.1:8009, where Tomcat expects AJP",
        );
        not_named("wrong_protocol_service", fault, dials, ("catalina.log", &tomcat("http", 8009)));
        named(
            "http_to_tls_port",
            fault,
            dials,
            ("catalina.log", &tomcat("https-jsse", 8009)),
            "nginx speaks HTTP to 127.0.0.1:8009, where Tomcat expects TLS",
        );
    }

    #[test]
    fn a_database_listens_there() {
        let listening = |port| {
            format!(
                "2026-11-20 15:16:00.123 UTC [1] LOG:  listening on IPv4 address \"127.0.0.1\", port {port}\n"
            )
        };
        let fault = (CLOSED, "http://127.0.0.1:5432/");
        let dials = "proxy_pass http://127.0.0.1:5432";
        named(
            "wrong_protocol_service",
            fault,
            dials,
            ("postgres.log", &listening(5432)),
            "nginx speaks HTTP to 127.0.0.1:5432, where PostgreSQL listens",
        );
        not_named("wrong_protocol_service", fault, dials, ("postgres.log", &listening(5433)));
    }

    #[test]
    fn a_demand_for_certificates_decides_what_alert_40_leaves_open() {
        let log = nginx(
            "SSL_do_handshake() failed (SSL: error:0A000410:SSL routines::sslv3 alert handshake failure:SSL alert number 40) while SSL handshaking to upstream",
            "https://192.0.2.7:8443/",
        );
        let proxy = "server { listen 80; location / { proxy_pass https://192.0.2.7:8443; proxy_ssl_server_name on; } }\n";
        let target = |verify: &str| {
            format!(
                "server {{ listen 8443 ssl; ssl_verify_client {verify}; ssl_certificate a.pem; }}\n"
            )
        };
        let cause = |verify: &str, proxy: &str| {
            let target = target(verify);
            explained(&[("error.log", &log), ("a.conf", proxy), ("b.conf", &target)]).cause
        };
        assert_eq!(cause("on", proxy), "tls_client_cert_required");
        assert_eq!(cause("optional", proxy), "unknown");
        let shows = proxy
            .replace("proxy_ssl_server_name", "proxy_ssl_certificate c.pem; proxy_ssl_server_name");
        assert_ne!(cause("on", &shows), "tls_client_cert_required");
    }

    #[test]
    fn a_header_that_nobody_expects() {
        let log = "127.0.0.1:45498 [20/Nov/2026:15:16:30.129] web shop/s1 0/0/0/9/9 400 313 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"\n";
        let haproxy = "defaults\n    mode http\n    timeout connect 2s\nbackend shop\n    server s1 127.0.0.1:8000 send-proxy\n";
        let app =
            "[2026-11-20 15:16:00 +0000] [14] [INFO] Listening at: http://127.0.0.1:8000 (14)\n";
        let refused = "[2026-11-20 15:16:30 +0000] [15] [WARNING] Invalid request from ip=127.0.0.1: Invalid HTTP request line: 'PROXY TCP4 127.0.0.1 127.0.0.1 45498 80'\n";
        let cause = |haproxy: &str, app: &str| {
            explained(&[("haproxy.log", log), ("haproxy.cfg", haproxy), ("app.log", app)]).cause
        };
        let both = format!("{app}{refused}");
        assert_eq!(cause(haproxy, &both), "proxy_protocol_mismatch");
        // Gunicorn may have been told to expect it, and what strangers send is no fault of a proxy.
        assert_eq!(cause(haproxy, app), "unknown");
        assert_eq!(cause(&haproxy.replace(" send-proxy", ""), &both), "unknown");
    }

    #[test]
    fn what_is_spoken_and_what_is_understood() {
        use Speech::*;
        for (scheme, product, listens, want) in [
            (Scheme::Http, Product::Gunicorn, Scheme::Http, None),
            (Scheme::Https, Product::Gunicorn, Scheme::Unknown, None),
            (Scheme::Uwsgi, Product::Gunicorn, Scheme::Unknown, Some("uwsgi_mismatch")),
            (Scheme::Http, Product::Uwsgi, Scheme::Unknown, None),
            (Scheme::Ajp, Product::Tomcat, Scheme::Ajp, None),
            (Scheme::Http, Product::Tomcat, Scheme::Ajp, Some("wrong_protocol_service")),
            (Scheme::Ajp, Product::Gunicorn, Scheme::Http, Some("wrong_protocol_service")),
            (Scheme::Scgi, Product::Uwsgi, Scheme::Uwsgi, Some("uwsgi_mismatch")),
            (Scheme::Http2, Product::Uvicorn, Scheme::Http, Some("http2_to_http1")),
            (Scheme::Http2, Product::Hypercorn, Scheme::Http, None),
            (Scheme::Grpcs, Product::Nginx, Scheme::Https, None),
            (Scheme::Grpc, Product::Nginx, Scheme::Https, Some("http_to_tls_port")),
            (Scheme::Http, Product::Envoy, Scheme::Http2, Some("http1_to_http2")),
            (Scheme::Https, Product::Redis, Scheme::Unknown, Some("wrong_protocol_service")),
            (Scheme::Https, Product::PhpFpm, Scheme::Unknown, Some("fastcgi_mismatch")),
        ] {
            let spoken = Speech::spoken(scheme).expect("it says what it speaks");
            let clash = Speech::understood(product, listens).and_then(|it| spoken.clash(it));
            assert_eq!(clash, want, "{scheme:?} to {product:?} at {listens:?}");
        }
        assert_eq!(Speech::spoken(Scheme::Tcp), None);
        assert_eq!(Http.clash(Tls), None);
    }
}
