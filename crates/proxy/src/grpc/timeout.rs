//! `grpc-timeout`: up to eight digits and a unit (PROTOCOL-HTTP2.md of gRPC).

use http::header::HeaderValue;
use std::time::Duration;

/// More digits than this do not go on the wire.
const DIGITS: usize = 8;

/// `None` where it cannot be read. Servers of Go refuse such a call as INTERNAL, and so do we: whoever
/// sends it has a deadline in mind that nobody knows.
pub(super) fn read(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let fits = (1..=DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let amount = digits.iter().fold(0, |sum, it| sum * 10 + u64::from(it.wrapping_sub(b'0')) % 10);
    let time = match unit {
        b'H' => Duration::from_secs(amount * 3_600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    };
    fits.then_some(time)
}

/// In the finest unit in which it fits, rounded up, and never nothing.
pub(super) fn written(left: Duration) -> HeaderValue {
    let units = [(1, "n"), (1_000, "u"), (1_000_000, "m"), (1_000_000_000, "S")];
    let minute = 60_000_000_000;
    let units = units.into_iter().chain([(minute, "M"), (60 * minute, "H")]);
    let nanos = left.as_nanos().max(1);
    let most = 10_u128.pow(DIGITS as u32);
    let mut amounts = units.map(|(length, unit)| (nanos.div_ceil(length), unit));
    let (amount, unit) = amounts.find(|(it, _)| *it < most).unwrap_or((most - 1, "H"));
    HeaderValue::from_str(&format!("{amount}{unit}"))
        .unwrap_or_else(|_| HeaderValue::from_static("1n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_and_a_unit() {
        let table = [
            ("1S", Some(Duration::from_secs(1))),
            ("00000010m", Some(Duration::from_millis(10))),
            ("250u", Some(Duration::from_micros(250))),
            ("7n", Some(Duration::from_nanos(7))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("0S", Some(Duration::ZERO)),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("5", None),
            ("5s", None),
            ("5 S", None),
            ("-5S", None),
            ("+5S", None),
            ("5Sm", None),
            ("\u{ff}S", None),
        ];
        for (text, expected) in table {
            assert_eq!(read(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_left_is_told_as_finely_as_it_fits() {
        let table = [
            (Duration::ZERO, "1n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_001), "100001u"),
            (Duration::from_secs(99), "99000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::from_secs(100_000_000), "1666667M"),
            (Duration::from_secs(u64::MAX), "99999999H"),
        ];
        for (left, expected) in table {
            assert_eq!(written(left), expected, "{left:?}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        for shift in 0..40 {
            let left = Duration::from_nanos(3 << shift);
            let read = read(written(left).as_bytes()).expect("it is well formed");
            assert!(left <= read && read <= left * 2, "{left:?} {read:?}");
        }
    }
}
