//! Names to addresses, by a resolver of our own: the system's hides the answer code, and the code
//! is the cause.
//!
//! Questions are asked on the background runtime. A core reads the last answer under a short lock
//! and waits only when there is none that still holds.

use config::Dns;
use exchange::{DnsFault, Limit};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use std::collections::HashMap;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

/// Names that are asked for at once; more wait, and their time runs.
const AT_ONCE: usize = 256;

/// An answer is believed for at least this long, whatever its TTL says: a TTL of 0 would make each
/// request a question.
const SHORTEST: Duration = Duration::from_secs(1);

/// The names of one configuration.
pub(crate) struct Names {
    answers: Arc<Mutex<HashMap<Arc<str>, Answer>>>,
    resolver: Arc<Resolver>,
    background: Handle,
    places: Arc<Semaphore>,
    timeout: Duration,
}

#[derive(Clone)]
struct Answer {
    addresses: Arc<[IpAddr]>,
    until: Instant,
}

impl Names {
    pub(crate) fn new(dns: &Dns, background: Handle) -> Names {
        Names {
            answers: Arc::default(),
            resolver: Arc::new(Resolver::new(dns)),
            background,
            places: Arc::new(Semaphore::new(AT_ONCE)),
            timeout: dns.timeout,
        }
    }

    /// The limit as it is told when it fires.
    pub(crate) fn limit(&self) -> Limit {
        Limit { name: "dns.timeout", value: self.timeout.as_micros() as u64 }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The last answer, if it still holds.
    pub(crate) fn known(&self, name: &str) -> Option<Arc<[IpAddr]>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.get(name)?;
        (Instant::now() < answer.until).then(|| answer.addresses.clone())
    }

    /// Asks; the caller limits the time.
    pub(crate) async fn ask(&self, name: Arc<str>) -> Result<Arc<[IpAddr]>, DnsFault> {
        let resolver = self.resolver.clone();
        let (answers, places) = (self.answers.clone(), self.places.clone());
        let timeout = self.timeout;
        let limit = self.limit();
        let (tell, told) = oneshot::channel();
        self.background.spawn(async move {
            let looked_up = async {
                let _place = places.acquire().await;
                look_up(&*resolver.current()?, &name).await
            };
            let answer = match tokio::time::timeout(timeout, looked_up).await {
                Ok(answer) => answer,
                Err(_) => Err(DnsFault::TimedOut(limit)),
            };
            if let Ok(answer) = &answer {
                let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                answers.insert(name, answer.clone());
            }
            // The one who asked may have left; the answer is kept all the same.
            let _ = tell.send(answer.map(|it| it.addresses));
        });
        told.await.unwrap_or(Err(DnsFault::NoServer))
    }
}

/// Where the system says which servers to ask (resolv.conf(5)).
const SYSTEM: &str = "/etc/resolv.conf";

/// How often it is looked whether that has changed.
const LOOK: Duration = Duration::from_secs(1);

/// The resolver, made anew when the system's servers change: a network may come after us.
struct Resolver {
    dns: Dns,
    made: Mutex<Made>,
}

struct Made {
    resolver: Result<Arc<TokioResolver>, DnsFault>,
    from: Option<Version>,
    looked: Instant,
}

/// Tells one content of a file from another.
type Version = (u64, i64, i64, u64);

impl Resolver {
    fn new(dns: &Dns) -> Resolver {
        let from = version();
        let resolver = resolver(dns).map(Arc::new);
        let made = Made { resolver, from, looked: Instant::now() };
        Resolver { dns: dns.clone(), made: Mutex::new(made) }
    }

    /// Looks at a file, which is nothing for a core.
    fn current(&self) -> Result<Arc<TokioResolver>, DnsFault> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if self.dns.servers.is_empty() && LOOK <= made.looked.elapsed() {
            made.looked = Instant::now();
            let from = version();
            if from != made.from {
                made.from = from;
                // Those that were there may still answer.
                if let Ok(resolver) = resolver(&self.dns) {
                    made.resolver = Ok(Arc::new(resolver));
                }
            }
        }
        made.resolver.clone()
    }
}

fn version() -> Option<Version> {
    let file = std::fs::metadata(SYSTEM).ok()?;
    Some((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
}

async fn look_up(resolver: &TokioResolver, name: &str) -> Result<Answer, DnsFault> {
    let found = resolver.lookup_ip(name).await.map_err(|error| fault(&error))?;
    let mut addresses: Vec<IpAddr> = found.iter().collect();
    // IPv4 first: what listens on one family only mostly listens on that one.
    addresses.sort_by_key(IpAddr::is_ipv6);
    if addresses.is_empty() {
        return Err(DnsFault::NoAddress);
    }
    let until = found.valid_until().max(Instant::now() + SHORTEST);
    Ok(Answer { addresses: addresses.into(), until })
}

fn resolver(dns: &Dns) -> Result<TokioResolver, DnsFault> {
    let mut builder = if dns.servers.is_empty() {
        TokioResolver::builder_tokio().map_err(|_| DnsFault::NoServer)?
    } else {
        let servers = dns.servers.iter().map(|address| {
            let connection = |mut it: ConnectionConfig| {
                it.port = address.port();
                it
            };
            let ways =
                vec![connection(ConnectionConfig::udp()), connection(ConnectionConfig::tcp())];
            NameServerConfig::new(address.ip(), true, ways)
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        TokioResolver::builder_with_config(config, Default::default())
    };
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Always;
    // Two tries within our limit.
    options.timeout = dns.timeout / 2;
    options.attempts = 1;
    builder.build().map_err(|_| DnsFault::NoServer)
}

fn fault(error: &NetError) -> DnsFault {
    let code = match error {
        NetError::Dns(DnsError::ResponseCode(code)) => *code,
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.response_code,
        NetError::Timeout => {
            return DnsFault::TimedOut(Limit { name: "dns.timeout", value: 0 });
        }
        _ => return DnsFault::NoServer,
    };
    match code {
        ResponseCode::NXDomain => DnsFault::NoSuchName,
        ResponseCode::NoError => DnsFault::NoAddress,
        ResponseCode::ServFail => DnsFault::ServerFailure,
        ResponseCode::Refused => DnsFault::Refused,
        other => DnsFault::Code(other.into()),
    }
}
