//! `docs/causes/`: the manual page of every cause, and an index by family.

use super::Page;
use anyhow::{Context, Result};
use diagnosis::{CATALOGUE, Entry, Family};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Causes

Why a request fails, one page for each cause that Goodgate tells apart. An id is the same word
everywhere: in the answer, in the log, in `goodgate explain` and in the name of its file.

Retry says when the same request may be sent again:

| class | meaning |
|---|---|
| R0 | no byte of it left the gateway: any method, at once, better to another target |
| R1 | the target proved that it did not process it: any method |
| R2 | it was sent and no byte of an answer came: only what may safely happen twice |
| R3 | the same target will fail the same way again |
| R4 | bytes of the answer have reached the client: never |

These pages are the comments at the top of the files in `crates/diagnosis/src/causes/`.
`cargo xtask docs` writes them.
";

pub(super) fn pages() -> Result<Vec<Page>> {
    let mut pages = vec![Page { path: "docs/causes/README.md".into(), text: index() }];
    for entry in CATALOGUE {
        let id = entry.cause.id;
        let text = diagnosis::manual::page(id).with_context(|| format!("`{id}` has no page"))?;
        pages.push(Page { path: format!("docs/causes/{id}.md"), text });
    }
    Ok(pages)
}

fn index() -> String {
    let mut families: Vec<Family> = CATALOGUE.iter().map(|it| it.cause.family).collect();
    families.sort();
    families.dedup();
    let sections = families.into_iter().map(section);
    sections.fold(INTRODUCTION.to_owned(), |page, section| page + &section)
}

fn section(family: Family) -> String {
    let mut text = format!("\n## {family:?}: {}\n\n", family.title());
    text.push_str("| cause | what happened | side | retry |\n|---|---|---|---|\n");
    for entry in CATALOGUE.iter().filter(|it| it.cause.family == family) {
        // Writing to a string cannot fail.
        let _ = row(&mut text, entry);
    }
    text
}

fn row(text: &mut String, entry: &Entry) -> std::fmt::Result {
    let cause = entry.cause;
    let side = cause.side.name();
    writeln!(
        text,
        "| [{id}]({id}.md) | {} | {side} | {:?} |",
        cause.title,
        cause.retry,
        id = cause.id
    )
}
