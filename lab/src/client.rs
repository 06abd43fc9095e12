//! A small HTTP/1.1 client that shows bytes as they are: what came, how it was framed, and how the
//! stream ended.

use crate::scene::Ask;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// Above every limit that a scene lets fire.
const PATIENCE: Duration = Duration::from_secs(8);

/// One connection to a gateway.
pub struct Client {
    reader: Reader,
    writer: OwnedWriteHalf,
}

/// How an answer, or the connection, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The framing of the answer was fulfilled.
    Whole,
    /// FIN before that.
    Closed,
    /// RST.
    Reset,
    /// Nothing for longer than the client waits.
    Silent,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Absent where what came is not an HTTP/1 head.
    pub status: Option<u16>,
    /// The head as it was, with its empty line.
    pub head: String,
    /// Statuses of the interim answers before it.
    pub interim: Vec<u16>,
    /// The body without its framing; everything that came where there is no head.
    pub body: Vec<u8>,
    /// The trailer section, without the empty line.
    pub trailers: String,
    pub end: End,
}

impl Answer {
    /// All values of a field, in any case, in order.
    #[must_use]
    pub fn fields(&self, name: &str) -> Vec<&str> {
        fields(&self.head, name)
    }

    /// The first value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields(name).first().copied()
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[must_use]
    pub fn cut(&self) -> bool {
        self.end != End::Whole
    }

    /// A word or two for tables: `200`, `200 cut`, `closed`, `silent`, `no HTTP`.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.status, self.end) {
            (Some(status @ 200..=299), End::Whole) => format!("{status} whole"),
            (Some(status), End::Whole) => status.to_string(),
            (Some(status), End::Silent) => format!("{status}, hangs"),
            (Some(status), End::Closed | End::Reset) => format!("{status} cut"),
            (None, _) if !self.body.is_empty() => "raw bytes".to_owned(),
            (None, End::Silent) => "hangs".to_owned(),
            (None, _) => "closed".to_owned(),
        }
    }
}

fn fields<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.split("\r\n").skip(1).filter_map(|it| it.split_once(':'));
    let named = lines.filter(|(it, _)| it.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.trim()).collect()
}

/// The bytes of a request to `/` that asks so.
#[must_use]
pub fn request(ask: Ask) -> Vec<u8> {
    request_for("/", ask)
}

/// The bytes of a request to this path that asks so.
#[must_use]
pub fn request_for(path: &str, ask: Ask) -> Vec<u8> {
    let (method, body) = match ask {
        Ask::Get | Ask::WebSocket => ("GET", None),
        Ask::Head => ("HEAD", None),
        Ask::Post => ("POST", Some(2)),
        Ask::Upload(size) => ("POST", Some(size)),
    };
    let length = body.map_or_else(String::new, |it| format!("Content-Length: {it}\r\n"));
    let upgrade = match ask {
        Ask::WebSocket => {
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        }
        _ => "",
    };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: lab.test\r\n{length}{upgrade}\r\n");
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + body.unwrap_or_default(), b'x');
    bytes
}

impl Client {
    pub async fn connect(to: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Client { reader: Reader { stream: reader, read: Vec::new() }, writer })
    }

    /// Writes bytes and does not wait for an answer.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// Ends our side with FIN.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.writer.shutdown().await
    }

    /// Leaves without a word: RST.
    pub fn leave(self) -> io::Result<()> {
        let stream = self.reader.stream.reunite(self.writer).map_err(io::Error::other)?;
        stream.set_zero_linger()
    }

    /// Writes a request while it already reads, since an answer may come before all is written.
    pub async fn exchange(&mut self, request: &[u8]) -> Answer {
        let head_only = request.starts_with(b"HEAD ");
        let Client { reader, writer } = self;
        let write = async {
            // An error shows in what is read.
            drop(writer.write_all(request).await);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = reader.answer(head_only) => answer,
            () = write => unreachable!("writing never comes to an end"),
        }
    }

    /// Reads one answer to its end.
    pub async fn answer(&mut self) -> Answer {
        self.reader.answer(false).await
    }

    /// Reads one answer's head only; its body is empty so far.
    pub async fn head(&mut self) -> Answer {
        self.reader.head().await
    }

    /// The next bytes as they come, at least one, unless the stream has ended.
    pub async fn some(&mut self) -> Result<Vec<u8>, End> {
        if self.reader.read.is_empty() {
            self.reader.fill().await?;
        }
        Ok(std::mem::take(&mut self.reader.read))
    }

    /// Everything up to the end of the stream, and how that ended.
    pub async fn rest(&mut self) -> (Vec<u8>, End) {
        let end = self.reader.drain().await;
        (std::mem::take(&mut self.reader.read), end)
    }
}

struct Reader {
    stream: OwnedReadHalf,
    /// Read and not consumed.
    read: Vec<u8>,
}

impl Reader {
    async fn answer(&mut self, head_only: bool) -> Answer {
        let mut answer = self.head().await;
        let Some(status) = answer.status else {
            return answer;
        };
        if head_only || matches!(status, 204 | 304 | 101) {
            return answer;
        }
        answer.end = match self.body(&mut answer).await {
            Ok(()) => End::Whole,
            Err(end) => end,
        };
        answer
    }

    async fn head(&mut self) -> Answer {
        let mut interim = Vec::new();
        loop {
            let (head, end) = match self.until(b"\r\n\r\n").await {
                Ok(head) => (String::from_utf8_lossy(&head).into_owned(), End::Whole),
                Err(end) => (String::new(), end),
            };
            match status(&head) {
                Some(status @ (100 | 102..=199)) => interim.push(status),
                Some(status) => {
                    let (body, trailers) = (Vec::new(), String::new());
                    return Answer { status: Some(status), head, interim, body, trailers, end };
                }
                None => return self.no_head(head, interim, end).await,
            }
        }
    }

    /// All that came, since none of it can be told apart.
    async fn no_head(&mut self, head: String, interim: Vec<u16>, end: End) -> Answer {
        let end = if end == End::Whole { self.drain().await } else { end };
        let mut body = head.into_bytes();
        body.append(&mut self.read);
        let (head, trailers) = (String::new(), String::new());
        Answer { status: None, head, interim, body, trailers, end }
    }

    async fn body(&mut self, answer: &mut Answer) -> Result<(), End> {
        if answer.field("transfer-encoding").is_some() {
            return self.chunks(answer).await;
        }
        let Some(length) = answer.field("content-length").and_then(|it| it.parse().ok()) else {
            let end = self.drain().await;
            answer.body = std::mem::take(&mut self.read);
            // Without a length, FIN is the end of the answer.
            return if end == End::Closed { Ok(()) } else { Err(end) };
        };
        self.take(length, &mut answer.body).await
    }

    async fn chunks(&mut self, answer: &mut Answer) -> Result<(), End> {
        loop {
            let line = self.until(b"\r\n").await?;
            let line = String::from_utf8_lossy(&line);
            let size = line.split([';', '\r']).next().unwrap_or_default();
            // A size that is no number ends what can be read.
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| End::Closed)?;
            if size == 0 {
                return self.trailers(answer).await;
            }
            self.take(size, &mut answer.body).await?;
            self.until(b"\r\n").await?;
        }
    }

    async fn trailers(&mut self, answer: &mut Answer) -> Result<(), End> {
        loop {
            let line = self.until(b"\r\n").await?;
            if line == b"\r\n" {
                return Ok(());
            }
            answer.trailers += &String::from_utf8_lossy(&line);
        }
    }

    /// Moves `length` bytes, or as many as come.
    async fn take(&mut self, length: usize, to: &mut Vec<u8>) -> Result<(), End> {
        let mut left = length;
        loop {
            let now = left.min(self.read.len());
            to.extend(self.read.drain(..now));
            left -= now;
            if left == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    /// Up to and with `mark`.
    async fn until(&mut self, mark: &[u8]) -> Result<Vec<u8>, End> {
        loop {
            let found = self.read.windows(mark.len()).position(|it| it == mark);
            if let Some(at) = found {
                return Ok(self.read.drain(..at + mark.len()).collect());
            }
            self.fill().await?;
        }
    }

    async fn drain(&mut self) -> End {
        loop {
            if let Err(end) = self.fill().await {
                return end;
            }
        }
    }

    async fn fill(&mut self) -> Result<(), End> {
        match timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await {
            Ok(Ok(0)) => Err(End::Closed),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(End::Reset),
            Err(_) => Err(End::Silent),
        }
    }
}

fn status(head: &str) -> Option<u16> {
    let rest = head.strip_prefix("HTTP/1.1 ").or_else(|| head.strip_prefix("HTTP/1.0 "))?;
    rest.get(..3)?.parse().ok()
}
