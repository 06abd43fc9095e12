//! Medians and what surrounds them.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` where nothing was measured.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&least, &most) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let even = values.len().is_multiple_of(2);
        let median =
            if even { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] };
        Some(Spread { median, least, most })
    }

    /// Of the ratios within each round: what disturbs a round disturbs both of its runs.
    pub(crate) fn of_ratios(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Option<Spread> {
        let pairs = ours.iter().zip(theirs).filter_map(|(ours, theirs)| (*ours).zip(*theirs));
        Spread::of(pairs.map(|(ours, theirs)| ours / theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        let check = |values: &[f64], median| {
            assert_eq!(Spread::of(values.iter().copied()).map(|it| it.median), median);
        };
        check(&[], None);
        check(&[3.0], Some(3.0));
        check(&[9.0, 1.0, 2.0], Some(2.0));
        check(&[4.0, 1.0, 2.0, 9.0], Some(3.0));
    }

    #[test]
    fn ratios_are_paired_by_round_and_skip_rounds_that_failed() {
        let ours = [Some(1.0), None, Some(30.0)];
        let theirs = [Some(2.0), Some(1.0), Some(10.0)];
        let it = Spread::of_ratios(&ours, &theirs);
        assert_eq!(it, Some(Spread { median: 1.75, least: 0.5, most: 3.0 }));
    }
}
