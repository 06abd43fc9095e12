//! One fault, made true on a real socket: what is played, what is asked, what must come of it.

use crate::certificates::Identity;
use crate::frames;
use crate::scratch::Scratch;
use crate::stage::{self, Talk};
use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A fault and its expected explanation.
pub struct Scene {
    /// The id of its cause; variants add a word after a dash.
    pub id: &'static str,
    /// What the upstream does, as a sentence without a full stop.
    pub about: &'static str,
    /// What is asked, in this order on one client connection, and what must come of it.
    pub expects: &'static [Expect],
    pub(crate) play: Play,
}

impl Scene {
    /// Begins to play; it goes on until the guard in what is returned drops. Must be called within
    /// a runtime.
    pub fn start(&self) -> io::Result<Playing> {
        Ok(self.play.start()?.open())
    }

    /// The cause that it shows.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        self.id.split('-').next().unwrap_or(self.id)
    }
}

/// One request and what must come of it.
pub struct Expect {
    pub ask: Ask,
    /// How long the client waits before it asks.
    pub pause: Duration,
    pub status: u16,
    /// The answer breaks off.
    pub cut: bool,
    /// The cause of what would have failed, had the gateway not asked again.
    pub prevented: Option<&'static str>,
    /// The cause in the record, and in `Proxy-Status` where the gateway made the answer.
    pub cause: Option<&'static str>,
    /// The error type in `Proxy-Status` (RFC 9209 2.3).
    pub error: Option<&'static str>,
}

impl Expect {
    /// The upstream's answer arrives whole.
    pub(crate) const fn whole(ask: Ask, status: u16) -> Expect {
        let pause = Duration::ZERO;
        Expect { ask, pause, status, cut: false, prevented: None, cause: None, error: None }
    }

    /// The gateway answers, and says why.
    pub(crate) const fn fails(
        ask: Ask,
        status: u16,
        cause: &'static str,
        error: &'static str,
    ) -> Expect {
        Expect { cause: Some(cause), error: Some(error), ..Expect::whole(ask, status) }
    }

    /// The answer begins and breaks off.
    pub(crate) const fn cut(ask: Ask, cause: &'static str) -> Expect {
        Expect { cut: true, cause: Some(cause), ..Expect::whole(ask, 200) }
    }

    /// The upstream fails, is asked again, and answers well: the caller sees nothing of it.
    pub(crate) const fn prevented(ask: Ask, cause: &'static str) -> Expect {
        Expect { prevented: Some(cause), ..Expect::whole(ask, 200) }
    }

    /// The upstream's answer arrives whole, and the record names a cause all the same.
    pub(crate) const fn noted(ask: Ask, status: u16, cause: &'static str) -> Expect {
        Expect { cause: Some(cause), ..Expect::whole(ask, status) }
    }

    pub(crate) const fn after(self, pause: Duration) -> Expect {
        Expect { pause, ..self }
    }
}

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Get,
    Head,
    /// With two bytes of body: a method that may not be repeated.
    Post,
    /// A `POST` of this many bytes.
    Upload(usize),
    /// A gRPC call with an empty message.
    Call,
    /// A `GET` whose connection is to go on as a WebSocket.
    WebSocket,
}

/// What an upstream does.
pub(crate) enum Play {
    /// Nobody listens on the port.
    Nobody,
    /// This address, which no route leads to.
    Elsewhere(&'static str),
    /// The target is the gateway that asks.
    Itself,
    /// Reads a request, writes these parts with a pause between them, and ends so.
    Writes(&'static [&'static [u8]], Ending),
    /// Its own conversation with each connection.
    Talks(fn(TcpStream) -> Talk),
    /// A good server behind TLS, with this identity.
    Tls(fn() -> Identity),
    /// Everything else.
    Staged(fn() -> io::Result<Set>),
}

#[derive(Clone, Copy)]
pub(crate) enum Ending {
    /// FIN.
    End,
    /// RST.
    Reset,
    /// Silence on an open connection.
    Stay,
}

impl Play {
    fn start(&self) -> io::Result<Set> {
        match *self {
            Play::Nobody => Ok(Set::at(format!("http://127.0.0.1:{}", stage::free_port()?))),
            Play::Elsewhere(url) => Ok(Set::at(url)),
            Play::Itself => Ok(Set::at(Playing::ITSELF)),
            Play::Writes(parts, ending) => Set::http(move |it| writes(it, parts, ending)),
            Play::Talks(talk) => Set::http(talk),
            Play::Tls(identity) => Set::https(&identity()),
            Play::Staged(stage) => stage(),
        }
    }
}

async fn writes(mut stream: TcpStream, parts: &[&[u8]], ending: Ending) -> io::Result<()> {
    if stage::read_request(&mut stream).await?.is_none() {
        return Ok(());
    }
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            tokio::time::sleep(stage::BETWEEN_PARTS).await;
        }
        stream.write_all(part).await?;
    }
    match ending {
        Ending::End => stage::end(stream).await,
        Ending::Stay => stage::stay(stream).await,
        // A reset overtakes bytes that the peer has not read yet.
        Ending::Reset => {
            tokio::time::sleep(stage::BETWEEN_PARTS).await;
            stage::reset(stream)
        }
    }
}

/// What a gateway must be told to meet a scene as it is meant.
#[derive(Clone, Debug)]
pub struct Conditions {
    pub limits: Limits,
    /// Certificates to trust.
    pub ca: Option<PathBuf>,
    /// The name to ask for and to verify.
    pub server_name: Option<&'static str>,
    /// Our certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The HTTP version to speak, where the URL does not say it.
    pub protocol: Option<&'static str>,
    /// The name server to ask.
    pub dns: Option<SocketAddr>,
    /// Root may do everything, so the gateway must be somebody else.
    pub ordinary_user: bool,
}

/// Time limits: short, because a scene that shows one must wait for it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Each of `timeout.connect`, `tls`, `send`, `first_byte` and `idle`, and of `dns.timeout`.
    pub patience: Duration,
    /// `timeout.total` of the route.
    pub total: Option<Duration>,
}

impl Limits {
    pub const SHORT: Limits = Limits { patience: Duration::from_millis(800), total: None };
}

/// A scene as its file sets it: where it is, what it needs, what must live as long as it plays.
pub(crate) struct Set {
    pub(crate) url: String,
    pub(crate) conditions: Conditions,
    keeps: Vec<Box<dyn Any + Send + Sync>>,
}

impl Set {
    pub(crate) fn at(url: impl Into<String>) -> Set {
        let conditions = Conditions {
            limits: Limits::SHORT,
            ca: None,
            server_name: None,
            client: None,
            protocol: None,
            dns: None,
            ordinary_user: false,
        };
        Set { url: url.into(), conditions, keeps: Vec::new() }
    }

    pub(crate) fn http<F>(talk: impl Fn(TcpStream) -> F + Send + 'static) -> io::Result<Set>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = stage::listener()?;
        let set = Set::at(format!("http://{}", listener.local_addr()?));
        Ok(set.keeps(stage::serve(listener, talk)))
    }

    /// A TLS server that answers well, should anybody get that far.
    pub(crate) fn https(identity: &Identity) -> io::Result<Set> {
        let acceptor = TlsAcceptor::from(Arc::new(identity.server()?));
        Set::secret(move |stream| {
            let accept = acceptor.accept(stream);
            async move { stage::answer_well(accept.await?).await }
        })?
        .trusting(identity)
    }

    /// Like [`Set::http`], with an `https` URL: the conversation does its own TLS, or none.
    pub(crate) fn secret<F>(talk: impl Fn(TcpStream) -> F + Send + 'static) -> io::Result<Set>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let mut set = Set::http(talk)?;
        set.url = set.url.replace("http://", "https://");
        Ok(set)
    }

    /// Like [`Set::http`], with a URL that says HTTP/2 without TLS.
    pub(crate) fn h2c<F>(talk: impl Fn(TcpStream) -> F + Send + 'static) -> io::Result<Set>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let mut set = Set::http(talk)?;
        set.url = set.url.replace("http://", "h2c://");
        Ok(set)
    }

    /// Writes these frames when a request has come, and stays.
    pub(crate) fn frames(frames: fn() -> Vec<u8>) -> io::Result<Set> {
        Set::h2c(move |mut stream| async move {
            stream.write_all(&frames::settings()).await?;
            frames::read_head(&mut stream, true).await?;
            stream.write_all(&frames()).await?;
            stage::stay(stream).await
        })
    }

    /// `protocol` of the upstream.
    pub(crate) fn speaking(mut self, protocol: &'static str) -> Set {
        self.conditions.protocol = Some(protocol);
        self
    }

    pub(crate) fn trusting(mut self, identity: &Identity) -> io::Result<Set> {
        let scratch = Scratch::new("trust")?;
        self.conditions.ca = Some(scratch.write("ca.pem", &identity.trusted)?);
        self.conditions.server_name = identity.server_name;
        if let Some((certificate, key)) = &identity.client {
            let certificate = scratch.write("client.pem", certificate)?;
            self.conditions.client = Some((certificate, scratch.write("client.key", key)?));
        }
        Ok(self.keeps(scratch))
    }

    pub(crate) fn keeps(mut self, it: impl Any + Send + Sync) -> Set {
        self.keeps.push(Box::new(it));
        self
    }

    fn open(self) -> Playing {
        Playing {
            url: self.url,
            upstream_extra: self.conditions.upstream_extra(),
            route_extra: self.conditions.route_extra(),
            file_extra: self.conditions.file_extra(),
            conditions: self.conditions,
            _guard: self.keeps,
        }
    }
}

impl Conditions {
    fn upstream_extra(&self) -> String {
        let patience = milliseconds(self.limits.patience);
        let times = ["connect", "tls", "send", "first_byte", "idle"];
        let times = times.map(|it| format!("{it} = {patience}")).join(", ");
        let mut tls = Vec::new();
        if let Some(ca) = &self.ca {
            tls.push(format!("ca = {ca:?}"));
        }
        if let Some(name) = self.server_name {
            tls.push(format!("server_name = \"{name}\""));
        }
        if let Some((certificate, key)) = &self.client {
            tls.push(format!("cert = {certificate:?}, key = {key:?}"));
        }
        let mut lines = format!("timeout = {{ {times} }}\n");
        if !tls.is_empty() {
            lines += &format!("tls = {{ {} }}\n", tls.join(", "));
        }
        if let Some(protocol) = self.protocol {
            lines += &format!("protocol = \"{protocol}\"\n");
        }
        lines
    }

    fn route_extra(&self) -> String {
        let total = self.limits.total.map(milliseconds);
        total.map_or_else(String::new, |it| format!("timeout = {{ total = {it} }}\n"))
    }

    fn file_extra(&self) -> String {
        let patience = milliseconds(self.limits.patience);
        let table = |it| format!("[dns]\nservers = [\"{it}\"]\ntimeout = {patience}\n");
        self.dns.map_or_else(String::new, table)
    }
}

fn milliseconds(it: Duration) -> String {
    format!("\"{}ms\"", it.as_millis())
}

/// A scene that is being played.
pub struct Playing {
    /// What to write into `targets`.
    pub url: String,
    /// Lines for `[upstream.x]`.
    pub upstream_extra: String,
    /// Lines for `[route.x]`.
    pub route_extra: String,
    /// Whole tables of the file.
    pub file_extra: String,
    /// The same as values, for gateways with another configuration.
    pub conditions: Conditions,
    _guard: Vec<Box<dyn Any + Send + Sync>>,
}

impl Playing {
    /// Stands in `url` where the target is the gateway that asks, whose address the scene cannot
    /// know.
    pub const ITSELF: &str = "http://{listen}";

    /// `url` for a gateway that listens there.
    #[must_use]
    pub fn url_for(&self, listen: SocketAddr) -> String {
        self.url.replace("{listen}", &listen.to_string())
    }
}
