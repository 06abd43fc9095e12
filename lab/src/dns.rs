//! A name server of a few lines that gives one answer to everybody.

use crate::scene::Set;
use crate::stage::{self, Task};
use std::io;
use std::net::SocketAddr;
use std::net::UdpSocket as Bound;
use tokio::net::{TcpStream, UdpSocket};

/// The name that scenes about names have as their target.
const NAME: &str = "app.internal";

/// What it says to every question.
#[derive(Clone, Copy)]
pub(crate) enum Says {
    /// An A record for loopback; nothing for other types.
    Loopback,
    /// The name exists, without an address (NOERROR, empty).
    Empty,
    /// This code (RFC 1035 4.1.1).
    Code(u8),
    Nothing,
}

/// A target behind that name, and a name server that says so.
pub(crate) fn set(says: Says) -> io::Result<Set> {
    let socket = Bound::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    let server = socket.local_addr()?;
    let socket = UdpSocket::from_std(socket)?;
    let answering = Task::of(async move { answer_all(&socket, says).await.unwrap_or(()) });

    let mut set = Set::http(stage::answer_well::<TcpStream>)?.keeps(answering);
    set.url = set.url.replace("127.0.0.1", NAME);
    set.conditions.dns = Some(server);
    Ok(set)
}

/// A name server at this address that knows every name as loopback.
pub fn server(at: SocketAddr) -> io::Result<Task> {
    let socket = Bound::bind(at)?;
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket)?;
    Ok(Task::of(async move { answer_all(&socket, Says::Loopback).await.unwrap_or(()) }))
}

async fn answer_all(socket: &UdpSocket, says: Says) -> io::Result<()> {
    let mut question = [0; 512];
    loop {
        let (size, from) = socket.recv_from(&mut question).await?;
        if let Some(answer) = answer(&question[..size], says) {
            socket.send_to(&answer, from).await?;
        }
    }
}

fn answer(question: &[u8], says: Says) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    const A: [u8; 2] = [0, 1];
    let name = question.get(HEADER..)?.iter().position(|it| *it == 0)? + 1;
    let asked = question.get(HEADER..HEADER + name + 4)?;
    let (code, found) = match says {
        Says::Loopback => (0, asked[name..name + 2] == A),
        Says::Empty => (0, false),
        Says::Code(code) => (code, false),
        Says::Nothing => return None,
    };
    let mut answer = Vec::from(&question[..2]);
    // An answer, recursion desired and available; one question, and one record if found.
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    answer.extend(asked);
    if found {
        // The name is the question's; type A, class IN, a minute, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `A app.internal`, as a resolver asks it.
    const QUESTION: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03app\x08internal\x00\x00\x01\x00\x01";

    #[test]
    fn a_found_name_is_loopback() {
        let answer = answer(QUESTION, Says::Loopback).expect("an answer");
        assert_eq!(&answer[..4], b"\x12\x34\x81\x80");
        assert!(answer.ends_with(&[127, 0, 0, 1]));
    }

    #[test]
    fn a_code_stands_in_the_header() {
        let answer = answer(QUESTION, Says::Code(3)).expect("an answer");
        assert_eq!(answer[3] & 0xf, 3);
    }

    #[test]
    fn half_a_question_gets_no_answer() {
        assert!(answer(&QUESTION[..20], Says::Loopback).is_none());
    }
}
