//! supervisord's own log: `2026-11-20 15:16:30,123 INFO exited: web (exit status 1; not expected)`.

use crate::clock::{self, Stamp};
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::readers::exit::{exited, signalled};
use crate::readers::table::is_name;
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const LOG: Reader = Reader {
    name: "supervisord log",
    product: Product::Supervisord,
    hooks: &[
        "exited: ",
        "gave up: ",
        "spawnerr: ",
        "spawned: '",
        "success: ",
        "stopped: ",
        "killing '",
        "supervisord started",
    ],
    fits: |line| message(&line.text).is_some(),
    read,
    source: "supervisor 4.2 supervisor/process.py",
    example: "2026-11-20 15:16:30,123 INFO exited: web (exit status 1; not expected)",
};

/// The time, and the words after the level. The level is followed by a word of supervisord's own, so
/// that no other logger's line fits.
fn message(text: &str) -> Option<(Option<Stamp>, &str)> {
    if let Some(it) = bare(text) {
        return Some((None, it));
    }
    let (at, end) = clock::iso(text)?;
    if text.as_bytes().get(19) != Some(&b',') {
        return None;
    }
    let (level, message) = text[end..].strip_prefix(' ')?.split_once(' ')?;
    let known = matches!(level, "INFO" | "WARN" | "CRIT" | "ERRO" | "DEBG");
    (known && LOG.hooks.iter().any(|it| message.starts_with(it))).then_some((Some(at), message))
}

/// A message without its time, where its shape is nobody else's: `exited: web (exit status 1; not
/// expected)`, perhaps after its level.
fn bare(text: &str) -> Option<&str> {
    let text = text.trim();
    let text = text.strip_prefix("INFO ").unwrap_or(text);
    let own = |start: &str, end: &str| text.starts_with(start) && text.ends_with(end);
    let ended = text.starts_with("exited: ")
        && (text.contains(" (exit status ") || text.contains(" (terminated by SIG"))
        && text.ends_with("expected)");
    (ended || own("gave up: ", "too many start retries too quickly")).then_some(text)
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some((at, message)) = message(&line.text) else { return };
    let Some((sign, who, number)) = says(message) else { return };
    let words = message.trim_end();
    sink.event(
        Event::new(Product::Supervisord, sign, Trust::B, span_of(&line.text, words))
            .at(at)
            .who(who)
            .number(number),
    );
}

fn says(message: &str) -> Option<(Sign, Option<&str>, Option<i64>)> {
    let (verb, rest) = message.split_once(": ").unwrap_or((message, ""));
    let who = rest.trim_start_matches('\'').split([' ', '\'']).next().filter(|it| is_name(it));
    let (sign, count) = match verb {
        // `web (exit status 1; not expected)`, `web (terminated by SIGKILL; not expected)`.
        "exited" => match between(rest, "exit status ", ";").and_then(number) {
            Some(code) => {
                let (sign, count) = exited(code);
                (sign, Some(count))
            }
            None => {
                let signal = match between(rest, "terminated by SIG", ";").or(between(
                    rest,
                    "terminated by SIG",
                    " ",
                ))? {
                    "KILL" => 9,
                    "SEGV" => 11,
                    "ABRT" => 6,
                    "TERM" => 15,
                    "BUS" => 7,
                    _ => return None,
                };
                (signalled(signal), Some(signal))
            }
        },
        "gave up" => (Sign::CrashLooping, None),
        "spawnerr" => (Sign::BootFailed, None),
        "spawned" => (Sign::Started, None),
        // It stayed up for `startsecs`: alive, and no more than that.
        "success" => return None,
        "stopped" => (Sign::ProcessStopped, None),
        _ => {
            // `killing 'web' (12) with SIGKILL`.
            let who = between(message, "killing '", "'")?;
            message.ends_with("with SIGKILL").then_some(())?;
            return Some((Sign::ProcessKilled, Some(who), Some(9)));
        }
    };
    Some((sign, who, count))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn how_programs_ended_is_told() {
        for (words, want) in [
            (
                "INFO exited: web (exit status 3; not expected)",
                "supervisord: ProcessExited who=web number=3 | exited: web (exit status 3; not \
                 expected)",
            ),
            (
                "INFO exited: web (terminated by SIGSEGV; not expected)",
                "supervisord: WorkerSegfault who=web number=11 | exited: web (terminated by \
                 SIGSEGV; not expected)",
            ),
            (
                "INFO gave up: web entered FATAL state, too many start retries too quickly",
                "supervisord: CrashLooping who=web | gave up: web entered FATAL state, too many \
                 start retries too quickly",
            ),
            (
                "WARN killing 'web' (12) with SIGKILL",
                "supervisord: ProcessKilled who=web number=9 | killing 'web' (12) with SIGKILL",
            ),
            (
                "INFO spawned: 'web' with pid 12",
                "supervisord: Started who=web | spawned: 'web' with pid 12",
            ),
        ] {
            check(&format!("2026-11-20 15:16:30,123 {words}"), want);
        }
    }

    #[test]
    fn a_line_without_its_time_is_known_by_its_shape() {
        check(
            "exited: unicorn (exit status 1; not expected)",
            "supervisord: ProcessExited who=unicorn number=1 | exited: unicorn (exit status 1; not expected)",
        );
        check_nothing("exited: unicorn and all");
        check_nothing("job exited: web (exit status 3; not expected)");
    }

    #[test]
    fn an_apps_line_is_not_supervisords() {
        check_nothing("2026-11-20 15:16:30,123 INFO job exited: web (exit status 3; x)");
        check_nothing("2026-11-20 15:16:30,123 INFO success: web entered RUNNING state");
        check_nothing("2026-11-20 15:16:30,123 INFO exited: ");
    }
}
