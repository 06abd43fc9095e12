//! Dates for people, from seconds since 1970 and without a clock.

/// `2026-02-01 00:00 UTC`.
pub(crate) fn date(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3_600, rest / 60 % 60)
}

/// How far two moments lie apart: `40 minutes`, `26 hours`, `9 days`.
pub(crate) fn apart(a: i64, b: i64) -> String {
    let seconds = a.abs_diff(b);
    let (number, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Years are
/// counted from March here, so that the leap day is the last of its year; 400 of them, an era,
/// are always 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (-60, "1969-12-31 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_767_225_600, "2026-01-01 00:00 UTC"),
            (1_772_323_199, "2026-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            // "No well-defined expiration date", RFC 5280 4.1.2.5.
            (253_402_300_799, "9999-12-31 23:59 UTC"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn a_distance_has_one_unit() {
        assert_eq!(apart(0, 1), "1 second");
        assert_eq!(apart(3_600, 0), "60 minutes");
        assert_eq!(apart(0, 96_000), "26 hours");
        assert_eq!(apart(864_000, 86_400), "9 days");
    }
}
