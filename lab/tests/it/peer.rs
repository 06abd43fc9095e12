//! HTTP/2 peers of a test's own making: upstreams on `h2`, upstreams that write frames by hand, and
//! a client.

use crate::world::{SOON, World};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Method, Request, Response};
use lab::frames::{read_head, settings};
use lab::gateway::Gateway;
use lab::stage::{self, Task};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How many connections an upstream was given.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, SeqCst)
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// One route, `/*`, to an upstream that speaks HTTP/2 without TLS and talks so. `{addr}` in the
/// configuration stands for its address; without that it is added to the one route.
pub(crate) async fn world2<F>(
    config: &str,
    talk: impl Fn(TcpStream) -> F + Send + 'static,
) -> (Gateway, Task)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = stage::listener().expect("a free port");
    let addr = listener.local_addr().expect("it is bound").to_string();
    let config = match config.contains("{addr}") {
        true => config.replace("{addr}", &addr),
        false => format!("{config}\n[route.app]\nmatch = \"/*\"\nto = \"h2c://{addr}\"\n"),
    };
    let gateway = Gateway::start(&config).await.unwrap_or_else(|error| panic!("{error}"));
    (gateway, stage::serve(listener, talk))
}

/// Serves each stream of a connection by a task of its own.
pub(crate) async fn serve2<F>(
    stream: TcpStream,
    answer: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F,
) -> io::Result<()>
where
    F: Future<Output = Result<(), h2::Error>> + Send + 'static,
{
    let shaken = h2::server::handshake(stream).await.map_err(io::Error::other)?;
    each(shaken, answer).await
}

/// The same on a connection with settings of its own.
pub(crate) async fn each<S, F>(
    mut connection: Connection<S, Bytes>,
    answer: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<(), h2::Error>> + Send + 'static,
{
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted.map_err(io::Error::other)?;
        tokio::spawn(answer(request, respond));
    }
    Ok(())
}

/// Tells of each request's method, target, host, body and trailers in the answer's body.
pub(crate) async fn echo2(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (parts, mut body) = request.into_parts();
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    let sum = trailers.get("x-sum").and_then(|it| it.to_str().ok()).unwrap_or("-").to_owned();
    let host = parts.uri.authority().map_or("-", |it| it.as_str());
    let te = parts.headers.get("te").and_then(|it| it.to_str().ok()).unwrap_or("-");
    let path = parts.uri.path_and_query().map_or("-", |it| it.as_str());
    let text = format!("{} {path} {host} {} {sum} {te}", parts.method, all.len());
    let mut send = respond.send_response(Response::new(()), false)?;
    send.send_data(text.into(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-after", http::HeaderValue::from_static("all"));
    send.send_trailers(trailers)
}

/// Answers a word, and no more.
pub(crate) fn say(respond: &mut SendResponse<Bytes>, text: &'static str) -> Result<(), h2::Error> {
    let mut send = respond.send_response(Response::new(()), false)?;
    send.send_data(Bytes::from_static(text.as_bytes()), true)
}

/// Reads a request, writes these parts with a pause after each, and ends.
pub(crate) async fn writes(mut stream: TcpStream, parts: Vec<Vec<u8>>) -> io::Result<()> {
    stream.write_all(&settings()).await?;
    read_head(&mut stream, true).await?;
    for part in parts {
        stream.write_all(&part).await?;
        tokio::time::sleep(stage::BETWEEN_PARTS).await;
    }
    stage::end(stream).await
}

/// A connection of a client with prior knowledge.
pub(crate) async fn connect(listen: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(listen).await.expect("the test can go on");
    let (send, connection) = h2::client::handshake(stream).await.expect("the test can go on");
    tokio::spawn(connection);
    send.ready().await.expect("the test can go on")
}

/// The same to the gateway of a world.
pub(crate) async fn connect_to(world: &World) -> SendRequest<Bytes> {
    connect(world.gateway.listen).await
}

pub(crate) fn request(method: Method, path: &str) -> Request<()> {
    let uri = format!("http://h2.test{path}");
    Request::builder().method(method).uri(uri).body(()).expect("the test can go on")
}

pub(crate) async fn get(send: &mut SendRequest<Bytes>, path: &str) -> Response<RecvStream> {
    let (response, _) =
        send.send_request(request(Method::GET, path), true).expect("the test can go on");
    timeout(SOON, response).await.expect("an answer in time").expect("an answer")
}

/// The body and its trailers, or why it broke off.
pub(crate) async fn body(mut stream: RecvStream) -> Result<(String, HeaderMap), Reason> {
    let mut all = Vec::new();
    let reason = |it: h2::Error| it.reason().unwrap_or(Reason::NO_ERROR);
    while let Some(data) = timeout(SOON, stream.data()).await.expect("data in time") {
        let data = data.map_err(reason)?;
        stream.flow_control().release_capacity(data.len()).expect("the test can go on");
        all.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await.map_err(reason)?.unwrap_or_default();
    Ok((String::from_utf8(all).expect("the test can go on"), trailers))
}
