//! One HTTP/1.1 connection to a target: what is written, what is read, and nothing hidden.
//!
//! Our own codec instead of hyper's client: every phase and byte must be seen, and a request that
//! is polled in one task needs no second one to be woken for each message.

use super::names::Member;
use super::tap::Tap;
use bytes::{Bytes, BytesMut};
use exchange::{Address, TlsFacts};
use socket2::SockRef;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;
use tokio_util::io::poll_read_buf;

use crate::registry::Place;

/// The transport under HTTP.
pub(crate) enum Io {
    Tcp(Tap),
    Unix(UnixStream),
    Tls(Box<TlsStream<Tap>>),
}

/// A connection that is open to a target.
pub(crate) struct Wire {
    pub(crate) io: Io,
    /// Read and not yet used.
    pub(crate) held: BytesMut,
    pub(crate) address: Address,
    /// Where the target is a name.
    pub(crate) member: Option<Box<Member>>,
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) local_port: Option<u16>,
    /// Requests that it has been given.
    pub(crate) ordinal: u32,
    /// The last answer had no body, as those to `HEAD` do.
    pub(crate) after_bodyless: bool,
    pub(crate) _place: Place,
}

/// The first read of an answer; small ones fit, large ones grow to [`LARGE`].
const SMALL: usize = 16 * 1024;
const LARGE: usize = 64 * 1024;

/// Slices that one write may gather.
const SLICES: usize = 16;

impl Wire {
    /// Nothing has come and the other end has not closed, as far as the runtime was told: the
    /// connection may be used again. Costs no system call unless something did happen. Who asks is
    /// woken when it does.
    pub(crate) fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        let mut buf = ReadBuf::new(&mut byte);
        Pin::new(&mut self.io).poll_read(cx, &mut buf).is_pending()
    }

    /// The same, asked of the kernel, which knows what the runtime will hear of next.
    pub(crate) fn is_silent(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match &self.io {
            Io::Tcp(tap) => SockRef::from(tap.socket()).peek(&mut byte),
            Io::Unix(stream) => SockRef::from(stream).peek(&mut byte),
            Io::Tls(stream) => SockRef::from(stream.get_ref().0.socket()).peek(&mut byte),
        };
        peeked.is_err_and(|it| it.kind() == io::ErrorKind::WouldBlock)
    }

    /// The target still has the address.
    pub(crate) fn is_current(&self) -> bool {
        self.member.as_ref().is_none_or(|it| it.is_current())
    }

    /// Gives back what an idle connection does not need.
    pub(crate) fn rest(&mut self) {
        self.held = BytesMut::new();
    }

    /// Reads more; 0 is the end of the stream.
    pub(crate) fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        large: bool,
    ) -> Poll<io::Result<usize>> {
        poll_more(&mut self.io, &mut self.held, cx, large)
    }
}

/// The same for a transport that has been taken apart.
pub(crate) fn poll_more<R: AsyncRead + Unpin>(
    io: &mut R,
    held: &mut BytesMut,
    cx: &mut Context<'_>,
    large: bool,
) -> Poll<io::Result<usize>> {
    let spare = held.capacity() - held.len();
    if spare < 1024 {
        held.reserve(if large { LARGE } else { SMALL });
    }
    poll_read_buf(Pin::new(io), cx, held)
}

/// Bytes that wait to be written, gathered into few writes.
#[derive(Default)]
pub(crate) struct Outgoing {
    queue: VecDeque<Bytes>,
}

impl Outgoing {
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.queue.push_back(bytes);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Writes once. How many bytes went; ready with 0 when there were none.
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        io: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut io = Pin::new(io);
        let written = match self.queue.len() {
            0 => return Poll::Ready(Ok(0)),
            1 => io.as_mut().poll_write(cx, &self.queue[0]),
            _ => {
                let mut slices = [IoSlice::new(&[]); SLICES];
                for (slice, bytes) in slices.iter_mut().zip(&self.queue) {
                    *slice = IoSlice::new(bytes);
                }
                let count = self.queue.len().min(SLICES);
                io.as_mut().poll_write_vectored(cx, &slices[..count])
            }
        };
        written.map_ok(|amount| {
            self.written(amount);
            amount
        })
    }

    fn written(&mut self, mut amount: usize) {
        while let Some(first) = self.queue.front_mut() {
            if amount < first.len() {
                let _ = first.split_to(amount);
                return;
            }
            amount -= first.len();
            self.queue.pop_front();
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Tcp(it) => Pin::new(it).poll_read(cx, buf),
            Io::Unix(it) => Pin::new(it).poll_read(cx, buf),
            Io::Tls(it) => Pin::new(&mut **it).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Io::Tcp(it) => Pin::new(it).poll_write(cx, buf),
            Io::Unix(it) => Pin::new(it).poll_write(cx, buf),
            Io::Tls(it) => Pin::new(&mut **it).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Io::Tcp(it) => Pin::new(it).poll_write_vectored(cx, bufs),
            Io::Unix(it) => Pin::new(it).poll_write_vectored(cx, bufs),
            Io::Tls(it) => Pin::new(&mut **it).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Tcp(it) => Pin::new(it).poll_flush(cx),
            Io::Unix(it) => Pin::new(it).poll_flush(cx),
            Io::Tls(it) => Pin::new(&mut **it).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Tcp(it) => Pin::new(it).poll_shutdown(cx),
            Io::Unix(it) => Pin::new(it).poll_shutdown(cx),
            Io::Tls(it) => Pin::new(&mut **it).poll_shutdown(cx),
        }
    }
}
