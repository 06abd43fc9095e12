//! Nothing listens on the address that the gateway dials.
//!
//! ## What you see
//! Every request to the upstream fails at once with 502; other gateways log
//! `connect() failed (111: Connection refused)` (nginx) or `SC--` with 503 (HAProxy).
//!
//! ## Why it happens
//! The process was never started, has stopped, or is between two starts. The kernel of the target
//! answers the SYN with RST, because no socket listens on that port.
//!
//! ## How to tell
//! The refusal comes within milliseconds, and `ss -ltnp 'sport = :PORT'` on the target prints no
//! listener. If it prints one on another address or port, the cause is `bound_to_loopback` or
//! `wrong_port` instead; if the process is there and comes up, `startup_not_ready`.
//!
//! ## Fix
//! Start the process, and see why it ended: its own log, `systemctl status`, `docker ps -a`. Give
//! it a restart policy, so that the next exit is an interruption and not an outage.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::{Cite, Dossier};
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{AGAINST, Claim, HINTS, SPEAKS, Text, When, before, during};
use crate::{platform, wording};
use evidence::Sign;
use exchange::{ConnectFault, Fault, Phase};

pub(super) static CAUSE: Cause = Cause {
    id: "process_down",
    family: Family::F1,
    title: "Nothing listens on the upstream's address",
    side: Side::AppServer,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectRefused, 0.62),
            (Sign::HostUnreachable, 0.13),
            (Sign::SocketMissing, 0.05),
            (Sign::SocketStale, 0.08),
            (Sign::ConnectFailed, 0.36),
            (Sign::NameNotFound, 0.02),
            (Sign::Reset, 0.01),
            (Sign::NoLiveUpstream, 0.05),
            (Sign::NoEndpoints, 0.03),
            (Sign::Answered502, 0.2),
            (Sign::Answered503, 0.1),
        ],
        clues: &[
            before(Sign::ProcessInactive, 6.5),
            before(Sign::ProcessStopped, 6.5),
            before(Sign::ProcessExited, SPEAKS),
            before(Sign::ProcessKilled, SPEAKS),
            during(Sign::ServerDown, HINTS),
            during(Sign::HealthConnectFailed, SPEAKS),
        ],
        brings: &["no_live_upstreams", "endpoints_empty"],
        reason,
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::Refused) = case.fault()? else {
        return None;
    };
    let after = case.attempt()?.phases.get(Phase::Connect).unwrap_or(0);
    Some(Finding::new(
        0.6,
        format!("nothing is listening on {}: the connection was refused", case.dialled()),
        format!(
            "the system of the target refused within {}: no process has that port",
            words(after)
        ),
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let port = case.port().unwrap_or(0);
    vec![
        Fix::run(
            "See whether anything listens on that port, and on which address",
            format!("ss -ltnp 'sport = :{port}'"),
        ),
        Fix::new(format!(
            "Start the app on {}, and look in its log for why it ended",
            case.dialled()
        )),
    ]
}

/// A process that was told to end, and nothing that came after it; and one that says that it listens
/// there, which is up unless it ended later.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let told = |it: &Cite| it.sign == Some(Sign::ShuttingDown);
    // Only a check was refused, and at a port that the traffic does not go to.
    let checked = dossier.sign() == Sign::NoLiveUpstream && dossier.saw(Sign::HealthConnectFailed);
    if let Some((port, cite)) = dossier.strayed_check().filter(|_| checked) {
        let says = format!("only the check goes to port {port}");
        return vec![Claim::new(AGAINST, says, vec![cite])];
    }
    let refused = dossier.incident.cites.first();
    let refused = refused.filter(|it| it.quote.contains("onnection refused"));
    if let Some(cite) = refused.filter(|_| dossier.sign() == Sign::CallerFailed) {
        let says = "the caller's connection was refused";
        return vec![Claim::new(3.6, says, vec![cite.clone()])];
    }
    // What gives up at its start ends as well: that is the effect.
    let came_up = dossier.seen(Sign::BootFailed, When::Before).is_empty();
    if let Some(stopped) = dossier.stayed_down().filter(|_| came_up) {
        let says = "it was told to end, and nothing was started in its place";
        return told(&stopped).then(|| Claim::new(5.0, says, vec![stopped])).into_iter().collect();
    }
    let there = dossier.listener_there().filter(|it| it.said);
    let up = there.filter(|_| !dossier.had_come_up());
    up.map(|it| {
        let says = format!("{} said that it listens there", it.product.name());
        Claim::new(-1.5, says, vec![it.cite])
    })
    .into_iter()
    .collect()
}

/// What is known of how it ended; else that nobody listens.
fn says(dossier: &Dossier) -> Option<String> {
    let silent = match dossier.upstream() {
        Some(upstream) => format!(", so nothing listens on {upstream}"),
        None => String::new(),
    };
    let ended = |sign, how: &dyn Fn(i64) -> String| {
        let seen = wording::first(dossier, sign, When::Before)?;
        let how = seen.run.opening.number.map(how).unwrap_or_default();
        Some((wording::who(dossier, &seen), how))
    };
    if let Some((who, _)) = ended(Sign::ProcessStopped, &|_| String::new()) {
        return Some(format!("{who} was stopped{silent}"));
    }
    if let Some((who, _)) = ended(Sign::ProcessInactive, &|_| String::new()) {
        return Some(format!("{who} is not running{silent}"));
    }
    if let Some((who, how)) = ended(Sign::ProcessKilled, &|it| format!(" by signal {it}")) {
        return Some(format!("{who} was killed{how}{silent}"));
    }
    if let Some((who, how)) = ended(Sign::ProcessExited, &|it| format!(" with exit code {it}")) {
        return Some(format!("{who} ended{how}{silent}"));
    }
    if let Some(stopped) = dossier.stayed_down() {
        let seen = dossier.seen(Sign::ShuttingDown, When::Before);
        let seen = seen.iter().find(|it| it.cite() == stopped)?;
        return Some(format!("{} was told to end{silent}", wording::who(dossier, seen)));
    }
    let refused = matches!(dossier.sign(), Sign::ConnectRefused | Sign::SocketStale);
    let upstream = dossier.upstream().filter(|_| refused)?;
    Some(format!("nothing listens on {upstream}"))
}

fn cure(dossier: &Dossier) -> Cure {
    Cure {
        before: vec![wording::read_log(
            dossier,
            "Read why it ended before its log moves on; a start that fails again says the same",
        )],
        now: vec![Step::run(
            format!("Start {}", wording::app(dossier)),
            platform::start(dossier),
            Risk::Restart,
        )],
        lasting: vec![wording::kept_up(dossier)],
        verify: vec![wording::listens(dossier), wording::answers(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{REFUSED, check, check_text, explained, nginx, nginx_to};

    #[test]
    fn a_refused_connection_is_a_process_that_is_down() {
        check(
            "connect: refused | to=127.0.0.1:8000",
            "process_down: nothing is listening on 127.0.0.1:8000: the connection was refused",
        );
    }

    #[test]
    fn a_connection_that_times_out_is_something_else() {
        crate::testing::check_not("connect: timed_out | to=10.0.0.1:8000", "process_down");
    }

    #[test]
    fn a_stopped_unit_is_named_and_started() {
        check_text(
            &[
                ("error.log", &nginx(REFUSED)),
                ("journal", "Nov 20 15:10:00 web systemd[1]: Stopped app.service - The app.\n"),
            ],
            "process_down: app.service was stopped, so nothing listens on 127.0.0.1:8000\n\
             before: Read why it ended before its log moves on; a start that fails again says the same [journalctl -u app.service --since '2026-11-20 15:15:30 UTC' --until '2026-11-20 15:17:30 UTC'] checks\n\
             now: Start the app [sudo systemctl start app.service] restart\n\
             lasting: Let systemd start it after each failure (`Restart=on-failure` in `[Service]`) and at boot [sudo systemctl enable app.service]\n\
             verify: Something listens on port 8000 [ss -ltnp 'sport = :8000'] checks\n\
             verify: 127.0.0.1:8000 answers by itself [curl -sv http://127.0.0.1:8000/ -o /dev/null] checks",
        );
    }

    #[test]
    fn a_container_that_was_killed_is_started_again() {
        check_text(
            &[
                ("error.log", &nginx_to("app:8000", REFUSED)),
                ("events", "shop-app-1 exited with code 137\n"),
            ],
            "process_down: shop-app-1 was killed by signal 9, so nothing listens on app:8000\n\
             before: Read why it ended before its log moves on; a start that fails again says the same [docker compose logs --timestamps --since 2026-11-20T15:15:30Z app] checks\n\
             now: Start the app [docker compose up -d app] restart\n\
             lasting: Give the service `restart: unless-stopped` in the compose file\n\
             verify: Something listens on port 8000 [docker compose exec app ss -ltnp 'sport = :8000'] checks\n\
             verify: app:8000 answers by itself [curl -sv http://app:8000/ -o /dev/null] checks",
        );
    }

    #[test]
    fn a_script_whose_connection_was_refused_found_nobody() {
        let line = "requests.exceptions.ConnectionError: HTTPConnectionPool(host='localhost', port=8000): Max retries exceeded with url: / (Caused by NewConnectionError('<x>: Failed to establish a new connection: [Errno 111] Connection refused'))\n";
        let report = explained(&[("script.txt", line)]);
        assert_eq!(report.candidates[0].cause, "process_down", "{:?}", report.statement);
        assert!(report.confidence < 0.8, "{:?}", report.candidates);
    }
}
