//! Frames of HTTP/3 (RFC 9114 7), read from a stream as it comes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quinn::{RecvStream, VarInt};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// Kinds of frames (RFC 9114 11.2.1).
pub(super) mod kind {
    pub(crate) const DATA: u64 = 0x0;
    pub(crate) const HEADERS: u64 = 0x1;
    pub(crate) const CANCEL_PUSH: u64 = 0x3;
    pub(crate) const SETTINGS: u64 = 0x4;
    pub(crate) const PUSH_PROMISE: u64 = 0x5;
    pub(crate) const GOAWAY: u64 = 0x7;
    pub(crate) const MAX_PUSH_ID: u64 = 0xd;

    /// Those of HTTP/2 that HTTP/3 must not meet (RFC 9114 7.2.8).
    pub(crate) fn is_of_http2(kind: u64) -> bool {
        matches!(kind, 0x2 | 0x6 | 0x8 | 0x9)
    }

    /// Those that RFC 9114 gives a meaning.
    pub(crate) fn is_known(kind: u64) -> bool {
        matches!(
            kind,
            DATA | HEADERS | CANCEL_PUSH | SETTINGS | PUSH_PROMISE | GOAWAY | MAX_PUSH_ID
        ) || is_of_http2(kind)
    }
}

/// Why a stream or a connection ends (RFC 9114 8.1, RFC 9204 6).
pub(super) mod code {
    use quinn::VarInt;

    pub(crate) const NO_ERROR: VarInt = VarInt::from_u32(0x100);
    pub(crate) const INTERNAL_ERROR: VarInt = VarInt::from_u32(0x102);
    pub(crate) const STREAM_CREATION_ERROR: VarInt = VarInt::from_u32(0x103);
    pub(crate) const CLOSED_CRITICAL_STREAM: VarInt = VarInt::from_u32(0x104);
    pub(crate) const FRAME_UNEXPECTED: VarInt = VarInt::from_u32(0x105);
    pub(crate) const FRAME_ERROR: VarInt = VarInt::from_u32(0x106);
    pub(crate) const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(0x107);
    pub(crate) const ID_ERROR: VarInt = VarInt::from_u32(0x108);
    pub(crate) const SETTINGS_ERROR: VarInt = VarInt::from_u32(0x109);
    pub(crate) const MISSING_SETTINGS: VarInt = VarInt::from_u32(0x10a);
    pub(crate) const REQUEST_REJECTED: VarInt = VarInt::from_u32(0x10b);
    pub(crate) const REQUEST_CANCELLED: VarInt = VarInt::from_u32(0x10c);
    pub(crate) const REQUEST_INCOMPLETE: VarInt = VarInt::from_u32(0x10d);
    pub(crate) const DECOMPRESSION_FAILED: VarInt = VarInt::from_u32(0x200);
    pub(crate) const ENCODER_STREAM_ERROR: VarInt = VarInt::from_u32(0x201);
    pub(crate) const DECODER_STREAM_ERROR: VarInt = VarInt::from_u32(0x202);
}

/// Why nothing more can be read of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The client took it back, or is gone.
    Gone,
    /// The client broke a rule whose breach ends the connection.
    Connection(VarInt),
}

/// Where bytes come from.
pub(super) trait Source {
    /// The next bytes, in order; `None` at the end, [`Fault::Gone`] where there will be none.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>>;
}

/// The most that is taken from a stream at once.
const CHUNK: usize = 64 * 1024;

impl Source for RecvStream {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        // It keeps nothing between two polls, so that a new one may be asked each time.
        let chunk = ready!(pin!(self.read_chunk(CHUNK, true)).poll(cx));
        Poll::Ready(chunk.map(|it| it.map(|it| it.bytes)).map_err(|_| Fault::Gone))
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u64,
    pub(super) length: u64,
}

pub(super) struct Frames<S> {
    source: S,
    /// When the first byte came.
    pub(super) began: Option<Instant>,
    /// How many have come.
    pub(super) bytes: usize,
    /// Read, and not yet looked at.
    held: Bytes,
    /// The head of a frame, as far as it is there.
    head: BytesMut,
    /// What is left of the payload of the frame that was given last.
    left: u64,
    /// The beginning of a payload that is asked for as a whole.
    whole: BytesMut,
    ended: bool,
}

impl<S: Source> Frames<S> {
    pub(super) fn new(source: S) -> Frames<S> {
        Frames {
            source,
            began: None,
            bytes: 0,
            held: Bytes::new(),
            head: BytesMut::new(),
            left: 0,
            whole: BytesMut::new(),
            ended: false,
        }
    }

    pub(super) fn source(&mut self) -> &mut S {
        &mut self.source
    }

    /// An integer of one to eight bytes (RFC 9000 16); `None` where the stream ends before it.
    pub(super) fn poll_integer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<u64>, Fault>> {
        while integer(&mut &self.head[..]).is_none() {
            if !ready!(self.poll_fill(cx))? {
                return Poll::Ready(Ok(None));
            }
            self.head.put_u8(self.held.get_u8());
        }
        let value = integer(&mut &self.head[..]);
        self.head.clear();
        Poll::Ready(Ok(value))
    }

    /// The next frame; `None` at the end of the stream. What was left of the one before is skipped.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, Fault>> {
        while 0 < self.left {
            ready!(self.poll_payload(cx))?;
        }
        loop {
            if let Some(frame) = frame(&self.head) {
                self.head.clear();
                self.left = frame.length;
                return Poll::Ready(Ok(Some(frame)));
            }
            match ready!(self.poll_fill(cx))? {
                true => self.head.put_u8(self.held.get_u8()),
                false if self.head.is_empty() => return Poll::Ready(Ok(None)),
                // RFC 9114 7.1: a frame that is cut off.
                false => return Poll::Ready(Err(Fault::Connection(code::FRAME_ERROR))),
            }
        }
    }

    /// More of the payload of the frame that was given last; `None` where it is over.
    pub(super) fn poll_payload(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Fault>> {
        if self.left == 0 {
            return Poll::Ready(Ok(None));
        }
        if !ready!(self.poll_fill(cx))? {
            return Poll::Ready(Err(Fault::Connection(code::FRAME_ERROR)));
        }
        let here = self.held.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= here as u64;
        Poll::Ready(Ok(Some(self.held.split_to(here))))
    }

    /// The rest of the payload of the frame that was given last. How long it may be, whoever asks
    /// has seen to.
    pub(super) fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Fault>> {
        while let Some(piece) = ready!(self.poll_payload(cx))? {
            match self.left {
                // Mostly it comes in one piece.
                0 if self.whole.is_empty() => return Poll::Ready(Ok(piece)),
                _ => self.whole.extend_from_slice(&piece),
            }
        }
        Poll::Ready(Ok(std::mem::take(&mut self.whole).freeze()))
    }

    /// Bytes that are of no frame.
    pub(super) fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Fault>> {
        let filled = ready!(self.poll_fill(cx))?;
        Poll::Ready(Ok(filled.then(|| std::mem::take(&mut self.held))))
    }

    /// Bytes for `held` where there are none; `false` at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Fault>> {
        while self.held.is_empty() {
            if self.ended {
                return Poll::Ready(Ok(false));
            }
            match ready!(self.source.poll_bytes(cx))? {
                Some(bytes) => {
                    self.bytes += bytes.len();
                    self.held = bytes;
                }
                None => self.ended = true,
            }
        }
        self.began.get_or_insert_with(Instant::now);
        Poll::Ready(Ok(true))
    }
}

fn frame(mut bytes: &[u8]) -> Option<Frame> {
    let kind = integer(&mut bytes)?;
    let length = integer(&mut bytes)?;
    Some(Frame { kind, length })
}

/// RFC 9000 16: the two highest bits say how many bytes there are.
pub(super) fn integer(bytes: &mut &[u8]) -> Option<u64> {
    let length = 1_usize << (bytes.first()? >> 6);
    let (all, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let value = all.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some(value & (u64::MAX >> (66 - 8 * length)))
}

pub(super) fn put_integer(out: &mut BytesMut, value: u64) {
    match value {
        0..0x40 => out.put_u8(value as u8),
        0x40..0x4000 => out.put_u16(value as u16 | 0x4000),
        0x4000..0x4000_0000 => out.put_u32(value as u32 | 0x8000_0000),
        _ => out.put_u64(value | 0xc000_0000_0000_0000),
    }
}

/// The head of a frame of ours.
pub(super) fn frame_head(kind: u64, length: usize) -> Bytes {
    let mut head = BytesMut::with_capacity(16);
    put_integer(&mut head, kind);
    put_integer(&mut head, length as u64);
    head.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::task::Waker;

    /// The frames of these bytes with their payloads, in pieces of this size.
    fn read(bytes: &[u8], size: usize) -> Result<Vec<(u64, Vec<u8>)>, Fault> {
        let pieces = bytes.chunks(size).map(Bytes::copy_from_slice).collect::<VecDeque<_>>();
        let mut frames = Frames::new(pieces);
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        loop {
            let Poll::Ready(frame) = frames.poll_frame(&mut cx) else {
                panic!("everything is there");
            };
            let Some(frame) = frame? else {
                return Ok(all);
            };
            let mut payload = Vec::new();
            while let Poll::Ready(Some(piece)) = frames.poll_payload(&mut cx).map(Result::transpose)
            {
                payload.extend_from_slice(&piece?);
            }
            all.push((frame.kind, payload));
        }
    }

    #[test]
    fn integers_are_read_as_they_are_written() {
        for value in [0, 0x3f, 0x40, 0x3fff, 0x4000, 0x3fff_ffff, 0x4000_0000, (1 << 62) - 1] {
            let mut bytes = BytesMut::new();
            put_integer(&mut bytes, value);
            assert_eq!(integer(&mut &bytes[..]), Some(value), "{value:x}");
            assert_eq!(integer(&mut &bytes[..bytes.len() - 1]), None, "{value:x}");
        }
        // RFC 9000 A.1.
        assert_eq!(integer(&mut &[0x7b, 0xbd][..]), Some(15_293));
        assert_eq!(integer(&mut &[0x40, 0x25][..]), Some(37));
    }

    #[test]
    fn frames_come_in_pieces_of_any_size() {
        let bytes = [&[0, 3][..], b"abc", &[0x40, 0x21, 0x40, 2], b"xy", &[1, 0], &[0, 0]].concat();
        let expected =
            vec![(0, b"abc".to_vec()), (0x21, b"xy".to_vec()), (1, Vec::new()), (0, Vec::new())];
        for size in 1..=bytes.len() {
            assert_eq!(read(&bytes, size), Ok(expected.clone()), "pieces of {size}");
        }
    }

    #[test]
    fn a_frame_that_is_cut_off_is_never_whole() {
        let bytes = [&[0, 3][..], b"abc", &[1, 2], b"xy"].concat();
        let cut = Err(Fault::Connection(code::FRAME_ERROR));
        for end in 0..=bytes.len() {
            let read = read(&bytes[..end], 2);
            match end {
                0 | 5 | 9 => assert!(read.is_ok(), "{end}"),
                _ => assert_eq!(read, cut, "{end}"),
            }
        }
    }

    #[test]
    fn what_is_left_of_a_payload_is_skipped() {
        let mut frames = Frames::new(VecDeque::from([Bytes::from_static(b"\x21\x04abcd\x00\x00")]));
        let mut cx = Context::from_waker(Waker::noop());
        let kinds = [0x21, 0].map(|_| frames.poll_frame(&mut cx));
        let kinds = kinds.map(|it| it.map(|it| it.map(|it| it.map(|it| it.kind))));
        assert_eq!(kinds, [Poll::Ready(Ok(Some(0x21))), Poll::Ready(Ok(Some(0)))]);
    }
}
