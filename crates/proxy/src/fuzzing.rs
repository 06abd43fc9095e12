//! Entry points for fuzz targets: what must hold for any bytes at all.

#[cfg(test)]
#[expect(dead_code, reason = "only the bytes of a case are read, not what is to become of it")]
#[path = "../../../lab/tests/it/smuggling/corpus.rs"]
mod corpus;

use crate::bounds::Bounds;
use crate::chunked::{Chunked, Piece};
use crate::framing::{BodyFraming, Progress, request_head};
use crate::front::{Front, Link, Transport};
use crate::head::answer_head;
use crate::listen::http3::fuzzing::{frames_of, head_of};
use crate::timer::Timer;
use bytes::Bytes;
use config::Limits;
use exchange::Refusal;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

const LIMITS: Limits = Limits {
    connections: None,
    connections_per_address: None,
    client_rate: 1,
    memory: 100,
    request_head: 4096,
    request_fields: 40,
    uri: 1024,
    response_head: 4096,
    response_fields: 40,
    interim_responses: 4,
    http2: config::Http2Limits { streams: 4, resets: 4, controls: 10 },
    http3: config::Http3Limits { connections: 4, streams: 4, resets: 4, controls: 10 },
};

/// The front and hyper agree on every message: what the front lets through as so many requests
/// with such bodies is what hyper calls its service with.
pub fn front(bytes: &[u8]) {
    let expected = messages(bytes);
    let served = served(bytes);
    for (at, message) in expected.iter().enumerate() {
        let Some(got) = served.get(at) else {
            panic!("hyper did not serve message {at}: {message:?} of {expected:?}");
        };
        assert_eq!(message, got, "message {at}");
    }
    assert!(served.len() <= expected.len() + 1, "hyper found more: {served:?}");
}

/// A request as both sides see it: method, target, and how long the body was.
type Message = (String, String, usize);

/// The whole messages that the front finds, one after another.
fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut found = Vec::new();
    let mut rest = bytes;
    loop {
        while let Some(after) = rest.strip_prefix(b"\r\n") {
            rest = after;
        }
        let Ok(Progress::Head { len, body, last }) = request_head(rest, &LIMITS) else {
            return found;
        };
        let line = rest.split(|it| *it == b'\r').next().unwrap_or_default();
        let mut words = line.split(|it| *it == b' ').map(|it| String::from_utf8_lossy(it));
        let mut word = || words.next().unwrap_or_default().into_owned();
        let (method, target) = (word(), word());
        // `http://a` and `http://a/` are one target.
        let target = target.parse::<Uri>().map_or(target, |it| it.to_string());
        rest = &rest[len..];
        let length = match body {
            BodyFraming::None | BodyFraming::Upgrade => 0,
            BodyFraming::Length(length) => {
                let Some(length) = usize::try_from(length).ok().filter(|it| *it <= rest.len())
                else {
                    return found;
                };
                rest = &rest[length..];
                length
            }
            BodyFraming::Chunked => {
                let Some((length, after)) = chunks(rest) else {
                    return found;
                };
                rest = after;
                length
            }
        };
        found.push((method, target, length));
        // A client that says so sends nothing more that counts.
        if last {
            return found;
        }
    }
}

fn chunks(mut rest: &[u8]) -> Option<(usize, &[u8])> {
    let mut chunked = Chunked::new(LIMITS.request_head);
    let mut length = 0;
    loop {
        match chunked.next(rest) {
            Ok(Piece::Framing(n)) => rest = &rest[n..],
            Ok(Piece::Data(n)) => {
                rest = &rest[n..];
                length += n;
            }
            Ok(Piece::End(n)) => return Some((length, &rest[n..])),
            Ok(Piece::Need) | Err(_) => return None,
        }
    }
}

impl Transport for DuplexStream {
    fn reset_on_drop(&self) {}
}

/// What hyper calls its service with, behind the front. The stand-in for a refused head is not
/// counted.
fn served(bytes: &[u8]) -> Vec<Message> {
    let (mut client, server) = tokio::io::duplex(bytes.len() + 1024 * 1024);
    let timer = Timer::new();
    let link = Link::new();
    let bounds = Rc::new(Bounds::of(LIMITS, Duration::from_secs(3600)));
    let front = Front::new(server, link.clone(), bounds, &timer, false);
    let calls: Rc<RefCell<Vec<Message>>> = Rc::default();
    let service = {
        let (calls, link) = (calls.clone(), link.clone());
        service_fn(move |request: Request<Incoming>| {
            let (calls, link) = (calls.clone(), link.clone());
            async move {
                let refused = link.next_head().is_none_or(|it| it.refused.is_some());
                let method = request.method().to_string();
                let target = request.uri().to_string();
                let body = request.into_body().collect().await;
                if let (Ok(body), false) = (body, refused) {
                    calls.borrow_mut().push((method, target, body.to_bytes().len()));
                }
                link.answer_ended(Instant::now());
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
            }
        })
    };
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(front), service));
    let mut cx = Context::from_waker(Waker::noop());
    let written = Pin::new(&mut client).poll_write(&mut cx, bytes);
    assert!(written.is_ready(), "the pipe holds all of it");
    // Everything is in memory: a few rounds without progress are the end.
    let mut still = 0;
    let mut before = 0;
    while still < 4 {
        if connection.as_mut().poll(&mut cx).is_ready() {
            break;
        }
        let mut sink = [0; 4096];
        let mut answer = ReadBuf::new(&mut sink);
        let _ = Pin::new(&mut client).poll_read(&mut cx, &mut answer);
        let moved = !answer.filled().is_empty() || before < calls.borrow().len();
        still = if moved { 0 } else { still + 1 };
        before = calls.borrow().len();
    }
    calls.take()
}

/// Reading an upstream's answer: never a panic, the same head however the bytes are cut, and a
/// chunked body that gives no more than it was given.
pub fn tap(bytes: &[u8]) {
    let whole = answer_head(bytes, &LIMITS, false);
    if let Ok(Some(head)) = &whole {
        assert!(head.len <= bytes.len());
        for cut in [head.len / 2, head.len.saturating_sub(1)] {
            let part = answer_head(&bytes[..cut], &LIMITS, false);
            assert!(matches!(part, Ok(None)), "a part of a head is no head: {part:?}");
        }
    }
    for step in [1, 7, bytes.len().max(1)] {
        let mut chunked = Chunked::new(1024);
        let (mut at, mut seen, mut data) = (0, step.min(bytes.len()), 0);
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds <= 4 * bytes.len() + 8, "it does not end");
            match chunked.next(&bytes[at..seen]) {
                Ok(Piece::Need) if seen == bytes.len() => break,
                Ok(Piece::Need) => seen = (seen + step).min(bytes.len()),
                Ok(Piece::Framing(n)) => at += n,
                Ok(Piece::Data(n)) => {
                    at += n;
                    data += n;
                }
                Ok(Piece::End(_)) => {
                    let _ = chunked.trailers();
                    break;
                }
                Err(_) => break,
            }
            assert!(at <= seen && data <= at);
        }
    }
}

/// A request stream of HTTP/3 is read the same in pieces of any size, and a head that is let
/// through is one that HTTP/1 can say.
pub fn http3(bytes: &[u8]) {
    let whole = frames_of(bytes, bytes.len().max(1));
    for size in [1, 3, 1000] {
        assert_eq!(frames_of(bytes, size), whole, "pieces of {size}");
    }
    for section in [bytes].into_iter().chain(whole.iter().map(|it| &it.1[..])) {
        let Some(parts) = head_of(section, &LIMITS) else {
            continue;
        };
        assert!(parts.headers.len() <= LIMITS.request_fields);
        let target = parts.uri.path_and_query().map_or("", |it| it.as_str());
        let host = parts.headers.get("host").map(http::HeaderValue::as_bytes);
        let authority = parts.uri.authority().map(|it| it.as_str().as_bytes());
        let mut head = format!("{} {target} HTTP/1.1\r\nhost: ", parts.method).into_bytes();
        head.extend_from_slice(authority.or(host).unwrap_or_default());
        head.extend_from_slice(b"\r\n");
        for (name, value) in parts.headers.iter().filter(|it| it.0 != "host") {
            let line = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"];
            head.extend(line.concat());
        }
        head.extend_from_slice(b"\r\n");
        // Written as one of HTTP/1 it may be too large, but never a head of another kind.
        match request_head(&head, &LIMITS) {
            Ok(Progress::Head { len, .. }) => assert_eq!(len, head.len()),
            Err(Refusal::UriTooLong | Refusal::HeadTooLarge) => {}
            other => panic!("{other:?}: {}", String::from_utf8_lossy(&head)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_and_hyper_agree_on_what_clients_send() {
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &[b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), &[b'x'; 2000]].concat(),
            b"GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01",
            b"",
        ] {
            front(bytes);
        }
    }

    #[test]
    fn any_bytes_may_come_on_a_stream() {
        let head = b"\0\0\xd1\xd7\xc1\x50\x01a\x23abc\x01d";
        let stream = [&[0x21, 1, 0, 1, head.len() as u8][..], head, &[0, 2, b'x', b'y']].concat();
        http3(head);
        for end in 0..=stream.len() {
            http3(&stream[..end]);
        }
        // Each byte changed in each way.
        for at in 0..stream.len() {
            for byte in 0..=255 {
                let mut changed = stream.clone();
                changed[at] = byte;
                http3(&changed);
                http3(&changed[5..]);
            }
        }
    }

    #[test]
    fn front_and_hyper_agree_on_what_servers_read_differently() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let cases = corpus::read(&folder.join("../../lab/tests/it/smuggling/corpus"));
        assert!(cases.iter().any(|it| it.bytes.ends_with(corpus::HIDDEN.as_bytes())));
        for case in cases {
            front(&case.bytes);
        }
    }

    #[test]
    fn any_bytes_may_come_from_an_upstream() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..],
            b"5\r\nhello\r\n0\r\n\r\n",
            b"SSH-2.0-x",
            b"",
        ] {
            tap(bytes);
        }
    }
}
