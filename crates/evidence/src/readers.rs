//! The readers: one file a product. Adding one is its file, a `mod` line and its entries.

use crate::reader::Reader;
use crate::sign::Sign;

mod daphne;
mod database;
mod django;
mod dotnet;
mod flask;
mod gunicorn;
mod hypercorn;
mod java;
mod nginx;
mod node;
mod php;
mod plain;
mod python;
mod raised;
mod ruby;
mod rust;
mod uvicorn;
mod uwsgi;
mod waitress;

/// Every format that is read line by line. The first that fits a line reads it, so the stricter one
/// stands before the laxer.
pub static READERS: &[Reader] = &[
    // App servers and runtimes. Those that share a format with another come before it.
    hypercorn::ERROR,
    gunicorn::ERROR,
    uvicorn::ACCESS,
    uvicorn::LOG,
    uwsgi::REQUEST,
    uwsgi::EVENT,
    daphne::ACCESS,
    daphne::LOG,
    waitress::LOG,
    flask::ACCESS,
    flask::LOG,
    django::LOG,
    php::FPM,
    php::ERROR,
    node::LOG,
    node::ERROR,
    java::LOG,
    java::TRACE,
    ruby::LOG,
    ruby::ERROR,
    dotnet::LOG,
    dotnet::ERROR,
    rust::PANIC,
    database::POSTGRES,
    database::MYSQL,
    database::REDIS,
    database::MONGO,
    database::RABBIT,
    database::KAFKA,
    python::TRACEBACK,
    python::EXCEPTION,
    nginx::ERROR,
    nginx::ACCESS,
    nginx::FRAGMENT,
    // What no other takes is still searched.
    plain::TEXT,
];

/// What the status of an access line says, if it is a failure.
pub(crate) fn answered(status: u16) -> Option<Sign> {
    match status {
        500 => Some(Sign::Answered500),
        502 => Some(Sign::Answered502),
        503 => Some(Sign::Answered503),
        504 => Some(Sign::Answered504),
        _ => None,
    }
}

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
    fn no_line_cut_or_stuffed_anywhere_stops_a_reader() {
        for reader in READERS {
            let text = reader.example;
            for at in (0..=text.len()).step_by(3).filter(|it| text.is_char_boundary(*it)) {
                let (head, tail) = text.split_at(at);
                let stuffed = format!("{head}\u{20ac}[\"({{{tail}");
                for text in [head, tail, &stuffed, &format!("{text}\n{tail}\n{head}")] {
                    read(text);
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
