//! The file as a person types it. The sentences on the fields are the descriptions in the schema.
//!
//! Every setting here ends in `typed`; `resolve` takes each struct apart field by field, so that one
//! without effect does not compile without a warning.

use crate::leaf::{
    AccessLogTo, ContentType, Destination, DnsServer, FilePath, FolderPath, HostMatched,
    HostToSend, ListenAt, Method, Network, PathPattern, Pause, Percent, Positive, Prefix,
    RedirectTo, RequestPath, RewriteTo, ServerName, Size, Sought, StatusAt, StatusRange, StickyBy,
    TargetUrl, Token, TrustedPeer, Word,
};
use crate::typed::{Cipher, Restart, TlsVersion};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The settings of Goodgate. Durations are a number and `ms`, `s`, `m`, `h` or `d`; sizes a number
/// and `B`, `kB`, `KiB`, `MB`, `MiB`, `GB` or `GiB`. `${NAME}` inside a string is read from the
/// environment, `$${` is a literal `${`. Relative paths count from the folder of the file.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct File {
    /// Cores that serve requests. Default: one for each core of the machine.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) workers: Option<usize>,
    /// Where clients connect.
    pub(crate) listen: Listen,
    /// The console. In this version it serves `/livez`, `/readyz`, `/metrics` and `/api/v1/upstreams`.
    pub(crate) console: Console,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub(crate) status: Status,
    /// Where a running gateway keeps what belongs to it alone.
    pub(crate) data: Data,
    /// What is logged.
    pub(crate) log: Log,
    /// How many clients there may be, how slow they may be, and how large requests and answers.
    pub(crate) limits: Limits,
    /// How the gateway stops.
    pub(crate) shutdown: Shutdown,
    /// The app that `goodgate run -- COMMAND` starts. Without a command it has no effect.
    pub(crate) child: Child,
    /// What answers say that the gateway makes itself.
    pub(crate) answers: Answers,
    /// How the names of targets are resolved.
    pub(crate) dns: Dns,
    /// The upstreams by name: groups of targets that serve the same.
    pub(crate) upstream: BTreeMap<String, Upstream>,
    /// The routes by name: which requests are taken and what is done with them. Their order does not
    /// matter: the most specific one that matches is taken.
    pub(crate) route: BTreeMap<String, Route>,
}

/// One or several of the same.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum OneOrMany<T> {
    /// First: serde would read a list as the fields of a table too.
    Many(Vec<T>),
    One(T),
}

impl<T> OneOrMany<T> {
    pub(crate) fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(it) => vec![it],
            Self::Many(all) => all,
        }
    }
}

/// Where clients connect.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listen {
    /// Addresses for HTTP, one or a list; `":8080"` is port 8080 of all IPv4 addresses. Default:
    /// `127.0.0.1:8080` where `https` is not set either.
    pub(crate) http: Option<OneOrMany<Word<ListenAt>>>,
    /// An address for HTTPS with its certificate. Default: none.
    pub(crate) https: Option<Https>,
    /// Networks or addresses of proxies before us, whose `Forwarded` and `X-Forwarded-*` are
    /// believed. Default: none.
    pub(crate) trusted_proxies: Vec<Word<Network>>,
    /// Connections from `trusted_proxies` begin with the PROXY protocol, version 1 or 2, and are
    /// then those of the caller whom it names.
    pub(crate) proxy_protocol: bool,
    /// Send callers that come without TLS to the same URL with `https`. Routes may say otherwise.
    pub(crate) https_only: bool,
    /// Speak HTTP/2 with callers that ask for it: by ALPN under TLS, else by its preface.
    pub(crate) http2: bool,
    /// Speak HTTP/3 too, over UDP at the address and port of `https`, and say so in every answer
    /// there.
    pub(crate) http3: bool,
    /// How long clients may take.
    pub(crate) timeout: ListenTimeout,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: None,
            https: None,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            https_only: false,
            http2: true,
            http3: false,
            timeout: ListenTimeout::default(),
        }
    }
}

/// An address for HTTPS with its certificates: `cert` and `key`, or `certs` for several names.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Https {
    /// The address, such as `0.0.0.0:8443`.
    pub(crate) addr: Word<ListenAt>,
    /// A PEM file with the certificate, followed by those that lead to its root.
    #[serde(default)]
    pub(crate) cert: Option<Word<FilePath>>,
    /// A PEM file with the private key.
    #[serde(default)]
    pub(crate) key: Option<Word<FilePath>>,
    /// A DER file with an OCSP answer for the certificate, which is stapled to it.
    #[serde(default)]
    pub(crate) ocsp: Option<Word<FilePath>>,
    /// Several certificates. Callers get the one for the name that they ask for, those that ask for
    /// none or an unknown one the first.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(crate) certs: Option<Vec<CertificateTable>>,
    /// A PEM file of authorities whose certificates callers must present. Default: none is asked for.
    #[serde(default)]
    pub(crate) client_ca: Option<Word<FilePath>>,
    /// Whether callers without a certificate are let in too; one that does not pass never is.
    #[serde(default)]
    pub(crate) client_optional: bool,
    /// The lowest version that is spoken.
    #[serde(default)]
    pub(crate) min_version: TlsVersion,
    /// The cipher suites, best first. Default: all that are safe, in the order of the caller.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(crate) ciphers: Option<Vec<Cipher>>,
    /// Whether callers get tickets, with which they resume a session without another full handshake.
    #[serde(default = "yes")]
    pub(crate) tickets: bool,
}

/// One certificate of several.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateTable {
    /// A PEM file with the certificate, followed by those that lead to its root.
    pub(crate) cert: Word<FilePath>,
    /// A PEM file with the private key.
    pub(crate) key: Word<FilePath>,
    /// A DER file with an OCSP answer for the certificate, which is stapled to it.
    #[serde(default)]
    pub(crate) ocsp: Option<Word<FilePath>>,
}

/// How long clients may take.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListenTimeout {
    /// From the first byte of a request's head to its last.
    pub(crate) head: Word<Positive>,
    /// How long a connection may wait for its next request.
    pub(crate) idle: Word<Positive>,
    /// The longest gap between two bytes of a request's body, and of a client that does not take
    /// its answer.
    pub(crate) body: Word<Positive>,
}

impl Default for ListenTimeout {
    fn default() -> Self {
        let [head, idle, body] = ["10s", "75s", "60s"].map(Word::default_of);
        Self { head, idle, body }
    }
}

/// The console. In this version it serves `/livez`, `/readyz` and `/metrics`, and to callers from this host
/// `/api/v1/upstreams`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Console {
    /// The address, or `off`.
    pub(crate) listen: Word<StatusAt>,
}

impl Default for Console {
    fn default() -> Self {
        Self { listen: Word::default_of("127.0.0.1:9901") }
    }
}

/// Where `/livez`, `/readyz` and `/metrics` are served.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Status {
    /// The address, or `off`. Default: that of the console. At another one nothing else is served.
    pub(crate) listen: Option<Word<StatusAt>>,
}

/// Where a running gateway keeps what belongs to it alone.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Data {
    /// A folder for one running gateway: its lock, and the socket `control.sock` by which
    /// `goodgate reload`, `status`, `drain` and `stop` speak with it. It is made where it is not
    /// there. A change needs a restart.
    pub(crate) dir: Word<FolderPath>,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: Word::default_of("goodgate-data") }
    }
}

/// What is logged.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// Where the line about each request goes: `stdout`, `off`, or a file.
    pub(crate) access: Word<AccessLogTo>,
}

impl Default for Log {
    fn default() -> Self {
        Self { access: Word::default_of("stdout") }
    }
}

/// How many clients there may be, how slow they may be, and how large requests and answers. What is
/// beyond is refused.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Connections of clients at a time; those of HTTP/3 have a limit of their own. One beyond is
    /// answered with 503 where HTTP is spoken without TLS, and closed. Default: what the file
    /// descriptors of the process are enough for, two for each, but at most 200,000.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) connections: Option<usize>,
    /// The same from one address, or from one /64 network of IPv6, answered with 429; none of
    /// `trusted_proxies` is counted. Default: no limit.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) connections_per_address: Option<usize>,
    /// Bytes a second that a client must send of a request's body, or take of an answer that waits
    /// for it. Only time in which the gateway waits for the client counts, and it is measured over
    /// each `listen.timeout.body` of that.
    pub(crate) client_rate: Word<Size>,
    /// How much of the memory that its control group (container, systemd unit) allows the process may
    /// use, in percent. Above it new requests are answered with 503; 100 never does. Where no group
    /// sets a limit, nothing is watched.
    #[schemars(range(min = 10, max = 100))]
    pub(crate) memory: usize,
    /// The head of a request: request line and fields.
    pub(crate) request_head: Word<Size>,
    /// The number of fields of a request.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) request_fields: usize,
    /// The path and query of a request.
    pub(crate) uri: Word<Size>,
    /// The head of an upstream's answer: status line and fields.
    pub(crate) response_head: Word<Size>,
    /// The number of fields of an upstream's answer.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) response_fields: usize,
    /// How many interim answers (1xx) an upstream may send before the final one.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) interim_responses: usize,
    /// What a client may do on one connection of HTTP/2; `controls` holds for targets too.
    pub(crate) http2: Http2Limits,
    /// What clients of HTTP/3 may do.
    pub(crate) http3: Http3Limits,
}

/// What a client may do on one connection of HTTP/2; `controls` holds for targets too.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http2Limits {
    /// Requests at a time.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) streams: usize,
    /// Requests that it may take back within ten seconds.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) resets: usize,
    /// Frames that carry nothing for a request (PING, SETTINGS and such) within ten seconds, beside
    /// those that what it gets calls for, as each piece of an answer does for a PING.
    #[schemars(range(min = 10, max = 1_000_000))]
    pub(crate) controls: usize,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self { streams: 100, resets: 400, controls: 1_000 }
    }
}

/// What clients of HTTP/3 may do.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http3Limits {
    /// Connections at a time, of all clients; they need no file descriptors, which limit others. What
    /// a client can make the gateway hold for each is 1.5 MiB, and more for the first 256: 0.125 MiB
    /// for each of its streams and 5 MiB.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) connections: usize,
    /// Requests at a time on one connection.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) streams: usize,
    /// Requests that one connection may take back within ten seconds.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) resets: usize,
    /// Frames that carry nothing for a request, on one connection within ten seconds.
    #[schemars(range(min = 10, max = 1_000_000))]
    pub(crate) controls: usize,
}

impl Default for Http3Limits {
    fn default() -> Self {
        Self { connections: 10_000, streams: 100, resets: 400, controls: 1_000 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: None,
            connections_per_address: None,
            client_rate: Word::default_of("240 B"),
            memory: 95,
            request_head: Word::default_of("32 KiB"),
            request_fields: 100,
            uri: Word::default_of("8 KiB"),
            response_head: Word::default_of("64 KiB"),
            response_fields: 200,
            interim_responses: 20,
            http2: Http2Limits::default(),
            http3: Http3Limits::default(),
        }
    }
}

/// How the gateway stops.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Shutdown {
    /// How long connections are still accepted after SIGTERM.
    pub(crate) grace: Word<Pause>,
    /// How long idle connections of clients stay open while stopping.
    pub(crate) idle: Word<Pause>,
    /// When what is still in flight is cut.
    pub(crate) deadline: Word<Pause>,
}

impl Default for Shutdown {
    fn default() -> Self {
        let [grace, idle, deadline] = ["3s", "5s", "30s"].map(Word::default_of);
        Self { grace, idle, deadline }
    }
}

/// The app that `goodgate run -- COMMAND` starts. Without a command it has no effect.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Child {
    /// What follows when it ends: it is started again always, or only where it failed (a signal, or
    /// an exit code other than 0). Where it is not, the gateway ends too.
    pub(crate) restart: Restart,
    /// How long it is waited for until it listens. After that requests are taken all the same.
    pub(crate) start_timeout: Word<Positive>,
    /// How long it may take to end after SIGTERM, which it gets once every client has its answer.
    /// Then it is killed.
    pub(crate) stop_timeout: Word<Pause>,
    /// The pauses before it is started again.
    pub(crate) backoff: Backoff,
    /// How long the answer to a request that failed at it may wait for what it says about that.
    pub(crate) evidence_wait: Word<Pause>,
    /// How much of its output is kept as evidence.
    pub(crate) output: Word<Size>,
}

impl Default for Child {
    fn default() -> Self {
        Self {
            restart: Restart::default(),
            start_timeout: Word::default_of("30s"),
            stop_timeout: Word::default_of("10s"),
            backoff: Backoff::default(),
            evidence_wait: Word::default_of("150ms"),
            output: Word::default_of("256 KiB"),
        }
    }
}

/// The pauses before an app is started again: each is twice as long as the one before, and up to a
/// fifth shorter by chance.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Backoff {
    /// The first pause.
    pub(crate) first: Word<Positive>,
    /// The longest pause.
    pub(crate) longest: Word<Positive>,
    /// After it ran for so long the next pause is the first again.
    pub(crate) reset_after: Word<Positive>,
}

impl Default for Backoff {
    fn default() -> Self {
        let [first, longest, reset_after] = ["200ms", "30s", "60s"].map(Word::default_of);
        Self { first, longest, reset_after }
    }
}

/// What answers say that the gateway makes itself.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Answers {
    /// Our name in `Proxy-Status` and `Via`.
    pub(crate) name: Word<Token>,
    /// Networks or addresses of clients that are told evidence and fixes. Default: none but those
    /// on this host.
    pub(crate) trusted: Vec<Word<TrustedPeer>>,
}

impl Default for Answers {
    fn default() -> Self {
        Self { name: Word::default_of("goodgate"), trusted: Vec::new() }
    }
}

/// How the names of targets are resolved.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Dns {
    /// Addresses of DNS servers, on port 53 where no other is written. Default: those of the system.
    pub(crate) servers: Vec<Word<DnsServer>>,
    /// How long one name may take, over all servers and tries.
    pub(crate) timeout: Word<Positive>,
    /// How long the last addresses of a name are used beyond their time while no server answers. `0s`
    /// is not at all. An answer that the name does not exist is believed after half a minute of it.
    pub(crate) keep_for: Word<Pause>,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Word::default_of("2s"),
            keep_for: Word::default_of("5m"),
        }
    }
}

/// A group of targets that serve the same.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// Where requests go: `http://host:port`, `https://host`, `h2c://host:port` (HTTP/2 without TLS),
    /// `unix:/run/app.sock`, or `http+srv://_http._tcp.app.internal`, whose servers and ports stand in
    /// the SRV records of that name (also `https+srv://` and `h2c+srv://`). A path in a URL is put before the path of each request.
    pub(crate) targets: Vec<Target>,
    /// Which HTTP version is spoken to targets. Default: `http1`, but HTTP/2 to `h2c://` targets.
    #[serde(default)]
    pub(crate) protocol: Option<Protocol>,
    /// How a target is chosen.
    #[serde(default)]
    pub(crate) balance: Balance,
    /// What `balance = "hash"` goes by: `address`, `cookie:NAME` or `header:NAME`. Default: `address`.
    #[serde(default)]
    pub(crate) hash: Option<Word<StickyBy>>,
    /// What keeps a caller with one target: until that is out or full. One that is drained keeps its
    /// callers until it goes.
    #[serde(default)]
    pub(crate) sticky: Option<StickyTarget>,
    /// Ask targets whether they are well, and send nothing to those that are not. Default: not.
    #[serde(default)]
    pub(crate) health: Option<Health>,
    /// When a target is taken out for a while because of how it answers requests. Never are all taken
    /// out.
    #[serde(default)]
    pub(crate) eject: Eject,
    /// How long a target that comes back takes to get its whole part of the requests; `0s` is at once.
    #[serde(default = "slow_start")]
    pub(crate) slow_start: Word<Pause>,
    /// How many requests a target has in hand at a time.
    #[serde(default)]
    pub(crate) concurrency: Concurrency,
    /// Where requests wait while no target can take them.
    #[serde(default)]
    pub(crate) queue: Queue,
    /// How long the steps of an attempt may take.
    #[serde(default)]
    pub(crate) timeout: UpstreamTimeout,
    /// Connections that are kept for later requests.
    #[serde(default)]
    pub(crate) pool: Pool,
    /// How `https` targets are verified.
    #[serde(default)]
    pub(crate) tls: Tls,
    /// Tell targets who calls, by the PROXY protocol version 2 before each connection's first byte.
    /// Such a connection serves one request.
    #[serde(default)]
    pub(crate) proxy_protocol: bool,
    /// The `Host` that targets see: `keep` is that of the request, `target` that of the URL, or a
    /// name. Default: `keep`, but `target` for an `https` URL with a public name.
    #[serde(default)]
    pub(crate) host: Option<Word<HostToSend>>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            protocol: None,
            balance: Balance::default(),
            hash: None,
            sticky: None,
            health: None,
            eject: Eject::default(),
            slow_start: slow_start(),
            concurrency: Concurrency::default(),
            queue: Queue::default(),
            timeout: UpstreamTimeout::default(),
            pool: Pool::default(),
            tls: Tls::default(),
            proxy_protocol: false,
            host: None,
        }
    }
}

/// One place to send requests to.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Target {
    Url(Word<TargetUrl>),
    Table(TargetTable),
}

/// One place to send requests to, as a table.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetTable {
    /// The URL of the target.
    pub(crate) url: Word<TargetUrl>,
    /// Its part of the requests beside those of the others.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) weight: u32,
}

/// Which HTTP version is spoken to targets.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: agreed on by ALPN under TLS, else with prior knowledge.
    Http2,
    /// What the target chooses by ALPN under TLS; HTTP/1.1 without TLS.
    Auto,
}

/// How a target is chosen.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Balance {
    /// One after the other, by weight.
    RoundRobin,
    /// Of two that are drawn, the one with fewer requests in hand.
    #[default]
    LeastPending,
    /// Of two that are drawn, the one that would answer sooner, by its latency and what it has in hand.
    PeakEwma,
    /// The same one for the same `hash`, as long as it is there and has no more than a quarter above its
    /// part in hand.
    Hash,
    /// Any, by weight.
    Random,
}

/// What keeps a caller with one target.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StickyTarget {
    /// A cookie that we set.
    Cookie,
}

fn slow_start() -> Word<Pause> {
    Word::default_of("5s")
}

/// How targets are asked whether they are well.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Health {
    /// How they are asked. Default: `http` where there is a `path`, `grpc` where there is a `service`,
    /// else `tcp`.
    pub(crate) by: Option<HealthBy>,
    /// The path that is asked for by `GET`, below that of the target's URL where it has one.
    pub(crate) path: Option<Word<RequestPath>>,
    /// The `Host` that is sent. Default: the upstream's `host` where that is a name, else that of the target.
    pub(crate) host: Option<Word<ServerName>>,
    /// The status codes that are good, such as `"200"` or `"200-299"`.
    pub(crate) status: Word<StatusRange>,
    /// The gRPC service that is asked about. Default: the whole server.
    pub(crate) service: Option<String>,
    /// How long after one question the next is asked, more or less a tenth by chance.
    pub(crate) interval: Word<Positive>,
    /// How long an answer may take.
    pub(crate) timeout: Word<Positive>,
    /// After how many bad answers in a row a target gets no more requests.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) unhealthy_after: u32,
    /// After how many good answers in a row it gets them again.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) healthy_after: u32,
}

impl Default for Health {
    fn default() -> Self {
        let [interval, timeout] = ["5s", "2s"].map(Word::default_of);
        Self {
            by: None,
            path: None,
            host: None,
            status: Word::default_of("200-399"),
            service: None,
            interval,
            timeout,
            unhealthy_after: 3,
            healthy_after: 2,
        }
    }
}

/// How a target is asked whether it is well.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HealthBy {
    /// `GET` of `path`.
    Http,
    /// A connection that opens, with TLS where the target has it.
    Tcp,
    /// `grpc.health.v1.Health/Check` (the gRPC health checking protocol).
    Grpc,
}

/// When a target is taken out for a while because of how it answers requests.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Eject {
    /// After how many failures in a row; 0 is never for that.
    #[schemars(range(max = 1_000))]
    pub(crate) after: u32,
    /// At which share of failures among its requests of the last ten seconds, of which there are ten at
    /// least; `0%` is never for that.
    pub(crate) errors: Word<Percent>,
    /// How many times slower than the others it is by then; 0 is never for that.
    #[schemars(range(max = 1_000))]
    pub(crate) slower: u32,
    /// How long it is out the first time; each time in a row twice as long.
    pub(crate) first: Word<Positive>,
    /// How long it is out at most.
    pub(crate) longest: Word<Positive>,
    /// The most of an upstream's targets that are out at a time. One is always left.
    pub(crate) share: Word<Percent>,
}

impl Default for Eject {
    fn default() -> Self {
        let [first, longest] = ["1s", "60s"].map(Word::default_of);
        let [errors, share] = ["50%", "67%"].map(Word::default_of);
        Self { after: 3, errors, slower: 5, first, longest, share }
    }
}

/// How many requests a target has in hand at a time.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Concurrency {
    /// Learn from latency how many requests a target works on at a time, and hold back what would only
    /// wait there.
    pub(crate) adaptive: bool,
    /// The most, whatever was learned. Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) requests: Option<usize>,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { adaptive: true, requests: None }
    }
}

/// Where requests wait while no target can take them, counted for each upstream over all cores.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Queue {
    /// How many wait at a time; 0 is none.
    #[schemars(range(max = 100_000))]
    pub(crate) requests: usize,
    /// How long a request waits while all targets have as many in hand as they can work on. Where the
    /// queue does not get empty, much less.
    pub(crate) full: Word<Pause>,
    /// How long a request waits while no target can be reached.
    pub(crate) gone: Word<Pause>,
}

impl Default for Queue {
    fn default() -> Self {
        let [full, gone] = ["1s", "4s"].map(Word::default_of);
        Self { requests: 1_000, full, gone }
    }
}

/// How long the steps of an attempt may take.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UpstreamTimeout {
    /// Until the connection stands.
    pub(crate) connect: Word<Positive>,
    /// Until TLS stands.
    pub(crate) tls: Word<Positive>,
    /// The longest gap while the request is sent.
    pub(crate) send: Word<Positive>,
    /// From the last byte of the request to the first of the answer. A gRPC call that has a deadline
    /// of its own may wait until then.
    pub(crate) first_byte: Word<Positive>,
    /// The longest gap between two bytes of a body.
    pub(crate) idle: Word<Positive>,
    /// The longest time without a byte on a connection that goes on with another protocol, such as
    /// WebSocket, or in the body of a gRPC call.
    pub(crate) tunnel: Word<Positive>,
}

impl Default for UpstreamTimeout {
    fn default() -> Self {
        let [connect, tls, send, first_byte, idle, tunnel] =
            ["2s", "5s", "10s", "60s", "60s", "1h"].map(Word::default_of);
        Self { connect, tls, send, first_byte, idle, tunnel }
    }
}

/// Connections that are kept for later requests, counted for each target over all cores.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Pool {
    /// How many idle connections are kept; 0 keeps none.
    #[schemars(range(max = 100_000))]
    pub(crate) idle: usize,
    /// How many connections there may be, idle or not. Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) connections: Option<usize>,
    /// How many requests one HTTP/2 connection may carry at a time. A target may want fewer; at 80 %
    /// of what holds another connection is opened.
    #[schemars(range(min = 1, max = 1_000))]
    pub(crate) streams: usize,
    /// How long a connection may be idle and still be used. Default: learned from when targets close
    /// theirs.
    pub(crate) idle_for: Option<Word<Positive>>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { idle: 64, connections: None, streams: 100, idle_for: None }
    }
}

/// How `https` targets are verified.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// Whether the certificate of a target must be valid. Without it anyone on the way can read and
    /// change what is sent.
    pub(crate) verify: bool,
    /// A PEM file of certificates to trust. Default: those of the system.
    pub(crate) ca: Option<Word<FilePath>>,
    /// The name to ask for and to verify. Default: the host of the URL.
    pub(crate) server_name: Option<Word<ServerName>>,
    /// A PEM file with our own certificate, for targets that ask for one; together with `key`.
    pub(crate) cert: Option<Word<FilePath>>,
    /// A PEM file with the private key of `cert`.
    pub(crate) key: Option<Word<FilePath>>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { verify: true, ca: None, server_name: None, cert: None, key: None }
    }
}

/// Which requests are taken and what is done with them: exactly one of `to`, `redirect` and `answer`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// Which requests: a path, or a table of host, path and methods.
    #[serde(rename = "match")]
    pub(crate) matching: Match,
    /// Send them to an upstream, to a URL, to a list of URLs, or to several upstreams by weight.
    #[serde(default)]
    pub(crate) to: Option<OneOrMany<Goal>>,
    /// Send the client elsewhere: a path or a URL, or a table of it and the status.
    #[serde(default)]
    pub(crate) redirect: Option<Redirect>,
    /// Answer without an upstream.
    #[serde(default)]
    pub(crate) answer: Option<Answer>,
    /// Taken off the front of the path before it is sent on; at least `/` stays.
    #[serde(default)]
    pub(crate) strip_prefix: Option<Word<Prefix>>,
    /// What the path becomes before it is sent on, such as `/new/{id}`; `/*` at its end is what the
    /// route's own `/*` took.
    #[serde(default)]
    pub(crate) rewrite: Option<Word<RewriteTo>>,
    /// What keeps a caller with one of several upstreams: `cookie` (one that we set), `address`,
    /// `cookie:NAME` or `header:NAME`.
    #[serde(default)]
    pub(crate) sticky: Option<Word<StickyBy>>,
    /// The `Host` that targets see, if not as the upstream says.
    #[serde(default)]
    pub(crate) host: Option<Word<HostToSend>>,
    /// Send callers that come without TLS to the same URL with `https`. Default: as `listen` says.
    #[serde(default)]
    pub(crate) https_only: Option<bool>,
    /// Pass `%2F`, `%5C`, `%00` and backslashes in paths on, instead of refusing them with 400.
    #[serde(default)]
    pub(crate) raw_path: bool,
    /// Read `//` in paths as `/`.
    #[serde(default = "yes")]
    pub(crate) merge_slashes: bool,
    /// Translate gRPC-Web calls, which browsers make, to gRPC. Without it they pass as they are, for
    /// servers that understand them.
    #[serde(default)]
    pub(crate) grpc_web: bool,
    /// How long a request may take.
    #[serde(default)]
    pub(crate) timeout: RouteTimeout,
    /// How a request is tried again.
    #[serde(default)]
    pub(crate) retry: Retry,
    /// Keep answers to GET, and give them again when the upstream fails. Default: not.
    #[serde(default)]
    pub(crate) stale: Option<Stale>,
    /// Answer what takes long with 202 and an address where the answer can be fetched later. Default:
    /// never; `{}` is with what stands here.
    #[serde(default)]
    pub(crate) later: Option<Later>,
}

/// When callers are told to fetch their answer later, and how it is kept for them.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Later {
    /// How long a caller waits until it is told so. One that says `Prefer: respond-async` is told at
    /// once, or after the seconds of its `wait`.
    pub(crate) after: Word<Positive>,
    /// How long the work may take in all, instead of `timeout.total`.
    pub(crate) total: Word<Positive>,
    /// How long the answer is kept; once it was fetched, one minute at most.
    pub(crate) keep: Word<Positive>,
    /// How many requests of the route at a time may be answered so, with those whose answers are kept.
    /// What comes beyond waits as on other routes.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) requests: u32,
    /// The longest answer that is kept.
    pub(crate) answer: Word<Size>,
}

impl Default for Later {
    fn default() -> Self {
        let [after, total, keep] = ["10s", "10m", "10m"].map(Word::default_of);
        Self { after, total, keep, requests: 100, answer: Word::default_of("1 MiB") }
    }
}

fn yes() -> bool {
    true
}

/// Which requests.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Match {
    Path(Word<PathPattern>),
    Table(MatchTable),
}

/// Which requests; all that is written must be so.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MatchTable {
    /// The host, without port; `*.example.com` is every name below example.com. Default: any.
    pub(crate) host: Option<Word<HostMatched>>,
    /// `/x` is exactly that, `/x/*` is `/x` and all below, `{name}` is one segment, and `~` begins a
    /// regular expression for the whole path. Default: `/*`, every path.
    pub(crate) path: Option<Word<PathPattern>>,
    /// The methods. Default: every method.
    #[schemars(length(min = 1))]
    pub(crate) methods: Option<Vec<Word<Method>>>,
    /// Headers that a request must have: a value, `*` for any, or `~` and a regular expression.
    pub(crate) headers: BTreeMap<String, Word<Sought>>,
    /// Parameters that its query must have, in the same words.
    pub(crate) query: BTreeMap<String, Word<Sought>>,
    /// Cookies that it must have, in the same words.
    pub(crate) cookies: BTreeMap<String, Word<Sought>>,
}

/// Where requests are sent.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Goal {
    To(Word<Destination>),
    Share(ShareTable),
}

/// A part of the requests of a route.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShareTable {
    /// The name of the upstream.
    pub(crate) upstream: String,
    /// Its part of the sum of all weights.
    #[serde(default = "one")]
    #[schemars(range(max = 10_000))]
    pub(crate) weight: u32,
}

fn one() -> u32 {
    1
}

/// Where a redirect leads.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Redirect {
    To(Word<RedirectTo>),
    Table(RedirectTable),
}

/// Where a redirect leads, and how.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedirectTable {
    /// A path (the query is kept) or a URL.
    pub(crate) to: Word<RedirectTo>,
    /// 301 and 308 are for good, 302, 303 and 307 for now; 307 and 308 keep the method.
    #[serde(default = "permanently")]
    #[schemars(extend("enum" = [301, 302, 303, 307, 308]))]
    pub(crate) status: u16,
}

pub(crate) fn permanently() -> u16 {
    308
}

/// An answer without an upstream.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Answer {
    /// The status.
    #[schemars(range(min = 200, max = 599))]
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: String,
    /// The media type of the body.
    pub(crate) content_type: Word<ContentType>,
}

impl Default for Answer {
    fn default() -> Self {
        let content_type = Word::default_of("text/plain; charset=utf-8");
        Self { status: 200, body: String::new(), content_type }
    }
}

/// How long a request may take.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RouteTimeout {
    /// Until the head of the answer, over all attempts. A gRPC call has its caller's deadline
    /// (`grpc-timeout`) instead.
    pub(crate) total: Word<Positive>,
}

impl Default for RouteTimeout {
    fn default() -> Self {
        Self { total: Word::default_of("90s") }
    }
}

/// How a request is tried again.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retry {
    /// All tries, the first one included; 1 is no retry.
    #[schemars(range(min = 1, max = 10))]
    pub(crate) attempts: u32,
    /// The most tries after the first, as a share of an upstream's requests; ten a second are always
    /// allowed.
    pub(crate) budget: Word<Percent>,
    /// The most of a request's body that is kept to be sent again. What is longer is tried once.
    pub(crate) body: Word<Size>,
    /// The longest answer that is held back until it is whole, so that one that breaks off can be
    /// asked for again, or explained. Longer ones, and those of no known length, go on as they come.
    pub(crate) answer: Word<Size>,
}

/// Which answers are kept for when the upstream fails. Nothing is answered by them while it does not.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Stale {
    /// How long after it came an answer may be given again. Its own `stale-if-error` may say less.
    #[serde(rename = "for")]
    pub(crate) keep: Word<Positive>,
    /// The memory for all answers of the route, over all cores. Those that were not asked for the
    /// longest go first. At most a quarter of it is for answers that are just being handed on.
    pub(crate) size: Word<Size>,
    /// The longest answer that is kept.
    pub(crate) answer: Word<Size>,
}

impl Default for Stale {
    fn default() -> Self {
        let [size, answer] = ["64 MiB", "1 MiB"].map(Word::default_of);
        Self { keep: Word::default_of("5m"), size, answer }
    }
}

impl Default for Retry {
    fn default() -> Self {
        let [body, answer] = ["64 KiB", "64 KiB"].map(Word::default_of);
        Self { attempts: 3, budget: Word::default_of("20%"), body, answer }
    }
}
