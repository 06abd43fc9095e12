//! A name server that knows one name and can be told to say something else (RFC 1035).

use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// The name behind which targets are.
pub(crate) const NAME: &str = "app.internal";
/// Seconds that an answer may be kept.
const TTL: u32 = 1;
const HEADER: usize = 12;
const A: [u8; 2] = [0, 1];
const SERVER_FAILURE: u8 = 2;

/// What it says of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// The addresses of these targets.
    Targets(&'static [usize]),
    /// SERVFAIL to every question.
    Failure,
    Nothing,
}

/// It stops when dropped.
pub(crate) struct NameServer {
    pub(crate) at: SocketAddr,
    says: watch::Sender<Says>,
    answering: AbortHandle,
}

impl NameServer {
    pub(crate) async fn start(at: SocketAddr, says: Says) -> Result<NameServer> {
        let socket = Arc::new(UdpSocket::bind(at).await?);
        let (says, heard) = watch::channel(says);
        let answering = tokio::spawn(async move {
            let mut question = [0; 512];
            // An error is one that an earlier answer met on its way.
            loop {
                let Ok((size, from)) = socket.recv_from(&mut question).await else { continue };
                let says = *heard.borrow();
                if let Some(answer) = question.get(..size).and_then(|it| answer(it, says)) {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Ok(NameServer { at, says, answering: answering.abort_handle() })
    }

    pub(crate) fn say(&self, says: Says) {
        self.says.send_replace(says);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

/// Where the target with this number is.
pub(crate) fn address(target: usize) -> Ipv4Addr {
    let last = u8::try_from(target.saturating_add(2)).unwrap_or(u8::MAX);
    Ipv4Addr::new(127, 0, 0, last)
}

fn answer(question: &[u8], says: Says) -> Option<Vec<u8>> {
    let name = question.get(HEADER..)?.iter().position(|it| *it == 0)? + 1;
    let asked = question.get(HEADER..HEADER + name + 4)?;
    let found: &[usize] = match says {
        Says::Targets(it) if asked.get(name..name + 2)? == A => it,
        Says::Targets(_) | Says::Failure => &[],
        Says::Nothing => return None,
    };
    let code = if says == Says::Failure { SERVER_FAILURE } else { 0 };
    let mut answer = Vec::from(question.get(..2)?);
    // An answer, recursion desired and available; one question, and the records found.
    let count = u8::try_from(found.len()).unwrap_or(u8::MAX);
    answer.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(asked);
    for target in found {
        // The name is the question's; type A, class IN, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1]);
        answer.extend(TTL.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address(*target).octets());
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
    fn each_target_has_an_address_of_its_own() {
        let answer = answer(QUESTION, Says::Targets(&[0, 1])).unwrap();
        assert_eq!(&answer[..8], b"\x12\x34\x81\x80\x00\x01\x00\x02");
        assert!(answer.ends_with(&[0, 0, 0, 1, 0, 4, 127, 0, 0, 3]));
    }

    #[test]
    fn other_types_have_no_address_and_a_failure_has_its_code() {
        let mut question = QUESTION.to_vec();
        question[QUESTION.len() - 3] = 28;
        assert_eq!(answer(&question, Says::Targets(&[0])).unwrap()[7], 0);
        assert_eq!(answer(QUESTION, Says::Failure).unwrap()[3], 0x82);
        assert_eq!(answer(QUESTION, Says::Nothing), None);
    }

    #[test]
    fn a_question_that_is_cut_is_not_answered() {
        assert_eq!(answer(&QUESTION[..20], Says::Failure), None);
        assert_eq!(answer(b"", Says::Failure), None);
    }
}
