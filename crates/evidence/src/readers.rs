//! The readers: one file a product. Adding one is its file, a `mod` line and its entries.

use crate::reader::Reader;

mod audit;
mod docker;
mod exit;
mod kernel;
mod kubernetes;
mod nginx;
mod plain;
mod shell;
mod supervisord;
mod systemd;
mod table;

pub(crate) use exit::exited;
pub(crate) use kubernetes::{event_says, probe_reason, state_says};

/// Every format that is read line by line. The first that fits a line reads it, so the stricter one
/// stands before the laxer.
pub static READERS: &[Reader] = &[
    nginx::ERROR,
    nginx::ACCESS,
    nginx::FRAGMENT,
    // Platforms.
    kernel::LOG,
    audit::LOG,
    audit::SEALERT,
    systemd::LOG,
    systemd::STATUS,
    systemd::SYSV,
    supervisord::LOG,
    docker::EVENTS,
    docker::EVENTS_JSON,
    docker::TABLE,
    docker::COMPOSE,
    docker::DAEMON,
    kubernetes::KLOG,
    kubernetes::EVENTS,
    kubernetes::TABLE,
    kubernetes::DESCRIBE,
    kubernetes::MESH,
    shell::FILES,
    shell::SOCKETS,
    shell::DISKS,
    shell::NAMES,
    shell::TLS,
    shell::CALLS,
    // What no other takes is still searched.
    plain::TEXT,
];

#[cfg(test)]
mod tests {
    use super::READERS;
    use crate::event::{Event, Served, Sink};
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
    fn a_line_that_is_cut_or_broken_anywhere_is_read_without_a_panic() {
        for reader in READERS {
            let whole = reader.example;
            for at in (0..=whole.len()).filter(|at| whole.is_char_boundary(*at)) {
                let (head, tail) = whole.split_at(at);
                let broken = [head.to_owned(), tail.to_owned(), format!("{head}é{tail}")];
                for text in broken.iter().chain([&format!("{head}\n{tail}")]) {
                    let line = Line::bare(text);
                    for reader in READERS.iter().filter(|it| (it.fits)(&line)) {
                        (reader.read)(&line, &mut Nothing);
                    }
                }
            }
        }
    }

    struct Nothing;

    impl Sink for Nothing {
        fn event(&mut self, event: Event<'_>) {
            assert!(event.span.start <= event.span.end);
        }

        fn served(&mut self, _: Served) {}
    }

    #[test]
    fn every_reader_names_where_its_format_is_from() {
        let names: BTreeSet<&str> = READERS.iter().map(|it| it.name).collect();
        assert_eq!(names.len(), READERS.len(), "a name occurs twice");
        assert!(READERS.iter().all(|it| !it.source.is_empty()));
    }
}
