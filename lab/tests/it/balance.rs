//! Which target gets a request: by each balance, with weights, keys and cookies, and how many it gets at
//! a time.

use crate::world::{SOON, get};
use lab::client::{Answer, Client};
use lab::gateway::Gateway;
use lab::stage::{self, Task};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// What a target has in hand, and had at most.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

impl Load {
    fn begin(&self) {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
        self.all.fetch_add(1, SeqCst);
    }
}

/// A target that answers with its name.
struct Target {
    name: &'static str,
    url: String,
    load: Arc<Load>,
    /// Requests for `/held` are answered while it is open.
    gate: watch::Sender<bool>,
    task: Option<Task>,
}

impl Target {
    fn new(name: &'static str) -> Target {
        Target::slow(name, Duration::ZERO)
    }

    /// It thinks for so long about each request.
    fn slow(name: &'static str, thinks: Duration) -> Target {
        let listener = stage::listener().expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (load, gate) = (Arc::<Load>::default(), watch::Sender::new(false));
        let task = Some(serve(name, listener, thinks, &load, &gate));
        Target { name, url, load, gate, task }
    }

    fn dies(&mut self) {
        self.task = None;
    }

    fn in_hand(&self) -> usize {
        self.load.now.load(SeqCst)
    }

    async fn until_in_hand(&self, count: usize) {
        until(|| count <= self.in_hand(), "so many requests never came").await;
    }
}

fn serve(
    name: &'static str,
    listener: TcpListener,
    thinks: Duration,
    load: &Arc<Load>,
    gate: &watch::Sender<bool>,
) -> Task {
    let (load, gate) = (load.clone(), gate.subscribe());
    stage::serve(listener, move |stream| talk(stream, name, thinks, load.clone(), gate.clone()))
}

async fn talk(
    mut stream: TcpStream,
    name: &'static str,
    thinks: Duration,
    load: Arc<Load>,
    mut gate: watch::Receiver<bool>,
) -> io::Result<()> {
    while let Some(request) = stage::read_request(&mut stream).await? {
        load.begin();
        if request.target() == "/held" {
            gate.wait_for(|open| *open).await.map_err(io::Error::other)?;
        }
        sleep(thinks).await;
        load.now.fetch_sub(1, SeqCst);
        let length = name.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

async fn until(holds: impl Fn() -> bool, else_: &str) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "{else_}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Nothing but the balance decides.
const EVEN: &str = "eject = { after = 0, errors = \"0%\", slower = 0 }\nslow_start = \"0s\"\n";

fn config(targets: &[&Target], more: &str) -> String {
    let urls: Vec<_> = targets.iter().map(|it| &it.url).collect();
    written(&format!("{urls:?}"), more)
}

fn written(targets: &str, more: &str) -> String {
    format!(
        "[upstream.app]\ntargets = {targets}\n{EVEN}{more}\n\
         [route.app]\nmatch = \"/*\"\nto = \"app\"\n"
    )
}

async fn start(config: &str) -> Gateway {
    Gateway::start(config).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn ask(gateway: &Gateway, fields: &str) -> Answer {
    let mut client = gateway.client().await.expect("it listens");
    let request = format!("GET / HTTP/1.1\r\nHost: lab.test\r\n{fields}\r\n");
    let answer = client.exchange(request.as_bytes()).await;
    assert_eq!(answer.status, Some(200), "{}", answer.words());
    answer
}

type Counts = BTreeMap<String, usize>;

type Expected<'a> = &'a dyn Fn(&Counts) -> bool;

/// How many of so many requests, one after the other, each target answered.
async fn counts(gateway: &Gateway, requests: usize) -> Counts {
    let mut client = gateway.client().await.expect("it listens");
    let mut counts = Counts::new();
    for _ in 0..requests {
        let answer = client.exchange(&get("/")).await;
        assert_eq!(answer.status, Some(200), "{}", answer.words());
        *counts.entry(answer.text()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn each_balance_spreads_requests_in_its_way() {
    let (one, two, three) = (Target::new("one"), Target::new("two"), Target::new("three"));
    let all = [&one, &two, &three];
    let each = |counts: &Counts, least: usize, most: usize| {
        all.iter().all(|it| (least..=most).contains(counts.get(it.name).unwrap_or(&0)))
    };
    let table: [(&str, Expected<'_>); 5] = [
        ("round_robin", &|it| each(it, 40, 40)),
        ("random", &|it| each(it, 15, 75)),
        ("least_pending", &|it| each(it, 15, 75)),
        // One that happens to be quick gets more.
        ("peak_ewma", &|it| it.values().sum::<usize>() == 120),
        // All come from one address.
        ("hash", &|it| it.len() == 1),
    ];
    for (balance, expected) in table {
        let gateway = start(&config(&all, &format!("balance = \"{balance}\""))).await;
        let counts = counts(&gateway, 120).await;
        assert!(expected(&counts), "{balance}: {counts:?}");
    }
}

#[tokio::test]
async fn weights_are_parts_of_the_requests() {
    let (one, two) = (Target::new("one"), Target::new("two"));
    let targets = format!("[{{ url = {:?}, weight = 3 }}, {:?}]", one.url, two.url);
    // Of 200 requests; three quarters are 150.
    for (balance, near) in [("round_robin", 4), ("random", 28), ("least_pending", 28)] {
        let gateway = start(&written(&targets, &format!("balance = \"{balance}\""))).await;
        let counts = counts(&gateway, 200).await;
        assert!(counts["one"].abs_diff(150) <= near, "{balance}: {counts:?}");
    }
    // Each address has its target; three quarters of them the one with the weight.
    let more = "balance = \"hash\"\nhash = \"header:X-User\"";
    let gateway = start(&written(&targets, more)).await;
    let mut of_one = 0;
    for user in 0..200 {
        of_one += usize::from(ask(&gateway, &format!("X-User: {user}\r\n")).await.text() == "one");
    }
    assert!(of_one.abs_diff(150) <= 28, "{of_one}");
}

/// Keys, as fields of requests, that lie in one place of these.
async fn keys_move_only_with_their_target(listen: &str, hash: &str, field: impl Fn(u32) -> String) {
    let (one, two, three) = (Target::new("one"), Target::new("two"), Target::new("three"));
    let more = format!("balance = \"hash\"\nhash = \"{hash}\"");
    let config = |targets: &[&Target]| format!("{listen}{}", config(targets, &more));
    let gateway = start(&config(&[&one, &two, &three])).await;
    let mut before = Vec::new();
    for key in 0..60 {
        let name = ask(&gateway, &field(key)).await.text();
        assert_eq!(ask(&gateway, &field(key)).await.text(), name, "{hash} {key}");
        before.push(name);
    }
    let of_two = before.iter().filter(|it| *it == "two").count();
    assert!((6..=36).contains(&of_two), "{hash}: {before:?}");
    let output = gateway.reload(&config(&[&one, &three])).await.expect("the command runs");
    assert!(output.status.success(), "{}", gateway.said());
    for (key, before) in before.iter().enumerate() {
        let after = ask(&gateway, &field(key as u32)).await.text();
        assert!(after == *before || before == "two", "{hash} {key}: {before} {after}");
        assert_ne!(after, "two");
    }
}

#[tokio::test]
async fn the_keys_of_a_removed_target_move_and_no_others() {
    let header = |key| format!("X-User: user-{key}\r\n");
    keys_move_only_with_their_target("", "header:X-User", header).await;
    let cookie = |key| format!("Cookie: a=b; sid=session-{key}\r\n");
    keys_move_only_with_their_target("", "cookie:sid", cookie).await;
    let address = |key| format!("X-Forwarded-For: 192.0.2.{key}\r\n");
    let trusted = "trusted_proxies = [\"127.0.0.1\"]\n";
    keys_move_only_with_their_target(trusted, "address", address).await;
}

/// So many requests for `/held`, each begun when the one before it has reached a target.
async fn hold(gateway: &Gateway, targets: [&Target; 2], count: usize) -> JoinSet<Answer> {
    let mut held = JoinSet::new();
    let before = targets.map(Target::in_hand).iter().sum::<usize>();
    for at in 1..=count {
        let mut client = gateway.client().await.expect("it listens");
        let request = b"GET /held HTTP/1.1\r\nHost: lab.test\r\nX-User: ann\r\n\r\n";
        held.spawn(async move { client.exchange(request).await });
        let there = || before + at <= targets.map(Target::in_hand).iter().sum::<usize>();
        until(there, "it never reached a target").await;
    }
    held
}

async fn let_go(targets: &[&Target], mut held: JoinSet<Answer>) {
    for it in targets {
        it.gate.send_replace(true);
    }
    while let Some(answer) = held.join_next().await {
        assert_eq!(answer.expect("no panic").status, Some(200));
    }
}

#[tokio::test]
async fn a_key_that_is_asked_for_too_much_spills_over() {
    let (one, two) = (Target::new("one"), Target::new("two"));
    let more = "balance = \"hash\"\nhash = \"header:X-User\"\nconcurrency = { adaptive = false }";
    let gateway = start(&config(&[&one, &two], more)).await;
    let held = hold(&gateway, [&one, &two], 8).await;
    let mut spread = [one.in_hand(), two.in_hand()];
    spread.sort_unstable();
    // A quarter above half of eight; without the bound it would be all.
    assert_eq!(spread, [3, 5]);
    let_go(&[&one, &two], held).await;
}

#[tokio::test]
async fn the_one_with_less_in_hand_gets_the_next() {
    let (one, two) = (Target::new("one"), Target::new("two"));
    let more = "balance = \"least_pending\"\nconcurrency = { adaptive = false }";
    let gateway = start(&config(&[&one, &two], more)).await;
    let held = hold(&gateway, [&one, &two], 8).await;
    assert_eq!([one.in_hand(), two.in_hand()], [4, 4]);
    let_go(&[&one, &two], held).await;
}

#[tokio::test]
async fn a_slow_target_gets_less_where_its_slowness_counts() {
    for balance in ["least_pending", "peak_ewma"] {
        let slow = Target::slow("slow", Duration::from_millis(60));
        let quick = Target::slow("quick", Duration::from_millis(2));
        let more = format!("balance = \"{balance}\"\nconcurrency = {{ adaptive = false }}");
        let gateway = start(&config(&[&slow, &quick], &more)).await;
        let mut callers = JoinSet::new();
        for _ in 0..6 {
            let mut client = gateway.client().await.expect("it listens");
            callers.spawn(async move {
                for _ in 0..30 {
                    assert_eq!(client.exchange(&get("/")).await.status, Some(200));
                }
            });
        }
        callers.join_all().await;
        let (slow, quick) = (slow.load.all.load(SeqCst), quick.load.all.load(SeqCst));
        assert_eq!(slow + quick, 180, "{balance}");
        assert!(slow * 3 < quick, "{balance}: {slow} and {quick}");
    }
}

const STICKY: &str = "sticky = \"cookie\"\nqueue = { gone = \"0s\" }";

/// What a browser sends back of this.
fn cookie_of(answer: &Answer) -> String {
    let set = answer.field("set-cookie").unwrap_or_else(|| panic!("{}", answer.head));
    format!("Cookie: other=1; {}\r\n", set.split(';').next().unwrap_or_default())
}

#[tokio::test]
async fn a_cookie_keeps_a_caller_with_its_target_until_that_dies() {
    let mut all = [Target::new("one"), Target::new("two"), Target::new("three")];
    let gateway = start(&config(&[&all[0], &all[1], &all[2]], STICKY)).await;
    let first = ask(&gateway, "").await;
    let set = first.field("set-cookie").expect("a cookie").to_owned();
    assert!(set.starts_with("goodgate~app="), "{set}");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
    assert!(all.iter().all(|it| !set.contains(&it.url[7..])), "{set}");
    let cookie = cookie_of(&first);
    for _ in 0..12 {
        let answer = ask(&gateway, &cookie).await;
        assert_eq!((answer.text(), answer.field("set-cookie")), (first.text(), None));
    }
    // Another one dies: nothing changes.
    let other = all.iter_mut().find(|it| it.name != first.text()).expect("there are three");
    other.dies();
    for _ in 0..12 {
        let answer = ask(&gateway, &cookie).await;
        assert_eq!((answer.text(), answer.field("set-cookie")), (first.text(), None));
    }
    // Its own does: the caller gets another one, and stays there.
    let own = all.iter_mut().find(|it| it.name == first.text()).expect("it answered");
    own.dies();
    let moved = ask(&gateway, &cookie).await;
    let alive = all.iter().find(|it| it.task.is_some()).expect("one is left");
    assert_eq!(moved.text(), alive.name);
    let cookie = cookie_of(&moved);
    for _ in 0..6 {
        let answer = ask(&gateway, &cookie).await;
        assert_eq!((answer.text().as_str(), answer.field("set-cookie")), (alive.name, None));
    }
    // What is no target of ours is no cookie of ours.
    let stranger = ask(&gateway, "Cookie: goodgate~app=0123456789abcdef\r\n").await;
    assert!(stranger.field("set-cookie").is_some());
}

#[tokio::test]
async fn a_cookie_holds_through_reloads_and_in_other_gateways() {
    let (one, two, three) = (Target::new("one"), Target::new("two"), Target::new("three"));
    let gateway = start(&config(&[&one, &two], STICKY)).await;
    let other = start(&config(&[&three, &two, &one], STICKY)).await;
    let first = ask(&gateway, "").await;
    let cookie = cookie_of(&first);
    let output = gateway.reload(&config(&[&three, &two, &one], STICKY)).await.expect("it runs");
    assert!(output.status.success(), "{}", gateway.said());
    for gateway in [&gateway, &other, &gateway, &other] {
        assert_eq!(ask(gateway, &cookie).await.text(), first.text());
    }
}

#[tokio::test]
async fn a_full_target_gives_its_callers_away() {
    let (one, two) = (Target::new("one"), Target::new("two"));
    let more = format!("{STICKY}\nconcurrency = {{ adaptive = false, requests = 1 }}");
    let gateway = start(&config(&[&one, &two], &more)).await;
    let first = ask(&gateway, "").await;
    let cookie = cookie_of(&first);
    let (own, other) = if first.text() == one.name { (&one, &two) } else { (&two, &one) };
    let mut client = gateway.client().await.unwrap();
    let request = format!("GET /held HTTP/1.1\r\nHost: lab.test\r\n{cookie}\r\n");
    let held = tokio::spawn(async move { client.exchange(request.as_bytes()).await });
    own.until_in_hand(1).await;
    let moved = ask(&gateway, &cookie).await;
    assert_eq!(moved.text(), other.name);
    own.gate.send_replace(true);
    assert_eq!(held.await.unwrap().text(), own.name);
    assert_eq!(ask(&gateway, &cookie_of(&moved)).await.text(), other.name);
}

/// A route that divides callers by a cookie of its own may have the name of its upstream.
#[tokio::test]
async fn the_cookies_of_a_route_and_of_an_upstream_are_two() {
    let (one, two) = (Target::new("one"), Target::new("two"));
    let config = format!(
        "[upstream.app]\ntargets = [{:?}, {:?}]\n{EVEN}{STICKY}\n\
         [upstream.next]\ntargets = [{:?}, {:?}]\n{EVEN}{STICKY}\n\
         [route.app]\nmatch = \"/*\"\nsticky = \"cookie\"\n\
         to = [{{ upstream = \"app\" }}, {{ upstream = \"next\" }}]\n",
        one.url, two.url, one.url, two.url
    );
    let gateway = start(&config).await;
    let first = ask(&gateway, "").await;
    let set = first.fields("set-cookie");
    let pairs: Vec<_> = set.iter().filter_map(|it| it.split(';').next()).collect();
    assert_eq!(pairs.len(), 2, "{}", first.head);
    assert!(pairs[0].starts_with("goodgate-app="), "{pairs:?}");
    assert!(pairs[1].starts_with("goodgate~app=") || pairs[1].starts_with("goodgate~next="));
    let cookie = format!("Cookie: {}\r\n", pairs.join("; "));
    for _ in 0..8 {
        let answer = ask(&gateway, &cookie).await;
        assert_eq!((answer.text(), answer.field("set-cookie")), (first.text(), None));
    }
}

#[tokio::test]
async fn a_cookie_that_is_set_under_tls_stays_there() {
    let one = Target::new("one");
    let trusted = "trusted_proxies = [\"127.0.0.1\"]\n";
    let gateway = start(&format!("{trusted}{}", config(&[&one], STICKY))).await;
    let plain = ask(&gateway, "").await;
    // Before the proxy that ends it.
    let secure = ask(&gateway, "X-Forwarded-Proto: https\r\n").await;
    let ends = |it: &Answer| it.field("set-cookie").is_some_and(|it| it.ends_with("; Secure"));
    assert!(!ends(&plain) && ends(&secure), "{}\n{}", plain.head, secure.head);
}

#[tokio::test]
async fn requests_beyond_the_limit_wait_and_those_beyond_the_queue_are_refused() {
    let one = Target::new("one");
    let more = "concurrency = { adaptive = false, requests = 2 }\n\
                queue = { requests = 2, full = \"30s\" }";
    let gateway = start(&config(&[&one], more)).await;
    let mut callers = JoinSet::new();
    let call = async |callers: &mut JoinSet<Answer>, count: usize| {
        for _ in 0..count {
            let mut client = gateway.client().await.expect("it listens");
            callers.spawn(async move { client.exchange(&get("/held")).await });
        }
    };
    call(&mut callers, 2).await;
    one.until_in_hand(2).await;
    // Two of them may wait.
    call(&mut callers, 3).await;
    let refused = callers.join_next().await.expect("there are five").expect("no panic");
    assert_eq!(refused.status, Some(503), "{}", refused.words());
    assert_eq!(refused.field("retry-after"), Some("1"));
    assert!(refused.field("proxy-status").is_some_and(|it| it.contains("gateway_queue_timeout")));
    one.gate.send_replace(true);
    while let Some(answer) = callers.join_next().await {
        assert_eq!(answer.unwrap().status, Some(200));
    }
    assert_eq!(one.load.most.load(SeqCst), 2);
    let records = gateway.records_soon(5).await;
    let waited = |it: &serde_json::Value| it["phases_ms"]["queue"].as_f64().unwrap_or(0.0) > 1.0;
    assert_eq!(records.iter().filter(|it| it["status"] == 200 && waited(it)).count(), 2);
    assert_eq!(records.iter().filter(|it| it["cause"] == "gateway_queue_timeout").count(), 1);
}

#[tokio::test]
async fn waiting_for_a_full_target_ends_in_time() {
    let one = Target::new("one");
    let more = "concurrency = { adaptive = false, requests = 1 }\nqueue = { full = \"200ms\" }";
    let gateway = start(&config(&[&one], more)).await;
    let mut first = gateway.client().await.unwrap();
    let held = tokio::spawn(async move { first.exchange(&get("/held")).await });
    one.until_in_hand(1).await;
    let began = Instant::now();
    let refused = gateway.client().await.unwrap().exchange(&get("/")).await;
    let took = began.elapsed();
    assert_eq!(refused.status, Some(503), "{}", refused.words());
    assert_eq!(refused.field("retry-after"), Some("1"));
    assert!((200..2_000).contains(&took.as_millis()), "{took:?}");
    let record = gateway.records_soon(1).await.remove(0);
    assert_eq!(record["cause"], "gateway_queue_timeout", "{record}");
    assert_eq!(record["attempts"], 0, "{record}");
    one.gate.send_replace(true);
    assert_eq!(held.await.unwrap().status, Some(200));
}

#[tokio::test]
async fn cores_count_together() {
    let (one, two) = (Target::new("one"), Target::new("two"));
    let more = "concurrency = { adaptive = false, requests = 2 }\nqueue = { full = \"20s\" }";
    let mut gateway = start(&config(&[&one, &two], more)).await;
    let status = gateway.take_over(2, SOON).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(status.success());
    let mut callers = JoinSet::new();
    for _ in 0..24 {
        // Connections are spread over both by the system.
        let mut client = Client::connect(gateway.listen).await.expect("it listens");
        callers.spawn(async move { client.exchange(&get("/held")).await });
    }
    one.until_in_hand(2).await;
    two.until_in_hand(2).await;
    for it in [&one, &two] {
        it.gate.send_replace(true);
    }
    while let Some(answer) = callers.join_next().await {
        assert_eq!(answer.unwrap().status, Some(200));
    }
    assert_eq!([&one, &two].map(|it| it.load.most.load(SeqCst)), [2, 2]);
    let all = [&one, &two].map(|it| it.load.all.load(SeqCst));
    assert_eq!(all.iter().sum::<usize>(), 24);
}
