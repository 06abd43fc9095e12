//! Which of an upstream's targets gets a request. Pure: what is known of the targets, and chance, are
//! arguments.
//!
//! First, who may: those that are well before those that have just failed or fell silent, those before the ones that
//! are out, and last those that are to be left alone; whoever has as many requests in hand as it can work
//! on is passed over. There is always somebody, unless all are full: the last target is never out. Then,
//! of those, by the balance that is configured.

use super::health::Standing;
use config::Balance;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What is known of one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// Its place among the targets.
    pub(crate) index: usize,
    pub(crate) name: &'a str,
    pub(crate) weight: u32,
    pub(crate) standing: Standing,
    /// Requests in hand.
    pub(crate) pending: usize,
    /// It takes one more.
    pub(crate) has_room: bool,
    /// Its latency in microseconds, as of late; 0 while it is not known.
    pub(crate) latency: f32,
    /// It owes answers and gives none, which it usually does by now.
    pub(crate) is_silent: bool,
}

impl Candidate<'_> {
    /// Its part of the requests: its weight, less while it starts slowly.
    fn part(&self) -> f32 {
        let started = if let Standing::Well(part) = self.standing { part } else { 1.0 };
        self.weight as f32 * started
    }

    /// 0 is best. What can be repeated goes to a target that has just failed: it finds out.
    fn rank(&self, repeatable: bool) -> u8 {
        match self.standing {
            Standing::Well(_) => u8::from(self.is_silent),
            Standing::Suspect => u8::from(!repeatable || self.is_silent),
            Standing::Due { .. } | Standing::Out => 2,
            Standing::Leaves => 3,
        }
    }
}

/// A request that looks for a target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeker {
    /// It may be sent again whatever happens to it.
    pub(crate) repeatable: bool,
    /// What it has in common with those that should get the same target.
    pub(crate) key: Option<u64>,
    /// The place of the target that its caller is kept with.
    pub(crate) kept: Option<usize>,
    pub(crate) random: u64,
    /// Whose turn it is.
    pub(crate) turn: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    Target(usize),
    /// One that is out, to find out whether it is back.
    Trial(usize),
    /// All that could take it are full.
    Full,
    /// There is none.
    Nobody,
}

/// Chooses among these, of which none has been tried for this request.
pub(crate) fn pick(candidates: &[Candidate<'_>], balance: &Balance, seeker: Seeker) -> Pick {
    if let [one] = candidates {
        return if one.has_room { Pick::Target(one.index) } else { Pick::Full };
    }
    // Nor does a caller find out about another target than its own.
    if let Some(own) = seeker.kept.and_then(|it| own_target(candidates, it, seeker)) {
        return own;
    }
    let due = |it: &&Candidate<'_>| is_due(it, seeker);
    if let Some(it) = candidates.iter().find(due) {
        return Pick::Trial(it.index);
    }
    let ranked = candidates.iter().filter(|it| it.has_room);
    let Some(best) = ranked.clone().map(|it| it.rank(seeker.repeatable)).min() else {
        return if candidates.is_empty() { Pick::Nobody } else { Pick::Full };
    };
    // Rather wait for one that is well than take one that is not.
    let well_but_full = candidates.iter().any(|it| it.rank(seeker.repeatable) < best.min(2));
    if 2 <= best && well_but_full {
        return Pick::Full;
    }
    let group: Vec<&Candidate<'_>> =
        ranked.filter(|it| it.rank(seeker.repeatable) == best).collect();
    Pick::Target(one_of(&group, balance, seeker))
}

/// The target that a caller is kept with, as long as it takes requests. One that is to be left alone
/// ends its sessions before it goes, as with nginx (`drain`) and HAProxy (`set server state drain`).
fn own_target(candidates: &[Candidate<'_>], own: usize, seeker: Seeker) -> Option<Pick> {
    let it = candidates.iter().find(|it| it.index == own && it.has_room)?;
    match it.standing {
        Standing::Well(_) | Standing::Suspect | Standing::Leaves => Some(Pick::Target(own)),
        Standing::Due { .. } if is_due(it, seeker) => Some(Pick::Trial(own)),
        Standing::Due { .. } | Standing::Out => None,
    }
}

/// It is out, and this request may find out whether it is back.
fn is_due(candidate: &Candidate<'_>, seeker: Seeker) -> bool {
    match candidate.standing {
        Standing::Due { overdue } => candidate.has_room && (seeker.repeatable || overdue),
        _ => false,
    }
}

/// There is one at least.
fn one_of(group: &[&Candidate<'_>], balance: &Balance, seeker: Seeker) -> usize {
    match (balance, group) {
        (_, []) => 0,
        (_, [one]) => one.index,
        (Balance::RoundRobin, _) => in_turn(group, seeker.turn).index,
        (Balance::Random, _) => drawn(group, None, seeker.random).index,
        (Balance::LeastPending, _) => {
            lesser(group, seeker, |it| it.pending as f32 / it.part()).index
        }
        (Balance::PeakEwma, _) => {
            lesser(group, seeker, |it| it.latency * (it.pending + 1) as f32 / it.part()).index
        }
        (Balance::Hash(_), _) => match seeker.key {
            Some(key) => by_hash(group, key).index,
            None => drawn(group, None, seeker.random).index,
        },
    }
}

/// Weighted round robin: within a round each has as many turns as its weight says, spread over it.
fn in_turn<'a, 'c>(group: &[&'a Candidate<'c>], turn: usize) -> &'a Candidate<'c> {
    // A slow start is a lower weight for a while.
    let weight = |it: &Candidate<'_>| it.part().max(0.1) as f64;
    let all: f64 = group.iter().map(|it| weight(it)).sum();
    // The golden ratio spreads the turns of a round evenly (Weyl's sequence), whatever the weights.
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let even = group.iter().all(|it| (weight(it) - weight(group[0])).abs() < f64::EPSILON);
    if even {
        return group[turn % group.len()];
    }
    at(group, weight, (turn as f64 * GOLDEN).fract() * all)
}

/// Where a point of the sum of all weights falls.
fn at<'a, 'c>(
    group: &[&'a Candidate<'c>],
    weight: impl Fn(&Candidate<'_>) -> f64,
    mut point: f64,
) -> &'a Candidate<'c> {
    for it in group {
        point -= weight(it);
        if point < 0.0 {
            return it;
        }
    }
    group[group.len() - 1]
}

/// One by chance, by weight, and another than `besides`.
fn drawn<'a, 'c>(
    group: &[&'a Candidate<'c>],
    besides: Option<usize>,
    random: u64,
) -> &'a Candidate<'c> {
    let weight = |it: &Candidate<'_>| {
        if besides == Some(it.index) { 0.0 } else { f64::from(it.part()) }
    };
    let all: f64 = group.iter().map(|it| weight(it)).sum();
    at(group, weight, random as f64 / (u64::MAX as f64 + 1.0) * all)
}

/// Of two that are drawn, the one that is less in something; the first where both are the same (the
/// power of two choices, Mitzenmacher 2001).
fn lesser<'a, 'c>(
    group: &[&'a Candidate<'c>],
    seeker: Seeker,
    of: impl Fn(&Candidate<'_>) -> f32,
) -> &'a Candidate<'c> {
    let first = drawn(group, None, seeker.random);
    let second = drawn(group, Some(first.index), mixed(seeker.random));
    if of(second) < of(first) { second } else { first }
}

/// Another number that has nothing to do with the first (the finalizer of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Above its part of what is in hand, a target may have so much more.
const BOUND: f32 = 1.25;

/// The highest of the points that each draws for this key, by weight (rendezvous hashing, Thaler and
/// Ravishankar 1998): where a target comes or goes, only its own keys move. One that has more in hand
/// than [`BOUND`] times its part is passed over (bounded loads, Mirrokni and others 2016).
fn by_hash<'a, 'c>(group: &[&'a Candidate<'c>], key: u64) -> &'a Candidate<'c> {
    let pending: usize = group.iter().map(|it| it.pending).sum();
    let parts: f32 = group.iter().map(|it| it.part()).sum();
    let fits = |it: &Candidate<'_>| {
        let own = (pending + 1) as f32 * it.part() / parts * BOUND;
        (it.pending as f32) < own.max(1.0)
    };
    let point = |it: &Candidate<'_>| {
        let mut hasher = DefaultHasher::new();
        (it.name, key).hash(&mut hasher);
        // In (0, 1].
        let drawn = (mixed(hasher.finish()) >> 11) as f64 + 1.0;
        f64::from(it.part()) / -(drawn / (1_u64 << 53) as f64).ln()
    };
    let highest = |all: &mut dyn Iterator<Item = &&'a Candidate<'c>>| {
        all.map(|it| (point(it), *it)).max_by(|a, b| a.0.total_cmp(&b.0)).map(|it| it.1)
    };
    let fitting = highest(&mut group.iter().filter(|it| fits(it)));
    fitting.or_else(|| highest(&mut group.iter())).unwrap_or(group[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Sticky;

    fn one(index: usize, pending: usize) -> Candidate<'static> {
        const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        let standing = Standing::Well(1.0);
        let name = NAMES[index];
        let (has_room, latency, is_silent) = (true, 5_000.0, false);
        Candidate { index, name, weight: 1, standing, pending, has_room, latency, is_silent }
    }

    fn stands(index: usize, standing: Standing) -> Candidate<'static> {
        Candidate { standing, ..one(index, 0) }
    }

    fn seeker(round: u64) -> Seeker {
        // Spread over all numbers.
        let random = mixed(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Seeker { repeatable: true, key: None, kept: None, random, turn: round as usize }
    }

    fn post(round: u64) -> Seeker {
        Seeker { repeatable: false, ..seeker(round) }
    }

    /// How many of so many requests each gets.
    fn spread(all: &[Candidate<'_>], balance: &Balance, requests: u64) -> Vec<u64> {
        let mut got = vec![0; all.len()];
        for round in 0..requests {
            match pick(all, balance, seeker(round)) {
                Pick::Target(index) | Pick::Trial(index) => got[index] += 1,
                other => panic!("{other:?}"),
            }
        }
        got
    }

    fn near(got: u64, expected: u64) -> bool {
        got.abs_diff(expected) * 20 <= expected.max(20)
    }

    #[test]
    fn turns_go_round() {
        let all = [one(0, 9), one(1, 0), one(2, 0)];
        assert_eq!(spread(&all, &Balance::RoundRobin, 9), [3, 3, 3]);
        let mut all = all;
        all[0].weight = 4;
        let got = spread(&all, &Balance::RoundRobin, 6_000);
        assert!(near(got[0], 4_000) && near(got[1], 1_000), "{got:?}");
    }

    #[test]
    fn chance_goes_by_weight() {
        let mut all = [one(0, 0), one(1, 0), one(2, 0)];
        all[2].weight = 2;
        let got = spread(&all, &Balance::Random, 40_000);
        assert!(near(got[0], 10_000) && near(got[2], 20_000), "{got:?}");
    }

    #[test]
    fn the_one_with_more_in_hand_gets_nothing_while_others_have_less() {
        let all = [one(0, 3), one(1, 0), one(2, 1)];
        let got = spread(&all, &Balance::LeastPending, 3_000);
        assert_eq!(got[0], 0, "{got:?}");
        let idle = [one(0, 0), one(1, 0), one(2, 0)];
        let got = spread(&idle, &Balance::LeastPending, 30_000);
        assert!(got.iter().all(|it| near(*it, 10_000)), "{got:?}");
    }

    #[test]
    fn in_hand_counts_by_weight() {
        let mut all = [one(0, 3), one(1, 2)];
        all[0].weight = 2;
        assert_eq!(spread(&all, &Balance::LeastPending, 100), [100, 0]);
    }

    #[test]
    fn the_quicker_one_gets_more() {
        let mut all = [one(0, 1), one(1, 1)];
        all[0].latency = 50_000.0;
        assert_eq!(spread(&all, &Balance::PeakEwma, 100), [0, 100]);
        all[1].pending = 20;
        assert_eq!(spread(&all, &Balance::PeakEwma, 100), [100, 0]);
    }

    #[test]
    fn a_key_stays_and_only_keys_of_a_target_that_goes_move() {
        let hash = Balance::Hash(Sticky::Address);
        let all: Vec<_> = (0..5).map(|it| one(it, 0)).collect();
        let chosen = |all: &[Candidate<'_>], key| match pick(
            all,
            &hash,
            Seeker { key: Some(key), ..seeker(key) },
        ) {
            Pick::Target(index) => index,
            other => panic!("{other:?}"),
        };
        let fewer: Vec<_> = all.iter().copied().filter(|it| it.index != 2).collect();
        let mut moved = 0;
        for key in 0..1_000 {
            let before = chosen(&all, key);
            assert_eq!(chosen(&all, key), before);
            let after = chosen(&fewer, key);
            assert!(before == 2 || before == after, "{key}");
            moved += u32::from(before == 2);
        }
        assert!((150..250).contains(&moved), "{moved}");
    }

    #[test]
    fn a_caller_stays_with_its_target_as_long_as_that_takes_requests() {
        let check = |own: Candidate<'static>, seeker: Seeker, expected: Option<Pick>| {
            let all = [one(0, 0), own, stands(2, Standing::Due { overdue: true })];
            let got = pick(&all, &Balance::LeastPending, Seeker { kept: Some(1), ..seeker });
            let own = [Pick::Target(1), Pick::Trial(1)].contains(&got).then_some(got);
            assert_eq!(own, expected, "{:?}", all[1]);
        };
        let stays = Some(Pick::Target(1));
        check(one(1, 50), seeker(1), stays);
        check(stands(1, Standing::Well(0.1)), seeker(1), stays);
        check(stands(1, Standing::Suspect), post(1), stays);
        check(stands(1, Standing::Leaves), post(1), stays);
        check(stands(1, Standing::Out), seeker(1), None);
        check(Candidate { has_room: false, ..one(1, 50) }, seeker(1), None);
        let due = |overdue| stands(1, Standing::Due { overdue });
        check(due(false), seeker(1), Some(Pick::Trial(1)));
        check(due(false), post(1), None);
        check(due(true), post(1), Some(Pick::Trial(1)));
        // It has been tried, or is configured no longer.
        let others = [one(0, 0), one(2, 0)];
        let kept = Seeker { kept: Some(1), ..seeker(1) };
        assert!(matches!(pick(&others, &Balance::Random, kept), Pick::Target(0 | 2)));
    }

    #[test]
    fn a_hash_passes_over_who_has_more_than_its_part() {
        let hash = Balance::Hash(Sticky::Address);
        let mut all: Vec<_> = (0..3).map(|it| one(it, 4)).collect();
        let seek = Seeker { key: Some(7), ..seeker(1) };
        let Pick::Target(before) = pick(&all, &hash, seek) else { panic!() };
        all[before].pending = 9;
        let Pick::Target(after) = pick(&all, &hash, seek) else { panic!() };
        assert_ne!(before, after);
    }

    #[test]
    fn who_is_out_gets_nothing_while_another_is_there() {
        for standing in [Standing::Out, Standing::Leaves] {
            let all = [stands(0, standing), one(1, 50), one(2, 50)];
            assert_eq!(spread(&all, &Balance::LeastPending, 500)[0], 0, "{standing:?}");
        }
    }

    #[test]
    fn the_last_one_is_never_out() {
        let alone = [stands(0, Standing::Out)];
        assert_eq!(pick(&alone, &Balance::LeastPending, post(1)), Pick::Target(0));
        let all = [stands(0, Standing::Out), stands(1, Standing::Leaves)];
        assert_eq!(pick(&all, &Balance::LeastPending, post(1)), Pick::Target(0));
        let none: [Candidate<'_>; 0] = [];
        assert_eq!(pick(&none, &Balance::LeastPending, post(1)), Pick::Nobody);
    }

    #[test]
    fn what_cannot_be_repeated_avoids_who_has_just_failed() {
        let all = [stands(0, Standing::Suspect), one(1, 9), one(2, 9)];
        assert!((0..200).all(|it| pick(&all, &Balance::LeastPending, post(it)) != Pick::Target(0)));
        assert!(
            (0..200).any(|it| pick(&all, &Balance::LeastPending, seeker(it)) == Pick::Target(0))
        );
    }

    #[test]
    fn who_has_fallen_silent_gets_nothing_while_another_answers() {
        let silent = |index| Candidate { is_silent: true, ..one(index, 1) };
        let all = [silent(0), one(1, 9), one(2, 9)];
        assert_eq!(spread(&all, &Balance::LeastPending, 300)[0], 0);
        let got = spread(&[silent(0), silent(1)], &Balance::LeastPending, 300);
        assert!(got.iter().all(|it| 0 < *it), "{got:?}");
    }

    #[test]
    fn a_trial_is_made_with_what_can_be_repeated_until_nobody_did_for_long() {
        let due = |overdue| [stands(0, Standing::Due { overdue }), one(1, 0)];
        let balance = Balance::RoundRobin;
        assert_eq!(pick(&due(false), &balance, seeker(1)), Pick::Trial(0));
        assert_eq!(pick(&due(false), &balance, post(1)), Pick::Target(1));
        assert_eq!(pick(&due(true), &balance, post(1)), Pick::Trial(0));
    }

    #[test]
    fn full_ones_are_passed_over_and_waited_for() {
        let full = |index| Candidate { has_room: false, ..one(index, 4) };
        let balance = Balance::LeastPending;
        assert_eq!(pick(&[full(0), one(1, 9)], &balance, seeker(1)), Pick::Target(1));
        assert_eq!(pick(&[full(0), full(1)], &balance, seeker(1)), Pick::Full);
        assert_eq!(pick(&[full(0)], &balance, seeker(1)), Pick::Full);
        // One that is out is no way round.
        assert_eq!(pick(&[full(0), stands(1, Standing::Out)], &balance, seeker(1)), Pick::Full);
    }

    #[test]
    fn who_starts_slowly_gets_little() {
        let all = [stands(0, Standing::Well(0.1)), one(1, 0), one(2, 0)];
        let got = spread(&all, &Balance::LeastPending, 21_000);
        assert!(got[0] < 2_500 && 500 < got[0], "{got:?}");
    }
}
