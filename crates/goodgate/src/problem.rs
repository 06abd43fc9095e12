//! Why a command failed: the one match from failures to an exit code, words and a hint.

use crate::child::{self, NotStarted};
use crate::control::client;
use crate::folder;
use crate::output::Output;
use crate::serve;
use crate::settings::File;
use crate::takeover;
use crate::why::inputs::{Misused, Refused};
use crate::why::reason;
use config::Complaints;
use proxy::{ReloadError, StartError};
use std::io;
use std::process::ExitCode;

/// How a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments cannot be understood, or ask for help.
    Arguments(clap::Error),
    UnknownCause {
        id: String,
        nearest: Option<&'static str>,
    },
    /// The arguments of `why` name no input that is read.
    NoInput(Misused),
    /// Nothing of what was given to `why` can be read.
    NothingRead(Vec<Refused>),
    /// Looking at this host comes in a later version.
    HereIsLater,
    /// The session of an assistant cannot be had.
    Mcp(String),
    /// Neither a URL nor a file says what to serve, and no command is started.
    NothingToServe,
    /// Nothing stands behind `--`.
    NoCommand,
    Child(child::Failure),
    Unreadable {
        file: String,
        why: io::Error,
    },
    InvalidFile {
        file: File,
        complaints: Complaints,
    },
    /// The files of a configuration take too long to be read.
    Late,
    InvalidUrls(Complaints),
    /// The result is a failure, and it was printed as the result.
    Shown {
        exit: u8,
    },
    /// The result could not be printed.
    Output(io::Error),
    Serve(serve::Failure),
    /// Nothing says which running gateway is meant.
    NobodyNamed,
    /// The running gateway cannot be asked.
    Control(client::Failure),
    /// The running gateway refused, in its own words.
    Refused(client::Answer),
    /// It was told to stop, and is still there.
    StillThere {
        pid: i32,
    },
    /// The targets of the demonstration cannot be set up or asked.
    Demo(io::Error),
}

impl From<io::Error> for Failure {
    fn from(it: io::Error) -> Failure {
        Failure::Output(it)
    }
}

impl From<client::Failure> for Failure {
    fn from(it: client::Failure) -> Failure {
        Failure::Control(it)
    }
}

impl From<serve::Failure> for Failure {
    fn from(it: serve::Failure) -> Failure {
        Failure::Serve(it)
    }
}

/// Says what failed, and ends with: 0 fine, 1 a failure was found, 2 usage, 3 configuration, 4 an
/// input or the other side could not be read or reached, 5 the work itself failed.
pub(crate) fn report(failure: &Failure, output: &Output) -> ExitCode {
    ExitCode::from(match failure {
        Failure::Arguments(it) => arguments(it, output),
        Failure::UnknownCause { id, nearest } => {
            let hint = match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "`goodgate causes` lists them all".to_owned(),
            };
            output.failure(&format!("there is no cause called `{id}`"), Some(&hint));
            2
        }
        Failure::NoInput(it) => {
            let (words, hint) = it.words();
            output.failure(&words, Some(&hint));
            2
        }
        Failure::NothingRead(refused) => {
            for it in refused {
                let words = format!("cannot read `{}`: {}", it.name, it.why.why());
                output.failure(&words, it.why.hint());
            }
            4
        }
        Failure::HereIsLater => {
            let hint = "leave `--here` out: the inputs are then taken for those of another host";
            output.failure("looking at this host is not in this version", Some(hint));
            2
        }
        Failure::Mcp(why) => {
            output.failure(&format!("cannot talk to the assistant: {why}"), None);
            5
        }
        Failure::NothingToServe => {
            output.failure(
                "there is nothing to serve: no URL was given, and this folder has no \
                 `goodgate.toml`",
                Some(
                    "name your app, such as `goodgate run http://localhost:8000`, or let it be \
                     started: `goodgate run -- gunicorn app:app`",
                ),
            );
            2
        }
        Failure::NoCommand => {
            let hint = "name the app behind it, such as `goodgate run -- gunicorn app:app`";
            output.failure("there is no command after `--`", Some(hint));
            2
        }
        Failure::Child(it) => not_started(it, output),
        Failure::Unreadable { .. } | Failure::InvalidFile { .. } | Failure::Late => {
            words(failure, output.message_colour()).print(output)
        }
        Failure::InvalidUrls(complaints) => {
            for complaint in complaints.iter() {
                output.failure(&complaint.message, complaint.help.as_deref());
            }
            2
        }
        Failure::Shown { exit } => *exit,
        // Whoever read our output had enough of it, as `head` does.
        Failure::Output(why) if why.kind() == io::ErrorKind::BrokenPipe => 0,
        Failure::Output(why) => {
            output.failure(&format!("cannot print the result: {}", reason(why)), None);
            5
        }
        Failure::Serve(serve::Failure::Start(it)) => of_start(it).print(output),
        Failure::Serve(serve::Failure::Folder(it)) => of_folder(it).print(output),
        Failure::Serve(serve::Failure::TakeOver(it)) => of_takeover(it).print(output),
        Failure::Serve(serve::Failure::NoFolder) => {
            let hint = "name the folder of the process that serves: `--data DIR`";
            output.failure("without a file nothing says whom to take over from", Some(hint));
            2
        }
        Failure::NobodyNamed => {
            output.failure(
                "nothing says which gateway is meant: this folder has no `goodgate.toml`",
                Some("name its file with `--config`, or its folder with `--data`"),
            );
            2
        }
        Failure::Control(it) => of_client(it).print(output),
        Failure::Refused(it) => of_refusal(it).print(output),
        Failure::StillThere { pid } => {
            let hint = "`goodgate stop --now` does not wait for what is in flight";
            output.failure(&format!("process {pid} is still there"), Some(hint));
            5
        }
        Failure::Demo(why) => {
            output.failure(&format!("cannot show the demonstration: {}", reason(why)), None);
            5
        }
        Failure::Serve(serve::Failure::Signals(why)) => {
            output.failure(&format!("cannot wait for signals: {}", reason(why)), None);
            5
        }
    })
}

/// Why something failed, for a terminal or for whoever asked from elsewhere.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
    pub(crate) exit: u8,
    /// The text says by itself that these are errors.
    is_whole: bool,
}

impl Words {
    fn new(text: impl Into<String>, exit: u8) -> Words {
        Words { text: text.into(), hint: None, exit, is_whole: false }
    }

    fn hint(self, hint: impl Into<String>) -> Words {
        Words { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn print(&self, output: &Output) -> u8 {
        match self.is_whole {
            true => {
                output.message(&self.text);
                self.hint.iter().for_each(|it| output.message(&format!("\nhint: {it}")));
            }
            false => output.failure(&self.text, self.hint.as_deref()),
        }
        self.exit
    }
}

/// Why a configuration cannot be had.
pub(crate) fn words(failure: &Failure, colour: bool) -> Words {
    match failure {
        Failure::Unreadable { file, why } => {
            let words = Words::new(format!("cannot read `{file}`: {}", reason(why)), 4);
            Words { hint: unreadable_hint(file).map(str::to_owned), ..words }
        }
        Failure::InvalidFile { file, complaints } => {
            let words = Words::new(complaints.render(&file.name, &file.text, colour), 3);
            Words { is_whole: true, ..words }
        }
        Failure::Late => Words::new("the files of the configuration take too long to be read", 4)
            .hint("see whether the file system that they are on answers"),
        other => Words::new(format!("cannot read the configuration: {other:?}"), 5),
    }
}

/// The app of `goodgate run -- COMMAND`.
fn not_started(it: &child::Failure, output: &Output) -> u8 {
    let (program, why) = match it {
        child::Failure::Command { program, why } => (program, why),
        child::Failure::System(why) => {
            output.failure(&format!("cannot start the app: {}", reason(why)), None);
            return 5;
        }
    };
    let (words, hint) = match why {
        NotStarted::NotFound if program.contains('/') => {
            ("there is no such file", "see what is there: ls -l".to_owned())
        }
        NotStarted::NotFound => (
            "it is in no folder of `PATH`",
            format!(
                "activate its virtual environment, or name its path, such as \
                 `goodgate run -- venv/bin/{program}`"
            ),
        ),
        NotStarted::Folder => ("it is a folder", "name the program in it".to_owned()),
        NotStarted::NotExecutable => (
            "it is no program that may be run",
            format!("name what runs it, such as `python {program}`, or: chmod +x {program}"),
        ),
    };
    output.failure(&format!("cannot start `{program}`: {words}"), Some(&hint));
    4
}

/// Files are configuration; addresses and threads are the system's.
fn of_start(it: &StartError) -> Words {
    match it {
        StartError::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
            Words::new(format!("{it}: {}", reason(source)), 5)
                .hint(format!("see who has it: ss -ltnp 'sport = :{}'", address.port()))
        }
        StartError::ListenUdp { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
            Words::new(format!("{it}: {}", reason(source)), 5)
                .hint(format!("see who has it: ss -lunp 'sport = :{}'", address.port()))
        }
        StartError::Listen { address, source } | StartError::ListenUdp { address, source } => {
            let low = source.kind() == io::ErrorKind::PermissionDenied && address.port() < 1024;
            let words = Words::new(format!("{it}: {}", reason(source)), 5);
            match low {
                true => words.hint("ports below 1024 need the capability CAP_NET_BIND_SERVICE"),
                false => words,
            }
        }
        StartError::Log { source, .. } | StartError::Thread(source) => {
            Words::new(format!("{it}: {}", reason(source)), 5)
        }
        StartError::File { .. } | StartError::Tls(_) => Words::new(it.to_string(), 3),
    }
}

/// Why another configuration cannot be served by, although it is valid.
pub(crate) fn of_reload(it: &ReloadError) -> Words {
    match it {
        ReloadError::Start(it) => of_start(it),
        ReloadError::NeedsRestart(keys)
            if keys.contains(&"child") || keys.contains(&"data.dir") =>
        {
            Words::new(it.to_string(), 3).hint("stop it, and start it again")
        }
        ReloadError::NeedsRestart(_) => Words::new(it.to_string(), 3)
            .hint("`goodgate run --takeover` restarts without losing a connection"),
    }
}

fn of_folder(it: &folder::Failure) -> Words {
    match it {
        folder::Failure::Taken { folder, pid } => {
            let who =
                pid.map_or_else(|| "another process".to_owned(), |it| format!("process {it}"));
            Words::new(format!("{who} serves with the folder `{}`", folder.display()), 5).hint(
                "`goodgate run --takeover` serves instead of it; `data.dir` or `--data` names \
                 another folder",
            )
        }
        folder::Failure::Unusable { folder, why } => {
            let text = format!("cannot use the folder `{}`: {}", folder.display(), reason(why));
            Words::new(text, 3).hint(
                "make it, and let the user who runs the gateway write it; `data.dir` or `--data` \
                 names another one",
            )
        }
    }
}

fn of_client(it: &client::Failure) -> Words {
    match it {
        client::Failure::Nobody { folder } => {
            Words::new(format!("no gateway runs with the folder `{}`", folder.display()), 4)
                .hint("start it with `goodgate run`, or name the one that is meant with `--data`")
        }
        client::Failure::Unreachable { folder, why } => {
            let denied = why.kind() == io::ErrorKind::PermissionDenied;
            let words = Words::new(
                format!("cannot ask the gateway of `{}`: {}", folder.display(), reason(why)),
                4,
            );
            match denied {
                true => words.hint("only the user who runs it, and root, may speak with it"),
                false => words,
            }
        }
    }
}

fn of_refusal(it: &client::Answer) -> Words {
    let text = |key: &str| it.body.get(key).and_then(|it| it.as_str()).map(str::to_owned);
    let exit = match it.status {
        // What is named on the command line is not there.
        404 => 2,
        422 => 3,
        _ => 5,
    };
    let unknown = || format!("the gateway answers with status {}", it.status);
    let words = Words::new(text("error").unwrap_or_else(unknown), exit);
    // Complaints about a file come as they are shown.
    let is_whole = words.text.starts_with("error: ");
    Words { hint: text("hint"), is_whole, ..words }
}

fn of_takeover(it: &takeover::Failure) -> Words {
    let goes_on = "it goes on as before";
    match it {
        takeover::Failure::Ask(it) => of_client(it),
        takeover::Failure::Refused { error, hint } => {
            let words = Words::new(format!("the running process refuses: {error}"), 5);
            Words { hint: hint.clone(), ..words }
        }
        takeover::Failure::Protocol { version } => {
            let text =
                format!("the running process (Goodgate {version}) hands over in another way");
            Words::new(text, 5)
                .hint("stop it with `goodgate stop`, and start this version without `--takeover`")
        }
        takeover::Failure::Unconfirmed { pid, why } => {
            let text = format!("process {pid} does not leave: {}", reason(why));
            Words::new(text, 5).hint(goes_on)
        }
        takeover::Failure::Broken { folder, why } => {
            let folder = folder.display();
            let text = format!("cannot take over the folder `{folder}`: {}", reason(why));
            Words::new(text, 5).hint(goes_on)
        }
    }
}

/// Help and the version come as errors too; they go where results go.
fn arguments(it: &clap::Error, output: &Output) -> u8 {
    match it.use_stderr() {
        true => {
            output.styled_message(&it.render());
            2
        }
        false => match output.styled(&it.render()) {
            Ok(()) => 0,
            Err(why) if why.kind() == io::ErrorKind::BrokenPipe => 0,
            Err(_) => 5,
        },
    }
}

fn unreadable_hint(file: &str) -> Option<&'static str> {
    (file == "goodgate.toml").then_some("name the file, such as `goodgate check path/to/file.toml`")
}
