//! The readers: one file a product. Adding one is its file, a `mod` line and its entries.

use crate::reader::Reader;

mod apache;
mod haproxy;
mod nginx;
mod plain;
mod squid;
mod varnish;

pub use nginx::LogFormat;

/// Every format that is read line by line. The first that fits a line reads it, so the stricter one
/// stands before the laxer.
pub static READERS: &[Reader] = &[
    nginx::ERROR,
    nginx::CONTROLLER,
    nginx::JSON,
    apache::JK,
    apache::ERROR,
    haproxy::REQUESTS,
    haproxy::EVENTS,
    varnish::LOG,
    squid::ACCESS,
    squid::EVENTS,
    apache::ACCESS,
    nginx::ACCESS,
    nginx::FRAGMENT,
    // What no other takes is still searched.
    plain::TEXT,
];

#[cfg(test)]
mod tests {
    use super::READERS;
    use crate::line::Line;
    use crate::testing::read;
    use std::collections::BTreeSet;

    #[test]
    fn every_reader_reads_its_own_example_and_no_earlier_one_takes_it() {
        for reader in READERS {
            let line = Line::bare(reader.example);
            let first = READERS.iter().find(|it| (it.fits)(&line)).map(|it| it.name);
            assert_eq!(first, Some(reader.name), "{}", reader.example);
            let hooked = reader.hooks.iter().any(|it| reader.example.contains(it));
            assert!(hooked || reader.hooks.is_empty(), "{}: no hook in its example", reader.name);
            assert!(!read(reader.example).is_empty(), "{}: nothing is read", reader.name);
        }
    }

    #[test]
    fn no_line_however_cut_or_spoilt_makes_a_reader_stumble() {
        struct Spans(usize);
        impl crate::event::Sink for Spans {
            fn event(&mut self, event: crate::event::Event<'_>) {
                assert!(event.span.start <= event.span.end && event.span.end <= self.0);
            }
            fn served(&mut self, _: crate::event::Served) {}
        }
        let try_all = |text: &str| {
            let line = Line::bare(text);
            for reader in READERS.iter().filter(|it| (it.fits)(&line)) {
                (reader.read)(&line, &mut Spans(text.len()));
            }
        };
        for reader in READERS {
            let text = reader.example;
            for cut in (0..=text.len()).filter(|it| text.is_char_boundary(*it)) {
                let (before, after) = text.split_at(cut);
                try_all(before);
                try_all(after);
                for odd in ["é", "\"", "(", "9", ": ", "[", " "] {
                    try_all(&format!("{before}{odd}{after}"));
                }
            }
        }
    }

    #[test]
    fn every_reader_names_where_its_format_is_from() {
        let names: BTreeSet<&str> = READERS.iter().map(|it| it.name).collect();
        assert_eq!(names.len(), READERS.len(), "a name occurs twice");
        assert!(READERS.iter().all(|it| !it.source.is_empty()));
    }
}
