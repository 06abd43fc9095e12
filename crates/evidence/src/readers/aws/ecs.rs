//! ECS: the events of a service and the reasons for which tasks stop.

use crate::clock;
use crate::event::Event;
use crate::product::Product;
use crate::reader::{Phrase, Reader, between, find, number, phrase, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(in crate::readers) const EVENTS: Reader = Reader {
    name: "AWS ECS events",
    product: Product::AwsEcs,
    hooks: &[
        "is unhealthy in",
        "Health checks failed with these codes",
        "due to (reason ",
        "Essential container in task exited",
        "OutOfMemoryError: Container killed",
        "CannotPullContainerError",
        "ResourceInitializationError",
        "Task failed ELB health checks",
        "Task failed container health checks",
        "was unable to place a task",
        "has reached a steady state",
        "deregistered ",
        "has begun draining",
        "has stopped ",
        "CannotStartContainerError",
    ],
    fits: |line| message(&line.text).is_some(),
    read: |line, sink| {
        let Some((text, found)) = message(&line.text) else { return };
        let Some((_, span)) = find(std::slice::from_ref(found), text) else { return };
        let inset = span_of(&line.text, text).start;
        let at = clock::iso(&line.text).map(|(it, _)| it);
        let service = between(text, "service ", ")").and_then(|it| it.split([',', ' ']).next());
        let service = service.map(|it| it.trim_end_matches(')'));
        let code = text.split_once("codes: [").or_else(|| text.split_once("exitCode\": "));
        sink.event(
            Event::new(
                Product::AwsEcs,
                found.sign,
                found.trust,
                inset + span.start..inset + span.end,
            )
            .at(at)
            .who(service)
            .number(code.and_then(|(_, it)| number(it))),
        );
    },
    source: "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html; \
             https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html",
    example: "(service web) (port 8000) is unhealthy in (target-group arn:aws:elasticloadbalancing:\
              us-east-1:123456789012:targetgroup/web/1) due to (reason Health checks failed with these \
              codes: [404])",
};

/// The more telling stand first.
const MESSAGES: &[Phrase] = &[
    phrase("Health checks failed with these codes", Sign::HealthWrongAnswer, Trust::C),
    phrase("due to (reason Request timed out)", Sign::HealthTimedOut, Trust::C),
    phrase("is unhealthy in", Sign::LbTargetUnhealthy, Trust::C),
    phrase("Task failed ELB health checks", Sign::LbTargetUnhealthy, Trust::C),
    phrase("Task failed container health checks", Sign::ContainerUnhealthy, Trust::C),
    phrase("OutOfMemoryError: Container killed due to memory usage", Sign::OomKilled, Trust::B),
    phrase("Essential container in task exited", Sign::ProcessExited, Trust::B),
    phrase("CannotPullContainerError", Sign::ImagePullFailed, Trust::B),
    phrase("CannotStartContainerError", Sign::BootFailed, Trust::B),
    phrase("ResourceInitializationError", Sign::BootFailed, Trust::B),
    phrase("was unable to place a task", Sign::PodUnschedulable, Trust::B),
    phrase("has begun draining connections", Sign::LbDeregistered, Trust::B),
    phrase("deregistered ", Sign::LbDeregistered, Trust::B),
    phrase("has stopped ", Sign::ProcessStopped, Trust::B),
    phrase("has reached a steady state", Sign::Ready, Trust::B),
];

/// An event or a reason, at the start of a line or as a value.
fn message(text: &str) -> Option<(&str, &'static Phrase)> {
    let text = match clock::iso(text) {
        Some((_, end)) => &text[end..],
        None => text,
    };
    let bare = text.trim_start_matches(|it: char| it.is_whitespace() || "\"'-,{:|".contains(it));
    let keys =
        ["message", "stoppedReason", "reason", "Stopped reason", "Status reason", "statusReason"];
    let keyed = keys
        .iter()
        .find_map(|it| bare.strip_prefix(it))
        .map(|it| it.trim_start_matches(|it: char| it.is_whitespace() || "\"':=".contains(it)));
    let own = keyed.unwrap_or(bare);
    let service = own.starts_with("(service ")
        || own.starts_with("service ") && own.contains(" in (target-group");
    let (found, span) = find(MESSAGES, own)?;
    (service || span.start == 0).then_some(())?;
    // Of a service, or the reason itself: not the half of another sentence.
    let event =
        matches!(found.text, "deregistered " | "has stopped " | "has begun draining connections");
    (!event || service).then_some((own, found))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn events_and_reasons_are_read() {
        check(
            "(service web) (port 8000) is unhealthy in (target-group arn:tg) due to (reason Request timed out)",
            "AWS ECS: HealthTimedOut who=web | due to (reason Request timed out)",
        );
        check(
            "\"stoppedReason\": \"OutOfMemoryError: Container killed due to memory usage\"",
            "AWS ECS: OomKilled | OutOfMemoryError: Container killed due to memory usage",
        );
        check(
            "Essential container in task exited",
            "AWS ECS: ProcessExited | Essential container in task exited",
        );
        check_nothing("my task has stopped 3 times");
        check_nothing("GET /(service web) is unhealthy in 200");
    }
}
