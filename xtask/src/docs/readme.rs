//! The table of what works, in the README, and what `goodgate why` says of its example.

use super::{Page, guide};
use crate::features::{FEATURES, Feature};
use crate::run;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- features: written by `cargo xtask docs` -->\n";
const END: &str = "<!-- end of features -->\n";
/// Among the inputs of the guide.
const INPUTS: &str = "readme";

pub(super) fn page() -> Result<Page> {
    let tests = Tests::read()?;
    let unproven: Vec<&str> =
        FEATURES.iter().filter(|it| !tests.hold(it.test)).map(|it| it.test).collect();
    if !unproven.is_empty() {
        bail!("xtask/src/features.rs names tests that do not exist: {}", unproven.join(", "));
    }
    let path = "README.md".to_owned();
    let old = fs::read_to_string(run::root().join(&path)).context("cannot read README.md")?;
    let text = guide::fill(&replace(&old, &table(FEATURES))?, INPUTS)?;
    Ok(Page { path, text })
}

/// The page with what stands between the markers exchanged.
fn replace(page: &str, table: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).context("README.md lost its `features` marker")?;
    let (_, after) = rest.split_once(END).context("README.md lost its `end of features` marker")?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

fn table(features: &[Feature]) -> String {
    let head = "| | what works | proven by |\n|---|---|---|\n".to_owned();
    let mut area = "";
    features.iter().fold(head, |table, it| {
        let shown = if it.area == area { "" } else { it.area };
        area = it.area;
        format!("{table}| {shown} | {} | `{}` |\n", it.works, it.test)
    })
}

/// The text of every source file that may hold tests.
struct Tests {
    sources: Vec<String>,
}

impl Tests {
    fn read() -> Result<Tests> {
        let mut sources = Vec::new();
        for folder in ["crates", "lab", "bench", "xtask/tests"] {
            collect(&run::root().join(folder), &mut sources)?;
        }
        Ok(Tests { sources })
    }

    fn hold(&self, name: &str) -> bool {
        let (rust, python) = (format!("fn {name}("), format!("def {name}("));
        self.sources.iter().any(|it| it.contains(&rust) || it.contains(&python))
    }
}

fn collect(folder: &Path, sources: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(folder);
    for entry in entries.with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, sources)?;
        } else if path.extension().is_some_and(|it| it == "rs" || it == "py") {
            sources.push(fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let expected = format!("before\n{BEGIN}new\n{END}after\n");
        assert_eq!(replace(&page, "new\n").unwrap(), expected);
    }

    #[test]
    fn a_page_without_markers_is_a_complaint() {
        assert!(replace("before\nafter\n", "new\n").is_err());
    }

    #[test]
    fn an_area_is_named_once() {
        let row = |works| Feature { area: "Routing", works, test: "t" };
        let expected = "| | what works | proven by |\n|---|---|---|\n\
                        | Routing | a | `t` |\n|  | b | `t` |\n";
        assert_eq!(table(&[row("a"), row("b")]), expected);
    }
}
