//! Times as logs write them, and as numbers that can be compared.

use jiff::civil;
use jiff::tz::Offset;
use serde::Serialize;

/// A moment as a log gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Microseconds since 1970-01-01 UTC, or of that local clock where no zone was written.
    pub micros: i64,
    /// A zone was written (or the format says that it is UTC). Without one it is taken for UTC.
    pub zoned: bool,
}

/// Whether the zone of times was read or assumed; the words of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    Read,
    Assumed,
}

pub const SECOND: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// `2026-01-02T03:04:05Z`, with a fraction only where there is one (RFC 3339).
#[must_use]
pub fn rfc3339(micros: i64) -> String {
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(it) => it.to_string(),
        Err(_) => String::new(),
    }
}

impl Stamp {
    #[must_use]
    pub fn utc(micros: i64) -> Stamp {
        Stamp { micros, zoned: true }
    }

    /// From the parts of a local time. `None` where they are no date.
    #[must_use]
    pub fn local(date: (i32, u32, u32), time: (u32, u32, u32), micros: u32) -> Option<Stamp> {
        let (year, month, day) = date;
        let (hour, minute, second) = time;
        let date = civil::Date::new(
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(day).ok()?,
        )
        .ok()?;
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let days = i64::from(date.duration_since(EPOCH).as_hours() as i32 / 24);
        let seconds = i64::from(hour * 3600 + minute * 60 + second);
        Some(Stamp { micros: days * DAY + seconds * SECOND + i64::from(micros), zoned: false })
    }

    /// The same moment, for a clock that is this many seconds ahead of UTC.
    #[must_use]
    pub fn ahead_of_utc(self, seconds: i64) -> Stamp {
        Stamp { micros: self.micros - seconds * SECOND, zoned: true }
    }
}

const EPOCH: civil::Date = civil::date(1970, 1, 1);

/// A cursor over the text of a time.
#[derive(Clone, Copy)]
struct Digits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Digits<'_> {
    fn number(&mut self, width: usize) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + width)?;
        let mut number = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number * 10 + u32::from(digit - b'0');
        }
        self.at += width;
        Some(number)
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        (self.bytes.get(self.at) == Some(&byte)).then(|| self.at += 1)
    }

    fn skip_any(&mut self, bytes: &[u8]) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        bytes.contains(&byte).then(|| {
            self.at += 1;
            byte
        })
    }

    /// `Jan` to `Dec`.
    fn month(&mut self) -> Option<u32> {
        const NAMES: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
        let name = self.bytes.get(self.at..self.at + 3)?;
        let month = NAMES.chunks_exact(3).position(|it| it == name)?;
        self.at += 3;
        Some(month as u32 + 1)
    }

    fn time(&mut self) -> Option<(u32, u32, u32)> {
        let hour = self.number(2)?;
        self.skip(b':')?;
        let minute = self.number(2)?;
        self.skip(b':')?;
        Some((hour, minute, self.number(2)?))
    }

    /// `.123456789` or `,123`, as microseconds; nothing is 0.
    fn fraction(&mut self) -> u32 {
        if self.skip_any(b".,").is_none() {
            return 0;
        }
        let (mut micros, mut width) = (0, 0);
        while let Some(digit) = self.bytes.get(self.at).filter(|it| it.is_ascii_digit()) {
            if width < 6 {
                micros = micros * 10 + u32::from(digit - b'0');
                width += 1;
            }
            self.at += 1;
        }
        micros * 10u32.pow(6 - width)
    }

    /// `Z`, `+0100`, `+01:00` or ` +0100`, as seconds ahead of UTC.
    fn zone(&mut self) -> Option<i64> {
        let before = self.at;
        if self.skip(b'Z').is_some() {
            return Some(0);
        }
        let _ = self.skip(b' ');
        let read = (|| {
            let sign = if self.skip_any(b"+-")? == b'-' { -1 } else { 1 };
            let hours = self.number(2)?;
            let _ = self.skip(b':');
            let minutes = self.number(2)?;
            Some(sign * i64::from(hours * 3600 + minutes * 60))
        })();
        if read.is_none() {
            self.at = before;
        }
        read
    }
}

fn finish(local: Stamp, zone: Option<i64>) -> Stamp {
    zone.map_or(local, |ahead| local.ahead_of_utc(ahead))
}

/// A time at the start of a text, and how many bytes it takes.
pub type Found = Option<(Stamp, usize)>;

/// `2026-11-20T15:16:30.123456Z`, `2026-11-20 15:16:30,123`, with any zone or none (RFC 3339 and
/// what loggers make of it). `2026/11/20 15:16:30` too: nginx and Go.
#[must_use]
pub fn iso(text: &str) -> Found {
    let mut it = Digits { bytes: text.as_bytes(), at: 0 };
    let year = it.number(4)?;
    let dash = it.skip_any(b"-/")?;
    let month = it.number(2)?;
    it.skip(dash)?;
    let day = it.number(2)?;
    it.skip_any(b"T t_")?;
    let time = it.time()?;
    let micros = it.fraction();
    let zone = it.zone();
    let local = Stamp::local((year as i32, month, day), time, micros)?;
    Some((finish(local, zone), it.at))
}

/// `20/Nov/2026:15:16:30 +0000` (CLF), `20-Nov-2026 15:16:30.123` (php-fpm, JULI), with a fraction
/// or without, with a zone or without, `UTC` included.
#[must_use]
pub fn day_first(text: &str) -> Found {
    let mut it = Digits { bytes: text.as_bytes(), at: 0 };
    let day = it.number(2)?;
    it.skip_any(b"/- ")?;
    let month = it.month()?;
    it.skip_any(b"/- ")?;
    let year = it.number(4)?;
    it.skip_any(b": ")?;
    let time = it.time()?;
    let micros = it.fraction();
    let mut zone = it.zone();
    if zone.is_none() && text[it.at..].starts_with(" UTC") {
        it.at += 4;
        zone = Some(0);
    }
    let local = Stamp::local((year as i32, month, day), time, micros)?;
    Some((finish(local, zone), it.at))
}

/// `Fri Nov 20 15:16:30 2026` and `Fri Nov 20 15:16:30.123456 2026` (ctime: Apache, uWSGI).
#[must_use]
pub fn ctime(text: &str) -> Found {
    let mut it = Digits { bytes: text.as_bytes(), at: 0 };
    text.get(..3)?.bytes().all(|it| it.is_ascii_alphabetic()).then_some(())?;
    it.at = 3;
    it.skip(b' ')?;
    let month = it.month()?;
    it.skip(b' ')?;
    let day = match it.skip(b' ') {
        Some(()) => it.number(1)?,
        None => it.number(2)?,
    };
    it.skip(b' ')?;
    let time = it.time()?;
    let micros = it.fraction();
    it.skip(b' ')?;
    let year = it.number(4)?;
    Some((Stamp::local((year as i32, month, day), time, micros)?, it.at))
}

/// `Nov 20 15:16:30` (RFC 3164): no year and no zone, so the year is an argument.
#[must_use]
pub fn syslog(text: &str, year: i32) -> Found {
    let mut it = Digits { bytes: text.as_bytes(), at: 0 };
    let month = it.month()?;
    it.skip(b' ')?;
    let day = match it.skip(b' ') {
        Some(()) => it.number(1)?,
        None => it.number(2)?,
    };
    it.skip(b' ')?;
    let time = it.time()?;
    let micros = it.fraction();
    Some((Stamp::local((year, month, day), time, micros)?, it.at))
}

/// Seconds since 1970, with a fraction, as JSON logs write them; milliseconds, microseconds and
/// nanoseconds are told by their size.
#[must_use]
pub fn epoch(number: f64) -> Option<Stamp> {
    let seconds = match number {
        1e17.. => number / 1e9,
        1e14.. => number / 1e6,
        1e11.. => number / 1e3,
        1e8.. => number,
        _ => return None,
    };
    Some(Stamp::utc((seconds * 1e6) as i64))
}

/// The time in a JSON value or a field: a number of any unit, or text in any of these shapes.
#[must_use]
pub fn any(text: &str) -> Option<Stamp> {
    iso(text)
        .or_else(|| day_first(text))
        .or_else(|| ctime(text))
        .map(|(it, _)| it)
        .or_else(|| epoch(text.parse().ok()?))
}

/// An offset that clocks are really set to: whole quarters of an hour, up to 14 hours.
#[must_use]
pub fn plausible_offset(micros: i64) -> bool {
    micros % (15 * MINUTE) == 0 && Offset::from_seconds((micros / SECOND) as i32).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: Found, want: &str, zoned: bool) {
        let (stamp, _) = found.expect("a time");
        assert_eq!((rfc3339(stamp.micros).as_str(), stamp.zoned), (want, zoned));
    }

    #[test]
    fn each_shape_is_read() {
        check(iso("2023/10/27 10:30:15 [crit] 1"), "2023-10-27T10:30:15Z", false);
        check(iso("2026-11-20T15:16:30.123Z x"), "2026-11-20T15:16:30.123Z", true);
        check(iso("2026-11-20 15:16:30 +0100] "), "2026-11-20T14:16:30Z", true);
        check(iso("2026-11-20T15:16:30-07:00"), "2026-11-20T22:16:30Z", true);
        check(iso("2026-11-20 15:16:30,375 ERROR"), "2026-11-20T15:16:30.375Z", false);
        check(day_first("10/Oct/2000:13:55:36 -0700] "), "2000-10-10T20:55:36Z", true);
        check(day_first("20-Nov-2026 15:16:30] WARN"), "2026-11-20T15:16:30Z", false);
        check(day_first("20-Nov-2026 15:16:30 UTC] PHP"), "2026-11-20T15:16:30Z", true);
        check(ctime("Tue Apr 24 14:35:07.971403 2018] ["), "2018-04-24T14:35:07.971403Z", false);
        check(ctime("Fri Nov  6 15:16:30 2026 - x"), "2026-11-06T15:16:30Z", false);
        check(syslog("Nov 20 15:16:30 host", 2026), "2026-11-20T15:16:30Z", false);
    }

    #[test]
    fn what_is_no_date_is_no_time() {
        assert_eq!(iso("2026-13-20 15:16:30"), None);
        assert_eq!(iso("2026-02-30 15:16:30"), None);
        assert_eq!(iso("10.0.0.1 - -"), None);
        assert_eq!(day_first("1/2/3"), None);
        assert_eq!(iso("2026-11-20 25:16:30"), None);
    }

    #[test]
    fn a_number_tells_its_unit() {
        for text in ["1700000000", "1700000000000", "1700000000000000", "1700000000000000000"] {
            assert_eq!(any(text), Some(Stamp::utc(1_700_000_000_000_000)), "{text}");
        }
        assert_eq!(any("12"), None);
    }
}
