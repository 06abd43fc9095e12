//! `goodgate route`: which route takes a request, and why each other one does not.

use super::{DEFAULT_FILE, Format};
use crate::output::Output;
use crate::problem::Failure;
use crate::settings;
use config::{Action, Asked, Config, Forward, PathFault, Route, Verdict, normal_path};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use serde::Serialize;
use std::path::PathBuf;

/// Say which route takes a request, and why each other one does not
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The method, such as `GET`
    #[arg(value_name = "METHOD", value_parser = method)]
    method: Method,
    /// The URL as a caller writes it, or a path alone
    #[arg(value_name = "URL", value_parser = url)]
    url: Uri,
    /// The file to read
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// A header of the request, such as `Cookie: beta=1`; may be given several times
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn method(text: &str) -> Result<Method, String> {
    let upper = text.bytes().all(|it| !it.is_ascii_lowercase());
    let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| upper);
    method.ok_or_else(|| "methods are written in upper case, such as GET".to_owned())
}

fn url(text: &str) -> Result<Uri, String> {
    let known = ["http://", "https://", "/"].iter().any(|it| text.starts_with(it));
    let uri = text.parse::<Uri>().ok().filter(|_| known);
    uri.ok_or_else(|| "write a URL such as https://api.example.com/orders, or a path".to_owned())
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `Name: value`")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| "this cannot be the name of a header")?;
    let value =
        HeaderValue::from_str(value.trim()).map_err(|_| "this cannot be the value of a header")?;
    Ok((name, value))
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    method: &'a str,
    url: String,
    /// The route that takes it; `null` where none does.
    route: Option<&'a str>,
    sends: Option<Sends<'a>>,
    /// Every route, in the order in which they are tried.
    tried: Vec<Tried<'a>>,
}

/// What is sent on, and where to.
#[derive(Serialize)]
struct Sends<'a> {
    path: String,
    /// The upstreams with their parts of the requests, in percent.
    to: Vec<(&'a str, f64)>,
}

#[derive(Serialize)]
struct Tried<'a> {
    route: &'a str,
    /// What it takes.
    takes: String,
    /// `takes`, `later`, `host`, `path`, `method` or `condition`.
    verdict: &'static str,
    says: String,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let file = settings::read(&arguments.config)?;
    let config = match file.parse() {
        Ok(parsed) => parsed.config,
        Err(complaints) => return Err(Failure::InvalidFile { file, complaints }),
    };
    let host = arguments.url.host().unwrap_or_default();
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let headers: HeaderMap = arguments.headers.iter().cloned().collect();
    let asked = Asked {
        method: arguments.method.as_str(),
        host: &host,
        path: arguments.url.path(),
        query: arguments.url.query(),
        headers: &headers,
    };
    let answer = answer(&config, &asked, arguments.url.to_string());
    match arguments.format {
        Format::Json => output.json(&answer)?,
        Format::Text => output.text(&text(&answer))?,
    }
    match answer.route {
        Some(_) => Ok(()),
        None => Err(Failure::Shown { exit: 1 }),
    }
}

fn answer<'a>(config: &'a Config, asked: &Asked<'a>, url: String) -> Answer<'a> {
    let verdicts = config.routes.verdicts(asked);
    let taker = verdicts.iter().find(|it| it.1 == Verdict::Takes).map(|it| &**it.0);
    let tried = verdicts.iter().map(|(route, verdict)| {
        let (word, says) = words(route, verdict, asked);
        Tried { route: &route.name, takes: takes(route), verdict: word, says }
    });
    Answer {
        method: asked.method,
        url,
        route: taker.map(|it| &*it.name),
        sends: taker.and_then(|it| sends(it, asked)),
        tried: tried.collect(),
    }
}

fn sends<'a>(route: &'a Route, asked: &Asked<'_>) -> Option<Sends<'a>> {
    let Action::Forward(forward) = &route.action else {
        return None;
    };
    let path = normal_path(asked.path, route.rules()).ok()?;
    let all: u32 = forward.shares.iter().map(|it| it.weight).sum();
    let to = forward.shares.iter().map(|it| {
        let part = f64::from(it.weight) * 100.0 / f64::from(all.max(1));
        (&*it.upstream.name, (part * 10.0).round() / 10.0)
    });
    Some(Sends { path: sent(route, forward, &path, asked.query), to: to.collect() })
}

fn sent(route: &Route, forward: &Forward, path: &str, query: Option<&str>) -> String {
    let path = forward.path(route, path);
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    }
}

/// What a route takes, in one line.
fn takes(route: &Route) -> String {
    let mut words = Vec::new();
    words.extend((!route.methods.is_empty()).then(|| route.methods.join(",")));
    words.extend(route.host.as_ref().map(ToString::to_string));
    words.push(route.path.to_string());
    words.extend(route.conditions.iter().map(|it| format!("({it})")));
    words.join(" ")
}

fn words(route: &Route, verdict: &Verdict<'_>, asked: &Asked<'_>) -> (&'static str, String) {
    match verdict {
        Verdict::Takes => ("takes", "takes it".to_owned()),
        Verdict::Later => ("later", "would take it, but an earlier one does".to_owned()),
        Verdict::Host if asked.host.is_empty() => ("host", "no host was given".to_owned()),
        Verdict::Host => ("host", format!("another host than {}", asked.host)),
        Verdict::Path => match normal_path(asked.path, route.rules()) {
            Ok(path) if path != asked.path => {
                ("path", format!("another path than {path}, which the request's is in normal form"))
            }
            _ => ("path", format!("another path than {}", asked.path)),
        },
        Verdict::Fault(PathFault::Invalid) => ("path", "the path is not valid".to_owned()),
        Verdict::Fault(PathFault::Ambiguous) => (
            "path",
            "the path holds %2F, %5C, %00 or a backslash: only for routes with raw_path".to_owned(),
        ),
        Verdict::Fault(PathFault::LeavesRoot) => ("path", "the path leaves the root".to_owned()),
        Verdict::Method => ("method", format!("not for {}", asked.method)),
        Verdict::Condition(condition) => ("condition", format!("wants {condition}")),
    }
}

fn text(answer: &Answer<'_>) -> String {
    let mut lines = vec![format!("{} {}", answer.method, answer.url)];
    match (answer.route, &answer.sends) {
        (None, _) => lines.push(
            "  no route takes it: the answer is 404, or 405 where only the method is not taken"
                .to_owned(),
        ),
        (Some(route), None) => lines.push(format!("  {route} answers it by itself")),
        (Some(route), Some(sends)) => {
            let to = sends.to.iter().map(|(name, part)| match sends.to.len() {
                1 => (*name).to_owned(),
                _ => format!("{name} ({part} %)"),
            });
            let to: Vec<String> = to.collect();
            lines.push(format!(
                "  {route} takes it, and sends {} to {}",
                sends.path,
                to.join(", ")
            ));
        }
    }
    lines.push(String::new());
    let width = |of: fn(&Tried<'_>) -> usize| answer.tried.iter().map(of).max().unwrap_or(0);
    let (names, taken) = (width(|it| it.route.len()), width(|it| it.takes.len()).min(48));
    for it in &answer.tried {
        let mark = if it.verdict == "takes" { '>' } else { ' ' };
        lines.push(format!("{mark} {:names$}  {:taken$}  {}", it.route, it.takes, it.says));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_cannot_be_a_request_say_how_to_write_them() {
        assert!(method("GET").is_ok() && method("M-SEARCH").is_ok());
        assert!(method("get").is_err() && method("GET /").is_err() && method("").is_err());
        assert!(url("/x?y=1").is_ok() && url("https://h:1/x").is_ok());
        assert!(url("h/x").is_err() && url("").is_err() && url("ftp://h/").is_err());
        assert!(header("Cookie: a=b; c=d").is_ok());
        assert!(
            header("Cookie").is_err() && header("a b: c").is_err() && header("a: b\nc").is_err()
        );
    }
}
