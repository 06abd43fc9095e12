//! Node: errors as one unit, fatal ends, and the lines by which its frameworks and pm2 say that
//! they run.
//!
//! An error is `TYPE: MESSAGE`, its frames (`    at f (file:1:2)`), perhaps its fields in braces.
//! Where it ended the process, the line that threw it stands above it with a caret, and since 17
//! `Node.js v20.20.2` below (lib/internal/process/execution.js, src/node_errors.cc, deps/v8).

use crate::clock::Stamp;
use crate::event::{Event, Sink};
use crate::lead::Lead;
use crate::line::{Below, Line};
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::flat::Flat;
use crate::readers::raised::{Raised, span};
use crate::rule::{self, Rule, rule, words};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const ERROR: Reader = Reader {
    name: "Node error",
    product: Product::Node,
    hooks: &["Error: ", "Error [", "error: ", "UnhandledPromiseRejection", "nhandled "],
    fits: |line| error(line).is_some(),
    read,
    source: "Node 20.20: lib/internal/errors.js, lib/internal/process/promises.js; measured",
    example: "Error: listen EADDRINUSE: address already in use :::3000",
};

pub(super) const JSON: Reader = Reader {
    name: "Node error in JSON (pino, winston, bunyan)",
    product: Product::Node,
    hooks: &["\\n    at "],
    fits: |line| stack(&line.text).is_some(),
    read: |line, sink| {
        let Some((at, stack)) = stack(&line.text) else { return };
        // The line is not decoded: what ends its lines stands in it as two letters.
        let mut lines = stack.split("\\n");
        let Some(raised) = lines.next().and_then(error_of) else { return };
        let place = lines.find_map(own_frame);
        let sign = match raised.sign() {
            _ if is_module_missing(&raised) => Sign::BootFailed,
            it => it.unwrap_or(Sign::UnhandledException),
        };
        let words = raised.decisive();
        sink.event(
            Event::new(Product::Node, sign, Trust::D, span(&line.text, words))
                .at(at)
                .upstream(raised.dialled())
                .who(place)
                .detail(Some(words)),
        );
    },
    source: "pino 9: docs/api.md, std-serializers; winston 3: lib/winston/exception-handler.js; bunyan 1.8: lib/bunyan.js",
    example: r#"{"level":50,"time":1763651790000,"pid":7,"hostname":"web1","err":{"type":"TypeError","message":"a.b is not a function","stack":"TypeError: a.b is not a function\n    at total (/srv/app/price.js:9:2)\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"},"msg":"request errored"}"#,
};

/// When an object of a logger was written, and the stack in it.
fn stack(text: &str) -> Option<(Option<Stamp>, &str)> {
    if !text.starts_with('{') || !text.contains("\\n    at ") {
        return None;
    }
    let flat = Flat::of(text)?;
    let stack = flat.any(&["err/stack", "error/stack", "stack", "exception/stack"])?;
    let mut lines = stack.split("\\n");
    error_of(lines.next()?)?;
    lines.any(is_frame).then(|| (flat.time(&["time", "timestamp", "@timestamp"]), stack))
}

fn error_of(text: &str) -> Option<Raised<'_>> {
    coded(text).or_else(|| Raised::of(text)).filter(|it| !it.kind.contains(['.', ':']))
}

pub(super) const LOG: Reader = Reader {
    name: "Node runtime and pm2",
    product: Product::Node,
    hooks: &[
        "JavaScript heap out of memory",
        "PM2 ",
        "[PM2]",
        "Nest application successfully started",
        "Starting Nest application",
        "started server on ",
        "- Local: ",
        "Ready in ",
        "ready - ",
        "Ready on ",
        "npm ERR! Missing script",
        "npm error Missing script",
        "npm ERR! errno",
        "Listening on ",
        "Listening on: ",
        "Server listening at ",
        "server is listening on port ",
        "[nodemon] app crashed",
    ],
    fits: |line| told(line).is_some(),
    read: |line, sink| {
        if let Some(event) = told(line) {
            sink.event(event);
        }
    },
    source: "V8 heap.cc; pm2 5: lib/God.js, lib/Worker.js; @nestjs/core nest-application.ts; next 14: server/lib/app-info-log.ts",
    example: "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
};

const RULES: &[Rule] = &[
    rule("FATAL ERROR: {_} «JavaScript heap out of memory»", Sign::HeapExhausted),
    rule("ERROR: {_} «JavaScript heap out of memory»", Sign::HeapExhausted),
    rule("{_}Allocation failed - «JavaScript heap out of memory»", Sign::HeapExhausted),
    rule("PM2 {_}App [{who}] exited with code [{number}]", Sign::ProcessExited),
    rule("PM2 {_}Script {who} had too many unstable restarts", Sign::CrashLooping),
    rule("PM2 {_}App [{who}] online", Sign::Started),
    rule("PM2 {_}Stopping app:{who}", Sign::ProcessStopped),
    rule("[PM2] «{_}exited with code» [{number}]", Sign::ProcessExited),
    rule("[NestApplication] Nest application successfully started", Sign::Ready),
    rule("Nest application successfully started", Sign::Ready),
    rule("[NestFactory] Starting Nest application", Sign::StartingUp),
    rule("Starting Nest application", Sign::StartingUp),
    rule("ready - started server on {upstream}, url", Sign::Listening),
    rule("started server on {upstream}, url", Sign::Listening),
    rule("- Local: {upstream}", Sign::Listening),
    rule("\u{2713} Ready in ", Sign::Ready),
    rule("Ready on {upstream}", Sign::Listening),
    words("Listening on {upstream}", Sign::Listening),
    words("Listening on: {upstream}", Sign::Listening),
    words("Server listening at {upstream}", Sign::Listening),
    rule("npm ERR! Missing script: {detail}", Sign::BootFailed),
    rule("npm error Missing script: {detail}", Sign::BootFailed),
    rule("npm ERR! errno {number}", Sign::ProcessExited),
    rule("[nodemon] app crashed", Sign::ProcessExited),
];

fn told<'a>(line: &'a Line) -> Option<Event<'a>> {
    // `PM2        | `, `▲ `, `[Nest] 7  - 11/20/2026, …     LOG `.
    let text = &*line.text;
    let lead = Lead::of(text);
    let mut start = lead.inset;
    if let Some(rest) = text.strip_prefix("[Nest] ") {
        let at = rest.find("[Nest")?;
        start = text.len() - rest.len() + at;
    }
    let rest = text[start..].trim_start_matches([' ', '\t', '|']);
    start = text.len() - rest.len();
    // The address of Next stands after blanks.
    let event = rule::event(RULES, Product::Node, text, start).or_else(|| {
        let rest = rest.strip_prefix("- Local:")?.trim_start();
        let at = text.len() - rest.len();
        let length = rest.find(' ').unwrap_or(rest.len());
        (length > 0).then(|| {
            Event::new(Product::Node, Sign::Listening, Trust::C, start..at + length)
                .upstream(Some(&rest[..length]))
        })
    })?;
    (event.sign != Sign::Listening || event.upstream.as_deref().is_some_and(is_address))
        .then(|| event.at(lead.at))
}

fn is_address(text: &str) -> bool {
    text.starts_with("http") || crate::address::port(crate::address::authority(text)).is_some()
}

pub(super) const PROXY: Reader = Reader {
    name: "Node proxies (http-proxy, Vite, webpack-dev-server, Next)",
    product: Product::Node,
    hooks: &[
        "[HPM] Error occurred while ",
        "Could not proxy request ",
        "Error occurred while trying to prox",
        "Error occurred while proxying request ",
        "http proxy error",
        "ws proxy error",
        "Failed to proxy http",
        "Request failed to proxy: ",
        "[vite] Internal server error: ",
    ],
    fits: |line| proxied(line).is_some(),
    read: |line, sink| {
        let Some(it) = proxied(line) else { return };
        if let Some(last) = &it.last {
            sink.taken(last);
        }
        let span = span(&line.text, it.words);
        sink.event(
            Event::new(Product::Node, it.sign, Trust::C, span)
                .at(Lead::of(&line.text).at)
                .upstream(it.upstream)
                .detail(it.code),
        );
    },
    source: "http-proxy-middleware 0.19 to 3: src/plugins/default/logger-plugin.ts; \
             react-dev-utils WebpackDevServerUtils.js; vite src/node/server/middlewares/proxy.ts; \
             next server/lib/router-utils/proxy-request.ts",
    example: "[HPM] Error occurred while proxying request localhost:3000/api to http://localhost:5000/ \
              [ECONNREFUSED] (https://nodejs.org/api/errors.html#errors_common_system_errors)",
};

/// A request that a proxy of Node could not pass on.
struct Proxied<'a> {
    sign: Sign,
    words: &'a str,
    upstream: Option<String>,
    code: Option<String>,
    last: Option<Below<'a>>,
}

/// The target comes after the request, whose path has no space in it; the code of the error comes
/// last, or in the lines below.
fn proxied<'a>(line: &'a Line<'a>) -> Option<Proxied<'a>> {
    let text = line.text.trim_end();
    let lead = Lead::of(text).inset;
    let starts = [
        "[HPM] ",
        "<e> ",
        "[webpack-dev-server] ",
        "[vite] ",
        "Proxy error: ",
        "Proxy error ",
        "Internal server error: ",
        "\u{2a2f} ",
        "X ",
    ];
    let mut rest = text[lead..].trim_start();
    // Vite's time of day stands before its name.
    if let Some(at) = rest.find("[vite] ").filter(|at| *at < 16) {
        rest = &rest[at..];
    }
    while let Some(after) = starts.iter().find_map(|it| rest.strip_prefix(it)) {
        rest = after.trim_start();
    }
    let of_vite = text.contains("[vite] Internal server error: ");
    if let Some(it) = of_vite.then(|| dialling(rest)).flatten() {
        return Some(it);
    }
    let heads = [
        "Error occurred while trying to proxy request ",
        "Error occurred while trying to proxy to: ",
        "Error occurred while trying to proxy: ",
        "Error occurred while proxying request ",
        "Could not proxy request ",
        "http proxy error: ",
        "http proxy error at ",
        "ws proxy error: ",
        "ws proxy error at ",
        "ws proxy error:",
        "Failed to proxy ",
        "Request failed to proxy: ",
    ];
    let (head, after) = heads.iter().find_map(|it| Some((*it, rest.strip_prefix(it)?)))?;
    let target = after
        .rfind(" to http")
        .or_else(|| after.rfind(" to ws"))
        .map(|at| &after[at + " to ".len()..])
        .or_else(|| head.starts_with("Failed").then_some(after));
    let target = target.and_then(|it| it.split([' ', ',']).next());
    let target = target.map(|it| it.trim_end_matches(['.', ':']));
    // Code and address follow what a caller sent, so they are searched only after the target, or
    // below; a path is no word of a caller's that holds brackets and blanks.
    let tail = match target {
        Some(it) => &text[span(text, it).end..],
        // Of local-ssl-proxy: nothing but the code.
        None if head.starts_with("Request") => after,
        None => after.split_once(' ').map_or("", |it| it.1),
    };
    let mut sign = None;
    let mut dialled = None;
    let mut code = None;
    let mut last = None;
    for (at, it) in std::iter::once(tail.to_owned())
        .chain(line.below().take(4).map(|it| it.text.into_owned()))
        .enumerate()
    {
        let own = at == 0
            || it.contains("Error")
            || it.starts_with("See https://nodejs.org")
            || it.contains("code: '")
            || it.trim_start().starts_with("at ");
        if !own {
            break;
        }
        if let Some((word, found)) = code_of(&it) {
            dialled = Raised::any(it.trim_start()).and_then(|it| it.dialled()).or_else(|| {
                let rest = it.split_once("connect ECONNREFUSED ")?.1;
                rest.split([' ', ',']).next().map(bracketed)
            });
            (sign, code) = (Some(found), Some(word.to_owned()));
            last = (at > 0).then(|| line.below().nth(at - 1)).flatten();
            break;
        }
    }
    // The words before the request are the proxy's own, and so is the target.
    let words = match target {
        Some(it) if !head.starts_with("Failed") => it,
        _ => rest[..head.len()].trim_end_matches([' ', ':']),
    };
    Some(Proxied {
        sign: sign.unwrap_or(Sign::ConnectFailed),
        words,
        upstream: target
            .filter(|it| it.contains("://"))
            .map(|it| it.split(['?', '#']).next().unwrap_or(it).to_owned())
            .or(dialled),
        code,
        last,
    })
}

/// `connect ECONNREFUSED ::1:3080`, `read ECONNRESET`: what ended a request that a middleware of the
/// server passed on.
fn dialling(message: &str) -> Option<Proxied<'_>> {
    const DONE: [&str; 6] =
        ["connect E", "read E", "write E", "getaddrinfo E", "socket hang up", "Parse Error: "];
    DONE.iter().find(|it| message.starts_with(**it))?;
    let (code, sign) = code_of(message)?;
    let end = message.find(code)? + code.len();
    let dialled = message[end..].split_ascii_whitespace().next();
    let upstream = dialled.filter(|_| message.starts_with("connect E")).map(bracketed);
    Some(Proxied {
        sign,
        words: &message[..end],
        upstream,
        code: Some(code.to_owned()),
        last: None,
    })
}

/// Node writes the address of IPv6 and its port without brackets: `::1:3080`.
fn bracketed(address: &str) -> String {
    let parts = address.rsplit_once(':').filter(|(host, port)| {
        port.parse::<u16>().is_ok() && host.parse::<std::net::Ipv6Addr>().is_ok()
    });
    parts.map_or_else(|| address.to_owned(), |(host, port)| format!("[{host}]:{port}"))
}

/// The code or words of an error of Node's, and what they say of a connection to an upstream.
fn code_of(text: &str) -> Option<(&'static str, Sign)> {
    const CODES: &[(&str, Sign)] = &[
        ("ECONNREFUSED", Sign::ConnectRefused),
        ("socket hang up", Sign::Closed),
        ("ECONNRESET", Sign::Reset),
        ("ESOCKETTIMEDOUT", Sign::HeadTimedOut),
        ("ETIMEDOUT", Sign::ConnectTimedOut),
        ("ENOTFOUND", Sign::NameNotFound),
        ("EAI_AGAIN", Sign::NameTimedOut),
        ("EHOSTUNREACH", Sign::HostUnreachable),
        ("ENETUNREACH", Sign::NetworkUnreachable),
        ("EADDRNOTAVAIL", Sign::NoLocalPort),
        ("EMFILE", Sign::NoDescriptors),
        ("EPIPE", Sign::SendBroken),
        ("ENOENT", Sign::SocketMissing),
        ("EACCES", Sign::ConnectDenied),
        ("DEPTH_ZERO_SELF_SIGNED_CERT", Sign::CertSelfSigned),
        ("SELF_SIGNED_CERT_IN_CHAIN", Sign::CertUntrusted),
        ("self-signed certificate in certificate chain", Sign::CertUntrusted),
        ("self signed certificate in certificate chain", Sign::CertUntrusted),
        ("self-signed certificate", Sign::CertSelfSigned),
        ("self signed certificate", Sign::CertSelfSigned),
        ("UNABLE_TO_VERIFY_LEAF_SIGNATURE", Sign::CertIncomplete),
        ("unable to verify the first certificate", Sign::CertIncomplete),
        ("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", Sign::CertUntrusted),
        ("unable to get local issuer certificate", Sign::CertUntrusted),
        ("CERT_HAS_EXPIRED", Sign::CertExpired),
        ("certificate has expired", Sign::CertExpired),
        ("ERR_TLS_CERT_ALTNAME_INVALID", Sign::CertWrongName),
        ("does not match certificate's altnames", Sign::CertWrongName),
        ("ERR_SSL_WRONG_VERSION_NUMBER", Sign::TlsToPlain),
        ("wrong version number", Sign::TlsToPlain),
        ("EPROTO", Sign::TlsFailed),
    ];
    CODES.iter().chain(PARSER).find(|(words, _)| text.contains(words)).copied()
}

/// The codes of http_parser and llhttp, which other proxies use too.
const PARSER: &[(&str, Sign)] = &[
    ("HPE_HEADER_OVERFLOW", Sign::HeadTooBig),
    ("HPE_INVALID_CONTENT_LENGTH", Sign::LengthInvalid),
    ("HPE_UNEXPECTED_CONTENT_LENGTH", Sign::LengthAndChunked),
    ("HPE_INVALID_TRANSFER_ENCODING", Sign::CodingUnknown),
    ("HPE_INVALID_CHUNK_SIZE", Sign::ChunkBad),
    ("HPE_INVALID_HEADER_TOKEN", Sign::HeaderBad),
    ("HPE_CR_EXPECTED", Sign::HeaderBad),
    ("HPE_LF_EXPECTED", Sign::HeaderBad),
    ("HPE_UNEXPECTED_SPACE", Sign::HeaderBad),
    ("HPE_INVALID_STATUS", Sign::StatusLineBad),
    ("HPE_INVALID_VERSION", Sign::StatusLineBad),
    ("HPE_INVALID_CONSTANT", Sign::NotHttp),
    ("HPE_INVALID_EOF_STATE", Sign::HeadPartial),
    ("HPE_CLOSED_CONNECTION", Sign::LengthLong),
    ("HPE_", Sign::ProtocolError),
];

/// What a code of the parser says of an answer.
pub(super) fn parser_sign(code: &str) -> Option<Sign> {
    PARSER.iter().find(|(known, _)| code.starts_with(known)).map(|(_, sign)| *sign)
}

/// The first line of an error: words that only Node writes, or a frame of JavaScript below.
fn error<'a>(line: &'a Line) -> Option<(Lead<'a>, Raised<'a>)> {
    let lead = Lead::of(&line.text);
    let text = line.text[lead.inset..].trim_start();
    let (text, unhandled) = introduced(text);
    if let Some(raised) = rejected(text) {
        return Some((lead, raised));
    }
    let raised = coded(text).or_else(|| Raised::of(text))?;
    let javascript = !raised.kind.contains('.') && !raised.kind.contains("::");
    let own = [
        "listen EADDRINUSE",
        "listen EACCES",
        "listen EADDRNOTAVAIL",
        "connect ECONNREFUSED",
        "connect ETIMEDOUT",
        "connect EHOSTUNREACH",
        "read ECONNRESET",
        "socket hang up",
        "Cannot find module '",
        "getaddrinfo ENOTFOUND",
        "getaddrinfo EAI_AGAIN",
        "EMFILE: too many open files",
        "ENOSPC: no space left on device",
        "EROFS: read-only file system",
    ];
    let fixed =
        own.iter().any(|it| raised.message.starts_with(it)) && raised.kind.ends_with("Error");
    (javascript && (fixed || unhandled || has_frame(line) || is_under_caret(line)))
        .then_some((lead, raised))
}

/// What runtimes and libraries write before an error that nobody caught, taken off; whether only
/// they write it.
fn introduced(text: &str) -> (&str, bool) {
    // `(node:7) UnhandledPromiseRejectionWarning: TypeError: x`.
    let process = text.strip_prefix("(node:").and_then(|it| it.split_once(") ")).map(|it| it.1);
    let text = process.unwrap_or(text);
    for (words, sure) in [
        ("Uncaught Exception: ", true),
        ("uncaughtException: ", true),
        ("Uncaught ", false),
        ("Unhandled Rejection at: Promise ", true),
        ("Unhandled Rejection: ", true),
        ("Unhandled rejection: ", true),
        ("Unhandled rejection ", true),
        ("unhandledRejection: ", true),
        ("Possibly unhandled ", true),
        ("UnhandledPromiseRejectionWarning: ", process.is_some()),
        ("Unhandled promise rejection: ", true),
    ] {
        if let Some(rest) = text.strip_prefix(words) {
            return (rest, sure);
        }
    }
    (text, false)
}

/// A promise that was rejected with what is no error, which Node wraps in words of its own.
fn rejected(text: &str) -> Option<Raised<'_>> {
    const KIND: &str = "UnhandledPromiseRejection";
    const OWN: &str = "This error originated either by throwing inside of an async function without a catch block";
    let text = text.strip_prefix('[')?;
    let message = text.strip_prefix(KIND)?.strip_prefix(": ").filter(|it| it.starts_with(OWN))?;
    let length = text.len() - message.len() + OWN.len();
    Some(Raised {
        kind: &text[..KIND.len()],
        message: &message[..OWN.len()],
        text: &text[..length],
    })
}

/// `Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x'`: the code stands between.
fn coded(text: &str) -> Option<Raised<'_>> {
    let (kind, rest) = text.split_once(" [")?;
    let (code, message) = rest.split_once("]: ")?;
    let named = kind.ends_with("Error") && kind.bytes().all(|it| it.is_ascii_alphanumeric());
    let code = code.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_');
    (named && code).then(|| Raised { kind, message: message.trim_end(), text: text.trim_end() })
}

/// Whether the next lines hold a frame: `    at f (file:1:2)`.
fn has_frame(line: &Line) -> bool {
    line.below().take(6).any(|it| is_frame(&it.text))
}

fn is_frame(text: &str) -> bool {
    text.trim_start().strip_prefix("at ").is_some_and(|it| {
        text.starts_with(' ')
            && (it.contains(".js")
                || it.contains(".ts")
                || it.contains("node:")
                || it.contains("<anonymous>")
                || it.contains(".mjs")
                || it.contains(".cjs")
                || it.contains(".coffee")
                || it.contains(".jsx"))
    })
}

/// The lines of the error after its first, and which of them is the runtime's last word.
fn unit<'a>(line: &Line<'a>) -> (Vec<Below<'a>>, Option<usize>) {
    let mut lines = Vec::new();
    let mut last_words = None;
    let mut blank = false;
    for below in line.below().take(120) {
        let text = below.text.trim_end();
        let ends_process = text
            .strip_prefix("Node.js v")
            .is_some_and(|it| it.starts_with(|it: char| it.is_ascii_digit()));
        let belongs = text.is_empty()
            || text.starts_with([' ', '}', '-'])
            || text.starts_with("Require stack:")
            || text.starts_with("Emitted 'error' event")
            || ends_process;
        if !belongs || blank && text.is_empty() {
            break;
        }
        blank = text.is_empty();
        lines.push(below);
        if ends_process {
            last_words = Some(lines.len() - 1);
            break;
        }
    }
    (lines, last_words)
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some((lead, raised)) = error(line) else { return };
    let (lines, last_words) = unit(line);
    let place = lines.iter().find_map(|it| own_frame(&it.text));
    if let Some(last) = lines.last().filter(|_| lines.len() > 1) {
        sink.taken(last);
    }
    let missing = is_module_missing(&raised);
    let ended = last_words.is_some() || is_under_caret(line);
    // A frame of the loader below all others: the module was being loaded.
    let loading = || {
        let frames = || lines.iter().filter(|it| is_frame(&it.text)).map(|it| &*it.text);
        frames().any(|it| it.contains("node:internal/modules/") || it.contains("internal/modules/"))
            && !frames().any(|it| it.contains("parserOnIncoming") || it.contains("handle_request"))
    };
    let sign = match raised.sign() {
        _ if missing => Sign::BootFailed,
        Some(it) => it,
        None if ended && loading() => Sign::BootFailed,
        None => Sign::UnhandledException,
    };
    let words = match sign {
        Sign::BootFailed | Sign::PortInUse | Sign::BindFailed => {
            crate::scan::clip(raised.text, 300)
        }
        _ if raised.dialled().is_some() => crate::scan::clip(raised.text, 300),
        _ => raised.decisive(),
    };
    let upstream = match sign {
        Sign::PortInUse | Sign::BindFailed => {
            raised.message.rsplit(' ').next().filter(|it| it.contains(':')).map(listened)
        }
        _ => raised.dialled(),
    };
    sink.event(
        Event::new(Product::Node, sign, Trust::D, span(&line.text, words))
            .at(lead.at)
            .upstream(upstream)
            .who(place)
            .detail(Some(words)),
    );
    if !ended || matches!(sign, Sign::BootFailed | Sign::PortInUse | Sign::BindFailed) {
        return;
    }
    let exit = |words| Event::new(Product::Node, Sign::ProcessExited, Trust::D, words).at(lead.at);
    match last_words.and_then(|it| lines.get(it)) {
        Some(below) => sink.event_below(below, exit(0..below.text.trim_end().len())),
        None => sink.event(exit(span(&line.text, words))),
    }
}

fn is_module_missing(raised: &Raised) -> bool {
    raised.message.starts_with("Cannot find module")
        || raised.text.contains("[ERR_MODULE_NOT_FOUND]")
}

/// A frame of the app's own code.
fn own_frame(text: &str) -> Option<String> {
    let frame = text.trim().strip_prefix("at ").filter(|_| is_frame(text))?;
    let library = frame.contains("node_modules")
        || frame.contains("node:")
        || frame.contains("internal/")
        || !frame.contains(['/', '\\']);
    (!library).then(|| frame.to_owned())
}

/// Node printed the line that threw the error, and a caret below it: nobody caught the error.
fn is_under_caret(line: &Line) -> bool {
    let mut above = line.preceding().skip_while(|it| it.trim().is_empty());
    let caret = above.next().is_some_and(|it| {
        it.trim_start().starts_with('^') && it.trim().bytes().all(|it| it == b'^')
    });
    // The line itself may be empty, or long; the place stands right above it.
    caret && above.take(2).any(|it| is_thrown_at(&it))
}

/// `/srv/app/server.js:6`, `node:events:497`, `file:///srv/app/main.mjs:3`.
fn is_thrown_at(text: &str) -> bool {
    let Some((file, line)) = text.trim_end().rsplit_once(':') else { return false };
    let starts =
        ["/", "node:", "file:", "internal/", "events.js", "[eval]", "evalmachine", "webpack"];
    let drive = file.as_bytes().get(1..3) == Some(b":\\");
    !line.is_empty()
        && line.bytes().all(|it| it.is_ascii_digit())
        && (drive || starts.iter().any(|it| file.starts_with(it)))
}

/// `:::3000` is `[::]:3000`.
fn listened(address: &str) -> String {
    match address.strip_prefix(":::") {
        Some(port) => format!("[::]:{port}"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{LOG, RULES};
    use crate::rule::assert_hooked;
    use crate::testing::{check, check_last, check_nothing};

    #[test]
    fn an_error_is_one_unit() {
        check(
            "Error: listen EADDRINUSE: address already in use :::3000\n    at Server.setupListenHandle [as _listen2] (node:net:1908:16)\n    at Object.<anonymous> (/srv/app.js:3:5)\n\nNode.js v20.20.2\n",
            "Node: PortInUse upstream=[::]:3000 who=Object.<anonymous> (/srv/app.js:3:5) detail=Error: listen EADDRINUSE: address already in use :::3000 | Error: listen EADDRINUSE: address already in use :::3000",
        );
        check(
            "Error: listen EADDRINUSE :::42014",
            "Node: PortInUse upstream=[::]:42014 detail=Error: listen EADDRINUSE :::42014 | Error: listen EADDRINUSE :::42014",
        );
        check(
            "Error: connect ECONNREFUSED 127.0.0.1:5432",
            "Node: DbRefused upstream=127.0.0.1:5432 detail=Error: connect ECONNREFUSED 127.0.0.1:5432 | Error: connect ECONNREFUSED 127.0.0.1:5432",
        );
        check(
            "Error: Cannot find module 'express'",
            "Node: BootFailed detail=Error: Cannot find module 'express' | Error: Cannot find module 'express'",
        );
        check(
            "TypeError: Cannot read properties of undefined (reading 'x')\n    at get (/srv/app.js:9:2)\n",
            "Node: UnhandledException who=get (/srv/app.js:9:2) detail=TypeError: Cannot read properties of undefined | TypeError: Cannot read properties of undefined",
        );
    }

    #[test]
    fn an_error_that_nobody_caught_ends_the_process() {
        let thrown = "/srv/shop/server.js:6\n    response.end(order.id);\n                       ^\n\nTypeError: Cannot read properties of undefined (reading 'id')";
        let frames = "    at Timeout._onTimeout (/srv/shop/server.js:6:31)\n    at listOnTimeout (node:internal/timers:581:17)\n";
        let raised = "Node: UnhandledException who=Timeout._onTimeout (/srv/shop/server.js:6:31) detail=TypeError: Cannot read properties of undefined | TypeError: Cannot read properties of undefined";
        let error = "TypeError: Cannot read properties of undefined (reading 'id')\n";
        for prefix in ["", "web-1  | ", "0|shop  | ", "Nov 20 15:16:30 web1 node[12]: "] {
            let lines = |text: &str| -> String {
                text.lines().map(|it| format!("{prefix}{it}\n")).collect()
            };
            check(
                &lines(&format!("{error}{frames}\nNode.js v20.20.2\n")),
                &format!("{raised}; Node: ProcessExited | Node.js v20.20.2"),
            );
        }
        // Before 17, only the line that threw tells.
        check_last(
            thrown,
            "Node: UnhandledException detail=TypeError: Cannot read properties of undefined | TypeError: Cannot read properties of undefined; Node: ProcessExited | TypeError: Cannot read properties of undefined",
        );
        check(&format!("{error}{frames}"), raised);
    }

    #[test]
    fn thrown_by_a_module_at_its_top_it_kept_the_app_from_starting() {
        let loading = "    at Module._compile (node:internal/modules/cjs/loader:1554:14)\n";
        let own = "    at Object.<anonymous> (/srv/shop/server.js:3:9)\n";
        check(
            &format!("Error: no settings\n{own}{loading}\nNode.js v20.20.2\n"),
            "Node: BootFailed who=Object.<anonymous> (/srv/shop/server.js:3:9) detail=Error: no settings | Error: no settings",
        );
        // A handler that loads a module late handles a request.
        check(
            &format!(
                "Error: no settings\n{own}{loading}    at parserOnIncoming (node:_http_server:1140:12)\n\nNode.js v20.20.2\n"
            ),
            "Node: UnhandledException who=Object.<anonymous> (/srv/shop/server.js:3:9) detail=Error: no settings | Error: no settings; Node: ProcessExited | Node.js v20.20.2",
        );
        // Logged, and not fatal.
        check(
            &format!("Error: no settings\n{own}{loading}listening on 8000\n"),
            "Node: UnhandledException who=Object.<anonymous> (/srv/shop/server.js:3:9) detail=Error: no settings | Error: no settings",
        );
    }

    #[test]
    fn a_rejection_without_an_error_is_told_without_its_reason() {
        check(
            "[UnhandledPromiseRejection: This error originated either by throwing inside of an async function without a catch block, or by rejecting a promise which was not handled with .catch(). The promise rejected with the reason \"connect ECONNREFUSED 192.0.2.7:5432\".] {\n  code: 'ERR_UNHANDLED_REJECTION'\n}\n\nNode.js v20.20.2\n",
            "Node: UnhandledException detail=UnhandledPromiseRejection: This error originated either by throwing inside of an async function without a catch block | UnhandledPromiseRejection: This error originated either by throwing inside of an async function without a catch block; Node: ProcessExited | Node.js v20.20.2",
        );
        check_nothing("[UnhandledPromiseRejection: somebody sent it]");
    }

    #[test]
    fn loggers_write_the_stack_as_json() {
        check(
            r#"{"level":"error","message":"uncaughtException: no price\nError: no price\n    at x","stack":"Error: no price\n    at total (/srv/shop/price.js:9:2)"}"#,
            "Node: UnhandledException who=total (/srv/shop/price.js:9:2) detail=Error: no price | Error: no price",
        );
        check(
            r#"{"level":50,"err":{"stack":"Error: connect ECONNREFUSED 192.0.2.7:5432\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1495:16)"}}"#,
            "Node: DbRefused upstream=192.0.2.7:5432 detail=Error: connect ECONNREFUSED | Error: connect ECONNREFUSED",
        );
        // What a caller sent stands deeper, or under other names.
        check_nothing(
            r#"{"level":30,"req":{"headers":{"stack":"TypeError: x\n    at total (/srv/shop/price.js:9:2)"}},"msg":"ok"}"#,
        );
        check_nothing(r#"{"level":30,"agent":"TypeError: x\n    at total (/srv/price.js:9:2)"}"#);
    }

    #[test]
    fn ends_and_starts_are_read() {
        check(
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
            "Node: HeapExhausted | JavaScript heap out of memory",
        );
        check(
            "   - Local:        http://localhost:3000",
            "Node: Listening upstream=http://localhost:3000 | - Local:        http://localhost:3000",
        );
        check(
            "[Nest] 7  - 11/20/2026, 3:16:30 PM     LOG [NestApplication] Nest application successfully started +2ms",
            "Node: Ready | [NestApplication] Nest application successfully started",
        );
    }

    #[test]
    fn a_proxy_names_its_target_and_the_code() {
        for (line, want) in [
            (
                "[HPM] Error occurred while trying to proxy request /api/x from localhost:3000 to http://127.0.0.1:5000 (ECONNREFUSED) (https://nodejs.org/api/errors.html#errors_common_system_errors)",
                "Node: ConnectRefused upstream=http://127.0.0.1:5000 detail=ECONNREFUSED | http://127.0.0.1:5000",
            ),
            (
                "<e> [webpack-dev-server] [HPM] Error occurred while proxying request localhost:3000/x to https://localhost:4000/ [EPROTO]",
                "Node: TlsFailed upstream=https://localhost:4000/ detail=EPROTO | https://localhost:4000/",
            ),
            (
                "Proxy error: Could not proxy request /api/x from localhost:3000 to http://localhost:5000.\nSee https://nodejs.org/api/errors.html#errors_common_system_errors for more information (ECONNREFUSED).",
                "Node: ConnectRefused upstream=http://localhost:5000 detail=ECONNREFUSED | http://localhost:5000",
            ),
            (
                "Proxy error: Could not proxy request /api from localhost:3000 to http://[::1]:5000/.",
                "Node: ConnectFailed upstream=http://[::1]:5000/ | http://[::1]:5000/",
            ),
            (
                "3:16:30 PM [vite] http proxy error: /api/x\nError: connect ECONNREFUSED 127.0.0.1:5000\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1495:16)",
                "Node: ConnectRefused upstream=127.0.0.1:5000 detail=ECONNREFUSED | http proxy error",
            ),
            (
                "3:16:30 PM [vite] Internal server error: connect ECONNREFUSED ::1:3080\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1495:16)",
                "Node: ConnectRefused upstream=[::1]:3080 detail=ECONNREFUSED | connect ECONNREFUSED",
            ),
            (
                "3:16:30 PM [vite] Internal server error: getaddrinfo ENOTFOUND app",
                "Node: NameNotFound detail=ENOTFOUND | getaddrinfo ENOTFOUND",
            ),
            (
                "Failed to proxy http://localhost:5000/api Error: socket hang up",
                "Node: Closed upstream=http://localhost:5000/api detail=socket hang up | Failed to proxy",
            ),
        ] {
            check(line, want);
        }
        check(
            "Request failed to proxy: ECONNREFUSED",
            "Node: ConnectRefused detail=ECONNREFUSED | Request failed to proxy",
        );
        check_nothing("3:16:30 PM [vite] Internal server error: Transform failed with 1 error");
        check_nothing("the caller sent Could not proxy request /x to http://a (ECONNREFUSED)");
        check(
            "[HPM] Error occurred while proxying request a/ECONNREFUSED to http://b:80/ [ECONNRESET]",
            "Node: Reset upstream=http://b:80/ detail=ECONNRESET | http://b:80/",
        );
    }

    #[test]
    fn what_nobody_caught_is_an_error_without_frames() {
        for line in [
            "Unhandled rejection TypeError: a.b is not a function",
            "(node:7) UnhandledPromiseRejectionWarning: TypeError: a.b is not a function",
            "Possibly unhandled TypeError: a.b is not a function",
        ] {
            check(
                line,
                "Node: UnhandledException detail=TypeError: a.b is not a function | TypeError: a.b is not a function",
            );
        }
        check_nothing("UnhandledPromiseRejectionWarning: TypeError: a.b is not a function");
    }

    #[test]
    fn quoted_errors_are_no_errors() {
        check_nothing("the caller sent Error: connect ECONNREFUSED 127.0.0.1:5432");
        check_nothing("Error: something went wrong");
        check_nothing("Listening on the radio");
    }

    #[test]
    fn no_rule_is_passed_over() {
        assert_hooked(LOG.hooks, RULES);
    }
}
