//! The controller of ingress-nginx: what it says about services and reloads.

use crate::clock;
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(in crate::readers) const CONTROLLER: Reader = Reader {
    name: "ingress-nginx controller log",
    product: Product::IngressNginx,
    hooks: &[
        "does not have any active Endpoint",
        "Error obtaining Endpoints",
        "ackend successfully reloaded",
    ],
    fits: |line| message(&line.text).is_some(),
    read,
    source: "klog; kubernetes/ingress-nginx internal/ingress/controller/controller.go",
    example: "W1009 07:01:57.954692       5 controller.go:769] Service \"shop/web\" does not have any \
              active Endpoint.",
};

/// What stands behind `W1009 07:01:57.954692       5 controller.go:769] ` of the controller.
fn message(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let begins = matches!(bytes.first()?, b'I' | b'W' | b'E' | b'F')
        && bytes.get(1..5)?.iter().all(u8::is_ascii_digit)
        && bytes.get(5) == Some(&b' ');
    if !begins {
        return None;
    }
    let (place, message) = text.get(6..)?.split_once("] ")?;
    (place.len() < 80 && place.contains("controller.go:")).then_some(message)
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some(message) = message(&line.text) else { return };
    let service = between(message, "Service \"", "\"");
    let found = [
        ("does not have any active Endpoint", Sign::NoEndpoints),
        ("Error obtaining Endpoints", Sign::NoEndpoints),
        ("ackend successfully reloaded", Sign::ProxyStarted),
    ];
    let Some((words, sign)) = found.iter().find(|(it, _)| message.contains(it)) else { return };
    let at = message.find(words).unwrap_or_default();
    let span = span_of(&line.text, &message[at..at + words.len()]);
    let at = clock::syslog(&month_named(&line.text), line.year).map(|(it, _)| it);
    sink.event(
        Event::new(Product::IngressNginx, *sign, Trust::C, span)
            .at(at.filter(|_| line.at.is_none()))
            .upstream(service)
            .who(service.filter(|_| *sign == Sign::NoEndpoints)),
    );
}

/// `1009 07:01:57.954692` as `Oct  9 …`: klog writes the month as a number.
fn month_named(text: &str) -> String {
    const NAMES: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = text.get(1..3).and_then(|it| it.parse::<usize>().ok()).unwrap_or_default();
    let name = month.checked_sub(1).and_then(|it| NAMES.get(it)).copied().unwrap_or_default();
    format!("{name} {} {}", text.get(3..5).unwrap_or_default(), text.get(6..).unwrap_or_default())
}
