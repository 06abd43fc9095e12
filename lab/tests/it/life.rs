//! The life of the process: started, told to read its configuration again, drained, succeeded,
//! stopped and killed, by signals, commands, its control socket and a service manager.

use crate::doors::Papers;
use crate::world::{get, holds, signal, told};
use lab::client::{Client, End};
use lab::gateway::binary;
use lab::scratch::Scratch;
use lab::stage;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// For a process that starts or ends on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The folder of a gateway, with its configuration.
struct Place {
    scratch: Scratch,
    listen: SocketAddr,
    status: SocketAddr,
}

impl Place {
    fn new(what: &str) -> Place {
        let free = || SocketAddr::from((Ipv4Addr::LOCALHOST, stage::free_port().expect("a port")));
        Place { scratch: Scratch::new(what).expect("a folder"), listen: free(), status: free() }
    }

    /// What serves `rest`.
    fn config(&self, rest: &str) -> String {
        let Place { listen, status, .. } = self;
        format!(
            "workers = 2\nstatus.listen = \"{status}\"\nlog.access = \"off\"\n\
             [shutdown]\ngrace = \"50ms\"\nidle = \"50ms\"\ndeadline = \"10s\"\n\
             [listen]\nhttp = \"{listen}\"\n{rest}"
        )
    }

    fn write(&self, rest: &str) {
        self.scratch.write("goodgate.toml", &self.config(rest)).expect("a file");
    }

    /// With one route that answers so.
    fn answers(&self, text: &str) {
        self.write(&answers(text));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn control(&self) -> PathBuf {
        self.path("goodgate-data/control.sock")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary().expect("goodgate is built"));
        command.args(words).current_dir(self.scratch.path()).stdin(Stdio::null());
        for inherited in ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC"] {
            command.env_remove(inherited);
        }
        command
    }

    /// Starts a gateway, and waits until it serves.
    async fn run(&self, words: &[&str]) -> Run {
        let mut run = self.begin(words);
        run.until_it_says("ready in ").await;
        run
    }

    fn begin(&self, words: &[&str]) -> Run {
        Run::of(&mut self.command(&[&["run"], words].concat()), self.scratch.path())
    }

    /// A command to its end.
    async fn call(&self, words: &[&str]) -> Call {
        let output = timeout(PATIENCE, self.command(words).kill_on_drop(true).output()).await;
        let output = output.expect("it ends").expect("it runs");
        let text = |it| String::from_utf8(it).expect("it prints UTF-8");
        Call {
            exit: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The number of the process that answers.
    async fn pid(&self) -> u64 {
        let status = self.call(&["status", "--format", "json"]).await;
        let status: Value = serde_json::from_str(&status.stdout).expect("JSON");
        status["pid"].as_u64().expect("a number")
    }

    /// What a new connection is answered.
    async fn asked(&self) -> String {
        let mut client = Client::connect(self.listen).await.expect("it listens");
        let answer = client.exchange(&get("/")).await;
        assert_eq!((answer.status, answer.end), (Some(200), End::Whole), "{}", answer.words());
        answer.text()
    }

    async fn until_it_answers(&self, text: &str, run: &Run) {
        let began = Instant::now();
        while self.asked().await != text {
            assert!(began.elapsed() < PATIENCE, "it never answers {text}:\n{}", run.said());
            sleep(LOOK_EVERY).await;
        }
    }

    /// The status and body of the control socket, asked as `curl` does.
    fn curl(&self, words: &[&str], path: &str) -> (u16, Value) {
        let output = std::process::Command::new("curl")
            .args(["--silent", "--max-time", "10", "--unix-socket"])
            .arg(self.control())
            .args(["--write-out", "\n%{http_code}"])
            .args(words)
            .arg(format!("http://goodgate/api/v1/{path}"))
            .output()
            .expect("curl is installed");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let (body, status) = text.rsplit_once('\n').expect("curl writes the status");
        let body = serde_json::from_str(body).unwrap_or_else(|why| panic!("{why}: {text}"));
        (status.parse().expect("a status"), body)
    }
}

fn answers(text: &str) -> String {
    format!("[route.all]\nmatch = \"/*\"\nanswer = {{ body = \"{text}\" }}\n")
}

/// What came of a command.
#[derive(Debug)]
struct Call {
    exit: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Call {
    #[track_caller]
    fn check(&self, exit: i32, words: &str) {
        assert_eq!(self.exit, Some(exit), "{self:?}");
        assert!(self.stdout.contains(words) || self.stderr.contains(words), "{self:?}");
    }
}

/// A gateway that runs, and what it says. It is killed when dropped.
struct Run {
    child: Child,
    log: PathBuf,
}

impl Run {
    fn of(command: &mut Command, folder: &Path) -> Run {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = folder.join(format!("said-{count}.log"));
        command.stdout(Stdio::null()).stderr(File::create(&log).expect("a file"));
        Run { child: command.kill_on_drop(true).spawn().expect("it starts"), log }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).expect("its messages are text")
    }

    async fn until_it_says(&mut self, words: &str) {
        let began = Instant::now();
        while !self.said().contains(words) {
            let ended = self.child.try_wait().expect("it can be asked");
            assert!(
                began.elapsed() < PATIENCE && ended.is_none(),
                "it never says `{words}` ({ended:?}):\n{}",
                self.said()
            );
            sleep(LOOK_EVERY).await;
        }
    }

    fn pid(&self) -> Pid {
        let pid = self.child.id().and_then(|it| Pid::from_raw(it.cast_signed()));
        pid.expect("it has not ended")
    }

    fn tell(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it can be told");
    }

    async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end:\n{}", self.said())).expect("it ended")
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it can be asked").is_none()
    }
}

#[tokio::test]
async fn a_hangup_has_the_configuration_read_again() {
    let place = Place::new("hangup");
    place.answers("one");
    let mut run = place.run(&[]).await;
    assert_eq!(place.asked().await, "one");
    place.answers("two");
    run.tell(Signal::HUP);
    run.until_it_says("reloaded goodgate.toml: 1 route, 0 upstreams").await;
    assert_eq!(place.asked().await, "two");
    // One that comes while the file is being read is not lost.
    for text in ["three", "four"] {
        place.answers(text);
        run.tell(Signal::HUP);
    }
    place.until_it_answers("four", &run).await;
    place.answers("two");
    run.tell(Signal::HUP);
    place.until_it_answers("two", &run).await;
    // Without a file there is nothing to read.
    let urls = Place::new("hangup-urls");
    let (url, listen) = (format!("http://{}", place.listen), urls.listen.to_string());
    let mut run = urls.run(&[&url, "--listen", &listen]).await;
    run.tell(Signal::HUP);
    run.until_it_says("there is no file to read again").await;
    assert_eq!(urls.asked().await, "two");
    assert!(!urls.control().exists(), "with a URL there is no folder");
}

#[tokio::test]
async fn a_bad_file_keeps_what_runs_and_every_complaint_is_told() {
    let place = Place::new("bad-file");
    place.answers("one");
    let mut run = place.run(&[]).await;
    place.write("[route.all]\nmatch = 7\nto = 8\n");
    run.tell(Signal::HUP);
    run.until_it_says("what ran before goes on").await;
    for complaint in ["route.all.match", "route.all.to"] {
        assert!(run.said().contains(complaint), "{}", run.said());
    }
    assert_eq!(place.asked().await, "one");
    let status = place.call(&["status"]).await;
    status.check(0, "is refused:");
    status.check(0, "route.all.match");
    let reload = place.call(&["reload"]).await;
    reload.check(3, "route.all.to");
    assert!(reload.stdout.is_empty(), "{reload:?}");
    fs::remove_file(place.path("goodgate.toml")).expect("it is there");
    place.call(&["reload", "--data", "goodgate-data"]).await.check(3, "cannot read");
    place.answers("two");
    place.call(&["reload"]).await.check(0, "reloaded goodgate.toml: 1 route, 0 upstreams");
    assert_eq!(place.asked().await, "two");
    let status = place.call(&["status", "--format", "json"]).await;
    let status: Value = serde_json::from_str(&status.stdout).expect("JSON");
    assert!(status["reloads"]["refused"].is_null(), "{status}");
    assert!(status["reloads"]["succeeded"].is_string(), "{status}");
}

#[tokio::test]
async fn the_control_socket_answers_whoever_may_ask() {
    let place = Place::new("curl");
    place.answers("one");
    let mut run = place.run(&[]).await;
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&place.control()), 0o600);
    assert_eq!(mode(&place.path("goodgate-data")), 0o700);
    let (status, body) = place.curl(&[], "status");
    assert_eq!((status, &body["state"]), (200, &"serving".into()));
    assert_eq!(body["pid"], u64::from(run.pid().as_raw_nonzero().get().cast_unsigned()));
    assert_eq!(body["live"]["http"][0], place.listen.to_string());
    let (status, body) = place.curl(&["-X", "POST"], "reload");
    assert_eq!((status, &body["routes"]), (200, &1.into()), "{body}");
    place.write("[route.all]\nmatch = 7\n");
    let (status, body) = place.curl(&["-X", "POST"], "reload");
    assert_eq!(status, 422, "{body}");
    assert!(body["error"].as_str().is_some_and(|it| it.contains("route.all.match")), "{body}");
    for (words, path, expected) in [
        (&[][..], "nothing", 404),
        (&[], "reload", 405),
        (&["-X", "PUT"], "drain", 405),
        (&["-d", "{\"now\": 1}"], "stop", 400),
        (&["-d", &"x".repeat(5_000)], "stop", 413),
        (&["-X", "POST"], "takeover", 426),
        (&["-X", "POST", "-H", "Upgrade: goodgate-takeover/9"], "takeover", 426),
    ] {
        let (status, body) = place.curl(words, path);
        assert_eq!(status, expected, "{path}: {body}");
        assert!(body["error"].is_string(), "{path}: {body}");
    }
    let (status, body) = place.curl(&["-X", "POST"], "drain");
    assert_eq!((status, &body["draining"]), (200, &true.into()));
    assert_eq!(place.curl(&[], "status").1["state"], "draining");
    assert_eq!(place.curl(&["-X", "DELETE"], "drain").0, 200);
    assert_eq!(place.curl(&[], "status").1["state"], "serving");
    // Nobody else is held up by connections that say nothing.
    let silent: Vec<UnixStream> =
        (0..8).map(|_| UnixStream::connect(place.control()).expect("it listens")).collect();
    assert_eq!(place.curl(&[], "status").0, 200);
    drop(silent);
    assert_eq!(place.curl(&["-X", "POST"], "stop").0, 200);
    assert_eq!(run.ended().await.code(), Some(0), "{}", run.said());
    assert!(!place.control().exists());
}

#[tokio::test]
async fn commands_find_the_gateway_and_do_what_they_say() {
    let place = Place::new("commands");
    place.answers("one");
    for command in ["status", "reload", "drain", "stop"] {
        place.call(&[command]).await.check(4, "no gateway runs with the folder");
        place.call(&[command, "--config", "no.toml"]).await.check(4, "cannot read `no.toml`");
    }
    let mut run = place.run(&["--data", "here"]).await;
    place.call(&["status"]).await.check(4, "no gateway runs");
    let here = ["--data", "here"];
    place.call(&[&["status"], &here[..]].concat()).await.check(0, "serving: process ");
    place.call(&[&["drain"], &here[..]].concat()).await.check(0, "draining");
    let answer = Client::connect(place.listen).await.unwrap().exchange(&get("/")).await;
    assert_eq!(answer.field("connection"), Some("close"));
    let ready = Client::connect(place.status).await.unwrap().exchange(&get("/readyz")).await;
    assert_eq!(ready.status, Some(503));
    place.call(&[&["drain", "--undo"], &here[..]].concat()).await.check(0, "draining no longer");
    let answer = Client::connect(place.listen).await.unwrap().exchange(&get("/")).await;
    assert_eq!(answer.field("connection"), None);
    // What the command line says stays said.
    place.write(&format!("{}[data]\ndir = \"elsewhere\"\n", answers("one")));
    place.call(&[&["reload"], &here[..]].concat()).await.check(0, "reloaded");
    place.call(&[&["stop"], &here[..]].concat()).await.check(0, "is gone");
    assert!(!run.is_running(), "the command waits until the process is gone");
    assert_eq!(run.ended().await.code(), Some(0));
}

#[tokio::test]
async fn stopping_lets_clients_have_their_answers_unless_it_is_to_be_now() {
    let place = Place::new("stop");
    let (reached, upstream_has_it) = signal();
    let listener = stage::listener().unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let _upstream = stage::serve(listener, move |stream| holds(stream, reached.clone()));
    place.write(&format!("[route.all]\nmatch = \"/*\"\nto = \"{url}\"\n"));
    let mut run = place.run(&[]).await;
    let mut client = Client::connect(place.listen).await.unwrap();
    client.send(&get("/")).await.unwrap();
    told(&upstream_has_it).await;
    assert_eq!(place.curl(&["-X", "POST"], "stop").0, 200);
    run.until_it_says("stopping").await;
    assert_eq!(place.curl(&[], "status").1["state"], "stopping");
    assert_eq!(place.curl(&["-X", "POST"], "reload").0, 409);
    assert!(run.is_running());
    place.call(&["stop", "--now"]).await.check(0, "is gone");
    assert_eq!(run.ended().await.code(), Some(0), "{}", run.said());
    assert!(run.said().contains("stopped with 1 connections still open"), "{}", run.said());
}

#[tokio::test]
async fn one_folder_is_for_one_process_until_that_is_gone_however_it_went() {
    let place = Place::new("one-process");
    place.answers("one");
    let mut first = place.run(&[]).await;
    let second = place.call(&["run"]).await;
    second.check(5, &format!("process {} serves with the folder", first.pid().as_raw_nonzero()));
    second.check(5, "--takeover");
    assert_eq!(place.asked().await, "one");
    first.tell(Signal::KILL);
    first.ended().await;
    assert!(place.control().exists(), "nobody was left to take it away");
    place.answers("two");
    let _third = place.run(&[]).await;
    assert_eq!(place.asked().await, "two");
    place.call(&["status"]).await.check(0, "serving");
}

#[tokio::test]
async fn a_folder_that_cannot_be_had_is_an_error_only_where_it_was_asked_for() {
    let place = Place::new("no-folder");
    fs::write(place.path("goodgate-data"), "a file").unwrap();
    place.answers("one");
    let run = place.run(&[]).await;
    assert!(run.said().starts_with("warning: cannot use the folder"), "{}", run.said());
    assert_eq!(place.asked().await, "one");
    drop(run);
    place.write(&format!("{}[data]\ndir = \"goodgate-data\"\n", answers("one")));
    place.call(&["run"]).await.check(3, "cannot use the folder");
    place.call(&["run", "--data", "goodgate-data/x"]).await.check(3, "cannot use the folder");
    place.call(&["run", "8000", "--takeover"]).await.check(2, "--data DIR");
}

#[tokio::test]
async fn a_changed_file_is_read_again_where_it_is_watched() {
    let place = Place::new("watch");
    place.answers("one");
    let mut run = place.run(&["--watch"]).await;
    place.answers("two");
    place.until_it_answers("two", &run).await;
    place.write("[route.all]\nmatch = 7\n");
    run.until_it_says("what ran before goes on").await;
    place.answers("three");
    place.until_it_answers("three", &run).await;
    let tries = run.said().matches("what ran before goes on").count();
    assert_eq!(tries, 1, "a state of the file is tried once:\n{}", run.said());
}

#[tokio::test]
async fn a_link_that_is_swapped_is_a_change() {
    let place = Place::new("watch-link");
    for version in ["one", "two"] {
        fs::create_dir(place.path(version)).unwrap();
        let text = place.config(&answers(version));
        fs::write(place.path(version).join("goodgate.toml"), text).unwrap();
    }
    // As Kubernetes does for what it mounts from a ConfigMap.
    symlink("one", place.path("..data")).unwrap();
    symlink("..data/goodgate.toml", place.path("goodgate.toml")).unwrap();
    let run = place.run(&["--watch"]).await;
    assert_eq!(place.asked().await, "one");
    symlink("two", place.path("..next")).unwrap();
    fs::rename(place.path("..next"), place.path("..data")).unwrap();
    place.until_it_answers("two", &run).await;
}

/// The certificate that a caller is shown.
async fn shown(papers: &Papers, address: SocketAddr) -> Vec<u8> {
    let stream = papers.dial(address, "one.test", false, &[]).await.expect("TLS");
    let chain = stream.get_ref().1.peer_certificates().expect("a certificate").to_vec();
    chain.first().expect("a certificate").to_vec()
}

#[tokio::test]
async fn renewed_certificates_are_served_and_half_of_a_pair_is_not() {
    let place = Place::new("renewed");
    let papers = Papers::new("life-renewed");
    let (https, address) = papers.https("");
    place.write(&format!("{https}{}", answers("one")));
    let mut run = place.run(&["--no-watch"]).await;
    let first = shown(&papers, address).await;
    // What else was written meanwhile is no part of it: nobody asked for that.
    place.write(&format!("{https}{}", answers("two")));
    let (certificate, key) = papers.issue(&["one.test"]);
    fs::write(papers.path("one.test.pem"), certificate.pem()).unwrap();
    run.until_it_says("the old ones stay in use").await;
    assert_eq!(shown(&papers, address).await, first);
    fs::write(papers.path("one.test.key"), key.serialize_pem()).unwrap();
    run.until_it_says("certificates and keys changed: they were read again").await;
    assert_eq!(shown(&papers, address).await, certificate.der().to_vec());
    assert_eq!(place.asked().await, "one");
    place.call(&["reload"]).await.check(0, "reloaded");
    assert_eq!(place.asked().await, "two");
}

/// Starts what follows as a service manager does, with descriptors of these numbers.
const LAUNCHER: &str = "\
import os, sys
given = [int(it) for it in sys.argv[1].split(',')]
high = [os.dup2(it, 100 + index, inheritable=False) for index, it in enumerate(given)]
for it in given:
    os.set_inheritable(it, False)
for index, it in enumerate(high):
    os.dup2(it, 3 + index)
os.environ.update(LISTEN_FDS=str(len(given)), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
";

#[tokio::test]
async fn sockets_of_a_service_manager_are_served_or_complained_about() {
    let place = Place::new("activation");
    place.answers("one");
    let unused = SocketAddr::from((Ipv4Addr::LOCALHOST, stage::free_port().unwrap()));
    let sockets = [place.listen, unused].map(|it| std::net::TcpListener::bind(it).unwrap());
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let given = [sockets[0].as_raw_fd(), sockets[1].as_raw_fd(), datagrams.as_raw_fd()];
    for it in [sockets[0].as_fd(), sockets[1].as_fd(), datagrams.as_fd()] {
        rustix::io::fcntl_setfd(it, rustix::io::FdFlags::empty()).unwrap();
    }
    // It is in the queue before anybody serves.
    let mut early = Client::connect(place.listen).await.unwrap();
    early.send(&get("/")).await.unwrap();
    let mut command = Command::new("python3");
    command.arg(place.scratch.write("launch.py", LAUNCHER).unwrap());
    command.arg(given.map(|it| it.to_string()).join(",")).arg(binary().unwrap()).arg("run");
    let mut run = Run::of(command.current_dir(place.scratch.path()), place.scratch.path());
    drop(sockets);
    run.until_it_says("serve nobody").await;
    assert!(
        run.said().contains(&format!("{unused} is not in the configuration")),
        "{}",
        run.said()
    );
    assert!(run.said().contains("number 2 is no socket of TCP"), "{}", run.said());
    assert_eq!(early.answer().await.text(), "one");
    assert!(TcpStream::connect(unused).await.is_err());
}

/// Tells what it was given beside what it needs.
const APP: &str = "\
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = ('NOTIFY_SOCKET', 'WATCHDOG_USEC', 'LISTEN_FDS', 'LISTEN_PID')
        said = [it for it in known if it in os.environ]
        descriptors = [f'/proc/self/fd/{it}' for it in range(3, 20)]
        links = {os.readlink(it) for it in descriptors if os.path.exists(it)}
        own = {f'socket:[{os.fstat(it.fileno()).st_ino}]' for it in (self.server.socket, self.connection)}
        said += sorted(it for it in links - own if it.startswith('socket:'))
        text = (' '.join(said) or 'nothing').encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)
http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
";

#[tokio::test]
async fn an_app_that_is_started_has_nothing_of_the_service_manager() {
    let place = Place::new("activation-app");
    let manager = Manager::new(&place);
    let socket = std::net::TcpListener::bind(place.listen).unwrap();
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty()).unwrap();
    let [launcher, app] = [("launch.py", LAUNCHER), ("app.py", APP)]
        .map(|(name, text)| place.scratch.write(name, text).unwrap());
    let mut command = Command::new("python3");
    command.arg(launcher).arg(socket.as_raw_fd().to_string()).arg(binary().unwrap());
    command.args(["run", "--data", "data", "--listen", &place.listen.to_string()]);
    command.args(["--", "python3"]).arg(app);
    command.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "20000000");
    let mut run = Run::of(command.current_dir(place.scratch.path()), place.scratch.path());
    drop(socket);
    run.until_it_says("ready in ").await;
    manager.hears("READY=1\n").await;
    assert_eq!(place.asked().await, "nothing", "{}", run.said());
    place.call(&["stop", "--data", "data"]).await.check(0, "is gone");
    assert_eq!(run.ended().await.code(), Some(0), "{}", run.said());
}

#[tokio::test]
async fn another_process_takes_over_and_no_connection_is_lost() {
    let place = Place::new("takeover");
    let (reached, upstream_has_it) = signal();
    let listener = stage::listener().unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let _upstream = stage::serve(listener, move |stream| holds(stream, reached.clone()));
    let slow = format!("[route.slow]\nmatch = \"/slow\"\nto = \"{url}\"\n");
    place.write(&format!("{slow}{}", answers("one")));
    let mut old = place.run(&["--takeover"]).await;
    let first = place.pid().await;
    // One request stays with the old process.
    let mut client = Client::connect(place.listen).await.unwrap();
    client.send(&get("/slow")).await.unwrap();
    told(&upstream_has_it).await;
    // Others come all the time.
    let (listen, (stop, stopped)) = (place.listen, tokio::sync::watch::channel(false));
    let visitors: Vec<_> = (0..4)
        .map(|_| {
            let stopped = stopped.clone();
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !*stopped.borrow() {
                    let mut client = Client::connect(listen).await.expect("somebody listens");
                    let answer = client.exchange(&get("/")).await;
                    answers.push(format!("{} {}", answer.words(), answer.text()));
                }
                answers
            })
        })
        .collect();
    place.answers("two");
    let mut new = place.run(&["--takeover"]).await;
    assert!(new.said().contains(&format!("took over from process {first}")), "{}", new.said());
    place.until_it_answers("two", &new).await;
    let second = place.pid().await;
    assert_eq!(second, u64::from(new.pid().as_raw_nonzero().get().cast_unsigned()));
    old.until_it_says("finishing what is in flight").await;
    let lock = fs::read_to_string(place.path("goodgate-data/lock")).unwrap();
    assert_eq!(lock.trim(), second.to_string());
    assert!(old.is_running(), "a request is in flight");
    drop(client);
    assert_eq!(old.ended().await.code(), Some(0), "{}", old.said());
    // What the old one leaves behind is the new one's.
    assert_eq!(place.asked().await, "two");
    place.call(&["status"]).await.check(0, "serving");
    place.call(&["run"]).await.check(5, "serves with the folder");
    for _ in 0..4 {
        let next = place.run(&["--takeover"]).await;
        let mut before = std::mem::replace(&mut new, next);
        assert_eq!(before.ended().await.code(), Some(0), "{}", before.said());
    }
    stop.send(true).unwrap();
    let (mut all, mut wrong) = (0, Vec::new());
    for visitor in visitors {
        let answers = visitor.await.unwrap();
        all += answers.len();
        wrong.extend(answers.into_iter().filter(|it| !it.starts_with("200 whole ")));
    }
    assert!(wrong.is_empty() && 0 < all, "{} of {all}: {wrong:?}", wrong.len());
    place.call(&["stop"]).await.check(0, "is gone");
    assert_eq!(new.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_takeover_that_fails_changes_nothing() {
    let place = Place::new("takeover-fails");
    let papers = Papers::new("life-takeover");
    let (https, address) = papers.https("");
    place.write(&format!("{https}{}", answers("one")));
    let mut old = place.run(&[]).await;
    let pid = place.pid().await;
    // A bad file: the old one is not even asked.
    place.write("[route.all]\nmatch = 7\n");
    place.call(&["run", "--takeover"]).await.check(3, "route.all.match");
    // A bad certificate, which is found once the sockets are there.
    let (wrong, _) = papers.https("");
    place.write(&format!("{}{}", wrong.replace("one.test.key", "two.test.key"), answers("two")));
    place.call(&["run", "--takeover"]).await.check(3, "two.test.key");
    old.until_it_says("this one goes on").await;
    // One that is killed in between, or says something else.
    for says in ["", "steady\n"] {
        let mut heir = UnixStream::connect(place.control()).unwrap();
        heir.write_all(
            b"POST /api/v1/takeover HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n\
              Upgrade: goodgate-takeover/1\r\n\r\n",
        )
        .unwrap();
        let mut head = [0; 32];
        heir.read_exact(&mut head).unwrap();
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        // Meanwhile nobody else can.
        place.answers("two");
        place.call(&["run", "--takeover"]).await.check(5, "already");
        heir.write_all(says.as_bytes()).unwrap();
        drop(heir);
        let told = || old.said().matches("this one goes on").count();
        let (began, before) = (Instant::now(), if says.is_empty() { 2 } else { 3 });
        while told() < before {
            assert!(began.elapsed() < PATIENCE, "{}", old.said());
            sleep(LOOK_EVERY).await;
        }
    }
    assert_eq!((place.asked().await.as_str(), place.pid().await), ("one", pid));
    shown(&papers, address).await;
    assert!(old.is_running());
    // And then one succeeds.
    place.answers("three");
    let _new = place.run(&["--takeover"]).await;
    assert_eq!(old.ended().await.code(), Some(0), "{}", old.said());
    assert_eq!(place.asked().await, "three");
}

/// A place whose successor cannot be ready before its certificate is written into a pipe: both hold
/// the sockets until then.
struct Between {
    place: Place,
    old: Run,
    new: Run,
    pipe: PathBuf,
    certificate: String,
}

impl Between {
    async fn new(what: &str) -> Between {
        let place = Place::new(what);
        place.answers("one");
        let old = place.run(&[]).await;
        let papers = Papers::new(&format!("life-{what}"));
        let pipe = place.path("certificate.pem");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo is installed").success());
        let (https, _) = papers.https("");
        let theirs = papers.path("one.test.pem").display().to_string();
        let https = https.replace(&theirs, &pipe.display().to_string());
        place.write(&format!("{https}{}", answers("two")));
        let new = place.begin(&["--takeover"]);
        let certificate = fs::read_to_string(papers.path("one.test.pem")).expect("it was made");
        let between = Between { place, old, new, pipe, certificate };
        between.until_passed_on().await;
        between
    }

    /// Until the new process has the sockets, and waits for its certificate.
    async fn until_passed_on(&self) {
        let began = Instant::now();
        let sockets = |run: &Run| -> HashSet<PathBuf> {
            let folder = format!("/proc/{}/fd", run.pid().as_raw_nonzero());
            let all = fs::read_dir(folder).expect("it has not ended").flatten();
            let links = all.filter_map(|it| fs::read_link(it.path()).ok());
            links.filter(|it| it.to_string_lossy().starts_with("socket:")).collect()
        };
        // One for each of two cores, and that of our own pages.
        while sockets(&self.old).intersection(&sockets(&self.new)).count() < 3 {
            assert!(began.elapsed() < PATIENCE, "{}", self.new.said());
            sleep(LOOK_EVERY).await;
        }
    }

    /// Lets the new process read its certificate, as often as it likes.
    fn let_it_go_on(&self) {
        let (pipe, certificate) = (self.pipe.clone(), self.certificate.clone());
        // It ends with the test's process. Without a pause a reader might never see the end of a copy.
        std::thread::spawn(move || {
            while fs::write(&pipe, &certificate).is_ok() {
                std::thread::sleep(LOOK_EVERY);
            }
        });
    }
}

#[tokio::test]
async fn a_successor_that_is_killed_before_it_is_ready_leaves_the_old_one_as_it_was() {
    let mut between = Between::new("heir-killed").await;
    let pid = between.place.pid().await;
    between.new.tell(Signal::KILL);
    between.new.ended().await;
    between.old.until_it_says("this one goes on").await;
    assert_eq!((between.place.asked().await.as_str(), between.place.pid().await), ("one", pid));
    between.place.call(&["run"]).await.check(5, "serves with the folder");
    between.place.answers("three");
    between.place.call(&["reload"]).await.check(0, "reloaded");
    assert_eq!(between.place.asked().await, "three");
}

#[tokio::test]
async fn a_successor_serves_when_the_old_one_is_killed_before_it_could_leave() {
    let mut between = Between::new("old-killed").await;
    between.old.tell(Signal::KILL);
    between.old.ended().await;
    between.let_it_go_on();
    between.new.until_it_says("which is gone").await;
    between.new.until_it_says("ready in ").await;
    assert_eq!(between.place.asked().await, "two");
    between.place.call(&["status"]).await.check(0, "serving");
    between.place.answers("three");
    between.place.call(&["run"]).await.check(5, "serves with the folder");
}

/// Runs what follows on a terminal of its own until it serves, closes that, and says how it ended.
const TERMINAL: &str = "\
import os, pty, socket, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
until = time.monotonic() + 20
while time.monotonic() < until:
    try:
        socket.create_connection(('127.0.0.1', int(sys.argv[1]))).close()
        break
    except OSError:
        time.sleep(0.01)
os.close(terminal)
while time.monotonic() < until:
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        print(os.waitstatus_to_exitcode(status))
        sys.exit()
    time.sleep(0.01)
os.kill(pid, 9)
print('it stays')
";

#[tokio::test]
async fn a_closed_terminal_ends_it() {
    let place = Place::new("terminal");
    place.answers("one");
    let mut command = Command::new("python3");
    command.arg(place.scratch.write("terminal.py", TERMINAL).unwrap());
    command.arg(place.listen.port().to_string()).arg(binary().unwrap()).arg("run");
    let output = command.current_dir(place.scratch.path()).kill_on_drop(true).output();
    let output = timeout(PATIENCE * 2, output).await.expect("it ends").unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n", "{output:?}");
}

/// A service manager that hears what it is told.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(place: &Place) -> Manager {
        let path = place.path("notify.sock");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        Manager { socket, path }
    }

    /// The next message that begins so; others are passed over.
    async fn hears(&self, beginning: &str) -> String {
        let (began, mut passed) = (Instant::now(), Vec::new());
        loop {
            let mut bytes = [0; 4_096];
            match self.socket.recv(&mut bytes) {
                Ok(length) => {
                    let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
                    if message.starts_with(beginning) {
                        return message;
                    }
                    passed.push(message);
                }
                Err(_) => sleep(LOOK_EVERY).await,
            }
            assert!(began.elapsed() < PATIENCE, "`{beginning}` never comes: {passed:?}");
        }
    }
}

#[tokio::test]
async fn a_service_manager_is_told_how_it_is() {
    let place = Place::new("notify");
    place.answers("one");
    let manager = Manager::new(&place);
    let mut command = place.command(&["run"]);
    command.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "200000");
    let mut run = Run::of(&mut command, place.scratch.path());
    let ready = manager.hears("READY=1\n").await;
    assert!(ready.contains(&format!("\nMAINPID={}\n", run.pid().as_raw_nonzero())), "{ready}");
    assert!(ready.contains(&format!("\nSTATUS=serving on http://{}", place.listen)), "{ready}");
    manager.hears("WATCHDOG=1").await;
    run.tell(Signal::HUP);
    let reloading = manager.hears("RELOADING=1\nMONOTONIC_USEC=").await;
    let micros = reloading.lines().nth(1).and_then(|it| it.split_once('='));
    assert!(micros.is_some_and(|it| it.1.parse::<u64>().is_ok_and(|it| 0 < it)), "{reloading}");
    manager.hears("READY=1\n").await;
    // A refused reload is over too.
    place.write("[route.all]\nmatch = 7\n");
    run.tell(Signal::HUP);
    manager.hears("RELOADING=1\n").await;
    let ready = manager.hears("READY=1\n").await;
    assert!(ready.ends_with("; the last reload was refused"), "{ready}");
    // The successor is the main process, and goes on with the watchdog; the service does not stop.
    place.answers("two");
    let mut command = place.command(&["run", "--takeover"]);
    command.env("NOTIFY_SOCKET", &manager.path);
    let new = Run::of(&mut command, place.scratch.path());
    let ready = manager.hears("READY=1\n").await;
    assert!(ready.contains(&format!("\nMAINPID={}\n", new.pid().as_raw_nonzero())), "{ready}");
    assert_eq!(run.ended().await.code(), Some(0), "{}", run.said());
    manager.hears("WATCHDOG=1").await;
    new.tell(Signal::TERM);
    manager.hears("STOPPING=1\n").await;
}
