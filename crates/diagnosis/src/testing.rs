//! Cases in one line, for the tests of causes.
//!
//! `check("connect: refused | to=10.0.0.7:8000", "process_down: nothing is listening ...")`. The
//! part before the first `|` is the subject; the rest are facts of the last attempt.

pub(crate) mod report;

use crate::clocks::Clocks;
use crate::dossier::{Dossier, Index};
use crate::incidents::incidents;
use crate::report::{Effect, Report, Risk, Step};
use crate::why::{Question, why};
use crate::{Case, first_look};
use evidence::{Arrival, Testimony};
use exchange::{
    Address, Answer, Attempt, BodyFault, Certificate, CertificateFault, Client, ConnectFault,
    Connection, DnsFault, End, Exchange, ExchangeId, Fault, HeadFault, Http2, Limit, Maker,
    Malformed, Micros, Phase, Phases, Refusal, Request, SendFault, Stop, TlsFacts, TlsFault,
};
use std::net::{IpAddr, Ipv4Addr};

/// What is said of these texts must be this: `cause: statement`, and a line for each step.
#[track_caller]
pub(crate) fn check_text(inputs: &[(&str, &str)], expected: &str) {
    let report = explained(inputs);
    let mut said = format!("{}: {}\n", report.cause, report.statement);
    let fix = &report.fix;
    let parts = [
        ("before", &fix.before),
        ("now", &fix.now),
        ("lasting", &fix.lasting),
        ("verify", &fix.verify),
    ];
    for (part, steps) in parts {
        for step in steps {
            said += &format!("{part}: {}\n", line(step));
        }
    }
    let expected: String = expected.trim().lines().map(|it| format!("{}\n", it.trim())).collect();
    assert_eq!(said, expected, "{}", report.cause);
}

pub(crate) fn explained(inputs: &[(&str, &str)]) -> Report {
    why(&Testimony::of(inputs, Arrival::File, 2026), &Question::default())
}

/// Asks about every incident of texts that show much of what there is, some of them hostile.
pub(crate) fn each_dossier(ask: impl Fn(&Dossier)) {
    for texts in texts() {
        let inputs: Vec<(&str, &str)> = texts.iter().map(|(a, b)| (*a, b.as_str())).collect();
        let testimony = Testimony::of(&inputs, Arrival::File, 2026);
        let clocks = Clocks::of(&testimony);
        let index = Index::of(&testimony);
        for incident in &incidents(&testimony, &clocks) {
            ask(&Dossier {
                testimony: &testimony,
                incident,
                clocks: &clocks,
                index: &index,
                without: None,
            });
        }
    }
}

/// A word that nobody may run, as names in the texts have it.
pub(crate) const HOSTILE: &str = "$(evil)";

/// Failures of all kinds, each beside what may have happened at the app, on each platform.
fn texts() -> Vec<Vec<(&'static str, String)>> {
    let faults = [
        nginx(REFUSED),
        nginx_to("app:8000", REFUSED),
        nginx_to("[::1]:8000", REFUSED),
        nginx_to("192.0.2.9:8001", UNREACHED),
        nginx(CLOSED),
        nginx(WAITED),
        nginx_to("unix:/run/app.sock:", REFUSED),
        nginx_to("$(evil):8000", CLOSED),
        nginx("upstream timed out (110: Connection timed out) while reading upstream"),
        nginx("upstream prematurely closed connection while reading upstream"),
    ];
    const MINUTE: &str = "Nov 20 15:16:30 web";
    let acts = [
        String::new(),
        "bind = '127.0.0.1:8000'\ntimeout = 120\nkeepalive = 5\n".to_owned(),
        format!("{MINUTE} systemd[1]: app.service: Main process exited, code=exited, status=3/N\n"),
        format!(
            "{MINUTE} systemd[1]: $(evil).service: Main process exited, code=killed, status=9/KILL\n"
        ),
        format!(
            "{MINUTE} systemd[1]: app.socket: Failed to create listening socket (127.0.0.1:8000): Address already in use\n"
        ),
        format!(
            "{MINUTE} kernel: [1.000001] Out of memory: Killed process 77 ($(evil)) total-vm:1kB, anon-rss:1kB\n"
        ),
        format!(
            "{MINUTE} kernel: [1.000001] Memory cgroup out of memory: Killed process 9 (node) total-vm:1kB, anon-rss:1kB\n"
        ),
        format!(
            "{MINUTE} kernel: [1.000001] python[22292]: segfault at 7 ip 0007 sp 0007 error 14 in _speedups.so[400000+2ba000]\n"
        ),
        format!(
            "{MINUTE} kernel: [1.000001] [UFW BLOCK] IN=eth0 OUT= SRC=192.0.2.7 DST=192.0.2.9 PROTO=TCP SPT=5 DPT=8001\n"
        ),
        format!(
            "{MINUTE} kernel: [1.000001] INFO: task gunicorn:1492 blocked for more than 120 seconds.\n"
        ),
        "shop_web_1 exited with code 137\n".to_owned(),
        "5m Warning BackOff pod/shop-7d9f6b5c4d-abcde Back-off restarting failed container\n"
            .to_owned(),
        raised(
            "psycopg2.OperationalError: connection to server at \"$(evil)\", port 5432 failed: Connection refused",
        ),
        raised(
            "psycopg2.OperationalError: could not translate host name \"$(evil)\" to address: Name or service not known",
        ),
        raised(
            "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00",
        ),
        raised(
            "redis.exceptions.ConnectionError: Error 111 connecting to $(evil):6379. Connection refused.",
        ),
        raised("OSError: [Errno 28] No space left on device"),
        raised("OSError: [Errno 24] Too many open files"),
        raised("KeyError: 'SECRET_KEY'"),
        raised("ModuleNotFoundError: No module named '$(evil)'"),
        raised("ValueError: a very long story. It ends.\twith a full stop."),
        "[2026-11-20 15:16:30 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)\n".to_owned(),
    ];
    let pairs = faults.iter().enumerate().flat_map(|(at, fault)| {
        // Not each with each: that takes long, and says nothing more.
        acts.iter()
            .enumerate()
            .filter(move |(it, _)| (it + at) % 3 == 0)
            .map(move |(_, act)| (fault, act))
    });
    pairs.map(|(fault, act)| vec![("error.log", fault.clone()), ("app.log", act.clone())]).collect()
}

fn raised(exception: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"/srv/app.py\", line 3, in <module>\n    x\n{exception}\n"
    )
}

/// A step as a line: `text [run] (file: -old +new) restart hides`; what is usual is left out.
fn line(step: &Step) -> String {
    let mut line = step.text.clone();
    if let Some(run) = &step.run {
        line += &format!(" [{run}]");
    }
    if let Some(diff) = &step.diff {
        let file = step.file.as_deref().unwrap_or("?");
        line += &format!(" ({file}: {})", diff.replace('\n', " "));
    }
    line += match step.risk {
        Risk::None => "",
        Risk::Reload => " reload",
        Risk::Restart => " restart",
        Risk::Data => " data",
    };
    line += match step.effect {
        Effect::Prevents => "",
        Effect::Hides => " hides",
        Effect::Checks => " checks",
    };
    line
}

/// A failure in the error log of nginx, at 15:16:30, of the app at 127.0.0.1:8000.
pub(crate) fn nginx(fault: &str) -> String {
    nginx_to("127.0.0.1:8000", fault)
}

/// The same, of another address.
pub(crate) fn nginx_to(upstream: &str, fault: &str) -> String {
    format!(
        "2026/11/20 15:16:30 [error] 7#7: *1 {fault}, client: 192.0.2.7, server: api.example.com, \
         request: \"GET /data HTTP/1.1\", upstream: \"http://{upstream}/data\", host: \
         \"api.example.com\"\n"
    )
}

pub(crate) const REFUSED: &str =
    "connect() failed (111: Connection refused) while connecting to upstream";
pub(crate) const CLOSED: &str =
    "upstream prematurely closed connection while reading response header from upstream";
pub(crate) const WAITED: &str =
    "upstream timed out (110: Connection timed out) while reading response header from upstream";
pub(crate) const UNREACHED: &str =
    "upstream timed out (110: Connection timed out) while connecting to upstream";

/// The first candidate and its sentence must be these: `cause: statement`.
#[track_caller]
pub(crate) fn check(case: &str, expected: &str) {
    let exchange = exchange(case);
    let case_ = Case::of(&exchange).expect("there is something to explain");
    let look = first_look(&case_);
    assert_eq!(format!("{}: {}", look.cause().id, look.statement), expected, "{case}");
}

/// The cause must be among the candidates, though not first.
#[track_caller]
pub(crate) fn check_among(case: &str, cause: &str) {
    assert!(ranked(case).iter().skip(1).any(|it| *it == cause), "{case}: {:?}", ranked(case));
}

/// The cause must be among the candidates, at whatever rank: for what is only consistent with a case.
#[track_caller]
pub(crate) fn check_listed(case: &str, cause: &str) {
    assert!(ranked(case).contains(&cause), "{case}: {:?}", ranked(case));
}

/// The cause must not be among the candidates at all.
#[track_caller]
pub(crate) fn check_not(case: &str, cause: &str) {
    assert!(!ranked(case).contains(&cause), "{case}: {:?}", ranked(case));
}

/// Ids of the candidates, most plausible first.
pub(crate) fn ranked(case: &str) -> Vec<&'static str> {
    let exchange = exchange(case);
    let case_ = Case::of(&exchange).expect("there is something to explain");
    first_look(&case_).candidates.iter().map(|it| it.cause.id).collect()
}

/// One line at least for every subject that there is, with the facts that looks go by: what the
/// sweeps over the whole catalogue are held against.
pub(crate) const CASES: &[&str] = &[
    "resolve: no_such_name | unresolved target=http://app:8000",
    "resolve: no_address | unresolved target=http://app:8000",
    "resolve: server_failure | unresolved target=http://app:8000",
    "resolve: refused | unresolved target=http://app:8000",
    "resolve: code=9 | unresolved target=http://app:8000",
    "resolve: timed_out | unresolved target=http://app:8000",
    "resolve: no_server | unresolved target=http://app:8000",
    "connect: refused | to=127.0.0.1:8000",
    "connect: refused | to=172.18.0.3:8000",
    "connect: refused | to=[2001:db8::7]:8000 target=http://app:8000",
    "connect: timed_out | to=127.0.0.1:8000",
    "connect: timed_out | to=172.18.0.3:8000",
    "connect: timed_out | to=[2001:db8::7]:8000 target=http://app:8000",
    "connect: host_unreachable | to=127.0.0.1:8000",
    "connect: host_unreachable | to=172.18.0.3:8000",
    "connect: host_unreachable | to=[2001:db8::7]:8000 target=http://app:8000",
    "connect: network_unreachable | to=127.0.0.1:8000",
    "connect: network_unreachable | to=172.18.0.3:8000",
    "connect: network_unreachable | to=[2001:db8::7]:8000 target=http://app:8000",
    "connect: permission_denied | to=127.0.0.1:8000",
    "connect: permission_denied | to=172.18.0.3:8000",
    "connect: permission_denied | to=[2001:db8::7]:8000 target=http://app:8000",
    "connect: not_permitted | to=127.0.0.1:8000",
    "connect: not_permitted | to=172.18.0.3:8000",
    "connect: not_permitted | to=[2001:db8::7]:8000 target=http://app:8000",
    "connect: no_local_port | to=127.0.0.1:8000",
    "connect: no_local_port | to=172.18.0.3:8000",
    "connect: no_local_port | to=[2001:db8::7]:8000 target=http://app:8000",
    "connect: no_descriptors | to=127.0.0.1:8000",
    "connect: no_descriptors | to=172.18.0.3:8000",
    "connect: no_descriptors | to=[2001:db8::7]:8000 target=http://app:8000",
    "connect: no_memory | to=127.0.0.1:8000",
    "connect: no_memory | to=172.18.0.3:8000",
    "connect: no_memory | to=[2001:db8::7]:8000 target=http://app:8000",
    "connect: reset | to=127.0.0.1:8000",
    "connect: reset | to=172.18.0.3:8000",
    "connect: reset | to=[2001:db8::7]:8000 target=http://app:8000",
    "connect: errno | to=127.0.0.1:8000",
    "connect: errno | to=172.18.0.3:8000",
    "connect: errno | to=[2001:db8::7]:8000 target=http://app:8000",
    "connect: refused | to=[::1]:3000",
    "connect: refused | to=127.0.0.1:8000 tried=[::1]:8000/111",
    "connect: host_unreachable | to=10.0.0.7:80 after=3s",
    "connect: timed_out | to=10.0.0.7:80 limit=100ms",
    "connect: socket_missing | to=unix:/run/app.sock",
    "connect: socket_stale | to=unix:/run/app.sock",
    "connect: backlog_full | to=unix:/run/app.sock",
    "connect: permission_denied | to=unix:/run/app.sock",
    "connect: not_permitted | to=unix:/run/app.sock",
    "connect: errno | to=unix:/run/app.sock",
    "tls: alert=40 | to=10.0.0.7:443 target=https://app.internal",
    "tls: alert=42 | to=10.0.0.7:443 target=https://app.internal",
    "tls: alert=70 | to=10.0.0.7:443 target=https://app.internal",
    "tls: alert=112 | to=10.0.0.7:443 target=https://app.internal",
    "tls: alert=116 | to=10.0.0.7:443 target=https://app.internal",
    "tls: late_alert=116 | to=10.0.0.7:443 target=https://app.internal",
    "tls: late_alert=42 | to=10.0.0.7:443 target=https://app.internal",
    "tls: plain_http | to=10.0.0.7:443 target=https://app.internal",
    "tls: not_tls | to=10.0.0.7:443 target=https://app.internal",
    "tls: closed | to=10.0.0.7:443 target=https://app.internal",
    "tls: reset | to=10.0.0.7:443 target=https://app.internal",
    "tls: timed_out | to=10.0.0.7:443 target=https://app.internal",
    "tls: incompatible | to=10.0.0.7:443 target=https://app.internal",
    "tls: alert=120 | http2 to=10.0.0.7:443 target=https://app.internal",
    "tls: no_http2 | http2 to=10.0.0.7:443 target=https://app.internal",
    "head: stream_reset=2 | http2 fresh",
    "head: stream_reset=7 | http2 reused idle=0ms",
    "head: stream_reset=11 | http2 reused idle=0ms",
    "head: stream_reset=99 | http2 fresh",
    "head: goaway=0 | http2 reused idle=0ms",
    "head: goaway=11 | http2 reused idle=0ms",
    "head: answered_http1 | http2 fresh bytes=485454502f312e3120343030",
    "head: http2=1 | http2 fresh",
    "head: no_extended_connect | http2 fresh",
    "body: stream_cut | http2 fresh received=900",
    "body: stream_reset=2 | http2 fresh received=900",
    "body: http2=6 | http2 fresh received=900",
    "tls: protocol | to=10.0.0.7:443 target=https://app.internal",
    "tls: expired | to=10.0.0.7:443 target=https://app.internal",
    "tls: not_yet_valid | to=10.0.0.7:443 target=https://app.internal",
    "tls: wrong_name | to=10.0.0.7:443 target=https://app.internal",
    "tls: address_without_san | to=10.0.0.7:443 target=https://app.internal",
    "tls: self_signed | to=10.0.0.7:443 target=https://app.internal",
    "tls: unknown_issuer | to=10.0.0.7:443 target=https://app.internal",
    "tls: incomplete_chain | to=10.0.0.7:443 target=https://app.internal",
    "tls: invalid | to=10.0.0.7:443 target=https://app.internal",
    "send: reset | fresh",
    "send: reset | to=10.0.0.7:80 reused idle=5s",
    "send: reset | to=10.0.0.7:80 reused idle=400s",
    "send: reset | fresh after=2s body=900000 sent=200000 method=POST",
    "send: closed | fresh",
    "send: closed | to=10.0.0.7:80 reused idle=5s",
    "send: closed | to=10.0.0.7:80 reused idle=400s",
    "send: closed | fresh after=2s body=900000 sent=200000 method=POST",
    "send: timed_out | fresh",
    "send: timed_out | to=10.0.0.7:80 reused idle=5s",
    "send: timed_out | to=10.0.0.7:80 reused idle=400s",
    "send: timed_out | fresh after=2s body=900000 sent=200000 method=POST",
    "send: errno | fresh",
    "send: errno | to=10.0.0.7:80 reused idle=5s",
    "send: errno | to=10.0.0.7:80 reused idle=400s",
    "send: errno | fresh after=2s body=900000 sent=200000 method=POST",
    "head: closed | fresh after=1ms",
    "head: closed | fresh after=2s",
    "head: closed | fresh after=30s server=gunicorn",
    "head: closed | fresh after=60s",
    "head: closed | reused idle=5s",
    "head: closed | reused idle=2ms",
    "head: closed | reused idle=2ms ordinal=1000",
    "head: closed | reused idle=2ms after_bodyless",
    "head: closed | reused idle=5s after=2s",
    "head: closed | to=10.0.0.7:80 reused idle=400s",
    "head: closed | fresh received=20 after=2s",
    "head: closed | fresh after=1s body=900000 method=POST",
    "head: closed | to=unix:/run/app.sock fresh after=1s",
    "head: closed | fresh tls=asked",
    "head: reset | fresh after=1ms",
    "head: reset | fresh after=2s",
    "head: reset | fresh after=30s server=gunicorn",
    "head: reset | fresh after=60s",
    "head: reset | reused idle=5s",
    "head: reset | reused idle=2ms",
    "head: reset | reused idle=2ms ordinal=1000",
    "head: reset | reused idle=2ms after_bodyless",
    "head: reset | reused idle=5s after=2s",
    "head: reset | to=10.0.0.7:80 reused idle=400s",
    "head: reset | fresh received=20 after=2s",
    "head: reset | fresh after=1s body=900000 method=POST",
    "head: reset | to=unix:/run/app.sock fresh after=1s",
    "head: reset | fresh tls=asked",
    "head: timed_out | fresh after=60s",
    "head: timed_out | to=10.0.0.7:80 fresh sent=3000",
    "head: timed_out | to=10.0.0.7:80 reused idle=400s",
    "head: timed_out | to=unix:/run/app.sock fresh",
    "head: slow | fresh received=40",
    "head: too_big | fresh received=40",
    "head: too_many_fields | fresh received=40",
    "head: not_http | fresh received=40",
    "head: status_line | fresh received=40",
    "head: field_line | fresh received=40",
    "head: control_character | fresh received=40",
    "head: length_invalid | fresh received=40",
    "head: length_repeated | fresh received=40",
    "head: length_and_coding | fresh received=40",
    "head: coding_unknown | fresh received=40",
    "head: unasked_upgrade | fresh received=40",
    "head: not_switched | fresh received=40 upgrade=websocket",
    "head: not_switched | fresh received=40 upgrade=other",
    "head: switched_wrongly | fresh received=40 upgrade=websocket",
    "head: too_many_interim | fresh received=40",
    "head: errno | fresh received=40",
    "head: not_grpc | fresh received=40",
    "head: not_grpc_untyped | fresh received=40",
    "head: not_http | fresh received=40 bytes=15030100",
    "head: not_http | fresh received=40 bytes=000006040000",
    "head: not_http | fresh received=40 bytes=5353482d322e30",
    "head: not_http | fresh received=40 bytes=3232302068",
    "head: not_http | fresh received=40 bytes=4a0000000a",
    "head: not_http | fresh received=40 bytes=485454502f312e30",
    "body: length_short=100 | fresh received=4000 after=2s answered=200",
    "body: length_short=100 | fresh received=4000 after=30s",
    "body: chunk_cut | fresh received=4000 after=2s answered=200",
    "body: chunk_cut | fresh received=4000 after=30s",
    "body: reset | fresh received=4000 after=2s answered=200",
    "body: reset | fresh received=4000 after=30s",
    "body: stalled | fresh received=4000 after=2s answered=200",
    "body: stalled | fresh received=4000 after=30s",
    "body: chunk_invalid | fresh received=4000 after=2s answered=200",
    "body: chunk_invalid | fresh received=4000 after=30s",
    "body: trailer | fresh received=4000 after=2s answered=200",
    "body: trailer | fresh received=4000 after=30s",
    "body: surplus | fresh received=4000 after=2s answered=200",
    "body: surplus | fresh received=4000 after=30s",
    "body: too_big | fresh received=2000000 after=30s answered=200",
    "body: tls | fresh received=4000 after=2s answered=200",
    "body: tls | fresh received=4000 after=30s",
    "body: errno | fresh received=4000 after=2s answered=200",
    "body: errno | fresh received=4000 after=30s",
    "body: no_grpc_status | fresh received=4000 after=2s answered=200",
    "deadline | fresh after=60s",
    "deadline | to=10.0.0.7:80 phase=connect",
    "deadline | phase=resolve unresolved",
    "call_deadline | fresh after=60s",
    "call_deadline | fresh phase=read_body received=4000 answered=200",
    "request_deadline | fresh after=60s",
    "request_deadline | never_sent",
    "refused: no_route",
    "refused: method_not_allowed",
    "refused: no_target",
    "refused: malformed",
    "refused: grpc_timeout",
    "refused: grpc_web_text",
    "refused: tls_to_plain_port",
    "refused: uri_too_long",
    "refused: head_too_large",
    "refused: head_timeout",
    "refused: body_timeout",
    "refused: connection_limit",
    "refused: loop",
    "refused: draining",
    "refused: later_gone",
    "refused: bug",
    "client_closed | fresh after=2s",
    "client_closed | fresh after=29s",
    "client_closed | phase=connect",
    "client_closed | phase=read_body fresh received=400",
    "status: 500 | fresh",
    "status: 502 | fresh",
    "status: 503 | fresh",
    "status: 504 | fresh",
    "status: 599 | fresh",
    "status: 200 | fresh upgrade=websocket",
    "status: 404 | fresh upgrade=websocket",
    "status: 501 | fresh upgrade=websocket",
    "status: 503 | fresh upgrade=websocket",
    "status: 500 | fresh phase=wait_first_byte after=30s server=gunicorn",
    "status: 503 | fresh server=uvicorn",
    "status: 500 | fresh server=uvicorn",
    "status: 502 | fresh server=awselb/2.0",
    "status: 502 | fresh server=nginx/1.25",
    "status: 503 | fresh server=awselb/2.0",
    "status: 503 | fresh server=istio-envoy",
    "status: 504 | fresh server=awselb/2.0",
    "body: chunk_cut | fresh received=4000 server=uvicorn",
];

/// Builds an exchange from its line. Panics on a word that it does not know.
pub(crate) fn exchange(line: &str) -> Exchange {
    let mut parts = line.split('|').map(str::trim);
    let subject = parts.next().unwrap_or_default();
    let mut exchange = blank();
    let mut attempt = Attempt::new("http://127.0.0.1:8000".into());
    attempt.address = Some(Address::Inet("127.0.0.1:8000".parse().unwrap()));

    let (at, how) = subject.split_once(':').unwrap_or((subject, ""));
    let (how, argument) = how.trim().split_once('=').unwrap_or((how.trim(), ""));
    let (phase, stop) = stop(at, how, argument);
    attempt.phase = phase;
    attempt.phases.add(phase, 200);
    match stop {
        Subject::Refused(refusal) => exchange.stop = Some(Stop::Refused(refusal)),
        Subject::Failed(fault) => {
            attempt.fault = Some(fault.clone());
            if phase != Phase::ReadBody || fault != Fault::Body(BodyFault::Surplus) {
                exchange.stop = Some(Stop::Failed(fault));
            }
        }
        Subject::Left => exchange.end = End::ClientClosed(phase),
        Subject::Status(status) => {
            attempt.status = Some(status);
            exchange.answer = Some(upstream_answer(status));
        }
    }
    for fact in parts.flat_map(str::split_whitespace) {
        apply(fact, &mut exchange, &mut attempt);
    }
    let never_sent = line.split_whitespace().any(|it| it == "never_sent");
    if !never_sent && !matches!(exchange.stop, Some(Stop::Refused(_))) {
        exchange.attempts.push(attempt);
    }
    exchange
}

enum Subject {
    Refused(Refusal),
    Failed(Fault),
    Left,
    Status(u16),
}

const LIMIT: Limit = Limit { name: "timeout.first_byte", value: 60_000_000 };

fn limit(name: &'static str) -> Limit {
    Limit { name, ..LIMIT }
}

/// The words are the variants' names in snake case, without the payload.
fn stop(at: &str, how: &str, argument: &str) -> (Phase, Subject) {
    let fault = |phase, fault| (phase, Subject::Failed(fault));
    match at {
        "resolve" => fault(
            Phase::Resolve,
            Fault::Resolve(match how {
                "no_such_name" => DnsFault::NoSuchName,
                "no_address" => DnsFault::NoAddress,
                "server_failure" => DnsFault::ServerFailure,
                "refused" => DnsFault::Refused,
                "code" => DnsFault::Code(argument.parse().unwrap()),
                "timed_out" => DnsFault::TimedOut(limit("dns.timeout")),
                "no_server" => DnsFault::NoServer,
                other => panic!("resolve: {other}"),
            }),
        ),
        "connect" => fault(
            Phase::Connect,
            Fault::Connect(match how {
                "refused" => ConnectFault::Refused,
                "timed_out" => ConnectFault::TimedOut(limit("timeout.connect")),
                "host_unreachable" => ConnectFault::HostUnreachable,
                "network_unreachable" => ConnectFault::NetworkUnreachable,
                "permission_denied" => ConnectFault::PermissionDenied,
                "not_permitted" => ConnectFault::NotPermitted,
                "no_local_port" => ConnectFault::NoLocalPort,
                "no_descriptors" => ConnectFault::NoDescriptors,
                "no_memory" => ConnectFault::NoMemory,
                "reset" => ConnectFault::Reset,
                "socket_missing" => ConnectFault::SocketMissing,
                "socket_stale" => ConnectFault::SocketStale,
                "backlog_full" => ConnectFault::BacklogFull,
                "errno" => ConnectFault::Errno,
                other => panic!("connect: {other}"),
            }),
        ),
        "tls" => fault(
            Phase::Tls,
            Fault::Tls(match how {
                "alert" => TlsFault::Alert(argument.parse().unwrap()),
                "late_alert" => TlsFault::LateAlert(argument.parse().unwrap()),
                "plain_http" => TlsFault::PlainHttp,
                "not_tls" => TlsFault::NotTls,
                "closed" => TlsFault::Closed,
                "reset" => TlsFault::Reset,
                "timed_out" => TlsFault::TimedOut(limit("timeout.tls")),
                "incompatible" => TlsFault::Incompatible,
                "no_http2" => TlsFault::NoHttp2,
                "protocol" => TlsFault::Protocol,
                other => TlsFault::Certificate(Box::new(certificate(other))),
            }),
        ),
        "send" => fault(
            Phase::SendBody,
            Fault::Send(match how {
                "reset" => SendFault::Reset,
                "closed" => SendFault::Closed,
                "timed_out" => SendFault::TimedOut(limit("timeout.send")),
                "errno" => SendFault::Errno,
                other => panic!("send: {other}"),
            }),
        ),
        "head" => {
            let (phase, it) = head(how, argument);
            fault(phase, Fault::Head(it))
        }
        "body" => fault(
            Phase::ReadBody,
            Fault::Body(match how {
                "length_short" => BodyFault::LengthShort { left: argument.parse().unwrap() },
                "chunk_cut" => BodyFault::ChunkCut,
                "stream_cut" => BodyFault::StreamCut,
                "stream_reset" => BodyFault::StreamReset(argument.parse().unwrap()),
                "http2" => BodyFault::Http2(argument.parse().unwrap()),
                "reset" => BodyFault::Reset,
                "stalled" => BodyFault::Stalled(limit("timeout.idle")),
                "chunk_invalid" => BodyFault::ChunkInvalid,
                "trailer" => BodyFault::Trailer,
                "surplus" => BodyFault::Surplus,
                "too_big" => BodyFault::TooBig(Limit { name: "later.answer", value: 1_048_576 }),
                "no_grpc_status" => BodyFault::NoGrpcStatus,
                "tls" => BodyFault::Tls,
                "errno" => BodyFault::Errno,
                other => panic!("body: {other}"),
            }),
        ),
        "deadline" => fault(Phase::WaitFirstByte, Fault::Deadline(limit("timeout.total"))),
        "call_deadline" => fault(Phase::WaitFirstByte, Fault::Deadline(limit("grpc-timeout"))),
        "request_deadline" => {
            fault(Phase::WaitFirstByte, Fault::Deadline(limit("x-request-timeout-ms")))
        }
        "refused" => (Phase::Route, Subject::Refused(refusal(how))),
        "client_closed" => (Phase::WaitFirstByte, Subject::Left),
        "status" => (Phase::ReadBody, Subject::Status(how.parse().unwrap())),
        other => panic!("no subject is called {other}"),
    }
}

fn head(how: &str, argument: &str) -> (Phase, HeadFault) {
    let it = match how {
        "stream_reset" => HeadFault::StreamReset(argument.parse().unwrap()),
        "goaway" => HeadFault::GoAway(argument.parse().unwrap()),
        "http2" => HeadFault::Http2(argument.parse().unwrap()),
        "answered_http1" => HeadFault::AnsweredHttp1,
        "no_extended_connect" => HeadFault::NoExtendedConnect,
        "closed" => HeadFault::Closed,
        "reset" => HeadFault::Reset,
        "timed_out" => HeadFault::TimedOut(LIMIT),
        "slow" => HeadFault::Slow(LIMIT),
        "too_big" => HeadFault::TooBig {
            limit: Limit { name: "limits.response_head", value: 65_536 },
            largest_field: Some("set-cookie".to_owned()),
            largest_bytes: 70_000,
        },
        "too_many_fields" => {
            HeadFault::TooManyFields(Limit { name: "limits.response_fields", value: 200 })
        }
        "not_http" => HeadFault::NotHttp,
        "status_line" => HeadFault::StatusLine,
        "field_line" => HeadFault::FieldLine,
        "control_character" => HeadFault::ControlCharacter,
        "length_invalid" => HeadFault::LengthInvalid,
        "length_repeated" => HeadFault::LengthRepeated,
        "length_and_coding" => HeadFault::LengthAndCoding,
        "coding_unknown" => HeadFault::CodingUnknown,
        "unasked_upgrade" => HeadFault::UnaskedUpgrade,
        "not_switched" => HeadFault::NotSwitched(200),
        "switched_wrongly" => HeadFault::NotSwitched(101),
        "too_many_interim" => {
            HeadFault::TooManyInterim(Limit { name: "limits.interim_responses", value: 20 })
        }
        "not_grpc" => {
            HeadFault::NotGrpc { status: 503, content_type: Some("text/html".to_owned()) }
        }
        "not_grpc_untyped" => HeadFault::NotGrpc { status: 200, content_type: None },
        "errno" => HeadFault::Errno,
        other => panic!("head: {other}"),
    };
    let waiting = matches!(it, HeadFault::Closed | HeadFault::Reset | HeadFault::TimedOut(_));
    (if waiting { Phase::WaitFirstByte } else { Phase::ReadHead }, it)
}

fn certificate(how: &str) -> Certificate {
    let fault = match how {
        "expired" => CertificateFault::Expired,
        "not_yet_valid" => CertificateFault::NotYetValid,
        "wrong_name" => CertificateFault::WrongName,
        "address_without_san" => CertificateFault::AddressWithoutSan,
        "self_signed" => CertificateFault::SelfSigned,
        "unknown_issuer" => CertificateFault::UnknownIssuer,
        "incomplete_chain" => CertificateFault::IncompleteChain,
        "invalid" => CertificateFault::Invalid,
        other => panic!("tls: {other}"),
    };
    Certificate {
        fault,
        subject: "CN=app.internal".to_owned(),
        issuer: "CN=Example CA".to_owned(),
        names: vec!["app.internal".to_owned()],
        not_before: 1_767_225_600,
        not_after: 1_769_904_000,
        now: 1_770_000_000,
        chain: 1,
        asked: "app.internal".to_owned(),
    }
}

fn refusal(how: &str) -> Refusal {
    match how {
        "no_route" => Refusal::NoRoute,
        "method_not_allowed" => Refusal::MethodNotAllowed,
        "no_target" => Refusal::NoTarget,
        "malformed" => Refusal::Malformed(Malformed::LengthAndCoding),
        "tls_to_plain_port" => Refusal::Malformed(Malformed::TlsToPlainPort),
        "host_missing" => Refusal::Malformed(Malformed::HostMissing),
        "grpc_timeout" => Refusal::Malformed(Malformed::GrpcTimeout),
        "grpc_web_text" => Refusal::Malformed(Malformed::GrpcWebText),
        "uri_too_long" => Refusal::UriTooLong,
        "head_too_large" => Refusal::HeadTooLarge,
        "head_timeout" => Refusal::HeadTimeout,
        "body_timeout" => Refusal::BodyTimeout,
        "body_slow" => Refusal::BodySlow,
        "crowded" => Refusal::Crowded,
        "crowded_address" => Refusal::CrowdedAddress,
        "no_descriptors" => Refusal::NoDescriptors,
        "memory_full" => Refusal::MemoryFull,
        "connection_limit" => Refusal::ConnectionLimit,
        "overloaded" => Refusal::Overloaded,
        "loop" => Refusal::Loop,
        "draining" => Refusal::Draining,
        "later_gone" => Refusal::LaterGone,
        "bug" => Refusal::Bug,
        other => panic!("refused: {other}"),
    }
}

fn apply(fact: &str, exchange: &mut Exchange, attempt: &mut Attempt) {
    let (key, value) = fact.split_once('=').unwrap_or((fact, ""));
    let fresh = || Connection { ordinal: 1, idle_for: 0, local_port: Some(40_000), tls: None };
    match key {
        // Facts of the connection; `fresh` and `reused` come before `idle`, `ordinal` and `tls`.
        "http2" => attempt.http2 = Http2::Asked,
        "http2_spoken" => attempt.http2 = Http2::Spoken,
        "fresh" => attempt.connection = Some(fresh()),
        "reused" => attempt.connection = Some(Connection { ordinal: 2, ..fresh() }),
        "idle" => attempt.connection.as_mut().unwrap().idle_for = time(value),
        "ordinal" => attempt.connection.as_mut().unwrap().ordinal = value.parse().unwrap(),
        // tls, tls=asked (a client certificate was asked for), tls=sent (asked for and sent)
        "tls" => {
            attempt.connection.get_or_insert_with(fresh).tls = Some(TlsFacts {
                version: "TLSv1.3",
                server_name: Some("app.internal".into()),
                client_certificate_asked: matches!(value, "asked" | "sent"),
                client_certificate_sent: value == "sent",
                not_after: None,
            });
        }
        // The attempt is left out as a whole.
        "never_sent" => {}
        "after_bodyless" => attempt.after_bodyless = true,
        "to" => {
            attempt.address = Some(match value.strip_prefix("unix:") {
                Some(path) => Address::Unix(path.into()),
                None => Address::Inet(value.parse().unwrap()),
            });
            attempt.target = match value.starts_with("unix:") {
                true => value.into(),
                false => format!("http://{value}").into(),
            };
        }
        // The target as configured, where it differs from the address: a name.
        "target" => attempt.target = value.into(),
        "unresolved" => attempt.address = None,
        "server" => attempt.server = Some(value.into()),
        "received" => attempt.received = value.parse().unwrap(),
        "sent" => attempt.sent = value.parse().unwrap(),
        "errno" => attempt.errno = Some(value.parse().unwrap()),
        // Time in the phase in which it ended.
        "after" => {
            let mut phases = Phases::default();
            phases.add(attempt.phase, time(value));
            attempt.phases = phases;
            attempt.since_sent = Some(time(value));
        }
        // Another value of the limit that ended a connect.
        "limit" => {
            let shorter = Fault::Connect(ConnectFault::TimedOut(Limit {
                name: "timeout.connect",
                value: time(value),
            }));
            attempt.fault = Some(shorter.clone());
            exchange.stop = Some(Stop::Failed(shorter));
        }
        // First bytes in hexadecimal.
        "bytes" => {
            attempt.first_bytes = (0..value.len() / 2)
                .map(|at| u8::from_str_radix(&value[2 * at..2 * at + 2], 16).unwrap())
                .collect();
        }
        "phase" => {
            attempt.phase = Phase::ALL.into_iter().find(|it| it.name() == value).unwrap();
        }
        // An address that was tried before, with the error number that it gave: 10.0.0.1:8000/111
        "tried" => {
            let (address, errno) = value.split_once('/').unwrap();
            let address = Address::Inet(address.parse().unwrap());
            attempt.tried.push((address, errno.parse().unwrap()));
        }
        // How long the whole exchange took.
        "took" => exchange.took = time(value),
        "request_head" => exchange.request.head_bytes = value.parse().unwrap(),
        "earlier_failure" => {
            let mut earlier = Attempt::new(attempt.target.clone());
            earlier.fault = Some(Fault::Connect(ConnectFault::Refused));
            exchange.attempts.push(earlier);
        }
        "method" => exchange.request.method = value.into(),
        "upgrade" => exchange.request.upgrade = Some(value.into()),
        "body" => exchange.request.body_bytes = value.parse().unwrap(),
        "answered" => {
            let status = value.parse().unwrap();
            exchange.answer = Some(upstream_answer(status));
            attempt.status = Some(status);
        }
        other => panic!("no fact is called {other}"),
    }
}

fn upstream_answer(status: u16) -> Answer {
    Answer { status, grpc_status: None, made_by: Maker::Upstream, body_bytes: 0 }
}

fn time(text: &str) -> Micros {
    match text.strip_suffix("ms") {
        Some(it) => it.parse::<u64>().unwrap() * 1_000,
        None => text.strip_suffix('s').unwrap().parse::<u64>().unwrap() * 1_000_000,
    }
}

fn blank() -> Exchange {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let client = Client { ip, peer: ip, port: 50_000, tls: false, ordinal: 1 };
    let request = Request {
        method: "GET".into(),
        host: "api.example.com".into(),
        path: "/orders".into(),
        version: "HTTP/1.1",
        head_bytes: 100,
        ..Request::default()
    };
    let mut exchange = Exchange::new(ExchangeId::new(0, 0), 0, client, request);
    exchange.route = Some("orders".into());
    exchange.upstream = Some("orders".into());
    exchange
}
