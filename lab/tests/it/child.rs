//! `goodgate run -- COMMAND`: an app that is started with the gateway, kept alive, and heard when its
//! requests fail.

use crate::world::{SOON, get};
use lab::client::{Answer, Client, End};
use lab::gateway::{Gateway, goodgate};
use lab::scratch::Scratch;
use lab::{python, stage};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Starts and ends of real servers on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Line 25 divides by zero, and line 2 may import what is not there.
const APP: &str = "\
import os, signal, sys, time
IMPORT


def app(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/slow':
        open(os.environ['MARK'], 'w').close()
        time.sleep(1.5)
    if path == '/die':
        os.kill(os.getpid(), signal.SIGKILL)
    if path == '/once' and not os.path.exists(os.environ['MARK']):
        open(os.environ['MARK'], 'w').close()
        time.sleep(60)
    if path == '/hang':
        time.sleep(60)
    if path == '/wait':
        open(os.environ['MARK'], 'w').close()
        time.sleep(60)
    if path == '/shout':
        for _ in range(40):
            os.write(2, b'x' * 1_000_000 + b'\\n')
            os.write(2, b'\\n' * 100_000)
    if path == '/sum':
        1 / 0
    start_response('200 OK', [('Content-Length', '2')])
    return [b'ok']
";

/// A gateway with Gunicorn behind it.
struct World {
    gateway: Gateway,
    scratch: Scratch,
}

/// `options` are Gunicorn's; `config` may be about `[child]`.
async fn gunicorn(import: &str, options: &[&str], config: &str) -> World {
    gunicorn_behind("", import, options, config).await
}

/// `upstream` is more about the way to it.
async fn gunicorn_behind(upstream: &str, import: &str, options: &[&str], config: &str) -> World {
    let scratch = Scratch::new("app").expect("a folder");
    scratch.write("app.py", &APP.replace("IMPORT", import)).expect("it is ours");
    let address = free();
    let program = python::program("gunicorn").unwrap_or_else(|error| panic!("{error}"));
    let folder = scratch.path().display().to_string();
    let mark = format!("MARK={folder}/mark");
    let bind = address.to_string();
    let mut app = vec!["env".to_owned(), mark, program.display().to_string()];
    let rest = ["--chdir", &folder, "--no-control-socket", "-b", &bind];
    app.extend(rest.iter().chain(options).chain(&["app:app"]).map(|it| (*it).to_owned()));
    World { gateway: started_behind(upstream, address, config, &app).await, scratch }
}

async fn started(address: SocketAddr, config: &str, app: &[String]) -> Gateway {
    started_behind("", address, config, app).await
}

async fn started_behind(
    upstream: &str,
    address: SocketAddr,
    config: &str,
    app: &[String],
) -> Gateway {
    let config = format!(
        "{config}\n[upstream.app]\ntargets = [\"http://{address}\"]\n{upstream}\
         [route.all]\nmatch = \"/*\"\nto = \"app\"\n"
    );
    Gateway::with_app(&config, app).await.unwrap_or_else(|error| panic!("{error}"))
}

fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], stage::free_port().expect("a free port")))
}

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).into()
}

impl World {
    async fn ask(&self, path: &str) -> Answer {
        ask(&self.gateway, path).await
    }

    /// Asks until the answer is well.
    async fn recovers(&self) {
        let began = Instant::now();
        while self.ask("/").await.status != Some(200) {
            assert!(began.elapsed() < PATIENCE, "{}", self.gateway.said());
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the app has begun with a request that marks it.
    async fn marked(&self) {
        let mark = self.scratch.path().join("mark");
        let began = Instant::now();
        while !mark.exists() {
            assert!(began.elapsed() < PATIENCE, "{}", self.gateway.said());
            sleep(LOOK_EVERY).await;
        }
    }

    fn app(&self) -> Pid {
        app_of(&self.gateway)
    }
}

/// What may not be sent again.
fn post(path: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

async fn ask(gateway: &Gateway, path: &str) -> Answer {
    let mut client = gateway.client().await.unwrap_or_else(|error| panic!("{error}"));
    client.exchange(&get(path)).await
}

fn app_of(gateway: &Gateway) -> Pid {
    started_last(&gateway.said())
}

/// The process that a gateway started last, by its own words.
fn started_last(said: &str) -> Pid {
    let started = said.lines().rev().find(|it| it.ends_with(" was started")).expect("it started");
    let number = started.split("(process ").nth(1).and_then(|it| it.split(')').next());
    let number = number.and_then(|it| it.parse().ok()).and_then(Pid::from_raw);
    number.expect("it was told")
}

fn lives(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|it| it.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}

async fn until(what: &str, gateway: &Gateway, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "not {what}:\n{}", gateway.said());
        sleep(LOOK_EVERY).await;
    }
}

#[track_caller]
fn check(answer: &Answer, cause: &str, quote: &str, source: &str) {
    assert_eq!((answer.status, answer.end), (Some(502), End::Whole), "{}", answer.text());
    let body: Value = serde_json::from_slice(&answer.body).expect("it is JSON");
    assert_eq!(body["cause"], cause, "{body:#}");
    assert!(evidence(&body, quote, source), "{body:#}");
}

fn evidence(told: &Value, quote: &str, source: &str) -> bool {
    let all = told["evidence"].as_array().map_or(&[][..], Vec::as_slice);
    all.iter().any(|it| {
        it["quote"].as_str().is_some_and(|it| it.contains(quote))
            && it["source"].as_str().is_some_and(|it| it.starts_with(source))
    })
}

/// The line of the access log that amends this answer.
async fn amendment(gateway: &Gateway, answer: &Answer) -> Value {
    let id = answer.field("x-request-id").expect("every answer has one").to_owned();
    let began = Instant::now();
    loop {
        if let Some(found) = gateway.records().into_iter().find(|it| it["amends"] == *id) {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "no amendment of {id}:\n{}", gateway.said());
        sleep(LOOK_EVERY).await;
    }
}

#[tokio::test]
async fn a_worker_that_is_killed_is_named_by_its_master() {
    let world = gunicorn("", &[], "").await;
    let answer = world.ask("/die").await;
    check(&answer, "worker_crashed", "was sent SIGKILL!", "gunicorn, process ");
    world.recovers().await;
}

#[tokio::test]
async fn strangers_get_the_cause_and_no_words_of_the_app() {
    let world = gunicorn("", &[], "").await;
    let mut client = world.gateway.client().await.unwrap();
    let request = b"GET /die HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
    let answer = client.exchange(request).await;
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["cause"], "worker_crashed", "{body:#}");
    assert!(!answer.text().contains("SIGKILL") && body.get("evidence").is_none(), "{body:#}");
}

#[tokio::test]
async fn an_app_that_is_killed_is_explained_and_started_again() {
    let config = "[child]\nbackoff = { first = \"1s\" }\n";
    let world = gunicorn_behind("queue = { gone = \"0s\" }\n", "", &[], config).await;
    let mut client = world.gateway.client().await.unwrap();
    client.send(&post("/wait")).await.unwrap();
    world.marked().await;
    let before = world.app();
    kill_process_group(before, Signal::KILL).unwrap();
    let answer = client.answer().await;
    check(&answer, "worker_crashed", "was killed by signal 9 (SIGKILL)", "goodgate");
    let answer = world.ask("/").await;
    check(&answer, "process_down", "was killed by signal 9 (SIGKILL)", "goodgate");
    world.recovers().await;
    assert_ne!(world.app(), before);
}

#[tokio::test]
async fn requests_wait_while_an_app_that_was_killed_is_started_again() {
    let world = gunicorn("", &[], "[child]\nbackoff = { first = \"1s\" }\n").await;
    let mut waiting = world.gateway.client().await.unwrap();
    // What the app had begun with is asked for again, of an app that answers this time.
    waiting.send(&get("/once")).await.unwrap();
    world.marked().await;
    let before = world.app();
    kill_process_group(before, Signal::KILL).unwrap();
    until("killed", &world.gateway, || world.gateway.said().contains("; starting it again")).await;
    let mut late = world.gateway.client().await.unwrap();
    // It had not been sent, so it may be whatever it is.
    late.send(&post("/")).await.unwrap();
    for client in [&mut waiting, &mut late] {
        let answer = client.answer().await;
        assert_eq!(answer.status, Some(200), "{}", answer.text());
    }
    assert_ne!(world.app(), before);
    let records = world.gateway.records_soon(2).await;
    let prevented = |method: &str| {
        let record = records.iter().find(|it| it["method"] == method).expect("both are there");
        record["prevented"].to_string()
    };
    let wait = r#"{"by":"wait","cause":"process_down"}"#;
    assert!(prevented("POST").contains(wait), "{records:#?}");
    let retry = r#"{"by":"retry","cause":"premature_close"}"#;
    assert!(prevented("GET").contains(retry), "{records:#?}");
}

#[tokio::test]
async fn an_app_that_cannot_be_imported_is_explained_by_what_it_lacks() {
    let world = gunicorn("import no_such_module", &[], "").await;
    until("explained", &world.gateway, || {
        world.gateway.said().contains("ended with exit code 3; starting it again")
    })
    .await;
    let began = Instant::now();
    // Between two starts it listens for a moment, and takes what it will not answer.
    loop {
        let answer = world.ask("/").await;
        if answer.text().contains("crash_at_start") {
            check(&answer, "crash_at_start", "No module named 'no_such_module'", "gunicorn");
            assert!(answer.text().contains("app.py:2"), "{}", answer.text());
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{}", answer.text());
        sleep(LOOK_EVERY).await;
    }
}

#[tokio::test]
async fn an_app_that_ends_again_and_again_is_started_ever_more_slowly() {
    let address = free();
    let config = "[child]\nbackoff = { first = \"50ms\", longest = \"200ms\" }\n";
    let gateway = started(address, config, &shell("echo unwell; exit 3")).await;
    let ended = "ended with exit code 3; starting it again in ";
    until("started five times", &gateway, || 5 <= gateway.said().matches(ended).count()).await;
    let said = gateway.said();
    let pauses: Vec<f64> = said
        .lines()
        .filter_map(|it| it.split_once(ended)?.1.strip_suffix(" s")?.parse().ok())
        .take(5)
        .collect();
    // With a fifth of chance, and one decimal.
    assert!(pauses[0] <= 0.1 && 0.1 <= pauses[3] && pauses[4] <= 0.2, "{pauses:?}");
    assert!(said.contains("sh: unwell"), "{said}");
    let answer = ask(&gateway, "/").await;
    check(&answer, "crash_at_start", "ended with exit code 3", "goodgate");
}

#[tokio::test]
async fn an_app_that_is_not_to_be_started_again_ends_the_gateway() {
    let address = free();
    for (restart, script, code) in
        [("never", "sleep 1; exit 3", 5), ("on_failure", "sleep 1", 0), ("never", "kill -9 $$", 5)]
    {
        let mut command = goodgate().unwrap();
        let scratch = Scratch::new("over").unwrap();
        let status = free();
        let listen = free();
        let config = format!(
            "child = {{ restart = \"{restart}\", start_timeout = \"200ms\" }}\n\
             listen.http = \"{listen}\"\nstatus.listen = \"{status}\"\n\
             [route.all]\nmatch = \"/*\"\nto = \"http://{address}\"\n"
        );
        let file = scratch.write("goodgate.toml", &config).unwrap();
        command.args(["run", "--config"]).arg(file).args(["--", "sh", "-c", script]);
        let output = tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{restart} {script}:\n{said}");
        assert!(said.contains("so the gateway ends too"), "{said}");
    }
}

#[tokio::test]
async fn a_worker_that_takes_too_long_amends_the_answer_that_it_gave() {
    let world = gunicorn("", &["-t", "1"], "").await;
    let answer = world.ask("/hang").await;
    let amendment = amendment(&world.gateway, &answer).await;
    assert_eq!(amendment["cause"], "worker_timeout_killed", "{amendment:#}");
    assert!(evidence(&amendment, "WORKER TIMEOUT (pid:", "gunicorn, process "), "{amendment:#}");
}

#[tokio::test]
async fn an_exception_amends_the_record_with_its_place() {
    let world = gunicorn("", &[], "").await;
    let answer = world.ask("/sum").await;
    assert_eq!(answer.status, Some(500));
    let amendment = amendment(&world.gateway, &answer).await;
    assert_eq!(amendment["cause"], "unhandled_exception", "{amendment:#}");
    assert!(evidence(&amendment, "ZeroDivisionError: division by zero", "gunicorn"));
    assert!(amendment.to_string().contains("app.py:25"), "{amendment:#}");
    let link = amendment["link"]["says"].as_str().unwrap();
    assert!(link.contains("after this request failed"), "{link}");
    // The record itself stays as it was.
    let id = answer.field("x-request-id").unwrap();
    let began = Instant::now();
    while !world.gateway.records().iter().any(|it| it["id"] == id) {
        assert!(began.elapsed() < SOON);
        sleep(LOOK_EVERY).await;
    }
    let records = world.gateway.records();
    let record = records.iter().find(|it| it["id"] == id).unwrap();
    assert_eq!(record["cause"], "upstream_own_5xx");
}

/// What comes too late for the answer stands in its report.
#[tokio::test]
async fn what_is_said_after_the_answer_is_added_to_its_report() {
    let address = free();
    let script = "\
import socket, sys, time
server = socket.create_server(('127.0.0.1', PORT))
while True:
    client, _ = server.accept()
    if b'/late' in client.recv(4096):
        client.close()
        time.sleep(0.5)
        print('[2026-11-20 15:15:57 +0000] [7] [ERROR] Worker (pid:9) was sent SIGSEGV!', flush=True)
    else:
        client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n')
        client.close()
";
    let scratch = Scratch::new("late").unwrap();
    let port = address.port().to_string();
    let file = scratch.write("late.py", &script.replace("PORT", &port)).unwrap();
    let app = ["python3".to_owned(), "-u".to_owned(), file.display().to_string()];
    let gateway = started(address, "[child]\nevidence_wait = \"50ms\"\n", &app).await;
    let mut client = gateway.client().await.unwrap();
    let answer = client.exchange(&post("/late")).await;
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(!answer.text().contains("SIGSEGV"), "{body:#}");
    let amendment = amendment(&gateway, &answer).await;
    assert_eq!(amendment["cause"], "worker_crashed", "{amendment:#}");
    let report = ask(&gateway, body["instance"].as_str().unwrap()).await;
    let report: Value = serde_json::from_slice(&report.body).unwrap();
    assert_eq!(report["cause"], body["cause"]);
    assert_eq!(report["amendments"][0]["cause"], "worker_crashed", "{report:#}");
    assert!(evidence(&report["amendments"][0], "was sent SIGSEGV!", "python3, process "));
}

/// Descriptors of the gateway that are pipes.
fn pipes_of(gateway: &Gateway) -> usize {
    let folder = format!("/proc/{}/fd", gateway.pid().expect("it runs"));
    let all = fs::read_dir(folder).expect("it is ours").flatten();
    let links = all.filter_map(|it| fs::read_link(it.path()).ok());
    links.filter(|it| it.to_string_lossy().starts_with("pipe:")).count()
}

#[tokio::test]
async fn who_left_the_app_and_outlives_it_is_not_heard_any_more() {
    let config = "[child]\nbackoff = { first = \"20ms\", longest = \"20ms\" }\n";
    // It ends when nobody reads it.
    let orphan = "setsid sh -c 'while sleep 0.1; do echo orphan; done' & sleep 0.1; exit 3";
    let gateway = started(free(), config, &shell(orphan)).await;
    let ended = |times| times <= gateway.said().matches("starting it again").count();
    until("ended once", &gateway, || ended(1)).await;
    let before = pipes_of(&gateway);
    until("ended often", &gateway, || ended(8)).await;
    assert!(pipes_of(&gateway) <= before + 4, "{before}, {}", pipes_of(&gateway));
}

#[tokio::test]
async fn who_listened_before_the_app_is_not_taken_for_it() {
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = format!(
        "[child]\nstart_timeout = \"300ms\"\n\
         [upstream.other]\ntargets = [\"http://{}\"]\n\
         [route.other]\nmatch = \"/other\"\nto = \"other\"\n",
        other.local_addr().unwrap()
    );
    // Takes connections, and answers none.
    let closing = tokio::spawn(async move { while other.accept().await.is_ok() {} });
    let gateway = started(free(), &config, &shell("sleep 60")).await;
    let said = gateway.said();
    assert!(said.contains("does not listen after `child.start_timeout`"), "{said}");
    let answer = ask(&gateway, "/").await;
    assert!(answer.text().contains("was started"), "{}", answer.text());
    let answer = ask(&gateway, "/other").await;
    assert_eq!(answer.status, Some(502), "{}", answer.text());
    assert!(!answer.text().contains("was started"), "{}", answer.text());
    closing.abort();
}

#[tokio::test]
async fn an_app_that_ignores_sigterm_is_killed_after_its_time() {
    let address = free();
    let config = "[child]\nstop_timeout = \"300ms\"\nstart_timeout = \"100ms\"\n";
    let script = "trap '' TERM; while :; do sleep 1; done";
    let mut gateway = started(address, config, &shell(script)).await;
    let app = app_of(&gateway);
    gateway.terminate();
    gateway.ended(PATIENCE).await.unwrap();
    assert!(gateway.said().contains("did not end within `child.stop_timeout`"));
    assert!(!lives(app));
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_app_is_told_to_end() {
    let world = gunicorn("", &[], "").await;
    let mut client = world.gateway.client().await.unwrap();
    client.send(&get("/slow")).await.unwrap();
    world.marked().await;
    world.gateway.terminate();
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.end), (Some(200), End::Whole), "{}", answer.text());
    drop(client);
    let app = world.app();
    let World { mut gateway, .. } = world;
    let status = gateway.ended(PATIENCE).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", gateway.said());
    assert!(gateway.said().contains("Handling signal: term"), "{}", gateway.said());
    assert!(!lives(app));
}

#[tokio::test]
async fn an_app_goes_with_a_gateway_that_is_killed() {
    let world = gunicorn("", &[], "").await;
    let app = world.app();
    let gateway = Pid::from_raw(world.gateway.pid().unwrap().cast_signed()).unwrap();
    kill_process(gateway, Signal::KILL).unwrap();
    until("gone", &world.gateway, || !lives(app)).await;
}

#[tokio::test]
async fn nobody_who_reads_its_output_holds_up_neither_app_nor_gateway() {
    let scratch = Scratch::new("shout").unwrap();
    scratch.write("app.py", &APP.replace("IMPORT", "")).unwrap();
    let address = free();
    let listen = free();
    let config = format!(
        "listen.http = \"{listen}\"\nstatus.listen = \"off\"\nlog.access = \"off\"\n\
         [route.all]\nmatch = \"/*\"\nto = \"http://{address}\"\n"
    );
    let file = scratch.write("goodgate.toml", &config).unwrap();
    let program = python::program("gunicorn").unwrap_or_else(|error| panic!("{error}"));
    let mut command = goodgate().unwrap();
    command.args(["run", "--config"]).arg(file).arg("--").arg(program);
    command.args(["--no-control-socket", "-b", &address.to_string(), "--chdir"]);
    command.arg(scratch.path()).arg("app:app");
    // A pipe that is never read.
    let process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    let mut client = loop {
        if let Ok(client) = Client::connect(listen).await {
            break client;
        }
        assert!(began.elapsed() < PATIENCE);
        sleep(LOOK_EVERY).await;
    };
    let answer = client.exchange(&get("/shout")).await;
    assert_eq!((answer.status, answer.end), (Some(200), End::Whole), "{}", answer.text());
    let status = fs::read_to_string(format!("/proc/{}/status", process.id().unwrap())).unwrap();
    let resident = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: u64 = resident.trim().trim_end_matches(" kB").trim().parse().unwrap();
    assert!(kilobytes < 200_000, "{resident}");
}

/// A pipe that takes nothing more.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (from, mut to) = std::io::pipe().expect("pipes are to be had");
    let flags = rustix::fs::fcntl_getfl(&to).expect("pipes are to be had");
    rustix::fs::fcntl_setfl(&to, flags | rustix::fs::OFlags::NONBLOCK)
        .expect("pipes are to be had");
    for size in [4096, 1] {
        while to.write(&vec![b'x'; size]).is_ok() {}
    }
    rustix::fs::fcntl_setfl(&to, flags).expect("pipes are to be had");
    (from, to)
}

#[tokio::test]
async fn messages_that_nobody_reads_keep_it_neither_from_beginning_nor_from_ending() {
    let scratch = Scratch::new("unread").unwrap();
    let listen = free();
    let config = format!(
        "child.start_timeout = \"100ms\"\nlisten.http = \"{listen}\"\nstatus.listen = \"off\"\n\
         log.access = \"off\"\n[route.all]\nmatch = \"/*\"\nto = \"http://{}\"\n",
        free()
    );
    let file = scratch.write("goodgate.toml", &config).unwrap();
    let mut command = goodgate().unwrap();
    command.args(["run", "--config"]).arg(file).args(["--", "sleep", "60"]);
    let (unread, full) = full_pipe();
    let mut process = command.stdout(Stdio::null()).stderr(full).spawn().unwrap();
    let began = Instant::now();
    while Client::connect(listen).await.is_err() {
        assert!(began.elapsed() < PATIENCE);
        sleep(LOOK_EVERY).await;
    }
    let id = process.id().unwrap().cast_signed();
    kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    let status = tokio::time::timeout(PATIENCE, process.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    // A failure that nobody reads has its exit code all the same.
    let (unread_too, full) = full_pipe();
    let mut command = goodgate().unwrap();
    command.args(["run", "http://127.0.0.1:9", "--", "no-such-program"]);
    let mut process = command.stdout(Stdio::null()).stderr(full).spawn().unwrap();
    let status = tokio::time::timeout(PATIENCE, process.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(4));
    drop((unread, unread_too));
}

#[tokio::test]
async fn a_command_that_cannot_be_started_says_what_to_do() {
    for (words, code, says) in [
        (&["--", "no-such-program"][..], 4, "it is in no folder of `PATH`"),
        (&["--", "./no-such-program"], 4, "there is no such file"),
        (&["--", "/etc/passwd"], 4, "it is no program that may be run"),
        (&["--", "/"], 4, "it is a folder"),
        (&["--"], 2, "there is no command after `--`"),
    ] {
        let mut command = goodgate().unwrap();
        command.args(["run", "http://127.0.0.1:9"]).args(words);
        let output = tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(says) && said.contains("hint"), "{words:?}: {said}");
    }
}

#[tokio::test]
async fn settings_of_an_app_that_nobody_starts_are_said_to_have_no_effect() {
    let config =
        "[child]\nrestart = \"never\"\n[route.all]\nmatch = \"/*\"\nanswer = { status = 200 }\n";
    let mut gateway = Gateway::start(config).await.unwrap_or_else(|error| panic!("{error}"));
    gateway.terminate();
    gateway.ended(PATIENCE).await.unwrap();
    assert!(gateway.said().contains("`[child]` has no effect"), "{}", gateway.said());
}

/// Its group, where one may be made: memory of 64 MiB, and the gateway in it.
fn small_group() -> Option<std::path::PathBuf> {
    for (root, limit) in
        [("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")]
    {
        let group = std::path::Path::new(root).join(format!("goodgate-lab-{}", std::process::id()));
        if fs::create_dir(&group).is_ok() {
            // It is there by itself in a group of the kernel.
            let there = fs::OpenOptions::new().write(true).open(group.join(limit));
            let limited = there.and_then(|mut it| it.write_all(b"134217728"));
            if limited.is_ok() {
                // Else what does not fit goes to disk.
                let swap = fs::OpenOptions::new().write(true).open(group.join("memory.swap.max"));
                let _ = swap.and_then(|mut it| it.write_all(b"0"));
                return Some(group);
            }
            let _ = fs::remove_dir(&group);
        }
    }
    None
}

#[tokio::test]
async fn memory_that_is_used_up_is_named_by_the_kernel() {
    let Some(group) = small_group() else {
        println!("SKIPPED: no cgroup with a limit of memory can be made here");
        return;
    };
    let scratch = Scratch::new("memory").unwrap();
    let app = APP.replace("IMPORT", "").replace(
        "        1 / 0",
        "        hoard = [b'%d' % it * 1_000_000 for it in range(1_000)]",
    );
    scratch.write("app.py", &app).unwrap();
    let address = free();
    let listen = free();
    let config = format!(
        "listen.http = \"{listen}\"\nstatus.listen = \"off\"\nlog.access = \"off\"\n\
         [route.all]\nmatch = \"/*\"\nto = \"http://{address}\"\n"
    );
    let file = scratch.write("goodgate.toml", &config).unwrap();
    let gunicorn = python::program("gunicorn").unwrap_or_else(|error| panic!("{error}"));
    let inside = goodgate().unwrap();
    let script = format!(
        "echo $$ > {}/cgroup.procs && exec {} run --config {} -- {} --no-control-socket -b {address} \
         --chdir {} app:app",
        group.display(),
        inside.as_std().get_program().display(),
        file.display(),
        gunicorn.display(),
        scratch.path().display()
    );
    let mut command = tokio::process::Command::new("sh");
    let output = fs::File::create(scratch.path().join("output.log")).unwrap();
    command.args(["-c", &script]).stdout(Stdio::null()).stderr(output).kill_on_drop(true);
    let mut process = command.spawn().unwrap();
    let began = Instant::now();
    let said = || fs::read_to_string(scratch.path().join("output.log")).unwrap_or_default();
    while !said().contains("ready in") {
        assert!(began.elapsed() < PATIENCE, "{}", said());
        sleep(LOOK_EVERY).await;
    }
    let answer = Client::connect(listen).await.unwrap().exchange(&get("/sum")).await;
    let id = process.id().unwrap().cast_signed();
    kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    process.wait().await.unwrap();
    let _ = fs::remove_dir(&group);
    check(&answer, "worker_oom_killed_cgroup", "whose memory was used up", "goodgate");
}

/// A gateway without a file: it has its status page at a port that only one of them can have.
struct Bare {
    process: tokio::process::Child,
    listen: SocketAddr,
    scratch: Scratch,
}

impl Bare {
    async fn start(scratch: Scratch, app: &[&str]) -> Bare {
        let listen = free();
        let mut command = goodgate().expect("it was built");
        let output = fs::File::create(scratch.path().join("output.log")).expect("it is ours");
        command.args(["run", "--listen", &listen.to_string(), "--"]).args(app);
        command.env_remove("GUNICORN_CMD_ARGS").current_dir(scratch.path());
        command.stdout(Stdio::null()).stderr(output);
        let process = command.spawn().expect("it starts");
        let mut bare = Bare { process, listen, scratch };
        bare.until("ready", |it| it.contains("ready in ")).await;
        bare
    }

    fn said(&self) -> String {
        fs::read_to_string(self.scratch.path().join("output.log")).unwrap_or_default()
    }

    fn app(&self) -> Pid {
        started_last(&self.said())
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&str) -> bool) {
        let began = Instant::now();
        while !holds(&self.said()) {
            let lives = self.process.try_wait().is_ok_and(|it| it.is_none());
            assert!(lives && began.elapsed() < PATIENCE, "not {what}:\n{}", self.said());
            sleep(LOOK_EVERY).await;
        }
    }

    async fn ask(&self) -> Answer {
        let mut client = Client::connect(self.listen).await.expect("it listens");
        client.exchange(&get("/")).await
    }

    async fn recovers(&self) {
        let began = Instant::now();
        while self.ask().await.status != Some(200) {
            assert!(began.elapsed() < PATIENCE, "{}", self.said());
            sleep(LOOK_EVERY).await;
        }
    }

    async fn stop(mut self) {
        let id = self.process.id().expect("it runs").cast_signed();
        let pid = Pid::from_raw(id).expect("it runs");
        kill_process(pid, Signal::TERM).expect("it runs");
        let status = self.process.wait().await.expect("it is ours");
        assert_eq!(status.code(), Some(0), "{}", self.said());
    }
}

#[tokio::test]
async fn an_app_is_handed_a_port_and_found_where_it_listens_instead() {
    let status = std::net::TcpListener::bind("127.0.0.1:9901");
    if status.is_err() {
        println!("SKIPPED: port 9901 is taken, at which a gateway without a file has its status");
        return;
    }
    drop(status);
    handed_over_to_uvicorn().await;
    found_elsewhere().await;
}

async fn handed_over_to_uvicorn() {
    let scratch = Scratch::new("uvicorn").expect("a folder");
    let app = "\
async def app(scope, receive, send):
    if scope['type'] != 'http':
        return
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'ok'})
";
    scratch.write("app.py", app).expect("it is ours");
    let uvicorn = python::program("uvicorn").unwrap_or_else(|error| panic!("{error}"));
    let mut bare = Bare::start(scratch, &[&uvicorn.display().to_string(), "app:app"]).await;
    let answer = bare.ask().await;
    assert_eq!((answer.status, answer.text().as_str()), (Some(200), "ok"), "{}", bare.said());
    let pid = bare.app();
    kill_process(pid, Signal::KILL).expect("it runs");
    let killed = "was killed by signal 9 (SIGKILL); starting it again";
    bare.until("killed", |it| it.contains(killed)).await;
    // It waits until there is an app again.
    let answer = bare.ask().await;
    assert_eq!((answer.status, answer.text().as_str()), (Some(200), "ok"), "{}", bare.said());
    // What cannot start again is not waited for in vain, and says why.
    let pid = bare.app();
    bare.scratch.write("app.py", "raise LookupError('gone')\n").expect("it is ours");
    kill_process(pid, Signal::KILL).expect("it runs");
    bare.until("killed again", |it| it.matches(killed).count() == 2).await;
    let answer = bare.ask().await;
    check(&answer, "crash_at_start", "LookupError: gone", "uvicorn");
    bare.scratch.write("app.py", app).expect("it is ours");
    bare.recovers().await;
    bare.stop().await;
}

/// The first start fails; the second listens at a port of its own.
async fn found_elsewhere() {
    let scratch = Scratch::new("elsewhere").expect("a folder");
    let own = free();
    let app = format!(
        "\
import http.server, os, sys
if not os.path.exists('begun'):
    open('begun', 'w').close()
    sys.exit(3)
http.server.HTTPServer(('127.0.0.1', {}), http.server.SimpleHTTPRequestHandler).serve_forever()
",
        own.port()
    );
    scratch.write("app.py", &app).expect("it is ours");
    let mut bare = Bare::start(scratch, &["python3", "app.py"]).await;
    bare.until("found", |it| it.contains(&format!("requests go to http://{own}"))).await;
    assert!(bare.said().contains("ended before it listened"), "{}", bare.said());
    bare.recovers().await;
    bare.stop().await;
}
