//! What was asked for, with every word already turned into what it means.
//!
//! A value of these types is valid: names resolve, limits are positive, paths are in normal form.
//! The proxy takes one [`Config`] as a whole and serves a whole request by it.

use crate::matching::{Condition, HostMatch, PathMatch, Rewrite};
use crate::path::PathRules;
use crate::routes::Routes;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Config {
    /// Cores that serve requests; `None` is one for each core of the machine.
    pub workers: Option<usize>,
    pub listen: Listen,
    /// Where `/livez`, `/readyz` and `/metrics` are served; `None` is nowhere.
    pub status: Option<SocketAddr>,
    /// That is the console too: what is for operators is there as well.
    pub console: bool,
    pub data: Data,
    pub log: Log,
    pub limits: Limits,
    pub shutdown: Shutdown,
    pub child: Child,
    pub answers: Answers,
    pub dns: Dns,
    pub upstreams: Vec<Arc<Upstream>>,
    pub routes: Routes,
}

#[derive(Clone, Debug)]
pub struct Listen {
    pub http: Vec<SocketAddr>,
    /// No `[listen]` was written: 8080 is a wish, and the next free port will do on a terminal.
    pub assumed: bool,
    pub https: Option<Https>,
    /// Peers whose `Forwarded` and `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections from those begin with the PROXY protocol.
    pub proxy_protocol: bool,
    /// HTTP/2 is spoken with callers that ask for it.
    pub http2: bool,
    /// HTTP/3 is spoken at the address of `https`. Never without it.
    pub http3: bool,
    /// `listen.timeout.head`: from the first byte of a request head to its last.
    pub head: Duration,
    /// `listen.timeout.idle`: how long a client's connection may wait for its next request.
    pub idle: Duration,
    /// `listen.timeout.body`: the longest gap between two bytes of a request body, and of a client
    /// that does not take its answer.
    pub body: Duration,
}

/// A TLS listener. The files are read when the listener starts, not when the file is parsed.
#[derive(Clone, Debug)]
pub struct Https {
    pub addr: SocketAddr,
    /// At least one; the first is for callers that ask for no name that another one has.
    pub certificates: Vec<CertificateFiles>,
    pub client_ca: Option<ClientCa>,
    pub min_version: TlsVersion,
    /// Best first. Empty: all that are safe, and the caller's order.
    pub ciphers: Vec<Cipher>,
    /// Callers may resume their sessions.
    pub tickets: bool,
}

#[derive(Clone, Debug)]
pub struct CertificateFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// An OCSP answer to staple.
    pub ocsp: Option<PathBuf>,
}

/// Who may issue the certificates of callers.
#[derive(Clone, Debug)]
pub struct ClientCa {
    pub file: PathBuf,
    /// Callers without one are let in too.
    pub optional: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V13,
}

/// A cipher suite by its name in the register of IANA; those of TLS 1.3 lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Cipher {
    /// Of TLS 1.3.
    #[serde(rename = "TLS_AES_256_GCM_SHA384")]
    Aes256,
    /// Of TLS 1.3.
    #[serde(rename = "TLS_AES_128_GCM_SHA256")]
    Aes128,
    /// Of TLS 1.3.
    #[serde(rename = "TLS_CHACHA20_POLY1305_SHA256")]
    ChaCha20,
    /// Of TLS 1.2, for a key of elliptic curves.
    #[serde(rename = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")]
    EcdsaAes256,
    /// Of TLS 1.2, for a key of elliptic curves.
    #[serde(rename = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")]
    EcdsaAes128,
    /// Of TLS 1.2, for a key of elliptic curves.
    #[serde(rename = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256")]
    EcdsaChaCha20,
    /// Of TLS 1.2, for a key of RSA.
    #[serde(rename = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")]
    RsaAes256,
    /// Of TLS 1.2, for a key of RSA.
    #[serde(rename = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")]
    RsaAes128,
    /// Of TLS 1.2, for a key of RSA.
    #[serde(rename = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256")]
    RsaChaCha20,
}

impl Cipher {
    /// Its number in the register of IANA.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Cipher::Aes128 => 0x1301,
            Cipher::Aes256 => 0x1302,
            Cipher::ChaCha20 => 0x1303,
            Cipher::EcdsaAes128 => 0xc02b,
            Cipher::EcdsaAes256 => 0xc02c,
            Cipher::RsaAes128 => 0xc02f,
            Cipher::RsaAes256 => 0xc030,
            Cipher::RsaChaCha20 => 0xcca8,
            Cipher::EcdsaChaCha20 => 0xcca9,
        }
    }
}

/// The folder of one running gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    pub dir: PathBuf,
    /// Nobody wrote `data.dir`: the gateway can do without where it cannot be made.
    pub assumed: bool,
}

#[derive(Clone, Debug)]
pub struct Log {
    pub access: AccessLog,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    Stdout,
    File(PathBuf),
}

/// How much, how many and how fast. Each is named `limits.<field>` where it fires.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections of clients at a time, over all cores, but for those of HTTP/3; `None` is what the
    /// file descriptors of the process are enough for.
    pub connections: Option<usize>,
    /// The same from one address, or from one /64 of IPv6; `None` is no limit.
    pub connections_per_address: Option<usize>,
    /// Bytes a second that a client must send of a body, or take of an answer that waits for it.
    pub client_rate: usize,
    /// How much of the memory that its control group allows the process may use before it takes no
    /// new requests, in percent; 100 is all.
    pub memory: usize,
    pub request_head: usize,
    pub request_fields: usize,
    pub uri: usize,
    pub response_head: usize,
    pub response_fields: usize,
    pub interim_responses: usize,
    pub http2: Http2Limits,
    pub http3: Http3Limits,
}

/// Named `limits.http2.<field>` where they fire.
#[derive(Clone, Debug)]
pub struct Http2Limits {
    /// Requests at a time on one connection.
    pub streams: usize,
    /// Requests taken back within ten seconds.
    pub resets: usize,
    /// Frames that carry nothing for a request and that nothing calls for, within ten seconds.
    pub controls: usize,
}

/// Named `limits.http3.<field>` where they fire.
#[derive(Clone, Debug)]
pub struct Http3Limits {
    /// Connections at a time, over all cores.
    pub connections: usize,
    /// Requests at a time on one connection.
    pub streams: usize,
    /// Requests taken back on one connection within ten seconds.
    pub resets: usize,
    /// Frames that carry nothing for a request, on one connection within ten seconds.
    pub controls: usize,
}

#[derive(Clone, Debug)]
pub struct Shutdown {
    /// How long the listeners still accept after SIGTERM.
    pub grace: Duration,
    /// How long idle client connections stay open while stopping.
    pub idle: Duration,
    /// When what is still in flight is cut.
    pub deadline: Duration,
}

/// The app that is started with the gateway, where it is given a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The file says something of it.
    pub written: bool,
    pub restart: Restart,
    /// `child.start_timeout`: how long it is waited for until it listens.
    pub start_timeout: Duration,
    /// `child.stop_timeout`: how long it may take to end.
    pub stop_timeout: Duration,
    pub backoff: Backoff,
    /// `child.evidence_wait`: how long an answer may wait for its words.
    pub evidence_wait: Duration,
    /// `child.output`: bytes of its output that are kept.
    pub output: usize,
}

/// When an app that ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// However it ended.
    #[default]
    Always,
    /// After a signal, or an exit code other than 0.
    OnFailure,
    /// The gateway ends with it.
    Never,
}

/// Named `child.backoff.<field>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
    /// After it ran for so long the next pause is the first again.
    pub reset_after: Duration,
}

#[derive(Clone, Debug)]
pub struct Answers {
    /// Our name in `Proxy-Status` and `Via`.
    pub name: Arc<str>,
    /// Peers that are told evidence and fixes.
    pub trusted: Vec<IpNet>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Empty: those of the system.
    pub servers: Vec<SocketAddr>,
    /// `dns.timeout`: how long one name may take, over all servers and tries.
    pub timeout: Duration,
    /// `dns.keep_for`: how long beyond its time the last answer serves while there is no new one.
    pub keep_for: Duration,
}

#[derive(Clone, Debug)]
pub struct Upstream {
    pub name: Arc<str>,
    pub targets: Vec<Arc<Target>>,
    pub balance: Balance,
    /// A cookie of ours keeps a caller with one target.
    pub sticky: bool,
    /// Targets are asked whether they are well.
    pub health: Option<Health>,
    pub eject: Eject,
    /// How long a target that comes back takes to get its whole part of the requests; zero is at once.
    pub slow_start: Duration,
    pub concurrency: Concurrency,
    pub queue: Queue,
    pub timeout: UpstreamTimeouts,
    pub pool: Pool,
    pub tls: UpstreamTls,
    /// Each connection begins with the PROXY protocol, and serves one request.
    pub proxy_protocol: bool,
    pub host: HostSent,
}

/// One place to send requests to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As written, such as `http://127.0.0.1:8000`.
    pub name: Arc<str>,
    pub place: Place,
    pub tls: bool,
    pub protocol: Protocol,
    /// What `Host` says when `host = "target"`: `app.internal:8000`; `localhost` for Unix sockets.
    pub authority: Arc<str>,
    /// A path that is put before the path of each request, without a slash at its end; mostly empty.
    pub base_path: Arc<str>,
    /// Its part of the requests beside those of the others, at least 1.
    pub weight: u32,
}

/// How a target is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// One after the other, by weight.
    RoundRobin,
    /// Of two that are drawn, the one with fewer requests in hand.
    LeastPending,
    /// Of two that are drawn, the one that would answer sooner, by its latency and what it has in hand.
    PeakEwma,
    /// The same one for the same key, as long as it has room.
    Hash(Sticky),
    Random,
}

/// How a target is asked whether it is well. Named `health.<field>` where they fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub by: HealthBy,
    /// From the end of one question to the next, more or less a tenth.
    pub interval: Duration,
    pub timeout: Duration,
    /// Bad answers in a row after which it is taken for ill.
    pub unhealthy_after: u32,
    /// Good answers in a row after which it is taken for well.
    pub healthy_after: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthBy {
    /// `GET` of a path.
    Http {
        path: Arc<str>,
        /// What `Host` says; where absent that of requests, if it is one name, else that of the target.
        host: Option<Arc<str>>,
        /// The status codes that are good, first and last.
        status: (u16, u16),
    },
    /// A connection that opens, with TLS where the target has it.
    Tcp,
    /// `grpc.health.v1.Health/Check` of this service; the empty one is the whole server.
    Grpc { service: Arc<str> },
}

/// When a target is taken out for a while because of how it answers requests. Named `eject.<field>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eject {
    /// Failures in a row; 0 is never for that.
    pub after: u32,
    /// Failures among the last requests, in percent; 0 is never for that.
    pub errors: u32,
    /// How many times slower than the others; 0 is never for that.
    pub slower: u32,
    /// How long the first time; each time in a row twice as long.
    pub first: Duration,
    pub longest: Duration,
    /// The most of an upstream's targets that are out at a time, in percent. One is never.
    pub share: u32,
}

/// How many requests a target has in hand at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// The limit is learned from how latency follows the number of requests.
    pub adaptive: bool,
    /// `concurrency.requests`: the most, whatever was learned.
    pub requests: Option<usize>,
}

/// Where requests wait for a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// `queue.requests`: how many wait at a time for one upstream, over all cores.
    pub requests: usize,
    /// `queue.full`: how long while all targets have as many requests in hand as they can.
    pub full: Duration,
    /// `queue.gone`: how long while no target can be reached.
    pub gone: Duration,
}

/// Which HTTP version is spoken to a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Http1,
    /// By ALPN under TLS, else with prior knowledge (RFC 9113 3.3).
    Http2,
    /// What the target chooses by ALPN; only under TLS.
    Auto,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Inet(SocketAddr),
    Name {
        host: Arc<str>,
        port: u16,
    },
    /// The servers that the SRV records of this name list (RFC 2782), such as
    /// `_http._tcp.app.internal`.
    Service(Arc<str>),
    Unix(Arc<str>),
}

/// Named `timeout.<field>` where they fire.
#[derive(Clone, Debug)]
pub struct UpstreamTimeouts {
    pub connect: Duration,
    pub tls: Duration,
    pub send: Duration,
    pub first_byte: Duration,
    /// The longest gap between two bytes of a body.
    pub idle: Duration,
    /// The longest time without a byte where another protocol than HTTP is spoken, or gRPC.
    pub tunnel: Duration,
}

#[derive(Clone, Debug)]
pub struct Pool {
    /// `pool.idle`: idle connections per target, over all cores.
    pub idle: usize,
    /// `pool.connections`: connections per target, over all cores; `None` is no limit.
    pub connections: Option<usize>,
    /// `pool.streams`: requests on one HTTP/2 connection at a time.
    pub streams: usize,
    /// `pool.idle_for`: how long a connection may be idle and still be used; `None` is learned.
    pub idle_for: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct UpstreamTls {
    pub verify: bool,
    /// A file of certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// The name to ask for and to verify; the target's own where absent.
    pub server_name: Option<Arc<str>>,
    /// Our certificate and key, where the target asks for one.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Which `Host` an upstream sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostSent {
    /// `keep`, but `target` for an https URL with a public name.
    Auto,
    Keep,
    Target,
    Name(Arc<str>),
}

/// One route: which requests it takes and what is done with them.
#[derive(Clone, Debug)]
pub struct Route {
    pub name: Arc<str>,
    /// Position in [`Routes::all`]; stands for the route in metrics.
    pub index: usize,
    /// `None` is any host.
    pub host: Option<HostMatch>,
    pub path: PathMatch,
    /// Empty: every method.
    pub methods: Vec<Arc<str>>,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// `%2F`, `%5C`, `%00` and backslashes are passed on instead of refused.
    pub raw_path: bool,
    pub merge_slashes: bool,
    /// Callers without TLS are sent to the same URL with it.
    pub https_only: bool,
    pub action: Action,
}

impl Route {
    /// How it reads paths.
    #[must_use]
    pub fn rules(&self) -> PathRules {
        PathRules { merge_slashes: self.merge_slashes, raw: self.raw_path }
    }

    #[must_use]
    pub fn takes_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|it| **it == *method)
    }
}

#[derive(Clone, Debug)]
pub enum Action {
    Forward(Arc<Forward>),
    Redirect {
        status: u16,
        /// A path (query kept) or an absolute URL.
        to: Arc<str>,
    },
    Answer {
        status: u16,
        content_type: Arc<str>,
        body: Arc<str>,
    },
}

#[derive(Clone, Debug)]
pub struct Forward {
    /// Mostly one; requests are divided by weight.
    pub shares: Vec<Share>,
    /// What keeps a caller with one of them.
    pub sticky: Option<Sticky>,
    /// Taken off the front of the path, at least `/` stays; mostly empty.
    pub strip_prefix: Arc<str>,
    /// What the path becomes instead.
    pub rewrite: Option<Rewrite>,
    /// The route's `host`, where it differs from the upstream's.
    pub host: Option<HostSent>,
    /// gRPC-Web calls are translated to gRPC.
    pub grpc_web: bool,
    /// `timeout.total`: until the head of the answer, over all attempts.
    pub total: Duration,
    pub retry: Retry,
    /// Answers are kept for when the upstream fails.
    pub stale: Option<Stale>,
    /// What takes long is answered with 202, and fetched later.
    pub later: Option<Later>,
}

/// Which answers are kept for when the upstream fails. Named `stale.<field>`, and `keep` `stale.for`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// How long after it came an answer may be given again.
    pub keep: Duration,
    /// Bytes for all answers of the route, over all cores.
    pub size: usize,
    /// Bytes of the longest body that is kept.
    pub answer: usize,
}

/// How answers are kept for callers that fetch them later. Named `later.<field>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// How long a caller waits until it is told so.
    pub after: Duration,
    /// How long the work may take in all.
    pub total: Duration,
    /// How long the answer is kept.
    pub keep: Duration,
    /// How many requests of the route at a time.
    pub requests: usize,
    /// The longest answer that is kept.
    pub answer: usize,
}

/// How a request is tried again. Named `retry.<field>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// All tries, the first one included.
    pub attempts: u32,
    /// Tries after the first, in percent of the requests of the upstream.
    pub budget: u32,
    /// The most of a request's body that is kept to be sent again.
    pub body: usize,
    /// The longest answer that is held back until it is whole.
    pub answer: usize,
}

impl Forward {
    /// The path that is sent on, for one that the route takes.
    #[must_use]
    pub fn path<'p>(&self, route: &Route, path: &'p str) -> Cow<'p, str> {
        if let Some(rewrite) = &self.rewrite {
            return Cow::Owned(rewrite.apply(&route.path, path));
        }
        match path.strip_prefix(&*self.strip_prefix) {
            Some(rest) if rest.starts_with('/') => Cow::Borrowed(rest),
            Some(rest) => Cow::Owned(format!("/{rest}")),
            None => Cow::Borrowed(path),
        }
    }

    /// The share that a point falls into; equal points fall into the same one.
    #[must_use]
    pub fn share_at(&self, point: u64) -> usize {
        let all: u64 = self.shares.iter().map(|it| u64::from(it.weight)).sum();
        let mut left = point % all.max(1);
        for (index, share) in self.shares.iter().enumerate() {
            match left.checked_sub(u64::from(share.weight)) {
                Some(rest) => left = rest,
                None => return index,
            }
        }
        0
    }
}

/// A part of a route's requests.
#[derive(Clone, Debug)]
pub struct Share {
    pub upstream: Arc<Upstream>,
    /// Its part of the sum of all weights; 0 takes only those that stick to it.
    pub weight: u32,
}

/// What keeps a caller with one share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// A cookie that we set, which names the upstream.
    OwnCookie,
    /// A cookie of the app; callers without it are divided anew each time.
    Cookie(Arc<str>),
    /// A header, in lower case.
    Header(Arc<str>),
    /// The caller's address.
    Address,
}
