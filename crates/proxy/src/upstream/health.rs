//! Whether a target should get requests: what its answers say, what checks say, and what we are told.
//!
//! Pure: the time is an argument. A target that fails is taken out for a while, each time in a row for
//! twice as long, and comes back by a trial: one request that finds out. Whether it may be taken out at
//! all, with the others in mind, is asked of the caller.

use config::{Eject, Health as Checks};
use exchange::LiveState;
use std::time::{Duration, Instant};

/// How long one failure keeps away what cannot be repeated, where there is another target.
const SUSPECT: Duration = Duration::from_secs(2);

/// How long an unexpected end of idle connections does: where a server stops, they are its first sign.
const DOUBT: Duration = Duration::from_millis(250);

/// The seconds over which failures and latencies are counted.
const WINDOW: usize = 10;

/// Fewer requests than that in a window say nothing.
pub(crate) const ENOUGH: u32 = 10;

/// How long a trial may take before another one is made.
const TRIAL: Duration = Duration::from_secs(10);

/// Of what the first ejection lasted, so many times without another one make it the first again.
const FORGIVEN_AFTER: u32 = 4;

/// How long a target that cut an answer is not trusted to send whole ones.
const CUTS: Duration = Duration::from_secs(60);

/// The longest that an app may keep its target away by saying that it leaves: by then it has ended, or
/// has changed its mind and said nothing.
const LEAVES: Duration = Duration::from_secs(60);

/// How often one request looks whether a target that said so is still about to leave, or is back.
const LOOK: Duration = Duration::from_secs(1);

/// What a request showed of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Showed {
    /// It answers; the head of its answer took so long.
    Well(Duration),
    /// It failed.
    Ill,
    /// Nothing, such as a connection that had died, or a client that left.
    Nothing,
}

/// What a target may get, best first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Standing {
    /// Its part of the requests: 1 is all of it, less while it starts slowly.
    Well(f32),
    /// It has just failed: nothing that could not be repeated.
    Suspect,
    /// It is out, and one request may find out whether it is back. `overdue`: nobody did for long.
    Due { overdue: bool },
    /// Nothing as long as there is another.
    Out,
    /// It is to be left alone, and goes.
    Leaves,
}

/// Why a target is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Failures in a row.
    InARow,
    /// Failures among the last requests.
    Errors,
    /// It is much slower than the others.
    Slow,
    /// It asked for a pause (`Retry-After`).
    Asked,
    /// By order.
    Order,
}

impl Why {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Why::InARow => "failures_in_a_row",
            Why::Errors => "errors",
            Why::Slow => "slow",
            Why::Asked => "retry_after",
            Why::Order => "order",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Out {
    since: Instant,
    until: Instant,
    why: Why,
    trial: Option<Instant>,
}

/// Who said that a target is to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// An order, until another one.
    Ordered,
    /// The app itself, last at this time, and since when nobody has looked.
    Said { at: Instant, looked: Instant },
}

#[derive(Debug)]
pub(crate) struct Health {
    /// Failures since the last answer.
    in_a_row: u32,
    last_failure: Option<Instant>,
    doubtful_until: Option<Instant>,
    last_cut: Option<Instant>,
    window: Window,
    out: Option<Out>,
    /// Ejections without a long time between them.
    times: u32,
    /// How long the last one was.
    length: Duration,
    back: Option<Instant>,
    leaving: Option<Leaving>,
    /// By checks; and how many in a row say the opposite.
    ill: bool,
    opposite: u32,
}

impl Health {
    pub(crate) fn new() -> Health {
        Health {
            in_a_row: 0,
            last_failure: None,
            doubtful_until: None,
            last_cut: None,
            window: Window::default(),
            out: None,
            times: 0,
            length: Duration::ZERO,
            back: None,
            leaving: None,
            ill: false,
            opposite: 0,
        }
    }

    pub(crate) fn standing(&self, slow_start: Duration, now: Instant) -> Standing {
        if self.leaves(now) {
            return match self.leaving {
                // Checks find it out by themselves.
                Some(Leaving::Said { looked, .. }) if looked + LOOK <= now && !self.ill => {
                    Standing::Due { overdue: false }
                }
                _ => Standing::Leaves,
            };
        }
        if self.ill {
            return Standing::Out;
        }
        if let Some(out) = self.out {
            let tried = out.trial.is_some_and(|it| now < it + TRIAL);
            if now < out.until || tried {
                return Standing::Out;
            }
            let overdue = out.until + (out.until - out.since).max(Duration::from_secs(1)) <= now;
            return Standing::Due { overdue };
        }
        if self.is_suspect(now) {
            return Standing::Suspect;
        }
        Standing::Well(self.part(slow_start, now))
    }

    /// Nothing is to be said of it: it is well, and gets its whole part.
    pub(crate) fn is_plain(&self, slow_start: Duration, now: Instant) -> bool {
        self.standing(slow_start, now) == Standing::Well(1.0)
            && self.in_a_row == 0
            && !self.cuts(now)
    }

    fn is_suspect(&self, now: Instant) -> bool {
        let failed = 0 < self.in_a_row && self.last_failure.is_some_and(|it| now < it + SUSPECT);
        failed || self.doubtful_until.is_some_and(|it| now < it)
    }

    fn leaves(&self, now: Instant) -> bool {
        match self.leaving {
            Some(Leaving::Ordered) => true,
            Some(Leaving::Said { at, .. }) => now < at + LEAVES,
            None => false,
        }
    }

    fn part(&self, slow_start: Duration, now: Instant) -> f32 {
        let Some(back) = self.back.filter(|_| !slow_start.is_zero()) else {
            return 1.0;
        };
        (now.saturating_duration_since(back).as_secs_f32() / slow_start.as_secs_f32())
            .clamp(0.1, 1.0)
    }

    /// One request is sent to find out.
    pub(crate) fn begin_trial(&mut self, now: Instant) {
        if let Some(out) = &mut self.out {
            out.trial = Some(now);
        }
        if let Some(Leaving::Said { looked, .. }) = &mut self.leaving {
            *looked = now;
        }
    }

    /// A trial showed nothing, or has been taken in.
    pub(crate) fn end_trial(&mut self) {
        if let Some(out) = &mut self.out {
            out.trial = None;
        }
    }

    /// Takes in what a request showed. `may_eject`: the others allow it.
    pub(crate) fn saw(
        &mut self,
        showed: Showed,
        settings: &Eject,
        now: Instant,
        may_eject: bool,
    ) -> Option<Turned> {
        match showed {
            Showed::Nothing => {
                self.end_trial();
                None
            }
            Showed::Well(took) => {
                self.window.add(false, Some(took), now);
                self.in_a_row = 0;
                // Only what was sent to find out says that it is back: others may have been under way.
                let tried = self.out.is_some_and(|it| it.trial.is_some() || it.until <= now);
                tried.then(|| self.come_back(now))
            }
            // As it said.
            Showed::Ill if self.leaves(now) => None,
            Showed::Ill => {
                self.window.add(true, None, now);
                self.in_a_row = self.in_a_row.saturating_add(1);
                self.last_failure = Some(now);
                if let Some(out) = self.out {
                    let tried = out.trial.is_some() || out.until <= now;
                    return tried.then(|| self.take_out(out.why, settings, now));
                }
                let why = self.deserves(settings, now)?;
                may_eject.then(|| self.take_out(why, settings, now))
            }
        }
    }

    fn deserves(&self, settings: &Eject, now: Instant) -> Option<Why> {
        let Eject { after, errors, .. } = *settings;
        if 0 < after && after <= self.in_a_row {
            return Some(Why::InARow);
        }
        let (all, failed) = self.window.counts(now);
        let share = u64::from(failed) * 100 >= u64::from(all) * u64::from(errors);
        (0 < errors && ENOUGH <= all && share).then_some(Why::Errors)
    }

    /// Out for twice as long as the last time, if that was not long ago.
    pub(crate) fn take_out(&mut self, why: Why, settings: &Eject, now: Instant) -> Turned {
        let forgiven = self.back.is_some_and(|it| {
            it + (self.length * FORGIVEN_AFTER).min(settings.longest) <= now && self.out.is_none()
        });
        self.times = if forgiven { 1 } else { self.times.saturating_add(1) };
        let doubled = settings.first.saturating_mul(1 << (self.times - 1).min(20));
        self.length = doubled.min(settings.longest).max(settings.first.min(settings.longest));
        self.out = Some(Out { since: now, until: now + self.length, why, trial: None });
        Turned::Out(why)
    }

    /// It asked not to be sent anything for so long.
    pub(crate) fn rest(&mut self, length: Duration, now: Instant) -> Turned {
        let out = Out { since: now, until: now + length, why: Why::Asked, trial: None };
        self.out = Some(out);
        Turned::Out(Why::Asked)
    }

    fn come_back(&mut self, now: Instant) -> Turned {
        self.out = None;
        self.in_a_row = 0;
        self.window = Window::default();
        self.back = Some(now);
        Turned::Back
    }

    /// An answer of a check.
    pub(crate) fn checked(
        &mut self,
        good: bool,
        settings: &Checks,
        now: Instant,
    ) -> Option<Turned> {
        if good != self.ill {
            self.opposite = 0;
            return None;
        }
        self.opposite += 1;
        let enough = if good { settings.healthy_after } else { settings.unhealthy_after };
        if self.opposite < enough {
            return None;
        }
        self.opposite = 0;
        self.ill = !good;
        if !good {
            return Some(Turned::Ill);
        }
        self.back = Some(now);
        Some(Turned::Well)
    }

    /// Checks are made no longer, or their verdict is not to be believed.
    pub(crate) fn uncheck(&mut self) {
        self.ill = false;
        self.opposite = 0;
    }

    /// By checks.
    pub(crate) fn is_ill(&self) -> bool {
        self.ill
    }

    /// The app says that it will end.
    pub(crate) fn says_it_leaves(&mut self, now: Instant) {
        if self.leaving != Some(Leaving::Ordered) {
            self.leaving = Some(Leaving::Said { at: now, looked: now });
        }
    }

    /// It answers what it was asked then, and does not say that it will end: it has and another one is in
    /// its place, or it has changed its mind.
    pub(crate) fn stays(&mut self, asked: Instant, now: Instant) {
        if matches!(self.leaving, Some(Leaving::Said { at, .. }) if at < asked) {
            self.leaving = None;
            self.in_a_row = 0;
            self.back = Some(now);
        }
    }

    pub(crate) fn order_to_leave(&mut self, leave: bool) {
        self.leaving = leave.then_some(Leaving::Ordered);
    }

    /// Out for so long, by order.
    pub(crate) fn order_out(&mut self, length: Duration, now: Instant) {
        self.out = Some(Out { since: now, until: now + length, why: Why::Order, trial: None });
    }

    /// The next request finds out whether it is back. `false` where it is not out for a while.
    pub(crate) fn order_trial(&mut self, now: Instant) -> bool {
        if let Some(out) = &mut self.out {
            *out = Out { since: now, until: now, why: out.why, trial: None };
        }
        self.out.is_some()
    }

    /// As if nothing had ever been seen of it. What was ordered holds.
    pub(crate) fn reset(&mut self) {
        let ordered = self.leaving.filter(|it| *it == Leaving::Ordered);
        *self = Health { leaving: ordered, ..Health::new() };
    }

    /// It closed an idle connection before its time.
    pub(crate) fn doubt(&mut self, now: Instant) {
        self.doubtful_until = Some(now + DOUBT);
    }

    pub(crate) fn cut(&mut self, now: Instant) {
        self.last_cut = Some(now);
    }

    /// It cut an answer lately.
    pub(crate) fn cuts(&self, now: Instant) -> bool {
        self.last_cut.is_some_and(|it| now < it + CUTS)
    }

    pub(crate) fn is_out(&self) -> bool {
        self.ill || self.out.is_some()
    }

    pub(crate) fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// What an answer of the window usually took, and of how many.
    pub(crate) fn typical(&self, now: Instant) -> Option<(Duration, u32)> {
        self.window.typical(now)
    }

    /// Mean latency of the window, of how many.
    pub(crate) fn latency(&self, now: Instant) -> Option<(Duration, u32)> {
        self.window.latency(now)
    }

    /// When it gets requests again, or one that finds out, where that is known.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        match self.leaving.filter(|_| self.leaves(now)) {
            Some(Leaving::Ordered) => None,
            Some(Leaving::Said { at, .. }) => Some(at + LEAVES),
            None if self.ill => None,
            None => self.out.map(|it| it.until),
        }
    }

    pub(crate) fn state(&self, slow_start: Duration, now: Instant) -> LiveState {
        match self.standing(slow_start, now) {
            _ if self.leaves(now) => LiveState::Draining,
            _ if self.ill => LiveState::Unhealthy,
            Standing::Out | Standing::Due { .. } | Standing::Leaves => LiveState::Ejected,
            Standing::Suspect => LiveState::Suspect,
            Standing::Well(part) if part < 1.0 => LiveState::Starting,
            Standing::Well(_) => LiveState::Healthy,
        }
    }

    /// Why it gets no requests.
    pub(crate) fn why(&self, now: Instant) -> Option<&'static str> {
        match self.leaving.filter(|_| self.leaves(now)) {
            Some(Leaving::Ordered) => Some(Why::Order.name()),
            Some(Leaving::Said { .. }) => Some("announced"),
            None if self.ill => Some("checks"),
            None => self.out.map(|it| it.why.name()),
        }
    }
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// Taken out by what its answers showed.
    Out(Why),
    /// A trial went well.
    Back,
    /// Checks say that it is ill.
    Ill,
    /// Checks say that it is well again.
    Well,
}

/// Requests of the last [`WINDOW`] seconds.
#[derive(Debug, Default)]
struct Window {
    seconds: [Second; WINDOW],
    began: Option<Instant>,
    /// The second that is being counted, from `began`.
    at: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    all: u32,
    failed: u32,
    answered: u32,
    micros: u64,
    /// The sum of the logarithms of the microseconds.
    logarithms: f64,
}

impl Window {
    fn add(&mut self, failed: bool, took: Option<Duration>, now: Instant) {
        let at = self.second(now);
        let gone = at.saturating_sub(self.at).min(WINDOW as u64);
        for step in 1..=gone {
            self.seconds[((self.at + step) % WINDOW as u64) as usize] = Second::default();
        }
        self.at = self.at.max(at);
        let second = &mut self.seconds[(self.at % WINDOW as u64) as usize];
        second.all = second.all.saturating_add(1);
        second.failed = second.failed.saturating_add(u32::from(failed));
        if let Some(took) = took {
            second.answered = second.answered.saturating_add(1);
            second.micros = second.micros.saturating_add(took.as_micros() as u64);
            second.logarithms += (took.as_micros().max(1) as f64).ln();
        }
    }

    fn second(&mut self, now: Instant) -> u64 {
        let began = *self.began.get_or_insert(now);
        now.saturating_duration_since(began).as_secs()
    }

    /// Those that are still within the window.
    fn live(&self, now: Instant) -> impl Iterator<Item = Second> + '_ {
        let now = self.began.map_or(0, |it| now.saturating_duration_since(it).as_secs());
        let size = WINDOW as u64;
        (0..size).filter_map(move |back| {
            let second = self.at.checked_sub(back)?;
            (now < second + size).then(|| self.seconds[(second % size) as usize])
        })
    }

    /// All, and those that failed.
    fn counts(&self, now: Instant) -> (u32, u32) {
        self.live(now).fold((0, 0), |(all, failed), it| (all + it.all, failed + it.failed))
    }

    /// The geometric mean, which one answer that takes minutes does not move by much, and of how many.
    fn typical(&self, now: Instant) -> Option<(Duration, u32)> {
        let (sum, answered) = self
            .live(now)
            .fold((0.0, 0_u32), |(sum, count), it| (sum + it.logarithms, count + it.answered));
        let mean = (0 < answered).then(|| (sum / f64::from(answered)).exp())?;
        Some((Duration::from_micros(mean as u64), answered))
    }

    fn latency(&self, now: Instant) -> Option<(Duration, u32)> {
        let (micros, answered) = self
            .live(now)
            .fold((0_u64, 0_u32), |(sum, count), it| (sum + it.micros, count + it.answered));
        let mean = micros.checked_div(u64::from(answered))?;
        Some((Duration::from_micros(mean), answered))
    }
}

/// What nobody would call slow.
pub(crate) const UNFELT: Duration = Duration::from_millis(200);

/// A target is so many times slower than the median of the others, and it can be felt.
pub(crate) fn is_outlier(own: Duration, others: &mut [Duration], slower: u32) -> bool {
    others.sort_unstable();
    let Some(median) = others.get(others.len() / 2).filter(|_| 0 < slower) else {
        return false;
    };
    median.saturating_mul(slower) <= own && *median + UNFELT <= own
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: Duration = Duration::ZERO;

    fn settings() -> Eject {
        Eject {
            after: 3,
            errors: 50,
            slower: 5,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            share: 67,
        }
    }

    struct Played {
        health: Health,
        start: Instant,
        now: Instant,
    }

    impl Played {
        fn new() -> Played {
            let now = Instant::now();
            Played { health: Health::new(), start: now, now }
        }

        fn at(&mut self, ms: u64) -> &mut Played {
            self.now = self.start + Duration::from_millis(ms);
            self
        }

        fn ill(&mut self) -> Option<Turned> {
            self.health.saw(Showed::Ill, &settings(), self.now, true)
        }

        fn well(&mut self) -> Option<Turned> {
            let took = Duration::from_millis(5);
            self.health.saw(Showed::Well(took), &settings(), self.now, true)
        }

        fn standing(&self) -> Standing {
            self.health.standing(NO, self.now)
        }
    }

    #[test]
    fn three_failures_in_a_row_take_a_target_out_and_two_do_not() {
        let mut it = Played::new();
        assert_eq!((it.ill(), it.ill(), it.well()), (None, None, None));
        assert_eq!((it.ill(), it.ill()), (None, None));
        assert_eq!(it.standing(), Standing::Suspect);
        assert_eq!(it.ill(), Some(Turned::Out(Why::InARow)));
        assert_eq!(it.standing(), Standing::Out);
    }

    #[test]
    fn one_failure_makes_it_suspect_until_it_answers_or_time_passes() {
        let mut it = Played::new();
        it.ill();
        assert_eq!(it.standing(), Standing::Suspect);
        it.well();
        assert_eq!(it.standing(), Standing::Well(1.0));
        it.ill();
        it.at(2_001);
        assert_eq!(it.standing(), Standing::Well(1.0));
    }

    #[test]
    fn a_connection_that_had_died_is_no_failure() {
        let mut it = Played::new();
        for _ in 0..10 {
            assert_eq!(it.health.saw(Showed::Nothing, &settings(), it.now, true), None);
        }
        assert_eq!(it.standing(), Standing::Well(1.0));
    }

    #[test]
    fn who_hangs_up_on_idle_connections_is_suspect_for_a_moment() {
        let mut it = Played::new();
        it.health.doubt(it.now);
        assert_eq!(it.standing(), Standing::Suspect);
        it.at(250);
        assert_eq!(it.standing(), Standing::Well(1.0));
    }

    #[test]
    fn half_of_the_requests_failing_is_enough_without_a_row() {
        let mut it = Played::new();
        for round in 0..4 {
            it.at(round * 100);
            assert_eq!((it.ill(), it.well()), (None, None));
        }
        assert_eq!(it.ill(), None, "nine requests are too few");
        assert_eq!(it.well(), None);
        assert_eq!(it.ill(), Some(Turned::Out(Why::Errors)));
    }

    #[test]
    fn errors_of_long_ago_do_not_count() {
        let mut it = Played::new();
        for _ in 0..5 {
            it.ill();
            it.well();
        }
        let mut it = Played::new();
        for _ in 0..2 {
            it.ill();
            it.well();
        }
        it.at(11_000);
        for _ in 0..8 {
            it.well();
        }
        assert_eq!(it.ill(), None);
        assert_eq!(it.health.window.counts(it.now), (9, 1));
    }

    #[test]
    fn a_trial_brings_it_back_or_doubles_the_pause() {
        let mut it = Played::new();
        it.ill();
        it.ill();
        it.ill();
        it.at(999);
        assert_eq!(it.standing(), Standing::Out);
        it.at(1_000);
        assert_eq!(it.standing(), Standing::Due { overdue: false });
        it.health.begin_trial(it.now);
        assert_eq!(it.standing(), Standing::Out, "one at a time");
        assert_eq!(it.ill(), Some(Turned::Out(Why::InARow)));
        it.at(2_999);
        assert_eq!(it.standing(), Standing::Out);
        it.at(3_000);
        it.health.begin_trial(it.now);
        assert_eq!(it.well(), Some(Turned::Back));
        assert_eq!(it.standing(), Standing::Well(1.0));
    }

    #[test]
    fn what_was_under_way_brings_nothing_back() {
        let mut it = Played::new();
        it.ill();
        it.ill();
        it.ill();
        it.at(10);
        assert_eq!(it.well(), None);
        assert_eq!(it.standing(), Standing::Out);
    }

    #[test]
    fn a_trial_that_showed_nothing_or_never_ends_is_made_again() {
        let mut it = Played::new();
        it.ill();
        it.ill();
        it.ill();
        it.at(1_000);
        it.health.begin_trial(it.now);
        it.health.saw(Showed::Nothing, &settings(), it.now, true);
        assert_eq!(it.standing(), Standing::Due { overdue: false });
        it.health.begin_trial(it.now);
        it.at(11_000);
        assert_eq!(it.standing(), Standing::Due { overdue: true });
    }

    #[test]
    fn the_pause_ends_at_the_longest_and_is_forgotten_after_a_good_while() {
        let mut it = Played::new();
        let mut at = 0;
        for _ in 0..12 {
            it.at(at);
            it.health.take_out(Why::InARow, &settings(), it.now);
            at += 60_000;
        }
        assert_eq!(it.health.length, Duration::from_secs(60));
        let now = it.now;
        it.health.come_back(now);
        let later = now + Duration::from_secs(60);
        it.health.take_out(Why::InARow, &settings(), later);
        assert_eq!(it.health.length, Duration::from_secs(1));
    }

    #[test]
    fn where_it_may_not_be_taken_out_it_stays() {
        let mut it = Played::new();
        for _ in 0..20 {
            assert_eq!(it.health.saw(Showed::Ill, &settings(), it.now, false), None);
        }
        assert_eq!(it.standing(), Standing::Suspect);
    }

    #[test]
    fn it_starts_slowly() {
        let mut it = Played::new();
        it.health.come_back(it.now);
        let five = Duration::from_secs(5);
        assert_eq!(it.health.standing(five, it.now), Standing::Well(0.1));
        it.at(2_500);
        assert_eq!(it.health.standing(five, it.now), Standing::Well(0.5));
        it.at(5_000);
        assert!(it.health.is_plain(five, it.now));
    }

    #[test]
    fn checks_turn_after_their_number_in_a_row() {
        let checks = Checks {
            by: config::HealthBy::Tcp,
            interval: NO,
            timeout: NO,
            unhealthy_after: 3,
            healthy_after: 2,
        };
        let mut it = Played::new();
        let mut check = |good| it.health.checked(good, &checks, it.now);
        assert_eq!(
            (check(false), check(false), check(true), check(false)),
            (None, None, None, None)
        );
        assert_eq!((check(false), check(false)), (None, Some(Turned::Ill)));
        assert_eq!((check(true), check(false), check(true)), (None, None, None));
        assert_eq!(check(true), Some(Turned::Well));
    }

    #[test]
    fn who_says_that_it_leaves_is_left_alone_until_it_has() {
        let mut it = Played::new();
        it.health.says_it_leaves(it.now);
        assert_eq!(it.standing(), Standing::Leaves);
        // An answer may have been under way before.
        it.health.stays(it.now, it.now);
        assert_eq!(it.standing(), Standing::Leaves);
        it.health.stays(it.now + Duration::from_millis(1), it.now);
        assert_eq!(it.standing(), Standing::Well(1.0));
        it.health.says_it_leaves(it.now);
        it.at(59_999);
        assert_eq!(it.health.why(it.now), Some("announced"));
        it.at(60_000);
        assert_eq!((it.standing(), it.health.why(it.now)), (Standing::Well(1.0), None));
        it.health.order_to_leave(true);
        it.health.stays(it.now + Duration::from_millis(1), it.now);
        assert_eq!((it.standing(), it.health.until(it.now)), (Standing::Leaves, None));
        it.health.order_to_leave(false);
        assert_eq!(it.standing(), Standing::Well(1.0));
    }

    #[test]
    fn one_request_a_second_looks_whether_who_said_so_is_back() {
        let mut it = Played::new();
        it.health.says_it_leaves(it.now);
        assert_eq!(it.at(999).standing(), Standing::Leaves);
        assert_eq!(it.at(1_000).standing(), Standing::Due { overdue: false });
        assert_eq!(it.health.state(NO, it.now), LiveState::Draining);
        it.health.begin_trial(it.now);
        assert_eq!(it.standing(), Standing::Leaves);
        // That it is gone by now is no failure.
        assert_eq!((it.ill(), it.ill(), it.ill()), (None, None, None));
        assert_eq!(it.health.in_a_row(), 0);
        assert_eq!(it.at(2_000).standing(), Standing::Due { overdue: false });
        it.health.order_to_leave(true);
        assert_eq!(it.at(9_000).standing(), Standing::Leaves);
    }

    #[test]
    fn an_ejection_by_order_ends_by_time_by_a_trial_or_by_a_reset() {
        let mut it = Played::new();
        assert!(!it.health.order_trial(it.now));
        it.health.order_out(Duration::from_secs(30), it.now);
        assert_eq!((it.standing(), it.health.why(it.now)), (Standing::Out, Some("order")));
        assert_eq!(it.at(30_000).standing(), Standing::Due { overdue: false });
        it.health.order_out(Duration::from_secs(30), it.now);
        assert!(it.health.order_trial(it.now));
        assert_eq!(it.standing(), Standing::Due { overdue: false });
        assert_eq!(it.at(31_000).standing(), Standing::Due { overdue: true });
        assert_eq!(it.well(), Some(Turned::Back));
        it.health.order_out(Duration::from_secs(30), it.now);
        it.health.reset();
        assert_eq!(it.standing(), Standing::Well(1.0));
    }

    #[test]
    fn a_reset_forgets_what_was_said_and_keeps_what_was_ordered() {
        let mut it = Played::new();
        it.health.says_it_leaves(it.now);
        it.health.reset();
        assert_eq!(it.standing(), Standing::Well(1.0));
        it.health.order_to_leave(true);
        it.health.reset();
        assert_eq!(it.standing(), Standing::Leaves);
    }

    #[test]
    fn one_answer_that_took_long_is_not_what_is_usual() {
        let mut window = Window::default();
        let now = Instant::now();
        for _ in 0..20 {
            window.add(false, Some(Duration::from_millis(5)), now);
        }
        window.add(false, Some(Duration::from_secs(30)), now);
        let (usual, count) = window.typical(now).expect("there were some");
        assert!(usual < Duration::from_millis(10) && count == 21, "{usual:?}");
        let (mean, _) = window.latency(now).expect("there were some");
        assert!(Duration::from_secs(1) < mean);
    }

    #[test]
    fn outliers() {
        let ms = Duration::from_millis;
        let check = |own, others: &[u64], expected| {
            let mut all: Vec<Duration> = others.iter().map(|it| ms(*it)).collect();
            assert_eq!(is_outlier(ms(own), &mut all, 5), expected, "{own} {others:?}");
        };
        check(2_000, &[5, 5], true);
        check(200, &[5, 5], false);
        check(205, &[5, 5], true);
        check(2_000, &[500, 400], false);
        check(2_000, &[], false);
        check(2_000, &[5, 3_000, 4_000], false);
        assert!(!is_outlier(ms(9_000), &mut [ms(1)], 0));
    }
}
