//! Targets that are names: what moves, what fails, and what the name server itself does.

use crate::peer::{say, serve2};
use crate::survive::is_root;
use crate::world::{SOON, get};
use lab::client::{Answer, Client};
use lab::dns::{Service, Trouble, Zone};
use lab::gateway::{Gateway, Hardship};
use lab::load::{Goal, Load};
use lab::scratch::Scratch;
use lab::stage::{self, Task, read_request};
use serde_json::Value;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// The name of the one target.
const NAME: &str = "app.internal";

/// An address of loopback of each test's own choice.
fn loopback(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 60, 0, last).into()
}

/// A server at one address that says who it is, and counts. Dropped, it takes no more connections;
/// those that are open go on.
struct Server {
    answered: Arc<AtomicU64>,
    _accepting: Task,
}

impl Server {
    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

/// Whether a server keeps connections.
#[derive(Clone, Copy, PartialEq)]
enum Keeps {
    All,
    None,
}

fn server(at: SocketAddr, keeps: Keeps) -> Server {
    let listener = std::net::TcpListener::bind(at).expect("the address is free");
    listener.set_nonblocking(true).expect("it is ours");
    let listener = TcpListener::from_std(listener).expect("it is ours");
    let answered = Arc::new(AtomicU64::new(0));
    let count = answered.clone();
    let accepting = Task::of(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, at, keeps, count.clone()));
        }
    });
    Server { answered, _accepting: accepting }
}

async fn talk(
    mut stream: TcpStream,
    at: SocketAddr,
    keeps: Keeps,
    count: Arc<AtomicU64>,
) -> io::Result<()> {
    while read_request(&mut stream).await?.is_some() {
        let text = at.to_string();
        let length = text.len();
        let close = if keeps == Keeps::None { "Connection: close\r\n" } else { "" };
        let head = format!("HTTP/1.1 200 OK\r\n{close}Content-Length: {length}\r\n\r\n");
        count.fetch_add(1, Ordering::Relaxed);
        stream.write_all(format!("{head}{text}").as_bytes()).await?;
        if keeps == Keeps::None {
            return stage::end(stream).await;
        }
    }
    Ok(())
}

/// A gateway whose one target is a name of a zone, at a port that is free at every address.
struct Place {
    gateway: Gateway,
    zone: Zone,
    port: u16,
    _dns: Task,
}

impl Place {
    fn at(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.port)
    }

    async fn ask(&self) -> Answer {
        let mut client = self.gateway.client().await.expect("it accepts");
        client.exchange(&get("/")).await
    }

    /// The last record.
    async fn record(&self, count: usize) -> Value {
        self.gateway.records_soon(count).await.pop().unwrap_or_default()
    }

    fn load(&self) -> Load {
        Load::kept(&Goal::plain(self.gateway.listen), 4)
    }
}

async fn place(ttl: u32, dns: &str) -> Place {
    let port = stage::free_port().expect("a port is free");
    place_for(&format!("http://{NAME}:{port}"), port, ttl, dns).await
}

async fn place_for(url: &str, port: u16, ttl: u32, dns: &str) -> Place {
    let zone = Zone::new(ttl);
    let (at, task) = zone.serve().expect("a port is free");
    let config = format!(
        "[dns]\nservers = [\"{at}\"]\ntimeout = \"500ms\"\n{dns}\n\
         [route.app]\nmatch = \"/*\"\nto = \"{url}\"\n"
    );
    let gateway = Gateway::start(&config).await.unwrap_or_else(|it| panic!("{it}"));
    Place { gateway, zone, port, _dns: task }
}

/// Waits until something is true.
async fn until(what: &str, is_true: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_true() {
        assert!(began.elapsed() < SOON, "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// The name moves, and half a second later its old address refuses.
async fn check_move(ttl: u32, keeps: Keeps, old: u8) {
    let place = place(ttl, "").await;
    let (old, new) = (loopback(old), loopback(old + 1));
    place.zone.host(NAME, &[old]);
    let before = server(place.at(old), keeps);
    let after = server(place.at(new), keeps);
    let load = place.load();
    assert!(load.answers_more(200).await, "{}", load.tally());
    place.zone.host(NAME, &[new]);
    // As in the situation that is measured: the old one leaves half a second later.
    sleep(Duration::from_millis(500)).await;
    drop(before);
    until("the new address is used", || 200 < after.answered()).await;
    let tally = load.stop().await;
    assert_eq!(tally.failed(), 0, "{tally}; {}", place.gateway.said());
}

#[tokio::test]
async fn a_name_that_moves_under_load_loses_nothing() {
    check_move(1, Keeps::None, 1).await;
    check_move(1, Keeps::All, 3).await;
}

#[tokio::test]
async fn a_name_that_moves_within_the_time_of_its_answer_loses_nothing() {
    check_move(300, Keeps::None, 11).await;
}

#[tokio::test]
async fn a_name_is_asked_for_again_before_an_attempt_fails() {
    let place = place(300, "").await;
    let (old, new) = (loopback(21), loopback(22));
    place.zone.host(NAME, &[old]);
    let before = server(place.at(old), Keeps::None);
    assert_eq!(place.ask().await.text(), place.at(old).to_string());
    let record = place.record(1).await;
    assert!(record.get("names").is_none(), "{record}");
    let _after = server(place.at(new), Keeps::None);
    place.zone.host(NAME, &[new]);
    drop(before);
    assert_eq!(place.ask().await.text(), place.at(new).to_string());
    let record = place.record(2).await;
    assert_eq!((&record["names"], &record["attempts"]), (&"asked_again".into(), &1.into()));
    // And for all that follow.
    assert_eq!(place.ask().await.text(), place.at(new).to_string());
    assert!(place.record(3).await.get("names").is_none());
}

#[tokio::test]
async fn a_dead_target_is_asked_for_once_a_second_and_fails_at_once() {
    let place = place(300, "").await;
    place.zone.host(NAME, &[loopback(31)]);
    assert_eq!(place.ask().await.status, Some(502));
    let (asked, began) = (place.zone.asked(), Instant::now());
    while began.elapsed() < Duration::from_millis(1_500) {
        assert_eq!(place.ask().await.status, Some(502));
    }
    // One question for each family.
    let more = place.zone.asked() - asked;
    assert!((2..=4).contains(&more), "{more}");
    assert!(50 < place.gateway.records().len(), "{}", place.gateway.records().len());
}

#[tokio::test]
async fn connections_to_an_address_that_a_name_has_no_longer_are_not_used_again() {
    let place = place(1, "").await;
    let (old, new) = (loopback(41), loopback(42));
    place.zone.host(NAME, &[old]);
    let before = server(place.at(old), Keeps::All);
    let after = server(place.at(new), Keeps::All);
    let load = place.load();
    assert!(load.answers_more(200).await, "{}", load.tally());
    place.zone.host(NAME, &[new]);
    until("the new address is used", || 200 < after.answered()).await;
    let gone = before.answered();
    assert!(load.answers_more(500).await, "{}", load.tally());
    let tally = load.stop().await;
    assert_eq!((before.answered(), tally.failed()), (gone, 0), "{tally}");
}

#[tokio::test]
async fn a_shared_connection_to_an_address_that_is_gone_ends_with_what_is_in_flight() {
    let port = stage::free_port().expect("a port is free");
    let place = place_for(&format!("h2c://{NAME}:{port}"), port, 1, "").await;
    let (old, new) = (loopback(43), loopback(44));
    place.zone.host(NAME, &[old]);
    let release = Arc::new(Notify::new());
    let _servers = [(old, "old"), (new, "new")].map(|(at, word)| {
        let listener = std::net::TcpListener::bind(place.at(at)).expect("the address is free");
        listener.set_nonblocking(true).expect("it is ours");
        let listener = TcpListener::from_std(listener).expect("it is ours");
        let release = release.clone();
        stage::serve(listener, move |stream| {
            let release = release.clone();
            serve2(stream, move |request, mut respond| {
                let release = release.clone();
                async move {
                    if request.uri().path() == "/held" {
                        release.notified().await;
                    }
                    say(&mut respond, word)
                }
            })
        })
    });
    assert_eq!(place.ask().await.text(), "old");
    let mut held = place.gateway.client().await.expect("it accepts");
    held.send(&get("/held")).await.expect("it reads");
    place.zone.host(NAME, &[new]);
    let began = Instant::now();
    while place.ask().await.text() != "new" {
        assert!(began.elapsed() < SOON, "the new address is used");
    }
    for _ in 0..50 {
        assert_eq!(place.ask().await.text(), "new");
    }
    release.notify_one();
    assert_eq!(held.answer().await.text(), "old");
}

/// A name server in trouble for longer than its answers hold and than one question may take.
async fn check_outage(trouble: Trouble, at: u8) {
    let place = place(1, "").await;
    place.zone.host(NAME, &[loopback(at)]);
    let _server = server(place.at(loopback(at)), Keeps::None);
    let load = place.load();
    assert!(load.answers_more(50).await, "{}", load.tally());
    place.zone.trouble(Some(trouble));
    sleep(Duration::from_secs(4)).await;
    let kept = place.gateway.records().iter().filter(|it| it["names"] == "kept").count();
    assert!(50 < kept, "{trouble:?}: {kept}");
    place.zone.trouble(None);
    assert!(load.answers_more(50).await, "{}", load.tally());
    let tally = load.stop().await;
    assert_eq!(tally.failed(), 0, "{trouble:?}: {tally}");
    assert!(tally.longest < Duration::from_millis(500), "{trouble:?}: {tally}");
    let said = place.gateway.said();
    assert_eq!(said.matches("its last addresses are used; ").count(), 1, "{said}");
}

#[tokio::test]
async fn an_outage_of_the_name_server_loses_nothing() {
    tokio::join!(
        check_outage(Trouble::Silent, 51),
        // SERVFAIL and NXDOMAIN.
        check_outage(Trouble::Code(2), 52),
        check_outage(Trouble::Code(3), 53),
    );
}

#[tokio::test]
async fn nothing_is_kept_where_that_is_off() {
    let place = place(1, "keep_for = \"0s\"").await;
    place.zone.host(NAME, &[loopback(61)]);
    let _server = server(place.at(loopback(61)), Keeps::None);
    assert_eq!(place.ask().await.status, Some(200));
    place.zone.trouble(Some(Trouble::Code(2)));
    let began = Instant::now();
    let answer = loop {
        let answer = place.ask().await;
        if answer.status != Some(200) || SOON < began.elapsed() {
            break answer;
        }
        sleep(Duration::from_millis(50)).await;
    };
    let cause = lab::table::proxy_status(&answer, "cause").unwrap_or_default().to_owned();
    assert_eq!((answer.status, &*cause), (Some(502), "dns_servfail"), "{}", answer.words());
}

#[tokio::test]
async fn the_next_answer_is_asked_for_while_the_last_one_serves() {
    let place = place(1, "").await;
    place.zone.host(NAME, &[loopback(71)]);
    place.zone.delay(Duration::from_millis(150));
    let _server = server(place.at(loopback(71)), Keeps::None);
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < Duration::from_secs(4) {
        assert_eq!(place.ask().await.status, Some(200));
        count += 1;
    }
    let records = place.gateway.records_soon(count).await;
    let waited = |it: &&Value| it["phases_ms"]["resolve"].as_f64().is_some_and(|it| 50.0 < it);
    assert_eq!(records.iter().filter(waited).count(), 1, "only the first waits");
    // Two questions a second, for each family, and one more at either end.
    let asked = place.zone.asked();
    assert!((8..=14).contains(&asked), "{asked}");
}

#[tokio::test]
async fn many_who_need_a_name_ask_once() {
    let place = place(300, "").await;
    place.zone.host(NAME, &[loopback(81)]);
    place.zone.delay(Duration::from_millis(200));
    let _server = server(place.at(loopback(81)), Keeps::None);
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = place.gateway.client().await.expect("it accepts");
        client.send(&get("/")).await.expect("it reads");
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.answer().await.status, Some(200));
    }
    assert_eq!(place.zone.asked(), 2, "one question for each family");
}

fn connect_ms(record: &Value) -> f64 {
    record["phases_ms"]["connect"].as_f64().unwrap_or_default()
}

#[tokio::test]
async fn an_address_that_is_silent_is_overtaken_and_then_tried_last() {
    let place = place(300, "").await;
    let (silent, good) = (loopback(91), loopback(92));
    place.zone.host(NAME, &[silent, good]);
    let _full = stage::full_listener(place.at(silent)).expect("the address is free");
    let _server = server(place.at(good), Keeps::None);
    assert_eq!(place.ask().await.text(), place.at(good).to_string());
    let first = connect_ms(&place.record(1).await);
    assert!((240.0..400.0).contains(&first), "{first} ms");
    assert_eq!(place.ask().await.text(), place.at(good).to_string());
    let second = connect_ms(&place.record(2).await);
    assert!(second < 200.0, "{second} ms");
}

#[tokio::test]
async fn an_only_address_that_is_silent_has_the_name_asked_for_again() {
    let place = place(300, "").await;
    let (silent, new) = (loopback(93), loopback(94));
    place.zone.host(NAME, &[silent]);
    let before = server(place.at(silent), Keeps::None);
    assert_eq!(place.ask().await.status, Some(200));
    drop(before);
    let began = Instant::now();
    let full = loop {
        match stage::full_listener(place.at(silent)) {
            Ok(full) => break full,
            Err(error) => assert!(began.elapsed() < SOON, "{error}"),
        }
        sleep(Duration::from_millis(10)).await;
    };
    let _after = server(place.at(new), Keeps::None);
    place.zone.host(NAME, &[new]);
    assert_eq!(place.ask().await.text(), place.at(new).to_string());
    let record = place.record(2).await;
    assert_eq!(record["names"], "asked_again");
    let took = connect_ms(&record);
    assert!((240.0..450.0).contains(&took), "{took} ms");
    drop(full);
}

const fn service(priority: u16, weight: u16, port: u16, host: &'static str) -> Service {
    Service { priority, weight, port, host }
}

const SERVICE: &str = "_http._tcp.app.internal";

#[tokio::test]
async fn srv_records_say_which_servers_and_ports_and_how_often() {
    let ports: Vec<u16> = (0..3).map(|_| stage::free_port().expect("a port is free")).collect();
    let place = place_for(&format!("http+srv://{SERVICE}"), 0, 1, "").await;
    let (a, b) = (loopback(101), loopback(102));
    place.zone.host("a.internal", &[a]);
    place.zone.host("b.internal", &[b]);
    place.zone.service(
        SERVICE,
        &[
            service(1, 30, ports[0], "a.internal"),
            service(1, 10, ports[1], "b.internal"),
            service(2, 10, ports[2], "b.internal"),
        ],
    );
    let big = server(SocketAddr::new(a, ports[0]), Keeps::None);
    let small = server(SocketAddr::new(b, ports[1]), Keeps::None);
    let backup = server(SocketAddr::new(b, ports[2]), Keeps::None);
    for _ in 0..400 {
        assert_eq!(place.ask().await.status, Some(200));
    }
    // Of 400, 300 are expected; the standard deviation is less than 9.
    assert!((255..=345).contains(&big.answered()), "{}", big.answered());
    assert_eq!((big.answered() + small.answered(), backup.answered()), (400, 0));
    // Both that are first refuse.
    drop((big, small));
    for _ in 0..20 {
        assert_eq!(place.ask().await.status, Some(200));
    }
    assert_eq!(backup.answered(), 20);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named() {
    let place = place_for(&format!("http+srv://{SERVICE}"), 0, 1, "").await;
    let check = async |fault: &str| {
        let began = Instant::now();
        loop {
            let answer = place.ask().await;
            let cause = lab::table::proxy_status(&answer, "cause");
            assert_eq!((answer.status, cause), (Some(502), Some("dns_nxdomain")));
            let count = place.gateway.records().len() + 1;
            if place.record(count).await["fault"] == fault {
                return;
            }
            assert!(began.elapsed() < SOON, "{fault}: {}", answer.words());
        }
    };
    check("no_such_name").await;
    // A root says that there is none (RFC 2782).
    place.zone.service(SERVICE, &[service(0, 0, 0, "")]);
    check("no_address").await;
}

/// The files of `/etc` that decide about names, in a view that only the gateway has.
fn with_etc(etc: &Scratch) -> Hardship {
    let at = etc.path().display();
    let words = format!("mount --bind {at} /etc && exec \"$0\" \"$@\"");
    let through = ["unshare", "-m", "sh", "-c", &words].map(str::to_owned).to_vec();
    Hardship { through, ..Hardship::default() }
}

#[tokio::test]
async fn a_changed_hosts_file_is_noticed_and_needs_no_name_server() {
    if !is_root() {
        return eprintln!("skipped: only root has files of its own at fixed places");
    }
    let port = stage::free_port().expect("a port is free");
    let (old, new) = (loopback(111), loopback(112));
    let etc = Scratch::new("etc-hosts").expect("there is room");
    etc.write("hosts", &format!("{old} {NAME}\n")).expect("it is ours");
    // Nobody is there: the file must do.
    etc.write("resolv.conf", "nameserver 127.60.0.113\n").expect("it is ours");
    let _servers = [old, new].map(|it| server(SocketAddr::new(it, port), Keeps::All));
    let config = format!("[route.app]\nmatch = \"/*\"\nto = \"http://{NAME}:{port}\"\n");
    let gateway = Gateway::under(&with_etc(&etc), &config).await.expect("it starts");
    let ask = async || {
        let mut client = Client::connect(gateway.listen).await.expect("it accepts");
        client.exchange(&get("/")).await.text()
    };
    assert_eq!(ask().await, SocketAddr::new(old, port).to_string());
    etc.write("hosts", &format!("{new} {NAME}\n")).expect("it is ours");
    let began = Instant::now();
    while ask().await != SocketAddr::new(new, port).to_string() {
        assert!(began.elapsed() < SOON, "{}", gateway.said());
        sleep(Duration::from_millis(20)).await;
    }
    let records = gateway.records_soon(1).await;
    let waited = |it: &Value| it["phases_ms"]["resolve"].as_f64().is_some_and(|it| 200.0 < it);
    assert!(!records.iter().any(waited), "no server was waited for");
}
