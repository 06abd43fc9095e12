//! The body of an upstream's answer to a call: bounded by the caller's deadline, and ended with a
//! status whatever happens.

use super::{Call, Spoken, status, web};
use crate::deadline::Deadline;
use crate::recorder::Recorder;
use crate::timer::Alarm;
use crate::upstream::body::{Cut, UpstreamBody};
use bytes::Bytes;
use exchange::Fault;
use http::header::{self, HeaderMap};
use http_body::Frame;
use std::task::{Context, Poll};

pub(crate) struct CallBody {
    body: UpstreamBody,
    /// Set to the caller's deadline, where there is one.
    alarm: Alarm,
    deadline: Option<Deadline>,
    ending: Ending,
    /// The head held the status, so the end needs none.
    told: bool,
    over: bool,
}

/// How the status comes after the body.
enum Ending {
    /// As trailers.
    Trailers,
    /// Not where it could be read: a body that breaks off has to look so.
    Nothing,
    /// As a frame.
    Frame {
        form: Spoken,
        place: web::Place,
        /// The status that the head held.
        told: HeaderMap,
    },
}

impl CallBody {
    /// `headers` are those of the answer, and become those that the caller is to see.
    pub(crate) fn new(
        call: &Call,
        headers: &mut HeaderMap,
        body: UpstreamBody,
        alarm: Alarm,
    ) -> CallBody {
        let deadline = call.deadline();
        if let Some(deadline) = deadline {
            alarm.set(deadline.at);
        }
        let told = headers.contains_key(status::STATUS);
        let ending = match call.is_web() {
            true => {
                headers.insert(header::CONTENT_TYPE, call.answer_type());
                let told = status::take(headers);
                Ending::Frame { form: call.wanted, place: web::Place::default(), told }
            }
            false if call.has_trailers => Ending::Trailers,
            false => Ending::Nothing,
        };
        // A frame may follow, or less may come: only trailers-only answers are as long as they say.
        if !(told && body.is_end_stream()) || call.is_web() {
            headers.remove(header::CONTENT_LENGTH);
        }
        CallBody { body, alarm, deadline, ending, told, over: false }
    }

    pub(crate) fn record(&mut self) -> &mut Recorder {
        self.body.record()
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        let needs_none = !matches!(self.ending, Ending::Frame { .. }) && self.told;
        self.over || (needs_none && self.body.is_end_stream())
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if let (Some(deadline), Poll::Ready(())) = (self.deadline, self.alarm.poll(cx)) {
            self.body.stop(Fault::Deadline(deadline.limit));
            return Poll::Ready(self.broke());
        }
        let frame = match self.body.poll_frame(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(frame) => frame,
        };
        Poll::Ready(match frame.map(|it| it.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => Some(Ok(Frame::data(self.data(data)))),
            Some(Ok(Err(frame))) => match self.body.last_words() {
                Some(words) => self.fail(words),
                None => self.end(frame.into_trailers().unwrap_or_default()),
            },
            Some(Err(Cut)) => self.broke(),
            None => self.ended(),
        })
    }

    fn data(&mut self, data: Bytes) -> Bytes {
        match &mut self.ending {
            Ending::Frame { form, place, .. } => {
                place.pass(&data);
                web::encoded(data, *form)
            }
            Ending::Trailers | Ending::Nothing => data,
        }
    }

    /// The body is whole, and no trailers followed.
    fn ended(&mut self) -> Option<Result<Frame<Bytes>, Cut>> {
        if let Some(words) = self.body.last_words() {
            return self.fail(words);
        }
        match &mut self.ending {
            Ending::Frame { told, .. } => {
                let told = std::mem::take(told);
                self.end(told)
            }
            Ending::Trailers | Ending::Nothing => {
                self.over = true;
                None
            }
        }
    }

    fn broke(&mut self) -> Option<Result<Frame<Bytes>, Cut>> {
        let words = self.body.last_words().unwrap_or_default();
        self.fail(words)
    }

    /// The answer is not what it should be: the caller is told why, where it can be.
    fn fail(&mut self, words: HeaderMap) -> Option<Result<Frame<Bytes>, Cut>> {
        if words.is_empty() || matches!(self.ending, Ending::Nothing) {
            self.over = true;
            return Some(Err(Cut));
        }
        self.end(words)
    }

    fn end(&mut self, fields: HeaderMap) -> Option<Result<Frame<Bytes>, Cut>> {
        self.over = true;
        self.alarm.clear();
        match &self.ending {
            Ending::Frame { form, place, .. } if place.is_between_messages() => {
                Some(Ok(Frame::data(web::trailers(&fields, *form))))
            }
            // What would follow half a message would be read as the rest of it.
            Ending::Frame { .. } => Some(Err(Cut)),
            Ending::Trailers | Ending::Nothing => Some(Ok(Frame::trailers(fields))),
        }
    }
}
