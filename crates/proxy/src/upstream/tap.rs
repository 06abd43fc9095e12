//! Lies under TLS and remembers what really came: the first bytes, and how the stream ended.

use exchange::Attempt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection that can be asked afterwards what passed through it.
pub(crate) struct Tap {
    io: TcpStream,
    first: Vec<u8>,
    /// While true, the first bytes are kept.
    watching: bool,
    pub(crate) ended: bool,
    pub(crate) errno: Option<i32>,
}

impl Tap {
    pub(crate) fn new(io: TcpStream) -> Tap {
        Tap { io, first: Vec::new(), watching: true, ended: false, errno: None }
    }

    /// What the other end sent first, at most [`Attempt::FIRST_BYTES`].
    pub(crate) fn first_bytes(&self) -> &[u8] {
        &self.first
    }

    /// The handshake is over: from here on only the end is of interest.
    pub(crate) fn rest(&mut self) {
        self.watching = false;
        self.first = Vec::new();
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.io
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let had_room = 0 < buf.remaining();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        match &read {
            Poll::Ready(Ok(())) => {
                let new = &buf.filled()[before..];
                self.ended |= had_room && new.is_empty();
                if self.watching {
                    let room = Attempt::FIRST_BYTES - self.first.len();
                    self.first.extend_from_slice(&new[..new.len().min(room)]);
                }
            }
            Poll::Ready(Err(error)) => self.errno = error.raw_os_error(),
            Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        if let Poll::Ready(Err(error)) = &written {
            self.errno = self.errno.or(error.raw_os_error());
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Err(error)) = &written {
            self.errno = self.errno.or(error.raw_os_error());
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
