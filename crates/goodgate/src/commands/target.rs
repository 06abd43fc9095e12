//! `goodgate target`: what the running gateway is to do with a target.

use super::running::Running;
use crate::output::{Output, count};
use crate::problem::Failure;
use serde_json::{Value, json};

/// Tell the running gateway what to do with a target
///
/// `goodgate status` shows the targets and how they are; `goodgate drain --target` has one end what
/// it has in hand and get nothing new.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Send it no requests for a while, as if it had failed
    Eject {
        #[command(flatten)]
        which: Which,
        /// For how long
        #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = time)]
        length: String,
    },
    /// Forget what was seen of it: failures, ejection, and what was learned of its limits
    Reset {
        #[command(flatten)]
        which: Which,
    },
    /// End its ejection, if the next request says that it is well
    Trial {
        #[command(flatten)]
        which: Which,
    },
}

/// Which target of which gateway is meant.
#[derive(clap::Args)]
struct Which {
    /// The target, such as http://127.0.0.1:8001
    #[arg(value_name = "URL")]
    target: String,
    /// The upstream of which it is one [default: all that have it]
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    #[command(flatten)]
    running: Running,
}

impl Which {
    fn named(&self) -> Named<'_> {
        Named { target: &self.target, upstream: self.upstream.as_deref() }
    }
}

/// A target as it stands on the command line.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) target: &'a str,
    pub(super) upstream: Option<&'a str>,
}

fn time(text: &str) -> Result<String, String> {
    config::duration(text).map(|_| text.to_owned())
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    match &arguments.verb {
        Verb::Eject { which, length } => {
            let words = format!("is out for {length}");
            order(&which.running, "eject", which.named(), Some(length), &words, None, output)
        }
        Verb::Reset { which } => {
            let words = "is as if nothing had been seen of it";
            order(&which.running, "reset", which.named(), None, words, None, output)
        }
        Verb::Trial { which } => {
            let words = "gets one request that finds out";
            order(&which.running, "trial", which.named(), None, words, None, output)
        }
    }
}

/// Gives the order, and says in these words what came of it, target by target.
pub(super) fn order(
    running: &Running,
    verb: &str,
    named: Named<'_>,
    length: Option<&str>,
    words: &str,
    hint: Option<&str>,
    output: &Output,
) -> Result<(), Failure> {
    let upstream = named.upstream.map_or_else(|| "*".to_owned(), config::encoded_segment);
    let body = match length {
        Some(length) => json!({ "target": named.target, "for": length }),
        None => json!({ "target": named.target }),
    };
    let path = format!("upstreams/{upstream}/{verb}");
    let done = running.ask("POST", &path, &body.to_string())?.body;
    for target in done["targets"].as_array().into_iter().flatten() {
        output.line(&line(target, words, hint))?;
    }
    Ok(())
}

fn line(done: &Value, words: &str, hint: Option<&str>) -> String {
    let word = |key: &str| done[key].as_str().unwrap_or("?").to_owned();
    let mut line = format!("{} of {} {words}", word("target"), word("upstream"));
    let pending = usize::try_from(done["pending"].as_u64().unwrap_or(0)).unwrap_or(usize::MAX);
    let is_out = matches!(done["state"].as_str(), Some("draining" | "ejected"));
    if is_out && 0 < pending {
        line.push_str(&format!(", and has {} in hand", count(pending, "request")));
    }
    if done["last"] == true {
        line.push_str("; no other one takes requests, so it still gets them");
    }
    line.extend(hint.iter().map(|it| format!("; {it}")));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_one_line_a_target() {
        let check = |done: Value, words, hint, expected| {
            assert_eq!(line(&done, words, hint), expected);
        };
        let of = |state, last, pending| {
            json!({ "upstream": "app", "target": "unix:/a.sock", "state": state, "last": last,
                    "pending": pending })
        };
        check(
            of("draining", false, 1),
            "gets no new requests",
            Some("`--undo` takes it back"),
            "unix:/a.sock of app gets no new requests, and has 1 request in hand; `--undo` takes it back",
        );
        check(
            of("ejected", true, 0),
            "is out for 30s",
            None,
            "unix:/a.sock of app is out for 30s; no other one takes requests, so it still gets them",
        );
        check(
            of("healthy", false, 7),
            "drains no longer",
            None,
            "unix:/a.sock of app drains no longer",
        );
        check(json!(1), "x", None, "? of ? x");
    }
}
