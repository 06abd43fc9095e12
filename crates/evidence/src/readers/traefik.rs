//! Traefik: access lines (common format and JSON), and its own log of v1, v2 and v3.
//!
//! A failure to reach a server is told at level DEBUG only: `502 Bad Gateway error="…"` (v3),
//! `'502 Bad Gateway' caused by: …` (v1, v2). The error is one of Go's.

use super::flat::{self, Flat};
use super::{go, logfmt};
use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::product::Product;
use crate::reader::{Phrase, Reader, between, find, phrase, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const ACCESS: Reader = Reader {
    name: "Traefik access log",
    product: Product::Traefik,
    hooks: &[],
    fits: |line| access_parts(&line.text).is_some(),
    read: |line, sink| {
        if let Some(it) = access_parts(&line.text) {
            it.tell(&line.text, sink);
        }
    },
    source: "https://doc.traefik.io/traefik/observability/access-logs/; pkg/middlewares/accesslog v3.7",
    example: "192.0.2.1 - - [20/Nov/2026:15:16:30 +0000] \"GET /data HTTP/1.1\" 502 11 \"-\" \
              \"curl/8.0\" 7 \"app@docker\" \"http://192.0.2.10:80\" 3ms",
};

pub(super) const JSON: Reader = Reader {
    name: "Traefik access log in JSON",
    product: Product::Traefik,
    hooks: &[],
    fits: |line| line.text.contains("\"DownstreamStatus\"") && json_parts(&line.text).is_some(),
    read: |line, sink| {
        if let Some(it) = json_parts(&line.text) {
            it.tell(&line.text, sink);
        }
    },
    source: "https://doc.traefik.io/traefik/observability/access-logs/#limiting-the-fieldsincluding-headers",
    example: "{\"ClientHost\":\"192.0.2.1\",\"DownstreamStatus\":502,\"OriginStatus\":0,\"RequestPath\":\
              \"/data\",\"RouterName\":\"app@docker\",\"ServiceURL\":\"http://192.0.2.10:80\",\
              \"StartUTC\":\"2026-11-20T15:16:30.123Z\"}",
};

pub(super) const LOG: Reader = Reader {
    name: "Traefik log",
    product: Product::Traefik,
    hooks: &[
        "caused by: ",
        " error=\"",
        "\"error\":",
        "ealth check failed",
        "does not exist",
        "no available ",
        "no endpoints found",
        "endpoints not found",
        "service not found",
        "no servers in the pool",
        "unable to find the IP address for the container",
        "port is missing",
        "service port not found",
        "subset not found",
        "Starting provider",
        "Configuration loaded from",
        "Removing from server list",
        "raefik",
        "Server is up",
        "Error while forwarding",
    ],
    fits: |line| entry(&line.text).is_some(),
    read: |line, sink| {
        if let Some(entry) = entry(&line.text) {
            entry.tell(&line.text, sink);
        }
    },
    source: "https://doc.traefik.io/traefik/observability/logs/; pkg/proxy/httputil/proxy.go v3.7, \
             pkg/server/service/proxy.go v2.11",
    example: "time=\"2026-11-20T15:16:30Z\" level=debug msg=\"'502 Bad Gateway' caused by: dial tcp \
              192.0.2.10:80: connect: connection refused\"",
};

struct Access<'a> {
    at: Option<Stamp>,
    client: &'a str,
    path: Option<&'a str>,
    status: u16,
    status_text: &'a str,
    /// The status that a server gave: 0 where Traefik made the answer, `None` where it is not said.
    origin: Option<u16>,
    router: Option<&'a str>,
    url: Option<&'a str>,
}

/// `HOST - USER [TIME] "REQUEST" STATUS SIZE "REFERRER" "AGENT" COUNT "ROUTER" "URL" 3ms`.
fn access_parts(text: &str) -> Option<Access<'_>> {
    let (client, rest) = text.split_once(' ')?;
    let (_user, rest) = rest.split_once('[')?;
    let (at, end) = clock::day_first(rest)?;
    let rest = rest[end..].strip_prefix("] \"")?;
    let (request, rest) = rest.split_once("\" ")?;
    let (status_text, rest) = rest.split_once(' ')?;
    let status = flat::status(status_text)?;
    // From the right: only what Traefik writes itself stands there.
    let (rest, took) = rest.trim_end().rsplit_once(' ')?;
    took.strip_suffix("ms")?.bytes().all(|it| it.is_ascii_digit()).then_some(())?;
    let (rest, url) = rest.strip_suffix('"')?.rsplit_once(" \"")?;
    let (rest, router) = rest.strip_suffix('"')?.rsplit_once(" \"")?;
    let (_, count) = rest.rsplit_once(' ')?;
    count.bytes().all(|it| it.is_ascii_digit() || it == b'-').then_some(())?;
    let named = |it: &'_ &str| !matches!(*it, "" | "-");
    Some(Access {
        at: Some(at),
        client,
        path: request.split(' ').nth(1),
        status,
        status_text,
        origin: None,
        router: Some(router).filter(named),
        url: Some(url).filter(named),
    })
}

fn json_parts(text: &str) -> Option<Access<'_>> {
    let flat = Flat::of(text)?;
    let ours = flat.has("DownstreamStatus") && (flat.has("RequestPath") || flat.has("ClientHost"));
    if !ours {
        return None;
    }
    let origin = flat.text("OriginStatus").map_or(Some(0), |it| it.parse().ok());
    Some(Access {
        at: flat.time(&["StartUTC", "StartLocal", "time"]),
        client: flat.text("ClientHost").unwrap_or(""),
        path: flat.text("RequestPath"),
        status: flat.status(&["DownstreamStatus"])?,
        status_text: flat.text("DownstreamStatus")?,
        origin,
        router: flat.any(&["RouterName", "ServiceName"]),
        url: flat.any(&["ServiceURL", "ServiceAddr", "BackendURL", "BackendAddr"]),
    })
}

impl Access<'_> {
    fn tell(&self, text: &str, sink: &mut dyn Sink) {
        sink.served(Served { at: self.at, status: self.status });
        let sign = match (flat::answered(self.status), self.origin) {
            (Some(_), Some(500..)) => Sign::RelayedError,
            (Some(sign), _) => sign,
            (None, _) if self.status == 499 => Sign::ClientClosed,
            (None, _) => return,
        };
        sink.event(
            Event::new(Product::Traefik, sign, Trust::C, span_of(text, self.status_text))
                .at(self.at)
                .upstream(self.url)
                .who(self.router)
                .status(Some(self.status))
                .route(self.path)
                .client(Some(self.client)),
        );
    }
}

/// One line of its own log.
struct Entry<'a> {
    at: Option<Stamp>,
    message: &'a str,
    error: Option<&'a str>,
    /// The rest of the fields.
    target: Option<&'a str>,
    who: Option<&'a str>,
}

fn entry(text: &str) -> Option<Entry<'_>> {
    logfmt_entry(text).or_else(|| console(text)).or_else(|| json_entry(text))
}

/// v1 and v2: `time="…" level=debug msg="…" routerName=app@docker`.
fn logfmt_entry(text: &str) -> Option<Entry<'_>> {
    let text = text.trim_start();
    let timed = text.starts_with("time=\"") && text.contains(" level=");
    // Without its start, where it was pasted so.
    if !timed && !text.starts_with("level=") {
        return None;
    }
    let message = logfmt::value(text, "msg")?;
    let caused = message.starts_with('\'') && message.contains("' caused by: ");
    let ours = caused
        || ["routerName", "serviceName", "entryPointName", "providerName", "middlewareName"]
            .iter()
            .any(|it| logfmt::value(text, it).is_some())
        || find(MESSAGES, message).is_some();
    ours.then(|| Entry {
        at: logfmt::value(text, "time").and_then(clock::any),
        message,
        error: None,
        target: logfmt::value(text, "url").or_else(|| logfmt::value(text, "backend")),
        who: logfmt::value(text, "serviceName").or_else(|| logfmt::value(text, "routerName")),
    })
}

/// v3: `2026-11-20T15:16:30Z DBG github.com/…/proxy.go:119 > 502 Bad Gateway error="…"`.
fn console(text: &str) -> Option<Entry<'_>> {
    let (at, end) = clock::iso(text)?;
    let rest = text[end..].strip_prefix(' ')?;
    let (level, rest) = rest.split_once(' ')?;
    if !matches!(level, "TRC" | "DBG" | "INF" | "WRN" | "ERR" | "FTL" | "PNC") {
        return None;
    }
    let (place, rest) = match rest.split_once(" > ") {
        Some((place, rest)) if place.contains(".go:") => (place, rest),
        _ => ("", rest),
    };
    let fields = ["routerName=", "serviceName=", "entryPointName=", "providerName=", "targetURL="];
    let ours = place.contains("traefik")
        || gateway_words(rest).is_some()
        || fields.iter().any(|it| rest.contains(it))
        || find(MESSAGES, rest).is_some_and(|(_, at)| at.start < 100);
    // cloudflared writes the same way, and names what it is by its fields.
    if !ours || rest.contains("originService=") || rest.contains("connIndex=") {
        return None;
    }
    let message = rest.split_once(" error=").map_or(rest, |(it, _)| it);
    Some(Entry {
        at: Some(at),
        message,
        error: logfmt::value(rest, "error"),
        target: logfmt::value(rest, "targetURL"),
        who: logfmt::value(rest, "serviceName").or_else(|| logfmt::value(rest, "routerName")),
    })
}

fn json_entry(text: &str) -> Option<Entry<'_>> {
    if !text.contains("\"level\"") {
        return None;
    }
    let flat = Flat::of(text)?;
    let message = flat.any(&["message", "msg"])?;
    let named = ["routerName", "serviceName", "entryPointName", "providerName", "targetURL"];
    let ours = gateway_words(message).is_some()
        || message.starts_with('\'') && message.contains("' caused by: ")
        || named.iter().any(|it| flat.has(it));
    (ours && flat.has("level")).then(|| Entry {
        at: flat.time(&["time"]),
        message,
        error: flat.text("error"),
        target: flat.any(&["targetURL", "url"]),
        who: flat.any(&["serviceName", "routerName"]),
    })
}

/// `502 Bad Gateway` at the start: what v3 says of a failed request.
fn gateway_words(text: &str) -> Option<u16> {
    const WORDS: [&str; 5] = [
        "502 Bad Gateway",
        "504 Gateway Timeout",
        "500 Internal Server Error",
        "503 Service Unavailable",
        "499 Client Closed Request",
    ];
    WORDS.iter().find(|it| text.starts_with(*it)).and_then(|it| flat::status(&it[..3]))
}

const MESSAGES: &[Phrase] = &[
    phrase("Health check failed", Sign::HealthFailed, Trust::C),
    phrase("Health check still failing", Sign::HealthFailed, Trust::C),
    phrase("Health check up", Sign::ServerUp, Trust::C),
    phrase("Removing from server list", Sign::ServerDown, Trust::C),
    phrase("no available server", Sign::NoLiveUpstream, Trust::C),
    phrase("no available endpoint", Sign::NoEndpoints, Trust::C),
    phrase("the service \\\"", Sign::NoCluster, Trust::C),
    phrase("the service \"", Sign::NoCluster, Trust::C),
    phrase("no endpoints found", Sign::NoEndpoints, Trust::C),
    phrase("kubernetes service not found", Sign::NoEndpoints, Trust::C),
    phrase("no servers in the pool", Sign::NoLiveUpstream, Trust::C),
    phrase("unable to find the IP address for the container", Sign::NoEndpoints, Trust::C),
    phrase("port is missing", Sign::NoEndpoints, Trust::C),
    phrase("service port not found", Sign::TargetPortMissing, Trust::C),
    phrase("subset not found", Sign::NoEndpoints, Trust::C),
    phrase("endpoints not found", Sign::NoEndpoints, Trust::C),
    phrase("Cannot start the provider ", Sign::ConfigRefused, Trust::C),
    phrase("Error occurred during watcher callback", Sign::ConfigRefused, Trust::C),
    phrase("Starting provider", Sign::ProxyStarted, Trust::C),
    phrase("Configuration loaded from", Sign::ProxyStarted, Trust::C),
];

impl Entry<'_> {
    fn tell(&self, text: &str, sink: &mut dyn Sink) {
        let status = between(self.message, "'", " ").and_then(flat::status);
        let status = status.or_else(|| gateway_words(self.message));
        let cause = self.message.split_once("caused by: ").map(|(_, it)| it).or(self.error);
        let health = find(MESSAGES, self.message);
        if let (Some(cause), None) = (cause.filter(|_| status.is_some()), &health) {
            if let Some(fault) = go::fault(cause) {
                let inset = span_of(text, cause).start;
                let event = fault.event(Product::Traefik, Trust::C, inset);
                return sink.event(event.at(self.at).who(self.who).status(status));
            }
            let Some(sign) = status.and_then(flat::answered) else { return };
            let span = span_of(text, cause);
            return sink.event(
                Event::new(Product::Traefik, sign, Trust::C, span).at(self.at).status(status),
            );
        }
        let Some((found, words)) = health else { return };
        let words = match found.sign {
            // `the service "x@docker" does not exist`, with the name.
            Sign::NoCluster => match self.message[words.start..].find("does not exist") {
                Some(end) => words.start..words.start + end + "does not exist".len(),
                None => return,
            },
            _ => words,
        };
        let sign = match (found.sign, self.error) {
            (Sign::HealthFailed, Some(error)) => health_sign(error),
            (Sign::HealthFailed, None) => health_sign(self.message),
            (sign, _) => sign,
        };
        let inset = span_of(text, self.message).start;
        let span = inset + words.start..inset + words.end;
        sink.event(
            Event::new(Product::Traefik, sign, found.trust, span)
                .at(self.at)
                .upstream(self.target)
                .who(self.who),
        );
    }
}

/// Why a health check failed: `received error status code: 404` or one of Go's errors.
fn health_sign(error: &str) -> Sign {
    if error.contains("status code: ") {
        return Sign::HealthWrongAnswer;
    }
    match go::fault(error.strip_prefix("HTTP request failed: ").unwrap_or(error)).map(|it| it.sign)
    {
        Some(Sign::ConnectTimedOut | Sign::HeadTimedOut | Sign::Deadline) => Sign::HealthTimedOut,
        Some(Sign::TlsToPlain | Sign::NotHttp | Sign::TlsBytes) => Sign::HealthWrongProtocol,
        Some(_) => Sign::HealthConnectFailed,
        None => Sign::HealthFailed,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn every_message_is_looked_for() {
        for message in super::MESSAGES {
            let said = format!("{} x does not exist", message.text);
            let hooked = super::LOG.hooks.iter().any(|it| said.contains(it));
            assert!(hooked, "{}", message.text);
        }
        check(
            "time=\"2026-11-20T15:16:30Z\" level=error msg=\"Skipping service: no endpoints found\" providerName=kubernetes serviceName=shop namespace=default",
            "Traefik: NoEndpoints who=shop | no endpoints found",
        );
        check(
            "level=debug msg=\"'500 Internal Server Error' caused by: unsupported protocol scheme \\\"h2c\\\"\"",
            "Traefik: Http1ToHttp2 status=500 | unsupported protocol scheme \\\"h2c",
        );
    }

    #[test]
    fn each_version_says_the_error_its_own_way() {
        check(
            "time=\"2026-11-20T15:16:30Z\" level=debug msg=\"'504 Gateway Timeout' caused by: dial \
             tcp 192.0.2.10:80: i/o timeout\"",
            "Traefik: ConnectTimedOut upstream=192.0.2.10:80 status=504 | dial tcp 192.0.2.10:80: \
             i/o timeout",
        );
        check(
            "2026-11-20T15:16:30Z DBG github.com/traefik/traefik/v3/pkg/proxy/httputil/proxy.go:121 > \
             502 Bad Gateway error=\"dial tcp 192.0.2.10:80: connect: connection refused\"",
            "Traefik: ConnectRefused upstream=192.0.2.10:80 status=502 | dial tcp 192.0.2.10:80: \
             connect: connection refused",
        );
        check(
            "2026-11-20T15:16:30Z ERR 500 Internal Server Error error=\"tls: failed to verify \
             certificate: x509: cannot validate certificate for 192.0.2.7 because it doesn't contain \
             any IP SANs\"",
            "Traefik: CertNoIpSan detail=x509: cannot validate certificate for 192.0.2.7 because it \
             doesn't contain any IP SANs status=500 | x509: cannot validate certificate for 192.0.2.7 \
             because it doesn't contain any IP SANs",
        );
        check(
            r#"{"level":"debug","error":"EOF","time":"2026-11-20T15:16:30Z","message":"502 Bad Gateway"}"#,
            "Traefik: Closed status=502 | EOF",
        );
    }

    #[test]
    fn origin_tells_who_made_the_answer() {
        check(
            r#"{"ClientHost":"192.0.2.1","DownstreamStatus":503,"OriginStatus":503,"RequestPath":"/x","ServiceURL":"http://192.0.2.2:80"}"#,
            "served 503; Traefik: RelayedError upstream=http://192.0.2.2:80 status=503 | 503",
        );
        check_nothing(
            r#"{"ClientHost":"192.0.2.1","DownstreamStatus":200,"OriginStatus":200,"RequestPath":"/502"}"#,
        );
        check_nothing(
            "192.0.2.1 - - [20/Nov/2026:15:16:30 +0000] \"GET /?502 Bad Gateway HTTP/1.1\" 200 11 \"-\" \
             \"'502 Bad Gateway' caused by: EOF\" 7 \"app@docker\" \"http://192.0.2.10:80\" 3ms",
        );
    }

    #[test]
    fn services_and_health_checks_are_read() {
        check(
            "2026-11-20T15:16:30Z WRN Health check failed. error=\"HTTP request failed: Get \
             \\\"http://192.0.2.10:80/health\\\": dial tcp 192.0.2.10:80: connect: connection refused\" \
             targetURL=http://192.0.2.10:80",
            "Traefik: HealthConnectFailed upstream=http://192.0.2.10:80 | Health check failed",
        );
        check(
            "time=\"2026-11-20T15:16:30Z\" level=error msg=\"the service \\\"app@docker\\\" does not \
             exist\" entryPointName=web routerName=app@docker",
            "Traefik: NoCluster who=app@docker | the service \\\"app@docker\\\" does not exist",
        );
    }
}
