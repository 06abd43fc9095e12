//! The configurations that pages and packages show are valid: whoever copies one starts with it.

use config::{Context, parse};
use std::fs;
use std::path::{Path, PathBuf};

/// What an example leaves out because it is about something else.
const REST: &str = "\n[upstream.rest]\ntargets = [\"http://127.0.0.1:8000\"]\n\
                    [route.rest]\nmatch = \"/*\"\nto = \"rest\"\n";

#[track_caller]
fn check(text: &str, place: &str) {
    let whole = match text.contains("[route.") {
        true => text.to_owned(),
        false => format!("{text}{REST}"),
    };
    let env = |_: &str| Some("http://127.0.0.1:8000".to_owned());
    let context = Context { base: Path::new("/etc/goodgate"), env: &env };
    if let Err(complaints) = parse(&whole, &context) {
        panic!("{place}: {complaints:?}\n{whole}");
    }
}

#[test]
fn what_pages_show_is_valid() {
    let mut found = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for block in blocks(&text) {
            check(&block, &page.display().to_string());
            found += 1;
        }
    }
    assert!(4 < found, "only {found} blocks were found");
}

#[test]
fn what_packages_bring_is_valid() {
    for file in ["packaging/goodgate.toml", "packaging/docker/goodgate.toml"] {
        check(&fs::read_to_string(root().join(file)).unwrap(), file);
    }
}

#[test]
fn blocks_are_found_where_they_stand() {
    let page =
        "a\n```toml\none = 1\n```\n```yaml\n  goodgate.toml: |\n    two = 2\n\n    # x\n---\n```\n";
    assert_eq!(blocks(page), ["one = 1\n", "two = 2\n\n# x\n"]);
}

/// Configurations of ours in a page: blocks of TOML, and those within a ConfigMap.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let indent = match line {
            "```toml" => "",
            "  goodgate.toml: |" => "    ",
            _ => continue,
        };
        let mut block = String::new();
        while let Some(line) = lines.next_if(|it| *it != "```") {
            match line.strip_prefix(indent) {
                Some(line) => block += line,
                None if line.is_empty() => {}
                None => break,
            }
            block.push('\n');
        }
        blocks.push(block);
    }
    blocks
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    for folder in ["docs", "docs/guide"] {
        let files = fs::read_dir(root().join(folder))
            .expect("a folder can be listed")
            .map(|it| it.expect("a folder can be listed").path());
        pages.extend(files.filter(|it| it.extension().is_some_and(|it| it == "md")));
    }
    pages
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
