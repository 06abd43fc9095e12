//! Certificates made as a scene starts, good and bad.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::io;
use std::sync::Arc;

/// Every scene asks for this name unless it is about addresses.
pub(crate) const NAME: &str = "orders.internal";

const FAR: &str = "the parameters of the lab's certificates are valid";

/// What a TLS server presents, and what its caller is told to trust.
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// PEM of what the caller trusts.
    pub(crate) trusted: String,
    /// The name that the caller asks for; `None` is the address in the URL.
    pub(crate) server_name: Option<&'static str>,
    /// The certificate and key that the caller presents, in PEM.
    pub(crate) client: Option<(String, String)>,
    /// The server wants a client certificate from this authority.
    wants: Option<CertificateDer<'static>>,
}

impl Identity {
    /// Signed by `authority`, which the caller trusts.
    pub(crate) fn signed(authority: &Authority, leaf: Leaf) -> Identity {
        let key = new_key();
        let certificate = leaf.params().signed_by(&key, &authority.0).expect(FAR);
        Identity {
            chain: vec![certificate.into()],
            key: private(&key),
            trusted: authority.0.pem(),
            server_name: Some(NAME),
            client: None,
            wants: None,
        }
    }

    /// Signed by itself; the caller trusts an authority that has nothing to do with it.
    pub(crate) fn self_signed(leaf: Leaf) -> Identity {
        let key = new_key();
        let certificate = leaf.params().self_signed(&key).expect(FAR);
        Identity {
            chain: vec![certificate.into()],
            key: private(&key),
            trusted: Authority::new("Unrelated Root").0.pem(),
            server_name: Some(NAME),
            client: None,
            wants: None,
        }
    }

    /// The caller trusts only this authority.
    pub(crate) fn trusting(self, authority: &Authority) -> Identity {
        Identity { trusted: authority.0.pem(), ..self }
    }

    /// The caller asks for the address in the URL.
    pub(crate) fn by_address(self) -> Identity {
        Identity { server_name: None, ..self }
    }

    /// The server refuses callers without a certificate from `authority`.
    pub(crate) fn wanting(self, authority: &Authority) -> Identity {
        Identity { wants: Some(authority.0.der().clone()), ..self }
    }

    /// The caller presents a certificate from `authority`.
    pub(crate) fn asked_by(self, authority: &Authority) -> Identity {
        let key = new_key();
        let leaf = Leaf { usage: ExtendedKeyUsagePurpose::ClientAuth, ..Leaf::named("gateway") };
        let certificate = leaf.params().signed_by(&key, &authority.0).expect(FAR);
        Identity { client: Some((certificate.pem(), key.serialize_pem())), ..self }
    }

    pub(crate) fn server(&self) -> io::Result<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let config = match &self.wants {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.clone()).map_err(io::Error::other)?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(io::Error::other)?;
                config.with_client_cert_verifier(verifier)
            }
        };
        config.with_single_cert(self.chain.clone(), self.key.clone_key()).map_err(io::Error::other)
    }
}

/// Who signs.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let issuer = CertifiedIssuer::self_signed(authority_params(name), new_key());
        Authority(issuer.expect(FAR))
    }

    /// An authority between this one and the certificates.
    pub(crate) fn intermediate(&self, name: &str) -> Authority {
        let issuer = CertifiedIssuer::signed_by(authority_params(name), new_key(), &self.0);
        Authority(issuer.expect(FAR))
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

/// A server's certificate, before it is signed.
pub(crate) struct Leaf {
    name: &'static str,
    /// First and last year.
    valid: (i32, i32),
    usage: ExtendedKeyUsagePurpose,
    /// It says where its authority's own certificate is to be had.
    says_where: bool,
}

impl Leaf {
    pub(crate) fn named(name: &'static str) -> Leaf {
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        Leaf { name, valid: (2020, 2100), usage, says_where: false }
    }

    /// As all authorities of the public web do.
    pub(crate) fn public(self) -> Leaf {
        Leaf { says_where: true, ..self }
    }

    /// Valid from the first of January of one year to that of another.
    pub(crate) fn valid(self, from: i32, to: i32) -> Leaf {
        Leaf { valid: (from, to), ..self }
    }

    fn params(self) -> CertificateParams {
        let mut params = CertificateParams::new([self.name.to_owned()]).expect(FAR);
        params.distinguished_name.push(DnType::CommonName, self.name);
        params.not_before = date_time_ymd(self.valid.0, 1, 1);
        params.not_after = date_time_ymd(self.valid.1, 1, 1);
        params.extended_key_usages = vec![self.usage];
        if self.says_where {
            params.custom_extensions.push(authority_access(b"http://authority.test/issuer.der"));
        }
        params
    }
}

/// Authority Information Access (RFC 5280 4.2.2.1): a list of one entry, "issuers at this URL".
fn authority_access(url: &[u8]) -> CustomExtension {
    const ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
    const ISSUERS: &[u8] = &[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
    const URL: u8 = 0x86;
    let place = der(URL, url);
    let entry = der(0x30, &[ISSUERS, &place].concat());
    CustomExtension::from_oid_content(ACCESS, der(0x30, &entry))
}

/// One value in DER, short enough for a length of one byte.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).ok().filter(|it| *it < 0x80);
    let length = length.expect("what the lab writes is short");
    [&[tag, length], content].concat()
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the system has random numbers")
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}
