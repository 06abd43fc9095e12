//! Azure Application Gateway: access entries, and what its health probes say.

use super::flat::{self, Flat};
use crate::event::{Event, Served, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Phrase, Reader, find, number, phrase, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const ACCESS: Reader = Reader {
    name: "Azure Application Gateway access log",
    product: Product::AzureGateway,
    hooks: &[],
    fits: |line| {
        let text = line.text.trim_start();
        text.starts_with('{')
            && text.contains("\"httpStatus")
            && (text.contains("serverRouted") || text.contains("ApplicationGateway"))
    },
    read: access,
    source: "https://learn.microsoft.com/azure/application-gateway/monitor-application-gateway-reference",
    example: "{\"timeStamp\":\"2026-11-20T15:16:30+00:00\",\"category\":\"ApplicationGatewayAccessLog\",\
              \"properties\":{\"clientIP\":\"192.0.2.1\",\"requestUri\":\"/data\",\"httpStatus\":502,\
              \"serverRouted\":\"192.0.2.10:80\",\"serverStatus\":\"\",\"error_info\":\
              \"ERRORINFO_UPSTREAM_NO_LIVE\"}}",
};

pub(super) const PROBE: Reader = Reader {
    name: "Azure Application Gateway backend health",
    product: Product::AzureGateway,
    hooks: &[
        "Received invalid status code",
        "by the backend",
        "for this backend",
        "backend certificate",
        "Cannot connect to",
        "Common Name",
        "ommon name",
        "whitelisted",
        "certificate of the",
        "certificate is missing",
        "eaf certificate",
        "ntermediate certificate",
        "backend server",
        "backend entity",
        "backend\u{2019}s",
        "backend's",
        "probe",
        "ERRORINFO_",
    ],
    fits: |line| told(&line.text).is_some(),
    read: |line, sink| {
        let Some((found, span)) = told(&line.text) else { return };
        let after = &line.text[span.end..];
        let received = after.split_once("Received:").map_or(after, |it| it.1);
        let code = number(received.trim_start_matches([' ', ':']));
        let code = code.filter(|_| found.sign == Sign::HealthWrongAnswer);
        sink.event(Event::new(Product::AzureGateway, found.sign, found.trust, span).number(code));
    },
    source: "https://learn.microsoft.com/azure/application-gateway/\
             application-gateway-backend-health-troubleshooting",
    example: "Received invalid status code: 404 in the backend server's HTTP response.",
};

/// What `error_info` and `ERRORINFO_…` say.
const ERRORS: &[Phrase] = &[
    phrase("ERRORINFO_UPSTREAM_NO_LIVE", Sign::NoLiveUpstream, Trust::C),
    phrase("ERRORINFO_UPSTREAM_CLOSED_CONNECTION", Sign::Closed, Trust::C),
    phrase("ERRORINFO_UPSTREAM_TIMED_OUT", Sign::HeadTimedOut, Trust::C),
    phrase("ERRORINFO_INVALID_HEADER", Sign::HeaderBad, Trust::C),
    phrase("ERRORINFO_CLIENT_CLOSED_REQUEST", Sign::ClientClosed, Trust::C),
    phrase("ERRORINFO_CLIENT_TIMED_OUT", Sign::ClientSlow, Trust::C),
];

/// The portal's sentences, of the first and of the second version of the gateway.
const PROBES: &[Phrase] = &[
    phrase("Received invalid status code", Sign::HealthWrongAnswer, Trust::C),
    phrase(
        "Body of the backend's HTTP response did not match the probe setting",
        Sign::HealthWrongAnswer,
        Trust::C,
    ),
    phrase(
        "Status code of the backend's HTTP response did not match the probe setting",
        Sign::HealthWrongAnswer,
        Trust::C,
    ),
    phrase(
        "validity of the backend certificate could not be verified",
        Sign::CertRefused,
        Trust::C,
    ),
    phrase("backend health status could not be retrieved", Sign::LbUnreachable, Trust::C),
    phrase(
        "Time taken by the backend to respond to application gateway's health probe",
        Sign::HealthTimedOut,
        Trust::C,
    ),
    phrase("Cannot connect to backend server", Sign::HealthConnectFailed, Trust::C),
    phrase("Cannot connect to server", Sign::HealthConnectFailed, Trust::C),
    phrase(
        "Application Gateway could not connect to the backend",
        Sign::HealthConnectFailed,
        Trust::C,
    ),
    phrase(
        "Application Gateway couldn't connect to the backend",
        Sign::HealthConnectFailed,
        Trust::C,
    ),
    phrase("could not create a probe for this backend", Sign::HealthFailed, Trust::C),
    phrase(
        "backend is not signed by a well-known Certificate Authority",
        Sign::CertUntrusted,
        Trust::C,
    ),
    phrase(
        "root certificate of the server certificate used by the backend",
        Sign::CertUntrusted,
        Trust::C,
    ),
    phrase("does not match the trusted root certificate", Sign::CertUntrusted, Trust::C),
    phrase("ackend server certificate is not whitelisted", Sign::CertUntrusted, Trust::C),
    phrase("ackend certificate is not whitelisted", Sign::CertUntrusted, Trust::C),
    phrase("Trusted root certificate mismatch", Sign::CertUntrusted, Trust::C),
    phrase("backend server certificate is self-signed", Sign::CertSelfSigned, Trust::C),
    phrase("Common Name (CN) doesn't match", Sign::CertWrongName, Trust::C),
    phrase("Common Name (CN) does not match", Sign::CertWrongName, Trust::C),
    phrase("Common Name (CN) of the backend certificate does", Sign::CertWrongName, Trust::C),
    phrase("Common Name of the leaf certificate presented by", Sign::CertWrongName, Trust::C),
    phrase("Common Name of the leaf certificate does not", Sign::CertWrongName, Trust::C),
    phrase("Leaf or Server certificate is not found", Sign::CertIncomplete, Trust::C),
    phrase("Leaf certificate is not topmost in the chain", Sign::CertIncomplete, Trust::C),
    phrase("Intermediate certificate was not found", Sign::CertIncomplete, Trust::C),
    phrase("Intermediate certificate is missing", Sign::CertIncomplete, Trust::C),
    phrase("Leaf certificate is missing", Sign::CertIncomplete, Trust::C),
    phrase("backend certificate is invalid", Sign::CertExpired, Trust::C),
    phrase("ackend certificate has expired", Sign::CertExpired, Trust::C),
    phrase("ackend server certificate expired", Sign::CertExpired, Trust::C),
    phrase("Backend server's certificate has expired", Sign::CertExpired, Trust::C),
    phrase("Unable to resolve the DNS", Sign::NameUnresolved, Trust::C),
    phrase("Cannot resolve the FQDN", Sign::NameUnresolved, Trust::C),
    phrase("TLS handshake failed with the backend", Sign::TlsFailed, Trust::C),
];

/// A sentence at the start of a line, or as a value of one.
fn told(text: &str) -> Option<(&'static Phrase, std::ops::Range<usize>)> {
    let (found, span) = find(ERRORS, text).or_else(|| find(PROBES, text))?;
    const MARKS: [char; 10] = [' ', '"', '\'', ':', '=', '-', '|', '*', '>', '\t'];
    let before = text[..span.start].trim_end_matches(MARKS);
    let before = before.trim_start_matches([' ', '"', '\'', '{', '-', ',', '\t', '|', '*', '>']);
    let keys =
        ["error_info", "errorInfo", "healthProbeLog", "message", "Message", "Details", "Error"];
    let before = match before.split_once(':') {
        Some((key, rest)) if keys.contains(&key.trim_matches(MARKS)) => rest.trim_matches(MARKS),
        _ => before,
    };
    // The start of the portal's own sentence, after the state in its table.
    let sentence = before.len() < 80
        && ["The", "Backend", "B", "b", "Application Gateway", "Unhealthy", "Unknown"]
            .iter()
            .any(|it| before == *it || before.starts_with(&format!("{it} ")))
        && before.bytes().all(|it| it.is_ascii_alphabetic() || matches!(it, b' ' | b'\'' | b'|'));
    let keyed = before.is_empty() || keys.contains(&before) || sentence;
    keyed.then_some((found, span))
}

fn access(line: &Line, sink: &mut dyn Sink) {
    let Some(flat) = Flat::of(&line.text) else { return };
    let get = |key: &str| flat.text(key).or_else(|| flat.text(&format!("properties/{key}")));
    let at = flat.time(&["timeStamp", "time", "TimeGenerated"]);
    let (status, words) = match get("httpStatus").or_else(|| get("httpStatus_d")) {
        Some(words) => match flat::status(words) {
            Some(status) => (status, words),
            None => return,
        },
        None => return,
    };
    sink.served(Served { at, status });
    let info = get("error_info").or_else(|| get("errorInfo"));
    let known = info.and_then(|it| Some((find(ERRORS, it)?.0.sign, it)));
    let server = get("serverStatus").and_then(flat::status);
    let (sign, words) = match (known, server) {
        (Some(it), _) => it,
        (None, Some(500..)) if 500 <= status => (Sign::RelayedError, words),
        (None, _) => match flat::answered(status) {
            Some(sign) => (sign, words),
            None if status == 499 => (Sign::ClientClosed, words),
            None => return,
        },
    };
    sink.event(
        Event::new(Product::AzureGateway, sign, Trust::C, span_of(&line.text, words))
            .at(at)
            .upstream(get("serverRouted"))
            .who(get("backendPoolName"))
            .status(Some(status))
            .route(get("requestUri"))
            .client(get("clientIP"))
            .request_id(get("transactionId")),
    );
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn who_answered_is_told() {
        check(
            r#"{"category":"ApplicationGatewayAccessLog","properties":{"httpStatus":504,"serverRouted":"192.0.2.10:80","error_info":"ERRORINFO_UPSTREAM_TIMED_OUT"}}"#,
            "served 504; Azure Application Gateway: HeadTimedOut upstream=192.0.2.10:80 status=504 | \
             ERRORINFO_UPSTREAM_TIMED_OUT",
        );
        check(
            r#"{"category":"ApplicationGatewayAccessLog","properties":{"httpStatus":502,"serverRouted":"192.0.2.10:80","serverStatus":"502"}}"#,
            "served 502; Azure Application Gateway: RelayedError upstream=192.0.2.10:80 status=502 | 502",
        );
    }

    #[test]
    fn what_a_caller_sent_says_nothing() {
        check_nothing(
            r#"{"category":"ApplicationGatewayAccessLog","properties":{"httpStatus":200,"userAgent":"ERRORINFO_UPSTREAM_NO_LIVE","serverRouted":"192.0.2.10:80"}}"#,
        );
        check_nothing("GET /Cannot connect to server 200");
    }

    #[test]
    fn probes_speak_in_sentences() {
        check(
            "Received invalid status code: 401 in the backend server's HTTP response.",
            "Azure Application Gateway: HealthWrongAnswer number=401 | Received invalid status code",
        );
    }

    #[test]
    fn sentences_of_every_version_are_read() {
        for (line, want) in [
            (
                "The Common Name (CN) of the backend certificate does not match the host header of the probe",
                "CertWrongName | Common Name (CN) of the backend certificate does",
            ),
            (
                "| Unhealthy | Backend server certificate is not whitelisted with Application Gateway. |",
                "CertUntrusted | ackend server certificate is not whitelisted",
            ),
            (
                "\"healthProbeLog\": \"Cannot connect to server. Check whether any NSG/UDR/Firewall is blocking access to the server.\"",
                "HealthConnectFailed | Cannot connect to server",
            ),
            (
                "Error: The server certificate used by the backend is not signed by a well-known Certificate Authority (CA).",
                "CertUntrusted | backend is not signed by a well-known Certificate Authority",
            ),
            (
                "Status code of the backend's HTTP response did not match the probe setting. Expected:200-399 Received:404.",
                "HealthWrongAnswer number=404 | Status code of the backend's HTTP response did not match the probe setting",
            ),
        ] {
            check(line, &format!("Azure Application Gateway: {want}"));
        }
    }
}
