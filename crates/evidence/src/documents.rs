//! Texts that are read whole, because what they say is spread over many lines: JSON that commands
//! print of containers and of a cluster.

use crate::event::Event;
use crate::product::Product;

mod docker;
mod kubernetes;

/// Takes each event with the byte of the text at which its words begin. The event's span is that of
/// its words in the text.
pub type Tell<'t> = dyn FnMut(Event<'_>, usize) + 't;

/// A kind of text that is read whole.
pub struct Document {
    /// As `goodgate formats` names it: `docker inspect`.
    pub name: &'static str,
    pub product: Product,
    pub fits: fn(&str) -> bool,
    pub read: fn(&str, &mut Tell<'_>),
    pub source: &'static str,
    /// A piece of it. A test reads it.
    pub example: &'static str,
}

/// Every kind of text that is read whole. The first that fits takes it.
pub static DOCUMENTS: &[Document] = &[docker::INSPECT, kubernetes::OBJECTS];

/// The largest text that is read whole, in bytes.
pub const MAX_DOCUMENT: usize = 64 * 1024 * 1024;

/// Looks for the words of a document's events in its text, ever further on: values come in the order
/// in which they are written.
struct Places<'t> {
    text: &'t str,
    from: usize,
}

impl<'t> Places<'t> {
    fn new(text: &'t str) -> Places<'t> {
        Places { text, from: 0 }
    }

    /// Goes on to where this piece stands.
    fn skip_to(&mut self, piece: &str) {
        if let Some(at) = self.find(piece) {
            self.from = at;
        }
    }

    /// Where `"key": value` stands next, however it is spaced.
    fn member(&self, key: &str, value: &str) -> Option<std::ops::Range<usize>> {
        const TRIES: usize = 64;
        let quoted = format!("\"{key}\"");
        let mut from = self.from;
        for _ in 0..TRIES {
            let start =
                from + memchr::memmem::find(self.text.as_bytes().get(from..)?, quoted.as_bytes())?;
            from = start + quoted.len();
            let rest = &self.text[from..];
            let after = rest.trim_start().strip_prefix(':')?.trim_start();
            if after.starts_with(value) {
                let end = self.text.len() - after.len() + value.len();
                return Some(start..end);
            }
        }
        None
    }

    fn find(&self, piece: &str) -> Option<usize> {
        let rest = self.text.as_bytes().get(self.from..)?;
        memchr::memmem::find(rest, piece.as_bytes()).map(|at| self.from + at)
    }
}

#[cfg(test)]
mod tests {
    use super::DOCUMENTS;

    #[test]
    fn every_document_is_recognised_and_its_words_stand_where_it_says() {
        for document in DOCUMENTS {
            let first = DOCUMENTS.iter().find(|it| (it.fits)(document.example));
            assert_eq!(first.map(|it| it.name), Some(document.name));
            let mut events = 0;
            (document.read)(document.example, &mut |event, offset| {
                events += 1;
                assert_eq!(event.span.start, offset);
                assert!(document.example.get(event.span).is_some());
            });
            assert!(events > 0, "{}: nothing is read", document.name);
        }
    }

    #[test]
    fn a_text_that_ends_early_is_no_document() {
        for document in DOCUMENTS {
            let cut = &document.example[..document.example.len() - 1];
            (document.read)(cut, &mut |_, _| panic!("{}: an event of a cut text", document.name));
        }
    }
}
