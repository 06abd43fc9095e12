//! Rust: panics, and the errors of `main`. Their words are the app's own.
//!
//! `thread 'main' panicked at src/main.rs:3:5:` with the message on the next line; before 1.73,
//! `thread 'main' panicked at 'message', src/main.rs:3:5`.

use crate::event::{Event, Sink};
use crate::lead::Lead;
use crate::line::Line;
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::raised::dependency;
use crate::scan::clip;
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const PANIC: Reader = Reader {
    name: "Rust panic",
    product: Product::Rust,
    hooks: &["' panicked at ", " panicked at ", "Error: Os { code: ", "error: Os { code: "],
    fits: |line| panic(&line.text).is_some() || error(&line.text).is_some(),
    read,
    source: "library/std/src/panicking.rs, Rust 1.60 to 1.85",
    example: "thread 'main' panicked at src/main.rs:3:5:",
};

/// The thread, the place, and the message where it stands in the same line.
fn panic(text: &str) -> Option<(Lead<'_>, &str, &str, &str)> {
    let lead = Lead::of(text);
    let rest = text[lead.inset..].strip_prefix("thread '")?;
    let (thread, rest) = rest.split_once('\'')?;
    // Since 1.91 the thread's number stands between.
    let (between, rest) = rest.split_once(" panicked at ")?;
    let number = between.is_empty() || between.starts_with(" (") && between.ends_with(')');
    if !number {
        return None;
    }
    match rest.strip_prefix('\'') {
        Some(old) => {
            let (message, place) = old.rsplit_once("', ")?;
            Some((lead, thread, place, message))
        }
        None => Some((lead, thread, rest.trim_end().trim_end_matches(':'), "")),
    }
}

/// `Error: Os { code: 98, kind: AddrInUse, message: "Address already in use" }`: what `main` gave.
fn error(text: &str) -> Option<(Lead<'_>, i64, usize)> {
    let lead = Lead::of(text);
    let rest = text[lead.inset..].strip_prefix("Error: ").unwrap_or(&text[lead.inset..]);
    let digits = rest.strip_prefix("Os { code: ")?;
    Some((lead, crate::reader::number(digits)?, text.len() - rest.len()))
}

fn of_errno(errno: i64) -> Sign {
    match errno {
        98 | 48 => Sign::PortInUse,
        13 | 99 => Sign::BindFailed,
        24 | 23 => Sign::AppFdExhausted,
        28 => Sign::AppDiskFull,
        30 => Sign::ReadOnlyFs,
        111 | 61 | 110 | 113 => Sign::ExternalFailed,
        _ => Sign::BootFailed,
    }
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let text = &*line.text;
    if let Some((lead, errno, start)) = error(text) {
        let end = text[start..].find('}').map_or(text.len(), |it| start + it + 1);
        let words = clip(&text[start..end], 300);
        sink.event(
            Event::new(Product::Rust, of_errno(errno), Trust::D, start..start + words.len())
                .at(lead.at)
                .number(Some(errno))
                .detail(Some(words)),
        );
        return;
    }
    let Some((lead, thread, place, message)) = panic(text) else { return };
    let below = line.below().next().filter(|_| message.is_empty());
    let message = below.as_ref().map_or(message, |it| it.text.trim());
    let errno =
        message.find("Os { code: ").and_then(|it| crate::reader::number(&message[it + 11..]));
    let port =
        message.rsplit([':', ' ']).find_map(|it| it.trim_matches(['"', ')']).parse::<u16>().ok());
    let sign = match errno.map(of_errno) {
        Some(Sign::ExternalFailed) => port.and_then(dependency).unwrap_or(Sign::ExternalFailed),
        Some(Sign::BootFailed) | None if thread == "main" => Sign::BootFailed,
        Some(Sign::BootFailed) | None => Sign::UnhandledException,
        Some(it) => it,
    };
    // The message may hold a value that somebody sent.
    let own = message.find(['"', '`', '\'', '{']).map_or(message, |it| &message[..it]);
    let own = clip(own, 300).trim_end_matches([' ', ':']);
    let start = text.len() - text[lead.inset..].len();
    let end =
        text[start..].find(" panicked").map_or(text.len(), |it| start + it + " panicked".len());
    sink.event(
        Event::new(Product::Rust, sign, Trust::D, start..end)
            .at(lead.at)
            .who(Some(place.to_owned()))
            .detail(Some(own.to_owned()).filter(|it| !it.is_empty())),
    );
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn panics_are_placed() {
        check(
            "thread 'tokio-runtime-worker' panicked at src/pay.rs:9:5:\nindex out of bounds: the len is 3 but the index is 7\n",
            "Rust: UnhandledException who=src/pay.rs:9:5 detail=index out of bounds: the len is 3 but the index is 7 | thread 'tokio-runtime-worker' panicked",
        );
        check(
            "thread 'main' panicked at 'called `Result::unwrap()` on an `Err` value: Os { code: 98, kind: AddrInUse, message: \"Address already in use\" }', src/main.rs:7:6",
            "Rust: PortInUse who=src/main.rs:7:6 detail=called | thread 'main' panicked",
        );
        check(
            "Error: Os { code: 98, kind: AddrInUse, message: \"Address already in use\" }",
            "Rust: PortInUse detail=Os { code: 98, kind: AddrInUse, message: \"Address already in use\" } number=98 | Os { code: 98, kind: AddrInUse, message: \"Address already in use\" }",
        );
    }

    #[test]
    fn a_quoted_panic_is_none() {
        check_nothing("the log said thread 'main' panicked at src/main.rs:3:5:");
    }
}
