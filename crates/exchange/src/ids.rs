//! The identity of an exchange, and the trace it belongs to.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// 128 bits, written as 32 lower-case hexadecimal digits: 48 bits of milliseconds since 1970, then
/// 80 random ones. Always made by us, so it sorts by time, cannot be guessed, and serves as the
/// trace id where the caller has none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(u128);

impl ExchangeId {
    /// `unix_ms` beyond 48 bits (the year 10889) is cut.
    #[must_use]
    pub fn new(unix_ms: u64, random: u128) -> ExchangeId {
        ExchangeId(u128::from(unix_ms) << 80 | random >> 48)
    }

    #[must_use]
    pub fn hex(self) -> [u8; 32] {
        hex(self.0)
    }
}

fn hex<const N: usize>(value: u128) -> [u8; N] {
    let mut text = [0; N];
    for (at, digit) in text.iter_mut().enumerate() {
        let shift = 4 * (N - 1 - at);
        *digit = b"0123456789abcdef"[(value >> shift) as usize & 0xf];
    }
    text
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ExchangeId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<ExchangeId, NotAnId> {
        lower_hex(text, 32).map(ExchangeId).ok_or(NotAnId)
    }
}

/// The text is not 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnId;

impl Serialize for ExchangeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The `traceparent` field of W3C Trace Context: which trace, which span in it, sampled or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    pub trace: u128,
    pub span: u64,
    pub flags: u8,
}

impl TraceParent {
    /// Reads a received field; `None` where the standard tells us to start a new trace.
    #[must_use]
    pub fn parse(text: &str) -> Option<TraceParent> {
        let (version, rest) = text.split_at_checked(2)?;
        lower_hex(version, 2).filter(|it| *it != 0xff)?;
        let mut parts = rest.strip_prefix('-')?.splitn(4, '-');
        let trace = lower_hex(parts.next()?, 32).filter(|it| *it != 0)?;
        let span = lower_hex(parts.next()?, 16).filter(|it| *it != 0)?;
        let flags = lower_hex(parts.next()?, 2)?;
        // A later version may append fields; version 00 has none.
        let ends_right = version != "00" || parts.next().is_none();
        ends_right.then_some(TraceParent {
            trace,
            span: u64::try_from(span).ok()?,
            flags: u8::try_from(flags).ok()?,
        })
    }

    /// A new trace named after the exchange that starts it.
    #[must_use]
    pub fn start(id: ExchangeId, span: u64) -> TraceParent {
        TraceParent { trace: id.0, span: span.max(1), flags: 0 }
    }

    /// The same trace, one step further in.
    #[must_use]
    pub fn child(self, span: u64) -> TraceParent {
        TraceParent { span: span.max(1), ..self }
    }

    /// The 55 bytes of the field's value.
    #[must_use]
    pub fn field(self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        text[3..35].copy_from_slice(&hex::<32>(self.trace));
        text[36..52].copy_from_slice(&hex::<16>(u128::from(self.span)));
        text[53..55].copy_from_slice(&hex::<2>(u128::from(self.flags)));
        text
    }

    #[must_use]
    pub fn trace_hex(self) -> [u8; 32] {
        hex(self.trace)
    }
}

fn lower_hex(text: &str, digits: usize) -> Option<u128> {
    let right = text.len() == digits
        && text.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it));
    right.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn an_id_sorts_by_time_and_reads_back() {
        let (early, late) = (ExchangeId::new(1_000, u128::MAX), ExchangeId::new(1_001, 0));
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(String::from_utf8_lossy(&early.hex()), early.to_string());
        assert_eq!("xyz".parse::<ExchangeId>(), Err(NotAnId));
    }

    #[test]
    fn a_trace_is_continued() {
        let trace = TraceParent::parse(FIELD).expect("the example of the standard");
        let text = trace.child(7).field();
        assert_eq!(
            String::from_utf8_lossy(&text),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000007-01"
        );
    }

    #[test]
    fn what_the_standard_forbids_starts_a_new_trace() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "é0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = FIELD.replacen("00", "01", 1) + "-what-ever";
        assert!(TraceParent::parse(&later).is_some());
    }
}
