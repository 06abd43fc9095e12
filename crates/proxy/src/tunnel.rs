//! A connection that goes on with another protocol than HTTP, such as WebSocket (RFC 6455): bytes,
//! both ways, until one side ends.

use crate::contain::{contained, trip};
use crate::head::Head;
use crate::recorder::Recorder;
use crate::stream_io::StreamIo;
use crate::timer::Alarm;
use crate::upstream::From;
use crate::upstream::http2::Stream;
use crate::upstream::multiplex::Lease;
use crate::upstream::wire::Wire;
use crate::websocket;
use bytes::{Buf, Bytes, BytesMut};
use exchange::{BodyFault, Fault, HeadFault, Limit};
use http::header::{self, HeaderMap, HeaderValue};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

/// What is read ahead of the side that does not take it.
const AHEAD: usize = 32 * 1024;

/// The upstream's side, and the record that ends with it.
pub(crate) struct Tunnel {
    far: Far,
    record: Recorder,
    alarm: Alarm,
    /// `timeout.tunnel`: the longest time without a byte in either direction.
    idle: Duration,
}

/// A connection to the upstream, or one stream of one.
enum Far {
    Wire(Box<Wire>),
    Stream { io: Box<StreamIo>, _lease: Lease },
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl Far {
    fn new(from: From) -> Far {
        match from {
            From::Wire(wire) => Far::Wire(Box::new(wire)),
            From::Stream(Stream { recv, send, lease, .. }) => {
                Far::Stream { io: Box::new(StreamIo::new(send, recv)), _lease: lease }
            }
        }
    }

    /// What was read with the answer's head.
    fn held(&mut self) -> BytesMut {
        match self {
            Far::Wire(wire) => std::mem::take(&mut wire.held),
            Far::Stream { .. } => BytesMut::new(),
        }
    }

    fn io(&mut self) -> &mut dyn Duplex {
        match self {
            Far::Wire(wire) => &mut wire.io,
            Far::Stream { io, .. } => &mut **io,
        }
    }
}

/// Who ended it.
enum Ended {
    Both,
    Idle,
    Client,
    Upstream(io::Error),
}

/// One direction.
struct Way {
    held: BytesMut,
    state: Flow,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    /// The end was read; what is held goes first.
    Ending,
    Over,
}

/// Which side of a way failed.
enum Broke {
    From(io::Error),
    To(io::Error),
}

impl Way {
    fn new(held: BytesMut) -> Way {
        Way { held, state: Flow::Open }
    }

    /// Moves what goes without waiting; how many bytes arrived.
    fn poll<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        from: &mut R,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Result<usize, Broke> {
        let mut moved = 0;
        loop {
            let mut still = true;
            if self.state == Flow::Open && self.held.len() < AHEAD {
                self.held.reserve(AHEAD / 4);
                match poll_read_buf(Pin::new(from), cx, &mut self.held) {
                    Poll::Ready(Ok(0)) => {
                        self.state = Flow::Ending;
                        still = false;
                    }
                    Poll::Ready(Ok(_)) => still = false,
                    Poll::Ready(Err(error)) => return Err(Broke::From(error)),
                    Poll::Pending => {}
                }
            }
            if !self.held.is_empty() {
                match Pin::new(&mut *to).poll_write(cx, &self.held) {
                    Poll::Ready(Ok(0)) => return Err(Broke::To(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(amount)) => {
                        self.held.advance(amount);
                        moved += amount;
                        still = false;
                    }
                    Poll::Ready(Err(error)) => return Err(Broke::To(error)),
                    Poll::Pending => {}
                }
            }
            if self.held.is_empty() {
                if self.state == Flow::Ending && Pin::new(&mut *to).poll_shutdown(cx).is_ready() {
                    // One side may end while the other goes on.
                    self.state = Flow::Over;
                }
                if still {
                    if self.state != Flow::Over
                        && let Poll::Ready(Err(error)) = Pin::new(&mut *to).poll_flush(cx)
                    {
                        return Err(Broke::To(error));
                    }
                    // A tunnel that waits holds no memory of ours.
                    self.held = BytesMut::new();
                }
            }
            if still {
                return Ok(moved);
            }
        }
    }
}

impl Tunnel {
    pub(crate) fn new(from: From, record: Recorder, alarm: Alarm, idle: Duration) -> Tunnel {
        Tunnel { far: Far::new(from), record, alarm, idle }
    }

    /// Joins the two sides until both have ended, one fails, or nothing comes for too long.
    pub(crate) async fn join<S: AsyncRead + AsyncWrite + Unpin>(mut self, mut client: S) {
        let mut up = Way::new(BytesMut::new());
        let mut down = Way::new(self.far.held());
        let mut taken = 0;
        let id = self.record.id();
        let polled = poll_fn(|cx| {
            contained(id, || self.poll(&mut client, &mut up, &mut down, &mut taken, cx))
                .map_or_else(|caught| Poll::Ready(Err(caught)), |it| it.map(Ok))
        });
        let Ok(ended) = polled.await else {
            return self.record.broke_down();
        };
        match ended {
            Ended::Both => self.record.complete(),
            Ended::Client => self.record.client_gone(),
            Ended::Idle => {
                let value = u64::try_from(self.idle.as_micros()).unwrap_or(u64::MAX);
                let limit = Limit { name: "timeout.tunnel", value };
                self.record.cut(Fault::Body(BodyFault::Stalled(limit)));
            }
            Ended::Upstream(error) => {
                self.record.attempt_mut().errno = error.raw_os_error();
                let reset = error.kind() == io::ErrorKind::ConnectionReset;
                let fault = if reset { BodyFault::Reset } else { BodyFault::Errno };
                self.record.cut(Fault::Body(fault));
            }
        }
    }

    fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        client: &mut S,
        up: &mut Way,
        down: &mut Way,
        taken: &mut u64,
        cx: &mut Context<'_>,
    ) -> Poll<Ended> {
        trip::at("tunnel", self.record.path());
        let far = &mut self.far.io();
        let sent = match up.poll(client, far, cx) {
            Ok(sent) => sent,
            Err(Broke::From(_)) => return Poll::Ready(Ended::Client),
            Err(Broke::To(error)) => return Poll::Ready(Ended::Upstream(error)),
        };
        let given = match down.poll(far, client, cx) {
            Ok(given) => given,
            Err(Broke::From(error)) => return Poll::Ready(Ended::Upstream(error)),
            Err(Broke::To(_)) => return Poll::Ready(Ended::Client),
        };
        *taken += sent as u64;
        self.record.body_taken(*taken);
        self.record.body_sent(given);
        let attempt = self.record.attempt_mut();
        attempt.sent += sent as u64;
        attempt.received += given as u64;
        if (up.state, down.state) == (Flow::Over, Flow::Over) {
            return Poll::Ready(Ended::Both);
        }
        if 0 < sent + given || !self.alarm.is_set() {
            self.alarm.set(Instant::now() + self.idle);
        }
        self.alarm.poll(cx).map(|()| Ended::Idle)
    }
}

/// What a client asks its connection or stream to go on with.
#[derive(Clone, Debug)]
pub(crate) struct Upgrade {
    pub(crate) protocol: Bytes,
    /// It asks for its stream, by CONNECT (RFC 8441 4): every 2xx would make a tunnel of it.
    pub(crate) by_connect: bool,
    /// The `Sec-WebSocket-Accept` that answers a key of ours. A client that made the key looks for
    /// itself.
    accept: Option<String>,
}

impl Upgrade {
    pub(crate) fn asked(headers: &HeaderMap, by_connect: bool) -> Option<Upgrade> {
        let protocol = asked(headers)?;
        let ours = by_connect && is_websocket(&protocol);
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| ours);
        let accept = key.map(|it| websocket::accept(it.as_bytes()));
        Some(Upgrade { protocol, by_connect, accept })
    }

    /// Over a stream it is agreed on without keys (RFC 8441 5): what a client of HTTP/1.1 waits for,
    /// by the key that it made.
    pub(crate) fn accept_for(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let key = headers.get(header::SEC_WEBSOCKET_KEY);
        let key = key.filter(|_| !self.by_connect && is_websocket(&self.protocol))?;
        HeaderValue::from_str(&websocket::accept(key.as_bytes())).ok()
    }

    fn is_proven(&self, fields: &HeaderMap) -> bool {
        let said = fields.get(header::SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        self.accept.as_ref().is_none_or(|it| said == Some(it.as_bytes()))
    }
}

/// What is wrong with a 101 or a final answer, as one to a request that asked for this.
pub(crate) fn check(asked: Option<&Upgrade>, answer: &Head) -> Result<(), HeadFault> {
    match (answer.status, asked) {
        (101, Some(asked)) => {
            let chosen = answer.upgrade.as_ref().map(HeaderValue::as_bytes);
            match chosen {
                Some(it) if !it.eq_ignore_ascii_case(&asked.protocol) => {
                    Err(HeadFault::UnaskedUpgrade)
                }
                Some(_) if asked.is_proven(&answer.fields) => Ok(()),
                Some(_) => Err(HeadFault::NotSwitched(101)),
                None => Err(HeadFault::UnaskedUpgrade),
            }
        }
        (101, None) => Err(HeadFault::UnaskedUpgrade),
        (200..300, Some(Upgrade { by_connect: true, .. })) => {
            Err(HeadFault::NotSwitched(answer.status))
        }
        _ => Ok(()),
    }
}

/// The value of `Upgrade`, where a client means it and it is one that may pass.
fn asked(headers: &HeaderMap) -> Option<Bytes> {
    let mut values = headers.get_all(header::UPGRADE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let lists = headers.get_all(header::CONNECTION).iter().filter_map(|it| it.to_str().ok());
    let mut options = lists.flat_map(|it| it.split(','));
    let meant = options.any(|it| it.trim().eq_ignore_ascii_case("upgrade"));
    let name = value.as_bytes();
    (meant && may_pass(name)).then(|| Bytes::copy_from_slice(name))
}

/// One name of a protocol, with its version perhaps. HTTP is none that may pass: whoever asks for it
/// speaks to us (RFC 9113 3.1), and no upstream must read as HTTP what we do not.
pub(crate) fn may_pass(name: &[u8]) -> bool {
    let token =
        !name.is_empty() && name.iter().all(|it| crate::framing::is_token(*it) || *it == b'/');
    let http = name.get(..2).is_some_and(|it| it.eq_ignore_ascii_case(b"h2"));
    let http = http || name.get(..4).is_some_and(|it| it.eq_ignore_ascii_case(b"http"));
    token && !http
}

pub(crate) fn is_websocket(protocol: &[u8]) -> bool {
    protocol.eq_ignore_ascii_case(b"websocket")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::limits;
    use crate::head::answer_head;

    #[track_caller]
    fn check_asked(
        connection: &'static str,
        upgrade: &[&'static str],
        expected: Option<&'static str>,
    ) {
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static(connection));
        for it in upgrade {
            headers.append("upgrade", HeaderValue::from_static(it));
        }
        let expected = expected.map(|it| Bytes::from_static(it.as_bytes()));
        assert_eq!(asked(&headers), expected, "{connection}, {upgrade:?}");
    }

    #[test]
    fn what_may_pass() {
        check_asked("Upgrade", &["websocket"], Some("websocket"));
        check_asked("keep-alive, upgrade", &["WebSocket"], Some("WebSocket"));
        check_asked("keep-alive", &["websocket"], None);
        check_asked("upgrade", &[], None);
        check_asked("upgrade", &["websocket", "other"], None);
        check_asked("upgrade", &["websocket, other"], None);
        check_asked("upgrade", &["h2c"], None);
        check_asked("upgrade", &["HTTP/2.0"], None);
        check_asked("upgrade", &["TLS/1.0"], Some("TLS/1.0"));
        check_asked("upgrade", &[""], None);
    }

    /// The answer to a WebSocket that is asked for with the key of RFC 6455 1.3.
    #[track_caller]
    fn check_answer(by_connect: bool, answer: &str, expected: Result<(), HeadFault>) {
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static("upgrade"));
        headers.insert("upgrade", HeaderValue::from_static("websocket"));
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        headers.insert("sec-websocket-key", key);
        let asked = Upgrade::asked(&headers, by_connect);
        let text = format!("HTTP/1.1 {answer}\r\n\r\n");
        let head = answer_head(text.as_bytes(), &limits(), false).unwrap().unwrap();
        assert_eq!(check(asked.as_ref(), &head), expected, "{answer}");
    }

    #[test]
    fn what_switches_and_what_does_not() {
        const AGREED: &str = "101 x\r\nUpgrade: WebSocket";
        let proven = format!("{AGREED}\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let wrong = format!("{AGREED}\r\nSec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for by_connect in [false, true] {
            check_answer(by_connect, &proven, Ok(()));
            check_answer(by_connect, "101 x\r\nUpgrade: other", Err(HeadFault::UnaskedUpgrade));
            check_answer(by_connect, "101 x", Err(HeadFault::UnaskedUpgrade));
            check_answer(by_connect, "403 x", Ok(()));
            check_answer(by_connect, "302 x", Ok(()));
        }
        // A client of HTTP/1.1 made its key, and sees what it gets.
        for answer in [&wrong, AGREED, "200 x"] {
            check_answer(false, answer, Ok(()));
        }
        check_answer(true, &wrong, Err(HeadFault::NotSwitched(101)));
        check_answer(true, AGREED, Err(HeadFault::NotSwitched(101)));
        check_answer(true, "200 x", Err(HeadFault::NotSwitched(200)));
        check_answer(true, "204 x", Err(HeadFault::NotSwitched(204)));
    }
}
