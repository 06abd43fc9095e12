//! Varnish's VCL: backends and their probes (varnish-cache.org/docs/trunk/reference/vcl-backend.html).

use super::words::{integer, millis};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const VARNISH: Config = Config {
    name: "Varnish VCL",
    product: Product::Varnish,
    fits,
    read,
    source: "https://varnish-cache.org/docs/trunk/reference/vcl-backend.html",
    example: "vcl 4.1;\nbackend default {\n    .host = \"127.0.0.1\";\n    .port = \"8080\";\n}\n",
};

const OWN: [&str; 12] = [
    "host",
    "port",
    "path",
    "probe",
    "url",
    "request",
    "window",
    "threshold",
    "connect_timeout",
    "first_byte_timeout",
    "between_bytes_timeout",
    "max_connections",
];

fn fits(_: &str, text: &str) -> bool {
    let own = properties(text).iter().filter(|it| OWN.contains(&it.name)).count();
    own >= 2
        || own == 1
            && (text.contains("backend ") || text.contains("probe") || text.trim().ends_with(';'))
}

struct Property<'t> {
    name: &'t str,
    value: &'t str,
    quote: &'t str,
    /// The word behind `backend` above it.
    backend: &'t str,
    at: usize,
}

/// `.name = value;` at the start of a line, or behind a brace or a semicolon.
fn properties(text: &str) -> Vec<Property<'_>> {
    let bytes = text.as_bytes();
    let mut all = Vec::new();
    let (mut backend, mut from) = ("", 0);
    for dot in memchr::memchr_iter(b'.', bytes) {
        let before = text[..dot].trim_end_matches([' ', '\t']);
        if !(before.is_empty() || before.ends_with(['\n', '{', ';'])) || dot < from {
            continue;
        }
        if let Some(name) = last_backend(&text[from..dot]) {
            backend = name;
        }
        from = dot;
        let line = &text[dot..];
        let line = &line[..line.find(['\n', ';', '{']).unwrap_or(line.len())];
        let Some((name, value)) = line[1..].split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        let plain =
            !name.is_empty() && name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
        if plain && !value.starts_with('=') {
            all.push(Property { name, value, quote: line.trim_end(), backend, at: dot });
        }
    }
    all
}

/// The name of the backend that a piece of text opens last.
fn last_backend(text: &str) -> Option<&str> {
    let at = text.rfind("backend ")?;
    let rest = text[at + 8..].trim_start();
    let end = rest.find(|it: char| it.is_whitespace() || it == '{').unwrap_or(rest.len());
    rest[end..].contains('{').then_some(&rest[..end])
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Varnish, text);
    let all = properties(text);
    // A backend's host and port stand side by side; which is first is free.
    let mut host: Option<&Property<'_>> = None;
    let mut number: Option<&Property<'_>> = None;
    for it in &all {
        if host.or(number).is_some_and(|last| last.backend != it.backend) {
            dial(&mut places, host.take(), number.take());
        }
        places.service(Some(it.backend).filter(|it| !it.is_empty()));
        match it.name {
            "host" => host = Some(it),
            "port" => number = Some(it),
            "path" => {
                let to = format!("unix:{}", it.value);
                places.add(What::Dials { to, scheme: Scheme::Http }, it.quote);
            }
            "url" => {
                let path = it.value.split('?').next().unwrap_or(it.value);
                let check =
                    What::HealthCheck { path: Some(path.to_owned()), port: None, scheme: None };
                places.add(check, path);
            }
            "timeout" => places.limit(Limit::Probe, millis(it.value, 1000), it.quote),
            "threshold" => places.limit(Limit::MaxFails, integer(it.value), it.quote),
            "connect_timeout" => places.limit(Limit::Connect, millis(it.value, 1000), it.quote),
            "first_byte_timeout" | "between_bytes_timeout" => {
                places.limit(Limit::Read, millis(it.value, 1000), it.quote);
            }
            "max_connections" => places.limit(Limit::Concurrency, integer(it.value), it.quote),
            _ => {}
        }
    }
    dial(&mut places, host, number);
    places.settings
}

fn dial<'t>(places: &mut Places<'t>, host: Option<&Property<'t>>, port: Option<&Property<'t>>) {
    let Some(host) = host else { return };
    places.service(Some(host.backend).filter(|it| !it.is_empty()));
    let near = port.filter(|it| it.at.abs_diff(host.at) < 2000);
    let to = near.map_or(host.value.to_owned(), |it| format!("{}:{}", host.value, it.value));
    let quote = near.map_or(host.quote, |it| it.quote);
    places.add(What::Dials { to, scheme: Scheme::Http }, quote);
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn backends_and_probes_are_read() {
        for (text, want) in [
            (
                "vcl 4.1;\nimport std;\nbackend one {\n  .host = \"192.0.2.1\";\n  .port = \"8080\";\n  .first_byte_timeout = 60s;\n  .probe = {\n    .url = \"/up?key=1\";\n    .timeout = 2s;\n  }\n}\nbackend two { .host = \"app\"; }\nsub vcl_recv { set req.http.Host = \"x\"; }\n",
                "Varnish: [one] Limit Read 60000; [one] HealthCheck { path: Some(\"/up\"), port: None, scheme: None }; [one] Limit Probe 2000; \
                 [one] Dials 192.0.2.1:8080 Http; [two] Dials app Http",
            ),
            (
                "    .probe = {\n        .url = \"/check.php\";\n        .timeout = 2s;\n        .threshold = 5;\n   }",
                "Varnish: HealthCheck { path: Some(\"/check.php\"), port: None, scheme: None }; Limit Probe 2000; Limit MaxFails 5",
            ),
        ] {
            check_config("default.vcl", text, want);
        }
        for text in ["a.host = b", "the .host = is wrong", ".host", "...... = ;"] {
            assert!(!super::fits("default.vcl", text), "{text}");
        }
    }
}
