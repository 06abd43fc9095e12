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
    name: String,
    files: Vec<(String, String)>,
}

impl Failure {
    #[expect(clippy::disallowed_methods, reason = "a test may read its cases")]
    fn of(name: &str, hour: usize) -> Failure {
        let mut files: Vec<(String, String)> = fs::read_dir(Path::new(CASES).join(name))
            .unwrap_or_else(|it| panic!("{name}: {it}"))
            .map(|it| it.expect("an entry").path())
            .filter(|it| it.extension().is_some_and(|it| it == "log"))
            .map(|path| {
                let file = path.file_name().and_then(|it| it.to_str()).expect("names are UTF-8");
                let text = fs::read_to_string(&path).expect("a case can be read");
                (own(file, hour), moved(&text, hour))
            })
            .collect();
        files.sort();
        Failure { name: name.to_owned(), files }
    }

    fn lines_of(&self, shared: &str) -> &str {
        self.files.iter().find(|(name, _)| name == shared).map_or("", |(_, text)| text)
    }
}

/// The name of a file of one app.
fn own(file: &str, hour: usize) -> String {
    match SHARED.contains(&file) {
        true => file.to_owned(),
        false => format!("app-{hour}-{file}"),
    }
}

/// The same in another hour, of an app on other ports and paths. All cases were recorded within one.
fn moved(text: &str, hour: usize) -> String {
    let mut text = text.to_owned();
    for before in ["2026/11/21 ", "21/Nov/2026:", "2026-11-21 ", "2026-11-21T", "21-Nov-2026 "] {
        text = text.replace(&format!("{before}13:"), &format!("{before}{hour:02}:"));
    }
    for mark in [":", ", ", "port "] {
        for port in [8000, 8001, 8002, 8443] {
            text = text.replace(&format!("{mark}{port}"), &format!("{mark}{}", port + 10 * hour));
        }
    }
    for (old, new) in
        [("/run/", "/run/app"), ("http://shop/", "http://shop"), ("\"shop\"", "\"shop")]
    {
        let end = if old.ends_with('"') { "\"" } else { "/" };
        text = text.replace(old, &format!("{new}{hour}{end}"));
    }
    text
}

/// An hour of health in nginx's two logs.
fn healthy_hour(hour: usize) -> (String, String) {
    let (mut access, mut error) = (String::new(), String::new());
    for it in 0..180 {
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

/// One day of one nginx before all these apps.
fn day(failures: &[Failure], healthy: bool) -> Vec<(String, String)> {
    let (mut error, mut access) = (String::new(), String::new());
    for hour in 0..24 {
        let (well, asked) = if healthy { healthy_hour(hour) } else { Default::default() };
        let prefix = format!("2026/11/21 {hour:02}:");
        let here = failures.iter().find(|it| it.lines_of(SHARED[0]).starts_with(&prefix));
        error += &merged(&well, here.map_or("", |it| it.lines_of(SHARED[0])), &prefix);
        let prefix = format!("[21/Nov/2026:{hour:02}:");
        access += &merged(&asked, here.map_or("", |it| it.lines_of(SHARED[1])), &prefix);
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

fn asked(inputs: &[(String, String)], question: &Question) -> Report {
    let inputs: Vec<(&str, &str)> = inputs.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    why(&Testimony::of(&inputs, Arrival::File, 2026), question)
}

/// The causes of all incidents of a report, sorted.
fn causes(report: &Report) -> Vec<String> {
    let first = report.incident.iter().map(|_| report.cause.clone());
    let mut causes: Vec<String> =
        first.chain(report.others.iter().map(|it| it.cause.clone())).collect();
    causes.sort();
    causes
}

/// Failures behind nginx that are named by their logs alone.
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
    ];
    names.to_vec()
}

/// What is said of each alone is said of them together, and of no other incident.
#[track_caller]
fn check(names: &[&str]) -> Result<(), String> {
    let moved: Vec<Failure> =
        names.iter().enumerate().map(|(at, it)| Failure::of(it, 3 + 3 * at)).collect();
    let mut alone: Vec<String> = Vec::new();
    let mut newest = Report::clone(&asked(&day(&moved[..1], false), &Question::default()));
    for it in 0..moved.len() {
        newest = asked(&day(&moved[it..=it], false), &Question::default());
        alone.extend(causes(&newest));
    }
    alone.sort();
    let inputs = day(&moved, true);
    let together = asked(&inputs, &Question::default());
    let names: Vec<&str> = moved.iter().map(|it| it.name.as_str()).collect();
    if causes(&together) != alone {
        return Err(format!("{names:?}: {alone:?} alone, and {:?} together", causes(&together)));
    }
    let _ = newest;
    Ok(())
}

#[test]
fn incidents_of_a_day_are_told_apart() {
    let all = failures();
    let wrong: Vec<String> = (0..all.len())
        .filter_map(|at| {
            let names: Vec<&str> = (0..4).map(|it| all[(at + 7 * it) % all.len()]).collect();
            check(&names).err()
        })
        .collect();
    assert!(wrong.is_empty(), "{} days:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn healthy_days_have_no_failure() {
    let report = asked(&day(&[], true), &Question::default());
    assert_eq!(report.verdict, Verdict::NoFailure, "{}", report.statement);
}
