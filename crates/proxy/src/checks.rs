//! Targets are asked whether they are well, each at its own pace, on the background runtime.
//!
//! A target that was not asked yet is taken for well, so that nobody waits for the first answers. What
//! the answers mean for requests is decided where targets are chosen; here they are only asked for,
//! remembered and counted.
//!
//! One answer is no verdict: that the question asks for the wrong thing. A path that is not there, that
//! needs a login or lies elsewhere says nothing of the target, and where requests are answered
//! well meanwhile and no other target of the upstream passes, the target stays in and whoever runs the
//! gateway is told (`health_check_wrong_path`). Where another target does pass, the question is
//! right, and this target means what it says: people take one out by letting its check fail so.
//! Nor is what our own host lacks, or a name server that does not answer.

mod ask;
mod doubt;
mod findings;
mod http1;
mod http2;
mod protobuf;
mod reach;

pub(crate) use ask::Check;
pub(crate) use findings::Findings;

use crate::Plane;
use crate::contain::kept_up;
use crate::loud::Trouble;
use crate::registry::{Registry, TargetState};
use crate::snapshot::Prepared;
use crate::upstream::connect;
use crate::upstream::health::Health;
use crate::upstream::tls::TlsSettings;
use config::{Config, Limits, Target, Upstream};
use doubt::Doubt;
use exchange::{CheckFault, Fault};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Questions at once over all targets; more wait, and their time does not run.
const AT_ONCE: usize = 64;

/// The first questions after many targets are spread over this time, each as long as the next.
const SPREAD: Duration = Duration::from_secs(1);
/// And stand no further apart than this.
const APART: Duration = Duration::from_millis(10);

/// What is taken of an answer's body.
const MOST_OF_BODY: u64 = 64 * 1024;

const USER_AGENT: &str = concat!("goodgate-health/", env!("CARGO_PKG_VERSION"));

/// How often it is said that a trouble lasts: more often than it takes to be over.
const STILL: Duration = Duration::from_secs(5);

/// The name of an upstream, and of a target in it.
type Name = (Arc<str>, Arc<str>);

/// The questions of one running gateway.
pub(crate) struct Checks {
    places: Arc<Semaphore>,
    running: HashMap<Name, Running>,
}

struct Running {
    /// Equal where the questions are.
    settings: u64,
    state: Arc<TargetState>,
    task: JoinHandle<()>,
}

/// A target that is asked, and how.
pub(crate) struct Subject {
    upstream: Arc<Upstream>,
    /// Which of its targets.
    index: usize,
    health: config::Health,
    limits: Limits,
    tls: Option<Arc<TlsSettings>>,
    state: Arc<TargetState>,
}

impl Checks {
    pub(crate) fn new() -> Checks {
        Checks { places: Arc::new(Semaphore::new(AT_ONCE)), running: HashMap::new() }
    }

    /// Asks as this configuration says from now on. Questions that it does not change go on as they
    /// are; where they end, the target is taken for well.
    pub(crate) fn adopt(&mut self, prepared: &Prepared, plane: &Arc<Plane>, background: &Handle) {
        let mut before = std::mem::take(&mut self.running);
        let subjects = subjects(prepared, plane);
        let apart = APART.min(SPREAD / u32::try_from(subjects.len().max(1)).unwrap_or(u32::MAX));
        let mut delay = Duration::ZERO;
        for (settings, subject) in subjects {
            let name = (subject.upstream.name.clone(), subject.target().name.clone());
            let known = before.remove(&name);
            let running = match known {
                Some(known) if known.settings == settings => known,
                known => {
                    let state = subject.state.clone();
                    let asking = Asking {
                        subject,
                        plane: plane.clone(),
                        places: self.places.clone(),
                        delay,
                    };
                    delay += apart;
                    let task = background.spawn(asking.after(known.map(|it| it.task)));
                    Running { settings, state, task }
                }
            };
            self.running.insert(name, running);
        }
        for gone in before.into_values() {
            background.spawn(async move {
                end(gone.task).await;
                gone.state.findings.forget();
                gone.state.change_health(Health::uncheck);
            });
        }
    }
}

/// Ends what asks, so that it asks and judges no more.
async fn end(task: JoinHandle<()>) {
    task.abort();
    let _ = task.await;
}

/// Whoever is asked by a configuration, each with a number for how.
fn subjects(prepared: &Prepared, plane: &Plane) -> Vec<(u64, Subject)> {
    let Config { upstreams, limits, .. } = &*prepared.config;
    let mut all = Vec::new();
    for upstream in upstreams {
        let Some(health) = &upstream.health else {
            continue;
        };
        let (tls, files) = prepared.tls(&upstream.name).unzip();
        for (index, target) in upstream.targets.iter().enumerate() {
            let subject = Subject {
                upstream: upstream.clone(),
                index,
                health: health.clone(),
                limits: limits.clone(),
                tls: tls.clone(),
                state: plane.registry.target(&upstream.name, &target.name),
            };
            all.push((subject.settings(files), subject));
        }
    }
    all
}

impl Subject {
    fn target(&self) -> &Target {
        &self.upstream.targets[self.index]
    }

    /// A number for all that a question goes by. `files` is one for the settings of TLS.
    fn settings(&self, files: Option<u64>) -> u64 {
        let Upstream { timeout, proxy_protocol, host, .. } = &*self.upstream;
        let mut hasher = DefaultHasher::new();
        let Limits { response_head, response_fields, interim_responses, .. } = &self.limits;
        (files, proxy_protocol, response_head, response_fields, interim_responses)
            .hash(&mut hasher);
        (timeout.connect, timeout.tls, timeout.send).hash(&mut hasher);
        format!("{:?} {:?} {host:?}", self.health, self.target()).hash(&mut hasher);
        hasher.finish()
    }

    /// Another target of the upstream is well by the same question.
    fn others_pass(&self, registry: &Registry) -> bool {
        let passes = |it: &TargetState| it.findings.passes();
        registry.any_other(&self.upstream.name, &self.state, passes)
    }
}

/// One target's questions, one after the other.
struct Asking {
    subject: Subject,
    plane: Arc<Plane>,
    places: Arc<Semaphore>,
    delay: Duration,
}

impl Asking {
    /// Begins when the questions before are over, since a target is asked one at a time.
    async fn after(self, before: Option<JoinHandle<()>>) {
        if let Some(before) = before {
            end(before).await;
        }
        tokio::time::sleep(self.delay).await;
        let asking = Arc::new(self);
        kept_up(|| asking.clone().go_on()).await;
    }

    async fn go_on(self: Arc<Asking>) {
        let Asking { subject, plane, places, .. } = &*self;
        let mut doubt = Doubt::new(subject.state.findings.answers());
        loop {
            let check = {
                // It is never closed.
                let _place = places.acquire().await;
                ask::ask(subject, &plane.names).await
            };
            if let Some(trouble) = trouble(&check) {
                plane.loud.report(trouble, 1);
            }
            let wrong = subject.judge(&mut doubt, &check, &plane.registry, Instant::now());
            let pause = jittered(subject.health.interval, rand::random());
            if wrong {
                plane.loud.report(Trouble::HealthCheckWrongPath, 1);
                self.rest_loudly(pause).await;
            } else {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Has the trouble last until the next question.
    async fn rest_loudly(&self, mut pause: Duration) {
        while !pause.is_zero() {
            let part = pause.min(STILL);
            tokio::time::sleep(part).await;
            pause -= part;
            self.plane.loud.report(Trouble::HealthCheckWrongPath, 0);
        }
    }
}

impl Subject {
    /// What a check means for the target; whether it asks for the wrong thing.
    fn judge(&self, doubt: &mut Doubt, check: &Check, registry: &Registry, now: Instant) -> bool {
        let findings = &self.state.findings;
        let fault = check.fault.as_ref();
        if fault.is_some_and(CheckFault::is_not_of_the_target) {
            findings.note(check, !self.state.whole_health().is_ill(), false);
            return false;
        }
        let after = self.health.unhealthy_after;
        if check.leaves || fault.is_none() {
            self.state.announced(check.leaves, check.began);
        }
        let wrong = doubt.look(fault, findings.answers(), after) && !self.others_pass(registry);
        let good = fault.is_none();
        let well = self.state.change_health(|it| {
            match wrong {
                true => it.uncheck(),
                false => drop(it.checked(good, &self.health, now)),
            }
            !it.is_ill()
        });
        if good {
            // Whoever waits for the upstream need not find that out.
            registry.upstream(&self.upstream.name).gone.reached();
        }
        findings.note(check, well, wrong);
        wrong
    }
}

/// What our own host was short of, where that is why there is no answer.
fn trouble(check: &Check) -> Option<Trouble> {
    match check.fault {
        Some(CheckFault::Way(Fault::Connect(fault))) => connect::trouble(fault),
        _ => None,
    }
}

/// So long, more or less a tenth: gateways and targets that begin together must not stay together.
/// `chance` is from 0 to 1.
fn jittered(interval: Duration, chance: f64) -> Duration {
    interval.mul_f64(0.9 + 0.2 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use exchange::{ConnectFault, DnsFault};

    fn subject(registry: &Registry) -> Subject {
        let text = "[upstream.app]\ntargets = [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"]\n\
                    health = { path = \"/health\", unhealthy_after = 2, healthy_after = 2 }\n\
                    [route.a]\nmatch = \"/*\"\nto = \"app\"\n";
        let context = config::Context { base: std::path::Path::new(""), env: &|_| None };
        let config = config::parse(text, &context).unwrap().config;
        let upstream = config.upstreams[0].clone();
        let [first, _] =
            [0, 1].map(|at| registry.target(&upstream.name, &upstream.targets[at].name));
        Subject {
            health: upstream.health.clone().unwrap(),
            upstream,
            index: 0,
            limits: config.limits.clone(),
            tls: None,
            state: first,
        }
    }

    fn check(fault: Option<CheckFault>) -> Check {
        let took = Duration::from_millis(1);
        Check { fault, errno: None, took, leaves: false, began: Instant::now() }
    }

    /// What the target is taken for after these checks, each with so many requests answered since the
    /// one before.
    fn after(checks: &[(Option<CheckFault>, usize)], other_passes: bool) -> (bool, bool) {
        let registry = Registry::default();
        let subject = subject(&registry);
        let other = registry.target(&subject.upstream.name, &subject.upstream.targets[1].name);
        other.findings.note(
            &check(Some(CheckFault::Status(503)).filter(|_| !other_passes)),
            true,
            false,
        );
        let mut doubt = Doubt::new(0);
        for (fault, answers) in checks {
            (0..*answers).for_each(|_| subject.state.findings.answered(200, None));
            subject.judge(&mut doubt, &check(fault.clone()), &registry, Instant::now());
        }
        let live = subject.state.findings.live().unwrap();
        (live.well, live.wrong_path)
    }

    #[test]
    fn a_check_is_wrong_where_requests_are_answered_and_no_other_target_passes() {
        let wrong = |answers| (Some(CheckFault::Status(404)), answers);
        assert_eq!(after(&[wrong(0), wrong(10)], false), (true, true));
        assert_eq!(after(&[wrong(0), wrong(10)], true), (false, false));
        assert_eq!(after(&[wrong(0), wrong(9)], false), (false, false));
        // It comes back as soon as that is known.
        assert_eq!(after(&[wrong(0), wrong(9), wrong(1)], false), (true, true));
        let ill = |answers| (Some(CheckFault::Status(500)), answers);
        assert_eq!(after(&[ill(0), ill(50)], false), (false, false));
        assert_eq!(after(&[wrong(0), wrong(10), ill(5), ill(5)], false), (false, false));
    }

    #[test]
    fn what_our_own_host_lacks_says_nothing_of_a_target() {
        let way = |fault| (Some(CheckFault::Way(fault)), 0);
        let short = || way(Fault::Connect(ConnectFault::NoDescriptors));
        let nameless = || way(Fault::Resolve(DnsFault::ServerFailure));
        assert_eq!(after(&[short(), nameless(), short()], false), (true, false));
        let refused = || way(Fault::Connect(ConnectFault::Refused));
        assert_eq!(after(&[refused(), short(), refused()], false), (false, false));
    }

    #[test]
    fn a_pause_is_within_a_tenth_of_the_interval() {
        let check = |chance, millis| {
            let pause = jittered(Duration::from_secs(5), chance);
            assert_eq!(pause.as_millis(), millis, "{chance}");
        };
        check(0.0, 4_500);
        check(0.5, 5_000);
        check(1.0, 5_500);
    }
}
