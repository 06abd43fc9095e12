//! Rows of events: `kubectl get events`, and the table at the end of `kubectl describe`.

use super::{event_says, probe_reason};
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, span_of};
use crate::readers::table::is_name;
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const EVENTS: Reader = Reader {
    name: "kubectl get events",
    product: Product::Kubernetes,
    hooks: &["Warning ", "Normal ", "Warning\t", "Normal\t"],
    fits: |line| line.ident.is_none() && row(&line.text).is_some(),
    read,
    source: "kubernetes pkg/kubelet/events/event.go, pkg/kubelet/prober/prober.go; kubectl 1.28",
    example: "2m10s       Warning   Unhealthy   pod/shop-7d4b9c-x2x   Readiness probe failed: HTTP \
              probe failed with statuscode: 404",
};

struct Row<'a> {
    reason: &'a str,
    message: &'a str,
    object: Option<&'a str>,
}

/// Whatever the columns are: a type, a reason after it, and the message last.
fn row(text: &str) -> Option<Row<'_>> {
    let (kind, after) = ["Warning", "Normal"].iter().find_map(|it| {
        let at = text.find(it)?;
        let free = text[..at].ends_with([' ', '\t']) || at == 0;
        let after = &text[at + it.len()..];
        (free && at <= 320 && after.starts_with([' ', '\t'])).then_some((at, after))
    })?;
    // Ages, a namespace, a name: nothing longer stands before the type.
    let before = text[..kind].split_ascii_whitespace().collect::<Vec<_>>();
    let (reason, rest) = after.trim_start().split_once([' ', '\t'])?;
    let camel = reason.len() >= 4
        && reason.bytes().all(|it| it.is_ascii_alphabetic())
        && reason.starts_with(|it: char| it.is_ascii_uppercase());
    if before.len() > 8 || !camel {
        return None;
    }
    let aged = |it: &str| it.starts_with(|it: char| it.is_ascii_digit()) || it == "<unknown>";
    let rest = rest.trim_start();
    let object = rest.split(' ').next().filter(|it| it.contains('/') && is_name(it));
    // `describe`: `Warning  BackOff  2m (x5 over 3m)  kubelet  Back-off …`.
    let described = before.is_empty() && rest.split(' ').next().is_some_and(aged);
    let listed = before.iter().any(|it| aged(it));
    (described || listed).then_some(())?;
    let message = match object {
        Some(object) => rest[object.len()..].trim_start(),
        None => rest,
    };
    // Old kubectl named the object before the type.
    let object = object.or_else(|| {
        before.iter().rev().copied().find(|it| !aged(it) && it.contains('-') && is_name(it))
    });
    Some(Row { reason, message, object })
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some(row) = row(&line.text) else { return };
    let Some(says) = event_says(row.reason, row.message) else { return };
    let words = says.words.and_then(|it| row.message.get(it)).unwrap_or(row.reason);
    let above = || {
        let name = |it: &str| it.strip_prefix("Name:").map(|it| it.trim().to_owned());
        line.preceding().find_map(|it| name(&it))
    };
    let who = match row.object {
        Some(object) => Some(object.rsplit('/').next().unwrap_or(object).to_owned()),
        None => above(),
    };
    let detail = match says.sign {
        Sign::ReadinessFailed | Sign::LivenessFailed | Sign::StartupProbeFailed => {
            probe_reason(row.message)
        }
        Sign::Started | Sign::CrashLooping => None,
        _ => Some(message_only(row.message)).filter(|it| !it.is_empty()),
    };
    sink.event(
        Event::new(Product::Kubernetes, says.sign, Trust::B, span_of(&line.text, words))
            .who(who)
            .detail(detail)
            .number(says.number),
    );
}

/// The message without the columns that `describe` puts before it.
fn message_only(message: &str) -> &str {
    let last = message.rsplit("  ").next().unwrap_or(message);
    last.trim()
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_last, check_nothing};

    #[test]
    fn probes_tell_their_status_or_reason() {
        check(
            "2m10s   Warning   Unhealthy   pod/shop-7d-x   Readiness probe failed: HTTP probe failed \
             with statuscode: 503",
            "Kubernetes: ReadinessFailed who=shop-7d-x number=503 | Readiness probe failed: HTTP \
             probe failed with statuscode: 503",
        );
        check(
            "prod   2m10s   Warning   Unhealthy   pod/shop-7d-x   Liveness probe failed: Get \
             \"http://10.0.0.9:8000/x\": dial tcp 10.0.0.9:8000: connect: connection refused",
            "Kubernetes: LivenessFailed who=shop-7d-x detail=connect: connection refused | \
             Liveness probe failed",
        );
    }

    #[test]
    fn the_table_of_a_description_is_read() {
        check_last(
            "Name:             shop-7d-x\nNamespace:        default\nEvents:\n  Type     Reason     \
             Age    From     Message\n  Warning  BackOff    2m (x5 over 3m)  kubelet  Back-off \
             restarting failed container",
            "Kubernetes: CrashLooping who=shop-7d-x | BackOff",
        );
        check(
            "  Warning  FailedScheduling  5m  default-scheduler  0/3 nodes are available: 3 \
             Insufficient cpu.",
            "Kubernetes: PodUnschedulable detail=0/3 nodes are available: 3 Insufficient cpu. | \
             FailedScheduling",
        );
        check(
            "  Warning  Failed  5m  kubelet  Failed to pull image \"shop:9\": manifest unknown",
            "Kubernetes: ImagePullFailed detail=Failed to pull image \"shop:9\": manifest unknown \
             | Failed",
        );
    }

    #[test]
    fn other_lines_with_a_warning_are_no_events() {
        check_nothing("Warning Unhealthy food ahead");
        check_nothing("2026-11-20 15:16:30 Warning Unhealthy");
        check_nothing("2m  Normal  Pulled  pod/shop-7d-x  Container image already present");
        check_nothing("GET /2m  Warning  Evicted  pod/x  y");
        check_nothing("2m Warning ");
    }
}
