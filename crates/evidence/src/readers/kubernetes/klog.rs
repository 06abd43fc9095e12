//! Lines of klog: kubelet, kube-proxy, controllers, the ingress controller.
//!
//! `Lmmdd hh:mm:ss.uuuuuu threadid file:line] message`, where L is one of I, W, E, F.

use super::{probe_reason, probe_says};
use crate::clock::Stamp;
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, span_of};
use crate::readers::phrases;
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const KLOG: Reader = Reader {
    name: "klog (kubelet, controllers)",
    product: Product::Kubernetes,
    hooks: &[
        "does not have any active Endpoint",
        "rror obtaining Endpoints",
        "no endpoints available for service",
        "no object matching key",
        "robe failed",
        "robe for \"",
        "robe errored",
        "\"Probe failed\"",
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "evict",
        "ackend successfully reloaded",
        "Backend reload",
        "Unexpected failure reloading the backend",
        "NodeNotReady",
        "oom_watcher",
        "OOM encountered",
        "networkPlugin cni failed",
        "leader election lost",
        "SIGTERM, shutting down",
        "Shutting down controller queues",
    ],
    fits: |line| head(&line.text, line.year).is_some(),
    read,
    source: "k8s.io/klog; kubernetes/ingress-nginx internal/ingress/controller/controller.go",
    example: "W1120 15:16:30.123456       7 controller.go:1117] Service \"default/shop\" does not \
              have any active Endpoint.",
};

/// The time, and where the message begins.
fn head(text: &str, year: i32) -> Option<(Stamp, usize)> {
    let (around, start) = crate::clock::iso(text).map_or((None, 0), |(at, end)| (Some(at), end));
    let bare = text[start..].trim_start();
    let (at, inset) = bare_head(bare, year)?;
    Some((around.unwrap_or(at), text.len() - bare.len() + inset))
}

fn bare_head(text: &str, year: i32) -> Option<(Stamp, usize)> {
    let bytes = text.as_bytes();
    if !matches!(bytes.first()?, b'I' | b'W' | b'E' | b'F') || bytes.get(5) != Some(&b' ') {
        return None;
    }
    let two = |at: usize| text.get(at..at + 2)?.parse::<u32>().ok();
    let digits = bytes.get(1..5)?.iter().all(u8::is_ascii_digit);
    let micros = text.get(15..21)?;
    if !digits || bytes.get(14) != Some(&b'.') || !micros.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let time = (two(6)?, two(9)?, two(12)?);
    let at = Stamp::local((year, two(1)?, two(3)?), time, micros.parse().ok()?)?;
    let (place, message) = text[21..].split_once("] ")?;
    place.contains(':').then(|| (at, text.len() - message.len()))
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some((at, inset)) = head(&line.text, line.year) else { return };
    let message = &line.text[inset..];
    let event = ends(line, message)
        .or_else(|| ingress(line, message))
        .or_else(|| component(line, message))
        .or_else(|| phrases::said(line).filter(|_| !is_of_control(message)));
    if let Some(event) = event {
        // What collected the line knows the year too.
        sink.event(event.at(line.at.or(Some(at))));
    }
}

/// The ingress controller is told to end (cmd/nginx, internal/ingress/controller/nginx.go).
fn ends<'a>(line: &Line, message: &str) -> Option<Event<'a>> {
    const WORDS: [&str; 2] = ["Received SIGTERM, shutting down", "Shutting down controller queues"];
    let bare = message.trim_start_matches('"');
    let words = WORDS.iter().find(|it| bare.starts_with(**it))?;
    let span = span_of(&line.text, &bare[..words.len()]);
    Some(Event::new(Product::Kubernetes, Sign::ShuttingDown, Trust::C, span))
}

/// What a component could not ask of the API server: nobody's request.
fn is_of_control(message: &str) -> bool {
    const WORDS: [&str; 15] = [
        "ailed to watch",
        "ailed to list",
        "leader election",
        "lease",
        "apiserver",
        "/api/v1/",
        "/apis/",
        "webhook",
        // Of the kubelet: images, networks of pods, the node itself.
        "image",
        "Image",
        "sandbox",
        "cni",
        "etcd",
        "node status",
        "register node",
    ];
    WORDS.iter().any(|it| message.contains(it))
}

/// `namespace/name` in quotes, without the namespace.
fn quoted(message: &str) -> Option<&str> {
    let name = between(message, "\"", "\"")?;
    Some(name.rsplit('/').next().unwrap_or(name))
}

/// The words of ingress-nginx about what it can send requests to.
fn ingress<'a>(line: &'a Line, message: &'a str) -> Option<Event<'a>> {
    const WORDS: [(&str, Sign); 6] = [
        ("does not have any active Endpoint", Sign::NoEndpoints),
        ("Error obtaining Endpoints for Service", Sign::NoEndpoints),
        ("error obtaining Endpoints for Service", Sign::NoEndpoints),
        ("Backend successfully reloaded", Sign::ProxyStarted),
        ("backend successfully reloaded", Sign::ProxyStarted),
        ("Unexpected failure reloading the backend", Sign::BootFailed),
    ];
    let (at, words, sign) =
        WORDS.iter().find_map(|(words, sign)| Some((message.find(words)?, *words, *sign)))?;
    let trust = Trust::C;
    let span = span_of(&line.text, &message[at..at + words.len()]);
    let event = Event::new(Product::IngressNginx, sign, trust, span);
    Some(match sign {
        Sign::NoEndpoints => event.who(quoted(message)).upstream(quoted(message)),
        _ => event,
    })
}

fn component<'a>(line: &'a Line, message: &'a str) -> Option<Event<'a>> {
    let tell = |sign, words: &str| {
        Event::new(Product::Kubernetes, sign, Trust::B, span_of(&line.text, words))
    };
    // `"Probe failed" probeType="Readiness" pod="default/shop-7d-x" … output="HTTP probe failed …"`
    if message.starts_with("\"Probe failed\"") || message.starts_with("\"Probe errored\"") {
        let kind = between(message, "probeType=\"", "\"")?;
        let sign = match kind {
            "Readiness" => Sign::ReadinessFailed,
            "Liveness" => Sign::LivenessFailed,
            "Startup" => Sign::StartupProbeFailed,
            _ => return None,
        };
        let pod = between(message, "pod=\"", "\"").map(|it| it.rsplit('/').next().unwrap_or(it));
        let words = &message[..message.find(kind)? + kind.len() + 1];
        return Some(tell(sign, words).who(pod).detail(probe_reason(message)));
    }
    // `Readiness probe for "shop-7d-x_default(uid):shop" failed (failure): …`
    for (words, sign) in [
        ("Readiness probe for \"", Sign::ReadinessFailed),
        ("Liveness probe for \"", Sign::LivenessFailed),
    ] {
        if let Some(rest) = message.strip_prefix(words) {
            let (pod, rest) = rest.split_once('"')?;
            let pod = pod.split('_').next().unwrap_or(pod);
            if !rest.starts_with(" failed") {
                return None;
            }
            let end = message.len() - rest.len() + " failed".len();
            return Some(tell(sign, &message[..end]).who(Some(pod)).detail(probe_reason(message)));
        }
    }
    if let Some(says) = probe_says(message) {
        let words = message.get(says.words?)?;
        return Some(tell(says.sign, words).number(says.number));
    }
    const WORDS: [(&str, Sign); 10] = [
        ("no endpoints available for service", Sign::NoEndpoints),
        ("CrashLoopBackOff", Sign::CrashLooping),
        ("ImagePullBackOff", Sign::ImagePullFailed),
        ("ErrImagePull", Sign::ImagePullFailed),
        ("must evict pod", Sign::PodEvicted),
        ("is evicted successfully", Sign::PodEvicted),
        ("NodeNotReady", Sign::NodeLost),
        ("OOM encountered", Sign::OomKilled),
        ("networkPlugin cni failed", Sign::BootFailed),
        ("leader election lost", Sign::ProcessExited),
    ];
    let (at, words, sign) =
        WORDS.iter().find_map(|(words, sign)| Some((message.find(words)?, *words, *sign)))?;
    let pod = between(message, "pod=\"", "\"").or_else(|| between(message, "for service \"", "\""));
    let pod = pod.map(|it| it.rsplit('/').next().unwrap_or(it));
    Some(tell(sign, &message[at..at + words.len()]).who(pod))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn the_ingress_controller_says_what_has_no_endpoints() {
        check(
            "W1120 15:16:30.123456       7 controller.go:1117] Service \"prod/shop\" does not have \
             any active Endpoint.",
            "ingress-nginx: NoEndpoints upstream=shop who=shop | does not have any active Endpoint",
        );
        check(
            "I1120 15:16:30.123456       7 controller.go:168] \"Backend successfully reloaded\"",
            "ingress-nginx: ProxyStarted | Backend successfully reloaded",
        );
    }

    #[test]
    fn the_kubelet_says_which_probe_failed() {
        check(
            "I1120 15:16:30.123456    1234 prober.go:107] \"Probe failed\" probeType=\"Readiness\" \
             pod=\"prod/shop-7d-x\" podUID=1 containerName=\"shop\" probeResult=failure output=\"Get \
             http://10.0.0.9:8000/: dial tcp: connect: connection refused\"",
            "Kubernetes: ReadinessFailed who=shop-7d-x detail=connect: connection refused | \
             \"Probe failed\" probeType=\"Readiness\"",
        );
        check(
            "I1120 15:16:30.123456    1234 prober.go:117] Liveness probe for \
             \"shop-7d-x_prod(0a1b):shop\" failed (failure): context deadline exceeded",
            "Kubernetes: LivenessFailed who=shop-7d-x detail=context deadline exceeded | Liveness \
             probe for \"shop-7d-x_prod(0a1b):shop\" failed",
        );
        check(
            "E1120 15:16:30.123456    1234 pod_workers.go:190] Error syncing pod 0a1b \
             (\"shop\"), skipping: failed to \"StartContainer\" with CrashLoopBackOff",
            "Kubernetes: CrashLooping | CrashLoopBackOff",
        );
    }

    #[test]
    fn other_lines_are_no_klog() {
        check_nothing("E1120 is out of date: CrashLoopBackOff");
        check_nothing("W1320 15:16:30.123456 7 x.go:1] no endpoints available for service \"x\"");
        check_nothing("I1120 15:16:30.123456       7 x.go:1] GET /healthz");
        check_nothing("E1120 15:16:30.1234");
    }

    #[test]
    fn a_controller_that_is_told_to_end_says_so() {
        check(
            "I1120 15:16:30.123456       7 sigterm.go:36] \"Received SIGTERM, shutting down\"",
            "Kubernetes: ShuttingDown | Received SIGTERM, shutting down",
        );
        check(
            "I1120 15:16:30.123456       7 nginx.go:387] Shutting down controller queues",
            "Kubernetes: ShuttingDown | Shutting down controller queues",
        );
        check_nothing(
            "I1120 15:16:30.123456       7 a.go:36] got \"Received SIGTERM, shutting down\"",
        );
    }
}
