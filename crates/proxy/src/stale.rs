//! Answers that are kept for when the upstream fails (`stale`): RFC 5861 4. While it answers, nothing
//! is answered from here.

mod allowed;
pub(crate) mod body;
pub(crate) mod shelf;

use crate::head::AnswerFraming;
use crate::outbound::Outbound;
use crate::recorder::Recorder;
use crate::reply::{Reply, fixed};
use crate::upstream::{Answered, From, Halt, Turn};
use allowed::{Verdict, Wish};
use body::Keeping;
use config::Stale;
use exchange::{Fault, Maker, Refusal, Stop};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Uri};
use shelf::{Kept, Shelf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// RFC 9211.
const CACHE_STATUS: &str = "cache-status";

/// A request on a route that keeps answers.
pub(crate) struct Asking {
    shelf: Arc<Shelf>,
    settings: Stale,
    /// Its URL.
    key: Arc<str>,
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Get,
    /// Answered by what was kept of a GET.
    Head,
    /// What it changes is not as it was kept.
    Unsafe,
}

/// The URL that was asked for.
pub(crate) struct Place<'a> {
    pub(crate) secure: bool,
    /// As the client wrote it.
    pub(crate) authority: &'a str,
    pub(crate) uri: &'a Uri,
}

/// What was kept, to be given again.
pub(crate) struct Given {
    kept: Arc<Kept>,
    age: Duration,
}

impl Asking {
    /// `None` for a request that has nothing to do with what is kept.
    pub(crate) fn of(
        shelf: Option<&Arc<Shelf>>,
        settings: Option<Stale>,
        method: &Method,
        place: &Place<'_>,
        request: &HeaderMap,
    ) -> Option<Asking> {
        let (shelf, settings) = shelf.zip(settings)?;
        let how = match *method {
            Method::GET => How::Get,
            Method::HEAD => How::Head,
            Method::OPTIONS | Method::TRACE | Method::CONNECT => return None,
            _ => How::Unsafe,
        };
        if how != How::Unsafe && allowed::is_special(request) {
            return None;
        }
        let scheme = if place.secure { "https" } else { "http" };
        let path = place.uri.path_and_query().map_or("/", |it| it.as_str());
        let mut key = format!("{scheme}://{}{path}", place.authority.to_ascii_lowercase());
        for name in allowed::PLACE {
            // A proxy before us may ask for one of many hosts by these.
            for value in request.get_all(name) {
                key += &format!("\n{name}: {}", value.as_bytes().escape_ascii());
            }
        }
        Some(Asking { shelf: shelf.clone(), settings, key: key.into(), how })
    }

    /// What was kept, where the request would fail otherwise: by a fault, for want of a place at a
    /// target, or by one of the statuses that are errors to RFC 5861.
    pub(crate) fn instead(
        &self,
        came: &Result<(Turn<'_>, Answered), Halt>,
        outbound: &Outbound,
    ) -> Option<Given> {
        let request = &outbound.headers;
        let fails = match came {
            Ok((_, answered)) => matches!(answered.head.status, 500 | 502 | 503 | 504),
            // That it did not wait says nothing of the upstream.
            Err(Halt::Stop(Stop::Failed(Fault::Deadline(it)))) if it.is_callers() => false,
            Err(Halt::Stop(Stop::Failed(_))) => true,
            Err(Halt::Stop(Stop::Refused(it))) => {
                matches!(it, Refusal::Overloaded | Refusal::ConnectionLimit)
            }
            Err(Halt::ClientGone) => false,
        };
        let wish = allowed::wish(request);
        let safe = self.how != How::Unsafe && outbound.pump.taken == 0;
        if !fails || !safe || wish == Wish::Never {
            return None;
        }
        let kept = self.shelf.find(&self.key, request)?;
        let now = Instant::now();
        let age = kept.age(now);
        let too_old = matches!(wish, Wish::Within(it) if kept.fresh.saturating_add(it) < age);
        let foreign = !kept.public && allowed::has_credentials(request, &self.shelf.route);
        let over = too_old || kept.is_over(self.settings.keep, now);
        (!over && !foreign).then_some(Given { kept, age })
    }

    /// Begins to keep an answer, where it may be.
    pub(crate) fn keep(&self, answered: &Answered, outbound: &Outbound) -> Option<Keeping> {
        let request = &outbound.headers;
        let head = &answered.head;
        if self.how == How::Unsafe && head.status < 400 {
            // As caches must (RFC 9111 4.4).
            self.shelf.forget(&self.key);
        }
        // A body that ends with its connection may have been cut.
        let open_ended =
            matches!(&answered.from, From::Wire(_)) && head.body == AnswerFraming::Close;
        if self.how != How::Get || open_ended || 0 < outbound.pump.taken {
            return None;
        }
        let has_credentials = allowed::has_credentials(request, &self.shelf.route);
        let terms = match allowed::verdict(head.status, &head.fields, has_credentials) {
            Verdict::Keep(terms) => terms,
            Verdict::Pass => return None,
            Verdict::Forget => {
                self.shelf.forget(&self.key);
                return None;
            }
        };
        let length = match head.body {
            AnswerFraming::Length(length) => length,
            _ => 0,
        };
        let now = Instant::now();
        let Stale { keep, answer: most, .. } = self.settings;
        if usize::try_from(length).map_or(true, |it| most < it)
            || allowed::forbids_keeping(request)
            || self.shelf.has_recent(&self.key, request, now)
        {
            return None;
        }
        let kept = Kept::new(head.status, head.fields.clone(), terms, request, keep, now);
        let (shelf, key) = (self.shelf.clone(), self.key.clone());
        Some(Keeping { shelf, key, kept: Some(kept), most, body: Vec::new() })
    }
}

/// Answers with what was kept, and says so (RFC 9211 2).
pub(crate) fn answer(given: Given, mut record: Recorder) -> Reply {
    let Given { kept, age } = given;
    let plane = &record.worker().plane;
    let mut headers = kept.fields.clone();
    headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
    let left = kept.fresh.as_secs() as i64 - age.as_secs() as i64;
    let said = format!("{}; hit; ttl={left}; detail=stale-if-error", plane.name);
    if let Ok(said) = HeaderValue::try_from(said) {
        // Ours is the last: the nearest to the caller.
        headers.append(CACHE_STATUS, said);
    }
    headers.append(header::VIA, plane.via_field.clone());
    record.answered(kept.status, Maker::Kept);
    fixed(kept.status, headers, kept.body.clone(), record)
}
