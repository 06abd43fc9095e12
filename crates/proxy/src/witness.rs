//! The app that the gateway started, as a witness: its last lines and deeds, kept until a failed
//! request asks for them.

use diagnosis::child::{Statement, tells};
use exchange::{Act, Address, Attempt, Deed, Ending, Exchange, Heard, Micros, Said};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Deeds that are kept: some starts and ends of an app that dies again and again.
const DEEDS: usize = 64;
/// What a line takes besides its bytes: its entry, and the counts of its text.
const ENTRY: usize = 64;
/// Lines before new ones that may belong to the same unit, such as a traceback.
const UNIT: usize = 40;
/// What lines may weigh that one failure is judged by; the newest.
const JUDGED: usize = 32 * 1024;
/// What an app said so long before it ended may say why.
const BEFORE_END: Micros = 3_000_000;
/// What was said so long before a failure belongs to another request.
const BEFORE_FAILURE: Micros = 5_000_000;
/// How much earlier than a request the time of a line may be that it brought about: clocks are read
/// one after the other.
const LEEWAY: Micros = 50_000;

/// What is known of the app. The supervisor adds to it; the data plane reads it.
pub struct Witness {
    name: Arc<str>,
    /// `child.output`: bytes of its output that are kept, with what keeping them takes.
    output: usize,
    /// `child.evidence_wait`: how long an answer may wait for it.
    wait: Duration,
    /// All targets lead to it, wherever it listens.
    is_every_target: bool,
    known: Mutex<Known>,
    /// Counts what may change a judgement.
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct Known {
    said: VecDeque<Said>,
    /// What the lines weigh.
    weight: usize,
    deeds: VecDeque<Deed>,
    places: Vec<Address>,
    /// Where somebody else listened before it was started.
    others: Vec<Address>,
    /// How often the kernel is known to have killed some of it for its memory.
    memory_kills: u64,
    /// When something was last said that is an act, or done.
    news_at: Micros,
}

/// How it stands with an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Starting,
    Up,
    Gone,
}

/// What concerns one failure, taken out of the witness.
pub(crate) struct Extract {
    name: Arc<str>,
    said: Vec<Said>,
    deeds: Vec<Deed>,
}

impl Extract {
    pub(crate) fn judge(&self, exchange: &Exchange) -> Option<Heard> {
        let Extract { name, said, deeds } = self;
        diagnosis::child::hear(exchange, &Statement { name, said, deeds })
    }
}

impl Witness {
    #[must_use]
    pub fn new(name: &str, output: usize, wait: Duration, is_every_target: bool) -> Arc<Witness> {
        Arc::new(Witness {
            name: name.into(),
            output,
            wait,
            is_every_target,
            known: Mutex::default(),
            news: watch::channel(0).0,
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds lines of its output, the oldest first. Empty ones say nothing.
    pub fn say(&self, mut lines: Vec<Said>) {
        lines.retain(|it| !it.line.trim().is_empty());
        let Some(last) = lines.last().map(|it| it.at) else { return };
        let kept = newest(&lines, self.output).to_vec();
        let mut known = self.known();
        let before = known.said.len().saturating_sub(UNIT);
        let mut unit: Vec<Said> = known.said.range(before..).cloned().collect();
        // A unit comes in one piece, or in a few right after each other.
        unit.retain(|it| last.saturating_sub(it.at) < LEEWAY);
        let evicted = known.keep(kept, self.output);
        drop(known);
        unit.extend(lines);
        // Cores take that lock; so many small pieces are given back outside of it.
        drop(evicted);
        if tells(&self.name, &unit) {
            let mut known = self.known();
            known.news_at = known.news_at.max(last);
            drop(known);
            self.news.send_modify(|it| *it += 1);
        }
    }

    /// Adds what its supervisor saw.
    pub fn did(&self, deed: Deed) {
        let mut known = self.known();
        if matches!(deed.act, Act::Ended(_) | Act::OutOfMemory) {
            known.news_at = known.news_at.max(deed.at);
        }
        known.memory_kills += u64::from(deed.act == Act::OutOfMemory);
        if DEEDS <= known.deeds.len() {
            known.deeds.pop_front();
        }
        known.deeds.push_back(deed);
        drop(known);
        self.news.send_modify(|it| *it += 1);
    }

    /// Where its processes accept connections. Those where it did before are still its own: that
    /// nobody listens there any more is what is to be explained.
    pub fn listens(&self, places: &[Address]) {
        let mut known = self.known();
        for it in places {
            if known.places.len() < DEEDS && !known.places.contains(it) {
                known.places.push(it.clone());
            }
        }
    }

    /// Where somebody else listened before it was started: failures there are not its own, unless it
    /// listens there too by now.
    pub fn others_listen(&self, places: &[Address]) {
        self.known().others = places.to_vec();
    }

    /// Its last lines, for a person.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> Vec<Arc<str>> {
        let known = self.known();
        let before = known.said.len().saturating_sub(count);
        known.said.range(before..).map(|it| it.line.clone()).collect()
    }

    pub(crate) fn wait(&self) -> Duration {
        self.wait
    }

    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    pub(crate) fn revision(&self) -> u64 {
        *self.news.borrow()
    }

    /// The attempt went to this app.
    pub(crate) fn concerns(&self, attempt: &Attempt) -> bool {
        let Some(dialled) = &attempt.address else { return self.is_every_target };
        let known = self.known();
        let is_known = known.places.iter().any(|it| leads_to(dialled, it));
        if is_known || known.others.iter().any(|it| leads_to(dialled, it)) {
            return is_known;
        }
        if self.is_every_target {
            return true;
        }
        match known.places.is_empty() {
            // Where it would listen is not known; it would be on this machine.
            true => match dialled {
                Address::Inet(it) => it.ip().is_loopback(),
                Address::Unix(_) => true,
            },
            false => false,
        }
    }

    /// It does not accept connections at present, and why is known.
    pub(crate) fn is_down(&self) -> bool {
        self.known().life() != Life::Up
    }

    /// Something is known that may have to do with a failure of an exchange that began then.
    pub(crate) fn can_tell(&self, began: Micros) -> bool {
        let known = self.known();
        match known.life() {
            Life::Starting | Life::Gone => true,
            Life::Up => began <= known.news_at.saturating_add(LEEWAY),
        }
    }

    /// How often the kernel is known to have killed some of it for its memory.
    pub(crate) fn memory_kills(&self) -> u64 {
        self.known().memory_kills
    }

    /// Since when the newest act is known.
    pub(crate) fn age_of_news(&self) -> Duration {
        Duration::from_micros(now().saturating_sub(self.known().news_at))
    }

    /// What concerns an exchange that began and failed then.
    pub(crate) fn extract(&self, began: Micros, failed: Micros) -> Extract {
        let known = self.known();
        let from = began.saturating_sub(LEEWAY).max(failed.saturating_sub(BEFORE_FAILURE));
        let (last_words, last_deeds) = known.of_last_end();
        let said_from = from.min(last_words);
        let mut said = Vec::new();
        let mut room = JUDGED;
        for it in known.said.iter().rev().take_while(|it| said_from <= it.at) {
            match room.checked_sub(weight(it)) {
                Some(left) => room = left,
                None => break,
            }
            said.push(it.clone());
        }
        said.reverse();
        let recent = |it: &&Deed| from.min(last_deeds) <= it.at;
        let mut deeds: Vec<Deed> = known.deeds.iter().filter(recent).cloned().collect();
        // That it listens, and where, is how things stand.
        let listening = known.deeds.iter().rev().find(|it| matches!(it.act, Act::Listening(_)));
        let stands = listening.filter(|it| it.at < from && known.life() == Life::Up);
        deeds.splice(0..0, stands.cloned());
        Extract { name: self.name.clone(), said, deeds }
    }
}

impl Known {
    /// Adds lines, and gives those back that are the oldest and too much.
    fn keep(&mut self, lines: Vec<Said>, output: usize) -> Vec<Said> {
        self.weight += lines.iter().map(weight).sum::<usize>();
        self.said.extend(lines);
        let mut count = 0;
        for it in &self.said {
            if self.weight <= output {
                break;
            }
            self.weight -= weight(it);
            count += 1;
        }
        self.said.drain(..count).collect()
    }

    fn life(&self) -> Life {
        let told = self.deeds.iter().rev().find_map(|it| match it.act {
            Act::Started => Some(Life::Starting),
            Act::Listening(_) => Some(Life::Up),
            Act::Ended(_) => Some(Life::Gone),
            Act::OutOfMemory => None,
        });
        told.unwrap_or(Life::Starting)
    }

    /// From when on lines and deeds tell of the last end, while it is down or has just been started
    /// again. Who was ended from outside has not said why.
    fn of_last_end(&self) -> (Micros, Micros) {
        let ended = |it: &&Deed| matches!(it.act, Act::Ended(_));
        let last = self.deeds.iter().rev().find(ended).filter(|_| self.life() != Life::Up);
        match last {
            // On its way up for the first time: that it was started is all there is.
            None if self.life() == Life::Starting => (Micros::MAX, 0),
            None => (Micros::MAX, Micros::MAX),
            Some(Deed { at, act: Act::Ended(Ending::Signal(1 | 2 | 3 | 9 | 15)), .. }) => {
                (Micros::MAX, *at)
            }
            Some(Deed { at, .. }) => (at.saturating_sub(BEFORE_END), *at),
        }
    }
}

/// The last of these lines, as many as there is room for, and one at least.
fn newest(lines: &[Said], room: usize) -> &[Said] {
    let mut left = room;
    let fits = |it: &&Said| {
        let rest = left.checked_sub(weight(it));
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    let count = lines.iter().rev().take_while(fits).count().max(1);
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default()
}

fn weight(said: &Said) -> usize {
    said.line.len() + ENTRY
}

/// Whether who dials this reaches what listens there, on this machine.
fn leads_to(dialled: &Address, place: &Address) -> bool {
    match (dialled, place) {
        (Address::Inet(dialled), Address::Inet(place)) => {
            let same = dialled.ip() == place.ip();
            let covered = dialled.ip().is_loopback()
                && (place.ip().is_unspecified() || place.ip().is_loopback());
            dialled.port() == place.port() && (same || covered)
        }
        (Address::Unix(dialled), Address::Unix(place)) => dialled == place,
        _ => false,
    }
}

/// Microseconds since 1970.
pub(crate) fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(output: usize) -> Arc<Witness> {
        Witness::new("app", output, Duration::ZERO, false)
    }

    fn said(at: Micros, line: &str) -> Said {
        Said { at, pid: 7, line: line.into() }
    }

    fn deed(at: Micros, act: Act) -> Deed {
        Deed { at, pid: 7, act }
    }

    fn lines(extract: &Extract) -> Vec<&str> {
        extract.said.iter().map(|it| &*it.line).collect()
    }

    const SECOND: Micros = 1_000_000;

    #[test]
    fn the_oldest_lines_go_first() {
        let witness = witness(10 + 2 * ENTRY);
        witness.say(vec![said(1, "12345"), said(2, "67890"), said(3, "abc")]);
        assert_eq!(witness.last_lines(9).join(" "), "67890 abc");
        assert_eq!(witness.last_lines(1).join(" "), "abc");
        witness.say(vec![said(4, &"much too long to be kept ".repeat(9))]);
        assert!(witness.last_lines(9).is_empty());
    }

    #[test]
    fn lines_of_nothing_take_no_room() {
        let witness = witness(1_000);
        witness.say(vec![said(1, "kept")]);
        witness.say(vec![said(2, ""); 65_536]);
        witness.say(vec![said(3, " \t"); 65_536]);
        assert_eq!(witness.last_lines(9).join(" "), "kept");
        witness.say(vec![said(4, "x"); 65_536]);
        assert_eq!(witness.last_lines(65_536).len(), 1_000 / (1 + ENTRY));
        assert!(witness.known().said.capacity() < 1_000);
    }

    #[test]
    fn a_running_app_is_asked_about_the_request_alone() {
        let witness = witness(1_000);
        witness.did(deed(0, Act::Listening("127.0.0.1:1".into())));
        witness.say(vec![said(SECOND, "before"), said(9 * SECOND, "during")]);
        assert!(!witness.can_tell(10 * SECOND));
        let extract = witness.extract(8 * SECOND, 10 * SECOND);
        assert_eq!(lines(&extract), ["during"]);
        assert_eq!(extract.deeds.len(), 1);
        // A long request: what was said long before its end is about another.
        let extract = witness.extract(SECOND, 12 * SECOND);
        assert_eq!(lines(&extract), ["during"]);
    }

    #[test]
    fn of_an_app_that_ended_its_last_words_count() {
        let witness = witness(1_000);
        witness.did(deed(0, Act::Started));
        witness.say(vec![said(90 * SECOND, "old"), said(99 * SECOND, "last")]);
        witness.did(deed(100 * SECOND, Act::Ended(Ending::Code(3))));
        assert!(witness.is_down() && witness.can_tell(500 * SECOND));
        let extract = witness.extract(500 * SECOND, 500 * SECOND);
        assert_eq!(lines(&extract), ["last"]);
        witness.did(deed(101 * SECOND, Act::Started));
        assert_eq!(lines(&witness.extract(102 * SECOND, 102 * SECOND)), ["last"]);
        witness.did(deed(103 * SECOND, Act::Listening("127.0.0.1:1".into())));
        assert!(lines(&witness.extract(104 * SECOND, 104 * SECOND)).is_empty());
    }

    #[test]
    fn who_was_killed_has_not_said_why() {
        let witness = witness(1_000);
        witness.did(deed(0, Act::Started));
        witness.say(vec![said(9 * SECOND, "of another request")]);
        witness.did(deed(10 * SECOND, Act::Ended(Ending::Signal(9))));
        let extract = witness.extract(20 * SECOND, 20 * SECOND);
        assert!(lines(&extract).is_empty());
        assert_eq!(extract.deeds.len(), 1);
    }

    #[test]
    fn acts_are_news_and_states_are_none() {
        let witness = witness(1_000);
        witness.did(deed(0, Act::Listening("127.0.0.1:1".into())));
        let before = witness.revision();
        witness.say(vec![said(SECOND, "GET / 200")]);
        assert_eq!(witness.revision(), before);
        witness.say(vec![said(2 * SECOND, "[CRITICAL] WORKER TIMEOUT (pid:9)")]);
        assert_ne!(witness.revision(), before);
        assert!(witness.can_tell(SECOND));
    }

    #[test]
    fn what_leads_to_the_app_is_told_by_its_sockets() {
        let check = |dialled: &str, place: &str, expected| {
            let inet = |it: &str| Address::Inet(it.parse().unwrap());
            assert_eq!(leads_to(&inet(dialled), &inet(place)), expected, "{dialled} {place}");
        };
        check("127.0.0.1:8000", "127.0.0.1:8000", true);
        check("127.0.0.1:8000", "0.0.0.0:8000", true);
        check("[::1]:8000", "127.0.0.1:8000", true);
        check("127.0.0.1:8000", "127.0.0.1:8001", false);
        check("192.0.2.1:8000", "0.0.0.0:8000", false);
        let unix = |it: &str| Address::Unix(it.into());
        assert!(leads_to(&unix("/run/a"), &unix("/run/a")));
        assert!(!leads_to(&unix("/run/a"), &unix("/run/b")));
    }
}
