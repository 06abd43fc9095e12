//! `cargo xtask docs`: pages that are made from the code, so that they cannot say something else.

mod causes;
mod configuration;
mod guide;
mod readme;

use crate::{run, say};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// A generated file.
struct Page {
    /// From the top of the source tree.
    path: String,
    text: String,
}

/// A folder in which every file is generated: what no page claims is removed.
const OWNED: &str = "docs/causes";

pub(crate) fn write() -> Result<()> {
    let pages = pages()?;
    for page in pages.iter().filter(|it| !fresh(it)) {
        let path = run::root().join(&page.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, &page.text).with_context(|| format!("cannot write {}", page.path))?;
        say::note(&format!("wrote {}", page.path));
    }
    for path in leftovers(&pages)? {
        fs::remove_file(run::root().join(&path))
            .with_context(|| format!("cannot remove {path}"))?;
        say::note(&format!("removed {path}"));
    }
    Ok(())
}

pub(crate) fn check() -> Result<()> {
    let pages = pages()?;
    let stale = pages.iter().filter(|it| !fresh(it)).map(|it| it.path.clone());
    let wrong: Vec<String> = stale.chain(leftovers(&pages)?).collect();
    if !wrong.is_empty() {
        bail!("not as generated: {}; run `cargo xtask docs`", wrong.join(", "));
    }
    say::note(&format!("{} pages are as generated", pages.len()));
    Ok(())
}

fn pages() -> Result<Vec<Page>> {
    let mut pages = causes::pages()?;
    pages.extend(configuration::pages()?);
    pages.extend(guide::pages()?);
    pages.push(readme::page()?);
    Ok(pages)
}

fn fresh(page: &Page) -> bool {
    fs::read_to_string(run::root().join(&page.path)).is_ok_and(|it| it == page.text)
}

fn leftovers(pages: &[Page]) -> Result<Vec<String>> {
    let folder = run::root().join(OWNED);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut leftovers = Vec::new();
    for file in fs::read_dir(&folder).with_context(|| format!("cannot list {OWNED}"))? {
        let path = Path::new(OWNED).join(file?.file_name()).display().to_string();
        if pages.iter().all(|it| it.path != path) {
            leftovers.push(path);
        }
    }
    Ok(leftovers)
}
