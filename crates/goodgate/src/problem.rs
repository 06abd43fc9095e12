//! Why a command failed: the one match from failures to an exit code, words and a hint.

use crate::child::{self, NotStarted};
use crate::output::Output;
use crate::serve;
use crate::settings::File;
use crate::why::inputs::{Misused, Refused};
use crate::why::reason;
use config::Complaints;
use proxy::StartError;
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
    InvalidUrls(Complaints),
    /// The result is a failure, and it was printed as the result.
    Shown {
        exit: u8,
    },
    /// The result could not be printed.
    Output(io::Error),
    Serve(serve::Failure),
    /// The targets of the demonstration cannot be set up or asked.
    Demo(io::Error),
}

impl From<io::Error> for Failure {
    fn from(it: io::Error) -> Failure {
        Failure::Output(it)
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
        Failure::Unreadable { file, why } => {
            let why = reason(why);
            output.failure(&format!("cannot read `{file}`: {why}"), unreadable_hint(file));
            4
        }
        Failure::InvalidFile { file, complaints } => {
            output.message(&complaints.render(&file.name, &file.text, output.message_colour()));
            3
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
        Failure::Serve(serve::Failure::Start(it)) => start(it, output),
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
fn start(it: &StartError, output: &Output) -> u8 {
    let (words, hint, exit) = match it {
        StartError::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => (
            format!("{it}: {}", reason(source)),
            Some(format!("see who has it: ss -ltnp 'sport = :{}'", address.port())),
            5,
        ),
        StartError::ListenUdp { address, source } if source.kind() == io::ErrorKind::AddrInUse => (
            format!("{it}: {}", reason(source)),
            Some(format!("see who has it: ss -lunp 'sport = :{}'", address.port())),
            5,
        ),
        StartError::Listen { address, source } | StartError::ListenUdp { address, source } => {
            let low = source.kind() == io::ErrorKind::PermissionDenied && address.port() < 1024;
            let hint = "ports below 1024 need the capability CAP_NET_BIND_SERVICE";
            (format!("{it}: {}", reason(source)), low.then(|| hint.to_owned()), 5)
        }
        StartError::Log { source, .. } => (format!("{it}: {}", reason(source)), None, 5),
        StartError::Thread(source) => (format!("{it}: {}", reason(source)), None, 5),
        StartError::File { .. } | StartError::Tls(_) => (it.to_string(), None, 3),
    };
    output.failure(&words, hint.as_deref());
    exit
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
