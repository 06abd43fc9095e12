//! The app exits while it starts, so nothing ever listens.
//!
//! ## What you see
//! Every request is refused at once, since a deploy, a reboot or a changed setting. On the app's
//! side Gunicorn ends with `Worker (pid:N) exited with code 3.`, `Shutting down: Master` and
//! `Reason: Worker failed to boot.` (or `Reason: App failed to load.`); Uvicorn with `ERROR:
//! Error loading ASGI app. Could not import module "x".` or `Application startup failed.
//! Exiting.`; uWSGI with `*** no app loaded. GAME OVER ***`; Node with an uncaught error above
//! `Node.js v20.20.2`; Spring Boot with `APPLICATION FAILED TO START`.
//!
//! ## Why it happens
//! An import fails, a variable or secret is missing, a migration did not run, or a database that
//! is asked at start is away. The process ends before it opens its port or socket.
//!
//! ## How to tell
//! The unit or container has just ended with a code other than 0, and its last output is an
//! error. Exit code 127 means that the command does not exist, 126 that it may not be executed.
//! If it starts over and over, that is `crash_loop`.
//!
//! ## Fix
//! Read the first exception of the trace, not the last line, and cure that. Start the app by hand
//! with the same user and environment to see it again.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Dossier, Listener, Seen, span};
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{AGAINST, Claim, DECIDES, SPEAKS, Text, When, before};
use crate::{platform, wording};
use evidence::{Sign, Stack};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "crash_at_start",
    family: Family::F1,
    title: "The app exits while it starts",
    side: Side::App,
    retry: RetryClass::R0,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectRefused, 0.1),
            (Sign::SocketMissing, 0.02),
            (Sign::SocketStale, 0.03),
            (Sign::ConnectFailed, 0.05),
            (Sign::NoLiveUpstream, 0.005),
            (Sign::Answered502, 0.04),
        ],
        clues: &[
            before(Sign::BootFailed, DECIDES),
            before(Sign::BootTimedOut, SPEAKS),
            before(Sign::ProcessExited, SPEAKS),
            before(Sign::CrashLooping, SPEAKS),
            before(Sign::OomKilled, AGAINST),
        ],
        brings: &[
            "process_down",
            "crash_loop",
            "endpoints_empty",
            "no_live_upstreams",
            "unix_socket_missing",
            "unix_socket_stale",
            "k8s_readiness_failing",
            // A server that goes on without its app answers for it.
            "upstream_own_5xx",
        ],
        reason,
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::Refused | ConnectFault::SocketMissing) = case.fault()? else {
        return None;
    };
    Some(Finding::new(
        0.03,
        format!("the app behind {} may have ended while it was starting", case.dialled()),
        "an app that fails to start never opens its address",
    ))
}

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See what has failed to start", "systemctl --failed"),
        Fix::run("Or which containers have exited, and how", "docker ps -a --filter status=exited"),
        Fix::new("Read the first exception in its log, not the last line, and cure that"),
    ]
}

/// It had come up on the address that refuses now.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let up = dossier.listener_there().filter(|_| dossier.had_come_up());
    let claim = |it: Listener| {
        let says = format!("{} came up, and said that it listens there", it.product.name());
        Claim::new(AGAINST, says, vec![it.cite])
    };
    up.map(claim).into_iter().collect()
}

fn says(dossier: &Dossier) -> Option<String> {
    let on = match dossier.upstream() {
        Some(upstream) => format!(" on {upstream}"),
        None => String::new(),
    };
    if let Some(seen) = wording::first(dossier, Sign::BootFailed, When::Before) {
        let because = wording::because(&seen);
        return Some(format!("{} never came up{on}{because}", name(dossier, &seen)));
    }
    if let Some(seen) = wording::first(dossier, Sign::BootTimedOut, When::Before) {
        let within = seen.run.opening.number.map(|it| format!(" within {}", span(it)));
        return Some(format!(
            "{} did not come up{on}{}",
            name(dossier, &seen),
            within.unwrap_or_default()
        ));
    }
    if let Some(seen) = wording::first(dossier, Sign::ProcessExited, When::Before)
        && let Some(code) = seen.run.opening.number.filter(|it| *it != 0)
    {
        return Some(format!("{} ended with exit code {code} as it started", name(dossier, &seen)));
    }
    let seen = wording::first(dossier, Sign::CrashLooping, When::Before)?;
    Some(format!("{} ends as it starts, again and again", name(dossier, &seen)))
}

/// What failed to start: the frame that a traceback names is no name.
fn name(dossier: &Dossier, seen: &Seen) -> String {
    match seen.key.product.stack() {
        Stack::Systemd | Stack::Docker | Stack::Kubernetes => wording::who(dossier, seen),
        _ => wording::app(dossier).to_owned(),
    }
}

fn cure(dossier: &Dossier) -> Cure {
    let seen = wording::first(dossier, Sign::BootFailed, When::Before);
    let place = seen.filter(|it| it.key.product.stack().runs_apps());
    let place = place.and_then(|it| it.key.who.clone()).map(|it| wording::brief(&it));
    let detail = seen.and_then(|it| it.detail().map(str::to_owned)).unwrap_or_default();
    let code = seen.and_then(|it| it.run.opening.number);
    let mut now = Vec::new();
    if let Some(module) = quoted(&detail, "No module named ") {
        now.push(install(dossier, &module));
    } else if matches!(code, Some(203 | 126 | 127)) || detail.contains("executable file not found")
    {
        now.push(Step::say(format!(
            "Correct the command in {}: the program that it names does not exist there, or may not \
             be executed",
            platform::declaration(dossier)
        )));
    } else if let Some(place) = place {
        now.push(Step::say(format!("Correct what {place} fails on: {}", wording::brief(&detail))));
    } else {
        now.push(wording::read_log(
            dossier,
            "Read the first error of the last start, not its last line, and cure that",
        ));
    }
    now.push(wording::restarted(dossier));
    Cure {
        before: Vec::new(),
        now,
        lasting: vec![Step::say(
            "Let the deploy start the new version and ask its health path before the old one ends: \
             then what does not start takes nothing away",
        )],
        verify: vec![
            Step::look("It stays up", platform::state(dossier)),
            wording::answers(dossier),
        ],
    }
}

/// The word in quotes after a phrase.
fn quoted(text: &str, phrase: &str) -> Option<String> {
    let rest = text.split_once(phrase)?.1.strip_prefix('\'')?;
    let module = rest.split_once('\'')?.0;
    let plain = module.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-".contains(&it));
    (plain && !module.is_empty()).then(|| module.to_owned())
}

fn install(dossier: &Dossier, module: &str) -> Step {
    let text = format!(
        "Name the package of `{module}` in the app's requirements, and install them into the \
         environment that {} runs in",
        wording::app(dossier)
    );
    let run = match (platform::kubernetes(dossier), platform::container(dossier)) {
        (true, _) => "docker build --tag IMAGE . && docker push IMAGE".to_owned(),
        (_, true) => format!("docker compose build {}", platform::service(dossier)),
        _ if platform::heroku(dossier) => "git push heroku main".to_owned(),
        _ => "VENV/bin/pip install -r requirements.txt".to_owned(),
    };
    Step::run(text, run, Risk::None)
}

#[cfg(test)]
mod tests {
    use crate::testing::{REFUSED, check_among, check_not, check_text, explained, nginx, nginx_to};

    #[test]
    fn an_address_that_was_never_opened() {
        check_among("connect: refused | to=10.0.0.7:8000", "crash_at_start");
        check_among("connect: socket_missing | to=unix:/run/app.sock", "crash_at_start");
    }

    #[test]
    fn a_socket_file_shows_that_it_did_start_once() {
        check_not("connect: socket_stale | to=unix:/run/app.sock", "crash_at_start");
    }

    #[test]
    fn a_missing_module_is_named_and_installed() {
        check_text(
            &[
                ("error.log", &nginx(REFUSED)),
                (
                    "app.log",
                    "Traceback (most recent call last):\n  File \"/srv/app.py\", line 1, in <module>\n    import flask\nModuleNotFoundError: No module named 'flask'\n",
                ),
            ],
            "crash_at_start: the app never came up on 127.0.0.1:8000: ModuleNotFoundError: No module named 'flask'\n\
             now: Name the package of `flask` in the app's requirements, and install them into the environment that the app runs in [VENV/bin/pip install -r requirements.txt]\n\
             now: Restart the app with that [sudo systemctl restart APP] restart\n\
             lasting: Let the deploy start the new version and ask its health path before the old one ends: then what does not start takes nothing away\n\
             verify: It stays up [systemctl status APP] checks\n\
             verify: 127.0.0.1:8000 answers by itself [curl -sv http://127.0.0.1:8000/ -o /dev/null] checks",
        );
    }

    #[test]
    fn the_reason_is_named_and_not_the_last_line() {
        let log = "[2026-11-20 15:16:01 +0000] [8] [ERROR] Exception in worker process\n\
                   Traceback (most recent call last):\n  File \"/srv/app.py\", line 1, in <module>\n    \
                   import flask\nModuleNotFoundError: No module named 'flask'\n\
                   [2026-11-20 15:16:01 +0000] [7] [ERROR] Reason: Worker failed to boot.\n";
        let report = explained(&[("error.log", &nginx(REFUSED)), ("gunicorn.log", log)]);
        let want = "gunicorn never came up on 127.0.0.1:8000: ModuleNotFoundError: No module \
                    named 'flask'";
        assert_eq!(report.statement, want);
    }

    #[test]
    fn a_command_that_does_not_exist_is_corrected_in_the_unit() {
        check_text(
            &[
                ("error.log", &nginx(REFUSED)),
                (
                    "journal",
                    "Nov 20 15:16:00 web systemd[1]: app.service: Main process exited, code=exited, status=203/EXEC\n",
                ),
            ],
            "crash_at_start: app.service never came up on 127.0.0.1:8000: 203/EXEC\n\
             now: Correct the command in the unit app.service: the program that it names does not exist there, or may not be executed\n\
             now: Restart the app with that [sudo systemctl restart app.service] restart\n\
             lasting: Let the deploy start the new version and ask its health path before the old one ends: then what does not start takes nothing away\n\
             verify: It stays up [systemctl status app.service] checks\n\
             verify: 127.0.0.1:8000 answers by itself [curl -sv http://127.0.0.1:8000/ -o /dev/null] checks",
        );
    }

    #[test]
    fn a_unit_that_is_started_again_and_again() {
        check_text(
            &[
                ("error.log", &nginx(REFUSED)),
                (
                    "journal",
                    "Nov 20 15:16:00 web systemd[1]: app.service: Scheduled restart job, restart counter is at 5.\n",
                ),
            ],
            "crash_at_start: app.service ends as it starts, again and again\n\
             now: Read the first error of the last start, not its last line, and cure that [journalctl -u app.service --since '2026-11-20 15:15:30 UTC' --until '2026-11-20 15:17:30 UTC'] checks\n\
             now: Restart the app with that [sudo systemctl restart app.service] restart\n\
             lasting: Let the deploy start the new version and ask its health path before the old one ends: then what does not start takes nothing away\n\
             verify: It stays up [systemctl status app.service] checks\n\
             verify: 127.0.0.1:8000 answers by itself [curl -sv http://127.0.0.1:8000/ -o /dev/null] checks",
        );
    }

    #[test]
    fn a_pod_that_is_started_again_and_again() {
        check_text(
            &[
                ("error.log", &nginx_to("shop:8000", REFUSED)),
                (
                    "events",
                    "LAST SEEN   TYPE      REASON    OBJECT              MESSAGE\n5m          Warning   BackOff   pod/shop-7d9f6b5c4d-abcde   Back-off restarting failed container\n",
                ),
            ],
            "crash_at_start: shop-7d9f6b5c4d-abcde ends as it starts, again and again\n\
             now: Read the first error of the last start, not its last line, and cure that [kubectl logs --previous shop-7d9f6b5c4d-abcde; kubectl logs shop-7d9f6b5c4d-abcde] checks\n\
             now: Restart the app with that [kubectl rollout restart deployment/shop] restart\n\
             lasting: Let the deploy start the new version and ask its health path before the old one ends: then what does not start takes nothing away\n\
             verify: It stays up [kubectl describe pod shop-7d9f6b5c4d-abcde] checks\n\
             verify: shop:8000 answers by itself [curl -sv http://shop:8000/ -o /dev/null] checks",
        );
    }
}
