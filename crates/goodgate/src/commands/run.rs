//! `goodgate run`: start the gateway.

use crate::activation::Given;
use crate::child::{self, Arrived, Child, Goal, Outcome, Plan};
use crate::output::Output;
use crate::problem::Failure;
use crate::serve::{self, Options};
use crate::settings::{Overrides, Settings, Source};
use crate::watch::Seen;
use config::Config;
use exchange::{Address, Ending};
use proxy::Witness;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Start the gateway
///
/// With one or more URLs no file is needed: every request goes to them.
/// Without a URL the configuration is read from `goodgate.toml` in the current folder.
/// With a command behind `--` the app is started too, and kept alive: what it says and how it ends
/// becomes evidence in the answers to requests that fail. Where neither a URL nor a file says where
/// it listens, it is handed a free port (PORT and the like), and found wherever it listens instead.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Where to send requests: http://localhost:8000, localhost:8000 or 8000
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// The file to read [default: goodgate.toml]
    #[arg(long, value_name = "FILE", conflicts_with = "urls")]
    config: Option<PathBuf>,
    /// Where to listen: 127.0.0.1:8080, or :8080 for every address of this machine
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<SocketAddr>,
    /// How many cores serve requests [default: all]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// A folder for this gateway alone [default: data.dir; none with URLs]
    ///
    /// By it `goodgate reload`, `status`, `drain` and `stop` find the gateway.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Serve instead of the gateway that has the same folder
    ///
    /// It passes its sockets on, so that no connection is lost, and ends with its last client.
    /// If this one fails to start, that one goes on.
    #[arg(long, verbatim_doc_comment)]
    takeover: bool,
    /// Read the file again when it changes [default: on a terminal]
    #[arg(long, conflicts_with = "urls")]
    watch: bool,
    /// Read the file again only when told to
    #[arg(long, conflicts_with = "watch")]
    no_watch: bool,
    /// The app to start, and its arguments: -- gunicorn app:app
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "takeover")]
    command: Vec<OsString>,
}

pub(super) fn run(arguments: Arguments, output: &Output, began: Instant) -> Result<(), Failure> {
    let overrides = Overrides {
        listen: arguments.listen,
        workers: arguments.workers.map(NonZeroUsize::get),
        data: arguments.data,
    };
    let serving = Serving {
        overrides,
        watch: arguments.watch || output.is_terminal() && !arguments.no_watch,
        takeover: arguments.takeover,
        // Before anything is started that could get them too.
        given: Given::from_environment(),
        began,
    };
    let command = arguments.command;
    if command.is_empty() && std::env::args_os().next_back().is_some_and(|it| it == "--") {
        return Err(Failure::NoCommand);
    }
    let port = if command.is_empty() { None } else { Some(child::free_port()) };
    let source = match arguments.config {
        Some(file) => Source::File(file),
        None if !arguments.urls.is_empty() => Source::Urls(arguments.urls),
        None if Path::new(super::DEFAULT_FILE).exists() => Source::File(super::DEFAULT_FILE.into()),
        None => match port {
            Some(port) => {
                let port = port.map_err(|it| Failure::Child(child::Failure::System(it)))?;
                return with_child(Targets::HandedOver(port), command, serving, output);
            }
            None => return Err(Failure::NothingToServe),
        },
    };
    match command.is_empty() {
        true => alone(source, serving, output),
        false => with_child(Targets::Told(source), command, serving, output),
    }
}

/// What the command line says of serving, whatever is served.
struct Serving {
    overrides: Overrides,
    watch: bool,
    takeover: bool,
    given: Given,
    began: Instant,
}

impl Serving {
    fn options(self, settings: Settings, seen: Seen, witness: Option<Arc<Witness>>) -> Options {
        let Serving { watch, takeover, given, began, .. } = self;
        Options {
            settings,
            seen,
            watch,
            takeover,
            began,
            given,
            witness,
            moved: None,
            serving: None,
        }
    }
}

fn alone(source: Source, mut serving: Serving, output: &Output) -> Result<(), Failure> {
    let settings = Settings { source, overrides: std::mem::take(&mut serving.overrides) };
    let seen = settings.seen();
    let config = load(&settings, output)?;
    if config.child.written {
        let hint = "`[child]` has no effect, since no command is given behind `--`\n";
        output.message(hint);
    }
    serve::serve(config, serving.options(settings, seen, None), output)?;
    Ok(())
}

/// Where the requests for an app that we start go.
enum Targets {
    /// To what the user says.
    Told(Source),
    /// To a port that the app is handed.
    HandedOver(u16),
}

/// Nothing here waits for who reads messages; the app's are shown by a thread that may.
fn with_child(
    targets: Targets,
    command: Vec<OsString>,
    serving: Serving,
    patient: &Output,
) -> Result<(), Failure> {
    let output = &patient.in_background();
    let done = start_and_serve(targets, command, serving, patient, output);
    output.settle();
    done
}

fn start_and_serve(
    targets: Targets,
    command: Vec<OsString>,
    mut serving: Serving,
    patient: &Output,
    output: &Output,
) -> Result<(), Failure> {
    let (source, port) = match targets {
        Targets::Told(source) => (source, None),
        Targets::HandedOver(port) => {
            let address = Address::Inet(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            (Source::Urls(vec![child::url(&address)]), Some(port))
        }
    };
    let mut settings = Settings { source, overrides: std::mem::take(&mut serving.overrides) };
    let seen = settings.seen();
    let mut config = load(&settings, output)?;
    let all = config.upstreams.iter().flat_map(|it| &it.targets);
    let here = all.filter_map(|it| serve::dialled(it)).filter(|it| it.ip().is_loopback());
    let goal = match (port, &settings.source) {
        (Some(port), _) => Goal::Port(port),
        (None, Source::Urls(_)) => Goal::Urls(here.collect()),
        (None, Source::File(_)) => Goal::File(here.collect()),
    };
    let plan = Plan { command, settings: config.child.clone(), goal };
    let limit = config.child.start_timeout;
    let (child, arrived) = Child::start(plan, patient).map_err(Failure::Child)?;
    match arrived {
        Arrived::At(place) if port.is_some() => {
            settings.source = Source::Urls(vec![child::url(&place)]);
            config = load(&settings, output)?;
        }
        Arrived::At(_) => {}
        Arrived::Ended => output.message(&format!(
            "{} ended before it listened; until it does, requests are answered with why",
            child.name()
        )),
        Arrived::Late => output.message(&format!(
            "{} does not listen after `child.start_timeout` ({limit:?}); until it does, requests \
             are answered with why. Its last lines:\n{}",
            child.name(),
            child.last_lines()
        )),
        Arrived::Stopped | Arrived::Over(_) => return ended(child.stop()),
    }
    let witness = Some(child.witness());
    // Clients have their answers before the app is told to end; it is dropped, and so stopped, where
    // serving fails.
    let moved = match (&settings.source, port) {
        (Source::Urls(urls), Some(_)) => urls.first().map(|it| child.moved(it.clone())),
        _ => None,
    };
    let told = Some(child.serving());
    let options = Options { moved, serving: told, ..serving.options(settings, seen, witness) };
    serve::serve(config, options, output)?;
    ended(child.stop())
}

/// An app that failed for good is a failure of ours too: whoever restarts us must see it.
fn ended(outcome: Outcome) -> Result<(), Failure> {
    match outcome {
        Outcome::Stopped | Outcome::Over(Ending::Code(0)) => Ok(()),
        Outcome::Over(_) => Err(Failure::Shown { exit: 5 }),
    }
}

fn load(settings: &Settings, output: &Output) -> Result<Config, Failure> {
    let (config, warnings) = settings.load()?;
    if let Some(warnings) = warnings.render(output.message_colour()) {
        output.message(&warnings);
    }
    Ok(config)
}

/// The forms that `[listen]` takes: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `:8080`.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wrong = || "not an address such as 127.0.0.1:8080 or :8080".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let ip = match host {
        "" => Ipv4Addr::UNSPECIFIED,
        "localhost" => Ipv4Addr::LOCALHOST,
        _ => return Err(wrong()),
    };
    let digits = !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit());
    let port = digits.then(|| port.parse().ok()).flatten().ok_or_else(wrong)?;
    Ok(SocketAddr::new(IpAddr::V4(ip), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let got = address(text).ok().map(|it| it.to_string());
        assert_eq!(got.as_deref(), expected, "{text}");
    }

    #[test]
    fn addresses_are_read_as_the_file_reads_them() {
        check("127.0.0.1:8080", Some("127.0.0.1:8080"));
        check("[::1]:0", Some("[::1]:0"));
        check("localhost:80", Some("127.0.0.1:80"));
        check(":8080", Some("0.0.0.0:8080"));
    }

    #[test]
    fn what_leaves_a_choice_is_refused() {
        for text in ["", "8080", "example.com:80", ":", ":+80", ":65536", "127.0.0.1"] {
            check(text, None);
        }
    }
}
