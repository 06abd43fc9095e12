//! .NET and IIS: Kestrel, the ASP.NET Core module, Application Request Routing.
//!
//! The console logger writes `info: Microsoft.Hosting.Lifetime[14]` and the message on the next
//! line, after blanks; exceptions end in frames `   at Shop.Pay() in /src/Pay.cs:line 3`.

use crate::event::{Event, Sink};
use crate::lead::Lead;
use crate::line::{Below, Line};
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::raised::{Raised, span};
use crate::rule::{self, Rule, rule, words};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const LOG: Reader = Reader {
    name: ".NET and IIS",
    product: Product::DotNet,
    hooks: &[
        "Now listening on: ",
        "Application started. Press",
        "Application is shutting down",
        "Hosting failed to start",
        "Failed to bind to address ",
        "HTTP Error 50",
        "Failed to start application",
        "failed to start process",
        "the thread pool starvation",
        "heartbeat has been running for ",
        "suffered a fatal communication error",
        "exceeded time limits during shut down",
        "is being automatically disabled due to a series of failures",
        "ErrorCode = '0x",
    ],
    fits: |line| told(line).is_some(),
    read: |line, sink| {
        if let Some(event) = told(line) {
            sink.event(event);
        }
    },
    source: "ASP.NET Core 8: Hosting.Lifetime, KestrelServer, AspNetCoreModuleV2 resources; https://learn.microsoft.com/aspnet/core/host-and-deploy/azure-iis-errors-reference",
    example: "      Now listening on: http://localhost:5000",
};

const RULES: &[(Product, Rule)] = &[
    (Product::DotNet, rule("Now listening on: {upstream}", Sign::Listening)),
    (Product::DotNet, rule("Application started. Press", Sign::Ready)),
    (Product::DotNet, rule("Application is shutting down", Sign::ShuttingDown)),
    (Product::DotNet, rule("Hosting failed to start", Sign::BootFailed)),
    (
        Product::DotNet,
        rule("Failed to bind to address {upstream}: address already in use", Sign::PortInUse),
    ),
    (Product::DotNet, rule("As of {_} the heartbeat has been running for ", Sign::GcPause)),
    (Product::Iis, rule("HTTP Error 502.3 - Bad Gateway", Sign::Answered502)),
    (Product::Iis, rule("HTTP Error 502.4 - Bad Gateway", Sign::NoLiveUpstream)),
    (Product::Iis, rule("HTTP Error 502.5 - Process Failure", Sign::BootFailed)),
    (
        Product::Iis,
        rule("HTTP Error 502.5 - ANCM Out-Of-Process Startup Failure", Sign::BootFailed),
    ),
    (Product::Iis, rule("HTTP Error 500.30", Sign::BootFailed)),
    (Product::Iis, rule("HTTP Error 500.31", Sign::BootFailed)),
    (Product::Iis, rule("HTTP Error 500.32", Sign::BootFailed)),
    (Product::Iis, rule("HTTP Error 500.34", Sign::BootFailed)),
    (Product::Iis, rule("HTTP Error 500.35", Sign::BootFailed)),
    (
        Product::Iis,
        rule(
            "HTTP Error 500.37 - ANCM Failed to Start Within Startup Time Limit",
            Sign::BootTimedOut,
        ),
    ),
    (Product::Iis, rule("HTTP Error 503. The service is unavailable", Sign::Answered503)),
    (
        Product::Iis,
        rule("Failed to start application '{who}', ErrorCode '{detail}'", Sign::BootFailed),
    ),
    (Product::Iis, rule("Failed to start application", Sign::BootFailed)),
    (
        Product::Iis,
        rule(
            "Application '{who}' with physical root '{_}' «failed to start process» with commandline '{_}', ErrorCode = '{detail}'",
            Sign::BootFailed,
        ),
    ),
    (
        Product::Iis,
        rule(
            "Application pool '{who}' «is being automatically disabled due to a series of failures»",
            Sign::CrashLooping,
        ),
    ),
    (
        Product::Iis,
        rule(
            "A process serving application pool '{who}' «suffered a fatal communication error»",
            Sign::WorkerDied,
        ),
    ),
    (
        Product::Iis,
        rule(
            "A process serving application pool '{who}' «exceeded time limits during shut down»",
            Sign::ReloadCut,
        ),
    ),
];

/// Messages stand on the line after the logger's name, after blanks.
fn told<'a>(line: &'a Line) -> Option<Event<'a>> {
    let text = &*line.text;
    let lead = Lead::of(text);
    let start = text.len() - text[lead.inset..].trim_start().len();
    let event = RULES.iter().find_map(|(product, rule)| {
        rule::event(std::slice::from_ref(rule), *product, text, start)
    })?;
    Some(event.at(lead.at))
}

/// YARP: what it says of a request, and the exception below.
pub(super) const YARP: Reader = Reader {
    name: "YARP forwarder",
    product: Product::DotNet,
    hooks: &[
        "before receiving a response",
        "No available destinations after load balancing",
        "when reading from the destination",
        "when writing to the destination",
    ],
    fits: |line| forwarded(&line.text).is_some(),
    read: |line, sink| {
        let Some((words, sign)) = forwarded(&line.text) else { return };
        let below: Vec<Below> = line
            .below()
            .take(40)
            .take_while(|it| {
                let text = it.text.trim_start();
                is_frame(&it.text) || text.starts_with("---") || text.starts_with("System.")
            })
            .collect();
        let found = below
            .iter()
            .filter_map(|it| {
                let of = REASONS.iter().find(|(words, _)| it.text.contains(words))?;
                Some((it, *of))
            })
            .next_back();
        if let Some(last) = below.last() {
            sink.taken(last);
        }
        let at = Lead::of(&line.text).at;
        let dialled = below.iter().find_map(|it| {
            let (_, rest) = it.text.rsplit_once('(')?;
            let address = rest.split(')').next()?;
            crate::address::port(address).map(|_| address.to_owned())
        });
        let event = |sign, span| {
            Event::new(Product::DotNet, sign, Trust::C, span).at(at).upstream(dialled.clone())
        };
        match found.filter(|_| sign == Sign::Disconnected) {
            Some((it, (words, sign))) => {
                let start = it.text.find(words).unwrap_or(0);
                sink.event_below(it, event(sign, start..(start + words.len()).min(it.text.len())));
            }
            None => sink.event(event(sign, span(&line.text, words))),
        }
    },
    source: "YARP 2: src/ReverseProxy/Forwarder/HttpForwarder.cs, ForwarderMiddleware.cs",
    example: "      Request: An error was encountered before receiving a response.",
};

/// What HttpClient says, of which the innermost counts.
const REASONS: &[(&str, Sign)] = &[
    ("Connection refused", Sign::ConnectRefused),
    ("actively refused it", Sign::ConnectRefused),
    ("Name or service not known", Sign::NameNotFound),
    ("No such host is known", Sign::NameNotFound),
    ("Temporary failure in name resolution", Sign::NameTimedOut),
    ("Resource temporarily unavailable", Sign::NameTimedOut),
    ("No route to host", Sign::HostUnreachable),
    ("Connection timed out", Sign::ConnectTimedOut),
    ("did not properly respond after a period of time", Sign::ConnectTimedOut),
    ("Cannot determine the frame size or a corrupted frame was received", Sign::TlsToPlain),
    ("RemoteCertificateNameMismatch", Sign::CertWrongName),
    ("NotTimeValid", Sign::CertExpired),
    ("UntrustedRoot", Sign::CertUntrusted),
    ("PartialChain", Sign::CertIncomplete),
    ("RemoteCertificateChainErrors", Sign::CertRefused),
    ("The remote certificate is invalid", Sign::CertRefused),
    ("did not complete the HTTP/2 handshake", Sign::Http2ToHttp1),
    ("The response ended prematurely", Sign::Closed),
    ("Connection reset by peer", Sign::Reset),
    ("forcibly closed by the remote host", Sign::Reset),
    ("Received an invalid status line", Sign::StatusLineBad),
    ("Received an invalid header line", Sign::HeaderBad),
    ("The HTTP response headers length exceeded the set limit", Sign::HeadTooBig),
    ("The SSL connection could not be established", Sign::TlsFailed),
];

fn forwarded(text: &str) -> Option<(&str, Sign)> {
    const SAID: &[(&str, Sign)] = &[
        ("Request: An error was encountered before receiving a response", Sign::Disconnected),
        ("RequestTimedOut: The request timed out before receiving a response", Sign::HeadTimedOut),
        (
            "RequestCanceled: The request was canceled before receiving a response",
            Sign::ClientClosed,
        ),
        ("No available destinations after load balancing", Sign::NoLiveUpstream),
        (
            "ResponseBodyDestination: Copying the response body failed when reading from the destination",
            Sign::BodyCut,
        ),
        (
            "RequestBodyDestination: Copying the request body failed when writing to the destination",
            Sign::SendBroken,
        ),
    ];
    let rest = &text[Lead::of(text).inset..];
    // `[2026-11-20 15:16:30 INF] (23) ` of Serilog.
    let rest = match rest.split_once("] ") {
        Some((head, after)) if head.starts_with('[') && head.len() < 60 => after,
        _ => rest,
    };
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('(').and_then(|it| it.split_once(") ")) {
        Some((thread, after)) if thread.bytes().all(|it| it.is_ascii_digit()) => after,
        _ => rest,
    };
    let (words, sign) = SAID.iter().find(|(words, _)| rest.starts_with(words))?;
    Some((&rest[..words.len()], *sign))
}

pub(super) const ERROR: Reader = Reader {
    name: ".NET exception",
    product: Product::DotNet,
    hooks: &[
        "Unhandled exception. ",
        "Unhandled Exception: ",
        "Exception: ",
        "An unhandled exception has occurred",
    ],
    fits: |line| first(line).is_some() || words_of(line).is_some(),
    read,
    source: "System.Exception.ToString, .NET 6 to 8",
    example: "Unhandled exception. System.IO.IOException: Failed to bind to address http://127.0.0.1:5000: address already in use.",
};

const WORDS: &[Rule] = &[words(
    "An unhandled exception has occurred while executing the request",
    Sign::UnhandledException,
)];

fn words_of<'a>(line: &'a Line) -> Option<Event<'a>> {
    let lead = Lead::of(&line.text);
    let start = line.text.len() - line.text[lead.inset..].trim_start().len();
    rule::event(WORDS, Product::DotNet, &line.text, start).map(|it| it.at(lead.at))
}

/// Whether it ended the process, and what was raised.
fn first<'a>(line: &'a Line) -> Option<(Lead<'a>, bool, Raised<'a>)> {
    let lead = Lead::of(&line.text);
    let text = line.text[lead.inset..].trim_start();
    let fatal = text
        .strip_prefix("Unhandled exception. ")
        .or_else(|| text.strip_prefix("Unhandled Exception: "));
    let raised = Raised::any(fatal.unwrap_or(text))?;
    let packages = [
        "System.",
        "Microsoft.",
        "Npgsql.",
        "MySql.",
        "MySqlConnector.",
        "StackExchange.",
        "RabbitMQ.",
        "MongoDB.",
    ];
    let named =
        packages.iter().any(|it| raised.kind.starts_with(it)) && raised.kind.ends_with("Exception");
    let framed = || line.below().take(3).any(|it| is_frame(&it.text));
    (fatal.is_some() && raised.kind.ends_with("Exception")
        || named && (raised.sign().is_some() || framed()))
    .then_some((lead, fatal.is_some(), raised))
}

fn is_frame(text: &str) -> bool {
    text.starts_with("   ")
        && text.trim_start().strip_prefix("at ").is_some_and(|it| it.contains('('))
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some((lead, fatal, outer)) = first(line) else {
        if let Some(event) = words_of(line) {
            sink.event(event);
        }
        return;
    };
    let below: Vec<Below> = line
        .below()
        .take_while(|it| {
            is_frame(&it.text)
                || it.text.trim_start().starts_with("--- ")
                || it.text.trim_start().starts_with("---> ")
        })
        .collect();
    if let Some(last) = below.last() {
        sink.taken(last);
    }
    // ` ---> ` leads to the inner exception; the last is the reason.
    let inner =
        below.iter().rev().find_map(|it| Raised::any(it.text.trim_start().strip_prefix("---> ")?));
    let raised = outer.sign().map(|_| outer).or(inner).unwrap_or(outer);
    let sign = match raised.sign() {
        Some(it) => it,
        None if fatal => Sign::ProcessExited,
        None => Sign::UnhandledException,
    };
    let place = below.iter().find_map(|it| {
        let frame = it.text.trim().strip_prefix("at ")?;
        frame.contains(" in ").then(|| frame.to_owned())
    });
    let upstream = raised.dialled().or_else(|| {
        let rest = raised.message.strip_prefix("Failed to bind to address ")?;
        rest.split_once(": ").map(|(it, _)| it.to_owned())
    });
    let words = outer.decisive();
    sink.event(
        Event::new(Product::DotNet, sign, Trust::D, span(&line.text, words))
            .at(lead.at)
            .detail(Some(raised.decisive().to_owned()))
            .upstream(upstream)
            .who(place),
    );
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn a_forwarder_says_what_it_could_not_reach() {
        check(
            "      Request: An error was encountered before receiving a response.\n      System.Net.Http.HttpRequestException: Connection refused (shop:5001)\n       ---> System.Net.Sockets.SocketException (111): Connection refused\n         at System.Net.Sockets.Socket.AwaitableSocketAsyncEventArgs.ThrowException()\n",
            ".NET: ConnectRefused upstream=shop:5001 | Connection refused",
        );
        check(
            "[2026-11-20 15:16:30 INF] (27) Request: An error was encountered before receiving a response.\n System.Net.Http.HttpRequestException: The SSL connection could not be established, see inner exception.\n ---> System.IO.IOException: Cannot determine the frame size or a corrupted frame was received.\n",
            ".NET: TlsToPlain | Cannot determine the frame size or a corrupted frame was received",
        );
        check(
            "      RequestTimedOut: The request timed out before receiving a response.",
            ".NET: HeadTimedOut | RequestTimedOut: The request timed out before receiving a response",
        );
        check_nothing("path: Request: An error was encountered before receiving a response.");
    }

    #[test]
    fn its_own_acts_are_read() {
        for (line, want) in [
            (
                "      Now listening on: http://localhost:5000",
                ".NET: Listening upstream=http://localhost:5000 | Now listening on: http://localhost:5000",
            ),
            (
                "HTTP Error 502.5 - Process Failure",
                "IIS: BootFailed | HTTP Error 502.5 - Process Failure",
            ),
            (
                "HTTP Error 500.30 - ASP.NET Core app failed to start",
                "IIS: BootFailed | HTTP Error 500.30",
            ),
            (
                "Unhandled exception. System.IO.IOException: Failed to bind to address http://127.0.0.1:5000: address already in use.",
                ".NET: PortInUse upstream=http://127.0.0.1:5000 detail=System.IO.IOException: Failed to bind to address http://127.0.0.1:5000: address already in use | System.IO.IOException: Failed to bind to address http://127.0.0.1:5000: address already in use",
            ),
        ] {
            check(line, want);
        }
    }

    #[test]
    fn an_inner_exception_is_the_reason() {
        check(
            "System.AggregateException: One or more errors occurred.\n ---> Npgsql.NpgsqlException: Failed to connect to 192.0.2.7:5432\n   at Npgsql.X.Open()\n   at Shop.Db.Load() in /src/Db.cs:line 3\n",
            ".NET: DbRefused upstream=192.0.2.7:5432 who=Shop.Db.Load() in /src/Db.cs:line 3 detail=Npgsql.NpgsqlException: Failed to connect to | System.AggregateException: One or more errors occurred.",
        );
    }

    #[test]
    fn what_a_caller_sent_is_no_act() {
        check_nothing("GET /HTTP Error 502.5 - Process Failure");
        check_nothing("info: Shop[0] Now listening on: x");
    }
}
