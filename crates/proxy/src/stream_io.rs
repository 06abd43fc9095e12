//! One stream of HTTP/2 as a connection: bytes both ways, for what goes through a tunnel (RFC 9113
//! 8.5, RFC 8441 5). The same for a client's stream and for one of ours to an upstream.

use crate::timer::Alarm;
use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What one write takes at most: a frame of the usual size (RFC 9113 4.2). What has been written
/// and not sent is bounded by the peer's window and by h2's send buffer, and no write gets beyond.
const PIECE: usize = 16 * 1024;

pub(crate) struct StreamIo {
    send: SendStream<Bytes>,
    recv: RecvStream,
    /// Received, not yet read. The peer may send as much again only as it is read.
    held: Bytes,
    /// The end of our side is sent.
    said_all: bool,
    /// The end of the peer's side is read.
    heard_all: bool,
    /// How long the peer may take nothing of what is written.
    patience: Option<(Alarm, Duration)>,
}

impl StreamIo {
    pub(crate) fn new(send: SendStream<Bytes>, recv: RecvStream) -> StreamIo {
        let held = Bytes::new();
        StreamIo { send, recv, held, said_all: false, heard_all: false, patience: None }
    }

    /// The same for a peer that is given up when it takes nothing for so long.
    pub(crate) fn patient(mut self, alarm: Alarm, patience: Duration) -> StreamIo {
        self.patience = Some((alarm, patience));
        self
    }

    /// Room for what is written, in the peer's window.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(&error))),
                None => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }
        Poll::Ready(Ok(self.send.capacity()))
    }

    /// Bytes for `held`, or the end of the peer's side.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(data) = ready!(self.recv.poll_data(cx)) {
            self.held = data.map_err(|it| broken(&it))?;
            return Poll::Ready(Ok(()));
        }
        match ready!(self.recv.poll_trailers(cx)) {
            Ok(None) => self.heard_all = true,
            // Nothing but data belongs here (RFC 9113 8.5).
            Ok(Some(_)) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            Err(error) => return Poll::Ready(Err(broken(&error))),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for StreamIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.held.is_empty() && !this.heard_all && 0 < buf.remaining() {
            ready!(this.poll_data(cx))?;
        }
        let amount = this.held.len().min(buf.remaining());
        if 0 < amount {
            buf.put_slice(&this.held[..amount]);
            this.held.advance(amount);
            this.recv.flow_control().release_capacity(amount).map_err(|it| broken(&it))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StreamIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wanted = buf.len().min(PIECE);
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        if this.said_all {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        this.send.reserve_capacity(wanted);
        let room = match (this.poll_room(cx), &this.patience) {
            (Poll::Pending, None) => return Poll::Pending,
            (Poll::Pending, Some((alarm, patience))) => {
                alarm.set_if_clear(*patience);
                ready!(alarm.poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            (Poll::Ready(room), patience) => {
                if let Some((alarm, _)) = patience {
                    alarm.clear();
                }
                room?
            }
        };
        let amount = room.min(wanted);
        let piece = Bytes::copy_from_slice(&buf[..amount]);
        this.send.send_data(piece, false).map_err(|it| broken(&it))?;
        Poll::Ready(Ok(amount))
    }

    /// Sending is the task of whoever drives the connection. What can be learned here is that the
    /// peer has taken the stream back, and whoever asks is woken for that.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().send.poll_reset(cx) {
            // Nothing more is wanted from us, which is no failure of what came.
            Poll::Pending | Poll::Ready(Ok(Reason::NO_ERROR)) => Poll::Ready(Ok(())),
            Poll::Ready(Ok(_)) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(broken(&error))),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.said_all {
            this.said_all = true;
            this.send.send_data(Bytes::new(), true).map_err(|it| broken(&it))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for StreamIo {
    /// What is given up before its end is reset with CANCEL (RFC 8441 5). h2 does so by itself where
    /// our side has not ended, after what of a head is still to be sent; where it has, h2 would
    /// say NO_ERROR, as if all had been well.
    fn drop(&mut self) {
        if self.said_all && !self.heard_all && !self.recv.is_end_stream() {
            self.send.send_reset(Reason::CANCEL);
        }
    }
}

/// A stream that ends against the rules is a connection that was reset; what happened to the
/// connection under it happened to the stream.
fn broken(error: &h2::Error) -> io::Error {
    let kind = error.get_io().map_or(io::ErrorKind::ConnectionReset, io::Error::kind);
    io::Error::new(kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Response};
    use std::future::poll_fn;
    use std::task::Waker;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Two ends of one stream, on connections that drive themselves: the client's, the server's.
    async fn pair() -> (StreamIo, StreamIo) {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (client, server) =
            tokio::join!(h2::client::handshake(near), async { h2::server::handshake(far).await });
        let (client, connection) = client.expect("a connection");
        tokio::spawn(connection);
        let mut client = client.ready().await.expect("a connection");
        let mut server = server.expect("a connection");
        let request = Request::get("http://a.test/").body(()).expect("a request");
        let (answer, up) = client.send_request(request, false).expect("a stream");
        let (request, mut respond) = server.accept().await.expect("a stream").expect("a stream");
        tokio::spawn(async move {
            // The client's handle keeps the connection open.
            let _client = client;
            while server.accept().await.is_some() {}
        });
        let down = respond.send_response(Response::new(()), false).expect("an answer");
        let answer = answer.await.expect("an answer");
        (StreamIo::new(up, answer.into_body()), StreamIo::new(down, request.into_body()))
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_each_side_ends_for_itself() {
        let (mut client, mut server) = pair().await;
        for _ in 0..2 {
            client.write_all(b"ping").await.unwrap();
            let mut four = [0; 4];
            server.read_exact(&mut four[..3]).await.unwrap();
            server.read_exact(&mut four[3..]).await.unwrap();
            assert_eq!(&four, b"ping");
            std::mem::swap(&mut client, &mut server);
        }
        client.shutdown().await.unwrap();
        assert_eq!(server.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        assert!(client.write_all(b"more").await.is_err());
        server.write_all(b"bye").await.unwrap();
        server.shutdown().await.unwrap();
        drop(server);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"bye");
    }

    #[tokio::test]
    async fn who_does_not_read_holds_the_writer_back() {
        for server_writes in [false, true] {
            let (client, server) = pair().await;
            let (mut reader, mut writer) =
                if server_writes { (client, server) } else { (server, client) };
            let piece = [7; 10_000];
            let mut written = 0;
            // As far as it goes: the initial window (RFC 9113 6.9.2).
            while written < 65_535 {
                written += writer.write(&piece).await.unwrap();
            }
            assert_eq!(written, 65_535);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut writer).poll_write(&mut cx, &piece).is_pending());
            let mut total = 500_000;
            let rest = async {
                while 0 < total {
                    let amount = writer.write(&piece[..total.min(piece.len())]).await.unwrap();
                    total -= amount;
                }
                writer.shutdown().await.unwrap();
            };
            let mut read = Vec::new();
            let (_, amount) = tokio::join!(rest, reader.read_to_end(&mut read));
            assert_eq!(amount.unwrap(), 565_535);
            assert!(read.iter().all(|it| *it == 7));
        }
    }

    /// What reading meets when the other side is dropped as it is.
    async fn check_dropped(said_all: bool, dropped: &str) {
        let (client, server) = pair().await;
        let (mut left, mut goes) =
            if dropped == "server" { (client, server) } else { (server, client) };
        left.write_all(b"unread").await.unwrap();
        if said_all {
            goes.shutdown().await.unwrap();
            assert_eq!(left.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        }
        drop(goes);
        let reason = poll_fn(|cx| left.send.poll_reset(cx)).await.unwrap();
        assert_eq!(reason, Reason::CANCEL, "{dropped}, said all: {said_all}");
        let flushed = left.flush().await.unwrap_err();
        assert_eq!(flushed.kind(), io::ErrorKind::ConnectionReset);
        let written = left.write_all(b"more").await.unwrap_err();
        assert_eq!(written.kind(), io::ErrorKind::ConnectionReset);
        if !said_all {
            let read = left.read_to_end(&mut Vec::new()).await.unwrap_err();
            assert_eq!(read.kind(), io::ErrorKind::ConnectionReset);
        }
    }

    #[tokio::test]
    async fn what_is_given_up_is_reset() {
        for dropped in ["client", "server"] {
            check_dropped(false, dropped).await;
            check_dropped(true, dropped).await;
        }
    }

    #[tokio::test]
    async fn trailers_are_none_of_a_tunnel() {
        let (mut client, mut server) = pair().await;
        client.write_all(b"all").await.unwrap();
        client.send.send_trailers(http::HeaderMap::new()).unwrap();
        let mut read = Vec::new();
        let error = server.read_to_end(&mut read).await.unwrap_err();
        assert_eq!((read.as_slice(), error.kind()), (&b"all"[..], io::ErrorKind::InvalidData));
    }
}
