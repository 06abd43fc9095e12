//! Opens a connection for a question: where the target is a name, to the first of its addresses that takes
//! one, as a request does (RFC 8305).

use super::ask::Question;
use crate::upstream::connect::{self, NotOpened, Opened, Race, STAGGER};
use crate::upstream::names::{Known, Look, Name, Names, PATIENCE};
use crate::upstream::resolve;
use config::Place;
use exchange::{Address, CheckFault, ConnectFault, DnsFault, Fault};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

pub(super) async fn open(question: &mut Question<'_>, names: &Names) -> Result<Opened, CheckFault> {
    let (asked, port) = match &question.subject.target().place {
        Place::Inet(address) => return one(question, Address::Inet(*address)).await,
        Place::Unix(path) => return one(question, Address::Unix(path.clone())).await,
        Place::Name { host, port } => (resolve::Question::Host(host.clone()), *port),
        // Each record has a port of its own.
        Place::Service(name) => (resolve::Question::Service(name.clone()), 0),
    };
    let name = question.subject.state.name.get_or_init(|| names.name(asked));
    let known = find(question, name).await?;
    let addresses = name.addresses(&known, port, |below| rand::random::<u64>() % below.max(1));
    race(question, name, addresses.into(), known.generation).await
}

/// The one place where the target may be dialled.
async fn one(question: &mut Question<'_>, address: Address) -> Result<Opened, CheckFault> {
    let (until, limit) =
        question.limit("timeout.connect", question.subject.upstream.timeout.connect);
    let dialled = question.within(until, connect::dial(&address)).await;
    connect::named(dialled, &address, limit).map_err(|it| not_opened(question, &it))
}

fn not_opened(question: &mut Question<'_>, not: &NotOpened) -> CheckFault {
    question.attempt.errno = not.errno;
    CheckFault::Way(Fault::Connect(not.fault))
}

/// What is known of the name, after a question to its servers where nothing is.
async fn find(question: &Question<'_>, name: &Arc<Name>) -> Result<Known, CheckFault> {
    let failed = |fault| Err(CheckFault::Way(Fault::Resolve(fault)));
    let (until, limit) = question.limit("dns.timeout", name.timeout());
    loop {
        let (round, or) = match name.look() {
            Look::Known(known) => return Ok(known),
            Look::Fails(DnsFault::TimedOut(_)) => return failed(DnsFault::TimedOut(name.limit())),
            Look::Fails(fault) => return failed(fault),
            Look::Wait(round, or) => (round, or),
        };
        let patient = match or {
            Some(_) => until.min(Instant::now() + PATIENCE),
            None => until,
        };
        match (question.within(patient, round.over()).await, or) {
            (Some(()), _) => {}
            (None, Some(known)) => return Ok(known),
            (None, None) => return failed(DnsFault::TimedOut(limit)),
        }
    }
}

/// One after the other, and the next where one takes long. What is learned of addresses is for
/// requests too.
async fn race(
    question: &mut Question<'_>,
    name: &Arc<Name>,
    mut queue: VecDeque<SocketAddr>,
    generation: u64,
) -> Result<Opened, CheckFault> {
    let (until, limit) =
        question.limit("timeout.connect", question.subject.upstream.timeout.connect);
    let mut race = Race::default();
    let mut last = NotOpened { fault: ConnectFault::TimedOut(limit), errno: None };
    loop {
        if let Some(address) = queue.pop_front() {
            race.start(address);
        } else if race.is_empty() {
            break;
        }
        let wake = if queue.is_empty() { until } else { until.min(Instant::now() + STAGGER) };
        match question.within(wake, poll_fn(|cx| race.poll(limit, cx))).await {
            Some((address, Ok(opened))) => {
                name.opened(address);
                return Ok(opened);
            }
            Some((address, Err(not))) => {
                if not.is_by_address() {
                    name.shun(address);
                }
                last = not;
            }
            None if until <= Instant::now() => {
                last = NotOpened { fault: ConnectFault::TimedOut(limit), errno: None };
                break;
            }
            None => {}
        }
    }
    for (address, _) in race.left() {
        name.shun(address);
    }
    // They may be those of yesterday: the next who comes has new ones.
    drop(name.again(generation));
    Err(not_opened(question, &last))
}
