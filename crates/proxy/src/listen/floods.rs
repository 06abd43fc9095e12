//! Watches the frames that the other side of HTTP/2 sends, and stops one that sends far more of a
//! cheap kind than any use of HTTP has: each costs it nothing and us a little.
//!
//! What h2 bounds by itself is not watched here: streams at a time, header lists, CONTINUATION.

use bytes::BytesMut;
use config::{Http2Limits, Limits};
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What there was too much of, within [`WINDOW`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    /// RST_STREAM: requests that are taken back as soon as they are made (CVE-2023-44487).
    Resets,
    /// PING, WINDOW_UPDATE and PRIORITY that nothing calls for, SETTINGS, empty DATA and frames of no
    /// known kind (CVE-2019-9512 and others).
    Controls,
    /// What h2 bounds by itself: CONTINUATION, streams that it had to reset.
    Bounds,
}

impl Flood {
    pub(crate) const ALL: [Flood; 3] = [Flood::Resets, Flood::Controls, Flood::Bounds];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Flood::Resets => "resets",
            Flood::Controls => "controls",
            Flood::Bounds => "bounds",
        }
    }
}

/// Connections that were ended for it, over all cores.
#[derive(Default)]
pub(crate) struct Floods([AtomicU64; 3]);

impl Floods {
    pub(crate) fn count(&self, flood: Flood) {
        self.0[flood as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Flood::ALL.into_iter().map(|it| (it.name(), self.0[it as usize].load(Relaxed)))
    }
}

/// The limits hold for any time of this length.
const WINDOW: Duration = Duration::from_secs(10);

/// The preface that comes before the first frame (RFC 9113 3.4).
const PREFACE: usize = 24;
/// The head of a frame (RFC 9113 4.1).
const HEAD: usize = 9;

/// What honest peers send for what they get: a client of gRPC asks with a PING how long the way is,
/// once a round trip for as long as data comes, and those that read in small pieces open their
/// windows as often. None of that is a flood, however fast the way is, since it costs less than what
/// called for it: so many frames for each frame of a message, and one for each so many of its bytes.
const CALLED_FOR: usize = 4;
const BYTES_EACH: usize = 1024;
/// How many of them a peer may save up.
const MOST_CALLED_FOR: usize = 100_000;

/// A connection whose frames are counted as they are read.
pub(crate) struct Guarded<S> {
    io: S,
    frames: Frames,
    /// Set once, when a limit is passed; from then on nothing more is read.
    flood: Rc<Cell<Option<Flood>>>,
    /// The other end takes no bytes at the moment.
    blocked: Rc<Cell<bool>>,
    strained: Rc<Strained>,
}

/// What brings a connection near a bound of h2, or over it. Its error says neither which nor when.
#[derive(Default)]
pub(crate) struct Strained {
    /// The last head's fields, as they are encoded, are larger than the limit of them all.
    pub(crate) large_head: Cell<bool>,
    /// DATA frames that were empty and not the last: h2 ends a connection at the 101st of its life,
    /// whatever the time between them.
    pub(crate) empties: Cell<usize>,
}

impl<S> Guarded<S> {
    pub(crate) fn new(
        io: S,
        limits: &Http2Limits,
        flood: Rc<Cell<Option<Flood>>>,
        blocked: Rc<Cell<bool>>,
    ) -> Guarded<S> {
        Guarded { io, frames: Frames::new(limits), flood, blocked, strained: Rc::default() }
    }

    /// The other way round: what a target sends, who resets what we asked of it, and has no preface.
    pub(crate) fn target(
        io: S,
        limits: &Limits,
        flood: Rc<Cell<Option<Flood>>>,
        strained: Rc<Strained>,
    ) -> Guarded<S> {
        let frames = Frames {
            heard: Heads::after(0),
            said: Heads::after(PREFACE),
            most_resets: usize::MAX,
            most_block: limits.response_head,
            ..Frames::new(&limits.http2)
        };
        Guarded { io, frames, flood, blocked: Rc::default(), strained }
    }

    fn wrote<T>(&self, written: Poll<T>) -> Poll<T> {
        self.blocked.set(written.is_pending());
        written
    }
}

/// The heads of the frames that go one way.
struct Heads {
    /// Bytes that are no head of a frame: the preface, or a payload.
    skip: usize,
    /// The beginning of a head.
    head: BytesMut,
}

/// What the head of a frame says.
struct Frame {
    kind: u8,
    flags: u8,
    length: usize,
}

impl Heads {
    /// They begin after so many bytes.
    fn after(skip: usize) -> Heads {
        Heads { skip, head: BytesMut::with_capacity(HEAD) }
    }

    /// The next one that is whole in these bytes, which are taken as far as that.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let wanted = (HEAD - self.head.len()).min(bytes.len() - skipped);
        let (taken, rest) = bytes.split_at(skipped + wanted);
        self.head.extend_from_slice(&taken[skipped..]);
        *bytes = rest;
        let [a, b, c, kind, flags, _, _, _, _] = self.head[..] else {
            return None;
        };
        self.head.clear();
        self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
        Some(Frame { kind, flags, length: self.skip })
    }
}

struct Frames {
    heard: Heads,
    said: Heads,
    since: Instant,
    resets: usize,
    controls: usize,
    /// Empty DATA, over the whole life of the connection.
    empties: usize,
    /// Bytes of the last head, as far as it came.
    block: usize,
    large_head: bool,
    /// Frames that may come for what was said, and are not counted.
    called_for: usize,
    most_resets: usize,
    most_controls: usize,
    most_block: usize,
}

impl Frames {
    fn new(limits: &Http2Limits) -> Frames {
        Frames {
            heard: Heads::after(PREFACE),
            said: Heads::after(0),
            since: Instant::now(),
            resets: 0,
            controls: 0,
            empties: 0,
            block: 0,
            large_head: false,
            called_for: 0,
            most_resets: limits.resets,
            most_controls: limits.controls,
            most_block: usize::MAX,
        }
    }

    /// What there is too much of, with these bytes.
    fn read(&mut self, mut bytes: &[u8], now: impl Fn() -> Instant) -> Option<Flood> {
        while !bytes.is_empty() {
            let flood = self.heard.next(&mut bytes).and_then(|it| self.hear(&it, &now));
            if flood.is_some() {
                return flood;
            }
        }
        None
    }

    fn hear(&mut self, frame: &Frame, now: impl Fn() -> Instant) -> Option<Flood> {
        let ends = frame.flags & 1 != 0;
        match frame.kind {
            // DATA that says nothing. HEADERS and CONTINUATION have bounds in h2.
            0 if frame.length == 0 && !ends => {
                self.controls += 1;
                self.empties += 1;
            }
            0 => return None,
            1 => {
                self.head(frame.length);
                self.call_for(frame);
                return None;
            }
            9 => {
                self.head(self.block.saturating_add(frame.length));
                return None;
            }
            2 | 6 | 8 if 0 < self.called_for => {
                self.called_for -= 1;
                return None;
            }
            3 => self.resets += 1,
            _ => self.controls += 1,
        }
        if self.resets <= self.most_resets && self.controls <= self.most_controls {
            return None;
        }
        let now = now();
        if WINDOW <= now - self.since {
            (self.since, self.resets, self.controls) = (now, 0, 0);
            return None;
        }
        Some(if self.most_resets < self.resets { Flood::Resets } else { Flood::Controls })
    }

    /// A head has so many bytes by now.
    fn head(&mut self, bytes: usize) {
        self.block = bytes;
        self.large_head = self.most_block < bytes;
    }

    /// These bytes went to the other side.
    fn wrote(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if let Some(frame) = self.said.next(&mut bytes)
                && (frame.kind == 1 || frame.kind == 0 && 0 < frame.length)
            {
                self.call_for(&frame);
            }
        }
    }

    /// A frame of a message.
    fn call_for(&mut self, frame: &Frame) {
        let more = CALLED_FOR + frame.length / BYTES_EACH;
        self.called_for = (self.called_for + more).min(MOST_CALLED_FOR);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.flood.get().is_some() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        if let Some(flood) = this.frames.read(&buf.filled()[before..], Instant::now) {
            this.flood.set(Some(flood));
        }
        this.strained.large_head.set(this.frames.large_head);
        this.strained.empties.set(this.frames.empties);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        if let Poll::Ready(Ok(amount)) = written {
            this.frames.wrote(&buf[..amount.min(buf.len())]);
        }
        this.wrote(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(mut amount)) = written {
            for buf in bufs {
                let here = amount.min(buf.len());
                this.frames.wrote(&buf[..here]);
                amount -= here;
            }
        }
        this.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        this.wrote(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(length).unwrap().to_be_bytes();
        let mut frame = vec![a, b, c, kind, flags, 0, 0, 0, 1];
        frame.extend(vec![0xff; length]);
        frame
    }

    /// What a client that sends these frames, in pieces of any size, is ended for; `later` of them
    /// are sent after the window is over.
    fn check(frames: &[Vec<u8>], later: usize, expected: Option<Flood>) {
        let limits = Http2Limits { streams: 1, resets: 3, controls: 5 };
        for size in [1, 7, 1 << 20] {
            let mut counted = Frames::new(&limits);
            let began = counted.since;
            let (early, late) = frames.split_at(frames.len() - later);
            let mut bytes = vec![b'P'; PREFACE];
            bytes.extend(early.concat());
            let mut flood = None;
            for piece in bytes.chunks(size) {
                flood = flood.or(counted.read(piece, || began));
            }
            for piece in late.concat().chunks(size) {
                flood = flood.or(counted.read(piece, || began + WINDOW));
            }
            assert_eq!(flood, expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_few_are_let_through_and_more_are_not() {
        check(&vec![frame(3, 0, 4); 3], 0, None);
        check(&vec![frame(3, 0, 4); 4], 0, Some(Flood::Resets));
        check(&vec![frame(6, 0, 8); 5], 0, None);
        check(&vec![frame(6, 0, 8); 6], 0, Some(Flood::Controls));
        check(&vec![frame(4, 0, 0); 6], 0, Some(Flood::Controls));
        check(&vec![frame(0x20, 0, 3); 6], 0, Some(Flood::Controls));
        check(&vec![frame(0, 0, 0); 6], 0, Some(Flood::Controls));
    }

    #[test]
    fn what_strains_h2_is_seen() {
        let limits = Http2Limits { streams: 1, resets: 3, controls: 500 };
        let mut frames = Frames { heard: Heads::after(0), most_block: 100, ..Frames::new(&limits) };
        let mut read = |kind, flags, length| {
            frames.read(&frame(kind, flags, length), Instant::now);
            (frames.large_head, frames.empties)
        };
        // Two heads of their own, then one in two pieces.
        assert_eq!(read(1, 4, 60), (false, 0));
        assert_eq!(read(1, 0, 60), (false, 0));
        assert_eq!(read(9, 4, 60), (true, 0));
        assert_eq!(read(0, 0, 0), (true, 1));
        assert_eq!(read(0, 0, 9), (true, 1));
        assert_eq!(read(0, 1, 0), (true, 1));
    }

    #[test]
    fn what_carries_something_is_not_counted() {
        check(&vec![frame(0, 0, 300); 50], 0, None);
        check(&vec![frame(0, 1, 0); 50], 0, None);
        check(&vec![frame(1, 4, 20); 50], 0, None);
    }

    #[test]
    fn what_nothing_calls_for_is_counted() {
        check(&vec![frame(8, 0, 4); 5], 0, None);
        check(&vec![frame(8, 0, 4); 6], 0, Some(Flood::Controls));
        check(&vec![frame(2, 0, 5); 6], 0, Some(Flood::Controls));
        // A request is let have some of them.
        let asked = [vec![frame(1, 5, 20)], vec![frame(8, 0, 4); CALLED_FOR + 5]].concat();
        check(&asked, 0, None);
        check(&[asked, vec![frame(6, 0, 8)]].concat(), 0, Some(Flood::Controls));
    }

    #[test]
    fn what_answers_call_for_is_no_flood() {
        let limits = Http2Limits { streams: 1, resets: 3, controls: 5 };
        let mut counted = Frames::new(&limits);
        let began = counted.since;
        assert_eq!(counted.read(&[b'P'; PREFACE], || began), None);
        // As clients of gRPC do: a window that is opened and a PING for each piece of an answer.
        let called_for = [frame(8, 0, 4), frame(6, 0, 8)].concat();
        for _ in 0..1_000 {
            counted.wrote(&frame(0, 0, 7));
            assert_eq!(counted.read(&called_for, || began), None);
        }
        // What is saved up has an end, and what carries nothing calls for nothing.
        counted.wrote(&vec![frame(0, 0, 1 << 14); MOST_CALLED_FOR / 10].concat());
        assert_eq!(counted.called_for, MOST_CALLED_FOR);
        counted.called_for = 0;
        counted.wrote(&[frame(0, 0, 0), frame(6, 1, 8), frame(4, 1, 0)].concat());
        assert_eq!(counted.read(&frame(6, 0, 8).repeat(6), || began), Some(Flood::Controls));
    }

    #[tokio::test]
    async fn what_goes_to_either_side_is_read_from_its_first_frame() {
        let limits = crate::framing::limits();
        let sent = [frame(4, 0, 6), frame(1, 4, 9), frame(0, 0, 2_048)].concat();
        let called_for = 2 * CALLED_FOR + 2_048 / BYTES_EACH;
        let (io, _other) = tokio::io::duplex(64);
        let mut client = Guarded::new(io, &limits.http2, Rc::default(), Rc::default());
        let (io, _other_too) = tokio::io::duplex(1 << 16);
        let mut target = Guarded::target(io, &limits, Rc::default(), Rc::default());
        target.write_all(&[b'P'; PREFACE]).await.unwrap();
        target.write_all(&sent).await.unwrap();
        assert_eq!(target.frames.called_for, called_for);
        // As far as it is taken, and no further: the rest comes again.
        let parts = [io::IoSlice::new(&sent[..40]), io::IoSlice::new(&sent[40..])];
        let written = client.write_vectored(&parts).await.unwrap();
        assert!(written < sent.len());
        assert_eq!(client.frames.said.skip + written, sent.len());
    }

    #[test]
    fn the_same_number_over_a_longer_time_is_no_flood() {
        check(&vec![frame(3, 0, 4); 6], 3, None);
        check(&vec![frame(3, 0, 4); 8], 5, Some(Flood::Resets));
    }
}
