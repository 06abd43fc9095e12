//! Every command of the binary as a user meets it: exit code, result and messages.

mod mcp;
mod why;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What came of one call.
struct Call {
    exit: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Call {
    /// All three, for a snapshot.
    fn seen(&self) -> String {
        let Call { exit, stdout, stderr } = self;
        let exit = exit.map_or("a signal".to_owned(), |it| it.to_string());
        format!("exit: {exit}\n--- stdout\n{stdout}--- stderr\n{stderr}")
    }
}

/// Calls the binary in a folder, with nothing in its environment.
fn call_in(folder: &Path, arguments: &str) -> Call {
    let output = Command::new(env!("CARGO_BIN_EXE_goodgate"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let text = |it| String::from_utf8(it).expect("it prints UTF-8");
    Call { exit: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn call(arguments: &str) -> Call {
    call_in(&folder("empty", &[]), arguments)
}

/// A fresh folder with these files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder for the test");
    for (file, text) in files {
        fs::write(folder.join(file), text).expect("a file for the test");
    }
    folder
}

fn json(call: &Call) -> serde_json::Value {
    assert_eq!(call.stderr, "");
    serde_json::from_str(&call.stdout).expect("it prints JSON")
}

const GOOD: &str = "\
[route.app]
match = \"/*\"
to = [\"http://127.0.0.1:8000\"]
";

const BAD: &str = "\
[route.app]
match = \"/*\"
to = [\"http://127.0.0.1:8000\"]
time_out = \"30s\"
";

#[test]
fn without_a_command_it_shows_what_it_can_do() {
    insta::assert_snapshot!("no_command", call("").seen());
}

#[test]
fn the_doctor_says_what_will_fail_and_shows_the_lines() {
    let files = [("gunicorn.conf.py", "workers = 1\ntimeout = 0\n"), ("notes.txt", "buy milk\n")];
    let call = call_in(&folder("doctor", &files), "doctor gunicorn.conf.py notes.txt");
    insta::assert_snapshot!("doctor_hints", call.seen());
}

#[test]
fn the_doctor_reads_folders_and_prints_for_programs() {
    let folder = folder("doctor_folder", &[("gunicorn.conf.py", "workers = 1\ntimeout = 30\n")]);
    let found = json(&call_in(&folder, "doctor . --format json"));
    assert_eq!(found["advice"][0]["cause"], "worker_pool_exhausted");
    assert_eq!(found["advice"][0]["exhibits"][0]["line"], 1);
    assert_eq!(found["read"][0]["format"], "gunicorn settings");
    let call = call_in(&folder, "doctor . --format md --strict");
    assert_eq!(call.exit, Some(0), "hints are no failures");
    assert!(call.stdout.starts_with("## hint: `worker_pool_exhausted`\n"), "{}", call.stdout);
}

#[test]
fn the_doctor_says_what_it_cannot_read() {
    let folder = folder("doctor_other", &[("notes.txt", "buy milk\n")]);
    let call = call_in(&folder, "doctor notes.txt");
    assert_eq!(call.exit, Some(4));
    assert!(call.stdout.contains("notes.txt: no configuration that is known"), "{}", call.stdout);
    assert!(call.stderr.contains("known are: "), "{}", call.stderr);
    assert_eq!(call_in(&folder, "doctor no/where").exit, Some(4));
    assert_eq!(call_in(&folder, "doctor").exit, Some(2));
}

#[test]
fn help_names_the_exit_codes() {
    let help = call("--help").stdout;
    assert!(help.contains("Exit codes:"), "{help}");
}

#[test]
fn help_of_every_command_fits_a_terminal() {
    let commands =
        ["", "why", "demo", "run", "check", "schema", "causes", "explain", "formats", "mcp"];
    let running = ["status", "reload", "drain", "stop", "completions"];
    for command in commands.into_iter().chain(running) {
        for flag in ["-h", "--help"] {
            let help = call(&format!("{command} {flag}"));
            assert_eq!(help.exit, Some(0));
            let long = help.stdout.lines().find(|it| it.chars().count() > 100);
            assert_eq!(long, None, "{command} {flag}");
        }
    }
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    insta::assert_snapshot!("unknown_command", call("chek").seen());
    for later in ["incidents", "tail"] {
        assert_eq!(call(later).exit, Some(2), "{later}");
        assert!(!call("--help").stdout.contains(&format!("\n  {later} ")), "{later}");
    }
}

#[test]
fn the_version_is_a_result() {
    let version = call("--version");
    assert_eq!(version.exit, Some(0));
    assert!(version.stdout.starts_with("goodgate "), "{}", version.stdout);
}

#[test]
fn run_wants_something_to_serve() {
    insta::assert_snapshot!("run_nothing", call("run").seen());
    insta::assert_snapshot!("run_help", call("run --help").seen());
}

#[test]
fn run_takes_a_file_or_urls() {
    let both = call("run http://localhost:8000 --config goodgate.toml");
    assert_eq!(both.exit, Some(2));
    assert!(both.stderr.contains("cannot be used with"), "{}", both.stderr);
    assert_eq!(call("run http://localhost:8000 --workers 0").exit, Some(2));
    assert_eq!(call("run http://localhost:8000 --watch").exit, Some(2));
    assert_eq!(call("run --watch --no-watch").exit, Some(2));
    assert_eq!(call("run http://localhost:8000 --takeover").exit, Some(2));
    assert_eq!(call("run http://localhost:8000 --listen 8080").exit, Some(2));
}

#[test]
fn run_refuses_a_file_that_it_cannot_read_or_use() {
    insta::assert_snapshot!("run_unreadable", call("run --config nowhere.toml").seen());
    let folder = folder("run_invalid", &[("goodgate.toml", BAD)]);
    let invalid = call_in(&folder, "run");
    assert_eq!(invalid.exit, Some(3));
    assert!(invalid.stderr.contains("goodgate.toml:4:1"), "{}", invalid.stderr);
}

#[test]
fn commands_for_a_running_gateway_say_which_one_is_meant() {
    insta::assert_snapshot!("status_help", call("status --help").seen());
    insta::assert_snapshot!("stop_help", call("stop -h").seen());
    insta::assert_snapshot!("status_nobody_named", call("status").seen());
    let folder = folder("nobody_runs", &[("goodgate.toml", BAD)]);
    insta::assert_snapshot!("status_nobody_runs", call_in(&folder, "status").seen());
    for command in ["status", "reload", "drain", "drain --undo", "stop", "stop --now"] {
        assert_eq!(call(command).exit, Some(2), "{command}");
        // The file may be wrong by now: whoever runs by it is found all the same.
        let nobody = call_in(&folder, command);
        assert_eq!((nobody.exit, nobody.stdout.as_str()), (Some(4), ""), "{command}");
        assert_eq!(call(&format!("{command} --config x --data y")).exit, Some(2), "{command}");
    }
}

#[test]
fn run_refuses_a_url_that_is_none() {
    insta::assert_snapshot!("run_bad_url", call("run localhost:no").seen());
}

#[test]
fn check_counts_what_a_good_file_says() {
    let folder = folder("check_good", &[("goodgate.toml", GOOD)]);
    insta::assert_snapshot!("check_good", call_in(&folder, "check").seen());
    let good = json(&call_in(&folder, "check --format json"));
    assert_eq!(good["valid"], true);
    assert_eq!(good["complaints"], serde_json::json!([]));
}

#[test]
fn check_shows_what_is_wrong_and_where() {
    let folder = folder("check_bad", &[("gate.toml", BAD)]);
    insta::assert_snapshot!("check_bad", call_in(&folder, "check gate.toml").seen());
    let bad = call_in(&folder, "check gate.toml --format json");
    assert_eq!(bad.exit, Some(3));
    let bad = json(&bad);
    assert_eq!((&bad["file"], &bad["valid"]), (&"gate.toml".into(), &false.into()));
    assert_eq!(
        (&bad["complaints"][0]["line"], &bad["complaints"][0]["column"]),
        (&4.into(), &1.into())
    );
}

#[test]
fn check_warns_and_strict_refuses() {
    let text = format!("{GOOD}\n[upstream.unused]\ntargets = [\"http://127.0.0.1:8001\"]\n");
    let folder = folder("check_odd", &[("goodgate.toml", &text)]);
    insta::assert_snapshot!("check_warning", call_in(&folder, "check").seen());
    let strict = call_in(&folder, "check --strict");
    assert_eq!((strict.exit, strict.stdout.as_str()), (Some(3), ""));
    let strict = call_in(&folder, "check --strict --format json");
    assert_eq!(json(&strict)["valid"], false);
}

#[test]
fn check_without_a_file_says_how_to_name_one() {
    insta::assert_snapshot!("check_unreadable", call("check").seen());
}

#[test]
fn schema_is_json_schema() {
    let schema = json(&call("schema"));
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for key in ["listen", "upstream", "route"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
}

#[test]
fn causes_are_listed_under_their_family() {
    let list = call("causes");
    assert_eq!((list.exit, list.stderr.as_str()), (Some(0), ""));
    let (_, family) = list.stdout.split_once("F1  Life of the upstream process\n").expect("F1");
    let family = family.split("\n\n").next().unwrap_or_default();
    let line = family.lines().find(|it| it.starts_with("  process_down ")).expect("a cause");
    assert!(line.ends_with("  Nothing listens on the upstream's address"), "{line}");
}

#[test]
fn causes_as_json_hold_each_once() {
    let list = json(&call("causes --format json"));
    let mut ids: Vec<&str> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["id"].as_str().expect("an id"))
        .collect();
    let down = &list[ids.iter().position(|it| *it == "process_down").expect("it is listed")];
    insta::assert_snapshot!("cause_as_json", serde_json::to_string_pretty(down).expect("JSON"));
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn a_pipe_gets_the_page_of_a_cause_in_markdown() {
    let page = call("explain process_down");
    assert_eq!((page.exit, page.stderr.as_str()), (Some(0), ""));
    assert_eq!(page.stdout, diagnosis::manual::page("process_down").expect("a page"));
    let json = json(&call("explain process_down --format json"));
    assert_eq!(json["id"], "process_down");
    assert!(json["page"].as_str().expect("a page").contains("## Fix\n"));
}

#[test]
fn a_mistyped_cause_gets_the_nearest_name() {
    insta::assert_snapshot!("explain_mistyped", call("explain proces_down").seen());
    insta::assert_snapshot!("explain_unknown", call("explain qqqqqqqqqqqqqqqqqqqqq").seen());
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = call(&format!("completions {shell}"));
        assert_eq!((script.exit, script.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(script.stdout.contains("explain"), "{shell}");
    }
    insta::assert_snapshot!("completions_unknown", call("completions dos").seen());
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_goodgate"))
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    // Only Linux has a device that is always full.
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else { return };
    let output = Command::new(env!("CARGO_BIN_EXE_goodgate"))
        .arg("causes")
        .stdout(full)
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(5));
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(words, "error: cannot print the result: no space left on device\n");
}

/// What differs from run to run: ports, times, ids. A number of four digits and more is one of
/// these, except in a date, and so is what stands before `ms` and `days`.
fn redacted(text: &str) -> String {
    let mut seen = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|it: char| it.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        let end = number
            .find(|it: char| !it.is_ascii_digit() && it != '.')
            .map_or(number.len(), |it| number[..it].trim_end_matches('.').len());
        let (number, after) = number.split_at(end);
        let varies = after.starts_with(" ms") || after.starts_with(" days");
        let long = 4 <= number.len() && !number.contains('.') && !after.starts_with('-');
        seen += before;
        seen += if varies || long { "N" } else { number };
        rest = after;
    }
    seen + rest
}

#[test]
fn the_tour_explains_every_target() {
    let tour = call("demo --once --listen 127.0.0.1:0");
    let Call { exit, stdout, stderr } = &tour;
    assert_eq!(*exit, Some(0), "{stdout}{stderr}");
    assert!(stderr.starts_with("ready in ") && stderr.lines().count() == 1, "{stderr}");
    assert_eq!(stdout.lines().find(|it| 100 < it.chars().count()), None);
    insta::assert_snapshot!("demo_tour", redacted(stdout));
}

#[test]
fn the_demonstration_serves_its_page_until_it_is_told_to_stop() {
    let child = Command::new(env!("CARGO_BIN_EXE_goodgate"))
        .args(["demo", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut running = Running(child);
    let messages = BufReader::new(running.0.stderr.take().expect("it is a pipe"));
    let mut lines = messages.lines().map(|it| it.expect("it prints UTF-8"));
    let open = lines.find(|it| it.starts_with("open http://")).expect("it says what to open");
    let place = open.trim_start_matches("open http://").split('/').next().unwrap_or_default();
    let page = fetch(place, "/");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("text/html") && page.ends_with("</html>\n"), "{page}");
    let error = fetch(place, "/refuses");
    assert!(error.starts_with("HTTP/1.1 502 ") && error.contains("process_down"), "{error}");
    let pid = rustix::process::Pid::from_child(&running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it can be told");
    assert_eq!(running.0.wait().expect("it ends").code(), Some(0));
}

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        drop(self.0.kill());
    }
}

/// A whole answer, as a browser asks for it.
fn fetch(place: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(place).expect("it listens");
    let ask = format!(
        "GET {path} HTTP/1.1\r\nHost: {place}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn a_request_is_told_its_route_and_why() {
    let file = "\
[upstream.app]
targets = [\"http://127.0.0.1:8000\"]
[upstream.next]
targets = [\"http://127.0.0.1:8001\"]
[route.all]
match = \"/*\"
to = \"app\"
[route.user]
match = { host = \"*.example.com\", path = \"/users/{id}\", methods = [\"GET\"] }
to = [{ upstream = \"app\", weight = 9 }, { upstream = \"next\" }]
rewrite = \"/u/{id}\"
[route.beta]
match = { path = \"/users/*\", headers = { X-Beta = \"~[0-9]+\" } }
answer = {}
[route.admin]
match = { host = \"admin.example.com\" }
to = \"app\"
";
    let folder = folder("route", &[("goodgate.toml", file)]);
    let seen = |arguments: &str| call_in(&folder, arguments).seen();
    insta::assert_snapshot!("route_taken", seen("route GET https://api.example.com/users/7?x=1"));
    insta::assert_snapshot!("route_header", seen("route POST /users/%37 -H X-Beta:1"));
    insta::assert_snapshot!("route_bad_words", seen("route get users"));
    let json = json(&call_in(&folder, "route GET https://api.example.com/users/7 --format json"));
    assert_eq!(json["route"], "user");
    assert_eq!(json["sends"]["path"], "/u/7");
    assert_eq!(json["tried"].as_array().map(Vec::len), Some(4));
    let none = call_in(&folder, "route GET /../x");
    assert_eq!(none.exit, Some(1), "{}", none.seen());
    let missing = call_in(&folder, "route GET /x --config no.toml");
    assert_eq!(missing.exit, Some(4), "{}", missing.seen());
}
