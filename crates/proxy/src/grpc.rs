//! gRPC calls as a gateway must speak them: PROTOCOL-HTTP2.md and PROTOCOL-WEB.md of gRPC.
//!
//! A call is an HTTP request whose outcome stands not in its HTTP status but in `grpc-status`, mostly
//! after the body. So what we say of ourselves is said there too, and the caller's own deadline takes
//! the place of our time limits.

mod base64;
pub(crate) mod body;
pub(crate) mod status;
mod timeout;
mod web;

pub(crate) use base64::Decoder as Base64;

use crate::deadline::Deadline;
use crate::head::Head;
use crate::inbound::Inbound;
use crate::seat::Seat;
use bytes::Bytes;
use exchange::{HeadFault, Limit, Malformed, Refusal};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Version};
use std::time::Instant;

/// `grpc-timeout` as a limit that fires.
const DEADLINE: &str = "grpc-timeout";

/// One gRPC call of a client.
pub(crate) struct Call {
    spoken: Spoken,
    /// In which form the answer is wanted.
    wanted: Spoken,
    /// What follows the kind in the content type, such as `+proto`.
    suffix: String,
    /// When the caller no longer waits; an error where that cannot be read.
    deadline: Result<Option<Deadline>, Malformed>,
    /// Trailers can be told apart from the body.
    has_trailers: bool,
}

/// How a call is put into HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Grpc,
    /// gRPC-Web: trailers are the last frame of the body.
    Web,
    /// The same in base64.
    WebText,
}

impl Call {
    /// The call that a request is, if it is one.
    pub(crate) fn of(method: &Method, version: Version, headers: &HeaderMap) -> Option<Call> {
        let (spoken, suffix) = kind(headers.get(header::CONTENT_TYPE)?)?;
        if method != Method::POST {
            return None;
        }
        let wanted = headers.get(header::ACCEPT).and_then(kind).map(|(kind, _)| kind);
        let deadline = match headers.get(DEADLINE) {
            None => Ok(None),
            Some(value) => deadline(value).ok_or(Malformed::GrpcTimeout),
        };
        Some(Call {
            spoken,
            // Browsers ask for text where they could not read bytes as they come.
            wanted: wanted.filter(|it| spoken.is_web() && it.is_web()).unwrap_or(spoken),
            suffix,
            deadline,
            has_trailers: Version::HTTP_2 <= version,
        })
    }

    /// What the upstream sees of it is gRPC.
    pub(crate) fn is_sent_as_grpc(&self, translates: bool) -> bool {
        translates || !self.spoken.is_web()
    }

    pub(crate) fn is_web(&self) -> bool {
        self.spoken.is_web()
    }

    /// When the caller gives it up, where it says so.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        self.deadline.ok().flatten()
    }

    /// Makes the request what the upstream is to see.
    pub(crate) fn request(
        &self,
        headers: &mut HeaderMap,
        mut body: Inbound,
        seat: &Seat,
    ) -> Result<Inbound, Refusal> {
        self.deadline.map_err(Refusal::Malformed)?;
        // Who streams may rest; the limits of the call hold.
        body.may_rest();
        if !self.spoken.is_web() {
            return Ok(body);
        }
        headers.insert(header::CONTENT_TYPE, self.content_type(Spoken::Grpc));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.remove(header::ACCEPT);
        if self.spoken == Spoken::WebText {
            headers.remove(header::CONTENT_LENGTH);
            return Ok(Inbound::text(body, seat.link()));
        }
        Ok(body)
    }

    /// Tells the upstream how much time is left.
    pub(crate) fn put_time_left(&self, headers: &mut HeaderMap) {
        if let Some(deadline) = self.deadline() {
            let left = deadline.at.saturating_duration_since(Instant::now());
            headers.insert(DEADLINE, timeout::written(left));
        }
    }

    /// The answer to it is no gRPC.
    pub(crate) fn mismatch(head: &Head) -> Option<HeadFault> {
        let content_type = head.fields.get(header::CONTENT_TYPE);
        let is_grpc = content_type.and_then(kind).is_some_and(|(it, _)| it == Spoken::Grpc);
        // Some servers leave the content type out where there is no content.
        let status_alone = content_type.is_none() && head.fields.contains_key(status::STATUS);
        (!is_grpc && !status_alone).then(|| HeadFault::NotGrpc {
            status: head.status,
            content_type: content_type
                .map(|it| String::from_utf8_lossy(it.as_bytes()).chars().take(120).collect()),
        })
    }

    /// The content type of an answer to it.
    pub(crate) fn answer_type(&self) -> HeaderValue {
        self.content_type(self.wanted)
    }

    /// An answer of our own: the status among the head's fields, or as the body.
    pub(crate) fn own_answer(&self, status: HeaderMap, headers: &mut HeaderMap) -> Bytes {
        if self.wanted.is_web() {
            return web::trailers(&status, self.wanted);
        }
        headers.extend(status);
        Bytes::new()
    }

    fn content_type(&self, kind: Spoken) -> HeaderValue {
        let name = match kind {
            Spoken::Grpc => GRPC,
            Spoken::Web => "application/grpc-web",
            Spoken::WebText => "application/grpc-web-text",
        };
        // The suffix was part of a field's value, so it fits into one.
        HeaderValue::from_str(&format!("{name}{}", self.suffix))
            .unwrap_or_else(|_| HeaderValue::from_static(GRPC))
    }
}

impl Spoken {
    fn is_web(self) -> bool {
        self != Spoken::Grpc
    }
}

const GRPC: &str = "application/grpc";

/// The kind of call that a content type names, and what follows it.
fn kind(value: &HeaderValue) -> Option<(Spoken, String)> {
    // Nearly all requests are something else, and end here.
    let (name, rest) = value.as_bytes().split_at_checked(GRPC.len())?;
    if !name.eq_ignore_ascii_case(GRPC.as_bytes()) {
        return None;
    }
    let rest = str::from_utf8(rest).ok()?;
    let rest = rest.split([';', ',']).next()?.trim().to_ascii_lowercase();
    let kinds = [("-web-text", Spoken::WebText), ("-web", Spoken::Web), ("", Spoken::Grpc)];
    kinds.into_iter().find_map(|(name, kind)| {
        let suffix = rest.strip_prefix(name)?;
        let known = suffix.is_empty() || (suffix.starts_with('+') && suffix.len() <= 32);
        known.then(|| (kind, suffix.to_owned()))
    })
}

/// A deadline that lies too far ahead to be told is none.
fn deadline(value: &HeaderValue) -> Option<Option<Deadline>> {
    let left = timeout::read(value.as_bytes())?;
    let micros = u64::try_from(left.as_micros()).unwrap_or(u64::MAX);
    let limit = Limit { name: DEADLINE, value: micros };
    Some(Instant::now().checked_add(left).map(|at| Deadline { at, limit }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: &str, expected: Option<(Spoken, &str)>) {
        let value = HeaderValue::from_str(content_type).expect("a field's value");
        let found = kind(&value);
        assert_eq!(found.as_ref().map(|(kind, it)| (*kind, it.as_str())), expected);
    }

    #[test]
    fn calls_are_known_by_their_content_type() {
        check("application/grpc", Some((Spoken::Grpc, "")));
        check("Application/gRPC+proto; charset=utf-8", Some((Spoken::Grpc, "+proto")));
        check("application/grpc;x=y", Some((Spoken::Grpc, "")));
        check("application/grpc-web", Some((Spoken::Web, "")));
        check("application/grpc-web+json", Some((Spoken::Web, "+json")));
        check("application/grpc-web-text", Some((Spoken::WebText, "")));
        check("application/grpc-web-text+proto", Some((Spoken::WebText, "+proto")));
        check("application/grpcx", None);
        check("application/grpc-webby", None);
        check("application/json", None);
        check("text/html; q=application/grpc", None);
    }

    #[test]
    fn only_post_is_a_call() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        assert!(Call::of(&Method::POST, Version::HTTP_2, &headers).is_some());
        assert!(Call::of(&Method::GET, Version::HTTP_2, &headers).is_none());
    }

    #[test]
    fn text_is_answered_where_it_is_asked_for() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/grpc-web+proto"));
        let wanted = |headers: &HeaderMap| {
            let call = Call::of(&Method::POST, Version::HTTP_11, headers).expect("a call");
            call.answer_type().to_str().expect("text").to_owned()
        };
        assert_eq!(wanted(&headers), "application/grpc-web+proto");
        headers.insert("accept", HeaderValue::from_static("application/grpc-web-text"));
        assert_eq!(wanted(&headers), "application/grpc-web-text+proto");
        headers.insert("accept", HeaderValue::from_static("application/grpc"));
        assert_eq!(wanted(&headers), "application/grpc-web+proto");
    }
}
