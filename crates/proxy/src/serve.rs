//! Serves one request, from its head to its record. Read this file first.

use crate::contain::{Serving, trip};
use crate::deadline;
use crate::front::{CutHead, HeadNote};
use crate::grpc::body::CallBody;
use crate::grpc::{Call, status};
use crate::inbound::Inbound;
use crate::later::{self, Stage};
use crate::outbound::Outbound;
use crate::recorder::Recorder;
use crate::refuse::{self, Asked};
use crate::reply::{AnswerBody, Reply, fixed};
use crate::seat::Seat;
use crate::share::{divide, keep, kept, key};
use crate::snapshot::Snapshot;
use crate::stale::body::{Keeping, KeptBody};
use crate::stale::{self, Asking, Given, Place};
use crate::tries::{Plan, send};
use crate::tunnel::Tunnel;
use crate::upstream::body::UpstreamBody;
use crate::upstream::{Answered, Halt, Turn};
use bytes::Bytes;
use config::{Action, Choice, Forward, PathFault, Route};
use diagnosis::answer::Form;
use diagnosis::manual;
use exchange::{ExchangeId, Maker, Malformed, Phase, Refusal, Stop};
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// A request whose record has begun. Made as soon as hyper hands the request over: the client may
/// leave before the first step of [`serve`].
pub(crate) struct Begun {
    record: Recorder,
    /// The front did not let the head through.
    refused: Option<Refusal>,
    /// What it is served by, to its end.
    snapshot: Rc<Snapshot>,
    request: Request<Inbound>,
    head: Head,
}

impl Begun {
    /// The answer to come, which a mistake of ours on the way does not take from the client. `making`
    /// is [`serve`], at a place of the caller's choice.
    pub(crate) fn serving<F>(mut self, making: impl FnOnce(Begun) -> F) -> Serving<F>
    where
        F: Future<Output = Reply> + Unpin,
    {
        let seat = self.record.seat().clone();
        let id = self.record.exchange().id;
        Serving::new(seat, id, making(self))
    }
}

/// Begins the record of one request of one client.
pub(crate) fn begin(seat: &Rc<Seat>, request: Request<Inbound>) -> Begun {
    let snapshot = seat.worker.snapshot();
    seat.serve_by(&snapshot.config);
    let note = seat.link().next_head();
    let began = note.as_ref().map_or_else(Instant::now, |it| it.began);
    let head_bytes = note.as_ref().map_or(0, |it| it.bytes as u64);
    let head = Head::read(request.method(), request.uri(), request.version(), request.headers());
    match note.and_then(|it| it.refused) {
        Some(refused) => {
            let told = as_recorded(&refused.method, &refused.target, head_bytes);
            let told = exchange::Request { version: head.version, ..told };
            let mut record = Recorder::begin(seat, told, began);
            record.trust(&HeaderMap::new(), &snapshot.config);
            Begun { record, refused: Some(refused.refusal), snapshot, request, head }
        }
        None => {
            let mut record = Recorder::begin(seat, head.recorded(head_bytes), began);
            record.trust(request.headers(), &snapshot.config);
            record.caller(request.headers(), &snapshot.config);
            Begun { record, refused: None, snapshot, request, head }
        }
    }
}

/// From the head to the answer.
pub(crate) async fn serve(begun: Begun) -> Reply {
    let Begun { mut record, refused, snapshot, request, head } = begun;
    let seat = record.seat().clone();
    let (parts, body) = request.into_parts();
    let mut asked = Asked {
        accept: head.accept(&parts.headers),
        allowed: Vec::new(),
        call: Call::of(&parts.method, parts.version, &parts.headers),
    };
    if let Some(refusal) = refused {
        return refuse::answer(Stop::Refused(refusal), record, &asked);
    }
    trip::at("serve", &head.path);
    // Until somebody reads it, what the client sends would be cut off by our closing.
    seat.link().unread.set(!body.is_end_stream());
    if seat.worker.plane.memory.is_full() {
        return refuse::answer(Stop::Refused(Refusal::MemoryFull), record, &asked);
    }
    let by_connect = matches!(body, Inbound::Tunnel);
    if let Some(page) = head.path.strip_prefix(OURS) {
        return if by_connect { no_tunnel(record, &asked) } else { own_page(record, page) };
    }
    let choice = snapshot.config.routes.choose(&config::Asked {
        method: parts.method.as_str(),
        host: &head.host,
        path: &head.path,
        query: parts.uri.query(),
        headers: &parts.headers,
    });
    let (route, path) = match route(choice, &parts.headers, &seat, &mut asked) {
        Ok(found) => found,
        Err(refusal) => return refuse::answer(Stop::Refused(refusal), record, &asked),
    };
    record.routed(&route, &path);
    if route.https_only && !is_secure(&seat, &parts.headers) {
        if head.host.is_empty() {
            let stop = Stop::Refused(Refusal::Malformed(Malformed::HostMissing));
            return refuse::answer(stop, record, &asked);
        }
        let to = secure_url(&snapshot, &head, &parts.uri);
        return redirect(record, 308, &to, &parts.uri);
    }
    match &route.action {
        Action::Redirect { status, to } => redirect(record, *status, to, &parts.uri),
        Action::Answer { status: 200..300, .. } if by_connect => no_tunnel(record, &asked),
        Action::Answer { status, content_type, body } => {
            record.answered(*status, Maker::Route);
            let mut headers = HeaderMap::new();
            if let Ok(kind) = HeaderValue::from_str(content_type) {
                headers.insert(header::CONTENT_TYPE, kind);
            }
            fixed(*status, headers, Bytes::copy_from_slice(body.as_bytes()), record)
        }
        Action::Forward(forward) => {
            let target = upstream_target(&route, forward, &path, parts.uri.query());
            let may_leave = asked.call.is_none() && !by_connect;
            let job = may_leave.then(|| later::job(&route, forward, &parts, &seat)).flatten();
            let (route, forward, authority) = (route.clone(), forward.clone(), head.authority);
            let work =
                Work { record, snapshot, route, forward, target, authority, parts, body, asked };
            match job {
                None => forwarded(work, None).await,
                Some(job) => later::serve(work, job).await,
            }
        }
    }
}

/// A request that goes to an upstream.
pub(crate) struct Work {
    pub(crate) record: Recorder,
    snapshot: Rc<Snapshot>,
    route: Arc<Route>,
    pub(crate) forward: Arc<Forward>,
    /// As its route sends it on.
    target: String,
    authority: String,
    parts: Parts,
    body: Inbound,
    asked: Asked,
}

/// Its answer. `stage` is where it stands, if it may go on without its caller.
pub(crate) async fn forwarded(work: Work, stage: Option<Rc<Stage>>) -> Reply {
    let Work { mut record, snapshot, route, forward, target, authority, parts, body, asked } = work;
    let (seat, forward) = (record.seat().clone(), &*forward);
    let by_connect = matches!(body, Inbound::Tunnel);
    let secure = is_secure(&seat, &parts.headers);
    let divided = divide(&route, forward, &parts.headers, secure, &mut record);
    record.sent_to(&forward.shares[divided.share].upstream);
    let upstream = snapshot.upstream(route.index, divided.share);
    let (method, mut headers) = (parts.method, parts.headers);
    let call = asked.call.as_ref().filter(|it| it.is_sent_as_grpc(forward.grpc_web));
    let body = match call {
        None => Ok(body),
        Some(call) => call.request(&mut headers, body, &seat),
    };
    let body = match body {
        Ok(body) => body,
        Err(refusal) => return refuse::answer(Stop::Refused(refusal), record, &asked),
    };
    let version = parts.version;
    let place = Place { secure, authority: &authority, uri: &parts.uri };
    let shelf = snapshot.shelf(route.index).filter(|_| asked.call.is_none());
    let asking = Asking::of(shelf, forward.stale, &method, &place, &headers);
    let mut outbound = Outbound::new(method, target, headers, authority, version, body);
    record.asked_for(outbound.upgrade.as_ref());
    // Who may be told to come later is told so in time.
    let callers = match &stage {
        None => deadline::of(&outbound.headers, Instant::now()),
        Some(stage) => {
            outbound.pump.tells(stage.clone());
            None
        }
    };
    match call {
        Some(call) => record.is_call(call.deadline()),
        None => record.waited_for(callers),
    }
    let key = upstream.and_then(|it| key(&it.settings.balance, &outbound.headers, &mut record));
    let kept = upstream.and_then(|it| kept(it, &outbound.headers));
    let later = forward.later.as_ref().filter(|_| stage.is_some());
    let plan = Plan { snapshot: &snapshot, upstream, forward, call, callers, later, key, kept };
    let came = send(&plan, &mut outbound, &mut record, version).await;
    if let Some(asking) = &asking
        && let Some(given) = asking.instead(&came, &outbound)
    {
        return stand_in(given, came, record);
    }
    match came {
        Ok((turn, mut answered)) => {
            let keeping = asking.and_then(|it| it.keep(&answered, &outbound));
            let keeps = keep(turn.upstream, turn.index, kept, secure);
            for cookie in [divided.cookie, keeps].into_iter().flatten() {
                answered.head.fields.append(header::SET_COOKIE, cookie);
            }
            match answered.head.status {
                101 => switch(&turn, answered, by_connect, record),
                _ => hand_on(&turn, answered, outbound, keeping, record),
            }
        }
        Err(Halt::Stop(stop)) => {
            record.hear(&stop).await;
            refuse::answer(stop, record, &asked)
        }
        Err(Halt::ClientGone) => {
            record.client_gone();
            let mut nobody = Response::new(AnswerBody::Empty);
            *nobody.status_mut() = StatusCode::BAD_REQUEST;
            let close = HeaderValue::from_static("close");
            nobody.headers_mut().insert(header::CONNECTION, close);
            nobody
        }
    }
}

/// The connection goes on with what client and upstream agreed on; the record goes with it.
fn switch(
    turn: &Turn<'_>,
    mut answered: Answered,
    by_connect: bool,
    mut record: Recorder,
) -> Reply {
    let mut headers = std::mem::take(&mut answered.head.fields);
    record.enter(Phase::ReadBody);
    record.attempt_mut().status = Some(101);
    let status = if by_connect { StatusCode::OK } else { StatusCode::SWITCHING_PROTOCOLS };
    record.answered(status.as_u16(), Maker::Upstream);
    record.mark_answer(&mut headers);
    // Nothing that follows is content (RFC 9110 8.6).
    headers.remove(header::CONTENT_LENGTH);
    if by_connect {
        // The answer to a key that the client has never seen.
        headers.remove(header::SEC_WEBSOCKET_ACCEPT);
    } else {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.extend(answered.head.upgrade.map(|it| (header::UPGRADE, it)));
    }
    headers.append(header::VIA, record.worker().plane.via_field.clone());
    let idle = turn.upstream.settings.timeout.tunnel;
    let tunnel = Tunnel::new(answered.from, record, answered.alarm, idle);
    *turn.seat.link().tunnel.borrow_mut() = Some(Box::new(tunnel));
    let mut reply = Response::new(AnswerBody::Empty);
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    reply
}

/// A page or answer of ours to a stream that is to be a tunnel: its 2xx would be read as one.
fn no_tunnel(record: Recorder, asked: &Asked) -> Reply {
    refuse::answer(Stop::Refused(Refusal::Malformed(Malformed::Protocol)), record, asked)
}

/// What the answer of a target shows of it.
fn learn(turn: &Turn<'_>, answered: &Answered) {
    let fields = &answered.head.fields;
    let server = fields.get(header::SERVER).and_then(|it| it.to_str().ok());
    turn.state().answered(server, answered.head.idle_limit);
    turn.state().findings.answered(answered.head.status, status::given(fields));
}

/// An answer that was kept goes to the client, instead of what failed.
fn stand_in(given: Given, came: Result<(Turn<'_>, Answered), Halt>, mut record: Recorder) -> Reply {
    match &came {
        Ok((turn, answered)) => {
            learn(turn, answered);
            record.attempt_mut().status = Some(answered.head.status);
            record.stood_in(None);
        }
        Err(Halt::Stop(stop)) => record.stood_in(Some(stop)),
        Err(Halt::ClientGone) => {}
    }
    stale::answer(given, record)
}

/// The answer of an upstream goes to the client; the record goes with its body.
fn hand_on(
    turn: &Turn<'_>,
    mut answered: Answered,
    outbound: Outbound,
    keeping: Option<Keeping>,
    mut record: Recorder,
) -> Reply {
    learn(turn, &answered);
    let status = answered.head.status;
    let mut headers = std::mem::take(&mut answered.head.fields);
    record.enter(Phase::ReadBody);
    record.attempt_mut().status = Some(status);
    record.answered(status, Maker::Upstream);
    record.mark_answer(&mut headers);
    headers.append(header::VIA, record.worker().plane.via_field.clone());
    if 500 <= status
        && let Ok(value) = record.worker().plane.received(status)
    {
        headers.append(refuse::PROXY_STATUS, value);
    }
    turn.seat.link().unread.set(!outbound.pump.is_done());
    let trailer_limit = turn.limits.response_head;
    if turn.call.is_some() {
        record.call_status(status::given(&headers));
    }
    let body = UpstreamBody::new(turn, answered, outbound.pump, record, trailer_limit);
    let body = match (turn.call, keeping) {
        (None, None) => AnswerBody::Upstream(Box::new(body)),
        (None, Some(keeping)) => AnswerBody::Kept(Box::new(KeptBody::new(Box::new(body), keeping))),
        (Some(call), _) => {
            let alarm = turn.seat.worker.timer.alarm();
            AnswerBody::Call(Box::new(CallBody::new(call, &mut headers, body, alarm)))
        }
    };
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *reply.headers_mut() = headers;
    reply
}

/// The route of a request and the path it has there.
fn route<'a>(
    choice: Choice<'a>,
    headers: &HeaderMap,
    seat: &Seat,
    asked: &mut Asked,
) -> Result<(Arc<Route>, Cow<'a, str>), Refusal> {
    if passed_before(headers, &seat.worker.plane.via) {
        return Err(Refusal::Loop);
    }
    match choice {
        Choice::Route { route, path } => Ok((route.clone(), path)),
        Choice::NoRoute => Err(Refusal::NoRoute),
        Choice::MethodNotAllowed(allowed) => {
            asked.allowed = allowed;
            Err(Refusal::MethodNotAllowed)
        }
        Choice::Path(PathFault::Invalid) => Err(Refusal::Malformed(Malformed::Target)),
        Choice::Path(PathFault::Ambiguous | PathFault::LeavesRoot) => {
            Err(Refusal::Malformed(Malformed::PathAmbiguous))
        }
    }
}

/// Our own mark is in `Via`: the request went through here and came back.
fn passed_before(headers: &HeaderMap, via: &str) -> bool {
    // By bytes: another proxy's part may be no text, and must not hide ours.
    let mut values = headers.get_all(header::VIA).iter();
    values.any(|it| memchr::memmem::find(it.as_bytes(), via.as_bytes()).is_some())
}

/// The path as its route sends it on, with its query.
fn upstream_target(route: &Route, forward: &Forward, path: &str, query: Option<&str>) -> String {
    let path = forward.path(route, path);
    match query {
        None => path.into_owned(),
        Some(query) => format!("{path}?{}", in_ascii(query)),
    }
}

/// A query whose bytes beyond ASCII are escaped (RFC 3986 2.1), since servers that read a line of
/// Latin-1 find spaces among them.
fn in_ascii(query: &str) -> Cow<'_, str> {
    if query.is_ascii() {
        return Cow::Borrowed(query);
    }
    let mut escaped = String::with_capacity(query.len() * 2);
    for letter in query.chars() {
        if letter.is_ascii() {
            escaped.push(letter);
            continue;
        }
        for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
            escaped += &format!("%{byte:02X}");
        }
    }
    Cow::Owned(escaped)
}

/// The caller's way to us is under TLS, as far as we or a trusted proxy can see.
fn is_secure(seat: &Seat, headers: &HeaderMap) -> bool {
    let told = headers.get("x-forwarded-proto").filter(|_| seat.is_trusted_proxy());
    match told.and_then(|it| it.to_str().ok()) {
        // The nearest proxy's word is the last.
        Some(told) => told.rsplit(',').next().is_some_and(|it| it.trim() == "https"),
        None => seat.tls,
    }
}

/// The same URL under TLS, at our own port for it where we have one.
fn secure_url(snapshot: &Snapshot, head: &Head, uri: &Uri) -> String {
    let port = match snapshot.config.listen.https.as_ref().map(|it| it.addr.port()) {
        None | Some(443) => String::new(),
        Some(port) => format!(":{port}"),
    };
    let path = uri.path_and_query().map_or("/", |it| it.as_str());
    format!("https://{}{port}{path}", head.host)
}

fn redirect(mut record: Recorder, status: u16, to: &str, uri: &Uri) -> Reply {
    record.answered(status, Maker::Route);
    let place = match uri.query().filter(|_| to.starts_with('/') && !to.contains('?')) {
        Some(query) => format!("{to}?{query}"),
        None => to.to_owned(),
    };
    let mut headers = HeaderMap::new();
    if let Ok(place) = HeaderValue::from_str(&place) {
        headers.insert(header::LOCATION, place);
    }
    fixed(status, headers, Bytes::new(), record)
}

/// Below this are pages of ours, on every listener that clients use.
pub(crate) const OURS: &str = "/.well-known/goodgate/";

/// `reports/ID`: the report of an earlier failed exchange, as its caller may see it.
/// `causes/CAUSE`: the manual page that the `type` of a problem points to.
/// `later/ID`: an answer that is fetched later.
fn own_page(mut record: Recorder, page: &str) -> Reply {
    if let Some(id) = page.strip_prefix("later/") {
        return later::page(record, id);
    }
    let plane = &record.worker().plane;
    let found = match page.split_once('/') {
        Some(("reports", id)) => id
            .parse()
            .ok()
            .and_then(|it: ExchangeId| plane.reports.find(it))
            .map(|it| (Form::Problem.content_type(), it.to_string())),
        Some(("causes", id)) => manual::page(id).map(|it| ("text/markdown; charset=utf-8", it)),
        _ => None,
    };
    let Some((kind, text)) = found else {
        let asked = Asked { accept: None, allowed: Vec::new(), call: None };
        return refuse::answer(Stop::Refused(Refusal::NoRoute), record, &asked);
    };
    record.answered(200, Maker::Route);
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    fixed(200, headers, Bytes::from(text), record)
}

/// A client that left before its head was whole: nobody is answered, and it is recorded.
pub(crate) fn cut_head(seat: &Rc<Seat>, cut: &CutHead) {
    let told = as_recorded(&cut.method, &cut.target, cut.bytes as u64);
    Recorder::begin(seat, told, cut.began).client_gone();
}

/// A head that was let through, and whose client left before it was served.
pub(crate) fn unserved(seat: &Rc<Seat>, note: &HeadNote) {
    let told = as_recorded("", "", note.bytes as u64);
    Recorder::begin(seat, told, note.began).client_gone();
}

/// What is recorded of a request that was not read as one.
fn as_recorded(method: &str, target: &str, head_bytes: u64) -> exchange::Request {
    exchange::Request {
        method: method.into(),
        path: told_path(target.split('?').next().unwrap_or_default()).into(),
        version: "HTTP/1.1",
        head_bytes,
        ..exchange::Request::default()
    }
}

/// A path as it may stand in records: who knows the address of an answer can fetch it.
fn told_path(path: &str) -> Cow<'_, str> {
    match path.strip_prefix(OURS).and_then(|it| it.strip_prefix("later/")) {
        Some(_) => Cow::Owned(format!("{OURS}later/*")),
        None => Cow::Borrowed(path),
    }
}

/// The parts of a request head that decide where it goes.
struct Head {
    method: Arc<str>,
    /// As the client wrote it.
    authority: String,
    /// Lower-case, without port and trailing dot.
    host: String,
    /// As the client wrote it, without the query.
    path: String,
    version: &'static str,
}

impl Head {
    fn read(method: &Method, uri: &Uri, version: Version, headers: &HeaderMap) -> Head {
        let field = || headers.get(header::HOST).and_then(|it| it.to_str().ok());
        // The authority of an absolute form wins (RFC 9112 3.2.2); the front has seen that both
        // are the same.
        let authority = match uri.authority() {
            Some(it) => it.as_str().to_owned(),
            None => field().unwrap_or_default().to_owned(),
        };
        Head {
            method: method_word(method),
            host: host_of(&authority).trim_end_matches('.').to_ascii_lowercase(),
            authority,
            path: uri.path().to_owned(),
            version: match version {
                Version::HTTP_10 => "HTTP/1.0",
                Version::HTTP_2 => "HTTP/2",
                Version::HTTP_3 => "HTTP/3",
                _ => "HTTP/1.1",
            },
        }
    }

    fn recorded(&self, head_bytes: u64) -> exchange::Request {
        exchange::Request {
            method: self.method.clone(),
            host: self.host.as_str().into(),
            path: told_path(&self.path).into(),
            version: self.version,
            caller_id: None,
            upgrade: None,
            head_bytes,
            body_bytes: 0,
        }
    }

    fn accept(&self, headers: &HeaderMap) -> Option<String> {
        let mut all = headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok());
        let first = all.next()?;
        Some(all.fold(first.to_owned(), |list, it| list + "," + it))
    }
}

/// The host of an authority, without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|it| it.is_ascii_digit()) => host,
        _ => authority,
    }
}

thread_local! {
    /// Shared words for the methods that nearly all requests have.
    static METHODS: [(Method, Arc<str>); 7] = [
        Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD,
        Method::OPTIONS,
    ]
    .map(|it| (it.clone(), Arc::from(it.as_str())));
}

fn method_word(method: &Method) -> Arc<str> {
    METHODS.with(|all| {
        let known = all.iter().find(|(it, _)| it == method);
        known.map_or_else(|| method.as_str().into(), |(_, word)| word.clone())
    })
}
