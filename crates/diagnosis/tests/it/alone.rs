//! What one sign is enough for: which causes are named with confidence from a single line.

use crate::world::{YEAR, of};
use diagnosis::report::{Report, Verdict};
use diagnosis::why::{Question, why};
use evidence::{Arrival, Group, Key, Kind, Place, Product, Run, Sample, Sign, Testimony, Trust};
use std::collections::BTreeMap;

/// The answer to one line of a product that has this sign and says nothing else.
fn alone(sign: Sign, product: Product, trust: Trust) -> Report {
    let mut testimony = Testimony::of(&[("a.log", "")], Arrival::File, YEAR);
    let at = 1_763_640_000_000_000;
    let sample = Sample {
        place: Place { source: 0, line: Some(1), offset: 0 },
        quote: "it failed".to_owned(),
        inset: None,
        at: Some(at),
        detail: None,
        number: None,
        pid: None,
        status: None,
    };
    let run = Run {
        first: at,
        last: at,
        count: 1,
        failed: 0,
        succeeded: 0,
        routes: BTreeMap::new(),
        opening: sample.clone(),
        closing: sample,
    };
    let upstream = (sign.kind() == Kind::Wire).then(|| "192.0.2.10:8000".to_owned());
    let key = Key { source: 0, service: None, product, sign, upstream, who: None, detail: None };
    let group =
        Group { trust, zoned: true, count: 1, runs: vec![run], untimed: None, dropped: (0, 0) };
    testimony.ledger.groups.insert(key, group);
    testimony.ledger.understood = 1;
    why(&testimony, &Question::default())
}

/// Signs that state by themselves a limit that was reached, a defect, or who refused: nothing else
/// has to be known.
const ENOUGH: &[Sign] = &[
    Sign::ConnectDenied,
    Sign::NoLocalPort,
    Sign::NoDescriptors,
    Sign::SocketBacklogFull,
    Sign::NameServerFailed,
    Sign::NameRefused,
    Sign::NameTimedOut,
    Sign::CertExpired,
    Sign::CertSelfSigned,
    Sign::CertWrongName,
    Sign::CertNoIpSan,
    Sign::TlsVersion,
    Sign::TlsNameRejected,
    Sign::TlsClientCertRequired,
    Sign::TlsClientCertRejected,
    Sign::TlsToPlain,
    Sign::MtlsMismatch,
    Sign::SendTimedOut,
    Sign::HeadSlow,
    Sign::Deadline,
    Sign::TlsBytes,
    Sign::PlainToTlsPort,
    Sign::Http2Bytes,
    Sign::AlpnMismatch,
    Sign::GrpcMismatch,
    Sign::FastCgiMismatch,
    Sign::UwsgiMismatch,
    Sign::ProxyHeaderMissing,
    Sign::UpgradeUnexpected,
    Sign::UpgradeRefused,
    Sign::HeaderBad,
    Sign::HeaderControlChar,
    Sign::HeadTooBig,
    Sign::LengthTwice,
    Sign::LengthInvalid,
    Sign::LengthAndChunked,
    Sign::CodingUnknown,
    Sign::CodingTwice,
    Sign::ChunkBad,
    Sign::LengthLong,
    Sign::InterimsTooMany,
    Sign::LambdaMalformed,
    Sign::BodyStalled,
    Sign::ConnectionLimit,
    Sign::ConnectionTableFull,
    Sign::NoCluster,
    Sign::RouteWrong,
    Sign::ProxyLoop,
    Sign::DiskFull,
    Sign::MemoryOut,
    Sign::IntegrationTimedOut,
    Sign::ClientProxyFailed,
    Sign::ProcessInactive,
    Sign::BootFailed,
    Sign::PortInUse,
    Sign::WorkerSegfault,
    Sign::WorkerTimedOut,
    Sign::OomKilledCgroup,
    Sign::OomKilledGlobal,
    Sign::OomKilled,
    Sign::HeapExhausted,
    Sign::ReloadCut,
    Sign::ConfigRefused,
    Sign::ProxyWorkerCrashed,
    Sign::PoolExhausted,
    Sign::AppConcurrencyLimit,
    Sign::RequestTooBigForUpstream,
    Sign::SelinuxDenied,
    Sign::ApparmorDenied,
    Sign::ConntrackFull,
    Sign::NeighbourLost,
    Sign::PolicyDenied,
    Sign::HealthWrongProtocol,
    Sign::DbRefused,
    Sign::DbNameUnknown,
    Sign::DbAuthFailed,
    Sign::DbPoolExhausted,
    Sign::DbTooManyClients,
    Sign::DbFailover,
    Sign::CacheDown,
    Sign::BrokerDown,
    Sign::AppDiskFull,
    Sign::AppFdExhausted,
    Sign::ReadOnlyFs,
    Sign::ConfigMissing,
    Sign::MigrationMissing,
    Sign::QuotaDenied,
    Sign::NoResponseFromApp,
    Sign::PodEvicted,
    Sign::PodUnschedulable,
    Sign::ImagePullFailed,
    Sign::NodeLost,
    Sign::VolumeFailed,
    Sign::TargetPortMissing,
    Sign::SidecarNotReady,
    Sign::LbDeregistered,
    Sign::DiscoveryStale,
];

#[test]
fn one_line_names_a_cause_with_confidence_only_where_it_states_it() {
    for sign in Sign::ALL {
        let product = match sign.kind() {
            Kind::Wire | Kind::Cut | Kind::Answer => Product::Nginx,
            _ => Product::Gunicorn,
        };
        for trust in [Trust::B, Trust::C, Trust::D, Trust::E] {
            let report = alone(*sign, product, trust);
            let sure = report.confidence >= 0.9;
            let said = ENOUGH.contains(sign);
            assert!(said || !sure, "{sign:?} is enough for {:?}", report.candidates);
            let named = report.verdict == Verdict::Named;
            assert!(
                !said || sure && named || trust > Trust::C,
                "{sign:?}: {:?}",
                report.candidates
            );
        }
    }
}

/// Lines of which more than one cause can be the reason, each alone.
const SEVERAL: [&str; 12] = [
    "2026/11/20 12:00:10 [error] 7#7: *5 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.1, server: a, request: \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:8000/\", host: \"a\"",
    "2026/11/20 12:00:10 [error] 7#7: *5 upstream prematurely closed connection while reading response header from upstream, client: 192.0.2.1, server: a, request: \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:8000/\", host: \"a\"",
    "2026/11/20 12:00:10 [error] 7#7: *5 recv() failed (104: Connection reset by peer) while reading response header from upstream, client: 192.0.2.1, server: a, request: \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:8000/\", host: \"a\"",
    "2026/11/20 12:00:10 [error] 7#7: *5 upstream timed out (110: Connection timed out) while connecting to upstream, client: 192.0.2.1, server: a, request: \"GET / HTTP/1.1\", upstream: \"http://192.0.2.10:8000/\", host: \"a\"",
    "2026/11/20 12:00:10 [error] 7#7: *5 upstream sent no valid HTTP/1.0 header while reading response header from upstream, client: 192.0.2.1, server: a, request: \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:8000/\", host: \"a\"",
    "2026/11/20 12:00:10 [error] 7#7: *5 no live upstreams while connecting to upstream, client: 192.0.2.1, server: a, request: \"GET / HTTP/1.1\", upstream: \"http://app/\", host: \"a\"",
    "2026/11/20 12:00:10 [error] 7#7: *5 connect() failed (113: No route to host) while connecting to upstream, client: 192.0.2.1, server: a, request: \"GET / HTTP/1.1\", upstream: \"http://192.0.2.10:8000/\", host: \"a\"",
    "[2026-11-20 12:00:10 +0000] [7] [ERROR] Worker (pid:12) was sent SIGKILL! Perhaps out of memory?",
    "Nov 20 12:00:10 host systemd[1]: shop.service: Main process exited, code=killed, status=9/KILL",
    "Traceback (most recent call last):\n  File \"/srv/shop/views.py\", line 42, in total\n    return 1 / n\nZeroDivisionError: division by zero",
    "[Fri Nov 20 12:00:10.123456 2026] [proxy:error] [pid 7:tid 1] (70007)The timeout specified has expired: AH00957: HTTP: attempt to connect to 192.0.2.10:8000 (app) failed",
    "Thu Nov 20 12:00:10 UTC 2026 : Lambda execution failed with status 200 due to customer function error: it failed. Lambda request id: 00000000-0000-4000-8000-000000000001",
];

#[test]
fn a_line_with_several_reasons_is_enough_for_none() {
    for line in SEVERAL {
        let report = of(&[("a.log", &format!("{line}\n"))]);
        assert!(report.confidence < 0.9, "{line}: {:?}", report.candidates);
    }
}
