//! `goodgate why` and `goodgate formats` as a user meets them.

use super::{Call, call, call_in, folder, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const REFUSED: &str = "2026/11/20 10:30:15 [error] 29#29: *5 connect() failed (111: Connection \
                       refused) while connecting to upstream, client: 192.0.2.7, server: \
                       example.com, request: \"GET /orders HTTP/1.1\", upstream: \
                       \"http://127.0.0.1:8000/orders\", host: \"example.com\"\n";

/// Calls `why` with something piped in, and arguments that may have spaces.
fn why(folder: &Path, arguments: &[&str], piped: &[u8]) -> Call {
    let mut child = Command::new(env!("CARGO_BIN_EXE_goodgate"))
        .arg("why")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    // Whoever does not read its input is not asked to.
    drop(stdin.write_all(piped));
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |it| String::from_utf8(it).expect("it prints UTF-8");
    Call { exit: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn empty() -> std::path::PathBuf {
    folder("empty", &[])
}

#[test]
fn why_says_what_it_takes() {
    insta::assert_snapshot!("why_help", call("why --help").seen());
}

#[test]
fn what_is_not_in_this_version_is_said() {
    for (name, arguments) in [
        ("why_url", "why https://example.com/orders"),
        ("why_request_id", "why 0192f0c1-2b3c-7d4e-8f50-61728394a5b6"),
        ("why_here", "why --here error.log"),
        ("why_unknown", "why nginx"),
        ("why_bad_time", "why --since soon error.log"),
    ] {
        let call = call(arguments);
        assert_eq!(call.exit, Some(2), "{arguments}");
        insta::assert_snapshot!(name, call.seen());
    }
}

#[test]
fn what_cannot_be_read_is_named_with_a_hint() {
    let folder = folder("why_unreadable", &[("empty.log", ""), ("binary", "\0\x01\0\0\x02\0")]);
    fs::create_dir_all(folder.join("nothing")).expect("a folder for the test");
    for (name, arguments) in [
        ("why_missing", "why nowhere.log"),
        ("why_device", "why /dev/null"),
        ("why_empty", "why empty.log"),
        ("why_binary", "why binary"),
        ("why_no_text", "why nothing"),
        ("why_all_unreadable", "why nowhere.log empty.log"),
        ("why_nothing_piped", "why"),
    ] {
        let call = call_in(&folder, arguments);
        assert_eq!(call.exit, Some(4), "{arguments}");
        insta::assert_snapshot!(name, call.seen());
    }
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let folder = folder("why_forbidden", &[("secret.log", REFUSED)]);
    let file = folder.join("secret.log");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o0)).expect("it can be forbidden");
    // Nothing is forbidden to root.
    if fs::read(&file).is_err() {
        insta::assert_snapshot!("why_forbidden", call_in(&folder, "why secret.log").seen());
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it can be allowed");
}

#[test]
fn one_unreadable_input_among_others_does_not_stop_it() {
    let folder = folder("why_partly", &[("error.log", REFUSED)]);
    let call = call_in(&folder, "why nowhere.log error.log --format json");
    assert_ne!(call.exit, Some(4));
    assert!(call.stderr.contains("cannot read `nowhere.log`"), "{}", call.stderr);
    let report: serde_json::Value = serde_json::from_str(&call.stdout).expect("it prints JSON");
    let missed = report["not_looked_at"].as_array().expect("a list");
    assert!(missed.iter().any(|it| it["source"] == "nowhere.log"), "{missed:?}");
}

#[test]
fn a_log_is_read_however_it_is_given() {
    let folder = folder("why_given", &[("error.log", REFUSED)]);
    let calls = [
        why(&folder, &["error.log", "--format", "json"], b""),
        why(&folder, &["--format", "json"], REFUSED.as_bytes()),
        why(&folder, &["--format", "json", "-"], REFUSED.as_bytes()),
        why(&folder, &["--format", "json", REFUSED], b""),
        why(&folder, &["--format", "json", "--since", "1h"], REFUSED.as_bytes()),
        why(&folder, &["--format", "json", "--no-probe", "--share", "."], b""),
    ];
    for call in calls {
        let report = json(&call);
        assert_eq!(report["schema"], "goodgate.report/1");
        assert!(matches!(call.exit, Some(0 | 1)), "{:?}", call.exit);
    }
    for format in ["text", "md"] {
        let call = why(&folder, &["error.log", "--format", format], b"");
        assert_eq!(call.stderr, "");
        assert!(!call.stdout.is_empty());
    }
}

#[test]
fn lines_of_a_healthy_server_are_no_failure() {
    let healthy =
        "192.0.2.7 - - [20/Nov/2026:10:30:15 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"x\"\n";
    let call = why(&empty(), &["--format", "json"], healthy.repeat(50).as_bytes());
    assert_eq!((call.exit, &json(&call)["verdict"]), (Some(0), &"no_failure".into()));
}

#[test]
fn formats_are_listed_with_their_sources() {
    let list = call("formats");
    assert_eq!((list.exit, list.stderr.as_str()), (Some(0), ""));
    for it in
        ["Logs\n", "  nginx error log ", "Configurations\n", "Around lines\n  Docker json-file"]
    {
        assert!(list.stdout.contains(it), "{it}: {}", list.stdout);
    }
    let list = json(&call("formats --format json"));
    let logs = list["logs"].as_array().expect("a list");
    let nginx = logs.iter().find(|it| it["name"] == "nginx error log").expect("it is listed");
    assert_eq!(nginx["product"], "nginx");
    assert!(nginx["source"].as_str().is_some_and(|it| !it.is_empty()));
    assert!(list["layers"].as_array().is_some_and(|it| it.len() >= 8));
}
