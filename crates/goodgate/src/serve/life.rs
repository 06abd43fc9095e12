//! A gateway while it serves: what it does when it hears something, and what it knows of itself.

use super::start::{Home, Start};
use super::{Ears, End, Failure, Heard, Options, places, ready};
use crate::activation::complaint;
use crate::control::client;
use crate::control::orders::{Asked, Desk, Kind, Order, Orders, Refusal, Reply};
use crate::control::server::Server;
use crate::control::socket::{Published, Unpublished};
use crate::folder::Folder;
use crate::loud;
use crate::notify::watchdog_micros;
use crate::output::{Output, count};
use crate::problem::{self, Words};
use crate::settings::{Settings, Source};
use crate::signals::Told;
use crate::takeover::{self, Inheritance, Predecessor};
use crate::watch::{Changed, Seen};
use crate::why::reason;
use config::Config;
use evidence::clock::rfc3339;
use exchange::{Live, LiveUpstream, Obeyed, Treatment};
use proxy::{Gateway, Leave, Options as PlaneOptions, OrderError, ReloadError};
use serde::Serialize;
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::UnixListener;

pub(super) struct Life<'a> {
    pub(super) gateway: Gateway,
    /// Set to have file logs opened anew.
    pub(super) reopen: Arc<AtomicBool>,
    settings: Settings,
    /// Whether the configuration is read again when its file changes.
    watch: bool,
    watchdog_micros: Option<u64>,
    /// Whether an app is stopped after us.
    has_app: bool,
    since: String,
    reloads: Reloads,
    output: &'a Output,
    // Dropped in this order: the lock goes last.
    pub(super) socket: Option<Published>,
    folder: Option<Folder>,
}

/// How reading the configuration again ended.
#[derive(Clone, Default, Serialize)]
struct Reloads {
    /// When it last succeeded.
    succeeded: Option<String>,
    /// The last one that was refused, until one succeeds.
    refused: Option<Refused>,
}

#[derive(Clone, Serialize)]
struct Refused {
    at: String,
    error: String,
}

/// What `status` answers.
#[derive(Serialize)]
struct Status<'a> {
    pid: u32,
    version: &'static str,
    /// When it began to serve.
    since: &'a str,
    /// `serving`, `draining` or `stopping`.
    state: &'static str,
    /// The file; none where the targets stand on the command line.
    configuration: Option<&'a Path>,
    reloads: &'a Reloads,
    live: Live,
}

impl<'a> Life<'a> {
    /// Starts the data plane, succeeds whoever served before, and says so to all who wait for it.
    pub(super) fn begin(
        start: Start,
        config: Config,
        options: Options,
        ears: &mut Ears,
        output: &'a Output,
    ) -> Result<(Life<'a>, Option<Server>), Failure> {
        let Start { home, sockets, given, strange, predecessor } = start;
        let reopen = Arc::new(AtomicBool::new(false));
        let plane = PlaneOptions {
            style: output.log_style(),
            any_port: output.is_terminal(),
            reopen: reopen.clone(),
            inherited: sockets,
            takes_over: predecessor.is_some(),
            tell: loud::teller(output),
            witness: options.witness.clone(),
        };
        let papers = Seen::of(config.files());
        let gateway = Gateway::start(config, plane).map_err(Failure::Start)?;
        let mut watchdog = watchdog_micros();
        let gateway = match predecessor {
            Some(old) => {
                watchdog = watchdog.or(old.watchdog_micros);
                succeed(old, gateway, home.as_ref(), output)?
            }
            None => gateway,
        };
        let live = gateway.live();
        let unclaimed = gateway.unclaimed();
        let unclaimed: Vec<_> = given.into_iter().filter(|it| unclaimed.contains(it)).collect();
        if let Some(words) = complaint(&unclaimed, &strange) {
            output.message(&words);
        }
        let (socket, folder, server) = match home {
            Some(Home { socket, folder }) => {
                let (published, server) = receive_orders(socket, &folder, ears, output).unzip();
                (published, Some(folder), server)
            }
            None => (None, None, None),
        };
        output.message(&ready(&live, options.began));
        let has_app = options.witness.is_some();
        let Options { settings, seen, watch, moved, .. } = options;
        ears.moved = moved;
        if watch {
            ears.watch.follow_configuration(seen);
        }
        ears.watch.follow_papers(papers);
        if let Some(micros) = watchdog {
            ears.pulse_within(micros);
        }
        ears.notify.ready(&serving(&live));
        let life = Life {
            gateway,
            reopen,
            settings,
            watch,
            watchdog_micros: watchdog,
            has_app,
            since: now(),
            reloads: Reloads::default(),
            output,
            socket,
            folder,
        };
        Ok((life, server))
    }

    /// Does what it hears until that is to end.
    pub(super) async fn until_it_ends(&mut self, ears: &mut Ears) -> End {
        loop {
            match ears.next().await {
                Heard::Told(Told::Stop) => return End::Stop { now: false },
                Heard::Told(Told::Reopen) => self.reopen.store(true, Relaxed),
                // What is wrong has been said already.
                Heard::Told(Told::Reload) => drop(self.reload(ears)),
                Heard::Changed(changed) => self.follow(changed, ears),
                Heard::Asked(asked) => {
                    if let Some(end) = self.obey(asked, ears) {
                        return end;
                    }
                }
                Heard::Pulse => ears.notify.alive(),
                Heard::Moved(url) => self.follow_app(url, ears),
            }
        }
    }

    fn obey(&mut self, asked: Asked, ears: &mut Ears) -> Option<End> {
        match asked.order {
            Order::Status => asked.say(Ok(self.status())),
            Order::Upstreams(ref name) => {
                let told = self.upstreams(name.as_deref());
                asked.say(told);
            }
            Order::Target(ref order) => {
                let done = self.treat(order);
                asked.say(done);
            }
            Order::Reload => {
                let done = self.reload(ears);
                asked.say(done);
            }
            Order::Drain(draining) => {
                self.drain(draining, ears);
                asked.say(Ok(json!({ "draining": draining })));
            }
            Order::Stop { now } => {
                let (pid, within) = (std::process::id(), self.ends_within(now).as_secs_f64());
                asked.say(Ok(json!({ "pid": pid, "state": "stopping", "within": within })));
                return Some(End::Stop { now });
            }
            Order::Bequeath => {
                let inheritance = self.inheritance();
                asked.answer(inheritance.map(Reply::Bequeathed));
            }
            Order::HandedOver { to } => {
                asked.say(Ok(Value::Null));
                return Some(End::HandedOver { to });
            }
        }
        None
    }

    /// How long stopping may take, beside what takes no time.
    fn ends_within(&self, now: bool) -> Duration {
        let config = self.gateway.config();
        let clients = if now { Duration::ZERO } else { config.shutdown.deadline };
        let app = if self.has_app { config.child.stop_timeout } else { Duration::ZERO };
        clients + app
    }

    fn status(&self) -> Value {
        let live = self.gateway.live();
        let status = Status {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
            since: &self.since,
            state: if live.draining { "draining" } else { "serving" },
            configuration: self.settings.file(),
            reloads: &self.reloads,
            live,
        };
        // A path that is no text is all that could fail.
        serde_json::to_value(status).unwrap_or_default()
    }

    /// All of them, or the one of this name.
    fn upstreams(&self, name: Option<&str>) -> Result<Value, Refusal> {
        let all = self.gateway.live().upstreams;
        let told = match name {
            None => json!({ "upstreams": all }),
            Some(name) => {
                let one = all.iter().find(|it| *it.name == *name);
                json!(one.ok_or_else(|| no_upstream(name, &all))?)
            }
        };
        Ok(told)
    }

    fn treat(&self, order: &exchange::Order) -> Result<Value, Refusal> {
        let done = self.gateway.order(order).map_err(|why| {
            let kind = match why {
                OrderError::NotEjected { .. } => Kind::State,
                _ => Kind::NotFound,
            };
            Refusal { hint: why.hint(), ..Refusal::new(kind, why.to_string()) }
        })?;
        for it in &done {
            let words = treated(order.treatment, it);
            self.output.message(&format!("by order: {words}\n"));
        }
        Ok(json!({ "targets": done }))
    }

    fn drain(&self, draining: bool, ears: &Ears) {
        self.gateway.drain(draining);
        let words = match draining {
            true => "draining: clients are asked to leave, and are still served",
            false => "draining no longer",
        };
        self.output.message(words);
        match draining {
            true => ears.notify.status(words),
            false => ears.notify.status(&serving(&self.gateway.live())),
        }
    }

    fn inheritance(&self) -> Result<Inheritance, Refusal> {
        let failed = |why: io::Error| Refusal::new(Kind::Failed, reason(&why));
        if self.has_app {
            let why = "it has started the app, which would end with it";
            return Err(Refusal::new(Kind::State, why).hint("stop it, and start both again"));
        }
        let Some(folder) = &self.folder else {
            return Err(Refusal::new(Kind::State, "this process has no folder"));
        };
        let lock = folder.lock().try_clone_to_owned().map_err(failed)?;
        let sockets = self.gateway.sockets().map_err(failed)?;
        Ok(Inheritance { lock, sockets, watchdog_micros: self.watchdog_micros })
    }

    fn follow(&mut self, changed: Changed, ears: &mut Ears) {
        let reloaded = changed.configuration && self.reload(ears).is_ok();
        if changed.papers && !reloaded {
            self.renew();
        }
    }

    /// Reads the configuration again and serves by it, or says what is wrong and goes on as before.
    fn reload(&mut self, ears: &mut Ears) -> Result<Value, Refusal> {
        let Some(file) = self.settings.file().map(|it| it.display().to_string()) else {
            let refusal = no_file();
            self.output.message(&refusal.error);
            return Err(refusal);
        };
        ears.notify.reloading();
        let seen = self.settings.seen();
        let done = self.read_again(seen, ears);
        let serving = serving(&self.gateway.live());
        match &done {
            Ok(_) => ears.notify.ready(&serving),
            Err(_) => ears.notify.ready(&format!("{serving}; the last reload was refused")),
        }
        match done {
            Ok(warnings) => {
                self.reloads = Reloads { succeeded: Some(now()), refused: None };
                let config = self.gateway.config();
                let (routes, upstreams) = (config.routes.all().len(), config.upstreams.len());
                let what = format!("{}, {}", count(routes, "route"), count(upstreams, "upstream"));
                self.output.message(&format!("reloaded {file}: {what}\n"));
                Ok(json!({
                    "file": file, "routes": routes, "upstreams": upstreams, "warnings": warnings,
                }))
            }
            Err(words) => {
                let Words { text, hint, .. } = words;
                let error = text.trim_end().to_owned();
                self.reloads.refused = Some(Refused { at: now(), error: error.clone() });
                let hint = hint.unwrap_or_else(|| "what ran before goes on".to_owned());
                Err(Refusal::new(Kind::Configuration, error).hint(hint))
            }
        }
    }

    /// Sends requests to where the app that we started listens by now.
    fn follow_app(&mut self, url: String, ears: &mut Ears) {
        self.settings.source = Source::Urls(vec![url.clone()]);
        let seen = self.settings.seen();
        match self.read_again(seen, ears) {
            Ok(_) => self.output.message(&format!("requests go to {url}\n")),
            Err(words) => {
                words.print(self.output);
            }
        }
    }

    /// The warnings, or why not. Whatever came of it, each state of the files is tried once.
    fn read_again(&mut self, mut seen: Seen, ears: &mut Ears) -> Result<Option<String>, Words> {
        let (settings, prepare) = (self.settings.clone(), self.gateway.preparation());
        let loaded = within(READ_WITHIN, move || {
            let (config, warnings) = settings.load()?;
            let papers = Seen::of(config.files());
            Ok((prepare(config), papers, warnings))
        });
        let colour = self.output.message_colour();
        let done = match loaded.unwrap_or(Err(problem::Failure::Late)) {
            Ok((prepared, papers, warnings)) => {
                if let Some(words) = warnings.render(colour) {
                    self.output.message(&words);
                }
                let adopted = prepared.map_err(ReloadError::from);
                match adopted.and_then(|it| self.gateway.adopt(it)) {
                    Ok(()) => {
                        ears.watch.follow_papers(papers);
                        Ok(warnings.render(false))
                    }
                    Err(why) => {
                        seen.join(papers);
                        Err((problem::of_reload(&why), problem::of_reload(&why)))
                    }
                }
            }
            Err(failure) => {
                Err((problem::words(&failure, colour), problem::words(&failure, false)))
            }
        };
        if self.watch {
            ears.watch.follow_configuration(seen);
        }
        done.map_err(|(shown, plain)| {
            shown.print(self.output);
            self.output.message("the configuration was not read again: what ran before goes on\n");
            plain
        })
    }

    /// Reads the files again that the running configuration names.
    fn renew(&mut self) {
        let config = Config::clone(self.gateway.config());
        let prepare = self.gateway.preparation();
        let Some(prepared) = within(READ_WITHIN, move || prepare(config)) else {
            problem::words(&problem::Failure::Late, self.output.message_colour())
                .print(self.output);
            return;
        };
        match prepared.map_err(ReloadError::from).and_then(|it| self.gateway.adopt(it)) {
            Ok(()) => self.output.message("certificates and keys changed: they were read again\n"),
            Err(why) => {
                problem::of_reload(&why).print(self.output);
                self.output.message("changed certificates and keys: the old ones stay in use\n");
            }
        }
    }
}

/// How long files may take to be read: signals and the watchdog wait for it.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Does work that a file system may hold up, on a thread that is left to it where it takes too long.
fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, result) = std::sync::mpsc::sync_channel(1);
    // Who asked may have given up waiting.
    std::thread::spawn(move || drop(done.send(work())));
    result.recv_timeout(limit).ok()
}

/// Tells the process that served before that this one does. Where it goes on all the same, this one
/// ends without a client noticing.
fn succeed(
    mut old: Predecessor,
    gateway: Gateway,
    home: Option<&Home>,
    output: &Output,
) -> Result<Gateway, Failure> {
    let pid = old.pid;
    let told = old.succeeded();
    let is_gone = || home.is_some_and(|it| client::is_nobody_there(it.folder.path()));
    match told {
        Ok(()) => output.message(&format!("took over from process {}\n", old.pid)),
        // It was killed meanwhile: nobody would serve without us.
        Err(_) if is_gone() => {
            output.message(&format!("took over from process {}, which is gone\n", old.pid));
        }
        Err(why) => {
            // Nobody has been served by this one alone: what it took in is answered or cut soon.
            drop(old);
            gateway.stop(Leave::HandedOver, &AtomicBool::new(false));
            return Err(Failure::TakeOver(takeover::Failure::Unconfirmed { pid, why }));
        }
    }
    Ok(gateway)
}

/// Makes the control socket known. By now clients are served: where that fails it is said, and they
/// still are.
fn receive_orders(
    socket: Unpublished,
    folder: &Folder,
    ears: &mut Ears,
    output: &Output,
) -> Option<(Published, Server)> {
    let published = folder
        .sign()
        .and_then(|()| socket.publish())
        .and_then(|(it, published)| Ok((UnixListener::from_std(it)?, published)));
    match published {
        Ok((listener, published)) => {
            let (desk, orders): (Desk, Orders) = Orders::channel();
            ears.orders = orders;
            Some((published, Server::start(listener, desk, output.clone())))
        }
        Err(why) => {
            output.message(&format!("warning: no control socket: {}\n", reason(&why)));
            None
        }
    }
}

fn no_upstream(name: &str, all: &[LiveUpstream]) -> Refusal {
    let known = all.iter().map(|it| it.name.clone()).collect();
    let why = OrderError::NoUpstream { name: name.to_owned(), known };
    Refusal { hint: why.hint(), ..Refusal::new(Kind::NotFound, why.to_string()) }
}

/// What was done with a target.
fn treated(treatment: Treatment, done: &Obeyed) -> String {
    let Obeyed { upstream, target, .. } = done;
    let what = match treatment {
        Treatment::Drain(true) => "drains",
        Treatment::Drain(false) => "drains no longer",
        Treatment::Eject(_) => "is ejected",
        Treatment::Reset => "is as if nothing had been seen of it",
        Treatment::Trial => "gets a request that finds out how it is",
    };
    format!("{target} of {upstream} {what}")
}

fn no_file() -> Refusal {
    let error = "there is no file to read again: the targets stand on the command line";
    Refusal::new(Kind::State, error).hint("start with `goodgate run --config FILE` to have one")
}

fn serving(live: &Live) -> String {
    format!("serving on {}", places(live).join(", "))
}

/// The time, as the API has it.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    rfc3339(i64::try_from(since.as_millis()).unwrap_or(0).saturating_mul(1_000))
}
