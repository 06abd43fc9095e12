//! An outer hop gives up before the inner one: the work goes on for nobody.

use super::files::{Dial, Fact, Files, Unit};
use super::tls_to_plain_port::each;
use super::{Check, Found, Severity, add, change, duration, with_number};
use crate::report::{Risk, Step};
use evidence::{Limit, Product, Scheme, Stack};

pub(super) const CHECK: Check = Check { cause: "timeout_ladder_inverted", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for (dial, _, address) in each(files) {
        let Some((outer_fact, outer)) = patience(files, dial) else { continue };
        for at in files.reached(dial, address) {
            let Some((inner_fact, inner)) = work(files, at) else { continue };
            judge(dial, (outer_fact, outer), (inner_fact, inner), found);
        }
        for at in files.reached(dial, address) {
            depends(dial, (outer_fact, outer), &files.units[at], found);
        }
    }
}

/// How long the proxy waits: as set, else its default. `None` for a fact: a default.
fn patience<'t>(files: &Files<'t>, dial: &Dial<'t>) -> Option<(Option<Fact<'t>>, i64)> {
    let read = files.limit_for(dial, Limit::Read);
    let total = files.limit_for(dial, Limit::Total);
    let set = [read, total].into_iter().flatten().filter(|(_, it)| *it > 0);
    match set.min_by_key(|(_, it)| *it) {
        Some((fact, value)) => Some((Some(fact), value)),
        None if read.is_some() || total.is_some() => None,
        None => default(dial.fact.product()).map(|it| (None, it)),
    }
}

/// From the documentation of each.
fn default(product: Product) -> Option<i64> {
    match product.stack() {
        Stack::Nginx | Stack::Apache => Some(60_000),
        Stack::Envoy => Some(15_000),
        _ if product == Product::AwsAlb => Some(60_000),
        _ => None,
    }
}

/// How long the inner side may work: a worker until it is killed, a proxy until it gives up.
fn work<'t>(files: &Files<'t>, at: usize) -> Option<(Option<Fact<'t>>, i64)> {
    let unit: &Unit<'t> = &files.units[at];
    if let Some((fact, value)) = unit.limit(Limit::Worker) {
        return (value > 0).then_some((Some(fact), value));
    }
    if unit.is_proxy() {
        let (fact, value) = unit.limit(Limit::Read)?;
        return (value > 0).then_some((Some(fact), value));
    }
    let gunicorn = unit.facts.iter().find(|it| it.product() == Product::Gunicorn);
    gunicorn.map(|_| (None, 30_000))
}

/// What the app waits for may take longer than the proxy waits for the app.
fn depends(
    dial: &Dial<'_>,
    outer: (Option<Fact<'_>>, i64),
    unit: &Unit<'_>,
    found: &mut Found<'_>,
) {
    for (limit, what) in [
        (Limit::PoolWait, "for a connection of its pool"),
        (Limit::Statement, "for one statement of the database"),
    ] {
        let Some((fact, inner)) = unit.limit(limit).filter(|it| it.1 > outer.1) else { continue };
        let default = if outer.0.is_some() { "" } else { " (its default)" };
        let statement = format!(
            "{} waits for {}{default}, but the app may wait {what} for {}",
            dial.fact.product().name(),
            duration(outer.1),
            duration(inner)
        );
        let proofs: Vec<Fact<'_>> =
            [outer.0, Some(fact), Some(dial.fact)].into_iter().flatten().take(3).collect();
        let text = "Let the app give up first, so that it can answer with an error of its own";
        let step = match shortened(&fact.setting.quote, inner, outer.1) {
            Some(new) => change(text, fact, &new, Risk::Restart),
            None => Step::say(text),
        };
        found.say(Severity::Risk, statement, &proofs, vec![step]);
    }
}

/// The words with a limit below another one, in the unit that they are written in.
fn shortened(quote: &str, value: i64, below: i64) -> Option<String> {
    let limit = (below / 2).max(1000) / 1000 * 1000;
    let end = quote.rfind(|it: char| it.is_ascii_digit())? + 1;
    let start = quote[..end].trim_end_matches(|it: char| it.is_ascii_digit()).len();
    let written: i64 = quote[start..end].parse().ok()?;
    match () {
        () if written == value => with_number(quote, &limit.to_string()),
        () if written.checked_mul(1000) == Some(value) => {
            with_number(quote, &(limit / 1000).to_string())
        }
        () => None,
    }
}

fn judge(
    dial: &Dial<'_>,
    outer: (Option<Fact<'_>>, i64),
    inner: (Option<Fact<'_>>, i64),
    found: &mut Found<'_>,
) {
    let severity = match (outer.1 < inner.1, outer.0, inner.0) {
        (true, _, Some(_)) => Severity::Risk,
        // Two defaults are nobody's choice, and equal limits are a race.
        (true, Some(_), None) => Severity::Hint,
        (false, Some(_), Some(_)) if outer.1 == inner.1 => Severity::Hint,
        _ => return,
    };
    let whose = |it: Option<Fact<'_>>| if it.is_some() { "" } else { " (its default)" };
    let name = inner.0.map_or("the app server", |it| it.product().name());
    let outside = dial.fact.product().name();
    let statement = match outer.1 == inner.1 {
        true => format!(
            "{outside} waits for {}, exactly as long as {name} may work: who gives up first is \
             chance",
            duration(outer.1)
        ),
        false => format!(
            "{outside} waits for {}{}, but {name} may work for {}{}",
            duration(outer.1),
            whose(outer.0),
            duration(inner.1),
            whose(inner.0)
        ),
    };
    let proofs: Vec<Fact<'_>> =
        [outer.0, inner.0, Some(dial.fact)].into_iter().flatten().take(3).collect();
    found.say(severity, statement, &proofs, steps(dial, outer, inner));
}

fn steps(
    dial: &Dial<'_>,
    outer: (Option<Fact<'_>>, i64),
    inner: (Option<Fact<'_>>, i64),
) -> Vec<Step> {
    let mut steps = Vec::new();
    // What the proxy leaves to the worker, with room to answer.
    let shorter = (outer.1 / 1000).saturating_sub(5).max(1);
    if let Some((fact, new)) =
        inner.0.and_then(|it| Some((it, with_number(&it.setting.quote, &shorter.to_string())?)))
    {
        let text = "Let the inner side give up first, and make the work short enough for it";
        steps.push(change(text, fact, &new, Risk::Restart));
    }
    let longer = inner.1 / 1000 + 5;
    let text = "Or let the outer side wait for longer: callers then see the slow answer, which \
                hides that it is slow";
    let lines = match (outer.0, dial.fact.is_nginx()) {
        (Some(fact), _) => with_number(&fact.setting.quote, &longer.to_string())
            .map(|new| change(text, fact, &new, Risk::Reload)),
        (None, true) => {
            let family = match dial.scheme {
                Scheme::FastCgi => "fastcgi",
                Scheme::Uwsgi => "uwsgi",
                Scheme::Scgi => "scgi",
                Scheme::Grpc | Scheme::Grpcs => "grpc",
                _ => "proxy",
            };
            let line = format!("{family}_read_timeout {longer};");
            Some(add(text, dial.fact, &line, Risk::Reload))
        }
        (None, false) => None,
    };
    steps.push(lines.unwrap_or_else(|| Step::say(text)).hides());
    steps
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "timeout_ladder_inverted";

    #[test]
    fn the_proxy_gives_up_before_the_worker() {
        check(
            ID,
            "n.conf nginx: dials http://127.0.0.1:8000, read 30s; g.py gunicorn: listens :8000, worker 120s",
            "risk: nginx waits for 30 s, but gunicorn may work for 120 s",
        );
    }

    #[test]
    fn defaults_count_too() {
        check(
            ID,
            "n.conf nginx: dials http://app; g.py gunicorn: worker 120s",
            "risk: nginx waits for 60 s (its default), but gunicorn may work for 120 s",
        );
        check(
            ID,
            "n.conf nginx: dials http://app, read 10s; g.py gunicorn: workers 2",
            "hint: nginx waits for 10 s, but the app server may work for 30 s (its default)",
        );
    }

    #[test]
    fn a_balancer_before_a_proxy() {
        check(
            ID,
            "e.yml envoy: dials http://127.0.0.1:80, total 15s; n.conf nginx: listens :80, read 60s",
            "risk: Envoy waits for 15 s, but nginx may work for 60 s",
        );
    }

    #[test]
    fn what_the_app_waits_for_counts() {
        check(
            ID,
            "n.conf nginx: dials http://app:8080, read 10s; c.yml docker app: service app, pool-wait 30s",
            "risk: nginx waits for 10 s, but the app may wait for a connection of its pool for 30 s",
        );
        check(
            ID,
            "n.conf nginx: dials http://app:8080; c.yml docker app: service app, statement 90s",
            "risk: nginx waits for 60 s (its default), but the app may wait for one statement of the \
             database for 90 s",
        );
        check_nothing(
            ID,
            "n.conf nginx: dials http://app:8080, read 30s; c.yml docker app: service app, pool-wait 30s, statement 10s",
        );
        check_nothing(
            ID,
            "n.conf nginx: dials http://app:8080, read 10s; c.yml docker db: service db, statement 30s",
        );
    }

    #[test]
    fn a_limit_keeps_its_unit() {
        for (quote, value, below, want) in [
            ("connection-timeout=30000", 30_000, 10_000, Some("connection-timeout=5000")),
            ("query-timeout: 90", 90_000, 60_000, Some("query-timeout: 30")),
            ("statement_timeout=2min", 120_000, 60_000, None),
            ("none", 1, 1, None),
            ("é9", 9, 1, Some("é1000")),
            ("99999999999999999999", 1, 1, None),
        ] {
            assert_eq!(super::shortened(quote, value, below).as_deref(), want, "{quote}");
        }
    }

    #[test]
    fn equal_limits_are_a_race() {
        check(
            ID,
            "n.conf nginx: dials http://app, read 60s; g.py gunicorn: worker 60s",
            "hint: nginx waits for 60 s, exactly as long as gunicorn may work: who gives up first \
             is chance",
        );
    }

    #[test]
    fn a_ladder_that_grows_outwards_is_fine() {
        for settings in [
            "n.conf nginx: dials http://app, read 65s; g.py gunicorn: worker 60s",
            "n.conf nginx: dials http://app; g.py gunicorn: worker 0s",
            "n.conf nginx: dials http://app, read 0s; g.py gunicorn: worker 60s",
            "n.conf nginx: dials http://app; g.py gunicorn: workers 2",
            "n.conf nginx: dials http://a, dials http://b, read 3s; g.py gunicorn: worker 60s",
            "h.cfg haproxy: dials 127.0.0.1:8000; g.py gunicorn: listens :8000, worker 600s",
        ] {
            check_nothing(ID, settings);
        }
    }
}
