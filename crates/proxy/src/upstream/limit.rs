//! How many requests a target can have in hand at a time, learned from its answers.
//!
//! A target that works on a few requests at a time keeps the others in a queue of its own, where
//! they wait longer the more there are. What is in that queue had better wait here, where it can be
//! refused in time. The sign is that answers take longer in step with the number in hand, within
//! one short while. A target that does everything at once shows no such thing, however slow it is,
//! and is never limited for long: each limit begins with a trial, which is given up where fewer
//! requests in hand are not answered sooner.

use std::time::{Duration, Instant};

/// Where a target begins: a queue of so many requests shows, and does little harm.
const FIRST: usize = 12;

/// A learned limit is no smaller.
const LEAST: usize = 4;

/// Nor is any larger.
const MOST: usize = 100_000;

/// How long a target is full before its limit grows, at most and at least: until then a queue would show
/// in its answers. Who waits calls [`Limit::reached`] as often as [`STEP_OF_WAITING`].
const LOOK: Duration = Duration::from_millis(100);
const QUICK_LOOK: Duration = Duration::from_millis(20);

/// So many times what its quicker answers take a queue takes to show.
const TIMES_TO_SHOW: u32 = 5;

/// A quarter of its answers are as quick; by how much that is moved with each.
const QUICK: f64 = 0.25;
const MOVED: f64 = 0.1;

/// How often those who wait tell that they do.
pub(crate) const STEP_OF_WAITING: Duration = Duration::from_millis(20);

/// Answers count for this long, and at most twice as long; or longer where they take long.
const WHILE: Duration = Duration::from_secs(1);

/// So many answers are enough to say that a target queues.
const ENOUGH: u64 = 12;

/// So few are enough to let a limit grow no further until there are more.
const HINT: u64 = 4;

/// So many looks in a row a hint is heeded, if nothing more comes of it.
const HINTS: u32 = 4;

/// The share of the differences between answers that the number in hand explains (r squared).
const EXPLAINED: f64 = 0.5;

/// What is explained against what is not, for the number of answers (F with one degree of freedom):
/// by chance about once in ten thousand.
const BY_CHANCE: f64 = 30.0;

/// Answers take so much longer with each of three growing numbers in hand.
const STEP: f64 = 1.25;

/// A limited target has so many times in hand what it works on: never idle, with a short queue.
const ROOM: f64 = 3.0;

/// Below this many times the time of an unhurried answer a limit grows.
const SHORT: f64 = 2.0;

/// Above this many it shrinks.
const LONG: f64 = 4.0;

/// Answers between two steps of a limit that was learned.
const STEP_ANSWERS: u64 = 8;

/// Answers that waited in a queue come sooner in step with how many fewer are in hand. This part of
/// it shows that they did.
const SOONER: f64 = 0.5;

/// Whether so little fewer are answered sooner tells nothing.
const FEWER: f64 = 0.2;

/// Below this part a trial is given up at once; between the two after so many answers.
const NO_SOONER: f64 = 0.2;
const TRIAL_ANSWERS: u64 = 3 * STEP_ANSWERS;

/// How long a limit holds before it is put to the trial again.
const HOLDS: Duration = Duration::from_secs(10);

/// How long nothing is concluded after a trial that was given up, doubled with each.
const DOUBT: Duration = Duration::from_secs(2);
const MOST_DOUBLINGS: u32 = 6;

/// In that time the limit grows more slowly: the trial may have been wrong.
const DOUBT_LOOKS: u32 = 3;

/// How long the target may be silent before a limit is given up, at least.
const SILENCE: Duration = Duration::from_secs(1);

/// A limit that is twice what was needed for so long is halved.
const UNUSED: Duration = Duration::from_secs(60);

/// The limit of one target, over all cores.
pub(crate) struct Limit {
    most: usize,
    /// How long the quicker answers take.
    quick: Option<Duration>,
    held: Option<Held>,
    seen: Seen,
    /// When it was first found full since the last look.
    full_since: Option<Instant>,
    /// How many times in a row it did not grow for a hint.
    hinted: u32,
    last_full: Option<Instant>,
    last_ended: Option<Instant>,
    /// Until when nothing is concluded.
    doubt: Option<Instant>,
    doubts: u32,
    /// The most in hand since, for [`UNUSED`].
    peak: usize,
    peak_since: Option<Instant>,
}

/// A limit that was learned.
struct Held {
    /// How long an answer takes that waits for no other, in seconds.
    base: f64,
    /// The answers before the limit shrank.
    before: Option<Group>,
    /// What the limit becomes when the trial shows that answers come sooner.
    aim: Option<usize>,
    /// When the limit was last looked at.
    since: Instant,
    /// The trial is not the first: there is no haste to give up.
    again: bool,
    /// When it was last shown to be of use.
    shown: Instant,
    /// The answers since it was last shown to be of use.
    lately: Group,
    /// The answers since the last step.
    answers: Group,
}

impl Default for Limit {
    fn default() -> Limit {
        Limit::new()
    }
}

impl Limit {
    pub(crate) fn new() -> Limit {
        Limit {
            most: FIRST,
            quick: None,
            held: None,
            seen: Seen::default(),
            full_since: None,
            hinted: 0,
            last_full: None,
            last_ended: None,
            doubt: None,
            doubts: 0,
            peak: 0,
            peak_since: None,
        }
    }

    /// How many requests the target may have in hand. It changes in the other two calls only, after
    /// which the caller mirrors it to where it is read without a lock, and calls as many of those who
    /// wait as it has grown by.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Whether that is because its answers showed a queue.
    pub(crate) fn is_learned(&self) -> bool {
        self.held.is_some()
    }

    /// The head of an answer came. `in_hand` is how many requests the target had when this one
    /// began, itself included.
    pub(crate) fn ended(&mut self, in_hand: usize, took: Duration, now: Instant) {
        self.last_ended = Some(now);
        let moved = |quick: Duration| match took < quick {
            true => quick.mul_f64(1.0 - MOVED * (1.0 - QUICK)),
            false => quick.mul_f64(1.0 + MOVED * QUICK),
        };
        // The first says little.
        self.quick = Some(self.quick.map_or(took.max(LOOK / TIMES_TO_SHOW), moved));
        self.seen.add(in_hand, took, now);
        self.peak = self.peak.max(in_hand);
        match &mut self.held {
            Some(held) => {
                let began_since = now.saturating_duration_since(held.since) >= took;
                match &mut held.before {
                    _ if began_since && in_hand <= self.most => held.answers.add(in_hand, took),
                    // The trial empties the target: these are the last of what was before.
                    Some(before) if held.aim.is_some() && in_hand > self.most => {
                        before.add(in_hand, took);
                    }
                    _ => {}
                }
            }
            None => self.fade(now),
        }
        self.look(now);
    }

    /// A request found the target full, or still waits for it.
    pub(crate) fn reached(&mut self, now: Instant) {
        // What was learned is not given up in haste.
        if self.held.is_some() && self.last_full.is_some_and(|it| now < it + LOOK) {
            return;
        }
        self.last_full = Some(now);
        self.full_since.get_or_insert(now);
        self.look(now);
    }

    fn look(&mut self, now: Instant) {
        match self.held.is_some() {
            true => self.look_held(now),
            false => self.look_free(now),
        }
    }

    /// Grows where it is full, unless the answers show a queue.
    fn look_free(&mut self, now: Instant) {
        let doubtful = self.doubt.is_some_and(|it| now < it);
        let shows = self.quick.map_or(LOOK, |it| it * TIMES_TO_SHOW);
        let look = shows.clamp(QUICK_LOOK, LOOK);
        let pause = if doubtful { LOOK * DOUBT_LOOKS } else { look };
        if self.full_since.is_none_or(|it| now.saturating_duration_since(it) < pause) {
            return;
        }
        self.full_since = None;
        let sign = if doubtful { None } else { self.seen.sign() };
        match sign {
            Some(sign) if sign.sure => self.hold(&sign, now),
            Some(sign) if self.hinted < HINTS => {
                self.hinted += 1;
                self.most = sign.room().min(self.most * 2).max(self.most);
            }
            _ => {
                self.hinted = 0;
                self.most = (self.most * 2).min(MOST);
            }
        }
    }

    /// Begins with a trial: half of what was in hand when the answers were late.
    fn hold(&mut self, sign: &Sign, now: Instant) {
        let room = sign.room();
        let trial = room.min((sign.most.in_hand.value() / 2.0) as usize).max(2);
        self.held = Some(Held {
            base: sign.base,
            before: Some(sign.most),
            aim: Some(room),
            since: now,
            again: false,
            shown: now,
            lately: Group::default(),
            answers: Group::default(),
        });
        self.most = trial;
    }

    fn look_held(&mut self, now: Instant) {
        let full = self.full_since.is_some();
        let unused = self.last_full.is_none_or(|it| now.saturating_duration_since(it) >= HOLDS);
        let Some(held) = &mut self.held else { return };
        if unused {
            self.free(now);
            return;
        }
        if full && held.is_silent(self.last_ended, now) {
            self.give_up(now);
            return;
        }
        let answers = held.answers;
        if answers.took.count < STEP_ANSWERS {
            return;
        }
        let shrank = |it: &Group| self.most as f64 * 2.0 <= it.in_hand.value();
        let tried = held.before.filter(|it| held.aim.is_some() || shrank(it));
        match tried.map(|before| Verdict::of(&before, &answers)) {
            None => self.step(full, now),
            Some(Verdict::Unclear) => {}
            Some(Verdict::Sooner) => {
                self.doubts = 0;
                held.shown = now;
                held.again = true;
                held.lately = Group::default();
                held.before = None;
                held.change(now);
                self.most = held.aim.take().unwrap_or(self.most);
            }
            Some(Verdict::NoSooner) if held.aim.is_none() => held.try_again(&mut self.most, now),
            Some(Verdict::NoSooner) if held.again && answers.took.count < TRIAL_ANSWERS => {}
            Some(Verdict::NoSooner) => {
                let before = tried.map_or(0.0, |it| it.in_hand.value());
                self.most = self.most.max(before as usize);
                self.give_up(now);
            }
        }
    }

    /// Keeps the queue inside the target short.
    fn step(&mut self, full: bool, now: Instant) {
        let Some(held) = &mut self.held else { return };
        let answers = held.answers;
        let took = answers.took.value();
        self.full_since = None;
        held.change(now);
        held.lately = held.lately.plus(&answers);
        held.before.get_or_insert(answers);
        let long = took / held.base;
        if long < SHORT {
            if full {
                self.most = (self.most + self.most.div_ceil(2)).min(MOST);
                held.before = None;
                held.lately = Group::default();
            }
        } else if long > LONG && self.most > LEAST {
            self.most = (self.most * 4 / 5).max(LEAST);
        } else if full && now.saturating_duration_since(held.shown) >= HOLDS {
            held.try_again(&mut self.most, now);
        }
    }

    /// Nothing was learned: the answers are late for another reason.
    fn give_up(&mut self, now: Instant) {
        let wait = DOUBT * 2_u32.pow(self.doubts.min(MOST_DOUBLINGS));
        self.doubt = Some(now + wait);
        self.doubts += 1;
        self.most = (self.most * 2).min(MOST);
        self.free(now);
    }

    fn free(&mut self, now: Instant) {
        self.most = self.most.max(FIRST);
        self.held = None;
        self.full_since = None;
        self.hinted = 0;
        self.seen = Seen::default();
        self.peak = 0;
        self.peak_since = Some(now);
    }

    /// Comes back from what a rare burst needed.
    fn fade(&mut self, now: Instant) {
        let since = *self.peak_since.get_or_insert(now);
        if now.saturating_duration_since(since) < UNUSED {
            return;
        }
        if self.peak * 2 < self.most {
            self.most = (self.most / 2).max(self.peak * 2).max(FIRST);
        }
        self.peak = 0;
        self.peak_since = Some(now);
    }
}

impl Held {
    /// Only answers to what begins from now on count.
    fn change(&mut self, now: Instant) {
        self.since = now;
        self.answers = Group::default();
    }

    /// Another trial, against all answers since the last one.
    fn try_again(&mut self, most: &mut usize, now: Instant) {
        self.before = Some(std::mem::take(&mut self.lately));
        self.aim = Some(*most);
        self.shown = now;
        self.change(now);
        *most = (*most / 2).max(2);
    }

    fn is_silent(&self, last_ended: Option<Instant>, now: Instant) -> bool {
        let took = self.before.map_or(self.base * LONG, |it| it.took.value());
        let since = last_ended.map_or(self.since, |it| it.max(self.since));
        let long = SILENCE.max(Duration::try_from_secs_f64(took * 4.0).unwrap_or(Duration::MAX));
        now.saturating_duration_since(since) > long
    }
}

/// Whether fewer requests in hand are answered sooner.
enum Verdict {
    Sooner,
    NoSooner,
    Unclear,
}

impl Verdict {
    fn of(before: &Group, now: &Group) -> Verdict {
        let fewer = 1.0 - now.in_hand.value() / before.in_hand.value();
        let sooner = 1.0 - now.took.value() / before.took.value();
        let unclear = now.took.count < TRIAL_ANSWERS && sooner > fewer * NO_SOONER;
        match sooner >= fewer * SOONER || fewer < FEWER {
            true => Verdict::Sooner,
            false if unclear => Verdict::Unclear,
            false => Verdict::NoSooner,
        }
    }
}

/// What answers of late say.
struct Sign {
    /// Enough of them say so.
    sure: bool,
    /// How long an answer takes that waits for no other, in seconds.
    base: f64,
    /// The answers with the most in hand.
    most: Group,
}

impl Sign {
    /// What keeps the target busy. By Little's law `in_hand / took` are done in a second, and each
    /// is worked on for `base`.
    fn room(&self) -> usize {
        let worked_on = self.most.in_hand.value() / self.most.took.value() * self.base;
        ((ROOM * worked_on).ceil() as usize).max(LEAST)
    }
}

/// The answers of a while, and of the one before.
#[derive(Default)]
struct Seen {
    now: Tally,
    before: Tally,
    since: Option<Instant>,
    last: Option<Instant>,
}

impl Seen {
    fn add(&mut self, in_hand: usize, took: Duration, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let age = now.saturating_duration_since(since);
        if age >= WHILE && age.as_secs_f64() >= 2.0 * self.now.took() {
            let silence = self.last.map(|it| now.saturating_duration_since(it));
            let full = std::mem::take(&mut self.now);
            let counts = silence.is_some_and(|it| it < WHILE * 2);
            self.before = if counts { full } else { Tally::default() };
            self.since = Some(now);
        }
        self.last = Some(now);
        self.now.add(in_hand, took);
    }

    fn sign(&self) -> Option<Sign> {
        self.now.plus(&self.before).sign()
    }
}

/// Sums over answers: over all of them, and by the number in hand.
#[derive(Clone, Copy, Default)]
struct Tally {
    count: u64,
    in_hand: f64,
    in_hand_squares: f64,
    took: f64,
    took_squares: f64,
    products: f64,
    /// By powers of two of the number in hand.
    groups: [Group; GROUPS],
}

/// [`MOST`] is in the last.
const GROUPS: usize = 17;

#[derive(Clone, Copy, Default)]
struct Group {
    in_hand: Mean,
    took: Mean,
}

impl Tally {
    fn add(&mut self, in_hand: usize, took: Duration) {
        let took = took.as_secs_f64();
        let group = (in_hand.max(1).ilog2() as usize).min(GROUPS - 1);
        let in_hand = in_hand as f64;
        self.count += 1;
        self.in_hand += in_hand;
        self.in_hand_squares += in_hand * in_hand;
        self.took += took;
        self.took_squares += took * took;
        self.products += in_hand * took;
        if let Some(group) = self.groups.get_mut(group) {
            group.in_hand.add(in_hand);
            group.took.add(took);
        }
    }

    fn plus(&self, other: &Tally) -> Tally {
        let mut sum = *self;
        sum.count += other.count;
        sum.in_hand += other.in_hand;
        sum.in_hand_squares += other.in_hand_squares;
        sum.took += other.took;
        sum.took_squares += other.took_squares;
        sum.products += other.products;
        for (group, more) in sum.groups.iter_mut().zip(&other.groups) {
            *group = group.plus(more);
        }
        sum
    }

    /// The mean, in seconds.
    fn took(&self) -> f64 {
        self.took / self.count.max(1) as f64
    }

    fn sign(&self) -> Option<Sign> {
        match self.count {
            ..HINT => None,
            HINT..ENOUGH => self.explains(0.0).then(|| self.ends())?,
            ENOUGH.. if !self.explains(BY_CHANCE) => None,
            ENOUGH.. => self.steps().or_else(|| self.ends()),
        }
    }

    /// Whether the time that answers take follows the number in hand, and for a good part.
    fn explains(&self, by_chance: f64) -> bool {
        let count = self.count as f64;
        let spread = self.in_hand_squares - self.in_hand * self.in_hand / count;
        let varied = self.took_squares - self.took * self.took / count;
        let together = self.products - self.in_hand * self.took / count;
        if spread <= 0.0 || varied <= 0.0 || together <= 0.0 {
            return false;
        }
        let slope = together / spread;
        let alone = (self.took - slope * self.in_hand) / count;
        let share = (together * together / (spread * varied)).min(1.0);
        let tested = share * (count - 2.0) >= by_chance * (1.0 - share);
        let most = self.groups.iter().rev().find(|it| it.took.count > 0);
        let most = most.map_or(0.0, |it| it.in_hand.value());
        share >= EXPLAINED && tested && slope * most >= alone
    }

    /// The few answers with the least and the most in hand.
    fn ends(&self) -> Option<Sign> {
        let some = || self.groups.iter().enumerate().filter(|(_, it)| it.took.count > 0);
        let (low, least) = some().next()?;
        let (high, most) = some().next_back()?;
        let longer = most.took.value() >= least.took.value() * STEP;
        let sign = || Sign { sure: false, base: least.took.value(), most: *most };
        (high >= low + 2 && longer).then(sign)
    }

    /// Three growing numbers in hand, each with longer answers than the one before. Where answers
    /// became late at one moment, for whatever reason, there are but two: early and late.
    fn steps(&self) -> Option<Sign> {
        let mut many = self.groups.iter().enumerate().rev().filter(|(_, it)| it.took.count >= 3);
        let (_, most) = many.next()?;
        let (middle_at, middle) = many.next()?;
        let below = self.groups.iter().take(middle_at);
        let least = below.fold(Group::default(), |sum, it| sum.plus(it));
        let few = least.took.count < 2;
        let stepped = most.took.value() >= middle.took.value() * STEP
            && middle.took.value() >= least.took.value() * STEP;
        let varied = most.in_hand.value() >= 4.0 * least.in_hand.value();
        let sign = || Sign { sure: true, base: least.took.value(), most: *most };
        (!few && stepped && varied).then(sign)
    }
}

impl Group {
    fn add(&mut self, in_hand: usize, took: Duration) {
        self.in_hand.add(in_hand as f64);
        self.took.add(took.as_secs_f64());
    }

    fn plus(&self, other: &Group) -> Group {
        Group { in_hand: self.in_hand.plus(&other.in_hand), took: self.took.plus(&other.took) }
    }
}

#[derive(Clone, Copy, Default)]
struct Mean {
    count: u64,
    sum: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
    }

    fn plus(&self, other: &Mean) -> Mean {
        Mean { count: self.count + other.count, sum: self.sum + other.sum }
    }

    /// 0 where there are none.
    fn value(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::queue::Line;
    use std::cmp::Reverse;
    use std::collections::{BinaryHeap, VecDeque};

    /// Chance that is the same in each run (SplitMix64).
    struct Chance(u64);

    impl Chance {
        /// From 0 to 1.
        fn share(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }

        fn exponential(&mut self, mean: f64) -> f64 {
            -mean * (1.0 - self.share()).ln()
        }
    }

    /// What a target does. Times are in seconds from the beginning.
    struct Target {
        /// How many requests it works on at a time; the others wait in its queue.
        workers: usize,
        /// How long it works on a request that begins then.
        work: fn(&mut Chance, f64) -> f64,
    }

    /// Times at which requests arrive, at random with this rate, from and until.
    fn arrivals(chance: &mut Chance, rate: f64, from: f64, until: f64) -> Vec<f64> {
        let mut all = Vec::new();
        let mut at = from;
        loop {
            at += chance.exponential(1.0 / rate);
            if at >= until {
                return all;
            }
            all.push(at);
        }
    }

    fn even(rate: f64, from: f64, until: f64) -> Vec<f64> {
        (0..((until - from) * rate) as usize).map(|it| from + it as f64 / rate).collect()
    }

    /// In microseconds, so that events have an order.
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Event {
        Arrive(usize),
        Done(usize),
        Expire(usize),
        /// Those who wait look whether the limit grows.
        Tick,
    }

    #[derive(Clone, Copy, Default)]
    struct Request {
        arrived: f64,
        began: f64,
        in_hand: usize,
        ticket: Option<u64>,
        /// Seconds from its arrival to its answer.
        served: Option<f64>,
        shed: bool,
    }

    struct World {
        target: Target,
        chance: Chance,
        start: Instant,
        now: f64,
        events: BinaryHeap<Reverse<(u64, u64, Event)>>,
        order: u64,
        requests: Vec<Request>,
        limit: Limit,
        line: Line<usize>,
        in_hand: usize,
        working: usize,
        inside: VecDeque<usize>,
        settings: config::Queue,
        ticking: bool,
        /// The limit over time.
        log: Vec<(f64, usize)>,
    }

    impl World {
        fn run(target: Target, seed: u64, mut times: Vec<f64>) -> World {
            times.sort_by(f64::total_cmp);
            let mut world = World {
                target,
                chance: Chance(seed),
                start: Instant::now(),
                now: 0.0,
                events: BinaryHeap::new(),
                order: 0,
                requests: times
                    .iter()
                    .map(|it| Request { arrived: *it, ..Request::default() })
                    .collect(),
                limit: Limit::new(),
                line: Line::default(),
                in_hand: 0,
                working: 0,
                inside: VecDeque::new(),
                settings: config::Queue {
                    requests: 1_000,
                    full: Duration::from_secs(1),
                    gone: Duration::from_secs(5),
                },
                ticking: false,
                log: Vec::new(),
            };
            for (index, at) in times.iter().enumerate() {
                world.at(*at, Event::Arrive(index));
            }
            while let Some(Reverse((at, _, event))) = world.events.pop() {
                world.now = at as f64 / 1e6;
                world.happen(event);
                let most = world.limit.most();
                if world.log.last().is_none_or(|it| it.1 != most) {
                    world.log.push((world.now, most));
                }
            }
            world
        }

        fn at(&mut self, at: f64, event: Event) {
            self.order += 1;
            self.events.push(Reverse(((at * 1e6) as u64, self.order, event)));
        }

        fn instant(&self) -> Instant {
            self.start + Duration::from_secs_f64(self.now)
        }

        fn happen(&mut self, event: Event) {
            let now = self.instant();
            match event {
                Event::Arrive(index)
                    if self.in_hand < self.limit.most() && self.line.len() == 0 =>
                {
                    self.begin(index);
                }
                Event::Arrive(index) => {
                    self.limit.reached(now);
                    let joined = self.line.join(index, now, &self.settings);
                    self.requests[index].ticket = Some(joined.ticket);
                    for refused in joined.refused {
                        self.requests[refused].shed = true;
                    }
                    self.at(self.now + self.settings.full.as_secs_f64(), Event::Expire(index));
                    if !self.ticking {
                        self.ticking = true;
                        self.at(self.now + STEP_OF_WAITING.as_secs_f64(), Event::Tick);
                    }
                    self.call();
                }
                Event::Expire(index) => {
                    if let Some(ticket) = self.requests[index].ticket
                        && self.line.leave(ticket)
                    {
                        self.requests[index].shed = true;
                    }
                }
                Event::Tick => {
                    self.ticking = self.line.len() > 0;
                    if self.ticking {
                        self.limit.reached(now);
                        self.at(self.now + STEP_OF_WAITING.as_secs_f64(), Event::Tick);
                        self.call();
                    }
                }
                Event::Done(index) => {
                    self.in_hand -= 1;
                    self.working -= 1;
                    let request = &mut self.requests[index];
                    request.served = Some(self.now - request.arrived);
                    let took = Duration::from_secs_f64(self.now - request.began);
                    let in_hand = request.in_hand;
                    self.limit.ended(in_hand, took, now);
                    self.work();
                    self.call();
                }
            }
        }

        fn begin(&mut self, index: usize) {
            self.in_hand += 1;
            let request = &mut self.requests[index];
            request.began = self.now;
            request.in_hand = self.in_hand;
            self.inside.push_back(index);
            self.work();
        }

        fn work(&mut self) {
            while self.working < self.target.workers
                && let Some(index) = self.inside.pop_front()
            {
                self.working += 1;
                let work = (self.target.work)(&mut self.chance, self.now);
                self.at(self.now + work, Event::Done(index));
            }
        }

        /// As `Queue::free` does it.
        fn call(&mut self) {
            let now = self.instant();
            let places = self.limit.most().saturating_sub(self.in_hand);
            if self.line.len() > 0 {
                self.line.freed(places, now);
            }
            for _ in 0..places {
                match self.line.call(now) {
                    Some((_, index)) => self.begin(index),
                    None => break,
                }
            }
            if self.line.len() > 0 {
                self.limit.reached(now);
            }
        }

        fn of(&self, from: f64, until: f64) -> impl Iterator<Item = &Request> {
            self.requests.iter().filter(move |it| it.arrived >= from && it.arrived < until)
        }

        fn shed(&self, from: f64, until: f64) -> usize {
            self.of(from, until).filter(|it| it.shed).count()
        }

        /// Answers a second.
        fn goodput(&self, from: f64, until: f64) -> f64 {
            let ended = self.requests.iter().filter_map(|it| Some(it.arrived + it.served?));
            ended.filter(|it| *it >= from && *it < until).count() as f64 / (until - from)
        }

        /// Of those that were served, in seconds.
        fn p99(&self, from: f64, until: f64) -> f64 {
            let mut all: Vec<f64> = self.of(from, until).filter_map(|it| it.served).collect();
            all.sort_by(f64::total_cmp);
            all.get((all.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0.0)
        }
    }

    /// What must hold between two times.
    #[derive(Clone, Copy)]
    struct Bounds {
        from: f64,
        until: f64,
        /// Requests that may be shed.
        shed: usize,
        /// Answers a second, at least.
        goodput: f64,
        /// In seconds.
        p99: f64,
    }

    fn bounds(from: f64, until: f64, shed: usize, goodput: f64, p99: f64) -> Bounds {
        Bounds { from, until, shed, goodput, p99 }
    }

    type Work = fn(&mut Chance, f64) -> f64;

    const UNLIMITED: usize = usize::MAX;
    const ANY: usize = usize::MAX;

    fn check(
        name: &str,
        workers: usize,
        work: Work,
        times: fn(&mut Chance) -> Vec<f64>,
        all: &[Bounds],
    ) {
        let mut broken = Vec::new();
        for seed in 1..=10 {
            let times = times(&mut Chance(seed * 1_000));
            let world = World::run(Target { workers, work }, seed, times);
            for it in all {
                let (from, until) = (it.from, it.until);
                let (shed, goodput, p99) =
                    (world.shed(from, until), world.goodput(from, until), world.p99(from, until));
                let many = world.of(from, until).count();
                let line = format!(
                    "{name}, seed {seed}, {from} to {until} s: {shed} of {many} shed, {goodput:.1}/s, p99 {p99:.3} s; limits {:.2?}",
                    &world.log[..world.log.len().min(30)],
                );
                if shed > it.shed || goodput < it.goodput || p99 > it.p99 {
                    broken.push(line);
                }
            }
        }
        assert!(broken.is_empty(), "{broken:#?}");
    }

    /// Ten arrive in a second, then 400, then 20.
    fn crowd(chance: &mut Chance) -> Vec<f64> {
        let quiet = arrivals(chance, 10.0, 0.0, 4.0);
        [quiet, arrivals(chance, 400.0, 4.0, 8.0), arrivals(chance, 20.0, 8.5, 12.5)].concat()
    }

    fn crowd_at_once(chance: &mut Chance) -> Vec<f64> {
        [even(400.0, 0.0, 4.0), arrivals(chance, 20.0, 4.5, 8.5)].concat()
    }

    const STEADY: Work = |_, _| 0.05;
    const UNEVEN: Work = |chance, _| 0.025 + 0.05 * chance.share();
    const RANDOM: Work = |chance, _| chance.exponential(0.05);

    #[test]
    fn a_crowd_is_served_as_fast_as_the_target_can_and_nobody_waits_long() {
        let later =
            |goodput, p99| [bounds(4.0, 8.0, ANY, goodput, p99), bounds(8.5, 12.5, 0, 0.0, 0.3)];
        let at_once =
            |goodput, p99| [bounds(0.0, 4.0, ANY, goodput, p99), bounds(4.5, 8.5, 0, 0.0, 0.3)];
        check("steady work", 2, STEADY, crowd, &later(39.0, 0.65));
        check("steady work, learned", 2, STEADY, crowd, &[bounds(4.3, 8.0, ANY, 39.0, 0.5)]);
        check("steady work, at once", 2, STEADY, crowd_at_once, &at_once(39.0, 0.5));
        check("uneven work", 2, UNEVEN, crowd, &later(38.0, 0.7));
        check("uneven work, at once", 2, UNEVEN, crowd_at_once, &at_once(38.0, 0.7));
        let random = [bounds(0.0, 4.0, ANY, 34.0, 3.0), bounds(4.5, 8.5, 0, 0.0, 0.5)];
        check("random work, at once", 2, RANDOM, crowd_at_once, &random);
        let many = |c: &mut Chance| arrivals(c, 3_000.0, 0.0, 5.0);
        check("many workers", 16, STEADY, many, &[bounds(0.5, 5.0, ANY, 319.0, 0.5)]);
        check("many workers, random", 16, RANDOM, many, &[bounds(0.5, 5.0, ANY, 300.0, 1.5)]);
    }

    #[test]
    fn a_crowd_that_stays_is_served_as_fast_as_the_target_can() {
        let long = |c: &mut Chance| arrivals(c, 400.0, 0.0, 30.0);
        check("steady work", 2, STEADY, long, &[bounds(1.0, 30.0, ANY, 39.5, 0.5)]);
        check("random work", 2, RANDOM, long, &[bounds(3.0, 30.0, ANY, 38.0, 1.0)]);
        check("one worker", 1, |_, _| 0.02, long, &[bounds(1.0, 30.0, ANY, 49.5, 0.3)]);
        let slight = |c: &mut Chance| arrivals(c, 60.0, 0.0, 20.0);
        check("half too much", 2, STEADY, slight, &[bounds(1.0, 20.0, 450, 39.5, 1.3)]);
    }

    #[test]
    fn what_a_target_does_at_once_is_never_shed() {
        let none = |until: f64| [bounds(0.0, until, 0, 0.0, 30.0)];
        check(
            "1,000 slow at once",
            UNLIMITED,
            |_, _| 10.0,
            |c| arrivals(c, 1_000.0, 0.0, 1.0),
            &none(1.0),
        );
        check(
            "1,000 slow in a moment",
            UNLIMITED,
            |_, _| 10.0,
            |_| even(100_000.0, 0.0, 0.01),
            &none(1.0),
        );
        let mixed: Work = |chance, _| if chance.share() < 0.5 { 0.005 } else { 2.0 };
        check("mixed", UNLIMITED, mixed, |c| arrivals(c, 100.0, 0.0, 120.0), &none(120.0));
        check("mixed, more", UNLIMITED, mixed, |c| arrivals(c, 1_000.0, 0.0, 30.0), &none(30.0));
        let rare: Work = |chance, _| if chance.share() < 0.98 { 0.005 } else { 2.0 };
        check("mixed, few slow", UNLIMITED, rare, |c| arrivals(c, 1_000.0, 0.0, 60.0), &none(60.0));
        let waves = |c: &mut Chance| {
            (0..30)
                .flat_map(|it| {
                    arrivals(
                        c,
                        if it % 2 == 0 { 10.0 } else { 300.0 },
                        2.0 * f64::from(it),
                        2.0 * f64::from(it) + 2.0,
                    )
                })
                .collect()
        };
        check("mixed, in waves", UNLIMITED, mixed, waves, &none(60.0));
        let heavy: Work = |chance, _| 0.02 / (1.0 - chance.share()).max(0.001);
        check("heavy tail", UNLIMITED, heavy, |c| arrivals(c, 300.0, 0.0, 120.0), &none(120.0));
        check("heavy tail in waves", UNLIMITED, heavy, waves, &none(120.0));
        let batch: Work = |_, at| if at < 10.0 { 0.005 } else { 2.0 };
        let batches = |c: &mut Chance| {
            [arrivals(c, 100.0, 0.0, 10.0), arrivals(c, 300.0, 10.0, 11.0)].concat()
        };
        check("slow batch after quick", UNLIMITED, batch, batches, &none(12.0));
        let interleaved: Work = |_, at| if at.fract() < 0.1 { 2.0 } else { 0.005 };
        check(
            "slow batch among quick",
            UNLIMITED,
            interleaved,
            |c| arrivals(c, 200.0, 0.0, 60.0),
            &none(60.0),
        );
    }

    #[test]
    fn a_service_that_becomes_slower_is_not_shed() {
        let none = |until: f64| [bounds(0.0, until, 0, 0.0, 30.0)];
        let steady = |c: &mut Chance| arrivals(c, 100.0, 0.0, 60.0);
        let step: Work = |c, at| (if at < 10.0 { 0.05 } else { 1.0 }) * (0.8 + 0.4 * c.share());
        check("slower at once", UNLIMITED, step, steady, &none(60.0));
        let slow: Work =
            |c, at| (0.05 + 0.05 * (at - 10.0).clamp(0.0, 20.0)) * (0.8 + 0.4 * c.share());
        check("slower bit by bit", UNLIMITED, slow, steady, &none(60.0));
        let soon: Work =
            |c, at| (0.05 + 0.25 * (at - 10.0).clamp(0.0, 2.0)) * (0.8 + 0.4 * c.share());
        // Until a trial has shown that it is no queue.
        check("slower soon", UNLIMITED, soon, steady, &[bounds(0.0, 60.0, 25, 0.0, 30.0)]);
        let swings: Work = |c, at| (0.3 + 0.25 * (at * 1.5).sin()) * (0.8 + 0.4 * c.share());
        check("swinging", UNLIMITED, swings, steady, &none(60.0));
        check(
            "swinging, more",
            UNLIMITED,
            swings,
            |c| arrivals(c, 1_000.0, 0.0, 60.0),
            &none(60.0),
        );
        let workers: Work = |c, at| (if at < 10.0 { 0.05 } else { 0.15 }) * (0.8 + 0.4 * c.share());
        check("slower with workers to spare", 64, workers, steady, &none(60.0));
    }

    #[test]
    fn bursts_that_can_be_served_in_time_are() {
        let bursts = |_: &mut Chance| {
            (0..20).flat_map(|it| even(20_000.0, f64::from(it), f64::from(it) + 0.01)).collect()
        };
        check(
            "bursts of 200 on 4 workers",
            4,
            |_, _| 0.01,
            bursts,
            &[bounds(0.0, 20.0, 0, 0.0, 1.0)],
        );
        let busy = |c: &mut Chance| arrivals(c, 36.0, 0.0, 60.0);
        // By chance so much comes at once that one in a thousand would wait longer than anybody may.
        check("nine tenths busy", 2, |_, _| 0.05, busy, &[bounds(0.0, 60.0, 2, 0.0, 1.5)]);
        check(
            "nine tenths busy, random",
            2,
            |c, _| c.exponential(0.05),
            busy,
            &[bounds(0.0, 60.0, 40, 0.0, 2.0)],
        );
    }

    #[test]
    fn a_limit_is_let_go_when_the_target_becomes_quicker() {
        let quicker: Work = |_, at| if at < 10.0 { 0.05 } else { 0.002 };
        let steady = |c: &mut Chance| arrivals(c, 400.0, 0.0, 30.0);
        check("quicker", 2, quicker, steady, &[bounds(12.0, 30.0, 0, 390.0, 0.5)]);
    }

    #[test]
    fn a_target_that_hangs_is_not_limited_for_it() {
        let hang: Work = |_, at| if (10.0..13.0).contains(&at) { 13.0 - at } else { 0.01 };
        let steady = |c: &mut Chance| arrivals(c, 200.0, 0.0, 30.0);
        check("hangs for 3 s", UNLIMITED, hang, steady, &[bounds(0.0, 30.0, 0, 0.0, 5.0)]);
    }

    /// A limit that has been full since the first of these answers, which come every 25 ms, each with
    /// one more in hand.
    fn after(answers: usize, took: fn(usize) -> u64) -> (Limit, Instant) {
        let mut limit = Limit::new();
        let mut now = Instant::now();
        for in_hand in 1..=answers {
            limit.reached(now);
            now += Duration::from_millis(25);
            limit.ended(in_hand, Duration::from_millis(took(in_hand)), now);
        }
        (limit, now)
    }

    #[test]
    fn answers_that_take_longer_in_step_with_the_number_in_hand_show_a_queue() {
        let queue = |in_hand: usize| 25 * in_hand as u64;
        let (limit, _) = after(12, queue);
        assert!(limit.is_learned());
        assert!(limit.most() < FIRST);
        // Too few to say so, enough to wait.
        let (limit, _) = after(11, queue);
        assert_eq!((limit.is_learned(), limit.most()), (false, FIRST));
        // It is slow, but for another reason.
        let (limit, _) = after(12, |_| 250);
        assert_eq!((limit.is_learned(), limit.most()), (false, FIRST * 8));
        // Since the sixth.
        let (limit, _) = after(12, |in_hand| if in_hand < 6 { 25 } else { 250 });
        assert!(!limit.is_learned());
        // Less than double.
        let (limit, _) = after(12, |in_hand| 100 + 5 * in_hand as u64);
        assert_eq!((limit.is_learned(), limit.most()), (false, FIRST * 8));
    }

    #[test]
    fn a_limit_that_nobody_finds_full_is_let_go() {
        let (mut limit, now) = after(12, |in_hand| 25 * in_hand as u64);
        limit.ended(1, Duration::from_millis(25), now + HOLDS - Duration::from_secs(1));
        assert!(limit.is_learned());
        limit.ended(1, Duration::from_millis(25), now + HOLDS);
        assert_eq!((limit.is_learned(), limit.most()), (false, FIRST));
    }

    #[test]
    fn a_limit_is_let_go_where_nothing_is_answered_any_more() {
        let (mut limit, now) = after(12, |in_hand| 25 * in_hand as u64);
        limit.reached(now + SILENCE / 2);
        assert!(limit.is_learned());
        limit.reached(now + SILENCE * 2);
        assert!(!limit.is_learned());
    }

    #[test]
    fn a_limit_comes_back_from_what_a_rare_burst_needed() {
        let mut limit = Limit::new();
        let mut now = Instant::now();
        for _ in 0..8 {
            limit.reached(now);
            now += LOOK;
            limit.reached(now);
        }
        assert_eq!(limit.most(), FIRST << 8);
        let mut end = |in_hand: usize| {
            limit.ended(in_hand, Duration::from_millis(5), now);
            now += UNUSED;
            limit.ended(in_hand, Duration::from_millis(5), now);
            limit.most()
        };
        // More than half of it is in hand.
        assert_eq!(end(FIRST << 8), FIRST << 8);
        assert_eq!(end(1), FIRST << 7);
        assert_eq!(end(FIRST << 5), FIRST << 6);
        assert_eq!((0..10).map(|_| end(1)).last(), Some(FIRST));
    }

    #[test]
    fn a_limit_has_an_end() {
        let mut limit = Limit::new();
        let now = Instant::now();
        for look in 0..100 {
            limit.reached(now + LOOK * look);
        }
        assert_eq!(limit.most(), MOST);
    }
}
