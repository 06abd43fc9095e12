//! php-fpm and PHP.
//!
//! `[20-Nov-2026 15:16:30] WARNING: [pool www] child 57 exited on signal 9 (SIGKILL) after 12.6
//! seconds from start` (sapi/fpm/fpm/: fpm_children.c, fpm_process_ctl.c, fpm_request.c,
//! fpm_sockets.c; main/main.c). The request in the lines of slow scripts is the caller's.

use crate::event::Event;
use crate::lead::Lead;
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number};
use crate::readers::raised::{Raised, span};
use crate::rule::{self, Rule, milliseconds, rule, words};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const FPM: Reader = Reader {
    name: "php-fpm log",
    product: Product::PhpFpm,
    hooks: &[
        "[pool ",
        "unable to bind listening socket",
        "ready to handle connections",
        "Another FPM instance",
        "failed processes threshold",
        "FPM initialization failed",
        "fpm is running, pid",
        "Terminating ...",
        "Finishing ...",
        "Reloading in progress",
        "exiting, bye-bye",
        "Couldn't create FastCGI listen socket",
    ],
    fits: |line| in_pool(line).is_some() || rule::told(RULES, Product::PhpFpm, &[], line).is_some(),
    read: |line, sink| {
        if let Some(event) = in_pool(line).or_else(|| rule::told(RULES, Product::PhpFpm, &[], line))
        {
            sink.event(event);
        }
    },
    source: "php-src 8.3: sapi/fpm/fpm/fpm_children.c, fpm_process_ctl.c, fpm_request.c, fpm_sockets.c, zlog.c",
    example: "[20-Nov-2026 15:16:30] WARNING: [pool www] server reached pm.max_children setting (5), consider raising it",
};

const RULES: &[Rule] = &[
    rule(
        "unable to bind listening socket for address '{upstream}': Address already in use",
        Sign::PortInUse,
    ),
    rule("unable to bind listening socket for address '{upstream}': {detail}", Sign::BindFailed),
    rule("Another FPM instance seems to already listen on {upstream}", Sign::PortInUse),
    rule("ready to handle connections", Sign::Ready),
    rule("fpm is running, pid {pid}", Sign::Started),
    rule("FPM initialization failed", Sign::BootFailed),
    rule(
        "failed processes threshold ({number} in {_} sec) is reached, initiating reload",
        Sign::CrashLooping,
    ),
    rule("Terminating ...", Sign::ShuttingDown),
    rule("Finishing ...", Sign::ShuttingDown),
    rule("exiting, bye-bye", Sign::ShuttingDown),
    rule("Reloading in progress", Sign::WorkerRecycled),
    rule("Couldn't create FastCGI listen socket on port {upstream}", Sign::BindFailed),
];

/// After `[pool www] `.
const POOL: &[Rule] = &[
    rule("server reached pm.max_children setting ({number})", Sign::PoolExhausted),
    rule("server reached max_children setting ({number})", Sign::PoolExhausted),
    rule("seems busy (you may need to increase", Sign::PoolExhausted),
    rule("child {pid} exited on signal {number} (SIGKILL)", Sign::WorkerKilled),
    rule("child {pid} exited on signal {number} (SIGSEGV", Sign::WorkerSegfault),
    rule("child {pid} exited on signal {number} (SIGBUS", Sign::WorkerSegfault),
    rule("child {pid} exited on signal {number} (SIGABRT", Sign::WorkerSegfault),
    rule("child {pid} exited on signal {number} (SIGILL", Sign::WorkerSegfault),
    rule("child {pid} exited on signal {number} (SIGFPE", Sign::WorkerSegfault),
    // Only after `execution timed out` is it php-fpm's own.
    rule("child {pid} exited on signal {number} (SIGTERM)", Sign::WorkerDied),
    rule("child {pid} exited on signal {number}", Sign::WorkerDied),
    rule("child {pid} exited with code 0", Sign::WorkerRecycled),
    rule("child {pid} exited with code {number}", Sign::WorkerDied),
    rule("child {pid} failed to initialize", Sign::BootFailed),
    rule("child failed to initialize", Sign::BootFailed),
    rule("child {pid} started", Sign::WorkerBooted),
];

fn in_pool<'a>(line: &'a Line) -> Option<Event<'a>> {
    let text = &*line.text;
    let lead = Lead::of(text);
    let rest = text[lead.inset..].strip_prefix("[pool ")?;
    let (pool, rest) = rest.split_once("] ")?;
    let start = text.len() - rest.len();
    let event = rule::event(POOL, Product::PhpFpm, text, start).or_else(|| overdue(text, start))?;
    Some(event.at(lead.at).who(Some(pool)))
}

/// `child 57, script '/srv/x.php' (request: "GET /x") execution timed out (31.2 sec), terminating`.
/// The last of these words are php-fpm's; what stands before them holds the request.
fn overdue(text: &str, start: usize) -> Option<Event<'_>> {
    let rest = text[start..].strip_prefix("child ")?;
    let pid = number(rest).and_then(|it| u32::try_from(it).ok());
    [("execution timed out (", Sign::WorkerTimedOut), ("executing too slow (", Sign::RequestSlow)]
        .into_iter()
        .filter_map(|(words, sign)| Some((text[start..].rfind(words)? + start, words, sign)))
        .max_by_key(|(at, ..)| *at)
        .and_then(|(at, words, sign)| {
            let seconds = &text[at + words.len()..];
            let end = seconds.find(" sec)")?;
            let taken = milliseconds(&seconds[..end])?;
            let script = between(&text[start..at], "script '", "'");
            let request = between(&text[start..at], "(request: \"", "\")");
            Some(
                Event::new(Product::PhpFpm, sign, Trust::C, at..at + words.len() + end + 5)
                    .pid(pid)
                    .number(Some(taken))
                    .detail(script)
                    .route(request.and_then(|it| it.split(' ').nth(1))),
            )
        })
}

pub(super) const ERROR: Reader = Reader {
    name: "PHP error",
    product: Product::Php,
    hooks: &[
        "PHP Fatal error: ",
        "Fatal error: ",
        "PHP Parse error: ",
        "PHP Warning: ",
        "Allowed memory size of ",
        "Maximum execution time of ",
    ],
    fits: |line| message(&line.text).is_some(),
    read: |line, sink| {
        let Some((lead, start)) = message(&line.text) else { return };
        if let Some(event) = error(&line.text, start) {
            sink.event(event.at(lead.at));
        }
    },
    source: "php-src 8.3: main/main.c php_error_cb(), Zend/zend_alloc.c, Zend/zend_execute_API.c",
    example: "[20-Nov-2026 15:16:30 UTC] PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes) in /srv/x.php on line 3",
};

const ERRORS: &[Rule] = &[
    rule("Allowed memory size of {number} bytes exhausted", Sign::HeapExhausted),
    rule("Out of memory (allocated {_})", Sign::HeapExhausted),
    rule("Maximum execution time of {seconds} seconds exceeded", Sign::WorkerTimedOut),
    rule("Maximum execution time of {seconds} second exceeded", Sign::WorkerTimedOut),
    words("Uncaught Error: Failed opening required", Sign::BootFailed),
    words("Failed opening required", Sign::BootFailed),
];

/// Where the message of an error begins, after `PHP Fatal error:  ` and what a logger wrote.
fn message(text: &str) -> Option<(Lead<'_>, usize)> {
    let lead = Lead::of(text);
    let rest = &text[lead.inset..];
    let rest = rest.strip_prefix("NOTICE: ").unwrap_or(rest);
    let rest = rest.strip_prefix("PHP message: ").unwrap_or(rest);
    let rest = rest.strip_prefix("PHP ").unwrap_or(rest);
    ["Fatal error: ", "Parse error: ", "Warning: "]
        .iter()
        .find_map(|it| rest.strip_prefix(it))
        .map(|it| (lead, text.len() - it.trim_start().len()))
        .filter(|(_, start)| !rest.starts_with("Warning: ") || text[..*start].contains("PHP "))
}

fn error(text: &str, start: usize) -> Option<Event<'_>> {
    if let Some(event) = rule::event(ERRORS, Product::Php, text, start) {
        return Some(event.who(place(text)));
    }
    let kind = &text[..start];
    if kind.contains("Warning: ") {
        return None;
    }
    // `Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused in /srv/x.php:3`.
    let uncaught = text[start..].strip_prefix("Uncaught ");
    let Some(raised) = uncaught.and_then(|it| it.find(": ").map(|_| it)).and_then(Raised::any)
    else {
        let sign = if kind.contains("Parse") { Sign::BootFailed } else { Sign::UnhandledException };
        let words = Raised { kind: "", message: &text[start..], text: &text[start..] }.own_words();
        return Some(
            Event::new(Product::Php, sign, Trust::D, span(text, words))
                .detail(Some(words))
                .who(place(text)),
        );
    };
    let sign = raised.sign().unwrap_or(Sign::UnhandledException);
    let words = raised.decisive();
    Some(
        Event::new(Product::Php, sign, Trust::D, span(text, words))
            .detail(Some(words))
            .upstream(raised.dialled())
            .who(place(text)),
    )
}

/// ` in /srv/x.php on line 3` and ` in /srv/x.php:3`.
fn place(text: &str) -> Option<String> {
    let at = text.rfind(" in /")?;
    let rest = &text[at + 4..];
    if let Some((file, line)) = rest.split_once(" on line ") {
        return Some(format!("{file}:{}", number(line)?));
    }
    let word = rest.split(' ').next()?;
    word.contains(".php:").then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{FPM, RULES};
    use crate::rule::assert_hooked;
    use crate::testing::{check, check_nothing};

    #[test]
    fn its_own_acts_are_read() {
        for (line, want) in [
            (
                "WARNING: [pool www] server reached pm.max_children setting (5), consider raising it",
                "PoolExhausted who=www number=5 | server reached pm.max_children setting (5)",
            ),
            (
                "WARNING: [pool www] child 57 exited on signal 9 (SIGKILL) after 12.663394 seconds from start",
                "WorkerKilled who=www number=9 | child 57 exited on signal 9 (SIGKILL)",
            ),
            (
                "WARNING: [pool api] child 57 exited on signal 11 (SIGSEGV - core dumped) after 1.0 seconds from start",
                "WorkerSegfault who=api number=11 | child 57 exited on signal 11 (SIGSEGV",
            ),
            (
                "ERROR: unable to bind listening socket for address '127.0.0.1:9000': Address already in use (98)",
                "PortInUse upstream=127.0.0.1:9000 | unable to bind listening socket for address '127.0.0.1:9000': Address already in use",
            ),
            ("NOTICE: ready to handle connections", "Ready | ready to handle connections"),
            (
                "WARNING: [pool www] child 7, script '/srv/x.php' (request: \"GET /x?a execution timed out (1.0 sec)\") execution timed out (31.204000 sec), terminating",
                "WorkerTimedOut who=www detail=/srv/x.php number=31204 | execution timed out (31.204000 sec)",
            ),
        ] {
            check(&format!("[20-Nov-2026 15:16:30] {line}"), &format!("php-fpm: {want}"));
        }
    }

    #[test]
    fn errors_of_scripts_are_read() {
        check(
            "[20-Nov-2026 15:16:30 UTC] PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes) in /srv/x.php on line 3",
            "PHP: HeapExhausted who=/srv/x.php:3 number=134217728 | Allowed memory size of 134217728 bytes exhausted",
        );
        check(
            "PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused in /srv/db.php:7",
            "PHP: DbRefused who=/srv/db.php:7 detail=PDOException: SQLSTATE[HY000] [2002] Connection refused | PDOException: SQLSTATE[HY000] [2002] Connection refused",
        );
        check(
            "PHP Fatal error:  Maximum execution time of 30 seconds exceeded in /srv/x.php on line 3",
            "PHP: WorkerTimedOut who=/srv/x.php:3 number=30000 | Maximum execution time of 30 seconds exceeded",
        );
    }

    #[test]
    fn what_a_caller_sent_is_no_act() {
        check_nothing(
            "[20-Nov-2026 15:16:30] WARNING: [pool www] child 7 said into stderr: \"server reached pm.max_children setting (5)\"",
        );
        check_nothing("it said PHP Fatal error:  Allowed memory size of 1 bytes exhausted");
        check_nothing("PHP Warning:  Undefined variable $x in /srv/x.php on line 2");
    }

    #[test]
    fn no_rule_is_passed_over() {
        assert_hooked(FPM.hooks, RULES);
    }
}
