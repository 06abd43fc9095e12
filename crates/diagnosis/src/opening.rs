//! Which protocol somebody speaks, told from the first bytes that they send.

/// What the first bytes of an answer look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// A TLS record: an alert or a handshake.
    Tls,
    /// The SETTINGS frame with which an HTTP/2 server begins.
    Http2,
    Http1,
    FastCgi,
    Ssh,
    /// A greeting with `220`: mail and file transfer begin alike.
    SmtpOrFtp,
    /// `+OK` or `-ERR`: Redis and POP3 begin alike.
    RedisOrPop3,
    Redis,
    MySql,
    PostgreSql,
    Amqp,
    Unknown,
}

impl Opening {
    pub(crate) fn of(bytes: &[u8]) -> Opening {
        match bytes {
            [0x15 | 0x16, 0x03, ..] => Opening::Tls,
            // Three bytes of length, type 4, no flag; a SETTINGS frame is short.
            [0x00, 0x00, _, 0x04, 0x00, ..] => Opening::Http2,
            [b'H', b'T', b'T', b'P', b'/', ..] => Opening::Http1,
            // Version 1; END_REQUEST or STDOUT.
            [0x01, 0x03 | 0x06, ..] => Opening::FastCgi,
            [b'S', b'S', b'H', b'-', ..] => Opening::Ssh,
            [b'2', b'2', b'0', b' ' | b'-', ..] => Opening::SmtpOrFtp,
            [b'+', b'O', b'K', ..] | [b'-', b'E', b'R', b'R', ..] => Opening::RedisOrPop3,
            [b'$' | b'*', b'-' | b'0'..=b'9', ..] => Opening::Redis,
            // Packet 0: protocol version 10, or an error such as "host is blocked".
            [_, 0x00, 0x00, 0x00, 0x0a | 0xff, ..] => Opening::MySql,
            // A type, then four bytes of length, which counts itself.
            [b'E' | b'R' | b'N', 0x00, 0x00, _, 0x04..=0xff, ..] => Opening::PostgreSql,
            [b'A', b'M', b'Q', b'P', ..] => Opening::Amqp,
            _ => Opening::Unknown,
        }
    }

    /// The protocol's name; `None` where the bytes tell nothing.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Opening::Tls => Some("TLS"),
            Opening::Http2 => Some("HTTP/2"),
            Opening::Http1 => Some("HTTP/1"),
            Opening::FastCgi => Some("FastCGI"),
            Opening::Ssh => Some("SSH"),
            Opening::SmtpOrFtp => Some("SMTP or FTP"),
            Opening::RedisOrPop3 => Some("Redis or POP3"),
            Opening::Redis => Some("Redis"),
            Opening::MySql => Some("MySQL"),
            Opening::PostgreSql => Some("PostgreSQL"),
            Opening::Amqp => Some("AMQP"),
            Opening::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_known_by_their_first_bytes() {
        for (bytes, expected) in [
            (&b"\x15\x03\x01\x00\x02\x02\x46"[..], Opening::Tls),
            (b"\x16\x03\x03\x00\x7a\x02", Opening::Tls),
            (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", Opening::Http2),
            (b"HTTP/1.1 400 Bad Request\r\n", Opening::Http1),
            (b"\x01\x06\x00\x01\x00\x40", Opening::FastCgi),
            (b"SSH-2.0-OpenSSH_9.6\r\n", Opening::Ssh),
            (b"220 mail.internal ESMTP\r\n", Opening::SmtpOrFtp),
            (b"-ERR wrong number of arguments for 'get' command\r\n", Opening::RedisOrPop3),
            (b"$5\r\nhello\r\n", Opening::Redis),
            (b"\x4a\x00\x00\x00\x0a8.0.36\x00", Opening::MySql),
            (b"E\x00\x00\x00\x85SFATAL\x00", Opening::PostgreSql),
            (b"AMQP\x00\x00\x09\x01", Opening::Amqp),
            (b"hello", Opening::Unknown),
            (b"", Opening::Unknown),
        ] {
            assert_eq!(Opening::of(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn words_that_only_begin_alike_are_not_taken_for_a_protocol() {
        for bytes in [&b"2200"[..], b"$HOME", b"Error: no", b"\x00\x00\x00\x00\x00", b"\x16"] {
            assert_eq!(Opening::of(bytes), Opening::Unknown, "{}", bytes.escape_ascii());
        }
    }
}
