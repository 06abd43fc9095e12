//! Words of commands that stand for a name: filled in where the inputs say it, else explained once.

use crate::advice;
use crate::dossier::Dossier;
use crate::platform;
use crate::report::{Cure, Report, Step};
use evidence::{Product, Sign, Stack, What, address};

/// A word in capitals that stands for something of the reader's.
struct Blank {
    word: &'static str,
    /// What to put in, as a sentence fragment.
    says: &'static str,
    /// The name, where the inputs say it, for this command.
    value: fn(&Dossier, &str) -> Option<String>,
}

const fn blank(word: &'static str, says: &'static str) -> Blank {
    Blank { word, says, value: |_, _| None }
}

/// Longer words stand before those that they begin with.
const BLANKS: &[Blank] = &[
    Blank { word: "HOST:PORT", says: "the address that the proxy dials", value: dialled },
    Blank { word: "HOST:443", says: "the address that the proxy dials", value: dialled },
    Blank {
        word: "HOST PORT",
        says: "the address that the proxy dials",
        value: |it, run| {
            let dialled = dialled(it, run)?;
            let port = address::port(&dialled)?;
            Some(format!("{} {port}", address::host(&dialled).trim_matches(['[', ']'])))
        },
    },
    Blank { word: "APP", says: "the app's service, unit or deployment", value: app },
    Blank {
        word: "POD",
        says: "a pod of the app",
        value: |it, _| platform::pod(it).map(str::to_owned),
    },
    Blank {
        word: "UNIT",
        says: "the app's unit",
        value: |it, _| Some(platform::unit(it)).filter(|it| it.ends_with(".service")),
    },
    Blank { word: "SERVICE", says: "the name of the service", value: service },
    Blank { word: "NAMESPACE", says: "the namespace of the app", value: namespace },
    Blank {
        word: "NODE",
        says: "the node",
        value: |it, _| {
            platform::named(it, &[Sign::NodeLost], Product::Kubernetes, |_| true).map(str::to_owned)
        },
    },
    Blank { word: "PROXY", says: "the unit or deployment of the proxy", value: proxy },
    Blank { word: "SITE", says: "the host name that callers use", value: |it, _| site(it) },
    Blank {
        word: "URL",
        says: "an address that failed",
        value: |it, _| site(it).map(|it| format!("http://{it}/PATH")),
    },
    blank("PATH", "a path that failed"),
    blank("PID", "the number of the app's process"),
    blank("HOST", "the host to be reached"),
    blank("PORT", "the port that is meant"),
    blank("NAME", "the name that is meant"),
    blank("ADDRESS", "the address that the app listens on"),
    blank("TARGET", "the server that is checked"),
    blank("HEALTHPATH", "the path of the health check"),
    blank("HEALTH_PATH", "the path of the health check"),
    blank("VENV", "the app's virtual environment"),
    blank("FUNCTION", "the name of the function"),
    blank("ARN", "the ARN of the target group or load balancer"),
    blank("INSTANCE", "the id of an instance"),
    blank("LOADBALANCER", "the load balancer, as its metrics name it"),
    blank("TARGET_GROUP", "the security group of the targets"),
    blank("LB_GROUP", "the security group of the load balancer"),
    blank("REGION", "the region"),
    blank("STAGE", "the stage of the API"),
    blank("RESOURCE", "the id of the resource"),
    blank("METHOD", "the method of the request"),
    blank("GATEWAY", "the host name of the gateway"),
    blank("DB_HOST", "the host of the database"),
    blank("CACHE_HOST", "the host of the cache"),
    blank("IMAGE", "the image and its tag"),
    blank("REGISTRY", "the name of the secret"),
    blank("USER", "the user of the registry"),
    blank("SERVER", "the server to ask"),
    blank("FILE", "a large file"),
];

/// Puts in all names that the inputs say.
pub(crate) fn fill(report: &mut Report, dossier: &Dossier) {
    let next = report.next.iter_mut().map(|it| &mut it.run);
    let missing = report.not_looked_at.iter_mut().filter_map(|it| it.run.as_mut());
    for run in next.chain(missing) {
        filled(run, dossier);
    }
    let Cure { before, now, lasting, verify } = &mut report.fix;
    for step in before.iter_mut().chain(now).chain(lasting).chain(verify) {
        if let Some(run) = &mut step.run {
            filled(run, dossier);
        }
    }
}

fn filled(run: &mut String, dossier: &Dossier) {
    for blank in BLANKS {
        if position(run, blank.word).is_none() {
            continue;
        }
        let Some(value) = (blank.value)(dossier, run) else { continue };
        // The value may hold the word of another blank, but none of its own.
        let mut whole = String::with_capacity(run.len());
        let mut rest = run.as_str();
        while let Some(at) = position(rest, blank.word) {
            whole += &rest[..at];
            whole += &value;
            rest = &rest[at + blank.word.len()..];
        }
        whole += rest;
        *run = whole;
    }
}

/// What is still to be put in by who runs the commands: each word once, with what it stands for.
pub(crate) fn left(report: &Report) -> Vec<(&'static str, &'static str)> {
    let Cure { before, now, lasting, verify } = &report.fix;
    let steps = before.iter().chain(now).chain(lasting).chain(verify);
    let runs = steps.filter_map(|it: &Step| it.run.as_deref());
    let runs = runs.chain(report.next.iter().map(|it| &*it.run));
    let runs: Vec<&str> =
        runs.chain(report.not_looked_at.iter().filter_map(|it| it.run.as_deref())).collect();
    let mut left: Vec<(&str, &str)> = Vec::new();
    for blank in BLANKS.iter().filter(|it| !it.word.contains([':', ' '])) {
        if runs.iter().any(|it| position(it, blank.word).is_some()) {
            left.push((blank.word, blank.says));
        }
    }
    left
}

/// Where a word stands alone: not within another, a variable or a list of columns.
fn position(text: &str, word: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let part = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b',');
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let before = at.checked_sub(1).map(|it| bytes[it]);
        let after = bytes.get(at + word.len()).copied();
        !before.is_some_and(|it| part(it) || it == b'$') && !after.is_some_and(part)
    })
}

fn dialled(dossier: &Dossier, _: &str) -> Option<String> {
    advice::dialled(dossier).map(str::to_owned)
}

/// The app by the name that this kind of command knows it by.
fn app(dossier: &Dossier, run: &str) -> Option<String> {
    let known = |it: String| (it != "APP").then_some(it);
    match run {
        _ if run.contains("deployment/APP") => {
            known(platform::deployment(dossier).trim_start_matches("deployment/").to_owned())
        }
        _ if run.contains("docker compose") => known(platform::service(dossier)),
        _ if run.contains("systemctl") || run.contains("journalctl") => {
            known(platform::unit(dossier))
        }
        _ => None,
    }
}

/// The service of Kubernetes that is in question.
fn service(dossier: &Dossier, run: &str) -> Option<String> {
    if !run.contains("kubectl") {
        return None;
    }
    let seen = platform::named(dossier, &[Sign::SelectorEmpty], Product::Kubernetes, |_| true);
    let mut settings: Vec<&str> = advice::services(dossier);
    settings.dedup();
    let only = settings.first().copied().filter(|_| settings.len() == 1);
    let named = seen.or(only).filter(|it| platform::is_name(it)).map(str::to_owned);
    named.or_else(|| Some(platform::service(dossier)).filter(|it| it != "APP" && !it.contains('.')))
}

fn namespace(dossier: &Dossier, _: &str) -> Option<String> {
    let objects = dossier.testimony.settings.iter().filter_map(|(_, it)| it.object.as_ref());
    let mut named = objects.filter_map(|it| it.namespace.as_deref());
    let first = named.next()?;
    (named.all(|it| it == first) && platform::is_name(first)).then(|| first.to_owned())
}

/// A proxy that is a service of the host has the name of its program.
fn proxy(dossier: &Dossier, run: &str) -> Option<String> {
    let unit = match dossier.incident.hop.stack() {
        Stack::Nginx => "nginx",
        Stack::HaProxy => "haproxy",
        Stack::Apache => "apache2",
        Stack::Caddy => "caddy",
        Stack::Envoy => "envoy",
        Stack::Traefik => "traefik",
        Stack::Varnish => "varnish",
        _ => return None,
    };
    run.contains("systemctl").then(|| unit.to_owned())
}

/// A host name that the proxy is configured to serve.
fn site(dossier: &Dossier) -> Option<String> {
    let host = dossier.settings(|it| match &it.what {
        What::ServedAs { host } if platform::is_name(host) && host != "_" => Some(host.as_str()),
        _ => None,
    });
    host.first().map(|(it, _)| (*it).to_owned())
}

#[cfg(test)]
mod tests {
    use super::{BLANKS, left, position};
    use crate::testing::explained;

    #[test]
    fn a_word_stands_alone() {
        for (text, word, at) in [
            ("http://SITE/PATH", "SITE", Some(7)),
            ("http://SITE/PATH", "PATH", Some(12)),
            ("echo $PATH", "PATH", None),
            ("SCRIPT_PATH PATHS", "PATH", None),
            ("findmnt -o TARGET,OPTIONS", "TARGET", None),
            ("cat /proc/PID/environ", "PID", Some(10)),
            ("é PID", "PID", Some(3)),
            ("", "PID", None),
        ] {
            assert_eq!(position(text, word), at, "{text}");
        }
    }

    #[test]
    fn every_word_is_explained_once() {
        for (at, it) in BLANKS.iter().enumerate() {
            assert!(!it.says.is_empty() && !it.says.ends_with('.'), "{}", it.word);
            assert!(BLANKS[..at].iter().all(|other| other.word != it.word), "{}", it.word);
        }
    }

    fn runs(inputs: &[(&str, &str)]) -> String {
        let report = explained(inputs);
        format!("{:?}{:?}{:?}", report.fix, report.next, report.not_looked_at)
    }

    const EMPTY: &str = "Name:              shop\nNamespace:         web\nSelector:          app=shop\n\
                         Type:              ClusterIP\nEndpoints:         <none>\n";

    #[test]
    fn a_service_that_was_described_stands_in_the_commands() {
        let runs = runs(&[("describe.txt", EMPTY)]);
        assert!(runs.contains("describe service shop"), "{runs}");
        assert!(!runs.contains("SERVICE"), "{runs}");
    }

    #[test]
    fn a_name_that_a_shell_would_read_stays_out() {
        let hostile = EMPTY.replace("shop", "$(reboot)");
        let runs = runs(&[("describe.txt", &hostile)]);
        assert!(!runs.contains("service $(") && !runs.contains("service shop"), "{runs}");
    }

    #[test]
    fn what_is_not_known_is_said_once() {
        let line = "2026/11/20 15:16:30 [error] 12#12: *5 connect() failed (111: Connection refused) while \
                    connecting to upstream, client: 192.0.2.1, server: example.com, request: \
                    \"GET / HTTP/1.1\", upstream: \"http://192.0.2.9:8000/\", host: \"example.com\"";
        let report = explained(&[("error.log", line)]);
        let left = left(&report);
        assert!(left.iter().any(|(word, _)| *word == "APP"), "{left:?}");
        assert!(!left.iter().any(|(word, _)| *word == "HOST"), "{left:?}");
    }
}
