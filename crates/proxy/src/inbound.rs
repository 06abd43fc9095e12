//! The body of a request on its way in, whichever HTTP version it comes by.

use crate::front::Link;
use crate::grpc::Base64;
use crate::listen::http3::body::Upload;
use crate::listen::streams::Streams;
use crate::pace::{Least, Pace};
use crate::timer::Alarm;
use bytes::Bytes;
use exchange::{Malformed, Refusal};
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
    Http3(Box<Upload>),
    /// Text that is passed on as the bytes that it stands for.
    Text(Box<Spelled>),
    /// None: what comes is for a tunnel, if there will be one. The stream is kept for that.
    Tunnel,
}

/// A body in base64, in whatever pieces it comes.
pub(crate) struct Spelled {
    body: Inbound,
    decoder: Base64,
    link: Rc<Link>,
}

/// The body of one HTTP/2 stream.
pub(crate) struct Streamed {
    /// Only dropping takes it away.
    recv: Option<RecvStream>,
    /// What `Content-Length` says is left, where it says anything. h2 holds the client to it.
    left: Option<u64>,
    data_is_over: bool,
    is_over: bool,
    alarm: Alarm,
    /// The longest gap between two pieces; where there is none, who reads has limits of its own.
    patience: Option<Duration>,
    pace: Pace,
    terms: Terms,
    link: Rc<Link>,
}

/// What is asked of the body of a stream.
pub(crate) struct Terms {
    pub(crate) least: Least,
    /// Those with whom it shares its connection.
    pub(crate) streams: Rc<Streams>,
}

/// Reading failed. Whether it was our doing, the link knows.
pub(crate) struct Broken;

impl Inbound {
    pub(crate) fn http2(
        recv: RecvStream,
        length: Option<u64>,
        alarm: Alarm,
        terms: Terms,
        link: Rc<Link>,
    ) -> Inbound {
        let is_over = recv.is_end_stream();
        let data_is_over = is_over;
        let left = if is_over { Some(0) } else { length };
        Inbound::Http2(Box::new(Streamed {
            recv: Some(recv),
            left,
            data_is_over,
            is_over,
            alarm,
            patience: Some(terms.least.over),
            pace: Pace::default(),
            terms,
            link,
        }))
    }

    pub(crate) fn text(body: Inbound, link: Rc<Link>) -> Inbound {
        Inbound::Text(Box::new(Spelled { body, decoder: Base64::default(), link }))
    }

    /// Every byte of a stream has come; its end, which may be a frame of its own, perhaps not.
    pub(crate) fn has_all(&self) -> bool {
        matches!(self, Inbound::Http2(body) if body.left == Some(0))
    }

    /// The client may be silent between two pieces for as long as its reader lets it.
    pub(crate) fn may_rest(&mut self) {
        match self {
            Inbound::Http2(body) => body.patience = None,
            Inbound::Http3(body) => body.may_rest(),
            Inbound::Http1(_) | Inbound::Text(_) | Inbound::Tunnel => {}
        }
    }
}

impl Spelled {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                None if !self.decoder.is_whole() => return Poll::Ready(Some(Err(self.refuse()))),
                over => return Poll::Ready(over),
            };
            let text = match frame.into_data() {
                Ok(text) => text,
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            };
            match self.decoder.push(&text) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Err(_) => return Poll::Ready(Some(Err(self.refuse()))),
            }
        }
    }

    fn refuse(&self) -> Broken {
        self.link.refuse_body(Refusal::Malformed(Malformed::GrpcWebText));
        Broken
    }
}

impl Streamed {
    fn has_ended(&self) -> bool {
        self.recv.as_ref().is_none_or(RecvStream::is_end_stream)
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.link.body_asked.set(true);
        match self.poll_recv(cx) {
            Poll::Ready(frame) => {
                let data = frame.as_ref().and_then(|it| it.as_ref().ok()?.data_ref());
                let amount = data.map_or(0, Bytes::len);
                let Terms { least, streams } = &self.terms;
                let kept = self.pace.is_kept(amount, streams.open.get(), *least, &self.alarm);
                self.alarm.clear();
                Poll::Ready(if kept { frame } else { Some(Err(self.refuse(Refusal::BodySlow))) })
            }
            Poll::Pending => {
                let Some(patience) = self.patience else {
                    return Poll::Pending;
                };
                self.alarm.set_if_clear(patience);
                self.pace.wait(&self.alarm);
                ready!(self.alarm.poll(cx));
                Poll::Ready(Some(Err(self.refuse(Refusal::BodyTimeout))))
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Broken {
        self.is_over = true;
        self.link.refuse_body(refusal);
        Broken
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(recv) = &mut self.recv else {
            return Poll::Ready(None);
        };
        while !self.data_is_over {
            match ready!(recv.poll_data(cx)) {
                Some(Ok(data)) => {
                    // What was taken may be sent anew: the next piece is asked for only when this
                    // one has gone on, so a slow upstream still holds the client back.
                    let _ = recv.flow_control().release_capacity(data.len());
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
        let trailers = ready!(recv.poll_trailers(cx));
        self.is_over = true;
        Poll::Ready(match trailers {
            Ok(Some(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(None) => None,
            Err(_) => Some(Err(Broken)),
        })
    }
}

impl Drop for Streamed {
    /// Nobody waits for the frame that says that every byte has come; to let go of the stream before
    /// would reset it.
    fn drop(&mut self) {
        if self.left == Some(0) && !self.is_over && !self.has_ended() {
            self.link.tail.replace(self.recv.take());
        }
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
            Inbound::Text(body) => body.poll_frame(cx),
            Inbound::Tunnel => Poll::Ready(None),
            Inbound::Http3(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Inbound::Http1(body) => body.is_end_stream(),
            Inbound::Http2(body) => body.is_over || body.has_ended(),
            Inbound::Text(body) => body.decoder.is_whole() && body.body.is_end_stream(),
            Inbound::Tunnel => true,
            Inbound::Http3(body) => body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Inbound::Http1(body) => body.size_hint(),
            Inbound::Http2(body) => body.left.map_or_else(SizeHint::default, SizeHint::with_exact),
            Inbound::Text(_) => SizeHint::default(),
            Inbound::Tunnel => SizeHint::with_exact(0),
            Inbound::Http3(body) => {
                body.left().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}
