//! How servers read what a proxy sends them: by the book, and with every leniency that some server
//! has been seen to have. What all of them read alike hides nothing.

/// One way to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Line ends, spaces, signs and names are taken as loosely as they are by anyone.
    pub(crate) lax: bool,
    /// Of a length and a coding, the coding counts.
    pub(crate) coding_wins: bool,
    /// Of several lengths, the last counts.
    pub(crate) last: bool,
}

const fn reading(lax: bool, coding_wins: bool, last: bool) -> Reading {
    Reading { lax, coding_wins, last }
}

pub(crate) const STRICT: Reading = reading(false, true, false);
pub(crate) const LAX: Reading = reading(true, false, true);

pub(crate) const ALL: [Reading; 6] = [
    STRICT,
    reading(false, false, false),
    LAX,
    reading(true, false, false),
    reading(true, true, false),
    reading(true, true, true),
];

/// A request as one reading has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Those of the trailer section too. Names in lower case, as loosely as the reading is.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What the bytes at hand are.
#[derive(Debug)]
pub(crate) enum Read {
    /// With how many bytes it takes.
    Whole(Message, usize),
    /// It goes on. The head, where that is over.
    Partial(Option<Message>),
    Garbage,
}

/// What a connection carried: whole requests, and what is left at its end.
pub(crate) struct Transcript {
    pub(crate) messages: Vec<Message>,
    /// Bytes that are no whole request.
    pub(crate) left: Vec<u8>,
    /// The head of the request that never came to its end.
    pub(crate) begun: Option<Message>,
}

impl Reading {
    /// `None` where some of it is no HTTP in this reading.
    pub(crate) fn all(self, mut bytes: &[u8]) -> Option<Transcript> {
        let mut messages = Vec::new();
        loop {
            match self.next(bytes) {
                Read::Whole(message, used) => {
                    messages.push(message);
                    bytes = &bytes[used..];
                }
                Read::Partial(begun) => {
                    return Some(Transcript { messages, left: bytes.to_vec(), begun });
                }
                Read::Garbage => return None,
            }
        }
    }

    pub(crate) fn next(self, bytes: &[u8]) -> Read {
        let mut cursor = Cursor { bytes, at: 0, lax: self.lax };
        match self.message(&mut cursor) {
            Ok(message) => Read::Whole(message, cursor.at),
            Err(Stop::Partial(begun)) => Read::Partial(begun.map(|it| *it)),
            Err(Stop::Garbage) => Read::Garbage,
        }
    }

    fn message(self, cursor: &mut Cursor) -> Result<Message, Stop> {
        let mut line = cursor.line()?;
        while self.lax && line.is_empty() {
            line = cursor.line()?;
        }
        let words: Vec<&str> = match self.lax {
            true => line.split(is_any_space).filter(|it| !it.is_empty()).collect(),
            false => line.split(' ').collect(),
        };
        let (method, target) = match words[..] {
            [method, target, "HTTP/1.1"] if target.bytes().all(|it| it.is_ascii_graphic()) => {
                (method.to_owned(), target.to_owned())
            }
            [method, target, ..] if self.lax => (method.to_owned(), target.to_owned()),
            _ => return Err(Stop::Garbage),
        };
        let mut message = Message { method, target, fields: Vec::new(), body: Vec::new() };
        self.fields(cursor, &mut message.fields)?;
        let begun = |stop| match stop {
            Stop::Partial(_) => Stop::Partial(Some(Box::new(message.clone()))),
            Stop::Garbage => Stop::Garbage,
        };
        let mut trailers = Vec::new();
        let body = match self.length(&message.fields)? {
            Body::None => Vec::new(),
            Body::Length(length) => cursor.take(length).map_err(begun)?,
            Body::Chunked => self.chunks(cursor, &mut trailers).map_err(begun)?,
        };
        message.body = body;
        message.fields.extend(trailers);
        Ok(message)
    }

    /// Fields up to the empty line.
    fn fields(self, cursor: &mut Cursor, to: &mut Vec<(String, String)>) -> Result<(), Stop> {
        loop {
            let line = cursor.line()?;
            if line.is_empty() {
                return Ok(());
            }
            match line.split_once(':') {
                Some((name, value)) if self.lax => {
                    let name = name.trim_matches(is_any_space).to_ascii_lowercase();
                    let value = value.split('\0').next().unwrap_or_default();
                    to.push((name.replace('_', "-"), value.trim_matches(is_any_space).to_owned()));
                }
                None if self.lax => {}
                Some((name, value)) if !name.is_empty() && name.bytes().all(is_token) => {
                    to.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                _ => return Err(Stop::Garbage),
            }
        }
    }

    fn length(self, fields: &[(String, String)]) -> Result<Body, Stop> {
        let of = |wanted: &str| {
            let named: Vec<&str> = fields
                .iter()
                .filter(|(name, _)| name == wanted)
                .map(|(_, value)| value.as_str())
                .collect();
            named
        };
        let (lengths, codings) = (of("content-length"), of("transfer-encoding"));
        if !self.lax {
            let right = lengths.iter().all(|it| !it.is_empty() && it.bytes().all(is_digit))
                && lengths.len() + codings.len() <= 1
                && codings.iter().all(|it| it.eq_ignore_ascii_case("chunked"));
            if !right {
                return Err(Stop::Garbage);
            }
        }
        let mut numbers = lengths.iter().flat_map(|it| it.split(',')).filter_map(any_number);
        let length = if self.last { numbers.next_back() } else { numbers.next() };
        let chunked = codings.iter().any(|it| it.to_ascii_lowercase().contains("chunked"));
        Ok(match (length, chunked) {
            (Some(length), false) => Body::Length(length),
            (Some(length), true) if !self.coding_wins => Body::Length(length),
            (_, true) => Body::Chunked,
            (None, false) => Body::None,
        })
    }

    fn chunks(
        self,
        cursor: &mut Cursor,
        trailers: &mut Vec<(String, String)>,
    ) -> Result<Vec<u8>, Stop> {
        let mut body = Vec::new();
        loop {
            let line = cursor.line()?;
            let size = line.split(';').next().unwrap_or_default();
            let size = match self.lax {
                true => any_size(size).ok_or(Stop::Garbage)?,
                false if !size.is_empty() && size.bytes().all(|it| it.is_ascii_hexdigit()) => {
                    usize::from_str_radix(size, 16).map_err(|_| Stop::Garbage)?
                }
                false => return Err(Stop::Garbage),
            };
            if size == 0 {
                self.fields(cursor, trailers)?;
                return Ok(body);
            }
            body.extend(cursor.take(size)?);
            // The loosest readers do not ask whether there is a line end.
            let ends = cursor.bytes[cursor.at..].first().is_none_or(|it| b"\r\n".contains(it));
            if (!self.lax || ends) && !cursor.line()?.is_empty() {
                return Err(Stop::Garbage);
            }
        }
    }
}

enum Body {
    None,
    Length(usize),
    Chunked,
}

enum Stop {
    Partial(Option<Box<Message>>),
    Garbage,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    lax: bool,
}

impl Cursor<'_> {
    /// One line without its end, a byte a letter. Loosely, LF ends one, and so does CR.
    fn line(&mut self) -> Result<String, Stop> {
        let rest = &self.bytes[self.at..];
        let (length, end) = match rest.iter().position(|it| b"\r\n".contains(it)) {
            None => return Err(Stop::Partial(None)),
            Some(at) => match (rest[at], rest.get(at + 1)) {
                (b'\r', None) => return Err(Stop::Partial(None)),
                (b'\r', Some(b'\n')) => (at, 2),
                _ if self.lax => (at, 1),
                _ => return Err(Stop::Garbage),
            },
        };
        if !self.lax && rest[..length].contains(&0) {
            return Err(Stop::Garbage);
        }
        self.at += length + end;
        Ok(rest[..length].iter().copied().map(char::from).collect())
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Stop> {
        let end = self.at.saturating_add(length);
        let taken = self.bytes.get(self.at..end).ok_or(Stop::Partial(None))?;
        self.at = end;
        Ok(taken.to_vec())
    }
}

/// What makes words in one server or another: Python cuts lines of Latin-1 at the last ones too.
fn is_any_space(letter: char) -> bool {
    letter.is_whitespace() || ('\x1c'..='\x1f').contains(&letter)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// The digits that it begins with, after spaces, quotes and a sign.
fn any_number(text: &str) -> Option<usize> {
    let text = text.trim_start_matches(|it| is_any_space(it) || "+\"'".contains(it));
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

fn any_size(text: &str) -> Option<usize> {
    let text = text.trim_start_matches(|it| is_any_space(it) || it == '+');
    let text = text.strip_prefix("0x").unwrap_or(text);
    let end = text.find(|it: char| !it.is_ascii_hexdigit()).unwrap_or(text.len());
    usize::from_str_radix(&text[..end], 16).ok()
}

#[test]
fn readings_differ_where_servers_do() {
    let two =
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
                0\r\n\r\nGET /SMUGGLED HTTP/1.1\r\nHost: a\r\n\r\n";
    let count = |reading: Reading, bytes: &[u8]| reading.all(bytes).map(|it| it.messages.len());
    assert_eq!(count(STRICT, two), None);
    assert_eq!(count(reading(true, true, false), two), Some(2));
    let loose = b"POST / HTTP/1.1\nHost: a\nTransfer_Encoding : xchunked\n\n\
                  0x3 \nabc\n0\n\nGET /SMUGGLED HTTP/1.1\n\n";
    assert_eq!(count(LAX, loose), Some(2));
    assert_eq!(count(STRICT, loose), None);
    let plain = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi";
    for reading in ALL {
        assert_eq!(count(reading, plain), Some(2), "{reading:?}");
        assert!(reading.all(&plain[..60]).is_some_and(|it| it.messages.len() == 1));
    }
}
