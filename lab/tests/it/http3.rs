//! HTTP/3 from clients: the same routes over QUIC, by a client that keeps the rules and by one that
//! writes what it likes.

use crate::doors::{Papers, ask};
use crate::world::{OK, SOON, Seen, World, answer_each, echo, holds, signal, told, world_with};
use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3::error::Code;
use h3_quinn::OpenStreams;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use lab::client::Client;
use lab::stage;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, TransportConfig,
    VarInt,
};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A gateway that speaks HTTP/3, and what its clients need.
pub(crate) struct Door {
    pub(crate) world: World,
    papers: Papers,
    address: SocketAddr,
}

impl Door {
    async fn open<F>(test: &str, talk: impl Fn(TcpStream) -> F + Send + 'static) -> Door
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        Door::with(test, "", "", talk).await
    }

    /// With more settings of `https`, and more configuration.
    pub(crate) async fn with<F>(
        test: &str,
        https: &str,
        config: &str,
        talk: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Door
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let papers = Papers::new(&format!("http3-{test}"));
        let folder = papers.path("");
        let https = https.replace("{folder}", folder.to_str().expect("the test can go on"));
        let (settings, address) = papers.https(&https);
        let world = world_with(&format!("http3 = true\n{settings}{config}"), talk).await;
        Door { world, papers, address }
    }

    fn endpoint(&self, own: bool, transport: TransportConfig) -> Endpoint {
        endpoint(&self.papers, own, transport)
    }

    async fn dial(&self) -> Connection {
        let endpoint = self.endpoint(false, TransportConfig::default());
        self.dial_from(&endpoint, "one.test").await.expect("a connection")
    }

    async fn dial_from(&self, endpoint: &Endpoint, name: &str) -> Result<Connection, String> {
        dial(endpoint, self.address, name).await
    }

    pub(crate) async fn client(&self) -> SendRequest<OpenStreams, Bytes> {
        speak(self.dial().await).await
    }
}

fn endpoint(papers: &Papers, own: bool, transport: TransportConfig) -> Endpoint {
    let tls = papers.caller(own, &[b"h3"]);
    let crypto = QuicClientConfig::try_from(tls).expect("the test can go on");
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    let mut endpoint = Endpoint::client(HERE).expect("the test can go on");
    endpoint.set_default_client_config(config);
    endpoint
}

async fn dial(endpoint: &Endpoint, to: SocketAddr, name: &str) -> Result<Connection, String> {
    let connecting = endpoint.connect(to, name).expect("the test can go on");
    let connected = timeout(SOON, connecting).await.map_err(|it| it.to_string())?;
    connected.map_err(|it| it.to_string())
}

/// A connection of a client that trusts these papers.
pub(crate) async fn connect(papers: &Papers, to: SocketAddr) -> Result<Connection, String> {
    dial(&endpoint(papers, false, TransportConfig::default()), to, "one.test").await
}

pub(crate) async fn speak(connection: Connection) -> SendRequest<OpenStreams, Bytes> {
    let connection = h3_quinn::Connection::new(connection);
    let (mut driver, send) = h3::client::new(connection).await.expect("the test can go on");
    tokio::spawn(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
    send
}

fn request(method: Method, path: &str) -> Request<()> {
    let uri = format!("https://one.test{path}");
    Request::builder().method(method).uri(uri).body(()).expect("the test can go on")
}

pub(crate) async fn asked(send: &mut SendRequest<OpenStreams, Bytes>, path: &str) -> Stream {
    let mut stream = send.send_request(request(Method::GET, path)).await.expect("it is sent");
    stream.finish().await.expect("it is sent");
    stream
}

pub(crate) async fn answer(stream: &mut Stream) -> Response<()> {
    timeout(SOON, stream.recv_response()).await.expect("an answer in time").expect("an answer")
}

/// The body and its trailers, or why it broke off.
pub(crate) async fn body(stream: &mut Stream) -> Result<(String, HeaderMap), String> {
    let reason = |it: h3::error::StreamError| it.to_string();
    let mut all = Vec::new();
    while let Some(mut data) =
        timeout(SOON, stream.recv_data()).await.expect("data in time").map_err(reason)?
    {
        all.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    let trailers = stream.recv_trailers().await.map_err(reason)?.unwrap_or_default();
    Ok((String::from_utf8(all).expect("the test can go on"), trailers))
}

async fn get(send: &mut SendRequest<OpenStreams, Bytes>, path: &str) -> (Response<()>, String) {
    let mut stream = asked(send, path).await;
    let answer = answer(&mut stream).await;
    (answer, body(&mut stream).await.expect("a whole body").0)
}

#[tokio::test]
async fn requests_by_quic_are_answered_each() {
    let door = Door::open("each", echo).await;
    let mut send = door.client().await;
    let paths = ["/a", "/b?x=1", "/c"];
    let mut streams = Vec::new();
    for path in paths {
        streams.push(asked(&mut send, path).await);
    }
    for (path, mut stream) in paths.iter().zip(streams) {
        let answer = answer(&mut stream).await;
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().get("connection").is_none());
        let (text, _) = body(&mut stream).await.unwrap();
        assert_eq!(text, format!("GET {path} one.test "));
    }
    let records = door.world.gateway.records_soon(3).await;
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|it| it["end"] == "complete"), "{records:?}");
}

#[tokio::test]
async fn the_upstream_is_told_where_a_request_came_by() {
    let seen = Seen::default();
    let door = Door::open("told", {
        let seen = seen.clone();
        move |stream| answer_each(stream, OK, seen.clone())
    })
    .await;
    let mut send = door.client().await;
    let mut head = request(Method::GET, "/");
    for cookie in ["a=1", "b=2"] {
        head.headers_mut().append("cookie", HeaderValue::from_static(cookie));
    }
    let mut stream = send.send_request(head).await.unwrap();
    stream.finish().await.unwrap();
    assert_eq!(answer(&mut stream).await.status(), 200);
    let seen = seen.all();
    let head = &seen[0];
    assert!(head.contains("via: 3 goodgate"), "{head}");
    assert!(head.contains("cookie: a=1; b=2\r\n"), "{head}");
    assert!(head.contains("x-forwarded-proto: https\r\n"), "{head}");
    // A request that ends with its head, or just after it, goes on without a body.
    assert!(!head.contains("transfer-encoding"), "{head}");
}

/// Answers with what it read, trailers and all, and with a trailer of its own.
async fn read_all(mut stream: TcpStream) -> std::io::Result<()> {
    let mut all = Vec::new();
    let ends = |all: &[u8]| {
        let text = String::from_utf8_lossy(all);
        text.ends_with("\r\n\r\n") && text.contains("\r\n0\r\n")
    };
    while !ends(&all) {
        if stream.read_buf(&mut all).await? == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&all);
    let letters = text.rsplit_once("\r\n0\r\n").map_or(0, |it| it.0.matches('x').count());
    let trailer = text.rsplit_once("\r\n0\r\n").map_or("", |it| it.1).trim();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
         4\r\nhead\r\n4\r\ntail\r\n0\r\nx-sum: {letters} {trailer}\r\n\r\n",
    );
    stream.write_all(answer.as_bytes()).await?;
    stage::end(stream).await
}

#[tokio::test]
async fn a_body_goes_up_in_pieces_and_trailers_go_both_ways() {
    let door = Door::open("up", read_all).await;
    let mut send = door.client().await;
    let mut stream = send.send_request(request(Method::POST, "/up")).await.unwrap();
    for _ in 0..10 {
        timeout(SOON, stream.send_data(Bytes::from(vec![b'x'; 20_000]))).await.unwrap().unwrap();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("y-mine", HeaderValue::from_static("1"));
    stream.send_trailers(trailers).await.unwrap();
    stream.finish().await.unwrap();
    assert_eq!(answer(&mut stream).await.status(), 200);
    let (text, trailers) = body(&mut stream).await.unwrap();
    assert_eq!(text, "headtail");
    // The head holds an `x` of its own in a few names.
    let sum = trailers["x-sum"].to_str().unwrap();
    let (letters, theirs) = sum.split_once(' ').unwrap();
    assert!(200_000 <= letters.parse::<usize>().unwrap(), "{sum}");
    assert_eq!(theirs, "y-mine: 1");
}

#[tokio::test]
async fn a_stalled_reader_holds_back_no_other() {
    let door = Door::open("stalled", |mut stream: TcpStream| async move {
        while let Some(request) = stage::read_request(&mut stream).await? {
            let large = request.target() == "/large";
            let body = vec![b'x'; if large { 4 << 20 } else { 5 }];
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
        }
        Ok(())
    })
    .await;
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(64 * 1024));
    let endpoint = door.endpoint(false, transport);
    let mut send = speak(door.dial_from(&endpoint, "one.test").await.unwrap()).await;
    let mut stalled = Vec::new();
    for _ in 0..5 {
        let mut stream = asked(&mut send, "/large").await;
        assert_eq!(answer(&mut stream).await.status(), 200);
        stalled.push(stream);
    }
    for _ in 0..5 {
        assert_eq!(get(&mut send, "/small").await.1, "xxxxx");
    }
    let whole = body(&mut stalled.pop().unwrap()).await.unwrap();
    assert_eq!(whole.0.len(), 4 << 20);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_given_up() {
    let config = "timeout = { body = \"300ms\" }\n";
    let talk = |mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n").await?;
        stream.write_all(&vec![b'x'; 4_000_000]).await?;
        stage::stay(stream).await
    };
    let door = Door::with("nothing", "", config, talk).await;
    let mut send = door.client().await;
    let mut stream = asked(&mut send, "/").await;
    assert_eq!(answer(&mut stream).await.status(), 200);
    let records = door.world.gateway.records_soon(1).await;
    assert_eq!(records[0]["end"], "client_closed", "{records:?}");
    assert!(body(&mut stream).await.is_err());
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let door = Door::open("cut", |mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        // Too large to be held back until it is whole.
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf").await?;
        stage::end(stream).await
    })
    .await;
    let mut send = door.client().await;
    let mut stream = asked(&mut send, "/").await;
    // What came before is not lost.
    assert_eq!(answer(&mut stream).await.status(), 200);
    let half = timeout(SOON, stream.recv_data()).await.unwrap().unwrap();
    assert_eq!(half.map(|mut it| it.copy_to_bytes(it.remaining())), Some("half".into()));
    assert!(body(&mut stream).await.is_err());
    let records = door.world.gateway.records_soon(1).await;
    assert_eq!(records[0]["cause"], "content_length_short", "{records:?}");
}

#[tokio::test]
async fn a_stream_that_is_taken_back_is_recorded_once_as_that() {
    let (reached, upstream_has_it) = signal();
    let door = Door::open("back", move |stream| holds(stream, reached.clone())).await;
    let mut send = door.client().await;
    let mut stream = asked(&mut send, "/first").await;
    told(&upstream_has_it).await;
    stream.stop_sending(Code::H3_REQUEST_CANCELLED);
    let records = door.world.gateway.records_soon(1).await;
    assert_eq!(records[0]["end"], "client_closed", "{records:?}");
    // The connection serves on; and a client that leaves with a request under way is one that left.
    let _stream = asked(&mut send, "/second").await;
    told(&upstream_has_it).await;
    drop((stream, _stream, send));
    let records = door.world.gateway.records_soon(2).await;
    let ends: Vec<_> = records.iter().map(|it| (&it["path"], &it["end"])).collect();
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(ends.iter().all(|it| it.1 == "client_closed"), "{ends:?}");
    let all = door.world.gateway.stopped().await.unwrap();
    assert_eq!(all.len(), 2, "{all:?}");
}

#[tokio::test]
async fn a_client_may_move_to_another_address() {
    let door = Door::open("moved", echo).await;
    let endpoint = door.endpoint(false, TransportConfig::default());
    let mut send = speak(door.dial_from(&endpoint, "one.test").await.unwrap()).await;
    assert_eq!(get(&mut send, "/before").await.0.status(), 200);
    for _ in 0..4 {
        endpoint.rebind(UdpSocket::bind(HERE).unwrap()).unwrap();
        assert_eq!(get(&mut send, "/after").await.0.status(), 200);
    }
}

#[tokio::test]
async fn names_and_callers_are_told_apart_as_under_https() {
    let door = Door::with("callers", ", client_ca = \"{folder}/ca.pem\"", "", echo).await;
    let known = door.endpoint(true, TransportConfig::default());
    for name in ["one.test", "a.two.test"] {
        let mut send = speak(door.dial_from(&known, name).await.unwrap()).await;
        assert_eq!(get(&mut send, "/").await.0.status(), 200, "{name}");
    }
    assert!(door.dial_from(&known, "three.test").await.is_err());
    // In TLS 1.3 the refusal comes after the client's part of the handshake.
    let unknown = door.endpoint(false, TransportConfig::default());
    if let Ok(connection) = door.dial_from(&unknown, "one.test").await {
        let why = timeout(SOON, connection.closed()).await.unwrap();
        assert!(matches!(why, ConnectionError::ConnectionClosed(_)), "{why:?}");
    }
    assert_eq!(door.world.gateway.records_soon(2).await.len(), 2);
}

#[tokio::test]
async fn answers_under_tls_say_that_http3_is_spoken_where_it_is() {
    let door = Door::open("alternative", echo).await;
    let expected = format!("h3=\":{}\"; ma=3600", door.address.port());
    let mut old = door.papers.dial(door.address, "one.test", false, &[]).await.unwrap();
    let text = ask(&mut old).await.unwrap();
    assert!(text.contains(&format!("alt-svc: {expected}\r\n")), "{text}");
    let mut plain = door.world.gateway.client().await.unwrap();
    let answer = plain.exchange(&crate::world::get("/")).await;
    assert_eq!(answer.field("alt-svc"), None);
    let mut send = door.client().await;
    assert_eq!(get(&mut send, "/").await.0.headers()["alt-svc"], expected);

    let papers = Papers::new("http3-off");
    let (settings, address) = papers.https("");
    let _world = world_with(&settings, echo).await;
    let mut old = papers.dial(address, "one.test", false, &[]).await.unwrap();
    let text = ask(&mut old).await.unwrap();
    assert!(!text.contains("alt-svc"), "{text}");
    UdpSocket::bind(address).expect("nobody has the port for UDP");
}

#[tokio::test]
async fn an_idle_connection_is_left() {
    let config = "timeout = { idle = \"200ms\" }\n";
    let door = Door::with("idle", "", config, echo).await;
    let connection = door.dial().await;
    let mut send = speak(connection.clone()).await;
    assert_eq!(get(&mut send, "/").await.0.status(), 200);
    let why = timeout(SOON, connection.closed()).await.unwrap();
    assert_eq!(closed_with(&why), Some(NO_ERROR), "{why:?}");
}

#[tokio::test]
async fn a_stream_that_does_not_say_what_it_is_is_not_waited_for() {
    let config = "timeout = { head = \"200ms\" }\n";
    let door = Door::with("aside", "", config, echo).await;
    let raw = Raw::connect(&door).await;
    // Half of an integer.
    let _stream = Raw::aside(&raw.connection, &[0x40]).await;
    assert_eq!(raw.code().await, Some(STREAM_CREATION_ERROR));
}

#[tokio::test]
async fn a_port_that_is_taken_for_udp_is_named() {
    let papers = Papers::new("http3-taken");
    let (settings, address) = papers.https("");
    let _taken = UdpSocket::bind(address).unwrap();
    let config =
        format!("http3 = true\n{settings}[route.a]\nmatch = \"/*\"\nto = \"http://{HERE}\"\n");
    let config = config.replace(":0\"", ":9\"");
    let Err(error) = lab::gateway::Gateway::start(&config).await else {
        panic!("it started");
    };
    let said = error.to_string();
    assert!(said.contains(&format!("{address} for HTTP/3 (UDP)")), "{said}");
}

#[tokio::test]
async fn more_connections_than_allowed_are_turned_away() {
    let config = "[limits]\nhttp3 = { connections = 2 }\n";
    let door = Door::with("crowd", "", config, echo).await;
    let endpoint = door.endpoint(false, TransportConfig::default());
    let mut kept = Vec::new();
    for _ in 0..2 {
        kept.push(door.dial_from(&endpoint, "one.test").await.unwrap());
    }
    assert!(door.dial_from(&endpoint, "one.test").await.is_err());
    assert_eq!(floods(&door, "bounds").await, 1);
    kept.remove(0).close(VarInt::from_u32(0x100), b"");
    // There is room again as soon as the gateway knows.
    let again = async { while door.dial_from(&endpoint, "one.test").await.is_err() {} };
    timeout(SOON, again).await.unwrap();
}

/// How much of many bodies that nobody takes is taken from this client.
async fn held_for(connection: &Connection) -> usize {
    let sent = Arc::new(AtomicUsize::new(0));
    let fields = [&[(":method", "POST")], &GOOD[1..]].concat();
    for _ in 0..40 {
        let (mut send, recv) = connection.open_bi().await.expect("the test can go on");
        let bytes = [head(&fields), frame(0, &[0; 1 << 20])].concat();
        let sent = sent.clone();
        tokio::spawn(async move {
            let _open = recv;
            let mut left = &bytes[..];
            while let Ok(amount) = send.write(left).await {
                sent.fetch_add(amount, Relaxed);
                left = &left[amount..];
            }
        });
    }
    // Until no more goes.
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = sent.load(Relaxed);
        if 0 < now && now == before {
            return now;
        }
        before = now;
    }
}

#[tokio::test]
async fn in_a_crowd_less_is_held_for_each() {
    let config = "[upstream.slow]\ntargets = [\"h2c://{addr}\"]\n\
                  [route.slow]\nmatch = \"/*\"\nto = \"slow\"\n";
    // It takes no byte of a body.
    let door = Door::with("held", "", config, |stream: TcpStream| async move {
        let mut builder = h2::server::Builder::new();
        let served = builder.initial_window_size(0).handshake::<_, Bytes>(stream).await;
        let mut served = served.map_err(std::io::Error::other)?;
        let mut kept = Vec::new();
        while let Some(asked) = served.accept().await {
            kept.push(asked);
        }
        Ok(())
    })
    .await;
    let endpoint = door.endpoint(false, TransportConfig::default());
    let first = door.dial_from(&endpoint, "one.test").await.unwrap();
    // The windows of forty streams, at the least.
    let held = held_for(&first).await;
    assert!((40 << 17..40 << 18).contains(&held), "{held}");
    let mut others = Vec::new();
    for _ in 0..256 {
        others.push(door.dial_from(&endpoint, "one.test").await.unwrap());
    }
    // One window for all, and what was looked at of each.
    let held = held_for(others.last().unwrap()).await;
    assert!((1 << 20..4 << 20).contains(&held), "{held}");
}

// What RFC 9114 8.1 and RFC 9204 6 call them.
const NO_ERROR: u64 = 0x100;
const STREAM_CREATION_ERROR: u64 = 0x103;
const CLOSED_CRITICAL_STREAM: u64 = 0x104;
const FRAME_UNEXPECTED: u64 = 0x105;
const FRAME_ERROR: u64 = 0x106;
const EXCESSIVE_LOAD: u64 = 0x107;
const ID_ERROR: u64 = 0x108;
const SETTINGS_ERROR: u64 = 0x109;
const MISSING_SETTINGS: u64 = 0x10a;
const DECOMPRESSION_FAILED: u64 = 0x200;
const ENCODER_STREAM_ERROR: u64 = 0x201;
const DECODER_STREAM_ERROR: u64 = 0x202;

fn closed_with(error: &ConnectionError) -> Option<u64> {
    match error {
        ConnectionError::ApplicationClosed(it) => Some(it.error_code.into_inner()),
        _ => None,
    }
}

/// A client that writes bytes as it likes.
struct Raw {
    connection: Connection,
    control: SendStream,
}

impl Raw {
    /// With a control stream and settings that are right.
    async fn connect(door: &Door) -> Raw {
        Raw::begin(door, &[0x00, 0x04, 0x00]).await
    }

    async fn begin(door: &Door, control: &[u8]) -> Raw {
        let connection = door.dial().await;
        let stream = Raw::aside(&connection, control).await;
        Raw { connection, control: stream }
    }

    async fn aside(connection: &Connection, bytes: &[u8]) -> SendStream {
        let mut stream = connection.open_uni().await.expect("the test can go on");
        // The connection may be over in the middle.
        let _ = stream.write_all(bytes).await;
        stream
    }

    /// A stream that begins so, and is whole where `ends` says so.
    async fn ask(&self, bytes: &[u8], ends: bool) -> (SendStream, RecvStream) {
        let (mut send, recv) = self.connection.open_bi().await.expect("the test can go on");
        let _ = send.write_all(bytes).await;
        if ends {
            let _ = send.finish();
        }
        (send, recv)
    }

    async fn code(&self) -> Option<u64> {
        let why = timeout(SOON, self.connection.closed()).await.expect("the connection ends");
        closed_with(&why)
    }
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("the test can go on") | 0x8000_0000;
    [&[kind][..], &length.to_be_bytes(), payload].concat()
}

/// A field with a name and a value, neither compressed nor from a table (RFC 9204 4.5.6).
fn field(name: &str, value: &str) -> Vec<u8> {
    let parts = [integer(0x20, 3, name.len()), name.into(), integer(0, 7, value.len())];
    [&parts.concat(), value.as_bytes()].concat()
}

/// RFC 7541 5.1.
fn integer(form: u8, bits: u32, value: usize) -> Vec<u8> {
    let byte = |it: usize| u8::try_from(it).expect("the test can go on");
    let ones = (1 << bits) - 1;
    if value < ones {
        return vec![form | byte(value)];
    }
    let mut all = vec![form | byte(ones)];
    let mut left = value - ones;
    while 0x80 <= left {
        all.push(byte(left % 0x80) | 0x80);
        left /= 0x80;
    }
    all.push(byte(left));
    all
}

/// HEADERS with these fields.
fn head(fields: Fields<'_>) -> Vec<u8> {
    let lines = fields.iter().flat_map(|(name, value)| field(name, value));
    frame(1, &[0, 0].into_iter().chain(lines).collect::<Vec<u8>>())
}

type Fields<'a> = &'a [(&'a str, &'a str)];

const GOOD: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "one.test"), (":path", "/")];

/// The status of an answer: its section begins with it, as an entry of the table or as digits.
async fn status(recv: &mut RecvStream) -> u16 {
    let bytes = timeout(SOON, recv.read_to_end(1 << 20)).await.expect("an answer in time");
    let bytes = bytes.expect("an answer");
    // HEADERS, its length of two bytes, and the prefix of the section.
    assert_eq!((bytes[0], bytes[1] >> 6), (1, 1), "{bytes:?}");
    match &bytes[5..] {
        [0xd9, ..] => 200,
        [0xff, 0x04, ..] => 400,
        [0x5f, 0x09, 3, a, b, c, ..] => {
            [a, b, c].iter().fold(0, |status, it| 10 * status + u16::from(**it - b'0'))
        }
        other => panic!("no status that is known here: {other:?}"),
    }
}

#[tokio::test]
async fn heads_that_break_a_rule_are_refused_and_recorded() {
    let seen = Seen::default();
    let door = Door::open("heads", {
        let seen = seen.clone();
        move |stream| answer_each(stream, OK, seen.clone())
    })
    .await;
    let raw = Raw::connect(&door).await;
    let long = format!("/{}", "x".repeat(9_000));
    let large = "x".repeat(40_000);
    let many = vec![("a", "b"); 101];
    let table: [(Fields<'_>, Fields<'_>, u16); 16] = [
        (&GOOD, &[], 200),
        (&GOOD, &[("host", "one.test")], 200),
        (&GOOD, &[("host", "two.test")], 400),
        (&GOOD, &[(":path", "/again")], 400),
        (&GOOD, &[("accept", "*/*"), (":authority", "one.test")], 400),
        (&GOOD, &[(":status", "200")], 400),
        (&GOOD[1..], &[], 400),
        (&GOOD[..3], &[], 400),
        (&GOOD[1..], &[(":method", "CONNECT")], 400),
        (&GOOD, &[("connection", "x")], 400),
        (&GOOD, &[("transfer-encoding", "chunked")], 400),
        (&GOOD, &[("content-length", "0"), ("content-length", "0")], 400),
        (&GOOD, &[("Upper", "x")], 400),
        (&GOOD[..3], &[(":path", &long)], 414),
        (&GOOD, &many, 431),
        (&GOOD, &[("x", &large)], 431),
    ];
    for (begin, more, expected) in table {
        let fields = [begin, more].concat();
        let (_send, mut recv) = raw.ask(&head(&fields), true).await;
        assert_eq!(status(&mut recv).await, expected, "{:.100}", format!("{fields:?}"));
    }
    // What is not as long as it says: cut short, and too long.
    for (length, body) in [("5", "abc"), ("2", "abc")] {
        let fields = [&[(":method", "POST")], &GOOD[1..], &[("content-length", length)]].concat();
        let bytes = [head(&fields), frame(0, body.as_bytes())].concat();
        let (_send, mut recv) = raw.ask(&bytes, true).await;
        assert_eq!(status(&mut recv).await, 400, "{length}");
    }
    assert_eq!(seen.all().len(), 2, "{:?}", seen.all());
    let records = door.world.gateway.records_soon(18).await;
    let refused = records.iter().filter(|it| it["cause"] == "malformed_request").count();
    assert_eq!((records.len(), refused), (18, 13), "{records:?}");
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_gets_it() {
    let door = Door::open("continue", echo).await;
    let raw = Raw::connect(&door).await;
    let waits = [("expect", "100-continue"), ("content-length", "3")];
    let fields = [&[(":method", "POST")], &GOOD[1..], &waits].concat();
    let (mut send, mut recv) = raw.ask(&head(&fields), false).await;
    // HEADERS of four bytes: the prefix, and entry 63 of the table, status 100.
    let mut interim = [0; 6];
    timeout(SOON, recv.read_exact(&mut interim)).await.unwrap().unwrap();
    assert_eq!(interim, [1, 4, 0, 0, 0xff, 0]);
    send.write_all(&frame(0, b"abc")).await.unwrap();
    send.finish().unwrap();
    assert_eq!(status(&mut recv).await, 200);
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let config = "timeout = { head = \"300ms\", body = \"300ms\" }\n";
    let door = Door::with("slow", "", config, echo).await;
    let raw = Raw::connect(&door).await;
    // Nothing at all is no request; a part of one is answered.
    let (mut nothing, mut recv) = raw.ask(&[], false).await;
    let _ = nothing.write_all(&[]).await;
    let (_part, mut answered) = raw.ask(&head(&GOOD)[..20], false).await;
    assert_eq!(status(&mut answered).await, 408);
    // The first stream is open for the gateway because the second is.
    assert!(timeout(SOON, recv.read_to_end(10)).await.unwrap().is_err());
    let fields = [&[(":method", "POST")], &GOOD[1..]].concat();
    let bytes = [head(&fields), frame(0, b"abc")].concat();
    let (_send, mut answered) = raw.ask(&bytes, false).await;
    assert_eq!(status(&mut answered).await, 408);
    let records = door.world.gateway.records_soon(2).await;
    assert!(records.iter().all(|it| it["cause"] == "client_slow"), "{records:?}");
    assert_eq!(records[0]["bytes_in"], 20, "{records:?}");
}

#[tokio::test]
async fn a_body_that_is_cut_inside_a_frame_is_never_whole() {
    let (reached, upstream_has_it) = signal();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let door = Door::open("frame", {
        let seen = seen.clone();
        move |mut stream: TcpStream| {
            let (reached, seen) = (reached.clone(), seen.clone());
            async move {
                let mut all = Vec::new();
                // It ends without the last chunk, as the client's body did.
                let _ = stream.read_to_end(&mut all).await;
                *seen.lock().expect("nobody panics with it") = all;
                reached.send(()).map_err(std::io::Error::other)
            }
        }
    })
    .await;
    let raw = Raw::connect(&door).await;
    let fields = [&[(":method", "POST")], &GOOD[1..]].concat();
    let begun = [&head(&fields)[..], &frame(0, b"whole"), &frame(0, b"0123456789")[..10]].concat();
    let (mut send, _recv) = raw.ask(&begun, false).await;
    // The end comes by itself, when all before it has been read.
    tokio::task::yield_now().await;
    send.finish().unwrap();
    assert_eq!(raw.code().await, Some(FRAME_ERROR));
    let records = door.world.gateway.records_soon(1).await;
    assert_eq!(records[0]["end"], "client_closed", "{records:?}");
    told(&upstream_has_it).await;
    let seen = String::from_utf8_lossy(&seen.lock().unwrap()).into_owned();
    assert!(seen.contains("whole") && !seen.contains("\r\n0\r\n"), "{seen}");
}

#[tokio::test]
async fn a_broken_rule_of_the_connection_ends_it_and_no_other() {
    let door = Door::open("rules", echo).await;
    let mut other = door.client().await;
    let good = head(&GOOD);
    // What a request stream holds.
    for (bytes, code) in [
        (frame(0, b"body first"), FRAME_UNEXPECTED),
        (frame(4, &[]), FRAME_UNEXPECTED),
        (frame(5, &[0]), FRAME_UNEXPECTED),
        (frame(6, &[0; 8]), FRAME_UNEXPECTED),
        ([&good[..], &frame(7, &[0])].concat(), FRAME_UNEXPECTED),
        (good[..good.len() - 1].to_vec(), FRAME_ERROR),
        ([&good[..], &[0x40]].concat(), FRAME_ERROR),
        (frame(1, b""), DECOMPRESSION_FAILED),
        (frame(1, &[1, 0, 0x80]), DECOMPRESSION_FAILED),
        (frame(1, &[0, 0, 0xff, 0x7f]), DECOMPRESSION_FAILED),
    ] {
        let raw = Raw::connect(&door).await;
        let _streams = raw.ask(&bytes, true).await;
        assert_eq!(raw.code().await, Some(code), "{bytes:?}");
    }
    // What a control stream begins with.
    let twice = [&[0][..], &frame(4, &[]), &frame(4, &[])].concat();
    let large = [&[0][..], &frame(4, &[0x21; 5_000])].concat();
    for (bytes, code) in [
        (&[0x00, 0x07, 0x01, 0x00][..], MISSING_SETTINGS),
        (&twice, FRAME_UNEXPECTED),
        (&[0x00, 0x04, 0x00, 0x00, 0x00], FRAME_UNEXPECTED),
        (&[0x00, 0x04, 0x02, 0x02, 0x00], SETTINGS_ERROR),
        (&[0x00, 0x04, 0x01, 0x06], SETTINGS_ERROR),
        (&large, EXCESSIVE_LOAD),
        // GOAWAY that is not one integer, and one that takes back what was said.
        (&[0x00, 0x04, 0x00, 0x07, 0x02, 0x00, 0x00], FRAME_ERROR),
        (&[0x00, 0x04, 0x00, 0x07, 0x00], FRAME_ERROR),
        (&[0x00, 0x04, 0x00, 0x07, 0x01, 0x04, 0x07, 0x01, 0x08], ID_ERROR),
        // MAX_PUSH_ID that shrinks, and CANCEL_PUSH of what was never promised.
        (&[0x00, 0x04, 0x00, 0x0d, 0x01, 0x08, 0x0d, 0x01, 0x04], ID_ERROR),
        (&[0x00, 0x04, 0x00, 0x03, 0x01, 0x00], ID_ERROR),
        // QPACK: a table is made room for, filled, acknowledged, and grows.
        (&[0x02, 0x3f, 0x01], ENCODER_STREAM_ERROR),
        (&[0x02, 0x20, 0xc1, 0x00], ENCODER_STREAM_ERROR),
        (&[0x03, 0x80], DECODER_STREAM_ERROR),
        (&[0x03, 0x40, 0x01], DECODER_STREAM_ERROR),
        (&[0x01, 0x00], STREAM_CREATION_ERROR),
    ] {
        let raw = Raw::begin(&door, bytes).await;
        assert_eq!(raw.code().await, Some(code), "{bytes:?}");
    }
    let raw = Raw::connect(&door).await;
    let _second = Raw::aside(&raw.connection, &[0x00, 0x04, 0x00]).await;
    assert_eq!(raw.code().await, Some(STREAM_CREATION_ERROR));
    let mut raw = Raw::connect(&door).await;
    raw.control.finish().unwrap();
    assert_eq!(raw.code().await, Some(CLOSED_CRITICAL_STREAM));
    // What is unknown is passed over (RFC 9114 9), PRIORITY_UPDATE (RFC 9218 7) and reserved kinds
    // and settings among it, and so is what changes nothing.
    let said = [0x00, 0x04, 0x02, 0x21, 0x00, 0x0d, 0x01, 0x04, 0x0d, 0x01, 0x08, 0x07, 0x01, 0x08];
    let update = [0x80, 0x0f, 0x07, 0x00, 0x04, 0x00, b'u', b'=', b'1'];
    let all = [&said[..], &update, &[0x07, 0x01, 0x08, 0x21, 0x00]].concat();
    let raw = Raw::begin(&door, &all).await;
    let _encoder = Raw::aside(&raw.connection, &[0x02, 0x20]).await;
    let _decoder = Raw::aside(&raw.connection, &[0x03, 0x44, 0x7f, 0x01]).await;
    let _unknown = Raw::aside(&raw.connection, &[0x21, 1, 2, 3]).await;
    let bytes = [frame(0x21, b"any"), good, frame(0x21, b"any")].concat();
    let (_send, mut recv) = raw.ask(&bytes, true).await;
    assert_eq!(status(&mut recv).await, 200);
    assert_eq!(get(&mut other, "/").await.0.status(), 200);
}

async fn floods(door: &Door, kind: &str) -> u64 {
    let mut client = Client::connect(door.world.gateway.status).await.expect("the test can go on");
    let answer = client.exchange(b"GET /metrics HTTP/1.1\r\nHost: s\r\n\r\n").await;
    let name = format!("goodgate_http3_floods_total{{kind=\"{kind}\"}} ");
    let text = answer.text();
    let line = text.lines().find_map(|it| it.strip_prefix(&name));
    line.expect("the counter is there").parse().expect("the test can go on")
}

#[tokio::test]
async fn floods_end_the_connection() {
    let config = "[limits]\nhttp3 = { resets = 50, controls = 100 }\n";
    let door = Door::with("floods", "", config, echo).await;
    let raw = Raw::connect(&door).await;
    let requests = async {
        loop {
            let Ok((mut send, mut recv)) = raw.connection.open_bi().await else {
                return;
            };
            let _ = send.write_all(&head(&GOOD)).await;
            let _ = (send.reset(VarInt::from_u32(0x10c)), recv.stop(VarInt::from_u32(0x10c)));
        }
    };
    timeout(SOON, requests).await.expect("it is ended");
    assert_eq!(raw.code().await, Some(EXCESSIVE_LOAD));
    assert_eq!(floods(&door, "resets").await, 1);
    let empty: Vec<u8> = std::iter::repeat_n(frame(0, &[]), 200).flatten().collect();
    for bytes in [empty, std::iter::repeat_n(frame(0x21, b"x"), 200).flatten().collect()] {
        let raw = Raw::connect(&door).await;
        let _streams = raw.ask(&[head(&GOOD), bytes].concat(), false).await;
        assert_eq!(raw.code().await, Some(EXCESSIVE_LOAD));
    }
    // Streams that never say what they are.
    let raw = Raw::connect(&door).await;
    let nothing = async {
        while let Ok(it) = raw.connection.open_uni().await {
            drop(it);
        }
    };
    timeout(SOON, nothing).await.expect("it is ended");
    assert_eq!(raw.code().await, Some(EXCESSIVE_LOAD));
    assert_eq!(floods(&door, "controls").await, 3);
    let mut send = door.client().await;
    assert_eq!(get(&mut send, "/").await.0.status(), 200);
}

#[tokio::test]
async fn bytes_that_are_no_quic_harm_nobody() {
    let door = Door::open("noise", echo).await;
    let mut send = door.client().await;
    let socket = UdpSocket::bind(HERE).unwrap();
    let mut seed = 0x9e37_79b9_u32;
    for length in (0..1_400).step_by(7) {
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        })
        .take(length)
        .collect();
        // As it is, and as what claims to be a first packet, and one of a later time.
        for first in [noise.first().copied(), Some(0xc3), Some(0x43)] {
            let mut packet = noise.clone();
            if let (Some(place), Some(first)) = (packet.first_mut(), first) {
                *place = first;
            }
            if let (Some(version), Some(0xc3)) = (packet.get_mut(1..5), first) {
                version.copy_from_slice(&[0, 0, 0, 1]);
            }
            // The system may have no room for so many.
            let _ = socket.send_to(&packet, door.address);
        }
    }
    assert_eq!(get(&mut send, "/").await.0.status(), 200);
    assert_eq!(get(&mut door.client().await, "/").await.0.status(), 200);
    assert_eq!(door.world.gateway.records_soon(2).await.len(), 2);
}

#[tokio::test]
async fn while_many_shake_hands_new_clients_show_where_they_are() {
    let door = Door::open("retry", echo).await;
    // What clients say goes through; what they are answered does not reach them.
    let wall = tokio::net::UdpSocket::bind(HERE).await.unwrap();
    let beyond = wall.local_addr().unwrap();
    let endpoint = door.endpoint(false, TransportConfig::default());
    let waiting: Vec<_> = (0..150).map(|_| endpoint.connect(beyond, "one.test").unwrap()).collect();
    let mut packet = vec![0; 2_000];
    let retried = async {
        loop {
            let (length, from) = wall.recv_from(&mut packet).await.unwrap();
            let packet = &packet[..length];
            if from != door.address {
                wall.send_to(packet, door.address).await.unwrap();
            } else if packet[0] & 0xf0 == 0xf0 {
                // Retry (RFC 9000 17.2.5).
                return;
            }
        }
    };
    timeout(SOON, retried).await.expect("somebody is asked to show it");
    // Who does is served.
    let mut send = door.client().await;
    assert_eq!(get(&mut send, "/").await.0.status(), 200);
    drop(waiting);
}

#[tokio::test]
async fn while_it_stops_clients_are_told_and_what_runs_is_answered() {
    let (reached, upstream_has_it) = signal();
    let (go_on, wait) = signal();
    let mut door = Door::open("drain", move |mut stream: TcpStream| {
        let (reached, wait) = (reached.clone(), wait.clone());
        async move {
            stage::read_request(&mut stream).await?;
            reached.send(()).map_err(std::io::Error::other)?;
            told(&wait).await;
            stream.write_all(OK.as_bytes()).await?;
            stage::stay(stream).await
        }
    })
    .await;
    let raw = Raw::connect(&door).await;
    let (_send, mut recv) = raw.ask(&head(&GOOD), true).await;
    told(&upstream_has_it).await;
    door.world.gateway.terminate();
    let mut control = timeout(SOON, raw.connection.accept_uni()).await.unwrap().unwrap();
    // Its kind, SETTINGS, and the two GOAWAYs: of all streams, and of those from the second on.
    let mut said = vec![0; 1 + 7 + 10 + 3];
    timeout(SOON, control.read_exact(&mut said)).await.unwrap().unwrap();
    let settings = [0x00, 0x04, 0x05, 0x06, 0x80, 0x00, 0x80, 0x00];
    assert_eq!(said[..8], settings);
    assert_eq!(said[8..18], [&[7, 8][..], &((u64::MAX) - 3).to_be_bytes()].concat());
    assert_eq!(said[18..], [7, 1, 4]);
    // Too late.
    let (_late, mut answered) = raw.ask(&head(&GOOD), true).await;
    let refused = timeout(SOON, answered.read_to_end(10)).await.unwrap().unwrap_err();
    assert!(format!("{refused:?}").contains("267"), "{refused:?}");
    go_on.send(()).unwrap();
    assert_eq!(status(&mut recv).await, 200);
    assert_eq!(raw.code().await, Some(NO_ERROR));
    let ended = door.world.gateway.ended(Duration::from_secs(20)).await.unwrap();
    assert_eq!(ended.code(), Some(0), "{}", door.world.gateway.said());
    assert_eq!(door.world.gateway.records().len(), 1);
}

#[tokio::test]
async fn clients_are_told_when_it_ends_before_they_do() {
    let (reached, upstream_has_it) = signal();
    let config = "[shutdown]\ndeadline = \"300ms\"\n";
    let mut door =
        Door::with("deadline", "", config, move |stream| holds(stream, reached.clone())).await;
    let raw = Raw::connect(&door).await;
    let _streams = raw.ask(&head(&GOOD), true).await;
    told(&upstream_has_it).await;
    door.world.gateway.terminate();
    assert_eq!(raw.code().await, Some(NO_ERROR));
    door.world.gateway.ended(SOON).await.unwrap();
    let records = door.world.gateway.records();
    assert_eq!(records.len(), 1, "{records:?}");
}
