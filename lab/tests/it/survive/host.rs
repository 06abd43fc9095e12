//! Descriptors, ports and memory of our own host, and the limits that keep within them.

use super::{
    ask, check_said_once, descriptors, is_root, metric, problem, processor, until, until_it_said,
    until_metric, until_status, world_under,
};
use crate::world::{OK, SOON, World, echo, get, signal, told, world_with};
use lab::client::{Answer, Client, End};
use lab::gateway::{Gateway, Hardship};
use lab::stage;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Descriptors that the gateway may have.
const FEW: usize = 64;

fn few() -> Hardship {
    Hardship::through(&format!("prlimit --nofile={FEW}:{FEW}"))
}

/// More than the descriptors are enough for, so that they are what is short.
const MANY: &str = "[limits]\nconnections = 10000\n";

/// Answers `/hold` only when it is told to, everything else at once.
async fn holding(
    mut stream: TcpStream,
    go_on: tokio::sync::watch::Receiver<bool>,
) -> io::Result<()> {
    while let Some(request) = stage::read_request(&mut stream).await? {
        if request.target() == "/hold" {
            drop(go_on.clone().wait_for(|it| *it).await);
        }
        stream.write_all(OK.as_bytes()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn without_descriptors_clients_are_told_so_and_it_recovers() {
    let (go_on, wait) = tokio::sync::watch::channel(false);
    let world = world_under(&few(), MANY, move |it| holding(it, wait.clone())).await;
    // Each takes two descriptors for as long as it is held.
    let mut held = JoinSet::new();
    for _ in 0..FEW {
        let mut client = world.gateway.client().await.unwrap();
        held.spawn(async move {
            client.send(&get("/hold")).await.unwrap();
            client.answer().await
        });
    }
    until_it_said(&world, "no file descriptor is left", SOON).await;
    let began = Instant::now();
    // Those that were turned away leave room for the last few.
    let mut last = Vec::new();
    let refused = loop {
        assert!(last.len() < FEW && began.elapsed() < SOON * 4, "{:?}", began.elapsed());
        let mut client = world.gateway.client().await.unwrap();
        client.send(&get("/hold")).await.unwrap();
        match timeout(Duration::from_millis(300), client.answer()).await {
            Ok(answer) => break answer,
            Err(_) => last.push(client),
        }
    };
    check_no_descriptor(&refused);
    assert_eq!(refused.field("retry-after"), Some("1"));
    let before = processor(&world);
    sleep(Duration::from_secs(1)).await;
    let burnt = processor(&world) - before;
    assert!(burnt < 0.5, "{burnt} s of processor time while nothing could be done");
    go_on.send(true).unwrap();
    until_status(&world, "/", 200, SOON).await;
    let mut served = last.len();
    for answer in held.join_all().await {
        match answer.status {
            Some(200) => served += 1,
            _ => check_no_descriptor(&answer),
        }
    }
    assert!(FEW / 4 < served, "{served} were served");
    assert!(0.0 < metric(&world, "goodgate_troubles_total{kind=\"no_descriptors\"}").await);
    until_it_said(&world, "over: no file descriptor is left", SOON * 4).await;
    check_said_once(&world, "; raise LimitNOFILE of the service (now 64)");
}

/// Told so, or turned away where even that could not be said.
#[track_caller]
fn check_no_descriptor(answer: &Answer) {
    if answer.status.is_none() {
        assert!(matches!(answer.end, End::Closed | End::Reset), "{}", answer.words());
        return;
    }
    assert_eq!(answer.status, Some(503), "{}", answer.words());
    assert_eq!(problem(answer)["cause"], "gateway_fd_exhausted", "{}", answer.text());
    let status = answer.field("proxy-status").expect("the test can go on");
    assert!(status.contains("error=proxy_internal_error"), "{status}");
}

#[tokio::test]
async fn idle_connections_are_given_up_before_a_request_fails() {
    let (reached, seen) = signal();
    let (go_on, wait) = tokio::sync::watch::channel(false);
    let world = world_under(&few(), MANY, move |mut stream: TcpStream| {
        let (reached, wait) = (reached.clone(), wait.clone());
        async move {
            while let Some(request) = stage::read_request(&mut stream).await? {
                if request.target() == "/hold" {
                    reached.send(()).map_err(io::Error::other)?;
                    drop(wait.clone().wait_for(|it| *it).await);
                }
                stream.write_all(OK_KEPT.as_bytes()).await?;
            }
            Ok(())
        }
    })
    .await;
    let own = descriptors(&world);
    const KEPT: usize = 12;
    let mut held = JoinSet::new();
    for _ in 0..KEPT {
        let mut client = world.gateway.client().await.unwrap();
        held.spawn(async move {
            client.send(&get("/hold")).await.unwrap();
            client.answer().await.status
        });
        told(&seen).await;
    }
    go_on.send(true).unwrap();
    assert!(held.join_all().await.into_iter().all(|it| it == Some(200)));
    until(SOON, "they wait in the pool", async || {
        let open = descriptors(&world);
        (own + KEPT <= open).then_some(()).ok_or_else(|| format!("{open} open"))
    })
    .await;
    // With those of the pool these would not fit.
    let mut clients = Vec::new();
    for _ in 0..FEW - own - 4 {
        let mut client = world.gateway.client().await.unwrap();
        let answer = client.exchange(&get("/")).await;
        assert_eq!(answer.status, Some(200), "after {}: {}", clients.len(), answer.text());
        clients.push(client);
    }
}

const OK_KEPT: &str = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn clients_that_say_nothing_make_room_for_those_that_ask() {
    let world = world_under(&few(), MANY, stage::answer_well::<TcpStream>).await;
    let mut silent = Vec::new();
    for _ in 0..FEW * 2 {
        silent.push(world.gateway.client().await.unwrap());
    }
    // Their limit is 75 s.
    until_status(&world, "/", 200, SOON).await;
    drop(silent);
}

#[tokio::test]
async fn connections_beyond_their_limit_are_answered_and_closed() {
    let config = "[limits]\nconnections = 10\n";
    let (go_on, wait) = tokio::sync::watch::channel(false);
    let world = world_with(config, move |it| holding(it, wait.clone())).await;
    let mut held = JoinSet::new();
    for _ in 0..10 {
        let mut client = world.gateway.client().await.unwrap();
        held.spawn(async move {
            client.send(&get("/hold")).await.unwrap();
            client.answer().await.status
        });
    }
    until_metric(&world, "goodgate_connections", |it| it == 10.0).await;
    let answer = ask(&world, "/").await;
    assert_eq!((answer.status, answer.end), (Some(503), End::Whole));
    assert_eq!(problem(&answer)["cause"], "proxy_connection_table_full", "{}", answer.text());
    assert_eq!(answer.field("connection"), Some("close"));
    assert_eq!(answer.field("retry-after"), Some("1"));
    until_it_said(&world, "all connections of `limits.connections` are open", SOON).await;
    go_on.send(true).unwrap();
    assert!(held.join_all().await.into_iter().all(|it| it == Some(200)));
    until_status(&world, "/", 200, SOON).await;
    check_said_once(&world, "all connections of `limits.connections` are open");
}

#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let world = world_with("[limits]\nconnections_per_address = 3\n", echo).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = world.gateway.client().await.unwrap();
        assert_eq!(client.exchange(&get("/")).await.status, Some(200));
        clients.push(client);
    }
    let answer = ask(&world, "/").await;
    assert_eq!((answer.status, answer.end), (Some(429), End::Whole));
    assert_eq!(problem(&answer)["cause"], "rate_limited");
    clients.pop();
    until_status(&world, "/", 200, SOON).await;
}

/// A network of its own, on a wire with ours.
struct Network(String);

impl Network {
    const OURS: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 1);
    const ITS: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 2);

    fn new() -> Network {
        let it = Network(format!("gg{}", std::process::id()));
        let (name, near, far) = (&it.0, format!("{}a", it.0), format!("{}b", it.0));
        run(&format!("ip netns add {name}"));
        run(&format!("ip link add {near} type veth peer name {far} netns {name}"));
        run(&format!("ip addr add {}/30 dev {near}", Self::OURS));
        run(&format!("ip link set {near} up"));
        run(&format!("ip -n {name} addr add {}/30 dev {far}", Self::ITS));
        run(&format!("ip -n {name} link set {far} up"));
        run(&format!("ip -n {name} link set lo up"));
        it
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Its wire goes with it.
        run(&format!("ip netns del {}", self.0));
    }
}

fn run(line: &str) {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().expect("a command"));
    assert!(command.args(words).status().expect("it is installed").success(), "{line}");
}

#[tokio::test]
async fn without_ports_requests_are_answered_and_it_recovers() {
    if !is_root() {
        return eprintln!("skipped: only root has networks of its own");
    }
    let network = Network::new();
    let through = format!("ip netns exec {}", network.0);
    // Four ports.
    let range = "echo 40000 40003 > /proc/sys/net/ipv4/ip_local_port_range";
    let words = ["ip", "netns", "exec", &network.0, "sh", "-c", range];
    assert!(Command::new(words[0]).args(&words[1..]).status().unwrap().success());
    let hardship = Hardship { address: Some(Network::ITS), ..Hardship::through(&through) };
    let listener = std::net::TcpListener::bind((Network::OURS, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (go_on, wait) = tokio::sync::watch::channel(false);
    let upstream = stage::serve(tokio::net::TcpListener::from_std(listener).unwrap(), move |it| {
        holding(it, wait.clone())
    });
    let config = format!("[route.app]\nmatch = \"/*\"\nto = \"{url}\"\n");
    let gateway = Gateway::under(&hardship, &config).await.unwrap_or_else(|it| panic!("{it}"));
    let world = World::new(gateway, upstream);
    let mut held = JoinSet::new();
    for _ in 0..4 {
        let mut client = world.gateway.client().await.unwrap();
        held.spawn(async move {
            client.send(&get("/hold")).await.unwrap();
            client.answer().await.status
        });
    }
    until_it_said_or_busy(&world, 4).await;
    let answer = ask(&world, "/").await;
    assert_eq!(answer.status, Some(503), "{}", answer.text());
    let cause = lab::table::proxy_status(&answer, "cause");
    assert_eq!(cause, Some("ephemeral_ports_exhausted"));
    assert_eq!(answer.field("retry-after"), Some("1"));
    until_it_said(&world, "no local port is left", SOON).await;
    go_on.send(true).unwrap();
    assert!(held.join_all().await.into_iter().all(|it| it == Some(200)));
    until_status(&world, "/", 200, SOON).await;
    check_said_once(&world, "no local port is left");
}

/// Waits until so many connections to targets are in use.
async fn until_it_said_or_busy(world: &World, count: usize) {
    until(SOON, "they are held", async || {
        let mut client = Client::connect(world.gateway.status).await.expect("the test can go on");
        let text = client.exchange(&get("/metrics")).await.text();
        let busy = text
            .lines()
            .filter(|it| it.contains("state=\"busy\"}"))
            .filter_map(|it| it.rsplit_once(' ').and_then(|it| it.1.parse::<usize>().ok()));
        let busy: usize = busy.sum();
        (busy == count).then_some(()).ok_or_else(|| busy.to_string())
    })
    .await;
}

/// A control group of memory, gone when dropped.
struct Group(PathBuf);

impl Group {
    /// `None` where no such group can be made.
    fn new() -> Option<Group> {
        let name = format!("goodgate-lab-{}", std::process::id());
        let roots = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];
        let group =
            roots.map(|it| Group(PathBuf::from(it).join(&name))).into_iter().find(|it| {
                it.0.parent().is_some_and(|it| it.join("cgroup.procs").is_file())
                    && fs::create_dir(&it.0).is_ok()
            })?;
        group.file("limit").is_file().then_some(group)
    }

    fn file(&self, what: &str) -> PathBuf {
        let first = self.0.join("memory.limit_in_bytes").is_file();
        self.0.join(match (what, first) {
            ("limit", true) => "memory.limit_in_bytes",
            ("limit", false) => "memory.max",
            (_, true) => "memory.usage_in_bytes",
            (_, false) => "memory.current",
        })
    }

    fn allow(&self, bytes: u64) {
        fs::write(self.file("limit"), bytes.to_string()).expect("the limit can be set");
    }

    fn used(&self) -> u64 {
        let text = fs::read_to_string(self.file("usage")).expect("it is there");
        text.trim().parse().expect("a number")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // While its processes end it is busy.
        let began = std::time::Instant::now();
        while fs::remove_dir(&self.0).is_err() && began.elapsed() < SOON {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[tokio::test]
async fn with_its_memory_nearly_used_up_it_takes_no_new_requests() {
    let Some(group) = is_root().then(Group::new).flatten() else {
        return eprintln!("skipped: no control group of memory can be made here");
    };
    group.allow(1 << 30);
    let enter = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", group.0.display());
    let through = ["sh".to_owned(), "-c".to_owned(), enter].to_vec();
    let hardship = Hardship { through, ..Hardship::default() };
    let (go_on, wait) = tokio::sync::watch::channel(false);
    let world =
        world_under(&hardship, "[limits]\nmemory = 60\n", move |it| holding(it, wait.clone()))
            .await;
    let mut held = world.gateway.client().await.unwrap();
    held.send(&get("/hold")).await.unwrap();
    assert_eq!(ask(&world, "/").await.status, Some(200));
    group.allow(group.used() * 5 / 4);
    until_status(&world, "/", 503, SOON).await;
    let answer = ask(&world, "/").await;
    assert_eq!(problem(&answer)["cause"], "gateway_memory", "{}", answer.text());
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert_eq!(answer.field("connection"), Some("close"));
    until_it_said(&world, "memory is nearly used up", SOON).await;
    // What was there before is served to its end.
    go_on.send(true).unwrap();
    assert_eq!(held.answer().await.status, Some(200));
    group.allow(1 << 30);
    until_status(&world, "/", 200, SOON).await;
    check_said_once(&world, "memory is nearly used up");
    drop(world);
}
