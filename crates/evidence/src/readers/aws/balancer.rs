//! Elastic Load Balancing: access lines of application and classic balancers, the same values as
//! people quote them, and the reasons for which a target is unhealthy.
//!
//! Every line of an ALB has its columns in one order, quoted where they may hold spaces; new ones
//! are added at the end. A target's status of `-` says that the balancer made the answer.

use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Phrase, Reader, find, phrase, span_of};
use crate::readers::flat::{self, Flat};
use crate::readers::logfmt;
use crate::sign::Sign;
use crate::trust::Trust;

pub(in crate::readers) const ALB: Reader = Reader {
    name: "AWS ALB access log",
    product: Product::AwsAlb,
    hooks: &[],
    fits: |line| columns(&line.text).is_some(),
    read: |line, sink| {
        if let Some(it) = columns(&line.text) {
            it.tell(&line.text, sink);
        }
    },
    source: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html",
    example: "http 2026-11-20T15:16:30.123456Z app/web/50dc6c495c0c9188 192.0.2.1:2817 192.0.2.10:80 \
              0.000 0.001 -1 502 - 34 366 \"GET http://example.com:80/ HTTP/1.1\" \"curl/8.0\" - - \
              arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/web/73e2d6bc24d8a067 \
              \"Root=1-58337262-36d228ad5d99923122bbe354\" \"-\" \"-\" 0 2026-11-20T15:16:30.122000Z \
              \"forward\" \"-\" \"-\" \"192.0.2.10:80\" \"-\" \"-\" \"-\"",
};

pub(in crate::readers) const CLASSIC: Reader = Reader {
    name: "AWS Classic Load Balancer access log",
    product: Product::AwsAlb,
    hooks: &[],
    fits: |line| classic(&line.text).is_some(),
    read: |line, sink| {
        if let Some(it) = classic(&line.text) {
            it.tell(&line.text, sink);
        }
    },
    source: "https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html",
    example: "2026-11-20T15:16:30.123456Z web 192.0.2.1:2817 192.0.2.10:80 0.000073 -1 -1 504 0 0 0 \
              \"GET http://example.com:80/ HTTP/1.1\" \"curl/8.0\" - -",
};

/// Values as queries and people give them: `elb_status_code=502`, or JSON.
pub(in crate::readers) const FIELDS: Reader = Reader {
    name: "AWS load balancer fields",
    product: Product::AwsAlb,
    hooks: &["elb_status_code"],
    fits: |line| fields(&line.text).is_some(),
    read: named,
    source: "https://docs.aws.amazon.com/athena/latest/ug/application-load-balancer-logs.html",
    example: "elb_status_code=502 target_status_code=\"-\" target_processing_time=0.001",
};

pub(in crate::readers) const HEALTH: Reader = Reader {
    name: "AWS target health",
    product: Product::AwsAlb,
    hooks: &[
        "Target.",
        "Elb.InternalError",
        "Health checks failed",
        "unhealthy in ",
        "UnhealthyThreshold",
        "Request timed out",
        "Connection to target failed",
    ],
    fits: |line| find(REASONS, health_text(&line.text)).is_some(),
    read: |line, sink| {
        let text = health_text(&line.text);
        let Some((found, span)) = find(REASONS, text) else { return };
        // Health checks failed with these codes: [404]
        let codes = text.split_once("codes: [").and_then(|(_, it)| crate::reader::number(it));
        sink.event(Event::new(Product::AwsAlb, found.sign, found.trust, span).number(codes));
    },
    source: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html",
    example: "\"Reason\": \"Target.ResponseCodeMismatch\",",
};

const REASONS: &[Phrase] = &[
    phrase("Target.ResponseCodeMismatch", Sign::HealthWrongAnswer, Trust::C),
    phrase("Health checks failed with these codes", Sign::HealthWrongAnswer, Trust::C),
    phrase("Target.Timeout", Sign::HealthTimedOut, Trust::C),
    phrase("Request timed out", Sign::HealthTimedOut, Trust::C),
    phrase("Connection to target failed", Sign::HealthConnectFailed, Trust::C),
    phrase("failed at least the UnhealthyThreshold number of", Sign::HealthFailed, Trust::C),
    phrase("Health checks failed due to", Sign::HealthFailed, Trust::C),
    phrase("Target.FailedHealthChecks", Sign::HealthFailed, Trust::C),
    phrase("Target.NotRegistered", Sign::NoEndpoints, Trust::C),
    phrase("Target.NotInUse", Sign::NoEndpoints, Trust::C),
    phrase("Target.DeregistrationInProgress", Sign::LbDeregistered, Trust::C),
    phrase("Target.InvalidState", Sign::LbTargetUnhealthy, Trust::C),
    phrase("Target.IpUnusable", Sign::LbUnreachable, Trust::C),
    phrase("Target.HealthCheckDisabled", Sign::LbTargetUnhealthy, Trust::C),
    phrase("Elb.InternalError", Sign::LbTargetUnhealthy, Trust::C),
];

/// The start of a line, where a reason stands alone or as the value of a key: no free text.
fn health_text(text: &str) -> &str {
    let bare = text.trim_start_matches(|it: char| it.is_whitespace() || "\"'-{,|*".contains(it));
    // Columns: the target, its port and state before the reason.
    let state = ["unhealthy ", "unhealthy\t", "unhealthy|", "draining ", "unused "];
    let row = state.iter().any(|it| bare.starts_with(it))
        || bare.split_whitespace().take(4).any(|it| it == "unhealthy") && !bare.contains("HTTP/");
    let keyed = row
        || [
            "Reason",
            "reason",
            "Description",
            "description",
            "TargetHealth",
            "State",
            "Health status details",
            "Status details",
            "HealthCheck",
            "OutOfService",
        ]
        .iter()
        .any(|it| bare.starts_with(it));
    match keyed
        || bare.starts_with("Target.")
        || bare.starts_with("Elb.")
        || bare.starts_with("Health checks failed")
        || bare.starts_with("Instance has failed at least")
    {
        true => text,
        false => "",
    }
}

struct Access<'a> {
    at: Option<Stamp>,
    client: Option<&'a str>,
    target: Option<&'a str>,
    /// In seconds; -1 where the balancer could not dispatch or got no answer.
    request_time: Option<f64>,
    target_time: Option<f64>,
    status: u16,
    status_text: &'a str,
    /// `None` where the balancer made the answer.
    target_status: Option<u16>,
    path: Option<&'a str>,
    group: Option<&'a str>,
    trace: Option<&'a str>,
    reason: Option<&'a str>,
}

/// The columns of a line; in quotes, a quote is escaped with a backslash.
fn cells(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(' ');
        if rest.is_empty() {
            return None;
        }
        if let Some(quoted) = rest.strip_prefix('"') {
            let bytes = quoted.as_bytes();
            let mut end = 0;
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            let end = end.min(bytes.len());
            let cell = quoted.get(..end)?;
            rest = quoted.get(end + 1..).unwrap_or("");
            return Some(cell);
        }
        let (cell, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after;
        Some(cell)
    })
}

fn columns(text: &str) -> Option<Access<'_>> {
    let kind = text.split(' ').next()?;
    if !matches!(kind, "http" | "https" | "h2" | "grpcs" | "ws" | "wss") {
        return None;
    }
    let all: Vec<&str> = cells(text).take(40).collect();
    let cell = |at: usize| all.get(at).copied().filter(|it| !matches!(*it, "-" | ""));
    clock::iso(all.get(1)?)?;
    all.get(2).filter(|it| it.contains('/'))?;
    let status_text = cell(8)?;
    Some(Access {
        at: cell(1).and_then(clock::any),
        client: cell(3).and_then(host),
        target: cell(4),
        request_time: cell(5)?.parse().ok(),
        target_time: cell(6)?.parse().ok(),
        status: flat::status(status_text)?,
        status_text,
        target_status: cell(9).and_then(flat::status),
        path: cell(12).and_then(|it| it.split(' ').nth(1)).and_then(path),
        group: cell(16),
        trace: cell(17),
        reason: cell(24),
    })
}

fn classic(text: &str) -> Option<Access<'_>> {
    let (_, end) = clock::iso(text)?;
    text[end..].strip_prefix(' ')?;
    let all: Vec<&str> = cells(text).take(20).collect();
    let cell = |at: usize| all.get(at).copied().filter(|it| !matches!(*it, "-" | ""));
    all.get(2).filter(|it| it.contains(':'))?;
    let status_text = cell(7)?;
    let request = all.get(11)?;
    request.contains(' ').then_some(())?;
    Some(Access {
        at: cell(0).and_then(clock::any),
        client: cell(2).and_then(host),
        target: cell(3),
        request_time: cell(4)?.parse().ok(),
        target_time: cell(5)?.parse().ok(),
        status: flat::status(status_text)?,
        status_text,
        target_status: cell(8).and_then(flat::status),
        path: request.split(' ').nth(1).and_then(path),
        group: cell(1),
        trace: None,
        reason: None,
    })
}

fn host(address: &str) -> Option<&str> {
    address.rsplit_once(':').map(|(it, _)| it)
}

/// The path of `http://example.com:80/data?x`.
fn path(url: &str) -> Option<&str> {
    let rest = &url[url.find("://")? + 3..];
    rest.find('/').map(|at| &rest[at..])
}

impl Access<'_> {
    fn tell(&self, text: &str, sink: &mut dyn Sink) {
        sink.served(Served { at: self.at, status: self.status });
        let Some((sign, words)) = self.sign() else { return };
        sink.event(
            Event::new(Product::AwsAlb, sign, Trust::C, span_of(text, words))
                .at(self.at)
                .upstream(self.target.or(self.group))
                .who(self.group)
                .detail(self.reason)
                .status(Some(self.status))
                .route(self.path)
                .client(self.client)
                .request_id(self.trace),
        );
    }

    fn sign(&self) -> Option<(Sign, &str)> {
        let reason = self.reason.filter(|_| 500 <= self.status);
        if let Some(it) = reason.and_then(|it| Some((lambda_reason(it)?, it))) {
            return Some(it);
        }
        let words = self.status_text;
        let sign = match (self.status, self.target_status) {
            (460, _) => Sign::ClientClosed,
            (408, None) => Sign::ClientSlow,
            (463 | 464 | 400 | 403 | 405, _) => return None,
            (500.., Some(500..)) => Sign::RelayedError,
            (561 | 401, _) => Sign::AuthDenied,
            (503, None) if self.target.is_none() => Sign::NoEndpoints,
            (504, None) => match self.target_time {
                // Without a target's time the connection was not made within its 10 seconds.
                _ if self.request_time.is_some_and(|it| it < 0.0) => Sign::ConnectTimedOut,
                Some(time) if time < 0.0 && self.target.is_some() => Sign::HeadTimedOut,
                _ => Sign::Answered504,
            },
            (502, None) => match self.target_time {
                _ if self.request_time.is_some_and(|it| it < 0.0) => Sign::ConnectFailed,
                // The target took the request and ended the connection.
                Some(time) if 0.0 <= time && self.target.is_some() => Sign::Closed,
                _ => Sign::Answered502,
            },
            (status, _) => flat::answered(status)?,
        };
        Some((sign, words))
    }
}

/// The reason that an ALB gives for a Lambda function.
fn lambda_reason(reason: &str) -> Option<Sign> {
    Some(match reason {
        "LambdaInvalidResponse" => Sign::LambdaMalformed,
        "LambdaResponseTooLarge" => Sign::LambdaMalformed,
        "LambdaUnhandled" => Sign::LambdaFailed,
        "LambdaConnectionTimeout" | "LambdaTimeout" => Sign::HeadTimedOut,
        "LambdaConnectionError" => Sign::Disconnected,
        "LambdaThrottling" => Sign::ConnectionLimit,
        _ if reason.starts_with("Lambda") => Sign::LambdaFailed,
        _ => return None,
    })
}

/// The balancer's status and the target's, where the second is known to be missing.
struct Fields<'a> {
    status: u16,
    status_text: &'a str,
    target_status: Option<&'a str>,
    reason: Option<&'a str>,
    at: Option<Stamp>,
}

fn fields(text: &str) -> Option<Fields<'_>> {
    let json = text.trim_start().starts_with('{');
    let flat = if json { Flat::of(text) } else { None };
    // In a line of another format, a caller may have written it: it has to begin the line, or to be
    // a value of an object.
    let begins =
        text.trim_start().trim_start_matches(['"', '\'', '-', ' ']).starts_with("elb_status_code");
    if !json && !begins {
        return None;
    }
    let get = |key: &str| match &flat {
        Some(flat) => flat.text(key),
        None => logfmt::value(text, key).or_else(|| colon(text, key)),
    };
    let status_text = get("elb_status_code")?;
    let raw = |key: &str| match &flat {
        Some(flat) => flat.top().find(|it| it.key == key).map(|it| it.value),
        None => get(key),
    };
    Some(Fields {
        status: flat::status(status_text)?,
        status_text,
        target_status: raw("target_status_code"),
        reason: get("error_reason"),
        at: get("time").or_else(|| get("timestamp")).and_then(clock::any),
    })
}

/// `elb_status_code: 502`.
fn colon<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = text[text.find(key)? + key.len()..].trim_start_matches(['"', '\'']);
    let rest = rest.strip_prefix(':').or_else(|| rest.strip_prefix(" :"))?;
    let rest = rest.trim_start_matches([' ', '"', '\'']);
    rest.split([' ', '"', '\'', ',']).next()
}

fn named(line: &Line, sink: &mut dyn Sink) {
    let Some(it) = fields(&line.text) else { return };
    // A list over several lines: the target's status may stand in one of the next.
    let next = line.following().take(8).find_map(|next| {
        let bare = next.trim_start().trim_start_matches(['"', '\'', '-', ' ']);
        let rest = bare.strip_prefix("target_status_code")?;
        Some(rest.chars().any(|it| it.is_ascii_digit()))
    });
    let target_said = match it.target_status {
        Some(text) => Some(flat::status(text).is_some()),
        None => next,
    };
    let sign = match (it.reason.and_then(lambda_reason), it.status, target_said) {
        (Some(sign), 500.., _) => sign,
        (_, 500.., Some(true)) => Sign::RelayedError,
        // The balancer had a target and got no answer from it.
        (_, 502, Some(false)) => Sign::Closed,
        (_, 504, Some(false)) => Sign::HeadTimedOut,
        (_, 460, _) => Sign::ClientClosed,
        (_, status, _) => match flat::answered(status) {
            Some(sign) => sign,
            None => return,
        },
    };
    let words = match it.reason.filter(|it| lambda_reason(it) == Some(sign)) {
        Some(reason) => reason,
        None => it.status_text,
    };
    let span = span_of(&line.text, words);
    let event = Event::new(Product::AwsAlb, sign, Trust::C, span).at(it.at);
    sink.event(event.status(Some(it.status)));
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    fn line(times: &str, statuses: &str, agent: &str, reason: &str) -> String {
        format!(
            "https 2026-11-20T15:16:30.123456Z app/web/50d 192.0.2.1:2817 192.0.2.10:80 {times} \
             {statuses} 34 366 \"GET https://example.com:443/x HTTP/1.1\" \"{agent}\" - - arn:g \
             \"Root=1-5\" \"-\" \"-\" 0 2026-11-20T15:16:30.122000Z \"forward\" \"-\" \"{reason}\" \"-\" \"-\""
        )
    }

    #[test]
    fn reasons_stand_in_columns_too() {
        for (line, want) in [
            (
                "|  Reason       |  Target.Timeout                          |",
                "HealthTimedOut | Target.Timeout",
            ),
            (
                "i-0abc  80  unhealthy  Health checks failed with these codes: [404]",
                "HealthWrongAnswer number=404 | Health checks failed with these codes",
            ),
            ("Health status details: Request timed out", "HealthTimedOut | Request timed out"),
            (
                "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.",
                "HealthFailed | failed at least the UnhealthyThreshold number of",
            ),
        ] {
            check(line, &format!("AWS ALB: {want}"));
        }
        check_nothing("GET / HTTP/1.1 unhealthy Target.Timeout");
        check_nothing("the Request timed out");
    }

    #[test]
    fn times_and_the_targets_status_make_the_sign() {
        for (times, statuses, reason, want) in [
            (
                "0.000 0.001 -1",
                "502 -",
                "-",
                "Closed upstream=192.0.2.10:80 who=arn:g status=502 | 502",
            ),
            (
                "-1 -1 -1",
                "502 -",
                "-",
                "ConnectFailed upstream=192.0.2.10:80 who=arn:g status=502 | 502",
            ),
            (
                "-1 -1 -1",
                "504 -",
                "-",
                "ConnectTimedOut upstream=192.0.2.10:80 who=arn:g status=504 | 504",
            ),
            (
                "0.000 -1 -1",
                "504 -",
                "-",
                "HeadTimedOut upstream=192.0.2.10:80 who=arn:g status=504 | 504",
            ),
            (
                "0.0 0.1 0.0",
                "503 503",
                "-",
                "RelayedError upstream=192.0.2.10:80 who=arn:g status=503 | 503",
            ),
            (
                "0.0 0.1 0.0",
                "502 -",
                "LambdaInvalidResponse",
                "LambdaMalformed upstream=192.0.2.10:80 who=arn:g detail=LambdaInvalidResponse status=502 | LambdaInvalidResponse",
            ),
        ] {
            let status = &statuses[..3];
            check(
                &line(times, statuses, "x", reason),
                &format!("served {status}; AWS ALB: {want}"),
            );
        }
    }

    #[test]
    fn healthy_lines_and_callers_words_say_nothing() {
        check_nothing(&line("0.0 0.1 0.0", "200 200", "a \\\" 502 - LambdaInvalidResponse", "-"));
        check_nothing("GET /?elb_status_code=502 200");
    }

    #[test]
    fn what_people_quote_is_read() {
        check("elb_status_code=502\ntarget_status_code=\"-\"", "AWS ALB: Closed status=502 | 502");
        check(
            r#"{"elb_status_code":"504","target_status_code":"-","time":"2026-11-20T15:16:30Z"}"#,
            "AWS ALB: HeadTimedOut status=504 | 504",
        );
    }

    #[test]
    fn reasons_of_unhealthy_targets_are_read() {
        check(
            "\"Description\": \"Health checks failed with these codes: [404]\"",
            "AWS ALB: HealthWrongAnswer number=404 | Health checks failed with these codes",
        );
        check("Target.Timeout", "AWS ALB: HealthTimedOut | Target.Timeout");
        check_nothing("we read about Target.Timeout");
    }
}
