//! TLS to the upstream: certificates, and what OpenSSL says.
//!
//! Three brackets look alike: `(111: text)` is the system's error, `(10:text)` a verification code
//! of X.509, `(SSL: error:…)` OpenSSL's own words, whose numbers differ from release to release.

use super::digits;
use super::message::{Doing, Said, doing};
use crate::address;
use crate::reader::number;
use crate::sign::Sign;

/// `upstream SSL certificate verify error: (10:certificate has expired)`, `upstream SSL certificate
/// does not match "x"` (ngx_http_upstream.c).
pub(super) fn certificate(own: &str) -> Option<Said<'_>> {
    const VERIFY: &str = "upstream SSL certificate verify error: (";
    const MATCH: &str = "upstream SSL certificate does not match \"";
    if let Some(rest) = own.strip_prefix(VERIFY) {
        let code = number(rest);
        let end = rest.find(')').map_or(own.len(), |at| VERIFY.len() + at + 1);
        return Some(Said::new(verify_sign(code), 0..end).number(code));
    }
    let rest = own.strip_prefix(MATCH)?;
    let name = rest.split('"').next().unwrap_or(rest);
    let sign = if address::is_ip(name) { Sign::CertNoIpSan } else { Sign::CertWrongName };
    let end = (MATCH.len() + name.len() + 1).min(own.len());
    Some(Said::new(sign, 0..end).detail(Some(name)))
}

/// X509_V_ERR_* of openssl/x509_vfy.h.
pub(in crate::readers) fn verify_sign(code: Option<i64>) -> Sign {
    match code {
        Some(9 | 10) => Sign::CertExpired,
        Some(18) => Sign::CertSelfSigned,
        Some(19 | 2 | 20 | 27) => Sign::CertUntrusted,
        Some(21) => Sign::CertIncomplete,
        Some(62) => Sign::CertWrongName,
        Some(64) => Sign::CertNoIpSan,
        _ => Sign::CertRefused,
    }
}

pub(super) fn read(own: &str, piece: bool) -> Option<Said<'_>> {
    const CALLS: [&str; 5] = [
        "SSL_do_handshake() failed",
        "SSL_read() failed",
        "SSL_write() failed",
        "SSL_connect() failed",
        "peer closed connection in SSL handshake",
    ];
    let call = CALLS.iter().find(|it| own.starts_with(**it))?;
    let (doing, end) = doing(own);
    let handshake = !own.starts_with("SSL_read") && !own.starts_with("SSL_write");
    match doing {
        Doing::Serving if handshake => return Some(Said::new(Sign::ClientTls, 0..call.len())),
        Doing::Connecting
        | Doing::Handshaking
        | Doing::Sending
        | Doing::ReadingHead
        | Doing::ReadingBody => {}
        Doing::Unsaid if piece => {}
        _ => return None,
    }
    if own.starts_with("peer closed") {
        return Some(Said::new(Sign::TlsClosed, 0..end));
    }
    let rest = &own[call.len()..];
    let Some(words) = rest.find("SSL: ").map(|at| &rest[at + 5..]) else {
        return Some(Said::new(system(rest, doing)?, 0..end));
    };
    let words = &words[..words.find(") while ").unwrap_or(words.len())];
    let words = words.trim_end_matches(')');
    let (sign, alert) = (reason_sign(words)?, alert(words));
    let reason = words.split(":SSL alert number").next().unwrap_or(words);
    let reason = reason.rsplit(':').next().map(str::trim).filter(|it| !it.is_empty());
    Some(Said::new(sign, 0..end).detail(reason).number(alert))
}

/// `(104: Connection reset by peer)`.
fn system(rest: &str, doing: Doing) -> Option<Sign> {
    let code = number(rest.strip_prefix(" (")?)?;
    Some(match (doing, code) {
        (Doing::Handshaking, 104 | 32 | 54 | 10054) => Sign::TlsClosed,
        (Doing::Handshaking, 110 | 60) => Sign::TlsTimedOut,
        (Doing::Handshaking, _) => Sign::TlsFailed,
        (Doing::ReadingBody, 104 | 54 | 10054) => Sign::BodyReset,
        (_, 104 | 54 | 10054) => Sign::Reset,
        (_, 32) => Sign::SendBroken,
        _ => Sign::Disconnected,
    })
}

/// `SSL alert number 112` (RFC 8446, section 6).
pub(in crate::readers) fn alert(words: &str) -> Option<i64> {
    let at = words.rfind("SSL alert number ")? + "SSL alert number ".len();
    (digits(&words[at..]) > 0).then(|| number(&words[at..])).flatten()
}

/// What OpenSSL's reason means for the connection. An alert is what the upstream said; the rest is
/// what our side found.
pub(in crate::readers) fn reason_sign(words: &str) -> Option<Sign> {
    // The texts of 0.9.8 to 3.x, LibreSSL and BoringSSL; letters are compared without their case.
    const REASONS: [(&str, Sign); 54] = [
        ("certificate verify failed (self", Sign::CertSelfSigned),
        ("unable to get local issuer", Sign::CertUntrusted),
        ("certificate has expired", Sign::CertExpired),
        ("hostname mismatch", Sign::CertWrongName),
        ("ip address mismatch", Sign::CertNoIpSan),
        ("certificate verify failed", Sign::CertRefused),
        ("certificate_verify_failed", Sign::CertRefused),
        ("wrong_version_number", Sign::TlsToPlain),
        ("http_request", Sign::TlsToPlain),
        ("https proxy request", Sign::TlsToPlain),
        ("record too large", Sign::TlsToPlain),
        ("encrypted length too long", Sign::TlsToPlain),
        ("data length too long", Sign::TlsToPlain),
        ("unsupported_protocol", Sign::TlsVersion),
        ("unknown ssl version", Sign::TlsVersion),
        ("wrong ssl version", Sign::TlsVersion),
        ("unsupported ssl version", Sign::TlsVersion),
        ("inappropriate fallback", Sign::TlsVersion),
        ("bad protocol version number", Sign::TlsVersion),
        ("unrecognized_name", Sign::TlsNameRejected),
        ("handshake_failure", Sign::TlsCipher),
        ("no ciphers available", Sign::TlsCipher),
        ("no suitable signature algorithm", Sign::TlsCipher),
        ("wrong signature type", Sign::TlsCipher),
        ("ca md too weak", Sign::CertRefused),
        ("ca key too small", Sign::CertRefused),
        ("shutdown while in init", Sign::TlsClosed),
        ("certificate required", Sign::TlsClientCertRequired),
        ("alert certificate", Sign::TlsClientCertRejected),
        ("alert unsupported certificate", Sign::TlsClientCertRejected),
        ("alert access denied", Sign::TlsClientCertRejected),
        ("alert no certificate", Sign::TlsClientCertRejected),
        ("wrong version number", Sign::TlsToPlain),
        ("unknown protocol", Sign::TlsToPlain),
        ("http request", Sign::TlsToPlain),
        ("packet length too long", Sign::TlsToPlain),
        ("unsupported protocol", Sign::TlsVersion),
        ("no protocols available", Sign::TlsVersion),
        ("protocol version", Sign::TlsVersion),
        ("version too low", Sign::TlsVersion),
        ("unrecognized name", Sign::TlsNameRejected),
        ("no application protocol", Sign::AlpnMismatch),
        ("handshake failure", Sign::TlsCipher),
        ("no cipher", Sign::TlsCipher),
        ("no shared cipher", Sign::TlsCipher),
        ("insufficient security", Sign::TlsCipher),
        ("dh key too small", Sign::TlsCipher),
        ("ee key too small", Sign::TlsCipher),
        ("legacy renegotiation disabled", Sign::TlsCipher),
        ("legacy sigalg disallowed", Sign::TlsCipher),
        ("wrong cipher returned", Sign::TlsCipher),
        ("unexpected eof while reading", Sign::TlsClosed),
        ("alert bad certificate", Sign::TlsClientCertRejected),
        ("alert unknown ca", Sign::TlsClientCertRejected),
    ];
    if let Some(code) = alert(words) {
        return Some(alert_sign(code));
    }
    let words = words.to_ascii_lowercase();
    let found = REASONS.iter().find(|(text, _)| words.contains(text)).map(|(_, sign)| *sign);
    Some(found.unwrap_or(Sign::TlsFailed))
}

fn alert_sign(code: i64) -> Sign {
    match code {
        40 | 71 => Sign::TlsCipher,
        42..=46 | 48 | 49 => Sign::TlsClientCertRejected,
        70 | 86 => Sign::TlsVersion,
        112 => Sign::TlsNameRejected,
        116 => Sign::TlsClientCertRequired,
        120 => Sign::AlpnMismatch,
        _ => Sign::TlsFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::{Sign, reason_sign};

    #[test]
    fn every_release_of_openssl_says_it_in_its_own_letters() {
        for (words, sign) in [
            ("error:1408F10B:SSL routines:SSL3_GET_RECORD:wrong version number", Sign::TlsToPlain),
            ("error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER", Sign::TlsToPlain),
            ("error:0A00018E:SSL routines::ca md too weak", Sign::CertRefused),
            (
                "error:14077410:SSL routines:SSL23_GET_SERVER_HELLO:sslv3 alert handshake failure",
                Sign::TlsCipher,
            ),
            ("error:0A0000BF:SSL routines::no protocols available", Sign::TlsVersion),
            (
                "error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED",
                Sign::CertRefused,
            ),
            (
                "error:0A000086:SSL routines::certificate verify failed (self-signed certificate)",
                Sign::CertSelfSigned,
            ),
            (
                "error:1409445C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required",
                Sign::TlsClientCertRequired,
            ),
            (
                "error:14094415:SSL routines:ssl3_read_bytes:sslv3 alert certificate expired",
                Sign::TlsClientCertRejected,
            ),
            ("error:0A000999:SSL routines::some new reason", Sign::TlsFailed),
        ] {
            assert_eq!(reason_sign(words), Some(sign), "{words}");
        }
    }
}
