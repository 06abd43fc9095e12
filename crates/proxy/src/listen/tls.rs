//! TLS of callers: which certificate answers which name, who must show one, and what is spoken.

use crate::StartError;
use crate::upstream::tls::{certificates, certified};
use config::{CertificateFiles, Cipher, ClientCa, Https, TlsVersion};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, SupportedProtocolVersion, version};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The protocols that are offered by ALPN (RFC 7301).
const HTTP3: &[u8] = b"h3";
pub(crate) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

pub(crate) fn acceptor(
    https: &Https,
    http2: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<TlsAcceptor, StartError> {
    let offered = if http2 { &[HTTP2, HTTP1][..] } else { &[HTTP1] };
    let config = settings(https, versions(https.min_version), offered, provider)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The same callers and certificates for QUIC, which speaks TLS 1.3 alone (RFC 9001 4.2).
pub(crate) fn quic(
    https: &Https,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerConfig, StartError> {
    let mut config = settings(https, &FROM_13, &[HTTP3], provider)?;
    // What comes before the handshake is over may come twice (RFC 9001 9.2).
    config.max_early_data_size = 0;
    Ok(config)
}

fn settings(
    https: &Https,
    versions: &[&'static SupportedProtocolVersion],
    offered: &[&[u8]],
    provider: &Arc<CryptoProvider>,
) -> Result<ServerConfig, StartError> {
    let provider = chosen(provider, &https.ciphers);
    let certificates = Certificates::read(&https.certificates, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|it| StartError::Tls(it.to_string()))?;
    let builder = match &https.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => builder.with_client_cert_verifier(callers(ca, &provider)?),
    };
    let mut config = builder.with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = offered.iter().map(|it| it.to_vec()).collect();
    // Who names suites names the best one first; who does not leaves it to the caller.
    config.ignore_client_order = !https.ciphers.is_empty();
    if https.tickets {
        // By what no store of ours must remember (RFC 8446 2.2, RFC 5077).
        config.ticketer = Ticketer::new().map_err(|it| StartError::Tls(it.to_string()))?;
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

/// The provider, with the suites that were asked for and in that order.
fn chosen(provider: &Arc<CryptoProvider>, ciphers: &[Cipher]) -> Arc<CryptoProvider> {
    if ciphers.is_empty() {
        return provider.clone();
    }
    let all = &provider.cipher_suites;
    let named = |it: &Cipher| all.iter().find(|suite| u16::from(suite.suite()) == it.number());
    let suites = ciphers.iter().filter_map(named).copied().collect();
    Arc::new(CryptoProvider { cipher_suites: suites, ..CryptoProvider::clone(provider) })
}

static FROM_12: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
static FROM_13: [&SupportedProtocolVersion; 1] = [&version::TLS13];

fn versions(lowest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match lowest {
        TlsVersion::V12 => &FROM_12,
        TlsVersion::V13 => &FROM_13,
    }
}

fn callers(
    ca: &ClientCa,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, StartError> {
    let mut roots = RootCertStore::empty();
    let error = |why: String| StartError::File { path: ca.file.clone(), why };
    let (added, ignored) = roots.add_parsable_certificates(certificates(&ca.file)?);
    if added == 0 || 0 < ignored {
        return Err(error("it holds a certificate that cannot be an authority".to_owned()));
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = if ca.optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|it| error(it.to_string()))
}

/// The certificates by the names that they are for.
#[derive(Debug)]
struct Certificates {
    /// Lower-case names, and suffixes such as `.example.com` for `*.example.com`.
    by_name: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    fn read(
        files: &[CertificateFiles],
        provider: &CryptoProvider,
    ) -> Result<Certificates, StartError> {
        let mut all = Certificates { by_name: HashMap::new(), first: None };
        for CertificateFiles { cert, key, ocsp } in files {
            let mut certified = certified(cert, key, provider)?;
            if let Some(ocsp) = ocsp {
                certified.ocsp = Some(ocsp_answer(ocsp)?);
            }
            let names = certified.cert.first().map(|it| names(it)).unwrap_or_default();
            let certified = Arc::new(certified);
            for name in names {
                // What stands first in the file answers.
                all.by_name.entry(name).or_insert_with(|| certified.clone());
            }
            all.first.get_or_insert(certified);
        }
        Ok(all)
    }

    /// The exact name, else a wildcard for its first label, else the first of all.
    fn of(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let wildcard = name.find('.').and_then(|at| self.by_name.get(&name[at..]));
        self.by_name.get(&name).or(wildcard).or(self.first.as_ref())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match hello.server_name() {
            Some(name) => self.of(name).cloned(),
            None => self.first.clone(),
        }
    }
}

/// The DNS names of a certificate's subject alternative name (RFC 6125 6.4).
fn names(certificate: &[u8]) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let Ok(Some(alternatives)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    let dns = alternatives.value.general_names.iter().filter_map(|it| match it {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    dns.map(|it| it.strip_prefix('*').map_or(it.clone(), str::to_owned)).collect()
}

fn ocsp_answer(path: &Path) -> Result<Vec<u8>, StartError> {
    let error = |why: String| StartError::File { path: path.to_owned(), why };
    let answer = std::fs::read(path).map_err(|it| error(it.to_string()))?;
    // An OCSPResponse is a sequence (RFC 6960 4.2.1); PEM or text is a file taken for another.
    match answer.first() {
        Some(0x30) => Ok(answer),
        _ => Err(error("it is no OCSP answer in DER".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn certified(names: &[&str]) -> Arc<CertifiedKey> {
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain = vec![certificate.der().clone()];
        Arc::new(CertifiedKey::from_der(chain, private, &provider).unwrap())
    }

    #[test]
    fn callers_get_the_certificate_of_the_name_that_they_ask_for() {
        let all = [&["a.example", "*.a.example"][..], &["B.example", "x.a.example"]];
        let all = all.map(certified);
        let mut certificates =
            Certificates { by_name: HashMap::new(), first: Some(all[0].clone()) };
        for one in &all {
            for name in names(&one.cert[0]) {
                certificates.by_name.entry(name).or_insert_with(|| one.clone());
            }
        }
        for (name, which) in [
            ("a.example", 0),
            ("b.example", 1),
            ("B.EXAMPLE.", 1),
            ("y.a.example", 0),
            ("x.a.example", 1),
            ("z.y.a.example", 0),
            ("unknown.example", 0),
            ("", 0),
        ] {
            let found = certificates.of(name).unwrap();
            assert!(Arc::ptr_eq(found, &all[which]), "{name}");
        }
    }
}
