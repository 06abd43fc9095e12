//! nginx may have fewer connections than the requests that its apps take at once: each request
//! needs two, the caller's and the app's.

use super::files::Files;
use super::{Check, Found, Severity, change, with_number};
use crate::report::{Risk, Step};
use evidence::Limit;

pub(super) const CHECK: Check = Check { cause: "proxy_connection_table_full", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let nginx = || files.facts().filter(|it| it.is_nginx());
    let table = nginx().find_map(|it| it.limit(Limit::Connections).map(|value| (it, value)));
    let Some((fact, connections)) = table.filter(|it| it.1 > 0) else { return };
    let workers = nginx().find_map(|it| it.limit(Limit::Workers)).filter(|it| *it > 0);
    let apps = files.units.iter().filter(|it| it.app().is_some());
    let most = apps.filter_map(|unit| {
        let (proof, each) = unit.limit(Limit::Concurrency)?;
        let count = unit.limit(Limit::Workers).map_or(1, |it| it.1.max(1));
        Some((proof, each.saturating_mul(count)))
    });
    let Some((proof, needed)) = most.max_by_key(|it| it.1) else { return };
    let all = connections.saturating_mul(workers.unwrap_or(1));
    let wanted = needed.saturating_mul(2);
    if all >= wanted {
        return;
    }
    let statement = format!(
        "nginx has {all} connections, and {needed} requests at once, as many as {} takes, need \
         {wanted}",
        proof.product().name()
    );
    let each = wanted.div_euclid(workers.unwrap_or(1)).saturating_add(1);
    let new = with_number(&fact.setting.quote, &each.to_string());
    let text = "Raise `worker_connections`, and `worker_rlimit_nofile` above it";
    let step = match new {
        Some(new) => change(text, fact, &new, Risk::Reload),
        None => Step::say(text),
    };
    // One worker is only assumed.
    let severity = if workers.is_some() { Severity::Risk } else { Severity::Hint };
    found.say(severity, statement, &[fact, proof], vec![step]);
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "proxy_connection_table_full";

    #[test]
    fn the_app_takes_more_than_nginx_can_bring() {
        check(
            ID,
            "n.conf nginx: workers 2, connections 512; g.py gunicorn: concurrency 1000",
            "risk: nginx has 1024 connections, and 1000 requests at once, as many as gunicorn \
             takes, need 2000",
        );
    }

    #[test]
    fn twice_as_many_are_enough() {
        check_nothing(
            ID,
            "n.conf nginx: workers 2, connections 1000; g.py gunicorn: concurrency 1000",
        );
        check_nothing(ID, "n.conf nginx: connections 512; g.py gunicorn: workers 4");
        check_nothing(ID, "n.conf nginx: connections 512");
    }
}
