//! Request heads: just the path and the length of the body.

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Small,
    TenKib,
    /// A small answer once the body is there.
    Upload,
    Events,
    /// So many bytes.
    Fill(u64),
    /// One chunk of an event stream that then stays open.
    Hold,
    /// More than any client here takes; little of it waits in the kernel.
    Large,
    /// How many answers are not whole yet.
    OpenAnswers,
    /// How many chunks all event streams have sent so far.
    SentChunks,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Its bytes, the empty line included.
    pub(super) length: usize,
    pub(super) wanted: Wanted,
    pub(super) body: u64,
}

/// The head at the front of `input`; `None` where it is not whole yet.
pub(super) fn parse(input: &[u8]) -> Option<Head> {
    let end = input.windows(4).position(|it| it == b"\r\n\r\n")?;
    let mut lines = input[..end].split(|it| *it == b'\n');
    let first = lines.next().unwrap_or_default();
    let path = first.split(|it| *it == b' ').nth(1).unwrap_or_default();
    let body = lines.find_map(content_length).unwrap_or(0);
    Some(Head { length: end + 4, wanted: wanted(path), body })
}

fn wanted(path: &[u8]) -> Wanted {
    match path {
        b"/small" => Wanted::Small,
        b"/10k" => Wanted::TenKib,
        b"/upload" => Wanted::Upload,
        b"/events" => Wanted::Events,
        b"/hold" => Wanted::Hold,
        b"/large" => Wanted::Large,
        b"/open-answers" => Wanted::OpenAnswers,
        b"/sent-chunks" => Wanted::SentChunks,
        _ => match path.strip_prefix(b"/fill/").and_then(number) {
            Some(bytes) => Wanted::Fill(bytes),
            None => Wanted::Unknown,
        },
    }
}

fn content_length(line: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"content-length:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then(|| number(value)).flatten()
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_they_are_whole() {
        let check = |text: &str, expected: Option<(Wanted, u64)>| {
            let found = parse(text.as_bytes()).map(|it| (it.wanted, it.body));
            assert_eq!(found, expected, "{text:?}");
        };
        check("GET /small HTTP/1.1\r\nhost: a\r\n", None);
        check("GET /small HTTP/1.1\r\nhost: a\r\n\r\n", Some((Wanted::Small, 0)));
        check(
            "POST /upload HTTP/1.1\r\nContent-Length: 16384\r\n\r\nxx",
            Some((Wanted::Upload, 16_384)),
        );
        check("GET /fill/1000 HTTP/1.1\r\n\r\n", Some((Wanted::Fill(1_000), 0)));
        check("GET /fill/x HTTP/1.1\r\n\r\n", Some((Wanted::Unknown, 0)));
    }
}
