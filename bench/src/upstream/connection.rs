//! One connection of a proxy to the upstream, from request to request.

use super::head::{self, Head, Wanted};
use crate::cases::{CHUNK, CHUNKS, SMALL, TEN_KIB};
use rustix::net::sockopt::set_socket_send_buffer_size;
use std::cell::Cell;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::rc::Rc;

/// No head that a proxy sends here is longer.
const HEAD_LIMIT: usize = 16 * 1024;
const BLOCK: usize = 256 * 1024;
const LARGE: u64 = 64 * 1024 * 1024;
const SEND_BUFFER: usize = 32 * 1024;
const EVENTS: &str = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked";

/// What all connections use.
pub(super) struct Shared {
    small: Rc<[u8]>,
    ten_kib: Rc<[u8]>,
    unknown: Rc<[u8]>,
    chunk: Vec<u8>,
    last_chunk: Vec<u8>,
    block: Vec<u8>,
    scratch: Vec<u8>,
    sent_chunks: u64,
    /// Answers of unusual length that are not whole yet.
    open_answers: Rc<Cell<u64>>,
}

/// Counts an answer until it is whole or given up.
struct Open(Rc<Cell<u64>>);

impl Open {
    fn new(shared: &Shared) -> Open {
        shared.open_answers.set(shared.open_answers.get() + 1);
        Open(Rc::clone(&shared.open_answers))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Shared {
    pub(super) fn new() -> Shared {
        let chunk = chunk();
        Shared {
            small: answer("200 OK", &[b's'; SMALL]),
            ten_kib: answer("200 OK", &[b't'; TEN_KIB]),
            unknown: answer("404 Not Found", b"no such case"),
            last_chunk: [&chunk[..], b"0\r\n\r\n"].concat(),
            chunk,
            block: vec![b'f'; BLOCK],
            scratch: vec![0; BLOCK],
            sent_chunks: 0,
            open_answers: Rc::default(),
        }
    }
}

fn answer(status: &str, body: &[u8]) -> Rc<[u8]> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat().into()
}

fn chunk() -> Vec<u8> {
    const START: &str = "data: ";
    const END: &str = "\n\n";
    let filling = "e".repeat(CHUNK - START.len() - END.len());
    format!("{CHUNK:x}\r\n{START}{filling}{END}\r\n").into_bytes()
}

/// What is still to be sent.
enum Reply {
    None,
    Whole {
        bytes: Rc<[u8]>,
        sent: usize,
    },
    Fill {
        left: u64,
        _open: Open,
    },
    Events {
        left: u32,
    },
    /// Nothing more until the other side leaves.
    Hold {
        _open: Open,
    },
}

pub(super) enum Progress {
    /// For the other side, in either direction.
    Waiting,
    /// For the next tick.
    Streaming,
    Over,
}

enum Stop {
    WouldBlock,
    Closed,
}

pub(super) struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// The request whose body is still coming, and how much of it.
    coming: Option<(Wanted, u64)>,
    reply: Reply,
    /// The last read took all there was, so another one would be a wasted system call.
    drained: bool,
    /// The other side sent its last byte, so reading goes on until that is seen.
    left: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Connection {
        Connection {
            stream,
            input: Vec::new(),
            coming: None,
            reply: Reply::None,
            drained: false,
            left: false,
        }
    }

    pub(super) fn other_side_left(&mut self) {
        self.left = true;
    }

    /// Sends and reads until the other side has to act.
    pub(super) fn go_on(&mut self, shared: &mut Shared) -> Progress {
        self.drained = false;
        loop {
            if let Reply::Events { .. } = self.reply {
                return Progress::Streaming;
            }
            let done = self.send(shared).and_then(|()| self.receive(shared));
            match done {
                Ok(()) => {}
                Err(Stop::WouldBlock) => return Progress::Waiting,
                Err(Stop::Closed) => return Progress::Over,
            }
        }
    }

    /// One chunk of an event stream; a client that does not read is tried again at the next tick.
    pub(super) fn send_chunk(&mut self, shared: &mut Shared) -> Progress {
        let Reply::Events { left } = &mut self.reply else { return Progress::Waiting };
        let bytes = if *left == 1 { &shared.last_chunk } else { &shared.chunk };
        match self.stream.write(bytes) {
            Ok(sent) if sent == bytes.len() => {
                *left -= 1;
                shared.sent_chunks += 1;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // Half a chunk does not occur unless the socket's buffer is full of unread chunks.
            Ok(_) | Err(_) => return Progress::Over,
        }
        if let Reply::Events { left: 0 } = self.reply {
            self.reply = Reply::None;
            return Progress::Waiting;
        }
        Progress::Streaming
    }

    fn send(&mut self, shared: &Shared) -> Result<(), Stop> {
        loop {
            match &mut self.reply {
                Reply::None | Reply::Events { .. } | Reply::Hold { .. } => return Ok(()),
                Reply::Whole { bytes, sent } => {
                    *sent += write(&mut self.stream, &bytes[*sent..])?;
                    if *sent == bytes.len() {
                        self.reply = Reply::None;
                    }
                }
                Reply::Fill { left: 0, .. } => self.reply = Reply::None,
                Reply::Fill { left, .. } => {
                    let most = usize::try_from(*left).unwrap_or(BLOCK).min(BLOCK);
                    *left -= write(&mut self.stream, &shared.block[..most])? as u64;
                }
            }
        }
    }

    /// Takes in what came, and starts the reply where a request is whole.
    fn receive(&mut self, shared: &mut Shared) -> Result<(), Stop> {
        let Some((wanted, left)) = self.coming else { return self.receive_head(shared) };
        if left == 0 {
            self.coming = None;
            return self.reply_to(wanted, shared);
        }
        let count = self.read(&mut shared.scratch)? as u64;
        // More than the body would be a second request behind it, which no proxy here sends.
        self.coming = Some((wanted, left.checked_sub(count).ok_or(Stop::Closed)?));
        Ok(())
    }

    fn receive_head(&mut self, shared: &mut Shared) -> Result<(), Stop> {
        let Some(Head { length, wanted, body }) = head::parse(&self.input) else {
            if self.input.len() > HEAD_LIMIT {
                return Err(Stop::Closed);
            }
            let count = self.read(&mut shared.scratch)?;
            self.input.extend_from_slice(&shared.scratch[..count]);
            return Ok(());
        };
        let with_head = (self.input.len() - length) as u64;
        let left = body.checked_sub(with_head).ok_or(Stop::Closed)?;
        self.input.clear();
        self.coming = Some((wanted, left));
        Ok(())
    }

    fn reply_to(&mut self, wanted: Wanted, shared: &Shared) -> Result<(), Stop> {
        let whole = |bytes: &Rc<[u8]>| Reply::Whole { bytes: Rc::clone(bytes), sent: 0 };
        self.reply = match wanted {
            Wanted::Small | Wanted::Upload => whole(&shared.small),
            Wanted::TenKib => whole(&shared.ten_kib),
            Wanted::Unknown => whole(&shared.unknown),
            Wanted::SentChunks => {
                whole(&answer("200 OK", shared.sent_chunks.to_string().as_bytes()))
            }
            Wanted::OpenAnswers => {
                whole(&answer("200 OK", shared.open_answers.get().to_string().as_bytes()))
            }
            Wanted::Events => {
                self.send_head(EVENTS)?;
                Reply::Events { left: CHUNKS }
            }
            Wanted::Fill(bytes) => {
                self.send_head(&format!("Content-Type: text/plain\r\nContent-Length: {bytes}"))?;
                Reply::Fill { left: bytes, _open: Open::new(shared) }
            }
            Wanted::Large => {
                set_socket_send_buffer_size(&self.stream, SEND_BUFFER).map_err(|_| Stop::Closed)?;
                self.send_head(&format!("Content-Type: text/plain\r\nContent-Length: {LARGE}"))?;
                Reply::Fill { left: LARGE, _open: Open::new(shared) }
            }
            Wanted::Hold => {
                self.send_head(EVENTS)?;
                write(&mut self.stream, &shared.chunk)?;
                Reply::Hold { _open: Open::new(shared) }
            }
        };
        Ok(())
    }

    /// The socket's buffer is empty between two answers, so a head always fits.
    fn send_head(&mut self, fields: &str) -> Result<(), Stop> {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
        let sent = write(&mut self.stream, head.as_bytes())?;
        if sent == head.len() { Ok(()) } else { Err(Stop::Closed) }
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Stop> {
        if self.drained {
            return Err(Stop::WouldBlock);
        }
        let count = self.stream.read(into).map_err(|error| stop(&error))?;
        self.drained = count < into.len() && !self.left;
        if count == 0 { Err(Stop::Closed) } else { Ok(count) }
    }
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize, Stop> {
    stream.write(bytes).map_err(|error| stop(&error))
}

fn stop(error: &std::io::Error) -> Stop {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Stop::WouldBlock,
        _ => Stop::Closed,
    }
}
