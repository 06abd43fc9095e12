//! Keeps the record of one exchange while it happens, and offers it when it is over: when the last
//! byte of the answer is handed on, when the answer is cut, or when the client is gone.
//!
//! A recorder that is dropped unfinished is a client that left: hyper drops the service's future,
//! or the body, and nothing else does.

use crate::contain::{Caught, contained};
use crate::deadline::Deadline;
use crate::grpc::status;
use crate::hearing::Hearing;
use crate::later::Stage;
use crate::refuse;
use crate::seat::Seat;
use crate::tunnel::Upgrade;
use crate::worker::Worker;
use config::{Config, Route, Upstream};
use diagnosis::answer::{Audience, Form, body};
use diagnosis::{Case, Look, first_look};
use exchange::{
    Answer, Attempt, BodyFault, By, Client, End, Exchange, ExchangeId, Fault, Maker, Phase,
    Prevented, Refusal, Request, Stop, TraceParent,
};
use http::header::{self, HeaderMap, HeaderValue};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Fields that say: this request is somebody else's.
const SPEAKS_FOR: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// How much earlier than our clock a caller's may be when it gives up at its deadline.
const LEEWAY: Duration = Duration::from_millis(50);

/// Of what has no case, which is nothing that fails.
const UNKNOWN: &str = "unknown";

/// The cause of what breaks down while causes are looked for.
const BUG: &str = "gateway_bug";

pub(crate) struct Recorder {
    /// `None` once it has been offered.
    exchange: Option<Box<Exchange>>,
    seat: Rc<Seat>,
    began: Instant,
    /// When the phase that it is in began.
    mark: Instant,
    phase: Phase,
    /// An answer of unknown length to HTTP/1.0 ends with the connection.
    old_client: bool,
    audience: Audience,
    /// It is a gRPC call, and ends with a status.
    is_call: bool,
    /// When the caller gives it up: a call to its end, another request until its answer begins.
    deadline: Option<Deadline>,
    /// The status of a call whose answer broke off, for its caller.
    last_words: Option<Box<HeaderMap>>,
    /// Where the caller may be told to fetch the answer later.
    later: Option<Rc<Stage>>,
    /// What is written when there is no attempt; nobody reads it.
    spare: Option<Box<Attempt>>,
}

impl Recorder {
    /// `began` is when the first byte of the request came.
    pub(crate) fn begin(seat: &Rc<Seat>, request: Request, began: Instant) -> Recorder {
        let now = Instant::now();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began_at = since.saturating_sub(now - began);
        let id = seat.worker.new_id(began_at);
        let ip = seat.peer.ip().to_canonical();
        let old_client = request.version == "HTTP/1.0";
        let client = Client {
            ip,
            peer: ip,
            port: seat.peer.port(),
            tls: seat.tls,
            ordinal: seat.next_ordinal(),
        };
        let exchange = Exchange::new(id, began_at.as_micros() as u64, client, request);
        Recorder {
            exchange: Some(Box::new(exchange)),
            seat: seat.clone(),
            began,
            mark: now,
            phase: Phase::Route,
            old_client,
            audience: Audience::Public,
            is_call: false,
            deadline: None,
            last_words: None,
            later: None,
            spare: None,
        }
    }

    pub(crate) fn worker(&self) -> Rc<Worker> {
        self.seat.worker.clone()
    }

    pub(crate) fn seat(&self) -> &Rc<Seat> {
        &self.seat
    }

    /// The request may leave its connection.
    pub(crate) fn may_leave(&mut self, seat: Rc<Seat>, stage: Rc<Stage>) {
        self.seat = seat;
        self.later = Some(stage);
    }

    /// The record so far. Only before it is offered.
    pub(crate) fn exchange(&mut self) -> &mut Exchange {
        self.exchange.as_mut().expect("a recorder is asked only while it records")
    }

    /// Decides how much this caller is told when something fails.
    pub(crate) fn trust(&mut self, headers: &HeaderMap, config: &Config) {
        let ip = self.seat.peer.ip().to_canonical();
        // A loopback peer is this machine, unless it speaks for somebody else.
        let direct = ip.is_loopback() && !SPEAKS_FOR.iter().any(|it| headers.contains_key(*it));
        let named = config.answers.trusted.iter().any(|it| it.contains(&ip));
        self.audience = if direct || named { Audience::Trusted } else { Audience::Public };
    }

    pub(crate) fn audience(&self) -> Audience {
        self.audience
    }

    /// Who really called, where a trusted proxy says so, and the caller's own name for the request.
    pub(crate) fn caller(&mut self, headers: &HeaderMap, config: &Config) {
        let seat = self.seat.clone();
        let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
        let exchange = self.exchange();
        exchange.request.caller_id =
            text("x-request-id").filter(|it| it.len() <= 200).map(Box::from);
        if !seat.is_trusted_proxy() {
            return;
        }
        let trusted = &config.listen.trusted_proxies;
        let lines = headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes);
        let hops: Vec<&[u8]> = lines.flat_map(|it| it.split(|it| *it == b',')).collect();
        // Azure's Application Gateway writes the port too.
        let address = |hop: &&[u8]| {
            let text = str::from_utf8(hop).ok()?.trim();
            text.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
        };
        // From the right: the first that is no proxy of ours is the caller. What stands left of it,
        // or of something that is no address, is anybody's word.
        for ip in hops.iter().rev().map_while(address) {
            exchange.client.ip = ip;
            if !trusted.iter().any(|it| it.contains(&ip)) {
                return;
            }
        }
    }

    pub(crate) fn routed(&mut self, route: &Route, path: &str) {
        let exchange = self.exchange();
        exchange.route = Some(route.name.clone());
        if &*exchange.request.path != path {
            exchange.request.path = path.into();
        }
    }

    pub(crate) fn sent_to(&mut self, upstream: &Upstream) {
        self.exchange().upstream = Some(upstream.name.clone());
    }

    /// An upstream is asked to go on with another protocol.
    pub(crate) fn asked_for(&mut self, upgrade: Option<&Upgrade>) {
        let protocol = upgrade.map(|it| String::from_utf8_lossy(&it.protocol).into());
        self.exchange().request.upgrade = protocol;
    }

    /// Adds the fields that every answer has.
    pub(crate) fn mark_answer(&mut self, headers: &mut HeaderMap) {
        let seat = self.seat.clone();
        let exchange = self.exchange();
        mark(&seat, exchange.id, &exchange.request, headers);
    }

    pub(crate) fn continue_trace(&mut self, received: Option<TraceParent>) -> TraceParent {
        let span = self.seat.worker.random() as u64;
        let exchange = self.exchange();
        let trace = match received {
            Some(it) => it.child(span),
            None => TraceParent::start(exchange.id, span),
        };
        exchange.trace = Some(trace);
        trace
    }

    /// Ends the phase that it is in and begins the next.
    pub(crate) fn enter(&mut self, phase: Phase) {
        let now = Instant::now();
        self.settle(now);
        self.phase = phase;
        if Phase::Resolve <= phase {
            self.attempt_mut().phase = phase;
        }
    }

    /// The same, unless it is there already or further on.
    pub(crate) fn enter_once(&mut self, phase: Phase) {
        if self.phase < phase {
            self.enter(phase);
        }
    }

    fn settle(&mut self, now: Instant) {
        let spent = (now - self.mark).as_micros() as u64;
        self.mark = now;
        let phase = self.phase;
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        match exchange.attempts.last_mut() {
            Some(attempt) if (Phase::Resolve..=Phase::ReadBody).contains(&phase) => {
                attempt.phases.add(phase, spent);
            }
            _ => exchange.phases.add(phase, spent),
        }
    }

    pub(crate) fn begin_attempt(&mut self, target: &Arc<str>, server: Option<Arc<str>>) {
        let mut attempt = Attempt::new(target.clone());
        attempt.server = server;
        self.exchange().attempts.push(attempt);
    }

    /// The attempt that is being made.
    pub(crate) fn attempt_mut(&mut self) -> &mut Attempt {
        let attempt = self.exchange.as_mut().and_then(|it| it.attempts.last_mut());
        attempt
            .unwrap_or_else(|| self.spare.get_or_insert_with(|| Box::new(Attempt::new("".into()))))
    }

    pub(crate) fn failed(&mut self, fault: Fault) {
        self.settle(Instant::now());
        let phase = self.phase;
        let attempt = self.attempt_mut();
        attempt.phase = phase;
        attempt.fault = Some(fault);
    }

    /// The last attempt failed, by this or by the status of its answer, and another one follows. The
    /// cause that it has.
    pub(crate) fn absorbed(&mut self, fault: Option<&Fault>) -> &'static str {
        self.prevented(fault.map(|it| Stop::Failed(it.clone())), By::Retry)
    }

    /// It would have been stopped by this, or have the status of the last attempt, and an answer that
    /// was kept stands in.
    pub(crate) fn stood_in(&mut self, stop: Option<&Stop>) {
        self.prevented(stop.cloned(), By::Stale);
    }

    fn prevented(&mut self, stop: Option<Stop>, by: By) -> &'static str {
        let exchange = self.exchange();
        // Looked at as if it were the end.
        let mut ended = exchange.clone();
        ended.attempts = exchange.attempts.last().cloned().into_iter().collect();
        let status = exchange.last_attempt().and_then(|it| it.status).filter(|_| stop.is_none());
        ended.stop = stop;
        ended.answer = status.map(|status| Answer {
            status,
            grpc_status: None,
            made_by: Maker::Upstream,
            body_bytes: 0,
        });
        let cause = Case::of(&ended).map_or(UNKNOWN, |it| first_look(&it).cause().id);
        exchange.prevented.push(Prevented { cause, by });
        cause
    }

    /// What was taken for absorbed was not: nothing followed.
    pub(crate) fn not_absorbed(&mut self) {
        self.exchange().prevented.pop();
    }

    /// It waited until the upstream was back, which was gone for this reason.
    pub(crate) fn absorbed_wait(&mut self, cause: Option<&'static str>) {
        let prevented = Prevented { cause: cause.unwrap_or(UNKNOWN), by: By::Wait };
        self.exchange().prevented.push(prevented);
    }

    /// The last attempt found what the one before it had found, and the request waits: one of them
    /// stands for both.
    pub(crate) fn waits_on(&mut self) {
        let exchange = self.exchange();
        if let Some(it) = exchange.prevented.last_mut() {
            it.by = By::Wait;
        }
        let Some((last, before)) = exchange.attempts.split_last_mut() else {
            return;
        };
        let same = |it: &&mut Attempt| it.target == last.target && it.fault == last.fault;
        if let Some(before) = before.iter_mut().rev().find(same) {
            before.phases.absorb(&last.phases);
            exchange.attempts.pop();
            exchange.prevented.pop();
        }
    }

    pub(crate) fn body_taken(&mut self, bytes: u64) {
        if let Some(exchange) = &mut self.exchange {
            exchange.request.body_bytes = bytes;
        }
    }

    pub(crate) fn body_sent(&mut self, bytes: usize) {
        if let Some(Answer { body_bytes, .. }) =
            self.exchange.as_mut().and_then(|it| it.answer.as_mut())
        {
            *body_bytes += bytes as u64;
        }
    }

    pub(crate) fn answered(&mut self, status: u16, made_by: Maker) {
        self.exchange().answer = Some(Answer { status, grpc_status: None, made_by, body_bytes: 0 });
    }

    /// From here on an answer of an upstream is one to a gRPC call.
    pub(crate) fn is_call(&mut self, deadline: Option<Deadline>) {
        self.is_call = true;
        self.deadline = deadline;
    }

    /// How long the caller waits for the head of an answer.
    pub(crate) fn waited_for(&mut self, until: Option<Deadline>) {
        self.deadline = until;
    }

    pub(crate) fn is_one_of_grpc(&self) -> bool {
        self.is_call
    }

    /// The status of a call, once it is known.
    pub(crate) fn call_status(&mut self, code: Option<u32>) {
        let answer = self.exchange.as_mut().and_then(|it| it.answer.as_mut());
        if let (Some(answer), Some(_)) = (answer, code) {
            answer.grpc_status = code;
        }
    }

    /// The trailers of an upstream's answer.
    pub(crate) fn trailed(&mut self, trailers: &HeaderMap) {
        if self.is_call {
            self.call_status(status::given(trailers));
        }
    }

    /// The status that ends the body of a call which broke off.
    pub(crate) fn last_words(&mut self) -> Option<HeaderMap> {
        self.last_words.take().map(|it| *it)
    }

    /// Waits a moment for what the app has to say, where it is one that the gateway started.
    pub(crate) async fn hear(&mut self, stop: &Stop) {
        let plane = self.seat.worker.plane.clone();
        let concerned = |it: &Hearing| {
            self.exchange.as_ref().is_some_and(|exchange| it.concerns(exchange, stop))
        };
        let Some(hearing) = plane.hearing.as_ref().filter(|it| concerned(it)) else {
            return;
        };
        self.settle(Instant::now());
        let before = std::mem::replace(&mut self.phase, Phase::WaitEvidence);
        let (audience, alarm) = (self.audience, self.seat.worker.timer.alarm());
        let heard = hearing.ask(&plane, self.exchange(), stop, audience, &alarm).await;
        self.settle(Instant::now());
        self.phase = before;
        self.exchange().heard = heard.map(Box::new);
    }

    /// Judges what stopped the exchange. The look is for the answer; the record keeps its cause.
    pub(crate) fn stopped(&mut self, stop: Stop) -> Look {
        self.settle(Instant::now());
        let exchange = self.exchange();
        exchange.stop = Some(stop);
        let case = Case::of(exchange).expect("a stopped exchange is a case");
        let look = first_look(&case);
        exchange.cause = Some(look.cause().id);
        exchange.side = Some(look.side().name());
        look
    }

    /// The last byte has been handed on.
    pub(crate) fn complete(&mut self) {
        let answer = self.exchange.as_ref().and_then(|it| it.answer.as_ref());
        let unsaid = |it: &Answer| it.made_by == Maker::Upstream && it.grpc_status.is_none();
        if self.is_call && answer.is_some_and(unsaid) {
            return self.cut(Fault::Body(BodyFault::NoGrpcStatus));
        }
        let most = self.later.as_ref().and_then(|it| it.most.get());
        if let (Some(limit), Some(answer)) = (most, answer)
            && limit.value < answer.body_bytes
        {
            return self.cut(Fault::Body(BodyFault::TooBig(limit)));
        }
        self.offer(End::Complete);
    }

    /// The answer's end is not known beforehand. To an old client it is the connection's end, which
    /// must be a reset until the whole answer is there, whoever ends it.
    pub(crate) fn open_ended(&self, open: bool) {
        if self.old_client {
            self.seat.link().abort.set(open);
        }
    }

    /// The body broke off; the client's stream is ended so that it shows.
    pub(crate) fn cut(&mut self, fault: Fault) {
        self.failed(fault.clone());
        if let Some(exchange) = &mut self.exchange {
            exchange.stop = Some(Stop::Failed(fault.clone()));
            if self.is_call {
                self.last_words = Some(Box::new(refuse::last_words(Stop::Failed(fault), self)));
            }
        }
        self.offer(End::Cut);
    }

    /// The client left, and we noticed by ourselves.
    pub(crate) fn client_gone(&mut self) {
        let phase = self.phase;
        let told = self.later.as_ref().is_some_and(|it| it.told.get().is_some());
        if told && self.seat.worker.ends.get() {
            if let Some(exchange) = &mut self.exchange {
                exchange.stop = Some(Stop::Refused(Refusal::Draining));
            }
            return self.offer(End::Cut);
        }
        // Callers keep their deadline themselves, and are often first by a moment: that they left is
        // not what happened.
        let waits = self.is_call || self.exchange.as_ref().is_some_and(|it| it.answer.is_none());
        if let Some(Deadline { at, limit }) = self.deadline.filter(|_| waits)
            && at <= Instant::now() + LEEWAY
        {
            self.failed(Fault::Deadline(limit));
            if let Some(exchange) = &mut self.exchange {
                exchange.stop = Some(Stop::Failed(Fault::Deadline(limit)));
            }
        }
        self.offer(End::ClientClosed(phase));
    }

    /// Not the client's doing: we broke down in the middle of this request.
    pub(crate) fn broke_down(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.stop = Some(Stop::Refused(Refusal::Bug));
        }
        self.offer(End::Cut);
    }

    /// The same in another place, with nothing left in this one.
    fn moved(&mut self) -> Recorder {
        Recorder {
            exchange: self.exchange.take(),
            seat: self.seat.clone(),
            began: self.began,
            mark: self.mark,
            phase: self.phase,
            old_client: self.old_client,
            audience: self.audience,
            is_call: self.is_call,
            deadline: self.deadline,
            last_words: None,
            later: self.later.clone(),
            spare: None,
        }
    }

    /// Of the request, as long as it is not offered.
    pub(crate) fn path(&self) -> &str {
        self.exchange.as_ref().map_or("", |it| &it.request.path)
    }

    /// `None` once it has been offered.
    pub(crate) fn id(&self) -> Option<ExchangeId> {
        self.exchange.as_ref().map(|it| it.id)
    }

    fn offer(&mut self, end: End) {
        let now = Instant::now();
        self.settle(now);
        let Some(mut exchange) = self.exchange.take() else {
            return;
        };
        exchange.end = end;
        if exchange.failed()
            || end != End::Complete
            || !exchange.answer.as_ref().is_some_and(is_good)
        {
            exchange.prevented.clear();
        }
        exchange.took = (now - self.began).as_micros() as u64;
        let told = self.later.as_ref().and_then(|it| it.told.get());
        exchange.later = told.map(|it| (it - self.began).as_micros() as u64);
        if let Some(stage) = &self.later {
            stage.failed.set(exchange.stop.as_ref().map(refuse::status_of));
        }
        // What was answered well has no case, and costs nothing here. What breaks down here must not
        // do so while another panic unwinds.
        let look = Case::of(&exchange).map(|it| contained(Some(exchange.id), || first_look(&it)));
        if let Some(Err(Caught)) = look {
            exchange.stop = Some(Stop::Refused(Refusal::Bug));
            exchange.cause = Some(BUG);
            exchange.side = Some("gateway");
        }
        if let Some(Ok(look)) = look {
            exchange.cause = Some(look.cause().id);
            exchange.side = Some(look.side().name());
            if exchange.failed() {
                let answer = exchange.answer.as_ref().map(|it| it.status);
                let status = answer.or_else(|| exchange.stop.as_ref().map(refuse::status_of));
                let status = status.unwrap_or_default();
                let audience = self.audience;
                let text = contained(Some(exchange.id), || {
                    body(Form::Problem, &look, &exchange, status, audience)
                });
                // Without it there is no report, and still a record.
                if let Ok(text) = text {
                    self.seat.worker.plane.reports.keep(exchange.id, text);
                }
            }
        }
        self.seat.link().answer_ended(now);
        self.seat.worker.record(&exchange);
        if let Some(hearing) = &self.seat.worker.plane.hearing {
            hearing.ended(&self.seat.worker.plane, &exchange, self.audience);
        }
    }
}

/// Adds the fields that every answer has.
pub(crate) fn mark(seat: &Seat, id: ExchangeId, request: &Request, headers: &mut HeaderMap) {
    let draining = seat.worker.is_draining();
    if seat.tls
        && !draining
        && let Some(alternative) = &*seat.worker.plane.alternative.load()
    {
        headers.insert(header::ALT_SVC, alternative.as_ref().clone());
    }
    let id = HeaderValue::from_bytes(&id.hex()).expect("hexadecimal digits are a field value");
    match request.caller_id.as_deref().and_then(|it| it.parse().ok()) {
        None => {
            headers.insert("x-request-id", id);
        }
        Some(callers) => {
            headers.insert("x-request-id", callers);
            headers.insert("x-goodgate-id", id);
        }
    }
    // The HTTP/1 server's own stands still when the clock is set back.
    if request.version.starts_with("HTTP/1.")
        && !headers.contains_key(header::DATE)
        && let Some(date) = seat.worker.date()
    {
        headers.insert(header::DATE, date);
    }
    if draining {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// An answer that its caller takes for none of a failure.
fn is_good(answer: &Answer) -> bool {
    answer.status < 500 && answer.status != 429
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if self.exchange.is_none() {
            return;
        }
        if !std::thread::panicking() {
            return self.client_gone();
        }
        let link = self.seat.link();
        // Somebody answers for it, unless there is one already.
        match link.salvaged.try_borrow_mut() {
            Ok(mut salvaged) if link.guarded.get() && salvaged.is_none() => {
                *salvaged = Some(Box::new(self.moved()));
            }
            _ => self.broke_down(),
        }
    }
}
