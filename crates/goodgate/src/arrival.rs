//! `goodgate run URL` with an app that is not there yet: says so once, says what does listen on
//! this machine, and says when the app answers.

use crate::listening::others;
use crate::output::Output;
use crate::serve::dialled;
use crate::waiting::message;
use config::Target;
use exchange::{ConnectFault, Fault, Limit};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How often an app that is not there is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long a connection may take to open, and an app to answer the first question.
const PATIENCE: Duration = Duration::from_secs(5);
/// The head of the first answer: its `Server` field stands early.
const HEAD: usize = 8 * 1024;

/// Looks until every target that has an address has been met once.
pub(crate) async fn watch(targets: Vec<Arc<Target>>, output: Output) {
    for target in targets {
        if let Some(address) = dialled(&target) {
            meet(&target, address, &output).await;
        }
    }
}

async fn meet(target: &Target, address: SocketAddr, output: &Output) {
    let mut told = false;
    loop {
        let began = Instant::now();
        match connect(address).await {
            Ok(stream) => {
                let server = if target.tls { None } else { greet(stream, target).await };
                output.message(&answers(target, began.elapsed(), server.as_deref()));
                return;
            }
            Err(fault) if !told => {
                told = true;
                output.message(&message(address, &Fault::Connect(fault), &others()));
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, ConnectFault> {
    match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Err(ConnectFault::Refused)
        }
        Ok(Err(_)) => Err(ConnectFault::Errno),
        Err(_) => {
            let value = u64::try_from(PATIENCE.as_micros()).unwrap_or(u64::MAX);
            Err(ConnectFault::TimedOut(Limit { name: "timeout.connect", value }))
        }
    }
}

/// Asks for nothing but a head, and reads who answers.
async fn greet(mut stream: TcpStream, target: &Target) -> Option<String> {
    let question = format!(
        "HEAD / HTTP/1.1\r\nHost: {}\r\nUser-Agent: goodgate\r\nConnection: close\r\n\r\n",
        target.authority
    );
    let conversation = async {
        stream.write_all(question.as_bytes()).await.ok()?;
        let mut head = Vec::new();
        let mut part = stream.take(HEAD as u64);
        part.read_to_end(&mut head).await.ok()?;
        server_of(&head)
    };
    tokio::time::timeout(PATIENCE, conversation).await.ok().flatten()
}

fn server_of(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    let lines = text.lines().take_while(|it| !it.is_empty());
    let mut fields = lines.filter_map(|it| it.split_once(':'));
    let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case("server"))?;
    let value: String = value.trim().chars().filter(|it| !it.is_control()).take(60).collect();
    (!value.is_empty()).then_some(value)
}

fn answers(target: &Target, took: Duration, server: Option<&str>) -> String {
    let ms = took.as_secs_f64() * 1e3;
    let server = server.map(|it| format!(", server: {it}")).unwrap_or_default();
    format!("{} answers, {ms:.1} ms{server}\n", target.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_read_from_the_head_alone() {
        let head = b"HTTP/1.1 200 OK\r\nDate: x\r\nSERVER: gunicorn\r\n\r\nServer: body";
        assert_eq!(server_of(head).as_deref(), Some("gunicorn"));
        assert_eq!(server_of(b"HTTP/1.1 200 OK\r\n\r\nServer: body"), None);
        assert_eq!(
            server_of(b"HTTP/1.1 200 OK\r\nServer: a\x1b[31mb\r\n\r\n").as_deref(),
            Some("a[31mb")
        );
    }
}
