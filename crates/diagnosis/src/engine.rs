//! From testimony to the report: picks the incident, ranks the catalogue against it, and says what
//! that rests on.

use crate::blanks;
use crate::catalogue::{Cause, RetryClass, Side};
use crate::clocks::Clocks;
use crate::dossier::{Cite, Dossier, Index};
use crate::incidents::{Incident, incidents};
use crate::next;
use crate::report::{
    Candidate, Cure, Exhibit, IncidentSummary, Link, NotLookedAt, Other, Read, Rejected, Report,
    Retry, SCHEMA, Step, Sufficiency, Verdict,
};
use crate::signs_on_wire::{status, wire};
use crate::text::When;
use crate::weigh::{Weighed, weigh};
use crate::why::Question;
use evidence::clock::{Zone, rfc3339};
use evidence::{GAP, Kind, Product, Sign, Stack, Testimony, Trust};

/// From here on a cause is named, if it is far enough ahead.
pub(crate) const NAMED: f64 = 0.8;
const AHEAD: f64 = 0.3;
/// Two or three candidates that reach this together are an either-or.
const TOGETHER: f64 = 0.9;
/// Candidates below this are not worth a line.
const WORTH: f32 = 0.01;
const CANDIDATES: usize = 6;
/// Candidates below this are not worth a word in a sentence.
const TOLD: f32 = 0.05;
/// Further incidents in the report.
const OTHERS: usize = 20;
const EXHIBITS: usize = 12;

pub(crate) fn report(testimony: &Testimony, question: &Question, without: Option<&str>) -> Report {
    let clocks = Clocks::of(testimony);
    let index = Index::of(testimony);
    let mut incidents = incidents(testimony, &clocks);
    let ids: Vec<String> = (1..=incidents.len()).map(|it| format!("i{it}")).collect();
    let chosen = question.incident.as_ref().and_then(|id| ids.iter().position(|it| it == id));
    let failing = incidents.iter().any(|it| !it.was_absorbed());
    if incidents.is_empty() {
        let strict = without_incident(testimony, &clocks, &index, without);
        // What settings say by themselves is more than loose words.
        let told = matches!(strict.verdict, Verdict::Named | Verdict::Either);
        let loose = if told { None } else { loosely(testimony, question, without) };
        return loose.unwrap_or(strict);
    }
    let at = chosen.unwrap_or(0);
    let mut ids = ids;
    let incident = incidents.remove(at);
    let id = ids.remove(at);
    let about = |incident| Dossier { testimony, incident, clocks: &clocks, index: &index, without };
    let dossier = about(root(&incident, &incidents, &index));
    let mut report = Explained::of(&dossier, Some(&incident)).report(Some((&id, &incident)));
    if !failing || incident.was_absorbed() {
        absorbed(&mut report, &incident);
    }
    let rest = incidents.iter().zip(&ids);
    report.left_out = incidents.len().saturating_sub(OTHERS) as u64;
    report.others = rest
        .take(OTHERS)
        .map(|(it, id)| {
            let all = incidents.iter().chain([&incident]);
            Explained::of(&about(root(it, all, &index)), Some(it)).other(id, it)
        })
        .collect();
    report
}

/// The same with the loose words of lines that no reader knows, where these tell of a failure.
fn loosely(testimony: &Testimony, question: &Question, without: Option<&str>) -> Option<Report> {
    if !testimony.ledger.may_loosen() {
        return None;
    }
    let mut loosened = testimony.clone();
    loosened.ledger.loosen();
    let clocks = Clocks::of(&loosened);
    let failed = incidents(&loosened, &clocks).iter().any(|it| !it.was_absorbed());
    failed.then(|| report(&loosened, question, without))
}

/// The most plausible cause of the incident of one hop, whether or not it can be named for sure: its
/// words and cure stand in the report, with the candidates that it has.
pub(crate) fn most_plausible(
    testimony: &Testimony,
    hop: Product,
) -> Option<(&'static Cause, Report)> {
    let clocks = Clocks::of(testimony);
    let index = Index::of(testimony);
    let incidents = incidents(testimony, &clocks);
    let incident = incidents.iter().find(|it| it.hop == hop)?;
    let dossier = Dossier { testimony, incident, clocks: &clocks, index: &index, without: None };
    let explained = Explained::of(&dossier, Some(incident));
    let cause = explained.weighed.first()?.entry.cause;
    let mut report = explained.report(Some(("i1", incident)));
    report.statement = words(cause, &dossier);
    report.fix = cure(cause, &dossier);
    blanks::fill(&mut report, &dossier);
    Some((cause, report))
}

/// The incident that is to be explained for this one: the first failures that it comes from, else
/// itself.
fn root<'i>(
    incident: &'i Incident,
    all: impl IntoIterator<Item = &'i Incident>,
    index: &Index,
) -> &'i Incident {
    let causes = all.into_iter().filter(|it| it.led_to(incident, index));
    let first = |it: &&Incident| {
        let offset = it.cites.first().map(|it| (it.source, it.offset));
        (it.first.is_none(), it.first, offset)
    };
    causes.min_by_key(first).unwrap_or(incident)
}

/// Where the first failures may have passed, but the proxy goes on not to ask, that is the cause as
/// likely as what was behind them.
fn kept_aside(dossier: &Dossier, failed: &Incident, weighed: &mut Vec<Weighed>) {
    /// Its odds against all that explains the first failures.
    const ODDS: f32 = 1.0;
    /// As long as proxies set a server aside at the least (`fail_timeout` of nginx).
    const ASIDE: i64 = 10 * evidence::clock::SECOND;
    let silence = failed.last.zip(dossier.incident.last).map_or(0, |(end, last)| end - last);
    let passing = weighed.first().is_some_and(|it| it.entry.cause.passing && !it.witnessed());
    let Some(entry) = crate::entry("no_live_upstreams").filter(|_| silence > ASIDE && passing)
    else {
        return;
    };
    weighed.retain(|it| it.entry.cause.id != entry.cause.id);
    weighed.iter_mut().for_each(|it| it.confidence /= 1.0 + ODDS);
    let confidence = ODDS / (1.0 + ODDS);
    weighed.push(Weighed { entry, hits: Vec::new(), own: 0.0, confidence });
    weighed.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
}

/// What was found out about one incident.
struct Explained<'d> {
    dossier: &'d Dossier<'d>,
    weighed: Vec<Weighed>,
    verdict: Verdict,
}

impl<'d> Explained<'d> {
    /// What is behind the incident of the dossier, which may be but the root of the one that failed.
    fn of(dossier: &'d Dossier<'d>, failed: Option<&Incident>) -> Explained<'d> {
        let mut weighed = weigh(dossier);
        if let Some(failed) = failed {
            kept_aside(dossier, failed, &mut weighed);
        }
        weighed.retain(|it| it.confidence >= WORTH || !it.hits.is_empty());
        let verdict = verdict(&weighed);
        Explained { dossier, weighed, verdict }
    }

    /// Drops candidates, and judges what is left.
    fn keep(&mut self, kept: impl Fn(&Weighed) -> bool) {
        self.weighed.retain(kept);
        self.verdict = verdict(&self.weighed);
    }

    fn candidates(&self) -> Vec<Candidate> {
        self.weighed
            .iter()
            .filter(|it| it.confidence >= WORTH)
            .take(CANDIDATES)
            .map(|it| Candidate {
                cause: it.entry.cause.id.to_owned(),
                confidence: rounded(it.confidence),
            })
            .collect()
    }

    /// The cause that a sentence may name.
    fn cause(&self) -> Option<&'static Cause> {
        let named = matches!(self.verdict, Verdict::Named | Verdict::Either);
        self.weighed.first().filter(|_| named).map(|it| it.entry.cause)
    }

    fn statement(&self) -> String {
        let dossier = self.dossier;
        let words = |it: &Weighed| words(it.entry.cause, dossier);
        match self.verdict {
            Verdict::Named => words(&self.weighed[0]),
            Verdict::Either => {
                let worth = self.weighed.iter().filter(|it| it.confidence >= TOLD);
                let sure: Vec<String> = worth.take(3).map(words).collect();
                let (last, first) =
                    sure.split_last().map_or((String::new(), &[][..]), |(a, b)| (a.clone(), b));
                format!("either {}, or {last}", first.join(", or "))
            }
            Verdict::Unknown | Verdict::NoFailure => {
                let seen = seen(dossier);
                let ids: Vec<&str> = self
                    .weighed
                    .iter()
                    .filter(|it| it.confidence >= TOLD)
                    .take(3)
                    .map(|it| it.entry.cause.id)
                    .collect();
                match ids.is_empty() {
                    true => format!("{seen}; nothing in these inputs says why"),
                    false => seen,
                }
            }
        }
    }

    fn other(&self, id: &str, incident: &Incident) -> Other {
        Other {
            id: id.to_owned(),
            cause: self.cause().map_or("unknown", |it| it.id).to_owned(),
            confidence: self.weighed.first().map_or(0.0, |it| rounded(it.confidence)),
            first: incident.first.map(rfc3339),
            last: incident.last.map(rfc3339),
            failed: Some(incident.failed),
            statement: self.statement(),
        }
    }

    fn report(&self, incident: Option<(&str, &Incident)>) -> Report {
        let dossier = self.dossier;
        let failed = incident.map_or(dossier.incident, |(_, it)| it);
        let first = self.weighed.first();
        let cause = self.cause();
        let evidence = exhibits(dossier, failed, &self.weighed);
        let candidates = self.candidates();
        let sufficiency = sufficiency(dossier, first);
        let wire = wire(failed.sign);
        let certain = self.verdict == Verdict::Named && sufficiency == Sufficiency::High;
        let mut next = if certain { Vec::new() } else { next::steps(dossier, &self.weighed) };
        if next.is_empty() && !certain {
            next = next::fallback(dossier);
        }
        let mut report = Report {
            schema: SCHEMA,
            verdict: self.verdict,
            cause: cause.map_or("unknown", |it| it.id).to_owned(),
            wire: wire.map(str::to_owned),
            family: cause.map(|it| format!("{:?}", it.family)),
            side: cause.map_or(Side::Unknown, |it| it.side),
            status: status(failed),
            retry: retry(cause, failed.sign),
            statement: self.statement(),
            confidence: candidates.first().map_or(0.0, |it| it.confidence),
            sufficiency,
            candidates,
            incident: incident.map(|(id, it)| summary(id, it, dossier)),
            others: Vec::new(),
            left_out: 0,
            path: path(dossier, failed, cause, self.weighed.first(), &evidence),
            rejected: self.rejected(&evidence),
            evidence,
            not_looked_at: not_looked_at(dossier),
            next,
            fix: cause.map_or_else(Cure::default, |it| cure(it, dossier)),
            read: read(dossier.testimony),
        };
        blanks::fill(&mut report, dossier);
        report
    }

    /// Why the next best were not named.
    fn rejected(&self, evidence: &[Exhibit]) -> Vec<Rejected> {
        let beaten = self.weighed.iter().skip(1);
        let against = |it: &Weighed| {
            let worst = it.hits.iter().filter(|it| it.weight < 0.0);
            let hit = worst.min_by(|a, b| a.weight.total_cmp(&b.weight))?;
            let id = hit.cite.as_ref().and_then(|cite| exhibit_of(evidence, cite));
            Some(match id {
                Some(id) => format!("{} ({id})", hit.says),
                None => hit.says.clone(),
            })
        };
        let named = self.verdict == Verdict::Named;
        beaten
            .filter_map(|it| {
                let why = against(it).or_else(|| {
                    (named && it.own <= 0.0)
                        .then(|| "nothing that was read speaks for it".to_owned())
                })?;
                Some(Rejected { cause: it.entry.cause.id.to_owned(), why })
            })
            .take(4)
            .collect()
    }
}

fn verdict(weighed: &[Weighed]) -> Verdict {
    let at = |it: usize| weighed.get(it).map_or(0.0, |it| f64::from(it.confidence));
    if at(0) >= NAMED && at(0) - at(1) >= AHEAD {
        // A symptom is no cause: it is what is to be explained.
        let symptom = matches!(weighed[0].entry.cause.id, "premature_close" | "connection_reset");
        return if symptom { Verdict::Unknown } else { Verdict::Named };
    }
    if at(0) + at(1) + at(2) >= TOGETHER && at(1) >= f64::from(TOLD) {
        return Verdict::Either;
    }
    Verdict::Unknown
}

/// Two decimals: more would claim more than is known.
fn rounded(confidence: f32) -> f64 {
    (f64::from(confidence) * 100.0).floor() / 100.0
}

/// What was seen, whoever is to blame.
fn seen(dossier: &Dossier) -> String {
    let incident = dossier.incident;
    let says = dossier.sign().says();
    match incident.sign.kind() {
        Kind::Wire | Kind::Cut => match dossier.upstream() {
            Some(upstream) => format!("{} could not use {upstream}: {says}", dossier.hop()),
            None => format!("{} saw: {says}", dossier.hop()),
        },
        _ => says.to_owned(),
    }
}

fn words(cause: &Cause, dossier: &Dossier) -> String {
    if let Some(words) = (cause.text.says)(dossier) {
        return words;
    }
    let mut letters = cause.title.chars();
    let title: String =
        letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
    match dossier.upstream() {
        Some(upstream) => format!("{title} ({} to {upstream})", dossier.hop()),
        None => title,
    }
}

/// Faults that came before any byte of the request left the hop.
fn before_sending(sign: Sign) -> bool {
    use Sign::*;
    matches!(
        sign,
        ConnectRefused
            | ConnectTimedOut
            | ConnectFailed
            | HostUnreachable
            | NetworkUnreachable
            | NoLocalPort
            | NoDescriptors
            | SocketMissing
            | SocketStale
            | SocketBacklogFull
            | NameServerFailed
            | NameTimedOut
            | NoLiveUpstream
            | NoEndpoints
            | QueueTimedOut
            | ConnectionLimit
            | CircuitOpen
    )
}

fn retry(cause: Option<&'static Cause>, sign: Sign) -> Retry {
    let class = match (sign.kind(), cause) {
        (Kind::Cut, _) => RetryClass::R4,
        _ if before_sending(sign) => RetryClass::R0,
        (_, Some(cause)) => cause.retry,
        _ => wire(sign).and_then(crate::entry).map_or(RetryClass::R2, |it| it.cause.retry),
    };
    let says = match class {
        RetryClass::R0 => "nothing was sent: safe to repeat, any method",
        RetryClass::R1 => "the upstream did not process it: safe to repeat, any method",
        RetryClass::R2 => {
            "sent, no answer came: repeat only what may safely happen twice, such as GET"
        }
        RetryClass::R3 => "it will fail the same way again until something is changed",
        RetryClass::R4 => "part of the answer was delivered: not to be repeated by a proxy",
    };
    Retry { class, says: says.to_owned() }
}

/// Quotes: the fault's own lines first, then what speaks for and against the candidates.
fn exhibits(dossier: &Dossier, failed: &Incident, weighed: &[Weighed]) -> Vec<Exhibit> {
    let mut exhibits: Vec<Exhibit> = Vec::new();
    // Those of the root, and those of what it led to.
    for cite in dossier.incident.cites.iter().chain(&failed.cites) {
        add(&mut exhibits, dossier, cite, &cite.says, None, 0.0);
    }
    for it in weighed.iter().filter(|it| it.confidence >= WORTH || it.own != 0.0).take(CANDIDATES) {
        for hit in it.support().chain(it.hits.iter().filter(|it| it.weight < 0.0)) {
            if let Some(cite) = &hit.cite {
                add(&mut exhibits, dossier, cite, &hit.says, Some(it.entry.cause.id), hit.weight);
            }
        }
    }
    exhibits
}

fn exhibit_of<'e>(exhibits: &'e [Exhibit], cite: &Cite) -> Option<&'e str> {
    let same =
        |it: &&Exhibit| it.quote == cite.quote && it.line == cite.line && it.offset == cite.offset;
    exhibits.iter().find(same).map(|it| it.id.as_str())
}

fn add(
    exhibits: &mut Vec<Exhibit>,
    dossier: &Dossier,
    cite: &Cite,
    says: &str,
    cause: Option<&str>,
    weight: f32,
) {
    if cite.quote.trim().is_empty() {
        return;
    }
    let known = exhibits
        .iter()
        .position(|it| it.quote == cite.quote && it.line == cite.line && it.offset == cite.offset);
    let at = match known {
        Some(at) => at,
        None if exhibits.len() >= EXHIBITS => return,
        None => {
            let sources = &dossier.testimony.sources;
            exhibits.push(Exhibit {
                id: format!("e{}", exhibits.len() + 1),
                trust: cite.trust,
                source: sources
                    .get(cite.source as usize)
                    .map_or_else(String::new, |it| it.name.clone()),
                line: cite.line,
                offset: cite.offset,
                length: cite.offset.map(|_| cite.quote.len() as u64),
                quote: cite.quote.clone(),
                says: if says.is_empty() { cite.says.clone() } else { says.to_owned() },
                supports: Vec::new(),
                refutes: Vec::new(),
            });
            exhibits.len() - 1
        }
    };
    let Some(cause) = cause else { return };
    let list = match weight < 0.0 {
        true => &mut exhibits[at].refutes,
        false => &mut exhibits[at].supports,
    };
    if !list.iter().any(|it| it == cause) {
        list.push(cause.to_owned());
    }
}

/// From what the caller saw to the root.
fn path(
    dossier: &Dossier,
    failed: &Incident,
    cause: Option<&'static Cause>,
    first: Option<&Weighed>,
    evidence: &[Exhibit],
) -> Vec<Link> {
    let incident = dossier.incident;
    let lines = |it: &Incident| -> Vec<String> {
        let ids = it.cites.iter().filter_map(|it| exhibit_of(evidence, it));
        ids.map(str::to_owned).collect()
    };
    let mut path = Vec::new();
    let says = dossier.sign().says();
    if incident.of_requests() {
        let effect = match status(failed) {
            Some(status) if incident.hop.stack() == Stack::Caller => {
                format!("{} got {status}", dossier.hop())
            }
            Some(status) => format!("{} answered {status}", dossier.hop()),
            None => format!("{} failed", dossier.hop()),
        };
        path.push(Link { effect, because: failed.sign.says().to_owned(), evidence: lines(failed) });
    }
    // The first failures, for which the proxy did what it said later.
    if !std::ptr::eq(failed, incident) {
        let effect = failed.sign.says().to_owned();
        path.push(Link { effect, because: says.to_owned(), evidence: lines(incident) });
    }
    let Some((cause, weighed)) = cause.zip(first) else { return path };
    let support = |it: &Weighed| -> Vec<String> {
        let cites = it.support().filter_map(|it| exhibit_of(evidence, it.cite.as_ref()?));
        cites.map(str::to_owned).collect()
    };
    // The fault on the wire is the cause itself: one link says both.
    if wire(dossier.sign()) == Some(cause.id)
        && let [.., link] = &mut path[..]
    {
        if weighed.witnessed() {
            link.because = words(cause, dossier);
        }
        for id in support(weighed) {
            if !link.evidence.contains(&id) {
                link.evidence.push(id);
            }
        }
        return path;
    }
    let mut effect = says.to_owned();
    // The effect of the cause through which it reached the wire, where there is one between.
    if let Some(between) = between(cause, dossier.sign()) {
        path.push(Link { effect, because: lower(between.title), evidence: Vec::new() });
        effect = lower(between.title);
    }
    let support = support(weighed);
    path.push(Link { effect, because: words(cause, dossier), evidence: support });
    path
}

/// The cause that stands directly behind the fault, where the root is another.
fn between(cause: &'static Cause, sign: Sign) -> Option<&'static Cause> {
    if cause.text.behind.iter().any(|(it, _)| *it == sign) {
        return None;
    }
    let effects = cause.text.brings.iter().filter_map(|it| crate::entry(it));
    effects.map(|it| it.cause).find(|it| it.text.behind.iter().any(|(it, _)| *it == sign))
}

fn lower(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

fn cure(cause: &'static Cause, dossier: &Dossier) -> Cure {
    let cure = (cause.text.cure)(dossier);
    if cure != Cure::default() {
        return cure;
    }
    // The page's own advice, a paragraph a step.
    let page = crate::entry(cause.id).map(|it| it.page()).unwrap_or_default();
    let advice = page.split("## Fix").nth(1).unwrap_or_default();
    let steps = advice.split("\n\n").map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
    let now = steps.filter(|it| !it.is_empty()).map(Step::say).collect();
    Cure { now, ..Cure::default() }
}

fn summary(id: &str, incident: &Incident, dossier: &Dossier) -> IncidentSummary {
    let newest = dossier.clocks.newest(dossier.testimony);
    let ongoing = incident.last.zip(newest).map(|(last, newest)| newest - last < GAP);
    let zone = match incident.sources.iter().all(|it| dossier.clocks.zone(*it) == Zone::Read) {
        true if incident.first.is_some() => Zone::Read,
        _ => Zone::Assumed,
    };
    let mut routes: Vec<(String, u64)> =
        incident.routes.iter().map(|(route, count)| (route.clone(), *count)).collect();
    routes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    routes.truncate(10);
    IncidentSummary {
        id: id.to_owned(),
        first: incident.first.map(rfc3339),
        last: incident.last.map(rfc3339),
        zone,
        ongoing,
        failed: Some(incident.failed),
        of: incident.of,
        client_saw: incident.client_saw,
        absorbed: incident.absorbed,
        made_by: (incident.of_requests() && incident.hop.stack() != Stack::Caller)
            .then(|| incident.hop.name().to_owned()),
        upstream: incident.upstream.clone(),
        service: incident.service.clone(),
        routes,
    }
}

/// How far down the way to the root the sources reach.
fn sufficiency(dossier: &Dossier, first: Option<&Weighed>) -> Sufficiency {
    let incident = dossier.incident;
    if incident.sign.kind() == Kind::Answer || dossier.testimony.ledger.loosened {
        return Sufficiency::Low;
    }
    let behind = dossier.testimony.sources.iter().any(|it| {
        it.products.iter().any(|it| {
            let stack = it.stack();
            stack != incident.hop.stack()
                && !matches!(stack, Stack::Unknown | Stack::Caller)
                && !stack.is_proxy()
        })
    });
    let complete = first.is_some_and(|it| {
        it.witnessed()
            && it
                .hits
                .iter()
                .filter(|it| it.weight > 0.0)
                .any(|hit| hit.cite.as_ref().is_some_and(|it| it.trust <= Trust::C))
    });
    match incident.of_requests() {
        true if behind && complete => Sufficiency::High,
        _ => Sufficiency::Medium,
    }
}

fn not_looked_at(dossier: &Dossier) -> Vec<NotLookedAt> {
    let mut missing = next::missing(dossier);
    missing.extend(set_aside(dossier.testimony));
    missing
}

/// What was read and does not count: lines that do not belong where they stand, and what is beyond
/// the limits of memory.
fn set_aside(testimony: &Testimony) -> Vec<NotLookedAt> {
    const SHOWN: usize = 5;
    let unexpected = testimony.ledger.unexpected.iter().take(SHOWN).map(|(product, place, count)| {
        let name = testimony.sources.get(place.source as usize).map_or("", |it| it.name.as_str());
        let line = place.line.map(|it| format!(":{it}")).unwrap_or_default();
        let (noun, verb) = if *count == 1 { ("line", "is") } else { ("lines", "are") };
        NotLookedAt {
            source: format!("{name}{line}"),
            why: format!(
                "{count} {noun} that {verb} unexpected here: of the format of {}, which another \
                 process writes; an app may log what a caller sent, so they prove nothing",
                product.name()
            ),
            run: None,
        }
    });
    let beyond = testimony.ledger.left_out;
    let dropped: u64 = testimony.ledger.groups.values().map(|it| it.dropped.1).sum();
    let over = (beyond + dropped > 0).then(|| NotLookedAt {
        source: "the inputs".to_owned(),
        why: format!("{} observations beyond what is kept were only counted", beyond + dropped),
        run: None,
    });
    unexpected.chain(over).collect()
}

fn read(testimony: &Testimony) -> Vec<Read> {
    let sources = testimony.sources.iter();
    sources
        .map(|it| Read {
            source: it.name.clone(),
            origin: it.origin,
            bytes: it.bytes,
            lines: it.lines,
            from: it.first.map(rfc3339),
            to: it.last.map(rfc3339),
            understood: it.understood.map(|it| (it * 1000.0).round() / 1000.0),
        })
        .collect()
}

/// Each failed attempt was repeated, and the client never saw it.
fn absorbed(report: &mut Report, incident: &Incident) {
    let cause = report.candidates.first().map(|it| it.cause.clone());
    report.verdict = Verdict::NoFailure;
    report.cause = "unknown".to_owned();
    report.family = None;
    report.side = Side::Unknown;
    let attempts = if incident.failed == 1 {
        "1 attempt".to_owned()
    } else {
        format!("{} attempts", incident.failed)
    };
    let why = cause.map(|it| format!(" (as {it} does)")).unwrap_or_default();
    report.statement = format!(
        "no client saw a failure: {attempts} failed{why}, and the requests succeeded when repeated"
    );
    report.fix = Cure::default();
    if report.next.is_empty() {
        report.next = vec![next::whole_day()];
    }
}

/// Nothing failed, or only configurations were read.
fn without_incident(
    testimony: &Testimony,
    clocks: &Clocks,
    index: &Index,
    without: Option<&str>,
) -> Report {
    let hop = testimony.settings.iter().map(|(_, it)| it.product).find(|it| it.stack().is_proxy());
    let logs = testimony.ledger.understood > 0
        && testimony.ledger.groups.keys().any(|it| it.sign.kind() != Kind::State)
        || !testimony.ledger.minutes.is_empty();
    let incident = Incident::supposed(hop.unwrap_or(Product::Unknown));
    let dossier = Dossier { testimony, incident: &incident, clocks, index, without };
    let mut explained = Explained::of(&dossier, None);
    explained.keep(|it| it.own > 0.0);
    // Both sides' settings contradict each other, and the server refused what came: its answers are
    // 4xx, and yet no caller's doing.
    let pairs = dossier.pairs();
    let unread = !dossier.seen(Sign::RequestUnreadable, When::Any).is_empty();
    let contradicted = unread && !pairs.is_empty();
    let logs = logs && !contradicted;
    if contradicted {
        explained.keep(|it| pairs.iter().any(|pair| pair.cause == it.entry.cause.id));
    }
    // States without any configuration beside them are how servers start.
    let compared = !testimony.settings.is_empty() || explained.cause().is_some();
    if logs || !compared || explained.weighed.is_empty() {
        explained.keep(|_| false);
        let mut report = explained.report(None);
        report.verdict = Verdict::NoFailure;
        report.wire = None;
        report.status = None;
        report.path.clear();
        report.not_looked_at = set_aside(testimony);
        report.next = vec![next::whole_day()];
        report.statement = healthy(testimony);
        return report;
    }
    let mut report = explained.report(None);
    report.wire = None;
    report.status = None;
    report.sufficiency = Sufficiency::Low;
    report
}

/// What was seen where nothing failed.
fn healthy(testimony: &Testimony) -> String {
    let all: u64 = testimony.ledger.minutes.values().map(|it| it.all).sum();
    let client = testimony.ledger.groups.iter().filter(|(key, _)| key.sign.kind() == Kind::Client);
    let client: u64 = client.map(|(_, group)| group.count).sum();
    let limited = limited(testimony);
    if let Some((hop, count, rule)) = limited {
        let rule = rule.map(|it| format!(" by the rule {it}")).unwrap_or_default();
        return format!(
            "nothing failed on the server's side; {hop} refused {count} for how many there were{rule}"
        );
    }
    match (all, client) {
        (0, 0) => "nothing in these inputs has failed".to_owned(),
        (all, 0) => format!("none of {all} requests failed"),
        (0, client) => format!(
            "nothing failed on the server's side; {client} times it was the client's doing or a refusal by policy"
        ),
        (all, client) => format!(
            "none of {all} requests failed on the server's side; {client} times it was the client's doing or a refusal by policy"
        ),
    }
}

/// Who refused requests for how many there were, most often; how many, and by which rule.
fn limited(testimony: &Testimony) -> Option<(&'static str, u64, Option<String>)> {
    let groups = testimony.ledger.groups.iter();
    let refused =
        groups.filter(|(key, _)| key.sign == Sign::RateLimited && key.product.stack().is_proxy());
    let (key, group) = refused.max_by(|a, b| a.1.count.cmp(&b.1.count).then(b.0.cmp(a.0)))?;
    let rule = key.detail.as_deref().or(group.sample().detail.as_deref());
    Some((key.product.name(), group.count, rule.map(crate::wording::brief)))
}

#[cfg(test)]
mod tests {
    use crate::report::{Sufficiency, Verdict};
    use crate::testing::explained;

    #[test]
    fn a_cause_is_named_only_while_it_is_a_candidate() {
        let line = "2026/11/20 10:12:07 [emerg] 1#1: host not found in upstream \"api\" in \
                    /etc/nginx/conf.d/default.conf:4";
        let report = explained(&[("error.log", line)]);
        assert_eq!(report.candidates.is_empty(), report.cause == "unknown");
    }

    const LOOSE: &str = "2026-11-20 15:16:30 ERROR relay: to app:8080 it says that x509 ends with PKIX path building failed there\n";

    #[test]
    fn loose_words_rank_what_nothing_else_tells_and_never_make_sure() {
        let report = explained(&[("relay.log", LOOSE)]);
        assert_eq!(report.candidates[0].cause, "tls_unknown_ca");
        assert!(report.confidence <= 0.85);
        assert_eq!(report.sufficiency, Sufficiency::Low);
        assert!(!report.next.is_empty());
        for words in ["broken pipe", "ECONNRESET", "OutOfMemoryError", "SERVFAIL", "queue is full"]
        {
            let line = format!("2026-11-20 15:16:30 ERROR relay sees that {words} comes up\n");
            let report = explained(&[("relay.log", &line)]);
            assert_ne!(report.verdict, Verdict::NoFailure, "{line}");
            assert!(report.confidence <= 0.85, "{line}");
        }
    }

    #[test]
    fn loose_words_are_nothing_beside_what_a_reader_knows() {
        let known = crate::testing::nginx_to("192.0.2.7:80", crate::testing::REFUSED);
        let alone = explained(&[("error.log", &known)]);
        let both = explained(&[("error.log", &known), ("relay.log", LOOSE)]);
        assert_eq!(both.cause, alone.cause);
        assert!(both.candidates.iter().all(|it| !it.cause.starts_with("tls_")));
    }
}
