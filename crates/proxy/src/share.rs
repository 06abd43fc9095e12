//! Which of a route's upstreams gets a request, where the route divides them, and which target its caller
//! is kept with.

use crate::recorder::Recorder;
use crate::snapshot::Ready;
use aws_lc_rs::digest::{SHA256, digest};
use config::{Balance, Forward, Route, Sticky, cookies};
use data_encoding::HEXLOWER;
use http::header::{HeaderMap, HeaderValue};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The share, and the cookie that keeps the caller with it.
pub(crate) struct Divided {
    pub(crate) share: usize,
    pub(crate) cookie: Option<HeaderValue>,
}

pub(crate) fn divide(
    route: &Route,
    forward: &Forward,
    headers: &HeaderMap,
    secure: bool,
    record: &mut Recorder,
) -> Divided {
    let only = |share| Divided { share, cookie: None };
    if forward.shares.len() < 2 {
        return only(0);
    }
    let random = |record: &Recorder| forward.share_at(record.worker().random() as u64);
    match &forward.sticky {
        None => only(random(record)),
        Some(Sticky::Address) => only(forward.share_at(point(&record.exchange().client.ip))),
        Some(Sticky::Header(name)) => match headers.get(&**name) {
            Some(value) => only(forward.share_at(point(value.as_bytes()))),
            None => only(random(record)),
        },
        Some(Sticky::Cookie(name)) => match cookies(headers).find(|it| *it.0 == **name) {
            Some((_, value)) => only(forward.share_at(point(value.as_bytes()))),
            None => only(random(record)),
        },
        Some(Sticky::OwnCookie) => {
            let name = format!("goodgate-{}", route.name);
            let known = cookies(headers).find(|it| it.0 == name).and_then(|(_, value)| {
                forward.shares.iter().position(|it| *it.upstream.name == *value)
            });
            match known {
                Some(share) => only(share),
                None => {
                    let share = random(record);
                    let upstream = &forward.shares[share].upstream.name;
                    Divided { share, cookie: set_cookie(&name, upstream, secure) }
                }
            }
        }
    }
}

/// What a request has in common with those that should get the same target.
pub(crate) fn key(balance: &Balance, headers: &HeaderMap, record: &mut Recorder) -> Option<u64> {
    let Balance::Hash(by) = balance else {
        return None;
    };
    match by {
        Sticky::Address => Some(point(&record.exchange().client.ip)),
        Sticky::Header(name) => headers.get(&**name).map(|it| point(it.as_bytes())),
        Sticky::Cookie(name) => {
            cookies(headers).find(|it| *it.0 == **name).map(|it| point(it.1.as_bytes()))
        }
        Sticky::OwnCookie => None,
    }
}

/// What stands for a target in the cookie that keeps a caller with it: always the same for the same
/// target, here and in other gateways, and does not show where it is.
pub(crate) struct Mark(String);

impl Mark {
    pub(crate) fn of(target: &str) -> Mark {
        const BYTES: usize = 8;
        let digest = digest(&SHA256, format!("goodgate target {target}").as_bytes());
        Mark(HEXLOWER.encode(&digest.as_ref()[..BYTES]))
    }
}

/// The place of the target that a caller is kept with.
pub(crate) fn kept(upstream: &Ready, headers: &HeaderMap) -> Option<usize> {
    if upstream.marks.is_empty() {
        return None;
    }
    let name = keeping(upstream);
    let known = |value: &str| upstream.marks.iter().position(|it| it.0 == value);
    cookies(headers).filter(|it| it.0 == name).find_map(|it| known(it.1))
}

/// The cookie that keeps a caller with the target that answered; `None` where it has it, or none is
/// wanted.
pub(crate) fn keep(
    upstream: &Ready,
    index: usize,
    before: Option<usize>,
    secure: bool,
) -> Option<HeaderValue> {
    let mark = upstream.marks.get(index).filter(|_| before != Some(index))?;
    set_cookie(&keeping(upstream), &mark.0, secure)
}

/// The name of the cookie, which is none that a route's cookie can have: no name of ours has a `~`.
fn keeping(upstream: &Ready) -> String {
    format!("goodgate~{}", upstream.settings.name)
}

fn set_cookie(name: &str, value: &str, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(cookie).ok()
}

/// Equal things are the same point, on every core and in every process of this version.
fn point<T: Hash + ?Sized>(thing: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}
