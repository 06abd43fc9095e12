//! CPU time per request, proxy after proxy in rounds.

use crate::arguments::Requests;
use crate::cases::{Case, Plan, Unit};
use crate::machine::Machine;
use crate::measure::{Turn, turn};
use crate::proxies::{Kind, Proxy};
use crate::setting::{Setting, Unmet};
use crate::statistics::Spread;
use crate::{Verdict, output};
use anyhow::Result;
use clap::ValueEnum as _;
use serde::Serialize;
use std::fmt::Write as _;

/// Seconds of load before the first round: caches, pools and allocators fill.
const WARM_UP: u32 = 1;

#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    rounds: u32,
    seconds: u32,
    workers: u32,
    bound: Option<f64>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Row {
    case: Case,
    unit: Unit,
    proxy: Kind,
    cpu_ns: Option<Spread>,
    /// To nginx with its log, or to the first other one where nginx cannot do it; within each round.
    ratio: Option<Spread>,
    /// What the ratio is to.
    beside: Option<Kind>,
    per_second: Option<Spread>,
    /// The part of CPU time that the busiest thread took.
    busiest: Option<Spread>,
    /// Each different one once; a row with any is no result.
    faults: Vec<String>,
    above_bound: bool,
}

pub(crate) fn run(asked: &Requests) -> Result<Verdict> {
    let mut setting = Setting::new(&asked.common)?;
    let machine = Machine::of(&setting);
    let cases = if asked.cases.is_empty() { Case::value_variants() } else { &asked.cases };
    check_bound(asked, &setting, cases)?;
    if cases.iter().any(|it| it.plan().h2_upstream) {
        setting.start_h2_upstream()?;
    }
    let mut proxies: Vec<Proxy> =
        setting.kinds.iter().map(|kind| setting.start(*kind)).collect::<Result<_>>()?;
    let mut rows = Vec::new();
    for case in cases {
        let plan = plan(*case, asked);
        let mut able: Vec<&mut Proxy> =
            proxies.iter_mut().filter(|it| it.kind.can(&plan)).collect();
        let kinds: Vec<Kind> = able.iter().map(|it| it.kind).collect();
        let turns = measure(&setting, &mut able, &plan, asked);
        setting.check_upstream()?;
        rows.extend(make_rows(*case, &kinds, &turns, asked.bound));
    }
    let (rounds, seconds, bound) = (asked.rounds, asked.seconds, asked.bound);
    let results = Results { machine, rounds, seconds, workers: asked.common.workers, bound, rows };
    output::results(asked.common.json, &results, text)?;
    Ok(verdict(&results.rows))
}

fn check_bound(asked: &Requests, setting: &Setting, cases: &[Case]) -> Result<(), Unmet> {
    let both = [Kind::Goodgate, Kind::Nginx].iter().all(|it| setting.kinds.contains(it));
    let able = cases.iter().any(|it| Kind::Nginx.can(&it.plan()));
    if asked.bound.is_some() && !(both && able) {
        let what = "`--bound` holds the gateway against nginx, so both have to take part";
        return Err(Unmet::Usage(what.to_owned()));
    }
    Ok(())
}

fn plan(case: Case, asked: &Requests) -> Plan {
    let plan = case.plan();
    Plan { connections: asked.connections.unwrap_or(plan.connections), ..plan }
}

/// The turns of each proxy, in the order of the proxies.
fn measure(
    setting: &Setting,
    proxies: &mut [&mut Proxy],
    plan: &Plan,
    asked: &Requests,
) -> Vec<Vec<Turn>> {
    for proxy in &mut *proxies {
        output::progress(&format!("{}: warming up {}", plan.name, proxy.kind.name()));
        // What goes wrong here goes wrong again in the rounds, where it is recorded.
        let _ = turn(setting, proxy, plan, WARM_UP);
    }
    let mut turns = vec![Vec::new(); proxies.len()];
    for round in 1..=asked.rounds {
        for (proxy, turns) in proxies.iter_mut().zip(&mut turns) {
            let name = proxy.kind.name();
            output::progress(&format!("{}: round {round} of {}, {name}", plan.name, asked.rounds));
            turns.push(match proxy.check_answer(plan) {
                Ok(()) => turn(setting, proxy, plan, asked.seconds),
                Err(error) => Turn { faults: vec![format!("{error:#}")], ..Turn::default() },
            });
        }
    }
    turns
}

fn make_rows(case: Case, kinds: &[Kind], turns: &[Vec<Turn>], bound: Option<f64>) -> Vec<Row> {
    let costs = |turns: &[Turn]| turns.iter().map(|it| it.cost_ns).collect::<Vec<_>>();
    let beside = beside(kinds);
    let other = kinds.iter().zip(turns).find(|(kind, _)| Some(**kind) == beside);
    let other = other.map(|(_, turns)| costs(turns)).unwrap_or_default();
    let rows = kinds.iter().zip(turns).map(|(kind, turns)| {
        let ratio = Spread::of_ratios(&costs(turns), &other);
        let held = *kind == Kind::Goodgate && beside == Some(Kind::Nginx);
        Row {
            case,
            unit: case.plan().unit,
            proxy: *kind,
            cpu_ns: Spread::of(turns.iter().filter_map(|it| it.cost_ns)),
            ratio,
            beside,
            per_second: Spread::of(turns.iter().filter_map(|it| it.rate)),
            busiest: Spread::of(turns.iter().filter_map(|it| it.busiest)),
            faults: faults(turns),
            above_bound: held && ratio.zip(bound).is_some_and(|(it, most)| it.median > most),
        }
    });
    rows.collect()
}

/// What the others are held against.
fn beside(kinds: &[Kind]) -> Option<Kind> {
    let nginx = kinds.iter().find(|it| **it == Kind::Nginx);
    nginx.or_else(|| kinds.iter().find(|it| **it != Kind::Goodgate)).copied()
}

fn faults(turns: &[Turn]) -> Vec<String> {
    let mut faults = Vec::new();
    for fault in turns.iter().flat_map(|it| &it.faults) {
        if !faults.contains(fault) {
            faults.push(fault.clone());
        }
    }
    faults
}

fn verdict(rows: &[Row]) -> Verdict {
    let broken = rows.iter().any(|it| it.above_bound || !it.faults.is_empty());
    if broken { Verdict::Broken } else { Verdict::Kept }
}

fn text(results: &Results) -> String {
    let mut text = format!(
        "{}\n{} rounds of {} s; medians (least - most); ratios to nginx are taken within each round\n\n",
        results.machine.text(),
        results.rounds,
        results.seconds
    );
    output::write_line(
        &mut text,
        &["case", "proxy", "µs CPU per unit", "ratio to nginx", "per second", ""],
    );
    for row in &results.rows {
        let case = format!("{}, per {}", row.case.plan().name, row.unit.name());
        let cost = output::spread(row.cpu_ns, 1_000.0, 2);
        let ratio = output::spread(row.ratio, 1.0, 2);
        let rate = row.per_second.map_or_else(|| "-".to_owned(), |it| format!("{:.0}", it.median));
        let mark = mark(row, results.bound);
        output::write_line(&mut text, &[&case, row.proxy.name(), &cost, &ratio, &rate, &mark]);
    }
    for row in results.rows.iter().filter(|_| 1 < results.workers) {
        let (case, proxy) = (row.case.plan().name, row.proxy.name());
        let busiest = output::spread(row.busiest, 1.0, 2);
        let _ = write!(text, "\n{case}, {proxy}: the busiest thread took {busiest} of the time");
    }
    for row in results.rows.iter().filter(|it| it.beside == Some(it.proxy)) {
        if row.proxy != Kind::Nginx {
            let (case, proxy) = (row.case.plan().name, row.proxy.name());
            let _ = write!(text, "\n{case}: the ratio is to {proxy}");
        }
    }
    for row in results.rows.iter().filter(|it| !it.faults.is_empty()) {
        let (case, proxy) = (row.case.plan().name, row.proxy.name());
        let _ = write!(text, "\n{case}, {proxy}: {}", row.faults.join("; "));
    }
    text
}

fn mark(row: &Row, bound: Option<f64>) -> String {
    match (row.faults.is_empty(), row.above_bound, bound) {
        (false, _, _) => "FAILED, see below".to_owned(),
        (true, true, Some(bound)) => format!("ABOVE {bound}"),
        (true, _, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(costs: &[f64]) -> Vec<Turn> {
        let turn = |it: &f64| Turn {
            cost_ns: Some(*it),
            rate: Some(1.0),
            busiest: Some(1.0),
            faults: Vec::new(),
        };
        costs.iter().map(turn).collect()
    }

    fn rows(gateway: Vec<Turn>, bound: Option<f64>) -> Vec<Row> {
        let kinds = [Kind::Goodgate, Kind::Nginx];
        make_rows(Case::Small, &kinds, &[gateway, good(&[10.0, 20.0, 10.0])], bound)
    }

    #[test]
    fn the_bound_is_on_the_median_ratio_of_the_gateway() {
        let check = |bound, expected| {
            assert_eq!(verdict(&rows(good(&[11.0, 24.0, 30.0]), bound)), expected, "{bound:?}");
        };
        check(None, Verdict::Kept);
        check(Some(1.2), Verdict::Kept);
        check(Some(1.19), Verdict::Broken);
    }

    #[test]
    fn where_nginx_takes_no_part_the_ratio_is_to_another_and_no_bound_holds() {
        let kinds = [Kind::Goodgate, Kind::HaproxyWithoutLog];
        let turns = [good(&[20.0]), good(&[10.0])];
        let rows = make_rows(Case::H2Upstream, &kinds, &turns, Some(1.2));
        assert_eq!(rows[0].ratio.map(|it| it.median), Some(2.0));
        assert_eq!(rows[0].beside, Some(Kind::HaproxyWithoutLog));
        assert_eq!(verdict(&rows), Verdict::Kept);
        assert_eq!(beside(&[Kind::Goodgate]), None);
    }

    #[test]
    fn a_turn_with_a_fault_fails_its_row_and_is_named_once() {
        let mut turns = good(&[10.0, 20.0, 10.0]);
        turns[0].faults.push("3 time-outs".to_owned());
        turns[2].faults.push("3 time-outs".to_owned());
        let rows = rows(turns, None);
        assert_eq!(rows[0].faults, ["3 time-outs"]);
        assert_eq!(verdict(&rows), Verdict::Broken);
        assert_eq!(mark(&rows[0], None), "FAILED, see below");
    }
}
