//! Durations and sizes: a number and its unit.

use super::{Leaf, Wrong};
use std::time::Duration;

/// A duration above zero.
#[derive(Debug)]
pub(crate) struct Positive;

/// A duration that may be zero.
#[derive(Debug)]
pub(crate) struct Pause;

/// A number of bytes above zero.
#[derive(Debug)]
pub(crate) struct Size;

/// A whole number of percent, from 0 to 100.
#[derive(Debug)]
pub(crate) struct Percent;

/// One status code, or two with `-` between.
#[derive(Debug)]
pub(crate) struct StatusRange;

const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const LARGEST: u128 = 1 << 30;

/// In nanoseconds.
const TIMES: &[(&str, u128)] = &[
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// In bytes. `KB` is missing: it means either of two things.
const SIZES: &[(&str, u128)] = &[
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// A duration above zero as it is written everywhere, such as `30s`; else what is wrong with it.
pub fn duration(text: &str) -> Result<Duration, String> {
    Positive::read(text).map_err(|it| match it.help {
        Some(help) => format!("{}: {help}", it.says),
        None => it.says.into_owned(),
    })
}

impl Leaf for Positive {
    type Value = Duration;
    const FORMAT: &str = "goodgate-duration";
    const WHAT: &str = "a duration above zero, such as `\"2s\"`";

    fn read(text: &str) -> Result<Duration, Wrong> {
        let it = Pause::read(text)?;
        if it.is_zero() {
            return Err(Wrong::new("must be longer than zero"));
        }
        Ok(it)
    }
}

impl Leaf for Pause {
    type Value = Duration;
    const FORMAT: &str = "goodgate-duration-or-zero";
    const WHAT: &str = "a duration such as `\"2s\"`";

    fn read(text: &str) -> Result<Duration, Wrong> {
        let nanos = amount(text, TIMES).ok_or_else(|| {
            Wrong::new("is not a duration")
                .help("a number and one of ms, s, m, h, d, such as `\"150ms\"` or `\"1.5s\"`")
        })?;
        let too_long = || Wrong::new("is longer than 30 days");
        if nanos > LONGEST.as_nanos() {
            return Err(too_long());
        }
        Ok(Duration::from_nanos(u64::try_from(nanos).map_err(|_| too_long())?))
    }
}

impl Leaf for Size {
    type Value = usize;
    const FORMAT: &str = "goodgate-size";
    const WHAT: &str = "a size such as `\"32 KiB\"`, or a number of bytes";
    const NUMBER: bool = true;

    fn read(text: &str) -> Result<usize, Wrong> {
        let bytes = amount(text, SIZES).ok_or_else(|| {
            Wrong::new("is not a size")
                .help("a number and one of B, kB, KiB, MB, MiB, GB, GiB, such as `\"32 KiB\"`")
        })?;
        if bytes == 0 {
            return Err(Wrong::new("must be larger than zero"));
        }
        let too_large = || Wrong::new("is larger than 1 GiB");
        if bytes > LARGEST {
            return Err(too_large());
        }
        usize::try_from(bytes).map_err(|_| too_large())
    }
}

impl Leaf for Percent {
    type Value = u32;
    const FORMAT: &str = "goodgate-percent";
    const WHAT: &str = "a share such as `\"20%\"`";

    fn read(text: &str) -> Result<u32, Wrong> {
        let number = text.strip_suffix('%').map(str::trim_end);
        let number = number.filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
        match number.and_then(|it| it.parse().ok()) {
            Some(percent @ 0..=100) => Ok(percent),
            Some(_) => Err(Wrong::new("is more than 100 %")),
            None => Err(Wrong::new("is not a share")
                .help("a whole number from 0 to 100 and `%`, such as `\"20%\"`")),
        }
    }
}

impl Leaf for StatusRange {
    type Value = (u16, u16);
    const FORMAT: &str = "goodgate-status-range";
    const WHAT: &str = "a status code or a range such as `\"200-399\"`";
    const NUMBER: bool = true;

    fn read(text: &str) -> Result<(u16, u16), Wrong> {
        let code = |it: &str| {
            let is_code = it.len() == 3 && it.bytes().all(|it| it.is_ascii_digit());
            it.parse().ok().filter(|it| is_code && (100..600).contains(it))
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (code(first.trim()), code(last.trim())) {
            (Some(first), Some(last)) if first <= last => Ok((first, last)),
            (Some(_), Some(_)) => Err(Wrong::new("ends before it begins")),
            _ => Err(Wrong::new("is not a status code or a range of them")
                .help("such as `\"200\"` or `\"200-399\"`")),
        }
    }
}

/// A number with a fraction or without, then a unit. Exact, for the ladder compares what was
/// written.
fn amount(text: &str, units: &[(&str, u128)]) -> Option<u128> {
    /// Enough for any amount that is not refused later, and far from an overflow.
    const MOST_DIGITS: usize = 12;
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let factor = units.iter().find(|it| it.0 == unit)?.1;
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    if whole.is_empty() || whole.len() > MOST_DIGITS || fraction.len() > MOST_DIGITS {
        return None;
    }
    let mut amount = whole.parse::<u128>().ok()? * factor;
    if !fraction.is_empty() {
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        amount += fraction.parse::<u128>().ok()? * factor / scale;
    }
    Some(amount)
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;

    #[test]
    fn shares() {
        check::<Percent>("20%", "20");
        check::<Percent>("0 %", "0");
        check::<Percent>("100%", "100");
        for wrong in ["101%", "20", "%", "-1%", "2.5%", "99999999999%", ""] {
            check::<Percent>(wrong, "bad_value");
        }
    }

    #[test]
    fn status_codes() {
        check::<StatusRange>("200", "(200, 200)");
        check::<StatusRange>("200-399", "(200, 399)");
        for wrong in ["399-200", "20", "600", "200-", "-", "2xx", "+200", ""] {
            check::<StatusRange>(wrong, "bad_value");
        }
    }

    #[test]
    fn durations() {
        check::<Positive>("150ms", "150ms");
        check::<Positive>("2s", "2s");
        check::<Positive>("1.5s", "1.5s");
        check::<Positive>("5m", "300s");
        check::<Positive>("1 h", "3600s");
        check::<Positive>("30d", "2592000s");
        check::<Pause>("0s", "0ns");
        for wrong in [
            "0s",
            "0.0000000001ms",
            "30.1d",
            "2",
            "",
            "s",
            "-1s",
            "1.s",
            ".5s",
            "2 sec",
            "1m30s",
            "1e3s",
            "2  s",
            "9999999999999999999999999s",
            "999999999999d",
            "1.2.3s",
            "2S",
        ] {
            check::<Positive>(wrong, "bad_value");
        }
    }

    #[test]
    fn sizes() {
        check::<Size>("32 KiB", "32768");
        check::<Size>("1MiB", "1048576");
        check::<Size>("8 kB", "8000");
        check::<Size>("1.5 KiB", "1536");
        check::<Size>("512", "512");
        check::<Size>("1 GiB", "1073741824");
        for wrong in ["0", "0.1", "1.1 GiB", "8 KB", "8 Kib", "-1", "", "KiB", "1 KiB "] {
            check::<Size>(wrong, "bad_value");
        }
    }
}
