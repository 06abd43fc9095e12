//! What requests have in common that come as streams of one connection, by HTTP/2 or HTTP/3.

use crate::framing::{is_host, is_token};
use crate::listen::connect;
use config::Limits;
use exchange::{Malformed, Refusal};
use h2::ext::Protocol;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

/// What the streams of a connection tell the task that drives it.
pub(crate) struct Streams {
    pub(crate) open: Cell<usize>,
    /// When the last of them ended.
    pub(super) idle_since: Cell<Instant>,
    pub(super) waker: Cell<Option<Waker>>,
    /// How often all that was queued has gone to the client's socket, but for what waits for room in
    /// a window.
    pub(super) passes: Cell<u64>,
    /// Who waits for the next time.
    waiting: RefCell<Vec<Waker>>,
}

impl Streams {
    pub(super) fn new() -> Rc<Streams> {
        Rc::new(Streams {
            open: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            waker: Cell::new(None),
            passes: Cell::new(0),
            waiting: RefCell::default(),
        })
    }

    /// The task that drives the connection has something to do.
    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Wakes this one with the next pass, until it is [forgotten](Streams::forget).
    pub(super) fn wait(&self, waker: &Waker) {
        self.forget(waker);
        self.waiting.borrow_mut().push(waker.clone());
    }

    /// A waker that is kept keeps the memory of its task.
    pub(super) fn forget(&self, waker: &Waker) {
        self.waiting.borrow_mut().retain(|it| !it.will_wake(waker));
    }

    pub(super) fn passed(&self) {
        self.passes.set(self.passes.get() + 1);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }
}

/// Counts one stream.
pub(super) struct Counted(Rc<Streams>);

impl Counted {
    pub(super) fn new(streams: &Rc<Streams>) -> Counted {
        streams.open.set(streams.open.get() + 1);
        Counted(streams.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.idle_since.set(Instant::now());
        self.0.wake();
    }
}

/// What HTTP/1 has the front for: a head that two readers could read in two ways. The rest of
/// RFC 9113 8.2 and 8.3 is h2's, which resets such streams; that of RFC 9114 4.2 and 4.3 is seen
/// where the section is read.
pub(super) fn refusal(parts: &Parts, limits: &Limits) -> Option<Refusal> {
    let headers = &parts.headers;
    if limits.request_fields < headers.len() {
        return Some(Refusal::HeadTooLarge);
    }
    let target = parts.uri.path_and_query().map_or("", |it| it.as_str());
    if limits.uri < target.len() {
        return Some(Refusal::UriTooLong);
    }
    let scheme = parts.uri.scheme_str();
    if target.contains('#') || !matches!(scheme, None | Some("http" | "https")) {
        return Some(Refusal::Malformed(Malformed::Target));
    }
    if parts.method == http::Method::CONNECT {
        let protocol = parts.extensions.get::<Protocol>().map(AsRef::as_ref);
        if let Some(refusal) = connect::refusal(parts, protocol) {
            return Some(refusal);
        }
    }
    let malformed = |what| Some(Refusal::Malformed(what));
    let mut hosts = headers.get_all(header::HOST).iter();
    let authority = parts.uri.authority().map(|it| it.as_str().as_bytes());
    let host = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return malformed(Malformed::HostRepeated);
    }
    match (authority, host) {
        (None, None) => return malformed(Malformed::HostMissing),
        (Some(one), Some(other)) if !one.eq_ignore_ascii_case(other) => {
            return malformed(Malformed::HostMismatch);
        }
        // A user name before the host is none of HTTP's (RFC 9113 8.3.1), however often it is said.
        (Some(it), _) | (None, Some(it)) if !is_host(it) => {
            return malformed(Malformed::HostInvalid);
        }
        _ => {}
    }
    // The type of names takes a quotation mark, which is of no token (RFC 9110 5.6.2).
    if !headers.keys().all(|it| it.as_str().bytes().all(is_token)) {
        return malformed(Malformed::FieldLine);
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return malformed(Malformed::CodingUnknown);
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (_, Some(_)) => malformed(Malformed::LengthRepeated),
        (Some(it), None) if !is_length(it.as_bytes()) => malformed(Malformed::LengthInvalid),
        _ => None,
    }
}

/// As strictly as over HTTP/1. h2 takes nothing at all for a zero.
fn is_length(value: &[u8]) -> bool {
    (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit)
}

/// Clients may send each cookie as a field of its own; HTTP/1 has one (RFC 9113 8.2.3, RFC 9114
/// 4.2.1).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let all: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(|it| it.as_bytes()).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

/// Fields that belong to a connection of HTTP/1 (RFC 9113 8.2.2, RFC 9114 4.2).
pub(super) const OF_A_CONNECTION: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

pub(super) fn remove_connection_fields(headers: &mut HeaderMap) {
    for name in OF_A_CONNECTION {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Task>) {}
    }

    #[test]
    fn who_waits_is_kept_once_and_not_after_it() {
        let streams = Streams::new();
        let tasks = [(); 2].map(|()| Arc::new(Task));
        let wakers = tasks.clone().map(Waker::from);
        for _ in 0..10 {
            wakers.iter().for_each(|it| streams.wait(it));
        }
        assert_eq!(streams.waiting.borrow().len(), 2);
        streams.forget(&wakers[0]);
        drop(wakers);
        assert_eq!(tasks.each_ref().map(Arc::strong_count), [1, 2]);
        streams.passed();
        assert_eq!(tasks.each_ref().map(Arc::strong_count), [1, 1]);
    }
}
