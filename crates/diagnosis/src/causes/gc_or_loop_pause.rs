//! The whole process stood still for a moment: a garbage collection, or a blocked event loop.
//!
//! ## What you see
//! All requests of one process, cheap ones too, stall over the same seconds and then go on. Java's
//! log shows `Pause Full ... ms`; in Node the delay of the event loop jumps; async Python shows
//! nothing unless it runs in debug mode, which logs `Executing ... took N seconds`.
//!
//! ## Why it happens
//! A heap that is too small is collected again and again, or synchronous work (a large JSON, an
//! image, a query without `await`) sits on the one thread that serves everybody.
//!
//! ## How to tell
//! The stalls of different requests begin and end together, per process. A slow dependency hits
//! only the routes that use it.
//!
//! ## Fix
//! Move synchronous work off the loop (`asyncio.to_thread`, worker threads); size the heap so that
//! a full collection is rare. Several processes keep one pause from stopping all.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Dossier, span};
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::waited_in_vain;
use crate::text::{STRONG, Text, When, during};
use crate::wording;
use evidence::{Sign, Stack};
use exchange::{BodyFault, Fault, HeadFault, SendFault};

pub(super) static CAUSE: Cause = Cause {
    id: "gc_or_loop_pause",
    family: Family::F2,
    title: "The app stood still: a collection or a blocked event loop",
    side: Side::App,
    retry: RetryClass::R2,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[(Sign::HeadTimedOut, 0.004)],
        clues: &[during(Sign::GcPause, STRONG)],
        brings: &["response_header_timeout"],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match case.fault()? {
        _ if waited_in_vain(case) => 0.04,
        Fault::Send(SendFault::TimedOut(_)) => 0.05,
        Fault::Head(HeadFault::Slow(_)) | Fault::Body(BodyFault::Stalled(_)) => 0.1,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!("{} may have stood still for a while", case.server()),
        "a process that stands still neither reads nor writes on any connection",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::new("See whether other requests of the same process stalled over the same seconds"),
        Fix::run(
            "Take the stack of the Python process while it stands still",
            "py-spy dump -p PID",
        ),
        Fix::new("Move synchronous work off the event loop, or size the heap"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::GcPause, When::During)?;
    let long = match seen.run.opening.number {
        Some(time) if time > 0 => format!(" for {}", span(time)),
        _ => String::new(),
    };
    Some(format!(
        "the runtime of {} stood still{long}{}",
        wording::app(dossier),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let stack =
        wording::first(dossier, Sign::GcPause, When::During).map(|it| it.key.product.stack());
    let lasting = match stack {
        Some(Stack::Java) => {
            "Size the heap so that a full collection is rare (`-XX:MaxRAMPercentage=75`), and find what fills it"
        }
        Some(Stack::Node) => {
            "Move synchronous work off the event loop: worker threads, streams instead of large JSON"
        }
        Some(Stack::Python) => {
            "Move synchronous work off the event loop: `asyncio.to_thread`, or plain `def` routes in FastAPI"
        }
        _ => "Move synchronous work off the thread that serves everybody, and size the heap",
    };
    Cure {
        before: Vec::new(),
        now: vec![
            wording::stacks(dossier),
            Step::say("Run several processes, so that one that stands still does not stop all")
                .hides(),
        ],
        lasting: vec![Step::say(lasting)],
        verify: vec![wording::answers(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_stall_may_be_a_pause() {
        check_among("body: stalled | fresh received=400", "gc_or_loop_pause");
        check_among("head: slow | fresh received=40", "gc_or_loop_pause");
    }

    #[test]
    fn a_pause_closes_nothing() {
        check_not("head: closed | fresh after=3s", "gc_or_loop_pause");
    }
}
