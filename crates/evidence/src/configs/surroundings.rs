//! Where people say that a program runs, as the forms of bug reports ask for it: `- OS: docker`,
//! `Deployment: Docker Compose`, and steps such as `Start traefik via docker`.

use super::words::lines;
use crate::product::Product;
use crate::setting::{Config, Places, Setting, What};

pub(super) const SURROUNDINGS: Config = Config {
    name: "where a report says that a program runs",
    product: Product::Shell,
    fits: |_, text| text.len() <= LONGEST && lines(text).any(|it| told(it).is_some()),
    read,
    source: "forms of bug reports on GitHub: environment, installation method, steps to reproduce",
    example: "- OS: docker\n- Architecture: amd64\n",
};

/// Longer texts are no answers to a form.
const LONGEST: usize = 8 * 1024;

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Docker, text);
    if text.len() > LONGEST {
        return Vec::new();
    }
    for line in lines(text) {
        if let Some((product, words)) = told(line) {
            places.product(product);
            places.add(What::InContainer, words);
        }
    }
    places.settings
}

/// The program, or Docker where none is named, and the words that say it.
fn told(line: &str) -> Option<(Product, &str)> {
    labelled(line).map(|it| (Product::Docker, it)).or_else(|| step(line))
}

/// `- OS: docker`: a label that asks where it runs, and a container engine as the whole answer.
fn labelled(line: &str) -> Option<&str> {
    const LABELS: [&str; 12] = [
        "os",
        "environment",
        "deployment",
        "deployment method",
        "deployment type",
        "installation",
        "installation method",
        "install method",
        "installation type",
        "installed via",
        "platform",
        "runtime",
    ];
    const ENGINES: [&str; 6] = [
        "docker",
        "docker compose",
        "docker-compose",
        "podman",
        "docker container",
        "docker swarm",
    ];
    let bare = line.trim_start_matches(['-', '*', '>', '#', ' ']);
    let (label, value) = bare.split_once(':')?;
    let clean = |it: &str| it.trim_matches(['*', ' ', '`', '_', '.']).to_ascii_lowercase();
    let known = LABELS.contains(&clean(label).as_str()) && ENGINES.contains(&clean(value).as_str());
    known.then_some(bare)
}

/// `Start traefik via docker listen on port 80`: a proxy, and a container engine close behind.
fn step(line: &str) -> Option<(Product, &str)> {
    const PROXIES: [(&str, Product); 10] = [
        ("traefik", Product::Traefik),
        ("cloudflared", Product::Cloudflared),
        ("caddy", Product::Caddy),
        ("haproxy", Product::HaProxy),
        ("envoy", Product::Envoy),
        ("varnish", Product::Varnish),
        ("nginx", Product::Nginx),
        ("kong", Product::Kong),
        ("apisix", Product::Apisix),
        ("squid", Product::Squid),
    ];
    const HOW: [&str; 8] = [
        " via docker",
        " in docker",
        " with docker",
        " inside docker",
        " using docker",
        " in a docker container",
        " in a container",
        " as a docker container",
    ];
    let bare = line.trim_start_matches(|it: char| it.is_ascii_digit() || "-*.>#) ".contains(it));
    const VERBS: [&str; 6] = ["start ", "run ", "running ", "install ", "deploy ", "launch "];
    let lower = bare.to_ascii_lowercase();
    if lower.len() > 200 || lower.ends_with('?') || !VERBS.iter().any(|it| lower.starts_with(it)) {
        return None;
    }
    let (at, product) =
        PROXIES.iter().find_map(|(it, product)| Some((lower.find(it)?, *product)))?;
    let (how, words) = HOW.iter().find_map(|it| Some((lower.find(it)?, *it)))?;
    // What stands between may be a version, not another program.
    let near = at < how && how - at <= 30;
    let other = [" and ", " but ", " not ", "n't "].iter().any(|it| lower[..how].contains(it));
    // Lower case has the same length in ASCII alone.
    let span = bare.get(at..how + words.len())?;
    (near && !other).then_some((product, span))
}

#[cfg(test)]
mod tests {
    use super::told;
    use crate::product::Product;

    #[test]
    fn answers_of_forms_and_steps_are_read() {
        for (line, want) in [
            ("- OS: docker", Some((Product::Docker, "OS: docker"))),
            (
                "**Deployment:** Docker Compose",
                Some((Product::Docker, "Deployment:** Docker Compose")),
            ),
            (
                "1. Start traefik via docker listen on port 80",
                Some((Product::Traefik, "traefik via docker")),
            ),
            ("Running nginx in a container", Some((Product::Nginx, "nginx in a container"))),
            ("- OS: Ubuntu 22.04", None),
            ("OS: docker is not used", None),
            ("Start nginx on the host and the app in docker", None),
            ("we do not know whether nginx runs in docker", None),
            ("Can I run nginx in docker?", None),
            ("é: docker", None),
        ] {
            assert_eq!(told(line), want, "{line}");
        }
    }
}
