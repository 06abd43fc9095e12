//! HTTP/2 by hand, for what no library would write.

use std::io;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// A frame (RFC 9113 4.1).
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).expect("it is small").to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The SETTINGS with which a server begins, with nothing in it.
#[must_use]
pub fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[])
}

/// `:status: 200` by the static table (RFC 7541 A).
pub const STATUS_200: &[u8] = &[0x88];

/// A field that no table holds (RFC 7541 6.2.2).
#[must_use]
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        field.push(u8::try_from(text.len()).ok().filter(|it| *it < 127).expect("it is short"));
        field.extend(text.as_bytes());
    }
    field
}

/// Reads frames until a head of this stream or a later one has come; its stream, or `None` at the
/// end.
pub async fn read_head(stream: &mut TcpStream, preface: bool) -> io::Result<Option<u32>> {
    if preface {
        stream.read_exact(&mut [0; 24]).await?;
    }
    loop {
        let mut head = [0; 9];
        match stream.read_exact(&mut head).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let [a, b, c, kind, _, stream_id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await?;
        if kind == 1 {
            return Ok(Some(u32::from_be_bytes(stream_id)));
        }
    }
}
