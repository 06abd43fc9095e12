//! From inputs to testimony: opens, unpacks and reads each source.

use super::inputs::{Input, MAX_FILES, Refusal, Refused, Set};
use super::progress::{Progress, size};
use super::scanning::{Scanned, Work, fill};
use super::seeking::{self, Bounds, Seeker};
use super::tar::Tar;
use super::times::Moment;
use super::unpacking::{Bounded, Content, DEPTH, HEAD, Packing, Stream, peek, unpacked};
use evidence::clock::{DAY, rfc3339};
use evidence::seek::{Clock, ReadAt, TAIL};
use evidence::{
    Arrival, Ledger, MAX_DOCUMENT, Origin, Part, SAMPLE, Shape, Testimony, Window, scan_holding,
};
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What bounds the reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes that a thread reads at once.
    pub(crate) block: usize,
    pub(crate) threads: usize,
    /// Plain files of more bytes than this are read from the last 24 hours on, unless `--since`
    /// says otherwise.
    pub(crate) whole: u64,
    /// In plain files of more bytes than this, `--since` and `--until` are sought, not read to.
    pub(crate) sought: u64,
    /// The most bytes that a compressed file, an archive or a stream is read for.
    pub(crate) unpacked: u64,
    /// The most bytes of a configuration file.
    pub(crate) configuration: u64,
}

impl Limits {
    pub(crate) fn of_this_machine() -> Limits {
        Limits {
            block: 4 << 20,
            threads: std::thread::available_parallelism().map_or(1, usize::from).min(64),
            whole: 256 << 20,
            sought: 32 << 20,
            unpacked: 64 << 30,
            configuration: 4 << 20,
        }
    }
}

/// What of the inputs is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) since: Option<Moment>,
    pub(crate) until: Option<Moment>,
    pub(crate) holding: Option<String>,
}

/// A source that is several files: where each begins in it.
pub(crate) struct Rotated {
    pub(crate) source: String,
    /// Name, first byte, and lines before it.
    pub(crate) files: Vec<(String, u64, u64)>,
}

/// All that was read.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) testimony: Testimony,
    pub(crate) refused: Vec<Refused>,
    pub(crate) rotated: Vec<Rotated>,
}

/// Reads all inputs.
pub(crate) fn read(
    inputs: &[Input],
    wanted: &Wanted,
    limits: &Limits,
    progress: &Progress,
) -> Findings {
    let mut reader = Reader {
        limits,
        holding: wanted.holding.as_deref(),
        progress,
        bounds: Bounds::default(),
        asked: wanted.since.is_some(),
        read: Findings::default(),
        spooled: None,
    };
    let relative = [wanted.since, wanted.until].into_iter().flatten().any(Moment::is_relative);
    let newest = if relative { reader.newest(inputs) } else { None };
    reader.bounds = Bounds {
        since: wanted.since.and_then(|it| it.since(newest)),
        until: wanted.until.and_then(|it| it.until(newest)),
    };
    for input in inputs {
        reader.input(input);
    }
    reader.read
}

struct Reader<'a> {
    limits: &'a Limits,
    holding: Option<&'a str>,
    progress: &'a Progress,
    bounds: Bounds,
    /// Where to begin was said: large files are not cut by themselves.
    asked: bool,
    read: Findings,
    /// What came on standard input, where it had to be read twice.
    spooled: Option<File>,
}

/// An open file, by how it can be read.
enum Opened {
    /// At any place.
    Plain(Plain),
    /// From its start to its end, as often as one likes.
    Packed(File),
    /// Once: a pipe.
    Once(File),
}

pub(super) struct Plain {
    file: File,
    /// Bytes that mark it as UTF-8, which are no part of the text.
    mark: u64,
    /// When it was opened.
    length: u64,
}

impl ReadAt for Plain {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(into, offset)
    }
}

fn open(path: &Path) -> Result<Opened, Refusal> {
    let file = File::open(path).map_err(Refusal::Failed)?;
    let about = file.metadata().map_err(Refusal::Failed)?;
    if !about.is_file() {
        return Ok(Opened::Once(file));
    }
    opened(file, about.len())
}

fn opened(file: File, length: u64) -> Result<Opened, Refusal> {
    let mut head = vec![0; HEAD];
    let mut count = 0;
    while count < head.len() {
        match file.read_at(&mut head[count..], count as u64).map_err(Refusal::Failed)? {
            0 => break,
            more => count += more,
        }
    }
    match Packing::of(&head[..count]) {
        // Files of the kernel have a text, but no length.
        Packing::None { .. } if length == 0 && count > 0 => Ok(Opened::Once(file)),
        Packing::None { mark } => Ok(Opened::Plain(Plain { file, mark: mark as u64, length })),
        _ => Ok(Opened::Packed(file)),
    }
}

/// A source while it is read.
struct Draft {
    name: String,
    shape: Shape,
    ledger: Ledger,
    /// Lines of the files before the present one; `None` once a part was left out.
    lines: u64,
    /// Every byte was read from the start on.
    complete: bool,
    bytes: u64,
    skipped: Vec<String>,
    error: Option<io::Error>,
    named: bool,
}

impl Reader<'_> {
    fn input(&mut self, input: &Input) {
        match input {
            Input::Files(set) => self.set(set),
            Input::Pasted { name, text } => {
                let stream: Stream = Box::new(text.as_bytes());
                self.stream(name, stream, Arrival::Stream, this_year(), true, 0);
            }
            Input::Standard => match self.spooled.take() {
                Some(file) => {
                    let length = file.metadata().map_or(0, |it| it.len());
                    self.file("standard input", opened(file, length), true);
                }
                None => {
                    let stream: Stream = Box::new(io::stdin());
                    self.stream("standard input", stream, Arrival::Stream, this_year(), true, 0);
                }
            },
        }
    }

    fn refuse(&mut self, name: &str, why: Refusal) {
        self.read.refused.push(Refused { name: name.to_owned(), why });
    }

    /// Refuses what somebody named; what merely lies in a folder is passed over.
    fn unfit(&mut self, name: &str, why: Refusal, named: bool) {
        if named || matches!(why, Refusal::Failed(_)) {
            self.refuse(name, why);
        }
    }

    fn set(&mut self, set: &Set) {
        if let [file] = &set.files[..] {
            let arrival_year = year_of(file);
            match open(file) {
                Ok(Opened::Once(file)) => {
                    let stream: Stream = Box::new(file);
                    self.stream(&set.name, stream, Arrival::Stream, arrival_year, set.named, 0);
                }
                Ok(Opened::Packed(file)) => {
                    self.packed(&set.name, file, arrival_year, set.named, 0);
                }
                Ok(Opened::Plain(plain)) => {
                    self.plain(&set.name, vec![plain], Arrival::File, arrival_year, set.named);
                }
                Err(why) => self.refuse(&set.name, why),
            }
            return;
        }
        self.rotated(set);
    }

    /// A file whose name says nothing of it.
    fn file(&mut self, name: &str, opened: Result<Opened, Refusal>, named: bool) {
        match opened {
            Ok(Opened::Plain(plain)) => {
                self.plain(name, vec![plain], Arrival::Stream, this_year(), named);
            }
            Ok(Opened::Packed(file)) => self.packed(name, file, this_year(), named, 0),
            Ok(Opened::Once(file)) => {
                self.stream(name, Box::new(file), Arrival::Stream, this_year(), named, 0);
            }
            Err(why) => self.refuse(name, why),
        }
    }

    fn plain(&mut self, name: &str, files: Vec<Plain>, arrival: Arrival, year: i32, named: bool) {
        let members = files.into_iter().map(|it| (name.to_owned(), Member::Plain(it))).collect();
        self.members(name, members, arrival, year, named);
    }

    fn packed(&mut self, name: &str, mut file: File, year: i32, named: bool, depth: usize) {
        if let Err(it) = file.rewind() {
            self.refuse(name, Refusal::Failed(it));
            return;
        }
        let stream: Stream = match file.try_clone() {
            Ok(it) => Box::new(it),
            Err(it) => return self.refuse(name, Refusal::Failed(it)),
        };
        // A file of the zip format is read where it is, not copied.
        let zip = peek(stream, HEAD).is_ok_and(|(head, _)| Packing::of(&head) == Packing::Zip);
        match file.rewind() {
            Ok(()) if zip => self.zip(name, file, year, depth),
            Ok(()) => self.stream(name, Box::new(file), Arrival::File, year, named, depth),
            Err(it) => self.refuse(name, Refusal::Failed(it)),
        }
    }

    /// A stream of anything: text, compressed, an archive.
    fn stream(
        &mut self,
        name: &str,
        stream: Stream<'_>,
        arrival: Arrival,
        year: i32,
        named: bool,
        depth: usize,
    ) {
        match unpacked(stream) {
            Ok(Content::Text(text, mark)) => self.text(name, text, mark, arrival, year, named),
            Ok(Content::Tar(tar)) if depth < DEPTH => self.tar(name, tar, year, depth),
            Ok(Content::Zip(zip)) if depth < DEPTH => match spool(zip, self.limits.unpacked) {
                Ok((file, _)) => self.zip(name, file, year, depth),
                Err(it) => self.refuse(name, Refusal::Failed(it)),
            },
            Ok(_) => self.refuse(name, Refusal::TooDeep),
            Err(it) => self.refuse(name, Refusal::Failed(it)),
        }
    }

    fn text(
        &mut self,
        name: &str,
        text: Stream<'_>,
        mark: u64,
        arrival: Arrival,
        year: i32,
        named: bool,
    ) {
        let (sample, text) = match peek(text, SAMPLE) {
            Ok(it) => it,
            Err(it) => return self.refuse(name, Refusal::Failed(it)),
        };
        let Some(mut draft) = self.draft(name, &sample, arrival, year, named) else { return };
        let mut text = Bounded { source: text, left: self.limits.unpacked, cut: false };
        if let Some(limit) = self.whole_limit(&draft.shape) {
            let mut bytes = Vec::new();
            text.left = limit;
            draft.error = text.read_to_end(&mut bytes).err();
            if text.cut {
                draft.skipped.push(self.only_the_first(limit));
            }
            return self.whole(draft, &bytes);
        }
        self.scan_stream(&mut draft, &mut text, mark);
        self.add(draft);
    }

    fn only_the_first(&self, limit: u64) -> String {
        format!("only the first {} were read", size(limit))
    }

    fn scan_stream(&mut self, draft: &mut Draft, text: &mut Bounded<Stream<'_>>, mark: u64) {
        let source = self.source();
        let work = self.work(&draft.shape, source, self.window());
        let lines = draft.complete.then_some(draft.lines);
        let scanned = work.stream(text, draft.bytes + mark, lines);
        if text.cut {
            draft.skipped.push(self.only_the_first(self.limits.unpacked));
        }
        draft.take(scanned, mark);
    }

    fn window(&self) -> Window {
        Window { since: self.bounds.since, until: self.bounds.until }
    }

    fn source(&self) -> u32 {
        self.read.testimony.sources.len() as u32
    }

    fn work<'w>(&'w self, shape: &'w Shape, source: u32, window: Window) -> Work<'w> {
        Work {
            shape,
            source,
            window,
            holding: self.holding,
            block: self.limits.block,
            threads: self.limits.threads,
            progress: self.progress,
        }
    }

    /// A source that turns out to be text.
    fn draft(
        &mut self,
        name: &str,
        sample: &[u8],
        arrival: Arrival,
        year: i32,
        named: bool,
    ) -> Option<Draft> {
        if sample.is_empty() {
            self.unfit(name, Refusal::Empty, named);
            return None;
        }
        let shape = Shape::of(name, sample, arrival, year);
        if shape.binary {
            self.unfit(name, Refusal::Binary, named);
            return None;
        }
        Some(Draft {
            name: name.to_owned(),
            shape,
            ledger: Ledger::default(),
            lines: 0,
            complete: true,
            bytes: 0,
            skipped: Vec::new(),
            error: None,
            named,
        })
    }

    /// How many bytes are read at once of a source that can only be read whole.
    fn whole_limit(&self, shape: &Shape) -> Option<u64> {
        let document = shape.document.map(|_| MAX_DOCUMENT as u64);
        document.or_else(|| shape.config.map(|_| self.limits.configuration))
    }

    /// Configurations and documents are read whole, and for what their lines say as logs too.
    fn whole(&mut self, mut draft: Draft, bytes: &[u8]) {
        let source = self.source();
        let part = Part::whole(bytes);
        draft.ledger = scan_holding(&draft.shape, source, part, self.window(), self.holding);
        let text = same_length_text(bytes);
        draft.ledger.read_document(&draft.shape, source, &text, self.window());
        draft.bytes = bytes.len() as u64;
        let (shape, name) = (draft.shape.clone(), draft.name.clone());
        if self.add(draft) {
            self.read.testimony.configure(source, &shape, &name, &text);
        }
    }

    /// Adds a source to the testimony; `false` where nothing of it could be read.
    fn add(&mut self, mut draft: Draft) -> bool {
        if let Some(error) = draft.error.take() {
            if draft.bytes == 0 {
                self.refuse(&draft.name, Refusal::Failed(error));
                return false;
            }
            let why = super::words::reason(&error);
            draft.skipped.push(format!("what follows cannot be read: {why}"));
        }
        if draft.bytes == 0 && draft.skipped.is_empty() {
            self.unfit(&draft.name, Refusal::Empty, draft.named);
            return false;
        }
        let testimony = &mut self.read.testimony;
        testimony.add(&draft.name, &draft.shape, Origin::Elsewhere, draft.ledger);
        if let Some(source) = testimony.sources.last_mut() {
            source.bytes = Some(draft.bytes);
            source.lines = source.lines.filter(|_| draft.complete);
            source.skipped = (!draft.skipped.is_empty()).then(|| draft.skipped.join("; "));
        }
        true
    }

    fn tar(&mut self, name: &str, stream: Stream<'_>, year: i32, depth: usize) {
        // The bound is that of the whole archive: what is passed over in it costs time as well.
        let source = Bounded { source: stream, left: self.limits.unpacked, cut: false };
        let mut tar = Tar::new(source);
        let (mut files, before) = (0, self.read.testimony.sources.len());
        loop {
            let entry = match tar.next() {
                Ok(Some(it)) => it,
                Ok(None) => break,
                Err(it) => {
                    self.refuse(name, Refusal::Failed(it));
                    return;
                }
            };
            files += 1;
            if MAX_FILES < files {
                self.refuse(name, Refusal::TooMany);
                break;
            }
            let inner = format!("{name}:{}", entry.name);
            let year = entry.changed.map_or(year, year_at);
            self.stream(&inner, Box::new(&mut tar), Arrival::File, year, false, depth + 1);
        }
        self.archive_read(name, before);
    }

    /// An archive of which nothing could be read is missed.
    fn archive_read(&mut self, name: &str, before: usize) {
        if self.read.testimony.sources.len() == before {
            self.refuse(name, Refusal::NoText);
        }
    }

    fn zip(&mut self, name: &str, file: File, year: i32, depth: usize) {
        let invalid = |it: zip::result::ZipError| {
            Refusal::Failed(io::Error::new(io::ErrorKind::InvalidData, it.to_string()))
        };
        let mut zip = match zip::ZipArchive::new(io::BufReader::new(file)) {
            Ok(it) => it,
            Err(it) => return self.refuse(name, invalid(it)),
        };
        let before = self.read.testimony.sources.len();
        let mut left = self.limits.unpacked;
        for index in 0..zip.len() {
            if MAX_FILES <= index {
                self.refuse(name, Refusal::TooMany);
                break;
            }
            let mut entry = match zip.by_index(index) {
                Ok(it) if it.is_file() => it,
                Ok(_) => continue,
                Err(it) => {
                    self.refuse(&format!("{name}:{index}"), invalid(it));
                    continue;
                }
            };
            let inner = match entry.name() {
                Ok(it) => format!("{name}:{it}"),
                Err(_) => format!("{name}:{index}"),
            };
            let year = entry.last_modified().map_or(year, |it| i32::from(it.year()));
            let mut bounded = Bounded { source: &mut entry, left, cut: false };
            self.stream(&inner, Box::new(&mut bounded), Arrival::File, year, false, depth + 1);
            left = bounded.left;
            if left == 0 {
                let why = self.only_the_first(self.limits.unpacked);
                self.refuse(name, Refusal::Failed(io::Error::other(why)));
                break;
            }
        }
        self.archive_read(name, before);
    }
}

impl Draft {
    /// Takes what was read of the next file; `mark` bytes before it are no text.
    fn take(&mut self, scanned: Scanned, mark: u64) {
        self.bytes += scanned.bytes + mark;
        self.lines += scanned.ledger.lines;
        self.ledger.absorb(scanned.ledger, Some(0));
        if scanned.error.is_some() {
            self.error = scanned.error;
        }
    }
}

/// A file of a rotated log.
enum Member {
    Plain(Plain),
    /// Compressed; unpacked when it is read.
    Packed(PathBuf),
}

impl Member {
    /// Its text from the start, and how many bytes mark it.
    fn text(path: &Path) -> io::Result<(Stream<'static>, u64)> {
        match unpacked(Box::new(File::open(path)?))? {
            Content::Text(text, mark) => Ok((text, mark)),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is an archive: give it by itself",
            )),
        }
    }

    fn sample(&self) -> io::Result<Vec<u8>> {
        match self {
            Member::Plain(it) => {
                let mut sample = vec![0; SAMPLE];
                let count = fill(it, it.mark, &mut sample)?;
                sample.truncate(count);
                Ok(sample)
            }
            Member::Packed(path) => Ok(peek(Member::text(path)?.0, SAMPLE)?.0),
        }
    }
}

impl Reader<'_> {
    fn rotated(&mut self, set: &Set) {
        let mut members = Vec::new();
        for path in &set.files {
            let name = path.display().to_string();
            match open(path) {
                Ok(Opened::Plain(it)) => members.push((name, Member::Plain(it))),
                Ok(Opened::Packed(_)) => members.push((name, Member::Packed(path.clone()))),
                Ok(Opened::Once(_)) => self.refuse(&name, Refusal::Device),
                Err(why) => self.refuse(&name, why),
            }
        }
        let year = set.files.last().map_or_else(this_year, |it| year_of(it));
        self.members(&set.name, members, Arrival::File, year, set.named);
    }

    /// Reads files that are one source, the oldest first.
    fn members(
        &mut self,
        name: &str,
        members: Vec<(String, Member)>,
        arrival: Arrival,
        year: i32,
        named: bool,
    ) {
        // The newest that holds anything tells what all are.
        let mut sample = Vec::new();
        for (file, member) in members.iter().rev() {
            match member.sample() {
                Ok(it) if it.is_empty() => {}
                Ok(it) => {
                    sample = it;
                    break;
                }
                Err(it) if members.len() == 1 => return self.refuse(file, Refusal::Failed(it)),
                Err(_) => {}
            }
        }
        let Some(mut draft) = self.draft(name, &sample, arrival, year, named) else { return };
        let limit = self.whole_limit(&draft.shape);
        if let (Some(limit), [(_, Member::Plain(it))]) = (limit, &members[..]) {
            let length = (it.length - it.mark.min(it.length)).min(limit);
            let mut bytes = vec![0; length as usize];
            let read = fill(it, it.mark, &mut bytes);
            bytes.truncate(*read.as_ref().unwrap_or(&0));
            draft.error = read.err();
            if limit < it.length {
                draft.skipped.push(self.only_the_first(limit));
            }
            return self.whole(draft, &bytes);
        }
        let bounds = self.bounds_of(&draft, &sample, &members);
        let clock = Clock::of(&draft.shape, &sample);
        let spans = self.spans(&members, bounds, &clock, &mut draft);
        let source = self.source();
        let mut files = Vec::new();
        for ((file, member), span) in members.iter().zip(spans) {
            let Some(span) = span else { continue };
            files.push((file.clone(), draft.bytes, draft.lines));
            match member {
                Member::Plain(plain) => {
                    draft.complete &= span.start <= plain.mark;
                    let lines = (span.start <= plain.mark).then_some(draft.lines);
                    let window = Window { since: bounds.since, until: bounds.until };
                    let work = self.work(&draft.shape, source, window);
                    let read = span.end.saturating_sub(span.start);
                    let scanned = work.file(plain, span, draft.bytes, lines);
                    // Places in the next file count from the end of this one.
                    let whole = plain.length.max(read);
                    draft.take(scanned, 0);
                    draft.bytes += whole - read.min(whole);
                }
                Member::Packed(path) => match Member::text(path) {
                    Ok((text, mark)) => {
                        let left = self.limits.unpacked;
                        let mut text = Bounded { source: text, left, cut: false };
                        self.scan_stream(&mut draft, &mut text, mark);
                    }
                    Err(it) => self.refuse(file, Refusal::Failed(it)),
                },
            }
            if let (Some(it), true) = (draft.error.take(), members.len() > 1) {
                self.refuse(file, Refusal::Failed(it));
            }
        }
        if self.add(draft) && members.len() > 1 {
            self.read.rotated.push(Rotated { source: name.to_owned(), files });
        }
    }

    /// The times to read, of a log that may be too large to be read whole.
    fn bounds_of(&self, draft: &Draft, sample: &[u8], members: &[(String, Member)]) -> Bounds {
        let plain = |it: &(String, Member)| match &it.1 {
            Member::Plain(it) => it.length,
            Member::Packed(_) => 0,
        };
        let large = self.limits.whole < members.iter().map(plain).sum();
        if self.asked || !large || self.whole_limit(&draft.shape).is_some() {
            return self.bounds;
        }
        let clock = Clock::of(&draft.shape, sample);
        let newest = members.iter().rev().find_map(|(_, it)| match it {
            Member::Plain(it) => evidence::seek::newest(it, it.length, &clock).ok().flatten(),
            Member::Packed(_) => None,
        });
        let since = newest.map(|it| self.bounds.until.map_or(it, |until| it.min(until)) - DAY);
        Bounds { since, ..self.bounds }
    }

    /// Which part of each file is read; `None` for those that are too old.
    fn spans(
        &self,
        members: &[(String, Member)],
        bounds: Bounds,
        clock: &Clock,
        draft: &mut Draft,
    ) -> Vec<Option<std::ops::Range<u64>>> {
        let (mut before, mut after) = (0, 0);
        let mut older = false;
        let mut spans = Vec::new();
        for (_, member) in members.iter().rev() {
            let Member::Plain(it) = member else {
                spans.push((!older).then_some(0..0));
                continue;
            };
            if older {
                before += it.length;
                spans.push(None);
                continue;
            }
            let whole = it.mark.min(it.length)..it.length;
            let mut span = whole.clone();
            if self.limits.sought < it.length {
                let seeker = Seeker { file: it, clock };
                // Where it cannot be sought, it is read.
                span = seeker.span(whole.clone(), bounds).unwrap_or(whole.clone());
            }
            before += span.start - whole.start;
            after += whole.end - span.end;
            older = span.start > whole.start;
            spans.push(Some(span));
        }
        spans.reverse();
        draft.complete = !older;
        draft.skipped.extend(seeking::left_out(before, after, bounds, self.asked));
        if older && before == 0 {
            draft.skipped.push("older files of it were not read".to_owned());
        }
        spans
    }

    /// The newest time of all inputs.
    fn newest(&mut self, inputs: &[Input]) -> Option<i64> {
        let mut newest = None;
        for input in inputs {
            let of_input = match input {
                Input::Files(set) => {
                    set.files.iter().filter_map(|it| newest_of_file(it, self.limits)).max()
                }
                Input::Pasted { text, .. } => newest_of_stream(Box::new(text.as_bytes())),
                Input::Standard => match spool(Box::new(io::stdin()), self.limits.unpacked) {
                    Ok((file, _)) => {
                        let found = file.try_clone().ok();
                        let newest = found.and_then(|it| newest_of_stream(Box::new(it)));
                        self.spooled = file_from_start(file);
                        newest
                    }
                    Err(_) => None,
                },
            };
            newest = newest.max(of_input);
        }
        newest
    }
}

fn file_from_start(mut file: File) -> Option<File> {
    file.rewind().ok().map(|()| file)
}

fn newest_of_file(path: &Path, limits: &Limits) -> Option<i64> {
    match open(path).ok()? {
        Opened::Plain(it) => {
            let member = Member::Plain(it);
            let sample = member.sample().ok()?;
            let Member::Plain(it) = member else { return None };
            let shape = Shape::of("", &sample, Arrival::File, year_of(path));
            let clock = Clock::of(&shape, &sample);
            evidence::seek::newest(&it, it.length, &clock).ok()?
        }
        Opened::Packed(file) => {
            newest_of_stream(Box::new(Bounded { source: file, left: limits.unpacked, cut: false }))
        }
        // A pipe can be read once only.
        Opened::Once(_) => None,
    }
}

/// Of text, also compressed; the newest files of an archive are not known before it is read.
fn newest_of_stream(stream: Stream<'_>) -> Option<i64> {
    let Content::Text(text, _) = unpacked(stream).ok()? else { return None };
    let (sample, mut text) = peek(text, SAMPLE).ok()?;
    let shape = Shape::of("", &sample, Arrival::Stream, this_year());
    let clock = Clock::of(&shape, &sample);
    let mut tail: Vec<u8> = Vec::new();
    let mut block = vec![0; TAIL];
    loop {
        let count = text.read(&mut block).unwrap_or(0);
        if count == 0 {
            break;
        }
        tail.extend(&block[..count]);
        if 2 * TAIL < tail.len() {
            tail.drain(..tail.len() - TAIL);
        }
    }
    clock.newest(&tail)
}

/// A file without a name that holds a stream, at its start again.
fn spool(mut stream: Stream<'_>, limit: u64) -> io::Result<(File, u64)> {
    let mut file = nameless()?;
    let bytes = io::copy(&mut stream.by_ref().take(limit), &mut file)?;
    file.rewind()?;
    Ok((file, bytes))
}

fn nameless() -> io::Result<File> {
    let folder = std::env::temp_dir();
    for attempt in 0..100 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_nanos());
        let name = format!("goodgate-{}-{now}-{attempt}", std::process::id());
        let path = folder.join(name);
        let mut options = File::options();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(it) if it.kind() == io::ErrorKind::AlreadyExists => {}
            Err(it) => return Err(it),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// As text of the same length, so that places in it are those in the file.
fn same_length_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

fn this_year() -> i32 {
    year_at(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs()))
}

/// The year in which a file was last written: that of its newest lines.
fn year_of(path: &Path) -> i32 {
    let changed = fs::metadata(path).and_then(|it| it.modified()).ok();
    let since = changed.and_then(|it| it.duration_since(UNIX_EPOCH).ok());
    since.map_or_else(this_year, |it| year_at(it.as_secs()))
}

fn year_at(seconds: u64) -> i32 {
    let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    rfc3339(micros).split('-').next().and_then(|it| it.parse().ok()).unwrap_or(1970)
}

#[cfg(test)]
mod tests {
    use super::super::inputs;
    use super::super::tar::tests::archive;
    use super::super::times::moment;
    use super::*;
    use evidence::{Sign, clock};
    use std::fmt::Write as _;
    use std::io::Write as _;

    fn folder(name: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("goodgate-{}-r-{name}", std::process::id()));
        for (file, bytes) in files {
            let file = folder.join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder for the test");
            fs::write(file, bytes).expect("a file for the test");
        }
        folder
    }

    fn limits() -> Limits {
        Limits { block: 4096, threads: 2, ..Limits::of_this_machine() }
    }

    fn read_with(path: &Path, wanted: &Wanted, limits: &Limits) -> Findings {
        let inputs = inputs::of_paths(&[path.to_owned()]);
        let mut found = read(&inputs.inputs, wanted, limits, &Progress::silent());
        found.refused.extend(inputs.refused);
        found
    }

    /// Sources, how often the upstream refused a connection, and what was refused.
    fn seen(found: &Findings) -> (Vec<&str>, u64, Vec<String>) {
        let sources = found.testimony.sources.iter().map(|it| name_of(&it.name)).collect();
        let groups = found.testimony.ledger.groups.iter();
        let refused = groups.filter(|(it, _)| it.sign == Sign::ConnectRefused);
        let words = found.refused.iter();
        let words = words.map(|it| format!("{}: {}", name_of(&it.name), it.why.why())).collect();
        (sources, refused.map(|(_, it)| it.count).sum(), words)
    }

    fn refusals(found: &Findings) -> &evidence::Group {
        let mut groups = found.testimony.ledger.groups.iter();
        groups.find(|(it, _)| it.sign == Sign::ConnectRefused).expect("a refused connection").1
    }

    fn name_of(path: &str) -> &str {
        let folder = path.find(':').unwrap_or(path.len());
        path[..folder].rfind('/').map_or(path, |it| &path[it + 1..])
    }

    fn remove(folder: &Path) {
        fs::remove_dir_all(folder).expect("it was there");
    }

    /// A failure a minute, from a time on.
    fn log(from: &str, minutes: i64) -> String {
        let from = clock::iso(from).expect("a time").0.micros;
        let mut text = String::new();
        for minute in 0..minutes {
            let at = clock::rfc3339(from + minute * clock::MINUTE);
            let at = at.replace('-', "/").replace('T', " ").replace('Z', "");
            writeln!(
                text,
                "{at} [error] 29#29: *1 connect() failed (111: Connection refused) while \
                 connecting to upstream, client: 192.0.2.7, server: example.com, request: \"GET \
                 /orders HTTP/1.1\", upstream: \"http://127.0.0.1:8000/orders\", host: \
                 \"example.com\"\n{at} [notice] 1#1: signal process started"
            )
            .expect("room");
        }
        text
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).expect("room");
        packer.finish().expect("room")
    }

    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut all = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in files {
            all.start_file(*name, zip::write::SimpleFileOptions::default()).expect("room");
            all.write_all(bytes).expect("room");
        }
        all.finish().expect("room").into_inner()
    }

    #[test]
    fn a_rotated_log_is_one_source_in_order_of_time() {
        let (old, middle, new) = (
            log("2026-11-20 10:00:00", 3),
            log("2026-11-20 10:03:00", 3),
            log("2026-11-20 10:06:00", 3),
        );
        let folder = folder(
            "rotated",
            &[
                ("error.log", new.as_bytes()),
                ("error.log.1", middle.as_bytes()),
                ("error.log.2.gz", &gzip(old.as_bytes())),
            ],
        );
        let found = read_with(&folder, &Wanted::default(), &limits());
        assert_eq!(seen(&found), (vec!["error.log"], 9, vec![]));
        let group = refusals(&found);
        let [run] = &group.runs[..] else { panic!("one run: {group:?}") };
        assert_eq!(run.opening.place.line, Some(1));
        assert_eq!(run.closing.place.line, Some(17));
        // The last line stands in the newest file, where it is the fifth.
        let [rotated] = &found.rotated[..] else { panic!("one rotated log") };
        let (name, start, before) = rotated.files.last().expect("a file");
        let line = new.lines().take(4).map(|it| it.len() as u64 + 1).sum::<u64>();
        assert!(name.ends_with("/error.log"), "{name}");
        assert_eq!((run.closing.place.offset - start, 17 - before), (line, 5));
        remove(&folder);
    }

    #[test]
    fn archives_hold_sources_and_so_do_archives_in_them() {
        let text = log("2026-11-20 10:00:00", 2);
        let inner = archive(&[("var/log/error.log.1.gz", b'0', &gzip(text.as_bytes()))]);
        let tar = archive(&[
            ("var/log/nginx/error.log", b'0', text.as_bytes()),
            ("bin/nginx", b'0', &[0, 1, 2, 3, 0, 0, 0, 0, 0, 0]),
            ("inner.tgz", b'0', &gzip(&inner)),
            ("inner.zip", b'0', &zip(&[("a.log", text.as_bytes())])),
        ]);
        let zip = zip(&[("logs/error.log", text.as_bytes()), ("x.gz", &gzip(text.as_bytes()))]);
        let folder =
            folder("archives", &[("a.tar.gz", &gzip(&tar)), ("b.zip", &zip), ("c.tar", &tar)]);
        let found = read_with(&folder, &Wanted::default(), &limits());
        let of = |it: &str| {
            [":var/log/nginx/error.log", ":inner.tgz:var/log/error.log.1.gz", ":inner.zip:a.log"]
                .map(|inner| format!("{it}{inner}"))
        };
        let zip = ["b.zip:logs/error.log".to_owned(), "b.zip:x.gz".to_owned()];
        let names: Vec<String> = of("a.tar.gz").into_iter().chain(zip).chain(of("c.tar")).collect();
        let names = names.iter().map(String::as_str).collect();
        assert_eq!(seen(&found), (names, 16, vec![]));
        remove(&folder);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let text = log("2026-11-20 10:00:00", 2);
        let mut cut = gzip(log("2026-11-20 10:00:00", 900).as_bytes());
        cut.truncate(cut.len() / 2);
        let folder = folder(
            "unreadable",
            &[
                ("empty.log", b""),
                ("binary", &[0; 100]),
                ("none/binary", &[0; 100]),
                ("cut.gz", &cut),
                ("good.log", text.as_bytes()),
            ],
        );
        let check = |name: &str, why: &str| {
            let found = read_with(&folder.join(name), &Wanted::default(), &limits());
            assert_eq!(seen(&found), (vec![], 0, vec![format!("{name}: {why}")]), "{name}");
        };
        check("empty.log", "it is empty");
        check("binary", "it is not text");
        check("nowhere.log", "there is no such file");
        let found = read_with(&folder, &Wanted::default(), &limits());
        let (sources, failures, refused) = seen(&found);
        assert_eq!((sources, refused), (vec!["cut.gz", "good.log"], vec![]));
        assert!(failures > 2, "what came before the cut was read");
        let skipped = found.testimony.sources[0].skipped.as_deref();
        assert!(skipped.is_some_and(|it| it.starts_with("what follows cannot be read")));
        remove(&folder);
    }

    #[test]
    fn what_unpacks_without_end_is_read_up_to_a_limit() {
        let text = log("2026-11-20 10:00:00", 400);
        let folder = folder(
            "bomb",
            &[
                ("a.log.gz", &gzip(text.as_bytes())),
                ("b.zip", &zip(&[("b.log", text.as_bytes()), ("c.log", text.as_bytes())])),
                ("d.tar.gz", &gzip(&archive(&[("d.log", b'0', text.as_bytes())]))),
            ],
        );
        let limits = Limits { unpacked: 10_000, ..limits() };
        for name in ["a.log.gz", "b.zip", "d.tar.gz"] {
            let found = read_with(&folder.join(name), &Wanted::default(), &limits);
            let bytes: u64 = found.testimony.sources.iter().filter_map(|it| it.bytes).sum();
            assert!((8_000..=10_000).contains(&bytes), "{name}: {bytes}");
        }
        let found = read_with(&folder.join("a.log.gz"), &Wanted::default(), &limits);
        let skipped = found.testimony.sources[0].skipped.as_deref();
        assert_eq!(skipped, Some("only the first 9.8 KiB were read"));
        remove(&folder);
    }

    #[test]
    fn a_large_log_is_read_from_its_last_day_on() {
        let text = log("2026-11-18 00:00:00", 3 * 24 * 60);
        let folder = folder("large", &[("error.log", text.as_bytes())]);
        let file = folder.join("error.log");
        let limits = Limits { whole: 100_000, sought: 100_000, ..limits() };
        let found = read_with(&file, &Wanted::default(), &limits);
        assert_eq!(seen(&found).1, 24 * 60 + 1);
        let source = &found.testimony.sources[0];
        let skipped = source.skipped.as_deref().unwrap_or_default();
        let note = "only what is from 2026-11-19T23:59:00Z on was read: ";
        assert!(skipped.starts_with(note) && skipped.ends_with("--since all reads everything"));
        assert_eq!(source.lines, None);
        let group = refusals(&found);
        let place = group.sample().place;
        assert_eq!(place.line, None);
        assert!(text[place.offset as usize..].starts_with("2026/11/19 23:59:00 [error]"));
        let all = Wanted { since: Some(Moment::All), ..Wanted::default() };
        let found = read_with(&file, &all, &limits);
        assert_eq!((seen(&found).1, &found.testimony.sources[0].skipped), (3 * 24 * 60, &None));
        remove(&folder);
    }

    #[test]
    fn times_count_back_from_the_newest_one_sought_or_not() {
        let text = log("2026-11-20 00:00:00", 600);
        let files: [(&str, &[u8]); 2] =
            [("error.log", text.as_bytes()), ("packed.gz", &gzip(text.as_bytes()))];
        let folder = folder("since", &files);
        let check = |since: &str, until: &str, count: u64| {
            let wanted = Wanted {
                since: moment(since).ok(),
                until: moment(until).ok(),
                ..Wanted::default()
            };
            for sought in [100, 1 << 30] {
                let limits = Limits { sought, ..limits() };
                for (file, _) in &files {
                    let found = read_with(&folder.join(file), &wanted, &limits);
                    assert_eq!(seen(&found).1, count, "{since} {until} {file} {sought}");
                }
            }
        };
        check("1h", "all", 61);
        check("2026-11-20 01:00", "2026-11-20 02:00", 61);
        check("09:00", "all", 60);
        check("all", "30m", 570);
        check("yesterday", "all", 600);
        remove(&folder);
    }

    #[test]
    fn only_lines_that_hold_the_text_are_read() {
        let text = log("2026-11-20 00:00:00", 60)
            .replace("00:30:00 [error] 29#29: *1", "00:30:00 [error] 29#29: *77");
        let folder = folder("match", &[("error.log", text.as_bytes())]);
        let wanted = Wanted { holding: Some("*77 ".to_owned()), ..Wanted::default() };
        let found = read_with(&folder, &wanted, &limits());
        assert_eq!(seen(&found).1, 1);
        let group = refusals(&found);
        assert_eq!(group.sample().place.line, Some(61));
        remove(&folder);
    }

    #[test]
    fn configurations_are_read_whole() {
        let text = "bind = '127.0.0.1:8000'\ntimeout = 30\nworkers = 2\n";
        let folder = folder("configured", &[("gunicorn.conf.py", text.as_bytes())]);
        let found = read_with(&folder, &Wanted::default(), &limits());
        assert!(found.testimony.settings.len() >= 2, "{:?}", found.testimony.settings);
        let packed = folder.join("packed.tar.gz");
        let tar = archive(&[("gunicorn.conf.py", b'0', text.as_bytes())]);
        fs::write(&packed, gzip(&tar)).expect("a file for the test");
        let again = read_with(&packed, &Wanted::default(), &limits());
        assert_eq!(again.testimony.settings, found.testimony.settings);
        remove(&folder);
    }

    #[test]
    fn other_encodings_are_text() {
        let text = log("2026-11-20 00:00:00", 3);
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        let latin = text.replace("example.com\"\n", "caf\u{e9}\"\n");
        let latin: Vec<u8> = latin.chars().map(|it| it as u8).collect();
        let files: [(&str, &[u8]); 3] =
            [("wide.log", &wide), ("marked.log", &marked), ("latin.log", &latin)];
        let folder = folder("encodings", &files);
        for (file, _) in files {
            let found = read_with(&folder.join(file), &Wanted::default(), &limits());
            assert_eq!(seen(&found), (vec![file], 3, vec![]), "{file}");
        }
        let found = read_with(&folder.join("marked.log"), &Wanted::default(), &limits());
        let group = refusals(&found);
        assert_eq!(group.sample().place.offset, 3);
        remove(&folder);
    }
}
