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
use crate::look::Fix;
use crate::text::Text;
use evidence::Sign;
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
    text: Text { behind: &[(Sign::BodyStalled, 0.88)], ..Text::NONE },
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

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "If it is a stream that may be quiet, let it send a heartbeat, such as the line \
             `: ping` for server-sent events",
        ),
        Fix::run("Else see where the app waits, here for Python", "py-spy dump -p PID"),
        Fix::new(
            "Raise `timeout.idle` of this upstream only for streams: elsewhere it hides stalls and \
             keeps dead answers open",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

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
}
