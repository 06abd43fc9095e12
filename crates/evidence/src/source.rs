//! What a source is made of, found out from a sample of it.

use crate::configs::CONFIGS;
use crate::documents::{DOCUMENTS, Document};
use crate::layers::Layers;
use crate::line::{Line, lines};
use crate::product::{Product, Stack};
use crate::reader::Reader;
use crate::readers::{LogFormat, READERS};
use crate::setting::Config;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whose machine a source is from; the words of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    ThisHost,
    NamedTarget,
    Elsewhere,
}

/// How a source came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A file of its own.
    File,
    /// Pasted or piped: anything may stand in it.
    Stream,
}

/// What a source is made of.
#[derive(Clone)]
pub struct Shape {
    pub layers: Layers,
    /// Lines of several processes may stand in it, and each counts.
    pub multiplexed: bool,
    /// The family of processes that writes it, where that could be told.
    pub stack: Option<Stack>,
    /// Readers whose lines stand in the sample, most frequent first.
    pub readers: Vec<&'static Reader>,
    /// Formats of access lines that a configuration beside it defines, as far as its lines fit.
    pub formats: Arc<[LogFormat]>,
    /// The year that times without one are taken for.
    pub year: i32,
    /// No date with a year was seen: the year is that of the reader's clock.
    pub year_assumed: bool,
    pub config: Option<&'static Config>,
    /// Read whole, not by lines.
    pub document: Option<&'static Document>,
    /// Not text at all.
    pub binary: bool,
    /// The time that a layer gives is by our own clock, and goes before what a line says itself.
    pub by_our_clock: bool,
    /// Who writes access lines that many write alike: by service, and in the file.
    writers: Vec<(Option<String>, Product)>,
}

/// The year of a full date at the start of a line, or behind `since` as systemd writes it.
fn year_in(text: &str) -> Option<i32> {
    let since = || {
        let (_, rest) = text.split_once(" since ")?;
        crate::clock::iso(rest.split_once(' ')?.1).map(|(it, _)| it)
    };
    let at = crate::scan::leading_time(text).or_else(since)?;
    crate::clock::rfc3339(at.micros).get(..4)?.parse().ok()
}

/// Lines of a sample that are looked at.
const SAMPLE_LINES: usize = 400;

/// How much of a source is looked at to find out what it is.
pub const SAMPLE: usize = 256 * 1024;

impl Shape {
    /// From the first bytes of a source. The year is for times that are written without one.
    #[must_use]
    pub fn of(name: &str, sample: &[u8], arrival: Arrival, year: i32) -> Shape {
        let sample = &sample[..sample.len().min(SAMPLE)];
        let layers = match arrival {
            Arrival::File => Layers::of(sample, year),
            Arrival::Stream => Layers::of_paste(sample, year),
        };
        let mut shape = Shape {
            layers,
            multiplexed: arrival == Arrival::Stream || layers.multiplex(),
            stack: None,
            readers: Vec::new(),
            formats: Arc::default(),
            year,
            year_assumed: true,
            config: None,
            document: None,
            binary: is_binary(sample),
            by_our_clock: false,
            writers: Vec::new(),
        };
        if shape.binary {
            return shape;
        }
        // Many objects, one a line, are a log; one object over many lines is a document.
        let head = String::from_utf8_lossy(sample);
        shape.document =
            DOCUMENTS.iter().find(|it| (it.fits)(name, &head)).filter(|_| !is_lines(&head));
        let mut seen: Vec<(&'static Reader, usize)> = Vec::new();
        let (mut all, mut fitting) = (0, 0);
        let mut dated = None;
        let mut wrote: BTreeMap<(Option<String>, Product), usize> = BTreeMap::new();
        for raw in lines(sample).filter(|it| !it.trim_ascii().is_empty()).take(SAMPLE_LINES) {
            all += 1;
            // What an error is may stand in the lines around it.
            let start = (raw.as_ptr() as usize).wrapping_sub(sample.as_ptr() as usize);
            let after = sample.get(start + raw.len()..).unwrap_or_default();
            let after = after.strip_prefix(b"\r").unwrap_or(after);
            let after = after.strip_prefix(b"\n").unwrap_or(after);
            let before = sample.get(..start).unwrap_or_default();
            let line = layers.unwrap(raw, after, year).after(before);
            dated = dated.max(year_in(&line.text));
            let Some(reader) = READERS.iter().find(|it| (it.fits)(&line)) else { continue };
            // Plain text is no format of a log: it takes every line.
            fitting += usize::from(reader.product != Product::Unknown);
            *wrote.entry((writer_name(&line), reader.product)).or_default() += 1;
            match seen.iter_mut().find(|(it, _)| it.name == reader.name) {
                Some((_, count)) => *count += 1,
                None => seen.push((reader, 1)),
            }
        }
        seen.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        // What has no line of any log, or only a few by chance, may be a configuration.
        if fitting * 2 < all || all == 0 {
            let text = String::from_utf8_lossy(sample);
            shape.config = CONFIGS.iter().find(|it| (it.fits)(name, &text));
        }
        shape.year = dated.unwrap_or(year);
        shape.year_assumed = dated.is_none();
        shape.stack = majority(&seen);
        shape.writers = writers(&wrote);
        if let Some(product) = Product::in_path(name).filter(|_| !shape.multiplexed) {
            shape.writers.insert(0, (None, product));
        }
        shape.readers = seen.into_iter().map(|(it, _)| it).collect();
        shape
    }

    /// Adds formats of access lines, where at least a third of the sample's lines fit one.
    #[must_use]
    pub fn with_formats(mut self, formats: &[LogFormat], sample: &[u8]) -> Shape {
        let sample = &sample[..sample.len().min(SAMPLE)];
        let raw: Vec<&[u8]> = lines(sample).take(SAMPLE_LINES).collect();
        let fits = |format: &&LogFormat| {
            let fitting =
                raw.iter().filter(|raw| format.fits(&self.layers.unwrap(raw, b"", self.year)));
            !raw.is_empty() && fitting.count() * 3 >= raw.len()
        };
        self.formats = formats.iter().filter(fits).cloned().collect();
        if !self.formats.is_empty() && self.stack.is_none() {
            self.stack = Some(Stack::Nginx);
        }
        self
    }

    /// Who wrote an access line that many write alike.
    #[must_use]
    pub(crate) fn writer(&self, line: &Line<'_>) -> Product {
        let name = writer_name(line);
        let by_name = name.as_deref().and_then(Product::in_name);
        let of = |name: &Option<String>| {
            self.writers.iter().find(|(it, _)| it == name).map(|(_, it)| *it)
        };
        let found = by_name.or_else(|| of(&name));
        found.or_else(|| of(&None).filter(|_| !self.multiplexed)).unwrap_or(Product::AccessLog)
    }

    /// Who writes the access lines of the file, if all are of one.
    #[must_use]
    pub(crate) fn only_writer(&self) -> Option<Product> {
        self.writers.first().map(|(_, it)| *it).filter(|_| !self.multiplexed)
    }

    /// Whether a line of this family counts as evidence here, or is unexpected.
    #[must_use]
    pub fn admits(&self, stack: Stack) -> bool {
        if self.multiplexed || self.stack == Some(stack) || stack == Stack::Unknown {
            return true;
        }
        match self.stack {
            // Proxies escape what callers send: nobody writes a line of his own into their logs, so
            // another family's line comes from a neighbour in the same container.
            Some(owner) => !owner.runs_apps() && !matches!(owner, Stack::Database | Stack::Cache),
            None => true,
        }
    }
}

/// The service, or in syslog the process, that a line is of.
fn writer_name(line: &Line<'_>) -> Option<String> {
    line.service.as_deref().or(line.ident.as_deref()).map(str::to_owned)
}

/// For each name the product whose other lines stand under it: the proxy, or the server where there is
/// none. Where there are both, nobody is named.
fn writers(wrote: &BTreeMap<(Option<String>, Product), usize>) -> Vec<(Option<String>, Product)> {
    let proxies = [Stack::Nginx, Stack::Apache, Stack::Varnish, Stack::Squid];
    let servers = [
        Product::Gunicorn,
        Product::Hypercorn,
        Product::Waitress,
        Product::Puma,
        Product::Passenger,
        Product::Tomcat,
        Product::Spring,
        Product::Java,
        Product::Node,
        Product::Go,
    ];
    let mut writers: Vec<(Option<String>, Product)> = Vec::new();
    for (name, _) in wrote.keys() {
        if writers.last().is_some_and(|(it, _)| it == name) {
            continue;
        }
        let of_name = || wrote.iter().filter(|((it, _), _)| it == name);
        let most = |wanted: &dyn Fn(Product) -> bool| {
            let found = of_name().filter(|((_, it), _)| wanted(*it));
            found.max_by_key(|(_, count)| **count).map(|((_, it), _)| *it)
        };
        let proxy = most(&|it| proxies.contains(&it.stack()));
        let server = most(&|it| servers.contains(&it));
        match (proxy, server) {
            (Some(it), None) | (None, Some(it)) => writers.push((name.clone(), it)),
            _ => {}
        }
    }
    writers
}

/// The family with the most lines; where two have as many, the one that runs apps, because into
/// its log callers can write.
fn majority(seen: &[(&'static Reader, usize)]) -> Option<Stack> {
    let mut counts: Vec<(Stack, usize)> = Vec::new();
    for (reader, count) in seen {
        let stack = reader.product.stack();
        match counts.iter_mut().find(|(it, _)| *it == stack) {
            Some((_, sum)) => *sum += count,
            None => counts.push((stack, *count)),
        }
    }
    counts.retain(|(it, _)| *it != Stack::Unknown);
    // Access lines that many write alike say nothing where anybody else is there.
    if counts.iter().any(|(it, _)| *it != Stack::Proxy) {
        counts.retain(|(it, _)| *it != Stack::Proxy);
    }
    counts.into_iter().max_by_key(|(it, count)| (*count, it.runs_apps())).map(|(it, _)| it)
}

/// More than one line that is an object by itself.
fn is_lines(text: &str) -> bool {
    let whole = |it: &&str| it.starts_with('{') && it.trim_end().ends_with('}');
    text.lines().filter(whole).take(2).count() > 1
}

/// Bytes that no log holds: zeros, or more than a few control characters.
fn is_binary(sample: &[u8]) -> bool {
    let control = |it: &&u8| matches!(it, 0..=8 | 14..=26 | 28..=31);
    let zeros = memchr::memchr_iter(0, sample).count();
    zeros * 50 > sample.len() || sample.iter().filter(control).count() * 20 > sample.len()
}
