//! Which of a route's upstreams gets a request, where the route divides them.

use crate::recorder::Recorder;
use config::{Balance, Forward, Route, Sticky, cookies};
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
                    let secure = if record.seat().tls { "; Secure" } else { "" };
                    let upstream = &forward.shares[share].upstream.name;
                    let cookie =
                        format!("{name}={upstream}; Path=/; HttpOnly; SameSite=Lax{secure}");
                    Divided { share, cookie: HeaderValue::try_from(cookie).ok() }
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

/// Equal things are the same point, on every core and in every process of this version.
fn point<T: Hash + ?Sized>(thing: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}
