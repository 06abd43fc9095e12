//! The app's Unix socket does not exist where the gateway looks for it.
//!
//! ## What you see
//! 502 at once, on every request. nginx logs, as `[crit]`, `connect() to unix:/run/app.sock failed
//! (2: No such file or directory) while connecting to upstream`; Apache `(2)No such file or
//! directory: AH02454`; Go `dial unix /run/app.sock: connect: no such file or directory`.
//!
//! ## Why it happens
//! The app has not started (it makes the file when it does), listens at another path, or the two do
//! not see the same file: a unit with `PrivateTmp=yes`, another container, a chroot. `/tmp` and
//! `/run` are emptied at boot.
//!
//! ## How to tell
//! `ss -lx` lists the sockets that somebody listens on, whatever the mount namespace. If the path
//! is there, compare it letter by letter; then ask whether the gateway sees the same `/tmp`.
//!
//! ## Fix
//! Start the app, or make both sides name one path, below `/run` and made by `RuntimeDirectory=` of
//! the app's unit, never in `/tmp`. Between containers share a volume for it.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use evidence::{Sign, address};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "unix_socket_missing",
    family: Family::F10,
    title: "The app's Unix socket does not exist",
    side: Side::AppServer,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text { behind: &[(Sign::SocketMissing, 0.88)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::SocketMissing) = case.fault()? else {
        return None;
    };
    Some(Finding::new(
        0.9,
        format!("there is no socket at {}", path(case)),
        "the system found no file at that path, as the gateway sees it",
    ))
}

fn path<'a>(case: &'a Case) -> &'a str {
    case.unix_path().unwrap_or("the configured path")
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See on which sockets somebody listens, and start the app if none is its",
            "ss -lxp",
        ),
        Fix::run("See which part of the path is missing", format!("namei -l '{}'", path(case))),
        Fix::new(
            "If the app does listen there, the two see different files: move the socket from \
             `/tmp` to a `RuntimeDirectory=` below `/run`, or share a volume between containers",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let path = dossier.upstream().and_then(address::socket)?;
    let elsewhere = dossier.listeners().into_iter().find(|it| !it.address.contains(path));
    let mut words = format!("the socket {path} that {} dials does not exist", dossier.hop());
    if let Some(it) = elsewhere {
        words += &format!("; {} listens on {}", it.product.name(), it.address);
    }
    Some(words)
}

fn cure(dossier: &Dossier) -> Cure {
    let path = dossier
        .upstream()
        .and_then(address::socket)
        .map_or_else(|| "/run/app.sock".to_owned(), advice::word);
    let at = advice::hop_host(dossier);
    let elsewhere = dossier.listeners().into_iter().find(|it| !it.address.contains(path.as_str()));
    let mut now = vec![
        Step::look(
            "See whether the app runs, and on which socket it listens",
            "sudo ss -lxp".to_owned(),
        )
        .at(at.clone()),
    ];
    match elsewhere {
        Some(it) => {
            let to = match address::socket(&it.address) {
                Some(path) => format!("unix:{path}"),
                None => it.address.clone(),
            };
            let nginx = format!("-proxy_pass http://unix:{path};\nproxy_pass http://{to};");
            let fastcgi = format!("-fastcgi_pass unix:{path};\nfastcgi_pass {to};");
            let lines = if advice::module(dossier) == "fastcgi" { fastcgi } else { nginx };
            now.extend(advice::change(
                dossier,
                "Dial the socket on which the app listens",
                &[(Hop::Nginx, &lines)],
            ));
        }
        None => now.push(
            Step::run("Start the app", platform::restart(dossier), Risk::Restart).at(at.clone()),
        ),
    }
    Cure {
        now,
        lasting: vec![Step::diff(
            "Keep the socket in a directory of its own that systemd makes; one in `/tmp` is not there for a service with `PrivateTmp`, and one in another container needs a shared volume",
            Some("the unit of the app".to_owned()),
            " [Service]\n+RuntimeDirectory=APP",
            Risk::Restart,
        )],
        verify: advice::past(dossier, "an answer of the app")
            .into_iter()
            .chain([advice::through(dossier, "an answer of the app")])
            .collect(),
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn no_file_no_socket() {
        check(
            "connect: socket_missing | to=unix:/run/app.sock errno=2",
            "unix_socket_missing: there is no socket at /run/app.sock",
        );
    }

    #[test]
    fn a_file_without_a_listener_is_stale() {
        check_not("connect: socket_stale | to=unix:/run/app.sock", "unix_socket_missing");
    }

    #[test]
    fn the_path_is_said() {
        let line = nginx(
            "connect() to unix:/run/app.sock failed (2: No such file or directory) while connecting to upstream",
            "http://unix:/run/app.sock:/",
        );
        check_report(
            &[("error.log", &line)],
            "unix_socket_missing: the socket /run/app.sock that nginx dials does not exist",
        );
    }
}
