//! An app server hangs up on idle connections before the proxy stops using them again.
//!
//! Defaults are those of the documentation of each: Gunicorn 2 s (with threads or an asynchronous
//! worker; the plain one closes after each answer and cannot race), Uvicorn, Hypercorn and Node 5 s,
//! Tomcat 20 s; nginx 60 s, Traefik 90 s, Caddy 120 s, Envoy an hour, AWS ALB 60 s.

use super::files::{Dial, Fact, Files, Unit};
use super::tls_to_plain_port::each;
use super::{Check, Found, Severity, change, duration, with_number};
use crate::report::{Risk, Step};
use evidence::{Limit, Product, Stack};

pub(super) const CHECK: Check = Check { cause: "keepalive_race", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for (dial, _, address) in each(files) {
        let Some((keeps, reuse)) = reuse(files, dial) else { continue };
        for at in files.reached(dial, address) {
            let unit = &files.units[at];
            let Some((server, closes, close)) = close(unit) else { continue };
            if close == 0 || close > reuse {
                continue;
            }
            let severity = match server.product() == Product::Gunicorn && !keeps_connections(unit) {
                // The plain worker closes after each answer, whatever is set.
                true if closes.is_none() => continue,
                true => Severity::Hint,
                false => Severity::Risk,
            };
            let whose = |it: Option<Fact<'_>>| if it.is_some() { "" } else { " (its default)" };
            let statement = format!(
                "{} closes idle connections after {}{}, and {} uses them again for up to {}{}",
                server.product().name(),
                duration(close),
                whose(closes),
                dial.fact.product().name(),
                duration(reuse),
                whose(keeps)
            );
            let proofs: Vec<Fact<'_>> = [closes.or(Some(server)), keeps.or(Some(dial.fact))]
                .into_iter()
                .flatten()
                .collect();
            found.say(severity, statement, &proofs, steps(server, closes, reuse));
        }
    }
}

/// For how long the proxy uses an idle connection again.
fn reuse<'t>(files: &Files<'t>, dial: &Dial<'t>) -> Option<(Option<Fact<'t>>, i64)> {
    if let Some((fact, value)) = files.limit_for(dial, Limit::KeepAliveReuse) {
        return (value > 0).then_some((Some(fact), value));
    }
    let kept = || files.limit_for(dial, Limit::KeepAliveConnections).map(|(_, kept)| kept);
    let value = reuses_by_default(dial.fact.product(), kept)?;
    Some((None, value))
}

/// When the server closes an idle connection: who, where that is set, and the time.
fn close<'t>(unit: &Unit<'t>) -> Option<(Fact<'t>, Option<Fact<'t>>, i64)> {
    if let Some((fact, value)) = unit.limit(Limit::KeepAliveClose) {
        return Some((fact, Some(fact), value));
    }
    let server = unit.app()?;
    Some((server, None, closes_by_default(server.product())?))
}

/// For how long a proxy uses an idle connection again where nothing is set, in milliseconds; `kept`
/// is the number of connections that it is told to keep.
pub(crate) fn reuses_by_default(proxy: Product, kept: impl FnOnce() -> Option<i64>) -> Option<i64> {
    Some(match proxy {
        Product::Kong | Product::Apisix | Product::IngressNginx | Product::AwsAlb => 60_000,
        Product::Traefik => 90_000,
        Product::Caddy => 120_000,
        Product::Envoy => 3_600_000,
        // Until 1.29.7 only where a group asks for it.
        it if it.stack() == Stack::Nginx => {
            return kept().filter(|it| *it > 0).map(|_| 60_000);
        }
        _ => return None,
    })
}

/// When a server closes an idle connection where nothing is set, in milliseconds.
pub(crate) fn closes_by_default(server: Product) -> Option<i64> {
    Some(match server {
        Product::Gunicorn => 2_000,
        Product::Uvicorn | Product::Hypercorn | Product::Node | Product::FastApi => 5_000,
        Product::Tomcat => 20_000,
        _ => return None,
    })
}

/// Gunicorn's workers that keep connections: threads, and the asynchronous ones.
fn keeps_connections(unit: &Unit<'_>) -> bool {
    ["thread", "gevent", "eventlet", "tornado", "uvicorn"].iter().any(|it| unit.mentions(it))
}

fn steps(server: Fact<'_>, closes: Option<Fact<'_>>, reuse: i64) -> Vec<Step> {
    // Longer than any proxy waits would keep connections for ever; an hour is shortened instead.
    let long = reuse / 1000 + 15;
    let name = server.product().name();
    let mut steps = Vec::new();
    if reuse <= 300_000 {
        let text = format!("Have {name} keep idle connections for longer than the proxy");
        let set = closes.and_then(|it| {
            let new = with_number(&it.setting.quote, &long.to_string())?;
            Some(change(text.clone(), it, &new, Risk::Restart))
        });
        let flag = match server.product() {
            Product::Gunicorn => Some(format!("`--keep-alive {long}`")),
            Product::Uvicorn | Product::FastApi => Some(format!("`--timeout-keep-alive {long}`")),
            Product::Hypercorn => Some(format!("`--keep-alive {long}`")),
            Product::Node => Some(format!("`server.keepAliveTimeout = {}`", long * 1000)),
            Product::Tomcat => Some(format!("`keepAliveTimeout=\"{}\"`", long * 1000)),
            _ => None,
        };
        steps.push(set.unwrap_or_else(|| match flag {
            Some(flag) => Step::say(format!("{text}: {flag}")),
            None => Step::say(text),
        }));
    }
    let text = "Or have the proxy drop idle connections sooner than that";
    steps.push(Step::say(text));
    steps
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "keepalive_race";

    #[test]
    fn two_limits_that_race() {
        check(
            ID,
            "n.conf nginx: dials http://127.0.0.1:8000, keepalive 16, reuse 30s; \
             u.sh uvicorn: listens :8000, close 10s",
            "risk: uvicorn closes idle connections after 10 s, and nginx uses them again for up to \
             30 s",
        );
    }

    #[test]
    fn two_defaults_that_race() {
        check(
            ID,
            "n.conf nginx: dials http://127.0.0.1:8000, keepalive 16; g.py gunicorn: listens :8000, threads 4",
            "risk: gunicorn closes idle connections after 2 s (its default), and nginx uses them \
             again for up to 60 s (its default)",
        );
        check(
            ID,
            "lb.json aws-alb: dials http://192.0.2.1:3000; p.json node: listens :3000",
            "risk: Node closes idle connections after 5 s (its default), and AWS ALB uses them \
             again for up to 60 s (its default)",
        );
    }

    #[test]
    fn equal_limits_race_as_well() {
        check(
            ID,
            "c caddy: dials http://127.0.0.1:80; u uvicorn: listens :80, close 120s",
            "risk: uvicorn closes idle connections after 120 s, and Caddy uses them again for up \
             to 120 s (its default)",
        );
    }

    #[test]
    fn whoever_closes_later_or_keeps_nothing_does_not_race() {
        for settings in [
            "n.conf nginx: dials http://app, keepalive 16; u uvicorn: close 75s",
            "n.conf nginx: dials http://app; u uvicorn: close 5s",
            "n.conf nginx: dials http://app, keepalive 16; g.py gunicorn: workers 4",
            "n.conf nginx: dials http://app, keepalive 0; u uvicorn: close 5s",
            "h.cfg haproxy: dials 127.0.0.1:80; u uvicorn: listens :80, close 5s",
            "c caddy: dials http://127.0.0.1:80; u uvicorn: listens :80, close 0s",
        ] {
            check_nothing(ID, settings);
        }
    }
}
