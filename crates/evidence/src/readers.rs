//! The readers: one file a product. Adding one is its file, a `mod` line and its entries.

use crate::reader::Reader;

mod audit;
mod aws;
mod azure;
mod caddy;
mod caller;
mod cloudflare;
mod daphne;
mod django;
mod docker;
mod envoy;
mod exit;
mod flask;
mod flat;
mod gcp;
mod go;
mod goodgate;
mod gunicorn;
mod haproxy;
mod heroku;
mod hypercorn;
mod kernel;
mod kubernetes;
mod logfmt;
mod nginx;
mod node;
mod php;
mod plain;
mod python;
mod raised;
mod systemd;
mod table;
mod traefik;
mod uvicorn;
mod uwsgi;
mod waitress;

pub use nginx::LogFormat;

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
    caddy::V1,
    envoy::ACCESS,
    envoy::JSON,
    envoy::LOG,
    envoy::BODY,
    go::LOG,
    go::PANIC,
    go::ERROR,
    caller::CURL,
    caller::WGET,
    caller::BROWSER,
    caller::PROXY,
    caller::STATUS,
    caller::HEADER,
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
    node::LOG,
    node::ERROR,
    python::TRACEBACK,
    python::EXCEPTION,
    nginx::ERROR,
    nginx::CONTROLLER,
    nginx::JSON,
    nginx::ACCESS,
    haproxy::REQUESTS,
    haproxy::EVENTS,
    nginx::FRAGMENT,
    // App servers and runtimes.
    // Platforms.
    kernel::LOG,
    audit::LOG,
    audit::SEALERT,
    systemd::LOG,
    systemd::STATUS,
    systemd::SYSV,
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
    // What no other takes is still searched.
    plain::TEXT,
];

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
    use crate::line::Line;
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
    fn a_line_that_was_cut_or_spoilt_anywhere_does_no_harm() {
        for reader in READERS {
            let example = reader.example;
            for (at, _) in example.char_indices() {
                let (before, after) = example.split_at(at);
                let skipped = after.chars().next().map_or(0, char::len_utf8);
                let spoilt = format!("{before}é{}", &after[skipped..]);
                let quoted = format!("{before}\"\\{after}");
                for text in [before, after, &spoilt, &quoted] {
                    read(text);
                }
            }
        }
    }

    #[test]
    fn every_reader_names_where_its_format_is_from() {
        let names: BTreeSet<&str> = READERS.iter().map(|it| it.name).collect();
        assert_eq!(names.len(), READERS.len(), "a name occurs twice");
        assert!(READERS.iter().all(|it| !it.source.is_empty()));
    }
}
