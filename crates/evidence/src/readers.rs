//! The readers: one file a product. Adding one is its file, a `mod` line and its entries.

use crate::reader::Reader;
use crate::sign::Sign;

mod access;
mod apache;
mod audit;
mod aws;
mod azure;
mod caddy;
mod caller;
mod cloudflare;
mod daphne;
mod database;
mod django;
mod docker;
mod dotnet;
mod envoy;
mod exit;
mod flask;
mod flat;
mod gcp;
mod go;
mod goodgate;
mod gunicorn;
mod h2o;
mod haproxy;
mod heroku;
mod hitch;
mod hypercorn;
mod iis;
mod java;
mod kernel;
mod kubernetes;
mod linkerd;
mod logfmt;
pub(crate) mod loose;
mod nghttpx;
mod nginx;
mod node;
mod pasted;
mod php;
mod phrases;
mod plain;
mod python;
mod raised;
mod ruby;
mod rust;
mod shell;
mod squid;
mod supervisord;
mod systemd;
mod table;
mod traefik;
mod uvicorn;
mod uwsgi;
mod varnish;
mod waitress;

pub(crate) use exit::exited;
pub use goodgate::of_fault as sign_of_fault;
pub(crate) use kubernetes::{event_says, probe_reason, state_says};
pub use nginx::{LogFormat, log_formats};

/// Every format that is read line by line. The first that fits a line reads it, so the stricter one
/// stands before the laxer.
pub static READERS: &[Reader] = &[
    goodgate::ACCESS,
    goodgate::PROBLEM,
    aws::ALB,
    aws::CLASSIC,
    aws::FIELDS,
    aws::HEALTH,
    aws::EVENTS,
    aws::EXECUTION,
    aws::GATEWAY_ACCESS,
    aws::LAMBDA,
    aws::LAMBDA_ANSWER,
    gcp::BALANCER,
    gcp::DETAILS,
    gcp::HEALTH,
    gcp::RUN,
    azure::ACCESS,
    azure::PROBE,
    heroku::ROUTER,
    heroku::PLATFORM,
    cloudflare::TUNNEL,
    cloudflare::PAGE,
    traefik::ACCESS,
    traefik::JSON,
    traefik::LOG,
    caddy::LOG,
    caddy::COMMAND,
    caddy::V1,
    envoy::ACCESS,
    envoy::JSON,
    envoy::LOG,
    envoy::BODY,
    linkerd::LOG,
    h2o::LOG,
    nghttpx::LOG,
    hitch::LOG,
    go::LOG,
    go::PANIC,
    go::ERROR,
    apache::JK,
    apache::ERROR,
    iis::ACCESS,
    iis::HTTPERR,
    dotnet::YARP,
    dotnet::LOG,
    dotnet::ERROR,
    caller::CURL,
    shell::CALLS,
    caller::LOOP,
    caller::WGET,
    caller::BROWSER,
    caller::PROXY,
    caller::STATUS,
    caller::HEADER,
    caller::PLAIN_TO_TLS,
    caller::PAGE,
    caller::SERVER,
    // App servers and runtimes. Those that share a format with another come before it.
    hypercorn::ERROR,
    gunicorn::ERROR,
    uvicorn::ACCESS,
    uvicorn::LOG,
    uwsgi::REQUEST,
    uwsgi::EVENT,
    daphne::ACCESS,
    daphne::LOG,
    waitress::LOG,
    flask::ACCESS,
    flask::LOG,
    django::LOG,
    php::FPM,
    php::ERROR,
    node::PROXY,
    node::JSON,
    node::LOG,
    node::ERROR,
    java::LOG,
    java::TRACE,
    ruby::LOG,
    ruby::ERROR,
    rust::PANIC,
    database::POSTGRES,
    database::MYSQL,
    database::REDIS,
    database::MONGO,
    database::RABBIT,
    database::KAFKA,
    python::TRACEBACK,
    python::EXCEPTION,
    nginx::ERROR,
    nginx::IMAGE,
    nginx::JSON,
    haproxy::REQUESTS,
    haproxy::EVENTS,
    haproxy::CAPTURED,
    haproxy::STATS,
    varnish::LOG,
    squid::ACCESS,
    squid::EVENTS,
    apache::ACCESS,
    access::COMBINED,
    nginx::ACCESS,
    nginx::FRAGMENT,
    // App servers and runtimes.
    // Platforms.
    kernel::LOG,
    audit::LOG,
    audit::SEALERT,
    systemd::LOG,
    systemd::STATUS,
    systemd::SYSV,
    supervisord::LOG,
    docker::EVENTS,
    docker::EVENTS_JSON,
    docker::TABLE,
    docker::COMPOSE,
    docker::DAEMON,
    kubernetes::KLOG,
    kubernetes::EVENTS,
    kubernetes::TABLE,
    kubernetes::DESCRIBE,
    kubernetes::MESH,
    shell::FILES,
    shell::SOCKETS,
    shell::DISKS,
    shell::NAMES,
    shell::TLS,
    // What no other takes is still searched.
    plain::TEXT,
];

/// Whether a reader takes lines that others, which stand before it, know better.
pub(crate) fn is_lax(reader: &Reader) -> bool {
    [python::EXCEPTION.name, plain::TEXT.name].contains(&reader.name)
}

/// What the status of an access line says, if it is a failure.
pub(crate) fn answered(status: u16) -> Option<Sign> {
    match status {
        500 => Some(Sign::Answered500),
        502 => Some(Sign::Answered502),
        503 => Some(Sign::Answered503),
        504 => Some(Sign::Answered504),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::READERS;
    use crate::event::{Event, Served, Sink};
    use crate::line::{Below, Line};
    use crate::testing::read;
    use std::collections::BTreeSet;

    #[test]
    fn every_reader_reads_its_own_example_and_no_earlier_one_takes_it() {
        for reader in READERS {
            let line = Line::bare(reader.example);
            let first = READERS.iter().find(|it| (it.fits)(&line)).map(|it| it.name);
            assert_eq!(first, Some(reader.name), "{}", reader.example);
            let hooked = reader.hooks.iter().any(|it| reader.example.contains(it));
            assert!(hooked || reader.hooks.is_empty(), "{}: no hook in its example", reader.name);
            assert!(!read(reader.example).is_empty(), "{}: nothing is read", reader.name);
        }
    }

    #[test]
    fn a_line_that_is_cut_or_broken_anywhere_is_read_without_a_panic() {
        for reader in READERS {
            let whole = reader.example;
            for at in (0..=whole.len()).filter(|at| whole.is_char_boundary(*at)) {
                let (head, tail) = whole.split_at(at);
                let broken = [head.to_owned(), tail.to_owned(), format!("{head}é{tail}")];
                for text in broken.iter().chain([&format!("{head}\n{tail}")]) {
                    let line = Line::bare(text);
                    for reader in READERS.iter().filter(|it| (it.fits)(&line)) {
                        (reader.read)(&line, &mut Nothing);
                    }
                }
            }
        }
    }

    struct Nothing;

    impl Sink for Nothing {
        fn event(&mut self, event: Event<'_>) {
            assert!(event.span.start <= event.span.end);
        }

        fn served(&mut self, _: Served) {}

        fn event_below(&mut self, _: &Below<'_>, event: Event<'_>) {
            assert!(event.span.start <= event.span.end);
        }

        fn taken(&mut self, _: &Below<'_>) {}
    }

    #[test]
    fn every_reader_names_where_its_format_is_from() {
        let names: BTreeSet<&str> = READERS.iter().map(|it| it.name).collect();
        assert_eq!(names.len(), READERS.len(), "a name occurs twice");
        assert!(READERS.iter().all(|it| !it.source.is_empty()));
    }
}
