//! The tries of one request: which target, whether and when another follows, and until when.

use crate::deadline::Deadline;
use crate::grpc::Call;
use crate::outbound::{Origin, Outbound};
use crate::recorder::Recorder;
use crate::registry::{Asking, TargetState};
use crate::seat::Seat;
use crate::snapshot::{Ready, Snapshot};
use crate::upstream::balance::{Pick, Seeker};
use crate::upstream::gone::{Next, Waiter};
use crate::upstream::health::{ENOUGH, Health, Showed, Standing, Turned};
use crate::upstream::hold::hold;
use crate::upstream::limit::STEP_OF_WAITING;
use crate::upstream::queue::{self, Outcome};
use crate::upstream::retry::{self, Again, Came, Means, Tried};
use crate::upstream::{Answered, Halt, Turn, attempt};
use config::{Forward, Later, Upstream};
use exchange::{Fault, Limit, Phase, Refusal, Stop, TraceParent, Unrepeated};
use http::Version;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a request goes, and what it is.
pub(crate) struct Plan<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) upstream: Option<&'a Arc<Ready>>,
    pub(crate) forward: &'a Forward,
    pub(crate) call: Option<&'a Call>,
    /// How long the caller of anything else waits.
    pub(crate) callers: Option<Deadline>,
    /// It may go on without its caller.
    pub(crate) later: Option<&'a Later>,
    /// What it has in common with requests that should get the same target.
    pub(crate) key: Option<u64>,
    /// The place of the target that its caller is kept with.
    pub(crate) kept: Option<usize>,
}

/// The limit of requests that may go on without their callers.
pub(crate) const WITHOUT_CALLER: &str = "later.total";

/// Longer than any gateway runs.
const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The pauses before another try at the same target, each up to twice as long as the one before, by
/// chance (full jitter): the first at most, and the longest.
const PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Plan<'_> {
    /// When the whole must have come to an answer, which a caller can put earlier, not later. The time
    /// of a gRPC call is its caller's to limit: until its end, and not at all where the caller says
    /// nothing.
    fn deadline(&self, now: Instant) -> (Instant, Limit) {
        let (name, length) = match self.later {
            None => ("timeout.total", self.forward.total),
            Some(it) => (WITHOUT_CALLER, it.total),
        };
        let value = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        let total = Limit { name, value };
        match self.call.map(Call::deadline) {
            None => match self.callers.filter(|it| it.at < now + length) {
                Some(it) => (it.at, it.limit),
                None => (now + length, total),
            },
            Some(Some(it)) => (it.at, it.limit),
            Some(None) => (now + NEVER, total),
        }
    }
}

/// Attempts until one answers or none may follow.
pub(crate) async fn send<'a>(
    plan: &Plan<'a>,
    outbound: &mut Outbound,
    record: &mut Recorder,
    version: Version,
) -> Result<(Turn<'a>, Answered), Halt> {
    let seat = record.seat().clone();
    let received = outbound.headers.get("traceparent").and_then(|it| it.to_str().ok());
    let trace = record.continue_trace(received.and_then(TraceParent::parse));
    let began = Instant::now();
    let (deadline, total) = plan.deadline(began);
    if plan.call.is_none() && deadline <= began {
        return Err(Stop::Failed(Fault::Deadline(total)).into());
    }
    // A call is told in its own words, and what comes out of an upgrade is not waited for.
    let told = plan.call.is_none() && outbound.upgrade.is_none();
    let deadline_told = told.then_some(deadline);
    let id = record.exchange().id;
    let origin = Origin { id, trace, version, deadline: deadline_told, repeat: None };
    let Some(upstream) = plan.upstream else {
        return Err(Stop::Refused(Refusal::NoTarget).into());
    };
    upstream.state.budget.request();
    let repeatable = retry::is_repeatable(&outbound.method, &outbound.headers);
    outbound.pump.keep(plan.forward.retry.body, repeatable, seat.worker.kept.clone());
    let tries = Tries {
        plan,
        upstream,
        seat,
        origin,
        began,
        deadline,
        total,
        repeatable,
        tried: Vec::new(),
        made: 0,
        was_sent: false,
        was_free: false,
        fresh: false,
        waiting: None,
        trial: None,
        queued: None,
    };
    tries.run(outbound, record).await
}

struct Tries<'a, 'p> {
    plan: &'p Plan<'a>,
    upstream: &'a Arc<Ready>,
    seat: Rc<Seat>,
    origin: Origin,
    began: Instant,
    deadline: Instant,
    total: Limit,
    repeatable: bool,
    /// Targets that are not asked again.
    tried: Vec<usize>,
    /// Tries that count.
    made: u32,
    /// A target may have worked on it.
    was_sent: bool,
    was_free: bool,
    fresh: bool,
    /// Its place among those that wait for the upstream to come back.
    waiting: Option<Waiter>,
    trial: Option<Trial>,
    /// When it was first queued.
    queued: Option<Instant>,
}

impl<'a> Tries<'a, '_> {
    async fn run(
        mut self,
        outbound: &mut Outbound,
        record: &mut Recorder,
    ) -> Result<(Turn<'a>, Answered), Halt> {
        loop {
            let (index, asking) = self.choose(record).await?;
            let turn = self.turn(index);
            record.begin_attempt(&turn.target().name, turn.state().server());
            if let Some(call) = self.plan.call {
                call.put_time_left(&mut outbound.headers);
            }
            self.made += 1;
            let came = self.once(&turn, asking, outbound, record).await;
            self.was_sent |= 0 < outbound.pump.sent;
            let next = match &came {
                Ok((answered, took)) => self.after_answer(index, answered, *took, outbound, record),
                Err(Halt::Stop(Stop::Failed(fault))) => {
                    self.after_fault(index, fault, outbound, record)
                }
                Err(Halt::Stop(Stop::Refused(Refusal::ConnectionLimit))) => {
                    self.upstream.saw(index, Showed::Nothing);
                    self.elsewhere(index)
                }
                Err(Halt::Stop(Stop::Refused(_)) | Halt::ClientGone) => {
                    self.upstream.saw(index, Showed::Nothing);
                    None
                }
            };
            self.trial = None;
            let Some(pause) = next else {
                return came.map(|(answered, _)| (turn, answered));
            };
            drop(came);
            if !pause.is_zero() {
                record.enter(Phase::Queue);
                let alarm = self.seat.worker.timer.alarm();
                alarm.until(self.deadline.min(Instant::now() + pause), pending::<()>()).await;
            }
            // What one attempt sent says nothing of the next, which may not come so far.
            outbound.pump.rewind();
        }
    }

    /// One try: the answer, as far as it is to be whole before it is handed on, and how long its head
    /// took.
    async fn once(
        &self,
        turn: &Turn<'_>,
        asking: Asking,
        outbound: &mut Outbound,
        record: &mut Recorder,
    ) -> Result<(Answered, Duration), Halt> {
        let mut answered = attempt(turn, outbound, record).await?;
        // The way to the target is not its own, and how long an upload takes its client decides.
        let phases = &record.attempt_mut().phases;
        let besides = [Phase::Resolve, Phase::Connect, Phase::Tls, Phase::SendBody];
        let besides: u64 = besides.iter().filter_map(|it| phases.get(*it)).sum();
        let concurrency = &self.upstream.settings.concurrency;
        let took = asking.answered(concurrency, Duration::from_micros(besides));
        let Some(_) = self.plan.call else {
            // A tunnel has no body, and an upload that goes on needs its connection.
            if answered.head.status != 101 && outbound.pump.is_done() {
                let most = self.plan.forward.retry.answer;
                if let Err(fault) = hold(turn, &mut answered, record, most).await {
                    turn.state().change_health(|it| it.cut(Instant::now()));
                    record.attempt_mut().status = Some(answered.head.status);
                    record.failed(fault.clone());
                    return Err(Stop::Failed(fault).into());
                }
            }
            return Ok((answered, took));
        };
        match Call::mismatch(&answered.head) {
            None => Ok((answered, took)),
            Some(fault) => {
                record.attempt_mut().status = Some(answered.head.status);
                record.failed(Fault::Head(fault.clone()));
                Err(Stop::Failed(Fault::Head(fault)).into())
            }
        }
    }

    fn turn(&self, index: usize) -> Turn<'a> {
        let Plan { snapshot, forward, call, .. } = *self.plan;
        let repeat = self.was_sent.then_some((self.made + 1, forward.retry.attempts));
        Turn {
            seat: self.seat.clone(),
            limits: &snapshot.config.limits,
            upstream: self.upstream,
            index,
            deadline: self.deadline,
            total: self.total,
            call,
            host: forward.host.as_ref().unwrap_or(&self.upstream.settings.host),
            origin: Origin { repeat, ..self.origin },
            fresh: self.fresh,
            repeatable: self.repeatable,
        }
    }

    /// The target of the next try, when there is one that can take it.
    async fn choose(&mut self, record: &mut Recorder) -> Result<(usize, Asking), Halt> {
        record.enter(Phase::Select);
        self.wait_for_its_return(record).await;
        let mut place: Option<queue::Turn> = None;
        loop {
            let overtakes = place.is_none() && !self.upstream.state.queue.is_empty();
            let picked = if overtakes { Pick::Full } else { self.pick() };
            let index = match picked {
                Pick::Target(index) => index,
                Pick::Trial(index) => {
                    let state = &self.upstream.states[index];
                    state.change_health(|it| it.begin_trial(Instant::now()));
                    self.trial = Some(Trial(state.clone()));
                    index
                }
                Pick::Full => {
                    place = Some(self.wait_for_a_place(place, record).await?);
                    continue;
                }
                Pick::Nobody => return Err(Stop::Refused(Refusal::NoTarget).into()),
            };
            let asking = self.upstream.states[index].ask(&self.upstream.state);
            if let Some(place) = place {
                place.taken();
            }
            return Ok((index, asking));
        }
    }

    fn pick(&self) -> Pick {
        let random = self.seat.worker.random() as u64;
        let Tries { repeatable, plan: Plan { key, kept, .. }, .. } = *self;
        let seeker = Seeker { repeatable, key: *key, kept: *kept, random, turn: 0 };
        self.upstream.pick(&self.tried, seeker, Instant::now())
    }

    /// Waits in the queue while all targets have as many requests in hand as they can.
    async fn wait_for_a_place(
        &mut self,
        place: Option<queue::Turn>,
        record: &mut Recorder,
    ) -> Result<queue::Turn, Halt> {
        record.enter_once(Phase::Queue);
        let Ready { settings, state, .. } = &**self.upstream;
        let began = *self.queued.get_or_insert_with(Instant::now);
        let until = self.deadline.min(began + settings.queue.full);
        if until <= Instant::now() {
            return Err(Stop::Refused(Refusal::Overloaded).into());
        }
        self.upstream.is_full();
        // One that this request could take: what others could is told to them.
        let places = || usize::from(!matches!(self.pick(), Pick::Full | Pick::Nobody));
        let mut waiting = match place {
            Some(place) => place.wait_again(Instant::now(), places),
            None => state.queue.join(Instant::now(), &settings.queue, places),
        };
        let alarm = self.seat.worker.timer.alarm();
        loop {
            let look = until.min(Instant::now() + STEP_OF_WAITING);
            match alarm.until(look, &mut waiting).await {
                Some(Outcome::Turn(turn)) => {
                    record.enter(Phase::Select);
                    return Ok(turn);
                }
                Some(Outcome::Refused) => return Err(Stop::Refused(Refusal::Overloaded).into()),
                None if until <= Instant::now() => {
                    return Err(Stop::Refused(Refusal::Overloaded).into());
                }
                None => {
                    self.upstream.is_full();
                    state.queue.offer(places(), Instant::now());
                }
            }
        }
    }

    /// Waits while no target of the upstream can be reached, as long as that may be short.
    async fn wait_for_its_return(&mut self, record: &mut Recorder) {
        let (queue, gone) = (&self.upstream.settings.queue, &self.upstream.state.gone);
        let Some(until) = gone.until(queue.gone, Instant::now()) else {
            self.waiting = None;
            return;
        };
        if self.waiting.is_none() {
            self.waiting = gone.join(queue.requests);
        }
        let Some(waiter) = &mut self.waiting else {
            return;
        };
        let until = until.min(self.deadline);
        record.enter(Phase::Queue);
        let alarm = self.seat.worker.timer.alarm();
        match alarm.until(until, waiter.turn()).await {
            Some(Next::Scout(at)) => {
                alarm.until(at.min(until), pending::<()>()).await;
                if self.made == 0 {
                    record.absorbed_wait(gone.cause());
                }
            }
            Some(Next::Go) => {
                if self.made == 0 {
                    record.absorbed_wait(gone.cause());
                }
                self.waiting = None;
            }
            // One try more, to tell how it is by now.
            None => self.waiting = None,
        }
        record.enter(Phase::Select);
    }

    /// The pause before the next try, `None` where none follows.
    fn after_answer(
        &mut self,
        index: usize,
        answered: &Answered,
        took: Duration,
        outbound: &Outbound,
        record: &mut Recorder,
    ) -> Option<Duration> {
        let status = answered.head.status;
        let answer = match status {
            // What they say besides decides nothing.
            ..429 => retry::Answer { status, should: None, retry_after: None },
            _ => retry::answer(status, &answered.head.fields),
        };
        let tried = self.tried(Came::Status(answer), outbound, record);
        let turned = self.upstream.saw(index, retry::showed(&tried, took));
        if let (503, Some(pause)) = (status, answer.retry_after) {
            self.asked_to_rest(index, pause, turned);
        }
        let again = retry::again(&tried, &self.means(index));
        if again == Again::No {
            return None;
        }
        record.attempt_mut().status = Some(status);
        let pause = self.follow(index, again, outbound, record)?;
        record.absorbed(None);
        Some(pause)
    }

    /// A target that says 503 to everybody and when to come back is left alone until then; the last one
    /// of its upstream is waited for.
    fn asked_to_rest(&self, index: usize, pause: Duration, turned: Option<Turned>) {
        let Upstream { queue, eject, .. } = &*self.upstream.settings;
        if queue.gone < pause || pause.is_zero() {
            return;
        }
        let now = Instant::now();
        let state = &self.upstream.states[index];
        if let Some(Turned::Out(_)) = turned {
            state.change_health(|it| it.rest(pause, now));
            return;
        }
        let refuses_all = 0 < eject.after && ENOUGH <= state.whole_health().in_a_row();
        let others = self.upstream.states.iter().enumerate().filter(|(it, _)| *it != index);
        let alone = others.into_iter().all(|(_, it)| it.health().is_some_and(|it| it.is_out()));
        if refuses_all && alone {
            self.upstream.state.gone.rests(now + pause, "upstream_own_5xx", now);
        }
    }

    fn after_fault(
        &mut self,
        index: usize,
        fault: &Fault,
        outbound: &Outbound,
        record: &mut Recorder,
    ) -> Option<Duration> {
        let tried = self.tried(Came::Fault(fault), outbound, record);
        self.upstream.saw(index, retry::showed(&tried, Duration::ZERO));
        let again = retry::again(&tried, &self.means(index));
        if again == Again::WhenBack {
            return self.when_back(fault, outbound, record);
        }
        if again == Again::Elsewhere && 1 < self.plan.forward.retry.attempts {
            // Nothing was sent; each target is asked once.
            self.made = self.made.saturating_sub(1);
        }
        self.was_free |= again == Again::Same && 0 < tried.sent && !fault.unprocessed();
        let pause = self.follow(index, again, outbound, record)?;
        record.absorbed(Some(fault));
        Some(pause)
    }

    fn tried<'f>(&self, came: Came<'f>, outbound: &Outbound, record: &mut Recorder) -> Tried<'f> {
        let attempt = record.attempt_mut();
        let (reused, received) = (attempt.reused(), attempt.received);
        let uploaded = outbound.pump.is_done();
        Tried { came, reused, sent: outbound.pump.sent, received, uploaded }
    }

    fn means(&self, index: usize) -> Means {
        let all = self.upstream.states.len();
        let others = (0..all).any(|it| it != index && !self.tried.contains(&it));
        let now = Instant::now();
        let half_left = now + (self.deadline - self.began) / 2 <= self.deadline;
        let (repeatable, was_free) = (self.repeatable, self.was_free);
        let patience = self.upstream.settings.queue.gone;
        Means { repeatable, others, half_left, was_free, patience }
    }

    /// The pause before the next try, where it may be made; why not is recorded.
    fn follow(
        &mut self,
        index: usize,
        again: Again,
        outbound: &Outbound,
        record: &mut Recorder,
    ) -> Option<Duration> {
        if matches!(again, Again::No | Again::WhenBack) {
            return None;
        }
        match self.pause(index, again, outbound) {
            Ok(pause) => Some(pause),
            Err(why) => {
                record.exchange().unrepeated = Some(why);
                None
            }
        }
    }

    fn pause(
        &mut self,
        index: usize,
        again: Again,
        outbound: &Outbound,
    ) -> Result<Duration, Unrepeated> {
        if !outbound.pump.can_rewind() {
            return Err(Unrepeated::Body);
        }
        if self.plan.forward.retry.attempts <= self.made {
            return Err(Unrepeated::Attempts);
        }
        let now = Instant::now();
        let left = self.deadline.checked_duration_since(now).ok_or(Unrepeated::Time)?;
        let pause = match again {
            Again::No | Again::WhenBack | Again::Elsewhere => {
                return self.elsewhere(index).ok_or(Unrepeated::Attempts);
            }
            Again::Same => {
                self.fresh = self.was_free;
                return Ok(Duration::ZERO);
            }
            Again::Charged => self.charged(index, now)?,
            Again::After(pause) => {
                let budget = &self.upstream.state.budget;
                if !budget.take(self.plan.forward.retry.budget, false, now) {
                    return Err(Unrepeated::Budget);
                }
                self.tried.clear();
                // Those who were told the same do not come back at the same moment.
                pause + pause.mul_f64(0.1 * self.chance())
            }
        };
        let fits = pause.is_zero() || pause + self.shortest_try(index) <= left;
        fits.then_some(pause).ok_or(Unrepeated::Time)
    }

    /// A target that was not tried yet, and of which nothing is to be said.
    fn another_is_well(&self, index: usize, now: Instant) -> bool {
        let Ready { settings, states, .. } = &**self.upstream;
        states.iter().enumerate().any(|(at, it)| {
            let untried = at != index && !self.tried.contains(&at);
            untried && matches!(it.standing(settings.slow_start, now), Standing::Well(_))
        })
    }

    /// Within the budget: at once at another target, or after a pause at the same one.
    fn charged(&mut self, index: usize, now: Instant) -> Result<Duration, Unrepeated> {
        let budget = &self.upstream.state.budget;
        if !budget.take(self.plan.forward.retry.budget, self.another_is_well(index, now), now) {
            return Err(Unrepeated::Budget);
        }
        self.fresh = true;
        if budget.is_broken() && !self.another_is_well(index, now) {
            self.tried.clear();
            return Ok(self.after_a_breath());
        }
        if let Some(at_once) = self.elsewhere(index) {
            return Ok(at_once);
        }
        self.tried.clear();
        Ok(self.backoff())
    }

    /// At once, at another target, where there is one.
    fn elsewhere(&mut self, index: usize) -> Option<Duration> {
        if !self.tried.contains(&index) {
            self.tried.push(index);
        }
        let left = self.made < self.plan.forward.retry.attempts && Instant::now() < self.deadline;
        (left && self.tried.len() < self.upstream.states.len()).then_some(Duration::ZERO)
    }

    fn backoff(&self) -> Duration {
        let most = PAUSE.saturating_mul(1 << self.made.saturating_sub(1).min(10));
        most.min(LONGEST_PAUSE).mul_f64(self.chance())
    }

    /// What is broken is given time.
    fn after_a_breath(&self) -> Duration {
        LONGEST_PAUSE.mul_f64(0.5 + self.chance() / 2.0)
    }

    /// Between 0 and 1.
    fn chance(&self) -> f64 {
        self.seat.worker.random() as u64 as f64 / u64::MAX as f64
    }

    /// No try is begun that could not end in time, by how long they take.
    fn shortest_try(&self, index: usize) -> Duration {
        const SHORTEST: Duration = Duration::from_millis(50);
        let usual = Duration::from_micros(self.upstream.states[index].latency() as u64);
        usual.max(SHORTEST).min(LONGEST_PAUSE)
    }

    /// No target could be reached: the request waits until one can, for no longer than that may take.
    fn when_back(
        &mut self,
        fault: &Fault,
        outbound: &Outbound,
        record: &mut Recorder,
    ) -> Option<Duration> {
        let (queue, gone) = (&self.upstream.settings.queue, &self.upstream.state.gone);
        let now = Instant::now();
        let cause = record.absorbed(Some(fault));
        gone.lost(cause, now);
        let until = gone.until(queue.gone, now).filter(|it| now < *it && now < self.deadline);
        if self.waiting.is_none() && until.is_some() && outbound.pump.can_rewind() {
            self.waiting = gone.join(queue.requests);
        }
        if self.waiting.is_none() || until.is_none() {
            record.not_absorbed();
            return None;
        }
        // Looking whether it is back is no try at something new.
        self.made = self.made.saturating_sub(1);
        self.tried.clear();
        record.waits_on();
        Some(Duration::ZERO)
    }
}

/// A trial under way; one that ends without having shown anything may be made anew.
struct Trial(Arc<TargetState>);

impl Drop for Trial {
    fn drop(&mut self) {
        self.0.change_health(Health::end_trial);
    }
}
