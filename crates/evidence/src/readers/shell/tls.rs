//! `openssl s_client` and `openssl x509`.

use crate::clock::Stamp;
use crate::event::Event;
use crate::product::Product;
use crate::reader::{Reader, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const TLS: Reader = Reader {
    name: "openssl s_client",
    product: Product::Shell,
    hooks: &[
        "erify return code: ",
        "verify error:num=",
        "notAfter=",
        "NotAfter: ",
        "Not After : ",
        "SSL alert number ",
        "no peer certificate available",
        "SSL routines:",
    ],
    fits: |line| line.ident.is_none() && found(&line.text).is_some(),
    read: |line, sink| {
        let Some((sign, words, detail)) = found(&line.text) else { return };
        let time = (sign == Sign::CertNotAfter).then(|| detail.and_then(not_after)).flatten();
        sink.event(
            Event::new(Product::Shell, sign, Trust::C, span_of(&line.text, words))
                .detail(detail)
                .number(time.map(|it| it.micros / crate::clock::SECOND)),
        );
    },
    source: "OpenSSL 3.0 openssl-s_client(1), openssl-verification-options(1), X509_V_ERR_*",
    example: "    Verify return code: 10 (certificate has expired)",
};

type Found<'a> = Option<(Sign, &'a str, Option<&'a str>)>;

fn found(text: &str) -> Found<'_> {
    let text = text.trim();
    for words in ["Verify return code: ", "verify error:num="] {
        if let Some(rest) = text.strip_prefix(words) {
            return Some((verification(number(rest)?)?, text, None));
        }
    }
    if text == "no peer certificate available" {
        return Some((Sign::TlsFailed, text, None));
    }
    // The last of `a:…; NotBefore: …; NotAfter: …` in a chain, or the line of x509 itself.
    for words in ["notAfter=", "NotAfter: ", "Not After : "] {
        let begins = text.starts_with(words) || text.starts_with("v:NotBefore: ");
        if let Some(at) = text.find(words).filter(|_| begins) {
            let date = text[at + words.len()..].trim();
            not_after(date)?;
            return Some((Sign::CertNotAfter, &text[at..], Some(date)));
        }
    }
    alert(text)
}

/// X509_V_ERR_*: `Verify return code: 21 (unable to verify the first certificate)`.
fn verification(code: i64) -> Option<Sign> {
    Some(match code {
        9 | 10 => Sign::CertExpired,
        18 => Sign::CertSelfSigned,
        2 | 19 | 20 | 27 => Sign::CertUntrusted,
        21 => Sign::CertIncomplete,
        62 => Sign::CertWrongName,
        64 => Sign::CertNoIpSan,
        1.. => Sign::CertRefused,
        _ => return None,
    })
}

/// `139…:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:…:SSL alert
/// number 40` (RFC 8446, 6.2).
fn alert(text: &str) -> Found<'_> {
    const ALERT: &str = "SSL alert number ";
    if !text.contains(":error:") || !text.contains(":SSL routines:") || text.contains('"') {
        return None;
    }
    if let Some(at) = text.find(ALERT) {
        let sign = match number(&text[at + ALERT.len()..])? {
            40 => Sign::TlsCipher,
            70 => Sign::TlsVersion,
            112 => Sign::TlsNameRejected,
            116 => Sign::TlsClientCertRequired,
            42..=46 | 48 | 49 => Sign::TlsClientCertRejected,
            120 => Sign::AlpnMismatch,
            _ => Sign::TlsFailed,
        };
        return Some((sign, &text[at..], None));
    }
    let words = [
        ("wrong version number", Sign::TlsToPlain),
        ("packet length too long", Sign::TlsToPlain),
        ("unsupported protocol", Sign::TlsVersion),
        ("no protocols available", Sign::TlsVersion),
        ("unexpected eof while reading", Sign::TlsClosed),
    ];
    let (words, sign) = words.into_iter().find(|(it, _)| text.contains(it))?;
    let at = text.find(words)?;
    Some((sign, &text[at..at + words.len()], None))
}

/// `Jan  1 00:00:00 2024 GMT`.
fn not_after(date: &str) -> Option<Stamp> {
    let mut words = date.split_ascii_whitespace();
    let month = words.next()?;
    let day: u32 = words.next()?.parse().ok()?;
    let time = words.next()?;
    let year: i32 = words.next()?.parse().ok()?;
    let text = format!("{month} {day:02} {time}");
    if !(1950..=9999).contains(&year) {
        return None;
    }
    crate::clock::syslog(&text, year).map(|(it, _)| it)
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn return_codes_and_alerts_tell_what_is_wrong() {
        for (line, want) in [
            (
                "Verify return code: 21 (unable to verify the first certificate)",
                "the shell: CertIncomplete | Verify return code: 21 (unable to verify the first \
                 certificate)",
            ),
            (
                "verify error:num=18:self-signed certificate",
                "the shell: CertSelfSigned | verify error:num=18:self-signed certificate",
            ),
            (
                "C0:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake \
                 failure:../ssl/record/rec_layer_s3.c:1600:SSL alert number 40",
                "the shell: TlsCipher | SSL alert number 40",
            ),
            (
                "C0:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../ssl/x.c:3:",
                "the shell: TlsToPlain | wrong version number",
            ),
            (
                "notAfter=Jan  1 00:00:00 2024 GMT",
                "the shell: CertNotAfter detail=Jan  1 00:00:00 2024 GMT number=1704067200 | \
                 notAfter=Jan  1 00:00:00 2024 GMT",
            ),
        ] {
            check(line, want);
        }
    }

    #[test]
    fn what_is_well_or_said_by_others_is_nothing() {
        check_nothing("Verify return code: 0 (ok)");
        check_nothing("GET /Verify return code: 10 HTTP/1.1");
        check_nothing("notAfter=tomorrow");
    }
}
