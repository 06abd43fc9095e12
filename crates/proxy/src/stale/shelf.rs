//! The answers that one route keeps, for all cores.

use super::allowed::{Terms, alone, values};
use bytes::Bytes;
use config::Forward;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What an answer takes besides its bytes, about.
const OVERHEAD: usize = 512;

/// What the value of a field takes besides its bytes.
const OVERHEAD_OF_VALUE: usize = 64;

/// Of one URL so many answers are kept, for requests that differ in fields that `Vary` names.
const VARIANTS: usize = 32;

/// An answer that came so lately is not kept anew.
const RECENT: Duration = Duration::from_secs(1);

/// An answer that is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(super) status: u16,
    pub(super) fields: HeaderMap,
    pub(super) body: Bytes,
    /// For callers with credentials too.
    pub(super) public: bool,
    /// The fields on which it depends, and what the request had of them.
    vary: (Vec<HeaderName>, Vec<Vec<HeaderValue>>),
    /// When it came, and how old it was then.
    pub(super) came: Instant,
    age: Duration,
    pub(super) fresh: Duration,
    /// Until when it may be given again.
    until: Instant,
}

impl Kept {
    /// One whose body is still to come.
    pub(super) fn new(
        status: u16,
        fields: HeaderMap,
        terms: Terms,
        request: &HeaderMap,
        keep: Duration,
        now: Instant,
    ) -> Kept {
        let values = values(&terms.vary, request);
        let until = now + terms.own.map_or(keep, |it| it.min(keep));
        let Terms { public, age, fresh, vary, .. } = terms;
        let fields = fields.iter().map(|(name, value)| (name.clone(), alone(value))).collect();
        let (body, vary) = (Bytes::new(), (vary, values));
        Kept { status, fields, body, public, vary, came: now, age, fresh, until }
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        self.age + now.saturating_duration_since(self.came)
    }

    /// `keep` is by the settings of now.
    pub(super) fn is_over(&self, keep: Duration, now: Instant) -> bool {
        self.until <= now || self.came + keep <= now
    }

    fn answers(&self, request: &HeaderMap) -> bool {
        let (names, known) = &self.vary;
        values(names, request) == *known
    }

    fn cost(&self, key: &str) -> usize {
        let fields = self.fields.iter().map(|(name, value)| name.as_str().len() + value.len());
        let (names, values) = &self.vary;
        let names = names.iter().map(|it| it.as_str().len());
        let values = values.iter().flatten().map(|it| OVERHEAD_OF_VALUE + it.len());
        let vary = names.sum::<usize>() + values.sum::<usize>();
        OVERHEAD + key.len() + fields.sum::<usize>() + vary + self.body.len()
    }
}

/// What one route keeps.
pub(crate) struct Shelf {
    pub(super) route: Arc<str>,
    /// Where the route sends requests, as one number: answers from elsewhere are others.
    of: u64,
    holds: Mutex<Holds>,
}

#[derive(Default)]
struct Holds {
    /// By URL, those of one URL with the newest last.
    answers: HashMap<Arc<str>, Vec<(u64, Arc<Kept>)>>,
    /// Each by when it was kept or given last.
    order: BTreeMap<u64, Arc<str>>,
    next: u64,
    /// Bytes that are kept, and of answers that are just being handed on.
    kept: usize,
    coming: usize,
    /// `stale.size`.
    most: usize,
}

fn origin(forward: &Forward) -> u64 {
    let Forward { shares, strip_prefix, rewrite, host, .. } = forward;
    let mut hasher = DefaultHasher::new();
    shares.iter().for_each(|it| it.upstream.name.hash(&mut hasher));
    format!("{strip_prefix:?} {rewrite:?} {host:?}").hash(&mut hasher);
    hasher.finish()
}

impl Shelf {
    pub(crate) fn new(route: &Arc<str>, forward: &Forward) -> Shelf {
        Shelf { route: route.clone(), of: origin(forward), holds: Mutex::default() }
    }

    /// What it has came from where this sends requests.
    pub(crate) fn is_of(&self, forward: &Forward) -> bool {
        self.of == origin(forward)
    }

    fn holds(&self) -> MutexGuard<'_, Holds> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a size.
    pub(crate) fn adopt(&self, size: usize) {
        let mut holds = self.holds();
        holds.most = size;
        holds.settle();
    }

    /// The newest answer to such a request.
    pub(super) fn find(&self, key: &str, request: &HeaderMap) -> Option<Arc<Kept>> {
        self.holds().find(key, request)
    }

    /// An answer to such a request that has just been kept.
    pub(super) fn has_recent(&self, key: &str, request: &HeaderMap, now: Instant) -> bool {
        let found = self.holds().newest(key, request).map(|(_, it)| it.came);
        found.is_some_and(|it| now < it + RECENT)
    }

    pub(super) fn put(&self, key: Arc<str>, kept: Kept) {
        self.holds().put(key, kept);
    }

    pub(super) fn forget(&self, key: &str) {
        self.holds().forget(key);
    }

    /// Room for so much more of an answer that is handed on.
    pub(super) fn grow(&self, bytes: usize) -> bool {
        let mut holds = self.holds();
        if holds.most / 4 < holds.coming + bytes {
            return false;
        }
        holds.coming += bytes;
        holds.settle();
        true
    }

    /// Gives such room back.
    pub(super) fn shrink(&self, bytes: usize) {
        let mut holds = self.holds();
        holds.coming = holds.coming.saturating_sub(bytes);
    }
}

impl Holds {
    fn newest(&self, key: &str, request: &HeaderMap) -> Option<(u64, Arc<Kept>)> {
        self.answers.get(key)?.iter().rev().find(|(_, it)| it.answers(request)).cloned()
    }

    fn find(&mut self, key: &str, request: &HeaderMap) -> Option<Arc<Kept>> {
        let (at, found) = self.newest(key, request)?;
        let key = self.order.remove(&at)?;
        let next = self.next();
        let variants = self.answers.get_mut(&key)?;
        variants.iter_mut().filter(|it| it.0 == at).for_each(|it| it.0 = next);
        self.order.insert(next, key);
        Some(found)
    }

    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn put(&mut self, key: Arc<str>, kept: Kept) {
        let now = kept.came;
        let same = |it: &Kept| it.vary == kept.vary;
        let known = self.answers.get(&key).map_or(&[][..], |it| it);
        let crowded = (VARIANTS <= known.len()).then(|| known.first()).flatten();
        let gone = known.iter().find(|(_, it)| same(it)).or(crowded).map(|it| it.0);
        if let Some(gone) = gone {
            self.remove(gone);
        }
        let next = self.next();
        self.kept += kept.cost(&key);
        self.order.insert(next, key.clone());
        self.answers.entry(key).or_default().push((next, Arc::new(kept)));
        self.clear(now);
        self.settle();
    }

    fn forget(&mut self, key: &str) {
        let all: Vec<u64> = self.answers.get(key).into_iter().flatten().map(|it| it.0).collect();
        all.into_iter().for_each(|it| self.remove(it));
    }

    fn remove(&mut self, at: u64) {
        let Some(key) = self.order.remove(&at) else {
            return;
        };
        let Some(variants) = self.answers.get_mut(&key) else {
            return;
        };
        for (_, gone) in variants.extract_if(.., |it| it.0 == at) {
            self.kept = self.kept.saturating_sub(gone.cost(&key));
        }
        if variants.is_empty() {
            self.answers.remove(&key);
        }
    }

    /// Those in front that may be given no more.
    fn clear(&mut self, now: Instant) {
        while let Some((at, key)) = self.order.first_key_value() {
            let at = *at;
            let first = self.answers.get(key).into_iter().flatten().find(|it| it.0 == at);
            if first.is_some_and(|(_, it)| now < it.until) {
                return;
            }
            self.remove(at);
        }
    }

    /// Those that were not asked for the longest go, until the rest has room.
    fn settle(&mut self) {
        while self.most < self.kept + self.coming {
            let Some((at, _)) = self.order.first_key_value() else {
                return;
            };
            self.remove(*at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Played {
        holds: Holds,
        now: Instant,
    }

    fn played(most: usize) -> Played {
        Played { holds: Holds { most, ..Holds::default() }, now: Instant::now() }
    }

    fn request(language: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::header::ACCEPT_LANGUAGE, language.parse().unwrap())])
    }

    impl Played {
        fn put(&mut self, key: &str, language: &str, body: usize) {
            let vary = vec![http::header::ACCEPT_LANGUAGE];
            let (age, fresh) = (Duration::ZERO, Duration::ZERO);
            let terms = Terms { public: false, age, fresh, own: None, vary };
            let keep = Duration::from_secs(60);
            let asked = request(language);
            let mut kept = Kept::new(200, HeaderMap::new(), terms, &asked, keep, self.now);
            kept.body = vec![0; body].into();
            self.holds.put(key.into(), kept);
        }

        fn has(&self, key: &str, language: &str) -> bool {
            self.holds.newest(key, &request(language)).is_some()
        }

        /// What is counted is what is there.
        fn check_sums(&self) {
            let all = self.holds.answers.iter();
            let cost = |(key, them): (&Arc<str>, &Vec<(u64, Arc<Kept>)>)| -> usize {
                them.iter().map(|it| it.1.cost(key)).sum()
            };
            assert_eq!(all.map(cost).sum::<usize>(), self.holds.kept);
            let count: usize = self.holds.answers.values().map(Vec::len).sum();
            assert_eq!(count, self.holds.order.len());
        }
    }

    #[test]
    fn the_one_that_was_not_asked_for_the_longest_goes() {
        let vary = "accept-language".len() + OVERHEAD_OF_VALUE + "en".len();
        let mut it = played(3 * (1_000 + OVERHEAD + 2 + vary));
        for key in ["/a", "/b", "/c"] {
            it.put(key, "en", 1_000);
        }
        assert!(it.holds.find("/a", &request("en")).is_some());
        it.put("/d", "en", 1_000);
        let there = ["/a", "/b", "/c", "/d"].map(|key| it.has(key, "en"));
        assert_eq!(there, [true, false, true, true]);
        it.check_sums();
    }

    #[test]
    fn what_is_larger_than_all_room_is_not_there() {
        let mut it = played(2_000);
        it.put("/a", "en", 100);
        it.put("/b", "en", 3_000);
        assert!(!it.has("/b", "en"));
        it.check_sums();
        assert_eq!(it.holds.kept, 0);
    }

    #[test]
    fn the_same_replaces_itself_and_variants_stand_side_by_side() {
        let mut it = played(1 << 20);
        for _ in 0..5 {
            it.put("/a", "en", 100);
            it.put("/a", "tr", 200);
        }
        assert_eq!(it.holds.order.len(), 2);
        assert!(it.has("/a", "en") && it.has("/a", "tr") && !it.has("/a", "de"));
        it.check_sums();
        for at in 0..100 {
            it.put("/a", &format!("l{at}"), 10);
        }
        assert_eq!(it.holds.order.len(), VARIANTS);
        assert!(it.has("/a", "l99") && !it.has("/a", "en"));
        it.holds.forget("/a");
        it.check_sums();
        assert_eq!(it.holds.order.len(), 0);
    }

    #[test]
    fn what_is_over_makes_room_with_the_next() {
        let mut it = played(1 << 20);
        it.put("/a", "en", 100);
        it.now += Duration::from_secs(61);
        it.put("/b", "en", 100);
        assert!(!it.has("/a", "en") && it.has("/b", "en"));
        it.check_sums();
    }

    #[test]
    fn a_smaller_size_holds_at_once() {
        let mut it = played(1 << 20);
        for at in 0..100 {
            it.put(&format!("/{at}"), "en", 1_000);
        }
        it.holds.most = 10_000;
        it.holds.settle();
        assert!(it.holds.kept <= 10_000 && it.has("/99", "en") && !it.has("/0", "en"));
        it.check_sums();
    }
}
