//! A mistake of ours ends the request that ran into it, and no other.

use super::{ask, check_said_once, problem, until_it_said, world_under};
use crate::peer::{body, connect_to, get as get2, request};
use crate::world::{OK, SOON, World, get, signal, told};
use http::Method;
use lab::client::End;
use lab::gateway::Hardship;
use lab::stage;
use serde_json::Value;
use std::io;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Builds for tests break down where this says: a place, and the path of a request.
const VARIABLE: &str = "GOODGATE_TEST_PANIC";

/// Answers at once, but `/hold` when it is told to, and switches for `/boom` where that is asked.
async fn talk(
    mut stream: TcpStream,
    reached: tokio::sync::mpsc::UnboundedSender<()>,
    go_on: Arc<Mutex<crate::world::Received>>,
) -> io::Result<()> {
    while let Some(request) = stage::read_request(&mut stream).await? {
        if request.field("upgrade").is_some() {
            let switched = "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n";
            stream.write_all(switched.as_bytes()).await?;
            return stage::stay(stream).await;
        }
        if request.target() == "/hold" {
            reached.send(()).map_err(io::Error::other)?;
            told(&go_on).await;
        }
        stream.write_all(OK.as_bytes()).await?;
    }
    Ok(())
}

struct Scene {
    world: World,
    /// Another request, held on the same core.
    held: lab::client::Client,
    go_on: tokio::sync::mpsc::UnboundedSender<()>,
}

impl Scene {
    async fn new(place: &str) -> Scene {
        let (reached, upstream_has_it) = signal();
        let (go_on, wait) = signal();
        let hardship = Hardship::with(VARIABLE, &format!("{place} /boom"));
        let world =
            world_under(&hardship, "", move |stream| talk(stream, reached.clone(), wait.clone()))
                .await;
        let mut held = world.gateway.client().await.expect("the test can go on");
        held.send(&get("/hold")).await.expect("the test can go on");
        told(&upstream_has_it).await;
        Scene { world, held, go_on }
    }

    /// Everything else has gone on; one record says what happened.
    async fn check_end(mut self, requests: usize, status: u16, end: &str) {
        assert_eq!(ask(&self.world, "/after").await.status, Some(200));
        self.go_on.send(()).expect("the test can go on");
        assert_eq!(self.held.answer().await.status, Some(200));
        until_it_said(&self.world, "panicked at crates/proxy/src/", SOON).await;
        check_said_once(&self.world, "panicked at");
        let said = self.world.gateway.said();
        let records = self.world.gateway.records_soon(requests).await;
        assert_eq!(records.len(), requests, "{records:#?}");
        let bugs: Vec<&Value> = records.iter().filter(|it| it["cause"] == "gateway_bug").collect();
        let [bug] = bugs[..] else {
            panic!("{records:#?}");
        };
        let id = bug["id"].as_str().expect("the test can go on");
        assert!(said.contains(&format!("request {id}: a test asked for this")), "{said}");
        assert_eq!((bug["status"].as_u64(), bug["end"].as_str()), (Some(status.into()), Some(end)));
    }
}

#[tokio::test]
async fn a_mistake_before_the_answer_is_answered_as_ours() {
    let scene = Scene::new("serve").await;
    let mut client = scene.world.gateway.client().await.unwrap();
    let answer = client.exchange(&get("/boom")).await;
    assert_eq!((answer.status, answer.end), (Some(500), End::Whole));
    assert_eq!(problem(&answer)["cause"], "gateway_bug");
    // The same connection goes on.
    assert_eq!(client.exchange(&get("/")).await.status, Some(200));
    scene.check_end(4, 500, "complete").await;
}

#[tokio::test]
async fn a_mistake_within_the_answer_cuts_it() {
    let scene = Scene::new("body").await;
    let answer = ask(&scene.world, "/boom").await;
    assert_eq!(answer.status, Some(200));
    assert!(answer.cut(), "it does not look whole");
    scene.check_end(3, 200, "cut").await;
}

#[tokio::test]
async fn a_mistake_within_a_tunnel_ends_it() {
    let scene = Scene::new("tunnel").await;
    let mut client = scene.world.gateway.client().await.unwrap();
    let upgrade = "GET /boom HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n";
    client.send(upgrade.as_bytes()).await.unwrap();
    assert_eq!(client.head().await.status, Some(101));
    assert_ne!(client.rest().await.1, End::Silent);
    scene.check_end(3, 101, "cut").await;
}

/// What explains failures may be what breaks down.
#[tokio::test]
async fn a_mistake_within_the_explanation_is_an_answer_without_words() {
    let hardship = Hardship::with(VARIABLE, "answer /boom");
    let nobody = stage::free_port().unwrap();
    let config = format!(
        "[upstream.unused]\ntargets = [\"{{url}}\"]\n\
         [route.app]\nmatch = \"/boom\"\nto = \"http://127.0.0.1:{nobody}\"\n"
    );
    let world = world_under(&hardship, &config, stage::answer_well::<TcpStream>).await;
    let mut client = world.gateway.client().await.unwrap();
    for _ in 0..3 {
        let answer = client.exchange(&get("/boom")).await;
        assert_eq!((answer.status, answer.end), (Some(500), End::Whole));
        assert!(answer.body.is_empty(), "{}", answer.text());
    }
    assert_eq!(client.exchange(&get("/no-route")).await.status, Some(404));
    let records = world.gateway.records_soon(4).await;
    let bugs = records.iter().filter(|it| it["cause"] == "gateway_bug").count();
    assert_eq!((records.len(), bugs), (4, 3), "{records:#?}");
}

#[tokio::test]
async fn one_stream_of_a_connection_breaks_down_alone() {
    let scene = Scene::new("serve").await;
    let mut send = connect_to(&scene.world).await;
    let (beside, _) = send.send_request(request(Method::GET, "/beside"), true).unwrap();
    let answer = get2(&mut send, "/boom").await;
    assert_eq!(answer.status(), 500);
    let (text, _) = body(answer.into_body()).await.unwrap();
    assert!(text.contains("gateway_bug"), "{text}");
    assert_eq!(timeout(SOON, beside).await.unwrap().unwrap().status(), 200);
    assert_eq!(get2(&mut send, "/again").await.status(), 200);
    scene.check_end(5, 500, "complete").await;
}

#[tokio::test]
async fn a_stream_whose_answer_breaks_down_is_reset() {
    let scene = Scene::new("body").await;
    let mut send = connect_to(&scene.world).await;
    let answer = get2(&mut send, "/boom").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(body(answer.into_body()).await.unwrap_err(), h2::Reason::INTERNAL_ERROR);
    assert_eq!(get2(&mut send, "/again").await.status(), 200);
    scene.check_end(4, 200, "cut").await;
}

#[tokio::test]
async fn a_line_of_the_log_that_cannot_be_made_is_lost_alone() {
    let hardship = Hardship::with(VARIABLE, "log /boom");
    let world = world_under(&hardship, "", stage::answer_well::<TcpStream>).await;
    for path in ["/a", "/boom", "/b"] {
        assert_eq!(ask(&world, path).await.status, Some(200));
    }
    let records = world.gateway.records_soon(2).await;
    let paths: Vec<&str> = records.iter().filter_map(|it| it["path"].as_str()).collect();
    assert_eq!(paths, ["/a", "/b"]);
    super::until_metric(&world, "goodgate_log_dropped_total", |it| it == 1.0).await;
    until_it_said(&world, "the access log cannot be written", SOON).await;
}
