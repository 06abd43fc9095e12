//! What a configuration says: facts, each with its place.

use crate::product::Product;

/// One fact of a configuration file, a command line or an inspected container.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub product: Product,
    /// The compose service, pod, unit or server block that it belongs to.
    pub service: Option<String>,
    /// The object of an orchestrator that says it: names are only its own within kind and namespace.
    pub object: Option<Object>,
    pub what: What,
    /// The words in the file, byte for byte.
    pub quote: String,
    /// Counted from 1.
    pub line: u64,
    pub offset: u64,
}

/// What a name of Kubernetes is the name of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// As written: `Service`, `Deployment`.
    pub kind: String,
    /// As written; `None`: whoever applies the file decides.
    pub namespace: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A proxy sends requests there: an authority as [`crate::address::authority`] gives it.
    Dials {
        to: String,
        scheme: Scheme,
    },
    /// Members of a group that `Dials` may name.
    Member {
        group: String,
        address: String,
        disabled: bool,
    },
    /// A process listens there: `0.0.0.0:8000`, `:80`, `unix:/run/app.sock`.
    Listens {
        address: String,
        scheme: Scheme,
    },
    /// A container's port and that of the host that leads to it.
    Publishes {
        host: u16,
        container: u16,
    },
    /// A port that an image or a pod names as its own.
    Exposes {
        port: u16,
    },
    /// The port that a service of Kubernetes (or `VIRTUAL_PORT` and the like) sends requests to.
    TargetPort {
        port: u16,
    },
    /// A service is attached to this container network.
    Network {
        name: String,
    },
    /// The process shares the host's network (`network_mode: host`, `hostNetwork: true`).
    HostNetwork,
    /// The service exists under this name; names are hostnames within compose and Kubernetes.
    Service {
        name: String,
    },
    /// Another file says that this process runs in a container.
    InContainer,
    /// The program that a unit, container or process runs, as written.
    Runs {
        command: String,
    },
    /// The user that a process runs as.
    User {
        name: String,
    },
    /// A limit, in milliseconds, bytes or pieces; 0 is none.
    Limit {
        limit: Limit,
        value: i64,
    },
    /// Certificates of the upstream are verified, or not.
    Verifies {
        on: bool,
    },
    /// The server name that is sent to the upstream; `None`: none is sent.
    SendsName {
        name: Option<String>,
    },
    /// Versions of TLS that are offered, as written.
    TlsVersions {
        versions: String,
    },
    /// HTTP version to the upstream, as written: `1.0`, `1.1`, `2`.
    HttpVersion {
        version: String,
    },
    /// The headers of an upgrade (WebSocket) are passed on.
    PassesUpgrade,
    /// Names are resolved while running, by this server.
    Resolver {
        address: String,
    },
    /// A listener refuses clients that show no certificate of theirs.
    VerifiesClients,
    /// A proxy has a certificate of its own for the upstream.
    ShowsCertificate,
    /// The PROXY header is sent (`true`) or expected (`false`).
    ProxyHeader {
        sends: bool,
    },
    /// A health check and where it goes.
    HealthCheck {
        path: Option<String>,
        port: Option<u16>,
        scheme: Option<Scheme>,
    },
    /// Mutual TLS of a mesh: `STRICT`, `PERMISSIVE`, `DISABLE`, `ISTIO_MUTUAL`.
    MeshTls {
        mode: String,
        host: Option<String>,
    },
    /// Pods that a service selects, and labels that pods have, as `key=value`.
    Selects {
        label: String,
    },
    Labelled {
        label: String,
    },
    /// Another service that must be up first.
    DependsOn {
        service: String,
    },
    /// A setting that the program misses, as its own check says.
    Missing {
        name: String,
    },
    /// A database, cache or queue that the app connects to; never more than host and port.
    Uses {
        address: String,
    },
    /// The port that the environment (`PORT`) tells an app to listen on.
    PortGiven {
        port: u16,
    },
    /// The name that callers use: `server_name`, `VIRTUAL_HOST`, the host of a route.
    ServedAs {
        host: String,
    },
    /// A header that a proxy sets for the upstream: `Host` and `Connection` only.
    SetsHeader {
        name: String,
        value: String,
    },
    /// When a request is tried again at another server, as written; `off`: never.
    Retries {
        on: String,
    },
    /// Idle connections to the upstream are used again, or not.
    Reuses {
        on: bool,
    },
    /// Requests are held to a rate by this rule; above it they are refused, often with 503.
    LimitsRate {
        rule: String,
    },
    /// The text of a log's format.
    LogFormat {
        format: String,
    },
    /// The file of authorities that an upstream's certificate is verified against.
    Trusts {
        file: String,
    },
    /// The image that a container is made of, without the registry's credentials.
    Image {
        name: String,
    },
    /// The mode of a unix socket, as written: `660`.
    SocketMode {
        mode: String,
    },
    /// The user or group that owns a unix socket.
    SocketOwner {
        name: String,
    },
    /// A directory that is made at start and removed at stop; sockets in it go with it.
    RuntimeDirectory {
        path: String,
    },
    /// An option that is on and matters, as written: `PrivateTmp`, `die-on-term`, `Type=notify`.
    On {
        option: String,
    },
    /// What happens when the process ends, as written: `always`, `no`, `on-failure`.
    Restarts {
        policy: String,
    },
    /// A network policy lets only named peers reach pods with this label; empty: all pods.
    Restricts {
        label: String,
    },
    /// A rule of the host's packet filter that drops or rejects, all packets of a chain or those to a
    /// port.
    Blocks {
        chain: String,
        port: Option<u16>,
        rejects: bool,
    },
    /// A subset of a mesh's host: defined by a rule, or only named by a route.
    Subset {
        host: String,
        name: String,
        defined: bool,
    },
}

/// Limits that explain failures, and that race each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// For the connection to the upstream, in ms.
    Connect,
    /// Between two reads from the upstream, or until its answer, in ms.
    Read,
    /// Between two writes to the upstream, in ms.
    Send,
    /// For the whole request, in ms.
    Total,
    /// How long an idle connection to the upstream is kept for reuse, in ms (the proxy's side).
    KeepAliveReuse,
    /// How long an idle connection from the proxy is kept open, in ms (the server's side).
    KeepAliveClose,
    /// How many idle connections to the upstream are kept.
    KeepAliveConnections,
    /// How long a worker may take for a request before it is killed, in ms.
    Worker,
    /// Time that a stopping process has, in ms.
    Graceful,
    /// For requests of clients, in ms.
    Client,
    /// Buffer for the head of an answer, in bytes.
    AnswerHead,
    /// Buffer for the head of a request, in bytes.
    RequestHead,
    /// Workers, threads, children.
    Workers,
    /// Connections or requests at once.
    Concurrency,
    /// The queue of connections that wait to be accepted.
    Backlog,
    /// Memory of the container or unit, in bytes.
    Memory,
    /// Requests after which a worker is replaced.
    RequestsPerWorker,
    /// Connections to the database that the app keeps.
    DbPool,
    /// Connections that a proxy's worker may have.
    Connections,
    /// Open files.
    Descriptors,
    /// Failures after which a server is set aside.
    MaxFails,
    /// How long a failed server is set aside, in ms.
    SetAside,
    /// Body of a request, in bytes.
    Body,
    /// For the answer to a health check, in ms.
    Probe,
    /// Before the first health check, in ms.
    ProbeDelay,
    /// How long a request may wait for a connection of the app's pool, in ms.
    PoolWait,
    /// How long the database may take for one statement, in ms.
    Statement,
    /// How long a script may run until its language ends it, in ms.
    Script,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
    Http2,
    Grpc,
    Grpcs,
    FastCgi,
    Uwsgi,
    Scgi,
    Ajp,
    Tcp,
    Unknown,
}

impl Scheme {
    /// From the word before `://`, or a directive's first syllable.
    #[must_use]
    pub fn of(word: &str) -> Scheme {
        match word {
            "http" => Scheme::Http,
            "https" | "h2" => Scheme::Https,
            "h2c" => Scheme::Http2,
            "grpc" => Scheme::Grpc,
            "grpcs" => Scheme::Grpcs,
            "fastcgi" | "fcgi" => Scheme::FastCgi,
            "uwsgi" => Scheme::Uwsgi,
            "scgi" => Scheme::Scgi,
            "ajp" => Scheme::Ajp,
            "tcp" => Scheme::Tcp,
            _ => Scheme::Unknown,
        }
    }
}

/// A kind of configuration that we read whole.
pub struct Config {
    /// As `goodgate formats` names it: `nginx configuration`.
    pub name: &'static str,
    pub product: Product,
    /// Whether a text is of this kind, by its content; the file's name may help, never decide alone
    /// against the content.
    pub fits: fn(name: &str, text: &str) -> bool,
    pub read: fn(name: &str, text: &str) -> Vec<Setting>,
    pub source: &'static str,
    /// A piece of it. A test reads it.
    pub example: &'static str,
}

/// Builds settings with their places in one text.
pub(crate) struct Places<'t> {
    product: Product,
    text: &'t str,
    /// Where lines end.
    ends: Vec<usize>,
    service: Option<String>,
    object: Option<Object>,
    pub settings: Vec<Setting>,
}

impl<'t> Places<'t> {
    #[must_use]
    pub(crate) fn new(product: Product, text: &'t str) -> Places<'t> {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
        Places { product, text, ends, service: None, object: None, settings: Vec::new() }
    }

    /// The text that all quotes are parts of.
    #[must_use]
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// The program that what comes next is about.
    pub(crate) fn product(&mut self, product: Product) {
        self.product = product;
    }

    /// The service that what comes next belongs to.
    pub(crate) fn service(&mut self, service: Option<&str>) {
        self.service = service.map(str::to_owned);
    }

    /// The object that what comes next belongs to.
    pub(crate) fn object(&mut self, object: Option<Object>) {
        self.object = object;
    }

    /// From the start of one part of the text to the end of another.
    #[must_use]
    pub(crate) fn between(&self, first: &'t str, last: &'t str) -> &'t str {
        let start = crate::reader::span_of(self.text, first).start;
        let end = crate::reader::span_of(self.text, last).end;
        self.text.get(start..end).unwrap_or(first)
    }

    /// Adds a fact whose words are `quote`, a part of the text.
    pub(crate) fn add(&mut self, what: What, quote: &'t str) {
        let span = crate::reader::span_of(self.text, quote);
        self.add_at(what, span.start, quote);
    }

    /// Adds a limit, where there is a value.
    pub(crate) fn limit(&mut self, limit: Limit, value: Option<i64>, quote: &'t str) {
        if let Some(value) = value {
            self.add(What::Limit { limit, value }, quote);
        }
    }

    /// Adds a fact whose words begin at this byte of the text.
    pub(crate) fn add_at(&mut self, what: What, offset: usize, quote: &str) {
        self.settings.push(Setting {
            product: self.product,
            service: self.service.clone(),
            object: self.object.clone(),
            what,
            quote: quote.to_owned(),
            line: self.ends.partition_point(|it| *it < offset) as u64 + 1,
            offset: offset as u64,
        });
    }
}
