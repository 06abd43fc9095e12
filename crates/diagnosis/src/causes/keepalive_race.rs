//! The upstream closed an idle connection at the moment at which it was used again.
//!
//! ## What you see
//! Rare 502s, a millisecond or two long, on routes with quiet spells; the same request works when
//! it is sent again. nginx logs `upstream prematurely closed connection while reading response
//! header from upstream`, and does so even where its own retry succeeded.
//!
//! ## Why it happens
//! App servers hang up on idle connections after a few seconds: Gunicorn 2, Uvicorn, Node and
//! Hypercorn 5. A gateway that keeps connections for longer (nginx 60, Go 90, Envoy 3600) will now
//! and then write a request into a connection that is just being closed.
//!
//! ## How to tell
//! The connection had served a request before, had been idle, and not one byte of an answer came.
//! The idle times of such failures cluster at one value: the server's limit.
//!
//! ## Fix
//! Let the app server keep idle connections for longer than whoever stands before it
//! (`gunicorn --keep-alive 75`, `uvicorn --timeout-keep-alive 75`). Goodgate learns the server's
//! limit from when it closes, and shows it in `goodgate_upstream_idle_learned_seconds`, unless
//! `pool.idle_for` of the upstream says otherwise: leave that out, or set it below the server's
//! limit. A longer read timeout changes nothing.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::doctor::{closes_by_default, reuses_by_default};
use crate::dossier::{Cite, Dossier, span};
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::{Loss, YOUNG, forgotten, loss};
use crate::text::{AGAINST, Claim, RULES_OUT, Text, When};
use crate::wording;
use evidence::{Limit, Product, Sign, Stack, What};
use exchange::{Fault, HeadFault, SendFault};

pub(super) static CAUSE: Cause = Cause {
    id: "keepalive_race",
    family: Family::F4,
    title: "The upstream closed an idle connection as it was reused",
    side: Side::AppServer,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::Reset, 0.22),
            (Sign::Closed, 0.25),
            (Sign::SendBroken, 0.3),
            (Sign::Disconnected, 0.25),
            (Sign::Answered502, 0.12),
        ],
        brings: &["premature_close", "connection_reset"],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let reset = match case.fault()? {
        Fault::Head(HeadFault::Closed) | Fault::Send(SendFault::Closed) => false,
        Fault::Head(HeadFault::Reset) | Fault::Send(SendFault::Reset) => true,
        _ => return None,
    };
    let after_bodyless = case.attempt()?.after_bodyless;
    // A server that had worked on the request for a while was not closing an idle connection.
    let Loss::OnReuse(idle) = loss(case)? else {
        return None;
    };
    let confidence = match idle {
        _ if reset && forgotten(case).is_some() => 0.25,
        YOUNG.. => 0.85,
        _ if after_bodyless => return None,
        // Sooner than any limit: a server that closes after each answer and does not say so.
        _ => 0.2,
    };
    Some(Finding::new(
        confidence,
        format!(
            "{} closed a connection that had been idle for {} just as it was reused",
            case.server(),
            words(idle)
        ),
        "a reused connection ended before the first byte of an answer",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Raise the app server's keep-alive above the gateway's: `gunicorn --keep-alive 75`, \
             `uvicorn --timeout-keep-alive 75`",
        ),
        Fix::new(
            "Or leave `pool.idle_for` of this upstream out, so that the app server's limit is \
             learned from when it closes; where it is set, it must be below that limit",
        ),
    ]
}

/// A race shows within a round trip; after this the app was at work.
const LONG: i64 = 2_000;

/// How long the app had the request before it hung up, where the hop says it, in milliseconds.
fn worked(dossier: &Dossier) -> Option<i64> {
    let closed = matches!(dossier.sign(), Sign::Closed | Sign::Reset | Sign::Disconnected);
    dossier.incident.number.filter(|_| closed)
}

/// How long each side keeps an idle connection, where files say it or servers are known for it.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let mut claims = Vec::new();
    let (closes, reuses) = (closes(dossier), reuses(dossier));
    if let (Some(close), Some(reuse)) = (&closes, &reuses)
        && close.after < reuse.after
    {
        let says = "the app closes idle connections sooner than the proxy stops reusing them";
        // Defaults alone are how most stacks are: that says less than what somebody has set.
        let weight = match (close.set, reuse.set) {
            (true, true) => 3.5,
            (false, true) | (true, false) => 3.0,
            (false, false) => 1.5,
        };
        let cites = close.cite.iter().chain(&reuse.cite).cloned().collect();
        claims.push(Claim::new(weight, says, cites));
    } else if let Some((_, cite)) = kept(dossier) {
        let says = "idle connections to the upstream are kept and reused";
        claims.push(Claim::new(1.5, says, vec![cite]));
    }
    if let Some(worked) = worked(dossier).filter(|it| LONG <= *it) {
        let says =
            format!("the app had the request for {}: that was no idle connection", span(worked));
        claims.push(Claim::new(RULES_OUT, says, Vec::new()));
    }
    let sync = dossier.read(Product::Gunicorn)
        && dossier.seen(Sign::Started, When::Any).iter().any(|it| it.detail() == Some("sync"));
    if sync {
        claims.push(Claim::new(
            AGAINST,
            "Gunicorn's sync workers keep no connection open",
            Vec::new(),
        ));
    }
    claims
}

/// How long one side keeps an idle connection, in milliseconds.
struct Idle {
    after: i64,
    /// A file asks for it, or for keeping connections at all; else it is what the product does.
    set: bool,
    cite: Option<Cite>,
}

fn closes(dossier: &Dossier) -> Option<Idle> {
    // Where it is known who listens there, the limit of another app server is not its own.
    let server = dossier.server_product();
    let other = |it: Product| {
        let known = |it| closes_by_default(it).is_some();
        server.is_some_and(|server| server != it && known(server) && known(it))
    };
    let set = dossier.limit(Limit::KeepAliveClose, |it| it.stack().runs_apps() && !other(it));
    if let Some((after, cite)) = set {
        return Some(Idle { after, set: true, cite: Some(cite) });
    }
    let server = server?;
    // Gunicorn keeps connections with some of its workers only.
    let keeps = || {
        let started = dossier.seen(Sign::Started, When::Any).into_iter();
        let mut class = started.filter(|it| it.key.product == Product::Gunicorn);
        class.any(|it| it.detail().is_some_and(|it| it != "sync"))
    };
    let after = closes_by_default(server).filter(|_| server != Product::Gunicorn || keeps())?;
    Some(Idle { after, set: false, cite: None })
}

fn reuses(dossier: &Dossier) -> Option<Idle> {
    if let Some((after, cite)) = wording::hop_limit(dossier, Limit::KeepAliveReuse) {
        return (after > 0).then_some(Idle { after, set: true, cite: Some(cite) });
    }
    let kept = kept(dossier);
    let number = kept.as_ref().map(|(it, _)| *it);
    let after = reuses_by_default(dossier.incident.hop, || number)?;
    Some(Idle { after, set: number.is_some(), cite: kept.map(|(_, cite)| cite) })
}

/// The number of idle connections that the hop was told to keep, by a file that leads there.
fn kept(dossier: &Dossier) -> Option<(i64, Cite)> {
    let stack = dossier.incident.hop.stack();
    let dials = dossier.dials();
    let kept = dossier.settings(|it| match it.what {
        What::Limit { limit: Limit::KeepAliveConnections, value }
            if it.product.stack() == stack =>
        {
            Some(value)
        }
        _ => None,
    });
    let leads =
        |cite: &Cite| dials.is_empty() || dials.iter().any(|it| it.cite.source == cite.source);
    kept.into_iter().find(|(_, cite)| leads(cite))
}

fn says(dossier: &Dossier) -> Option<String> {
    let app = wording::app_at(dossier);
    let hop = dossier.hop();
    let (closes, reuses) = (closes(dossier), reuses(dossier));
    let whose = |it: &Idle| if it.set { "" } else { " (its default)" };
    Some(match (closes, reuses) {
        (Some(close), Some(reuse)) if close.after < reuse.after => format!(
            "{app} closes idle connections after {}{}, and {hop} reuses them for {}{}",
            span(close.after),
            whose(&close),
            span(reuse.after),
            whose(&reuse)
        ),
        (Some(close), _) if close.set => {
            format!(
                "{app} closed an idle connection, as it does after {}, just as {hop} reused it",
                span(close.after)
            )
        }
        _ => format!("{app} closed an idle connection just as {hop} reused it"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let product = dossier.server_product();
    let stack = dossier.incident.hop.stack();
    let longer = Step::say(format!(
        "Let the app keep idle connections for longer than {} does: `{}`",
        dossier.hop(),
        wording::keep_alive(product)
    ));
    let reuse = wording::hop_limit(dossier, Limit::KeepAliveReuse);
    let close = dossier.limit(Limit::KeepAliveClose, |it| it.stack().runs_apps());
    let shorter = Step::say(format!(
        "Or let {} drop them before the app does: {}",
        dossier.hop(),
        wording::idle_reuse(stack)
    ));
    // Below the app's own limit, in whole seconds.
    let below = close.map_or(2, |(it, _)| (it / 1000 - 1).max(1));
    let shorter = match reuse {
        Some((value, cite)) if stack == Stack::Nginx => {
            let old = format!("{}s", value / 1000);
            let text = format!("Or let nginx drop them before the app does, after {below} s");
            wording::change(dossier, text, &cite, &old, &format!("{below}s"), Risk::None)
                .unwrap_or(shorter)
        }
        _ => shorter,
    };
    let retry = match stack {
        Stack::Nginx => {
            "`proxy_next_upstream error;` repeats what may happen twice (GET, HEAD) on another connection: it hides the race, which stays for POST"
        }
        Stack::HaProxy => {
            "`retry-on conn-failure empty-response` repeats such requests: it hides the race, and needs `http-reuse safe`"
        }
        Stack::Envoy => "`retry_on: reset-before-request` repeats such requests: it hides the race",
        _ => "A retry of GET and HEAD on a fresh connection hides the race, which stays for POST",
    };
    Cure {
        before: Vec::new(),
        now: vec![longer, wording::restarted(dossier), shorter],
        lasting: vec![Step::say(retry).hides()],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{CLOSED, check, check_not, check_text, nginx};

    #[test]
    fn a_reused_connection_closed_without_a_byte() {
        check(
            "head: closed | reused idle=5s | server=uvicorn",
            "keepalive_race: uvicorn closed a connection that had been idle for 5 s just as it \
             was reused",
        );
    }

    #[test]
    fn a_fresh_connection_cannot_race() {
        check_not("head: closed | fresh", "keepalive_race");
    }

    #[test]
    fn a_request_that_was_worked_on_did_not_race() {
        check_not("head: closed | reused idle=5s after=4s", "keepalive_race");
    }

    #[test]
    fn a_reset_after_minutes_is_rather_a_firewalls() {
        let case = "head: reset | to=10.0.0.7:80 reused idle=400s";
        crate::testing::check_among(case, "keepalive_race");
    }

    #[test]
    fn half_a_head_is_no_race() {
        check_not("head: closed | reused idle=5s | received=20", "keepalive_race");
    }

    #[test]
    fn the_two_limits_are_put_in_order() {
        check_text(
            &[
                ("error.log", &nginx(CLOSED)),
                (
                    "nginx.conf",
                    "http {\n    upstream app {\n        server 127.0.0.1:8000;\n        keepalive 16;\n        keepalive_timeout 60s;\n    }\n    server {\n        listen 80;\n        location / {\n            proxy_pass http://app;\n        }\n    }\n}\n",
                ),
                (
                    "gunicorn.conf.py",
                    "bind = '127.0.0.1:8000'\nworker_class = 'gthread'\nkeepalive = 5\n",
                ),
            ],
            "keepalive_race: gunicorn at 127.0.0.1:8000 closes idle connections after 5 s, and nginx reuses them for 60 s\n\
             now: Let the app keep idle connections for longer than nginx does: `gunicorn --keep-alive 75`\n\
             now: Restart gunicorn with that [sudo systemctl restart gunicorn] restart\n\
             now: Or let nginx drop them before the app does, after 4 s (nginx.conf: -keepalive_timeout 60s +keepalive_timeout 4s)\n\
             lasting: `proxy_next_upstream error;` repeats what may happen twice (GET, HEAD) on another connection: it hides the race, which stays for POST hides\n\
             verify: nginx logs no new failure of this kind [sudo tail -n 200 /var/log/nginx/error.log] checks",
        );
    }
}
