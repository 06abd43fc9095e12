//! Dates as answers and logs write them.

use http::HeaderValue;

/// Days since 1970 to year, month, day (Howard Hinnant's algorithm).
pub(crate) fn date(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(month <= 2), month, day)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// 1970 began on the first of these.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// `Date` fields (RFC 9110 5.6.7), made once a second.
#[derive(Default)]
pub(crate) struct Dates {
    last: Option<(u64, HeaderValue)>,
}

impl Dates {
    /// So many seconds after 1970.
    pub(crate) fn at(&mut self, second: u64) -> Option<HeaderValue> {
        match &self.last {
            Some((last, text)) if *last == second => Some(text.clone()),
            _ => {
                let text = HeaderValue::try_from(text(second)).ok()?;
                self.last = Some((second, text.clone()));
                Some(text)
            }
        }
    }
}

fn text(second: u64) -> String {
    let days = second / 86_400;
    let (year, month, day) = date(days);
    let weekday = WEEKDAYS[(days % 7) as usize];
    let month = MONTHS[(month - 1) as usize];
    let clock = second % 86_400;
    let (h, m, s) = (clock / 3_600, clock / 60 % 60, clock % 60);
    format!("{weekday}, {day:02} {month} {year:04} {h:02}:{m:02}:{s:02} GMT")
}

/// Seconds after 1970 of an `IMF-fixdate`, the form in which dates are sent (RFC 9110 5.6.7).
pub(crate) fn read(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let [day, month, year, clock, zone] = std::array::from_fn(|_| words.next().unwrap_or_default());
    let number = |it: &str| it.parse::<u64>().ok().filter(|_| it.len() <= 4);
    let month = 1 + MONTHS.iter().position(|it| *it == month)? as u64;
    let (day, year) = (number(day)?, number(year)?);
    let mut clock = clock.split(':').map(number);
    let [h, m, s] = std::array::from_fn(|_| clock.next().flatten());
    if zone != "GMT" || words.next().is_some() || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    // The inverse of `date`.
    let y = year - u64::from(month <= 2);
    let (era, yoe) = (y / 400, y % 400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + h? * 3_600 + m? * 60 + s?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(second: u64, expected: &str) {
        assert_eq!(Dates::default().at(second).unwrap(), expected);
    }

    #[test]
    fn dates_are_those_of_the_standard() {
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        // The example of RFC 9110.
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT");
        check(4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT");
    }

    #[test]
    fn dates_are_read_as_they_are_written() {
        for second in [0, 86_399, 784_111_777, 951_782_400, 951_868_799, 4_102_444_799] {
            assert_eq!(read(&text(second)), Some(second));
        }
        for wrong in [
            "",
            "0",
            "-1",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Wed, 31 Dec 1969 23:59:59 GMT",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn each_second_has_its_own() {
        let mut dates = Dates::default();
        let first = dates.at(5);
        assert_eq!(dates.at(5), first);
        assert_ne!(dates.at(6), first);
        assert_eq!(dates.at(5), first, "a clock may go back");
    }
}
