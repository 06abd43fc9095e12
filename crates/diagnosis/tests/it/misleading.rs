//! Messages that mislead: each says something else than it seems to.

use crate::world::{answer, confidence, nginx, of};
use diagnosis::report::{Report, Verdict};

const READING: &str = "reading response header from upstream";
const CLOSED: &str = "upstream prematurely closed connection";
const APP: &str = "http://192.0.2.10:8000";

fn proxy(says: &str, doing: &str) -> Report {
    of(&[("error.log", &nginx("12:00:10", says, doing, APP))])
}

fn haproxy(timers: &str, status: u16, state: &str) -> Report {
    let line = format!(
        "Nov 20 12:00:10 myhost haproxy[900]: 192.0.2.1:33317 [20/Nov/2026:12:00:10.155] http-in \
         be_myapp/s1 {timers} {status} 217 - - {state} 1/1/0/0/0 0/0 \"GET /data HTTP/1.1\"\n"
    );
    of(&[("haproxy.log", &line)])
}

fn apache(module: &str, text: &str) -> Report {
    let line = format!(
        "[Fri Nov 20 12:00:10.123456 2026] [{module}:error] [pid 77:tid 140000000000001] {text}\n"
    );
    of(&[("error_log", &line)])
}

fn envoy(status: u16, flags: &str, details: &str, reason: &str) -> Report {
    let line = format!(
        "[2026-11-20T12:00:10.123Z] \"GET /data HTTP/1.1\" {status} {flags} {details} - \"{reason}\" 0 91 \
         0 - \"-\" \"curl/8.0\" \"b54e\" \"app.example.com\" \"192.0.2.10:8080\" \
         outbound|8080||app.default.svc.cluster.local - 192.0.2.1:80 192.0.2.2:50000 - default\n"
    );
    of(&[("envoy.log", &line)])
}

#[track_caller]
fn not_sure_of(report: &Report, cause: &str) {
    assert!(confidence(report, cause) < 0.5, "{}: {:?}", report.statement, report.candidates);
    assert!(report.verdict != Verdict::Named || report.cause != cause);
}

#[track_caller]
fn names(report: &Report, cause: &str) {
    let found = (report.verdict, report.cause.as_str());
    assert_eq!(found, (Verdict::Named, cause), "{} {:?}", report.statement, report.candidates);
}

#[test]
fn the_level_of_a_line_never_decides() {
    let with = |level: &str| {
        let line = nginx(
            "12:00:10",
            "connect() failed (111: Connection refused)",
            "connecting to upstream",
            APP,
        );
        answer(&of(&[("error.log", &line.replace("[error]", level))]))
    };
    assert_eq!(with("[error]"), with("[crit]"));
    assert_eq!(with("[error]"), with("[warn]"));
    assert_eq!(with("[error]"), with("[info]"));
}

#[test]
fn nginx_writes_110_for_its_own_timer() {
    let report = proxy("upstream timed out (110: Connection timed out)", READING);
    names(&report, "response_header_timeout");
    assert_eq!(report.status, Some(504));
    not_sure_of(&report, "firewall_drop");
}

#[test]
fn an_attempt_that_was_repeated_with_success_is_no_failure() {
    let access = "192.0.2.1 - - [20/Nov/2026:12:00:10 +0000] \"GET /data HTTP/1.1\" 200 512 \"-\" \"curl/8.0\" \
                  ua=\"192.0.2.10:8000, 192.0.2.11:8000\" us=\"502, 200\"\n";
    let error = nginx(
        "12:00:10",
        "connect() failed (111: Connection refused)",
        "connecting to upstream",
        APP,
    );
    let report = of(&[("error.log", &error), ("access.log", access)]);
    assert_eq!(report.verdict, Verdict::NoFailure, "{}", report.statement);
    assert!(report.fix.now.is_empty());
}

#[test]
fn a_status_line_that_nginx_passes_on_makes_no_502() {
    let line = "192.0.2.1 - - [20/Nov/2026:12:00:10 +0000] \"GET /data HTTP/1.1\" 009 35 \"-\" \"curl/8.0\"\n";
    let error = nginx("12:00:10", "upstream sent no valid HTTP/1.0 header", READING, APP);
    let report = of(&[("error.log", &error), ("access.log", line)]);
    assert_ne!(report.status, Some(502), "{}", report.statement);
    not_sure_of(&report, "process_down");
}

#[test]
fn a_silent_resolver_is_502_and_a_silent_address_504() {
    let name = nginx(
        "12:00:10",
        "a.example.com could not be resolved (110: Operation timed out)",
        READING,
        APP,
    );
    let name = of(&[("error.log", &name)]);
    names(&name, "dns_timeout");
    assert_eq!(name.status, Some(502));
    let address = proxy("upstream timed out (110: Connection timed out)", "connecting to upstream");
    assert_eq!(address.status, Some(504));
    not_sure_of(&address, "response_header_timeout");
}

#[test]
fn a_full_connection_table_shows_in_the_error_log_alone() {
    let line = "2026/11/20 12:00:10 [alert] 1234#1234: 512 worker_connections are not enough\n";
    let access = "192.0.2.1 - - [20/Nov/2026:12:00:11 +0000] \"GET /data HTTP/1.1\" 200 512 \"-\" \"curl/8.0\"\n";
    names(&of(&[("error.log", line), ("access.log", access)]), "proxy_connection_table_full");
}

#[test]
fn a_connection_that_haproxy_gave_up_is_503_and_no_slow_app() {
    let report = haproxy("0/0/-1/-1/5000", 503, "sC--");
    assert_eq!(report.wire.as_deref(), Some("firewall_drop"), "{}", report.statement);
    not_sure_of(&report, "response_header_timeout");
    not_sure_of(&report, "process_down");
}

#[test]
fn a_connection_that_haproxy_could_not_make_is_not_always_refused() {
    let report = haproxy("0/0/-1/-1/3", 503, "SC--");
    assert_ne!(report.verdict, Verdict::Named, "{}", report.statement);
    assert!(confidence(&report, "process_down") < 0.8);
}

#[test]
fn a_full_unix_queue_reads_as_no_port_at_haproxy() {
    let line = "Nov 20 12:00:10 myhost haproxy[900]: Connect() failed for backend be_myapp: no free ports.\n";
    let report = of(&[("haproxy.log", line)]);
    not_sure_of(&report, "process_down");
}

#[test]
fn a_read_timeout_of_apache_is_502() {
    let report = apache(
        "proxy_http",
        "(70007)The timeout specified has expired: [client 192.0.2.1:50000] AH01102: error reading status \
         line from remote server 192.0.2.10:8000",
    );
    names(&report, "response_header_timeout");
    assert_eq!(report.status, Some(502), "{}", report.statement);
}

#[test]
fn no_space_left_at_apache_is_a_header_that_is_too_long() {
    let report = apache(
        "proxy_http",
        "(28)No space left on device: [client 192.0.2.1:50000] AH10124: header size is over the limit allowed by ResponseFieldSize (8192 bytes). Bad response header: X-Long",
    );
    names(&report, "header_too_big");
    assert_eq!(confidence(&report, "gateway_disk_full"), 0.0);
    assert_eq!(confidence(&report, "app_disk_full"), 0.0);
}

#[test]
fn an_internal_error_of_apache_is_a_plain_end() {
    let report = apache(
        "proxy_http",
        "(20014)Internal error (specific information not available): [client 192.0.2.1:50000] AH01102: error \
         reading status line from remote server 192.0.2.10:8000",
    );
    assert_eq!(report.wire.as_deref(), Some("premature_close"), "{}", report.statement);
    assert_eq!(report.verdict, Verdict::Unknown);
    not_sure_of(&report, "gateway_bug");
}

#[test]
fn a_500_of_traefik_may_be_its_own() {
    let line = "192.0.2.1 - - [20/Nov/2026:12:00:10 +0000] \"GET /data HTTP/1.1\" 500 21 \"-\" \"-\" 1 \
                \"app@docker\" \"http://192.0.2.10:8000\" 2ms\n";
    let report = of(&[("access.log", line)]);
    assert_ne!(report.verdict, Verdict::Named, "{}", report.statement);
}

#[test]
fn a_dial_that_times_out_is_502_at_caddy_and_a_silent_app_504() {
    let with = |message: &str, status: u16| {
        let line = format!(
            "{{\"level\":\"error\",\"ts\":1795176010.123,\"logger\":\"http.log.error\",\"msg\":\"{message}\",\
             \"request\":{{\"method\":\"GET\",\"uri\":\"/data\"}},\"duration\":3.0,\"status\":{status}}}\n"
        );
        of(&[("caddy.log", &line)])
    };
    let dial = with("dial tcp 192.0.2.10:8000: i/o timeout", 502);
    assert_eq!(dial.wire.as_deref(), Some("firewall_drop"), "{}", dial.statement);
    assert_eq!(dial.status, Some(502));
    let head = with("net/http: timeout awaiting response headers", 504);
    names(&head, "response_header_timeout");
    assert_eq!(head.status, Some(504));
}

#[test]
fn eagain_on_a_unix_socket_is_a_full_queue_though_go_calls_it_a_timeout() {
    let line = "{\"level\":\"error\",\"ts\":1795176010.123,\"logger\":\"http.log.error\",\"msg\":\"dial unix \
                /run/myapp.sock: connect: resource temporarily unavailable\",\"request\":{\"method\":\"GET\",\
                \"uri\":\"/data\"},\"duration\":0.001,\"status\":504}\n";
    let report = of(&[("caddy.log", line)]);
    names(&report, "unix_backlog_full");
    not_sure_of(&report, "response_header_timeout");
}

#[test]
fn perhaps_out_of_memory_proves_nothing() {
    let error = nginx("12:00:10", CLOSED, READING, APP);
    let gunicorn = "[2026-11-20 12:00:10 +0000] [1490] [ERROR] Worker (pid:1492) was sent SIGKILL! Perhaps out \
                    of memory?\n";
    let report = of(&[("error.log", &error), ("gunicorn.log", gunicorn)]);
    not_sure_of(&report, "worker_oom_killed_cgroup");
    not_sure_of(&report, "worker_oom_killed_global");
}

#[test]
fn perhaps_out_of_memory_after_a_worker_timeout_is_the_timeout() {
    let error = nginx("12:00:10", CLOSED, READING, APP);
    let gunicorn = "[2026-11-20 12:00:09 +0000] [1490] [CRITICAL] WORKER TIMEOUT (pid:1492)\n\
                    [2026-11-20 12:00:10 +0000] [1490] [ERROR] Worker (pid:1492) was sent SIGKILL! Perhaps out \
                    of memory?\n";
    names(&of(&[("error.log", &error), ("gunicorn.log", gunicorn)]), "worker_timeout_killed");
}

#[test]
fn a_worker_timeout_may_be_a_500_of_the_app() {
    let access = "192.0.2.1 - - [20/Nov/2026:12:00:10 +0000] \"GET /data HTTP/1.1\" 500 145 \"-\" \"curl/8.0\"\n";
    let gunicorn = "[2026-11-20 12:00:10 +0000] [1490] [CRITICAL] WORKER TIMEOUT (pid:1492)\n\
                    [2026-11-20 12:00:11 +0000] [1500] [INFO] Booting worker with pid: 1500\n";
    let report = of(&[("access.log", access), ("gunicorn.log", gunicorn)]);
    assert_eq!(report.candidates[0].cause, "worker_timeout_killed", "{}", report.statement);
}

#[test]
fn the_silence_of_a_killed_server_is_no_proof_of_health() {
    let error = nginx("12:00:10", CLOSED, READING, APP);
    let hypercorn = "[2026-11-20 11:00:00 +0000] [77] [INFO] Running on http://192.0.2.10:8000 (CTRL + C to quit)\n";
    let report = of(&[("error.log", &error), ("hypercorn.log", hypercorn)]);
    assert_eq!(report.verdict, Verdict::Unknown, "{}", report.statement);
    assert!(report.candidates.iter().any(|it| it.cause == "worker_crashed"));
}

#[test]
fn a_certificate_refused_in_tls_1_3_is_no_crash() {
    let report = proxy(
        "SSL_read() failed (SSL: error:0A00045C:SSL routines::tlsv13 alert certificate required:SSL alert number 116)",
        READING,
    );
    names(&report, "tls_client_cert_required");
    not_sure_of(&report, "worker_crashed");
}

#[test]
fn tls_to_a_silent_port_is_no_slow_app() {
    let report =
        proxy("upstream timed out (110: Connection timed out)", "SSL handshaking to upstream");
    not_sure_of(&report, "response_header_timeout");
}

#[test]
fn the_503_of_envoy_says_by_its_flag_what_others_say_by_502() {
    let refused = envoy(
        503,
        "UF",
        "upstream_reset_before_response_started{connection_failure}",
        "delayed connect error: 111",
    );
    assert_eq!(refused.wire.as_deref(), Some("process_down"), "{}", refused.statement);
    let cut =
        envoy(503, "UC", "upstream_reset_before_response_started{connection_termination}", "-");
    assert_eq!(cut.verdict, Verdict::Unknown, "{}", cut.statement);
    not_sure_of(&cut, "upstream_own_5xx");
    let own = envoy(503, "-", "via_upstream", "-");
    assert_eq!(own.candidates[0].cause, "upstream_own_5xx", "{}", own.statement);
}

#[test]
fn a_cut_body_is_a_failure_though_the_status_is_200() {
    let access = "192.0.2.1 - - [20/Nov/2026:12:00:10 +0000] \"GET /data HTTP/1.1\" 200 512 \"-\" \"curl/8.0\"\n";
    let error = nginx("12:00:10", CLOSED, "reading upstream", APP);
    let report = of(&[("error.log", &error), ("access.log", access)]);
    assert_ne!(report.verdict, Verdict::NoFailure, "{}", report.statement);
    assert_eq!(format!("{:?}", report.retry.class), "R4");
    assert_ne!(report.status, Some(502));
}

#[test]
fn the_exit_code_137_alone_is_no_proof_of_memory() {
    let error = nginx(
        "12:00:10",
        "connect() failed (111: Connection refused)",
        "connecting to upstream",
        APP,
    );
    let ps = "CONTAINER ID   IMAGE     COMMAND        CREATED       STATUS                       PORTS     NAMES\n\
              0123456789ab   myapp:1   \"gunicorn a\"   2 hours ago   Exited (137) 2 minutes ago             myapp\n";
    let report = of(&[("error.log", &error), ("docker.txt", ps)]);
    not_sure_of(&report, "worker_oom_killed_cgroup");
    not_sure_of(&report, "worker_oom_killed_global");
}

#[test]
fn the_exit_code_143_is_an_orderly_end() {
    let error = nginx(
        "12:00:10",
        "connect() failed (111: Connection refused)",
        "connecting to upstream",
        APP,
    );
    let ps = "CONTAINER ID   IMAGE     COMMAND        CREATED       STATUS                       PORTS     NAMES\n\
              0123456789ab   myapp:1   \"gunicorn a\"   2 hours ago   Exited (143) 2 minutes ago             myapp\n";
    let report = of(&[("error.log", &error), ("docker.txt", ps)]);
    not_sure_of(&report, "worker_crashed");
    not_sure_of(&report, "worker_oom_killed_cgroup");
}

#[test]
fn a_client_that_hung_up_is_no_failure_of_the_app() {
    let access = "192.0.2.1 - - [20/Nov/2026:12:00:10 +0000] \"GET /data HTTP/1.1\" 499 0 \"-\" \"curl/8.0\"\n";
    let report = of(&[("access.log", access)]);
    assert_eq!(report.verdict, Verdict::NoFailure, "{}", report.statement);
}
