//! What an app that the gateway started says about a request that failed at it.
//!
//! Its output goes through the same readers as any log, and is weighed by the same engine. What its
//! supervisor saw stands beside it as a source of its own, which no line of output can imitate.

use crate::catalogue::RetryClass;
use crate::engine::most_plausible;
use crate::report::{Exhibit, Report};
use crate::secrets::masked;
use evidence::clock::{Stamp, rfc3339};
use evidence::{
    Arrival, Event, Kind, Ledger, Origin, Part, Product, Shape, Sign, Source, Testimony, Trust,
    Window, clip, scan, sign_of_fault,
};
use exchange::{Act, Deed, Ending, Exchange, Fault, Heard, Maker, Micros, Quote, Said, Step};
use std::borrow::Cow;

/// Of several quotes the most that an answer shows.
const QUOTES: usize = 4;
/// Below this an answer would rather mislead.
const PLAUSIBLE: f64 = 0.4;
/// Of several things to do the most that an answer shows.
const STEPS: usize = 3;
/// Bytes of a quote; the decisive words of a line are mostly fewer.
const LONGEST_QUOTE: usize = 400;

/// The sources by their number.
const SOURCE_GATEWAY: u32 = 0;
const SOURCE_OUTPUT: u32 = 1;
const SOURCE_SUPERVISOR: u32 = 2;

/// What is known of an app, as far as it may concern one exchange.
#[derive(Clone, Debug)]
pub struct Statement<'a> {
    /// What people call it: `gunicorn`.
    pub name: &'a str,
    /// In the order in which they came.
    pub said: &'a [Said],
    pub deeds: &'a [Deed],
}

/// Whether lines of output say of something that happened, rather than of how things stand.
#[must_use]
pub fn tells(name: &str, said: &[Said]) -> bool {
    let text = text(said);
    let ledger = read(name, &text).1;
    ledger.groups.keys().any(|it| it.sign.kind() == Kind::Act)
}

/// The cause that an app's own words and end speak for, where they do.
#[must_use]
pub fn hear(exchange: &Exchange, statement: &Statement<'_>) -> Option<Heard> {
    let testimony = testimony(exchange, statement)?;
    let (cause, report) = most_plausible(&testimony, Product::Goodgate)?;
    let confidence = report.candidates.first()?.confidence;
    // A fault as it shows on the wire explains nothing.
    let symptom = matches!(cause.id, "premature_close" | "connection_reset" | "upstream_own_5xx");
    if symptom || confidence < PLAUSIBLE {
        return None;
    }
    let quotes = quotes(cause.id, &report, statement, &testimony);
    (!quotes.is_empty()).then(|| Heard {
        cause: cause.id,
        confidence: confidence as f32,
        statement: masked(&report.statement).into(),
        quotes,
        steps: steps(cause.id, &report),
    })
}

/// What the gateway saw, what the app said, and what its supervisor saw.
fn testimony(exchange: &Exchange, statement: &Statement<'_>) -> Option<Testimony> {
    let mut testimony = Testimony::default();
    let mut seen = Ledger::default();
    fault(exchange, &mut seen)?;
    testimony.sources.push(own_source("gateway"));
    testimony.ledger.absorb(seen, Some(0));
    let text = text(statement.said);
    let (shape, ledger) = read(statement.name, &text);
    testimony.add(statement.name, &shape, Origin::ThisHost, ledger);
    if let Some(source) = testimony.sources.last_mut()
        && let Some(product) = Product::in_path(statement.name)
        && !source.products.contains(&product)
    {
        source.products.push(product);
    }
    let mut supervised = Ledger::default();
    for (at, deed) in statement.deeds.iter().enumerate() {
        let last = at + 1 == statement.deeds.len();
        done(statement.name, deed, last, &mut supervised);
    }
    testimony.sources.push(own_source("goodgate"));
    testimony.ledger.absorb(supervised, Some(0));
    Some(testimony)
}

fn own_source(name: &str) -> Source {
    Source {
        name: name.to_owned(),
        origin: Origin::ThisHost,
        bytes: None,
        lines: None,
        first: None,
        last: None,
        understood: None,
        products: vec![Product::Goodgate],
        format: None,
        skipped: None,
        assumed_year: None,
    }
}

/// The output as one text, each line with the time of its reading in front, as `docker logs
/// --timestamps` writes it.
fn text(said: &[Said]) -> String {
    let mut text = String::new();
    for it in said {
        let second = i64::try_from(it.at / 1_000_000).unwrap_or(i64::MAX);
        let whole = rfc3339(second.saturating_mul(1_000_000));
        let date = whole.get(..19).unwrap_or(&whole);
        text += &format!("{date}.{:06}000Z {}\n", it.at % 1_000_000, it.line);
    }
    text
}

fn read(name: &str, text: &str) -> (Shape, Ledger) {
    let year = text.get(..4).and_then(|it| it.parse().ok()).unwrap_or(1970);
    let mut shape = Shape::of(name, text.as_bytes(), Arrival::File, year);
    shape.by_our_clock = true;
    let part = Part::whole(text.as_bytes());
    let ledger = scan(&shape, SOURCE_OUTPUT, part, Window::default());
    (shape, ledger)
}

/// The failure, at the time at which it was met.
fn fault(exchange: &Exchange, ledger: &mut Ledger) -> Option<()> {
    let attempt = exchange.last_attempt()?;
    let (sign, words) = match &attempt.fault {
        Some(fault) => (sign_of_fault(fault.name())?, Cow::Borrowed(fault.name())),
        None => {
            let answer = exchange.answer.as_ref()?;
            let theirs = answer.made_by == Maker::Upstream && 500 <= answer.status;
            theirs.then(|| (Sign::RelayedError, Cow::Owned(answer.status.to_string())))?
        }
    };
    let spent: Micros = exchange.all_phases().total();
    let at = micros(exchange.began.saturating_add(spent.max(exchange.took)));
    let place = attempt.address.as_ref().map(ToString::to_string);
    let place = place.unwrap_or_else(|| attempt.target.to_string());
    let worked = attempt.since_sent.and_then(|it| i64::try_from(it / 1_000).ok());
    let event = Event::new(Product::Goodgate, sign, Trust::C, 0..words.len());
    let event = event.at(Some(Stamp::utc(at))).upstream(Some(place)).number(worked);
    ledger.witness(SOURCE_GATEWAY, &words, event);
    Some(())
}

/// Who was started, and of whom nothing has been seen since, is on his way up.
fn done(name: &str, deed: &Deed, last: bool, ledger: &mut Ledger) {
    let product = Product::in_path(name).unwrap_or(Product::Unknown);
    let words = told(name, deed);
    let (sign, number, upstream) = match &deed.act {
        Act::Started if last => (Sign::StartingUp, None, None),
        Act::Started => (Sign::Started, None, None),
        Act::Listening(address) => (Sign::Listening, None, Some(address.to_string())),
        Act::Ended(Ending::Signal(it)) => {
            let crashed = matches!(it, 4 | 6..=8 | 11);
            let sign = if crashed { Sign::WorkerSegfault } else { Sign::ProcessKilled };
            (sign, Some(i64::from(*it)), None)
        }
        Act::Ended(Ending::Code(it)) => (Sign::ProcessExited, Some(i64::from(*it)), None),
        Act::OutOfMemory => (Sign::OomKilledCgroup, None, None),
    };
    let event = Event::new(product, sign, Trust::B, 0..words.len())
        .at(Some(Stamp::utc(micros(deed.at))))
        .number(number)
        .upstream(upstream);
    // Which process the kernel chose is not known.
    let chosen = !matches!(deed.act, Act::OutOfMemory);
    let event = event.pid(Some(deed.pid).filter(|_| chosen));
    let event = event.who((!matches!(deed.act, Act::Listening(_))).then(|| name.to_owned()));
    ledger.witness(SOURCE_SUPERVISOR, &words, event);
}

/// What a supervisor saw, as a sentence: `gunicorn (process 42) was killed by signal 9 (SIGKILL)`.
#[must_use]
pub fn told(name: &str, deed: &Deed) -> String {
    let who = format!("{name} (process {})", deed.pid);
    match &deed.act {
        Act::Started => format!("{who} was started"),
        Act::Listening(address) => format!("{who} listens on {address}"),
        Act::Ended(Ending::Code(code)) => format!("{who} ended with exit code {code}"),
        Act::Ended(Ending::Signal(signal)) => match signal_name(*signal) {
            Some(it) => format!("{who} was killed by signal {signal} ({it})"),
            None => format!("{who} was killed by signal {signal}"),
        },
        Act::OutOfMemory => {
            "the kernel killed a process of this cgroup, whose memory was used up".to_owned()
        }
    }
}

/// signal(7), numbers of all architectures that we build for.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}

fn micros(at: Micros) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

/// The app's words first that speak for the cause, then what else was seen at that time.
fn quotes(
    cause: &str,
    report: &Report,
    statement: &Statement<'_>,
    testimony: &Testimony,
) -> Vec<Quote> {
    let supports = |it: &Exhibit| it.supports.iter().any(|it| it == cause);
    let theirs = |it: &&Exhibit| it.source == statement.name || it.source == "goodgate";
    // How things stand, such as that a worker was started, goes with anything.
    let decides = |it: &Exhibit| supports(it) && is_act(it, testimony);
    if !report.evidence.iter().filter(theirs).any(decides) {
        return Vec::new();
    }
    let mut exhibits: Vec<&Exhibit> = report.evidence.iter().filter(theirs).collect();
    // What was raised says more than that something was.
    exhibits.sort_by_key(|it| (!supports(it), place(it, testimony).is_none()));
    let shown = exhibits.into_iter().take(QUOTES);
    shown.map(|it| quote(it, statement, testimony)).collect()
}

fn quote(exhibit: &Exhibit, statement: &Statement<'_>, testimony: &Testimony) -> Quote {
    let place = place(exhibit, testimony).map(|it| format!(", at {it}")).unwrap_or_default();
    let source = match exhibit.source == statement.name {
        true => match statement.said.iter().rev().find(|it| it.line.contains(&exhibit.quote)) {
            Some(it) => format!("{}, process {}", statement.name, it.pid),
            None => statement.name.to_owned(),
        },
        false => exhibit.source.clone(),
    };
    Quote {
        source: source.into(),
        quote: masked(clip(&exhibit.quote, LONGEST_QUOTE)).into(),
        says: masked(&format!("{}{place}", exhibit.says)).into(),
    }
}

fn is_act(exhibit: &Exhibit, testimony: &Testimony) -> bool {
    let mut groups = testimony.ledger.groups.iter();
    groups.any(|(key, group)| {
        key.sign.kind() == Kind::Act && group.all_runs().any(|it| it.opening.quote == exhibit.quote)
    })
}

/// The line of the app's code that raised what is quoted: `/srv/app.py:42 in sum`.
fn place(exhibit: &Exhibit, testimony: &Testimony) -> Option<String> {
    let groups = testimony.ledger.groups.iter();
    let mut same = groups.filter(|(key, group)| {
        key.source == SOURCE_OUTPUT && group.sample().quote == exhibit.quote
    });
    let who = same.find_map(|(key, _)| key.who.as_deref())?;
    let line = who.split(" in ").next()?.rsplit_once(':')?.1;
    line.parse::<u32>().is_ok().then(|| who.to_owned())
}

/// What to do, without the commands of a service manager: the gateway itself starts this app.
fn steps(cause: &str, report: &Report) -> Vec<Step> {
    let managed = |run: &str| run.contains("systemctl") || run.contains("journalctl");
    let steps = report.fix.now.iter().chain(&report.fix.lasting);
    let told = steps
        .filter(|it| !it.run.as_deref().is_some_and(managed))
        .map(|it| Step { text: it.text.as_str().into(), run: it.run.as_deref().map(Into::into) });
    started_again(cause).into_iter().chain(told).take(STEPS).collect()
}

/// What the reader of an answer needs not do.
fn started_again(cause: &str) -> Option<Step> {
    matches!(cause, "process_down" | "crash_at_start" | "startup_not_ready").then(|| Step {
        text: "Its gateway starts it again by itself; requests succeed as soon as it listens"
            .into(),
        run: None,
    })
}

/// Whether an app may have to do with a failure: it did not answer, and that was not for its caller's
/// sake nor for a limit of ours.
#[must_use]
pub fn may_tell(fault: &Fault) -> bool {
    use exchange::{BodyFault, ConnectFault, HeadFault, SendFault};
    match fault {
        Fault::Connect(it) => matches!(
            it,
            ConnectFault::Refused
                | ConnectFault::Reset
                | ConnectFault::SocketMissing
                | ConnectFault::SocketStale
                | ConnectFault::BacklogFull
        ),
        Fault::Send(it) => matches!(it, SendFault::Reset | SendFault::Closed),
        Fault::Head(it) => matches!(
            it,
            HeadFault::Closed | HeadFault::Reset | HeadFault::StreamReset(_) | HeadFault::GoAway(_)
        ),
        Fault::Body(it) => matches!(
            it,
            BodyFault::LengthShort { .. }
                | BodyFault::ChunkCut
                | BodyFault::StreamCut
                | BodyFault::StreamReset(_)
                | BodyFault::Reset
        ),
        Fault::Resolve(_) | Fault::Tls(_) | Fault::Deadline(_) => false,
    }
}

/// Nothing was sent where nothing was connected, whatever the app did.
pub(crate) fn retry_class(fault: Option<&Fault>, class: RetryClass) -> RetryClass {
    match fault {
        Some(Fault::Connect(_)) => RetryClass::R0,
        _ => class,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;
    use crate::{Case, first_look};

    /// 2026-11-20T15:16:30Z.
    const NOW: Micros = 1_795_187_790_000_000;
    const P: &str = "[2026-11-20 15:16:30 +0000] ";

    fn heard(line: &str, output: &str, acts: &[Act]) -> Option<(Exchange, Heard)> {
        let mut exchange = exchange(line);
        exchange.began = NOW - exchange.all_phases().total();
        let said: Vec<Said> = output
            .lines()
            .map(|it| Said { at: NOW + 1_000, pid: 42, line: it.replace("{P}", P).into() })
            .collect();
        let deeds: Vec<Deed> =
            acts.iter().map(|act| Deed { at: NOW + 500, pid: 42, act: act.clone() }).collect();
        let statement = Statement { name: "gunicorn", said: &said, deeds: &deeds };
        let heard = hear(&exchange, &statement)?;
        exchange.heard = Some(Box::new(heard.clone()));
        Some((exchange, heard))
    }

    #[track_caller]
    fn check(line: &str, output: &str, acts: &[Act], expected: &str) {
        let Some((exchange, heard)) = heard(line, output, acts) else {
            panic!("nothing was heard about {line}");
        };
        let case = Case::of(&exchange).unwrap();
        let look = first_look(&case);
        assert_eq!(look.cause().id, heard.cause);
        let mut told = format!("{}: {}", heard.cause, heard.statement);
        for it in &heard.quotes {
            told += &format!("\n{}: {} | {}", it.source, it.quote, it.says);
        }
        assert_eq!(told, expected, "{line}");
    }

    #[track_caller]
    fn check_nothing(line: &str, output: &str, acts: &[Act]) {
        assert_eq!(heard(line, output, acts).map(|it| it.1), None, "{line}");
    }

    const CLOSED: &str = "head: closed | fresh after=300ms | server=gunicorn";
    const REFUSED: &str = "connect: refused | to=127.0.0.1:8000";

    #[test]
    fn a_worker_that_was_killed_is_told_by_its_master() {
        check(
            CLOSED,
            "{P}[7] [ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?\n\
             {P}[11] [INFO] Booting worker with pid: 11",
            &[],
            "worker_crashed: gunicorn (pid 9) was killed by signal 9 in the middle of the request\n\
             gunicorn, process 42: Worker (pid:9) was sent SIGKILL! Perhaps out of memory? | a worker was killed with SIGKILL; the line does not prove by whom\n\
             gunicorn, process 42: Booting worker with pid: 11 | a new worker was started",
        );
    }

    #[test]
    fn memory_that_was_used_up_is_told_by_the_kernel() {
        check(
            CLOSED,
            "{P}[7] [ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?",
            &[Act::OutOfMemory],
            "worker_oom_killed_cgroup: the kernel killed gunicorn: its cgroup reached the memory limit\n\
             goodgate: the kernel killed a process of this cgroup, whose memory was used up | the kernel killed the process because its cgroup reached the memory limit\n\
             gunicorn, process 42: Worker (pid:9) was sent SIGKILL! Perhaps out of memory? | a worker was killed with SIGKILL; the line does not prove by whom",
        );
    }

    #[test]
    fn a_worker_that_took_too_long_is_told_by_its_master() {
        check(
            "head: closed | fresh after=30400ms | server=gunicorn",
            "{P}[7] [CRITICAL] WORKER TIMEOUT (pid:9)",
            &[],
            "worker_timeout_killed: gunicorn killed its worker (pid 9) because the request held it for too long\n\
             gunicorn, process 42: WORKER TIMEOUT (pid:9) | the app server killed a worker that took too long",
        );
    }

    #[test]
    fn the_time_at_which_a_line_was_read_counts() {
        check(
            CLOSED,
            "[2020-01-01 00:00:00 +0000] [7] [ERROR] Worker (pid:9) was sent SIGSEGV!",
            &[],
            "worker_crashed: gunicorn (pid 9) died by a segmentation fault or an abort\n\
             gunicorn, process 42: Worker (pid:9) was sent SIGSEGV! | a worker died by a segmentation fault or an abort",
        );
    }

    #[test]
    fn an_exception_is_told_with_its_place() {
        check(
            "status: 500 | phase=wait_first_byte after=5ms | server=gunicorn",
            "{P}[9] [ERROR] Error handling request GET /sum\n\
             Traceback (most recent call last):\n  \
             File \"/srv/app.py\", line 42, in sum\n    n = 1 / 0\n\
             ZeroDivisionError: division by zero",
            &[],
            "unhandled_exception: the app failed with ZeroDivisionError: division by zero at /srv/app.py:42 in sum\n\
             gunicorn, process 42: ZeroDivisionError: division by zero | an exception ended the request, at /srv/app.py:42 in sum",
        );
    }

    #[test]
    fn an_app_that_cannot_start_is_told_with_what_it_lacks() {
        check(
            REFUSED,
            "{P}[9] [ERROR] Exception in worker process\nTraceback (most recent call last):\n  \
             File \"/srv/app.py\", line 3, in <module>\n    import flask\n\
             ModuleNotFoundError: No module named 'flask'\n\
             {P}[7] [ERROR] Worker (pid:9) exited with code 3.\n\
             {P}[7] [ERROR] Shutting down: Master\n\
             {P}[7] [ERROR] Reason: Worker failed to boot.",
            &[Act::Started, Act::Ended(Ending::Code(3))],
            "crash_at_start: gunicorn never came up on 127.0.0.1:8000: ModuleNotFoundError: No module named 'flask'\n\
             gunicorn, process 42: ModuleNotFoundError: No module named 'flask' | the app did not start, at /srv/app.py:3\n\
             gunicorn, process 42: Worker failed to boot | the app did not start\n\
             goodgate: gunicorn (process 42) ended with exit code 3 | the process ended, with an exit code\n\
             gunicorn, process 42: Worker (pid:9) exited with code 3 | a worker ended unexpectedly",
        );
    }

    #[test]
    fn an_app_that_was_killed_is_told_by_its_supervisor() {
        check(
            REFUSED,
            "",
            &[Act::Ended(Ending::Signal(9))],
            "process_down: gunicorn (pid 42) was killed by signal 9, so nothing listens on 127.0.0.1:8000\n\
             goodgate: gunicorn (process 42) was killed by signal 9 (SIGKILL) | the process was killed by a signal",
        );
        check(
            CLOSED,
            "",
            &[Act::Ended(Ending::Signal(9))],
            "worker_crashed: gunicorn (pid 42) was killed by signal 9 in the middle of the request\n\
             goodgate: gunicorn (process 42) was killed by signal 9 (SIGKILL) | the process was killed by a signal",
        );
        check(
            CLOSED,
            "",
            &[Act::Ended(Ending::Signal(11))],
            "worker_crashed: gunicorn (pid 42) died by a segmentation fault or an abort\n\
             goodgate: gunicorn (process 42) was killed by signal 11 (SIGSEGV) | a worker died by a segmentation fault or an abort",
        );
        check(
            REFUSED,
            "",
            &[Act::Ended(Ending::Code(3))],
            "crash_at_start: gunicorn ended with exit code 3 as it started\n\
             goodgate: gunicorn (process 42) ended with exit code 3 | the process ended, with an exit code",
        );
    }

    #[test]
    fn an_app_that_comes_up_is_waited_for() {
        check(
            REFUSED,
            "",
            &[Act::Started],
            "startup_not_ready: gunicorn (pid 42) was still starting when requests came\n\
             goodgate: gunicorn (process 42) was started | the app is on its way up and does not serve yet",
        );
    }

    #[test]
    fn words_of_callers_and_healthy_lines_are_no_evidence() {
        check_nothing(CLOSED, "", &[]);
        check_nothing(CLOSED, "{P}[11] [INFO] Booting worker with pid: 11", &[]);
        check_nothing(CLOSED, "{P}[7] [INFO] user said WORKER TIMEOUT (pid:1)", &[]);
        check_nothing(CLOSED, "goodgate (process 1) was killed by signal 9 (SIGKILL)", &[]);
        check_nothing(CLOSED, "INFO:shop:user said Worker (pid:9) was sent SIGKILL!", &[]);
    }

    #[test]
    fn only_acts_are_news() {
        let said = |line: &str| [Said { at: NOW, pid: 42, line: line.replace("{P}", P).into() }];
        let check =
            |line: &str, expected| assert_eq!(tells("app", &said(line)), expected, "{line}");
        check("{P}[7] [CRITICAL] WORKER TIMEOUT (pid:9)", true);
        check("{P}[7] [INFO] Listening at: http://127.0.0.1:8000 (7)", false);
        check("GET / 200", false);
    }
}
