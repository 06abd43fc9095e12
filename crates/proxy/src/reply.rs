//! What the service gives to the client's connection: a head, and a body that ends the record.

use crate::contain::{Caught, contained};
use crate::grpc::body::CallBody;
use crate::recorder::Recorder;
use crate::stale::body::KeptBody;
use crate::upstream::body::{Cut, UpstreamBody};
use bytes::Bytes;
use exchange::Fault;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) type Reply = Response<AnswerBody>;

/// So many bytes of an answer of our own are handed on at a time: a client that leaves is seen.
const PIECE: usize = 64 * 1024;

pub(crate) enum AnswerBody {
    Upstream(Box<UpstreamBody>),
    /// The same, which is kept as it goes by.
    Kept(Box<KeptBody>),
    /// The same in answer to a gRPC call.
    Call(Box<CallBody>),
    Fixed {
        bytes: Bytes,
        record: Box<Recorder>,
    },
    /// What is said of an exchange that goes on without its caller.
    Said(Bytes),
    /// Everything is said, and recorded.
    Empty,
    /// A mistake of ours ended it, and it is recorded. What came before goes out first.
    Broken,
}

/// An answer of our own. The record ends when its body is handed on.
pub(crate) fn fixed(
    status: u16,
    mut headers: HeaderMap,
    bytes: Bytes,
    mut record: Recorder,
) -> Reply {
    record.mark_answer(&mut headers);
    // Nothing of the body will be asked for where it is empty or the client asked for the head.
    let head_only = &*record.exchange().request.method == "HEAD";
    let body = if bytes.is_empty() || head_only {
        record.complete();
        match head_only {
            true if !bytes.is_empty() => {
                let length = http::HeaderValue::from(bytes.len());
                headers.insert(http::header::CONTENT_LENGTH, length);
                AnswerBody::Empty
            }
            _ => AnswerBody::Empty,
        }
    } else {
        AnswerBody::Fixed { bytes, record: Box::new(record) }
    };
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *reply.headers_mut() = headers;
    reply
}

impl AnswerBody {
    fn record(&mut self) -> Option<&mut Recorder> {
        match self {
            AnswerBody::Upstream(body) => Some(body.record()),
            AnswerBody::Kept(body) => Some(body.record()),
            AnswerBody::Call(body) => Some(body.record()),
            AnswerBody::Fixed { record, .. } => Some(record),
            AnswerBody::Said(_) | AnswerBody::Empty | AnswerBody::Broken => None,
        }
    }

    /// It is given up, for this.
    pub(crate) fn give_up(mut self, fault: Fault) {
        if let Some(record) = self.record() {
            record.cut(fault);
        }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self {
            AnswerBody::Upstream(body) => body.poll_frame(cx),
            AnswerBody::Kept(body) => body.poll_frame(cx),
            AnswerBody::Call(body) => body.poll_frame(cx),
            AnswerBody::Fixed { bytes, record } => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                record.body_sent(piece.len());
                if bytes.is_empty() {
                    record.complete();
                    *self = AnswerBody::Empty;
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            AnswerBody::Said(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = AnswerBody::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            AnswerBody::Empty => Poll::Ready(None),
            AnswerBody::Broken => Poll::Ready(Some(Err(Cut))),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        let id = this.record().and_then(|it| it.id());
        contained(id, || this.next(cx)).unwrap_or_else(|Caught| {
            if let Some(record) = this.record() {
                record.broke_down();
            }
            *this = AnswerBody::Broken;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Upstream(body) => body.is_end_stream(),
            AnswerBody::Kept(body) => body.is_end_stream(),
            AnswerBody::Call(body) => body.is_end_stream(),
            AnswerBody::Fixed { .. } | AnswerBody::Said(_) | AnswerBody::Broken => false,
            AnswerBody::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Upstream(body) => body.size_hint(),
            AnswerBody::Kept(body) => body.size_hint(),
            AnswerBody::Call(_) | AnswerBody::Broken => SizeHint::default(),
            AnswerBody::Fixed { bytes, .. } | AnswerBody::Said(bytes) => {
                SizeHint::with_exact(bytes.len() as u64)
            }
            AnswerBody::Empty => SizeHint::with_exact(0),
        }
    }
}
