//! The access log: one line for each finished exchange, gathered on its core and written by one
//! thread of its own. The proxy never waits for it; what does not fit is dropped and counted.

use crate::contain::{contained, trip};
use crate::dates::date;
use crate::loud::{Loud, Trouble};
use config::AccessLog;
use diagnosis::answer::{Amendment, block};
use diagnosis::{Case, first_look};
use exchange::{By, End, Exchange, Http2, Maker, Micros};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A core hands over its lines when it has gathered so much, or once a second.
const BATCH: usize = 64 * 1024;
/// Batches that may wait for the disk or the pipe, over all cores.
const WAITING: usize = 64;

/// How often ending looks whether the last line is written.
const JOIN_LOOK: Duration = Duration::from_millis(1);

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// One JSON object a line.
    Json,
    /// Short lines for people; a failure is followed by its report.
    Terminal { colour: bool },
}

/// Where all cores hand their lines over.
#[derive(Clone)]
pub(crate) struct LogSink {
    batches: Option<SyncSender<Vec<u8>>>,
    lost: Lost,
    style: Style,
}

/// Lines that were never written.
#[derive(Clone)]
struct Lost {
    lines: Arc<AtomicU64>,
    loud: Arc<Loud>,
}

impl Lost {
    fn count(&self, lines: u64, why: Trouble) {
        if 0 < lines {
            self.lines.fetch_add(lines, Relaxed);
            self.loud.report(why, lines);
        }
    }
}

/// The thread that writes. Joined when the last sink is gone.
pub(crate) struct LogWriter(Option<JoinHandle<()>>);

impl LogWriter {
    /// Waits for the last lines while `patient`: a pipe that nobody reads may block for ever.
    pub(crate) fn join(mut self, patient: impl Fn() -> bool) {
        let Some(thread) = self.0.take() else {
            return;
        };
        while !thread.is_finished() {
            if !patient() {
                return;
            }
            std::thread::sleep(JOIN_LOOK);
        }
        // A panic of the writer has been printed already; there is nothing left to write.
        let _ = thread.join();
    }
}

/// Opens the log. `reopen` is set when a file is to be opened anew, after it was rotated.
pub(crate) fn open(
    access: &AccessLog,
    style: Style,
    reopen: Arc<AtomicBool>,
    loud: Arc<Loud>,
) -> io::Result<(LogSink, LogWriter)> {
    let lost = Lost { lines: Arc::default(), loud };
    let mut out = match access {
        AccessLog::Off => {
            return Ok((LogSink { batches: None, lost, style }, LogWriter(None)));
        }
        AccessLog::Stdout => Out::Stdout,
        AccessLog::File(path) => Out::file(path.clone(), reopen)?,
    };
    let style = if matches!(out, Out::Stdout) { style } else { Style::Json };
    let (batches, waiting) = sync_channel(WAITING);
    let counting = lost.clone();
    let thread = std::thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(move || write_all(&mut out, &waiting, &counting))?;
    Ok((LogSink { batches: Some(batches), lost, style }, LogWriter(Some(thread))))
}

enum Out {
    Stdout,
    File { path: PathBuf, file: File, reopen: Arc<AtomicBool> },
}

impl Out {
    fn file(path: PathBuf, reopen: Arc<AtomicBool>) -> io::Result<Out> {
        let file = append(&path)?;
        Ok(Out::File { path, file, reopen })
    }

    /// Opens the file anew where it is to be, or is gone. Whether it is another one now.
    fn renew(&mut self) -> io::Result<bool> {
        match self {
            Out::File { path, file, reopen } if reopen.load(Relaxed) || moved(path, file) => {
                *file = append(path)?;
                reopen.store(false, Relaxed);
                Ok(true)
            }
            Out::File { .. } | Out::Stdout => Ok(false),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Out::Stdout => io::stdout().lock().write(bytes),
            Out::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Out::Stdout => io::stdout().lock().flush(),
            Out::File { .. } => Ok(()),
        }
    }
}

/// What has been written ends in the middle of a line, since there was no room for its rest.
#[derive(Default)]
struct Torn(bool);

impl Torn {
    /// Writes whole lines, and the end of one that was torn before. Where that fails: why, and how
    /// many of them are not there.
    fn write(&mut self, out: &mut impl Write, lines: &[u8]) -> Result<(), (io::Error, u64)> {
        let mut left = lines;
        let mut failed = None;
        while failed.is_none() && (self.0 || !left.is_empty()) {
            let next = if self.0 { b"\n" } else { left };
            match out.write(next) {
                Ok(0) => failed = Some(io::ErrorKind::WriteZero.into()),
                Ok(_) if self.0 => self.0 = false,
                Ok(amount) => left = &left[amount..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => failed = Some(error),
            }
        }
        let failed = failed.or_else(|| out.flush().err());
        let Some(error) = failed else {
            return Ok(());
        };
        let written = &lines[..lines.len() - left.len()];
        self.0 |= written.last().is_some_and(|it| *it != b'\n');
        Err((error, lines_in(left)))
    }
}

fn append(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Somebody renamed or removed the file that we write to.
fn moved(path: &PathBuf, file: &File) -> bool {
    let here = std::fs::metadata(path).map(|it| (it.dev(), it.ino()));
    let ours = file.metadata().map(|it| (it.dev(), it.ino()));
    !matches!((here, ours), (Ok(here), Ok(ours)) if here == ours)
}

fn write_all(out: &mut Out, waiting: &Receiver<Vec<u8>>, lost: &Lost) {
    let mut torn = Torn::default();
    for batch in waiting {
        // Whatever happens here, the next lines are to be written.
        let written = contained(None, || {
            // A file that cannot be opened anew is written on as it is.
            if let Ok(true) = out.renew() {
                torn = Torn::default();
            }
            torn.write(out, &batch)
        });
        match written {
            Ok(Ok(())) => {}
            Ok(Err((error, lines))) => lost.count(lines, Trouble::of_log(&error)),
            Err(_) => lost.count(lines_in(&batch), Trouble::LogFailed),
        }
    }
}

fn lines_in(batch: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', batch).count() as u64
}

impl LogSink {
    /// Lines that were never written: the queue was full, or the disk was.
    pub(crate) fn dropped(&self) -> u64 {
        self.lost.lines.load(Relaxed)
    }

    /// A line that amends an earlier one; made beside the cores.
    pub(crate) fn amend(&self, amendment: &Amendment<'_>) {
        let Some(batches) = &self.batches else { return };
        let text = match self.style {
            Style::Json => amendment.line() + "\n",
            Style::Terminal { .. } => amendment.block(),
        };
        self.send(batches, text.into_bytes());
    }

    fn send(&self, batches: &SyncSender<Vec<u8>>, lines: Vec<u8>) {
        match batches.try_send(lines) {
            Ok(()) => {}
            Err(TrySendError::Full(it)) => self.lost.count(lines_in(&it), Trouble::LogSlow),
            Err(TrySendError::Disconnected(it)) => {
                self.lost.count(lines_in(&it), Trouble::LogFailed);
            }
        }
    }

    /// The buffer of one core.
    pub(crate) fn buffer(&self) -> LogBuffer {
        LogBuffer { sink: self.clone(), lines: Vec::new(), clock: Clock::default() }
    }
}

/// Lines of one core that are not handed over yet.
pub(crate) struct LogBuffer {
    sink: LogSink,
    lines: Vec<u8>,
    clock: Clock,
}

impl LogBuffer {
    pub(crate) fn write(&mut self, exchange: &Exchange) {
        if self.sink.batches.is_none() {
            return;
        }
        let before = self.lines.len();
        let written = contained(Some(exchange.id), || match self.sink.style {
            Style::Json => {
                trip::at("log", &exchange.request.path);
                self.lines.reserve(1024);
                json(&mut self.lines, exchange, &mut self.clock);
            }
            Style::Terminal { colour } => {
                terminal(&mut self.lines, exchange, colour, &mut self.clock);
            }
        });
        if written.is_err() {
            self.lines.truncate(before);
            return self.sink.lost.count(1, Trouble::LogFailed);
        }
        if BATCH - 2048 < self.lines.len() || self.sink.style != Style::Json {
            self.flush();
        }
    }

    pub(crate) fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let Some(batches) = &self.sink.batches else {
            return;
        };
        let batch = std::mem::take(&mut self.lines);
        let room = batch.capacity().min(BATCH);
        self.sink.send(batches, batch);
        self.lines.reserve(room);
    }
}

/// Dates are made once a second.
#[derive(Default)]
struct Clock {
    second: u64,
    text: String,
}

impl Clock {
    /// `2026-01-02T03:04:05.678Z`.
    fn put(&mut self, out: &mut Vec<u8>, micros: Micros) {
        let second = micros / 1_000_000;
        if second != self.second || self.text.is_empty() {
            self.second = second;
            let (year, month, day) = date(second / 86_400);
            let clock = second % 86_400;
            let (h, m, s) = (clock / 3_600, clock / 60 % 60, clock % 60);
            self.text = format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}");
        }
        out.extend_from_slice(self.text.as_bytes());
        let ms = micros / 1_000 % 1_000;
        let digit = |it: u64| b'0' + (it % 10) as u8;
        out.extend([b'.', digit(ms / 100), digit(ms / 10), digit(ms), b'Z']);
    }
}

fn end_word(end: End) -> &'static str {
    match end {
        End::Complete => "complete",
        End::ClientClosed(_) => "client_closed",
        End::Cut => "cut",
    }
}

/// The status a log shows: 499 for a client that left before there was one.
fn status(exchange: &Exchange) -> u16 {
    match (&exchange.answer, exchange.end) {
        (Some(answer), _) => answer.status,
        (None, _) => 499,
    }
}

fn json(out: &mut Vec<u8>, exchange: &Exchange, clock: &mut Clock) {
    let request = &exchange.request;
    out.extend_from_slice(b"{\"time\":\"");
    clock.put(out, exchange.began);
    out.extend_from_slice(b"\",\"id\":\"");
    out.extend_from_slice(&exchange.id.hex());
    out.extend_from_slice(b"\",\"client\":\"");
    let _ = write!(out, "{}", exchange.client.ip);
    out.push(b'"');
    text(out, "method", &request.method);
    text(out, "host", &request.host);
    text(out, "path", &request.path);
    text(out, "version", request.version);
    if let Some(it) = &request.upgrade {
        text(out, "upgrade", it);
    }
    number(out, "status", u64::from(status(exchange)));
    if let Some(it) = exchange.answer.as_ref().and_then(|it| it.grpc_status) {
        number(out, "grpc_status", u64::from(it));
    }
    if let Some(it) = &exchange.route {
        text(out, "route", it);
    }
    if let Some(it) = &exchange.upstream {
        text(out, "upstream", it);
    }
    if let Some(attempt) = exchange.last_attempt() {
        text(out, "target", &attempt.target);
        if let Some(it) = attempt.status {
            number(out, "upstream_status", u64::from(it));
        }
        if attempt.http2 == Http2::Spoken {
            text(out, "upstream_version", "HTTP/2");
        }
        if let Some(it) = attempt.names {
            text(out, "names", it.name());
        }
        let reused = if attempt.reused() { b",\"reused\":true".as_slice() } else { b"" };
        out.extend_from_slice(reused);
    }
    if let Some(it) = exchange.cause {
        text(out, "cause", it);
    }
    if let Some(it) = exchange.side {
        text(out, "side", it);
    }
    if let Some(fault) = exchange.last_attempt().and_then(|it| it.fault.as_ref()) {
        text(out, "fault", fault.name());
    }
    if let Some(it) = &request.caller_id {
        text(out, "caller_id", it);
    }
    if let Some(it) = exchange.unrepeated {
        text(out, "not_repeated", it.name());
    }
    if exchange.answer.as_ref().is_some_and(|it| it.made_by == Maker::Kept) {
        out.extend_from_slice(b",\"stale\":true");
    }
    if !exchange.prevented.is_empty() {
        out.extend_from_slice(b",\"prevented\":[");
        for (at, it) in exchange.prevented.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"{\"by\":\"" } else { b",{\"by\":\"" });
            out.extend_from_slice(it.by.name().as_bytes());
            out.push(b'"');
            text(out, "cause", it.cause);
            out.push(b'}');
        }
        out.push(b']');
    }
    if let Some(it) = exchange.later {
        out.extend_from_slice(b",\"later_ms\":");
        ms(out, it);
    }
    text(out, "end", end_word(exchange.end));
    number(out, "attempts", exchange.attempts.len() as u64);
    number(out, "bytes_in", request.head_bytes + request.body_bytes);
    number(out, "bytes_out", exchange.answer.as_ref().map_or(0, |it| it.body_bytes));
    out.extend_from_slice(b",\"took_ms\":");
    ms(out, exchange.took);
    out.extend_from_slice(b",\"phases_ms\":{");
    for (at, (phase, spent)) in exchange.all_phases().iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
        out.extend_from_slice(phase.name().as_bytes());
        out.extend_from_slice(b"\":");
        ms(out, spent);
    }
    out.extend_from_slice(b"}}\n");
}

fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    let plain = value.bytes().all(|it| matches!(it, b' '..=b'~') && it != b'"' && it != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else {
        // Writing into memory does not fail.
        let _ = serde_json::to_writer(out, value);
    }
}

fn number(out: &mut Vec<u8>, key: &str, value: u64) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    digits(out, value);
}

fn digits(out: &mut Vec<u8>, mut value: u64) {
    let mut text = [0; 20];
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}

/// Microseconds as milliseconds with three places.
fn ms(out: &mut Vec<u8>, micros: Micros) {
    digits(out, micros / 1_000);
    let rest = micros % 1_000;
    if rest != 0 {
        let digit = |it: u64| b'0' + (it % 10) as u8;
        out.extend([b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
    }
}

/// `12:01:02 GET /orders 502 31 ms  process_down`.
fn terminal(out: &mut Vec<u8>, exchange: &Exchange, colour: bool, clock: &mut Clock) {
    let mut time = Vec::new();
    clock.put(&mut time, exchange.began);
    let time = String::from_utf8_lossy(&time[11..19]).into_owned();
    let paint = |code: &str, word: &str| match colour {
        true => format!("\x1b[{code}m{word}\x1b[0m"),
        false => word.to_owned(),
    };
    let grpc = exchange.answer.as_ref().and_then(|it| it.grpc_status);
    let status = status(exchange);
    let code = match status {
        _ if grpc.is_some_and(|it| it != 0) => "31",
        200..300 => "32",
        300..400 => "36",
        400..500 => "33",
        _ => "31",
    };
    let took = exchange.took as f64 / 1e3;
    let request = &exchange.request;
    let path: String =
        request.path.chars().map(|it| if it.is_control() { '?' } else { it }).collect();
    let mut line = format!(
        "{} {} {} {path} {took:.1} ms",
        paint("2", &time),
        paint(code, &status.to_string()),
        request.method,
    );
    if let Some(it) = grpc {
        line += &format!(" grpc {it}");
    }
    let phases: Vec<String> = exchange
        .all_phases()
        .iter()
        .filter(|(_, spent)| 1_000 <= *spent)
        .map(|(phase, spent)| format!("{} {} ms", phase.name(), spent / 1_000))
        .collect();
    if !phases.is_empty() {
        line += &paint("2", &format!("  ({})", phases.join(", ")));
    }
    line += &paint("2", &format!("  {}", exchange.id));
    if let Some(cause) = exchange.cause {
        line += &format!("  {}", paint(code, cause));
    }
    for it in exchange.prevented.iter().filter(|it| it.by == By::Stale) {
        line += &paint("33", &format!("  stale instead of {}", it.cause));
    }
    out.extend_from_slice(line.as_bytes());
    out.push(b'\n');
    let explained = exchange.failed()
        && exchange
            .answer
            .as_ref()
            .is_none_or(|it| 500 <= it.status || grpc.is_some() || it.made_by == Maker::Upstream);
    if let Some(case) = Case::of(exchange).filter(|_| explained) {
        for line in block(&first_look(&case), exchange, colour).lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then none.
    struct Disk {
        room: usize,
        holds: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            self.holds.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_without_room_for_its_end_does_not_run_into_the_next() {
        let mut disk = Disk { room: 6, holds: Vec::new() };
        let mut torn = Torn::default();
        let lost = |written: Result<(), (io::Error, u64)>| written.err().map(|(_, lines)| lines);
        assert_eq!(lost(torn.write(&mut disk, b"aaa\nbbb\nccc\n")), Some(2));
        assert_eq!(lost(torn.write(&mut disk, b"ddd\n")), Some(1));
        disk.room = 100;
        assert_eq!(lost(torn.write(&mut disk, b"eee\n")), None);
        assert_eq!(String::from_utf8_lossy(&disk.holds), "aaa\nbb\neee\n");
        disk.room = 4;
        assert_eq!(lost(torn.write(&mut disk, b"fff\nggg\n")), Some(1));
        disk.room = 100;
        assert_eq!(lost(torn.write(&mut disk, b"hhh\n")), None);
        assert!(disk.holds.ends_with(b"eee\nfff\nhhh\n"), "no line is torn where one ends");
    }

    #[track_caller]
    fn check_time(micros: u64, expected: &str) {
        let mut out = Vec::new();
        Clock::default().put(&mut out, micros);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn times_are_read_by_everyone() {
        check_time(0, "1970-01-01T00:00:00.000Z");
        check_time(951_782_400_000_000, "2000-02-29T00:00:00.000Z");
        check_time(1_767_323_045_678_901, "2026-01-02T03:04:05.678Z");
        check_time(4_102_444_799_999_999, "2099-12-31T23:59:59.999Z");
    }

    #[test]
    fn milliseconds_keep_their_microseconds() {
        let check = |micros, expected: &str| {
            let mut out = Vec::new();
            ms(&mut out, micros);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        };
        check(0, "0");
        check(7, "0.007");
        check(1_000, "1");
        check(1_234_056, "1234.056");
    }

    #[test]
    fn what_a_client_sends_cannot_end_a_string() {
        let mut out = Vec::new();
        text(&mut out, "path", "/a\"b\\c\n\u{1b}é");
        let json = format!("{{\"x\":1{}}}", String::from_utf8_lossy(&out));
        let read: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
        assert_eq!(read["path"], "/a\"b\\c\n\u{1b}é");
    }
}
