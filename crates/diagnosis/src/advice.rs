//! Steps that the cures of several causes share, worded for the proxy and the platform seen.

use crate::dossier::Dossier;
use crate::platform::{is_plain, kubernetes, reload};
use crate::report::{Cure, Risk, Step};
use evidence::{Limit, Product, Scheme, Sign, Stack, What, address};

/// The proxy whose settings are to be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    Nginx,
    IngressNginx,
    Apache,
    HaProxy,
    Envoy,
    Istio,
    Traefik,
    Caddy,
    Varnish,
    Aws,
    Goodgate,
    Other,
}

pub(crate) fn proxy(dossier: &Dossier) -> Hop {
    match (dossier.incident.hop, dossier.incident.hop.stack()) {
        (Product::IngressNginx, _) => Hop::IngressNginx,
        (Product::Istio, _) => Hop::Istio,
        (_, Stack::Nginx) => Hop::Nginx,
        (_, Stack::Apache) => Hop::Apache,
        (_, Stack::HaProxy) => Hop::HaProxy,
        (_, Stack::Envoy) if dossier.read(Product::Istio) => Hop::Istio,
        (_, Stack::Envoy) => Hop::Envoy,
        (_, Stack::Traefik) => Hop::Traefik,
        (_, Stack::Caddy) => Hop::Caddy,
        (_, Stack::Varnish) => Hop::Varnish,
        (_, Stack::Aws) => Hop::Aws,
        (_, Stack::Ours) => Hop::Goodgate,
        _ => Hop::Other,
    }
}

/// Where the proxy runs.
pub(crate) fn hop_host(dossier: &Dossier) -> String {
    match dossier.incident.hop {
        Product::Unknown | Product::Page | Product::AccessLog => "the proxy's host".to_owned(),
        _ => format!("the {} host", dossier.hop()),
    }
}

/// A word of a command line that was read somewhere, or a placeholder where the shell could read more
/// into it.
pub(crate) fn word(text: &str) -> String {
    match is_plain(text) {
        true => text.to_owned(),
        false => "NAME".to_owned(),
    }
}

/// The configuration that says where the proxy sends requests, else any of the proxy's that was read.
pub(crate) fn file(dossier: &Dossier) -> Option<String> {
    let stack = dossier.incident.hop.stack();
    let dials = dossier.dials();
    let source = dials.iter().find(|it| it.product.stack() == stack).map(|it| it.cite.source);
    let source = source.or_else(|| {
        let settings = dossier.testimony.settings.iter();
        settings.filter(|(_, it)| it.product.stack() == stack).map(|(source, _)| *source).next()
    })?;
    dossier.testimony.sources.get(source as usize).map(|it| it.name.clone())
}

/// Lines to put into the proxy's configuration, and to take out of it where they begin with `-`.
pub(crate) fn set(dossier: &Dossier, text: impl Into<String>, lines: &[(Hop, &str)]) -> Step {
    let proxy = proxy(dossier);
    let text = text.into();
    let Some((_, lines)) = lines.iter().find(|(it, _)| *it == proxy) else {
        return Step::say(text);
    };
    let signed = |line: &str| match line.strip_prefix('-').filter(|it| !it.starts_with(' ')) {
        Some(old) => format!("-    {old}"),
        None => format!("+    {line}"),
    };
    let diff: Vec<String> = lines.lines().map(signed).collect();
    Step::diff(text, file(dossier), diff.join("\n"), Risk::Reload).at(hop_host(dossier))
}

/// Takes over a configuration that was changed, where the proxy does not do so by itself.
pub(crate) fn apply(dossier: &Dossier) -> Option<Step> {
    matches!(proxy(dossier), Hop::Nginx | Hop::Apache | Hop::HaProxy | Hop::Caddy).then(|| {
        let text = "Check the configuration and take it over, without ending connections";
        Step::run(text, reload(dossier), Risk::Reload).at(hop_host(dossier))
    })
}

/// [`set`], and then [`apply`].
pub(crate) fn change(
    dossier: &Dossier,
    text: impl Into<String>,
    lines: &[(Hop, &str)],
) -> Vec<Step> {
    std::iter::once(set(dossier, text, lines)).chain(apply(dossier)).collect()
}

/// A reload alone.
pub(crate) fn reloaded(dossier: &Dossier, text: &str) -> Step {
    match proxy(dossier) {
        Hop::Nginx | Hop::Apache | Hop::HaProxy | Hop::Caddy => {
            Step::run(text, reload(dossier), Risk::Reload)
        }
        Hop::IngressNginx => Step::run(
            text,
            "kubectl -n ingress-nginx rollout restart deployment/ingress-nginx-controller",
            Risk::Restart,
        ),
        _ => Step::say(text),
    }
    .at(hop_host(dossier))
}

/// A request that takes the whole way.
pub(crate) fn through(dossier: &Dossier, expects: &str) -> Step {
    let host = dossier.settings(|it| match &it.what {
        What::ServedAs { host } if !host.contains(['*', '_', '$', '~']) => Some(host.as_str()),
        _ => None,
    });
    let site = host.first().map_or("SITE".to_owned(), |(it, _)| word(it));
    Step::look(
        format!("Ask through {}: {expects}", dossier.hop()),
        format!("curl -sS -o /dev/null -w '%{{http_code}} %{{time_total}}s\\n' http://{site}/PATH"),
    )
}

/// Past the proxy, from where it runs.
pub(crate) fn past(dossier: &Dossier, expects: &str) -> Option<Step> {
    let run = crate::platform::ask(dossier)?;
    let text = format!("Ask {} itself, past {}: {expects}", dossier.server(), dossier.hop());
    Some(Step::look(text, run).at(hop_host(dossier)))
}

/// The name that was to be resolved, or that the upstream is configured by.
pub(crate) fn name(dossier: &Dossier) -> Option<String> {
    let of_name = matches!(
        dossier.sign(),
        Sign::NameNotFound
            | Sign::NameServerFailed
            | Sign::NameRefused
            | Sign::NameTimedOut
            | Sign::NameUnresolved
    );
    let detail = dossier.incident.detail.as_deref().filter(|_| of_name);
    let dials = dossier.dials();
    let dialled = dials.iter().map(|it| it.to);
    let found = detail.into_iter().chain(dossier.upstream()).chain(dialled);
    found.map(address::host).find(|it| is_name(it)).map(str::to_owned)
}

/// A host name, no address and no path.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !address::is_ip(text)
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-' | b'_'))
}

/// Resolves a name where the proxy does.
pub(crate) fn resolve(dossier: &Dossier, name: &str) -> String {
    let name = word(name);
    if kubernetes(dossier) {
        return format!("kubectl exec deployment/PROXY -- getent hosts {name}");
    }
    match &dossier.incident.service {
        Some(service) => format!("docker compose exec {} getent hosts {name}", word(service)),
        None => format!("getent hosts {name}"),
    }
}

/// Runs a command where the proxy runs.
pub(crate) fn inside(dossier: &Dossier, command: &str) -> String {
    match &dossier.incident.service {
        _ if kubernetes(dossier) => format!("kubectl exec deployment/PROXY -- {command}"),
        Some(service) => format!("docker compose exec {} {command}", word(service)),
        None => command.to_owned(),
    }
}

/// Services of compose files and Kubernetes that were read.
pub(crate) fn services<'a>(dossier: &Dossier<'a>) -> Vec<&'a str> {
    let named = dossier.settings(|it| match &it.what {
        What::Service { name } => Some(name.as_str()),
        _ => None,
    });
    named.into_iter().map(|(it, _)| it).collect()
}

/// The module of nginx whose settings apply: `proxy`, `fastcgi`, `uwsgi`, `grpc`.
pub(crate) fn module(dossier: &Dossier) -> &'static str {
    let scheme = dossier.dials().into_iter().map(|it| it.scheme).find(|it| *it != Scheme::Unknown);
    match (scheme, dossier.server_product()) {
        (Some(Scheme::FastCgi), _) | (None, Some(Product::PhpFpm)) => "fastcgi",
        (Some(Scheme::Uwsgi), _) => "uwsgi",
        (Some(Scheme::Scgi), _) => "scgi",
        (Some(Scheme::Grpc | Scheme::Grpcs), _) => "grpc",
        _ => "proxy",
    }
}

/// The host and port that the proxy dials: those of the failures, else the only ones of its
/// configuration.
pub(crate) fn dialled<'a>(dossier: &Dossier<'a>) -> Option<&'a str> {
    let plain = |it: &&str| is_plain(it) && address::port(it).is_some();
    let seen = dossier.upstream().filter(plain);
    seen.or_else(|| {
        let stack = dossier.incident.hop.stack();
        let dials = dossier.dials().into_iter().filter(|it| it.product.stack() == stack);
        let mut addresses = dials.map(|it| it.to).filter(plain);
        let first = addresses.next()?;
        addresses.all(|it| it == first).then_some(first)
    })
}

/// The bytes that the upstream answers, as they are.
pub(crate) fn raw(dossier: &Dossier, text: &str) -> Step {
    Step::look(text, bytes(dossier)).at(hop_host(dossier))
}

/// Shows the bytes that the upstream answers to the simplest request.
pub(crate) fn bytes(dossier: &Dossier) -> String {
    let ask = "printf 'GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n'";
    let to = match dossier.upstream() {
        Some(it) => match address::socket(it) {
            Some(path) => format!("-U {}", word(path)),
            None => {
                let port = address::port(it).unwrap_or(80);
                format!("{} {port}", word(address::host(it).trim_matches(['[', ']'])))
            }
        },
        None => "HOST PORT".to_owned(),
    };
    format!("{ask} | nc -w 5 {to} | head -c 2000 | cat -v")
}

/// The app has to be corrected, and how to see that it was.
pub(crate) fn corrected(dossier: &Dossier, first: Vec<Step>, now: Vec<Step>, seen: &str) -> Cure {
    Cure {
        before: first,
        now,
        lasting: Vec::new(),
        verify: vec![raw(dossier, seen), through(dossier, "an answer of the app")],
    }
}

/// A limit of the hop as its configuration has it, to be replaced: the file, and the old line.
pub(crate) fn old(dossier: &Dossier, limit: Limit) -> Option<(Option<String>, String)> {
    let stack = dossier.incident.hop.stack();
    let (_, cite) = dossier.limit(limit, |it| it.stack() == stack)?;
    let file = dossier.testimony.sources.get(cite.source as usize).map(|it| it.name.clone());
    (!cite.quote.contains('\n')).then_some((file, cite.quote))
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn what_a_shell_would_read_stands_in_no_command() {
        assert_eq!(word("app.example.com:8000"), "app.example.com:8000");
        assert_eq!(word("/run/app.sock"), "/run/app.sock");
        assert_eq!(word("$(reboot)"), "NAME");
        assert_eq!(word("a'b"), "NAME");
        assert_eq!(word("-rf"), "NAME");
        assert_eq!(word("a\nb"), "NAME");
    }
}
