//! Envoy, with its listeners and clusters in files that it watches.

use super::{
    AT_ONCE, ATTEMPTS, CHECK, CONNECT, EJECTED, FAILURES, Front, Peer, Places, Program, SLOW_START,
    WORKERS, version,
};
use crate::prevent::names::NAME;
use crate::prevent::python;
use crate::prevent::target::HEALTH;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

const LISTENERS: &str = "listeners.json";
const CLUSTERS: &str = "clusters.json";
const BOOTSTRAP: &str = "envoy.json";
/// Of the clients' requests that are on their way, retries may be so many of a hundred,
const BUDGET: f64 = 20.0;
/// or so many at the least.
const LEAST_RETRIES: u32 = 10;
/// How many of a hundred targets may be left out at a time: the others here have no limit, and when
/// more than half are out, all are used again (the panic threshold, 50 by default).
const MOST_EJECTED: u32 = 100;

const TYPES: &str = "type.googleapis.com/envoy";

pub(super) fn find() -> Result<Program> {
    let path = python::program("envoy")?;
    // `PATH  version: HASH/1.40.0/Clean/RELEASE/BoringSSL`
    let said = version(&path, "--version")?;
    let number = said.split('/').rev().nth(3).unwrap_or(&said);
    Ok(Program { peer: Peer::Envoy, version: format!("Envoy {number}"), path })
}

pub(super) fn start(front: &Front, restartable: bool) -> Result<Vec<OsString>> {
    let folder = front.folder.display().to_string();
    let source = |name: &str| {
        json!({
            "path_config_source": { "path": format!("{folder}/{name}") },
            "resource_api_version": "V3",
        })
    };
    let bootstrap = json!({
        "node": { "id": "bench", "cluster": "bench" },
        "admin": { "address": address(front.admin) },
        "dynamic_resources": { "lds_config": source(LISTENERS), "cds_config": source(CLUSTERS) },
    });
    let file = front.write(BOOTSTRAP, &bootstrap.to_string())?;
    write(front, CLUSTERS, &cluster(front))?;
    write(front, LISTENERS, &listener(front))?;
    let mut arguments: Vec<OsString> = vec!["-c".into(), file.into()];
    arguments.extend(["--concurrency", &WORKERS.to_string(), "-l", "warning"].map(Into::into));
    match restartable {
        true => arguments.extend(epoch(front, 0)),
        false => arguments.push("--disable-hot-restart".into()),
    }
    Ok(arguments)
}

pub(super) fn configuration(front: &Front) -> String {
    format!("{} {}", listener(front), cluster(front))
}

/// The next process of a hot restart.
pub(super) fn takeover(front: &Front) -> Vec<OsString> {
    let file = front.folder.join(BOOTSTRAP);
    let mut arguments: Vec<OsString> = vec!["-c".into(), file.into()];
    arguments.extend(["--concurrency", &WORKERS.to_string(), "-l", "warning"].map(Into::into));
    arguments.extend(epoch(front, 1));
    arguments
}

/// Files are watched for a move over them, which is whole at once.
pub(super) fn reload(front: &Front) -> Result<()> {
    write(front, CLUSTERS, &cluster(front))?;
    write(front, LISTENERS, &listener(front))
}

fn epoch(front: &Front, epoch: u32) -> Vec<OsString> {
    // Any number that no other Envoy on this machine has.
    let base = front.listen.port().to_string();
    let epoch = epoch.to_string();
    let words = ["--base-id", &base, "--restart-epoch", &epoch];
    let times = ["--drain-time-s", "2", "--parent-shutdown-time-s", "4"];
    words.into_iter().chain(times).map(Into::into).collect()
}

fn write(front: &Front, name: &str, resource: &Value) -> Result<()> {
    let text = json!({ "resources": [resource] }).to_string();
    let new = front.write(&format!("{name}.new"), &text)?;
    std::fs::rename(new, front.folder.join(name)).context("putting a file in its place")
}

fn address(at: SocketAddr) -> Value {
    json!({ "socket_address": { "address": at.ip().to_string(), "port_value": at.port() } })
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs_f64())
}

fn listener(front: &Front) -> Value {
    let manager = json!({
        "@type": format!(
            "{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
        ),
        "stat_prefix": "all",
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": format!("{TYPES}.extensions.filters.http.router.v3.Router") },
        }],
        "route_config": {
            "name": "all",
            "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
                route(front, true, "connect-failure,refused-stream,reset-before-request"),
                route(front, false, "5xx,reset,connect-failure,refused-stream"),
            ]}],
        },
    });
    json!({
        "@type": format!("{TYPES}.config.listener.v3.Listener"),
        "name": "all",
        "address": address(front.listen),
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    })
}

/// A POST is tried again only if it was never sent.
fn route(front: &Front, post: bool, retry_on: &str) -> Value {
    let mut matches = json!({ "prefix": "/" });
    if post {
        let method = json!([{ "name": ":method", "string_match": { "exact": "POST" } }]);
        matches["headers"] = method;
    }
    json!({
        "match": matches,
        "route": {
            "cluster": "app",
            "timeout": seconds(front.read() * ATTEMPTS),
            "retry_policy": {
                "retry_on": retry_on,
                "num_retries": ATTEMPTS - 1,
                "per_try_timeout": seconds(front.read()),
                "retry_host_predicate": [{
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": { "@type": format!(
                        "{TYPES}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                    )},
                }],
                "host_selection_retry_max_attempts": 3,
            },
        },
    })
}

fn cluster(front: &Front) -> Value {
    let targets: Vec<Value> = match &front.places {
        Places::Addresses(all) => all.iter().map(|it| address(*it)).collect(),
        Places::Name { port, .. } => {
            vec![json!({ "socket_address": { "address": NAME, "port_value": port } })]
        }
    };
    let endpoints: Vec<Value> =
        targets.into_iter().map(|it| json!({ "endpoint": { "address": it } })).collect();
    let most = front.places.count() * AT_ONCE;
    let mut cluster = json!({
        "@type": format!("{TYPES}.config.cluster.v3.Cluster"),
        "name": "app",
        "connect_timeout": seconds(CONNECT + (front.read() - super::READ)),
        "type": "STATIC",
        "lb_policy": "LEAST_REQUEST",
        "least_request_lb_config": {
            "slow_start_config": { "slow_start_window": seconds(SLOW_START) },
        },
        "load_assignment": { "cluster_name": "app", "endpoints": [{ "lb_endpoints": endpoints }] },
        "circuit_breakers": {
            "thresholds": [{
                "max_connections": most, "max_pending_requests": most, "max_requests": most,
                "retry_budget": {
                    "budget_percent": { "value": BUDGET }, "min_retry_concurrency": LEAST_RETRIES,
                },
            }],
            "per_host_thresholds": [{ "max_connections": AT_ONCE }],
        },
        "outlier_detection": {
            "consecutive_5xx": FAILURES,
            "interval": "1s",
            "base_ejection_time": seconds(EJECTED),
            "max_ejection_percent": MOST_EJECTED,
            "successful_active_health_check_uneject_host": false,
        },
        "health_checks": [{
            "timeout": seconds(CHECK),
            "interval": seconds(CHECK),
            "no_traffic_interval": seconds(CHECK),
            "unhealthy_threshold": FAILURES,
            "healthy_threshold": 2,
            "http_health_check": {
                "path": HEALTH, "codec_client_type": if front.http2 { "HTTP2" } else { "HTTP1" },
            },
        }],
    });
    if front.http2 {
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": format!("{TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        });
    }
    if let Places::Name { server, .. } = &front.places {
        cluster["type"] = "STRICT_DNS".into();
        cluster["dns_lookup_family"] = "V4_ONLY".into();
        cluster["dns_refresh_rate"] = "1s".into();
        cluster["respect_dns_ttl"] = true.into();
        cluster["typed_dns_resolver_config"] = json!({
            "name": "envoy.network.dns_resolver.cares",
            "typed_config": {
                "@type": format!(
                    "{TYPES}.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
                ),
                "resolvers": [address(*server)],
                "dns_resolver_options": { "no_default_search_domain": true },
            },
        });
    }
    cluster
}
