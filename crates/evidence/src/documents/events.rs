//! Answers of log services as JSON over many lines: they carry lines of logs, which the readers of
//! lines then read.

use super::{Document, Found, Tell, decoded, walk};
use crate::clock;
use crate::product::Product;
use crate::reader::span_of;

pub(super) const CLOUDWATCH: Document = Document {
    name: "CloudWatch Logs events",
    product: Product::AwsLambda,
    fits: |_, text| {
        let head = crate::scan::clip(text.trim_start(), 8192);
        head.starts_with(['{', '['])
            && head.contains("\"ingestionTime\"")
            && head.contains("\"message\"")
    },
    read: |text, found| {
        read(text, "message", "timestamp", "logStreamName", found);
    },
    source: "https://docs.aws.amazon.com/cli/latest/reference/logs/filter-log-events.html",
    example: "{\n  \"events\": [\n    {\n      \"logStreamName\": \"web/app/0a1b\",\n      \"timestamp\": \
              1795187790123,\n      \"message\": \"boom\",\n      \"ingestionTime\": 1795187790124\n    \
              }\n  ]\n}",
};

pub(super) const GOOGLE: Document = Document {
    name: "Google Cloud log entries",
    product: Product::GcpRun,
    fits: |_, text| {
        let head = crate::scan::clip(text.trim_start(), 16384);
        head.starts_with('[') && head.contains("\"insertId\"") && head.contains("\"logName\"")
    },
    read: |text, found| {
        read(text, "textPayload", "timestamp", "service_name", found);
    },
    source: "https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry",
    example: "[\n  {\n    \"insertId\": \"a\",\n    \"logName\": \"projects/p/logs/run\",\n    \
              \"textPayload\": \"boom\",\n    \"timestamp\": \"2026-11-20T15:16:30.123Z\"\n  }\n]",
};

#[derive(Default)]
struct Entry<'t> {
    message: Option<&'t str>,
    time: Option<&'t str>,
    service: Option<&'t str>,
}

/// Entries are objects of one list: the document itself, or a list in it.
fn read(text: &str, message: &str, time: &str, service: &str, found: &mut Tell<'_>) {
    let level = if text.trim_start().starts_with('[') { 2 } else { 3 };
    let mut entry = Entry::default();
    let mut number = 0;
    walk(text, level, &mut |value, raw| {
        if value.closed != number {
            number = value.closed;
            std::mem::take(&mut entry).tell(text, found);
        }
        let here = value.path.len() == level;
        match value.key {
            key if here && key == message => entry.message = Some(raw),
            key if here && key == time => entry.time = Some(raw),
            key if key == service => entry.service = Some(raw),
            _ => {}
        }
    });
    entry.tell(text, found);
}

impl Entry<'_> {
    fn tell(self, text: &str, found: &mut Tell<'_>) {
        let Some(message) = self.message else { return };
        let offset = span_of(text, message).start;
        let at = self.time.and_then(clock::any);
        let service = self.service.map(decoded);
        for line in decoded(message).lines() {
            let text = line.to_owned();
            found(Found::Line { text, at, service: service.clone(), offset });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_gives_its_lines() {
        let mut lines = Vec::new();
        let two = CLOUDWATCH.example.replace("boom", "a \\\"b\\\"\\nc");
        (CLOUDWATCH.read)(&two, &mut |found| {
            if let Found::Line { text, at, service, .. } = found {
                lines.push((text, at.is_some(), service));
            }
        });
        let service = Some("web/app/0a1b".to_owned());
        let want = [("a \"b\"".to_owned(), true, service.clone()), ("c".to_owned(), true, service)];
        assert_eq!(lines, want);
    }
}
