//! `systemctl status`: its block of lines, and the block pasted into one line.

use super::lines::{by_code, by_result};
use super::unit;
use crate::clock::{self, Stamp};
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const STATUS: Reader = Reader {
    name: "systemctl status",
    product: Product::Systemd,
    hooks: &["Active: ", "Main PID: ", "Process: "],
    fits,
    read,
    source: "systemctl(1), status; systemd 252 src/systemctl/systemctl-show.c",
    example: "gunicorn.service - The app Loaded: loaded (/etc/systemd/system/gunicorn.service; \
              enabled) Active: inactive (dead) since Fri 2026-11-20 10:29:00 UTC; 1min 15s ago",
};

const STATES: [&str; 6] =
    ["active (", "inactive (", "failed", "activating (", "deactivating (", "reloading"];

fn fits(line: &Line) -> bool {
    if line.ident.is_some() {
        return false;
    }
    let text = line.text.trim_start();
    if let Some(state) = text.strip_prefix("Active: ") {
        return STATES.iter().any(|it| state.starts_with(it));
    }
    let process = text.starts_with("Main PID: ") || text.starts_with("Process: ");
    process && text.contains("(code=") || in_one_line(text).is_some()
}

/// The unit of a block that stands in one line.
fn in_one_line(text: &str) -> Option<&str> {
    let loaded = text.find(" Loaded: ")?;
    let state = text[loaded..].find(" Active: ")?;
    let state = &text[loaded + state + " Active: ".len()..];
    if !STATES.iter().any(|it| state.starts_with(it)) {
        return None;
    }
    head(&text[..loaded])
}

/// `● gunicorn.service - The app`.
fn head(text: &str) -> Option<&str> {
    unit(text.trim_start_matches(|it: char| !it.is_ascii_alphanumeric()))
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let text = &*line.text;
    let own = in_one_line(text);
    let above: Option<String> = match own {
        Some(_) => None,
        None => line
            .preceding()
            .take(30)
            .take_while(|it| !it.trim().is_empty())
            .find_map(|it| head(&it).filter(|_| !it.starts_with(' ')).map(str::to_owned)),
    };
    let who = own.map(str::to_owned).or(above);
    if let Some((sign, words, detail, at)) = state(text) {
        sink.event(
            Event::new(Product::Systemd, sign, Trust::B, span_of(text, words))
                .at(at)
                .who(who.clone())
                .detail(detail),
        );
    }
    let process = text.find("Main PID: ").or_else(|| text.find("Process: "));
    if let Some((sign, words, status, pid)) = process.and_then(|at| ended(&text[at..])) {
        // A command that ended well (`ExecStartPre`, a reload) is no news.
        if sign == Sign::ProcessExited && number(status) == Some(0) {
            return;
        }
        sink.event(
            Event::new(Product::Systemd, sign, Trust::B, span_of(text, words))
                .who(who)
                .detail(Some(status))
                .number(number(status))
                .pid(pid),
        );
    }
}

/// `Active: failed (Result: exit-code) since Fri 2026-11-20 10:29:00 UTC; 5s ago`.
fn state(text: &str) -> Option<(Sign, &str, Option<&str>, Option<Stamp>)> {
    let start = text.find("Active: ")?;
    let text = &text[start..];
    let state = &text["Active: ".len()..];
    let end = state.find([';', '\n']).unwrap_or(state.len());
    let whole = &state[..end];
    let before = whole.find(" since ").unwrap_or(whole.len());
    let at = whole.get(before + " since ".len()..).and_then(since);
    // The state ends with its last bracket.
    let state = &whole[..before];
    let state = match state.rfind(')') {
        Some(at) => &state[..=at],
        None => state.split(' ').next()?,
    };
    let result = between(state, "Result: ", ")");
    let sign = match state.split([')', ':']).next()?.trim_end() {
        "active (running" => Sign::Started,
        "active (exited" => Sign::ProcessExited,
        "active (listening" => Sign::Listening,
        "activating (auto-restart" => Sign::CrashLooping,
        it if it.starts_with("activating (") => Sign::StartingUp,
        it if it.starts_with("deactivating (") => Sign::ShuttingDown,
        it if it.starts_with("inactive (") => Sign::ProcessInactive,
        it if it.starts_with("failed") => result.map_or(Sign::ProcessInactive, by_result),
        _ => return None,
    };
    let words = &text[.."Active: ".len() + state.len()];
    let detail = match sign {
        Sign::ProcessExited => Some("active (exited)"),
        _ => result,
    };
    Some((sign, words, detail, at))
}

/// `Fri 2026-11-20 10:29:00 UTC`. The names of other zones are not told apart.
fn since(text: &str) -> Option<Stamp> {
    let text = text.split_once(' ').filter(|(day, _)| day.len() == 3).map_or(text, |(_, it)| it);
    let (at, end) = clock::iso(text)?;
    let utc = matches!(text[end..].trim(), "UTC" | "GMT");
    Some(if utc { at.ahead_of_utc(0) } else { at })
}

/// `Main PID: 81 (code=exited, status=203/EXEC)`.
fn ended(text: &str) -> Option<(Sign, &str, &str, Option<u32>)> {
    let start = text.find("(code=")?;
    let (code, rest) = text[start + "(code=".len()..].split_once(", ")?;
    let value = rest.strip_prefix("status=").or_else(|| rest.strip_prefix("signal="))?;
    let value = value.split([')', ' ']).next()?;
    let sign = match number(value) {
        Some(status) => by_code(code, status)?,
        None => match value {
            "SEGV" | "ABRT" | "ILL" | "BUS" | "FPE" => Sign::WorkerSegfault,
            _ => Sign::ProcessKilled,
        },
    };
    let end = span_of(text, value).end;
    let words = &text[start + 1..end];
    let pid = text.split_once(": ").and_then(|(_, it)| number(it.trim_start()));
    Some((sign, words, value, pid.and_then(|it| it.try_into().ok())))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_last, check_nothing};

    #[test]
    fn a_block_in_one_line_is_read() {
        check(
            "shop.service - The shop Loaded: loaded (/etc/systemd/system/shop.service; enabled; \
             vendor preset: enabled) Active: inactive (dead) since Fri 2026-11-20 10:29:00 UTC; \
             1min 15s ago",
            "systemd: ProcessInactive who=shop.service | Active: inactive (dead)",
        );
        check(
            "× shop.service - The shop Loaded: loaded (/x; enabled) Active: failed (Result: \
             exit-code) since Fri 2026-11-20 10:29:00 UTC; 5s ago Process: 81 ExecStart=/x \
             (code=exited, status=203/EXEC) Main PID: 81 (code=exited, status=203/EXEC)",
            "systemd: ProcessInactive who=shop.service detail=exit-code | Active: failed (Result: \
             exit-code); systemd: BootFailed who=shop.service detail=203/EXEC number=203 | \
             code=exited, status=203/EXEC",
        );
    }

    #[test]
    fn the_unit_stands_in_the_head_of_the_block() {
        let block =
            "● shop.service - The shop\n     Loaded: loaded (/x; enabled; preset: enabled)\n";
        for (line, want) in [
            (
                "     Active: activating (auto-restart) (Result: exit-code) since Fri 2026-11-20 \
                 10:29:00 CET; 2s ago",
                "systemd: CrashLooping who=shop.service detail=exit-code | Active: activating \
                 (auto-restart) (Result: exit-code)",
            ),
            (
                "     Active: active (running) since Fri 2026-11-20 10:29:00 UTC; 2h ago",
                "systemd: Started who=shop.service | Active: active (running)",
            ),
            (
                "     Active: active (exited) since Fri 2026-11-20 10:29:00 MDT; 11min ago",
                "systemd: ProcessExited who=shop.service detail=active (exited) | Active: active \
                 (exited)",
            ),
            (
                "    Process: 80 ExecStart=/srv/x (code=exited, status=217/USER)",
                "systemd: BootFailed who=shop.service detail=217/USER number=217 | code=exited, \
                 status=217/USER",
            ),
            (
                "   Main PID: 80 (code=killed, signal=KILL)",
                "systemd: ProcessKilled who=shop.service detail=KILL | code=killed, signal=KILL",
            ),
            ("   Main PID: 80 (code=exited, status=0/SUCCESS)", ""),
            (
                "     Active: failed (Result: start-limit-hit) since Fri 2026-11-20 10:29:00 UTC; 1s",
                "systemd: CrashLooping who=shop.service detail=start-limit-hit | Active: failed \
                 (Result: start-limit-hit)",
            ),
        ] {
            check_last(&format!("{block}{line}"), want);
        }
    }

    #[test]
    fn a_line_of_another_program_is_no_status() {
        check_nothing("Nov 20 15:16:30 web app[9]: Active: inactive (dead)");
        check_nothing("Active: 12 connections");
        check_nothing("GET /x Loaded: y Active: failed (Result: oom-kill) HTTP/1.1");
        check("Active: failed (Result", "systemd: ProcessInactive | Active: failed");
    }
}
