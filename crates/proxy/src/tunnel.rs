//! A connection that goes on with another protocol than HTTP, such as WebSocket (RFC 6455): bytes,
//! both ways, until one side ends.

use crate::recorder::Recorder;
use crate::timer::Alarm;
use crate::upstream::wire::Wire;
use bytes::{Buf, Bytes, BytesMut};
use exchange::{BodyFault, Fault, Limit};
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
    wire: Wire,
    record: Recorder,
    alarm: Alarm,
    /// `timeout.tunnel`: the longest time without a byte in either direction.
    idle: Duration,
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
                    let _ = Pin::new(&mut *to).poll_flush(cx);
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
    pub(crate) fn new(wire: Wire, record: Recorder, alarm: Alarm, idle: Duration) -> Tunnel {
        Tunnel { wire, record, alarm, idle }
    }

    /// Joins the two sides until both have ended, one fails, or nothing comes for too long.
    pub(crate) async fn join<S: AsyncRead + AsyncWrite + Unpin>(mut self, mut client: S) {
        let mut up = Way::new(BytesMut::new());
        let mut down = Way::new(std::mem::take(&mut self.wire.held));
        let mut taken = 0;
        let ended = poll_fn(|cx| self.poll(&mut client, &mut up, &mut down, &mut taken, cx)).await;
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
        let wire = &mut self.wire.io;
        let sent = match up.poll(client, wire, cx) {
            Ok(sent) => sent,
            Err(Broke::From(_)) => return Poll::Ready(Ended::Client),
            Err(Broke::To(error)) => return Poll::Ready(Ended::Upstream(error)),
        };
        let given = match down.poll(wire, client, cx) {
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

/// What a client asks its connection to go on with: the value of `Upgrade`, where it is one that
/// may pass. HTTP/2 is not: whoever asks for it speaks to us (RFC 9113 3.1), and no upstream must
/// read as HTTP what we do not.
pub(crate) fn asked(headers: &http::HeaderMap) -> Option<Bytes> {
    let mut values = headers.get_all(http::header::UPGRADE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let lists = headers.get_all(http::header::CONNECTION).iter().filter_map(|it| it.to_str().ok());
    let mut options = lists.flat_map(|it| it.split(','));
    let meant = options.any(|it| it.trim().eq_ignore_ascii_case("upgrade"));
    let name = value.as_bytes();
    let token =
        !name.is_empty() && name.iter().all(|it| crate::framing::is_token(*it) || *it == b'/');
    let http = name.get(..2).is_some_and(|it| it.eq_ignore_ascii_case(b"h2"));
    let http = http || name.get(..4).is_some_and(|it| it.eq_ignore_ascii_case(b"http"));
    (meant && token && !http).then(|| Bytes::copy_from_slice(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    fn check(connection: &'static str, upgrade: &[&'static str], expected: Option<&'static str>) {
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
        check("Upgrade", &["websocket"], Some("websocket"));
        check("keep-alive, upgrade", &["WebSocket"], Some("WebSocket"));
        check("keep-alive", &["websocket"], None);
        check("upgrade", &[], None);
        check("upgrade", &["websocket", "other"], None);
        check("upgrade", &["websocket, other"], None);
        check("upgrade", &["h2c"], None);
        check("upgrade", &["HTTP/2.0"], None);
        check("upgrade", &["TLS/1.0"], Some("TLS/1.0"));
        check("upgrade", &[""], None);
    }
}
