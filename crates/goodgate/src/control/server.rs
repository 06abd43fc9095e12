//! Serves the control socket: who may speak, how much and for how long, and which request is which
//! order.

use super::orders::{Desk, Kind, Order, Refusal, Reply};
use crate::output::Output;
use crate::takeover::{self, PROTOCOL};
use bytes::Bytes;
use exchange::Treatment;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::geteuid;
use serde::Deserialize;
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// Connections at once; more wait.
const CONNECTIONS: usize = 16;
/// From the first byte of a connection, or the end of the last answer, to the end of a head.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of a head.
const HEAD_SIZE: usize = 16 * 1024;
/// From the end of a head to the end of its body.
const BODY: Duration = Duration::from_secs(5);
/// Bytes of a body.
const BODY_SIZE: usize = 4 * 1024;
/// When no descriptor is left, accepting again at once would only burn the core.
const NO_DESCRIPTOR: Duration = Duration::from_millis(50);

/// For the last answers, once the gateway has stopped.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The server; it ends with the runtime.
pub(crate) struct Server {
    places: Arc<Semaphore>,
    closing: watch::Sender<bool>,
}

/// What all connections share.
#[derive(Clone)]
struct Shared {
    desk: Desk,
    output: Output,
    /// Only one process at a time can take over.
    takeover: Arc<Semaphore>,
    closing: watch::Receiver<bool>,
}

impl Server {
    /// Called on a runtime.
    pub(crate) fn start(listener: UnixListener, desk: Desk, output: Output) -> Server {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let (send, closing) = watch::channel(false);
        let shared = Shared { desk, output, takeover: Arc::new(Semaphore::new(1)), closing };
        let mut closed = shared.closing.clone();
        let accepting = accept(listener, places.clone(), shared);
        tokio::spawn(async move {
            tokio::select! {
                () = accepting => {}
                // Its own place becomes free with that.
                _ = async { closed.wait_for(|it| *it).await.is_ok() } => {}
            }
        });
        Server { places, closing: send }
    }

    /// Waits for the last answers to be taken.
    pub(crate) async fn close(self) {
        self.closing.send_replace(true);
        let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        // Whoever does not take its answer goes without it.
        let _ = timeout(LAST_ANSWERS, self.places.acquire_many(all)).await;
    }
}

async fn accept(listener: UnixListener, places: Arc<Semaphore>, shared: Shared) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(NO_DESCRIPTOR).await;
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let _place = place;
            converse(stream, shared).await;
        });
    }
}

async fn converse(stream: UnixStream, shared: Shared) {
    let mut closing = shared.closing.clone();
    // The mode of the socket says the same; a folder may be given away by mistake.
    let welcome = stream.peer_cred().is_ok_and(|it| may_speak(it.uid(), geteuid().as_raw()));
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move {
            let answer = match welcome {
                true => answer(request, &shared).await,
                false => {
                    let error = "only the user who runs the gateway, and root, may speak with it";
                    Err(Refusal::new(Kind::NotAllowed, error))
                }
            };
            Ok::<_, Infallible>(answer.unwrap_or_else(|it| refused(&it)))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_SIZE);
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        // Whoever asks and leaves is none of our business.
        _ = &mut connection => {}
        true = async { closing.wait_for(|it| *it).await.is_ok() } => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

fn may_speak(peer: u32, me: u32) -> bool {
    peer == me || peer == 0
}

type Answer = Response<Full<Bytes>>;

async fn answer(mut request: Request<Incoming>, shared: &Shared) -> Result<Answer, Refusal> {
    let wanted = wanted(request.method(), request.uri().path())?;
    let body = body(request.body_mut()).await?;
    let order = match wanted {
        Wanted::Order(Order::Stop { .. }) => Order::Stop { now: wish(&body)?.now },
        Wanted::Order(order) => order,
        Wanted::Treatment { upstream, verb } => Order::Target(treatment(upstream, verb, &body)?),
    };
    if order == Order::Bequeath {
        return take_over(request, shared).await;
    }
    match shared.desk.ask(order).await? {
        Reply::Said(said) => Ok(json(StatusCode::OK, &said)),
        Reply::Bequeathed(_) => Err(Refusal::new(Kind::Failed, "the gateway misunderstood")),
    }
}

/// Where the API begins.
pub(crate) const API: &str = "/api/v1";

/// Which paths there are, and what each method of them orders.
const PATHS: &[(&str, &[(&str, Order)])] = &[
    ("status", &[("GET", Order::Status)]),
    ("reload", &[("POST", Order::Reload)]),
    ("drain", &[("POST", Order::Drain(true)), ("DELETE", Order::Drain(false))]),
    ("stop", &[("POST", Order::Stop { now: false })]),
    ("takeover", &[("POST", Order::Bequeath)]),
];

/// What a request wants, as far as its head says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Order(Order),
    /// Something about a target that the body names.
    Treatment {
        /// `None` is all that have it.
        upstream: Option<String>,
        verb: Verb,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Drain,
    Undrain,
    Eject,
    Reset,
    Trial,
}

const VERBS: &[(&str, Verb)] = &[
    ("drain", Verb::Drain),
    ("undrain", Verb::Undrain),
    ("eject", Verb::Eject),
    ("reset", Verb::Reset),
    ("trial", Verb::Trial),
];

/// Below it are the upstreams.
const UPSTREAMS: &str = "upstreams";

fn wanted(method: &Method, path: &str) -> Result<Wanted, Refusal> {
    let below = path.strip_prefix(API).and_then(|it| it.strip_prefix('/')).unwrap_or_default();
    match below.strip_prefix(UPSTREAMS) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => of_upstreams(method, rest),
        _ => order(method, path).map(Wanted::Order),
    }
}

/// `rest` follows [`UPSTREAMS`].
fn of_upstreams(method: &Method, rest: &str) -> Result<Wanted, Refusal> {
    let nothing = || {
        let verbs: Vec<&str> = VERBS.iter().map(|it| it.0).collect();
        let hint = format!(
            "here are {API}/{UPSTREAMS}, {API}/{UPSTREAMS}/NAME, and below that {}",
            verbs.join(", ")
        );
        Refusal::new(Kind::NotFound, "there is nothing at this path").hint(hint)
    };
    let allow = |only: &str| match method.as_str() == only {
        true => Ok(()),
        false => {
            let error = "this path does not take this method";
            Err(Refusal::new(Kind::Method, error).hint(only))
        }
    };
    let mut segments = rest.split('/').skip(1);
    let (name, verb, more) = (segments.next(), segments.next(), segments.next());
    let name = match name {
        None => None,
        Some(name) => {
            let name = config::decoded_segment(name).filter(|it| !it.is_empty());
            Some(name.ok_or_else(nothing)?)
        }
    };
    let Some(verb) = verb else {
        allow("GET")?;
        return Ok(Wanted::Order(Order::Upstreams(name)));
    };
    let found = VERBS.iter().find(|it| it.0 == verb && more.is_none());
    let verb = found.ok_or_else(nothing)?.1;
    allow("POST")?;
    Ok(Wanted::Treatment { upstream: name.filter(|it| it != ALL), verb })
}

/// Instead of the name of an upstream: all that have the target.
const ALL: &str = "*";

/// The body of an order about a target.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    target: String,
    /// How long it is ejected, such as `30s`.
    #[serde(rename = "for")]
    length: Option<String>,
}

fn treatment(
    upstream: Option<String>,
    verb: Verb,
    body: &[u8],
) -> Result<exchange::Order, Refusal> {
    let wrong = |why: String| {
        let hint = match verb {
            Verb::Eject => "write {\"target\": \"http://127.0.0.1:8000\", \"for\": \"30s\"}",
            _ => "write {\"target\": \"http://127.0.0.1:8000\"}",
        };
        Refusal::new(Kind::BadRequest, format!("the body is not understood: {why}")).hint(hint)
    };
    let about: About = serde_json::from_slice(body).map_err(|why| wrong(why.to_string()))?;
    let treatment = match (verb, about.length) {
        (Verb::Eject, Some(length)) => {
            let length = config::duration(&length);
            Treatment::Eject(length.map_err(|why| wrong(format!("`for` {why}")))?)
        }
        (Verb::Eject, None) => return Err(wrong("`for` is missing".to_owned())),
        (_, Some(_)) => return Err(wrong("`for` belongs to `eject` alone".to_owned())),
        (Verb::Drain, None) => Treatment::Drain(true),
        (Verb::Undrain, None) => Treatment::Drain(false),
        (Verb::Reset, None) => Treatment::Reset,
        (Verb::Trial, None) => Treatment::Trial,
    };
    Ok(exchange::Order { upstream, target: about.target, treatment })
}

fn order(method: &Method, path: &str) -> Result<Order, Refusal> {
    let name = path.strip_prefix(API).and_then(|it| it.strip_prefix('/'));
    let Some((_, methods)) = PATHS.iter().find(|it| Some(it.0) == name) else {
        let known = PATHS.iter().map(|it| it.0).chain([UPSTREAMS]);
        let known: Vec<String> = known.map(|it| format!("{API}/{it}")).collect();
        return Err(Refusal::new(Kind::NotFound, "there is nothing at this path")
            .hint(format!("here are {}", known.join(", "))));
    };
    let found = methods.iter().find(|it| it.0 == method.as_str());
    found.map(|it| it.1.clone()).ok_or_else(|| {
        let allowed: Vec<&str> = methods.iter().map(|it| it.0).collect();
        Refusal::new(Kind::Method, "this path does not take this method").hint(allowed.join(", "))
    })
}

async fn body(body: &mut Incoming) -> Result<Bytes, Refusal> {
    match timeout(BODY, Limited::new(body, BODY_SIZE).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(why)) if why.is::<http_body_util::LengthLimitError>() => {
            let error = format!("the body is larger than {BODY_SIZE} bytes");
            Err(Refusal::new(Kind::TooLarge, error))
        }
        Ok(Err(_)) => Err(Refusal::new(Kind::BadRequest, "the body is not whole")),
        Err(_) => Err(Refusal::new(Kind::TooSlow, "the body did not come in time")),
    }
}

/// The body of `stop`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wish {
    /// Do not let clients have their answers first.
    now: bool,
}

fn wish(body: &[u8]) -> Result<Wish, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Wish::default());
    }
    serde_json::from_slice(body).map_err(|why| {
        Refusal::new(Kind::BadRequest, format!("the body is not understood: {why}"))
            .hint("write {\"now\": true}, or nothing")
    })
}

/// Leaves HTTP, and gives another process what it needs to serve instead of us.
async fn take_over(mut request: Request<Incoming>, shared: &Shared) -> Result<Answer, Refusal> {
    let asked = request.headers().get(UPGRADE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if asked != PROTOCOL {
        let error = match asked {
            "" => "a takeover is asked for by an upgrade".to_owned(),
            other => format!("`{other}` is not spoken by this version of Goodgate"),
        };
        let hint = format!("it speaks `Upgrade: {PROTOCOL}`; `goodgate run --takeover` asks so");
        return Err(Refusal::new(Kind::Upgrade, error).hint(hint));
    }
    let Ok(only) = shared.takeover.clone().try_acquire_owned() else {
        return Err(Refusal::new(Kind::State, "another process is taking over already"));
    };
    let Reply::Bequeathed(inheritance) = shared.desk.ask(Order::Bequeath).await? else {
        return Err(Refusal::new(Kind::Failed, "the gateway misunderstood"));
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let shared = shared.clone();
    tokio::spawn(async move {
        let _only = only;
        let handed = async {
            let parts = upgraded.await.map_err(io::Error::other)?;
            let parts = parts.downcast::<TokioIo<UnixStream>>();
            let parts = parts.map_err(|_| io::Error::other("the connection is no socket"))?;
            let mut stream = parts.io.into_inner();
            let heir = takeover::bequeath(&mut stream, &inheritance).await?;
            Ok::<_, io::Error>((stream, heir))
        };
        match handed.await {
            Ok((_stream, to)) => {
                // Nobody waits for what is said to that.
                let _ = shared.desk.ask(Order::HandedOver { to }).await;
            }
            Err(why) => shared.output.message(&format!(
                "the process that was to take over did not: {}; this one goes on\n",
                crate::why::reason(&why)
            )),
        }
    });
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    answer.headers_mut().insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    Ok(answer)
}

fn refused(refusal: &Refusal) -> Answer {
    let mut answer = json(refusal.kind.status(), refusal);
    let protocol = HeaderValue::from_static(PROTOCOL);
    let allowed = refusal.hint.as_deref().and_then(|it| HeaderValue::from_str(it).ok());
    match (refusal.kind, allowed) {
        (Kind::Method, Some(allowed)) => drop(answer.headers_mut().insert(ALLOW, allowed)),
        (Kind::Upgrade, _) => drop(answer.headers_mut().insert(UPGRADE, protocol)),
        _ => {}
    }
    answer
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Answer {
    // What is said here has no keys that are not text, which is all that could fail.
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, path: &str, expected: Result<Order, Kind>) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let found = wanted(&method, path).map_err(|it| it.kind);
        assert_eq!(found, expected.map(Wanted::Order), "{method} {path}");
    }

    #[test]
    fn each_request_is_one_order_or_none() {
        check("GET", "/api/v1/status", Ok(Order::Status));
        check("POST", "/api/v1/reload", Ok(Order::Reload));
        check("POST", "/api/v1/drain", Ok(Order::Drain(true)));
        check("DELETE", "/api/v1/drain", Ok(Order::Drain(false)));
        check("GET", "/api/v1/reload", Err(Kind::Method));
        check("get", "/api/v1/status", Err(Kind::Method));
        for path in ["/", "/api/v1", "/api/v1/", "/api/v1/status/", "/api/v2/status", "*"] {
            check("GET", path, Err(Kind::NotFound));
        }
    }

    #[test]
    fn upstreams_are_read_and_their_targets_are_given_orders() {
        check("GET", "/api/v1/upstreams", Ok(Order::Upstreams(None)));
        check("GET", "/api/v1/upstreams/a%2Fb", Ok(Order::Upstreams(Some("a/b".to_owned()))));
        check("POST", "/api/v1/upstreams", Err(Kind::Method));
        check("GET", "/api/v1/upstreams/app/drain", Err(Kind::Method));
        for path in ["/", "/%zz", "/app/", "/app/explode", "/app/drain/now", "x"] {
            let path = format!("/api/v1/upstreams{path}");
            check("POST", &path, Err(Kind::NotFound));
        }
        let asked = |path: &str, body: &str| {
            let wanted = wanted(&Method::POST, &format!("/api/v1/upstreams/{path}"));
            let Ok(Wanted::Treatment { upstream, verb }) = wanted else {
                panic!("{path}: {wanted:?}");
            };
            treatment(upstream, verb, body.as_bytes()).map_err(|it| it.kind)
        };
        let order = |upstream: Option<&str>, treatment| {
            let upstream = upstream.map(str::to_owned);
            Ok(exchange::Order { upstream, target: "t".to_owned(), treatment })
        };
        let target = "{\"target\": \"t\"}";
        assert_eq!(asked("app/drain", target), order(Some("app"), Treatment::Drain(true)));
        assert_eq!(asked("*/undrain", target), order(None, Treatment::Drain(false)));
        assert_eq!(asked("%2A/reset", target), order(None, Treatment::Reset));
        assert_eq!(asked("app/trial", target), order(Some("app"), Treatment::Trial));
        let length = "{\"target\": \"t\", \"for\": \"1.5m\"}";
        let eject = Treatment::Eject(Duration::from_secs(90));
        assert_eq!(asked("app/eject", length), order(Some("app"), eject));
        for (path, body) in [
            ("app/eject", target),
            ("app/drain", length),
            ("app/drain", ""),
            ("app/drain", "{}"),
            ("app/drain", "{\"target\": 1}"),
            ("app/drain", "{\"target\": \"t\", \"now\": true}"),
            ("app/eject", "{\"target\": \"t\", \"for\": \"0s\"}"),
            ("app/eject", "{\"target\": \"t\", \"for\": \"31d\"}"),
        ] {
            assert_eq!(asked(path, body), Err(Kind::BadRequest), "{path} {body}");
        }
    }

    #[test]
    fn a_wish_is_understood_whole_or_not_at_all() {
        assert!(!wish(b" \n").unwrap().now);
        assert!(!wish(b"{}").unwrap().now);
        assert!(wish(b"{\"now\": true}").unwrap().now);
        for wrong in ["now", "{\"now\": 1}", "{\"nwo\": true}", "[true, 1]", "{\"now\": true"] {
            assert_eq!(wish(wrong.as_bytes()).unwrap_err().kind, Kind::BadRequest, "{wrong}");
        }
    }

    #[test]
    fn only_the_same_user_and_root_may_speak() {
        assert!(may_speak(1_000, 1_000) && may_speak(0, 1_000));
        assert!(!may_speak(1_001, 1_000) && !may_speak(1_000, 0));
    }
}
