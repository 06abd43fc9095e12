//! uWSGI: its events and its request log.
//!
//! Verbose events begin with `Fri Nov 20 15:16:30 2026 - `, the others with nothing. A request:
//! `[pid: 7|app: 0|req: 1/9] 192.0.2.1 () {30 vars in 400 bytes} [Fri Nov 20 15:16:30 2026] GET /x
//! => generated 12 bytes in 35 msecs (HTTP/1.1 200) 2 headers in 79 bytes (1 switches on core 0)`
//! (core/master_utils.c, core/logging.c, core/uwsgi.c, proto/base.c, core/writer.c).

use crate::clock::{self, Stamp};
use crate::event::{Event, Served};
use crate::lead::Lead;
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number};
use crate::readers::answered;
use crate::rule::{self, Rule, rule};
use crate::sign::Sign;
use crate::trust::Trust;
use std::ops::Range;

pub(super) const EVENT: Reader = Reader {
    name: "uWSGI events",
    product: Product::Uwsgi,
    hooks: &[
        "HARAKIRI",
        "uWSGI listen queue",
        "DAMN ! worker",
        "uWSGI process ",
        "invalid request block size",
        "python application found",
        "unable to load app ",
        "GAME OVER",
        "failed loading app in worker",
        "worker respawning too fast",
        "probably another instance of uWSGI",
        "SIGPIPE: writing to a closed",
        "uwsgi_response_",
        "async queue is full",
        "hr_instance_",
        "i must kill myself",
        "NO MERCY !!!",
        "Respawned uWSGI worker",
        "spawned uWSGI ",
        "lifetime reached",
        "*** Starting uWSGI",
        "uwsgi socket ",
        "uWSGI http bound on",
        "WSGI app 0",
        "SIGINT/SIGTERM received",
        "SIGINT/SIGQUIT received",
        "goodbye to uWSGI",
        "gracefully reloading",
        "...gracefully killing workers",
        "*** backtrace of",
    ],
    fits: |line| said(line).is_some(),
    read: |line, sink| {
        if let Some(event) = said(line) {
            sink.event(event);
        }
    },
    source: "uWSGI 2.0: core/master_utils.c, core/uwsgi.c, core/socket.c, proto/uwsgi.c, plugins/http/http.c",
    example: "DAMN ! worker 1 (pid: 83) died, killed by signal 9 :( trying respawn ...",
};

pub(super) const REQUEST: Reader = Reader {
    name: "uWSGI request log",
    product: Product::Uwsgi,
    hooks: &[],
    fits: |line| request(&line.text).is_some(),
    read: |line, sink| {
        let Some(it) = request(&line.text) else { return };
        sink.served(Served { at: it.at, status: it.status });
        let event = |sign, span| {
            Event::new(Product::Uwsgi, sign, Trust::C, span)
                .at(it.at)
                .pid(it.pid)
                .status(Some(it.status))
                .route(it.route)
                .client(it.client)
        };
        if let Some(sign) = answered(it.status) {
            sink.event(event(sign, it.status_span.clone()));
        }
        if it.milliseconds >= SLOW {
            sink.event(
                event(Sign::SlowRequest, it.time_span.clone()).number(Some(it.milliseconds)),
            );
        }
    },
    source: "uWSGI 2.0: core/logging.c, log_request()",
    example: "[pid: 7|app: 0|req: 1/9] 192.0.2.1 () {30 vars in 400 bytes} [Fri Nov 20 15:16:30 2026] GET /x \
              => generated 12 bytes in 35 msecs (HTTP/1.1 500) 2 headers in 79 bytes (1 switches on core 0)",
};

/// Milliseconds from which a request that was answered is worth a word.
const SLOW: i64 = 10_000;

const RULES: &[Rule] = &[
    rule("*** HARAKIRI ON WORKER {_} (pid: {pid}", Sign::WorkerTimedOut),
    rule("«HARAKIRI [core {_}]» {caller}", Sign::WorkerTimedOut),
    rule("HARAKIRI !!! worker {_} status !!!", Sign::WorkerTimedOut),
    rule("HARAKIRI triggered by worker {_} core", Sign::WorkerTimedOut),
    rule("F*CK !!! i must kill myself (pid: {pid}", Sign::WorkerTimedOut),
    rule(
        "worker {_} (pid: {pid}) is taking too much time to die...NO MERCY !!!",
        Sign::WorkerTimedOut,
    ),
    rule(
        "*** uWSGI listen queue of socket \"{upstream}\" (fd: {_}) full !!!",
        Sign::BacklogOverflow,
    ),
    rule("DAMN ! worker {_} (pid: {pid}) died, killed by signal 9", Sign::WorkerKilled),
    rule("DAMN ! worker {_} (pid: {pid}) died, killed by signal 11", Sign::WorkerSegfault),
    rule("DAMN ! worker {_} (pid: {pid}) died, killed by signal 6", Sign::WorkerSegfault),
    rule("DAMN ! worker {_} (pid: {pid}) died", Sign::WorkerDied),
    rule("!!! uWSGI process {pid} got Segmentation Fault !!!", Sign::WorkerSegfault),
    rule("--- no python application found", Sign::BootFailed),
    rule("unable to load app {_} (mountpoint='{_}') ({detail})", Sign::BootFailed),
    rule("*** no app loaded. GAME OVER ***", Sign::BootFailed),
    rule("OOPS ! failed loading app in worker {_} (pid {pid})", Sign::BootFailed),
    rule("worker respawning too fast !!!", Sign::CrashLooping),
    rule(
        "probably another instance of uWSGI is running on the same address ({upstream})",
        Sign::PortInUse,
    ),
    // The one who hung up on it is the proxy, whose limit came first.
    rule(
        "«SIGPIPE: writing to a closed pipe/socket/fd» (probably the client disconnected) on request {route} (ip",
        Sign::ClientClosed,
    ),
    rule("«uwsgi_response_write_body_do(): Broken pipe»", Sign::ClientClosed),
    rule("«uwsgi_response_write_headers_do(): Broken pipe»", Sign::ClientClosed),
    rule("«uwsgi_response_writev_headers_and_body_do(): Broken pipe»", Sign::ClientClosed),
    rule("«uwsgi_response_sendfile_do(): Broken pipe»", Sign::ClientClosed),
    rule("[DANGER] «async queue is full»", Sign::PoolExhausted),
    rule("async queue is full", Sign::PoolExhausted),
    rule("[uwsgi-http key: {caller}] «hr_instance_read(): Connection reset by peer»", Sign::Reset),
    rule(
        "[uwsgi-http key: {caller}] «hr_instance_read(): Connection refused»",
        Sign::ConnectRefused,
    ),
    rule("[uwsgi-http key: {caller}] «hr_instance_read(): Broken pipe»", Sign::SendBroken),
    rule(
        "[uwsgi-http key: {caller}] «hr_instance_connected(): Connection refused»",
        Sign::ConnectRefused,
    ),
    rule(
        "[uwsgi-http key: {caller}] «hr_instance_connected(): Connection timed out»",
        Sign::ConnectTimedOut,
    ),
    rule("[uwsgi-http key: {caller}] «hr_instance_connected()", Sign::ConnectFailed),
    rule("[uwsgi-http key: {caller}] «hr_instance_write(): Broken pipe»", Sign::SendBroken),
    rule("[uwsgi-http key: {caller}] «hr_instance_write(): Connection reset by peer»", Sign::Reset),
    rule("Respawned uWSGI worker {_} (new pid: {pid})", Sign::WorkerBooted),
    rule("spawned uWSGI worker {_} (pid: {pid}", Sign::WorkerBooted),
    rule("spawned uWSGI worker {_} (and the only) (pid: {pid}", Sign::WorkerBooted),
    rule("worker {_} lifetime reached, it was running for {seconds} second", Sign::WorkerRecycled),
    rule("*** Starting uWSGI", Sign::Started),
    rule("uwsgi socket {_} bound to TCP address {upstream} fd", Sign::Listening),
    rule("uwsgi socket {_} bound to UNIX address {upstream} fd", Sign::Listening),
    rule("uWSGI http bound on {upstream} fd", Sign::Listening),
    rule("WSGI app 0 (mountpoint='{_}') ready in", Sign::Ready),
    rule("SIGINT/SIGTERM received...killing workers", Sign::ShuttingDown),
    rule("SIGINT/SIGQUIT received...killing workers", Sign::ShuttingDown),
    rule("goodbye to uWSGI", Sign::ShuttingDown),
    rule("...gracefully killing workers", Sign::ShuttingDown),
];

fn said<'a>(line: &'a Line) -> Option<Event<'a>> {
    let lead = Lead::of(&line.text);
    if lead.logger.is_some() {
        return None;
    }
    // `[DANGER] ` and `[uwsgi-http …] ` begin the message, after a time at most.
    too_big(line, &lead).or_else(|| rule::told(RULES, Product::Uwsgi, &[], line))
}

/// `invalid request block size: 21573 (max 4096)...skip`: the length of a uwsgi packet, or two
/// letters of something that is none. 21573 is 0x5445, `E` and `T` of `GET` in little-endian order.
fn too_big<'a>(line: &'a Line, lead: &Lead) -> Option<Event<'a>> {
    let rest = line.text[lead.inset..].strip_prefix("invalid request block size: ")?;
    let size = number(rest)?;
    let [low, high] = [size & 0xff, size >> 8];
    let letters = [low, high].iter().all(|it| (0x41..=0x5a).contains(it));
    let sign = if letters { Sign::UwsgiMismatch } else { Sign::RequestTooBigForUpstream };
    let end = rest
        .find(')')
        .map_or(line.text.trim_end().len(), |it| line.text.len() - rest.len() + it + 1);
    let event =
        Event::new(Product::Uwsgi, sign, Trust::C, lead.inset..end).at(lead.at).number(Some(size));
    Some(match between(rest, "(max ", ")") {
        Some(max) => event.detail(Some(format!("buffer-size {max}"))),
        None => event,
    })
}

struct Request<'a> {
    at: Option<Stamp>,
    pid: Option<u32>,
    client: Option<&'a str>,
    route: Option<&'a str>,
    milliseconds: i64,
    time_span: Range<usize>,
    status: u16,
    status_span: Range<usize>,
}

fn request(text: &str) -> Option<Request<'_>> {
    let rest = text.strip_prefix("[pid: ")?;
    let pid = number(rest).and_then(|it| u32::try_from(it).ok());
    let (_, rest) = rest.split_once("] ")?;
    let (client, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once("} [")?;
    let (at, length) = clock::ctime(rest)?;
    let rest = rest.get(length..)?.strip_prefix("] ")?;
    // What was asked for comes first, and may hold anything; the last of these words are uWSGI's.
    let (asked, own) = rest.rsplit_once(" => generated ")?;
    let start = text.len() - own.len();
    let time = own.find(" in ")? + 4;
    let milliseconds = number(&own[time..])?;
    let open = own[time..].find(" (")? + time + 2;
    let close = own[open..].find(')')? + open;
    let (_, status) = own[open..close].rsplit_once(' ')?;
    let micros = own[time..open].contains("micros");
    Some(Request {
        at: Some(at),
        pid,
        client: Some(client).filter(|it| !it.is_empty()),
        route: asked.split(' ').nth(1),
        milliseconds: if micros { milliseconds / 1000 } else { milliseconds },
        time_span: start + time..start + open - 2,
        status: status.parse().ok().filter(|it| (100..600).contains(it))?,
        status_span: start + open..start + close,
    })
}

#[cfg(test)]
mod tests {
    use super::{EVENT, RULES};
    use crate::rule::assert_hooked;
    use crate::testing::{check, check_nothing};

    #[test]
    fn its_own_acts_are_read() {
        for (line, want) in [
            (
                "Fri Nov 20 14:40:42 2026 - *** HARAKIRI ON WORKER 2 (pid: 83, try: 1) ***",
                "WorkerTimedOut | *** HARAKIRI ON WORKER 2 (pid: 83",
            ),
            (
                "*** uWSGI listen queue of socket \"127.0.0.1:3031\" (fd: 3) full !!! (101/100) ***",
                "BacklogOverflow upstream=127.0.0.1:3031 | *** uWSGI listen queue of socket \"127.0.0.1:3031\" (fd: 3) full !!!",
            ),
            (
                "DAMN ! worker 1 (pid: 83) died, killed by signal 11 :( trying respawn ...",
                "WorkerSegfault | DAMN ! worker 1 (pid: 83) died, killed by signal 11",
            ),
            (
                "unable to load app 0 (mountpoint='') (callable not found or import error)",
                "BootFailed detail=callable not found or import error | unable to load app 0 (mountpoint='') (callable not found or import error)",
            ),
            (
                "Fri Nov 20 14:40:42 2026 - HARAKIRI [core 3] 192.0.2.3 - GET /HARAKIRI since 1763650000",
                "WorkerTimedOut | HARAKIRI [core 3]",
            ),
            ("*** no app loaded. GAME OVER ***", "BootFailed | *** no app loaded. GAME OVER ***"),
            (
                "[uwsgi-http key: example.com client_addr: 192.0.2.3 client_port: 1] hr_instance_read(): Connection reset by peer [plugins/http/http.c line 647]",
                "Reset | hr_instance_read(): Connection reset by peer",
            ),
            (
                "uwsgi_response_write_body_do(): Broken pipe [core/writer.c line 341] during GET /x (192.0.2.1)",
                "ClientClosed | uwsgi_response_write_body_do(): Broken pipe",
            ),
        ] {
            check(line, &format!("uWSGI: {want}"));
        }
    }

    #[test]
    fn the_size_of_a_block_tells_letters_from_a_length() {
        check(
            "invalid request block size: 21573 (max 4096)...skip",
            "uWSGI: UwsgiMismatch detail=buffer-size 4096 number=21573 | invalid request block size: 21573 (max 4096)",
        );
        check(
            "invalid request block size: 4313 (max 4096)...skip",
            "uWSGI: RequestTooBigForUpstream detail=buffer-size 4096 number=4313 | invalid request block size: 4313 (max 4096)",
        );
    }

    #[test]
    fn a_request_counts_and_a_slow_one_is_told() {
        let line = |asked: &str, ms: u32, status: u32| {
            format!(
                "[pid: 7|app: 0|req: 1/9] 192.0.2.1 () {{30 vars in 400 bytes}} [Fri Nov 20 15:16:30 2026] GET {asked} => generated 12 bytes in {ms} msecs (HTTP/1.1 {status}) 2 headers in 79 bytes (1 switches on core 0)"
            )
        };
        check(&line("/x", 35, 200), "served 200");
        check(&line("/x", 35, 503), "served 503; uWSGI: Answered503 status=503 | HTTP/1.1 503");
        check(
            &line("/x", 31000, 200),
            "served 200; uWSGI: SlowRequest number=31000 status=200 | 31000 msecs",
        );
        check(&line("/x => generated 1 bytes in 1 msecs (HTTP/1.1 502)", 35, 200), "served 200");
    }

    #[test]
    fn what_a_caller_asks_for_is_no_event() {
        check_nothing("SIGPIPE on *** HARAKIRI ON WORKER 2 (pid: 83)");
        check_nothing("INFO:app:DAMN ! worker 1 (pid: 83) died");
    }

    #[test]
    fn no_rule_is_passed_over() {
        assert_hooked(EVENT.hooks, RULES);
    }
}
