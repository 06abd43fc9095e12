//! Files within a terminal's text or a report: here-documents (`kubectl apply -f - <<EOF`), fenced
//! blocks (```` ```yaml ````), and YAML that stands among other lines. Each piece is read as the
//! file that it is.

use super::CONFIGS;
use crate::product::Product;
use crate::setting::{Config, Setting};
use std::ops::Range;

pub(super) const PASTED: Config = Config {
    name: "files within other text",
    product: Product::Shell,
    fits,
    read,
    source: "POSIX.1-2017, Shell Command Language 2.7.4; https://spec.commonmark.org/0.31.2/#fenced-code-blocks",
    example: "$ cat <<EOF | kubectl apply -f -\n> apiVersion: v1\n> kind: Service\n> metadata:\n>   name: web\n> spec:\n>   ports:\n>     - port: 80\n>       targetPort: 8000\n> EOF\nservice/web created\n",
};

/// Pieces beyond this are not looked at, because each is as long as the text.
const MAX_PIECES: usize = 12;
/// Longer texts are no pastes.
const MAX_TEXT: usize = 256 * 1024;

fn fits(_: &str, text: &str) -> bool {
    let hint = ["<<", "```", "apiVersion:", "services:"].iter().any(|it| text.contains(it));
    hint && text.len() <= MAX_TEXT
        && pieces(text).iter().any(|it| config_of(&it.alone(text)).is_some())
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    if text.len() > MAX_TEXT {
        return Vec::new();
    }
    let mut settings: Vec<Setting> = Vec::new();
    for piece in pieces(text) {
        let alone = piece.alone(text);
        let Some(config) = config_of(&alone) else { continue };
        let of_text = |it: &Setting| {
            let at = it.offset as usize;
            text.get(at..at + it.quote.len()) == Some(&*it.quote)
        };
        settings.extend((config.read)("", &alone).into_iter().filter(of_text));
    }
    settings
}

fn config_of(alone: &str) -> Option<&'static Config> {
    CONFIGS.iter().filter(|it| it.name != PASTED.name).find(|it| (it.fits)("", alone))
}

/// The lines of one file in a text, and how long the prompt before each is.
struct Piece {
    lines: Range<usize>,
    prompt: usize,
}

impl Piece {
    /// A text of the same length that has only the piece in it, so that places stay what they are.
    fn alone(&self, text: &str) -> String {
        let blank = |it: &str| -> String {
            it.bytes().map(|it| if it == b'\n' { '\n' } else { ' ' }).collect()
        };
        let mut alone = blank(&text[..self.lines.start]);
        for line in text[self.lines.clone()].split_inclusive('\n') {
            let body = line.trim_end_matches(['\n', '\r']);
            let prompt = self.prompt.min(body.len());
            let prompt =
                if body.starts_with('>') && body.is_char_boundary(prompt) { prompt } else { 0 };
            alone += &blank(&line[..prompt]);
            alone += &line[prompt..];
        }
        alone += &blank(&text[self.lines.end..]);
        alone
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut open: Option<Open<'_>> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        let body = line.trim_end();
        if let Some(it) = &open {
            if !it.ends(body) {
                continue;
            }
            let (prompt, first) = (it.prompt(text), it.first);
            if first < start {
                found.push(Piece { lines: first..start, prompt });
            }
            let fence = matches!(it.kind, Kind::Until(_));
            open = None;
            if fence {
                continue;
            }
        }
        if found.len() == MAX_PIECES {
            return found;
        }
        open = opening(body, start, end);
    }
    if let Some(it) = open
        && it.first < text.len()
    {
        found.push(Piece { lines: it.first..text.len(), prompt: it.prompt(text) });
    }
    found
}

/// A piece whose end has not come.
struct Open<'t> {
    first: usize,
    kind: Kind<'t>,
}

enum Kind<'t> {
    /// Up to a line that is this word.
    Until(&'t str),
    /// YAML, up to a line that cannot be of it.
    Yaml,
}

impl Open<'_> {
    fn ends(&self, body: &str) -> bool {
        match self.kind {
            Kind::Until(word) => body.trim_start_matches(['>', ' ', '\t']) == word,
            Kind::Yaml => !is_yaml(body),
        }
    }

    /// Shells show `> ` before each line of a here-document.
    fn prompt(&self, text: &str) -> usize {
        match text[self.first..].starts_with("> ") {
            true => 2,
            false => usize::from(text[self.first..].starts_with('>')),
        }
    }
}

fn opening(body: &str, start: usize, end: usize) -> Option<Open<'_>> {
    if body.trim_start().starts_with("```") {
        return Some(Open { first: end, kind: Kind::Until("```") });
    }
    if let Some(word) = heredoc(body) {
        return Some(Open { first: end, kind: Kind::Until(word) });
    }
    let yaml = ["apiVersion:", "kind:", "services:"].iter().any(|it| body.starts_with(it));
    yaml.then_some(Open { first: start, kind: Kind::Yaml })
}

/// The word that ends a here-document: `<<EOF`, `<<-'EOF'`.
fn heredoc(body: &str) -> Option<&str> {
    let rest = &body[body.find("<<")? + 2..];
    let rest = rest.strip_prefix('-').unwrap_or(rest).trim_start();
    let rest = rest.trim_start_matches(['\'', '"', '\\']);
    let plain = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let word = &rest[..rest.len() - rest.trim_start_matches(plain).len()];
    (!word.is_empty() && !word.starts_with(|it: char| it.is_ascii_digit())).then_some(word)
}

/// Deeper than the margin, a key, an item, a comment or nothing.
fn is_yaml(body: &str) -> bool {
    let key = || {
        let name = body
            .split_once(':')
            .map(|(name, rest)| (name, rest.starts_with(' ') || rest.is_empty()));
        name.is_some_and(|(name, ends)| {
            ends && !name.is_empty()
                && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.\"'/".contains(&it))
        })
    };
    body.is_empty()
        || body.starts_with([' ', '\t', '#'])
        || body.starts_with("- ")
        || body.starts_with("---")
        || key()
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn files_are_found_in_what_a_terminal_shows() {
        check_config(
            "",
            "me@box:~# cat <<'EOF' | istioctl create -f -\n> apiVersion: networking.istio.io/v1alpha3\n> kind: DestinationRule\n> metadata:\n>   name: web\n> spec:\n>   host: web\n>   trafficPolicy:\n>     tls:\n>       mode: ISTIO_MUTUAL\n> EOF\nCreated config destination-rule/default/web\n",
            "the shell: [web] MeshTls { mode: \"ISTIO_MUTUAL\", host: Some(\"web\") }",
        );
        check_config(
            "",
            "My service is this:\n```yaml\nservices:\n  web:\n    image: a\n    ports: ['8080:80']\n```\nand it does not work.\n",
            "the shell: [web] Service web; [web] Image { name: \"a\" }; [web] Publishes 8080->80",
        );
        check_config(
            "",
            "$ kubectl get svc web -o yaml\napiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports:\n  - port: 80\n    targetPort: 8000\n$ curl -i web\nsome words, and no key: at all\n",
            "the shell: [web] Service web; [web] TargetPort { port: 8000 }; [web] Publishes 80->8000",
        );
    }

    #[test]
    fn other_text_has_none() {
        for text in ["a << b", "x <<EOF", "```", "services: none\nwe have\n", "kind: of strange\n"]
        {
            assert!(!super::fits("", text), "{text}");
        }
    }
}
