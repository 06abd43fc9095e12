//! Asks a target through the gateway, as a client would, and reads why it failed.

use super::targets::Target;
use lab::client::{Answer, Client, request_for};
use serde::Deserialize;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The report about a cut answer is there as soon as the exchange is over.
const REPORT_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What came of the requests to one target.
pub(super) struct Seen {
    /// In the order in which they were asked.
    pub(super) answers: Vec<Answer>,
    /// What the gateway says about the last one, where it has anything to say.
    pub(super) report: Option<Report>,
    /// How long the last one took.
    pub(super) took: Duration,
}

/// The part of a report that the tour shows.
#[derive(Deserialize)]
pub(super) struct Report {
    pub(super) cause: String,
    /// Absent for a caller who may not know how the gateway reaches its upstreams.
    #[serde(default)]
    pub(super) detail: String,
    #[serde(default)]
    pub(super) fix: Fixes,
}

#[derive(Default, Deserialize)]
pub(super) struct Fixes {
    pub(super) now: Vec<Fix>,
}

#[derive(Deserialize)]
pub(super) struct Fix {
    pub(super) text: String,
    pub(super) run: Option<String>,
}

impl Seen {
    /// Each answer has the status that it should have, and the last one the cause.
    pub(super) fn is_expected(&self, target: &Target) -> bool {
        let expects = target.expects();
        let cause = expects.last().and_then(|it| it.cause);
        let fits = expects
            .iter()
            .zip(&self.answers)
            .all(|(expect, it)| it.status == Some(expect.status) && it.cut() == expect.cut);
        fits && self.report.as_ref().map(|it| it.cause.as_str()) == cause
    }
}

/// Asks in order on one connection, or on another where the gateway has closed it.
pub(super) async fn meet(target: &Target, at: SocketAddr) -> io::Result<Seen> {
    let mut client = Client::connect(at).await?;
    let mut answers: Vec<Answer> = Vec::new();
    let mut took = Duration::ZERO;
    for expect in target.expects() {
        let closes = |it: &Answer| it.cut() || it.field("connection") == Some("close");
        if answers.last().is_some_and(closes) {
            client = Client::connect(at).await?;
        }
        tokio::time::sleep(expect.pause).await;
        let began = Instant::now();
        answers.push(client.exchange(&request_for(&target.path(), expect.ask)).await);
        took = began.elapsed();
    }
    let report = match answers.last() {
        Some(it) if it.cut() => kept_report(it, at).await?,
        Some(it) => report(it),
        None => None,
    };
    Ok(Seen { answers, report, took })
}

/// The report in an answer that the gateway made itself.
fn report(answer: &Answer) -> Option<Report> {
    let is_ours = answer.field("content-type") == Some("application/problem+json");
    is_ours.then(|| serde_json::from_slice(&answer.body).ok()).flatten()
}

/// An answer that was cut cannot say why; the gateway keeps the report under its id.
async fn kept_report(cut: &Answer, at: SocketAddr) -> io::Result<Option<Report>> {
    let Some(id) = cut.field("x-request-id") else { return Ok(None) };
    let path = format!("/.well-known/goodgate/reports/{id}");
    let began = Instant::now();
    loop {
        let answer = Client::connect(at).await?.exchange(&request_for(&path, lab::Ask::Get)).await;
        if answer.status == Some(200) || REPORT_WITHIN < began.elapsed() {
            return Ok(report(&answer));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
