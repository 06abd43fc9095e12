//! A client that asks many times at once over one connection of HTTP/2 (RFC 9113), and looks at no
//! answer.

use crate::client::dial;
use anyhow::{Context as _, Result, bail, ensure};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const WHOLE: u8 = END_HEADERS | END_STREAM;
const ACKNOWLEDGED: u8 = 1;
/// SETTINGS_INITIAL_WINDOW_SIZE.
const INITIAL_WINDOW: u16 = 4;
/// The connection's window before anything was said of it.
const DEFAULT_WINDOW: u32 = 65_535;
/// The largest frame that is sent to one who allowed no larger ones.
const FRAME: usize = 16 * 1024;

pub(crate) struct Client {
    stream: TcpStream,
    block: Vec<u8>,
}

impl Client {
    /// Asks for the path on so many streams; `window` is what it allows of each answer.
    pub(crate) fn open(addr: SocketAddr, path: &str, streams: u32, window: u32) -> Result<Client> {
        let mut stream = dial(addr)?;
        let setting = [&INITIAL_WINDOW.to_be_bytes()[..], &window.to_be_bytes()].concat();
        let wide = (i32::MAX.unsigned_abs() - DEFAULT_WINDOW).to_be_bytes();
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &setting));
        bytes.extend(frame(WINDOW_UPDATE, 0, 0, &wide));
        stream.write_all(&bytes)?;
        take_settings(&mut stream).context("waiting for the settings of the proxy")?;
        let fields = fields(path, &addr.to_string())?;
        let mut bytes = frame(SETTINGS, ACKNOWLEDGED, 0, &[]);
        for ordinal in 0..streams {
            bytes.extend(frame(HEADERS, WHOLE, 2 * ordinal + 1, &fields));
        }
        stream.write_all(&bytes)?;
        stream.set_nonblocking(true)?;
        Ok(Client { stream, block: vec![0; 4 * FRAME] })
    }

    /// Waits for the end of one answer.
    pub(crate) fn take_answer(&mut self) -> Result<()> {
        self.stream.set_nonblocking(false)?;
        loop {
            let (kind, flags) = take_frame(&mut self.stream).context("reading an answer")?;
            ensure!(kind != RESET && kind != GOAWAY, "the proxy took its answer back");
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                return Ok(());
            }
        }
    }

    /// Takes what came.
    pub(crate) fn read(&mut self) -> Result<()> {
        loop {
            match self.stream.read(&mut self.block) {
                Ok(0) => bail!("the proxy closed the connection"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("reading answers"),
            }
        }
    }
}

/// The first frame of a server is its settings (RFC 9113 3.4).
fn take_settings(stream: &mut TcpStream) -> Result<()> {
    let (kind, _) = take_frame(stream)?;
    ensure!(kind == SETTINGS, "it does not begin with settings");
    Ok(())
}

/// Kind and flags of the next frame.
fn take_frame(stream: &mut TcpStream) -> Result<(u8, u8)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let [a, b, c, kind, flags, ..] = head;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    ensure!(length <= FRAME, "a frame has {length} bytes");
    stream.read_exact(&mut vec![0; length])?;
    Ok((kind, flags))
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `GET` and `http` are of the static table; path and authority are literals that nobody keeps
/// (RFC 7541 6.1 and 6.2.2).
fn fields(path: &str, authority: &str) -> Result<Vec<u8>> {
    const GET: u8 = 0x82;
    const HTTP: u8 = 0x86;
    const PATH: u8 = 0x04;
    const AUTHORITY: u8 = 0x01;
    let mut fields = vec![GET, HTTP];
    for (name, value) in [(PATH, path), (AUTHORITY, authority)] {
        // A length of one byte ends below 127.
        let length = u8::try_from(value.len()).ok().filter(|it| *it < 127);
        fields.extend([name, length.context("too long for a field")?]);
        fields.extend(value.as_bytes());
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_frame_of_fields() {
        let fields = fields("/hold", "a:1").unwrap();
        assert_eq!(fields, b"\x82\x86\x04\x05/hold\x01\x03a:1");
        let frame = frame(HEADERS, WHOLE, 3, &fields);
        assert_eq!(frame[..9], [0, 0, 14, 1, 5, 0, 0, 0, 3]);
        assert_eq!(frame[9..], fields);
    }

    #[test]
    fn a_field_that_is_too_long_is_refused() {
        assert!(fields(&"p".repeat(127), "a").is_err());
    }
}
