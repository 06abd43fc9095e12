//! `/livez`, `/readyz` and `/metrics`, on a listener of their own; and where that is the console,
//! `/api/v1/upstreams`, to be read.
//!
//! What is for operators is told to callers from this host only, as long as nobody can log in, and only
//! under a name that no page of a stranger can give us (DNS rebinding).

use crate::Plane;
use bytes::Bytes;
use exchange::LiveUpstream;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections at once; more wait.
const CONNECTIONS: usize = 64;
/// A connection that says nothing is closed.
const HEAD: Duration = Duration::from_secs(10);

pub(crate) async fn serve(listener: Arc<TcpListener>, plane: Arc<Plane>, console: bool) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Who asks us must not be answered once another process serves here: they end with this.
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let plane = plane.clone();
        open.spawn(async move {
            let _place = place;
            let service = service_fn(move |request| {
                let answer = answer(&plane, &request, console, peer.ip());
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
            // Whoever asks and leaves is none of our business.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(
    plane: &Plane,
    request: &Request<Incoming>,
    console: bool,
    peer: IpAddr,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let mut answer = match path.strip_prefix(UPSTREAMS) {
        Some(name) if console => upstreams(plane, request, peer, name),
        _ => page(plane, path, console),
    };
    if !plane.is_ready() {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

fn page(plane: &Plane, path: &str, console: bool) -> Response<Full<Bytes>> {
    let nothing = match console {
        true => "here are /livez, /readyz, /metrics and /api/v1/upstreams\n",
        false => "here are /livez, /readyz and /metrics\n",
    };
    let (status, text) = match path {
        "/livez" => (StatusCode::OK, "alive\n".to_owned()),
        "/readyz" if plane.is_ready() => (StatusCode::OK, "ready\n".to_owned()),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
        "/metrics" => (StatusCode::OK, plane.metrics()),
        _ => (StatusCode::NOT_FOUND, nothing.to_owned()),
    };
    made(status, "text/plain; version=0.0.4; charset=utf-8", text)
}

/// Where the API of upstreams is.
const UPSTREAMS: &str = "/api/v1/upstreams";

/// `name` is what follows in the path.
fn upstreams(
    plane: &Plane,
    request: &Request<Incoming>,
    peer: IpAddr,
    name: &str,
) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let refused = |status, error: &str| json(status, &serde_json::json!({ "error": error }));
    if !peer.to_canonical().is_loopback() {
        let error =
            "this is told to callers from this host only; from elsewhere ask the control socket";
        return refused(StatusCode::FORBIDDEN, error);
    }
    if !is_ours(host) {
        let error = "this host is not ours: ask by an address, or as localhost";
        return refused(StatusCode::MISDIRECTED_REQUEST, error);
    }
    if request.method() != Method::GET {
        let error = "orders are taken by the control socket only";
        let mut answer = refused(StatusCode::METHOD_NOT_ALLOWED, error);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return answer;
    }
    let all = plane.upstreams();
    let one = |segment: &str| {
        let name = config::decoded_segment(segment)?;
        all.iter().find(|it| *it.name == *name)
    };
    match name.strip_prefix('/') {
        None if name.is_empty() => json(StatusCode::OK, &Upstreams { upstreams: &all }),
        Some(name) if let Some(upstream) = one(name) => json(StatusCode::OK, upstream),
        _ => refused(StatusCode::NOT_FOUND, "there is no such upstream"),
    }
}

#[derive(Serialize)]
struct Upstreams<'a> {
    upstreams: &'a [LiveUpstream],
}

/// A name in `Host` that only we can have: an address, or this host's own.
fn is_ours(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        _ => host,
    };
    let inside = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<Ipv4Addr>().is_ok()
        || inside.is_some_and(|it| it.parse::<Ipv6Addr>().is_ok())
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    // What is said here has no keys that are not text, which is all that could fail.
    let text = serde_json::to_string(value).unwrap_or_default() + "\n";
    made(status, "application/json", text)
}

fn made(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_our_own_names() {
        for ours in
            ["127.0.0.1", "127.0.0.1:9901", "[::1]", "[::1]:9901", "LocalHost:1", "localhost"]
        {
            assert!(is_ours(ours), "{ours}");
        }
        for other in
            ["", "example.com", "127.0.0.1.example.com", "localhost.example", "::1", "[::1"]
        {
            assert!(!is_ours(other), "{other}");
        }
    }
}
