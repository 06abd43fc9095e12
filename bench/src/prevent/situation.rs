//! What a situation is: targets, what happens to them and when, the load, and what is within reach.

use super::apps::Python;
use super::fingerprint;
use super::names::Says;
use super::schedule::{Load, Part};
use super::target::Manner;
use std::time::Duration;

/// One situation. Its name is what `--only` takes.
pub(crate) struct Situation {
    pub(crate) name: &'static str,
    /// As the table says it.
    pub(crate) title: &'static str,
    pub(crate) servers: Servers,
    pub(crate) load: Load,
    /// In the order of their times.
    pub(crate) script: Vec<At>,
    pub(crate) reach: Reach,
}

/// What the proxies forward to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Servers {
    /// So many targets of ours, each known by its address.
    Own { count: usize, manner: Manner },
    /// So many targets of ours on addresses of their own behind one name, of which a name server of
    /// ours knows at first what is said here.
    Named { count: usize, manner: Manner, at_first: Says },
    /// So many instances of a real server for Python.
    Python { python: Python, count: usize },
    /// So many targets that speak HTTP/2 without TLS, some way off, and send GOAWAY after so many
    /// requests on a connection.
    Http2 { count: usize, requests: u32 },
}

impl Servers {
    pub(crate) fn speak_http2(self) -> bool {
        matches!(self, Servers::Http2 { .. })
    }
}

/// A step and its time since the load began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(pub(crate) Duration, pub(crate) Step);

/// The numbers are those of targets, from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// From its next request on.
    Become(usize, Manner),
    Kill(usize),
    Terminate(usize),
    Start(usize),
    /// SIGHUP to a server for Python, which then replaces its workers.
    HangUp(usize),
    /// SIGKILL to one worker of a server for Python.
    KillWorker(usize),
    /// Packets to it are lost.
    Vanish(usize),
    Reappear(usize),
    /// What the name server says from now on.
    Say(Says),
    Reload,
    Restart,
}

/// What is left when only requests fail that nobody can save without running a POST twice.
pub(crate) struct Reach {
    /// Failed requests of a thousand; `None` where shedding is right and other figures count.
    pub(crate) failed: Option<f64>,
    pub(crate) bounds: &'static [Bound],
}

/// A figure that must be kept besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) figure: Figure,
    pub(crate) limit: Limit,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// What is made of the calls of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Milliseconds until 99 of 100 answers were there, of those that came whole.
    P99(Part),
    /// Failed requests of a thousand of this part.
    Failed(Part),
    /// Whole answers a second while this part was asked.
    Goodput(Part),
    /// How often targets began one request of this part.
    Attempts(Part),
    /// Of a thousand requests that clients gave up, those whose work went on for nobody.
    ForNobody,
}

impl Situation {
    /// Another one where targets, load or script are others: results of before do not stand for it.
    pub(crate) fn fingerprint(&self) -> u64 {
        let Situation { servers, load, script, .. } = self;
        fingerprint::of(format!("{servers:?} {load:?} {script:?}").into_bytes())
    }

    /// Whether targets die with what they have in hand. How many POSTs that are is a lot that all
    /// proxies of a round draw alike, and nobody can save them.
    pub(crate) fn kills(&self) -> bool {
        self.script.iter().any(|it| matches!(it.1, Step::Kill(_) | Step::KillWorker(_)))
    }

    /// Whether its failures count in the sum.
    pub(crate) fn counts_in_sum(&self) -> bool {
        self.reach.failed.is_some()
    }
}

impl Limit {
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Limit::AtMost(most) => value <= most,
            Limit::AtLeast(least) => least <= value,
        }
    }
}

impl Reach {
    pub(crate) const fn failed(per_thousand: f64) -> Reach {
        Reach { failed: Some(per_thousand), bounds: &[] }
    }
}

/// A step at so many seconds.
pub(crate) fn at(seconds: f64, step: Step) -> At {
    At(Duration::from_secs_f64(seconds), step)
}
