//! Words for what is wrong with our own host, and for our own mistakes.

use crate::output::Output;
use proxy::{Notice, Stage, Tell, Trouble};
use rustix::process::{Resource, getrlimit};
use std::any::Any;
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::time::Duration;

/// Says it on standard error.
pub(crate) fn teller(output: &Output) -> Tell {
    let output = output.clone();
    Arc::new(move |notice| output.message(&words(notice)))
}

fn words(Notice { trouble, stage, times }: Notice) -> String {
    let (what, advice) = about(trouble);
    match stage {
        Stage::Begun => format!("{what}; {advice}"),
        Stage::Lasts(since) => format!("{what}, {times} times in {}; {advice}", span(since)),
        Stage::Over(lasted) => {
            format!("over: {what}, {times} times in {}", span(lasted))
        }
    }
}

fn span(it: Duration) -> String {
    match it.as_secs() {
        0 => "less than a second".to_owned(),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// What is wrong, and what to do about it.
fn about(trouble: Trouble) -> (&'static str, String) {
    let (what, advice) = match trouble {
        Trouble::NoDescriptors => {
            let limit = getrlimit(Resource::Nofile).current;
            let limit = limit.map_or_else(|| "unlimited".to_owned(), |it| it.to_string());
            return (
                "no file descriptor is left, clients are answered with 503 or closed",
                format!(
                    "raise LimitNOFILE of the service (now {limit}) or fs.file-max, or lower \
                     `limits.connections`"
                ),
            );
        }
        Trouble::NoPorts => (
            "no local port is left for connections to a target",
            "see `goodgate explain ephemeral_ports_exhausted`",
        ),
        Trouble::NoSocketMemory => (
            "the kernel has no memory for another connection",
            "see `goodgate explain gateway_memory`",
        ),
        Trouble::MemoryFull => (
            "memory is nearly used up, new requests are answered with 503",
            "give the container or unit more, or see what else runs in it; the share is `limits.memory`",
        ),
        Trouble::Crowded => (
            "all connections of `limits.connections` are open, more are answered with 503 or closed",
            "see who holds them with `ss -tn`, and raise it if they are honest",
        ),
        Trouble::CrowdedAddress => (
            "an address has all connections of `limits.connections_per_address`, more of them are \
             answered with 429 or closed",
            "see who it is with `ss -tn`; a proxy before the gateway belongs into `trusted_proxies`",
        ),
        Trouble::LogFull => (
            "the disk of the access log is full, lines are lost",
            "free some space; requests are served meanwhile",
        ),
        Trouble::LogSlow => (
            "the access log is not taken fast enough, lines are lost",
            "see who reads it; requests are served meanwhile",
        ),
        Trouble::CoreLate => (
            "a core is late to go over to the new configuration",
            "see `goodgate status`, and what else uses the CPU",
        ),
        Trouble::HealthCheckWrongPath => (
            "a health check asks for the wrong thing: the target refuses it (4xx, or a redirect) and \
             answers requests well; it stays in use",
            "see which by `goodgate status --format json`, what to do by `goodgate explain \
             health_check_wrong_path`, and change `health`",
        ),
        Trouble::NamesKept => (
            "a name of a target is not resolved any more, its last addresses are used",
            "ask the name server with `dig`; after `dns.keep_for` they are used no longer",
        ),
        Trouble::LogFailed => (
            "the access log cannot be written, lines are lost",
            "see whether its file or its reader is still there; requests are served meanwhile",
        ),
    };
    (what, advice.to_owned())
}

/// From now on a panic is told as one line, without what a caller sent.
pub(crate) fn on_panic(output: &Output) {
    let output = output.clone();
    std::panic::set_hook(Box::new(move |info| output.message(&panicked(info))));
}

fn panicked(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("a thread");
    let request = proxy::serving().map(|it| format!(", request {it}")).unwrap_or_default();
    let why = why(info.payload());
    format!(
        "panicked at {place} in {thread}{request}: {why} (a bug; see `goodgate explain gateway_bug`)"
    )
}

/// A panic's own words. Where they were put together at run time, they may hold what a caller sent
/// from the first quote on.
fn why(payload: &(dyn Any + Send)) -> String {
    if let Some(literal) = payload.downcast_ref::<&'static str>() {
        return (*literal).to_owned();
    }
    let made = payload.downcast_ref::<String>().map_or("", String::as_str);
    let plain = made.split(['"', '\'', '`']).next().unwrap_or_default();
    let plain: String = plain.chars().filter(|it| !it.is_control()).take(120).collect();
    if plain.len() < made.len() { format!("{plain}...") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_sent_is_not_told() {
        let check = |payload: &(dyn Any + Send), expected: &str| assert_eq!(why(payload), expected);
        check(&"it cannot be", "it cannot be");
        check(&"index out of bounds: the len is 3".to_owned(), "index out of bounds: the len is 3");
        check(
            &"no boundary; it is inside of `secret`".to_owned(),
            "no boundary; it is inside of ...",
        );
        check(&7, "");
    }

    #[test]
    fn a_trouble_is_told_with_what_to_do() {
        let told = |stage| words(Notice { trouble: Trouble::LogFull, stage, times: 3 });
        assert_eq!(
            told(Stage::Begun),
            "the disk of the access log is full, lines are lost; free some space; requests are \
             served meanwhile"
        );
        assert_eq!(
            told(Stage::Over(Duration::from_secs(90))),
            "over: the disk of the access log is full, lines are lost, 3 times in 90 s"
        );
    }
}
