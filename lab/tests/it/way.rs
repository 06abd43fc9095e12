//! What an upstream is told of the way that a request has come.

use crate::world::{OK, Seen, answer_each, world_with};
use serde_json::Value;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The head that the upstream saw, lower-case, and the record.
async fn sent_on(config: &str, fields: &str) -> (String, Value) {
    let seen = Seen::default();
    let kept = seen.clone();
    let world = world_with(config, move |stream| answer_each(stream, OK, kept.clone())).await;
    let mut client = world.gateway.client().await.expect("it listens");
    let request = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n");
    assert_eq!(client.exchange(request.as_bytes()).await.status, Some(200));
    let record = world.gateway.records_soon(1).await.remove(0);
    (seen.all().concat().to_ascii_lowercase(), record)
}

#[tokio::test]
async fn every_request_has_an_id_and_a_trace_of_its_own() {
    let (head, record) = sent_on("", "").await;
    let id = record["id"].as_str().expect("a record has an id");
    assert!(head.contains(&format!("x-request-id: {id}\r\n")), "{head}");
    assert!(head.contains(&format!("traceparent: 00-{id}-")), "{head}");
    assert!(head.contains("x-forwarded-for: 127.0.0.1\r\n"), "{head}");
    assert!(head.contains("forwarded: for=127.0.0.1;host=\"a.test\";proto=http\r\n"), "{head}");
    assert!(head.contains("x-forwarded-proto: http\r\n"), "{head}");
    assert!(head.contains("via: 1.1 goodgate ("), "{head}");
}

#[tokio::test]
async fn a_trace_goes_on_with_a_span_of_ours() {
    let field = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n");
    let (head, _) = sent_on("", &field).await;
    assert!(head.contains(&format!("traceparent: 00-{TRACE}-")), "{head}");
    assert!(!head.contains("00f067aa0ba902b7"), "{head}");
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_from_the_right() {
    let trusted = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n";
    let fields = "X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.2\r\nX-Forwarded-Proto: https\r\n";
    let (head, record) = sent_on(trusted, fields).await;
    assert_eq!(record["client"], "203.0.113.7");
    let chain = "x-forwarded-for: 6.6.6.6, 203.0.113.7, 10.0.0.2, 127.0.0.1\r\n";
    assert!(head.contains(chain), "{head}");
    assert!(head.contains("x-forwarded-proto: https\r\n"), "{head}");
}

#[tokio::test]
async fn a_caller_may_be_named_with_its_port() {
    let trusted = "trusted_proxies = [\"127.0.0.1\"]\n";
    for (written, caller) in
        [("203.0.113.7:50123", "203.0.113.7"), ("[2001:db8::7]:50123", "2001:db8::7")]
    {
        let (_, record) = sent_on(trusted, &format!("X-Forwarded-For: {written}\r\n")).await;
        assert_eq!(record["client"], caller);
    }
}
