//! `kubectl get pods`, `endpoints`, `nodes`: one row each.

use super::state_says;
use crate::event::Event;
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, number, span_of};
use crate::readers::exit::exited;
use crate::readers::table::{columns, is_age, is_name};
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const TABLE: Reader = Reader {
    name: "kubectl get",
    product: Product::Kubernetes,
    hooks: &[
        "Running",
        "BackOff",
        "Error",
        "OOMKilled",
        "Evicted",
        "Pending",
        "Terminating",
        "ErrImage",
        "InvalidImage",
        "ContainerCreating",
        "Init:",
        "Completed",
        "Unknown",
        "<none>",
        "NotReady",
        "NodeLost",
        "<unset>",
    ],
    fits: |line| line.ident.is_none() && found(line).is_some(),
    read: |line, sink| {
        if let Some(it) = found(line) {
            let words = span_of(&line.text, it.words);
            let event = Event::new(Product::Kubernetes, it.sign, Trust::B, words)
                .who(Some(it.who))
                .detail(it.detail)
                .number(it.number);
            sink.event(event);
            if let Some(address) = address(&line.text) {
                let span = span_of(&line.text, address);
                let event = Event::new(Product::Kubernetes, Sign::Resolved, Trust::B, span);
                sink.event(event.upstream(Some(it.who)).detail(Some(address)));
            }
        }
    },
    source: "kubectl 1.28, printers of pods, endpoints and nodes",
    example: "shop-7d4b9c-x2x   0/1   CrashLoopBackOff   12 (3m2s ago)   1h",
};

struct Found<'a> {
    sign: Sign,
    words: &'a str,
    who: &'a str,
    detail: Option<&'a str>,
    number: Option<i64>,
}

fn found<'l>(line: &'l Line) -> Option<Found<'l>> {
    let text = &*line.text;
    // Pages indent what they quote; the row of a pod is told by its columns even so.
    if text.starts_with(' ') {
        return pod(text);
    }
    let columns: Vec<&str> = columns(text).take(12).collect();
    pod(text).or_else(|| endpoints(&columns)).or_else(|| slice(&columns)).or_else(|| node(&columns))
}

/// `NAME  READY  STATUS  RESTARTS  AGE`, with a namespace before it or not. Single spaces are enough:
/// pages collapse them.
fn pod(text: &str) -> Option<Found<'_>> {
    let words: Vec<&str> = text.split_ascii_whitespace().take(8).collect();
    let at = words.iter().take(3).position(|it| ready(it).is_some())?;
    let (is, wants) = ready(words[at])?;
    let who = *words.get(at.checked_sub(1)?)?;
    let state = *words.get(at + 1)?;
    let restarts = number(words.get(at + 2)?)?;
    // `12`, or `12 (3m2s ago)`, and the age.
    let after = words.get(at + 3)?;
    if !is_name(who) || at == 2 && !is_name(words[0]) || !after.starts_with('(') && !is_age(after) {
        return None;
    }
    let (sign, detail, count) = match state {
        "Running" if is < wants => (Sign::ReadinessFailed, Some(words[at]), None),
        "Running" => (Sign::Ready, None, None),
        "Completed" => (exited(0).0, None, Some(0)),
        "Error" => (Sign::ProcessExited, None, None),
        _ => (state_says(state)?, None, Some(restarts).filter(|it| *it > 0)),
    };
    Some(Found { sign, words: state, who, detail, number: count })
}

/// The address of a pod, which `-o wide` puts behind its age.
fn address(text: &str) -> Option<&str> {
    let words: Vec<&str> = text.split_ascii_whitespace().take(12).collect();
    let at = words.iter().take(3).position(|it| ready(it).is_some())?;
    let mut after = words.iter().skip(at + 3).skip_while(|it| !is_age(it));
    after.next()?;
    after.next().copied().filter(|it| crate::address::is_ip(it))
}

/// `1/2`.
fn ready(text: &str) -> Option<(u16, u16)> {
    let (is, wants) = text.split_once('/')?;
    Some((is.parse().ok()?, wants.parse().ok()?))
}

/// `shop   <none>   5m`: exactly these columns, so that no other table's `<none>` counts.
fn endpoints<'a>(columns: &[&'a str]) -> Option<Found<'a>> {
    let at = columns.len().checked_sub(3).filter(|it| *it <= 1)?;
    let (who, none, age) = (columns[at], columns[at + 1], columns[at + 2]);
    let fits = none == "<none>" && is_age(age) && columns[..=at].iter().all(|it| is_name(it));
    fits.then_some(Found {
        sign: Sign::SelectorEmpty,
        words: none,
        who,
        detail: None,
        number: None,
    })
}

/// `shop-x2x9z   IPv4   <unset>   <unset>   5m` of `kubectl get endpointslices`.
fn slice<'a>(columns: &[&'a str]) -> Option<Found<'a>> {
    let at = columns.len().checked_sub(5).filter(|it| *it <= 1)?;
    let &[who, family, ports, none, age] = &columns[at..] else { return None };
    let fits = matches!(family, "IPv4" | "IPv6" | "FQDN")
        && ports == "<unset>"
        && none == "<unset>"
        && is_age(age)
        && is_name(who);
    let sign = Sign::SelectorEmpty;
    fits.then_some(Found { sign, words: none, who, detail: None, number: None })
}

/// `node1   NotReady   <none>   10d   v1.28.2`.
fn node<'a>(columns: &[&'a str]) -> Option<Found<'a>> {
    let &[who, state, _, age, version, ..] = columns else { return None };
    let fits = state.split(',').next() == Some("NotReady")
        && is_age(age)
        && version.starts_with('v')
        && is_name(who);
    fits.then_some(Found { sign: Sign::NodeLost, words: state, who, detail: None, number: None })
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn slices_and_indented_rows_are_read() {
        check(
            "shop-x2x9z   IPv4   <unset>   <unset>   5m",
            "Kubernetes: SelectorEmpty who=shop-x2x9z | <unset>",
        );
        check(
            "    shop-7d4b9c-x2x   0/1   CrashLoopBackOff   12 (3m2s ago)   1h",
            "Kubernetes: CrashLooping who=shop-7d4b9c-x2x number=12 | CrashLoopBackOff",
        );
        check_nothing("shop-x2x9z   IPv4   80   192.0.2.7   5m");
        check(
            "shop-7d4b9c-x2x   2/2   Running   0   5m5s   192.0.2.7   node-1   <none>   <none>",
            "Kubernetes: Ready who=shop-7d4b9c-x2x | Running; \
             Kubernetes: Resolved upstream=shop-7d4b9c-x2x detail=192.0.2.7 | 192.0.2.7",
        );
    }

    #[test]
    fn the_status_of_a_pod_is_read() {
        for (row, want) in [
            (
                "shop-7d-x   0/1   CrashLoopBackOff   12 (3m2s ago)   1h",
                "Kubernetes: CrashLooping who=shop-7d-x number=12 | CrashLoopBackOff",
            ),
            (
                "prod   shop-7d-x   0/1   OOMKilled   3   1h",
                "Kubernetes: OomKilled who=shop-7d-x number=3 | OOMKilled",
            ),
            (
                "shop-7d-x 0/1 Running 0 1h",
                "Kubernetes: ReadinessFailed who=shop-7d-x detail=0/1 | Running",
            ),
            ("shop-7d-x   1/1   Running   0   1h", "Kubernetes: Ready who=shop-7d-x | Running"),
            (
                "shop-7d-x   0/1   Init:ImagePullBackOff   0   1h",
                "Kubernetes: ImagePullFailed who=shop-7d-x | Init:ImagePullBackOff",
            ),
            (
                "shop-7d-x   0/1   Init:0/2   0   1h",
                "Kubernetes: StartingUp who=shop-7d-x | Init:0/2",
            ),
        ] {
            check(row, want);
        }
    }

    #[test]
    fn a_service_without_endpoints_and_a_lost_node_are_read() {
        check(
            "shop         <none>              5m12s",
            "Kubernetes: SelectorEmpty who=shop | <none>",
        );
        check(
            "node1    NotReady   <none>   10d   v1.28.2",
            "Kubernetes: NodeLost who=node1 | NotReady",
        );
        check_nothing("shop   ClusterIP   10.0.0.1   <none>   80/TCP   5m");
    }

    #[test]
    fn what_only_resembles_a_row_is_none() {
        check_nothing("NAME   READY   STATUS   RESTARTS   AGE");
        check_nothing("progress 3/4 Error while reading");
        check_nothing("test run 1/2 Error 5 times");
        check_nothing("a 1/1");
    }
}
