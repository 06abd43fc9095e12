//! All that was read, from all sources: what the engine is given.

use crate::ledger::Ledger;
use crate::product::{Product, Stack};
use crate::readers::{LogFormat, log_formats};
use crate::setting::Setting;
use crate::source::{Origin, Shape};
use std::borrow::Cow;

/// One input and what was read of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub name: String,
    pub origin: Origin,
    pub bytes: Option<u64>,
    pub lines: Option<u64>,
    /// Microseconds, of its own clock.
    pub first: Option<i64>,
    pub last: Option<i64>,
    /// The share of lines that a reader took for its own.
    pub understood: Option<f64>,
    /// Products whose lines or settings stand in it.
    pub products: Vec<Product>,
    /// The name of what it was recognised as, for people.
    pub format: Option<&'static str>,
    /// The part that was not read, such as what is older than the last 24 hours.
    pub skipped: Option<String>,
    /// The year that times without one were taken for, where none was written anywhere.
    pub assumed_year: Option<i32>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Testimony {
    pub sources: Vec<Source>,
    pub ledger: Ledger,
    /// With the index of the source.
    pub settings: Vec<(u32, Setting)>,
}

impl Testimony {
    /// Reads whole texts that are at hand; the way of tests, pastes and small files.
    #[must_use]
    pub fn of(inputs: &[(&str, &str)], arrival: crate::source::Arrival, year: i32) -> Testimony {
        let mut testimony = Testimony::default();
        let formats: Vec<LogFormat> = inputs.iter().flat_map(|(_, it)| log_formats(it)).collect();
        for (name, text) in inputs {
            let shape = Shape::of(name, text.as_bytes(), arrival, year);
            let shape = shape.with_formats(&formats, text.as_bytes());
            let source = testimony.sources.len() as u32;
            let part = crate::scan::Part::whole(text.as_bytes());
            let window = crate::scan::Window::default();
            let mut ledger = crate::scan::scan(&shape, source, part, window);
            ledger.read_document(&shape, source, text, window);
            testimony.add(name, &shape, Origin::Elsewhere, ledger);
            testimony.configure(source, &shape, name, text);
        }
        testimony
    }

    /// Adds a source that was scanned whole.
    pub fn add(&mut self, name: &str, shape: &Shape, origin: Origin, ledger: Ledger) {
        let mut products: Vec<Product> = ledger.groups.keys().map(|it| it.product).collect();
        products.extend(shape.readers.iter().map(|it| it.product));
        products.extend(shape.config.map(|it| it.product));
        products.extend(shape.document.map(|it| it.product));
        if let Some(writer) = shape.only_writer() {
            products.retain(|it| *it != Product::AccessLog);
            products.push(writer);
        }
        // Whose the access lines are has been told for each.
        if !ledger.groups.is_empty()
            && ledger.groups.keys().all(|it| it.product != Product::AccessLog)
        {
            products.retain(|it| *it != Product::AccessLog);
        }
        products.sort_unstable();
        products.dedup();
        let format = shape.config.map(|it| it.name).or_else(|| shape.document.map(|it| it.name));
        let share = |it: u64| it as f64 / ledger.looked_at.max(1) as f64;
        self.sources.push(Source {
            name: name.to_owned(),
            origin,
            bytes: Some(ledger.bytes),
            lines: Some(ledger.lines),
            first: ledger.first,
            last: ledger.last,
            understood: (ledger.looked_at > 0).then(|| share(ledger.understood)),
            products,
            format: format.or_else(|| shape.readers.first().map(|it| it.name)),
            skipped: None,
            assumed_year: shape.year_assumed.then_some(shape.year),
        });
        self.ledger.absorb(ledger, Some(0));
    }

    /// Adds the settings of a configuration.
    pub fn configure(&mut self, source: u32, shape: &Shape, name: &str, text: &str) {
        let Some(config) = shape.config else { return };
        self.settings.extend((config.read)(name, text).into_iter().map(|it| (source, it)));
    }

    /// The same, where access lines that many write alike are those of the only proxy among the inputs
    /// that writes such.
    #[must_use]
    pub fn settled(&self) -> Cow<'_, Testimony> {
        // Where servers of apps write to the same file, it may be theirs.
        let neutral = |it: &Source| {
            let server = |it: &Product| it.stack().runs_apps() && it.stack() != Stack::Unknown;
            it.products.contains(&Product::AccessLog) && !it.products.iter().any(server)
        };
        let open: Vec<u32> =
            (0..).zip(&self.sources).filter(|(_, it)| neutral(it)).map(|(at, _)| at).collect();
        if open.is_empty() {
            return Cow::Borrowed(self);
        }
        let read = self.sources.iter().flat_map(|it| it.products.iter().copied());
        let set = self.settings.iter().map(|(_, it)| it.product);
        let mut writers: Vec<Product> = read
            .chain(set)
            .filter(|it| matches!(it.stack(), Stack::Nginx | Stack::Apache | Stack::Varnish))
            .collect();
        writers.sort_unstable();
        let (Some(first), Some(last)) = (writers.first(), writers.last()) else {
            return Cow::Borrowed(self);
        };
        if first.stack() != last.stack() {
            return Cow::Borrowed(self);
        }
        let mut settled = self.clone();
        settled.ledger.rename(&open, Product::AccessLog, *first);
        for (at, source) in (0..).zip(&mut settled.sources) {
            if open.contains(&at) {
                source.products.retain(|it| *it != Product::AccessLog);
                source.products.push(*first);
                source.products.sort_unstable();
                source.products.dedup();
            }
        }
        Cow::Owned(settled)
    }
}
