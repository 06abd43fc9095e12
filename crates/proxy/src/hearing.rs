//! Asks the app that the gateway started why a request failed at it: for a moment before the answer
//! goes out, and for some seconds after, as an amendment to the record.
//!
//! The record itself never changes once it is offered. Judging takes milliseconds, so none of it is
//! done on a core.

use crate::Plane;
use crate::refuse;
use crate::timer::Alarm;
use crate::witness::{Witness, now};
use diagnosis::answer::{Amendment, Audience};
use diagnosis::child::may_tell;
use exchange::{End, Exchange, Fault, Heard, Maker, Stop};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

/// How long after a failure the app's words may amend its record.
const AMENDS_WITHIN: Duration = Duration::from_secs(5);
/// The same after an answer of the app's own: it says why before it answers, or right then.
const AMENDS_OWN_WITHIN: Duration = Duration::from_millis(500);
/// Failures that are followed at once; those beyond are answered with what the gateway saw.
const FOLLOWED: usize = 256;
/// Lines of one unit come right after each other; a traceback is read when it is whole.
const SETTLE: Duration = Duration::from_millis(20);

pub(crate) struct Hearing {
    witness: Arc<Witness>,
    background: Handle,
    followed: AtomicUsize,
    /// One judgement at a time: a second one is mostly the same.
    judge: Semaphore,
    /// What a dead or starting app was judged for last.
    latest: Mutex<Option<(Question, Option<Heard>)>>,
}

/// What has the same answer, whoever asks, while the app is down.
#[derive(Clone, PartialEq, Eq)]
struct Question {
    revision: u64,
    fault: &'static str,
    target: Arc<str>,
}

impl Hearing {
    pub(crate) fn new(witness: Arc<Witness>, background: Handle) -> Hearing {
        Hearing {
            witness,
            background,
            followed: AtomicUsize::new(0),
            judge: Semaphore::new(1),
            latest: Mutex::default(),
        }
    }

    /// Whether the app may know more about an exchange that was stopped.
    pub(crate) fn concerns(&self, exchange: &Exchange, stop: &Stop) -> bool {
        let Stop::Failed(fault) = stop else { return false };
        may_tell(fault) && exchange.last_attempt().is_some_and(|it| self.witness.concerns(it))
    }

    /// The same of one that is over: an answer that was cut, or a 5xx of the app's own.
    fn concerns_ended(&self, exchange: &Exchange) -> bool {
        let Some(attempt) = exchange.last_attempt() else { return false };
        let own = |it: &exchange::Answer| it.made_by == Maker::Upstream && 500 <= it.status;
        let told = match (&exchange.stop, exchange.end) {
            (Some(Stop::Failed(fault)), End::Cut) => may_tell(fault),
            (None, End::Complete) => exchange.answer.as_ref().is_some_and(own),
            _ => false,
        };
        told && self.witness.concerns(attempt)
    }

    /// What the app says within `child.evidence_wait`, or what is known of its end already. Goes on
    /// listening after that.
    pub(crate) async fn ask(
        &self,
        plane: &Arc<Plane>,
        exchange: &Exchange,
        stop: &Stop,
        audience: Audience,
        alarm: &Alarm,
    ) -> Option<Heard> {
        let known = self.question(exchange).and_then(|it| self.known(&it));
        if let Some(known) = known {
            return known;
        }
        let (answer, heard) = oneshot::channel();
        let stopped = Exchange { stop: Some(stop.clone()), ..exchange.clone() };
        if !self.follow(plane, stopped, audience, Some(answer)) {
            return None;
        }
        let until = Instant::now() + self.witness.wait();
        alarm.until(until, heard).await?.ok()
    }

    /// Amends the record of an exchange that is over, should the app say why it went so.
    pub(crate) fn ended(&self, plane: &Arc<Plane>, exchange: &Exchange, audience: Audience) {
        if self.concerns_ended(exchange) {
            self.follow(plane, exchange.clone(), audience, None);
        }
    }

    /// Whether there was a place.
    fn follow(
        &self,
        plane: &Arc<Plane>,
        exchange: Exchange,
        audience: Audience,
        answer: Option<oneshot::Sender<Heard>>,
    ) -> bool {
        let place = Followed::new(plane.clone());
        if FOLLOWED < place.count {
            return false;
        }
        self.background.spawn(follow(place, Box::new(exchange), audience, answer));
        true
    }

    fn question(&self, exchange: &Exchange) -> Option<Question> {
        let attempt = exchange.last_attempt()?;
        let fault = attempt.fault.as_ref().filter(|it| matches!(it, Fault::Connect(_)))?;
        self.witness.is_down().then(|| Question {
            revision: self.witness.revision(),
            fault: fault.name(),
            target: attempt.target.clone(),
        })
    }

    fn known(&self, question: &Question) -> Option<Option<Heard>> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().filter(|it| it.0 == *question).map(|it| it.1.clone())
    }

    async fn judged(&self, exchange: &Exchange, failed: u64) -> Option<Heard> {
        // Never closed.
        let _one = self.judge.acquire().await.ok()?;
        let question = self.question(exchange);
        if let Some(known) = question.as_ref().and_then(|it| self.known(it)) {
            return known;
        }
        let extract = self.witness.extract(exchange.began, failed);
        let exchange = exchange.clone();
        let work = self.background.spawn_blocking(move || extract.judge(&exchange));
        // A panic of the engine has been printed, and costs the evidence only.
        let heard = work.await.ok().flatten();
        if let Some(question) = question {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            *latest = Some((question, heard.clone()));
        }
        heard
    }
}

/// A place among those that are followed.
struct Followed {
    plane: Arc<Plane>,
    /// How many there are with this one.
    count: usize,
}

impl Followed {
    fn new(plane: Arc<Plane>) -> Followed {
        let before = plane.hearing.as_ref().map_or(0, |it| it.followed.fetch_add(1, Relaxed));
        Followed { plane, count: before + 1 }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        if let Some(hearing) = &self.plane.hearing {
            hearing.followed.fetch_sub(1, Relaxed);
        }
    }
}

/// Waits for words of the app about one failure; the first go into its answer if that still waits.
async fn follow(
    place: Followed,
    exchange: Box<Exchange>,
    audience: Audience,
    mut answer: Option<oneshot::Sender<Heard>>,
) {
    let plane = place.plane.clone();
    let Some(hearing) = &plane.hearing else { return };
    let witness = &hearing.witness;
    let failed = now();
    let within = if exchange.stop.is_some() { AMENDS_WITHIN } else { AMENDS_OWN_WITHIN };
    let until = tokio::time::Instant::now() + within;
    let mut news = witness.news();
    let mut told: Option<&'static str> = None;
    let mut judged_kills = None;
    loop {
        news.borrow_and_update();
        let kills = witness.memory_kills();
        if is_to_be_judged(told, judged_kills, kills) && witness.can_tell(exchange.began) {
            if let Some(left) = SETTLE.checked_sub(witness.age_of_news()) {
                tokio::time::sleep(left).await;
                news.borrow_and_update();
            }
            judged_kills = Some(witness.memory_kills());
            if let Some(heard) = hearing.judged(&exchange, failed).await
                && says_more(told, heard.cause)
            {
                told = Some(heard.cause);
                let late = match answer.take() {
                    Some(answer) => answer.send(heard).err(),
                    None => Some(heard),
                };
                if let Some(heard) = late {
                    let others = hearing.followed.load(Relaxed).saturating_sub(1);
                    amend(&plane, &exchange, &heard, audience, failed, others);
                }
            }
        }
        let more = tokio::time::timeout_at(until, news.changed()).await;
        if !matches!(more, Ok(Ok(()))) {
            return;
        }
    }
}

/// Whoever has told is asked again only when the kernel has killed more than was known then.
fn is_to_be_judged(told: Option<&str>, judged_kills: Option<u64>, kills: u64) -> bool {
    told.is_none() || judged_kills.is_none_or(|it| it < kills)
}

/// The first words count; those that come after them are rather about other requests. Only the
/// kernel's are later by nature: it counts what it killed after it did.
fn says_more(told: Option<&'static str>, cause: &'static str) -> bool {
    let of_kernel = |it: &str| it.starts_with("worker_oom_killed");
    told.is_none_or(|it| !of_kernel(it) && of_kernel(cause))
}

/// One line in the access log, and a part of the stored report.
fn amend(
    plane: &Plane,
    exchange: &Exchange,
    heard: &Heard,
    audience: Audience,
    failed: u64,
    others: usize,
) {
    let at = now();
    let amendment = Amendment { exchange, heard, at, failed, others };
    plane.log.amend(&amendment);
    if exchange.stop.as_ref().is_some_and(|it| 400 <= refuse::status_of(it)) {
        plane.reports.amend(exchange.id, amendment.json(audience));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_told_is_asked_again_about_the_kernel_alone() {
        assert!(is_to_be_judged(None, None, 0));
        assert!(is_to_be_judged(None, Some(1), 1));
        assert!(!is_to_be_judged(Some("worker_crashed"), Some(1), 1));
        assert!(is_to_be_judged(Some("worker_crashed"), Some(1), 2));
    }
}
