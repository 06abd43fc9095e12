//! What comes before HTTP on a client's connection: TLS by name, certificates of callers, and a
//! proxy that says for whom it speaks.

use crate::world::{OK, SOON, Seen, World, answer_each, echo, world_with};
use lab::client::Client;
use lab::stage;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An authority with certificates of two names, in files.
pub(crate) struct Papers {
    folder: PathBuf,
    pub(crate) authority: CertifiedIssuer<'static, KeyPair>,
}

impl Papers {
    pub(crate) fn new(test: &str) -> Papers {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        std::fs::create_dir_all(&folder).expect("the test can go on");
        let mut params = CertificateParams::new(Vec::new()).expect("the test can go on");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Issuers are found by their names: each has its own, and no certificate has its issuer's.
        params.distinguished_name.push(DnType::CommonName, format!("Authority of {test}"));
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("the test can go on"))
                .expect("the test can go on");
        let papers = Papers { folder, authority };
        std::fs::write(papers.path("ca.pem"), papers.authority.pem()).expect("the test can go on");
        for name in ["one.test", "two.test"] {
            let (certificate, key) = papers.issue(&[name, &format!("*.{name}")]);
            std::fs::write(papers.path(&format!("{name}.pem")), certificate.pem())
                .expect("the test can go on");
            std::fs::write(papers.path(&format!("{name}.key")), key.serialize_pem())
                .expect("the test can go on");
        }
        papers
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub(crate) fn issue(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let key = KeyPair::generate().expect("the test can go on");
        let mut params = CertificateParams::new(names.clone()).expect("the test can go on");
        params.distinguished_name.push(DnType::CommonName, names[0].as_str());
        (params.signed_by(&key, &self.authority).expect("the test can go on"), key)
    }

    /// The settings of the listener, and where it is.
    pub(crate) fn https(&self, more: &str) -> (String, SocketAddr) {
        let address = SocketAddr::from((
            Ipv4Addr::LOCALHOST,
            stage::free_port().expect("the test can go on"),
        ));
        let folder = self.folder.display();
        let settings = format!(
            "https = {{ addr = \"{address}\", certs = [\n\
             {{ cert = \"{folder}/one.test.pem\", key = \"{folder}/one.test.key\" }},\n\
             {{ cert = \"{folder}/two.test.pem\", key = \"{folder}/two.test.key\" }} ]{more} }}\n"
        );
        (settings, address)
    }

    /// A connection that asks for a name, and shows a certificate where `own` says so.
    pub(crate) async fn dial(
        &self,
        address: SocketAddr,
        name: &str,
        own: bool,
        protocols: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let config = self.caller(own, protocols);
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(name.to_owned()).expect("the test can go on");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// A caller that trusts the authority, and shows a certificate where `own` says so.
    pub(crate) fn caller(&self, own: bool, protocols: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("the test can go on");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the test can go on")
            .with_root_certificates(roots);
        let mut config = match own {
            false => builder.with_no_client_auth(),
            true => {
                let (certificate, key) = self.issue(&["caller.test"]);
                let key = PrivateKeyDer::try_from(key.serialize_der()).expect("the test can go on");
                let chain: Vec<CertificateDer<'static>> = vec![certificate.into()];
                builder.with_client_auth_cert(chain, key).expect("the test can go on")
            }
        };
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        config
    }
}

pub(crate) async fn ask(stream: &mut TlsStream<TcpStream>) -> std::io::Result<String> {
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.expect("an answer in time")?;
    Ok(answer)
}

#[tokio::test]
async fn each_name_has_its_certificate() {
    let papers = Papers::new("names");
    let (settings, address) = papers.https("");
    let _world = world_with(&settings, echo).await;
    // A certificate for another name would not pass.
    for name in ["one.test", "two.test", "a.two.test", "TWO.test"] {
        let mut stream = papers.dial(address, name, false, &[]).await.unwrap();
        assert!(ask(&mut stream).await.unwrap().starts_with("HTTP/1.1 200 "), "{name}");
    }
    assert!(papers.dial(address, "three.test", false, &[]).await.is_err());
}

#[tokio::test]
async fn http2_is_agreed_on_under_tls() {
    let papers = Papers::new("alpn");
    let (settings, address) = papers.https("");
    let _world = world_with(&settings, echo).await;
    let stream = papers.dial(address, "one.test", false, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://one.test/x").body(()).unwrap();
    let mut send: h2::client::SendRequest<bytes::Bytes> = send.ready().await.unwrap();
    let (answer, _) = send.send_request(request, true).unwrap();
    let answer = timeout(SOON, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let mut old = papers.dial(address, "one.test", false, &[b"http/1.1"]).await.unwrap();
    assert!(ask(&mut old).await.unwrap().starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn callers_show_a_certificate_where_one_is_asked_for() {
    let papers = Papers::new("callers");
    let ca = papers.path("ca.pem");
    for (more, without) in [("", false), (", client_optional = true", true)] {
        let more = format!(", client_ca = \"{}\"{more}", ca.display());
        let (settings, address) = papers.https(&more);
        let _world = world_with(&settings, echo).await;
        let mut stream = papers.dial(address, "one.test", true, &[]).await.unwrap();
        assert!(ask(&mut stream).await.unwrap().starts_with("HTTP/1.1 200 "));
        // In TLS 1.3 the refusal comes with the first read.
        let answer = match papers.dial(address, "one.test", false, &[]).await {
            Ok(mut stream) => ask(&mut stream).await,
            Err(error) => Err(error),
        };
        assert_eq!(answer.is_ok(), without, "{answer:?}");
        // One of somebody else is refused always.
        let stranger = Papers::new("stranger");
        let theirs = Papers { authority: stranger.authority, folder: papers.folder.clone() };
        assert!(theirs.dial(address, "one.test", true, &[]).await.is_err());
    }
}

#[tokio::test]
async fn plain_callers_are_sent_to_https() {
    let papers = Papers::new("only");
    let (settings, address) = papers.https("");
    let config = format!(
        "https_only = true\n{settings}\n[upstream.app]\ntargets = [\"{{url}}\"]\n\
         [route.app]\nmatch = \"/*\"\nto = \"app\"\n\
         [route.open]\nmatch = \"/open\"\nto = \"app\"\nhttps_only = false\n"
    );
    let world = world_with(&config, echo).await;
    let port = address.port();
    let mut client = Client::connect(world.gateway.listen).await.unwrap();
    let answer = client.exchange(b"GET /a?b=c HTTP/1.1\r\nHost: one.test:1\r\n\r\n").await;
    assert_eq!(answer.status, Some(308));
    assert_eq!(answer.field("location"), Some(&*format!("https://one.test:{port}/a?b=c")));
    let open = client.exchange(b"GET /open HTTP/1.1\r\nHost: one.test\r\n\r\n").await;
    assert_eq!(open.status, Some(200));
    let mut stream = papers.dial(address, "one.test", false, &[]).await.unwrap();
    assert!(ask(&mut stream).await.unwrap().starts_with("HTTP/1.1 200 "));
    // Nobody knows where to send one that names no host.
    let mut old = Client::connect(world.gateway.listen).await.unwrap();
    assert_eq!(old.exchange(b"GET / HTTP/1.0\r\n\r\n").await.status, Some(400));
}

async fn told_by_a_proxy(world: &World, header: &[u8]) -> Option<u16> {
    let mut client = Client::connect(world.gateway.listen).await.expect("the test can go on");
    let request = [header, b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"].concat();
    client.exchange(&request).await.status
}

#[tokio::test]
async fn a_trusted_proxy_says_who_calls() {
    let config = "trusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = true\n";
    let seen = Seen::default();
    let kept = seen.clone();
    let world = world_with(config, move |stream| answer_each(stream, OK, kept.clone())).await;
    let line = b"PROXY TCP4 192.0.2.7 127.0.0.1 40000 80\r\n";
    assert_eq!(told_by_a_proxy(&world, line).await, Some(200));
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    binary.extend([192, 0, 2, 8, 127, 0, 0, 1, 0x9c, 0x40, 0, 80]);
    assert_eq!(told_by_a_proxy(&world, &binary).await, Some(200));
    // Who is trusted to say it must say it.
    assert_eq!(told_by_a_proxy(&world, b"").await, None);
    let records = world.gateway.records_soon(2).await;
    let clients: Vec<&str> = records.iter().filter_map(|it| it["client"].as_str()).collect();
    assert_eq!(clients, ["192.0.2.7", "192.0.2.8"], "{records:?}");
    assert!(seen.all()[0].contains("x-forwarded-for: 192.0.2.7\r\n"), "{:?}", seen.all());
}

#[tokio::test]
async fn nobody_else_may_say_who_calls() {
    let config = "trusted_proxies = [\"192.0.2.1\"]\nproxy_protocol = true\n";
    let world = world_with(config, echo).await;
    let line = b"PROXY TCP4 192.0.2.7 127.0.0.1 40000 80\r\n";
    assert_eq!(told_by_a_proxy(&world, line).await, Some(400));
    assert_eq!(told_by_a_proxy(&world, b"").await, Some(200));
    let records = world.gateway.records_soon(2).await;
    assert!(records.iter().all(|it| it["client"] == "127.0.0.1"), "{records:?}");
}

#[tokio::test]
async fn a_target_is_told_who_calls_before_anything_else() {
    let config = "[upstream.app]\ntargets = [\"{url}\"]\nproxy_protocol = true\n\
                  [route.app]\nmatch = \"/*\"\nto = \"app\"\n";
    let world = world_with(config, |mut stream: TcpStream| async move {
        let mut header = [0; 28];
        stream.read_exact(&mut header).await?;
        assert!(
            header.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01"),
            "{header:?}"
        );
        while stage::read_request(&mut stream).await?.is_some() {
            stream.write_all(OK.as_bytes()).await?;
        }
        Ok(())
    })
    .await;
    let mut client = Client::connect(world.gateway.listen).await.unwrap();
    for _ in 0..3 {
        let answer = client.exchange(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        assert_eq!(answer.status, Some(200), "{}", answer.text());
    }
}
