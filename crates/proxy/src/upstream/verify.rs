//! Judges an upstream's certificate, and keeps what it said when it does not pass.
//!
//! Around webpki's verifier, because that one answers `CaUsedAsEndEntity` for the commonest private
//! certificate (a self-signed one) whatever the real trouble is.

use exchange::{Certificate, CertificateFault};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate, X509Version};

/// The verifier of one upstream's settings.
#[derive(Debug)]
pub(crate) struct Verifier {
    webpki: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates of `tls.ca`: a leaf among them is trusted as it stands.
    listed: HashSet<Vec<u8>>,
    verify: bool,
    provider: Arc<CryptoProvider>,
}

/// A refused certificate, carried through rustls as its error.
#[derive(Debug)]
pub(crate) struct Presented(pub(crate) Certificate);

impl fmt::Display for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate of {} refused", self.0.subject)
    }
}

impl std::error::Error for Presented {}

impl Verifier {
    pub(crate) fn new(
        roots: RootCertStore,
        listed: &[CertificateDer<'static>],
        verify: bool,
        provider: Arc<CryptoProvider>,
    ) -> Verifier {
        // Without any root nothing passes but what is listed.
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .ok();
        let listed = listed.iter().map(|it| it.to_vec()).collect();
        Verifier { webpki, listed, verify, provider }
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), CertificateFault> {
        let answer = self
            .webpki
            .as_ref()
            .map(|it| it.verify_server_cert(leaf, chain, name, &[], now))
            .unwrap_or(Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)));
        let error = match answer {
            Ok(_) => return Ok(()),
            Err(Error::InvalidCertificate(error)) => error,
            Err(_) => return Err(CertificateFault::Invalid),
        };
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Err(CertificateFault::Expired)
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Err(CertificateFault::NotYetValid)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Err(wrong_name(leaf, name))
            }
            CertificateError::UnknownIssuer | CertificateError::Other(_) => {
                self.without_issuer(leaf, chain, name, now)
            }
            _ => Err(CertificateFault::Invalid),
        }
    }

    /// webpki found no way to a root: the leaf may be trusted by itself, else say what is missing.
    fn without_issuer(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), CertificateFault> {
        let Ok((_, parsed)) = X509Certificate::from_der(leaf) else {
            return Err(CertificateFault::Invalid);
        };
        if !self.listed.contains(leaf.as_ref()) {
            return Err(missing(&parsed, chain));
        }
        let now = now.as_secs() as i64;
        let named = webpki::EndEntityCert::try_from(leaf)
            .is_ok_and(|it| it.verify_is_valid_for_subject_name(name).is_ok());
        match () {
            () if parsed.validity().not_after.timestamp() < now => Err(CertificateFault::Expired),
            () if now < parsed.validity().not_before.timestamp() => {
                Err(CertificateFault::NotYetValid)
            }
            () if !named => Err(wrong_name(leaf, name)),
            () => Ok(()),
        }
    }
}

fn missing(leaf: &X509Certificate<'_>, chain: &[CertificateDer<'_>]) -> CertificateFault {
    if leaf.subject() == leaf.issuer() {
        return CertificateFault::SelfSigned;
    }
    // Authorities of the public web say where their own certificate is to be had. A leaf that
    // says so and comes alone has lost its companion; a private one has not.
    let says_where = leaf
        .extensions()
        .iter()
        .any(|it| matches!(it.parsed_extension(), ParsedExtension::AuthorityInfoAccess(_)));
    match chain.is_empty() && says_where {
        true => CertificateFault::IncompleteChain,
        false => CertificateFault::UnknownIssuer,
    }
}

fn wrong_name(leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> CertificateFault {
    let addresses = X509Certificate::from_der(leaf).is_ok_and(|(_, it)| {
        let names = it.subject_alternative_name().ok().flatten();
        names.is_some_and(|it| {
            it.value.general_names.iter().any(|it| matches!(it, GeneralName::IPAddress(_)))
        })
    });
    match name {
        ServerName::IpAddress(_) if !addresses => CertificateFault::AddressWithoutSan,
        _ => CertificateFault::WrongName,
    }
}

/// The facts of a certificate, for people.
fn described(
    fault: CertificateFault,
    leaf: &CertificateDer<'_>,
    chain: usize,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Certificate {
    let mut told = Certificate {
        fault,
        subject: String::new(),
        issuer: String::new(),
        names: Vec::new(),
        not_before: 0,
        not_after: 0,
        now: now.as_secs() as i64,
        chain: chain + 1,
        asked: name.to_str().into_owned(),
    };
    if let Ok((_, parsed)) = X509Certificate::from_der(leaf) {
        told.subject = parsed.subject().to_string();
        told.issuer = parsed.issuer().to_string();
        told.not_before = parsed.validity().not_before.timestamp();
        told.not_after = parsed.validity().not_after.timestamp();
        told.names = names(&parsed);
    }
    told
}

/// At most twenty: some certificates have hundreds.
fn names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    let told = names.value.general_names.iter().filter_map(|it| match it {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(four) => Some(std::net::Ipv4Addr::from(four).to_string()),
            Err(_) => {
                <[u8; 16]>::try_from(*bytes).ok().map(|it| std::net::Ipv6Addr::from(it).to_string())
            }
        },
        _ => None,
    });
    told.take(20).collect()
}

/// Whether others may be trusted for its sake. Roots are not asked that by webpki: a server's own
/// certificate among them could vouch for every name.
pub(crate) fn may_issue(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    match parsed.basic_constraints() {
        Ok(Some(constraints)) => constraints.value.ca,
        // Before version 3 there was no way to say so.
        Ok(None) => parsed.version() != X509Version::V3 && parsed.subject() == parsed.issuer(),
        Err(_) => false,
    }
}

/// When a certificate ends, seconds since 1970.
pub(crate) fn not_after(leaf: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.verify {
            return Ok(ServerCertVerified::assertion());
        }
        match self.judge(leaf, chain, name, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(fault) => {
                let told = described(fault, leaf, chain.len(), name, now);
                let other = OtherError(Arc::new(Presented(told)));
                Err(Error::InvalidCertificate(CertificateError::Other(other)))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    #[track_caller]
    fn check(is_ca: IsCa, expected: bool) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).expect("a name");
        params.is_ca = is_ca;
        let certificate = params.self_signed(&key).expect("a certificate");
        assert_eq!(may_issue(certificate.der()), expected);
    }

    #[test]
    fn only_authorities_may_issue() {
        check(IsCa::Ca(BasicConstraints::Unconstrained), true);
        check(IsCa::ExplicitNoCa, false);
        check(IsCa::NoCa, false);
        assert!(!may_issue(&CertificateDer::from(vec![0x30, 0])));
    }
}
