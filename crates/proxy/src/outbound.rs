//! The request as an upstream sees it: its head, what is added and taken off, and its body on the
//! way from the client.

use crate::deadline;
use crate::front::Link;
use crate::inbound::Inbound;
use crate::later::Stage;
use crate::seat::Seat;
use crate::tunnel::Upgrade;
use crate::upstream::wire::Outgoing;
use bytes::{Bytes, BytesMut};
use config::{HostSent, Place, Target};
use exchange::{ExchangeId, Malformed, Refusal, TraceParent};
use h2::SendStream;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Uri, Version};
use http_body::Body;
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::AsyncWrite;

/// A request that is to be sent, perhaps more than once until its first byte has left.
pub(crate) struct Outbound {
    pub(crate) method: Method,
    /// Normal form, prefix stripped, query kept.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    /// As the client wrote it, port included.
    pub(crate) authority: String,
    pub(crate) upgrade: Option<Upgrade>,
    pub(crate) pump: Pump,
}

/// What is told to the upstream about where the request came from.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) id: ExchangeId,
    pub(crate) trace: TraceParent,
    pub(crate) version: Version,
    /// Until when the head of an answer is of use, where it is told.
    pub(crate) deadline: Option<Instant>,
    /// Where a target may have worked on it before: the number of this try, and the most there are.
    pub(crate) repeat: Option<(u32, u32)>,
}

impl Origin {
    /// We say this ourselves, whatever the client said.
    fn says(&self, name: &HeaderName) -> bool {
        let is_deadline = self.deadline.is_some() && deadline::is_told(name);
        is_deadline || (self.repeat.is_some() && *name == ATTEMPT)
    }
}

/// `2/3`: the second of three tries at most.
const ATTEMPT: &str = "x-request-attempt";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SentAs {
    Nothing,
    Length(u64),
    Chunked,
}

impl Outbound {
    pub(crate) fn new(
        method: Method,
        target: String,
        headers: HeaderMap,
        authority: String,
        version: Version,
        body: Inbound,
    ) -> Outbound {
        let waits = expects_continue(&headers);
        let by_connect = matches!(body, Inbound::Tunnel);
        // HTTP/1.0 knows of none (RFC 9110 7.8): what follows was read as requests.
        let may_upgrade = version != Version::HTTP_10 && body.is_end_stream();
        let upgrade = Upgrade::asked(&headers, by_connect).filter(|_| may_upgrade);
        let pump = Pump::new(body, waits, body_is_usual(&method));
        Outbound { method, target, headers, authority, upgrade, pump }
    }

    /// The head for one target, ready to be written.
    pub(crate) fn head(
        &self,
        target: &Target,
        host: &HostSent,
        origin: &Origin,
        seat: &Seat,
    ) -> Bytes {
        let mut head = BytesMut::with_capacity(1024);
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|it| head.extend_from_slice(it));
        let path = self.target.as_bytes();
        put(&[self.method.as_str().as_bytes(), b" ", target.base_path.as_bytes(), path]);
        put(&[b" HTTP/1.1\r\nhost: ", self.host(target, host).as_bytes(), b"\r\n"]);
        self.each_field(origin, seat, &mut |name, parts| {
            put(&[name, b": "]);
            put(parts);
            put(&[b"\r\n"]);
        });
        if self.pump.sent_as == SentAs::Chunked {
            put(&[b"transfer-encoding: chunked\r\n"]);
        }
        if let Some(upgrade) = &self.upgrade {
            put(&[b"connection: upgrade\r\nupgrade: ", &upgrade.protocol, b"\r\n"]);
        }
        put(&[b"\r\n"]);
        head.freeze()
    }

    /// The same as an HTTP/2 request (RFC 9113 8.3.1), with how many bytes its fields have.
    pub(crate) fn request(
        &self,
        target: &Target,
        host: &HostSent,
        origin: &Origin,
        seat: &Seat,
    ) -> Result<(Request<()>, u64), Refusal> {
        let scheme = if target.tls { "https" } else { "http" };
        let path = format!("{}{}", target.base_path, self.target);
        let authority = self.authority(target, host)?;
        let mut bytes = self.method.as_str().len() + path.len() + authority.as_str().len();
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path);
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        // What is left was read as HTTP before, or configured.
        *request.uri_mut() = uri.build().map_err(|_| Refusal::Bug)?;
        *request.version_mut() = Version::HTTP_2;
        let mut whole = true;
        let fields = request.headers_mut();
        self.each_field(origin, seat, &mut |name, parts| {
            let value = parts.concat();
            bytes += name.len() + value.len();
            match (HeaderName::from_bytes(name), HeaderValue::from_bytes(&value)) {
                (Ok(name), Ok(value)) => drop(fields.append(name, value)),
                _ => whole = false,
            }
        });
        if whole { Ok((request, bytes as u64)) } else { Err(Refusal::Bug) }
    }

    /// The host as HTTP/2 has it, which is a part of a URL: some that HTTP/1 lets pass is none there,
    /// such as a name with `%`.
    fn authority(&self, target: &Target, host: &HostSent) -> Result<Authority, Refusal> {
        let host = self.host(target, host);
        host.parse().map_err(|_| match host == self.authority {
            true => Refusal::Malformed(Malformed::HostInvalid),
            false => Refusal::Bug,
        })
    }

    /// Every field that goes up but the host and what one version frames the body by.
    fn each_field(&self, origin: &Origin, seat: &Seat, put: &mut impl FnMut(&[u8], &[&[u8]])) {
        let listed = connection_options(&self.headers);
        for (name, value) in &self.headers {
            let listed = listed.iter().any(|it| *name == it.as_str());
            if goes_on(name, seat) && !listed && !origin.says(name) {
                put(name.as_str().as_bytes(), &[value.as_bytes()]);
            }
        }
        if keeps_trailers(&self.headers) {
            put(b"te", &[b"trailers"]);
        }
        match self.pump.sent_as {
            // Said by what we send, not by what the client wrote.
            SentAs::Length(length) => put(b"content-length", &[length.to_string().as_bytes()]),
            SentAs::Nothing if self.headers.contains_key(header::CONTENT_LENGTH) => {
                put(b"content-length", &[b"0"]);
            }
            SentAs::Nothing | SentAs::Chunked => {}
        }
        let via = chain(&self.headers, header::VIA.as_str());
        let version: &[u8] = match origin.version {
            Version::HTTP_10 => b"1.0 ",
            Version::HTTP_2 => b"2 ",
            Version::HTTP_3 => b"3 ",
            _ => b"1.1 ",
        };
        put(b"via", &[&via, version, seat.worker.plane.via.as_bytes()]);
        put_forwarded(seat, put, &self.headers, &self.authority);
        put(b"traceparent", &[&origin.trace.field()]);
        if !self.headers.contains_key("x-request-id") {
            put(b"x-request-id", &[&origin.id.hex()]);
        }
        if let Some(until) = origin.deadline {
            let left = until.saturating_duration_since(Instant::now());
            deadline::put(left, &self.headers, put);
        }
        if let Some((this, most)) = origin.repeat {
            put(ATTEMPT.as_bytes(), &[format!("{this}/{most}").as_bytes()]);
        }
    }

    fn host<'a>(&'a self, target: &'a Target, host: &'a HostSent) -> &'a str {
        match host {
            HostSent::Name(name) => name,
            HostSent::Target => &target.authority,
            HostSent::Auto if target.tls && is_public(target) => &target.authority,
            HostSent::Auto | HostSent::Keep if self.authority.is_empty() => &target.authority,
            HostSent::Auto | HostSent::Keep => &self.authority,
        }
    }
}

/// The client sends its body when it is told to, or has waited long enough (RFC 9110 10.1.1).
pub(crate) fn expects_continue(headers: &HeaderMap) -> bool {
    let expected = headers.get(header::EXPECT);
    expected.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// A name that means the same everywhere: not an address, not a single label, not `.internal`.
fn is_public(target: &Target) -> bool {
    let host = match &target.place {
        Place::Name { host, .. } => host,
        Place::Service(_) => &target.authority,
        Place::Inet(_) | Place::Unix(_) => return false,
    };
    let host = host.trim_end_matches('.');
    let private = [".internal", ".local", ".localhost", ".lan", ".home.arpa", ".test"];
    host.contains('.') && !private.iter().any(|it| host.ends_with(it))
}

/// The names that `Connection` lists: theirs end here (RFC 9110 7.6.1).
fn connection_options(headers: &HeaderMap) -> Vec<String> {
    // By bytes: a part that is no text must not hide the others.
    let values = headers.get_all(header::CONNECTION).iter().map(http::HeaderValue::as_bytes);
    let options = values.flat_map(|it| it.split(|it| *it == b',')).map(<[u8]>::trim_ascii);
    let options = options.map(|it| String::from_utf8_lossy(it).to_ascii_lowercase());
    // What others go by is not a client's to take away.
    options.filter(|it| !matters(it)).collect()
}

fn keeps_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::TE).iter().filter_map(|it| it.to_str().ok());
    values.flat_map(|it| it.split(',')).any(|it| it.trim().eq_ignore_ascii_case("trailers"))
}

/// Fields that are the client's own to send through us.
fn goes_on(name: &HeaderName, seat: &Seat) -> bool {
    match *name {
        header::HOST
        | header::VIA
        | header::CONNECTION
        | header::TRANSFER_ENCODING
        | header::CONTENT_LENGTH
        | header::TE
        | header::UPGRADE
        | header::PROXY_AUTHORIZATION => false,
        _ => match name.as_str() {
            "keep-alive" | "proxy-connection" | "http2-settings" | "traceparent" => false,
            // What a client says of its own origin is believed from trusted proxies only, and
            // then told anew with ours.
            "forwarded" | "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" => false,
            "x-forwarded-port" | "x-forwarded-server" | "x-forwarded-prefix" | "x-real-ip" => {
                seat.is_trusted_proxy()
            }
            name => !is_disguised(name),
        },
    }
}

/// A method whose content has a meaning (RFC 9110 9.3).
fn body_is_usual(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// Servers that keep fields as variables of an environment (RFC 3875 4.1.18) take `_` for `-`, so
/// that `x_forwarded_for` would be what we say ourselves.
fn is_disguised(name: &str) -> bool {
    name.contains('_') && matters(&name.replace('_', "-"))
}

/// Those of a message's trailers that may go on.
fn may_go(trailers: HeaderMap) -> HeaderMap {
    match trailers.keys().all(may_trail) {
        true => trailers,
        false => {
            let good = trailers.iter().filter(|(name, _)| may_trail(name));
            good.map(|(name, value)| (name.clone(), value.clone())).collect()
        }
    }
}

/// A trailer must not say what only a head may (RFC 9110 6.5.1): some servers merge the two, and
/// what we took off the head would come back.
fn may_trail(name: &HeaderName) -> bool {
    !matters(name.as_str()) && !is_disguised(name.as_str())
}

/// Framing, routing, or who asks and from where goes by this field.
fn matters(name: &str) -> bool {
    let forwarded = ["x-forwarded-", "x-real-ip", "forwarded", "via", "traceparent"];
    let routing = ["host", "authorization", "proxy-", "cookie", "expect", "upgrade"];
    let request = ["x-request-id", "x-request-timeout", "x-request-timeout-ms", ATTEMPT];
    let framing = ["content-", "transfer-encoding", "connection", "keep-alive", "te", "trailer"];
    let starts = |it: &&str| if it.ends_with('-') { name.starts_with(*it) } else { name == *it };
    [&forwarded[..], &routing, &request, &framing].into_iter().flatten().any(starts)
}

/// What is known of where the request came from.
fn put_forwarded(
    seat: &Seat,
    put: &mut impl FnMut(&[u8], &[&[u8]]),
    headers: &HeaderMap,
    authority: &str,
) {
    let believed = |name: &str| {
        let value = headers.get(name).filter(|_| seat.is_trusted_proxy());
        value.map(HeaderValue::as_bytes)
    };
    let own: &[u8] = if seat.tls { b"https" } else { b"http" };
    let ip = &seat.peer_text;
    let before = |name| match seat.is_trusted_proxy() {
        true => chain(headers, name),
        false => Vec::new(),
    };
    put(b"x-forwarded-for", &[&before("x-forwarded-for"), ip.as_bytes()]);
    put(b"x-forwarded-proto", &[believed("x-forwarded-proto").unwrap_or(own)]);
    let host = believed("x-forwarded-host").unwrap_or(authority.as_bytes());
    if !host.is_empty() {
        put(b"x-forwarded-host", &[host]);
    }
    // One element of `Forwarded` (RFC 7239).
    let chain = before("forwarded");
    let node = seat.node.as_bytes();
    let host: [&[u8]; 3] = match authority.is_empty() {
        true => [b"", b"", b""],
        false => [b";host=\"", authority.as_bytes(), b"\""],
    };
    put(b"forwarded", &[&chain, b"for=", node, host[0], host[1], host[2], b";proto=", own]);
}

/// All that a list field says in however many lines, ready for one element more: proxies add theirs
/// as a line of its own, and the last of them is the one to be believed.
fn chain(headers: &HeaderMap, name: &str) -> Vec<u8> {
    let values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    values.filter(|it| !it.is_empty()).flat_map(|it| [it, b", "]).flatten().copied().collect()
}

/// Moves a request from memory and the client to the upstream, in constant memory: the next piece
/// is asked for when the last one has been taken.
pub(crate) struct Pump {
    body: Option<Inbound>,
    sent_as: SentAs,
    /// Another request may follow on the connection.
    pub(crate) may_share: bool,
    out: Outgoing,
    head_left: usize,
    /// The body is not asked for until `100 Continue`, an answer, or patience says so.
    pub(crate) waits: bool,
    /// Body bytes taken from the client.
    pub(crate) taken: u64,
    /// Bytes that the system took from us.
    pub(crate) sent: u64,
    unflushed: bool,
    kept: Kept,
    /// What was sent may be sent again.
    repeatable: bool,
    /// The piece that waits for the window of an HTTP/2 stream.
    left: Option<Piece>,
    /// Who wants to know when the client has sent everything.
    stage: Option<Rc<Stage>>,
}

/// The most that is kept on one core, of the bodies of all requests.
const KEPT_ON_A_CORE: usize = 32 * 1024 * 1024;

/// A part of a body, in the order of its arrival; the end comes last.
#[derive(Clone)]
enum Piece {
    Data(Bytes),
    End(Option<HeaderMap>),
}

/// What was taken of a body so far, while that is little: what an upstream certainly did not
/// process can be sent again.
#[derive(Default)]
struct Kept {
    pieces: Vec<Piece>,
    bytes: usize,
    /// The most that is kept.
    most: usize,
    /// What is kept on this core, of all requests.
    all: Rc<Cell<usize>>,
    /// The next piece to be sent again; behind the last one, the client is asked.
    next: usize,
    /// Not everything is there any more.
    lost: bool,
}

impl Kept {
    fn keep(&mut self, piece: &Piece) {
        if self.lost {
            return;
        }
        if let Piece::Data(data) = piece {
            self.bytes += data.len();
            self.all.set(self.all.get() + data.len());
        }
        if self.most < self.bytes || KEPT_ON_A_CORE < self.all.get() {
            return self.lose();
        }
        self.pieces.push(piece.clone());
        self.next = self.pieces.len();
    }

    fn again(&mut self) -> Option<Piece> {
        let piece = self.pieces.get(self.next)?.clone();
        self.next += 1;
        Some(piece)
    }

    /// The next piece is the client's.
    fn is_through(&self) -> bool {
        self.pieces.len() <= self.next
    }

    /// Nothing is sent again from the beginning; what was to be sent again still is.
    fn lose_sent(&mut self) {
        self.lost = true;
        self.pieces.drain(..self.next.min(self.pieces.len()));
        self.next = 0;
    }

    fn lose(&mut self) {
        self.lost = true;
        self.pieces = Vec::new();
        self.give_back();
    }

    fn give_back(&mut self) {
        self.all.set(self.all.get().saturating_sub(std::mem::take(&mut self.bytes)));
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// What the pump is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// Everything is sent.
    All,
    /// The upstream takes no more at the moment.
    Upstream,
    /// The client has sent no more yet, or is not asked yet.
    Client,
}

/// Why it cannot go on.
pub(crate) enum PumpFault {
    /// Writing failed.
    Upstream(io::Error),
    /// Reading the client's body failed.
    Client,
}

impl Pump {
    fn new(body: Inbound, waits: bool, usual: bool) -> Pump {
        // A length of nothing may still be belied by what comes: then nothing is sent.
        let sent_as = match (body.is_end_stream(), body.size_hint().exact()) {
            (true, _) => SentAs::Nothing,
            (false, Some(length)) => SentAs::Length(length),
            (false, None) => SentAs::Chunked,
        };
        // A server that does not look for a body would read it as the next request.
        let may_share = usual || matches!(sent_as, SentAs::Nothing | SentAs::Length(0));
        Pump {
            waits: waits && sent_as != SentAs::Nothing,
            body: (sent_as != SentAs::Nothing).then_some(body),
            sent_as,
            may_share,
            out: Outgoing::default(),
            head_left: 0,
            taken: 0,
            sent: 0,
            unflushed: false,
            kept: Kept::default(),
            repeatable: false,
            left: None,
            stage: None,
        }
    }

    /// Says there when the client has sent everything.
    pub(crate) fn tells(&mut self, stage: Rc<Stage>) {
        stage.uploaded.set(self.body.is_none());
        self.stage = Some(stage);
    }

    fn has_all(&mut self) {
        self.body = None;
        if let Some(stage) = &self.stage {
            stage.uploaded.set(true);
        }
    }

    /// How much of the body is kept for another try, and whether it is after it has been sent.
    pub(crate) fn keep(&mut self, most: usize, repeatable: bool, all: Rc<Cell<usize>>) {
        self.kept.give_back();
        self.kept.all = all;
        self.kept.most = most;
        self.repeatable = repeatable;
    }

    /// Puts a head before whatever of the body is already here. Only while nothing is sent that an
    /// upstream may have processed.
    pub(crate) fn start(&mut self, head: Bytes) {
        self.rewind();
        self.head_left = head.len();
        self.out.push(head);
    }

    /// The head went by another way, which may bring it to where it is processed.
    pub(crate) fn head_is_given(&mut self, bytes: u64) {
        self.sent = bytes;
    }

    /// To the beginning, for another attempt.
    pub(crate) fn rewind(&mut self) {
        self.out = Outgoing::default();
        self.left = None;
        self.sent = 0;
        self.unflushed = false;
        self.kept.next = 0;
    }

    /// All that was taken of the body can be sent again.
    pub(crate) fn can_rewind(&self) -> bool {
        !self.kept.lost
    }

    pub(crate) fn has_body(&self) -> bool {
        self.sent_as != SentAs::Nothing
    }

    /// The head has left us as a whole.
    pub(crate) fn head_is_sent(&self) -> bool {
        self.head_left == 0
    }

    pub(crate) fn is_done(&self) -> bool {
        self.is_given() && self.out.is_empty() && !self.unflushed && self.left.is_none()
    }

    /// Nothing more is to be asked for.
    fn is_given(&self) -> bool {
        self.body.is_none() && self.kept.is_through()
    }

    /// Writes and reads as much as goes without waiting.
    pub(crate) fn poll<W: AsyncWrite + Unpin>(
        &mut self,
        io: &mut W,
        cx: &mut Context<'_>,
    ) -> Result<Pumped, PumpFault> {
        if self.sent == 0 && !self.waits && self.taken == 0 {
            // What of the body is here already leaves with the head, in one write.
            let _ = self.poll_body(cx)?;
        }
        loop {
            if self.poll_write(io, cx).map_err(PumpFault::Upstream)?.is_pending() {
                return Ok(Pumped::Upstream);
            }
            if self.is_given() {
                return Ok(Pumped::All);
            }
            if 0 < self.sent && self.kept.is_through() && !self.repeatable {
                self.kept.lose();
            }
            if self.waits || self.poll_body(cx)?.is_pending() {
                return Ok(Pumped::Client);
            }
        }
    }

    /// The same into an HTTP/2 stream, whose window decides.
    pub(crate) fn poll_stream(
        &mut self,
        stream: &mut SendStream<Bytes>,
        cx: &mut Context<'_>,
    ) -> Result<Pumped, PumpFault> {
        loop {
            match self.left.take() {
                None if self.is_given() => return Ok(Pumped::All),
                None if self.waits => return Ok(Pumped::Client),
                None => match self.poll_piece(cx)? {
                    Poll::Pending => return Ok(Pumped::Client),
                    Poll::Ready(piece) => self.left = piece,
                },
                Some(Piece::Data(mut data)) => {
                    let room = match self.room(stream, data.len(), cx)? {
                        0 => {
                            self.left = Some(Piece::Data(data));
                            return Ok(Pumped::Upstream);
                        }
                        room => room,
                    };
                    let now = data.split_to(room);
                    if !data.is_empty() {
                        self.left = Some(Piece::Data(data));
                    }
                    self.give(stream, now)?;
                }
                Some(Piece::End(trailers)) => {
                    let trailers = trailers.map(may_go).filter(|it| !it.is_empty());
                    let ended = match trailers {
                        Some(trailers) => stream.send_trailers(trailers),
                        None => stream.send_data(Bytes::new(), true),
                    };
                    ended.map_err(|_| PumpFault::Upstream(io::ErrorKind::BrokenPipe.into()))?;
                }
            }
        }
    }

    /// How much of so many bytes the stream takes now.
    fn room(
        &mut self,
        stream: &mut SendStream<Bytes>,
        wanted: usize,
        cx: &mut Context<'_>,
    ) -> Result<usize, PumpFault> {
        stream.reserve_capacity(wanted);
        while stream.capacity() == 0 {
            match stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => {
                    return Err(PumpFault::Upstream(io::ErrorKind::BrokenPipe.into()));
                }
                Poll::Pending => return Ok(0),
            }
        }
        Ok(stream.capacity().min(wanted))
    }

    /// Data goes into the stream, with its end where it is known to be the last.
    fn give(&mut self, stream: &mut SendStream<Bytes>, data: Bytes) -> Result<(), PumpFault> {
        self.sent += data.len() as u64;
        let last = self.left.is_none() && self.is_given();
        stream
            .send_data(data, last)
            .map_err(|_| PumpFault::Upstream(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        io: &mut W,
        cx: &mut Context<'_>,
    ) -> io::Result<Poll<()>> {
        while !self.out.is_empty() {
            match self.out.poll_write(io, cx)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(amount) => {
                    self.sent += amount as u64;
                    self.head_left = self.head_left.saturating_sub(amount);
                    self.unflushed = true;
                }
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        if self.unflushed {
            match Pin::new(io).poll_flush(cx)? {
                Poll::Ready(()) => self.unflushed = false,
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        Ok(Poll::Ready(()))
    }

    /// The next piece of the body goes into the queue.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, PumpFault> {
        let polled = self.poll_piece(cx)?;
        if matches!(self.sent_as, SentAs::Length(_))
            && self.body.as_ref().is_some_and(Inbound::has_all)
        {
            // HTTP/1 has no trailers beside a length: nothing is left to wait for.
            self.has_all();
        }
        Ok(polled.map(|piece| match piece {
            Some(Piece::Data(data)) => self.data(data),
            Some(Piece::End(trailers)) => self.end(trailers),
            None => {}
        }))
    }

    /// The next piece: from what was kept, then from the client. `None` where all is given.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Result<Poll<Option<Piece>>, PumpFault> {
        if let Some(piece) = self.kept.again() {
            return Ok(Poll::Ready(Some(piece)));
        }
        let Some(body) = &mut self.body else {
            return Ok(Poll::Ready(None));
        };
        let piece = match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(None) => Piece::End(None),
            Poll::Ready(Some(Err(_))) => return Err(PumpFault::Client),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Piece::Data(data),
                Err(frame) => Piece::End(frame.into_trailers().ok()),
            },
        };
        // A known length is over with its last byte; nobody need be asked again.
        let known = matches!(self.sent_as, SentAs::Length(_));
        let over = matches!(piece, Piece::End(_)) || (known && body.is_end_stream());
        if over {
            self.has_all();
        }
        if let Piece::Data(data) = &piece {
            self.taken += data.len() as u64;
        }
        self.kept.keep(&piece);
        Ok(Poll::Ready(Some(piece)))
    }

    fn data(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        if self.sent_as != SentAs::Chunked {
            self.out.push(data);
            return;
        }
        self.out.push(Bytes::from(format!("{:x}\r\n", data.len())));
        self.out.push(data);
        self.out.push(Bytes::from_static(b"\r\n"));
    }

    fn end(&mut self, trailers: Option<HeaderMap>) {
        if self.sent_as != SentAs::Chunked {
            return;
        }
        let mut end = BytesMut::from(&b"0\r\n"[..]);
        for (name, value) in &trailers.map(may_go).unwrap_or_default() {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                end.extend_from_slice(part);
            }
        }
        end.extend_from_slice(b"\r\n");
        self.out.push(end.freeze());
    }

    /// Runs to the end by itself, when the answer came before the upload was over.
    pub(crate) async fn finish<W: AsyncWrite + Unpin>(self, mut io: W, link: Rc<Link>) {
        self.run(link, |pump, cx| pump.poll(&mut io, cx)).await;
    }

    /// The same into an HTTP/2 stream.
    pub(crate) async fn finish_stream(self, mut stream: SendStream<Bytes>, link: Rc<Link>) {
        self.run(link, |pump, cx| pump.poll_stream(&mut stream, cx)).await;
    }

    async fn run(
        mut self,
        link: Rc<Link>,
        mut poll: impl FnMut(&mut Pump, &mut Context<'_>) -> Result<Pumped, PumpFault>,
    ) {
        if self.waits {
            // The answer is there, and leave to send was not given. A server that looks for no body
            // any more would read it as the next request.
            link.unread.set(true);
            return;
        }
        self.kept.lose_sent();
        let whole = std::future::poll_fn(|cx| match poll(&mut self, cx) {
            Ok(Pumped::All) => Poll::Ready(true),
            Ok(Pumped::Upstream | Pumped::Client) => Poll::Pending,
            Err(_) => Poll::Ready(false),
        });
        let whole = whole.await;
        link.unread.set(!whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_may_take_off_only_what_nobody_goes_by() {
        let mut headers = HeaderMap::new();
        for line in [&b"close, X-Own"[..], b"\xe9,x-real-ip , authorization,x-other,", b"te"] {
            headers.append(header::CONNECTION, HeaderValue::from_bytes(line).expect("it is one"));
        }
        let options = connection_options(&headers);
        assert_eq!(options, ["close", "x-own", "\u{fffd}", "x-other", ""]);
    }

    #[test]
    fn what_looks_like_another_field_to_some_is_known() {
        let check = |name, disguised| assert_eq!(is_disguised(name), disguised, "{name}");
        check("x_forwarded_for", true);
        check("x-forwarded_for", true);
        check("content_length", true);
        check("x_real_ip", true);
        check("x-forwarded-for", false);
        check("x_own", false);
        check("content-length", false);
    }

    #[test]
    fn a_chain_is_all_of_its_lines() {
        let mut headers = HeaderMap::new();
        assert_eq!(chain(&headers, "x-forwarded-for"), b"");
        for line in ["192.0.2.9, 192.0.2.8", "", "192.0.2.7"] {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        assert_eq!(chain(&headers, "x-forwarded-for"), b"192.0.2.9, 192.0.2.8, 192.0.2.7, ");
    }
}
