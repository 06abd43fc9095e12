//! The lines of the service manager: `gunicorn.service: Main process exited, code=exited,
//! status=1/FAILURE`, from journald, syslog, or pasted without what stood in front.

use super::unit;
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::readers::exit::signalled;
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const LOG: Reader = Reader {
    name: "systemd log",
    product: Product::Systemd,
    hooks: &[
        "systemd",
        ".service: ",
        ".socket: ",
        ".scope: ",
        ".service could not be found",
        ".service not found",
        ".service is masked",
        "Job for ",
        "dumped core",
        "chronyd",
        "ntpd",
        "Failed to start ",
        "Dependency failed for ",
        "-- Reboot --",
        "-- Boot ",
    ],
    fits: |line| message(line).is_some(),
    read: |line, sink| {
        if let Some(message) = message(line) {
            read(line, message, sink);
        }
    },
    source: "systemd 252: src/core/service.c, src/core/unit.c, src/core/job.c; systemd.exec(5)",
    example: "gunicorn.service: Main process exited, code=exited, status=1/FAILURE",
};

/// The manager's words: by who wrote the line, or by how they begin.
fn message<'l>(line: &'l Line) -> Option<&'l str> {
    let text = &*line.text;
    match line.ident.as_deref() {
        Some(ident) if ident.starts_with("systemd") => return Some(text),
        Some("chronyd" | "ntpd" | "systemctl") => return Some(text),
        Some(_) => return None,
        None => {}
    }
    if let Some((head, rest)) = text.split_once("]: ") {
        let (ident, pid) = head.rsplit_once('[').unwrap_or(("", ""));
        let manager = ident.rsplit(' ').next().is_some_and(|it| it.starts_with("systemd"));
        if manager && ident.len() <= 64 && pid.bytes().all(|it| it.is_ascii_digit()) {
            return Some(rest);
        }
    }
    said(text.trim_start()).is_some().then(|| text.trim_start())
}

#[derive(Default)]
struct Said<'a> {
    words: &'a str,
    who: Option<&'a str>,
    detail: Option<&'a str>,
    number: Option<i64>,
    pid: Option<u32>,
    upstream: Option<&'a str>,
}

fn read(line: &Line, message: &str, sink: &mut dyn Sink) {
    let of_manager = line.ident.is_some() || message.len() < line.text.trim_start().len();
    let found = said(message).or_else(|| if of_manager { announced(line, message) } else { None });
    let Some((sign, it)) = found else { return };
    sink.event(
        Event::new(Product::Systemd, sign, Trust::B, span_of(&line.text, it.words))
            .who(it.who)
            .detail(it.detail)
            .number(it.number)
            .pid(it.pid)
            .upstream(it.upstream),
    );
}

/// What is certain from the words alone.
fn said(message: &str) -> Option<(Sign, Said<'_>)> {
    let own = unit(message).and_then(|it| Some((it, message[it.len()..].strip_prefix(": ")?)));
    if let Some((unit, rest)) = own {
        let (sign, said) = of_unit(rest)?;
        return Some((sign, Said { who: Some(unit), ..said }));
    }
    if let Some(rest) = message.strip_prefix("Unit ") {
        let unit = unit(rest)?;
        let state = rest[unit.len()..].trim_start();
        let missing = ["could not be found", "not found", "is masked", "entered failed state"];
        let words = missing.iter().find(|it| state.starts_with(**it))?;
        let end = message.len() - state.len() + words.len();
        let said = Said {
            words: &message[..end],
            who: Some(unit),
            detail: Some(words),
            ..Said::default()
        };
        return Some((Sign::ProcessInactive, said));
    }
    // What `systemctl start` and `restart` print.
    if let Some(rest) = message.strip_prefix("Job for ") {
        let unit = unit(rest)?;
        let because = rest[unit.len()..].strip_prefix(" failed because ")?;
        let sign = match because.contains("timeout") {
            true => Sign::BootTimedOut,
            false => Sign::BootFailed,
        };
        let because = because.split(". ").next()?.trim_end_matches('.');
        let end = span_of(message, because).end;
        let said = Said {
            words: &message[..end],
            who: Some(unit),
            detail: Some(because),
            ..Said::default()
        };
        return Some((sign, said));
    }
    if let Some(rest) = message.strip_prefix("Failed to start ") {
        if let Some((name, why)) = rest.split_once(": Unit ") {
            let words = ["not found", "is masked"].iter().find(|it| why.contains(**it))?;
            let said =
                Said { words: message, who: Some(name), detail: Some(words), ..Said::default() };
            return Some((Sign::ProcessInactive, said));
        }
        let name = named(rest)?;
        return Some((
            Sign::BootFailed,
            Said { words: message, who: Some(name), ..Said::default() },
        ));
    }
    if let Some(rest) = message.strip_prefix("Dependency failed for ") {
        let said = Said {
            words: message,
            who: Some(named(rest)?),
            detail: Some("dependency"),
            ..Said::default()
        };
        return Some((Sign::BootFailed, said));
    }
    if let Some(rest) = message.strip_prefix("Process ") {
        let (process, after) = rest.split_once(" (")?;
        let (name, after) = after.split_once(')')?;
        let end = message.find(" dumped core").filter(|_| after.contains(" dumped core"))?;
        let said = Said {
            words: &message[..end + " dumped core".len()],
            who: Some(name),
            pid: Some(process.parse().ok()?),
            ..Said::default()
        };
        return Some((Sign::WorkerSegfault, said));
    }
    // What journalctl writes between two boots.
    let boot = message.strip_prefix("-- Boot ").and_then(|it| it.strip_suffix(" --"));
    if message == "-- Reboot --" || boot.is_some_and(|it| it.len() == 32) {
        return Some((Sign::Rebooted, Said { words: message, ..Said::default() }));
    }
    clock(message)
}

/// `Gunicorn instance to serve shop.`, `gunicorn.service - Gunicorn daemon.`: the unit where it is
/// named, else the description.
fn named(rest: &str) -> Option<&str> {
    if let Some(unit) = unit(rest) {
        return Some(unit);
    }
    let name = rest.trim_end().trim_end_matches('.');
    (!name.is_empty() && name.len() <= 200).then_some(name)
}

fn of_unit(rest: &str) -> Option<(Sign, Said<'_>)> {
    let lower = rest.strip_prefix("main").or_else(|| rest.strip_prefix("Main"));
    let control = rest.strip_prefix("control").or_else(|| rest.strip_prefix("Control"));
    if let Some(tail) = lower.or(control).and_then(|it| it.strip_prefix(" process exited, code=")) {
        return exited(rest, tail);
    }
    if let Some(result) = rest.strip_prefix("Failed with result '") {
        let (result, _) = result.split_once('\'')?;
        let words = &rest[.."Failed with result '".len() + result.len() + 1];
        return Some((by_result(result), Said { words, detail: Some(result), ..Said::default() }));
    }
    if let Some(step) = rest.strip_prefix("Failed at step ") {
        let why = rest.rsplit(": ").next().filter(|it| it.len() < rest.len());
        let step = step.split(' ').next()?;
        let words = &rest[..rest.len() - rest["Failed at step ".len() + step.len()..].len()];
        return Some((
            Sign::BootFailed,
            Said { words, detail: why.or(Some(step)), ..Said::default() },
        ));
    }
    if let Some(count) = rest.strip_prefix("Scheduled restart job, restart counter is at ") {
        let count = number(count)?;
        // The first restart is no loop yet.
        let words = rest.trim_end_matches('.');
        let said = Said { words, number: Some(count), ..Said::default() };
        return (count > 1).then_some((Sign::CrashLooping, said));
    }
    if let Some(limit) = between(rest, "Watchdog timeout (limit ", ")")
        .or_else(|| between(rest, "watchdog timeout (limit ", ")"))
    {
        let words = rest.trim_end_matches('!');
        return Some((Sign::Hung, Said { words, number: duration(limit), ..Said::default() }));
    }
    if let Some(at) = rest.find("): Address already in use") {
        let upstream = rest[..at].rsplit('(').next();
        return Some((Sign::PortInUse, Said { words: rest, upstream, ..Said::default() }));
    }
    if let Some(process) = rest.strip_prefix("Killing process ") {
        let (process, signal) = process.split_once(" with signal SIG")?;
        let signal_number = match signal.trim_end_matches('.') {
            "KILL" => 9,
            "ABRT" => 6,
            "TERM" => 15,
            _ => return None,
        };
        let said = Said {
            words: rest.trim_end_matches('.'),
            detail: between(process, "(", ")"),
            pid: number(process).and_then(|it| it.try_into().ok()),
            number: Some(signal_number),
            ..Said::default()
        };
        return Some((Sign::ProcessKilled, said));
    }
    const FIXED: [(&str, Sign); 16] = [
        ("A process of this unit has been killed by the OOM killer", Sign::OomKilled),
        ("Start request repeated too quickly", Sign::CrashLooping),
        ("start request repeated too quickly", Sign::CrashLooping),
        ("Start-limit-hit", Sign::CrashLooping),
        ("State 'stop-sigterm' timed out", Sign::ProcessKilled),
        ("State 'final-sigterm' timed out", Sign::ProcessKilled),
        ("stop-sigterm timed out", Sign::ProcessKilled),
        ("State 'stop-watchdog' timed out", Sign::Hung),
        ("start operation timed out", Sign::BootTimedOut),
        ("start-pre operation timed out", Sign::BootTimedOut),
        ("State 'start' timed out", Sign::BootTimedOut),
        ("Unit entered failed state", Sign::ProcessInactive),
        ("Failed to load environment files", Sign::ConfigMissing),
        ("Failed to listen on sockets: Address already in use", Sign::PortInUse),
        ("Failed to listen on sockets", Sign::BindFailed),
        ("Failed to run 'start' task", Sign::BootFailed),
    ];
    if let Some((words, sign)) = FIXED.iter().find(|(it, _)| rest.starts_with(it)) {
        let words = &rest[..words.len()];
        let detail = rest[words.len()..]
            .strip_prefix(": ")
            .or((*sign == Sign::ProcessKilled).then_some("did not end in time after SIGTERM"));
        let number = (*sign == Sign::ProcessKilled).then_some(9);
        return Some((*sign, Said { words, detail, number, ..Said::default() }));
    }
    // `Failed to locate executable /srv/venv/bin/gunicorn: No such file or directory` and the like.
    const SETUP: [&str; 6] = [
        "Failed to locate executable ",
        "Failed to execute ",
        "Unable to locate executable ",
        "Changing to the requested working directory failed",
        "Failed to determine user credentials",
        "Job ",
    ];
    let setup = SETUP.iter().find(|it| rest.starts_with(**it))?;
    if *setup == "Job " {
        let result = between(rest, " failed with result '", "'")?;
        let said =
            Said { words: rest.trim_end_matches('.'), detail: Some(result), ..Said::default() };
        return Some((Sign::BootFailed, said));
    }
    Some((Sign::BootFailed, Said { words: rest, detail: Some(rest), ..Said::default() }))
}

/// `exited, status=1/FAILURE`, `killed, status=9/KILL`, `dumped, status=11/SEGV`.
fn exited<'a>(rest: &'a str, tail: &'a str) -> Option<(Sign, Said<'a>)> {
    let (code, status) = tail.split_once(", ").or_else(|| tail.split_once(' '))?;
    let status = status.strip_prefix("status=")?;
    let status = status.split([' ', ',']).next()?;
    let value = number(status)?;
    let end = span_of(rest, status).end;
    let said =
        Said { words: &rest[..end], detail: Some(status), number: Some(value), ..Said::default() };
    Some((by_code(code, value)?, said))
}

/// What `code=` and `status=` say. From 200 on, systemd itself could not set the process up
/// (systemd.exec(5), "Process exit codes").
pub(super) fn by_code(code: &str, status: i64) -> Option<Sign> {
    Some(match code {
        "exited" if (200..=243).contains(&status) => Sign::BootFailed,
        "exited" => Sign::ProcessExited,
        "killed" => signalled(status),
        "dumped" => Sign::WorkerSegfault,
        _ => return None,
    })
}

/// What a `Result=` says (systemd.service(5), `$SERVICE_RESULT`).
pub(super) fn by_result(result: &str) -> Sign {
    match result {
        "oom-kill" => Sign::OomKilled,
        "core-dump" => Sign::WorkerSegfault,
        "watchdog" => Sign::Hung,
        "start-limit-hit" | "start-limit" | "service-start-limit-hit" => Sign::CrashLooping,
        "resources" | "protocol" | "dependency" => Sign::BootFailed,
        _ => Sign::ProcessInactive,
    }
}

/// `30s`, `1min 30s`, `500ms`, in milliseconds.
fn duration(text: &str) -> Option<i64> {
    let mut all = 0i64;
    for part in text.split(' ') {
        let value = number(part)?;
        let unit = part.trim_start_matches(|it: char| it.is_ascii_digit());
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "min" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        all = all.saturating_add(value.saturating_mul(factor));
    }
    Some(all)
}

/// What is the manager's only when the manager is known to have said it.
fn announced<'a>(line: &Line, message: &'a str) -> Option<(Sign, Said<'a>)> {
    const VERBS: [(&str, Sign); 5] = [
        ("Started ", Sign::Started),
        ("Stopped ", Sign::ProcessStopped),
        ("Stopping ", Sign::ShuttingDown),
        ("Listening on ", Sign::Listening),
        ("Failed to listen on ", Sign::BindFailed),
    ];
    if let Some((verb, sign)) = VERBS.iter().find(|(it, _)| message.starts_with(it)) {
        let name = named(&message[verb.len()..])?;
        let lower = name.to_ascii_lowercase();
        let session = lower.starts_with("session ") || lower.starts_with("user manager");
        // Between two attempts of a restart, systemd says that it stopped what had died.
        let between_restarts = *sign == Sign::ProcessStopped
            && line.preceding().take(3).any(|it| it.contains("Scheduled restart job"));
        if session || between_restarts {
            return None;
        }
        let words = message.trim_end().trim_end_matches('.');
        return Some((*sign, Said { words, who: Some(name), ..Said::default() }));
    }
    if message.starts_with("System is rebooting") || message.starts_with("Shutting down.") {
        return Some((Sign::Rebooted, Said { words: message, ..Said::default() }));
    }
    // systemd-oomd.
    let rest = message.strip_prefix("Killed ")?;
    let (group, _) = rest.split_once(" due to memory ")?;
    let end = message.len() - rest.len() + group.len() + " due to memory".len();
    let said = Said { words: &message[..end], who: group.rsplit('/').next(), ..Said::default() };
    Some((Sign::OomKilled, said))
}

/// Large steps of the clock, as time daemons and journald tell them.
fn clock(message: &str) -> Option<(Sign, Said<'_>)> {
    const WORDS: [&str; 6] = [
        "System clock wrong by ",
        "Forward time jump detected",
        "Backward time jump detected",
        "Time jumped backwards",
        "Time has been changed",
        "System clock time unset or jumped backwards",
    ];
    let words = WORDS.iter().find(|it| message.starts_with(**it))?;
    let words = &message[..words.len()];
    let step = message.strip_prefix("System clock wrong by ").and_then(|it| it.split(' ').next());
    let step: Option<f64> = step.and_then(|it| it.parse().ok());
    if step.is_some_and(|it| it.abs() < 1.0) {
        return None;
    }
    let number = step.map(|it| (it * 1000.0) as i64);
    Some((Sign::ClockJumped, Said { words, number, ..Said::default() }))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_last, check_nothing};

    #[test]
    fn how_a_main_process_ended_is_told_by_code_and_status() {
        check(
            "Nov 20 15:16:30 web systemd[1]: app.service: Main process exited, code=exited, \
             status=3/NOTIMPLEMENTED",
            "systemd: ProcessExited who=app.service detail=3/NOTIMPLEMENTED number=3 | Main \
             process exited, code=exited, status=3/NOTIMPLEMENTED",
        );
        check(
            "app.service: Main process exited, code=killed, status=9/KILL",
            "systemd: ProcessKilled who=app.service detail=9/KILL number=9 | Main process exited, \
             code=killed, status=9/KILL",
        );
        check(
            "systemd[1]: app.service: main process exited, code=exited, status=203/EXEC",
            "systemd: BootFailed who=app.service detail=203/EXEC number=203 | main process \
             exited, code=exited, status=203/EXEC",
        );
        check(
            "app.service: Main process exited, code=dumped, status=11/SEGV",
            "systemd: WorkerSegfault who=app.service detail=11/SEGV number=11 | Main process \
             exited, code=dumped, status=11/SEGV",
        );
    }

    #[test]
    fn results_and_limits_are_told() {
        check(
            "app.service: Failed with result 'oom-kill'.",
            "systemd: OomKilled who=app.service detail=oom-kill | Failed with result 'oom-kill'",
        );
        check(
            "app.service: A process of this unit has been killed by the OOM killer.",
            "systemd: OomKilled who=app.service | A process of this unit has been killed by the \
             OOM killer",
        );
        check(
            "app.service: Scheduled restart job, restart counter is at 5.",
            "systemd: CrashLooping who=app.service number=5 | Scheduled restart job, restart \
             counter is at 5",
        );
        check_nothing("app.service: Scheduled restart job, restart counter is at 1.");
        check(
            "app.service: Watchdog timeout (limit 1min 30s)!",
            "systemd: Hung who=app.service number=90000 | Watchdog timeout (limit 1min 30s)",
        );
        check(
            "app.service: State 'stop-sigterm' timed out. Killing.",
            "systemd: ProcessKilled who=app.service detail=did not end in time after SIGTERM \
             number=9 | State 'stop-sigterm' timed out",
        );
        check(
            "app.socket: Failed to create listening socket (127.0.0.1:8000): Address already in use",
            "systemd: PortInUse upstream=127.0.0.1:8000 who=app.socket | Failed to create \
             listening socket (127.0.0.1:8000): Address already in use",
        );
    }

    #[test]
    fn starts_and_stops_are_the_managers_only() {
        check(
            "Nov 20 15:16:30 web systemd[1]: Stopped Gunicorn instance to serve shop.",
            "systemd: ProcessStopped who=Gunicorn instance to serve shop | Stopped Gunicorn \
             instance to serve shop",
        );
        check(
            "2026-11-20T15:16:30+0000 web systemd[1]: Started app.service - The app.",
            "systemd: Started who=app.service | Started app.service - The app",
        );
        check_last(
            "Nov 20 15:16:30 web systemd[1]: app.service: Scheduled restart job, restart counter \
             is at 1.\nNov 20 15:16:30 web systemd[1]: Stopped The app.",
            "",
        );
        check_nothing("Stopped The app.");
        check_nothing("Nov 20 15:16:30 web app[9]: Stopped The app.");
        check_nothing("Nov 20 15:16:30 web systemd[1]: Started Session 12 of user root.");
    }

    #[test]
    fn units_that_are_missing_or_failed_to_start_are_told() {
        check(
            "Unit shop.service could not be found.",
            "systemd: ProcessInactive who=shop.service detail=could not be found | Unit \
             shop.service could not be found",
        );
        check(
            "Job for nginx.service failed because the control process exited with error code.",
            "systemd: BootFailed who=nginx.service detail=the control process exited with error \
             code | Job for nginx.service failed because the control process exited with error code",
        );
        check(
            "app.service: Failed at step CHDIR spawning /srv/app/run: No such file or directory",
            "systemd: BootFailed who=app.service detail=No such file or directory | Failed at \
             step CHDIR",
        );
        check(
            "Nov 20 15:16:30 web systemd-coredump[81]: Process 80 (gunicorn) of user 33 dumped core.",
            "systemd: WorkerSegfault who=gunicorn | Process 80 (gunicorn) of user 33 dumped core",
        );
        check("-- Reboot --", "systemd: Rebooted | -- Reboot --");
        check(
            "Nov 20 15:16:30 web chronyd[81]: System clock wrong by -3600.5 seconds",
            "systemd: ClockJumped number=-3600500 | System clock wrong by ",
        );
    }

    #[test]
    fn an_apps_own_words_are_not_the_managers() {
        check_nothing(
            "Nov 20 15:16:30 web gunicorn[9]: app.service: Main process exited, code=killed, \
             status=9/KILL",
        );
        check_nothing("GET /app.service: Failed with result 'oom-kill'. HTTP/1.1");
        check_nothing("systemd[1]: app.service: Main process exited, code=");
        check_nothing("app.service: ");
    }
}
