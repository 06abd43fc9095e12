//! A running gateway goes over to another configuration: all of it or nothing, and nobody notices
//! but by what has changed.

use crate::doors::Papers;
use crate::http3;
use crate::peer::{Count, body, connect, echo2, get as get2, serve2};
use crate::world::{OK, SOON, echo, get, signal, told};
use lab::client::{Client, End};
use lab::gateway::Gateway;
use lab::stage::{self, Task};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An upstream, and how a route to it is written.
struct Target {
    url: String,
    connections: Count,
    _task: Task,
}

fn target<F>(talk: impl Fn(TcpStream) -> F + Send + 'static) -> Target
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = stage::listener().expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let connections = Count::default();
    let count = connections.clone();
    let talk = move |stream| {
        count.add();
        talk(stream)
    };
    Target { url, connections, _task: stage::serve(listener, talk) }
}

impl Target {
    fn route(&self) -> String {
        format!("[route.app]\nmatch = \"/*\"\nto = \"{}\"\n", self.url)
    }
}

/// Answers each request with this.
async fn says(mut stream: TcpStream, text: &'static str) -> io::Result<()> {
    while stage::read_request(&mut stream).await?.is_some() {
        let length = text.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}");
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

async fn start(config: &str) -> Gateway {
    Gateway::start(config).await.unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn text(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

async fn reloaded(gateway: &Gateway, config: &str) {
    let output = gateway.reload(config).await.expect("the command runs");
    assert!(output.status.success(), "{}\n{}", text(&output), gateway.said());
}

/// The reload is refused with this exit code, and these words are said.
async fn refused(gateway: &Gateway, config: &str, exit: i32, words: &str) {
    let output = gateway.reload(config).await.expect("the command runs");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(exit), "{text}");
    assert!(text.contains(words), "{text}");
}

async fn ask(client: &mut Client) -> String {
    let answer = client.exchange(&get("/")).await;
    assert_eq!((answer.status, answer.end), (Some(200), End::Whole), "{}", answer.words());
    answer.text()
}

#[tokio::test]
async fn open_connections_are_served_by_the_new_one_and_targets_keep_theirs() {
    let (one, two) = (target(|it| says(it, "one")), target(|it| says(it, "two")));
    let gateway = start(&one.route()).await;
    let mut client = gateway.client().await.unwrap();
    assert_eq!(ask(&mut client).await, "one");
    reloaded(&gateway, &format!("[dns]\ntimeout = \"4s\"\n{}", one.route())).await;
    assert_eq!(ask(&mut client).await, "one");
    assert_eq!(one.connections.get(), 1, "an unchanged target keeps its connections");
    reloaded(&gateway, &two.route()).await;
    assert_eq!(ask(&mut client).await, "two");
    let metrics = metrics(&gateway).await;
    assert!(metrics.contains(&two.url) && !metrics.contains(&one.url), "{metrics}");
}

async fn metrics(gateway: &Gateway) -> String {
    let mut client = Client::connect(gateway.status).await.expect("the test can go on");
    client.exchange(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.text()
}

#[tokio::test]
async fn what_is_in_flight_ends_as_it_began() {
    let (reached, upstream_has_it) = signal();
    let (go_on, wait) = signal();
    let slow = target(move |mut stream| {
        let (reached, wait) = (reached.clone(), wait.clone());
        async move {
            stage::read_request(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").await?;
            reached.send(()).map_err(io::Error::other)?;
            told(&wait).await;
            stream.write_all(b"k").await?;
            stage::stay(stream).await
        }
    });
    let other = target(|it| says(it, "other"));
    let gateway = start(&slow.route()).await;
    let mut client = gateway.client().await.unwrap();
    client.send(&get("/")).await.unwrap();
    told(&upstream_has_it).await;
    reloaded(&gateway, &other.route()).await;
    // It is gone from the configuration and still there.
    assert!(metrics(&gateway).await.contains(&slow.url));
    go_on.send(()).unwrap();
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.end, answer.text().as_str()), (Some(200), End::Whole, "ok"));
    assert_eq!(ask(&mut client).await, "other");
}

#[tokio::test]
async fn streams_of_http2_go_on() {
    let one = target(|it| serve2(it, echo2));
    let config = one.route().replace("http://", "h2c://");
    let gateway = start(&config).await;
    let mut send = connect(gateway.listen).await;
    assert_eq!(
        body(get2(&mut send, "/a").await.into_body()).await.unwrap().0,
        "GET /a h2.test 0 - -"
    );
    reloaded(&gateway, &format!("[dns]\ntimeout = \"4s\"\n{config}")).await;
    assert_eq!(
        body(get2(&mut send, "/b").await.into_body()).await.unwrap().0,
        "GET /b h2.test 0 - -"
    );
    assert_eq!(one.connections.get(), 1);
}

#[tokio::test]
async fn a_tunnel_outlives_its_route() {
    let chat = target(|mut stream: TcpStream| async move {
        stage::read_request(&mut stream).await?;
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        let mut byte = [0];
        while stream.read(&mut byte).await? == 1 {
            stream.write_all(&byte).await?;
        }
        Ok(())
    });
    let other = target(|it| says(it, "other"));
    let gateway = start(&chat.route()).await;
    let mut stream = TcpStream::connect(gateway.listen).await.unwrap();
    let ask = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(SOON, stream.read_u8()).await.unwrap().unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    reloaded(&gateway, &other.route()).await;
    for byte in *b"still here" {
        stream.write_all(&[byte]).await.unwrap();
        assert_eq!(timeout(SOON, stream.read_u8()).await.unwrap().unwrap(), byte);
    }
}

#[tokio::test]
async fn what_cannot_be_read_changes_nothing() {
    let one = target(|it| says(it, "one"));
    let gateway = start(&one.route()).await;
    let mut client = gateway.client().await.unwrap();
    refused(&gateway, "[route.app]\nmatch = 7\n", 3, "route.app").await;
    refused(&gateway, "[route.app\n", 3, "goodgate.toml").await;
    let missing = format!(
        "https = {{ addr = \"127.0.0.1:0\", cert = \"no.pem\", key = \"no.key\" }}\n{}",
        one.route()
    );
    refused(&gateway, &missing, 3, "no.pem").await;
    let name = format!("[answers]\nname = \"other\"\n{}", one.route());
    refused(&gateway, &name, 3, "answers.name").await;
    assert_eq!(ask(&mut client).await, "one");
    assert_eq!(one.connections.get(), 1);
}

#[tokio::test]
async fn listeners_come_and_go() {
    let one = target(|it| says(it, "one"));
    let gateway = start(&one.route()).await;
    let more = SocketAddr::from((Ipv4Addr::LOCALHOST, stage::free_port().unwrap()));
    let papers = Papers::new("reload-listeners");
    let (https, tls) = papers.https("");
    reloaded(&gateway, &format!("{https}{}", one.route())).await;
    let connected = TcpStream::connect(tls).await;
    assert!(connected.is_ok(), "{connected:?}");
    // A port that somebody else has changes nothing.
    let taken = std::net::TcpListener::bind(more).unwrap();
    let wrong = https.replace(&tls.to_string(), &more.to_string());
    refused(&gateway, &format!("{wrong}{}", one.route()), 3, &more.to_string()).await;
    drop(taken);
    assert!(TcpStream::connect(tls).await.is_ok());
    reloaded(&gateway, &one.route()).await;
    let gone = TcpStream::connect(tls).await;
    assert_eq!(gone.err().map(|it| it.kind()), Some(io::ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn limits_hold_at_once_for_connections_that_are_open() {
    let one = target(|it| says(it, "one"));
    let gateway = start(&one.route()).await;
    let mut client = gateway.client().await.unwrap();
    let long = format!("/{}", "x".repeat(3_000));
    assert_eq!(client.exchange(&get(&long)).await.status, Some(200));
    reloaded(&gateway, &format!("[limits]\nuri = \"2KiB\"\n{}", one.route())).await;
    assert_eq!(client.exchange(&get(&long)).await.status, Some(414));
    let mut idle = gateway.client().await.unwrap();
    assert_eq!(ask(&mut idle).await, "one");
    reloaded(&gateway, &format!("timeout = {{ idle = \"100ms\" }}\n{}", one.route())).await;
    let ended = timeout(SOON, idle.rest()).await.expect("it is closed by the new limit");
    assert_eq!(ended.1, End::Closed);
}

#[tokio::test]
async fn new_settings_of_connections_make_new_connections() {
    let one = target(|it| async move {
        let mut stream = it;
        // With or without what a PROXY protocol of version 2 begins with.
        let mut first = [0];
        while stream.peek(&mut first).await? == 1 {
            if first[0] == b'\r' {
                let mut header = [0; 28];
                stream.read_exact(&mut header).await?;
            }
            if stage::read_request(&mut stream).await?.is_none() {
                break;
            }
            stream.write_all(OK.as_bytes()).await?;
        }
        Ok(())
    });
    let upstream = |more: &str| {
        let url = &one.url;
        format!(
            "[upstream.a]\ntargets = [\"{url}\"]\n{more}[route.a]\nmatch = \"/*\"\nto = \"a\"\n"
        )
    };
    let gateway = start(&upstream("")).await;
    let mut client = gateway.client().await.unwrap();
    assert_eq!(ask(&mut client).await, "ok");
    reloaded(&gateway, &upstream("timeout = { first_byte = \"9s\" }\n")).await;
    assert_eq!(ask(&mut client).await, "ok");
    assert_eq!(one.connections.get(), 1);
    reloaded(&gateway, &upstream("proxy_protocol = true\n")).await;
    assert_eq!(ask(&mut client).await, "ok");
    assert_eq!(one.connections.get(), 2);
}

#[tokio::test]
async fn http3_comes_and_goes() {
    let papers = Papers::new("reload-http3");
    let (https, address) = papers.https("");
    let one = target(echo);
    let gateway = start(&format!("{https}{}", one.route())).await;
    assert!(!text(&gateway.command(&["status"]).await.unwrap()).contains("HTTP/3"));
    reloaded(&gateway, &format!("http3 = true\n{https}{}", one.route())).await;
    let connection = http3::connect(&papers, address).await.unwrap();
    let mut send = http3::speak(connection).await;
    let mut stream = http3::asked(&mut send, "/x").await;
    assert_eq!(http3::answer(&mut stream).await.status(), 200);
    reloaded(&gateway, &format!("{https}{}", one.route())).await;
    assert!(!text(&gateway.command(&["status"]).await.unwrap()).contains("HTTP/3"));
    assert!(http3::connect(&papers, address).await.is_err());
    // Whether or not those who were there have gone already, and however often it was said.
    reloaded(&gateway, &format!("{https}{}", one.route())).await;
    reloaded(&gateway, &format!("http3 = true\n{https}{}", one.route())).await;
    let connection = http3::connect(&papers, address).await.unwrap();
    let mut send = http3::speak(connection).await;
    let mut stream = http3::asked(&mut send, "/y").await;
    assert_eq!(http3::answer(&mut stream).await.status(), 200);
}
