//! `goodgate formats`: what `goodgate why` can read.

use super::Format;
use crate::output::Output;
use crate::problem::Failure;
use evidence::{CONFIGS, DOCUMENTS, READERS, layer_names};
use serde::Serialize;

/// List the formats of logs and configurations that `why` reads
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// How to print the list
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Formats {
    logs: Vec<Entry>,
    /// Read whole, such as a recording of a browser.
    documents: Vec<Entry>,
    configurations: Vec<Entry>,
    /// What lines may be wrapped in.
    layers: Vec<&'static str>,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    product: &'static str,
    /// Where the format is defined.
    source: &'static str,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let formats = formats();
    match arguments.format {
        Format::Text => output.text(&list(&formats, output))?,
        Format::Json => output.json(&formats)?,
    }
    Ok(())
}

fn formats() -> Formats {
    let logs = READERS.iter();
    let documents = DOCUMENTS.iter();
    let configurations = CONFIGS.iter();
    Formats {
        logs: logs
            .map(|it| Entry { name: it.name, product: it.product.name(), source: it.source })
            .collect(),
        documents: documents
            .map(|it| Entry { name: it.name, product: it.product.name(), source: it.source })
            .collect(),
        configurations: configurations
            .map(|it| Entry { name: it.name, product: it.product.name(), source: it.source })
            .collect(),
        layers: layer_names().collect(),
    }
}

fn list(formats: &Formats, output: &Output) -> String {
    let Formats { logs, documents, configurations, layers } = formats;
    let all = logs.iter().chain(documents).chain(configurations);
    let widest = all.map(|it| it.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    let groups = [("Logs", logs), ("Documents", documents), ("Configurations", configurations)];
    for (heading, entries) in groups {
        text += &format!("{}\n", output.bold(heading));
        for it in entries {
            text += &format!("  {:<widest$}  {}\n", it.name, it.source);
        }
        text.push('\n');
    }
    text += &format!("{}\n", output.bold("Around lines"));
    for it in layers {
        text += &format!("  {it}\n");
    }
    text
}
