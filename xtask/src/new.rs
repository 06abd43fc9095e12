//! `cargo xtask new cause`: a file from the template, its `mod` line and its place in the list.

use crate::{run, say};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;

const LIST: &str = "crates/diagnosis/src/causes.rs";
const TEMPLATE: &str = include_str!("new/cause.rs.template");
const FAMILIES: u32 = 15;

pub(crate) fn cause(name: &str, family: &str) -> Result<()> {
    ensure!(is_id(name), "`{name}` is no id: lower case, digits and `_`, a letter first");
    ensure!(
        is_family(family),
        "say the family, F1 to F{FAMILIES} (see docs/causes/), not `{family}`"
    );
    let path = format!("crates/diagnosis/src/causes/{name}.rs");
    if Path::new(&run::root().join(&path)).exists() {
        bail!("{path} is there already");
    }
    let old = fs::read_to_string(run::root().join(LIST)).context("cannot read the list")?;
    let list = listed(&old, name, family).context("the list does not look as expected")?;
    fs::write(run::root().join(&path), filled(name, family))?;
    fs::write(run::root().join(LIST), list)?;
    say::note(&format!("wrote {path} and listed it in {LIST}"));
    say::note("its test fails until the cause recognises something");
    Ok(())
}

fn filled(name: &str, family: &str) -> String {
    TEMPLATE.replace("{name}", name).replace("{family}", family)
}

fn is_id(name: &str) -> bool {
    let known = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    name.starts_with(|it: char| it.is_ascii_lowercase()) && name.chars().all(known)
}

fn is_family(family: &str) -> bool {
    (1..=FAMILIES).any(|number| family == format!("F{number}"))
}

/// The list with a `mod` line in alphabetical order and an `entry!` at the end of its family.
fn listed(list: &str, name: &str, family: &str) -> Option<String> {
    let mut lines: Vec<String> = list.lines().map(str::to_owned).collect();

    let module = format!("mod {name};");
    let is_module = |it: &String| it.starts_with("mod ") && it.ends_with(';');
    let after = lines.iter().position(|it| is_module(it) && **it > *module);
    let last = lines.iter().rposition(is_module)? + 1;
    lines.insert(after.unwrap_or(last), module);

    let heading = format!("    // {family}");
    let end = lines.iter().rposition(|it| it == "];")?;
    let entry = format!("    entry!({name}),");
    match lines.iter().position(|it| *it == heading) {
        Some(start) => {
            let next = lines[start + 1..end].iter().position(|it| it.starts_with("    // F"));
            lines.insert(next.map_or(end, |it| start + 1 + it), entry);
        }
        None => {
            let at = lines[..end].iter().position(|it| number(it) > number(&heading));
            let at = at.unwrap_or(end);
            lines.splice(at..at, [heading, entry]);
        }
    }
    Some(lines.join("\n") + "\n")
}

/// The number in a family's heading; no other line has one.
fn number(line: &str) -> Option<u32> {
    line.strip_prefix("    // F")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
mod apple;
mod pear;

pub static CATALOGUE: &[Entry] = &[
    // F1
    entry!(apple),
    // F4
    entry!(pear),
];
";

    #[track_caller]
    fn check(name: &str, family: &str, expected: &str) {
        assert_eq!(listed(LIST, name, family).expect("the list is well formed"), expected);
    }

    #[test]
    fn a_known_family_gets_one_more_entry() {
        let expected = LIST
            .replace("mod pear;", "mod fig;\nmod pear;")
            .replace("entry!(apple),", "entry!(apple),\n    entry!(fig),");
        check("fig", "F1", &expected);
    }

    #[test]
    fn a_new_family_is_put_in_order() {
        let listed = LIST.replace("mod pear;", "mod pear;\nmod plum;");
        let between = listed.replace("    // F4", "    // F2\n    entry!(plum),\n    // F4");
        check("plum", "F2", &between);
        let last = listed.replace("];\n", "    // F12\n    entry!(plum),\n];\n");
        check("plum", "F12", &last);
    }

    #[test]
    fn ids_are_plain_words() {
        assert!(is_id("dns_nxdomain") && is_id("h2_goaway"));
        assert!(!is_id("") && !is_id("Stale") && !is_id("2fast") && !is_id("../x"));
    }

    #[test]
    fn families_are_numbered() {
        assert!(is_family("F1") && is_family("F15"));
        assert!(!is_family("F0") && !is_family("F16") && !is_family("f1") && !is_family(""));
    }
}
