//! An answer as one page that needs nothing else: no other file is loaded, and its script is a
//! convenience.

use super::{Audience, advice, ending, visible, whose};
use crate::case::words;
use crate::look::{Evidence, Fix, Look};
use exchange::{Attempt, Exchange};

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");
/// Nothing may be loaded, and nothing may run but the style and script above, by their digests.
/// Even a hole in our escaping would give nobody a script.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; \
    style-src 'sha256-xyfDqI8JoZVyfs4EyMDQTRmzSLL7vVsIeL8sxoqHKwY='; script-src 'sha256-x0csmZg8ltxU964lkYkzcnEiLee897YC3LOKUc3cgV8='";

pub(super) fn body(look: &Look, exchange: &Exchange, status: u16, audience: Audience) -> String {
    let inner = match audience {
        Audience::Public => public(look, exchange),
        Audience::Trusted | Audience::Operator => full(look, exchange),
    };
    let title = escape(look.cause().title);
    let again = if tries_again(look, exchange) { AGAIN } else { "" };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{status} · {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <p class=\"status\">{status}</p>\n<h1>{title}</h1>\n{inner}{again}\
         <footer>Request <code>{id}</code></footer>\n</main>\n<script>{SCRIPT}</script>\n\
         </body>\n</html>\n",
        id = exchange.id,
    )
}

/// The page asks again by itself only where waiting may help and asking twice does no harm.
fn tries_again(look: &Look, exchange: &Exchange) -> bool {
    look.cause().passing && &*exchange.request.method == "GET"
}

/// The script shows the first part; without script the link remains.
const AGAIN: &str = "<section class=\"again\" id=\"again\" hidden>\n\
    <p>Trying again in <span id=\"seconds\">2</span> s</p>\n\
    <button type=\"button\" id=\"now\">Try now</button>\n</section>\n\
    <noscript><p class=\"again\"><a href=\"\">Try again</a></p></noscript>\n";

fn public(look: &Look, exchange: &Exchange) -> String {
    format!("<p class=\"statement\">{}</p>\n", escape(advice(look, exchange)))
}

fn full(look: &Look, exchange: &Exchange) -> String {
    let asked = &exchange.request;
    let request = escape(&format!("{} {}{}", asked.method, asked.host, asked.path));
    format!(
        "<p class=\"statement\">{statement}.</p>\n\
         <dl>\n<dt>Asked for</dt><dd><code>{request}</code></dd>\n\
         <dt>Whose side</dt><dd>{side}</dd>\n\
         <dt>Cause</dt><dd><code>{cause}</code>{others}</dd>\n\
         <dt>Repeat it?</dt><dd>{retry}</dd>\n</dl>\n{proof}{fix}{attempts}",
        statement = prose(&look.statement),
        side = escape(whose(look.side())),
        cause = escape(look.cause().id),
        others = others(look),
        retry = escape(look.retry.says),
        proof = proof(&look.evidence),
        fix = fixes(look),
        attempts = attempts(&exchange.attempts),
    )
}

fn others(look: &Look) -> String {
    let ids: Vec<String> = look
        .candidates
        .iter()
        .skip(1)
        .map(|it| format!("<code>{}</code>", escape(it.cause.id)))
        .collect();
    match ids.is_empty() {
        true => String::new(),
        false => format!(", or else {}", ids.join(", ")),
    }
}

fn proof(evidence: &[Evidence]) -> String {
    let items = evidence.iter().map(|it| {
        format!(
            "<figure>\n<blockquote><code>{}</code></blockquote>\n\
             <figcaption>{}: {}</figcaption>\n</figure>\n",
            escape(&it.quote),
            escape(&it.source),
            prose(&it.says)
        )
    });
    format!("<h2>What was seen</h2>\n{}", items.collect::<String>())
}

fn fixes(look: &Look) -> String {
    let items = look.fix.iter().map(|it| format!("<li>{}</li>\n", fix(it)));
    let explain = Fix::run(
        "Read what is known about this cause",
        format!("goodgate explain {}", look.cause().id),
    );
    format!(
        "<h2>What to do</h2>\n<ol>\n{}<li>{}</li>\n</ol>\n",
        items.collect::<String>(),
        fix(&explain)
    )
}

fn fix(fix: &Fix) -> String {
    let text = prose(&fix.text);
    match &fix.run {
        Some(run) => {
            format!("{text}\n<div class=\"run\"><code data-copy>{}</code></div>", escape(run))
        }
        None => text,
    }
}

fn attempts(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return String::new();
    }
    let rows: String = attempts.iter().enumerate().map(|(at, it)| attempt(at + 1, it)).collect();
    format!(
        "<h2>Attempts</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>#</th><th>Target</th>\
         <th>Phases</th><th>Ended</th><th>Took</th></tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>\n"
    )
}

fn attempt(number: usize, attempt: &Attempt) -> String {
    let phases: Vec<String> = attempt
        .phases
        .iter()
        .map(|(phase, spent)| format!("{} {}", phase.name(), words(spent)))
        .collect();
    format!(
        "<tr><td>{number}</td><td>{}</td><td>{}</td><td><code>{}</code></td><td>{}</td></tr>\n",
        escape(&attempt.target),
        escape(&phases.join(" · ")),
        escape(ending(attempt)),
        escape(&words(attempt.phases.total())),
    )
}

/// A sentence of ours, in which backticks hold what is to be read literally.
fn prose(text: &str) -> String {
    let safe = escape(text);
    let pieces: Vec<&str> = safe.split('`').collect();
    // An even number of pieces is an odd number of backticks: one of them has no partner.
    if pieces.len().is_multiple_of(2) {
        return safe;
    }
    let mut sentence = String::with_capacity(safe.len());
    for (at, piece) in pieces.iter().enumerate() {
        match at % 2 {
            0 => sentence += piece,
            _ => sentence += &format!("<code>{piece}</code>"),
        }
    }
    sentence
}

/// Text for element content and for attribute values in double quotes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for it in visible(text).chars() {
        match it {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            it => safe.push(it),
        }
    }
    safe
}
