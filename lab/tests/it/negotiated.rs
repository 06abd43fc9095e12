//! The HTTP version of a target under TLS: what it chooses of what it is offered (ALPN).

use crate::doors::Papers;
use crate::peer::{Count, connect, each, echo2, request};
use crate::world::{OK, SOON};
use http::Method;
use lab::client::request_for;
use lab::gateway::Gateway;
use lab::scene::Ask;
use lab::stage::{self, Task};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::io;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often each version was chosen.
#[derive(Clone, Default)]
struct Chosen {
    one: Count,
    two: Count,
}

/// A gateway that speaks `protocol` to a target which takes these, best first.
async fn world(test: &str, protocol: &str, takes: &[&[u8]]) -> (Gateway, Chosen, Task) {
    let papers = Papers::new(&format!("negotiated-{test}"));
    let (certificate, key) = papers.issue(&["target.test"]);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate and its key");
    tls.alpn_protocols = takes.iter().map(|it| it.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let chosen = Chosen::default();
    let counted = chosen.clone();
    let listener = stage::listener().expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("it is bound"));
    let target =
        stage::serve(listener, move |stream| talk(stream, acceptor.clone(), counted.clone()));
    let config = format!(
        "[upstream.app]\ntargets = [\"{url}\"]\nprotocol = \"{protocol}\"\n\
         tls = {{ ca = {:?}, server_name = \"target.test\" }}\n\
         [route.app]\nmatch = \"/*\"\nto = \"app\"\n",
        papers.path("ca.pem")
    );
    let gateway = Gateway::start(&config).await.unwrap_or_else(|error| panic!("{error}"));
    (gateway, chosen, target)
}

async fn talk(stream: TcpStream, acceptor: TlsAcceptor, chosen: Chosen) -> io::Result<()> {
    let stream = acceptor.accept(stream).await?;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        chosen.two.add();
        let shaken = h2::server::handshake(stream).await.map_err(io::Error::other)?;
        return each(shaken, echo2).await;
    }
    chosen.one.add();
    one(stream).await
}

async fn one(mut stream: TlsStream<TcpStream>) -> io::Result<()> {
    while let Some(request) = stage::read_request(&mut stream).await? {
        let answer = match request.field("upgrade") {
            Some(_) => "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\n",
            None => OK,
        };
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

async fn get(gateway: &Gateway) -> lab::client::Answer {
    let mut client = gateway.client().await.expect("the test can go on");
    let request = request_for("/", Ask::Get);
    timeout(SOON, client.exchange(&request)).await.expect("an answer in time")
}

#[tokio::test]
async fn the_target_chooses() {
    let (gateway, chosen, _target) = world("chooses", "auto", &[b"h2", b"http/1.1"]).await;
    for _ in 0..3 {
        assert_eq!(get(&gateway).await.text(), "GET / lab.test 0 - -");
    }
    assert_eq!((chosen.one.get(), chosen.two.get()), (0, 1));
    let record = &gateway.records_soon(3).await[0];
    assert_eq!(record["upstream_version"], "HTTP/2");
}

#[tokio::test]
async fn a_target_that_knows_http_1_alone_is_spoken_to_so() {
    let (gateway, chosen, _target) = world("one", "auto", &[b"http/1.1"]).await;
    let mut send = connect(gateway.listen).await;
    let asked: Vec<_> =
        (0..4).map(|_| send.send_request(request(Method::GET, "/"), true).unwrap().0).collect();
    for answer in asked {
        assert_eq!(timeout(SOON, answer).await.unwrap().unwrap().status(), 200);
    }
    assert!((1..=4).contains(&chosen.one.get()), "{}", chosen.one.get());
    assert_eq!(chosen.two.get(), 0);
    assert!(gateway.records_soon(4).await.iter().all(|it| it["upstream_version"].is_null()));
}

#[tokio::test]
async fn an_upgrade_is_asked_for_by_http_1() {
    let (gateway, chosen, _target) = world("upgrade", "auto", &[b"h2", b"http/1.1"]).await;
    let mut client = gateway.client().await.unwrap();
    let ask = b"GET / HTTP/1.1\r\nHost: lab.test\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\n";
    client.send(ask).await.unwrap();
    assert_eq!(client.head().await.status, Some(101));
    assert_eq!((chosen.one.get(), chosen.two.get()), (1, 0));
}

#[tokio::test]
async fn http_2_alone_is_asked_for_and_had() {
    let (gateway, chosen, _target) = world("two", "http2", &[b"h2", b"http/1.1"]).await;
    assert_eq!(get(&gateway).await.text(), "GET / lab.test 0 - -");
    assert_eq!((chosen.one.get(), chosen.two.get()), (0, 1));
}

#[tokio::test]
async fn http_1_is_all_that_is_offered_where_nothing_else_is_said() {
    let (gateway, chosen, _target) = world("http1", "http1", &[b"h2", b"http/1.1"]).await;
    assert_eq!(get(&gateway).await.text(), "ok");
    assert_eq!((chosen.one.get(), chosen.two.get()), (1, 0));
}

#[tokio::test]
async fn a_target_that_refuses_http_2_is_named() {
    let (gateway, _chosen, _target) = world("refuses", "http2", &[b"http/1.1"]).await;
    let answer = get(&gateway).await;
    assert_eq!(answer.status, Some(502));
    // It ends the handshake with alert 120, no application protocol.
    assert!(answer.text().contains("alpn_mismatch"), "{}", answer.text());
}
