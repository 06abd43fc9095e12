//! HAR 1.2: what a browser saw, request by request. It is a caller's testimony.

use super::{Document, Found, Tell, decoded, walk};
use crate::clock;
use crate::event::Event;
use crate::product::Product;
use crate::reader::span_of;
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const HAR: Document = Document {
    name: "HAR file",
    product: Product::Har,
    fits: |_, text| {
        let head = text.trim_start();
        let head = crate::scan::clip(head, 4096);
        head.starts_with('{')
            && head.contains("\"log\"")
            && (head.contains("\"entries\"") || head.contains("\"creator\""))
    },
    read,
    source: "http://www.softwareishard.com/blog/har-12-spec/",
    example: "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"x\"},\"entries\":[{\"startedDateTime\":\
              \"2026-11-20T15:16:30.123Z\",\"time\":12.5,\"request\":{\"method\":\"GET\",\"url\":\
              \"https://example.com/data\"},\"response\":{\"status\":502,\"headers\":[{\"name\":\
              \"server\",\"value\":\"nginx\"}]}}]}}",
};

/// One request while its values come by.
#[derive(Default)]
struct Entry<'t> {
    started: Option<&'t str>,
    url: Option<&'t str>,
    status: Option<&'t str>,
    error: Option<&'t str>,
    header: Option<&'t str>,
    server: Option<&'t str>,
}

fn read(text: &str, found: &mut Tell<'_>) {
    let mut entry = Entry::default();
    let mut number = 0;
    // Entries are the objects at the third level: the document, its log, the list.
    walk(text, 4, &mut |value, raw| {
        if value.path.get(2) != Some(&"entries") {
            return;
        }
        if value.closed != number {
            number = value.closed;
            std::mem::take(&mut entry).tell(text, found);
        }
        let part = value.path.get(4).copied();
        match (part, value.path.get(5).copied(), value.key) {
            (None, _, "startedDateTime") => entry.started = Some(raw),
            (None, _, "_error") => entry.error = Some(raw),
            (Some("request"), None, "url") => entry.url = Some(raw),
            (Some("response"), None, "status") => entry.status = Some(raw),
            (Some("response"), None, "_error") => entry.error = Some(raw),
            (Some("response"), Some("headers"), "name") => entry.header = Some(raw),
            (Some("response"), Some("headers"), "value")
                if entry.header.is_some_and(|it| it.eq_ignore_ascii_case("server")) =>
            {
                entry.server = Some(raw);
            }
            _ => {}
        }
    });
    entry.tell(text, found);
}

impl Entry<'_> {
    fn tell(self, text: &str, found: &mut Tell<'_>) {
        let status = self.status.and_then(|it| it.parse::<i64>().ok());
        let (sign, words) = match (status, self.status, self.error) {
            (Some(500..=599), Some(words), _) => (Sign::CallerSawError, words),
            (Some(0), _, Some(error)) => (error_sign(error), error),
            _ => return,
        };
        let at = self.started.and_then(clock::any);
        let route = self.url.map(decoded);
        let route = route.as_deref().and_then(|it| {
            let rest = &it[it.find("://")? + 3..];
            rest.find('/').map(|at| &rest[at..])
        });
        let server = self.server.map(decoded);
        let event = Event::new(Product::Har, sign, Trust::D, span_of(text, words))
            .at(at)
            .who(server)
            .route(route)
            .number(status.filter(|it| *it != 0));
        found(Found::Event(event));
    }
}

/// Of a request without an answer.
fn error_sign(error: &str) -> Sign {
    match () {
        () if error.contains("TIMED_OUT") => Sign::CallerTimedOut,
        () if error.contains("PROXY") || error.contains("TUNNEL") => Sign::ClientProxyFailed,
        () => Sign::CallerFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failed_request_is_told_with_its_server() {
        let text = "{\"log\": {\"entries\": [\n\
            {\"startedDateTime\": \"2026-11-20T15:16:30Z\", \"request\": {\"url\": \"https://a/x\", \
             \"headers\": [{\"name\": \"server\", \"value\": \"forged\"}]}, \"response\": {\"status\": 200}},\n\
            {\"request\": {\"url\": \"https://a/y\", \"postData\": {\"status\": 503}}, \"response\": \
             {\"headers\": [{\"name\": \"Server\", \"value\": \"envoy\"}], \"status\": 504}}]}}";
        assert!((HAR.fits)("", text));
        let mut told = Vec::new();
        read(text, &mut |found| {
            if let Found::Event(it) = found {
                let who = it.who.as_deref().unwrap_or("").to_owned();
                told.push((
                    it.sign,
                    it.number,
                    who,
                    text[it.span].to_owned(),
                    it.route.map(|it| it.into_owned()),
                ));
            }
        });
        let want = (
            Sign::CallerSawError,
            Some(504),
            "envoy".to_owned(),
            "504".to_owned(),
            Some("/y".to_owned()),
        );
        assert_eq!(told, [want]);
    }
}
