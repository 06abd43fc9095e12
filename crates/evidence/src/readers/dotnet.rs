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
