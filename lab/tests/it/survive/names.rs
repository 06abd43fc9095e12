//! Name servers that are dead when the gateway starts, and clocks that jump.

use super::{ask, is_root, until, until_status, world_under};
use crate::world::{SOON, World, echo};
use lab::gateway::{Gateway, Hardship};
use lab::scratch::Scratch;
use lab::{dns, stage};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpStream;

/// A gateway whose only target has a name.
async fn before_a_name(hardship: &Hardship, config: &str) -> World {
    let listener = stage::listener().expect("the test can go on");
    let port = listener.local_addr().expect("the test can go on").port();
    let config =
        format!("{config}[route.app]\nmatch = \"/*\"\nto = \"http://app.internal:{port}\"\n");
    let gateway = Gateway::under(hardship, &config).await.unwrap_or_else(|it| panic!("{it}"));
    World::new(gateway, stage::serve(listener, stage::answer_well::<TcpStream>))
}

#[tokio::test]
async fn a_name_server_that_comes_later_is_asked() {
    let at = SocketAddr::from(([127, 0, 0, 1], stage::free_port().unwrap()));
    let config = format!("[dns]\nservers = [\"{at}\"]\ntimeout = \"500ms\"\n");
    let world = before_a_name(&Hardship::default(), &config).await;
    let answer = ask(&world, "/").await;
    let cause = lab::table::proxy_status(&answer, "cause").unwrap().to_owned();
    assert!(matches!(answer.status, Some(502 | 504)), "{}", answer.words());
    assert!(cause.starts_with("dns_"), "{cause}");
    let _server = dns::server(at).unwrap();
    until_status(&world, "/", 200, SOON).await;
}

/// `resolv.conf` as one of ours, in a view of the files that only the gateway has.
fn with_resolv_conf(at: &Path) -> Hardship {
    let words = format!("mount --bind {} /etc && exec \"$0\" \"$@\"", at.display());
    let through = ["unshare", "-m", "sh", "-c", &words].map(str::to_owned).to_vec();
    Hardship { through, ..Hardship::default() }
}

#[tokio::test]
async fn a_host_that_learns_its_name_servers_later_needs_no_restart() {
    if !is_root() {
        return eprintln!("skipped: only root has files of its own at fixed places");
    }
    // A server at port 53 of an address of loopback that nobody else uses.
    let at = SocketAddr::from(([127, 77, 0, 53], 53));
    let _server = dns::server(at).unwrap();
    for first in [None, Some(""), Some("# nothing yet\n")] {
        let etc = Scratch::new("etc").unwrap();
        if let Some(text) = first {
            etc.write("resolv.conf", text).unwrap();
        }
        let world =
            before_a_name(&with_resolv_conf(etc.path()), "[dns]\ntimeout = \"500ms\"\n").await;
        let answer = ask(&world, "/").await;
        assert!(matches!(answer.status, Some(502 | 504)), "{first:?}: {}", answer.words());
        etc.write("resolv.conf", &format!("nameserver {}\n", at.ip())).unwrap();
        until_status(&world, "/", 200, SOON).await;
    }
}

/// Where Debian keeps it; it stands between a program and its clock.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[tokio::test]
async fn a_clock_that_jumps_confuses_nothing() {
    assert!(Path::new(FAKETIME).exists(), "install faketime");
    let folder = Scratch::new("clock").unwrap();
    // In order: as it is, long ago, far ahead, and back.
    let times = ["+0", "-50y", "+300y", "-2d"];
    let file = folder.write("time", times[0]).unwrap();
    let variables = [
        ("LD_PRELOAD", FAKETIME),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let hardship = Hardship { variables: variables.to_vec(), ..Hardship::default() };
    let world = world_under(&hardship, "", echo).await;
    let mut client = world.gateway.client().await.unwrap();
    let mut dates = Vec::new();
    for (at, time) in times.iter().enumerate() {
        folder.write("time", time).unwrap();
        for _ in 0..3 {
            let answer = client.exchange(&crate::world::get(&format!("/{at}"))).await;
            assert_eq!(answer.status, Some(200), "{time}: {}", world.gateway.said());
            dates.insert(at, answer.field("date").unwrap_or_default().to_owned());
            dates.truncate(at + 1);
        }
    }
    let count = times.len() * 3;
    let records = world.gateway.records_soon(count).await;
    let ids: HashSet<&str> = records.iter().filter_map(|it| it["id"].as_str()).collect();
    assert_eq!(ids.len(), count);
    for record in &records {
        let took = record["took_ms"].as_f64().unwrap();
        assert!((0.0..5_000.0).contains(&took), "{record}");
    }
    let year = |path: &str| {
        let record = records.iter().find(|it| it["path"] == path).unwrap();
        record["time"].as_str().unwrap()[..4].parse::<i32>().unwrap()
    };
    // Years of 365 days.
    assert!((year("/1") - year("/0") + 50).abs() <= 1, "{}", year("/1"));
    assert!((year("/2") - year("/0") - 300).abs() <= 1, "{}", year("/2"));
    // And so do the answers say, also after the clock was set back.
    for (path, date) in ["/0", "/1", "/2", "/3"].iter().zip(&dates) {
        assert!(date.contains(&format!(" {} ", year(path))), "{path}: {date}");
    }
    until(SOON, "it does not complain", async || {
        let said = world.gateway.said();
        (!said.contains("panicked")).then_some(()).ok_or(said)
    })
    .await;
}

#[tokio::test]
async fn it_starts_with_a_clock_that_was_never_set() {
    let variables = [
        ("LD_PRELOAD", FAKETIME),
        ("FAKETIME", "1970-01-01 00:00:05"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let hardship = Hardship { variables: variables.to_vec(), ..Hardship::default() };
    let world = world_under(&hardship, "", echo).await;
    assert_eq!(ask(&world, "/").await.status, Some(200));
    assert_eq!(world.gateway.records_soon(1).await.len(), 1);
}
