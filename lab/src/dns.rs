//! A name server of a few lines: one answer to everybody, or what a test has put into it.

use crate::scene::Set;
use crate::stage::{self, Task};
use std::collections::HashMap;
use std::io;
use std::net::UdpSocket as Bound;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::sleep;

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

/// What a name server knows, to be changed while it serves.
#[derive(Clone, Default)]
pub struct Zone(Arc<Mutex<Records>>);

#[derive(Default)]
struct Records {
    addresses: HashMap<String, Vec<IpAddr>>,
    services: HashMap<String, Vec<Service>>,
    /// In seconds.
    ttl: u32,
    trouble: Option<Trouble>,
    delay: Duration,
    asked: u64,
}

/// One SRV record (RFC 2782).
#[derive(Clone)]
pub struct Service {
    pub priority: u16,
    pub weight: u16,
    pub port: u16,
    /// Empty for the root.
    pub host: &'static str,
}

/// What goes wrong with every question.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    Silent,
    /// This code (RFC 1035 4.1.1).
    Code(u8),
}

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;

impl Zone {
    /// Answers hold for so many seconds.
    #[must_use]
    pub fn new(ttl: u32) -> Zone {
        let zone = Zone::default();
        zone.records().ttl = ttl;
        zone
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host has these addresses and no others.
    pub fn host(&self, name: &str, addresses: &[IpAddr]) {
        self.records().addresses.insert(name.to_owned(), addresses.to_vec());
    }

    /// A service has these servers and no others.
    pub fn service(&self, name: &str, servers: &[Service]) {
        self.records().services.insert(name.to_owned(), servers.to_vec());
    }

    pub fn trouble(&self, trouble: Option<Trouble>) {
        self.records().trouble = trouble;
    }

    /// Each answer takes so long.
    pub fn delay(&self, delay: Duration) {
        self.records().delay = delay;
    }

    /// How many questions have come, of all types.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.records().asked
    }

    /// A server that answers from it, and where it is.
    pub fn serve(&self) -> io::Result<(SocketAddr, Task)> {
        let socket = Bound::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        let at = socket.local_addr()?;
        let (socket, zone) = (Arc::new(UdpSocket::from_std(socket)?), self.clone());
        Ok((at, Task::of(async move { zone.answer_all(&socket).await.unwrap_or(()) })))
    }

    async fn answer_all(&self, socket: &Arc<UdpSocket>) -> io::Result<()> {
        let mut question = [0; 512];
        let mut under_way = JoinSet::new();
        loop {
            let (size, from) = socket.recv_from(&mut question).await?;
            while under_way.try_join_next().is_some() {}
            let delay = {
                let mut records = self.records();
                records.asked += 1;
                records.delay
            };
            if let Some(answer) = self.answer(&question[..size]) {
                let socket = socket.clone();
                under_way.spawn(async move {
                    sleep(delay).await;
                    socket.send_to(&answer, from).await
                });
            }
        }
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let records = self.records();
        let (name, kind, asked) = asked(question)?;
        let hosts = records.addresses.get(&name);
        let found: Vec<Vec<u8>> = match kind {
            A | AAAA => {
                let all = hosts.into_iter().flatten();
                all.filter_map(|it| match (kind, it) {
                    (A, IpAddr::V4(it)) => Some(it.octets().to_vec()),
                    (AAAA, IpAddr::V6(it)) => Some(it.octets().to_vec()),
                    _ => None,
                })
                .collect()
            }
            SRV => records.services.get(&name).into_iter().flatten().map(Service::data).collect(),
            _ => Vec::new(),
        };
        let is_known = hosts.is_some() || records.services.contains_key(&name);
        let (code, found) = match records.trouble {
            Some(Trouble::Silent) => return None,
            Some(Trouble::Code(code)) => (code, Vec::new()),
            None if is_known => (0, found),
            None => (3, found),
        };
        let mut answer = Vec::from(&question[..2]);
        answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(found.len()).ok()?, 0, 0, 0, 0]);
        answer.extend(asked);
        for data in found {
            // The name is the question's, class IN.
            answer.extend([0xc0, 0x0c]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1]);
            answer.extend(records.ttl.to_be_bytes());
            answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
            answer.extend(data);
        }
        Some(answer)
    }
}

impl Service {
    fn data(&self) -> Vec<u8> {
        let mut data: Vec<u8> = [self.priority, self.weight, self.port]
            .iter()
            .flat_map(|it| it.to_be_bytes())
            .collect();
        for label in self.host.split('.').filter(|it| !it.is_empty()) {
            data.push(label.len() as u8);
            data.extend(label.as_bytes());
        }
        data.push(0);
        data
    }
}

/// The name and the type of a question, and its bytes.
fn asked(question: &[u8]) -> Option<(String, u16, &[u8])> {
    let asked = question.get(HEADER..)?;
    let mut labels = Vec::new();
    let mut at = 0;
    loop {
        let length = usize::from(*asked.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(asked.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*asked.get(at)?, *asked.get(at + 1)?]);
    Some((labels.join("."), kind, asked.get(..at + 4)?))
}

/// Bytes before the question (RFC 1035 4.1.1).
const HEADER: usize = 12;

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
    let (_, kind, asked) = asked(question)?;
    let (code, found) = match says {
        Says::Loopback => (0, kind == A),
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
