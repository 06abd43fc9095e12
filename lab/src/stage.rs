//! What scenes stand on: listeners, connections, requests, and the ways to end a connection.

use socket2::{Domain, Socket, Type};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::{JoinHandle, JoinSet};

/// One connection's part, played to its end.
pub type Talk = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Long enough for a proxy to pass on what it has, short enough for a test.
pub const BETWEEN_PARTS: Duration = Duration::from_millis(60);

/// Above any request head that the lab sends.
const HEAD_LIMIT: usize = 1 << 20;

/// A running part of a scene; it stops when dropped.
pub struct Task(JoinHandle<()>);

impl Task {
    /// Must be called within a runtime.
    pub fn of(work: impl Future<Output = ()> + Send + 'static) -> Task {
        Task(tokio::spawn(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A port on which nothing listens now. It lies below the range from which the system takes ports
/// by itself, so that no other connection happens to get it in the meantime.
pub fn free_port() -> io::Result<u16> {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 18_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries that run side by side start at different places.
    let start = (std::process::id() as u16).wrapping_mul(97) % COUNT;
    for _ in 0..COUNT {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no free port between 12000 and 30000"))
}

pub fn listener() -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(LOOPBACK)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A listening socket of which the queue length and the receive buffer are ours to choose.
pub fn narrow_listener(queue: i32, receive_buffer: Option<usize>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if let Some(size) = receive_buffer {
        socket.set_recv_buffer_size(size)?;
    }
    socket.bind(&LOOPBACK.into())?;
    socket.listen(queue)?;
    Ok(socket)
}

/// A listening socket whose queue is full: the system drops every further SYN.
pub struct Full {
    pub address: SocketAddr,
    _held: Vec<Socket>,
}

pub fn full_listener(at: SocketAddr) -> io::Result<Full> {
    /// More than the shortest queue can hold, should the system round it up.
    const AT_MOST: usize = 64;
    /// On loopback a connection that is not there by then was dropped.
    const DROPPED_AFTER: Duration = Duration::from_millis(100);
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // What was there before may have left connections behind (tcp(7), TIME_WAIT).
    listener.set_reuse_address(true)?;
    listener.bind(&at.into())?;
    listener.listen(1)?;
    let address = listener.local_addr()?;
    let mut held = vec![listener];
    for _ in 0..AT_MOST {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        match socket.connect_timeout(&address, DROPPED_AFTER) {
            Ok(()) => held.push(socket),
            Err(_) => break,
        }
    }
    let address = address.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(Full { address, _held: held })
}

/// Hands each connection to `talk`, all at the same time.
pub fn serve<F>(listener: TcpListener, talk: impl Fn(TcpStream) -> F + Send + 'static) -> Task
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    Task::of(async move {
        let mut talks = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            // Parts are written one by one on purpose and must leave one by one.
            drop(stream.set_nodelay(true));
            talks.spawn(talk(stream));
            while talks.try_join_next().is_some() {}
        }
    })
}

pub fn serve_unix<F>(
    listener: UnixListener,
    talk: impl Fn(tokio::net::UnixStream) -> F + Send + 'static,
) -> Task
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    Task::of(async move {
        let mut talks = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            talks.spawn(talk(stream));
            while talks.try_join_next().is_some() {}
        }
    })
}

/// A request as the scene saw it.
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    #[must_use]
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    #[must_use]
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The first field of this name, in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|it| it.split_once(':'));
        let mut named = fields.filter(|(it, _)| it.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }
}

/// Reads one request to its end; `None` where the connection ended before one began.
pub async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<Request>> {
    let Some(head) = read_head(stream).await? else {
        return Ok(None);
    };
    let mut request = Request { head, body: Vec::new() };
    if let Some(length) = request.field("content-length") {
        let length = length.parse().map_err(|_| io::ErrorKind::InvalidData)?;
        request.body = vec![0; length];
        stream.read_exact(&mut request.body).await?;
    } else if request.field("transfer-encoding").is_some() {
        request.body = read_chunks(stream).await?;
    }
    Ok(Some(request))
}

/// Reads exactly to the empty line, so that whatever follows is still unread.
pub async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) if head.len() < HEAD_LIMIT => head.push(byte),
            Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && head.is_empty() => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

async fn read_chunks<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream).await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        if size == 0 {
            while !read_line(stream).await?.is_empty() {}
            return Ok(body);
        }
        let at = body.len();
        body.resize(at + size, 0);
        stream.read_exact(&mut body[at..]).await?;
        read_line(stream).await?;
    }
}

async fn read_line<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await?);
    }
    line.truncate(line.len() - 2);
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Answers every request of a connection well.
pub async fn answer_well<S>(mut stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(request) = read_request(&mut stream).await? {
        let body = if request.method() == "HEAD" { "" } else { "ok" };
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n";
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// Ends with FIN: says so, then reads what still comes, since unread bytes would turn it into RST.
pub async fn end<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    stream.shutdown().await?;
    stay(stream).await
}

/// Ends with RST.
pub fn reset(stream: TcpStream) -> io::Result<()> {
    stream.set_zero_linger()?;
    drop(stream);
    Ok(())
}

/// Says nothing more, reads what comes, until the other side ends it.
pub async fn stay<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<()> {
    let mut unread = [0; 4096];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}
