//! Requests that take longer than their callers wait: after a while a caller is told with 202 where to
//! fetch the answer (RFC 9110 15.3.3), at once where it says `Prefer: respond-async` (RFC 7240 4.1),
//! and the request goes on without it.
//!
//! The exchange goes on too: it is recorded once, when the work ends, with the answer that was kept and
//! with when its caller was told to come later. Each request for that answer is an exchange of its own.
//! Answers are kept in memory, and end with the process.

use crate::contain::{Caught, contained};
use crate::deadline;
use crate::recorder::{Recorder, mark};
use crate::refuse::{self, Asked};
use crate::reply::{AnswerBody, Reply, fixed};
use crate::seat::Seat;
use crate::serve::{OURS, Work, forwarded};
use crate::tries::WITHOUT_CALLER;
use crate::worker::Worker;
use crate::{Plane, timer};
use bytes::{Bytes, BytesMut};
use config::{Forward, Route};
use diagnosis::answer::Form;
use exchange::{BodyFault, ExchangeId, Fault, Limit, Maker, Refusal, Stop};
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Version};
use http_body::Body;
use rand::RngExt;
use serde_json::json;
use std::cell::Cell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::spawn_local;

/// How long an answer is still kept that was fetched: the fetching may have broken off.
const FETCHED: Duration = Duration::from_secs(60);

/// The pauses that callers are told to make.
const SOONEST: u64 = 1;
const LATEST: u64 = 30;

/// Who has this may fetch the answer, or give it up: 128 random bits.
type Key = u128;

/// What is in work without its caller, and what is kept for one, over all cores.
#[derive(Default)]
pub(crate) struct Later {
    jobs: Mutex<HashMap<Key, Arc<Job>>>,
    /// By route, requests that wait included.
    places: Mutex<HashMap<Arc<str>, usize>>,
    running: AtomicUsize,
}

/// One request that goes on without its caller.
struct Job {
    /// Its exchange.
    request: ExchangeId,
    began: Instant,
    state: Mutex<State>,
    /// The state is another one.
    changed: Notify,
}

enum State {
    Runs,
    Kept { answer: Answer, until: Instant },
    GivenUp,
}

/// An answer as it was.
#[derive(Clone)]
struct Answer {
    status: u16,
    fields: HeaderMap,
    body: Bytes,
}

/// Where a request stands that may go on without its caller.
#[derive(Default)]
pub(crate) struct Stage {
    /// The client has sent everything.
    pub(crate) uploaded: Cell<bool>,
    /// When the caller was told to come later.
    pub(crate) told: Cell<Option<Instant>>,
    /// The longest answer that is kept.
    pub(crate) most: Cell<Option<Limit>>,
    /// The status of what stopped it, once something has.
    pub(crate) failed: Cell<Option<u16>>,
}

/// A request that may go on without its caller, as long as that waits.
pub(crate) struct May {
    place: Place,
    /// How long it is made to wait.
    after: Duration,
    /// It said `respond-async`.
    prefers: bool,
}

/// One of the route's `later.requests`.
struct Place {
    plane: Arc<Plane>,
    route: Arc<str>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = locked(&self.plane.later.places);
        if let Some(taken) = places.get_mut(&self.route) {
            *taken -= 1;
            if *taken == 0 {
                places.remove(&self.route);
            }
        }
    }
}

fn locked<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Later {
    /// How many requests are in work without their callers.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Relaxed)
    }

    fn find(&self, id: &str) -> Option<(Key, Arc<Job>)> {
        let key = Some(id).filter(|it| it.len() == 32 && !it.starts_with('+'))?;
        let key = Key::from_str_radix(key, 16).ok()?;
        locked(&self.jobs).get(&key).map(|it| (key, it.clone()))
    }
}

/// Whether this request may go on without its caller. It is not one that others than HTTP follow, nor
/// one for a head alone.
pub(crate) fn job(route: &Route, forward: &Forward, parts: &Parts, seat: &Seat) -> Option<May> {
    let settings = forward.later.as_ref()?;
    let is_plain = parts.version != Version::HTTP_10
        && parts.method != Method::HEAD
        && !parts.headers.contains_key(header::UPGRADE);
    if !is_plain || seat.worker.is_draining() {
        return None;
    }
    let wish = wish(&parts.headers);
    let after = wish.unwrap_or(settings.after).min(settings.after);
    let now = Instant::now();
    // It gives up before it would be told.
    if deadline::of(&parts.headers, now).is_some_and(|it| it.at <= now + after) {
        return None;
    }
    let place = place(&seat.worker.plane, &route.name, settings.requests)?;
    Some(May { place, after, prefers: wish.is_some() })
}

fn place(plane: &Arc<Plane>, route: &Arc<str>, most: usize) -> Option<Place> {
    let mut places = locked(&plane.later.places);
    let taken = places.get(route).copied().unwrap_or_default();
    if most <= taken {
        return None;
    }
    places.insert(route.clone(), taken + 1);
    Some(Place { plane: plane.clone(), route: route.clone() })
}

/// How long a caller waits that asks to be told: `respond-async`, with the seconds of `wait` beside it
/// (RFC 7240 4.1 and 4.3).
fn wish(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all("prefer").iter().filter_map(|it| it.to_str().ok());
    let mut asks = false;
    let mut wait = None;
    for preference in lines.flat_map(|it| it.split(',')) {
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        let name = name.trim().to_ascii_lowercase();
        asks |= name == "respond-async";
        // The first one counts (RFC 7240 2).
        if name == "wait" && wait.is_none() {
            wait = value.trim().trim_matches('"').parse().ok();
        }
    }
    asks.then(|| Duration::from_secs(wait.unwrap_or_default()))
}

fn most(settings: &config::Later) -> Limit {
    Limit { name: "later.answer", value: settings.answer as u64 }
}

type Making = Pin<Box<dyn Future<Output = Reply>>>;

/// The answer, or that it is to be fetched later.
pub(crate) async fn serve(mut work: Work, may: May) -> Reply {
    let connection = work.record.seat().clone();
    let (seat, stage) = (connection.apart(), Rc::<Stage>::default());
    work.record.may_leave(seat.clone(), stage.clone());
    let exchange = work.record.exchange();
    let (id, request) = (exchange.id, exchange.request.clone());
    let forward = work.forward.clone();
    let began = Instant::now();
    let mut making: Making = Box::pin(forwarded(work, Some(stage.clone())));
    let alarm = seat.worker.timer.alarm();
    alarm.set(began + may.after);
    let made = poll_fn(|cx| {
        if let Poll::Ready(reply) = making.as_mut().poll(cx) {
            return Poll::Ready(Some(reply));
        }
        // Who is about to end could not be asked for the answer.
        if stage.uploaded.get() && !seat.worker.is_draining() && alarm.poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        Poll::Pending
    });
    if let Some(reply) = made.await {
        return reply;
    }
    drop(alarm);
    let now = Instant::now();
    stage.told.set(Some(now));
    stage.most.set(forward.later.as_ref().map(most));
    seat.leave();
    let link = connection.link();
    link.unread.set(false);
    link.answer_ended(now);
    let job = Arc::new(Job {
        request: id,
        began,
        state: Mutex::new(State::Runs),
        changed: Notify::new(),
    });
    let May { place, prefers, .. } = may;
    let kept = Kept::new(job.clone(), place);
    let (mut headers, text) = still_running(kept.key, &job);
    if prefers {
        headers.insert("preference-applied", HeaderValue::from_static("respond-async"));
    }
    mark(&connection, id, &request, &mut headers);
    let running = Running { making, stage, worker: seat.worker.clone() };
    spawn_local(run_on(running, kept, forward));
    let mut reply = Reply::new(AnswerBody::Said(text));
    *reply.status_mut() = StatusCode::ACCEPTED;
    *reply.headers_mut() = headers;
    reply
}

/// Where a job is found; not any more once this is dropped.
struct Kept {
    key: Key,
    job: Arc<Job>,
    place: Place,
}

impl Kept {
    fn new(job: Arc<Job>, place: Place) -> Kept {
        // Not to be guessed, unlike the numbers that the cores draw for themselves.
        let key = rand::rng().random();
        locked(&place.plane.later.jobs).insert(key, job.clone());
        Kept { key, job, place }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        locked(&self.place.plane.later.jobs).remove(&self.key);
    }
}

/// The work itself.
struct Running {
    making: Making,
    stage: Rc<Stage>,
    worker: Rc<Worker>,
}

/// Counts a job as one in work.
struct Counted(Arc<Plane>);

impl Counted {
    fn new(plane: &Arc<Plane>) -> Counted {
        plane.later.running.fetch_add(1, Relaxed);
        Counted(plane.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.later.running.fetch_sub(1, Relaxed);
    }
}

/// From when the caller was told until nobody can fetch the answer any more.
async fn run_on(running: Running, kept: Kept, forward: Arc<Forward>) {
    let Some(settings) = &forward.later else {
        return;
    };
    let Kept { job, place, .. } = &kept;
    let counted = Counted::new(&place.plane);
    let alarm = running.worker.timer.alarm();
    let until = job.began + settings.total;
    let total = Limit { name: WITHOUT_CALLER, value: settings.total.as_micros() as u64 };
    let answer = tokio::select! {
        biased;
        () = job.is_given_up() => None,
        answer = running.answer(job.request, most(settings), until, total) => Some(answer),
    };
    drop(counted);
    let Some(answer) = answer else {
        return;
    };
    job.keep(answer, Instant::now() + settings.keep);
    while let Some(until) = job.kept_until() {
        if until <= Instant::now() {
            return;
        }
        alarm.until(until + timer::TICK, job.changed.notified()).await;
    }
}

impl Job {
    async fn is_given_up(&self) {
        while !matches!(*locked(&self.state), State::GivenUp) {
            self.changed.notified().await;
        }
    }

    fn give_up(&self) {
        *locked(&self.state) = State::GivenUp;
        self.changed.notify_one();
    }

    fn keep(&self, answer: Answer, until: Instant) {
        let mut state = locked(&self.state);
        if let State::Runs = *state {
            *state = State::Kept { answer, until };
        }
    }

    /// `None`: not at all any more.
    fn kept_until(&self) -> Option<Instant> {
        match *locked(&self.state) {
            State::Kept { until, .. } => Some(until),
            State::Runs | State::GivenUp => None,
        }
    }

    /// `None` while it is in work. An answer that is `fetched` is kept a little longer only.
    fn answer(&self, fetched: bool) -> Option<Answer> {
        let mut state = locked(&self.state);
        let State::Kept { answer, until } = &mut *state else {
            return None;
        };
        if fetched {
            *until = (*until).min(Instant::now() + FETCHED);
            self.changed.notify_one();
        }
        Some(answer.clone())
    }

    /// Seconds: a tenth of what it has taken by now.
    fn ask_again_after(&self) -> u64 {
        (self.began.elapsed().as_secs() / 10).clamp(SOONEST, LATEST)
    }
}

impl Running {
    /// The answer as a whole, whatever becomes of it.
    async fn answer(self, id: ExchangeId, most: Limit, until: Instant, total: Limit) -> Answer {
        let Running { mut making, stage, worker } = self;
        let failed = || failed(id, &stage, &worker);
        let made = poll_fn(|cx| match contained(Some(id), || making.as_mut().poll(cx)) {
            Ok(polled) => polled.map(Ok),
            Err(caught) => Poll::Ready(Err(caught)),
        });
        let (head, mut body) = match made.await {
            Ok(reply) => reply.into_parts(),
            // Its record is written by now.
            Err(Caught) => return failed(),
        };
        let mut whole = BytesMut::new();
        let alarm = worker.timer.alarm();
        loop {
            let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
            let Some(frame) = alarm.until(until, frame).await else {
                body.give_up(Fault::Deadline(total));
                return failed();
            };
            let Some(frame) = frame else { break };
            let Ok(frame) = frame else {
                return failed();
            };
            // What follows the body has no place in an answer of ours.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if most.value < (whole.len() + data.len()) as u64 {
                body.give_up(Fault::Body(BodyFault::TooBig(most)));
                return failed();
            }
            whole.extend_from_slice(&data);
        }
        let mut fields = head.headers;
        // Of the connection, or said anew with each answer.
        for name in [header::CONNECTION, header::CONTENT_LENGTH, header::ALT_SVC, header::TRAILER] {
            fields.remove(name);
        }
        for name in ["x-request-id", "x-goodgate-id"] {
            fields.remove(name);
        }
        Answer { status: head.status.as_u16(), fields, body: whole.freeze() }
    }
}

/// What is kept instead of an answer that broke off: the report that says why.
fn failed(id: ExchangeId, stage: &Stage, worker: &Worker) -> Answer {
    let bug = || refuse::status_of(&Stop::Refused(Refusal::Bug));
    let status = stage.failed.get().unwrap_or_else(bug);
    let text = worker.plane.reports.find(id).unwrap_or_default();
    let mut report: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    if let Some(report) = report.as_object_mut() {
        // Nobody has seen the status that the answer began with.
        report.insert("status".to_owned(), status.into());
    }
    let body = serde_json::to_string_pretty(&report).unwrap_or_default();
    let mut fields = HeaderMap::new();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let kind = HeaderValue::from_static(Form::Problem.content_type());
    fields.insert(header::CONTENT_TYPE, kind);
    Answer { status, fields, body: Bytes::from(body + "\n") }
}

/// What is said of a job while it is in work.
fn still_running(key: Key, job: &Job) -> (HeaderMap, Bytes) {
    let (id, again) = (format!("{key:032x}"), job.ask_again_after());
    let url = format!("{OURS}later/{id}");
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from(again));
    if let Ok(place) = HeaderValue::from_str(&url) {
        headers.insert(header::LOCATION, place);
    }
    let text = json!({
        "id": id,
        "status": "running",
        "url": url,
        "request_id": job.request.to_string(),
        "retry_after": again,
    });
    (headers, Bytes::from(text.to_string() + "\n"))
}

/// `GET`: the answer, or that it is in work yet. `DELETE`: it is not wanted any more.
pub(crate) fn page(mut record: Recorder, id: &str) -> Reply {
    let worker = record.worker();
    let later = &worker.plane.later;
    let mut asked = Asked { accept: None, allowed: Vec::new(), call: None };
    let Some((key, job)) = later.find(id) else {
        return refuse::answer(Stop::Refused(Refusal::LaterGone), record, &asked);
    };
    let method = record.exchange().request.method.clone();
    match &*method {
        "GET" | "HEAD" => match job.answer(&*method == "GET") {
            Some(Answer { status, fields, body }) => {
                record.answered(status, Maker::Route);
                fixed(status, fields, body, record)
            }
            None => {
                let (headers, text) = still_running(key, &job);
                record.answered(202, Maker::Route);
                fixed(202, headers, text, record)
            }
        },
        "DELETE" => {
            locked(&later.jobs).remove(&key);
            job.give_up();
            record.answered(204, Maker::Route);
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            fixed(204, headers, Bytes::new(), record)
        }
        _ => {
            asked.allowed = ["DELETE", "GET", "HEAD"].map(Arc::from).to_vec();
            refuse::answer(Stop::Refused(Refusal::MethodNotAllowed), record, &asked)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_prefers() {
        let check = |lines: &[&'static str], expected: Option<u64>| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("prefer", HeaderValue::from_static(line));
            }
            assert_eq!(wish(&headers), expected.map(Duration::from_secs), "{lines:?}");
        };
        check(&[], None);
        check(&["respond-async"], Some(0));
        check(&["Respond-Async, wait=5"], Some(5));
        check(&["wait = \"5\"", "respond-async; foo=bar"], Some(5));
        check(&["respond-async, wait=5, wait=9"], Some(5));
        check(&["respond-async, wait=soon"], Some(0));
        check(&["wait=5"], None);
        check(&["respond-asynchronously"], None);
        check(&["return=minimal; respond-async"], None);
    }

    fn running() -> Job {
        Job {
            request: ExchangeId::new(0, 0),
            began: Instant::now(),
            state: Mutex::new(State::Runs),
            changed: Notify::new(),
        }
    }

    fn kept() -> Answer {
        Answer { status: 200, fields: HeaderMap::new(), body: Bytes::from_static(b"whole") }
    }

    #[test]
    fn an_answer_that_was_fetched_is_kept_a_little_longer() {
        let job = running();
        assert!(job.answer(true).is_none());
        let far = Instant::now() + FETCHED * 10;
        job.keep(kept(), far);
        assert_eq!(job.answer(false).map(|it| it.status), Some(200));
        assert_eq!(job.kept_until(), Some(far));
        assert!(job.answer(true).is_some());
        assert!(job.kept_until().is_some_and(|it| it <= Instant::now() + FETCHED));
    }

    #[test]
    fn what_was_given_up_is_not_kept() {
        let job = running();
        job.give_up();
        job.keep(kept(), Instant::now() + FETCHED);
        assert!(job.answer(true).is_none());
        assert!(job.kept_until().is_none());
    }

    #[test]
    fn only_a_whole_key_is_one() {
        let later = Later::default();
        let job = Arc::new(running());
        locked(&later.jobs).insert(0x2a, job);
        assert!(later.find("0000000000000000000000000000002a").is_some());
        for other in ["2a", "+000000000000000000000000000002a", "0000000000000000000000000000002g"]
        {
            assert!(later.find(other).is_none(), "{other}");
        }
        assert!(later.find(&"0".repeat(40)).is_none());
    }
}
