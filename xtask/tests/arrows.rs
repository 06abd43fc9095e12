//! Who may use whom, and what may be built in. A new arrow is a design decision: change the map
//! with care.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each crate of ours, and those of ours that it may build on. Arrows point down only.
const MAY_USE: &[(&str, &[&str])] = &[
    // Pure.
    ("exchange", &[]),
    ("config", &[]),
    ("evidence", &["exchange"]),
    ("diagnosis", &["exchange", "evidence"]),
    // The world.
    ("proxy", &["exchange", "config", "evidence", "diagnosis"]),
    ("lab", &["exchange", "config", "evidence", "diagnosis"]),
    // Wiring. The tour of `goodgate demo` plays the lab's scenes.
    ("goodgate", &["exchange", "config", "evidence", "diagnosis", "proxy", "lab"]),
    // Tools.
    ("bench", &["exchange", "config", "evidence", "diagnosis", "proxy", "lab"]),
    ("xtask", &["exchange", "config", "evidence", "diagnosis", "proxy", "lab"]),
];

/// Crates without sockets, clock, disk or async.
const PURE: &[&str] = &["exchange", "config", "evidence", "diagnosis"];

/// What would let a pure crate reach the world.
const WORLD: &[&str] =
    &["hyper", "mio", "rustix", "rustls", "socket2", "tokio", "tokio-rustls", "rusqlite", "sqlx"];

#[test]
fn every_arrow_is_on_the_map() {
    let graph = Graph::read();
    for package in graph.ours() {
        let (_, may_use) = MAY_USE
            .iter()
            .find(|(name, _)| *name == package.name)
            .unwrap_or_else(|| panic!("{} is not on the map", package.name));
        for used in graph.ours_used_by(package) {
            assert!(may_use.contains(&used), "{} may not use {used}", package.name);
        }
    }
}

#[test]
fn the_map_holds_only_crates_that_exist() {
    let graph = Graph::read();
    let ours: BTreeSet<&str> = graph.ours().map(|it| it.name.as_str()).collect();
    for (name, may_use) in MAY_USE {
        for it in may_use.iter().chain([name]) {
            assert!(ours.contains(it), "there is no crate called {it}");
        }
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for package in Graph::read().ours() {
        let manifest = std::fs::read_to_string(&package.manifest).unwrap();
        let takes = manifest.contains("\n[lints]\nworkspace = true\n");
        assert!(takes, "{} lacks `[lints] workspace = true`", package.name);
    }
}

#[test]
fn pure_crates_cannot_reach_the_world() {
    let graph = Graph::read();
    for package in graph.ours().filter(|it| PURE.contains(&it.name.as_str())) {
        let built_in = graph.all_below(&package.id);
        for it in WORLD {
            assert!(!built_in.contains(it), "{} builds in {it}: it is not pure", package.name);
        }
    }
}

#[test]
fn pure_crates_ban_the_clock_and_the_disk() {
    for package in Graph::read().ours().filter(|it| PURE.contains(&it.name.as_str())) {
        let lints = package.manifest.with_file_name("clippy.toml");
        let lints = std::fs::read_to_string(&lints).expect("a pure crate has a clippy.toml");
        for it in ["Instant::now", "SystemTime::now", "fs::read", "net::TcpStream", "env::var"] {
            assert!(lints.contains(it), "clippy.toml of {} does not ban {it}", package.name);
        }
    }
}

#[test]
fn every_licence_is_allowed() {
    let policy = Policy::read();
    for package in Graph::read().packages.values() {
        let licence = package.licence.as_deref().unwrap_or("none");
        assert!(policy.allows(licence), "{} is under {licence}", package.name);
    }
}

#[test]
fn banned_crates_are_used_by_nobody_but_their_wrappers() {
    let (graph, policy) = (Graph::read(), Policy::read());
    assert!(!policy.bans.is_empty(), "deny.toml has no bans that can be read");
    for ban in &policy.bans {
        for user in graph.users_of(&ban.name) {
            assert!(ban.wrappers.contains(&user.to_owned()), "{user} may not use {}", ban.name);
        }
    }
}

#[test]
fn licence_expressions_are_read_as_written() {
    let policy = Policy { licences: vec!["MIT".into(), "ISC".into()], bans: Vec::new() };
    for good in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "MIT AND ISC", "(GPL-3.0 OR MIT) AND ISC"]
    {
        assert!(policy.allows(good), "{good}");
    }
    for bad in ["none", "GPL-3.0", "MIT AND GPL-3.0", "MIT WITH x", "(GPL-3.0 OR MIT) AND GPL-3.0"]
    {
        assert!(!policy.allows(bad), "{bad}");
    }
}

struct Package {
    id: String,
    name: String,
    licence: Option<String>,
    manifest: PathBuf,
    ours: bool,
}

/// What cargo says of the workspace and all that it builds on.
struct Graph {
    packages: BTreeMap<String, Package>,
    /// From the id of a package to those that are built into it; neither build scripts nor tests.
    normal: BTreeMap<String, Vec<String>>,
    /// The same with build scripts and tests.
    all: BTreeMap<String, Vec<String>>,
}

impl Graph {
    fn read() -> Graph {
        let platform = ["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"];
        let metadata = cargo(&[&["metadata", "--format-version=1"], &platform[..]].concat());
        Graph::of(&serde_json::from_str(&metadata).expect("cargo metadata writes JSON"), &built())
    }

    fn of(metadata: &Value, built: &BTreeSet<String>) -> Graph {
        let members: BTreeSet<String> = list(&metadata["workspace_members"]).map(text).collect();
        let packages: BTreeMap<String, Package> = list(&metadata["packages"])
            .filter(|it| {
                built.contains(&format!("{} v{}", text(&it["name"]), text(&it["version"])))
            })
            .map(|it| Package {
                id: text(&it["id"]),
                name: text(&it["name"]),
                licence: it["license"].as_str().map(str::to_owned),
                manifest: PathBuf::from(text(&it["manifest_path"])),
                ours: members.contains(&text(&it["id"])),
            })
            .map(|it| (it.id.clone(), it))
            .collect();
        let edges = |kept: fn(&Value) -> bool| {
            let below = |node: &Value| {
                let deps = list(&node["deps"]).filter(|it| list(&it["dep_kinds"]).any(kept));
                let ids = deps.map(|it| text(&it["pkg"]));
                ids.filter(|it| packages.contains_key(it)).collect()
            };
            let nodes = list(&metadata["resolve"]["nodes"]).map(|it| (text(&it["id"]), below(it)));
            nodes.filter(|(id, _)| packages.contains_key(id)).collect()
        };
        let (normal, all) = (edges(|it| it["kind"].is_null()), edges(|_| true));
        Graph { packages, normal, all }
    }

    fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|it| it.ours)
    }

    fn ours_used_by(&self, package: &Package) -> impl Iterator<Item = &str> {
        let used = self.normal[&package.id].iter().map(|it| &self.packages[it]);
        used.filter(|it| it.ours).map(|it| it.name.as_str())
    }

    /// Names of all that is built into a package.
    fn all_below(&self, id: &str) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            for below in &self.normal[id] {
                if names.insert(self.packages[below].name.as_str()) {
                    open.push(below);
                }
            }
        }
        names
    }

    /// Names of the packages that use one directly, for tests and build scripts too.
    fn users_of(&self, name: &str) -> impl Iterator<Item = &str> {
        let uses = move |below: &[String]| below.iter().any(|it| self.packages[it].name == name);
        let users = self.all.iter().filter(move |(_, below)| uses(below));
        users.map(|(id, _)| self.packages[id].name.as_str())
    }
}

/// Names and versions of what is really built. The metadata also hold packages that some feature
/// merely mentions (`ring?/std`).
fn built() -> BTreeSet<String> {
    let words = ["tree", "--workspace", "--prefix=none", "--format={p}", "--locked"];
    let tree = cargo(&[&words[..], &["--target", "x86_64-unknown-linux-gnu"]].concat());
    let name = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    tree.lines().map(name).collect()
}

fn cargo(words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    let output = command.args(words).current_dir(root()).output().expect("cargo can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {} failed: {said}", words.join(" "));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

struct Ban {
    name: String,
    wrappers: Vec<String>,
}

/// What deny.toml says.
struct Policy {
    licences: Vec<String>,
    bans: Vec<Ban>,
}

impl Policy {
    fn read() -> Policy {
        let page = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml is there");
        let licences = lines(&page, "allow = [").flat_map(quoted).collect();
        let bans = lines(&page, "deny = [").map(|line| {
            let (line, _) = line.split_once("reason = ").expect("a ban says its reason");
            let mut words = quoted(line);
            Ban { name: words.remove(0), wrappers: words }
        });
        Policy { licences, bans: bans.collect() }
    }

    /// Reads an SPDX expression: `OR` binds less than `AND`; a slash is an old way to say `OR`.
    fn allows(&self, expression: &str) -> bool {
        let expression = expression.replace('/', " OR ");
        let any = split(&expression, " OR ");
        any.iter().any(|it| split(it, " AND ").iter().all(|it| self.allows_one(it)))
    }

    fn allows_one(&self, term: &str) -> bool {
        match term.strip_prefix('(').and_then(|it| it.strip_suffix(')')) {
            Some(inner) => self.allows(inner),
            None => self.licences.iter().any(|it| it == term),
        }
    }
}

/// Splits at a word that stands outside of parentheses.
fn split<'a>(expression: &'a str, word: &str) -> Vec<&'a str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, letter) in expression.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && start <= at && expression[at..].starts_with(word) => {
                parts.push(&expression[start..at]);
                start = at + word.len();
            }
            _ => {}
        }
    }
    parts.push(&expression[start..]);
    parts.into_iter().map(str::trim).collect()
}

/// The lines of an array that is written with one entry a line.
fn lines<'a>(page: &'a str, opening: &str) -> impl Iterator<Item = &'a str> {
    let opening = opening.to_owned();
    page.lines().skip_while(move |it| *it != opening).skip(1).take_while(|it| *it != "]")
}

fn quoted(line: &str) -> Vec<String> {
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask stands below the root").to_owned()
}

fn list(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().expect("a list").iter()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
