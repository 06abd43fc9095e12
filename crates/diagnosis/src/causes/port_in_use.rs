//! The app cannot open its port, because another process holds it.
//!
//! ## What you see
//! A new instance ends at once. Gunicorn logs `Connection in use: ('127.0.0.1', 8000)` and
//! `connection to ('127.0.0.1', 8000) failed: [Errno 98] Address already in use`; Node `Error:
//! listen EADDRINUSE: address already in use 127.0.0.1:3000`; Go `listen tcp :8080: bind: address
//! already in use`; uWSGI `probably another instance of uWSGI is running on the same address`;
//! nginx `bind() to 0.0.0.0:80 failed (98: Address already in use)`.
//!
//! ## Why it happens
//! The instance before has not ended yet, was left behind by a deploy, or a stranger took the
//! port. Requests then reach the old instance or the stranger, or, once that one goes, nobody.
//!
//! ## How to tell
//! The owner of the port is not the process that you expect, or is older than the deploy. A
//! refusal alone does not show it: while somebody holds the port nothing is refused.
//!
//! ## Fix
//! Stop the owner, then start the app. For deploys without a gap let the old process hand its
//! socket over (systemd socket activation, `gunicorn` with `SIGUSR2`).

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::listener;
use crate::text::{DECIDES, STRONG, Text, When, before};
use crate::{platform, wording};
use evidence::{Product, Sign, address};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "port_in_use",
    family: Family::F1,
    title: "Another process held the app's port when it started",
    side: Side::AppServer,
    retry: RetryClass::R0,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::ConnectRefused, 0.01), (Sign::SocketMissing, 0.002)],
        clues: &[before(Sign::PortInUse, DECIDES), before(Sign::BindFailed, STRONG)],
        brings: &[
            "crash_at_start",
            "process_down",
            "crash_loop",
            "fastcgi_mismatch",
            "wrong_protocol_service",
            "unix_socket_missing",
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::Refused) = case.fault()? else {
        return None;
    };
    Some(Finding::new(
        0.01,
        format!("the app may have found {} taken, and given up", case.dialled()),
        "an app that lost its port to another does not listen once that other one ends",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See who owns the port, and since when", listener(case)),
        Fix::new("Stop that process if it is not the app, then start the app"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::PortInUse, When::Before)
        .or_else(|| wording::first(dossier, Sign::BindFailed, When::Before))?;
    let address = seen.key.upstream.as_deref().or(dossier.upstream());
    let address = address.map_or_else(|| "its address".to_owned(), wording::brief);
    let app = wording::app(dossier);
    Some(match seen.key.sign {
        Sign::PortInUse => format!("{app} could not start: {address} is taken by another process"),
        _ => format!("{app} could not listen on {address}{}", wording::because(&seen)),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let seen = wording::first(dossier, Sign::PortInUse, When::Before);
    let wanted = seen.and_then(|it| it.key.upstream.as_deref()).and_then(address::port);
    let owner = match wanted.or(dossier.port()) {
        Some(port) => format!("sudo ss -ltnp 'sport = :{port}'"),
        None => "sudo ss -ltnp".to_owned(),
    };
    let mut lasting = vec![Step::say(
        "Let one supervisor alone start the app, and let a deploy wait until the old process has \
         ended",
    )];
    if dossier.server_product() == Some(Product::Gunicorn) {
        lasting.push(Step::say(
            "For deploys without a gap reload Gunicorn (`kill -HUP`) or hand its socket over \
             (`kill -USR2`) instead of starting a second one",
        ));
    }
    Cure {
        before: vec![Step::look("See who owns the port, and since when", owner.clone())],
        now: vec![
            Step::run(
                "If the owner is a left-over of the app, end it, naming the pid that was shown",
                "sudo kill PID",
                Risk::Restart,
            ),
            Step::run(
                format!("Then start {}", wording::app(dossier)),
                platform::start(dossier),
                Risk::Restart,
            ),
        ],
        lasting,
        verify: vec![
            Step::look(format!("{} itself owns the port", wording::app(dossier)), owner),
            wording::answers(dossier),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{REFUSED, check_among, check_not, check_text, nginx};

    #[test]
    fn a_refused_port_may_have_been_taken_before() {
        check_among("connect: refused | to=127.0.0.1:8000", "port_in_use");
    }

    #[test]
    fn a_timeout_is_not_about_who_owns_the_port() {
        check_not("connect: timed_out | to=127.0.0.1:8000", "port_in_use");
    }

    #[test]
    fn the_owner_of_the_port_is_looked_at_first() {
        check_text(
            &[
                ("error.log", &nginx(REFUSED)),
                (
                    "journal",
                    "Nov 20 15:16:00 web systemd[1]: app.socket: Failed to create listening socket (127.0.0.1:8000): Address already in use\n",
                ),
            ],
            "port_in_use: the app could not start: 127.0.0.1:8000 is taken by another process\n\
             before: See who owns the port, and since when [sudo ss -ltnp 'sport = :8000'] checks\n\
             now: If the owner is a left-over of the app, end it, naming the pid that was shown [sudo kill PID] restart\n\
             now: Then start the app [sudo systemctl start APP] restart\n\
             lasting: Let one supervisor alone start the app, and let a deploy wait until the old process has ended\n\
             verify: the app itself owns the port [sudo ss -ltnp 'sport = :8000'] checks\n\
             verify: 127.0.0.1:8000 answers by itself [curl -sv http://127.0.0.1:8000/ -o /dev/null] checks",
        );
    }
}
