//! `goodgate why`: explain the failures in logs and configurations of any stack.

use crate::output::Output;
use crate::problem::Failure;
use crate::why::times::{Moment, moment};
use crate::why::{self, Answer, Asked, Limits, Wanted, inputs};
use clap::ValueEnum;
use diagnosis::report::{Report, Verdict, markdown, text};
use std::ffi::OsString;
use std::io::IsTerminal;

/// Explain the failures in logs and configurations of any stack
///
/// Reads logs, configurations, folders of them and archives, also compressed, lines that are pasted
/// and whatever is piped in, and answers with the root cause, the lines that prove it and the fix.
/// Formats are recognised by what is in them. It opens no connection and changes nothing.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// A file, a folder, an archive or a line of a log; `-` for standard input
    #[arg(value_name = "INPUT")]
    inputs: Vec<OsString>,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only what happened after: `1h`, `15:00`, `2026-11-20 15:00`, `all`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Only what happened before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// Only lines that hold this text
    #[arg(long = "match", value_name = "TEXT")]
    holding: Option<String>,
    /// Explain this incident of an earlier report of the same inputs
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    /// Open no connection; what is given as a file never opens one
    #[arg(long)]
    no_probe: bool,
    /// The inputs are from this host
    #[arg(long)]
    here: bool,
    /// Mask addresses, host names and user names, for others to read
    #[arg(long)]
    share: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// Markdown, for an issue or a chat
    Md,
}

pub(super) fn run(arguments: Arguments, output: &Output) -> Result<(), Failure> {
    if arguments.here {
        return Err(Failure::HereIsLater);
    }
    let terminal = std::io::stdin().is_terminal();
    let inputs = inputs::of(&arguments.inputs, terminal).map_err(Failure::NoInput)?;
    let (since, until) = (arguments.since, arguments.until);
    let wanted = Wanted { since, until, holding: arguments.holding.filter(|it| !it.is_empty()) };
    let asked =
        Asked { wanted, incident: arguments.incident, share: arguments.share, progress: true };
    let Answer { report, notes, refused } = why::answer(inputs, &asked, &Limits::of_this_machine());
    let Some(report) = report else { return Err(Failure::NothingRead(refused)) };
    for it in &refused {
        output.failure(&format!("cannot read `{}`: {}", it.name, it.why.why()), it.why.hint());
    }
    print(&report, &notes, arguments.format, output)?;
    match report.verdict {
        Verdict::NoFailure => Ok(()),
        _ => Err(Failure::Shown { exit: 1 }),
    }
}

fn print(
    report: &Report,
    notes: &[String],
    format: Format,
    output: &Output,
) -> Result<(), Failure> {
    let first = |ends: &str| notes.iter().map(|it| format!("{it}{ends}")).collect::<String>();
    match format {
        Format::Text => {
            output.text(&(first("\n") + &text::render(report, output.result_colour())))?;
        }
        Format::Json => output.json(report)?,
        Format::Md => output.text(&(first("\n\n") + &markdown::render(report)))?,
    }
    Ok(())
}
