//! Lines of an answer's head that could not be read, as far as its first bytes were kept.

use crate::show;

/// The field lines that are there as a whole, without their line ends. What was kept may stop
/// anywhere, and half a line proves nothing.
pub(crate) fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = head.iter().rposition(|it| *it == b'\n').unwrap_or(0);
    let lines = head[..end].split(|it| *it == b'\n').skip(1);
    lines.map(|it| it.strip_suffix(b"\r").unwrap_or(it)).take_while(|it| !it.is_empty())
}

/// The first line, as far as it was kept.
pub(crate) fn first_line(head: &[u8]) -> &[u8] {
    head.split(|it| matches!(it, b'\r' | b'\n')).next().unwrap_or_default()
}

/// The values of a field, in quotes and joined by `and`. Only for fields whose value is no secret.
pub(crate) fn values(head: &[u8], field: &str) -> Option<String> {
    let values = lines(head).filter_map(|line| {
        let colon = line.iter().position(|it| *it == b':')?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        name.eq_ignore_ascii_case(field.as_bytes()).then(|| show::bytes(value.trim_ascii()))
    });
    let values: Vec<String> = values.collect();
    (!values.is_empty()).then(|| values.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length:6 \r\nServer: x";

    #[test]
    fn only_whole_field_lines_count() {
        let found: Vec<&[u8]> = lines(HEAD).collect();
        assert_eq!(found, [&b"Content-Length: 5"[..], b"content-length:6 "]);
        assert_eq!(lines(b"").count() + lines(b"HTTP/1.1 200").count(), 0);
        assert_eq!(lines(b"HTTP/1.1 200\n\nbody\n").count(), 0);
    }

    #[test]
    fn values_of_a_field_stand_side_by_side() {
        assert_eq!(values(HEAD, "Content-Length").as_deref(), Some("\"5\" and \"6\""));
        assert_eq!(values(HEAD, "Server"), None);
        assert_eq!(first_line(HEAD), b"HTTP/1.1 200 OK");
    }
}
