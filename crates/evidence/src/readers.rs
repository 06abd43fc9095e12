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
    fn every_reader_names_where_its_format_is_from() {
        let names: BTreeSet<&str> = READERS.iter().map(|it| it.name).collect();
        assert_eq!(names.len(), READERS.len(), "a name occurs twice");
        assert!(READERS.iter().all(|it| !it.source.is_empty()));
    }
}
