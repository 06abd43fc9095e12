//! A gateway before an upstream of a test's own making.

use lab::gateway::{Gateway, Hardship};
use lab::stage::{self, Request, Task};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// For what happens right after what a test has seen.
pub(crate) const SOON: Duration = Duration::from_secs(5);

pub(crate) struct World {
    pub(crate) gateway: Gateway,
    _upstream: Task,
}

impl World {
    pub(crate) fn new(gateway: Gateway, upstream: Task) -> World {
        World { gateway, _upstream: upstream }
    }
}

/// One route, `/*`, to an upstream that talks so.
pub(crate) async fn world<F>(talk: impl Fn(TcpStream) -> F + Send + 'static) -> World
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    world_with("", talk).await
}

/// The same, with more configuration. `{url}` in it stands for the upstream, `{addr}` for its address;
/// without either it is added to the one route.
pub(crate) async fn world_with<F>(
    config: &str,
    talk: impl Fn(TcpStream) -> F + Send + 'static,
) -> World
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    world_under(&Hardship::default(), config, talk).await
}

/// The same, of a gateway that lives with this.
pub(crate) async fn world_under<F>(
    hardship: &Hardship,
    config: &str,
    talk: impl Fn(TcpStream) -> F + Send + 'static,
) -> World
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = stage::listener().expect("a free port");
    let addr = listener.local_addr().expect("it is bound").to_string();
    let url = format!("http://{addr}");
    let config = match config.contains("{url}") || config.contains("{addr}") {
        true => config.replace("{url}", &url).replace("{addr}", &addr),
        false => format!("{config}\n[route.app]\nmatch = \"/*\"\nto = \"{url}\"\n"),
    };
    let gateway = Gateway::under(hardship, &config).await.unwrap_or_else(|it| panic!("{it}"));
    World { gateway, _upstream: stage::serve(listener, talk) }
}

/// What an upstream saw, as a list that tests can read while it grows.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub(crate) fn add(&self, request: &Request) {
        self.0.lock().expect("nobody panics with it").push(request.head.clone());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

/// Answers each request of a connection with this, and keeps what it saw.
pub(crate) async fn answer_each(
    mut stream: TcpStream,
    answer: &'static str,
    seen: Seen,
) -> io::Result<()> {
    while let Some(request) = stage::read_request(&mut stream).await? {
        seen.add(&request);
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// Tells of each request's method, target, host and body in the answer's body.
pub(crate) async fn echo(mut stream: TcpStream) -> io::Result<()> {
    while let Some(request) = stage::read_request(&mut stream).await? {
        let host = request.field("host").unwrap_or("-");
        let body = String::from_utf8_lossy(&request.body);
        let text = format!("{} {} {host} {body}", request.method(), request.target());
        let length = text.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}");
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A word from one side of a test to the other.
pub(crate) fn signal() -> (mpsc::UnboundedSender<()>, Arc<tokio::sync::Mutex<Received>>) {
    let (send, receive) = mpsc::unbounded_channel();
    (send, Arc::new(tokio::sync::Mutex::new(receive)))
}

/// Takes a request, says so, and never answers.
pub(crate) async fn holds(
    mut stream: TcpStream,
    reached: mpsc::UnboundedSender<()>,
) -> io::Result<()> {
    stage::read_request(&mut stream).await?;
    reached.send(()).map_err(io::Error::other)?;
    stage::stay(stream).await
}

pub(crate) type Received = mpsc::UnboundedReceiver<()>;

/// Waits for the word, not for ever.
pub(crate) async fn told(signal: &tokio::sync::Mutex<Received>) {
    let word = timeout(SOON, async { signal.lock().await.recv().await }).await;
    assert!(matches!(word, Ok(Some(()))), "the other side never came so far");
}

/// `GET` of this target, as bytes.
pub(crate) fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: lab.test\r\n\r\n").into_bytes()
}
