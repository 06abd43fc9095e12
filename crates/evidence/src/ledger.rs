//! What was found, grouped: many like lines are one observation with a count, so that memory does
//! not grow with the log, and one line repeated is not evidence repeated.

use crate::address::authority;
use crate::clock::MINUTE;
use crate::documents::{Found, MAX_DOCUMENT};
use crate::event::{Event, Served};
use crate::product::Product;
use crate::scan::Window;
use crate::sign::{Kind, Sign};
use crate::source::Shape;
use crate::trust::Trust;
use std::collections::{BTreeMap, HashMap};

/// Failures with a longer pause between them are another incident.
pub const GAP: i64 = 10 * MINUTE;

/// Groups beyond this are counted, not kept.
pub(crate) const MAX_GROUPS: usize = 20_000;
/// The same for loose words.
pub(crate) const MAX_LOOSE: usize = 500;
/// Runs of one group beyond this are counted, not kept.
pub const MAX_RUNS: usize = 10_000;
/// Routes of one run beyond this are counted under no name.
pub(crate) const MAX_ROUTES: usize = 64;
/// Requests whose fate is followed from an error line to the access line.
pub(crate) const MAX_TICKETS: usize = 65_536;
/// Minutes of an access log whose requests are counted.
pub(crate) const MAX_MINUTES: usize = 600_000;
/// The longest piece of a line that is kept.
pub(crate) const MAX_TEXT: usize = 4096;

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub source: u32,
    /// Counted from 1. `None` where the part before it was not read.
    pub line: Option<u64>,
    /// The line's first byte in the source.
    pub offset: u64,
}

/// A line that stands for its group.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub place: Place,
    /// The decisive words.
    pub quote: String,
    /// Where the quote begins, from the line's first byte; `None` where a layer decoded the line.
    pub inset: Option<usize>,
    pub at: Option<i64>,
    pub detail: Option<String>,
    pub number: Option<i64>,
    pub pid: Option<u32>,
    pub status: Option<u16>,
}

/// What like events have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub source: u32,
    /// The compose service, pod or dyno that wrote it, in a source that several write to.
    pub service: Option<String>,
    pub product: Product,
    pub sign: Sign,
    /// An address as [`authority`] gives it, or a group's name.
    pub upstream: Option<String>,
    pub who: Option<String>,
    /// For acts and states: what a sentence needs. Wire faults differ in it too much.
    pub detail: Option<String>,
}

/// Like events without a pause of [`GAP`] between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Microseconds; those of the clock of the source.
    pub first: i64,
    pub last: i64,
    pub count: u64,
    /// How many of them the line itself says the client got a 5xx for, and a success.
    pub failed: u64,
    pub succeeded: u64,
    pub routes: BTreeMap<String, u64>,
    pub opening: Sample,
    pub closing: Sample,
}

/// All like events.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub trust: Trust,
    pub zoned: bool,
    pub count: u64,
    pub runs: Vec<Run>,
    /// Events without any time.
    pub untimed: Option<Run>,
    /// Runs that were not kept, and the events in them.
    pub dropped: (u64, u64),
}

impl Group {
    /// The line that stands for the group.
    #[must_use]
    pub fn sample(&self) -> &Sample {
        let run = self.runs.first().or(self.untimed.as_ref());
        &run.expect("a group has at least one event").opening
    }

    /// All runs, those without times last.
    pub fn all_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().chain(&self.untimed)
    }
}

/// One request, to be found again in another log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// Of who asked for what.
    pub request: u64,
    pub at: i64,
    /// The status that it ended with; 0 in an error log.
    pub status: u16,
    pub source: u32,
    /// Of the sign and the upstream, as [`ticket_group`] makes it.
    pub group: u64,
}

/// What tickets of one fault at one upstream have in common.
#[must_use]
pub fn ticket_group(sign: Sign, upstream: Option<&str>) -> u64 {
    hash(&[sign.says(), upstream.unwrap_or("")])
}

/// Requests of one minute of an access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub all: u64,
    pub failed: u64,
}

/// What was read, grouped. Ledgers of parts of a source are joined in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    pub groups: HashMap<Key, Group>,
    /// What lines that no reader knows say in loose words. They count only where nothing else failed.
    pub loose: HashMap<Key, Group>,
    /// The loose words stand among the groups: whatever rests on them is a guess.
    pub loosened: bool,
    /// Events of groups that were not kept.
    pub left_out: u64,
    pub tickets: Vec<Ticket>,
    /// More requests failed than could be followed.
    pub tickets_overflowed: bool,
    /// By source and minute.
    pub minutes: BTreeMap<(u32, i64), Tally>,
    pub bytes: u64,
    pub lines: u64,
    /// Lines that a reader took for its own.
    pub understood: u64,
    /// Lines that were looked at closely.
    pub looked_at: u64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    /// Lines of a family that does not belong in the source, with an example.
    pub unexpected: Vec<(Product, Place, u64)>,
}

/// A line of a log that a document carries.
pub(crate) struct Carried<'a> {
    pub(crate) line: &'a str,
    pub(crate) at: Option<crate::clock::Stamp>,
    pub(crate) service: Option<String>,
    pub(crate) place: Place,
}

/// The line of a text in which a byte stands.
fn place_in(source: u32, text: &str, offset: usize) -> Place {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let start = memchr::memrchr(b'\n', before).map_or(0, |it| it + 1);
    let number = memchr::memchr_iter(b'\n', before).count() as u64 + 1;
    Place { source, line: Some(number), offset: start as u64 }
}

/// Where an event stands, and what the line around it gives.
pub(crate) struct Context<'a> {
    pub(crate) place: Place,
    pub(crate) text: &'a str,
    pub(crate) raw: &'a [u8],
    pub(crate) inset: Option<usize>,
    pub(crate) at: Option<crate::clock::Stamp>,
    pub(crate) service: Option<&'a str>,
    pub(crate) pid: Option<u32>,
}

impl Ledger {
    pub(crate) fn served(&mut self, source: u32, served: Served) {
        let Some(at) = served.at else { return };
        self.saw(at.micros);
        let minute = at.micros.div_euclid(MINUTE);
        if self.minutes.len() >= MAX_MINUTES && !self.minutes.contains_key(&(source, minute)) {
            return;
        }
        let tally = self.minutes.entry((source, minute)).or_default();
        tally.all += 1;
        tally.failed += u64::from(served.status >= 500);
    }

    pub(crate) fn saw(&mut self, micros: i64) {
        self.first = Some(self.first.map_or(micros, |it| it.min(micros)));
        self.last = Some(self.last.map_or(micros, |it| it.max(micros)));
    }

    pub(crate) fn event(&mut self, event: Event<'_>, context: &Context<'_>) {
        let stamp = event.at.or(context.at);
        if let Some(stamp) = stamp {
            self.saw(stamp.micros);
        }
        self.ticket(&event, stamp.map(|it| it.micros), context.place.source);
        let kept = put(&mut self.groups, MAX_GROUPS, &event, context);
        self.left_out += u64::from(!kept);
    }

    /// Adds what stands in no log: what a gateway and a supervisor of ours saw themselves. The span of
    /// the event is of these words.
    pub fn witness(&mut self, source: u32, words: &str, event: Event<'_>) {
        let place = Place { source, line: None, offset: 0 };
        let context = Context {
            place,
            text: words,
            raw: words.as_bytes(),
            inset: None,
            at: None,
            service: None,
            pid: None,
        };
        self.event(event, &context);
    }

    /// Words of a line that no reader knows. Those that are not kept are not missed.
    pub(crate) fn loose(&mut self, event: &Event<'_>, context: &Context<'_>) {
        put(&mut self.loose, MAX_LOOSE, event, context);
    }

    /// Whether something is said loosely: words in lines that nobody knows, or calls of an app that
    /// failed where no request is seen to go well.
    #[must_use]
    pub fn may_loosen(&self) -> bool {
        let well = self.minutes.values().any(|it| it.failed < it.all);
        !self.loose.is_empty() || !well && self.groups.iter().any(|it| call(it).is_some())
    }

    /// Takes the loose words for observations like all others, where there is nothing better.
    pub fn loosen(&mut self) {
        let well = self.minutes.values().any(|it| it.failed < it.all);
        let calls: Vec<(Key, Sign)> = self
            .groups
            .iter()
            .filter(|_| !well)
            .filter_map(|it| Some((it.0.clone(), call(it)?)))
            .collect();
        for (key, sign) in calls {
            if let Some(group) = self.groups.get(&key).cloned() {
                let key = Key { sign, detail: None, ..key };
                let group = Group { trust: Trust::E, ..group };
                match self.loose.get_mut(&key) {
                    Some(into) => into.absorb(group),
                    None => {
                        self.loose.insert(key, group);
                    }
                }
            }
        }
        let mut loose: Vec<(Key, Group)> = std::mem::take(&mut self.loose).into_iter().collect();
        loose.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (key, group) in loose {
            for run in &group.runs {
                self.saw(run.first);
                self.saw(run.last);
            }
            match self.groups.get_mut(&key) {
                Some(into) => into.absorb(group),
                None => {
                    self.groups.insert(key, group);
                }
            }
        }
        self.loosened = true;
    }

    /// Adds what a document says that is read whole, if the source is one.
    pub fn read_document(&mut self, shape: &Shape, source: u32, text: &str, window: Window) {
        let Some(document) = shape.document.filter(|_| text.len() <= MAX_DOCUMENT) else { return };
        (document.read)(text, &mut |found| match found {
            Found::Event(event) if window.holds(event.at) => {
                self.document_event(source, text, event);
            }
            Found::Event(_) => {}
            Found::Line { text: line, at, service, offset } => {
                let place = place_in(source, text, offset);
                let carried = Carried { line: &line, at, service, place };
                crate::scan::carried(self, shape, carried, window);
            }
        });
    }

    fn document_event(&mut self, source: u32, text: &str, event: Event<'_>) {
        let place = place_in(source, text, event.span.start);
        let start = place.offset as usize;
        let end = memchr::memchr(b'\n', &text.as_bytes()[start..]);
        let line = text.get(start..end.map_or(text.len(), |it| start + it)).unwrap_or("");
        // Words that go over the end of a line are cut there.
        let within = |it: usize| it.saturating_sub(start).min(line.len());
        let span = within(event.span.start)..within(event.span.end);
        let context = Context {
            place,
            text: line,
            raw: line.as_bytes(),
            inset: Some(0),
            at: None,
            service: None,
            pid: None,
        };
        self.event(Event { span, ..event }, &context);
    }

    fn ticket(&mut self, event: &Event<'_>, at: Option<i64>, source: u32) {
        let Some(at) = at else { return };
        let request = match (&event.request_id, &event.route) {
            (Some(id), _) if 8 <= id.len() => hash(&["id", id]),
            (_, Some(route)) => hash(&[event.client.as_deref().unwrap_or(""), route]),
            _ => return,
        };
        let wire = matches!(event.sign.kind(), Kind::Wire | Kind::Cut);
        if !wire && event.status.is_none() {
            return;
        }
        if self.tickets.len() >= MAX_TICKETS {
            self.tickets_overflowed = true;
            return;
        }
        let status = event.status.unwrap_or(0);
        let upstream = event.upstream.as_deref().map(|it| normal(authority(it)));
        let group = ticket_group(event.sign, upstream.as_deref());
        self.tickets.push(Ticket { request, at, status, source, group });
    }

    /// Adds what was found in the next part of the same source, or in another source.
    /// `lines_before` is how many lines of the source came before that part.
    pub fn absorb(&mut self, other: Ledger, lines_before: Option<u64>) {
        let moved = |place: &mut Place| {
            place.line = place.line.zip(lines_before).map(|(line, before)| line + before);
        };
        self.left_out += join(&mut self.groups, other.groups, MAX_GROUPS, moved);
        join(&mut self.loose, other.loose, MAX_LOOSE, moved);
        let room = MAX_TICKETS.saturating_sub(self.tickets.len());
        self.tickets_overflowed |= other.tickets_overflowed || other.tickets.len() > room;
        self.tickets.extend(other.tickets.into_iter().take(room));
        for (minute, tally) in other.minutes {
            if self.minutes.len() >= MAX_MINUTES && !self.minutes.contains_key(&minute) {
                continue;
            }
            let into = self.minutes.entry(minute).or_default();
            into.all += tally.all;
            into.failed += tally.failed;
        }
        for (product, mut place, count) in other.unexpected {
            moved(&mut place);
            self.unexpected(product, place, count);
        }
        self.left_out += other.left_out;
        self.bytes += other.bytes;
        self.lines += other.lines;
        self.understood += other.understood;
        self.looked_at += other.looked_at;
        for micros in [other.first, other.last].into_iter().flatten() {
            self.saw(micros);
        }
    }

    /// Takes what one product wrote for another's.
    pub(crate) fn rename(&mut self, sources: &[u32], from: Product, to: Product) {
        let wanted = |it: &&Key| it.product == from && sources.contains(&it.source);
        let mut keys: Vec<Key> = self.groups.keys().filter(wanted).cloned().collect();
        keys.sort_unstable();
        for key in keys {
            let Some(group) = self.groups.remove(&key) else { continue };
            let key = Key { product: to, ..key };
            match self.groups.get_mut(&key) {
                Some(into) => into.absorb(group),
                None => {
                    self.groups.insert(key, group);
                }
            }
        }
    }

    pub(crate) fn unexpected(&mut self, product: Product, place: Place, count: u64) {
        let known = self.unexpected.iter_mut();
        match known.into_iter().find(|(it, at, _)| (*it, at.source) == (product, place.source)) {
            Some((_, _, sum)) => *sum += count,
            None => self.unexpected.push((product, place, count)),
        }
    }
}

/// What an app says of its call to another service, as a fault on the wire.
fn call((key, group): (&Key, &Group)) -> Option<Sign> {
    if !matches!(key.sign, Sign::ExternalFailed | Sign::ExternalTimedOut) {
        return None;
    }
    let sample = group.sample();
    let words = crate::readers::loose::sign_of(&sample.quote);
    let told = || crate::readers::loose::sign_of(sample.detail.as_deref()?);
    let wire = |it: &Sign| it.kind() == Kind::Wire;
    let slow = (key.sign == Sign::ExternalTimedOut).then_some(Sign::HeadTimedOut);
    let reached =
        if sample.quote.contains("onnect") { Sign::ConnectFailed } else { Sign::Disconnected };
    words.or_else(told).filter(wire).or(slow).or(Some(reached))
}

/// Adds the groups of another part, with their places moved; how many events were not kept.
fn join(
    into: &mut HashMap<Key, Group>,
    other: HashMap<Key, Group>,
    room: usize,
    moved: impl Fn(&mut Place),
) -> u64 {
    let mut left_out = 0;
    let mut groups: Vec<(Key, Group)> = other.into_iter().collect();
    // Where not all can be kept, the same ones are kept each time.
    if into.len() + groups.len() > room {
        groups.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    }
    for (key, mut group) in groups {
        for run in group.runs.iter_mut().chain(&mut group.untimed) {
            moved(&mut run.opening.place);
            moved(&mut run.closing.place);
        }
        let full = into.len() >= room;
        match into.get_mut(&key) {
            Some(it) => it.absorb(group),
            None if full => left_out += group.count,
            None => {
                into.insert(key, group);
            }
        }
    }
    left_out
}

/// Adds an event to those like it. `false` where there is no room for another group.
fn put(
    groups: &mut HashMap<Key, Group>,
    room: usize,
    event: &Event<'_>,
    context: &Context<'_>,
) -> bool {
    let stamp = event.at.or(context.at);
    let grouped = matches!(event.sign.kind(), Kind::Act | Kind::State | Kind::Client);
    let cut = |it: &str| crate::scan::clip(it, 300).to_owned();
    let key = Key {
        source: context.place.source,
        service: context.service.map(str::to_owned),
        product: event.product,
        sign: event.sign,
        upstream: event.upstream.as_deref().map(|it| normal(authority(it))),
        who: event.who.as_deref().map(cut),
        detail: event.detail.as_deref().filter(|_| grouped).map(cut),
    };
    let full = groups.len() >= room;
    let group = match groups.entry(key) {
        std::collections::hash_map::Entry::Occupied(it) => it.into_mut(),
        std::collections::hash_map::Entry::Vacant(_) if full => return false,
        std::collections::hash_map::Entry::Vacant(it) => it.insert(Group {
            trust: event.trust,
            zoned: stamp.is_some_and(|it| it.zoned),
            count: 0,
            runs: Vec::new(),
            untimed: None,
            dropped: (0, 0),
        }),
    };
    group.count += 1;
    group.trust = group.trust.min(event.trust);
    let at = stamp.map(|it| it.micros);
    if let (Some(at), Some(run)) = (at, group.runs.last_mut()) {
        // The usual case: one more of a run that goes on.
        if run.first <= at && at < run.last + GAP {
            let later = run.last <= at;
            run.last = run.last.max(at);
            run.one_more(event);
            if later {
                run.closing.place = context.place;
                run.closing.at = Some(at);
            }
            return true;
        }
    }
    let sample = sample(event, context, at);
    let mut run = Run {
        first: at.unwrap_or(0),
        last: at.unwrap_or(0),
        count: 0,
        failed: 0,
        succeeded: 0,
        routes: BTreeMap::new(),
        opening: sample.clone(),
        closing: sample,
    };
    run.one_more(event);
    match at {
        Some(_) => group.insert(run),
        None => match &mut group.untimed {
            Some(all) => all.absorb(run),
            None => group.untimed = Some(run),
        },
    }
    true
}

impl Run {
    fn one_more(&mut self, event: &Event<'_>) {
        self.count += 1;
        match event.status {
            Some(500..) => self.failed += 1,
            Some(100..) => self.succeeded += 1,
            _ => {}
        }
        if let Some(route) = &event.route {
            let route = route_pattern(route);
            let full = self.routes.len() >= MAX_ROUTES;
            match self.routes.get_mut(&*route) {
                Some(count) => *count += 1,
                None if full => {}
                None => {
                    self.routes.insert(route.into_owned(), 1);
                }
            }
        }
    }

    fn absorb(&mut self, other: Run) {
        self.count += other.count;
        self.failed += other.failed;
        self.succeeded += other.succeeded;
        let (mut last, mut at) = (self.closing.place, self.closing.at);
        if self.last <= other.last {
            self.last = other.last;
            (last, at) = (other.closing.place, other.closing.at);
        }
        if other.first < self.first {
            self.first = other.first;
            self.opening = other.opening;
        }
        // Only the first line of a run is kept word for word, and where the last one stands.
        self.closing = Sample { place: last, at, ..self.opening.clone() };
        for (route, count) in other.routes {
            if self.routes.len() < MAX_ROUTES || self.routes.contains_key(&route) {
                *self.routes.entry(route).or_default() += count;
            }
        }
    }
}

impl Group {
    fn absorb(&mut self, other: Group) {
        self.count += other.count;
        self.trust = self.trust.min(other.trust);
        self.zoned |= other.zoned;
        self.dropped.0 += other.dropped.0;
        self.dropped.1 += other.dropped.1;
        for run in other.runs {
            self.insert(run);
        }
        match (&mut self.untimed, other.untimed) {
            (Some(into), Some(run)) => into.absorb(run),
            (into @ None, it) => *into = it,
            _ => {}
        }
    }

    /// Keeps runs sorted, and joins those that lie closer than [`GAP`]: the result does not depend
    /// on the order in which events come.
    fn insert(&mut self, run: Run) {
        let at = self.runs.partition_point(|it| it.last + GAP <= run.first);
        match self.runs.get_mut(at) {
            Some(near) if run.last + GAP > near.first => near.absorb(run),
            _ => self.runs.insert(at, run),
        }
        while at + 1 < self.runs.len() && self.runs[at + 1].first < self.runs[at].last + GAP {
            let next = self.runs.remove(at + 1);
            self.runs[at].absorb(next);
        }
        if self.runs.len() > MAX_RUNS {
            let smallest = (0..self.runs.len()).min_by_key(|at| self.runs[*at].count);
            let run = self.runs.remove(smallest.unwrap_or(0));
            self.dropped.0 += 1;
            self.dropped.1 += run.count;
        }
    }
}

fn sample(event: &Event<'_>, context: &Context<'_>, at: Option<i64>) -> Sample {
    let (quote, inset) = cite(event, context);
    Sample {
        place: context.place,
        quote,
        inset,
        at,
        detail: event.detail.as_deref().map(|it| crate::scan::clip(it, 300).to_owned()),
        number: event.number,
        pid: event.pid.or(context.pid),
        status: event.status,
    }
}

/// The decisive words as they stand in the source, and where.
fn cite(event: &Event<'_>, context: &Context<'_>) -> (String, Option<usize>) {
    let span = event.span.start.min(context.text.len())..event.span.end.min(context.text.len());
    let words = context.text.get(span.clone()).unwrap_or(context.text);
    let words = crate::scan::clip(words, MAX_TEXT);
    match context.inset {
        Some(inset) => (words.to_owned(), Some(inset + span.start)),
        // Decoded: the same bytes may still stand in the raw line.
        None => {
            let found = memchr::memmem::find(context.raw, words.as_bytes());
            (words.to_owned(), found)
        }
    }
}

/// One way to write a unix socket.
fn normal(authority: &str) -> String {
    match authority.strip_prefix('/') {
        Some(_) => format!("unix:{authority}"),
        None => authority.to_ascii_lowercase().trim_end_matches('.').to_owned(),
    }
}

/// A path without its query, in which what differs from request to request is a star.
fn route_pattern(route: &str) -> std::borrow::Cow<'_, str> {
    let path = route.split(['?', '#', ' ']).next().unwrap_or(route);
    let path = crate::scan::clip(path, 128);
    let varies = |it: &str| {
        let digits = it.bytes().filter(u8::is_ascii_digit).count();
        digits == it.len() && digits > 0 || it.len() >= 16 && digits * 4 >= it.len()
    };
    if !path.split('/').any(varies) {
        return path.into();
    }
    let parts: Vec<&str> = path.split('/').map(|it| if varies(it) { "*" } else { it }).collect();
    parts.join("/").into()
}

/// FNV-1a: short keys, no secret, the same on every machine.
fn hash(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in parts.iter().flat_map(|it| it.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}
