//! The upstream stopped reading the request.
//!
//! ## What you see
//! Uploads hang and end with 504. nginx logs `upstream timed out (110: Connection timed out) while
//! sending request to upstream`. Small requests work, because the system's buffers take them.
//!
//! ## Why it happens
//! The app does not read: its worker is stuck or busy, it reads bodies only when it gets to them,
//! or it stores them more slowly than they come. Or large packets vanish on the way.
//!
//! ## How to tell
//! On the target `ss -tn` shows a full `Recv-Q` for the connection if the app does not read. If it
//! is empty there and our `Send-Q` is full, packets are lost: `mtu_blackhole`.
//!
//! ## Fix
//! Let the app read bodies as they come, or have them stored elsewhere and pass a reference. A
//! longer limit hides an app that does not read.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::forgotten;
use crate::text::Text;
use crate::wording;
use evidence::{Sign, Stack};
use exchange::{Fault, SendFault};

pub(super) static CAUSE: Cause = Cause {
    id: "request_send_timeout",
    family: Family::F5,
    title: "The upstream stopped reading the request",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::SendTimedOut, 0.87)], cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Send(SendFault::TimedOut(limit)) = case.fault()? else {
        return None;
    };
    let sent = case.attempt()?.sent;
    Some(Finding::new(
        if forgotten(case).is_some() { 0.2 } else { 0.5 },
        format!(
            "{} stopped reading the request after {sent} bytes, for {}",
            case.server(),
            words(limit.value)
        ),
        format!("not one more byte was taken until `{}` passed", limit.name),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let filter = match case.port() {
        Some(port) => format!("ss -tnp 'sport = :{port}'"),
        None => "ss -xp".to_owned(),
    };
    vec![
        Fix::run("On the target, see whether bytes lie unread (`Recv-Q` above 0)", filter),
        Fix::run("If so, see where the app is, here for Python", "py-spy dump -p PID"),
        Fix::new("Let the app read the body as it comes, before it waits for anything else"),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    let limit = match dossier.incident.hop.stack() {
        Stack::Nginx => "`proxy_send_timeout`",
        Stack::HaProxy => "`timeout server`",
        Stack::Apache => "`ProxyTimeout`",
        Stack::Caddy => "`write_timeout`",
        _ => "the proxy's limit for sending",
    };
    Cure {
        before: vec![wording::stacks(dossier)],
        now: vec![
            Step::say("Let the app read bodies as they come, before it does anything slow"),
            Step::say(format!("A longer {limit} hides an app that does not read: leave it, unless the line itself is slow")).hides(),
        ],
        lasting: vec![Step::say("Let large uploads go to a store (a signed URL) and pass the app a reference")],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_not};

    #[test]
    fn an_app_that_does_not_read() {
        check(
            "send: timed_out | fresh sent=200000",
            "request_send_timeout: the upstream stopped reading the request after 200000 bytes, \
             for 60 s",
        );
    }

    #[test]
    fn a_reset_is_not_a_wait() {
        check_not("send: reset | fresh sent=200000", "request_send_timeout");
    }
}
