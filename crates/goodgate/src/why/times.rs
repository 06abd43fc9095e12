//! Times as people type them, counted back from the newest time in the inputs.

use evidence::clock::{self, DAY, HOUR, MINUTE, SECOND};

/// What `--since` and `--until` take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// No bound.
    All,
    /// This long before the newest time, in microseconds.
    Back(i64),
    /// Microseconds since 1970-01-01.
    At(i64),
    /// A time of the newest day, in microseconds since midnight.
    OfDay(i64),
    Yesterday,
}

const ACCEPTED: &str = "write how long ago (`30m`, `1h`, `2d`), a time (`15:00`, \
                        `2026-11-20 15:00`, `2026-11-20T15:00:00Z`), `yesterday` or `all`";

/// From the command line; the error says what is accepted.
pub(crate) fn moment(text: &str) -> Result<Moment, String> {
    let text = text.trim();
    let read = match text {
        "all" => Some(Moment::All),
        "yesterday" => Some(Moment::Yesterday),
        _ => back(text).or_else(|| date(text)).or_else(|| of_day(text).map(Moment::OfDay)),
    };
    read.ok_or_else(|| ACCEPTED.to_owned())
}

fn back(text: &str) -> Option<Moment> {
    let unit = match text.as_bytes().last()? {
        b's' => SECOND,
        b'm' => MINUTE,
        b'h' => HOUR,
        b'd' => DAY,
        b'w' => 7 * DAY,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    let digits = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
    let number: i64 = number.parse().ok().filter(|_| digits)?;
    Some(Moment::Back(number.checked_mul(unit)?))
}

/// A date with or without a time, whose seconds and zone may be missing.
fn date(text: &str) -> Option<Moment> {
    let whole = match text.len() {
        10 => format!("{text} 00:00:00"),
        16 => format!("{text}:00"),
        _ => text.to_owned(),
    };
    let (stamp, length) = clock::iso(&whole)?;
    (length == whole.len()).then_some(Moment::At(stamp.micros))
}

fn of_day(text: &str) -> Option<i64> {
    let padded = if text.len() == 5 { format!("{text}:00") } else { text.to_owned() };
    let (stamp, length) = clock::iso(&format!("1970-01-01 {padded}"))?;
    (padded.len() == 8 && length == 19).then_some(stamp.micros)
}

impl Moment {
    /// Whether it depends on the newest time in the inputs.
    pub(crate) fn is_relative(self) -> bool {
        matches!(self, Moment::Back(_) | Moment::OfDay(_) | Moment::Yesterday)
    }

    /// As the first moment that counts; `None` where there is no bound, or no time to count from.
    pub(crate) fn since(self, newest: Option<i64>) -> Option<i64> {
        match self {
            // It was yesterday's, where that time is still to come.
            Moment::OfDay(time) => newest.map(|it| {
                let at = midnight(it) + time;
                if it < at { at - DAY } else { at }
            }),
            Moment::Yesterday => newest.map(|it| midnight(it) - DAY),
            _ => self.fixed(newest),
        }
    }

    /// As the last moment that counts.
    pub(crate) fn until(self, newest: Option<i64>) -> Option<i64> {
        match self {
            Moment::OfDay(time) => newest.map(|it| midnight(it) + time),
            Moment::Yesterday => newest.map(|it| midnight(it) - 1),
            _ => self.fixed(newest),
        }
    }

    fn fixed(self, newest: Option<i64>) -> Option<i64> {
        match self {
            Moment::At(it) => Some(it),
            Moment::Back(it) => newest.map(|newest| newest.saturating_sub(it)),
            _ => None,
        }
    }
}

fn midnight(at: i64) -> i64 {
    at.div_euclid(DAY) * DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWEST: &str = "2026-11-20T14:00:00Z";

    #[track_caller]
    fn check(text: &str, since: &str, until: &str) {
        let newest = clock::iso(NEWEST).map(|(it, _)| it.micros);
        let moment = moment(text).expect("it is accepted");
        assert_eq!(moment.since(newest).map(clock::rfc3339).unwrap_or_default(), since, "{text}");
        assert_eq!(moment.until(newest).map(clock::rfc3339).unwrap_or_default(), until, "{text}");
    }

    #[test]
    fn each_way_to_write_a_time_is_read() {
        check("1h", "2026-11-20T13:00:00Z", "2026-11-20T13:00:00Z");
        check("30m", "2026-11-20T13:30:00Z", "2026-11-20T13:30:00Z");
        check("2d", "2026-11-18T14:00:00Z", "2026-11-18T14:00:00Z");
        check("2026-11-20T15:00:00+01:00", "2026-11-20T14:00:00Z", "2026-11-20T14:00:00Z");
        check("2026-11-20 15:00", "2026-11-20T15:00:00Z", "2026-11-20T15:00:00Z");
        check("2026-11-20", "2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z");
        check("12:30", "2026-11-20T12:30:00Z", "2026-11-20T12:30:00Z");
        check("15:00", "2026-11-19T15:00:00Z", "2026-11-20T15:00:00Z");
        check("15:00:30", "2026-11-19T15:00:30Z", "2026-11-20T15:00:30Z");
        check("yesterday", "2026-11-19T00:00:00Z", "2026-11-19T23:59:59.999999Z");
        check("all", "", "");
    }

    #[test]
    fn anything_else_is_told_what_is_accepted() {
        for text in [
            "",
            "h",
            "-1h",
            "1",
            "1y",
            "25:00",
            "2026-13-01",
            "soon",
            "ä",
            "1é",
            "9é:00",
            "99999999999999999999d",
            "9223372036854775807d",
            "2026-11-20 15:00 x",
        ] {
            assert!(moment(text).is_err_and(|it| it.contains("`30m`")), "{text}");
        }
    }
}
