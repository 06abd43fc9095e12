//! Requests and answers that two servers read in two ways: nothing of them reaches an upstream that
//! any reader could take for another request, and nobody gets another's answer.

mod answers;
mod corpus;
mod http2;
mod readings;
mod recorder;

use crate::world::{World, get, world_with};
use corpus::Case;
use lab::client::{Answer, Client, End};
use readings::{LAX, Reading, STRICT};
use recorder::Recorder;
use serde_json::Value;
use std::path::Path;

/// A gateway before a recorder, and how many records there must be.
struct Stage {
    world: World,
    recorder: Recorder,
    /// Requests that were answered or begun.
    begun: usize,
    /// Requests that the recorder must have seen.
    passed: usize,
}

impl Stage {
    async fn new(reading: Reading) -> Stage {
        let recorder = Recorder::default();
        let world = world_with("", {
            let recorder = recorder.clone();
            move |stream| recorder.clone().play(stream, reading)
        })
        .await;
        Stage { world, recorder, begun: 0, passed: 0 }
    }

    async fn client(&self) -> Client {
        self.world.gateway.client().await.expect("it accepts")
    }

    async fn play(&mut self, case: &Case) {
        let name = case.name.as_str();
        let mut client = self.client().await;
        // An early answer may end the connection before all is sent; what it was shows below.
        drop(client.send(&case.bytes).await);
        if case.cut {
            client.finish().await.expect("the test can go on");
        }
        let mut last = None;
        for (at, status) in case.statuses.iter().enumerate() {
            let head_only = at == 0 && case.bytes.starts_with(b"HEAD ");
            let answer = if head_only { client.head().await } else { client.answer().await };
            assert_eq!(answer.status, Some(*status), "{name}: {} {}", answer.head, answer.text());
            // Refused by us, who say why, and not by a library.
            let kind = answer.field("content-type");
            let explained = kind == Some("application/problem+json");
            assert_eq!(explained, *status != 200, "{name}: {}", answer.head);
            self.passed += usize::from(*status == 200);
            last = Some(answer);
        }
        self.begun += case.statuses.len() + usize::from(case.cut);
        match last {
            Some(answer) if stays_open(&answer, case) => {
                self.is_answered(&mut client, "/own", name).await;
            }
            Some(_) => {
                let (rest, end) = client.rest().await;
                assert!(rest.is_empty(), "{name}: {}", rest.escape_ascii());
                assert_ne!(end, End::Silent, "{name}");
            }
            None => {
                let (rest, _) = client.rest().await;
                assert!(!rest.starts_with(b"HTTP/1.1 2"), "{name}: {}", rest.escape_ascii());
            }
        }
        self.checked(case).await;
    }

    /// Somebody else's request gets its own answer, and all that came is what should have come.
    async fn checked(&mut self, case: &Case) {
        let name = case.name.as_str();
        let mut other = self.client().await;
        self.is_answered(&mut other, "/other", name).await;
        let requests = self.recorder.requests(name);
        assert_eq!(requests.len(), self.passed, "{name}: {requests:?}");
        let shown: Vec<_> = requests.iter().rev().take(3).collect();
        if let Some(request) = requests.iter().rev().find(|it| it.target.starts_with("/x")) {
            for field in &case.sees {
                assert_eq!(request.values(field).len(), 1, "{name}: {field}: {shown:?}");
            }
            for field in &case.lacks {
                assert!(request.values(field).is_empty(), "{name}: {field}: {shown:?}");
            }
        }
    }

    async fn is_answered(&mut self, client: &mut Client, path: &str, name: &str) {
        let target = format!("{path}/{}", self.begun);
        let answer = client.exchange(&get(&target)).await;
        assert_eq!(answer.text(), format!("GET {target}"), "{name}: {}", answer.head);
        self.begun += 1;
        self.passed += 1;
    }

    /// Nothing could be hidden from a request that has a connection of its own.
    fn check_sharing(&self) {
        let connections = self.recorder.connections_taken();
        assert!(connections < self.passed, "{connections} for {}", self.passed);
    }

    async fn ended(self) {
        self.check_sharing();
        self.world.gateway.records_soon(self.begun).await;
        let records = self.world.gateway.stopped().await.expect("it stops");
        let shown = |it: &Value| format!("{} {} {}", it["path"], it["status"], it["end"]);
        let shown: Vec<String> = records.iter().map(shown).collect();
        assert_eq!(records.len(), self.begun, "{shown:#?}");
    }
}

/// After this answer the connection serves on.
fn stays_open(answer: &Answer, case: &Case) -> bool {
    let closes = answer.field("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
    let blank = case.bytes.windows(4).position(|it| it == b"\r\n\r\n");
    let head = &case.bytes[..blank.unwrap_or(case.bytes.len())];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let old = head.lines().next().is_some_and(|it| it.ends_with("http/1.0"));
    let last = old && !head.contains("keep-alive") || head.contains("connection: close");
    !closes && !last
}

/// Each case of a family, before an upstream that goes by the book and before one that does not.
async fn check(family: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/smuggling/corpus");
    let cases = corpus::family(&folder.join(format!("{family}.txt")));
    assert!(cases.len() > 5, "{family} has hardly any cases");
    for reading in [STRICT, LAX] {
        let mut stage = Stage::new(reading).await;
        for case in &cases {
            stage.play(case).await;
        }
        stage.ended().await;
    }
}

#[test]
fn every_family_is_played() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/smuggling/corpus");
    let here = include_str!("smuggling.rs");
    let all = corpus::read(&folder);
    for case in &all {
        let family = case.name.split(':').next().unwrap_or_default();
        assert!(here.contains(&format!("check(\"{family}\")")), "{family}");
        assert!(!case.bytes.is_empty(), "{}", case.name);
        assert_eq!(case.cut, case.statuses.is_empty(), "{}", case.name);
    }
}

#[tokio::test]
async fn a_length_beside_a_coding_hides_no_request() {
    check("length_and_coding").await;
}

#[tokio::test]
async fn a_coding_in_disguise_hides_no_request() {
    check("codings").await;
}

#[tokio::test]
async fn a_length_in_disguise_hides_no_request() {
    check("lengths").await;
}

#[tokio::test]
async fn a_body_hides_no_request() {
    check("bodies").await;
}

#[tokio::test]
async fn a_chunk_hides_no_request() {
    check("chunks").await;
}

#[tokio::test]
async fn a_line_end_hides_no_request() {
    check("line_ends").await;
}

#[tokio::test]
async fn a_request_line_hides_no_request() {
    check("request_lines").await;
}

#[tokio::test]
async fn a_host_is_one_host() {
    check("hosts").await;
}

#[tokio::test]
async fn a_field_line_hides_no_request() {
    check("fields").await;
}

#[tokio::test]
async fn a_caller_takes_off_no_field_that_others_go_by() {
    check("hops").await;
}

#[tokio::test]
async fn a_trailer_is_no_part_of_the_head() {
    check("trailers").await;
}

#[tokio::test]
async fn an_expectation_hides_no_request() {
    check("expectations").await;
}

#[tokio::test]
async fn requests_at_once_stay_apart() {
    check("pipelines").await;
}

#[tokio::test]
async fn another_protocol_that_was_not_granted_hides_no_request() {
    check("upgrades").await;
}
