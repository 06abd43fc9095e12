//! The demonstration as one page that needs nothing else: its text and links work without script,
//! which only fetches the answers to where they can be compared.

use super::targets::{Others, Target, method};
use lab::Expect;

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
/// Nothing is loaded from anywhere but this gateway.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'self'; connect-src 'self'; \
    img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

pub(super) fn page(targets: &[Target]) -> String {
    // One card is open, so that a visitor sees at once what there is to see.
    let first = targets.iter().position(|it| it.others == Others::BadGateway);
    let cards = targets.iter().enumerate().map(|(at, it)| card(it, Some(at) == first));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>Goodgate: why did it fail?</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <main>\n<h1>Why did it fail?</h1>\n\
         <p class=\"lead\">Goodgate is an API gateway that explains every failed request. Behind \
         this one stand targets that misbehave, each in its own way; open one and compare.</p>\n\
         {cards}<footer>What others say is the answer of nginx 1.22 in the same situation. \
         Everything here runs on this machine; Ctrl-C in the terminal ends it.</footer>\n\
         </main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        cards = cards.collect::<String>(),
    )
}

fn card(target: &Target, open: bool) -> String {
    let open = if open { " open" } else { "" };
    let mark = if target.others == Others::Fine { "good" } else { "bad" };
    format!(
        "<details class=\"card {mark}\"{open}>\n\
         <summary><code>{path}</code> <span class=\"does\">{does}</span>\
         <span class=\"bare\">others: {bare}</span></summary>\n\
         <div class=\"sides\">\n<section>\n<h2>What others say</h2>\n{others}</section>\n\
         <section>\n<h2>What Goodgate says</h2>\n\
         <div class=\"answer\" data-path=\"{path}\" data-steps=\"{steps}\"></div>\n\
         {yourself}</section>\n</div>\n</details>\n",
        path = escape(&target.path()),
        does = escape(target.does()),
        bare = escape(target.others.words()),
        others = others(target.others),
        steps = escape(&steps(target.expects())),
        yourself = yourself(target),
    )
}

/// What stands in the browser, and under it every byte that says so.
fn others(others: Others) -> String {
    let seen = match (others, others.page()) {
        (_, Some(page)) => {
            let size = page.len();
            return format!(
                "<div class=\"theirs\"><p class=\"title\">{}</p><p class=\"by\">nginx/1.22.1</p>\
                 </div>\n<p class=\"note\">That is all: {size} bytes.</p>\n\
                 <pre>{}</pre>\n",
                escape(others.words()),
                escape(&page.replace("\r\n", "\n"))
            );
        }
        (Others::Fine, None) => "ok",
        (_, None) => "hello",
    };
    let note = match others {
        Others::Fine => "The answer of the app.",
        _ => "The beginning of the answer. The connection ends, and nobody says why.",
    };
    format!(
        "<div class=\"theirs\"><p class=\"plain\">{seen}</p></div>\n<p class=\"note\">{note}</p>\n"
    )
}

/// What to ask, for the script: `POST 0,POST 700`, a method and how many milliseconds later.
fn steps(expects: &[Expect]) -> String {
    let steps = expects.iter().map(|it| format!("{} {}", method(it.ask), it.pause.as_millis()));
    steps.collect::<Vec<_>>().join(",")
}

/// The way that needs no script.
fn yourself(target: &Target) -> String {
    let path = escape(&target.path());
    let asks = target.expects().last().map(|it| it.ask);
    match (target.others, asks) {
        (Others::Fine, _) => format!("<p><a href=\"{path}\">Open {path}</a></p>\n"),
        (Others::Cut, _) => {
            format!("<p><a href=\"{path}\">See what your browser makes of it</a></p>\n")
        }
        (_, Some(lab::Ask::Get)) => {
            format!("<p><a href=\"{path}\">See it as the page that a browser gets</a></p>\n")
        }
        _ => format!(
            "<form method=\"post\" action=\"{path}\" target=\"_blank\">\
             <button>Post it yourself</button> twice within a second</form>\n"
        ),
    }
}

/// Text for element content and for attribute values in double quotes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for it in text.chars() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::targets::TARGETS;

    /// Elements that have no end.
    const VOID: [&str; 2] = ["meta", "link"];

    #[test]
    fn what_a_target_does_cannot_become_markup() {
        assert_eq!(escape("<a b=\"c\" d='e'>&"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
    }

    #[test]
    fn every_element_ends_where_it_should() {
        let page = page(TARGETS).replace(SCRIPT, "").replace(STYLE, "");
        let mut open: Vec<&str> = Vec::new();
        for tag in page.split('<').skip(1).filter(|it| !it.starts_with('!')) {
            let (tag, _) = tag.split_once('>').expect("a tag ends");
            let name = tag.split([' ', '\n']).next().unwrap_or_default();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if VOID.contains(&name) => {}
                None => open.push(name),
            }
        }
        assert_eq!(open, Vec::<&str>::new());
    }

    #[test]
    fn neither_style_nor_script_ends_early() {
        assert!(!STYLE.contains("</"));
        assert!(!SCRIPT.contains("</"));
    }

    #[test]
    fn every_target_has_its_card() {
        let page = page(TARGETS);
        for target in TARGETS {
            let data = format!("data-path=\"/{}\"", target.name);
            assert_eq!(page.matches(&data).count(), 1, "{}", target.name);
        }
        assert_eq!(page.matches("<details").count(), TARGETS.len());
    }
}
