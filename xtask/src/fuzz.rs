//! `cargo xtask fuzz`: runs the targets of `fuzz/`, each for a limited time. Those that read other
//! people's formats start from the examples of the readers; the front starts from the lab's corpus of
//! requests that servers read differently.

#[expect(dead_code, reason = "only the bytes of a case are sown, not what is to become of it")]
#[path = "../../lab/tests/it/smuggling/corpus.rs"]
mod corpus;

use crate::{run, say};
use anyhow::{Context, Result, bail};
use evidence::{CONFIGS, DOCUMENTS, READERS};
use std::collections::BTreeSet;

/// Tells the target `lines` of which product its readers are to be.
const ONLY: &str = "FUZZ_PRODUCT";

/// What to fuzz, and for how long.
#[derive(Debug, PartialEq)]
pub(crate) struct Order {
    /// `None` is all of them, one after another.
    target: Option<String>,
    /// For each target.
    seconds: u32,
    /// Only the readers of this product, in the target `lines`.
    product: Option<String>,
}

impl Order {
    pub(crate) fn read(words: &[&str]) -> Result<Order> {
        let mut order = Order { target: None, seconds: 60, product: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (*word, &order.target) {
                ("--seconds", _) => {
                    let number = words.next().context("`--seconds` wants a number")?;
                    order.seconds = number
                        .parse()
                        .with_context(|| format!("`{number}` is not a number of seconds"))?;
                }
                ("--product", _) => {
                    let name = words.next().context("`--product` wants a name")?;
                    order.product = Some(product(name)?.to_owned());
                }
                (target, None) if !target.starts_with('-') => order.target = Some(target.into()),
                (other, _) => bail!("`{other}` is one word too many"),
            }
        }
        if order.product.is_some() && order.target.as_deref() != Some("lines") {
            bail!("`--product` is for the target `lines`");
        }
        Ok(order)
    }
}

pub(crate) fn run(order: &Order) -> Result<()> {
    let targets = match &order.target {
        Some(one) => vec![known(one)?],
        None => targets()?,
    };
    tools()?;
    for target in targets {
        let only = order.product.as_deref();
        let corpus = match only {
            Some(product) => format!("fuzz/corpus/{target}-{product}"),
            None => format!("fuzz/corpus/{target}"),
        };
        sow(&corpus, &seeds(&target, only))?;
        let limit = format!("-max_total_time={}", order.seconds);
        let mut fuzzer = nightly(&["cargo", "fuzz", "run", &target, &corpus, "--", &limit]);
        run::show(fuzzer.env(ONLY, only.unwrap_or_default()))?;
    }
    Ok(())
}

/// The product as its readers name it.
fn product(name: &str) -> Result<&'static str> {
    let known: BTreeSet<&str> = READERS.iter().map(|it| it.product.name()).collect();
    match known.get(name) {
        Some(it) => Ok(it),
        None => {
            let all: Vec<&str> = known.into_iter().collect();
            bail!("no reader is of the product `{name}`; there are {}", all.join(", "))
        }
    }
}

/// Writes what the fuzzer of a target starts from beside what it has found by itself.
fn sow(corpus: &str, seeds: &[Vec<u8>]) -> Result<()> {
    let folder = run::root().join(corpus);
    std::fs::create_dir_all(&folder).context("cannot make the folder of seeds")?;
    for (at, seed) in seeds.iter().enumerate() {
        let file = folder.join(format!("seed-{at}"));
        std::fs::write(&file, seed).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The examples of readers, in the shape that the target takes them.
fn seeds(target: &str, only: Option<&str>) -> Vec<Vec<u8>> {
    let readers = READERS.iter().filter(|it| only.is_none_or(|only| it.product.name() == only));
    let lines = readers.map(|it| it.example);
    match target {
        // The first byte is the number of the family whose log it is.
        "lines" => (0u8..).zip(lines).map(|(at, it)| [&[at], it.as_bytes()].concat()).collect(),
        "configs" => {
            let documents = DOCUMENTS.iter().map(|it| it.example);
            let texts = CONFIGS.iter().map(|it| it.example).chain(documents);
            texts.map(|it| it.as_bytes().to_vec()).collect()
        }
        // Sources are separated by a form feed.
        "report" => {
            let configs = CONFIGS.iter().map(|it| it.example).cycle();
            let two = lines.clone().zip(lines.skip(1)).zip(configs);
            two.map(|((a, b), c)| format!("{a}\n\x0c{b}\n\x0c{c}").into_bytes()).collect()
        }
        "front" => {
            let folder = run::root().join("lab/tests/it/smuggling/corpus");
            corpus::read(&folder).into_iter().map(|it| it.bytes).collect()
        }
        _ => Vec::new(),
    }
}

/// The fuzzer needs a nightly compiler for its instrumentation.
fn tools() -> Result<()> {
    if !run::works(&mut nightly(&["cargo", "--version"])) {
        bail!("fuzzing needs a nightly compiler: run `rustup toolchain install nightly`");
    }
    if run::works(&mut nightly(&["cargo", "fuzz", "--version"])) {
        return Ok(());
    }
    say::note("cargo-fuzz is missing");
    run::show(&mut run::cargo(&["install", "--locked", "cargo-fuzz"]))
}

fn nightly(words: &[&str]) -> std::process::Command {
    let mut command = run::command("rustup", &["run", "nightly"]);
    command.args(words);
    command
}

fn known(target: &str) -> Result<String> {
    let targets = targets()?;
    match targets.iter().find(|it| *it == target) {
        Some(it) => Ok(it.clone()),
        None => bail!("there is no target `{target}`; there are {}", targets.join(", ")),
    }
}

/// One file in `fuzz/fuzz_targets/` is one target.
fn targets() -> Result<Vec<String>> {
    let folder = run::root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for file in std::fs::read_dir(&folder).context("cannot list fuzz/fuzz_targets")? {
        let path = file?.path();
        names.extend(path.file_stem().map(|it| it.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(target: Option<&str>, seconds: u32) -> Order {
        Order { target: target.map(str::to_owned), seconds, product: None }
    }

    #[test]
    fn an_order_is_a_target_and_a_time_in_either_order() {
        assert_eq!(Order::read(&[]).unwrap(), order(None, 60));
        assert_eq!(Order::read(&["tap"]).unwrap(), order(Some("tap"), 60));
        assert_eq!(Order::read(&["tap", "--seconds", "5"]).unwrap(), order(Some("tap"), 5));
        assert_eq!(Order::read(&["--seconds", "5", "tap"]).unwrap(), order(Some("tap"), 5));
    }

    #[test]
    fn the_readers_of_one_product_can_be_fuzzed_alone() {
        let one = Order::read(&["lines", "--product", "gunicorn"]).unwrap();
        assert_eq!(one.product.as_deref(), Some("gunicorn"));
        assert_eq!(seeds("lines", one.product.as_deref()).len(), 1);
        let complaint = |words: &[&str]| Order::read(words).unwrap_err().to_string();
        assert!(complaint(&["lines", "--product", "tea"]).starts_with("no reader is of"));
        assert_eq!(complaint(&["--product", "nginx"]), "`--product` is for the target `lines`");
    }

    #[test]
    fn what_reads_the_logs_of_others_starts_from_examples() {
        for target in ["lines", "configs", "report"] {
            assert!(seeds(target, None).len() > 20, "{target}");
            assert!(targets().unwrap().contains(&target.to_owned()));
        }
        assert!(seeds("tap", None).is_empty());
        assert_eq!(seeds("lines", None)[0][0], 0);
    }

    #[test]
    fn the_front_starts_from_what_servers_read_differently() {
        let seeds = seeds("front", None);
        assert!(seeds.len() > 200);
        let hidden = corpus::HIDDEN.as_bytes();
        assert!(seeds.iter().any(|it| it.ends_with(hidden)));
    }

    #[test]
    fn an_order_that_cannot_be_read_says_why() {
        let complaint = |words: &[&str]| Order::read(words).unwrap_err().to_string();
        assert_eq!(complaint(&["--seconds"]), "`--seconds` wants a number");
        assert_eq!(complaint(&["--seconds", "soon"]), "`soon` is not a number of seconds");
        assert_eq!(complaint(&["tap", "front"]), "`front` is one word too many");
        assert_eq!(complaint(&["--forever"]), "`--forever` is one word too many");
    }
}
