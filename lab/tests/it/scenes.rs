//! Every scene through a real goodgate: what the client sees, what the record says, and that the
//! two agree.

use lab::client::{Answer, End};
use lab::gateway::Gateway;
use lab::{Ask, Expect, SCENES, Scene, table};
use serde_json::Value;
use std::fmt::Write;
use std::io;

/// Its one request is two exchanges here, so it has a test of its own.
const LOOP: &str = "proxy_loop";
/// Scenes mostly wait; more at once would make them wait for each other.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scene_is_explained() {
    let mut wrong = String::new();
    let scenes: Vec<_> = SCENES.iter().filter(|it| it.id != LOOP).collect();
    for scenes in scenes.chunks(AT_ONCE) {
        let played: Vec<_> = scenes.iter().map(|it| (it.id, tokio::spawn(play(it)))).collect();
        for (id, played) in played {
            let complaints = played.await.unwrap().unwrap_or_else(|it| vec![it.to_string()]);
            for it in complaints {
                writeln!(wrong, "{id:<28} {it}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[tokio::test]
async fn a_loop_is_found_the_second_time_round() {
    let scene = lab::scene(LOOP).expect("a scene of this name");
    let gateway = Gateway::before(&scene.start().unwrap()).await.unwrap();
    let answers = table::ask(scene.expects, gateway.listen).await.unwrap();
    let answer = answers.last().expect("an answer");
    assert_eq!(answer.status, Some(502));
    assert_eq!(table::proxy_status(answer, "error"), Some("proxy_loop_detected"));
    assert_eq!(table::proxy_status(answer, "cause"), Some(LOOP));
    gateway.records_soon(2).await;
    let records = gateway.stopped().await.unwrap();
    let causes: Vec<_> = records.iter().map(|it| it["cause"].as_str()).collect();
    // The first time round it looks like an upstream that answers 502.
    assert_eq!(causes, [Some(LOOP), Some("upstream_own_5xx")]);
}

#[test]
fn every_scene_is_about_a_cause_of_the_catalogue() {
    let expects = SCENES.iter().flat_map(|it| it.expects);
    let causes = expects.flat_map(|it| it.cause.into_iter().chain(it.prevented));
    let unknown: Vec<&str> = causes.filter(|it| diagnosis::entry(it).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Plays one scene; what was not as expected.
async fn play(scene: &'static Scene) -> io::Result<Vec<String>> {
    let playing = scene.start()?;
    let gateway = Gateway::before(&playing).await?;
    let answers = table::ask(scene.expects, gateway.listen).await?;
    // A record is written when its exchange is over, which may be a moment after the last byte.
    gateway.records_soon(scene.expects.len()).await;
    let records = gateway.stopped().await?;

    let mut wrong = Vec::new();
    same(&mut wrong, "records", scene.expects.len(), records.len());
    for (at, expect) in scene.expects.iter().enumerate() {
        let mut complaints = Vec::new();
        check_answer(&mut complaints, expect, &answers[at]);
        if let Some(record) = records.get(at) {
            check_record(&mut complaints, expect, &answers[at], record);
        }
        wrong.extend(complaints.iter().map(|it| format!("request {}: {it}", at + 1)));
    }
    Ok(wrong)
}

fn same<T: PartialEq + std::fmt::Debug>(wrong: &mut Vec<String>, what: &str, expected: T, is: T) {
    if expected != is {
        wrong.push(format!("{what}: {is:?} instead of {expected:?}"));
    }
}

fn check_answer(wrong: &mut Vec<String>, expect: &Expect, answer: &Answer) {
    same(wrong, "status", Some(expect.status), answer.status);
    same(wrong, "cut", expect.cut, answer.cut());
    if expect.error.is_some() {
        check_explanation(wrong, expect, answer);
    } else if !expect.cut {
        same(wrong, "type of error", None, table::proxy_status(answer, "error"));
    }
    // A silent client would wait for ever; cutting must be visible.
    if expect.cut {
        same(wrong, "hangs", false, answer.end == End::Silent);
    }
}

/// An answer that the gateway made.
fn check_explanation(wrong: &mut Vec<String>, expect: &Expect, answer: &Answer) {
    same(wrong, "cause in Proxy-Status", expect.cause, table::proxy_status(answer, "cause"));
    same(wrong, "error in Proxy-Status", expect.error, table::proxy_status(answer, "error"));
    if expect.ask == Ask::Call {
        return check_call(wrong, answer);
    }
    same(wrong, "type", Some("application/problem+json"), answer.field("content-type"));
    let problem: Value = match serde_json::from_slice(&answer.body) {
        Ok(problem) => problem,
        Err(error) => return wrong.push(format!("body is no JSON ({error}): {}", answer.text())),
    };
    same(wrong, "status in the body", Some(u64::from(expect.status)), problem["status"].as_u64());
    same(wrong, "cause in the body", expect.cause, problem["cause"].as_str());
    same(wrong, "id in the body", answer.field("x-request-id"), problem["request_id"].as_str());
    for text in ["type", "title", "detail", "wire", "side"] {
        same(wrong, text, true, problem[text].as_str().is_some_and(|it| !it.is_empty()));
    }
    same(wrong, "retryable", true, problem["retryable"].is_boolean());
    // The client is on this host, so it is told why and what to do.
    for list in ["/evidence", "/fix/now"] {
        let entries = problem.pointer(list).and_then(Value::as_array);
        same(wrong, list, true, entries.is_some_and(|it| !it.is_empty()));
    }
}

/// What a gRPC call is told instead of a body.
fn check_call(wrong: &mut Vec<String>, answer: &Answer) {
    same(wrong, "type", Some("application/grpc"), answer.field("content-type"));
    same(wrong, "body", true, answer.body.is_empty());
    let code = answer.field("grpc-status").and_then(|it| it.parse::<u32>().ok());
    same(wrong, "status of the call", true, code.is_some_and(|it| (1..=16).contains(&it)));
    for field in ["grpc-message", "grpc-status-details-bin"] {
        same(wrong, field, true, answer.field(field).is_some_and(|it| !it.is_empty()));
    }
}

fn check_record(wrong: &mut Vec<String>, expect: &Expect, answer: &Answer, record: &Value) {
    same(wrong, "cause in the record", expect.cause, record["cause"].as_str());
    same(wrong, "status in the record", Some(u64::from(expect.status)), record["status"].as_u64());
    let end = if expect.cut { "cut" } else { "complete" };
    same(wrong, "end in the record", Some(end), record["end"].as_str());
    same(wrong, "id in the record", answer.field("x-request-id"), record["id"].as_str());
    let prevented = record["prevented"].as_array().map_or(&[][..], Vec::as_slice);
    let causes: Vec<_> = prevented.iter().map(|it| it["cause"].as_str()).collect();
    let expected: Vec<_> = expect.prevented.iter().map(|it| Some(*it)).collect();
    same(wrong, "prevented", expected, causes);
    for word in ["time", "client", "method", "host", "path", "route", "upstream"] {
        same(wrong, word, true, record[word].as_str().is_some_and(|it| !it.is_empty()));
    }
    for number in ["attempts", "took_ms"] {
        same(wrong, number, true, record[number].is_number());
    }
    same(wrong, "phases_ms", true, record["phases_ms"].is_object());
}
