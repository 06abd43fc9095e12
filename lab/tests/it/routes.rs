//! Which route takes a request, and what reaches the upstream.

use crate::world::{World, echo, world_with};
use lab::client::Answer;
use serde_json::Value;

const ROUTES: &str = r#"
[upstream.app]
targets = ["{url}"]

[route.exact]
match = "/exact"
to = "app"

[route.below]
match = "/below/*"
to = "app"

[route.deeper]
match = "/below/deeper/*"
answer = { status = 200, body = "deeper" }

[route.stripped]
match = "/api/v1/*"
to = "app"
strip_prefix = "/api/v1"

[route.host]
match = { host = "shop.test", path = "/*" }
answer = { status = 200, body = "shop" }

[route.reading]
match = { path = "/orders", methods = ["GET", "HEAD"] }
to = "app"

[route.moved]
match = "/old/*"
redirect = "/new"

[route.away]
match = "/away"
redirect = { to = "https://elsewhere.test/", status = 302 }

[route.tea]
match = "/tea"
answer = { status = 418, body = "short and stout", content_type = "text/plain" }

[route.named]
match = "/named"
to = "app"
host = "inner.test"

[route.raw]
match = "/raw/*"
to = "app"
raw_path = true
"#;

async fn routes() -> World {
    world_with(ROUTES, echo).await
}

async fn ask(world: &World, method: &str, target: &str, host: &str) -> Answer {
    let mut client = world.gateway.client().await.expect("it accepts");
    let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    client.exchange(request.as_bytes()).await
}

#[tokio::test]
async fn the_most_specific_route_takes_it() {
    let world = routes().await;
    let table = [
        ("/exact", "a.test", 200, "GET /exact a.test "),
        ("/exact?q=1", "a.test", 200, "GET /exact?q=1 a.test "),
        ("/exact/", "a.test", 404, ""),
        ("/below", "a.test", 200, "GET /below a.test "),
        ("/below/", "a.test", 200, "GET /below/ a.test "),
        ("/below/x/y", "a.test", 200, "GET /below/x/y a.test "),
        ("/belowish", "a.test", 404, ""),
        ("/below/deeper/x", "a.test", 200, "deeper"),
        ("/api/v1/users", "a.test", 200, "GET /users a.test "),
        ("/api/v1", "a.test", 200, "GET / a.test "),
        ("/exact", "shop.test", 200, "shop"),
        ("/exact", "SHOP.test:8080", 200, "shop"),
        ("/exact", "shop.test.", 200, "shop"),
        ("/tea", "a.test", 418, "short and stout"),
        ("/named", "a.test", 200, "GET /named inner.test "),
        ("/nowhere", "a.test", 404, ""),
    ];
    for (target, host, status, body) in table {
        let answer = ask(&world, "GET", target, host).await;
        assert_eq!(answer.status, Some(status), "{host}{target}: {}", answer.text());
        if status != 404 {
            assert_eq!(answer.text(), body, "{host}{target}");
        }
    }
}

#[tokio::test]
async fn paths_are_matched_and_sent_on_in_one_form() {
    let world = routes().await;
    let table = [
        ("/below/%2e%2e/exact", 200, "GET /exact a.test "),
        ("/below/a/%2e%2e/b", 200, "GET /below/b a.test "),
        ("/below/./b", 200, "GET /below/b a.test "),
        ("/below//b", 200, "GET /below/b a.test "),
        ("//exact", 200, "GET /exact a.test "),
        ("/%65xact", 200, "GET /exact a.test "),
        ("/below/%c3%a4", 200, "GET /below/%C3%A4 a.test "),
        ("/below/a%20b", 200, "GET /below/a%20b a.test "),
        ("/below/a%2Fb", 400, "malformed_request"),
        ("/below/a%5cb", 400, "malformed_request"),
        ("/below/a%00b", 400, "malformed_request"),
        ("/below/a%zzb", 400, "malformed_request"),
        ("/below/../../x", 400, "malformed_request"),
        ("/raw/a%2Fb", 200, "GET /raw/a%2Fb a.test "),
    ];
    for (target, status, body) in table {
        let answer = ask(&world, "GET", target, "a.test").await;
        assert_eq!(answer.status, Some(status), "{target}: {}", answer.text());
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let said = problem["cause"].as_str().map_or_else(|| answer.text(), str::to_owned);
        assert_eq!(said, body, "{target}");
    }
}

#[tokio::test]
async fn an_absolute_target_names_its_host() {
    let world = routes().await;
    let answer = ask(&world, "GET", "http://shop.test/exact", "shop.test").await;
    assert_eq!(answer.text(), "shop");
    let answer = ask(&world, "GET", "http://a.test/exact", "a.test").await;
    assert_eq!(answer.text(), "GET /exact a.test ");
}

#[tokio::test]
async fn a_path_without_a_route_is_explained() {
    let world = routes().await;
    let answer = ask(&world, "GET", "/nowhere", "a.test").await;
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (problem["status"].as_u64(), &problem["cause"]),
        (Some(404), &"no_route_matched".into())
    );
    let status = answer.field("proxy-status").unwrap_or_default();
    assert!(status.starts_with("goodgate; error=destination_not_found; cause=no_route_matched"));
    let records = world.gateway.records_soon(1).await;
    assert_eq!(records[0]["cause"], "no_route_matched");
}

#[tokio::test]
async fn another_method_is_405_and_says_which_would_do() {
    let world = routes().await;
    assert_eq!(ask(&world, "GET", "/orders", "a.test").await.status, Some(200));
    let answer = ask(&world, "DELETE", "/orders", "a.test").await;
    assert_eq!((answer.status, answer.field("allow")), (Some(405), Some("GET, HEAD")));
}

#[tokio::test]
async fn redirects_keep_the_query_and_need_no_upstream() {
    let world = routes().await;
    let table = [
        ("/old/x?q=1", 308, "/new?q=1"),
        ("/old", 308, "/new"),
        ("/away", 302, "https://elsewhere.test/"),
    ];
    for (target, status, location) in table {
        let answer = ask(&world, "GET", target, "a.test").await;
        assert_eq!(answer.status, Some(status), "{target}");
        assert_eq!(answer.field("location"), Some(location), "{target}");
    }
    let records = world.gateway.records_soon(table.len()).await;
    assert!(records.iter().all(|it| it["cause"].is_null() && it["attempts"] == 0), "{records:?}");
}

#[tokio::test]
async fn what_a_stranger_says_of_the_way_is_not_passed_on() {
    let seen = crate::world::Seen::default();
    let kept = seen.clone();
    let talk = move |stream| crate::world::answer_each(stream, crate::world::OK, kept.clone());
    let world = crate::world::world(talk).await;
    let mut client = world.gateway.client().await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 9.9.9.9\r\n\
                   Forwarded: for=9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\nX-Request-Id: mine\r\n\r\n";
    let answer = client.exchange(request.as_bytes()).await;
    let head = seen.all().concat();
    assert!(!head.contains("9.9.9.9"), "{head}");
    assert!(head.to_ascii_lowercase().contains("x-request-id: mine"), "{head}");
    assert_eq!(answer.field("x-request-id"), Some("mine"));
}

#[tokio::test]
async fn requests_are_divided_by_weight_and_callers_stay() {
    let config = r#"
[upstream.app]
targets = ["{url}"]
host = "app.test"

[upstream.canary]
targets = ["{url}"]
host = "canary.test"

[route.divided]
match = "/divided"
to = [{ upstream = "app", weight = 3 }, { upstream = "canary" }]

[route.sticky]
match = "/sticky"
to = [{ upstream = "app", weight = 3 }, { upstream = "canary" }]
sticky = "cookie"

[route.by_header]
match = "/by-header"
to = [{ upstream = "app" }, { upstream = "canary" }]
sticky = "header:X-User"

[route.rewritten]
match = { path = "/users/{id}/*", headers = { x-version = "2" } }
to = "app"
rewrite = "/v2/{id}/*"
"#;
    let world = world_with(config, echo).await;
    let fetch = async |target: &str, fields: &str| {
        let mut client = world.gateway.client().await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n");
        client.exchange(request.as_bytes()).await
    };
    let mut canary = 0;
    for _ in 0..200 {
        canary += usize::from(fetch("/divided", "").await.text().contains("canary.test"));
    }
    // A quarter of 200, and far away from none and all.
    assert!((20..=90).contains(&canary), "{canary} of 200");

    let first = fetch("/sticky", "").await;
    let cookie = first.field("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    for _ in 0..10 {
        let answer = fetch("/sticky", &format!("Cookie: other=1; {cookie}\r\n")).await;
        assert_eq!(answer.text(), first.text());
        assert_eq!(answer.field("set-cookie"), None);
    }
    let chosen = fetch("/sticky", "Cookie: goodgate-sticky=canary\r\n").await;
    assert!(chosen.text().contains("canary.test"));

    for user in ["ann", "bob", "cem"] {
        let fields = format!("X-User: {user}\r\n");
        let first = fetch("/by-header", &fields).await.text();
        assert_eq!(fetch("/by-header", &fields).await.text(), first);
    }

    let answer = fetch("/users/7/posts?x=1", "X-Version: 2\r\n").await;
    assert_eq!(answer.text(), "GET /v2/7/posts?x=1 app.test ");
    assert_eq!(fetch("/users/7/posts", "X-Version: 1\r\n").await.status, Some(404));
}
