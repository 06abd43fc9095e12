//! How proxies stand in a situation over all rounds, and whether Goodgate keeps its goal.

use super::peers::Peer;
use super::results::{Figures, Outcome};
use super::schedule::Part;
use super::situation::{Bound, Figure, Situation};
use serde::Serialize;
use std::collections::BTreeMap;

/// Chance alone may set two equal proxies so many standard errors apart.
const STANDARD_ERRORS: f64 = 2.0;

/// One proxy in one situation, all rounds together.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Standing {
    pub(crate) rounds: u32,
    pub(crate) parts: BTreeMap<Part, Figures>,
    pub(crate) kinds: BTreeMap<String, u32>,
    pub(crate) duplicates: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grade {
    WithinReach,
    /// Not within reach, and not worse than the best peer by more than chance.
    AsTheBest,
    Missed,
}

impl Standing {
    pub(crate) fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Option<Standing> {
        let mut standing = Standing::default();
        for outcome in outcomes {
            standing.rounds += 1;
            standing.duplicates += outcome.duplicates;
            for (part, figures) in &outcome.parts {
                standing.parts.entry(*part).or_default().add(figures);
            }
            for (kind, count) in &outcome.kinds {
                *standing.kinds.entry(kind.clone()).or_default() += count;
            }
        }
        (standing.rounds > 0).then_some(standing)
    }

    pub(crate) fn whole(&self) -> Figures {
        let mut whole = Figures::default();
        self.parts.values().for_each(|it| whole.add(it));
        whole
    }

    pub(crate) fn figure(&self, figure: Figure) -> Option<f64> {
        let part = |it: Part| self.parts.get(&it);
        match figure {
            Figure::P99(it) => part(it)?.p99(),
            Figure::Failed(it) => part(it)?.share(),
            Figure::Goodput(it) => part(it)?.goodput(),
            Figure::Attempts(it) => part(it)?.attempts_each(),
            Figure::ForNobody => self.whole().for_nobody_share(),
        }
    }

    fn keeps(&self, bound: &Bound) -> bool {
        self.figure(bound.figure).is_some_and(|it| bound.limit.holds(it))
    }
}

/// What Goodgate may lose of a thousand as the best peer does, up to chance; `None` without peers.
pub(crate) fn best(peers: &[(Peer, Standing)]) -> Option<f64> {
    let others = peers.iter().filter(|it| it.0 != Peer::Goodgate);
    let allowed = others.filter_map(|(_, it)| {
        let whole = it.whole();
        Some((whole.share()?, whole.share()? + STANDARD_ERRORS * error(&whole)))
    });
    allowed.min_by(|one, other| one.0.total_cmp(&other.0)).map(|it| it.1)
}

/// Of the share of failed requests, of a thousand, as that of a binomial distribution.
fn error(figures: &Figures) -> f64 {
    let asked = f64::from(figures.asked.max(1));
    let share = f64::from(figures.failed) / asked;
    1000.0 * (share * (1.0 - share) / asked).sqrt()
}

/// `None` where Goodgate took no part.
pub(crate) fn grade(situation: &Situation, all: &[(Peer, Standing)]) -> Option<Grade> {
    let (_, ours) = all.iter().find(|it| it.0 == Peer::Goodgate)?;
    let bounds = situation.reach.bounds.iter().all(|it| ours.keeps(it));
    if !bounds || ours.duplicates > 0 {
        return Some(Grade::Missed);
    }
    let Some(reach) = situation.reach.failed else { return Some(Grade::WithinReach) };
    let whole = ours.whole();
    let share = whole.share()?;
    let only_in_hand = situation.kills() && whole.failed == whole.in_hand;
    Some(match best(all) {
        _ if share <= reach || only_in_hand => Grade::WithinReach,
        Some(best) if share <= best => Grade::AsTheBest,
        _ => Grade::Missed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prevent::results::tests::outcome;
    use crate::prevent::schedule::Load;
    use crate::prevent::situation::{Limit, Reach, Servers, Step, at};
    use crate::prevent::target::Manner;

    fn standing(failed: u32) -> Standing {
        let figures = Figures { asked: 1000, failed, took: vec![7], ..Figures::default() };
        Standing::of([&outcome(1, Peer::Nginx, "a", figures)]).unwrap()
    }

    fn situation(reach: Reach) -> Situation {
        Situation {
            name: "a",
            title: "a",
            servers: Servers::Own { count: 1, manner: Manner::GOOD },
            load: Load::steady(1.0),
            script: Vec::new(),
            reach,
        }
    }

    #[track_caller]
    fn check(ours: u32, peers: &[u32], reach: f64, expected: Grade) {
        let mut all = vec![(Peer::Goodgate, standing(ours))];
        all.extend(peers.iter().map(|it| (Peer::Envoy, standing(*it))));
        assert_eq!(grade(&situation(Reach::failed(reach)), &all), Some(expected));
    }

    #[test]
    fn the_goal_is_what_is_within_reach_or_the_best_peer_up_to_chance() {
        check(2, &[90, 200], 2.0, Grade::WithinReach);
        check(3, &[90, 200], 2.0, Grade::AsTheBest);
        // 90 and two errors of 9.05 each.
        check(108, &[200, 90], 2.0, Grade::AsTheBest);
        check(109, &[200, 90], 2.0, Grade::Missed);
        check(1, &[0], 0.0, Grade::Missed);
        check(1, &[], 0.0, Grade::Missed);
    }

    #[test]
    fn a_bound_that_is_not_kept_and_a_post_that_ran_twice_miss_the_goal() {
        let p99 = |limit| Reach {
            failed: Some(5.0),
            bounds: match limit {
                6 => &[Bound { figure: Figure::P99(Part::Steady), limit: Limit::AtMost(6.0) }],
                _ => &[Bound { figure: Figure::P99(Part::Steady), limit: Limit::AtMost(7.0) }],
            },
        };
        let mut all = vec![(Peer::Goodgate, standing(1))];
        assert_eq!(grade(&situation(p99(7)), &all), Some(Grade::WithinReach));
        assert_eq!(grade(&situation(p99(6)), &all), Some(Grade::Missed));
        all[0].1.duplicates = 1;
        assert_eq!(grade(&situation(p99(7)), &all), Some(Grade::Missed));
    }

    #[test]
    fn posts_in_hand_of_a_target_that_is_killed_are_held_against_nobody() {
        let mut killed = situation(Reach::failed(0.0));
        let mut all = vec![(Peer::Goodgate, standing(3))];
        let figures = all[0].1.parts.get_mut(&Part::Steady).unwrap();
        figures.in_hand = 3;
        assert_eq!(grade(&killed, &all), Some(Grade::Missed));
        killed.script = vec![at(0.5, Step::Kill(0))];
        assert_eq!(grade(&killed, &all), Some(Grade::WithinReach));
        all[0].1.parts.get_mut(&Part::Steady).unwrap().in_hand = 2;
        assert_eq!(grade(&killed, &all), Some(Grade::Missed));
    }

    #[test]
    fn rounds_are_summed() {
        let figures = |failed| Figures { asked: 100, failed, ..Figures::default() };
        let rounds =
            [outcome(1, Peer::Nginx, "a", figures(1)), outcome(2, Peer::Nginx, "a", figures(2))];
        let it = Standing::of(&rounds).unwrap();
        assert_eq!((it.rounds, it.whole().share()), (2, Some(15.0)));
        assert!(Standing::of([]).is_none());
    }
}
