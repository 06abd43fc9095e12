//! The answer's body stopped coming in the middle.
//!
//! ## What you see
//! Downloads and streams hang and then break off, with a good status. nginx logs `upstream timed
//! out (110: Connection timed out) while reading upstream`; HAProxy `sD--`; Caddy `reading from
//! backend ... i/o timeout`. A Go proxy without a limit for reading bodies waits for ever.
//!
//! ## Why it happens
//! The app waits for something between two parts of its answer: a slow query behind a generator, a
//! model that thinks, an event stream without events. Or the path broke without telling.
//!
//! ## How to tell
//! The connection is still open, and bytes had come. Streams that stall after the same time each
//! are quiet by nature and need a heartbeat.
//!
//! ## Fix
//! Let streams send a heartbeat (a comment line `: ping` for server-sent events) more often than
//! `timeout.idle`. For others find what the app waits for. A longer limit keeps dead streams open
//! for longer.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Dossier, span};
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::wording;
use evidence::{Limit, Sign};
use exchange::{BodyFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "body_stall",
    family: Family::F5,
    title: "The answer's body stopped coming",
    side: Side::App,
    retry: RetryClass::R4,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::BodyStalled, 0.88)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Body(BodyFault::Stalled(limit)) = case.fault()? else {
        return None;
    };
    Some(Finding::new(
        0.6,
        format!(
            "{} stopped in the middle of its answer, after {} bytes, for {}",
            case.server(),
            case.received(),
            words(limit.value)
        ),
        format!("the connection stayed open without a byte until `{}` passed", limit.name),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let limit = case.fault().and_then(Fault::limit).map_or("timeout.idle", |it| it.name);
    vec![
        Fix::new(
            "If it is a stream that may be quiet, let it send a heartbeat, such as the line \
             `: ping` for server-sent events",
        ),
        Fix::run("Else see where the app waits, here for Python", "py-spy dump -p PID"),
        Fix::new(format!(
            "Raise `{limit}` of this upstream only for streams: elsewhere it hides stalls and \
             keeps dead answers open"
        )),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    if dossier.sign() != Sign::BodyStalled {
        return None;
    }
    let within =
        wording::hop_limit(dossier, Limit::Read).map(|(it, _)| format!(" of {}", span(it)));
    Some(format!(
        "{} stopped in the middle of its answer for longer than the limit{} of {}",
        wording::app_at(dossier),
        within.unwrap_or_default(),
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let limit = wording::read_limit(dossier);
    Cure {
        before: vec![wording::stacks(dossier)],
        now: vec![
            Step::say("Let streams send a sign of life more often than the limit: a comment line `: ping` for server-sent events, a ping for WebSockets"),
            Step::say(format!("Where a stream must be silent, raise {limit} for that route alone: it hides dead streams, and keeps them open for longer")).hides(),
        ],
        lasting: vec![Step::say("For answers that are no streams cure what the app waits for after its first bytes")],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not, check_text, nginx};

    #[test]
    fn a_body_that_stops() {
        check(
            "body: stalled | fresh received=4000",
            "body_stall: the upstream stopped in the middle of its answer, after 4000 bytes, for \
             60 s",
        );
    }

    #[test]
    fn a_body_that_ends_early_did_not_stall() {
        check_not("body: chunk_cut | fresh received=4000", "body_stall");
    }

    #[test]
    fn the_answer_stopped_in_the_middle() {
        check_text(
            &[(
                "error.log",
                &nginx("upstream timed out (110: Connection timed out) while reading upstream"),
            )],
            "body_stall: 127.0.0.1:8000 stopped in the middle of its answer for longer than the limit of nginx\n\
             before: Take the stack of a worker while it hangs: the top call is where the time goes [sudo cat /proc/PID/stack] checks\n\
             now: Let streams send a sign of life more often than the limit: a comment line `: ping` for server-sent events, a ping for WebSockets\n\
             now: Where a stream must be silent, raise `proxy_read_timeout` for that route alone: it hides dead streams, and keeps them open for longer hides\n\
             lasting: For answers that are no streams cure what the app waits for after its first bytes\n\
             verify: nginx logs no new failure of this kind [sudo tail -n 200 /var/log/nginx/error.log] checks",
        );
    }
}
