//! Text to [`Config`], with all complaints of all stages at once.

use crate::complaint::{Complaint, Complaints};
use crate::leaf::{FolderPath, Leaf, TargetUrl};
use crate::render::shown;
use crate::typed::Config;
use crate::{resolve, schema, tree, walk, written};
use std::path::{Path, PathBuf};

/// A longer text is refused before it is read.
const LONGEST: usize = 4 << 20;

/// The world around a file.
pub struct Context<'a> {
    /// The folder from which relative paths count, mostly that of the file.
    pub base: &'a Path,
    /// The environment, for `${NAME}`.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

/// A file that can be used.
#[derive(Debug)]
pub struct Parsed {
    pub config: Config,
    /// What is probably not meant as it stands, in order of position.
    pub warnings: Vec<Complaint>,
}

/// Reads a configuration. An error holds the warnings as well, everything in order of position.
pub fn parse(text: &str, context: &Context<'_>) -> Result<Parsed, Complaints> {
    let mut complaints = Complaints::default();
    if text.len() > LONGEST {
        complaints.push(Complaint::error("too_large", "the file is larger than 4 MiB"));
        return Err(complaints);
    }
    let config = config(text, context, &mut complaints);
    let complaints = complaints.sorted();
    match config {
        Some(config) if !complaints.has_errors() => {
            Ok(Parsed { config, warnings: complaints.into_vec() })
        }
        _ => Err(complaints),
    }
}

fn config(text: &str, context: &Context<'_>, complaints: &mut Complaints) -> Option<Config> {
    let tree = tree::read(text, context.env, complaints);
    let broken = complaints.iter().filter(|it| it.code == tree::SYNTAX);
    if let Some(first) = broken.filter_map(|it| Some(it.span.as_ref()?.start)).min() {
        walk_until(line_start(text, first), &tree, complaints);
        return None;
    }
    let json = walk::walk(&tree, schema::shared(), complaints)?;
    match serde_json::from_value::<written::File>(json) {
        Ok(file) => Some(resolve::resolve(file, &tree, context.base, complaints)),
        // The walk lets nothing through that serde refuses; should it, the file is still refused.
        Err(error) => {
            complaints.push(Complaint::error("bad_value", shown(&error.to_string())));
            None
        }
    }
}

/// Where TOML ends, what follows may be misread and tables may lack what was written in them; what
/// stands before is as it is.
fn walk_until(end: usize, tree: &tree::Node, complaints: &mut Complaints) {
    let mut found = Complaints::default();
    walk::walk(tree, schema::shared(), &mut found);
    let is_before = |it: &Complaint| it.span.as_ref().is_some_and(|span| span.end <= end);
    let sure = found.into_vec().into_iter().filter(is_before);
    sure.filter(|it| it.code != walk::MISSING).for_each(|it| complaints.push(it));
}

fn line_start(text: &str, byte: usize) -> usize {
    let before = text.get(..byte).unwrap_or_default();
    before.rfind('\n').map_or(0, |it| it + 1)
}

/// The folder of the gateway that runs by this file, however wrong the rest of it is: whoever asks
/// the running one to read it again must find it all the same.
#[must_use]
pub fn data_dir(text: &str, context: &Context<'_>) -> PathBuf {
    let text = text.get(..LONGEST).unwrap_or(text);
    let tree = tree::read(text, context.env, &mut Complaints::default());
    let node = resolve::DATA_DIR.iter().try_fold(&tree, |node, key| node.get(key));
    let written = node.and_then(tree::Node::text).and_then(|it| FolderPath::read(it).ok());
    context.base.join(written.unwrap_or_else(|| written::Data::default().dir.means))
}

/// The configuration of `goodgate run URL ...`: everything goes to one upstream, `app`, by one route,
/// `all`. A URL may be short: `localhost:8000`, `:8000`, `8000`.
pub fn for_targets(urls: &[String]) -> Result<Config, Complaints> {
    let mut complaints = Complaints::default();
    let mut targets = Vec::new();
    for typed in urls {
        let url = whole_url(typed);
        match TargetUrl::read(&url) {
            Ok(_) => targets.push(url),
            Err(wrong) => {
                let complaint =
                    Complaint::error(wrong.code, format!("`{}` {}", shown(typed), wrong.says));
                complaints.push(match wrong.help {
                    Some(help) => complaint.help(help),
                    None => complaint,
                });
            }
        }
    }
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let targets = serde_json::Value::from(targets);
    // JSON strings without `$` are TOML strings; `$${` is a literal `${`.
    let targets = targets.to_string().replace("${", "$${");
    let text = format!(
        "upstream.app.targets = {targets}\nroute.all = {{ match = \"/*\", to = \"app\" }}\n"
    );
    let context = Context { base: Path::new(""), env: &|_| None };
    let parsed = parse(&text, &context).map_err(without_places)?;
    Ok(parsed.config)
}

/// The text was made by us, so its places mean nothing to who typed the URLs.
fn without_places(complaints: Complaints) -> Complaints {
    let all = complaints.into_vec().into_iter();
    Complaints::from(all.map(|it| Complaint { span: None, ..it }).collect::<Vec<_>>())
}

fn whole_url(typed: &str) -> String {
    if typed.contains("://") || typed.starts_with("unix:") {
        return typed.to_owned();
    }
    let port = typed.strip_prefix(':').unwrap_or(typed);
    if !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit()) {
        return format!("http://127.0.0.1:{port}");
    }
    format!("http://{typed}")
}
