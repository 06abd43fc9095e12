//! Signs that several causes read alike: how a connection was lost, and where to look for proof.

use crate::case::Case;
use exchange::{Address, BodyFault, Fault, HeadFault, Micros, Phase, SendFault};

/// A close of a connection that has been idle for less than this was not the end of its idleness:
/// no server's limit is that short.
pub(crate) const YOUNG: Micros = 500_000;

/// A close that was under way before the request shows within one round trip: so long across a
/// network, and so long on this machine, where only a busy system delays it.
const ROUND_TRIP: Micros = 1_000_000;
const LOCAL_ROUND_TRIP: Micros = 200_000;

/// Sooner than this no application has looked at the request.
const AT_ONCE: Micros = 20_000;

/// The shortest limit after which clouds and firewalls forget an idle flow (Azure's).
const FORGOTTEN: Micros = 240_000_000;

/// Limits after which app servers kill a busy worker: Gunicorn's default, and what it and uWSGI's
/// harakiri are commonly set to.
const WATCHDOGS: [Micros; 3] = [GUNICORN, 60_000_000, 120_000_000];

/// More of a body than a system takes for an app that does not read: about one receive buffer.
pub(crate) const MUCH: u64 = 65_536;

/// Gunicorn's default `--timeout`.
pub(crate) const GUNICORN: Micros = 30_000_000;

/// How a connection to the target ended before the answer was whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It had served a request before, had rested for so long, and ended before this request can
    /// have been read.
    OnReuse(Micros),
    /// It was fresh and ended too soon for any work to have been done.
    AtOnce,
    /// The target had the request for so long, and not one byte of an answer came.
    AtWork(Micros),
    /// It ended when a known limit of app servers had passed: this one.
    AtWatchdog(Micros),
    /// Part of an answer had come.
    InAnswer,
}

/// How the connection was lost, where it was.
pub(crate) fn loss(case: &Case) -> Option<Loss> {
    let answer_had_begun = match case.fault()? {
        Fault::Send(SendFault::Reset | SendFault::Closed)
        | Fault::Head(HeadFault::Closed | HeadFault::Reset) => case.received() > 0,
        Fault::Body(
            BodyFault::LengthShort { .. } | BodyFault::ChunkCut | BodyFault::Reset | BodyFault::Tls,
        ) => true,
        _ => return None,
    };
    let worked = worked(case);
    let round_trip = if remote(case) { ROUND_TRIP } else { LOCAL_ROUND_TRIP };
    Some(match (watchdog(worked), case.idle_for()) {
        (Some(limit), _) => Loss::AtWatchdog(limit),
        (None, _) if answer_had_begun => Loss::InAnswer,
        (None, Some(idle)) if worked < round_trip => Loss::OnReuse(idle),
        (None, None) if worked < AT_ONCE => Loss::AtOnce,
        (None, _) => Loss::AtWork(worked),
    })
}

/// The limit that a time fits: a little early, because clocks start apart, or up to a second late,
/// because Gunicorn's master looks at its workers once a second.
pub(crate) fn watchdog(worked: Micros) -> Option<Micros> {
    let fits = |limit: Micros| {
        let early = (limit / 50).min(300_000);
        let late = (limit / 50).max(1_300_000);
        (limit - early..=limit + late).contains(&worked)
    };
    WATCHDOGS.into_iter().find(|limit| fits(*limit))
}

/// How long the target has had the last attempt's request, or part of it.
pub(crate) fn worked(case: &Case) -> Micros {
    let Some(attempt) = case.attempt() else { return 0 };
    let after_opening = attempt.phases.iter().filter(|(phase, _)| *phase >= Phase::SendHead);
    after_opening.map(|(_, spent)| spent).sum()
}

/// A whole request was out and no byte of an answer came until a limit of ours ended the wait, on
/// a connection that was certainly alive.
pub(crate) fn waited_in_vain(case: &Case) -> bool {
    let waited = match case.fault() {
        Some(Fault::Head(HeadFault::TimedOut(_))) => true,
        Some(Fault::Deadline(_)) => {
            case.attempt().is_some_and(|it| it.phase == Phase::WaitFirstByte)
        }
        _ => false,
    };
    waited && forgotten(case).is_none()
}

/// How long a reused connection across a network had been idle, where that is so long that
/// something on the way may have forgotten it.
pub(crate) fn forgotten(case: &Case) -> Option<Micros> {
    case.idle_for().filter(|idle| FORGOTTEN <= *idle && remote(case))
}

/// The address that was dialled is on a network, not on this machine's loopback or file system.
pub(crate) fn remote(case: &Case) -> bool {
    matches!(case.attempt().and_then(|it| it.address.as_ref()),
        Some(Address::Inet(address)) if !address.ip().is_loopback())
}

/// The system gave up on the address only after it had asked its network for the owner, which takes
/// about one second (measured) to three: nobody has it. A route or a filter is faster.
pub(crate) fn neighbour_silent(case: &Case) -> bool {
    let connecting = case.attempt().and_then(|it| it.phases.get(Phase::Connect));
    connecting.is_some_and(|it| 900_000 <= it)
}

/// The target asked for a client certificate and got none, which explains its close better than
/// any symptom does: TLS 1.3 refuses only after the handshake.
pub(crate) fn certificate_missing(case: &Case) -> bool {
    let tls = case.attempt().and_then(|it| it.connection.as_ref()?.tls.as_ref());
    tls.is_some_and(|it| it.client_certificate_asked && !it.client_certificate_sent)
}

/// The dialled IP address for commands, else the target as configured.
pub(crate) fn address(case: &Case) -> String {
    match case.attempt().and_then(|it| it.address.as_ref()) {
        Some(Address::Inet(address)) => address.ip().to_string(),
        _ => case.dialled(),
    }
}

/// The command that shows the listener of the dialled address, with its queue.
pub(crate) fn listener(case: &Case) -> String {
    match (case.unix_path(), case.port()) {
        (Some(path), _) => format!("ss -lxp | grep -F '{path}'"),
        (None, Some(port)) => format!("ss -ltnp 'sport = :{port}'"),
        (None, None) => "ss -ltnp".to_owned(),
    }
}

/// Options of `journalctl` for the time of this exchange, and ten seconds around it.
pub(crate) fn window(case: &Case) -> String {
    let (began, took) = (case.exchange.began, case.exchange.took);
    let from = (began / 1_000_000).saturating_sub(10);
    let to = began.saturating_add(took) / 1_000_000 + 10;
    format!("--since @{from} --until @{to}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;

    fn of(line: &str) -> Option<Loss> {
        loss(&Case::of(&exchange(line)).unwrap())
    }

    #[test]
    fn a_loss_is_told_by_the_connection_and_the_time() {
        let check = |line: &str, expected: Option<Loss>| assert_eq!(of(line), expected, "{line}");
        check("head: closed | fresh after=1ms", Some(Loss::AtOnce));
        check("head: reset | fresh after=20ms", Some(Loss::AtWork(20_000)));
        check("head: closed | reused idle=5s after=1ms", Some(Loss::OnReuse(5_000_000)));
        // No request races an idle limit for two seconds: the target had taken it.
        check("head: closed | reused idle=5s after=2s", Some(Loss::AtWork(2_000_000)));
        check("head: closed | reused idle=5s after=300ms", Some(Loss::AtWork(300_000)));
        check(
            "head: closed | to=10.0.0.7:80 reused idle=5s after=300ms",
            Some(Loss::OnReuse(5_000_000)),
        );
        check("head: closed | reused idle=5s received=9", Some(Loss::InAnswer));
        check("body: chunk_cut | fresh after=30s", Some(Loss::AtWatchdog(GUNICORN)));
        check("send: closed | fresh after=1s", Some(Loss::AtWork(1_000_000)));
        check("head: timed_out | fresh after=30s", None);
        check("head: errno | fresh", None);
    }

    #[test]
    fn a_watchdog_is_met_closely() {
        let check = |milliseconds: Micros, expected: Option<Micros>| {
            assert_eq!(watchdog(milliseconds * 1_000), expected, "{milliseconds} ms");
        };
        check(29_600, None);
        check(29_700, Some(30_000_000));
        check(31_300, Some(30_000_000));
        check(31_400, None);
        check(60_400, Some(60_000_000));
        check(122_400, Some(120_000_000));
        check(122_500, None);
    }

    #[test]
    fn only_a_connection_across_a_network_is_forgotten() {
        let of = |line: &str| forgotten(&Case::of(&exchange(line)).unwrap());
        assert_eq!(of("head: reset | to=10.0.0.7:80 reused idle=300s"), Some(300_000_000));
        assert_eq!(of("head: reset | to=10.0.0.7:80 reused idle=200s"), None);
        assert_eq!(of("head: reset | to=127.0.0.1:80 reused idle=300s"), None);
        assert_eq!(of("head: reset | to=unix:/run/app.sock reused idle=300s"), None);
    }

    #[test]
    fn a_journal_is_searched_around_the_exchange() {
        let mut exchange = exchange("head: closed | fresh");
        (exchange.began, exchange.took) = (1_000_000_000, 30_000_000);
        let case = Case::of(&exchange).unwrap();
        assert_eq!(window(&case), "--since @990 --until @1040");
    }
}
