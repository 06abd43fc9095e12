//! Kubernetes: events, tables of pods and endpoints, descriptions, and the lines of its components.

mod describe;
mod events;
mod klog;
mod mesh;
mod tables;

pub(super) use describe::DESCRIBE;
pub(super) use events::EVENTS;
pub(super) use klog::KLOG;
pub(super) use mesh::MESH;
pub(super) use tables::TABLE;

use crate::reader::number;
use crate::sign::Sign;
use std::ops::Range;

/// What an event or a component says: the sign, the decisive words in its message, and what they
/// count.
pub(crate) struct Says {
    pub(crate) sign: Sign,
    /// In the message; `None` where the reason alone decides.
    pub(crate) words: Option<Range<usize>>,
    pub(crate) number: Option<i64>,
}

fn plain(sign: Sign) -> Says {
    Says { sign, words: None, number: None }
}

/// What an event says by its reason and its message.
pub(crate) fn event_says(reason: &str, message: &str) -> Option<Says> {
    if let Some(said) = probe_says(message) {
        return Some(said);
    }
    let has = |words: &str| message.contains(words);
    Some(plain(match reason {
        "BackOff" if has("pulling image") => Sign::ImagePullFailed,
        "BackOff" | "CrashLoopBackOff" => Sign::CrashLooping,
        "Killing" => Sign::PodKilling,
        "Evicted" | "Preempting" | "TaintManagerEviction" => Sign::PodEvicted,
        "FailedScheduling" => Sign::PodUnschedulable,
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => Sign::VolumeFailed,
        "ErrImagePull" | "ImagePullBackOff" | "InspectFailed" | "ErrImageNeverPull" => {
            Sign::ImagePullFailed
        }
        "NodeNotReady" | "NodeNotSchedulable" | "NodeLost" => Sign::NodeLost,
        "Rebooted" => Sign::Rebooted,
        "OOMKilled" | "OOMKilling" | "SystemOOM" => Sign::OomKilled,
        "CreateContainerConfigError" => Sign::ConfigMissing,
        "Failed" if has("not found") && (has("secret") || has("configmap")) => Sign::ConfigMissing,
        "Failed" if has("couldn't find key") => Sign::ConfigMissing,
        "Failed" if has("pull") || has("ErrImage") || has("InvalidImageName") => {
            Sign::ImagePullFailed
        }
        "Failed"
        | "FailedPostStartHook"
        | "FailedCreatePodSandBox"
        | "FailedCreate"
        | "CreateContainerError"
        | "RunContainerError"
        | "StartError"
        | "ContainerCannotRun" => Sign::BootFailed,
        "DeadlineExceeded" => Sign::ProcessKilled,
        "Unhealthy" => Sign::ContainerUnhealthy,
        "ProbeWarning" => Sign::HealthFailed,
        "FailedToUpdateEndpoint" | "FailedToUpdateEndpointSlices" => Sign::DiscoveryStale,
        "Started" => Sign::Started,
        _ => return None,
    }))
}

/// `Readiness probe failed: HTTP probe failed with statuscode: 404`: which probe, and its status.
pub(crate) fn probe_says(message: &str) -> Option<Says> {
    const PROBES: [(&str, Sign); 6] = [
        ("Readiness probe failed", Sign::ReadinessFailed),
        ("Readiness probe errored", Sign::ReadinessFailed),
        ("Liveness probe failed", Sign::LivenessFailed),
        ("Liveness probe errored", Sign::LivenessFailed),
        ("Startup probe failed", Sign::StartupProbeFailed),
        ("Startup probe errored", Sign::StartupProbeFailed),
    ];
    let (start, words, sign) =
        PROBES.iter().find_map(|(words, sign)| Some((message.find(words)?, *words, *sign)))?;
    // What an app answered to the probe comes after, and is not ours to believe.
    const STATUS: &str = "probe failed with statuscode: ";
    let tail = &message[start..];
    let status = tail.find(STATUS).filter(|it| *it < 64).map(|it| it + STATUS.len());
    let number = status.and_then(|it| number(&tail[it..]));
    let end = match status {
        Some(at) => at + tail[at..].bytes().take_while(u8::is_ascii_digit).count(),
        None => words.len(),
    };
    Some(Says { sign, words: Some(start..start + end), number })
}

/// Why a probe failed, in a few words.
pub(crate) fn probe_reason(message: &str) -> Option<&'static str> {
    const REASONS: [&str; 9] = [
        "connect: connection refused",
        "connect: no route to host",
        "i/o timeout",
        "context deadline exceeded",
        "connection reset by peer",
        "server gave HTTP response to HTTPS client",
        "malformed HTTP response",
        "EOF",
        "command timed out",
    ];
    REASONS.into_iter().find(|it| message.contains(it))
}

/// What the state of a pod or container says, as tables and `Reason:` lines name it.
pub(crate) fn state_says(state: &str) -> Option<Sign> {
    let state = match state.split_once(':') {
        Some(("Init", it)) => it,
        _ => state,
    };
    if state.contains('/') && state.bytes().all(|it| it.is_ascii_digit() || it == b'/') {
        return Some(Sign::StartingUp);
    }
    Some(match state {
        "CrashLoopBackOff" => Sign::CrashLooping,
        "OOMKilled" => Sign::OomKilled,
        "Error" => Sign::ProcessExited,
        "ImagePullBackOff"
        | "ErrImagePull"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable" => Sign::ImagePullFailed,
        "CreateContainerConfigError" => Sign::ConfigMissing,
        "CreateContainerError"
        | "RunContainerError"
        | "StartError"
        | "ContainerCannotRun"
        | "PostStartHookError" => Sign::BootFailed,
        "Evicted" => Sign::PodEvicted,
        "Terminating" => Sign::PodKilling,
        "NodeLost" | "Unknown" | "NodeShutdown" => Sign::NodeLost,
        "Pending" | "ContainerCreating" | "PodInitializing" => Sign::StartingUp,
        _ => return None,
    })
}
