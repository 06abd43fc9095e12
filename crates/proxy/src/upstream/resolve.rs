//! Names to servers, by a resolver of our own: the system's hides the answer code, and the code is
//! the cause.
//!
//! Everything here runs on the background runtime. What is made of the answers stands in
//! [`super::names`].

use config::Dns;
use exchange::{DnsFault, Limit};
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use std::fs::File;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// An answer is believed for at least this long, whatever its TTL says: a TTL of 0 would make each
/// request a question.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long what the hosts file says is believed; its changes are noticed by looking at it.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Servers of one SRV answer, and addresses of one name, that are looked at.
const MOST: usize = 256;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// The addresses of a host.
    Host(Arc<str>),
    /// The servers of a service (RFC 2782).
    Service(Arc<str>),
}

/// One server, by a record of the answer: for the addresses of a host there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: Arc<str>,
    /// `None` where the target's URL says it.
    pub(crate) port: Option<u16>,
    /// The lowest is asked first (RFC 2782).
    pub(crate) priority: u16,
    /// Its part of the connections among those of one priority.
    pub(crate) weight: u16,
    /// In the order in which they are tried.
    pub(crate) addresses: Vec<IpAddr>,
}

/// What is known of a name, and until when.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Never empty, nor are the addresses of any.
    pub(crate) servers: Vec<Server>,
    pub(crate) until: Instant,
}

/// The two files that the system's own resolver goes by: resolv.conf(5) and hosts(5).
struct Files {
    servers: PathBuf,
    hosts: PathBuf,
}

impl Files {
    fn of_system() -> Files {
        Files { servers: "/etc/resolv.conf".into(), hosts: "/etc/hosts".into() }
    }
}

/// Asks, by the settings of one configuration and by the system's files as they are now.
pub(crate) struct Resolver {
    dns: Dns,
    files: Files,
    made: Mutex<Made>,
}

struct Made {
    resolver: Result<Arc<TokioResolver>, DnsFault>,
    servers_from: Option<Version>,
    hosts: Arc<Hosts>,
    hosts_from: Option<Version>,
}

/// Tells one content of a file from another.
type Version = (u64, i64, i64, u64);

fn version(file: &Path) -> Option<Version> {
    let file = std::fs::metadata(file).ok()?;
    Some((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
}

impl Resolver {
    pub(crate) fn new(dns: &Dns) -> Resolver {
        Resolver::by(dns, Files::of_system())
    }

    fn by(dns: &Dns, files: Files) -> Resolver {
        let (servers_from, hosts_from) = (version(&files.servers), version(&files.hosts));
        let resolver = resolver(dns).map(Arc::new);
        let made = Made { resolver, servers_from, hosts: hosts(&files.hosts), hosts_from };
        Resolver { dns: dns.clone(), files, made: Mutex::new(made) }
    }

    pub(crate) fn dns(&self) -> &Dns {
        &self.dns
    }

    /// Reads the files that have changed. Whether names may mean something else now.
    pub(crate) fn look_at_files(&self) -> bool {
        let (servers_from, hosts_from) = (version(&self.files.servers), version(&self.files.hosts));
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        if self.dns.servers.is_empty() && servers_from != made.servers_from {
            made.servers_from = servers_from;
            // Those that were there may still answer.
            if let Ok(resolver) = resolver(&self.dns) {
                made.resolver = Ok(Arc::new(resolver));
                changed = true;
            }
        }
        if hosts_from != made.hosts_from {
            made.hosts_from = hosts_from;
            made.hosts = hosts(&self.files.hosts);
            changed = true;
        }
        changed
    }

    /// Asks once more, whatever is known. `before` is what was known of the servers: where one of
    /// several cannot be asked for now, it has the addresses that it had.
    pub(crate) async fn ask(
        &self,
        question: &Question,
        before: &[Server],
    ) -> Result<Answer, DnsFault> {
        let (resolver, hosts) = {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            (made.resolver.clone(), made.hosts.clone())
        };
        if let Question::Host(name) = question
            && let Some(addresses) = in_file(&hosts, name)
        {
            return Ok(of_host(name, addresses, Instant::now() + LONGEST));
        }
        let resolver = resolver?;
        // What is known already is known to us.
        resolver.clear_cache();
        match question {
            Question::Host(name) => {
                let (addresses, until) = look_up(&resolver, name).await?;
                Ok(of_host(name, addresses, until))
            }
            Question::Service(name) => service(&resolver, &hosts, name, before).await,
        }
    }
}

fn hosts(file: &Path) -> Arc<Hosts> {
    let mut hosts = Hosts::default();
    if let Ok(file) = File::open(file) {
        // What was read before a line that is no text counts.
        let _ = hosts.read_hosts_conf(file);
    }
    Arc::new(hosts)
}

/// The addresses that the hosts file has for a name. They are all that count then, as for the system
/// (nsswitch.conf(5), `hosts: files dns`): no server needs to answer.
fn in_file(hosts: &Hosts, name: &str) -> Option<Vec<IpAddr>> {
    let name = Name::from_str(name).ok()?;
    let of_type = |kind| hosts.lookup_static_host(&Query::query(name.clone(), kind));
    let found = [RecordType::A, RecordType::AAAA].into_iter().filter_map(of_type);
    let addresses: Vec<IpAddr> = found.flat_map(|it| addresses(&it)).collect();
    (!addresses.is_empty()).then(|| in_turn(addresses))
}

fn addresses(lookup: &Lookup) -> Vec<IpAddr> {
    lookup.answers().iter().filter_map(|it| it.data.ip_addr()).collect()
}

fn of_host(name: &Arc<str>, addresses: Vec<IpAddr>, until: Instant) -> Answer {
    let (host, port) = (name.clone(), None);
    Answer { servers: vec![Server { host, port, priority: 0, weight: 0, addresses }], until }
}

async fn look_up(resolver: &TokioResolver, name: &str) -> Result<(Vec<IpAddr>, Instant), DnsFault> {
    let found = resolver.lookup_ip(name).await.map_err(|error| fault(&error))?;
    let addresses = in_turn(found.iter().collect());
    if addresses.is_empty() {
        return Err(DnsFault::NoAddress);
    }
    Ok((addresses, found.valid_until().max(Instant::now() + SHORTEST)))
}

/// The order in which addresses are tried: one of each family in turn (RFC 8305 4), IPv4 first, since
/// what listens on one family only mostly listens on that one.
fn in_turn(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v4, v6): (Vec<IpAddr>, _) = addresses.into_iter().partition(IpAddr::is_ipv4);
    let (mut v4, mut v6) = (v4.into_iter(), v6.into_iter());
    let mut all = Vec::new();
    while all.len() < MOST {
        let pair = (v4.next(), v6.next());
        if pair == (None, None) {
            break;
        }
        all.extend(pair.0);
        all.extend(pair.1);
    }
    all
}

/// The servers that the SRV records of a name list, with their addresses.
async fn service(
    resolver: &Arc<TokioResolver>,
    hosts: &Arc<Hosts>,
    name: &str,
    before: &[Server],
) -> Result<Answer, DnsFault> {
    let found = resolver.srv_lookup(name).await.map_err(|error| fault(&error))?;
    let records = found.answers().iter().filter_map(|it| match &it.data {
        RData::SRV(it) => Some(it.clone()),
        _ => None,
    });
    let mut asked = JoinSet::new();
    // A root for a target says that the service is not to be had there (RFC 2782).
    for record in records.filter(|it| !it.target.is_root()).take(MOST) {
        let (resolver, hosts) = (resolver.clone(), hosts.clone());
        let given = given(&found, &record);
        asked.spawn(async move {
            let host: Arc<str> = record.target.to_string().into();
            let addresses = match in_file(&hosts, &host) {
                Some(addresses) => Ok((addresses, Instant::now() + LONGEST)),
                None if !given.0.is_empty() => Ok(given),
                None => look_up(&resolver, &host).await,
            };
            (host, record, addresses)
        });
    }
    let mut until = found.valid_until();
    let (mut servers, mut failed) = (Vec::new(), DnsFault::NoAddress);
    while let Some(done) = asked.join_next().await {
        let Ok((host, record, addresses)) = done else {
            continue;
        };
        let SRV { priority, weight, port, .. } = record;
        let port = Some(port);
        let addresses = match addresses {
            Ok((addresses, its)) => {
                until = until.min(its);
                addresses
            }
            Err(fault) => {
                failed = fault;
                let same = |it: &&Server| it.host == host && it.port == port;
                match before.iter().find(same).filter(|_| !is_final(fault)) {
                    Some(before) => {
                        until = until.min(Instant::now() + SHORTEST);
                        before.addresses.clone()
                    }
                    None => continue,
                }
            }
        };
        servers.push(Server { host, port, priority, weight, addresses });
    }
    if servers.is_empty() {
        return Err(failed);
    }
    // They were answered in any order.
    servers.sort_by(|a, b| (a.priority, &a.host, a.port).cmp(&(b.priority, &b.host, b.port)));
    Ok(Answer { servers, until: until.max(Instant::now() + SHORTEST) })
}

/// The addresses of a server that came with its record, and until when they hold.
fn given(found: &Lookup, record: &SRV) -> (Vec<IpAddr>, Instant) {
    let its = || found.additionals().iter().filter(|it| it.name == record.target);
    let shortest = its().map(|it| it.ttl).min().unwrap_or(0);
    let addresses = in_turn(its().filter_map(|it| it.data.ip_addr()).collect());
    (addresses, Instant::now() + Duration::from_secs(u64::from(shortest)))
}

/// Whether a server said it that ought to know: no other answer is to be had.
pub(crate) fn is_final(fault: DnsFault) -> bool {
    matches!(fault, DnsFault::NoSuchName | DnsFault::NoAddress)
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
    // We look there ourselves: it would still ask a server for the family that is not there.
    options.use_hosts_file = ResolveHosts::Never;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_turns(addresses: &str, expected: &str) {
        let addresses = addresses.split(' ').map(|it| it.parse().unwrap()).collect();
        let turns: Vec<String> = in_turn(addresses).iter().map(ToString::to_string).collect();
        assert_eq!(turns.join(" "), expected);
    }

    #[test]
    fn families_take_turns_and_ipv4_is_first() {
        check_turns("10.0.0.1", "10.0.0.1");
        check_turns("::1 ::2", "::1 ::2");
        check_turns("::1 10.0.0.1", "10.0.0.1 ::1");
        check_turns("10.0.0.1 10.0.0.2 10.0.0.3 ::1 ::2", "10.0.0.1 ::1 10.0.0.2 ::2 10.0.0.3");
    }

    /// A resolver whose files are ours, and a server at which nobody answers.
    fn resolver_in(folder: &Path) -> Resolver {
        let dns = Dns {
            servers: vec!["127.0.0.1:9".parse().unwrap()],
            timeout: Duration::from_millis(200),
            keep_for: Duration::ZERO,
        };
        let files = Files { servers: folder.join("resolv.conf"), hosts: folder.join("hosts") };
        Resolver::by(&dns, files)
    }

    #[tokio::test]
    async fn a_changed_hosts_file_is_read_again_and_needs_no_server() {
        let folder = std::env::temp_dir().join(format!("goodgate-hosts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let resolver = resolver_in(&folder);
        let app = Question::Host("app.internal".into());
        let other = Question::Host("other.internal".into());
        let found = async |question| match resolver.ask(question, &[]).await {
            Ok(answer) => format!("{:?}", answer.servers[0].addresses),
            // Whether it was refused or silence is no matter here.
            Err(_) => "nothing".to_owned(),
        };
        assert_eq!(found(&app).await, "nothing");
        assert!(!resolver.look_at_files());
        std::fs::write(folder.join("hosts"), "::7 APP.internal\n10.0.0.7 x app.internal # it\n")
            .unwrap();
        assert!(resolver.look_at_files());
        assert_eq!(found(&app).await, "[10.0.0.7, ::7]");
        assert_eq!(found(&other).await, "nothing");
        std::fs::write(folder.join("hosts"), "10.0.0.8 app.internal").unwrap();
        assert!(resolver.look_at_files());
        assert_eq!(found(&app).await, "[10.0.0.8]");
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(resolver.look_at_files());
        assert_eq!(found(&app).await, "nothing");
    }
}
