//! The fault table: every scene through goodgate, nginx and haproxy, in the same run.

use crate::SCENES;
use crate::client::{Answer, Client, request};
use crate::gateway::Gateway;
use crate::neighbours::{self, Neighbour};
use crate::scene::{Expect, Scene};
use std::io;
use std::net::SocketAddr;

/// What three gateways made of one scene.
pub struct Row {
    pub scene: &'static Scene,
    pub goodgate: String,
    pub nginx: String,
    pub haproxy: String,
}

/// Plays every scene; `each` is told each row as it is there.
pub async fn play_all(mut each: impl FnMut(&Row)) {
    for scene in SCENES {
        each(&row(scene).await);
    }
}

async fn row(scene: &'static Scene) -> Row {
    Row {
        scene,
        goodgate: goodgate(scene).await.unwrap_or_else(|it| words(&it)),
        nginx: nginx(scene).await.unwrap_or_else(|it| words(&it)),
        haproxy: haproxy(scene).await.unwrap_or_else(|it| words(&it)),
    }
}

// Each gateway gets a scene of its own: what one of them pooled must not meet another.
async fn goodgate(scene: &Scene) -> io::Result<String> {
    let playing = scene.start()?;
    let gateway = Gateway::before(&playing).await?;
    let answers = ask(scene.expects, gateway.listen).await?;
    // The answer's own word comes first: after a loop the last record is that of the first round.
    let record = gateway.records_soon(answers.len()).await.pop();
    let recorded = record.as_ref().and_then(|it| it["cause"].as_str());
    let answer = answers.last();
    let cause = answer.and_then(|it| proxy_status(it, "cause")).or(recorded);
    let error = answer.and_then(|it| proxy_status(it, "error"));
    let words = [Some(outcome(&answers)), cause.map(str::to_owned), error.map(str::to_owned)];
    Ok(words.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

async fn nginx(scene: &Scene) -> io::Result<String> {
    let playing = scene.start()?;
    neighbour(scene, neighbours::nginx(&playing).await?).await
}

async fn haproxy(scene: &Scene) -> io::Result<String> {
    let playing = scene.start()?;
    neighbour(scene, neighbours::haproxy(&playing).await?).await
}

async fn neighbour(scene: &Scene, neighbour: Neighbour) -> io::Result<String> {
    Ok(outcome(&ask(scene.expects, neighbour.listen).await?))
}

/// Asks in order on one connection, or on another where a gateway has closed it.
pub async fn ask(expects: &[Expect], of: SocketAddr) -> io::Result<Vec<Answer>> {
    let mut client = Client::connect(of).await?;
    let mut answers: Vec<Answer> = Vec::new();
    for expect in expects {
        let closes = |it: &Answer| it.cut() || it.field("connection") == Some("close");
        if answers.last().is_some_and(closes) {
            client = Client::connect(of).await?;
        }
        tokio::time::sleep(expect.pause).await;
        answers.push(client.exchange(&request(expect.ask)).await);
    }
    Ok(answers)
}

/// The last answer decides, those before it lead there.
fn outcome(answers: &[Answer]) -> String {
    answers.last().map_or_else(String::new, Answer::words)
}

/// A parameter of the member of `Proxy-Status` that is nearest the origin.
#[must_use]
pub fn proxy_status<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let parameters = answer.field("proxy-status")?.split(';').map(str::trim);
    parameters.filter_map(|it| it.split_once('=')).find(|(it, _)| *it == name).map(|(_, it)| it)
}

fn words(error: &io::Error) -> String {
    format!("not played: {}", error.to_string().lines().next().unwrap_or_default())
}
