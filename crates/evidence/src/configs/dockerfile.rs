//! Dockerfiles (docs.docker.com/reference/dockerfile).

use super::command;
use super::words::{joined, mostly, port, words};
use crate::product::Product;
use crate::setting::{Config, Places, Setting, What};

pub(super) const DOCKERFILE: Config = Config {
    name: "Dockerfile",
    product: Product::Docker,
    fits,
    read,
    source: "https://docs.docker.com/reference/dockerfile/",
    example: "FROM python:3.12\nEXPOSE 8000\nCMD [\"gunicorn\", \"-b\", \"0.0.0.0:8000\", \"app:app\"]\n",
};

const KNOWN: [&str; 17] = [
    "FROM",
    "RUN",
    "CMD",
    "LABEL",
    "EXPOSE",
    "ENV",
    "ADD",
    "COPY",
    "ENTRYPOINT",
    "VOLUME",
    "USER",
    "WORKDIR",
    "ARG",
    "ONBUILD",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "SHELL",
];

fn fits(_: &str, text: &str) -> bool {
    let statements = statements(text);
    let known = statements
        .iter()
        .filter(|it| it.split_once([' ', '\t']).is_some_and(|(it, _)| KNOWN.contains(&it)));
    let own = statements.iter().any(|it| {
        let Some((name, value)) = it.split_once([' ', '\t']) else { return false };
        match name {
            "EXPOSE" => value.trim_start().starts_with(|it: char| it.is_ascii_digit() || it == '$'),
            "CMD" | "ENTRYPOINT" => value.trim_start().starts_with('[') || command::is_known(value),
            "FROM" => statements.len() > 1 && words(value).len() <= 3,
            _ => false,
        }
    });
    own && mostly(known.count(), statements.len())
}

/// The lines that are no remarks.
fn statements(text: &str) -> Vec<&str> {
    joined(text).into_iter().filter(|it| !it.starts_with('#')).collect()
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Docker, text);
    let mut entry: Vec<&str> = Vec::new();
    for statement in statements(text) {
        let Some((name, value)) = statement.split_once([' ', '\t']) else { continue };
        let value = value.trim();
        match name {
            "FROM" => {
                let image = words(value).into_iter().find(|it| !it.starts_with("--"));
                if let Some(image) = image {
                    places.add(What::Image { name: image.to_owned() }, image);
                    entry.clear();
                }
            }
            "EXPOSE" => {
                for word in words(value) {
                    if let Some(port) = port(word.split('/').next().unwrap_or(word)) {
                        places.add(What::Exposes { port }, statement);
                    }
                }
            }
            "USER" => places.add(What::User { name: value.to_owned() }, statement),
            "ENV" => {
                for word in words(value) {
                    if let Some((name, value)) = word.split_once('=') {
                        super::systemd::environment(&mut places, name, value, word);
                    }
                }
                if let [name, value] = words(value).as_slice() {
                    super::systemd::environment(&mut places, name, value, value);
                }
            }
            "ENTRYPOINT" => {
                entry = arguments(value);
                command::runs(&mut places, &entry);
                command::read_words(&mut places, &entry);
            }
            "CMD" => {
                let all = arguments(value);
                command::runs(&mut places, &all);
                // What follows an entry point are its arguments, where it is a server itself.
                if command::read_words(&mut places, &all).is_none() && !entry.is_empty() {
                    let whole: Vec<&str> = entry.iter().chain(&all).copied().collect();
                    command::read_words(&mut places, &whole);
                }
            }
            "HEALTHCHECK" => health_check(&mut places, value),
            _ => {}
        }
        places.product(Product::Docker);
    }
    places.settings
}

/// The words of a command, written as a list or for a shell.
pub(super) fn arguments(value: &str) -> Vec<&str> {
    if !value.starts_with('[') {
        return words(value);
    }
    let list = super::tree::json_documents(value).unwrap_or_default();
    list.first().map(super::tree::Node::texts).unwrap_or_default()
}

/// A check that asks a URL: `curl -f http://localhost:8000/up || exit 1`.
pub(super) fn health_check<'t>(places: &mut Places<'t>, command: &'t str) {
    let Some(at) = command.find("http://").or_else(|| command.find("https://")) else { return };
    let url = &command[at..];
    let end = url.find(|it: char| it.is_whitespace() || matches!(it, '"' | '\'' | ']' | ',' | '?'));
    let url = &url[..end.unwrap_or(url.len())];
    let Some(host) = super::words::host_port(url).filter(|_| !url.contains('@')) else { return };
    let path = url.split_once("://").and_then(|(_, it)| it.find('/').map(|at| &it[at..]));
    let check = What::HealthCheck {
        path: Some(path.unwrap_or("/").to_owned()),
        port: crate::address::port(host),
        scheme: url.split_once("://").map(|(it, _)| crate::setting::Scheme::of(it)),
    };
    places.add(check, url);
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn images_and_pieces_are_read() {
        for (text, want) in [
            (
                "FROM python:3.12-slim AS app\nWORKDIR /app\nENV PORT=8000 SECRET_KEY=hush\nRUN pip install \\\n  gunicorn\nEXPOSE 8000/tcp\nUSER app\nHEALTHCHECK CMD curl -f http://localhost:8000/up?key=1 || exit 1\nENTRYPOINT [\"gunicorn\"]\nCMD [\"app:app\", \"--bind\", \"127.0.0.1:8000\"]\n",
                "Docker: Image { name: \"python:3.12-slim\" }; PortGiven { port: 8000 }; Exposes { port: 8000 }; User { name: \"app\" }; \
                 HealthCheck { path: Some(\"/up\"), port: Some(8000), scheme: Some(Http) }; Runs { command: \"gunicorn\" }; \
                 Runs { command: \"app:app --bind 127.0.0.1:8000\" }; Listens 127.0.0.1:8000",
            ),
            ("EXPOSE 3000", "Docker: Exposes { port: 3000 }"),
            (
                "CMD uvicorn main:app --host 127.0.0.1 --port 80",
                "Docker: Runs { command: \"uvicorn main:app --host 127.0.0.1 --port 80\" }; Listens 127.0.0.1:80",
            ),
        ] {
            check_config("Dockerfile", text, want);
        }
        assert!(!super::fits("Dockerfile", "FROM the beginning it never worked"));
        assert!(!super::fits("Dockerfile", "EXPOSE does nothing\nRUN away"));
    }
}
