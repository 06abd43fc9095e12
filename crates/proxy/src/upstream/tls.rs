//! TLS to an upstream: its settings made once, the handshake, and what went wrong in it.

use super::tap::Tap;
use super::verify::{Presented, Verifier, may_issue, not_after};
use crate::StartError;
use config::{Protocol, Target, Upstream};
use exchange::{Attempt, TlsFacts, TlsFault};
use rustls::client::{ClientConfig, ResolvesClientCert};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ProtocolVersion, RootCertStore, SignatureScheme};
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is offered to a target by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Http1,
    Http2,
    Both,
}

impl Offer {
    /// To this target; an upgrade leaves HTTP/1.1, so it is asked for where both would do.
    pub(crate) fn to(target: &Target, upgrade: bool) -> Offer {
        match target.protocol {
            Protocol::Http1 => Offer::Http1,
            Protocol::Http2 => Offer::Http2,
            Protocol::Auto if upgrade => Offer::Http1,
            Protocol::Auto => Offer::Both,
        }
    }

    fn names(self) -> Vec<Vec<u8>> {
        let (http1, http2) = (b"http/1.1".to_vec(), b"h2".to_vec());
        match self {
            Offer::Http1 => vec![http1],
            Offer::Http2 => vec![http2],
            Offer::Both => vec![http2, http1],
        }
    }
}

/// The settings of one upstream, ready to shake hands with.
pub(crate) struct TlsSettings {
    /// By what is offered.
    connectors: [TlsConnector; 3],
    server_name: Option<Arc<str>>,
    sends_certificate: bool,
}

thread_local! {
    /// Whether the handshake that is being polled on this core was asked for our certificate: the
    /// settings are shared by all handshakes of an upstream, the question belongs to one.
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Presents our certificate where there is one, and notes that it was asked for.
#[derive(Debug)]
struct OurCertificate(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for OurCertificate {
    fn resolve(&self, _hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        ASKED.set(true);
        self.0.clone()
    }

    /// True even without one: else the question would not be put to us.
    fn has_certs(&self) -> bool {
        true
    }
}

/// `roots` are those of the system.
pub(crate) fn settings(
    upstream: &Upstream,
    roots: &RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<TlsSettings, StartError> {
    let tls = &upstream.tls;
    let listed = match &tls.ca {
        Some(path) => certificates(path)?,
        None => Vec::new(),
    };
    let mut trusted = match tls.ca {
        Some(_) => RootCertStore::empty(),
        None => roots.clone(),
    };
    trusted.add_parsable_certificates(listed.iter().filter(|it| may_issue(it)).cloned());
    let verifier = Verifier::new(trusted, &listed, tls.verify, provider.clone());
    let ours = match &tls.client {
        Some((cert, key)) => Some(Arc::new(certified(cert, key, provider)?)),
        None => None,
    };
    let sends_certificate = ours.is_some();
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(OurCertificate(ours)));
    let connectors = [Offer::Http1, Offer::Http2, Offer::Both].map(|offer| {
        config.alpn_protocols = offer.names();
        TlsConnector::from(Arc::new(config.clone()))
    });
    Ok(TlsSettings { connectors, server_name: tls.server_name.clone(), sends_certificate })
}

/// All certificates of a PEM file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let error = |why: String| StartError::File { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|it| error(it.to_string()))?;
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match list {
        Ok(list) if list.is_empty() => Err(error("it holds no certificate in PEM".to_owned())),
        Ok(list) => Ok(list),
        Err(it) => Err(error(it.to_string())),
    }
}

/// A certificate chain with its key, from PEM files that must match.
pub(crate) fn certified(
    cert: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, StartError> {
    let chain = certificates(cert)?;
    let error = |why: String| StartError::File { path: key.to_owned(), why };
    let pem = std::fs::read(key).map_err(|it| error(it.to_string()))?;
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| error("it holds no private key in PEM".to_owned()))?;
    CertifiedKey::from_der(chain, private, provider)
        .map_err(|it| error(format!("it does not fit {}: {it}", cert.display())))
}

/// The handshake of one connection. On a fault the first bytes that came and the error number are
/// in the attempt.
pub(crate) async fn shake_hands(
    tap: Tap,
    target: &Target,
    settings: &TlsSettings,
    offer: Offer,
    attempt: &mut Attempt,
) -> Result<(TlsStream<Tap>, TlsFacts), TlsFault> {
    let host = host_of(&target.authority);
    let name = settings.server_name.as_deref().unwrap_or(host);
    let Ok(name) = ServerName::try_from(name.to_owned()) else {
        return Err(TlsFault::Protocol);
    };
    let sent_name = matches!(name, ServerName::DnsName(_)).then(|| Arc::from(&*name.to_str()));
    let mut handshake = settings.connectors[offer as usize].connect(name, tap).into_fallible();
    let mut asked = false;
    let shaken = poll_fn(|cx| {
        ASKED.set(false);
        let polled = Pin::new(&mut handshake).poll(cx);
        asked |= ASKED.get();
        polled
    })
    .await;
    match shaken {
        Ok(stream) if offer == Offer::Http2 && !chose_http2(&stream) => Err(TlsFault::NoHttp2),
        Ok(mut stream) => {
            stream.get_mut().0.rest();
            let facts = facts(&stream, sent_name, asked, settings.sends_certificate);
            Ok((stream, facts))
        }
        Err((error, tap)) => {
            attempt.errno = tap.errno;
            let fault = fault(&error, &tap);
            if matches!(fault, TlsFault::PlainHttp | TlsFault::NotTls) {
                attempt.first_bytes = tap.first_bytes().to_vec();
            }
            Err(fault)
        }
    }
}

/// What the target chose of what was offered.
pub(crate) fn chose_http2(stream: &TlsStream<Tap>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

/// The host of an authority, without brackets and port.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

fn facts(
    stream: &TlsStream<Tap>,
    server_name: Option<Arc<str>>,
    asked: bool,
    has_certificate: bool,
) -> TlsFacts {
    let session = stream.get_ref().1;
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    TlsFacts {
        version: match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        },
        server_name,
        client_certificate_asked: asked,
        client_certificate_sent: asked && has_certificate,
        not_after: leaf.and_then(not_after),
    }
}

fn fault(error: &io::Error, tap: &Tap) -> TlsFault {
    let first = tap.first_bytes();
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
            match other.0.downcast_ref::<Presented>() {
                Some(presented) => TlsFault::Certificate(Box::new(presented.0.clone())),
                None => TlsFault::Protocol,
            }
        }
        Some(rustls::Error::AlertReceived(alert)) => TlsFault::Alert(u8::from(*alert)),
        Some(rustls::Error::PeerIncompatible(_)) => TlsFault::Incompatible,
        Some(_) if first.starts_with(b"HTTP/") => TlsFault::PlainHttp,
        // 20 to 23 are the record types of TLS (RFC 8446 5.1), 3 its major version.
        Some(_) if !matches!(first, [20..=23, 3, ..] | [20..=23] | []) => TlsFault::NotTls,
        Some(_) => TlsFault::Protocol,
        None if first.starts_with(b"HTTP/") => TlsFault::PlainHttp,
        None if tap.ended => TlsFault::Closed,
        None => TlsFault::Reset,
    }
}

/// The TLS error inside an I/O error.
pub(crate) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
