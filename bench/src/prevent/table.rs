//! The results as text.

use super::Results;
use super::peers::Peer;
use super::results::{Figures, Outcome};
use super::schedule::Part;
use super::score::{Grade, Standing};
use super::situation::{Figure, Limit, Reach};
use serde_json::{Map, Value, json};

pub(super) fn text(results: &Results<'_>) -> String {
    let mut text =
        format!("{}\n\nFailed requests in a thousand, as clients see them\n\n", head(results));
    let peers: Vec<Peer> = results.peers.iter().map(|it| it.0).collect();
    let mut title = vec!["situation".to_owned()];
    title.extend(peers.iter().map(|it| it.title().to_owned()));
    title.extend(["within reach".to_owned(), "Goodgate's goal".to_owned()]);
    row(&mut text, &title);
    row(&mut text, &vec!["---".to_owned(); title.len()]);
    for it in &results.rows {
        let mut cells = vec![it.situation.title.to_owned()];
        cells.extend(peers.iter().map(|peer| match find(&it.standings, *peer) {
            Some(standing) => cell(standing, &it.situation.reach),
            None => "n/a".to_owned(),
        }));
        cells.push(reach(&it.situation.reach));
        cells.push(it.grade.map_or("-", grade).to_owned());
        row(&mut text, &cells);
    }
    text.push_str("\nNotes\n\n");
    let title = [
        "situation",
        "proxy",
        "failed",
        "of them POSTs in hand",
        "p99 ms",
        "answered/s",
        "attempts each",
        "POSTs run twice",
        "how they failed",
    ];
    row(&mut text, &title.map(str::to_owned));
    row(&mut text, &title.map(|_| "---".to_owned()));
    for it in &results.rows {
        for (peer, standing) in &it.standings {
            row(&mut text, &notes(it.situation.name, *peer, standing));
        }
    }
    text.push('\n');
    text.push_str(&sums(results));
    for it in &results.undone {
        text.push_str(&format!("Not carried out: {it}\n"));
    }
    text
}

/// One run, as it is told when it ends.
pub(super) fn brief(outcome: &Outcome) -> String {
    let whole = outcome.whole();
    let kinds: Vec<String> =
        outcome.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let twice = match outcome.duplicates {
        0 => String::new(),
        count => format!(", {count} POSTS RAN TWICE"),
    };
    let cancelled = match whole.left {
        0 => String::new(),
        left => format!(", {} of {left} cancelled", left - whole.for_nobody),
    };
    let (failed, asked, p99) = (whole.failed, whole.asked, number(whole.p99(), 0));
    let in_hand = whole.in_hand;
    format!(
        "{failed} of {asked} failed{kinds}, {in_hand} of them POSTs in hand, p99 {p99} ms{cancelled}{twice}"
    )
}

/// All that the tables show, for programs.
pub(super) fn json(results: &Results<'_>) -> Value {
    let rows = results.rows.iter().map(|row| {
        let standings = row.standings.iter().map(|(peer, it)| {
            let whole = it.whole();
            let bounds = row
                .situation
                .reach
                .bounds
                .iter()
                .map(|bound| (name(bound.figure), json!(it.figure(bound.figure))));
            let value = json!({
                "rounds": it.rounds, "asked": whole.asked, "failed": whole.failed,
                "per_thousand": whole.share(), "posts_in_hand": whole.in_hand,
                "p99_ms": whole.p99(), "attempts_each": whole.attempts_each(),
                "posts_run_twice": it.duplicates, "kinds": it.kinds,
                "bounded": bounds.collect::<Map<String, Value>>(),
            });
            (peer.name().to_owned(), value)
        });
        json!({
            "situation": row.situation.name, "title": row.situation.title,
            "within_reach": reach(&row.situation.reach), "grade": row.grade,
            "proxies": standings.collect::<Map<String, Value>>(),
        })
    });
    let sums = peers_but_us(results).filter_map(|peer| {
        let (ours, theirs) = sums_of(results, peer)?;
        let value = json!({
            "goodgate": { "failed": ours.failed, "asked": ours.asked },
            "peer": { "failed": theirs.failed, "asked": theirs.asked },
        });
        Some((peer.name().to_owned(), value))
    });
    json!({
        "sums": sums.collect::<Map<String, Value>>(),
        "rounds": results.rounds,
        "versions": results.peers.iter().map(|it| &it.1).collect::<Vec<_>>(),
        "rows": rows.collect::<Vec<_>>(),
        "undone": results.undone,
    })
}

fn head(results: &Results<'_>) -> String {
    let versions: Vec<&str> = results.peers.iter().map(|it| it.1.as_str()).collect();
    let missing: Vec<String> = results
        .missing
        .iter()
        .map(|(peer, why)| format!("\n{} is left out: {why}", peer.title()))
        .collect();
    format!("{} rounds; {}{}", results.rounds, versions.join("; "), missing.concat())
}

fn row(text: &mut String, cells: &[String]) {
    text.push_str(&format!("| {} |\n", cells.join(" | ")));
}

fn find(standings: &[(Peer, Standing)], peer: Peer) -> Option<&Standing> {
    standings.iter().find(|it| it.0 == peer).map(|it| &it.1)
}

/// The share, with the figures that are bounded besides.
fn cell(standing: &Standing, reach: &Reach) -> String {
    let figures: Vec<String> =
        reach.bounds.iter().map(|it| figure(it.figure, standing.figure(it.figure))).collect();
    let figures = figures.join("; ");
    match (reach.failed, figures.is_empty()) {
        (None, _) => figures,
        (Some(_), true) => number(standing.whole().share(), 1),
        (Some(_), false) => format!("{} ({figures})", number(standing.whole().share(), 1)),
    }
}

pub(super) fn reach(reach: &Reach) -> String {
    let failed = reach.failed.map(|it| if it > 0.0 { format!("<= {it}") } else { "0".to_owned() });
    let bounds = reach.bounds.iter().map(|it| {
        let (sign, value) = match it.limit {
            Limit::AtMost(it) => ("<=", it),
            Limit::AtLeast(it) => (">=", it),
        };
        format!("{} {sign} {value}", name(it.figure))
    });
    failed.into_iter().chain(bounds).collect::<Vec<_>>().join(", ")
}

fn name(figure: Figure) -> String {
    match figure {
        Figure::P99(part) => format!("p99{} ms", of(part)),
        Figure::Failed(part) => format!("failed{}", of(part)),
        Figure::Goodput(part) => format!("goodput{} /s", of(part)),
        Figure::Attempts(part) => format!("attempts{}", of(part)),
        Figure::ForNobody => "not cancelled".to_owned(),
    }
}

fn of(part: Part) -> &'static str {
    match part {
        Part::Steady => "",
        Part::During => " meanwhile",
        Part::Crowd => " in the crowd",
        Part::After => " afterwards",
        Part::Quick => " of the quick path",
        Part::Slow => " of the slow path",
    }
}

fn figure(figure: Figure, value: Option<f64>) -> String {
    let digits = if matches!(figure, Figure::Attempts(_)) { 2 } else { 0 };
    format!("{} {}", name(figure), number(value, digits))
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |it| format!("{it:.digits$}"))
}

pub(super) fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::WithinReach => "within reach",
        Grade::AsTheBest => "as the best",
        Grade::Missed => "MISSED",
    }
}

fn notes(situation: &str, peer: Peer, standing: &Standing) -> [String; 9] {
    let whole = standing.whole();
    let kinds: Vec<String> =
        standing.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    [
        situation.to_owned(),
        peer.title().to_owned(),
        format!("{} of {}", whole.failed, whole.asked),
        whole.in_hand.to_string(),
        number(whole.p99(), 0),
        number(whole.goodput(), 0),
        number(whole.attempts_each(), 2),
        standing.duplicates.to_string(),
        kinds.join(", "),
    ]
}

fn peers_but_us(results: &Results<'_>) -> impl Iterator<Item = Peer> {
    results.peers.iter().map(|it| it.0).filter(|it| *it != Peer::Goodgate)
}

/// Ours and theirs, over the situations that Goodgate and the peer both played.
fn sums_of(results: &Results<'_>, peer: Peer) -> Option<(Figures, Figures)> {
    let (mut ours, mut theirs) = (Figures::default(), Figures::default());
    for row in results.rows.iter().filter(|it| it.situation.counts_in_sum()) {
        let both = find(&row.standings, Peer::Goodgate).zip(find(&row.standings, peer));
        if let Some((our, their)) = both {
            ours.add(&our.whole());
            theirs.add(&their.whole());
        }
    }
    (ours.asked > 0).then_some((ours, theirs))
}

fn sums(results: &Results<'_>) -> String {
    let mut text = String::new();
    for peer in peers_but_us(results) {
        let Some((ours, theirs)) = sums_of(results, peer) else { continue };
        let fewer = if ours.failed <= theirs.failed { "not more than" } else { "MORE THAN" };
        let (our, their, name) = (ours.failed, theirs.failed, peer.title());
        text.push_str(&format!(
            "In sum Goodgate lost {our} of {}, {fewer} {name}, which lost {their} of {}.\n",
            ours.asked, theirs.asked
        ));
    }
    for (peer, _) in &results.peers {
        let all = results.rows.iter().filter_map(|it| find(&it.standings, *peer));
        let twice: u32 = all.map(|it| it.duplicates).sum();
        text.push_str(&format!("POSTs that ran twice behind {}: {twice}.\n", peer.title()));
    }
    let missed: Vec<&str> = results
        .rows
        .iter()
        .filter(|it| it.grade == Some(Grade::Missed))
        .map(|it| it.situation.name)
        .collect();
    if results.peers.iter().all(|it| it.0 != Peer::Goodgate) {
        text.push_str("Goodgate took no part.\n");
    } else if missed.is_empty() {
        text.push_str("Goodgate missed no goal.\n");
    } else {
        text.push_str(&format!("Goodgate missed {}: {}.\n", missed.len(), missed.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prevent::results::tests::outcome;
    use crate::prevent::situation::Situation;
    use crate::prevent::situations;
    use crate::prevent::{Row, score};

    fn row(situation: &Situation, failed: [u32; 2]) -> Row<'_> {
        let standing = |peer, failed| {
            let figures = Figures { asked: 1000, failed, ..Figures::default() };
            Standing::of([&outcome(1, peer, situation.name, figures)]).map(|it| (peer, it))
        };
        let peers = [Peer::Goodgate, Peer::Nginx].into_iter().zip(failed);
        let standings: Vec<_> = peers.filter_map(|(peer, it)| standing(peer, it)).collect();
        let grade = score::grade(situation, &standings);
        Row { situation, standings, grade }
    }

    fn text_of(failed: [u32; 2]) -> String {
        let all = situations::all();
        let named = |name: &str| all.iter().find(|it| it.name == name).unwrap();
        let peers = [Peer::Goodgate, Peer::Nginx].map(|it| (it, it.name().to_owned()));
        let rows = vec![row(named("one_resets"), failed), row(named("flash_crowd"), [9, 900])];
        text(&Results {
            rounds: 1,
            peers: peers.into(),
            missing: vec![(Peer::Envoy, "it was not found".to_owned())],
            rows,
            undone: Vec::new(),
        })
    }

    #[test]
    fn a_row_has_each_share_and_says_whether_the_goal_was_kept() {
        let text = text_of([2, 30]);
        assert!(text.contains("| 2.0 | 30.0 | <= 2 | within reach |"), "{text}");
        assert!(text.contains("Envoy is left out: it was not found"), "{text}");
    }

    #[test]
    fn sums_leave_out_situations_in_which_shedding_is_right() {
        let text = text_of([31, 30]);
        assert!(text.contains("lost 31 of 1000, MORE THAN nginx, which lost 30 of 1000"), "{text}");
        let text = text_of([30, 30]);
        assert!(text.contains("lost 30 of 1000, not more than nginx"), "{text}");
    }
}
