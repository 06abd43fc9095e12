//! Python: tracebacks as one unit, and the last line of one that was pasted alone.
//!
//! Of a chain of exceptions the first is the reason, and the others are how it was passed on. An
//! exception of a client library is the app's call to another service where a server's frames or a
//! logger's prefix stand around it, and what a caller saw where it is a script's.

use crate::address;
use crate::clock::Stamp;
use crate::event::{Event, Sink};
use crate::lead::Lead;
use crate::line::{Below, Line};
use crate::product::Product;
use crate::reader::{Reader, number};
use crate::readers::raised::{Raised, span};
use crate::rule::{self, Rule};
use crate::sign::{Kind, Sign};
use crate::trust::Trust;
use std::borrow::Cow;
use std::ops::Range;

pub(super) const TRACEBACK: Reader = Reader {
    name: "Python traceback",
    product: Product::Python,
    hooks: &["Traceback (most recent call last)"],
    fits: |line| header(&line.text).is_some(),
    read: |line, sink| {
        let Some(at) = header(&line.text) else { return };
        let lead = Lead::of(&line.text);
        let head = Head { product: Product::Python, boot: false, app: lead.any(), route: None };
        if !read_one_line(line, at, &head, lead.at, sink) {
            let below: Vec<Below> = line.below().collect();
            let trace = Trace::of(&below);
            if !trace.raised.is_empty() {
                trace.emit(&below, &head, lead.at, sink);
                return;
            }
            let span = at..at + HEADER.len();
            let cut = Event::new(Product::Python, Sign::UnhandledException, Trust::D, span);
            sink.event(cut.at(lead.at).who(trace.place()));
            // What belongs to it is not looked at again, however many of its kind follow.
            if let Some(last) = below.get(trace.last).filter(|_| trace.last > 0) {
                sink.taken(last);
            }
        }
    },
    source: "https://docs.python.org/3/library/traceback.html; CPython Lib/traceback.py 3.8 to 3.13",
    example: "Traceback (most recent call last):",
};

pub(super) const EXCEPTION: Reader = Reader {
    name: "last line of a Python traceback",
    product: Product::Python,
    hooks: &[
        "Error: ",
        "Error:",
        "MemoryError",
        "Timeout: ",
        "Exception: ",
        "ImproperlyConfigured",
        "ConnectionPool(host='",
    ],
    fits: |line| last_line(&line.text).is_some(),
    read: |line, sink| {
        let Some((lead, raised)) = last_line(&line.text) else { return };
        let head = Head { product: Product::Python, boot: false, app: lead.any(), route: None };
        if let Some(it) = verdict(&[raised], &[], &head, !lead.any()) {
            it.events(&line.text, None, &head, lead.at).for_each(|it| sink.event(it));
        }
    },
    source: "https://docs.python.org/3/library/exceptions.html; requests 2.34, httpx 0.28, aiohttp 3.14, openai 3.54",
    example: "requests.exceptions.HTTPError: 502 Server Error: Bad Gateway for url: https://api.example.com/data",
};

const HEADER: &str = "Traceback (most recent call last)";

/// Where the header of a traceback begins in a line.
fn header(text: &str) -> Option<usize> {
    let lead = Lead::of(text);
    let rest = text[lead.inset..].trim_start_matches([' ', '|', '+']);
    let rest = rest.strip_prefix("Exception Group ").unwrap_or(rest);
    rest.starts_with(HEADER).then_some(text.len() - rest.len())
}

/// What the line before a traceback says.
pub(super) struct Head<'a> {
    pub(super) product: Product,
    /// It says that the app was being loaded.
    pub(super) boot: bool,
    /// It is the line of a server or a logger: no caller's script.
    pub(super) app: bool,
    pub(super) route: Option<&'a str>,
}

/// Reads a line that says that something was raised, with the traceback in it or after it, from
/// which it takes the sign. A rule with [`Sign::BootFailed`] says that the app was being loaded.
pub(super) fn read_failure(
    line: &Line,
    rules: &[Rule],
    product: Product,
    loggers: &[&str],
    sink: &mut dyn Sink,
) -> bool {
    let Some(event) = rule::told(rules, product, loggers, line) else { return false };
    let boot = event.sign == Sign::BootFailed;
    let route = event.route.clone();
    let head = Head { product, boot, app: true, route: route.as_deref() };
    let at = event.at;
    let within = line.text.find(HEADER).filter(|it| event.span.end <= *it);
    let read = match within {
        Some(header) => read_one_line(line, header, &head, at, sink),
        None => read_below(line, &head, at, sink),
    };
    if !read {
        sink.event(event);
    }
    true
}

/// Reads what an app wrote by its server's logger: a traceback in one line, or an exception.
pub(super) fn read_message(line: &Line, lead: &Lead, product: Product, sink: &mut dyn Sink) {
    let head = Head { product, boot: false, app: true, route: None };
    let message = &line.text[before_type(&line.text, lead)..];
    if message.starts_with(HEADER) {
        if !read_one_line(line, lead.inset, &head, lead.at, sink) {
            let below: Vec<Below> = line.below().collect();
            Trace::of(&below).emit(&below, &head, lead.at, sink);
        }
    } else if let Some(raised) = of_python(message).or_else(|| of_libpq(message))
        && let Some(it) = verdict(&[raised], &[], &head, false)
    {
        it.events(&line.text, None, &head, lead.at).for_each(|it| sink.event(it));
    }
}

/// `('127.0.0.1', 8000)` is an address in two fields.
pub(super) fn with_address(event: Event<'_>) -> Event<'_> {
    if !matches!(event.sign, Sign::PortInUse | Sign::BindFailed) {
        return event;
    }
    let (Some(host), Some(port)) = (event.who.clone(), event.number) else { return event };
    event.upstream(Some(format!("{host}:{port}"))).who(None::<Cow<str>>).number(None)
}

/// Reads the traceback that follows a line, if one does.
pub(super) fn read_below(line: &Line, head: &Head, at: Option<Stamp>, sink: &mut dyn Sink) -> bool {
    let mut below = line.below().skip_while(|it| it.text.trim().is_empty()).peekable();
    if below.peek().is_none_or(|it| header(&it.text).is_none()) {
        return false;
    }
    let below: Vec<Below> = below.collect();
    let trace = Trace::of(&below);
    if trace.raised.is_empty() {
        // Cut: it says no more than the line before it.
        if let Some(last) = below.get(trace.last) {
            sink.taken(last);
        }
        return false;
    }
    trace.emit(&below, head, at, sink)
}

/// Reads a traceback that was pasted into one line, from its header on.
pub(super) fn read_one_line(
    line: &Line,
    header: usize,
    head: &Head,
    at: Option<Stamp>,
    sink: &mut dyn Sink,
) -> bool {
    let text = &*line.text;
    let Some(start) = text[header..].find(HEADER).map(|it| header + it + HEADER.len()) else {
        return false;
    };
    let unit = &text[start..];
    // The reason is the first of a chain.
    let chained = ["During handling of the above", "The above exception was the direct"];
    let end = chained.iter().filter_map(|it| unit.find(it)).min().unwrap_or(unit.len());
    let Some(raised) = last_raised(&unit[..end]) else { return false };
    let frames = inline_frames(&unit[..end]);
    let Some(it) = verdict(&[raised], &frames, head, false) else { return false };
    it.events(text, place(&frames), head, at).for_each(|it| sink.event(it));
    true
}

/// The last word that reads as the name of an exception, with its message.
fn last_raised(text: &str) -> Option<Raised<'_>> {
    let mut found = None;
    let mut at = 0;
    for word in text.split(' ') {
        let name = word.trim_end_matches(':');
        let colon = word.len() == name.len() + 1;
        let ends = at + word.len() == text.trim_end().len();
        if (colon || ends) && Raised::of(name).is_some() {
            found = Some(at);
        }
        at += word.len() + 1;
    }
    Raised::of(text[found?..].trim_end())
}

fn inline_frames(text: &str) -> Vec<Frame<'_>> {
    let starts = memchr::memmem::find_iter(text.as_bytes(), b"File \"");
    starts.filter_map(|at| Frame::of(&text[at..])).take(400).collect()
}

/// `File "/srv/app.py", line 42, in get_data`.
#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    file: &'a str,
    line: i64,
    function: &'a str,
}

impl<'a> Frame<'a> {
    fn of(text: &'a str) -> Option<Frame<'a>> {
        let rest = text.trim_start().strip_prefix("File \"")?;
        let (file, rest) = rest.split_once('"')?;
        let line = number(rest.strip_prefix(", line ")?)?;
        let function = rest.find(", in ").map_or("", |at| &rest[at + 5..]);
        let function = function.split(' ').next().unwrap_or("");
        Some(Frame { file, line, function })
    }

    /// Of the standard library or of an installed package.
    fn is_library(&self) -> bool {
        ["site-packages", "dist-packages", "/lib/python", "\\lib\\", "<frozen ", "\\Lib\\"]
            .iter()
            .any(|it| self.file.contains(it))
    }

    /// Of the app's own code, which stands in a file.
    fn is_own(&self) -> bool {
        !self.is_library() && self.file != "<string>"
    }

    /// Of a server or a framework that handles a request.
    fn handles_request(&self) -> bool {
        let functions = [
            "wsgi_app",
            "full_dispatch_request",
            "dispatch_request",
            "run_asgi",
            "handle_request",
            "run_wsgi",
            "get_response",
            "_get_response",
        ];
        let files = [
            "/starlette/",
            "/uvicorn/protocols/",
            "/django/core/handlers/",
            "/waitress/task",
            "/hypercorn/app_wrappers",
            "/daphne/",
            "/channels/",
        ];
        functions.contains(&self.function) && self.is_library()
            || files.iter().any(|it| self.file.contains(it))
    }

    /// Of a server or a framework that loads the app.
    fn loads_app(&self) -> bool {
        let functions = [
            "import_app",
            "load_wsgi",
            "load_wsgiapp",
            "import_from_string",
            "load_application",
            "import_by_path",
            "locate_app",
            "find_app_by_string",
            "_gcd_import",
            "execute_from_command_line",
            "get_wsgi_application",
            "get_asgi_application",
            "populate",
            "init_process",
        ];
        // Names that others have as well count in these files only.
        let in_file = [("load", "/uvicorn/config.py"), ("load_app", "/uvicorn/config.py")];
        let named = |(function, file): &(&str, &str)| {
            self.function == *function && self.file.ends_with(file)
        };
        functions.contains(&self.function) || in_file.iter().any(named)
    }

    /// Of a server's own start.
    fn is_servers(&self) -> bool {
        let last = self.file.rsplit(['/', '\\']).next().unwrap_or("");
        matches!(
            last,
            "gunicorn"
                | "uvicorn"
                | "flask"
                | "hypercorn"
                | "daphne"
                | "celery"
                | "manage.py"
                | "waitress-serve"
        ) || ["/gunicorn/", "/uvicorn/", "/hypercorn/", "/celery/", "/waitress/"]
            .iter()
            .any(|it| self.file.contains(it))
    }

    fn reads_environment(&self) -> bool {
        self.function == "__getitem__"
            && (self.file == "<frozen os>" || self.file.ends_with("/os.py"))
    }
}

/// The deepest frame of the app's own.
fn place(frames: &[Frame]) -> Option<String> {
    let own = frames.iter().rev().find(|it| it.is_own())?;
    let function = match own.function {
        "" | "<module>" => String::new(),
        it => format!(" in {it}"),
    };
    Some(format!("{}:{}{function}", own.file, own.line))
}

/// A traceback of several lines.
#[derive(Default)]
struct Trace<'a> {
    /// The exceptions of the chain, with the line that each stands in.
    raised: Vec<(usize, Raised<'a>)>,
    frames: Vec<Frame<'a>>,
    /// How many frames came before the first exception.
    root: usize,
    /// The last line that belongs to it.
    last: usize,
}

/// A line without the marks of an exception group.
fn ungrouped(text: &str) -> &str {
    let trimmed = text.trim_start();
    match trimmed.strip_prefix("| ").or_else(|| trimmed.strip_prefix("+ ")) {
        Some(inner) => inner,
        None => text,
    }
}

/// `+-+---------------- 1 ----------------` and `+---------------- 2 ----------------`: what comes
/// next is one more exception of a group. The group's end has no number.
fn opens_one_more(text: &str) -> bool {
    let inner = text.trim().trim_start_matches(['+', '-']);
    let number = inner.trim_matches([' ', '-']);
    text.trim_start().starts_with("+-")
        && inner.ends_with('-')
        && (number == "..." || !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit()))
}

/// An exception that holds others, which say more.
fn is_group(raised: &Raised) -> bool {
    matches!(raised.name(), "ExceptionGroup" | "BaseExceptionGroup" | "MultiError")
}

/// Lines between an exception and the words that chain it to the next: the rest of a message.
const MESSAGE_LINES: usize = 12;

impl<'a> Trace<'a> {
    fn of(below: &'a [Below<'a>]) -> Trace<'a> {
        let mut trace = Trace::default();
        let mut after = None;
        for (at, line) in below.iter().enumerate() {
            let text = ungrouped(&line.text);
            let chains = text.contains(HEADER)
                || opens_one_more(text)
                || text.starts_with("During handling of the above")
                || text.starts_with("The above exception was the direct");
            if chains {
                after = None;
                trace.last = at;
            } else if let Some(since) = after {
                if at - since > MESSAGE_LINES || Lead::of(text).any() {
                    break;
                }
            } else if let Some(frame) = Frame::of(text) {
                trace.frames.push(frame);
                trace.last = at;
            } else if text.starts_with([' ', '\t']) || text.is_empty() {
                trace.last = at;
            } else if let Some(raised) = Raised::any(text).filter(|_| !Lead::of(text).any()) {
                if trace.raised.iter().all(|(_, it)| is_group(it)) {
                    trace.root = trace.frames.len();
                }
                trace.raised.push((at, raised));
                (trace.last, after) = (at, Some(at));
            } else if Lead::of(text).any() {
                break;
            }
        }
        trace
    }

    fn place(&self) -> Option<String> {
        place(&self.frames[..self.root]).or_else(|| place(&self.frames))
    }

    /// A script's, at its top: what somebody ran by hand, who calls and does not serve.
    fn is_script(&self) -> bool {
        let typed = |it: &Frame| {
            it.file.starts_with("<stdin>")
                || it.file.starts_with("<ipython")
                || it.file.starts_with("<python-input")
        };
        let top = self.frames.iter().any(|it| it.function == "<module>" && !it.is_library())
            || self.frames.iter().any(typed);
        top && !self.frames.iter().any(|it| {
            it.is_servers()
                || it.handles_request()
                || it.loads_app()
                || it.file.contains("importlib")
        })
    }

    fn emit(&self, below: &[Below], head: &Head, at: Option<Stamp>, sink: &mut dyn Sink) -> bool {
        let raised: Vec<Raised> = self.raised.iter().map(|(_, it)| *it).collect();
        let script = !head.app && self.is_script();
        if let Some(last) = below.get(self.last) {
            sink.taken(last);
        }
        let Some(it) = verdict(&raised, &self.frames, head, script) else { return true };
        let Some(line) = self.raised.get(it.index).and_then(|(at, _)| below.get(*at)) else {
            return false;
        };
        let events = it.events(&line.text, self.place(), head, at);
        events.for_each(|it| sink.event_below(line, it));
        true
    }
}

/// What an exception, or a chain of them, comes to.
struct Verdict<'a> {
    sign: Sign,
    product: Product,
    /// Which of the chain says it.
    index: usize,
    words: &'a str,
    detail: Option<&'a str>,
    number: Option<i64>,
    upstream: Option<String>,
    callers: bool,
    /// It also kept the app from starting.
    boot: bool,
}

impl Verdict<'_> {
    /// What was raised, and that the app did not start for it.
    fn events(
        &self,
        text: &str,
        who: Option<String>,
        head: &Head,
        at: Option<Stamp>,
    ) -> impl Iterator<Item = Event<'static>> + use<> {
        let event = self.event(text, who, head, at);
        let boot = self.boot.then(|| Event {
            sign: Sign::BootFailed,
            upstream: None,
            number: None,
            ..event.clone()
        });
        std::iter::once(event).chain(boot)
    }

    fn event(
        &self,
        text: &str,
        who: Option<String>,
        head: &Head,
        at: Option<Stamp>,
    ) -> Event<'static> {
        let span: Range<usize> = span(text, self.words);
        let mut event = Event::new(self.product, self.sign, Trust::D, span)
            .at(at)
            .upstream(self.upstream.clone())
            .detail(self.detail.map(str::to_owned))
            .number(self.number)
            .route(head.route.map(str::to_owned));
        if !self.callers {
            event = event.who(who);
        }
        event
    }
}

fn verdict<'a>(
    raised: &[Raised<'a>],
    frames: &[Frame],
    head: &Head,
    script: bool,
) -> Option<Verdict<'a>> {
    let last = raised.last()?;
    if script && let Some(library) = library(last.kind) {
        return callers(last, raised.len() - 1, library);
    }
    let first = raised.iter().position(|it| !is_group(it)).unwrap_or(0);
    let root = &raised[first];
    if matches!(
        root.name(),
        "SystemExit" | "KeyboardInterrupt" | "GeneratorExit" | "CancelledError"
    ) && raised.len() == first + 1
    {
        return None;
    }
    // What a driver says of its database is more than that a socket refused.
    let signs = || raised.iter().enumerate().filter_map(|(at, it)| Some((at, it.sign()?)));
    let external = |it: Sign| matches!(it, Sign::ExternalFailed | Sign::ExternalTimedOut);
    let known = signs().find(|(_, it)| !external(*it)).or_else(|| signs().next());
    let handles = frames.iter().any(Frame::handles_request);
    let deepest = frames.last().is_some_and(|it| it.function == "<module>");
    let loads = !handles && (frames.iter().any(Frame::loads_app) || deepest);
    let missing = root.name() == "KeyError" && frames.iter().any(Frame::reads_environment);
    let import = matches!(
        root.name(),
        "ModuleNotFoundError" | "ImportError" | "SyntaxError" | "IndentationError" | "TabError"
    );
    let refused = raised.iter().position(is_loaders);
    // What a loader met in its own code says less than what it says of it.
    let first = refused.filter(|_| !frames.iter().any(Frame::is_own)).unwrap_or(first);
    let (index, sign) = match known {
        Some(it) => it,
        None if missing => (first, Sign::ConfigMissing),
        None if head.boot || loads || refused.is_some() || import && !handles => {
            (first, Sign::BootFailed)
        }
        None => (first, Sign::UnhandledException),
    };
    // What is asked for at the top of a module is asked for when the app is loaded.
    let own = frames.iter().rev().find(|it| it.is_own());
    let at_top = missing && own.is_some_and(|it| it.function == "<module>");
    let boot = sign.kind() == Kind::Act
        && sign != Sign::BootFailed
        && (head.boot || !handles && (at_top || frames.iter().any(Frame::loads_app)));
    let raised = &raised[index];
    let whole = matches!(sign, Sign::BootFailed | Sign::ConfigMissing);
    let words = if whole { crate::scan::clip(raised.text, 300) } else { raised.decisive() };
    let number = status(raised).map(i64::from).filter(|_| external(sign));
    Some(Verdict {
        sign,
        product: head.product,
        index,
        words,
        detail: Some(words),
        number,
        upstream: raised
            .dialled()
            .filter(|_| sign.kind() == Kind::Act && sign != Sign::UnhandledException),
        callers: false,
        boot,
    })
}

/// Raised by a server about the app that it was told to load.
fn is_loaders(raised: &Raised) -> bool {
    matches!(
        raised.name(),
        "AppImportError"
            | "NoAppException"
            | "NoAppError"
            | "ImportFromStringError"
            | "LifespanFailureError"
            | "LifespanTimeoutError"
    )
}

/// The client library that an exception is of.
fn library(kind: &str) -> Option<Product> {
    let package = kind.split('.').next()?;
    Some(match package {
        "requests" => Product::Requests,
        "httpx" | "httpcore" => Product::Httpx,
        "urllib3" => Product::Urllib3,
        "aiohttp" => Product::Aiohttp,
        "openai" => Product::OpenAiSdk,
        "anthropic" | "litellm" => Product::Python,
        "urllib" if kind.starts_with("urllib.error.") => Product::Python,
        "http" if kind.starts_with("http.client.") => Product::Python,
        _ => return None,
    })
}

/// Fixed words within a client's message, and what they say of the call.
const CALLS: &[(&str, Sign)] = &[
    ("Unable to connect to proxy", Sign::ClientProxyFailed),
    ("Tunnel connection failed", Sign::ClientProxyFailed),
    ("Cannot connect to proxy", Sign::ClientProxyFailed),
    ("Read timed out", Sign::CallerTimedOut),
    ("Remote end closed connection without response", Sign::CallerFailed),
    ("Server disconnected without sending a response", Sign::CallerFailed),
    ("Server disconnected", Sign::CallerFailed),
    ("Connection refused", Sign::CallerFailed),
    ("Connection reset by peer", Sign::CallerFailed),
    ("Name or service not known", Sign::CallerFailed),
    ("Temporary failure in name resolution", Sign::CallerFailed),
    ("nodename nor servname provided", Sign::CallerFailed),
    ("certificate verify failed", Sign::CallerFailed),
    ("No route to host", Sign::CallerFailed),
    ("Connection error.", Sign::CallerFailed),
    ("Cannot connect to host", Sign::CallerFailed),
    ("timed out", Sign::CallerTimedOut),
];

/// What a caller saw. The URL is his own, and so is all after it.
fn callers<'a>(raised: &Raised<'a>, index: usize, product: Product) -> Option<Verdict<'a>> {
    let message = raised.message;
    let status = status(raised);
    let own = raised.own_words();
    let name = raised.name();
    let (sign, words) = match status {
        Some(500..) => (Sign::CallerSawError, status_words(raised).unwrap_or(own)),
        Some(429) => (Sign::RateLimited, status_words(raised).unwrap_or(own)),
        Some(401 | 403) => (Sign::AuthDenied, status_words(raised).unwrap_or(own)),
        Some(_) => return None,
        None if name == "ProxyError" => (Sign::ClientProxyFailed, own),
        None if name.contains("Timeout") => (Sign::CallerTimedOut, own),
        None => match CALLS.iter().find_map(|(words, sign)| {
            message.find(words).map(|at| (*sign, &message[at..at + words.len()]))
        }) {
            Some((sign, words)) => (sign, words),
            None if matches!(
                name,
                "ConnectionError"
                    | "ConnectError"
                    | "SSLError"
                    | "MaxRetryError"
                    | "NewConnectionError"
                    | "RemoteDisconnected"
                    | "ReadError"
                    | "RemoteProtocolError"
                    | "APIConnectionError"
                    | "ServerDisconnectedError"
                    | "ClientConnectorError"
                    | "ChunkedEncodingError"
                    | "URLError"
            ) =>
            {
                (Sign::CallerFailed, own)
            }
            None => return None,
        },
    };
    Some(Verdict {
        sign,
        product,
        index,
        words,
        detail: Some(words).filter(|_| sign != Sign::CallerSawError),
        number: status.map(i64::from),
        upstream: url(message)
            .map(|it| address::authority(it).to_owned())
            .or_else(|| raised.dialled()),
        callers: true,
        boot: false,
    })
}

/// The status in the message of a client, where the client's own code writes it.
fn status(raised: &Raised) -> Option<u16> {
    let message = raised.message;
    let after = |before: &str| message.strip_prefix(before);
    let rest = after("HTTP Error ")
        .or_else(|| after("Error code: "))
        .or_else(|| after("Server error '"))
        .or_else(|| after("Client error '"))
        .or_else(|| {
            let at = message.find("too many ")?;
            message[at + 9..].contains(" error responses").then_some(&message[at + 9..])
        })
        .or_else(|| {
            let follows = message.get(3..)?;
            let client = [" Server Error", " Client Error", ", message="];
            client.iter().any(|it| follows.starts_with(it)).then_some(message)
        })?;
    let digits = rest.get(..3)?;
    let whole = !rest[3..].starts_with(|it: char| it.is_ascii_digit());
    digits.parse().ok().filter(|it| (100..600).contains(it) && whole)
}

/// From the type to the status and its reason, or only `too many 502 error responses`.
fn status_words<'a>(raised: &Raised<'a>) -> Option<&'a str> {
    let message = raised.message;
    if let Some(at) = message.find("too many ") {
        return Some(crate::scan::clip(&message[at..], "too many 502 error responses".len()));
    }
    if let Some(rest) =
        message.strip_prefix("Server error '").or_else(|| message.strip_prefix("Client error '"))
    {
        let end = message.len() - rest.len() + rest.find('\'')? + 1;
        return Some(&raised.text[..raised.text.len() - message.len() + end]);
    }
    let end = [" - ", " for url", ", message=", ": {"]
        .iter()
        .filter_map(|it| message.find(it))
        .min()
        .unwrap_or(message.len());
    let end = match message.find(", message='") {
        Some(at) if at == 3 => at + 11 + message[at + 11..].find('\'')? + 1,
        _ => end,
    };
    Some(&raised.text[..raised.text.len() - message.len() + end])
}

fn url(message: &str) -> Option<&str> {
    let at = message.find("http://").or_else(|| message.find("https://"))?;
    let end = message[at..].find([' ', '\'', '"', ')', ',']).unwrap_or(message.len() - at);
    Some(&message[at..at + end])
}

/// A line that is nothing but an exception of Python, after what a logger puts before it.
fn last_line(text: &str) -> Option<(Lead<'_>, Raised<'_>)> {
    let lead = Lead::of(text);
    let raised = of_python(&text[before_type(text, &lead)..])?;
    Some((lead, raised))
}

fn of_python(message: &str) -> Option<Raised<'_>> {
    Raised::of(message)
        .filter(|it| library(it.kind).is_some() || is_python(it))
        .or_else(|| of_urllib3(message))
}

/// Where the message begins: the type of an exception looks like the name of a logger.
fn before_type(text: &str, lead: &Lead) -> usize {
    let type_of = |name: &&str| name.ends_with("Error") || name.ends_with("Exception");
    let Some(name) = lead.logger.filter(type_of) else { return lead.inset };
    let at = text[..lead.inset].rfind(name);
    at.filter(|at| text[at + name.len()..].starts_with(": ")).unwrap_or(lead.inset)
}

/// What libpq says, in a logger's words: `error connecting in 'pool-1': connection failed:
/// connection to server at "192.0.2.9", port 5432 failed: FATAL:  sorry, too many clients already`.
fn of_libpq(message: &str) -> Option<Raised<'_>> {
    let own = "connection to server at \"";
    let at = message.find(own)?;
    let before = &message[..at];
    let pool = before.is_empty()
        || before.starts_with("error connecting in '")
        || before.starts_with("connection failed: ")
        || before.starts_with("connection attempt failed: ");
    let said = Raised { kind: "OperationalError", message: &message[at..], text: &message[at..] };
    (pool && said.dialled().is_some()).then_some(said)
}

/// An exception of urllib3 or requests without its package, or without its type:
/// `HTTPConnectionPool(host='app', port=80): Max retries exceeded with url: …`.
fn of_urllib3(text: &str) -> Option<Raised<'_>> {
    let types = ["ConnectionError: ", "MaxRetryError: ", "ReadTimeout: ", "ConnectTimeout: "];
    let message = types.iter().find_map(|it| text.strip_prefix(it)).unwrap_or(text);
    let pool = message.strip_prefix("HTTP").map(|it| it.strip_prefix('S').unwrap_or(it))?;
    // What a certificate was refused for is told by other readers.
    if !pool.starts_with("ConnectionPool(host='") || message.contains("SSLError(") {
        return None;
    }
    let timed_out =
        message.contains("): Read timed out. (") || message.contains("ConnectTimeoutError(");
    let kind = match timed_out {
        true => "requests.exceptions.Timeout",
        false => "requests.exceptions.ConnectionError",
    };
    Some(Raised { kind, message, text })
}

/// Types that only Python has, and those of its packages that say something.
fn is_python(raised: &Raised) -> bool {
    let builtin = matches!(
        raised.kind,
        "OSError"
            | "ModuleNotFoundError"
            | "ImportError"
            | "KeyError"
            | "ValueError"
            | "AttributeError"
            | "ZeroDivisionError"
            | "IndexError"
            | "NameError"
            | "MemoryError"
            | "RecursionError"
            | "ConnectionRefusedError"
            | "ConnectionResetError"
            | "BrokenPipeError"
            | "TimeoutError"
            | "FileNotFoundError"
            | "PermissionError"
            | "IndentationError"
            | "TabError"
            | "UnicodeDecodeError"
            | "UnicodeEncodeError"
            | "AssertionError"
            | "NotImplementedError"
            | "RuntimeError"
            | "TypeError"
            | "SyntaxError"
            | "UnboundLocalError"
            | "ImproperlyConfigured"
    );
    let packages = [
        "psycopg2",
        "psycopg",
        "asyncpg",
        "sqlalchemy",
        "pymysql",
        "MySQLdb",
        "mysql",
        "pymongo",
        "redis",
        "kombu",
        "celery",
        "pika",
        "kafka",
        "aiormq",
        "django",
        "peewee",
        "sqlite3",
        "socket",
        "gunicorn",
        "pydantic",
        "pydantic_core",
        "jinja2",
        "werkzeug",
        "starlette",
        "fastapi",
        "psycopg_pool",
        "_mysql_exceptions",
        "aiomysql",
        "elasticsearch",
        "botocore",
        "grpc",
    ];
    let package = raised.kind.split_once('.').map(|(it, _)| it);
    builtin || package.is_some_and(|it| packages.contains(&it))
}

#[cfg(test)]
mod tests {
    use crate::scan::{Part, Window, scan};
    use crate::sign::Sign;
    use crate::source::{Arrival, Shape};
    use crate::testing::{check, check_nothing};

    #[test]
    fn a_traceback_is_quoted_at_its_exception_and_placed_at_the_apps_own_frame() {
        check(
            "Traceback (most recent call last):\n  File \"/venv/lib/python3.11/site-packages/flask/app.py\", line 1, in wsgi_app\n    x\n  File \"/srv/shop/views.py\", line 42, in total\n    return 1 / n\nZeroDivisionError: division by zero\n",
            "Python: UnhandledException who=/srv/shop/views.py:42 in total detail=ZeroDivisionError: division by zero | ZeroDivisionError: division by zero",
        );
    }

    #[test]
    fn at_boot_the_app_did_not_start() {
        check(
            "Traceback (most recent call last):\n  File \"/srv/app.py\", line 1, in <module>\n    import flask\nModuleNotFoundError: No module named 'flask'\n",
            "Python: BootFailed who=/srv/app.py:1 detail=ModuleNotFoundError: No module named 'flask' | ModuleNotFoundError: No module named 'flask'",
        );
        check(
            "Traceback (most recent call last):\n  File \"/srv/app.py\", line 3, in <module>\n    KEY = os.environ[\"SECRET\"]\n  File \"<frozen os>\", line 679, in __getitem__\nKeyError: 'SECRET'\n",
            "Python: ConfigMissing who=/srv/app.py:3 detail=KeyError: 'SECRET' | KeyError: 'SECRET'; Python: BootFailed who=/srv/app.py:3 detail=KeyError: 'SECRET' | KeyError: 'SECRET'",
        );
    }

    #[test]
    fn a_variable_that_a_request_misses_does_not_keep_the_app_from_starting() {
        check(
            "Traceback (most recent call last):\n  File \"/venv/lib/python3.11/site-packages/flask/app.py\", line 1, in wsgi_app\n    x\n  File \"/srv/app.py\", line 30, in pay\n    KEY = os.environ[\"SECRET\"]\n  File \"<frozen os>\", line 679, in __getitem__\nKeyError: 'SECRET'\n",
            "Python: ConfigMissing who=/srv/app.py:30 in pay detail=KeyError: 'SECRET' | KeyError: 'SECRET'",
        );
    }

    #[test]
    fn what_a_server_says_of_the_app_it_loads_counts_for_more_than_its_own_frames() {
        let chain = |name: &str, own: &str| {
            format!(
                "Traceback (most recent call last):\n  File \"/venv/lib/python3.12/site-packages/hypercorn/utils.py\", line 106, in {name}\n    app = eval(app_name, vars(module))\n  File \"{own}\", line 1, in <module>\nNameError: name 'api' is not defined\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"/usr/lib/python3.12/multiprocessing/process.py\", line 314, in _bootstrap\n    self.run()\n  File \"/venv/lib/python3.12/site-packages/hypercorn/utils.py\", line 108, in {name}\n    raise NoAppError(\nhypercorn.utils.NoAppError: Cannot load application from 'main:api', application not found.\n"
            )
        };
        check(
            &chain("load_application", "<string>"),
            "Python: BootFailed detail=hypercorn.utils.NoAppError: Cannot load application from 'main:api', application not found. | hypercorn.utils.NoAppError: Cannot load application from 'main:api', application not found.",
        );
        check(
            &chain("load_application", "/srv/main.py"),
            "Python: BootFailed who=/srv/main.py:1 detail=NameError: name 'api' is not defined | NameError: name 'api' is not defined",
        );
        check(
            "Traceback (most recent call last):\n  File \"/venv/lib/python3.12/site-packages/hypercorn/asyncio/run.py\", line 88, in worker_serve\n    await lifespan.wait_for_startup()\nhypercorn.utils.LifespanFailureError: Lifespan failure in startup. ''\n",
            "Python: BootFailed detail=hypercorn.utils.LifespanFailureError: Lifespan failure in startup. '' | hypercorn.utils.LifespanFailureError: Lifespan failure in startup. ''",
        );
    }

    #[test]
    fn of_a_group_the_first_exception_in_it_is_the_reason() {
        let group = |inner: &str| {
            format!(
                "  + Exception Group Traceback (most recent call last):\n  |   File \"/venv/lib/python3.12/site-packages/starlette/routing.py\", line 1, in app\n  |     async with anyio.create_task_group() as group:\n  | ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n{inner}    +---------------- 2 ----------------\n    | ValueError: late\n    +------------------------------------\ndone\n"
            )
        };
        check(
            &group(
                "    | Traceback (most recent call last):\n    |   File \"/srv/jobs.py\", line 12, in collect\n    |     raise RuntimeError(\"no price\")\n    | RuntimeError: no price\n",
            ),
            "Python: UnhandledException who=/srv/jobs.py:12 in collect detail=RuntimeError: no price | RuntimeError: no price",
        );
        check(
            &group("    | KeyError: 'price'\n"),
            "Python: UnhandledException detail=KeyError | KeyError",
        );
        check(
            "  + Exception Group Traceback (most recent call last):\n  |   File \"/srv/jobs.py\", line 12, in collect\n  | ExceptionGroup: one of many (1 sub-exception)\n",
            "Python: UnhandledException who=/srv/jobs.py:12 in collect detail=ExceptionGroup: one of many | ExceptionGroup: one of many",
        );
    }

    #[test]
    fn what_was_raised_while_the_app_was_loaded_kept_it_from_starting_too() {
        check(
            "Traceback (most recent call last):\n  File \"/usr/lib/python3.12/multiprocessing/process.py\", line 314, in _bootstrap\n    self.run()\n  File \"/venv/lib/python3.12/site-packages/uvicorn/config.py\", line 434, in load_app\n    return import_from_string(self.app)\n  File \"/srv/shop/db.py\", line 9, in connect\n    a\npsycopg2.OperationalError: connection to server at \"db\" (192.0.2.7), port 5432 failed: Connection refused\n",
            "Python: DbRefused upstream=db:5432 who=/srv/shop/db.py:9 in connect detail=psycopg2.OperationalError: connection to server at \"db\" (192.0.2.7), port 5432 failed: Connection refused | psycopg2.OperationalError: connection to server at \"db\" (192.0.2.7), port 5432 failed: Connection refused; Python: BootFailed who=/srv/shop/db.py:9 in connect detail=psycopg2.OperationalError: connection to server at \"db\" (192.0.2.7), port 5432 failed: Connection refused | psycopg2.OperationalError: connection to server at \"db\" (192.0.2.7), port 5432 failed: Connection refused",
        );
    }

    #[test]
    fn the_first_of_a_chain_is_the_reason_unless_a_driver_says_more() {
        check(
            "Traceback (most recent call last):\n  File \"/srv/db.py\", line 9, in load\n    a\nConnectionRefusedError: [Errno 111] Connection refused\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"/srv/db.py\", line 12, in load\n    b\nredis.exceptions.ConnectionError: Error 111 connecting to cache:6379. Connection refused.\n",
            "Python: CacheDown upstream=cache:6379 who=/srv/db.py:9 in load detail=redis.exceptions.ConnectionError: Error 111 connecting to cache:6379. Connection refused. | redis.exceptions.ConnectionError: Error 111 connecting to cache:6379. Connection refused.",
        );
    }

    #[test]
    fn a_cut_traceback_still_says_where() {
        check(
            "Traceback (most recent call last):\n  File \"/srv/app.py\", line 7, in get",
            "Python: UnhandledException who=/srv/app.py:7 in get | Traceback (most recent call last)",
        );
    }

    #[test]
    fn what_a_caller_saw_is_told_without_his_url() {
        check(
            "requests.exceptions.HTTPError: 502 Server Error: Bad Gateway for url: https://api.example.com/data",
            "requests: CallerSawError upstream=api.example.com number=502 | requests.exceptions.HTTPError: 502 Server Error: Bad Gateway",
        );
        check(
            "httpx.HTTPStatusError: Server error '502 Bad Gateway' for url 'http://api.example.com/data'",
            "httpx: CallerSawError upstream=api.example.com number=502 | httpx.HTTPStatusError: Server error '502 Bad Gateway'",
        );
        check(
            "aiohttp.client_exceptions.ClientResponseError: 503, message='Service Unavailable', url='http://api.example.com/data'",
            "aiohttp: CallerSawError upstream=api.example.com number=503 | aiohttp.client_exceptions.ClientResponseError: 503, message='Service Unavailable'",
        );
        check(
            "urllib.error.HTTPError: HTTP Error 504: Gateway Timeout",
            "Python: CallerSawError number=504 | urllib.error.HTTPError: HTTP Error 504: Gateway Timeout",
        );
        check(
            "openai.InternalServerError: Error code: 502 - {'error': 'Connection refused'}",
            "the openai SDK: CallerSawError number=502 | openai.InternalServerError: Error code: 502",
        );
        check(
            "requests.exceptions.RetryError: HTTPSConnectionPool(host='api.example.com', port=443): Max retries exceeded with url: /data (Caused by ResponseError('too many 502 error responses'))",
            "requests: CallerSawError upstream=api.example.com:443 number=502 | too many 502 error responses",
        );
        check(
            "requests.exceptions.ConnectionError: ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
            "requests: CallerFailed detail=Remote end closed connection without response | Remote end closed connection without response",
        );
        check(
            "requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='api.example.com', port=443): Read timed out. (read timeout=5)",
            "requests: CallerTimedOut upstream=api.example.com:443 detail=requests.exceptions.ReadTimeout: HTTPSConnectionPool | requests.exceptions.ReadTimeout: HTTPSConnectionPool",
        );
        check_nothing(
            "requests.exceptions.HTTPError: 404 Client Error: Not Found for url: https://api.example.com/502",
        );
    }

    #[test]
    fn the_same_exception_in_a_server_is_a_call_of_the_app() {
        check(
            "Traceback (most recent call last):\n  File \"/venv/lib/python3.11/site-packages/flask/app.py\", line 1, in wsgi_app\n    x\n  File \"/srv/pay.py\", line 4, in pay\n    r.raise_for_status()\nrequests.exceptions.HTTPError: 502 Server Error: Bad Gateway for url: https://bank.example.com/pay\n",
            "Python: ExternalFailed who=/srv/pay.py:4 in pay detail=requests.exceptions.HTTPError: 502 Server Error: Bad Gateway number=502 | requests.exceptions.HTTPError: 502 Server Error: Bad Gateway",
        );
    }

    #[test]
    fn prose_and_quoted_exceptions_are_no_exceptions() {
        check_nothing("the log said requests.exceptions.HTTPError: 502 Server Error");
        check_nothing("INFO:app:user sent 'Traceback (most recent call last): x'");
        check_nothing("SystemExit: 1");
    }

    #[test]
    fn a_unit_counts_once_and_is_placed_at_its_own_line() {
        let text = "api-1  | [2026-11-20 15:15:57 +0000] [5] [INFO] Starting gunicorn 21.2.0\n\
                    api-1  | [2026-11-20 15:15:58 +0000] [6] [ERROR] Exception in worker process\n\
                    api-1  | Traceback (most recent call last):\n\
                    db-1   | 2026-11-20 15:15:58.123 UTC [7] FATAL:  sorry, too many clients already\n\
                    api-1  |   File \"/srv/app.py\", line 1, in <module>\n\
                    api-1  | ModuleNotFoundError: No module named 'flask'\n\
                    api-1  | [2026-11-20 15:15:59 +0000] [5] [ERROR] Worker (pid:6) exited with code 3.\n";
        let shape = Shape::of("log", text.as_bytes(), Arrival::Stream, 2026);
        let ledger = scan(&shape, 0, Part::whole(text.as_bytes()), Window::default());
        let mut signs: Vec<(Sign, u64)> =
            ledger.groups.iter().map(|(key, it)| (key.sign, it.count)).collect();
        signs.sort();
        let want = [Sign::BootFailed, Sign::WorkerDied, Sign::DbTooManyClients, Sign::Started];
        assert_eq!(signs, want.map(|it| (it, 1)));
        let boot = ledger.groups.iter().find(|it| it.0.sign == Sign::BootFailed).expect("a group");
        let sample = boot.1.sample();
        assert_eq!(sample.place.line, Some(6));
        let at = sample.place.offset as usize + sample.inset.expect("raw bytes");
        assert_eq!(
            &text[at..at + sample.quote.len()],
            "ModuleNotFoundError: No module named 'flask'"
        );
        assert_eq!(boot.0.service.as_deref(), Some("api"));
    }

    #[test]
    fn what_libpq_says_is_read_behind_a_loggers_prefix() {
        let refused = "psycopg2.OperationalError: connection to server at \"db\" (192.0.2.9), port 5432 failed: Connection refused";
        check(
            &format!("2026-11-20 15:16:30,123 ERROR {refused}"),
            &format!("Python: DbRefused upstream=db:5432 detail={refused} | {refused}"),
        );
        let full = "connection to server at \"192.0.2.9\", port 5432 failed: FATAL:  sorry, too many clients already";
        check(
            &format!(
                "[2026-11-20 15:16:30 +0000] [9] [WARNING] error connecting in 'pool-1': connection failed: {full}"
            ),
            &format!("gunicorn: DbTooManyClients upstream=192.0.2.9:5432 detail={full} | {full}"),
        );
        check_nothing(&format!("[2026-11-20 15:16:30 +0000] [9] [WARNING] the caller sent {full}"));
    }

    #[test]
    fn a_pool_of_urllib3_is_known_without_the_package_of_its_error() {
        let refused = "HTTPConnectionPool(host='localhost', port=8000): Max retries exceeded with url: / (Caused by NewConnectionError('<x>: Failed to establish a new connection: [Errno 111] Connection refused'))";
        let want = "requests: CallerFailed upstream=localhost:8000 detail=Connection refused | Connection refused";
        check(refused, want);
        check(&format!("ConnectionError: {refused}"), want);
        check(
            "HTTPConnectionPool(host='app', port=80): Read timed out. (read timeout=5)",
            "requests: CallerTimedOut upstream=app:80 detail=HTTPConnectionPool | HTTPConnectionPool",
        );
        check_nothing("the caller sent HTTPConnectionPool(host='app', port=80): Read timed out.");
    }
}
