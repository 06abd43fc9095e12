//! `goodgate mcp` as an assistant meets it: a session of the protocol over pipes.

use super::{Running, folder};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

/// An assistant and its server.
struct Session {
    running: Running,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    asked: u64,
}

impl Session {
    /// Starts the server and shakes hands.
    fn begin() -> (Session, Value) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_goodgate"))
            .arg("mcp")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let requests = child.stdin.take().expect("it is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        let mut session = Session { running: Running(child), requests, answers, asked: 0 };
        let hello = session.ask(
            "initialize",
            &json!({
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": { "name": "test", "version": "0" },
            }),
        );
        session.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        (session, hello)
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.requests, "{message}").expect("it reads");
    }

    /// The answer, a result or an error.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let line = self.answers.next().expect("it answers").expect("it prints UTF-8");
            let answer: Value = serde_json::from_str(&line).expect("it speaks JSON");
            if answer["id"] == id {
                return answer;
            }
        }
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        self.ask("tools/call", &params)["result"].take()
    }

    /// It ends when the assistant goes.
    fn end(mut self) {
        drop(self.requests);
        assert_eq!(self.running.0.wait().expect("it ends").code(), Some(0));
    }
}

#[test]
fn an_assistant_learns_which_tools_there_are() {
    let (mut session, hello) = Session::begin();
    assert_eq!(hello["result"]["serverInfo"]["name"], "goodgate");
    assert_eq!(hello["result"]["protocolVersion"], "2025-06-18");
    let list = session.ask("tools/list", &json!({}));
    let tools = list["result"]["tools"].as_array().expect("a list");
    let mut names: Vec<&str> = tools.iter().filter_map(|it| it["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["doctor", "explain", "why"]);
    for tool in tools {
        assert_eq!(tool["annotations"]["readOnlyHint"], true);
        assert_eq!(tool["inputSchema"]["type"], "object");
    }
    session.end();
}

#[test]
fn an_assistant_gets_the_report_as_data_and_as_text() {
    let line = "2026/11/20 10:30:15 [error] 29#29: *5 connect() failed (111: Connection refused) \
                while connecting to upstream, client: 192.0.2.7, server: example.com, request: \
                \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:8000/\", host: \"example.com\"\n";
    let folder = folder("mcp", &[("error.log", line)]);
    let (mut session, _) = Session::begin();
    for arguments in [json!({ "texts": [line] }), json!({ "paths": [folder.join("error.log")] })] {
        let result = session.call("why", &arguments);
        let report = &result["structuredContent"];
        assert_eq!(report["schema"], "goodgate.report/1", "{result}");
        assert_eq!(result["isError"].as_bool(), Some(false));
        let text = result["content"][0]["text"].as_str().expect("text");
        assert!(text.contains(report["cause"].as_str().expect("a cause")), "{text}");
    }
    let page = session.call("explain", &json!({ "cause": "process_down" }));
    let page = page["content"][0]["text"].as_str().expect("text");
    assert_eq!(page, diagnosis::manual::page("process_down").expect("a page"));
    session.end();
}

#[test]
fn an_assistant_is_told_what_it_did_wrong_and_can_go_on() {
    let (mut session, _) = Session::begin();
    let mut wrong = |tool: &str, arguments: Value, words: &str| {
        let result = session.call(tool, &arguments);
        assert_eq!(result["isError"], true, "{result}");
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        assert!(text.contains(words), "{text}");
    };
    wrong("why", json!({}), "give `paths` or `texts`");
    wrong("why", json!({ "paths": ["/nowhere/no.log"] }), "there is no such file");
    wrong("why", json!({ "texts": ["x"], "since": "soon" }), "write how long ago");
    wrong("why", json!({ "texts": vec!["x"; 51] }), "at most 50");
    wrong("why", json!({ "texts": ["x".repeat(9 << 20)] }), "give the file");
    wrong("explain", json!({ "cause": "proces_down" }), "`process_down`");
    session.end();
}
