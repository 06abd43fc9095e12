//! Targets that are taken out and come back: by order, by what they say of themselves, and in rolling
//! restarts of real servers under load.

use crate::world::{SOON, get};
use lab::client::{Answer, Client};
use lab::gateway::Gateway;
use lab::load::{Goal, Load, Tally};
use lab::scratch::Scratch;
use lab::stage::{self, Task};
use lab::{gateway, python};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Starts and ends of real servers on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A target that counts requests, and may say that it leaves.
struct Target {
    url: String,
    asked: Arc<AtomicUsize>,
    leaves: Arc<AtomicBool>,
    /// Answers wait while this is so.
    holds: watch::Sender<bool>,
    _task: Task,
}

impl Target {
    fn new() -> Target {
        let listener = stage::listener().expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (asked, leaves) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (holds, held) = watch::channel(false);
        let (count, word) = (asked.clone(), leaves.clone());
        let talk = move |stream| talk(stream, count.clone(), word.clone(), held.clone());
        let _task = stage::serve(listener, talk);
        Target { url, asked, leaves, holds, _task }
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }
}

async fn talk(
    mut stream: TcpStream,
    asked: Arc<AtomicUsize>,
    leaves: Arc<AtomicBool>,
    mut held: watch::Receiver<bool>,
) -> io::Result<()> {
    while let Some(request) = stage::read_request(&mut stream).await? {
        let is_check = request.field("user-agent").is_some_and(|it| it.starts_with("goodgate-"));
        if !is_check {
            asked.fetch_add(1, SeqCst);
            let _ = held.wait_for(|it| !it).await;
        }
        let leaves = leaves.load(SeqCst);
        let status = if leaves && is_check { 503 } else { 200 };
        let word = if leaves { "X-Goodgate-Drain: true\r\n" } else { "" };
        let answer = format!("HTTP/1.1 {status} X\r\n{word}Content-Length: 2\r\n\r\nok");
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

async fn start(config: &str) -> Gateway {
    Gateway::start(config).await.unwrap_or_else(|error| panic!("{error}"))
}

fn app(urls: &[&str], more: &str) -> String {
    format!(
        "[upstream.app]\ntargets = {urls:?}\nbalance = \"round_robin\"\n{more}\n\
         [route.app]\nmatch = \"/*\"\nto = \"app\"\n"
    )
}

async fn ask(gateway: &Gateway) -> Answer {
    let mut client = gateway.client().await.expect("it listens");
    client.exchange(&get("/")).await
}

/// So many requests, all of them answered well.
async fn ask_well(gateway: &Gateway, times: usize) {
    for _ in 0..times {
        let answer = ask(gateway).await;
        assert_eq!(answer.status, Some(200), "{}", answer.words());
    }
}

/// What a command prints, and how it ends.
async fn say(gateway: &Gateway, words: &[&str]) -> (Option<i32>, String) {
    let output = gateway.command(words).await.expect("the command runs");
    let text = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    (output.status.code(), text.concat())
}

/// A target as the gateway knows it.
async fn known(gateway: &Gateway, url: &str) -> Value {
    let (_, text) = say(gateway, &["status", "--format", "json"]).await;
    let status: Value = serde_json::from_str(&text).unwrap_or_else(|it| panic!("{it}: {text}"));
    let upstreams = status["live"]["upstreams"].as_array().cloned().unwrap_or_default();
    let targets = upstreams.iter().flat_map(|it| it["targets"].as_array().into_iter().flatten());
    targets.into_iter().find(|it| it["target"] == url).cloned().unwrap_or_default()
}

async fn until(gateway: &Gateway, url: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let known = known(gateway, url).await;
        if holds(&known) {
            return known;
        }
        assert!(began.elapsed() < PATIENCE, "{url} is {known:#}\n{}", gateway.said());
        sleep(LOOK_EVERY).await;
    }
}

async fn until_it_is(gateway: &Gateway, url: &str, state: &str) -> Value {
    until(gateway, url, |it| it["state"] == state).await
}

/// It gets requests, if only some at first.
async fn until_it_is_back(gateway: &Gateway, url: &str) -> Value {
    until(gateway, url, |it| it["state"] == "healthy" || it["state"] == "starting").await
}

#[tokio::test]
async fn a_drained_target_ends_what_it_has_and_gets_nothing_new() {
    let (one, two) = (Target::new(), Target::new());
    let gateway = start(&app(&[&one.url, &two.url], "")).await;
    one.holds.send_replace(true);
    let mut held = gateway.client().await.unwrap();
    let mut asking = Vec::new();
    // One of two in turn is held.
    let waits = async {
        loop {
            let mut client = gateway.client().await.unwrap();
            client.send(&get("/held")).await.expect("it listens");
            asking.push(client);
            let began = Instant::now();
            while one.asked() == 0 && began.elapsed() < Duration::from_millis(200) {
                sleep(LOOK_EVERY).await;
            }
            if one.asked() == 1 {
                break;
            }
        }
    };
    timeout(SOON, waits).await.expect("the first target is asked");
    let (exit, said) = say(&gateway, &["drain", "--target", &one.url]).await;
    assert_eq!(exit, Some(0), "{said}");
    let expected = format!(
        "{} of app gets no new requests, and has 1 request in hand; `--undo` takes it back\n",
        one.url
    );
    assert_eq!(said, expected);
    let before = one.asked();
    ask_well(&gateway, 6).await;
    assert_eq!(one.asked(), before);
    let known = known(&gateway, &one.url).await;
    assert_eq!(
        (&known["state"], &known["why"]),
        (&"draining".into(), &"order".into()),
        "{known:#}"
    );
    one.holds.send_replace(false);
    let answer = asking.pop().expect("it was asked").answer().await;
    assert_eq!(answer.status, Some(200), "{}", answer.words());
    // The last one gets requests all the same.
    let (_, said) = say(&gateway, &["drain", "--target", &two.url]).await;
    assert!(said.contains("so it still gets them"), "{said}");
    assert_eq!(held.exchange(&get("/")).await.status, Some(200));
    say(&gateway, &["drain", "--target", &one.url, "--undo"]).await;
    let (before, other) = (one.asked(), two.asked());
    ask_well(&gateway, 4).await;
    assert_eq!((one.asked(), two.asked()), (before + 4, other));
    let (_, said) = say(&gateway, &["drain", "--target", &two.url, "--undo"]).await;
    assert_eq!(said, format!("{} of app drains no longer\n", two.url));
}

#[tokio::test]
async fn a_target_is_ejected_tried_and_reset_by_order() {
    let (one, two) = (Target::new(), Target::new());
    let gateway = start(&app(&[&one.url, &two.url], "")).await;
    let bare = one.url.strip_prefix("http://").unwrap();
    let (exit, said) = say(&gateway, &["target", "eject", bare, "--for", "10m"]).await;
    assert_eq!((exit, said), (Some(0), format!("{} of app is out for 10m\n", one.url)));
    ask_well(&gateway, 4).await;
    assert_eq!(one.asked(), 0);
    let (_, status) = say(&gateway, &["status"]).await;
    assert!(status.contains("by order, 600 s more") || status.contains("by order, 59"), "{status}");
    let (exit, said) = say(&gateway, &["target", "trial", &one.url, "--upstream", "app"]).await;
    assert_eq!(exit, Some(0), "{said}");
    ask_well(&gateway, 4).await;
    assert!(1 <= one.asked(), "{status}");
    until_it_is_back(&gateway, &one.url).await;
    let (exit, said) = say(&gateway, &["target", "trial", &one.url]).await;
    assert_eq!(exit, Some(5), "{said}");
    assert!(said.contains("is not ejected: it is "), "{said}");
    say(&gateway, &["target", "eject", &one.url]).await;
    say(&gateway, &["target", "reset", &one.url]).await;
    let known = known(&gateway, &one.url).await;
    assert_eq!((&known["state"], &known["until"]), (&"healthy".into(), &Value::Null), "{known:#}");
    for (words, expected) in [
        (&["target", "reset", "http://127.0.0.1:1"][..], "no upstream has a target"),
        (&["target", "reset", &one.url, "--upstream", "apq"], "there is no upstream `apq`"),
        (&["drain", "--target", "x", "--upstream", "app"], "`app` has no target `x`"),
    ] {
        let (exit, said) = say(&gateway, words).await;
        assert_eq!(exit, Some(2), "{said}");
        assert!(
            said.contains(expected) && said.contains(&one.url) | said.contains("`app`"),
            "{said}"
        );
    }
}

/// One console, and one listener for the status alone.
#[tokio::test]
async fn upstreams_are_told_on_the_console_and_nowhere_else() {
    let one = Target::new();
    let gateway = start(&app(&[&one.url], "")).await;
    let ask = |address: SocketAddr, head: &'static str| async move {
        let mut client = Client::connect(address).await.expect("it listens");
        let answer = client.exchange(format!("{head}Connection: close\r\n\r\n").as_bytes()).await;
        (answer.status, answer.text())
    };
    let all = "GET /api/v1/upstreams HTTP/1.1\r\nHost: localhost\r\n";
    assert_eq!(ask(gateway.status, all).await.0, Some(404));
    drop(gateway);
    let scratch = Scratch::new("console").expect("a folder");
    let console = SocketAddr::from(([127, 0, 0, 1], stage::free_port().expect("a port")));
    let listen = SocketAddr::from(([127, 0, 0, 1], stage::free_port().expect("a port")));
    let config = format!(
        "console.listen = \"{console}\"\nlog.access = \"off\"\nlisten.http = \"{listen}\"\n{}",
        app(&[&one.url], "")
    );
    let file = scratch.write("goodgate.toml", &config).expect("a file");
    let mut command = gateway::goodgate().expect("it is built");
    command.arg("run").arg("--config").arg(file).stdin(Stdio::null()).stderr(Stdio::null());
    let _process = command.spawn().expect("it starts");
    until_it_listens(console).await;
    let (status, text) = ask(console, all).await;
    let told: Value = serde_json::from_str(&text).unwrap_or_else(|it| panic!("{it}: {text}"));
    assert_eq!((status, &told["upstreams"][0]["name"]), (Some(200), &"app".into()), "{told:#}");
    let (status, text) =
        ask(console, "GET /api/v1/upstreams/app HTTP/1.1\r\nHost: [::1]:99\r\n").await;
    let told: Value = serde_json::from_str(&text).unwrap_or_else(|it| panic!("{it}: {text}"));
    let target = &told["targets"][0];
    assert_eq!((status, &target["target"]), (Some(200), &one.url.as_str().into()), "{told:#}");
    assert_eq!((&target["state"], &target["pending"]), (&"healthy".into(), &0.into()), "{told:#}");
    for (head, expected) in [
        ("GET /api/v1/upstreams/no HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("GET /api/v1/upstreams/app/x HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("GET /api/v1/upstreams HTTP/1.1\r\nHost: evil.example\r\n", 421),
        (
            "POST /api/v1/upstreams/app/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n",
            405,
        ),
    ] {
        let (status, text) = ask(console, head).await;
        assert_eq!(status, Some(expected), "{head}: {text}");
    }
    assert_eq!(ask(console, "GET /livez HTTP/1.1\r\nHost: evil.example\r\n").await.0, Some(200));
}

#[tokio::test]
async fn a_target_that_says_that_it_leaves_is_left_alone_until_it_says_no_longer() {
    let (one, two) = (Target::new(), Target::new());
    let gateway = start(&app(&[&one.url, &two.url], "")).await;
    one.leaves.store(true, SeqCst);
    let began = Instant::now();
    while one.asked() == 0 {
        assert!(began.elapsed() < SOON, "it is never asked");
        let answer = ask(&gateway).await;
        assert_eq!(answer.field("x-goodgate-drain"), None, "{}", answer.words());
    }
    let known = until_it_is(&gateway, &one.url, "draining").await;
    assert_eq!(known["why"], "announced", "{known:#}");
    let (before, other) = (one.asked(), two.asked());
    ask_well(&gateway, 10).await;
    // One a second looks.
    assert!(one.asked() <= before + 2 && other + 8 <= two.asked(), "{}", one.asked() - before);
    one.leaves.store(false, SeqCst);
    let back = async {
        while self::known(&gateway, &one.url).await["state"] == "draining" {
            ask_well(&gateway, 1).await;
        }
    };
    timeout(PATIENCE, back).await.expect("it comes back");
}

#[tokio::test]
async fn one_check_that_says_so_is_enough() {
    let (one, two) = (Target::new(), Target::new());
    let health = "health = { path = \"/health\", interval = \"30ms\", timeout = \"300ms\", unhealthy_after = 100 }";
    let gateway = start(&app(&[&one.url, &two.url], health)).await;
    one.leaves.store(true, SeqCst);
    let known = until_it_is(&gateway, &one.url, "draining").await;
    assert_eq!(known["why"], "announced", "{known:#}");
    one.leaves.store(false, SeqCst);
    until_it_is_back(&gateway, &one.url).await;
}

async fn until_it_listens(at: SocketAddr) {
    let began = Instant::now();
    while TcpStream::connect(at).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "nobody listens at {at}");
        sleep(LOOK_EVERY).await;
    }
}

/// Each answer takes 20 ms, and says that the process leaves where a file says so.
const APP: &str = "\
import asyncio, os, time

MARK = os.environ['MARK']


def fields():
    return [('Content-Length', '2')] + [('X-Goodgate-Drain', 'true')] * os.path.exists(MARK)


def wsgi(environ, start_response):
    environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
    time.sleep(0.02)
    start_response('200 OK', fields())
    return [b'ok']


async def asgi(scope, receive, send):
    if scope['type'] != 'http':
        return
    while (await receive()).get('more_body'):
        pass
    await asyncio.sleep(0.02)
    headers = [(name.lower().encode(), value.encode()) for name, value in fields()]
    await send({'type': 'http.response.start', 'status': 200, 'headers': headers})
    await send({'type': 'http.response.body', 'body': b'ok'})
";

/// One of two servers of the same app.
struct Instance {
    folder: Arc<Scratch>,
    words: &'static str,
    address: SocketAddr,
    process: Child,
}

impl Instance {
    async fn new(folder: Arc<Scratch>, words: &'static str) -> Instance {
        let port = stage::free_port().expect("a free port");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let process = begin(&folder, words, address);
        until_it_listens(address).await;
        Instance { folder, words, address, process }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn mark(&self) -> PathBuf {
        mark(&self.folder, self.address)
    }

    /// Ends it by SIGTERM and starts it again.
    async fn restart(&mut self) {
        let pid = self.process.id().and_then(|it| Pid::from_raw(it.cast_signed()));
        kill_process(pid.expect("it runs"), Signal::TERM).expect("it is ours");
        timeout(PATIENCE, self.process.wait()).await.expect("it ends").expect("it is ours");
        // It was there only where the app has said so.
        let _ = fs::remove_file(self.mark());
        self.process = begin(&self.folder, self.words, self.address);
        until_it_listens(self.address).await;
    }
}

fn mark(folder: &Scratch, address: SocketAddr) -> PathBuf {
    folder.path().join(format!("leaves-{}", address.port()))
}

fn begin(folder: &Scratch, words: &str, address: SocketAddr) -> Child {
    let words = words.replace("{address}", &address.to_string());
    let words = words.replace("{port}", &address.port().to_string());
    let (name, rest) = words.split_once(' ').expect("a program and its arguments");
    let program = python::program(name).unwrap_or_else(|error| panic!("{error}"));
    let log = folder.path().join(format!("{}.log", address.port()));
    let log = File::options().create(true).append(true).open(log).expect("a file");
    let mut command = Command::new(program);
    command.args(rest.split(' ')).current_dir(folder.path()).env("MARK", mark(folder, address));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    command.spawn().expect("it starts")
}

/// Clients of the load that keep their connections, and what each waits between two requests.
const CLIENTS: usize = 20;
const GAP: Duration = Duration::from_millis(500);

/// Restarts both of two such servers twice under load. Gives what came of GET and of POST.
async fn roll(words: &'static str, announced: bool) -> [Tally; 2] {
    let folder = Arc::new(Scratch::new("deploys").expect("a folder"));
    folder.write("app.py", APP).expect("it is ours");
    let mut instances =
        [Instance::new(folder.clone(), words).await, Instance::new(folder.clone(), words).await];
    let urls = instances.each_ref().map(Instance::url);
    let gateway = start(&app(&urls.each_ref().map(String::as_str), "")).await;
    let goal = Goal::plain(gateway.listen);
    let kept = Load::reading(&goal, CLIENTS, GAP);
    let fresh = Load::fresh(&goal, 30, 100);
    let posts = Load::paced(&goal, CLIENTS, GAP);
    for _ in 0..2 {
        for instance in &mut instances {
            let url = instance.url();
            assert!(posts.answers_more(20).await, "{}", gateway.said());
            if announced {
                File::create(instance.mark()).expect("a file");
                let idle = |it: &Value| it["state"] == "draining" && it["pending"] == 0;
                until(&gateway, &url, idle).await;
            }
            instance.restart().await;
            until_it_is_back(&gateway, &url).await;
        }
    }
    assert!(posts.answers_more(20).await, "{}", gateway.said());
    let mut reads = kept.stop().await;
    let (fresh, posts) = (fresh.stop().await, posts.stop().await);
    for (status, count) in fresh.answers {
        *reads.answers.entry(status).or_default() += count;
    }
    for (loss, count) in fresh.losses {
        *reads.losses.entry(loss).or_default() += count;
    }
    // What a server had taken from the kernel is answered. What it had not is reset, and nobody can
    // tell which it was.
    let failed = gateway.records().into_iter().filter(|it| it["status"] != 200);
    for it in failed {
        assert_eq!(
            (&it["method"], &it["cause"]),
            (&"POST".into(), &"connection_reset".into()),
            "{it:#}"
        );
    }
    [reads, posts]
}

/// Nothing is lost where the app says that it leaves; where it does not, no GET is.
async fn check(words: &'static str) {
    let [reads, posts] = roll(words, true).await;
    assert_eq!((reads.failed(), posts.failed()), (0, 0), "GET: {reads}\nPOST: {posts}");
    let [reads, posts] = roll(words, false).await;
    assert_eq!(reads.failed(), 0, "GET: {reads}\nPOST: {posts}");
    assert!(posts.failed() * 10 < posts.asked(), "GET: {reads}\nPOST: {posts}");
}

#[tokio::test]
async fn rolling_restarts_of_gunicorn_lose_nothing() {
    check("gunicorn --no-control-socket -b {address} -w 2 --keep-alive 5 -k gthread --threads 8 app:wsgi")
        .await;
}

#[tokio::test]
async fn rolling_restarts_of_gunicorn_without_threads_lose_nothing() {
    check("gunicorn --no-control-socket -b {address} -w 4 app:wsgi").await;
}

#[tokio::test]
async fn rolling_restarts_of_uvicorn_lose_nothing() {
    check("uvicorn --host 127.0.0.1 --port {port} --timeout-graceful-shutdown 5 app:asgi").await;
}
