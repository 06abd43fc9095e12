//! The request as an upstream sees it: its head, what is added and taken off, and its body on the
//! way from the client.

use crate::front::Link;
use crate::inbound::Inbound;
use crate::seat::Seat;
use crate::tunnel;
use crate::upstream::wire::Outgoing;
use bytes::{Bytes, BytesMut};
use config::{HostSent, Place, Target};
use exchange::{ExchangeId, TraceParent};
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Version};
use http_body::Body;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// A request that is to be sent, perhaps more than once until its first byte has left.
pub(crate) struct Outbound {
    pub(crate) method: Method,
    /// Normal form, prefix stripped, query kept.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    /// As the client wrote it, port included.
    pub(crate) authority: String,
    /// What the client asks its connection to go on with.
    pub(crate) upgrade: Option<Bytes>,
    pub(crate) pump: Pump,
}

/// What is told to the upstream about where the request came from.
pub(crate) struct Origin<'a> {
    pub(crate) seat: &'a Seat,
    pub(crate) id: ExchangeId,
    pub(crate) trace: TraceParent,
    pub(crate) version: Version,
}

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
        let waits = headers
            .get(header::EXPECT)
            .is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        // HTTP/1.0 knows of none (RFC 9110 7.8): what follows was read as requests.
        let may_upgrade = version != Version::HTTP_10 && body.is_end_stream();
        let upgrade = tunnel::asked(&headers).filter(|_| may_upgrade);
        let pump = Pump::new(body, waits, body_is_usual(&method));
        Outbound { method, target, headers, authority, upgrade, pump }
    }

    /// The head for one target, ready to be written.
    pub(crate) fn head(&self, target: &Target, host: &HostSent, origin: &Origin) -> Bytes {
        let mut head = BytesMut::with_capacity(1024);
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|it| head.extend_from_slice(it));
        let path = self.target.as_bytes();
        put(&[self.method.as_str().as_bytes(), b" ", target.base_path.as_bytes(), path]);
        put(&[b" HTTP/1.1\r\nhost: ", self.host(target, host).as_bytes(), b"\r\n"]);

        let listed = connection_options(&self.headers);
        for (name, value) in &self.headers {
            if goes_on(name, origin.seat) && !listed.iter().any(|it| *name == it.as_str()) {
                put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
            }
        }
        if keeps_trailers(&self.headers) {
            put(&[b"te: trailers\r\n"]);
        }
        match self.pump.sent_as {
            SentAs::Chunked => put(&[b"transfer-encoding: chunked\r\n"]),
            // Said by what we send, not by what the client wrote.
            SentAs::Length(length) => {
                put(&[b"content-length: ", length.to_string().as_bytes(), b"\r\n"]);
            }
            SentAs::Nothing if self.headers.contains_key(header::CONTENT_LENGTH) => {
                put(&[b"content-length: 0\r\n"]);
            }
            SentAs::Nothing => {}
        }
        if let Some(protocol) = &self.upgrade {
            put(&[b"connection: upgrade\r\nupgrade: ", protocol, b"\r\n"]);
        }
        let via = chain(&self.headers, header::VIA.as_str());
        let version: &[u8] = match origin.version {
            Version::HTTP_10 => b"1.0 ",
            Version::HTTP_2 => b"2 ",
            _ => b"1.1 ",
        };
        put(&[b"via: ", &via, version, origin.seat.worker.plane.via.as_bytes(), b"\r\n"]);
        origin.put_forwarded(&mut put, &self.headers, &self.authority);
        put(&[b"traceparent: ", &origin.trace.field(), b"\r\n"]);
        if !self.headers.contains_key("x-request-id") {
            put(&[b"x-request-id: ", &origin.id.hex(), b"\r\n"]);
        }
        put(&[b"\r\n"]);
        head.freeze()
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

/// A name that means the same everywhere: not an address, not a single label, not `.internal`.
fn is_public(target: &Target) -> bool {
    let Place::Name { host, .. } = &target.place else {
        return false;
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
                seat.trusted_proxy
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

/// A trailer must not say what only a head may (RFC 9110 6.5.1): some servers merge the two, and
/// what we took off the head would come back.
fn may_trail(name: &HeaderName) -> bool {
    !matters(name.as_str()) && !is_disguised(name.as_str())
}

/// Framing, routing, or who asks and from where goes by this field.
fn matters(name: &str) -> bool {
    let forwarded = ["x-forwarded-", "x-real-ip", "forwarded", "via", "traceparent"];
    let routing =
        ["host", "authorization", "proxy-", "cookie", "expect", "upgrade", "x-request-id"];
    let framing = ["content-", "transfer-encoding", "connection", "keep-alive", "te", "trailer"];
    let starts = |it: &&str| if it.ends_with('-') { name.starts_with(*it) } else { name == *it };
    [&forwarded[..], &routing, &framing].into_iter().flatten().any(starts)
}

impl Origin<'_> {
    fn put_forwarded(&self, put: &mut impl FnMut(&[&[u8]]), headers: &HeaderMap, authority: &str) {
        let believed = |name: &str| {
            let value = headers.get(name).filter(|_| self.seat.trusted_proxy);
            value.map(http::HeaderValue::as_bytes)
        };
        let own: &[u8] = if self.seat.tls { b"https" } else { b"http" };
        let ip = &self.seat.peer_text;
        let before = |name| match self.seat.trusted_proxy {
            true => chain(headers, name),
            false => Vec::new(),
        };
        put(&[b"x-forwarded-for: ", &before("x-forwarded-for"), ip.as_bytes(), b"\r\n"]);
        let proto = believed("x-forwarded-proto").unwrap_or(own);
        put(&[b"x-forwarded-proto: ", proto, b"\r\n"]);
        let host = believed("x-forwarded-host").unwrap_or(authority.as_bytes());
        if !host.is_empty() {
            put(&[b"x-forwarded-host: ", host, b"\r\n"]);
        }
        // One element of `Forwarded` (RFC 7239).
        put(&[b"forwarded: ", &before("forwarded"), b"for=", self.seat.node.as_bytes()]);
        if !authority.is_empty() {
            put(&[b";host=\"", authority.as_bytes(), b"\""]);
        }
        put(&[b";proto=", own, b"\r\n"]);
    }
}

/// All that a list field says in however many lines, ready for one element more: proxies add theirs
/// as a line of its own, and the last of them is the one to be believed.
fn chain(headers: &HeaderMap, name: &str) -> Vec<u8> {
    let values = headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
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
        let waits = waits && sent_as != SentAs::Nothing;
        // A server that does not look for a body would read it as the next request.
        let may_share = usual || matches!(sent_as, SentAs::Nothing | SentAs::Length(0));
        let body = (sent_as != SentAs::Nothing).then_some(body);
        let out = Outgoing::default();
        let (head_left, taken, sent) = (0, 0, 0);
        Pump { body, sent_as, may_share, out, head_left, waits, taken, sent, unflushed: false }
    }

    /// Puts a head before whatever of the body is already here. Only while nothing is sent.
    pub(crate) fn start(&mut self, head: Bytes) {
        if 0 < self.head_left {
            self.out.replace_first(head.clone());
        } else {
            self.out.push(head.clone());
        }
        self.head_left = head.len();
    }

    pub(crate) fn has_body(&self) -> bool {
        self.sent_as != SentAs::Nothing
    }

    /// The head has left us as a whole.
    pub(crate) fn head_is_sent(&self) -> bool {
        self.head_left == 0
    }

    pub(crate) fn is_done(&self) -> bool {
        self.body.is_none() && self.out.is_empty() && !self.unflushed
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
            if self.body.is_none() {
                return Ok(Pumped::All);
            }
            if self.waits || self.poll_body(cx)?.is_pending() {
                return Ok(Pumped::Client);
            }
        }
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
        let Some(body) = &mut self.body else {
            return Ok(Poll::Ready(()));
        };
        let frame = match Pin::new(body).poll_frame(cx) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(None) => {
                self.end(None);
                return Ok(Poll::Ready(()));
            }
            Poll::Ready(Some(Err(_))) => return Err(PumpFault::Client),
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        match frame.into_data() {
            Ok(data) => self.data(data),
            Err(frame) => self.end(frame.into_trailers().ok()),
        }
        Ok(Poll::Ready(()))
    }

    fn data(&mut self, data: Bytes) {
        self.taken += data.len() as u64;
        if data.is_empty() {
            return;
        }
        if self.sent_as != SentAs::Chunked {
            self.out.push(data);
            // A known length is over with its last byte; nobody need be asked again.
            if self.body.as_ref().is_some_and(Body::is_end_stream) {
                self.body = None;
            }
            return;
        }
        self.out.push(Bytes::from(format!("{:x}\r\n", data.len())));
        self.out.push(data);
        self.out.push(Bytes::from_static(b"\r\n"));
    }

    fn end(&mut self, trailers: Option<HeaderMap>) {
        self.body = None;
        if self.sent_as != SentAs::Chunked {
            return;
        }
        match trailers {
            None => self.out.push(Bytes::from_static(b"0\r\n\r\n")),
            Some(trailers) => {
                let mut end = BytesMut::from(&b"0\r\n"[..]);
                for (name, value) in trailers.iter().filter(|(name, _)| may_trail(name)) {
                    for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                        end.extend_from_slice(part);
                    }
                }
                end.extend_from_slice(b"\r\n");
                self.out.push(end.freeze());
            }
        }
    }

    /// Runs to the end by itself, when the answer came before the upload was over.
    pub(crate) async fn finish<W: AsyncWrite + Unpin>(mut self, mut io: W, link: Rc<Link>) {
        if self.waits {
            // The answer is there, and leave to send was not given. A server that looks for no body
            // any more would read it as the next request.
            link.unread.set(true);
            return;
        }
        let whole = std::future::poll_fn(|cx| match self.poll(&mut io, cx) {
            Ok(Pumped::All) => Poll::Ready(true),
            Ok(Pumped::Upstream | Pumped::Client) => Poll::Pending,
            Err(_) => Poll::Ready(false),
        });
        link.unread.set(!whole.await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

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
