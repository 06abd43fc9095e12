//! Ruby: Puma, Unicorn, Passenger and Rails.

use crate::event::Event;
use crate::lead::Lead;
use crate::line::Line;
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::raised::{Raised, span};
use crate::rule::{self, Rule, guess, rule};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const LOG: Reader = Reader {
    name: "Puma, Unicorn and Passenger logs",
    product: Product::Ruby,
    hooks: &[
        "Puma starting",
        "* Listening on ",
        "Worker boot time",
        "out-of-band",
        "Terminating timed out worker",
        "- Worker ",
        "timeout (",
        "reaped #<Process::Status",
        "worker=",
        "master process ready",
        "listening on addr=",
        "adding listener failed addr=",
        "Gracefully stopping",
        "Goodbye!",
        "The application has exited",
        "Could not spawn process for application",
        "Request queue full",
        "Requests in queue: ",
        "Requests in top-level queue : ",
        "Unable to spawn",
        "returned by the application",
        "The application encountered the following error",
        "Use Ctrl-C to stop",
        "Errno::EADDRINUSE",
    ],
    fits: |line| told(line).is_some(),
    read: |line, sink| {
        if let Some(event) = told(line) {
            sink.event(event);
        }
    },
    source: "puma 6: lib/puma/cluster.rb, lib/puma/runner.rb; unicorn 6: lib/unicorn/http_server.rb; Passenger 6: src/agent/Core",
    example: "E, [2026-11-20T15:16:30.123456 #77] ERROR -- : worker=2 PID:13127 timeout (31s > 30s), killing",
};

const RULES: &[(Product, Rule)] = &[
    (Product::Puma, rule("Puma starting in ", Sign::Started)),
    (Product::Puma, rule("* Listening on {upstream}", Sign::Listening)),
    (
        Product::Puma,
        rule(
            "! Terminating timed out worker (worker failed to check in within {seconds} seconds): {pid}",
            Sign::WorkerTimedOut,
        ),
    ),
    (
        Product::Puma,
        rule(
            "! Terminating timed out worker (worker failed to boot within {seconds} seconds): {pid}",
            Sign::BootTimedOut,
        ),
    ),
    (Product::Puma, rule("! Terminating timed out worker: {pid}", Sign::WorkerTimedOut)),
    (Product::Puma, rule("- Worker {_} (PID: {pid}) booted", Sign::WorkerBooted)),
    (Product::Puma, rule("- Gracefully stopping", Sign::ShuttingDown)),
    (Product::Puma, rule("- Gracefully shutting down workers", Sign::ShuttingDown)),
    (Product::Puma, rule("- Goodbye!", Sign::ShuttingDown)),
    (
        Product::Unicorn,
        rule("worker={_} PID:{pid} timeout ({number}s > {_}s), killing", Sign::WorkerTimedOut),
    ),
    (Product::Unicorn, rule("reaped #<Process::Status: pid {pid} SIGKILL", Sign::WorkerKilled)),
    (Product::Unicorn, rule("reaped #<Process::Status: pid {pid} SIGSEGV", Sign::WorkerSegfault)),
    (Product::Unicorn, rule("reaped #<Process::Status: pid {pid} SIGABRT", Sign::WorkerSegfault)),
    (Product::Unicorn, rule("reaped #<Process::Status: pid {pid} exit 0>", Sign::WorkerRecycled)),
    (
        Product::Unicorn,
        rule("reaped #<Process::Status: pid {pid} exit {number}>", Sign::WorkerDied),
    ),
    (Product::Unicorn, rule("worker={_} ready", Sign::WorkerBooted)),
    (Product::Unicorn, rule("master process ready", Sign::Ready)),
    (Product::Unicorn, rule("listening on addr={upstream} fd", Sign::Listening)),
    (Product::Unicorn, rule("adding listener failed addr={upstream} (in use)", Sign::PortInUse)),
    (
        Product::Passenger,
        rule("Could not spawn process for application {who}: {detail}", Sign::BootFailed),
    ),
    (Product::Passenger, rule("Request queue full", Sign::PoolExhausted)),
    (
        Product::Passenger,
        rule(
            "Returning HTTP 503 due to: Request queue full (configured max. size: {number})",
            Sign::PoolExhausted,
        ),
    ),
    (
        Product::Passenger,
        rule("Returning HTTP 503 due to: Request queue full", Sign::PoolExhausted),
    ),
    (Product::Passenger, rule("Request queue is full. Returning an error", Sign::PoolExhausted)),
    (Product::Passenger, rule("Requests in top-level queue : {number}", Sign::PoolExhausted)),
    (Product::Passenger, rule("Requests in queue: {number}", Sign::PoolExhausted)),
    (
        Product::Passenger,
        rule("Cannot checkout session because a spawning error occurred", Sign::BootFailed),
    ),
    (Product::Passenger, guess("The application has exited", Sign::WorkerDied)),
];

fn told<'a>(line: &'a Line) -> Option<Event<'a>> {
    let text = &*line.text;
    let (start, at) = message(text);
    // An empty queue is no news.
    let queued = |it: &Event| {
        let full = text[start..].starts_with("Requests in ") && it.number == Some(0);
        !full
    };
    let event = RULES
        .iter()
        .find_map(|(product, rule)| rule::event(std::slice::from_ref(rule), *product, text, start))
        .or_else(|| busy(text, start))
        .filter(queued)?;
    let seconds = event.product == Product::Unicorn && event.sign == Sign::WorkerTimedOut;
    let number = event.number.map(|it| if seconds { it.saturating_mul(1000) } else { it });
    Some(event.number(number).at(at))
}

/// `E, [2026-11-20T15:16:30.123456 #77] ERROR -- : `, `[77] `, or what any logger writes.
fn message(text: &str) -> (usize, Option<crate::clock::Stamp>) {
    let bytes = text.as_bytes();
    if bytes.len() > 4 && bytes[0].is_ascii_uppercase() && &bytes[1..4] == b", [" {
        let at = crate::clock::iso(&text[4..]).map(|it| it.0);
        if let Some(end) = text.find(" -- ")
            && let Some(colon) = text[end..].find(": ")
        {
            return (end + colon + 2, at);
        }
    }
    if let Some(it) = of_passenger(text) {
        return it;
    }
    let lead = Lead::of(text);
    let rest = text[lead.inset..].trim_start();
    (text.len() - rest.len(), lead.at)
}

/// `[ E 2026-11-20 15:16:30.1234 77/T1 age/Cor/App/Implementation.cpp:221 ]: [Client 10-5] `; before
/// Passenger 5.1 without the level.
fn of_passenger(text: &str) -> Option<(usize, Option<crate::clock::Stamp>)> {
    let (head, mut rest) = text.strip_prefix("[ ")?.split_once(" ]: ")?;
    let head = match head.as_bytes() {
        [b'A'..=b'Z', b' ', ..] => &head[2..],
        _ => head,
    };
    let (at, _) = crate::clock::iso(head)?;
    if !head.contains('/') || head.len() > 120 {
        return None;
    }
    if let Some((_, after)) = rest.strip_prefix("[Client ").and_then(|it| it.split_once("] ")) {
        rest = after;
    }
    Some((text.len() - rest.len(), Some(at)))
}

/// `Errno::EADDRINUSE: Address already in use - bind(2) for "127.0.0.1" port 3000`, after the place
/// in a file or not.
fn busy(text: &str, start: usize) -> Option<Event<'_>> {
    let at = text[start..].find("Errno::EADDRINUSE")? + start;
    let before = &text[start..at];
    // `x.rb:12:in 'bind': Address already in use - bind(2) … (Errno::EADDRINUSE)`.
    let placed =
        before.is_empty() || before.contains(".rb:") && before.contains("Address already in use");
    let quoted = text[start..].find("bind(2) for \"").map(|it| start + it + 13);
    let address = quoted.and_then(|from| {
        let host = &text[from..from + text[from..].find('"')?];
        let rest = text[from + host.len()..].strip_prefix("\" port ")?;
        Some(format!("{host}:{}", crate::reader::number(rest)?))
    });
    placed.then(|| {
        Event::new(Product::Ruby, Sign::PortInUse, Trust::D, at..at + "Errno::EADDRINUSE".len())
            .upstream(address)
    })
}

pub(super) const ERROR: Reader = Reader {
    name: "Ruby exception",
    product: Product::Ruby,
    hooks: &[
        "Error (",
        "PG::",
        "Mysql2::",
        "Redis::",
        "ActiveRecord::",
        "Net::ReadTimeout",
        "Net::OpenTimeout",
        "Errno::",
        "Bunny::",
        "NoMemoryError",
    ],
    fits: |line| error(&line.text).is_some(),
    read: |line, sink| {
        let Some((raised, at)) = error(&line.text) else { return };
        let sign = raised.sign().unwrap_or(Sign::UnhandledException);
        let words = raised.decisive();
        sink.event(
            Event::new(Product::Ruby, sign, Trust::D, span(&line.text, words))
                .at(at)
                .detail(Some(words.to_owned()))
                .upstream(raised.dialled()),
        );
    },
    source: "Rails 7: action_dispatch/middleware/debug_exceptions.rb; pg, mysql2, redis-rb",
    example: "PG::ConnectionBad: could not connect to server: Connection refused",
};

/// `PG::ConnectionBad: …`, and Rails' `ActiveRecord::ConnectionNotEstablished (…):`.
fn error(text: &str) -> Option<(Raised<'_>, Option<crate::clock::Stamp>)> {
    let (start, at) = message(text);
    let rest = text[start..].trim_start_matches("[").trim_start();
    let of_rails = rest.trim_end().strip_suffix("):").and_then(|it| it.split_once(" ("));
    let raised = match of_rails {
        Some((kind, message))
            if kind.bytes().all(|it| it.is_ascii_alphanumeric() || it == b':') =>
        {
            Raised { kind, message, text: rest.trim_end() }
        }
        _ => Raised::of(rest)?,
    };
    let ruby = raised.kind.contains("::")
        || raised.kind == "NoMemoryError"
        || of_rails.is_some() && raised.name().ends_with("Error");
    let end = span(text, raised.text).end;
    (ruby && end <= text.len() && (raised.sign().is_some() || of_rails.is_some()))
        .then_some((raised, at))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn its_own_acts_are_read() {
        for (line, want) in [
            (
                "worker=2 PID:13127 timeout (31s > 30s), killing",
                "Unicorn: WorkerTimedOut number=31000 | worker=2 PID:13127 timeout (31s > 30s), killing",
            ),
            (
                "E, [2026-11-20T15:16:30.123456 #77] ERROR -- : reaped #<Process::Status: pid 9 exit 1> worker=2",
                "Unicorn: WorkerDied number=1 | reaped #<Process::Status: pid 9 exit 1>",
            ),
            (
                "I, [2026-11-20T15:16:30.123456 #77]  INFO -- : listening on addr=0.0.0.0:8080 fd=10",
                "Unicorn: Listening upstream=0.0.0.0:8080 | listening on addr=0.0.0.0:8080 fd",
            ),
            (
                "[77] ! Terminating timed out worker (worker failed to check in within 60 seconds): 88",
                "Puma: WorkerTimedOut number=60000 | ! Terminating timed out worker (worker failed to check in within 60 seconds): 88",
            ),
            (
                "* Listening on http://0.0.0.0:3000",
                "Puma: Listening upstream=http://0.0.0.0:3000 | * Listening on http://0.0.0.0:3000",
            ),
            (
                "Errno::EADDRINUSE: Address already in use - bind(2) for \"127.0.0.1\" port 3000",
                "Ruby: PortInUse upstream=127.0.0.1:3000 | Errno::EADDRINUSE",
            ),
        ] {
            check(line, want);
        }
    }

    #[test]
    fn passenger_says_that_its_queue_is_full() {
        for line in [
            "[ 2026-11-20 15:16:30.4234 17309/7f5e2abfd700 age/Cor/Req/CheckoutSession.cpp:236 ]: [Client 10-52] Returning HTTP 503 due to: Request queue full (configured max. size: 100)",
            "[ N 2026-11-20 15:16:30.4234 17309/T3 age/Cor/Con/CheckoutSession.cpp:236 ]: [Client 1-5] Returning HTTP 503 due to: Request queue full (configured max. size: 100)",
        ] {
            check(
                line,
                "Passenger: PoolExhausted number=100 | Returning HTTP 503 due to: Request queue full (configured max. size: 100)",
            );
        }
        check(
            "  Requests in queue: 100",
            "Passenger: PoolExhausted number=100 | Requests in queue: 100",
        );
        check_nothing("  Requests in queue: 0");
        check_nothing("Requests in top-level queue : 0");
        check_nothing("[ x ]: Returning HTTP 503 due to: Request queue full");
    }

    #[test]
    fn exceptions_are_read() {
        check(
            "PG::ConnectionBad: could not connect to server: Connection refused",
            "Ruby: DbRefused detail=PG::ConnectionBad: could not connect to server: Connection refused | PG::ConnectionBad: could not connect to server: Connection refused",
        );
        check(
            "ActiveRecord::ConnectionTimeoutError (could not obtain a connection from the pool within 5.000 seconds):",
            "Ruby: DbPoolExhausted detail=ActiveRecord::ConnectionTimeoutError (could not obtain a connection from the pool | ActiveRecord::ConnectionTimeoutError (could not obtain a connection from the pool",
        );
    }

    #[test]
    fn what_a_caller_sent_is_no_act() {
        check_nothing("Started GET \"/worker=2 PID:1 timeout (31s > 30s), killing\" for 192.0.2.1");
        check_nothing("a caller sent PG::ConnectionBad: could not connect");
    }
}
