//! Days of traffic: failures of several apps, hours apart, between thousands of lines of health.

use diagnosis::report::{Report, Verdict};
use diagnosis::why::{Question, why};
use evidence::{Arrival, Testimony};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");
/// What nginx writes, of all apps into one file.
const SHARED: [&str; 2] = ["nginx-error.log", "nginx-access.log"];

/// A recorded failure, moved to an hour and to ports of its own.
struct Failure {
    files: Vec<(String, String)>,
}

impl Failure {
    #[expect(clippy::disallowed_methods, reason = "a test may read its cases")]
    fn of(name: &str, app: usize, hour: usize) -> Failure {
        let mut files: Vec<(String, String)> = fs::read_dir(Path::new(CASES).join(name))
            .unwrap_or_else(|it| panic!("{name}: {it}"))
            .map(|it| it.expect("an entry").path())
            .filter(|it| it.extension().is_some_and(|it| it != "json"))
            .map(|path| {
                let file = path.file_name().and_then(|it| it.to_str()).expect("names are UTF-8");
                let text = fs::read_to_string(&path).expect("a case can be read");
                (own(file, app), moved(&text, app, hour))
            })
            .collect();
        files.sort();
        Failure { files }
    }

    /// Hour and minute of its last line in the error log.
    fn minute(&self) -> Option<(usize, usize)> {
        let line = self.lines_of(SHARED[0]).lines().rfind(|it| it.starts_with("2026/"))?;
        Some((line.get(11..13)?.parse().ok()?, line.get(14..16)?.parse().ok()?))
    }

    fn lines_of(&self, shared: &str) -> &str {
        self.files.iter().find(|(name, _)| name == shared).map_or("", |(_, text)| text)
    }
}

/// The name of a file of one app.
fn own(file: &str, app: usize) -> String {
    match SHARED.contains(&file) {
        true => file.to_owned(),
        false => format!("app-{app}-{file}"),
    }
}

/// The same in another hour, of an app on other ports and paths. All cases were recorded within one.
fn moved(text: &str, app: usize, hour: usize) -> String {
    let mut text = text.to_owned();
    const DATES: [&str; 7] = [
        "2026/11/21 ",
        "21/Nov/2026:",
        "2026-11-21 ",
        "2026-11-21T",
        "21-Nov-2026 ",
        "Nov 21 ",
        "21 Nov 2026 ",
    ];
    for before in DATES {
        text = text.replace(&format!("{before}13:"), &format!("{before}{hour:02}:"));
    }
    for mark in [":", ", ", "port "] {
        for port in [8000, 8001, 8002, 8443] {
            text = text.replace(&format!("{mark}{port}"), &format!("{mark}{}", port + 10 * app));
        }
    }
    for (old, new) in
        [("/run/", "/run/app"), ("http://shop/", "http://shop"), ("\"shop\"", "\"shop")]
    {
        let end = if old.ends_with('"') { "\"" } else { "/" };
        text = text.replace(old, &format!("{new}{app}{end}"));
    }
    text
}

/// An hour of health in nginx's two logs, or its first minutes.
fn healthy_hour(hour: usize, minutes: usize) -> (String, String) {
    let (mut access, mut error) = (String::new(), String::new());
    for it in 0..3 * minutes {
        let (minute, second) = (it / 3, it % 3 * 20);
        let at = format!("21/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000");
        let (status, path) = match it % 30 {
            7 => (404, "/favicon.ico"),
            19 => (304, "/app.css"),
            23 => (499, "/search?q=502+Bad+Gateway"),
            _ => (200, "/orders"),
        };
        let upstream = if status == 499 { "-" } else { "200" };
        let _ = writeln!(
            access,
            "192.0.2.{} - - [{at}] \"GET {path} HTTP/1.1\" {status} 512 \"-\" \"Mozilla/5.0\" rt=0.0{:02} ua=\"127.0.0.1:7000\" us=\"{upstream}\" ut=\"0.010\"",
            it % 250,
            it % 90
        );
    }
    let _ = writeln!(
        error,
        "2026/11/21 {hour:02}:00:01 [notice] 7#7: signal process started\n\
         2026/11/21 {hour:02}:00:01 [notice] 7#7: reconfiguring\n\
         2026/11/21 {hour:02}:20:00 [warn] 9#9: *{hour}7 an upstream response is buffered to a temporary file /var/cache/nginx/proxy_temp/1/00/0000000001 while reading upstream, client: 192.0.2.7, server: api.example.com, request: \"GET /export HTTP/1.1\", upstream: \"http://127.0.0.1:7000/export\", host: \"api.example.com\"\n\
         2026/11/21 {hour:02}:40:00 [error] 9#9: *{hour}8 open() \"/usr/share/nginx/html/favicon.ico\" failed (2: No such file or directory), client: 192.0.2.8, server: api.example.com, request: \"GET /favicon.ico HTTP/1.1\", host: \"api.example.com\""
    );
    (error, access)
}

/// What of a day is in the logs beside the failures.
#[derive(Clone, Copy, PartialEq)]
enum Health {
    Nothing,
    Day,
    /// Until the last failure, which goes on.
    Until,
}

/// One day of one nginx before all these apps.
fn day(failures: &[Failure], health: Health) -> Vec<(String, String)> {
    let (mut error, mut access) = (String::new(), String::new());
    let end = failures.last().and_then(Failure::minute).filter(|_| health == Health::Until);
    for hour in 0..24 {
        let minutes = match (health, end) {
            (Health::Nothing, _) => 0,
            (_, Some((last, minute))) if hour >= last => {
                if hour == last {
                    minute
                } else {
                    0
                }
            }
            _ => 60,
        };
        let (well, asked) =
            if minutes > 0 { healthy_hour(hour, minutes) } else { Default::default() };
        let prefix = format!("2026/11/21 {hour:02}:");
        let here = failures.iter().filter(|it| it.lines_of(SHARED[0]).starts_with(&prefix));
        let of = |shared: &str| -> String { here.clone().map(|it| it.lines_of(shared)).collect() };
        error += &merged(&well, &of(SHARED[0]), &prefix);
        access += &merged(&asked, &of(SHARED[1]), &format!("[21/Nov/2026:{hour:02}:"));
    }
    let apps = failures.iter().flat_map(|it| &it.files);
    let apps = apps.filter(|(name, _)| !SHARED.contains(&name.as_str())).cloned();
    let shared = [(SHARED[0].to_owned(), error), (SHARED[1].to_owned(), access)];
    shared.into_iter().chain(apps).filter(|(_, text)| !text.is_empty()).collect()
}

/// Lines of two logs of one hour in the order of their clocks.
fn merged(a: &str, b: &str, prefix: &str) -> String {
    let at = |line: &str| -> String {
        let at = line.find(prefix).map_or("", |at| &line[at + prefix.len()..]);
        at.chars().take(5).collect()
    };
    let mut lines: Vec<(String, &str)> =
        a.lines().chain(b.lines()).map(|it| (at(it), it)).collect();
    // What has no clock of its own goes with the line before.
    for it in 1..lines.len() {
        if lines[it].0.is_empty() {
            lines[it].0 = lines[it - 1].0.clone();
        }
    }
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines.iter().map(|(_, it)| format!("{it}\n")).collect()
}

fn asked(inputs: &[(String, String)]) -> Report {
    let inputs: Vec<(&str, &str)> = inputs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    why(&Testimony::of(&inputs, Arrival::File, 2026), &Question::default())
}

/// The causes of all incidents of a report, sorted.
fn causes(report: &Report) -> Vec<String> {
    let first = report.incident.iter().map(|_| report.cause.clone());
    let mut causes: Vec<String> =
        first.chain(report.others.iter().map(|it| it.cause.clone())).collect();
    causes.sort();
    causes
}

/// Failures behind nginx that are named by their logs and configurations.
fn failures() -> Vec<&'static str> {
    let names = [
        "accept_backlog_full/uwsgi-listen-queue",
        "bad_chunk/nginx",
        "body_stall/nginx",
        "crash_at_start/gunicorn-module-not-found",
        "crash_at_start/supervisord",
        "db_down/psycopg-at-boot",
        "deploy_in_progress/gunicorn-restart",
        "dns_nxdomain/nginx",
        "dns_timeout/nginx",
        "fastcgi_mismatch/nginx-to-gunicorn",
        "gateway_disk_full/nginx-proxy-temp",
        "gateway_fd_exhausted/nginx",
        "header_too_big/flask-cookie",
        "http_to_tls_port/gunicorn-with-certificate",
        "port_in_use/gunicorn-second-port",
        "process_down/gunicorn-killed-whole",
        "process_down/gunicorn-stopped",
        "process_down/nginx-no-live-upstreams",
        "request_header_too_big_for_upstream/uwsgi-buffer-size",
        "response_header_timeout/nginx",
        "secret_or_config_missing/gunicorn-environ",
        "tls_cert_expired/nginx",
        "tls_self_signed/nginx",
        "unix_socket_missing/gunicorn-elsewhere",
        "unix_socket_permission/gunicorn-folder",
        "unix_socket_stale/gunicorn-killed",
        "worker_crashed/gunicorn-exit",
        "worker_crashed/gunicorn-segfault",
        "worker_crashed/php-fpm-segfault",
        "worker_pool_exhausted/php-fpm",
        "worker_timeout_killed/gunicorn-sync",
        "worker_timeout_killed/uwsgi-harakiri",
        "bound_to_loopback/gunicorn",
        "crash_at_start/uvicorn-syntax-error",
        "keepalive_race/gunicorn-gthread-post",
        "keepalive_race/uvicorn-post",
        "tls_to_plain_port/nginx",
        "tls_version_mismatch/nginx",
        "unix_backlog_full/gunicorn",
        "worker_crashed/one-of-three-incidents",
        "worker_crashed/uvicorn-workers-segfault",
        "worker_timeout_killed/beside-an-absorbed-one",
        "wrong_port/gunicorn-on-another",
    ];
    names.to_vec()
}

/// What is said of each alone is said of them together, and of no other incident.
#[track_caller]
fn check(names: &[&str], apart: usize) -> Result<(), String> {
    let moved: Vec<Failure> =
        names.iter().enumerate().map(|(at, it)| Failure::of(it, 1 + at, 3 + apart * at)).collect();
    let reports: Vec<Report> =
        (0..moved.len()).map(|it| asked(&day(&moved[it..=it], Health::Nothing))).collect();
    let mut alone: Vec<String> = reports.iter().flat_map(causes).collect();
    alone.sort();
    let together = asked(&day(&moved, Health::Day));
    if causes(&together) != alone {
        return Err(format!("{names:?}: {alone:?} alone, and {:?} together", causes(&together)));
    }
    let ongoing = asked(&day(&moved, Health::Until));
    let last = reports.last().expect("a day has failures");
    if apart > 0 && ongoing.cause != last.cause {
        return Err(format!(
            "{names:?}: going on is {}, and {} comes first",
            last.cause, ongoing.cause
        ));
    }
    Ok(())
}

#[test]
fn incidents_of_a_day_are_told_apart() {
    let all = failures();
    let wrong: Vec<String> = (0..all.len())
        // Every second: a day takes long to read.
        .step_by(2)
        .filter_map(|at| {
            let names: Vec<&str> = (0..4).map(|it| all[(at + 7 * it) % all.len()]).collect();
            check(&names, 3).err()
        })
        .collect();
    assert!(wrong.is_empty(), "{} days:\n{}", wrong.len(), wrong.join("\n"));
}

/// What well-behaved servers write on a day: starts, answers, checks, recycling, reloads.
fn healthy_servers() -> Vec<(String, String)> {
    let mut gunicorn = String::from(
        "[2026-11-21 00:00:01 +0000] [7] [INFO] Starting gunicorn 23.0.0\n\
         [2026-11-21 00:00:01 +0000] [7] [INFO] Listening at: http://127.0.0.1:7000 (7)\n\
         [2026-11-21 00:00:01 +0000] [7] [INFO] Using worker: gthread\n\
         [2026-11-21 00:00:01 +0000] [8] [INFO] Booting worker with pid: 8\n",
    );
    let mut uvicorn = String::from(
        "INFO:     Started server process [9]\n\
         INFO:     Waiting for application startup.\n\
         INFO:     Application startup complete.\n\
         INFO:     Uvicorn running on http://0.0.0.0:7001 (Press CTRL+C to quit)\n",
    );
    let mut haproxy = String::from(
        "Nov 21 00:00:01 lb haproxy[11]: Proxy web started.\n\
         Nov 21 00:00:01 lb haproxy[11]: Proxy shop started.\n\
         Nov 21 00:00:03 lb haproxy[11]: Server shop/s1 is UP, reason: Layer7 check passed, code: 200, check duration: 2ms. 2 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.\n",
    );
    let mut envoy = String::from(
        "[2026-11-21 00:00:01.101][1][info][main] [source/server/server.cc:1009] starting main dispatch loop\n\
         [2026-11-21 00:00:01.140][1][info][upstream] [source/common/upstream/cluster_manager_impl.cc:249] cm init: all clusters initialized\n\
         [2026-11-21 00:00:01.141][1][info][main] [source/server/server.cc:986] all clusters initialized. initializing init manager\n\
         [2026-11-21 00:00:01.142][1][info][config] [source/common/listener_manager/listener_manager_impl.cc:944] all dependencies initialized. starting workers\n",
    );
    let mut postgres = String::from(
        "2026-11-21 00:00:01.010 UTC [1] LOG:  starting PostgreSQL 16.4 on x86_64-pc-linux-gnu, compiled by gcc, 64-bit\n\
         2026-11-21 00:00:01.011 UTC [1] LOG:  listening on IPv4 address \"0.0.0.0\", port 5432\n\
         2026-11-21 00:00:01.020 UTC [1] LOG:  database system is ready to accept connections\n",
    );
    for it in 0..1440 {
        let (hour, minute) = (it / 60, it % 60);
        let status = if it % 40 == 0 { 404 } else { 200 };
        let client = format!("192.0.2.{}", it % 250);
        let _ = writeln!(
            gunicorn,
            "{client} - - [21/Nov/2026:{hour:02}:{minute:02}:30 +0000] \"GET /orders HTTP/1.1\" {status} 512 \"-\" \"curl/8.5.0\""
        );
        let _ =
            writeln!(uvicorn, "INFO:     {client}:4{it:04} - \"GET /health HTTP/1.1\" {status}");
        let _ = writeln!(
            haproxy,
            "Nov 21 {hour:02}:{minute:02}:31 lb haproxy[11]: {client}:5{it:04} [21/Nov/2026:{hour:02}:{minute:02}:31.010] web shop/s1 0/0/1/12/13 {status} 512 - - ---- 3/3/0/0/0 0/0 \"GET /orders HTTP/1.1\""
        );
        let _ = writeln!(
            envoy,
            "[2026-11-21T{hour:02}:{minute:02}:32.120Z] \"GET /orders HTTP/1.1\" {status} - 0 512 14 13 \"-\" \"curl/8.5.0\" \"00000000-0000-4000-8000-00000000{it:04}\" \"api.example.com\" \"192.0.2.10:8000\""
        );
        if it % 60 == 7 {
            let _ = writeln!(
                gunicorn,
                "[2026-11-21 {hour:02}:{minute:02}:31 +0000] [8] [INFO] Autorestarting worker after current request.\n\
                 [2026-11-21 {hour:02}:{minute:02}:31 +0000] [8] [INFO] Worker exiting (pid: 8)\n\
                 [2026-11-21 {hour:02}:{minute:02}:32 +0000] [8] [INFO] Booting worker with pid: 8"
            );
        }
        if it % 30 == 5 {
            let _ = writeln!(
                postgres,
                "2026-11-21 {hour:02}:{minute:02}:02.100 UTC [27] LOG:  checkpoint starting: time\n\
                 2026-11-21 {hour:02}:{minute:02}:09.100 UTC [27] LOG:  checkpoint complete: wrote 44 buffers (0.3%); 0 WAL file(s) added, 0 removed, 0 recycled; write=4.3 s, sync=0.01 s, total=4.3 s"
            );
        }
    }
    let events = "LAST SEEN   TYPE     REASON              OBJECT                      MESSAGE\n\
         5m          Normal   Scheduled           pod/shop-6d5f7c9b8-abcde    Successfully assigned default/shop-6d5f7c9b8-abcde to node-1\n\
         5m          Normal   Pulled              pod/shop-6d5f7c9b8-abcde    Container image \"registry.example.com/shop:1.2\" already present on machine\n\
         5m          Normal   Created             pod/shop-6d5f7c9b8-abcde    Created container shop\n\
         5m          Normal   Started             pod/shop-6d5f7c9b8-abcde    Started container shop\n\
         5m          Normal   SuccessfulCreate    replicaset/shop-6d5f7c9b8   Created pod: shop-6d5f7c9b8-abcde\n\
         5m          Normal   ScalingReplicaSet   deployment/shop             Scaled up replica set shop-6d5f7c9b8 to 1\n";
    let named = [
        ("gunicorn.log", gunicorn),
        ("uvicorn.log", uvicorn),
        ("haproxy.log", haproxy),
        ("envoy.log", envoy),
        ("postgresql.log", postgres),
        ("events.txt", events.to_owned()),
    ];
    named.map(|(name, text)| (name.to_owned(), text)).into()
}

#[test]
fn failures_of_the_same_minutes_are_told_apart() {
    // A supervisor does not say where what it starts would listen.
    let all: Vec<&str> = failures().into_iter().filter(|it| !it.contains("supervisord")).collect();
    let wrong: Vec<String> = (0..all.len())
        .filter_map(|at| {
            let names: Vec<&str> = (0..2).map(|it| all[(at + 11 * it) % all.len()]).collect();
            check(&names, 0).err()
        })
        .collect();
    assert!(wrong.is_empty(), "{} days:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn healthy_days_have_no_failure() {
    let nginx = day(&[], Health::Day);
    let servers = healthy_servers();
    let all: Vec<(String, String)> = nginx.iter().chain(&servers).cloned().collect();
    let alone = all.iter().map(|it| vec![it.clone()]);
    for inputs in alone.chain([all.clone()]) {
        let names: Vec<&str> = inputs.iter().map(|(name, _)| name.as_str()).collect();
        let report = asked(&inputs);
        assert_eq!(report.verdict, Verdict::NoFailure, "{names:?}: {}", report.statement);
    }
}

/// What recorded servers wrote before, between and after their failures.
#[test]
fn lines_without_an_error_are_no_failure() {
    let well = |line: &str| {
        let answered = line.contains(" 200 ") && !line.contains("\"502");
        let said = line.contains("[INFO]") || line.starts_with("INFO:  ");
        let ending = ["signal", "Shutting down", "exiting", "xit", "died", "startup"];
        answered || said && !ending.iter().any(|it| line.contains(it))
    };
    for name in failures() {
        let mut failure = Failure::of(name, 1, 5);
        for (_, text) in &mut failure.files {
            *text = text.lines().filter(|it| well(it)).map(|it| format!("{it}\n")).collect();
        }
        failure.files.retain(|(_, text)| !text.is_empty());
        let report = asked(&failure.files);
        assert_eq!(report.verdict, Verdict::NoFailure, "{name}: {}", report.statement);
    }
}
