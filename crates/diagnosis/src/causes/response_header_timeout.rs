//! The upstream got the whole request and did not begin to answer in time.
//!
//! ## What you see
//! 504 after a constant time. nginx logs `upstream timed out (110: Connection timed out) while
//! reading response header from upstream` (its own timer, not the system's); HAProxy `sH--`; Envoy
//! the flag `UT` with the body `upstream request timeout`; Caddy, Go and Traefik `net/http: timeout
//! awaiting response headers`; Kong `The upstream server is timing out`. Apache answers 502 with
//! `(70007)The timeout specified has expired: AH01102`.
//!
//! ## Why it happens
//! The app is still at work or waiting: for a database, another service, a lock, a free worker, CPU
//! time. The limit that fired says only that somebody's patience ended.
//!
//! ## How to tell
//! One route: its own work. All routes of one target: that process. All targets: something that
//! they share. Since when: a deploy, a growth of data, a dependency that slowed down.
//!
//! ## Fix
//! Find where the time goes, with a trace or the stack of a worker. Give each call to a dependency
//! a limit below this one. A longer limit hides the slowness, and keeps workers and callers busy
//! for longer.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Dossier, span};
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{forgotten, listener};
use crate::text::{Claim, Text};
use crate::{platform, wording};
use evidence::{Limit, Sign};
use exchange::{Fault, HeadFault, Http2};

pub(super) static CAUSE: Cause = Cause {
    id: "response_header_timeout",
    family: Family::F5,
    title: "The upstream did not begin to answer in time",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::HeadTimedOut, 0.88),
            (Sign::Deadline, 0.05),
            (Sign::IntegrationTimedOut, 0.04),
            (Sign::Answered504, 0.6),
        ],
        reason,
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Head(HeadFault::TimedOut(limit)) = case.fault()? else {
        return None;
    };
    let attempt = case.attempt()?;
    // An upgrade is asked for only once the target has said that it takes any.
    let says = match attempt.http2 == Http2::Asked && attempt.sent == 0 {
        true => format!(
            "HTTP/2 begins with the SETTINGS of both sides, its own did not come, and `{}` ended \
             the wait",
            limit.name
        ),
        false => format!(
            "the request was out, not one byte came back, and `{}` ended the wait",
            limit.name
        ),
    };
    Some(Finding::new(
        if forgotten(case).is_some() { 0.3 } else { 0.5 },
        format!("{} did not begin to answer within {}", case.server(), words(limit.value)),
        says,
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("Find the process, and whether others wait for it too (`Recv-Q`)", listener(case)),
        Fix::run("Take its stack while it hangs, here for Python", "py-spy dump -p PID"),
        Fix::new("Give each of its calls to a database or service a limit below this one"),
        Fix::new(
            "Raise `timeout.first_byte` only if the work is meant to take that long: it hides \
             slowness and keeps callers waiting",
        ),
    ]
}

/// The limit that fired, where a configuration says it.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    if dossier.sign() != Sign::HeadTimedOut {
        return Vec::new();
    }
    let limit = dossier.limit(Limit::Read, |it| it.stack() == dossier.incident.hop.stack());
    let claim =
        |(value, cite)| Claim::new(1.0, format!("this is the limit: {}", span(value)), vec![cite]);
    limit.map(claim).into_iter().collect()
}

fn says(dossier: &Dossier) -> Option<String> {
    let hop = dossier.hop();
    let limit = dossier.limit(Limit::Read, |it| it.stack() == dossier.incident.hop.stack());
    let within = limit.map(|(value, _)| format!(" of {}", span(value))).unwrap_or_default();
    let mut words = format!(
        "{} did not begin its answer within {hop}'s limit{within}",
        wording::app_at(dossier)
    );
    if let Some(status) = crate::signs_on_wire::status(dossier.incident)
        && dossier.sign() == Sign::HeadTimedOut
    {
        words +=
            &format!("; {hop} answers {status} then, so another status was made by another hop");
    }
    Some(words)
}

fn cure(dossier: &Dossier) -> Cure {
    let limit = wording::read_limit(dossier);
    let hop = dossier.hop();
    let value =
        wording::hop_limit(dossier, Limit::Read).map(|(it, _)| format!(" ({} now)", span(it)));
    Cure {
        before: vec![wording::stacks(dossier)],
        now: vec![
            Step::say(
                "Give the call in which the time goes (a query, another service, a lock) a limit \
                 of its own, well below the proxy's, and answer without it",
            ),
            Step::say(format!(
                "Only if the work is meant to take that long: raise {limit} of {hop}{} for that \
                 route alone; it hides slowness, and keeps workers and callers busy for longer",
                value.unwrap_or_default()
            ))
            .hides(),
        ],
        lasting: vec![Step::say(
            "Work that takes long for good reason belongs in a queue: answer 202 and let the caller \
             ask for the result",
        )],
        verify: vec![match dossier
            .upstream()
            .filter(|it| platform::is_plain(it) && !it.starts_with("unix:"))
        {
            Some(upstream) => Step::look(
                "It begins to answer within the limit, past the proxy",
                format!(
                    "curl -s -o /dev/null -w '%{{http_code}} %{{time_starttransfer}}s\\n' http://{upstream}/"
                ),
            ),
            None => wording::through(dossier),
        }],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{WAITED, check, check_among, check_not, check_text, nginx};

    #[test]
    fn a_wait_that_our_limit_ended() {
        check(
            "head: timed_out | fresh after=60s | server=gunicorn",
            "response_header_timeout: gunicorn did not begin to answer within 60 s",
        );
    }

    #[test]
    fn on_a_forgotten_connection_the_request_never_arrived() {
        let case = "head: timed_out | to=10.0.0.7:80 reused idle=400s after=60s";
        check_among(case, "response_header_timeout");
    }

    #[test]
    fn a_head_that_began_is_slow() {
        check_not("head: slow | fresh received=40", "response_header_timeout");
    }

    #[test]
    fn the_limit_is_named_and_what_a_longer_one_hides() {
        check_text(
            &[
                ("error.log", &nginx(WAITED)),
                (
                    "nginx.conf",
                    "server {\n    listen 80;\n    location / {\n        proxy_pass http://127.0.0.1:8000;\n        proxy_read_timeout 30s;\n    }\n}\n",
                ),
            ],
            "response_header_timeout: 127.0.0.1:8000 did not begin its answer within nginx's limit of 30 s; nginx answers 504 then, so another status was made by another hop\n\
             before: Take the stack of a worker while it hangs: the top call is where the time goes [sudo cat /proc/PID/stack] checks\n\
             now: Give the call in which the time goes (a query, another service, a lock) a limit of its own, well below the proxy's, and answer without it\n\
             now: Only if the work is meant to take that long: raise `proxy_read_timeout` of nginx (30 s now) for that route alone; it hides slowness, and keeps workers and callers busy for longer hides\n\
             lasting: Work that takes long for good reason belongs in a queue: answer 202 and let the caller ask for the result\n\
             verify: It begins to answer within the limit, past the proxy [curl -s -o /dev/null -w '%{http_code} %{time_starttransfer}s\\n\
             ' http://127.0.0.1:8000/] checks",
        );
    }
}
