//! `kubectl describe` of pods, services and ingresses: one field a line, and what it belongs to above.

use super::state_says;
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::readers::exit::exited;
use crate::readers::table::is_name;
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const DESCRIBE: Reader = Reader {
    name: "kubectl describe",
    product: Product::Kubernetes,
    hooks: &["Reason:", "Exit Code:", "Endpoints:", "<error: endpoints"],
    fits: |line| line.ident.is_none() && (field(&line.text).is_some() || no_endpoints(line)),
    read,
    source: "kubectl 1.28 pkg/describe/describe.go",
    example: "      Reason:       OOMKilled",
};

enum Field<'a> {
    Reason(&'a str),
    ExitCode(&'a str),
    Endpoints(&'a str),
    /// A backend of an ingress whose service has no endpoints object, and the words.
    Backend(&'a str, &'a str),
}

fn field(text: &str) -> Option<Field<'_>> {
    if let Some(at) = text.find("(<error: endpoints \"") {
        let service = between(&text[at..], "\"", "\"")?;
        // The one of old controllers, which every ingress without a default names.
        return (is_name(service) && service != "default-http-backend")
            .then(|| Field::Backend(service, text[at + 1..].trim_end().trim_end_matches(')')));
    }
    let trimmed = text.trim();
    let (name, value) = trimmed.split_once(':')?;
    let value = value.trim();
    match name {
        "Reason" => state_says(value).map(|_| Field::Reason(value)),
        "Exit Code" => value.parse::<u16>().ok().map(|_| Field::ExitCode(value)),
        "Endpoints" if value == "<none>" => Some(Field::Endpoints(value)),
        _ => None,
    }
}

/// Since kubectl 1.31 nothing stands behind the name where there is no endpoint; what comes next
/// is the service's.
fn no_endpoints(line: &Line) -> bool {
    const NEXT: [&str; 5] = [
        "Session Affinity:",
        "External Traffic Policy:",
        "Internal Traffic Policy:",
        "HealthCheck NodePort:",
        "Events:",
    ];
    line.text.trim() == "Endpoints:"
        && line.following().next().is_some_and(|next| {
            let next = next.trim_start();
            NEXT.iter().any(|it| next.starts_with(it))
        })
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let empty = no_endpoints(line).then(|| Field::Endpoints(line.text.trim()));
    let Some(field) = field(&line.text).or(empty) else { return };
    let name = |it: &str| it.strip_prefix("Name:").map(|it| it.trim().to_owned());
    let owner = || line.preceding().find_map(|it| name(&it));
    let (sign, words, who, number) = match field {
        Field::Reason(reason) => {
            // An exit by itself is told by its code, one line further.
            let Some(sign) = state_says(reason).filter(|it| *it != Sign::ProcessExited) else {
                return;
            };
            (sign, reason, owner(), None)
        }
        Field::ExitCode(code) => {
            let above = line.preceding().next();
            let reason = above.as_deref().and_then(|it| it.trim().strip_prefix("Reason:"));
            let Some(code_number) = number(code) else { return };
            let (sign, count) = exited(code_number);
            // The reason above has said it better, and an end that was well is no news.
            if reason.is_some_and(|it| it.trim() == "OOMKilled") || code_number == 0 {
                return;
            }
            (sign, code, owner(), Some(count))
        }
        Field::Endpoints(none) => (Sign::SelectorEmpty, none, owner(), None),
        Field::Backend(service, words) => {
            (Sign::SelectorEmpty, words, Some(service.to_owned()), None)
        }
    };
    sink.event(
        Event::new(Product::Kubernetes, sign, Trust::B, span_of(&line.text, words))
            .who(who)
            .number(number),
    );
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_last, check_nothing};

    const POD: &str = "Name:             shop-7d-x\nContainers:\n  shop:\n    Last State:     \
                       Terminated\n";

    #[test]
    fn a_service_without_endpoints_shows_nothing_or_none() {
        check(
            "Endpoints:                \nSession Affinity:         None",
            "Kubernetes: SelectorEmpty | Endpoints:",
        );
        check_nothing("Endpoints:\nwe have some");
        check_nothing(
            "Default backend:  default-http-backend:80 (<error: endpoints \"default-http-backend\" not found>)",
        );
    }

    #[test]
    fn states_of_containers_are_told_with_their_pod() {
        check_last(
            &format!("{POD}      Reason:       OOMKilled"),
            "Kubernetes: OomKilled who=shop-7d-x | OOMKilled",
        );
        check_last(&format!("{POD}      Reason:       OOMKilled\n      Exit Code:    137"), "");
        check_last(
            &format!("{POD}      Reason:       Error\n      Exit Code:    137"),
            "Kubernetes: ProcessKilled who=shop-7d-x number=9 | 137",
        );
        check_last(
            &format!("{POD}      Reason:       CrashLoopBackOff"),
            "Kubernetes: CrashLooping who=shop-7d-x | CrashLoopBackOff",
        );
    }

    #[test]
    fn services_without_endpoints_are_told() {
        check_last(
            "Name:              shop\nTargetPort:        8000/TCP\nEndpoints:         <none>",
            "Kubernetes: SelectorEmpty who=shop | <none>",
        );
        check(
            "              /   shop:80 (<error: endpoints \"shop\" not found>)",
            "Kubernetes: SelectorEmpty who=shop | <error: endpoints \"shop\" not found>",
        );
    }

    #[test]
    fn other_fields_are_nothing() {
        check_nothing("Reason: I wanted to");
        check_nothing("Endpoints: 10.0.0.1:8000");
        check_nothing("Exit Code:");
    }
}
