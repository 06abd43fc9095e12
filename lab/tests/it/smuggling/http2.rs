//! Over HTTP/2, in frames written by hand: nothing in them becomes a line of HTTP/1 that it should
//! not be (RFC 9113 8.2, 8.3, 10.3).

use super::{LAX, STRICT, Stage};
use crate::world::SOON;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a stream gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gets {
    Status(u16),
    /// The stream or the connection is ended: it was no request.
    Reset,
}
use Gets::{Reset, Status};

type Field<'a> = (&'a [u8], &'a [u8]);

/// A stream: its fields, its DATA, and the trailers after that.
struct Case<'a> {
    name: &'a str,
    gets: Gets,
    fields: Vec<Field<'a>>,
    data: Option<&'a [u8]>,
    trailers: Vec<Field<'a>>,
}

const HIDDEN: &[u8] = b"GET /SMUGGLED HTTP/1.1\r\nHost: a\r\n\r\n";

const METHOD: Field<'static> = (b":method", b"POST");
const SCHEME: Field<'static> = (b":scheme", b"http");
const AUTHORITY: Field<'static> = (b":authority", b"smuggling.test");
const PATH: Field<'static> = (b":path", b"/x");
const USUAL: [Field<'static>; 4] = [METHOD, SCHEME, AUTHORITY, PATH];

/// The usual head and more.
fn with<'a>(gets: Gets, name: &'a str, more: &[Field<'a>]) -> Case<'a> {
    let fields = USUAL.iter().chain(more).copied().collect();
    Case { name, gets, fields, data: None, trailers: Vec::new() }
}

/// The usual head with one of its fields in the place of the one that has its name.
fn instead<'a>(gets: Gets, name: &'a str, field: Field<'a>) -> Case<'a> {
    let fields = USUAL.iter().map(|it| if it.0 == field.0 { field } else { *it }).collect();
    Case { name, gets, fields, data: None, trailers: Vec::new() }
}

/// Only these.
fn only<'a>(gets: Gets, name: &'a str, fields: &[Field<'a>]) -> Case<'a> {
    Case { name, gets, fields: fields.to_vec(), data: None, trailers: Vec::new() }
}

impl<'a> Case<'a> {
    fn data(self, data: &'a [u8]) -> Case<'a> {
        Case { data: Some(data), ..self }
    }

    fn trailers(self, trailers: &[Field<'a>]) -> Case<'a> {
        Case { trailers: trailers.to_vec(), ..self }
    }
}

/// Fields as literals that nobody indexes (RFC 7541 6.2.2), whatever is in them.
fn encoded(fields: &[Field<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(text.len(), &mut block);
            block.extend_from_slice(text);
        }
    }
    block
}

/// With a prefix of seven bits (RFC 7541 5.1).
fn integer(value: usize, to: &mut Vec<u8>) {
    let Some(mut rest) = value.checked_sub(127) else {
        return to.push(u8::try_from(value).expect("it is below 127"));
    };
    to.push(127);
    while 128 <= rest {
        to.push(u8::try_from(rest % 128 + 128).expect("seven bits and one"));
        rest /= 128;
    }
    to.push(u8::try_from(rest).expect("seven bits"));
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).expect("a frame is short").to_be_bytes();
    let [d, e, f, g] = id.to_be_bytes();
    [&[a, b, c, kind, flags, d, e, f, g], payload].concat()
}

struct Connection(TcpStream);

impl Connection {
    async fn new(stage: &Stage) -> Connection {
        let to = stage.world.gateway.listen;
        let mut stream = TcpStream::connect(to).await.expect("the test can go on");
        let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[])[..]].concat();
        stream.write_all(&hello).await.expect("the test can go on");
        Connection(stream)
    }

    /// Sends a stream in one piece, and reads what it gets. The body of its answer too.
    async fn play(&mut self, id: u32, case: &Case<'_>) -> (Gets, String) {
        let ends = |last: bool| if last { END_STREAM } else { 0 };
        let (no_data, no_trailers) = (case.data.is_none(), case.trailers.is_empty());
        let flags = END_HEADERS | ends(no_data && no_trailers);
        let mut bytes = frame(HEADERS, flags, id, &encoded(&case.fields));
        if let Some(data) = case.data {
            bytes.extend(frame(DATA, ends(no_trailers), id, data));
        }
        if !no_trailers {
            let flags = END_HEADERS | END_STREAM;
            bytes.extend(frame(HEADERS, flags, id, &encoded(&case.trailers)));
        }
        // A reset shows in what is read.
        drop(self.0.write_all(&bytes).await);
        timeout(SOON, self.outcome(id)).await.expect("an answer in time")
    }

    async fn outcome(&mut self, id: u32) -> (Gets, String) {
        let (mut status, mut body) = (None, String::new());
        while let Some((kind, flags, of, payload)) = self.frame().await {
            match kind {
                GOAWAY => return (Reset, body),
                RST_STREAM if of == id => return (Reset, body),
                HEADERS if of == id && status.is_none() => {
                    status = payload.first().map(|it| status_of(*it));
                }
                DATA if of == id => body += &String::from_utf8_lossy(&payload),
                _ => {}
            }
            if of == id && flags & END_STREAM != 0 {
                return (status.map_or(Reset, Status), body);
            }
        }
        (Reset, body)
    }

    async fn frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        if (kind, flags) == (SETTINGS, 0) {
            self.0.write_all(&frame(SETTINGS, 1, 0, &[])).await.ok()?;
        }
        let flags = if kind == DATA || kind == HEADERS { flags } else { 0 };
        Some((kind, flags, u32::from_be_bytes(id), payload))
    }
}

/// An entry of the static table (RFC 7541 A): an answer begins with its status.
fn status_of(byte: u8) -> u16 {
    match byte {
        0x88 => 200,
        0x8c => 400,
        0x8d => 404,
        _ => 0,
    }
}

/// Each case on a connection of its own; then another stream there, where it stays open, and
/// somebody else's request through the same upstream connection.
async fn check(cases: &[Case<'_>]) {
    for reading in [STRICT, LAX] {
        let mut stage = Stage::new(reading).await;
        let mut unsure = 0;
        for case in cases {
            let name = case.name;
            let mut connection = Connection::new(&stage).await;
            let (got, body) = connection.play(1, case).await;
            assert_eq!(got, case.gets, "{name}: {body}");
            match got {
                Status(status) => {
                    stage.begun += 1;
                    stage.passed += usize::from(status == 200);
                }
                // It may have begun before what is wrong with it came.
                Reset => unsure += usize::from(case.data.is_some() || !case.trailers.is_empty()),
            }
            if got != Reset {
                let target = format!("/own/{}", stage.begun);
                let path = (&b":path"[..], target.as_bytes());
                let own =
                    Case { fields: vec![GET, SCHEME, AUTHORITY, path], ..only(got, name, &[]) };
                let (own, body) = connection.play(3, &own).await;
                assert_eq!((own, body), (Status(200), format!("GET {target}")), "{name}");
                stage.begun += 1;
                stage.passed += 1;
            }
            let mut other = stage.client().await;
            stage.is_answered(&mut other, "/other", name).await;
            let requests = stage.recorder.requests(name);
            assert_eq!(requests.len(), stage.passed, "{name}: {requests:?}");
        }
        stage.check_sharing();
        stage.world.gateway.records_soon(stage.begun).await;
        let records = stage.world.gateway.stopped().await.expect("it stops");
        let sure = stage.begun..=stage.begun + unsure;
        assert!(sure.contains(&records.len()), "{} of {sure:?}: {records:?}", records.len());
    }
}

const GET: Field<'static> = (b":method", b"GET");
const OK: Gets = Status(200);
const BAD: Gets = Status(400);

#[tokio::test]
async fn a_length_is_that_of_the_data() {
    check(&[
        with(Reset, "shorter than the data", &[(b"content-length", b"2")]).data(HIDDEN),
        with(Reset, "nothing, and data", &[(b"content-length", b"0")]).data(HIDDEN),
        with(Reset, "longer than the data", &[(b"content-length", b"500")]).data(HIDDEN),
        with(Reset, "of no data", &[(b"content-length", b"5")]),
        with(Reset, "of no data, and trailers", &[(b"content-length", b"5")])
            .trailers(&[(b"x", b"y")]),
        with(Reset, "two that differ", &[(b"content-length", b"2"), (b"content-length", b"5")])
            .data(b"hello"),
        with(BAD, "two that are the same", &[(b"content-length", b"5"), (b"content-length", b"5")])
            .data(b"hello"),
        with(Reset, "a list", &[(b"content-length", b"5, 5")]).data(b"hello"),
        with(Reset, "a plus", &[(b"content-length", b"+5")]).data(b"hello"),
        with(Reset, "a minus", &[(b"content-length", b"-5")]).data(b"hello"),
        with(Reset, "hexadecimal", &[(b"content-length", b"0x5")]).data(b"hello"),
        with(Reset, "a space", &[(b"content-length", b" 5")]).data(b"hello"),
        with(Reset, "more than 64 bits", &[(b"content-length", b"18446744073709551621")])
            .data(b"hello"),
        with(BAD, "nothing said", &[(b"content-length", b"")]),
        with(BAD, "nothing said, and data of no bytes", &[(b"content-length", b"")]).data(b""),
        with(BAD, "nothing said, and trailers", &[(b"content-length", b"")])
            .trailers(&[(b"x", b"y")]),
        with(Reset, "nothing said, and data", &[(b"content-length", b"")]).data(HIDDEN),
        with(OK, "zeros before it", &[(b"content-length", b"0005")]).data(b"hello"),
        with(OK, "right", &[(b"content-length", b"5")]).data(b"hello"),
        with(OK, "of no bytes", &[(b"content-length", b"0")]).data(b""),
        with(OK, "with an underscore", &[(b"content_length", b"0")]).data(HIDDEN),
        with(OK, "none", &[]).data(HIDDEN),
        with(OK, "none, and the end of chunks as data", &[])
            .data(b"0\r\n\r\nGET /SMUGGLED HTTP/1.1\r\n\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn fields_of_a_connection_are_none_of_a_streams() {
    check(&[
        with(Reset, "a coding", &[(b"transfer-encoding", b"chunked")])
            .data(b"0\r\n\r\nGET /SMUGGLED HTTP/1.1\r\n\r\n"),
        with(Reset, "a coding without data", &[(b"transfer-encoding", b"chunked")]),
        with(Reset, "a coding that is none", &[(b"transfer-encoding", b"identity")]).data(HIDDEN),
        with(
            Reset,
            "a coding and a length",
            &[(b"transfer-encoding", b"chunked"), (b"content-length", b"5")],
        )
        .data(b"0\r\n\r\n"),
        with(Reset, "a coding in capitals", &[(b"Transfer-Encoding", b"chunked")]).data(HIDDEN),
        with(OK, "a coding with an underscore", &[(b"transfer_encoding", b"chunked")]).data(HIDDEN),
        with(Reset, "options", &[(b"connection", b"close")]),
        with(Reset, "options that strip", &[(b"connection", b"authorization, content-length")]),
        with(Reset, "options of old proxies", &[(b"proxy-connection", b"keep-alive")]),
        with(Reset, "a time to stay", &[(b"keep-alive", b"timeout=5")]),
        with(Reset, "another protocol", &[(b"upgrade", b"websocket")]),
        with(Reset, "HTTP/2", &[(b"upgrade", b"h2c"), (b"http2-settings", b"AAMAAABk")]),
        with(OK, "settings of HTTP/2", &[(b"http2-settings", b"AAMAAABk")]),
        with(Reset, "chunks to come", &[(b"te", b"chunked")]),
        with(Reset, "trailers and chunks to come", &[(b"te", b"trailers, chunked")]),
        with(OK, "trailers to come", &[(b"te", b"trailers")]),
    ])
    .await;
}

#[tokio::test]
async fn no_field_makes_a_line_of_its_own() {
    let table: [(&str, Field<'static>); 22] = [
        ("a line end in a value", (b"x", b"y\r\nSMUGGLED: 1")),
        ("an end of the head in a value", (b"x", b"y\r\n\r\nGET /SMUGGLED HTTP/1.1\r\nHost: a")),
        ("a coding in a value", (b"x", b"y\r\ntransfer-encoding: chunked")),
        ("LF in a value", (b"x", b"y\nSMUGGLED: 1")),
        ("CR in a value", (b"x", b"y\rSMUGGLED: 1")),
        ("NUL in a value", (b"x", b"y\0z")),
        ("a vertical tab in a value", (b"x", b"y\x0bz")),
        ("DEL in a value", (b"x", b"y\x7fz")),
        ("a line end at the end of a value", (b"x", b"y\r\n")),
        ("a line end at the beginning of a value", (b"x", b"\r\nSMUGGLED: 1")),
        ("a line end in a name", (b"x: y\r\nSMUGGLED", b"1")),
        ("LF in a name", (b"x\nSMUGGLED", b"1")),
        ("CR in a name", (b"x\rSMUGGLED", b"1")),
        ("NUL in a name", (b"x\0", b"1")),
        ("a colon in a name", (b"x: y", b"1")),
        ("a coding and a colon as a name", (b"transfer-encoding: chunked", b"")),
        ("a space in a name", (b"transfer-encoding chunked", b"chunked")),
        ("a space after a name", (b"transfer-encoding ", b"chunked")),
        ("a space before a name", (b" transfer-encoding", b"chunked")),
        ("a tab after a name", (b"content-length\t", b"5")),
        ("a capital in a name", (b"X", b"y")),
        ("a byte that is no ASCII in a name", (b"x\xe9", b"y")),
    ];
    let cases: Vec<Case<'_>> =
        table.iter().map(|(name, field)| with(Reset, name, &[*field])).collect();
    check(&cases).await;
    check(&[
        with(Reset, "no name", &[(b"", b"y")]),
        with(Reset, "no name and no value", &[(b"", b"")]),
        with(Reset, "only a colon", &[(b":", b"y")]),
        with(OK, "no value", &[(b"x", b"")]),
        with(
            OK,
            "bytes of another script in a value",
            &[(b"x", b"caf\xc3\xa9 \xe5\x98\x8a\xe5\x98\x8dSMUGGLED: 1")],
        ),
        with(OK, "a tab in a value", &[(b"x", b"a\tb")]),
        with(OK, "crumbs of cookies", &[(b"cookie", b"a=b"), (b"cookie", b"c=d")]),
        with(
            Reset,
            "crumbs with a line end",
            &[(b"cookie", b"a=b"), (b"cookie", b"c=d\r\nSMUGGLED: 1")],
        ),
        with(
            OK,
            "forwarded ones, with underscores too",
            &[
                (b"x-forwarded-for", b"192.0.2.1"),
                (b"x_forwarded_for", b"192.0.2.2"),
                (b"forwarded", b"for=192.0.2.1"),
                (b"via", b"1.1 a"),
                (b"x_real_ip", b"192.0.2.3"),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_request_line_is_made_of_what_it_may_be_made_of() {
    let lines: &[Field<'static>] = &[
        (b":method", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /SMUGGLED HTTP/1.1\r\nX: y"),
        (b":method", b"GET /SMUGGLED HTTP/1.1\r\nX: "),
        (b":method", b"GET /SMUGGLED HTTP/1.1\nX: "),
        (b":method", b"GET /SMUGGLED"),
        (b":method", b"GET\t"),
        (b":method", b"GET\0"),
        (b":method", b" GET"),
        (b":method", b"G(T"),
        (b":method", b""),
        (b":path", b"/SMUGGLED HTTP/1.1\r\nX: "),
        (b":path", b"/x HTTP/1.1\r\nHost: a\r\n\r\nGET /SMUGGLED"),
        (b":path", b"/x\r\nSMUGGLED: 1"),
        (b":path", b"/x\nSMUGGLED: 1"),
        (b":path", b"/x\rSMUGGLED: 1"),
        (b":path", b"/x\ty"),
        (b":path", b"/x\0"),
        (b":path", b"/x HTTP/1.1"),
        (b":path", b" /x"),
        (b":path", b"/x "),
        (b":path", b"/x?a b"),
        (b":path", b"/x\x7f"),
        (b":path", b"/x\xa0"),
        (b":path", b""),
        (b":authority", b"smuggling.test\r\nSMUGGLED: 1"),
        (b":authority", b"smuggling.test\nSMUGGLED: 1"),
        (b":authority", b"smuggling.test HTTP/1.1"),
        (b":authority", b"smuggling.test\0"),
        (b":authority", b"smuggling.test/other"),
        (b":authority", b"smuggling.test?other"),
        (b":authority", b"smuggling.test#other"),
        (b":authority", b"smuggling.test\\other"),
        (b":authority", b"smuggling.test\xc4\xb1"),
        (b":authority", b"http://smuggling.test"),
        (b":authority", b"[::1"),
        (b":authority", b"smuggling.test:80:81"),
        (b":scheme", b"http\r\nSMUGGLED: 1"),
        (b":scheme", b"http://smuggling.test/SMUGGLED?"),
        (b":scheme", b"http\0"),
        (b":scheme", b"http x"),
    ];
    let names: Vec<String> = lines
        .iter()
        .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
        .collect();
    let cases: Vec<Case<'_>> =
        lines.iter().zip(&names).map(|(field, name)| instead(Reset, name, *field)).collect();
    check(&cases).await;
    check(&[
        instead(Reset, "a path without a slash", (b":path", b"x")),
        instead(OK, "a path that is a query", (b":path", b"?x")),
        instead(BAD, "a path of all", (b":path", b"*")),
        instead(Reset, "an absolute path", (b":path", b"http://other.test/x")),
        instead(Reset, "a path with an authority", (b":path", b"other.test/x")),
        instead(OK, "a path with a fragment, which is dropped", (b":path", b"/x#y")),
        instead(BAD, "a path with a backslash", (b":path", b"/a\\..\\x")),
        instead(BAD, "a path above the root", (b":path", b"/../x")),
        instead(BAD, "a path with a slash that is escaped", (b":path", b"/a%2fx")),
        instead(BAD, "a path in another script", (b":path", b"/caf\xc3\xa9")),
        instead(
            OK,
            "a query with bytes of another script",
            (b":path", b"/x?q=\xc2\xa0HTTP/1.1\xc2\x85"),
        ),
        instead(OK, "a line end that is escaped", (b":path", b"/x%0d%0aSMUGGLED:%201")),
        instead(OK, "two slashes", (b":path", b"//other.test/x")),
        instead(BAD, "a user name", (b":authority", b"smuggling.test@other.test")),
        instead(BAD, "a user name and a password", (b":authority", b"a:b@smuggling.test")),
        instead(BAD, "a port that is no number", (b":authority", b"smuggling.test:x")),
        instead(OK, "a port", (b":authority", b"smuggling.test:8080")),
        instead(OK, "another method", (b":method", b"BREW")),
        instead(OK, "a method in small letters", (b":method", b"post")),
        instead(OK, "a scheme that is not ours", (b":scheme", b"https")),
        instead(BAD, "a scheme that nobody knows", (b":scheme", b"SMUGGLED")),
        instead(BAD, "an empty scheme", (b":scheme", b"")),
    ])
    .await;
}

#[tokio::test]
async fn what_begins_with_a_colon_is_said_once_and_first() {
    let late = [METHOD, SCHEME, AUTHORITY, (&b"x"[..], &b"y"[..]), PATH];
    check(&[
        only(Reset, "after a field", &late),
        with(Reset, "the method twice", &[METHOD]),
        with(Reset, "the path twice", &[(b":path", b"/SMUGGLED")]),
        with(Reset, "the authority twice", &[(b":authority", b"other.test")]),
        with(Reset, "the scheme twice", &[SCHEME]),
        with(Reset, "of an answer", &[(b":status", b"200")]),
        with(Reset, "one that nobody knows", &[(b":SMUGGLED", b"1")]),
        with(Reset, "one in small letters that nobody knows", &[(b":host", b"other.test")]),
        with(Reset, "a protocol", &[(b":protocol", b"websocket")]),
        with(Reset, "with a line end", &[(b":path\r\nSMUGGLED", b"1")]),
        only(Reset, "no method", &[SCHEME, AUTHORITY, PATH]),
        only(Reset, "no scheme", &[METHOD, AUTHORITY, PATH]),
        only(Reset, "no path", &[METHOD, SCHEME, AUTHORITY]),
        only(BAD, "no authority and no host", &[METHOD, SCHEME, PATH]),
        only(OK, "a host for an authority", &[METHOD, SCHEME, PATH, (b"host", b"smuggling.test")]),
        only(
            BAD,
            "two hosts for an authority",
            &[METHOD, SCHEME, PATH, (b"host", b"a"), (b"host", b"b")],
        ),
        only(BAD, "a host with a user name", &[METHOD, SCHEME, PATH, (b"host", b"a@b")]),
        with(OK, "the same host", &[(b"host", b"SMUGGLING.test")]),
        with(BAD, "another host", &[(b"host", b"other.test")]),
        with(
            BAD,
            "the same host and another",
            &[(b"host", b"smuggling.test"), (b"host", b"other.test")],
        ),
        with(Reset, "a host with a line end", &[(b"host", b"smuggling.test\r\nSMUGGLED: 1")]),
        with(BAD, "an empty host", &[(b"host", b"")]),
        only(BAD, "CONNECT", &[(b":method", b"CONNECT"), AUTHORITY]),
        only(Reset, "CONNECT with a path", &[(b":method", b"CONNECT"), SCHEME, AUTHORITY, PATH]),
    ])
    .await;
}

#[tokio::test]
async fn trailers_of_a_stream_are_no_part_of_its_head() {
    check(&[
        with(OK, "an ordinary one", &[]).data(b"hi").trailers(&[(b"x-sum", b"1")]),
        with(OK, "what only a head may say", &[]).data(b"hi").trailers(&[
            (b"content-length", b"0"),
            (b"host", b"other.test"),
            (b"x-forwarded-for", b"192.0.2.1"),
            (b"x_forwarded_for", b"192.0.2.1"),
            (b"authorization", b"Basic eA=="),
            (b"transfer_encoding", b"chunked"),
        ]),
        with(Reset, "a coding", &[]).data(b"hi").trailers(&[(b"transfer-encoding", b"chunked")]),
        with(Reset, "a line end", &[]).data(b"hi").trailers(&[(b"x", b"y\r\nSMUGGLED: 1")]),
        with(Reset, "a line end in a name", &[]).data(b"hi").trailers(&[(b"x\r\nSMUGGLED", b"1")]),
        with(Reset, "an end and a request", &[])
            .data(b"hi")
            .trailers(&[(b"x", b"y\r\n\r\nGET /SMUGGLED HTTP/1.1\r\nHost: a")]),
        with(OK, "one with a colon, which is dropped", &[])
            .data(b"hi")
            .trailers(&[(b":path", b"/SMUGGLED")]),
        with(OK, "after a length", &[(b"content-length", b"2")])
            .data(b"hi")
            .trailers(&[(b"x", b"y")]),
    ])
    .await;
}
