//! Failed requests that clients see while targets misbehave: Goodgate beside nginx, HAProxy and
//! Envoy, in situations that are played one after the other, all proxies in turns.

mod apps;
mod behind;
mod callers;
mod fingerprint;
mod ledger;
mod message;
mod names;
pub(crate) mod peers;
mod ports;
mod python;
mod relay;
mod results;
mod schedule;
mod score;
mod situation;
mod situations;
mod stage;
mod table;
mod target;

use crate::arguments::Prevent;
use crate::idle::allow_files;
use crate::setting::Unmet;
use crate::workplace::Workplace;
use crate::{Verdict, output};
use anyhow::{Context as _, Result, bail};
use peers::{Peer, Program};
use results::Outcome;
use score::{Grade, Standing};
use situation::Situation;
use stage::Run;

/// Sockets of clients, targets and what waits in between.
const FILES: u64 = 16_384;
/// A run that cannot be carried out, such as one whose ports were taken, is tried again so often.
const TRIES: u32 = 2;

struct Results<'a> {
    rounds: u32,
    peers: Vec<(Peer, String)>,
    missing: Vec<(Peer, String)>,
    rows: Vec<Row<'a>>,
    /// Runs that could not be carried out, and why.
    undone: Vec<String>,
}

struct Row<'a> {
    situation: &'a Situation,
    standings: Vec<(Peer, Standing)>,
    grade: Option<Grade>,
}

pub(crate) fn run(asked: &Prevent) -> Result<Verdict> {
    let situations = chosen(&asked.only)?;
    if asked.list {
        let lines = situations
            .iter()
            .map(|it| format!("{}\n    {}: {}", it.name, it.title, table::reach(&it.reach)));
        lines.for_each(|it| output::line(&it));
        return Ok(Verdict::Kept);
    }
    allow_files(FILES)?;
    let wanted = if asked.proxies.is_empty() { Peer::ALL.to_vec() } else { asked.proxies.clone() };
    let (programs, missing) = peers::find(&wanted, asked.gateway.as_deref());
    for (peer, why) in &missing {
        output::progress(&format!("{} is left out: {why}", peer.title()));
    }
    if programs.is_empty() {
        bail!("none of the proxies is there");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (outcomes, undone) = runtime.block_on(play_all(asked, &situations, &programs))?;
    let results = Results {
        rounds: asked.rounds,
        peers: programs.iter().map(|it| (it.peer, it.version.clone())).collect(),
        missing,
        rows: situations.iter().map(|it| row(it, &programs, &outcomes)).collect(),
        undone,
    };
    output::line(table::text(&results).trim_end());
    if let Some(file) = &asked.json {
        let text = serde_json::to_string_pretty(&table::json(&results))?;
        std::fs::write(file, text).with_context(|| format!("writing `{}`", file.display()))?;
    }
    let missed = results.rows.iter().any(|it| it.grade == Some(Grade::Missed));
    let broken = missed || !results.undone.is_empty();
    Ok(if broken { Verdict::Broken } else { Verdict::Kept })
}

/// Those with these names, or all.
fn chosen(names: &[String]) -> Result<Vec<Situation>> {
    let mut all = situations::all();
    if let Some(name) = names.iter().find(|name| all.iter().all(|it| it.name != **name)) {
        let what = format!("there is no situation `{name}`; `--list` shows them");
        return Err(Unmet::Usage(what).into());
    }
    all.retain(|it| names.is_empty() || names.iter().any(|name| it.name == *name));
    Ok(all)
}

/// All runs that are not in the file yet, round by round, each proxy in turn.
async fn play_all(
    asked: &Prevent,
    situations: &[Situation],
    programs: &[Program],
) -> Result<(Vec<Outcome>, Vec<String>)> {
    let place = Workplace::new()?;
    let before = asked.resume.as_deref().map_or(Ok(Vec::new()), results::read)?;
    let (mut outcomes, mut undone) = (Vec::new(), Vec::new());
    for round in 1..=asked.rounds {
        for situation in situations {
            for program in programs.iter().filter(|it| it.peer.can(situation)) {
                let (seed, scale) = (asked.seed, asked.scale);
                let keep = asked.keep.as_deref();
                let run = Run { round, situation, program, seed, scale, keep };
                if let Some(it) = before.iter().find(|it| it.is_of(&run)) {
                    outcomes.push(it.clone());
                    continue;
                }
                let name = format!("round {round}, {}, {}", situation.name, program.peer.name());
                match play(&run, &place).await {
                    Ok(outcome) => {
                        output::progress(&format!("{name}: {}", table::brief(&outcome)));
                        if let Some(file) = &asked.resume {
                            results::append(file, &outcome)?;
                        }
                        outcomes.push(outcome);
                    }
                    Err(error) => {
                        output::progress(&format!("{name}: {error:#}"));
                        undone.push(format!("{name}: {error:#}"));
                    }
                }
            }
        }
    }
    Ok((outcomes, undone))
}

async fn play(run: &Run<'_>, place: &Workplace) -> Result<Outcome> {
    let mut tries = 1;
    loop {
        match stage::play(run, place).await {
            Err(error) if tries < TRIES => {
                output::progress(&format!("once more, because: {error:#}"));
                tries += 1;
            }
            it => return it,
        }
    }
}

fn row<'a>(situation: &'a Situation, programs: &[Program], outcomes: &[Outcome]) -> Row<'a> {
    let standings = programs.iter().filter_map(|program| {
        let of = |it: &&Outcome| it.situation == situation.name && it.proxy == program.peer;
        Some((program.peer, Standing::of(outcomes.iter().filter(of))?))
    });
    let standings: Vec<(Peer, Standing)> = standings.collect();
    let grade = score::grade(situation, &standings);
    Row { situation, standings, grade }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn situations_are_chosen_by_name_and_a_wrong_one_is_told() {
        assert!(chosen(&[]).unwrap().len() >= 25);
        let names = |asked: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|it| (*it).to_owned()).collect();
            chosen(&asked).map(|it| it.iter().map(|it| it.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["one_hangs", "all_is_well"]).unwrap(), ["all_is_well", "one_hangs"]);
        assert!(names(&["one_hang"]).unwrap_err().to_string().contains("`one_hang`"));
    }
}
