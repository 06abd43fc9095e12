//! Targets are asked whether they are well: in every way that they can be spoken to, through
//! reloads, and without being believed where the question is what is wrong.

use crate::doors::Papers;
use crate::peer::{each, serve2};
use crate::world::{OK, SOON, Seen, get};
use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response};
use lab::client::Client;
use lab::gateway::Gateway;
use lab::scratch::Scratch;
use lab::stage::{self, Request, Task};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

/// Checks follow each other quickly, and few of them make a verdict.
const QUICK: &str =
    "interval = \"30ms\", timeout = \"300ms\", unhealthy_after = 2, healthy_after = 2";

/// A target whose answers to checks can be changed; requests get 200.
struct Target {
    url: String,
    /// The status that checks get; 0 is silence.
    mood: Arc<AtomicU16>,
    checks: Seen,
    requests: Seen,
    _task: Task,
}

impl Target {
    fn new() -> Target {
        let listener = stage::listener().expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let mood = Arc::new(AtomicU16::new(200));
        let (checks, requests) = <(Seen, Seen)>::default();
        let (moody, checked, seen) = (mood.clone(), checks.clone(), requests.clone());
        let talk = move |stream| moody_talk(stream, moody.clone(), checked.clone(), seen.clone());
        let _task = stage::serve(listener, talk);
        Target { url, mood, checks, requests, _task }
    }

    fn answers_checks_with(&self, status: u16) {
        self.mood.store(status, SeqCst);
    }

    fn asked(&self) -> usize {
        self.checks.all().len()
    }

    /// It is asked so often more.
    async fn until_asked(&self, more: usize) {
        let before = self.asked();
        until(|| async { before + more <= self.asked() }, "it is asked no more").await;
    }
}

fn is_check(request: &Request) -> bool {
    request.field("user-agent").is_some_and(|it| it.starts_with("goodgate-health/"))
}

async fn moody_talk(
    mut stream: TcpStream,
    mood: Arc<AtomicU16>,
    checks: Seen,
    requests: Seen,
) -> io::Result<()> {
    while let Some(request) = stage::read_request(&mut stream).await? {
        let status = if is_check(&request) { mood.load(SeqCst) } else { 200 };
        if is_check(&request) {
            checks.add(&request);
        } else {
            requests.add(&request);
        }
        if status == 0 {
            return stage::stay(stream).await;
        }
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

async fn until<F: Future<Output = bool>>(holds: impl Fn() -> F, else_: &str) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < SOON, "{else_}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn config(urls: &[&str], health: &str, more: &str) -> String {
    format!(
        "[upstream.app]\ntargets = {urls:?}\nhealth = {{ {health}, {QUICK} }}\n{more}\n\
         [route.app]\nmatch = \"/*\"\nto = \"app\"\n"
    )
}

const BY_PATH: &str = "path = \"/health\"";

async fn start(config: &str) -> Gateway {
    Gateway::start(config).await.unwrap_or_else(|error| panic!("{error}"))
}

/// What is known of the health of a target.
async fn health_of(gateway: &Gateway, url: &str) -> Value {
    let output = gateway.command(&["status", "--format", "json"]).await.expect("the command runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status: Value = serde_json::from_str(&text).unwrap_or_else(|it| panic!("{it}: {text}"));
    let upstreams = status["live"]["upstreams"].as_array().cloned().unwrap_or_default();
    upstreams
        .iter()
        .flat_map(|it| it["targets"].as_array().cloned().unwrap_or_default())
        .find(|it| it["target"] == url)
        .map_or(Value::Null, |it| it["health"].clone())
}

/// The same once it is so.
async fn until_health(gateway: &Gateway, url: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let health = health_of(gateway, url).await;
        if holds(&health) {
            return health;
        }
        assert!(began.elapsed() < SOON, "{url} has {health:#}\n{}", gateway.said());
        sleep(Duration::from_millis(10)).await;
    }
}

async fn until_well(gateway: &Gateway, url: &str) -> Value {
    let good =
        |it: &Value| it["well"] == true && it["last"].is_object() && it["last"]["fault"].is_null();
    until_health(gateway, url, good).await
}

async fn until_ill(gateway: &Gateway, url: &str) -> Value {
    until_health(gateway, url, |it| it["well"] == false).await
}

/// It is ill, and this is what was wrong last.
async fn ill_by(gateway: &Gateway, url: &str, fault: &str) -> Value {
    let health = until_ill(gateway, url).await;
    assert_eq!(health["last"]["fault"], fault, "{health:#}");
    health
}

async fn metrics(gateway: &Gateway) -> String {
    let mut client = Client::connect(gateway.status).await.expect("it listens");
    client.exchange(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.text()
}

#[tokio::test]
async fn a_target_turns_ill_by_its_status_and_well_again() {
    let (one, two) = (Target::new(), Target::new());
    let gateway = start(&config(&[&one.url, &two.url], BY_PATH, "")).await;
    until_well(&gateway, &one.url).await;
    one.answers_checks_with(503);
    let ill = ill_by(&gateway, &one.url, "wrong_status").await;
    assert_eq!(ill["last"]["status"], 503, "{ill:#}");
    assert!(2 <= ill["in_a_row"].as_u64().unwrap(), "{ill:#}");
    assert_eq!(ill["turns"][0]["fault"], "wrong_status", "{ill:#}");
    assert_eq!(ill["turns"][0]["at"], ill["since"], "{ill:#}");
    assert_eq!(until_well(&gateway, &two.url).await["turns"], Value::Array(Vec::new()));
    let of = |url: &str, value| {
        format!("goodgate_target_healthy{{upstream=\"app\",target=\"{url}\"}} {value}\n")
    };
    let said = metrics(&gateway).await;
    assert!(said.contains(&of(&one.url, 0)) && said.contains(&of(&two.url, 1)), "{said}");
    let outcome = format!("target=\"{}\",outcome=\"wrong_status\"}} ", one.url);
    assert!(said.contains(&outcome), "{said}");
    one.answers_checks_with(204);
    let well = until_well(&gateway, &one.url).await;
    let turns: Vec<_> = well["turns"].as_array().unwrap().iter().map(|it| &it["well"]).collect();
    assert_eq!(turns, [false, true], "{well:#}");
}

/// Sends so many requests one after the other, all of which are answered.
async fn ask(gateway: &Gateway, times: usize) {
    let mut client = gateway.client().await.expect("it listens");
    for _ in 0..times {
        assert_eq!(client.exchange(&get("/x")).await.status, Some(200), "{}", gateway.said());
    }
}

#[tokio::test]
async fn a_target_that_is_ill_gets_no_request_while_another_is_there() {
    for mood in [503, 0] {
        let (one, two) = (Target::new(), Target::new());
        let balance = "balance = \"round_robin\"\nslow_start = \"0s\"";
        let gateway = start(&config(&[&one.url, &two.url], BY_PATH, balance)).await;
        until_well(&gateway, &one.url).await;
        ask(&gateway, 4).await;
        assert!(!one.requests.all().is_empty(), "both are used");
        one.answers_checks_with(mood);
        until_ill(&gateway, &one.url).await;
        let before = one.requests.all().len();
        ask(&gateway, 20).await;
        assert_eq!(one.requests.all().len(), before);
        // An upstream that is ill as a whole is better than none.
        two.answers_checks_with(mood);
        until_ill(&gateway, &two.url).await;
        ask(&gateway, 4).await;
        one.answers_checks_with(200);
        until_well(&gateway, &one.url).await;
        let before = one.requests.all().len();
        ask(&gateway, 4).await;
        assert_eq!(one.requests.all().len(), before + 4);
    }
}

#[tokio::test]
async fn a_target_that_is_silent_turns_ill_within_the_limit() {
    let one = Target::new();
    one.answers_checks_with(0);
    let gateway = start(&config(&[&one.url], BY_PATH, "")).await;
    let ill = ill_by(&gateway, &one.url, "first_byte_timed_out").await;
    let took = ill["last"]["took"].as_u64().unwrap();
    assert!((300_000..2_000_000).contains(&took), "{ill:#}");
    one.answers_checks_with(200);
    until_well(&gateway, &one.url).await;
}

#[tokio::test]
async fn a_check_says_who_it_is_and_ends_its_connection() {
    let one = Target::new();
    let health = "path = \"/deep/health?a=1\", host = \"health.internal\"";
    let base = format!("{}/base", one.url);
    let gateway = start(&config(&[&base], health, "")).await;
    until_well(&gateway, &base).await;
    let check = one.checks.all().remove(0);
    assert!(check.starts_with("GET /base/deep/health?a=1 HTTP/1.1\r\n"), "{check}");
    assert!(check.contains("\r\nhost: health.internal\r\n"), "{check}");
    assert!(check.contains("\r\nuser-agent: goodgate-health/"), "{check}");
    assert!(check.contains("\r\nconnection: close\r\n"), "{check}");
    // Requests have nothing to do with them.
    let mut client = gateway.client().await.unwrap();
    assert_eq!(client.exchange(&get("/x")).await.status, Some(200));
    assert_eq!(one.requests.all().len(), 1);
    assert_eq!(gateway.records_soon(1).await.len(), 1);
}

#[tokio::test]
async fn a_host_for_all_requests_is_that_of_checks_too() {
    let (one, two) = (Target::new(), Target::new());
    let named = start(&config(&[&one.url], BY_PATH, "host = \"shop.internal\"")).await;
    let plain = start(&config(&[&two.url], BY_PATH, "")).await;
    until_well(&named, &one.url).await;
    until_well(&plain, &two.url).await;
    let (named, plain) = (one.checks.all().remove(0), two.checks.all().remove(0));
    assert!(named.contains("\r\nhost: shop.internal\r\n"), "{named}");
    let authority = two.url.strip_prefix("http://").unwrap();
    assert!(plain.contains(&format!("\r\nhost: {authority}\r\n")), "{plain}");
}

#[tokio::test]
async fn what_breaks_is_named_as_with_requests() {
    let closed = format!("http://127.0.0.1:{}", stage::free_port().unwrap());
    for health in [BY_PATH, "by = \"tcp\"", "by = \"grpc\""] {
        let gateway = start(&config(&[&closed], health, "")).await;
        let ill = ill_by(&gateway, &closed, "connection_refused").await;
        assert_eq!(ill["last"]["errno"], 111, "{ill:#}");
    }
    let table: [(&[u8], &str); 5] = [
        (b"", "closed_before_head"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "closed_before_head"),
        (b"220 mail.example\r\n", "not_http"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "repeated_content_length",
        ),
        (b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "unasked_upgrade"),
    ];
    for (answer, fault) in table {
        let (url, _task) = plain(move |mut stream| async move {
            stage::read_request(&mut stream).await?;
            stream.write_all(answer).await?;
            stage::end(stream).await
        });
        let gateway = start(&config(&[&url], BY_PATH, "")).await;
        ill_by(&gateway, &url, fault).await;
    }
}

fn plain<F>(talk: impl Fn(TcpStream) -> F + Send + 'static) -> (String, Task)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = stage::listener().expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    (url, stage::serve(listener, talk))
}

/// Interim answers and bodies that are not whole change nothing; a body is not taken without end.
#[tokio::test]
async fn the_status_decides_whatever_the_body_does() {
    let table: [&[u8]; 4] = [
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.0 204 No Content\r\n\r\n",
    ];
    for answer in table {
        let (url, _task) = plain(move |mut stream| async move {
            stage::read_request(&mut stream).await?;
            stream.write_all(answer).await?;
            stage::end(stream).await
        });
        let gateway = start(&config(&[&url], BY_PATH, "")).await;
        until_well(&gateway, &url).await;
    }
    let (url, _task) = plain(|mut stream| async move {
        stage::read_request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
        loop {
            stream.write_all(b"10\r\n0123456789abcdef\r\n").await?;
        }
    });
    let gateway = start(&config(&[&url], BY_PATH, "")).await;
    let often = |it: &Value| it["well"] == true && 5 <= it["in_a_row"].as_u64().unwrap_or(0);
    until_health(&gateway, &url, often).await;
}

/// A listener of TLS; without names it knows nothing of ALPN.
fn tls(papers: &Papers, alpn: &[&[u8]]) -> TlsAcceptor {
    let (certificate, key) = papers.issue(&["target.test"]);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate and its key");
    config.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_target_under_tls_is_asked_under_tls() {
    let papers = Papers::new("health-tls");
    let ca = papers.path("ca.pem");
    let trusted = format!("tls = {{ ca = {ca:?}, server_name = \"target.test\" }}");
    let other = format!("tls = {{ ca = {ca:?}, server_name = \"other.test\" }}");
    let http2 = format!("protocol = \"http2\"\n{trusted}");
    let either = format!("protocol = \"auto\"\n{trusted}");
    let table = [
        (BY_PATH, &trusted, None),
        (BY_PATH, &either, None),
        ("by = \"tcp\"", &trusted, None),
        (BY_PATH, &other, Some("certificate_wrong_name")),
        ("by = \"tcp\"", &other, Some("certificate_wrong_name")),
        (BY_PATH, &http2, Some("no_http2_by_alpn")),
        ("by = \"grpc\"", &trusted, Some("no_http2_by_alpn")),
    ];
    let acceptor = tls(&papers, &[]);
    let (url, _task) = plain(move |stream| {
        let acceptor = acceptor.clone();
        async move { stage::answer_well(acceptor.accept(stream).await?).await }
    });
    let url = url.replace("http://", "https://");
    for (health, more, fault) in table {
        let gateway = start(&config(&[&url], health, more)).await;
        match fault {
            None => until_well(&gateway, &url).await,
            Some(fault) => ill_by(&gateway, &url, fault).await,
        };
    }
}

#[tokio::test]
async fn a_target_that_chooses_http2_under_tls_is_asked_over_it() {
    let papers = Papers::new("health-alpn");
    let acceptor = tls(&papers, &[b"h2"]);
    let (url, _task) = plain(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await?;
            let shaken = h2::server::handshake(stream).await.map_err(io::Error::other)?;
            each(shaken, |request, respond| health_service(request, respond, 1)).await
        }
    });
    let url = url.replace("http://", "https://");
    let ca = papers.path("ca.pem");
    let trusted = format!("tls = {{ ca = {ca:?}, server_name = \"target.test\" }}");
    let gateway = start(&config(&[&url], "service = \"shop\"", &trusted)).await;
    until_well(&gateway, &url).await;
    // The same server answers a GET by 200 with a status of gRPC, as such servers do.
    let either = format!("protocol = \"auto\"\n{trusted}");
    let gateway = start(&config(&[&url], BY_PATH, &either)).await;
    until_well(&gateway, &url).await;
}

#[tokio::test]
async fn a_name_is_asked_at_its_addresses() {
    let one = Target::new();
    let url = one.url.replace("127.0.0.1", "localhost");
    let gateway = start(&config(&[&url], BY_PATH, "")).await;
    until_well(&gateway, &url).await;
    let missing = "http://app.lab.test:80";
    let text = config(&[missing], BY_PATH, "");
    let gateway = start(&format!("[dns]\nservers = [\"127.0.0.1:1\"]\n{text}")).await;
    // Nobody said that there is no such name.
    let asked = |it: &Value| 3 <= it["in_a_row"].as_u64().unwrap_or(0);
    let health = until_health(&gateway, missing, asked).await;
    assert_eq!(health["well"], true, "{health:#}");
    let fault = health["last"]["fault"].as_str().unwrap();
    assert!(["no_dns_server", "dns_timed_out"].contains(&fault), "{health:#}");
}

#[tokio::test]
async fn so_many_are_asked_at_a_time_and_no_more() {
    const MOST: u16 = 64;
    let (open, most) = <(Arc<AtomicU16>, Arc<AtomicU16>)>::default();
    let (counted, seen) = (open.clone(), most.clone());
    let (url, _task) = plain(move |mut stream| {
        let (open, most) = (counted.clone(), seen.clone());
        async move {
            most.fetch_max(open.fetch_add(1, SeqCst) + 1, SeqCst);
            let asked = stage::read_request(&mut stream).await;
            // Told apart from one that has just gone: it was here all that time.
            sleep(Duration::from_millis(150)).await;
            open.fetch_sub(1, SeqCst);
            asked?;
            stream.write_all(OK.as_bytes()).await
        }
    });
    let urls: Vec<String> = (0..MOST + 40).map(|it| format!("{url}/{it}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let health = "path = \"/\", interval = \"10ms\", timeout = \"5s\"";
    let config = format!(
        "[upstream.app]\ntargets = {urls:?}\nhealth = {{ {health} }}\n\
         [route.app]\nmatch = \"/*\"\nto = \"app\"\n"
    );
    let gateway = start(&config).await;
    for url in urls {
        until_well(&gateway, url).await;
    }
    assert_eq!(most.load(SeqCst), MOST);
}

#[tokio::test]
async fn a_question_does_not_hold_back_the_end() {
    let one = Target::new();
    one.answers_checks_with(0);
    let config = config(&[&one.url], BY_PATH, "").replace("300ms", "1h");
    let mut gateway = start(&config).await;
    until(|| async { 0 < one.asked() }, "it is not asked").await;
    gateway.terminate();
    assert!(gateway.ended(SOON).await.unwrap().success(), "{}", gateway.said());
}

#[tokio::test]
async fn a_target_that_speaks_no_tls_is_named_as_that() {
    let (url, _task) = plain(stage::answer_well::<TcpStream>);
    let https = url.replace("http://", "https://");
    let gateway = start(&config(&[&https], "by = \"tcp\"", "")).await;
    let said = until_ill(&gateway, &https).await;
    // It waits for a request, or complains of one: that is its choice.
    let fault = said["last"]["fault"].as_str().unwrap();
    assert!(["plain_http_to_tls", "handshake_timed_out"].contains(&fault), "{said:#}");
}

#[tokio::test]
async fn a_target_at_a_unix_socket_is_asked_there() {
    let scratch = Scratch::new("health-unix").unwrap();
    let path = scratch.path().join("app.sock");
    let url = format!("unix:{}", path.display());
    let gateway = start(&config(&[&url], BY_PATH, "")).await;
    ill_by(&gateway, &url, "socket_missing").await;
    let listener = UnixListener::bind(&path).unwrap();
    let _task = stage::serve_unix(listener, stage::answer_well);
    until_well(&gateway, &url).await;
}

#[tokio::test]
async fn a_target_behind_the_proxy_protocol_is_told_that_nobody_calls() {
    // Version 2 and LOCAL, without addresses.
    const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    let (url, _task) = plain(|mut stream| async move {
        let mut header = [0; HEADER.len()];
        stream.read_exact(&mut header).await?;
        if header != HEADER {
            return stage::reset(stream);
        }
        stage::answer_well(stream).await
    });
    let gateway = start(&config(&[&url], BY_PATH, "proxy_protocol = true")).await;
    until_well(&gateway, &url).await;
}

/// Answers by h2, as `serve2` does.
fn over_http2<F>(
    answer: impl Fn(http::Request<h2::RecvStream>, SendResponse<Bytes>) -> F
    + Clone
    + Send
    + Sync
    + 'static,
) -> (String, Task)
where
    F: Future<Output = Result<(), h2::Error>> + Send + 'static,
{
    let listener = stage::listener().expect("a free port");
    let url = format!("h2c://{}", listener.local_addr().expect("it is bound"));
    (url, stage::serve(listener, move |stream| serve2(stream, answer.clone())))
}

#[tokio::test]
async fn a_target_of_http2_is_asked_over_http2() {
    let (url, _task) = over_http2(|request, mut respond| async move {
        let host = request.uri().authority().map_or("", |it| it.as_str());
        let good = request.uri().path() == "/health"
            && host == "h.internal"
            && request.headers()["user-agent"]
                .to_str()
                .is_ok_and(|it| it.starts_with("goodgate-health/"));
        let answer = Response::builder().status(if good { 200 } else { 500 });
        let mut send = respond.send_response(answer.body(()).expect("it is one"), false)?;
        send.send_data(Bytes::from_static(b"fine"), true)
    });
    let health = format!("{BY_PATH}, host = \"h.internal\"");
    let gateway = start(&config(&[&url], &health, "")).await;
    until_well(&gateway, &url).await;

    // Whoever answers by HTTP/1 is told apart from whoever says nothing.
    let (one, _task) = plain(|mut stream| async move {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        stage::end(stream).await
    });
    let one = one.replace("http://", "h2c://");
    let gateway = start(&config(&[&one], BY_PATH, "")).await;
    ill_by(&gateway, &one, "answered_http1").await;
}

/// A gRPC server of which one service is known.
async fn health_service(
    request: http::Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    serving: u8,
) -> Result<(), h2::Error> {
    let path = request.uri().path().to_owned();
    let timeout = request.headers().contains_key("grpc-timeout");
    let mut body = request.into_body();
    let mut asked = Vec::new();
    while let Some(data) = body.data().await {
        asked.extend_from_slice(&data?);
    }
    let head = Response::builder().header("content-type", "application/grpc");
    let alone = |code: &str| {
        let head = Response::builder().header("content-type", "application/grpc");
        head.header("grpc-status", code).body(()).expect("it is one")
    };
    match asked.as_slice() {
        _ if path != "/grpc.health.v1.Health/Check" || !timeout => {
            respond.send_response(alone("12"), true)?;
        }
        [0, 0, 0, 0, 0] | [0, 0, 0, 0, 6, 0x0a, 4, b's', b'h', b'o', b'p'] => {
            let mut send = respond.send_response(head.body(()).expect("it is one"), false)?;
            send.send_data(Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, serving]), false)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            send.send_trailers(trailers)?;
        }
        _ => drop(respond.send_response(alone("5"), true)?),
    }
    Ok(())
}

#[tokio::test]
async fn a_grpc_server_is_asked_by_its_health_service() {
    let table = [
        ("by = \"grpc\"", 1, None),
        ("service = \"shop\"", 1, None),
        ("service = \"shop\"", 2, Some("not_serving")),
        ("by = \"grpc\"", 0, Some("not_serving")),
        ("service = \"other\"", 1, Some("unknown_service")),
    ];
    for (health, serving, fault) in table {
        let (url, _task) =
            over_http2(move |request, respond| health_service(request, respond, serving));
        let gateway = start(&config(&[&url], health, "")).await;
        match fault {
            None => until_well(&gateway, &url).await,
            Some(fault) => ill_by(&gateway, &url, fault).await,
        };
    }
    let (url, _task) = over_http2(|_, mut respond| async move {
        let answer = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "12");
        respond.send_response(answer.body(()).expect("it is one"), true).map(drop)
    });
    let gateway = start(&config(&[&url], "by = \"grpc\"", "")).await;
    ill_by(&gateway, &url, "no_health_service").await;
    let (url, _task) = over_http2(|_, mut respond| async move {
        let answer = Response::builder().status(404).body(()).expect("it is one");
        respond.send_response(answer, true).map(drop)
    });
    let gateway = start(&config(&[&url], "by = \"grpc\"", "")).await;
    let ill = ill_by(&gateway, &url, "not_grpc").await;
    assert_eq!(ill["last"]["status"], 404, "{ill:#}");
}

async fn reload(gateway: &Gateway, config: &str) {
    let output = gateway.reload(config).await.expect("the command runs");
    assert!(output.status.success(), "{output:?}\n{}", gateway.said());
}

#[tokio::test]
async fn checks_go_on_over_a_reload_and_follow_what_it_changes() {
    let (one, two) = (Target::new(), Target::new());
    let first = config(&[&one.url], BY_PATH, "");
    let gateway = start(&first).await;
    one.answers_checks_with(500);
    until_ill(&gateway, &one.url).await;
    // Something else changes: what is known stays, and the questions go on.
    reload(&gateway, &format!("[dns]\ntimeout = \"4s\"\n{first}")).await;
    assert_eq!(health_of(&gateway, &one.url).await["well"], false);
    one.until_asked(2).await;
    // Another path, and a target more: both at once.
    let slow = "path = \"/slow\", interval = \"1h\", timeout = \"300ms\"";
    let changed = config(&[&one.url, &two.url], "path = \"/other\"", "");
    reload(&gateway, &changed).await;
    two.until_asked(1).await;
    let other = || async { one.checks.all().iter().any(|it| it.starts_with("GET /other ")) };
    until(other, "the new path is not asked for").await;
    // Within an hour's pause it is noticed that the pause is over.
    let hour = format!(
        "[upstream.app]\ntargets = [{:?}, {:?}]\nhealth = {{ {slow} }}\n\
         [route.app]\nmatch = \"/*\"\nto = \"app\"\n",
        one.url, two.url
    );
    reload(&gateway, &hour).await;
    let slow = || async { two.checks.all().iter().any(|it| it.starts_with("GET /slow ")) };
    until(slow, "the new settings are not asked by").await;
    reload(&gateway, &config(&[&two.url], BY_PATH, "")).await;
    two.until_asked(2).await;
    // Whoever has gone is asked no more.
    let left = one.asked();
    two.until_asked(5).await;
    assert_eq!(one.asked(), left);
    // And what nobody asks is not ill.
    two.answers_checks_with(500);
    until_ill(&gateway, &two.url).await;
    let unasked = format!(
        "[upstream.app]\ntargets = [{:?}]\n[route.app]\nmatch = \"/*\"\nto = \"app\"\n",
        two.url
    );
    reload(&gateway, &unasked).await;
    until_health(&gateway, &two.url, Value::is_null).await;
}

#[tokio::test]
async fn one_question_at_a_time_whatever_a_reload_does() {
    let open = Arc::new(AtomicU16::new(0));
    let most = Arc::new(AtomicU16::new(0));
    let (counted, seen) = (open.clone(), most.clone());
    let (url, _task) = plain(move |mut stream| {
        let (open, most) = (counted.clone(), seen.clone());
        async move {
            most.fetch_max(open.fetch_add(1, SeqCst) + 1, SeqCst);
            // It is silent until we leave.
            let _ = stage::read_request(&mut stream).await;
            let _ = stage::stay(stream).await;
            open.fetch_sub(1, SeqCst);
            Ok(())
        }
    });
    let gateway = start(&config(&[&url], BY_PATH, "")).await;
    for path in ["/a", "/b", "/c", "/d"] {
        let health = format!("path = \"{path}\"");
        until(|| async { 0 < open.load(SeqCst) }, "it is not asked").await;
        reload(&gateway, &config(&[&url], &health, "")).await;
    }
    until(|| async { 0 < open.load(SeqCst) }, "it is not asked").await;
    // The end of one connection may be seen after the beginning of the next.
    assert!(most.load(SeqCst) <= 2, "{} at once", most.load(SeqCst));
}

/// A target whose checks get this status for ever, and whose requests are answered.
#[tokio::test]
async fn a_check_that_asks_for_the_wrong_thing_is_told_and_does_not_count() {
    let one = Target::new();
    one.answers_checks_with(404);
    let gateway = start(&config(&[&one.url], BY_PATH, "")).await;
    let mut client = gateway.client().await.unwrap();
    until_ill(&gateway, &one.url).await;
    for _ in 0..10 {
        assert_eq!(client.exchange(&get("/x")).await.status, Some(200));
    }
    let told = until_health(&gateway, &one.url, |it| it["wrong_path"] == true).await;
    assert_eq!(told["well"], true, "{told:#}");
    assert_eq!(told["last"]["status"], 404, "{told:#}");
    let said = "a health check asks for the wrong thing";
    until(|| async { gateway.said().contains(said) }, "nobody was told").await;
    one.until_asked(3).await;
    let kept = health_of(&gateway, &one.url).await;
    assert_eq!((&kept["well"], &kept["wrong_path"]), (&true.into(), &true.into()), "{kept:#}");
    assert_eq!(gateway.said().matches(said).count(), 1, "{}", gateway.said());
    assert!(metrics(&gateway).await.contains("kind=\"health_check_wrong_path\"}"));
    // What the target says of itself is believed.
    one.answers_checks_with(503);
    let ill = ill_by(&gateway, &one.url, "wrong_status").await;
    assert_eq!(ill["wrong_path"], false, "{ill:#}");
}

#[tokio::test]
async fn a_check_that_another_target_passes_is_right() {
    let (one, two) = (Target::new(), Target::new());
    let gateway = start(&config(&[&one.url, &two.url], BY_PATH, "")).await;
    until_well(&gateway, &two.url).await;
    // People take a target out by removing the file that its check asks for.
    one.answers_checks_with(404);
    let mut client = gateway.client().await.unwrap();
    for _ in 0..40 {
        assert_eq!(client.exchange(&get("/x")).await.status, Some(200));
    }
    let ill = ill_by(&gateway, &one.url, "wrong_status").await;
    assert_eq!(ill["wrong_path"], false, "{ill:#}");
    // Once no other target passes, the check is what both have in common.
    two.answers_checks_with(404);
    for _ in 0..200 {
        assert_eq!(client.exchange(&get("/x")).await.status, Some(200));
        let [first, second] =
            [health_of(&gateway, &one.url).await, health_of(&gateway, &two.url).await];
        if first["wrong_path"] == true || second["wrong_path"] == true {
            return;
        }
    }
    panic!("{:#}", health_of(&gateway, &one.url).await);
}
