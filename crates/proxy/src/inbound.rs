//! The body of a request on its way in, whichever HTTP version it comes by.

use crate::front::Link;
use crate::timer::Alarm;
use bytes::Bytes;
use exchange::Refusal;
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

pub(crate) enum Inbound {
    /// The front limits its gaps.
    Http1(Incoming),
    Http2(Box<Streamed>),
    /// None: what comes is for a tunnel, if there will be one. The stream is kept for that.
    Tunnel,
}

/// The body of one HTTP/2 stream.
pub(crate) struct Streamed {
    recv: RecvStream,
    /// What `Content-Length` says is left, where it says anything. h2 holds the client to it.
    left: Option<u64>,
    data_is_over: bool,
    is_over: bool,
    alarm: Alarm,
    /// The longest gap between two pieces.
    patience: Duration,
    link: Rc<Link>,
}

/// Reading failed. Whether it was our doing, the link knows.
pub(crate) struct Broken;

impl Inbound {
    pub(crate) fn http2(
        recv: RecvStream,
        length: Option<u64>,
        alarm: Alarm,
        patience: Duration,
        link: Rc<Link>,
    ) -> Inbound {
        let is_over = recv.is_end_stream();
        let data_is_over = is_over;
        let left = if is_over { Some(0) } else { length };
        Inbound::Http2(Box::new(Streamed {
            recv,
            left,
            data_is_over,
            is_over,
            alarm,
            patience,
            link,
        }))
    }
}

impl Streamed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.link.body_asked.set(true);
        match self.poll_recv(cx) {
            Poll::Ready(frame) => {
                self.alarm.clear();
                Poll::Ready(frame)
            }
            Poll::Pending => {
                self.alarm.set_if_clear(self.patience);
                ready!(self.alarm.poll(cx));
                self.is_over = true;
                self.link.refuse_body(Refusal::BodyTimeout);
                Poll::Ready(Some(Err(Broken)))
            }
        }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        while !self.data_is_over {
            match ready!(self.recv.poll_data(cx)) {
                Some(Ok(data)) => {
                    // What was taken may be sent anew: the next piece is asked for only when this
                    // one has gone on, so a slow upstream still holds the client back.
                    let _ = self.recv.flow_control().release_capacity(data.len());
                    self.left = self.left.map(|it| it.saturating_sub(data.len() as u64));
                    if data.is_empty() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(_)) => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(Broken)));
                }
                None => self.data_is_over = true,
            }
        }
        let trailers = ready!(self.recv.poll_trailers(cx));
        self.is_over = true;
        Poll::Ready(match trailers {
            Ok(Some(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(None) => None,
            Err(_) => Some(Err(Broken)),
        })
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Inbound::Http1(body) => {
                Pin::new(body).poll_frame(cx).map(|it| it.map(|it| it.map_err(|_| Broken)))
            }
            Inbound::Http2(body) => body.poll_frame(cx),
            Inbound::Tunnel => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Inbound::Http1(body) => body.is_end_stream(),
            Inbound::Http2(body) => body.is_over || body.recv.is_end_stream(),
            Inbound::Tunnel => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Inbound::Http1(body) => body.size_hint(),
            Inbound::Http2(body) => body.left.map_or_else(SizeHint::default, SizeHint::with_exact),
            Inbound::Tunnel => SizeHint::with_exact(0),
        }
    }
}
