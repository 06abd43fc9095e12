//! Targets that answer well, and targets that do not.

use anyhow::Result;
use lab::stage::{self, Task};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// What the slow target takes.
const SLOW: Duration = Duration::from_millis(300);
/// Between two events.
const BEAT: Duration = Duration::from_millis(50);
const EVENTS: usize = 20;
const BLOCK: usize = 64 * 1024;
const BLOCKS: usize = 64;

/// How a target behaves; it has the path of its name.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// The target of the clients in good order.
    Load,
    Upload,
    Slow,
    Resetting,
    Cut,
    Failing,
    Download,
    Events,
    Socket,
}

const MANNERS: [(&str, Manner); 9] = [
    ("load", Manner::Load),
    ("upload", Manner::Upload),
    ("slow", Manner::Slow),
    ("resetting", Manner::Resetting),
    ("cut", Manner::Cut),
    ("failing", Manner::Failing),
    ("download", Manner::Download),
    ("events", Manner::Events),
    ("socket", Manner::Socket),
];

/// They stop when dropped.
pub(super) struct Targets {
    urls: Vec<(&'static str, String)>,
    /// Where nobody listens.
    refusing: u16,
    _tasks: Vec<Task>,
}

impl Targets {
    pub(super) fn start() -> Result<Targets> {
        let (mut urls, mut tasks) = (Vec::new(), Vec::new());
        for (name, manner) in MANNERS {
            let listener = stage::listener()?;
            urls.push((name, format!("http://{}", listener.local_addr()?)));
            tasks.push(stage::serve(listener, move |stream| talk(manner, stream)));
        }
        Ok(Targets { urls, refusing: stage::free_port()?, _tasks: tasks })
    }

    /// A route for each. Reloads go on to the next round, in which something has changed.
    pub(super) fn configuration(&self, round: u32) -> String {
        let refusing = ("refusing", format!("http://127.0.0.1:{}", self.refusing));
        let first_byte = 30 + round % 2;
        let routes = self.urls.iter().chain([&refusing]).map(|(name, url)| {
            format!(
                "[upstream.{name}]\ntargets = [\"{url}\"]\n\
                 timeout = {{ first_byte = \"{first_byte}s\" }}\n\
                 [route.{name}]\nmatch = \"/{name}\"\nto = \"{name}\"\n"
            )
        });
        routes.collect()
    }
}

async fn talk(manner: Manner, mut stream: TcpStream) -> io::Result<()> {
    if let Manner::Load | Manner::Upload = manner {
        return stage::answer_well(BufStream::new(stream)).await;
    }
    while stage::read_request(&mut stream).await?.is_some() {
        match manner {
            Manner::Load | Manner::Upload => {}
            Manner::Slow => {
                sleep(SLOW).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
            }
            Manner::Resetting => return stage::reset(stream),
            Manner::Cut => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun").await?;
                return stage::end(stream).await;
            }
            Manner::Failing => {
                let answer = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops";
                stream.write_all(answer).await?;
            }
            Manner::Download => {
                let length = BLOCK * BLOCKS;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                let block = vec![b'd'; BLOCK];
                for _ in 0..BLOCKS {
                    stream.write_all(&block).await?;
                }
            }
            Manner::Events => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                            Transfer-Encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await?;
                for _ in 0..EVENTS {
                    stream.write_all(b"e\r\ndata: an event\r\n").await?;
                    sleep(BEAT).await;
                }
                stream.write_all(b"0\r\n\r\n").await?;
            }
            Manner::Socket => return echo(stream).await,
        }
    }
    Ok(())
}

/// Grants the key that the lab's clients send (RFC 6455 1.3), and gives back what comes.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut block = [0; 1024];
    loop {
        let count = stream.read(&mut block).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&block[..count]).await?;
    }
}
