//! What must never be shown: tokens, passwords, cookies and keys that stand in logs.

use std::borrow::Cow;
use std::ops::Range;

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// Ends of names whose values are secret, in small letters and without `-` and `_`.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "accesskeyid",
    "secretkey",
    "privatekey",
    "signingkey",
    "sessionid",
    "session",
    "signature",
    "credential",
    "credentials",
    "jwt",
    "csrf",
    "xsrf",
];

/// Names that are secret only by themselves.
const SECRET_WORDS: &[&str] = &["pass", "sig", "sid", "auth", "phpsessid", "jsessionid"];

/// How tokens of well-known issuers begin, and how long they are at least.
const TOKENS: &[(&str, usize)] = &[
    ("AKIA", 20),
    ("ASIA", 20),
    ("AIza", 35),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("ghu_", 20),
    ("github_pat_", 30),
    ("glpat-", 20),
    ("npm_", 30),
    ("pypi-", 30),
    ("sk-", 20),
    ("sk_live_", 20),
    ("sk_test_", 20),
    ("rk_live_", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("xapp-", 20),
    ("hvs.", 20),
    ("dop_v1_", 20),
    ("SG.", 40),
];

/// The longest name that is looked at, in bytes.
const LONGEST_NAME: usize = 64;

/// The text with every secret in it masked; all else stays byte for byte.
#[must_use]
pub fn masked(text: &str) -> Cow<'_, str> {
    let mut spans = Vec::new();
    named(text, &mut spans);
    userinfo(text, &mut spans);
    tokens(text, &mut spans);
    bearers(text, &mut spans);
    private_keys(text, &mut spans);
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    spans.sort_by_key(|it| (it.start, it.end));
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for span in spans {
        if at <= span.start {
            shown += &text[at..span.start];
            shown += MASK;
        }
        at = at.max(span.end);
    }
    shown += &text[at..];
    Cow::Owned(shown)
}

/// Values of names that are secret: `password=x`, `"token": "x"`, `Authorization: Bearer x`.
fn named(text: &str, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|it| matches!(it, b'=' | b':')) {
        let sign = at + found;
        at = sign + 1;
        let Some(name) = name_before(text, sign) else { continue };
        let Some(kind) = Kind::of(text, &name) else { continue };
        let Some(span) = value_after(text, sign, kind) else { continue };
        at = at.max(span.end);
        spans.push(span);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Value,
    /// A scheme and a token.
    Authorization,
    /// Everything up to the end.
    Cookie,
}

impl Kind {
    fn of(text: &str, name: &Range<usize>) -> Option<Kind> {
        let plain: String = text[name.clone()]
            .chars()
            .filter(|it| !matches!(it, '-' | '_' | '.'))
            .map(|it| it.to_ascii_lowercase())
            .collect();
        let asks =
            name.start.checked_sub(1).is_some_and(|it| matches!(text.as_bytes()[it], b'?' | b'&'));
        match plain.as_str() {
            "authorization" | "proxyauthorization" => Some(Kind::Authorization),
            "cookie" | "setcookie" => Some(Kind::Cookie),
            "key" | "code" if asks => Some(Kind::Value),
            it if SECRET_WORDS.contains(&it) => Some(Kind::Value),
            it if SECRET_NAMES.iter().any(|name| it.ends_with(name)) => Some(Kind::Value),
            _ => None,
        }
    }
}

/// The name before a sign, over the quotes and spaces between them.
fn name_before(text: &str, sign: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let floor = sign.saturating_sub(LONGEST_NAME);
    let mut end = sign;
    while floor < end && matches!(bytes[end - 1], b'"' | b'\'' | b' ' | b'\\') {
        end -= 1;
    }
    let mut start = end;
    let of_name = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
    while floor < start && of_name(bytes[start - 1]) {
        start -= 1;
    }
    (start < end).then_some(start..end)
}

fn value_after(text: &str, sign: usize, kind: Kind) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_colon = bytes[sign] == b':';
    let mut start = sign + 1;
    let mut quote = None;
    while let Some(it @ (b' ' | b'"' | b'\'' | b'\\' | b'=')) = bytes.get(start) {
        if matches!(it, b'"' | b'\'') {
            quote = Some(*it);
        }
        // `a= b` is no value of `a`, but `a: b` is one.
        if *it == b' ' && !is_colon && quote.is_none() {
            return None;
        }
        start += 1;
        if start - sign > 8 {
            return None;
        }
    }
    if kind == Kind::Authorization {
        start = after_scheme(text, start).unwrap_or(start);
    }
    let rest = &bytes[start..];
    let ends = |it: &u8| match (quote, kind) {
        (Some(quote), _) => *it == quote || *it == b'\n',
        (None, Kind::Cookie) => matches!(it, b'\n' | b'"' | b'\''),
        (None, _) => {
            matches!(
                it,
                b'"' | b'\'' | b'&' | b',' | b';' | b')' | b'}' | b']' | b'<' | b'>' | b'`'
            ) || it.is_ascii_whitespace()
        }
    };
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    let value = &text[start..start + length];
    // A value in an unquoted sentence, such as `invalid token: expired`, is no secret.
    let prose = is_colon
        && quote.is_none()
        && kind == Kind::Value
        && (length < 8 || !value.bytes().any(|it| it.is_ascii_digit()));
    let placeholder = ["$", "{", "%", "***"].iter().any(|it| value.starts_with(it))
        || ["null", "none", "true", "false", "nil", "undefined"].contains(&value);
    // The second colon of `::` belongs to a path of code.
    let path = value.starts_with(':') || value.starts_with("//");
    (length > 0 && !prose && !placeholder && !path).then_some(start..start + length)
}

/// Where the token begins behind `Bearer ` and the like.
fn after_scheme(text: &str, at: usize) -> Option<usize> {
    const SCHEMES: &[&str] = &["bearer", "basic", "token", "negotiate", "ntlm", "apikey", "digest"];
    let rest = &text[at..];
    let (scheme, _) = rest.split_once(' ')?;
    let known = SCHEMES.contains(&scheme.to_ascii_lowercase().as_str());
    known.then_some(at + scheme.len() + 1)
}

/// The password of `scheme://user:password@host`.
fn userinfo(text: &str, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(found) = memchr(bytes, b"://", from) {
        let start = found + 3;
        let ends = |it: &u8| {
            matches!(it, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>')
                || it.is_ascii_whitespace()
        };
        let length = bytes[start..].iter().position(ends).unwrap_or(bytes.len() - start);
        from = start + length;
        let authority = &text[start..start + length];
        let Some((user, _)) = authority.rsplit_once('@') else { continue };
        match user.find(':') {
            Some(colon) if colon + 1 < user.len() => {
                spans.push(start + colon + 1..start + user.len());
            }
            _ => {}
        }
    }
}

fn memchr(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    bytes[from..].windows(wanted.len()).position(|it| it == wanted).map(|it| from + it)
}

/// Words that are tokens by how they look: those of [`TOKENS`], and JSON Web Tokens.
fn tokens(text: &str, spans: &mut Vec<Range<usize>>) {
    let of_token = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !of_token(bytes[at]) {
            at += 1;
            continue;
        }
        let length = bytes[at..].iter().position(|it| !of_token(*it)).unwrap_or(bytes.len() - at);
        let word = &text[at..at + length];
        let known = TOKENS.iter().any(|(start, least)| {
            word.starts_with(start)
                && *least <= word.len()
                && word.bytes().any(|it| it.is_ascii_digit())
        });
        let jwt = word.starts_with("eyJ") && word.len() > 20 && word.contains('.');
        if known || jwt {
            spans.push(at..at + length);
        }
        at += length;
    }
}

/// `Bearer x` wherever it stands.
fn bearers(text: &str, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(found) = memchr(bytes, b"earer ", from) {
        from = found + 6;
        let rest = &bytes[from..];
        let ends = |it: &u8| matches!(it, b'"' | b'\'' | b',' | b';') || it.is_ascii_whitespace();
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        let secret = length >= 8 && rest[..length].iter().any(u8::is_ascii_digit);
        if secret {
            spans.push(from..from + length);
            from += length;
        }
    }
}

fn private_keys(text: &str, spans: &mut Vec<Range<usize>>) {
    const BEGIN: &str = "PRIVATE KEY-----";
    let mut from = 0;
    while let Some(found) = text[from..].find(BEGIN) {
        let start = from + found + BEGIN.len();
        let end = text[start..].find("-----END").map_or(text.len(), |it| start + it);
        if start < end {
            spans.push(start..end);
        }
        // The end names the key as well.
        from = text[end..].find(BEGIN).map_or(text.len(), |it| end + it + BEGIN.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(masked(text), want);
    }

    #[test]
    fn values_of_secret_names_are_masked() {
        check("GET /a?api_key=s3cr3t&x=1", "GET /a?api_key=***&x=1");
        check("GET /a?key=abc HTTP/1.1", "GET /a?key=*** HTTP/1.1");
        check(r#"{"password":"p w","user":"a"}"#, r#"{"password":"***","user":"a"}"#);
        check(r#"{\"access_token\": \"abc\"}"#, r#"{\"access_token\": \"***"}"#);
        check("DB_PASSWORD='x y' started", "DB_PASSWORD='***' started");
        check("X-Amz-Signature=0a1b&X-Amz-Date=1", "X-Amz-Signature=***&X-Amz-Date=1");
        check("client-secret: abcdef12 next", "client-secret: *** next");
        check("AWS_SECRET_ACCESS_KEY=abc/def+", "AWS_SECRET_ACCESS_KEY=***");
    }

    #[test]
    fn headers_are_masked() {
        check("Authorization: Bearer abc.def", "Authorization: Bearer ***");
        check("\"authorization\": \"Basic YWxh\"", "\"authorization\": \"Basic ***\"");
        check("Cookie: a=b; session=c\nHost: x", "Cookie: ***\nHost: x");
        check("set-cookie: sid=1; Path=/", "set-cookie: ***");
        check("sent Bearer abcdef123456 to it", "sent Bearer *** to it");
    }

    #[test]
    fn tokens_are_known_by_their_looks() {
        check("key AKIAIOSFODNN7EXAMPLE used", "key *** used");
        check("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln end", "got *** end");
        check("sk-ant-api03-0example1example2", "***");
        check(
            "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nx",
            "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\nx",
        );
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        check("postgres://app:p@ss:w@db:5432/x", "postgres://app:***@db:5432/x");
        check("http://127.0.0.1:8000/a@b:c", "http://127.0.0.1:8000/a@b:c");
    }

    #[test]
    fn what_is_no_secret_stays_byte_for_byte() {
        for text in [
            "connect() failed (111: Connection refused) while connecting to upstream",
            "password authentication failed for user \"app\"",
            "SyntaxError: Unexpected token: }",
            "invalid token: signature expired",
            "jwt.exceptions.ExpiredSignatureError: Signature has expired",
            "session: closed",
            "key=value",
            "?password=",
            "token=${TOKEN}",
            "std::token::Error",
            "SSL_do_handshake() failed (SSL: error:0A000086:SSL routines::certificate verify failed)",
            "sk-",
            "task-force.example.com",
            "ä=ö",
            "Bearer token is missing",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn hostile_text_is_masked_in_linear_time_and_without_panic() {
        for piece in ["token=", "://a:b@", "Bearer ", "eyJ", "PRIVATE KEY-----", "\"é'=:\\ "] {
            let text = piece.repeat(200_000);
            assert!(masked(&text).len() <= text.len() * 2);
        }
    }
}
