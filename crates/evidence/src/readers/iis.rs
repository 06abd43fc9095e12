//! IIS: its access log in the W3C extended format, and the error log of http.sys (HTTPERR).
//!
//! Values hold no spaces: what a caller sent has `+` for them. Which columns a log has stands in its
//! `#Fields:`, which may lie far above; the last ones are told by what they hold.

use crate::clock::{self, Stamp};
use crate::event::{Event, Served, Sink};
use crate::product::Product;
use crate::reader::{Reader, span_of};
use crate::readers::answered;
use crate::sign::Sign;
use crate::trust::Trust;
use std::net::IpAddr;
use std::ops::Range;

pub(super) const ACCESS: Reader = Reader {
    name: "IIS access log (W3C extended)",
    product: Product::Iis,
    hooks: &[],
    fits: |line| access(&line.text).is_some(),
    read: |line, sink| {
        if let Some(it) = access(&line.text) {
            it.tell(sink);
        }
    },
    source: "https://learn.microsoft.com/en-us/windows/win32/http/w3c-logging; \
             https://learn.microsoft.com/en-us/troubleshoot/developer/webapps/iis/health-diagnostic-performance/http-status-code",
    example: "2026-11-20 15:16:30 192.0.2.10 GET /orders - 443 - 192.0.2.1 curl/8.5.0 - 502 3 12029 2031",
};

pub(super) const HTTPERR: Reader = Reader {
    name: "http.sys error log (HTTPERR)",
    product: Product::Iis,
    hooks: &[
        " AppOffline ",
        " AppPoolTimer ",
        " AppShutdown ",
        " QueueFull ",
        " ConnLimit ",
        " Disabled ",
        " Connection_Abandoned_By_AppPool ",
        " Connection_Abandoned_By_ReqQueue ",
        " Timer_AppPool ",
        " Timer_EntityBody ",
        " Timer_HeaderWait ",
        " Timer_MinBytesPerSecond ",
        " Connection_Dropped ",
        " Client_Reset ",
    ],
    fits: |line| error(&line.text).is_some(),
    read: |line, sink| {
        if let Some(it) = error(&line.text) {
            it.tell(&line.text, sink);
        }
    },
    source: "https://learn.microsoft.com/en-us/windows/win32/http/types-of-errors-logged-by-the-http-server-api; \
             https://learn.microsoft.com/en-us/troubleshoot/developer/webapps/aspnet/site-behavior-performance/error-logging-http-apis",
    example: "2026-11-20 15:16:30 192.0.2.1 51123 192.0.2.10 80 HTTP/1.1 GET /orders 503 1 AppOffline shop",
};

/// The most values of a line of either log.
const MAX_WORDS: usize = 40;

/// `2026-11-20 15:16:30` in UTC, and the words of the line with those two.
fn words(text: &str) -> Option<(Stamp, Vec<&str>)> {
    let bytes = text.as_bytes();
    let dated = bytes.len() > 40
        && bytes[0].is_ascii_digit()
        && [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':'), (19, b' ')]
            .iter()
            .all(|(at, it)| bytes[*at] == *it);
    if !dated {
        return None;
    }
    let words: Vec<&str> = text.trim_end().split(' ').take(MAX_WORDS + 1).collect();
    let (at, _) = clock::iso(text)?;
    (words.len() <= MAX_WORDS && words.iter().all(|it| !it.is_empty()))
        .then_some((Stamp { zoned: true, ..at }, words))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 10 && text.bytes().all(|it| it.is_ascii_digit())
}

fn is_method(text: &str) -> bool {
    (3..=10).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_uppercase())
}

fn is_ip(text: &str) -> bool {
    text.split('%').next().unwrap_or(text).parse::<IpAddr>().is_ok()
}

fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|it| (100..600).contains(it) && text.len() == 3)
}

struct Access<'a> {
    at: Stamp,
    client: &'a str,
    route: Option<&'a str>,
    status: u16,
    substatus: u16,
    win32: u32,
    /// Status, substatus and the code of Windows.
    span: Range<usize>,
}

/// The method with the path behind it, and at the end numbers only: `sc-status sc-substatus
/// sc-win32-status`, perhaps bytes, and `time-taken`.
fn access(text: &str) -> Option<Access<'_>> {
    let (at, words) = words(text)?;
    let method = words.iter().take(8).position(|it| is_method(it)).filter(|it| *it >= 2)?;
    let route = *words.get(method + 1).filter(|it| it.starts_with(['/', '*']))?;
    let numbers = words.iter().rev().take_while(|it| is_number(it)).count();
    let first = words.len() - numbers;
    if !(3..=6).contains(&numbers) || first < method + 3 {
        return None;
    }
    let end = span_of(text, words[first + 2]).end;
    Some(Access {
        at,
        // The server's address comes before the method, the caller's behind it.
        client: words[method + 2..first].iter().find(|it| is_ip(it))?,
        route: Some(route),
        status: status(words[first])?,
        substatus: words[first + 1].parse().ok()?,
        win32: words[first + 2].parse().ok()?,
        span: span_of(text, words[first]).start..end,
    })
}

impl Access<'_> {
    fn tell(&self, sink: &mut dyn Sink) {
        sink.served(Served { at: Some(self.at), status: self.status });
        let Some(answered) = answered(self.status) else { return };
        let said = format!("{}.{}", self.status, self.substatus);
        let event = |sign| {
            Event::new(Product::Iis, sign, Trust::C, self.span.clone())
                .at(Some(self.at))
                .status(Some(self.status))
                .route(self.route)
                .client(Some(self.client))
                .detail(Some(said.clone()))
        };
        sink.event(event(self.wire().unwrap_or(answered)));
        if let Some(act) = self.act() {
            sink.event(event(act).status(None));
        }
    }

    /// What the proxy within IIS (ARR, or the ASP.NET Core module out of process) met, by the code of
    /// WinHTTP.
    fn wire(&self) -> Option<Sign> {
        match (self.status, self.substatus, self.win32) {
            (502, 4, _) => Some(Sign::NoLiveUpstream),
            (502 | 504, _, 12002) => Some(Sign::HeadTimedOut),
            (502, _, 12007) => Some(Sign::NameUnresolved),
            (502, _, 12029) => Some(Sign::ConnectFailed),
            (502, _, 12030) => Some(Sign::Disconnected),
            (502, _, 12152) => Some(Sign::NotHttp),
            (502, _, 12157 | 12169 | 12175) => Some(Sign::TlsFailed),
            _ => None,
        }
    }

    /// What the substatus says of the app.
    fn act(&self) -> Option<Sign> {
        match (self.status, self.substatus) {
            (500, 30..=38) | (502, 5) => Some(Sign::BootFailed),
            (503, 2) => Some(Sign::AppConcurrencyLimit),
            (503, 3 | 4) => Some(Sign::PoolExhausted),
            _ => None,
        }
    }
}

struct Error<'a> {
    at: Stamp,
    client: Option<&'a str>,
    route: Option<&'a str>,
    status: Option<u16>,
    sign: Sign,
    reason: &'a str,
    queue: Option<&'a str>,
}

/// What a reason says. Reasons that only say what a caller sent, or that a connection was idle, are
/// none.
fn reason(text: &str) -> Option<Sign> {
    Some(match text {
        // Rapid-fail protection: the pool's processes have died too often.
        "AppOffline" => Sign::CrashLooping,
        "AppPoolTimer" | "QueueFull" => Sign::PoolExhausted,
        "AppShutdown" | "Disabled" => Sign::ProcessStopped,
        "ConnLimit" => Sign::ConnectionLimit,
        "Connection_Abandoned_By_AppPool" | "Connection_Abandoned_By_ReqQueue" => Sign::WorkerDied,
        "Timer_AppPool" => Sign::QueueTimedOut,
        "Timer_EntityBody" | "Timer_HeaderWait" | "Timer_MinBytesPerSecond" => Sign::ClientSlow,
        "Connection_Dropped" | "Client_Reset" => Sign::ClientClosed,
        _ => return None,
    })
}

/// `date time c-ip c-port s-ip s-port cs-version cs-method cs-uri [streamid] sc-status s-siteid
/// s-reason s-queuename`.
fn error(text: &str) -> Option<Error<'_>> {
    let (at, words) = words(text)?;
    let number = |at: usize| words.get(at).is_some_and(|it| is_number(it) || *it == "-");
    let fits = words.len() >= 12
        && is_ip(words[2])
        && number(3)
        && number(5)
        && (words[6] == "-" || words[6].starts_with("HTTP/"));
    // Newer ones have a stream's number before the status.
    let found = [11, 12].into_iter().filter(|_| fits).find_map(|at| {
        let sign = reason(words.get(at)?)?;
        (number(at - 1) && number(at - 2)).then_some((at, sign))
    });
    let (place, sign) = found?;
    let given = |at: usize| words.get(at).copied().filter(|it| *it != "-");
    Some(Error {
        at,
        client: Some(words[2]),
        route: given(8),
        status: given(place - 2).and_then(status),
        sign,
        reason: words[place],
        queue: given(place + 1),
    })
}

impl Error<'_> {
    fn tell(&self, text: &str, sink: &mut dyn Sink) {
        let event = |sign| {
            Event::new(Product::Iis, sign, Trust::C, span_of(text, self.reason))
                .at(Some(self.at))
                .route(self.route)
                .client(self.client)
                .who(self.queue)
        };
        let wire = self.sign.kind() == crate::sign::Kind::Wire;
        if let Some(status) = self.status
            && let Some(sign) = answered(status).filter(|_| !wire)
        {
            sink.event(event(sign).status(Some(status)));
        }
        sink.event(event(self.sign).status(self.status.filter(|_| wire)));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn a_status_is_told_with_its_substatus() {
        let line = |end: &str| {
            format!(
                "2026-11-20 15:16:30 192.0.2.10 GET /orders id=7 443 - 192.0.2.1 curl/8.5.0 - {end}"
            )
        };
        for (end, want) in [
            ("502 3 12002 120031", "HeadTimedOut detail=502.3 status=502 | 502 3 12002"),
            ("502 3 12029 2031", "ConnectFailed detail=502.3 status=502 | 502 3 12029"),
            ("502 3 12030 15", "Disconnected detail=502.3 status=502 | 502 3 12030"),
            ("502 4 0 15", "NoLiveUpstream detail=502.4 status=502 | 502 4 0"),
            (
                "502 5 0 15",
                "Answered502 detail=502.5 status=502 | 502 5 0; IIS: BootFailed detail=502.5 | 502 5 0",
            ),
            (
                "500 30 0 15",
                "Answered500 detail=500.30 status=500 | 500 30 0; IIS: BootFailed detail=500.30 | 500 30 0",
            ),
            ("500 0 0 5123 411 15", "Answered500 detail=500.0 status=500 | 500 0 0"),
            ("503 0 0", "Answered503 detail=503.0 status=503 | 503 0 0"),
        ] {
            check(&line(end), &format!("served {}; IIS: {want}", &end[..3]));
        }
        check(&line("200 0 64 15"), "served 200");
        check(&line("404 0 2 15"), "served 404");
    }

    #[test]
    fn other_columns_are_read_as_well() {
        check(
            "2026-11-20 15:16:30 W3SVC1 WEB1 192.0.2.10 POST /a - 80 ann 2001:db8::1 HTTP/1.1 Mozilla/5.0+(X11) - - shop.example.com 503 2 0 512 411 15",
            "served 503; IIS: Answered503 detail=503.2 status=503 | 503 2 0; IIS: AppConcurrencyLimit detail=503.2 | 503 2 0",
        );
    }

    #[test]
    fn the_reason_of_http_sys_is_read() {
        let line = |end: &str| {
            format!("2026-11-20 15:16:30 192.0.2.1 51123 192.0.2.10 80 HTTP/1.1 GET /orders {end}")
        };
        for (end, want) in [
            (
                "503 1 AppOffline shop",
                "Answered503 who=shop status=503 | AppOffline; IIS: CrashLooping who=shop | AppOffline",
            ),
            (
                "- 503 1 QueueFull shop",
                "Answered503 who=shop status=503 | QueueFull; IIS: PoolExhausted who=shop | QueueFull",
            ),
            (
                "- 1 Connection_Abandoned_By_AppPool shop",
                "WorkerDied who=shop | Connection_Abandoned_By_AppPool",
            ),
            ("- 1 Timer_AppPool shop", "QueueTimedOut who=shop | Timer_AppPool"),
            ("503 1 ConnLimit -", "ConnectionLimit status=503 | ConnLimit"),
            ("- 1 Timer_EntityBody -", "ClientSlow | Timer_EntityBody"),
        ] {
            check(&line(end), &format!("IIS: {want}"));
        }
        check_nothing(&line("- 1 Timer_ConnectionIdle -"));
        check_nothing(&line("400 - BadRequest -"));
    }

    #[test]
    fn what_a_caller_sent_is_no_reason_and_no_status() {
        check_nothing(
            "2026-11-20 15:16:30 192.0.2.1 51123 192.0.2.10 80 HTTP/1.1 GET /x?AppOffline 404 1 NotFound AppOffline",
        );
        check(
            "2026-11-20 15:16:30 192.0.2.10 GET /502 3+12002 443 - 192.0.2.1 502+3+12002 - 200 0 0 15",
            "served 200",
        );
        check_nothing("2026-11-20 15:16:30 192.0.2.10 GET /orders - 443 - 502 3 12002");
        check_nothing(
            "2026-11-20 15:16:30 the caller sent GET /orders and got 502 3 12002 15 AppOffline shop",
        );
        check_nothing(
            "#Fields: date time s-ip cs-method cs-uri-stem sc-status sc-substatus sc-win32-status",
        );
    }
}
