//! h2o: what it says of a request that its proxy or its FastCGI client could not serve.
//!
//! `[lib/core/proxy.c] in request:/path:MESSAGE`: the path is the caller's, and the message one of a
//! closed set that stands at the very end (h2o_req_log_error in lib/core/request.c).

use crate::clock::{self, Stamp};
use crate::event::Event;
use crate::product::Product;
use crate::reader::Reader;
use crate::sign::Sign;
use crate::trust::Trust;
use std::ops::Range;

pub(super) const LOG: Reader = Reader {
    name: "h2o error log",
    product: Product::H2o,
    hooks: &["] in request:"],
    fits: |line| asked(&line.text).is_some(),
    read: |line, sink| {
        let Some(it) = said(&line.text) else { return };
        let event = Event::new(Product::H2o, it.sign, Trust::C, it.span);
        sink.event(event.at(it.at).route(it.route));
    },
    source: "https://github.com/h2o/h2o: lib/core/request.c, lib/common/http1client.c, \
             lib/common/httpclient.c, lib/common/socket.c, lib/handler/fastcgi.c",
    example: "[lib/core/proxy.c] in request:/style.css:I/O error (head)",
};

struct Said<'a> {
    at: Option<Stamp>,
    sign: Sign,
    span: Range<usize>,
    route: Option<&'a str>,
}

/// The longest come first where one ends like another.
const MESSAGES: [(&str, Sign); 39] = [
    ("connection refused", Sign::ConnectRefused),
    ("connection timed out", Sign::ConnectTimedOut),
    ("connection timeout", Sign::ConnectTimedOut),
    ("connection failure", Sign::ConnectFailed),
    ("connection failed", Sign::ConnectFailed),
    ("host unreachable", Sign::HostUnreachable),
    ("network unreachable", Sign::NetworkUnreachable),
    ("socket creation failed", Sign::NoDescriptors),
    ("Name or service not known", Sign::NameNotFound),
    ("No address associated with hostname", Sign::NameNotFound),
    ("Temporary failure in name resolution", Sign::NameTimedOut),
    ("I/O error (send request)", Sign::Disconnected),
    ("I/O error (head)", Sign::Disconnected),
    ("I/O error (body; content-length)", Sign::BodyCut),
    ("I/O error (body; chunked)", Sign::BodyCut),
    ("I/O error on send", Sign::Disconnected),
    ("I/O error", Sign::Disconnected),
    ("socket closed by peer", Sign::Closed),
    ("end of stream", Sign::Closed),
    ("first byte timeout", Sign::HeadTimedOut),
    ("I/O timeout", Sign::HeadTimedOut),
    ("failed to parse the response (chunked)", Sign::ChunkBad),
    ("failed to parse the response", Sign::NotHttp),
    ("line folding of header fields is not supported", Sign::HeaderBad),
    ("unexpected type of transfer-encoding", Sign::CodingUnknown),
    ("invalid content-length", Sign::LengthInvalid),
    ("received unexpected 101 response", Sign::UpgradeUnexpected),
    ("refused stream", Sign::StreamReset),
    ("malformed HTTP frame", Sign::ProtocolError),
    ("protocol violation", Sign::ProtocolError),
    ("flow control error", Sign::ProtocolError),
    ("unknown alpn protocol", Sign::AlpnMismatch),
    ("ssl handshake failure", Sign::TlsFailed),
    ("ssl cert name mismatch", Sign::CertWrongName),
    ("ssl invalid cert", Sign::CertRefused),
    ("ssl no cert", Sign::CertRefused),
    ("received broken record", Sign::FastCgiMismatch),
    ("received unexpected record", Sign::FastCgiMismatch),
    ("unexpected fastcgi version", Sign::FastCgiMismatch),
];

/// The file of h2o's source that speaks, and what comes behind `in request:`.
fn asked(text: &str) -> Option<(Option<Stamp>, &str, &str)> {
    let (at, start) = match clock::iso(text) {
        Some((at, end)) => (Some(at), end),
        None => (None, 0),
    };
    let (file, rest) = text[start..].trim_start().strip_prefix('[')?.split_once("] in request:")?;
    let plain = file.ends_with(".c") && !file.contains([' ', '"', ']']);
    plain.then_some((at, file, rest))
}

fn said(text: &str) -> Option<Said<'_>> {
    let (at, file, rest) = asked(text)?;
    let known = file.ends_with("proxy.c") || file.ends_with("fastcgi.c");
    let whole = rest.trim_end();
    let (message, sign) = MESSAGES.iter().find(|(it, _)| whole.ends_with(it)).filter(|_| known)?;
    let before = whole[..whole.len() - message.len()].strip_suffix(':')?;
    let end = text.len() - rest.len() + whole.len();
    let route = Some(before).filter(|it| it.starts_with('/'));
    Some(Said { at, sign: *sign, span: end - message.len()..end, route })
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn the_message_at_the_end_says_how_the_upstream_failed() {
        for (message, sign) in [
            ("I/O error (head)", "Disconnected"),
            ("connection refused", "ConnectRefused"),
            ("first byte timeout", "HeadTimedOut"),
            ("failed to parse the response", "NotHttp"),
            ("failed to parse the response (chunked)", "ChunkBad"),
            ("ssl cert name mismatch", "CertWrongName"),
            ("refused stream", "StreamReset"),
        ] {
            check(
                &format!("[lib/core/proxy.c] in request:/a/b?c=d:{message}"),
                &format!("h2o: {sign} | {message}"),
            );
        }
    }

    #[test]
    fn what_stands_in_the_path_is_the_callers() {
        check_nothing("[lib/core/proxy.c] in request:/x:connection refused:y");
        check_nothing("[lib/core/config.c] in request:/x:connection refused");
        check_nothing("[lib/core/proxy.c] in request:connection refused");
        check(
            "[lib/core/proxy.c] in request:/x:connection refused:I/O timeout",
            "h2o: HeadTimedOut | I/O timeout",
        );
        check_nothing("[lib/core/proxy.c] in request:");
    }
}
