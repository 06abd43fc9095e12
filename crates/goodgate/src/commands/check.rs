//! `goodgate check`: say everything that is wrong with a file, without starting anything.

use super::{DEFAULT_FILE, Format};
use crate::output::{Output, count};
use crate::problem::Failure;
use crate::settings;
use config::{Complaints, Config, Located};
use serde::Serialize;
use std::path::PathBuf;

/// Find every mistake in a configuration at once
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The file to read
    #[arg(value_name = "FILE", default_value = DEFAULT_FILE)]
    file: PathBuf,
    /// Treat warnings as mistakes
    #[arg(long)]
    strict: bool,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Judgement<'a> {
    file: &'a str,
    valid: bool,
    complaints: Vec<Located<'a>>,
    /// Complaints beyond those that are listed.
    left_out: usize,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let file = settings::read(&arguments.file)?;
    let (config, complaints) = match file.parse() {
        Ok(parsed) => (Some(parsed.config), parsed.warnings.into()),
        Err(complaints) => (None, complaints),
    };
    let complaints = if arguments.strict { complaints.strict() } else { complaints };
    match arguments.format {
        Format::Text => text(config.as_ref(), &complaints, &file, output)?,
        Format::Json => output.json(&Judgement {
            file: &file.name,
            valid: !complaints.has_errors(),
            complaints: complaints.located(&file.text),
            left_out: complaints.left_out(),
        })?,
    }
    if complaints.has_errors() { Err(Failure::Shown { exit: 3 }) } else { Ok(()) }
}

fn text(
    config: Option<&Config>,
    complaints: &Complaints,
    file: &settings::File,
    output: &Output,
) -> Result<(), Failure> {
    if !complaints.is_empty() {
        output.message(&complaints.render(&file.name, &file.text, output.message_colour()));
    }
    if let Some(config) = config.filter(|_| !complaints.has_errors()) {
        let routes = count(config.routes.all().len(), "route");
        let upstreams = count(config.upstreams.len(), "upstream");
        output.line(&format!("{} is valid: {routes}, {upstreams}", file.name))?;
    }
    Ok(())
}
