//! Access lines that only Apache writes by default: the common format, and the combined one behind
//! a virtual host's name. (The combined format alone is nginx's as well.)

use crate::line::Line;
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::nginx::access::{Access, request};

pub(in crate::readers) const ACCESS: Reader = Reader {
    name: "Apache access log",
    product: Product::Apache,
    hooks: &[],
    fits: |line| access(line).is_some(),
    read: |line, sink| {
        if let Some(it) = access(line) {
            it.tell(&line.text, sink);
        }
    },
    source: "https://httpd.apache.org/docs/2.4/mod/mod_log_config.html; the formats of httpd.conf",
    example: "192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 503 299",
};

fn access<'l>(line: &'l Line<'_>) -> Option<Access<'l>> {
    let text = &*line.text;
    let (first, rest) = text.split_once(' ')?;
    // `example.com:80 192.0.2.1 - - [`: `%v:%p`.
    let host = crate::address::port(first).is_some()
        && rest.split(" [").next().is_some_and(|it| it.split(' ').count() == 3);
    // The cheap question first: most lines are of another format.
    let access = match host {
        true => request(rest)?,
        false if is_common(text) => request(text)?,
        false => return None,
    };
    let plain = access.addresses.is_none() && access.statuses.is_none();
    (plain && access.product == Product::Nginx)
        .then_some(Access { product: Product::Apache, ..access })
}

/// The bytes end the line, or the time in microseconds (`%D`) does.
fn is_common(text: &str) -> bool {
    let Some((_, rest)) = text.rsplit_once("\" ") else { return false };
    let mut words = rest.split(' ');
    let number = |it: &str| it == "-" || !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    words.clone().all(number)
        && (2..=3).contains(&words.by_ref().count())
        && text.matches('"').count() == 2
}
