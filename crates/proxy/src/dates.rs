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
    fn each_second_has_its_own() {
        let mut dates = Dates::default();
        let first = dates.at(5);
        assert_eq!(dates.at(5), first);
        assert_ne!(dates.at(6), first);
        assert_eq!(dates.at(5), first, "a clock may go back");
    }
}
