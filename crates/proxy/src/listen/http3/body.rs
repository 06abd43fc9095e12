//! The body of one request of HTTP/3 on its way in.

use super::Client;
use super::fields::{Unread, read_trailers};
use super::frames::{Fault, Frame as Head, Frames, code, kind};
use crate::front::Link;
use crate::inbound::Broken;
use crate::pace::Pace;
use crate::timer::Alarm;
use bytes::{Bytes, BytesMut};
use exchange::{Malformed, Refusal};
use http::HeaderMap;
use http_body::Frame;
use quinn::RecvStream;
use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

type Piece = Option<Result<Frame<Bytes>, Broken>>;

pub(crate) struct Upload {
    frames: Frames<RecvStream>,
    client: Rc<Client>,
    /// What `Content-Length` says is left, where it says anything.
    left: Option<u64>,
    /// The payload that is being read is of the body.
    in_data: bool,
    /// The section of the trailers, while it comes.
    trailers: Option<BytesMut>,
    /// How large trailers may be.
    most: usize,
    /// Read before anybody asked, to know whether there is a body at all.
    ahead: Option<Piece>,
    is_over: bool,
    /// Somebody asked for it: where the client waits for leave to send, it has it.
    pub(super) wanted: Rc<Cell<bool>>,
    alarm: Alarm,
    /// The longest gap between two pieces.
    patience: Option<Duration>,
    pace: Pace,
    link: Rc<Link>,
}

impl Upload {
    pub(super) fn new(
        frames: Frames<RecvStream>,
        client: Rc<Client>,
        length: Option<u64>,
        link: Rc<Link>,
    ) -> Upload {
        let patience = client.worker.bounds.body.get();
        Upload {
            frames,
            left: length,
            in_data: false,
            trailers: None,
            most: client.worker.limits().request_head,
            ahead: None,
            is_over: false,
            wanted: Rc::default(),
            alarm: client.worker.timer.alarm(),
            patience: Some(patience),
            pace: Pace::default(),
            link,
            client,
        }
    }

    /// Looks whether anything follows the head. Ready when that is known.
    pub(super) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ahead.is_some() || self.is_over {
            return Poll::Ready(());
        }
        let piece = ready!(self.poll_recv(cx));
        match piece {
            None if self.left.unwrap_or(0) == 0 => {
                self.is_over = true;
                self.left = Some(0);
            }
            piece => self.ahead = Some(piece),
        }
        Poll::Ready(())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(crate) fn left(&self) -> Option<u64> {
        self.left
    }

    /// The client may be silent for as long as whoever reads lets it.
    pub(crate) fn may_rest(&mut self) {
        self.patience = None;
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.wanted.set(true);
        let piece = match self.ahead.take() {
            Some(piece) => piece,
            None => match self.poll_recv(cx) {
                Poll::Ready(piece) => piece,
                Poll::Pending => {
                    let Some(patience) = self.patience else {
                        return Poll::Pending;
                    };
                    self.alarm.set_if_clear(patience);
                    self.pace.wait(&self.alarm);
                    ready!(self.alarm.poll(cx));
                    return Poll::Ready(Some(Err(self.refuse(Refusal::BodyTimeout))));
                }
            },
        };
        let data = piece.as_ref().and_then(|it| it.as_ref().ok()?.data_ref());
        let amount = data.map_or(0, Bytes::len);
        let (least, streams) = (self.client.worker.bounds.least(), self.client.streams.open.get());
        let kept = self.pace.is_kept(amount, streams, least, &self.alarm);
        self.alarm.clear();
        match kept {
            true => Poll::Ready(self.kept_to_length(piece)),
            false => Poll::Ready(Some(Err(self.refuse(Refusal::BodySlow)))),
        }
    }

    /// RFC 9114 4.1.2: what comes must be what `Content-Length` says.
    fn kept_to_length(&mut self, piece: Piece) -> Piece {
        let data = match &piece {
            Some(Ok(frame)) => frame.data_ref().map(|it| it.len() as u64),
            None => None,
            Some(Err(_)) => {
                self.is_over = true;
                return piece;
            }
        };
        let left = match (self.left, data) {
            (None, _) => None,
            (Some(left), Some(data)) => Some(left.checked_sub(data)),
            (Some(left), None) => Some((left == 0).then_some(0)),
        };
        self.is_over = data.is_none();
        match left {
            Some(None) => Some(Err(self.refuse(Refusal::Malformed(Malformed::LengthUnkept)))),
            _ => {
                self.left = left.flatten();
                piece
            }
        }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        loop {
            let step = match self.in_data || self.trailers.is_some() {
                true => ready!(self.frames.poll_payload(cx)).map(|it| self.payload(it)),
                false => ready!(self.frames.poll_frame(cx)).and_then(|it| self.head(it)),
            };
            match step {
                Ok(None) => {}
                Ok(Some(piece)) => return Poll::Ready(piece),
                Err(fault) => return Poll::Ready(Some(Err(self.fault(fault)))),
            }
        }
    }

    /// A piece for whoever asks, or nothing yet.
    fn head(&mut self, head: Option<Head>) -> Result<Option<Piece>, Fault> {
        let Some(head) = head else {
            return Ok(Some(None));
        };
        match head.kind {
            kind::DATA => {
                self.in_data = true;
                if head.length == 0 {
                    self.client.count_control();
                }
            }
            kind::HEADERS if (self.most as u64) < head.length => {
                return Ok(Some(Some(Err(self.refuse(Refusal::HeadTooLarge)))));
            }
            kind::HEADERS => self.trailers = Some(BytesMut::new()),
            known if kind::is_known(known) => {
                return Err(Fault::Connection(code::FRAME_UNEXPECTED));
            }
            _ => self.client.count_control(),
        }
        Ok(None)
    }

    fn payload(&mut self, bytes: Option<Bytes>) -> Option<Piece> {
        match (bytes, &mut self.trailers) {
            (Some(bytes), Some(section)) => {
                section.extend_from_slice(&bytes);
                None
            }
            (Some(bytes), None) => Some(Some(Ok(Frame::data(bytes)))),
            (None, Some(section)) => {
                let section = std::mem::take(section);
                Some(Some(self.read_trailers(&section).map(Frame::trailers)))
            }
            (None, None) => {
                self.in_data = false;
                None
            }
        }
    }

    fn read_trailers(&mut self, section: &[u8]) -> Result<HeaderMap, Broken> {
        match read_trailers(section, self.most) {
            Ok(Some(trailers)) => Ok(trailers),
            Ok(None) => Err(self.refuse(Refusal::Malformed(Malformed::FieldLine))),
            Err(Unread::TooLarge) => Err(self.refuse(Refusal::HeadTooLarge)),
            Err(Unread::Undecodable) => {
                Err(self.fault(Fault::Connection(code::DECOMPRESSION_FAILED)))
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Broken {
        self.is_over = true;
        self.link.refuse_body(refusal);
        Broken
    }

    fn fault(&mut self, fault: Fault) -> Broken {
        self.is_over = true;
        if let Fault::Connection(code) = fault {
            self.client.fail(code);
        }
        Broken
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // What nobody will read need not be sent (RFC 9114 4.1). It fails where all has come.
        let _ = self.frames.source().stop(code::NO_ERROR);
    }
}
