//! One run: fresh targets, gateway and clients, the script of a situation, and what came of it.

use super::behind::Behind;
use super::callers::{self, Call};
use super::fingerprint;
use super::ledger::Ledger;
use super::peers::{Front, Gateway, Program};
use super::results::Outcome;
use super::situation::{At, Situation, Step};
use crate::workplace::Workplace;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// From the first answers of a gateway to the load: its checks have passed then.
const SETTLE: Duration = Duration::from_millis(2500);
/// Between the decision to begin and the first request.
const BEGIN: Duration = Duration::from_millis(50);
/// What targets may still be told when the last answer has come.
const AFTERMATH: Duration = Duration::from_millis(300);

/// What is played, by whom and with which lots.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) round: u32,
    pub(super) situation: &'a Situation,
    pub(super) program: &'a Program,
    pub(super) seed: u64,
    pub(super) scale: f64,
    pub(super) keep: Option<&'a Path>,
}

/// Plays one run.
pub(super) async fn play(run: &Run<'_>, place: &Workplace) -> Result<Outcome> {
    let Run { round, situation, program, seed, scale, .. } = run;
    let ledger = Arc::new(Ledger::default());
    let folder = place.file("run");
    remove(&folder)?;
    remove(&place.file("apps"))?;
    std::fs::create_dir(&folder)?;
    let behind = Behind::start(situation.servers, &ledger, place).await;
    let behind = behind.context("starting the targets")?;
    let http2 = situation.servers.speak_http2();
    let front = Front::new(behind.places.clone(), http2, folder.clone())?;
    let restarts = situation.script.iter().any(|it| matches!(it.1, Step::Restart));
    let mut gateway = Gateway::start(program, place, front, restarts).await?;
    sleep(SETTLE).await;

    // All proxies of a round get the same lots.
    let seed = seed_of(*seed, *round, situation.name);
    let schedule = situation.load.schedule(seed, *scale);
    let began = Instant::now() + BEGIN;
    let at = gateway.front.listen;
    let (calls, scripted) = tokio::join!(
        callers::play(at, &schedule, began),
        follow(&situation.script, began, &behind, &mut gateway)
    );
    scripted?;
    gateway.check_running()?;
    // Work for clients that left may still be cancelled, or wrongly finished.
    sleep(AFTERMATH).await;
    let outputs = gateway.outputs();
    // Before the gateway: by its end it would cancel what it let go on.
    behind.kill(&ledger).await;
    gateway.kill();
    if let Some(keep) = run.keep {
        let name = format!("{round}-{}-{}", situation.name, program.peer.name());
        store(&keep.join(name), &folder, outputs, &calls, &ledger)?;
    }
    remove(&folder)?;
    Ok(Outcome::of(run, &calls, &ledger))
}

async fn follow(
    script: &[At],
    began: Instant,
    behind: &Behind<'_>,
    gateway: &mut Gateway<'_>,
) -> Result<()> {
    for At(when, step) in script {
        sleep_until(began + *when).await;
        behind.step(*step, gateway).await.with_context(|| format!("at {when:?}: {step:?}"))?;
    }
    Ok(())
}

/// From what tells one run's lots from another's.
fn seed_of(seed: u64, round: u32, situation: &str) -> u64 {
    let bytes = seed.to_be_bytes().into_iter().chain(round.to_be_bytes()).chain(situation.bytes());
    fingerprint::of(bytes)
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Copies what tells why requests failed.
fn store(
    to: &Path,
    folder: &Path,
    outputs: Vec<PathBuf>,
    calls: &[Call],
    ledger: &Ledger,
) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("making `{}`", to.display()))?;
    let inside = std::fs::read_dir(folder)?.filter_map(|it| Some(it.ok()?.path()));
    let files: Vec<PathBuf> = inside.filter(|it| it.is_file()).chain(outputs).collect();
    for file in files {
        if let Some(name) = file.file_name() {
            std::fs::copy(&file, to.join(name))?;
        }
    }
    let mut lines = String::new();
    for call in calls.iter().filter(|it| it.seen.is_failure()) {
        let entry = ledger.entry(call.ask.number);
        let line = serde_json::json!({
            "number": call.ask.number, "due": call.ask.due.as_secs_f64(),
            "method": call.ask.method, "path": call.ask.path, "seen": call.seen.name(),
            "took": call.took.as_secs_f64(), "targets": entry,
        });
        lines.push_str(&format!("{line}\n"));
    }
    Ok(std::fs::write(to.join("failed.jsonl"), lines)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_and_situations_have_lots_of_their_own() {
        let seeds =
            [seed_of(1, 1, "a"), seed_of(1, 2, "a"), seed_of(2, 1, "a"), seed_of(1, 1, "b")];
        let mut all = seeds.to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), seeds.len());
        assert_eq!(seed_of(1, 1, "a"), seeds[0]);
    }
}
