//! Access lines that only Apache writes by default: those behind a virtual host's name. (The common and
//! the combined format alone are those of others as well.)

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
    example: "example.com:80 192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 503 299",
};

fn access<'l>(line: &'l Line<'_>) -> Option<Access<'l>> {
    let text = &*line.text;
    let (first, rest) = text.split_once(' ')?;
    // `example.com:80 192.0.2.1 - - [`: `%v:%p`.
    let host = crate::address::port(first).is_some()
        && rest.split(" [").next().is_some_and(|it| it.split(' ').count() == 3);
    // The cheap question first: most lines are of another format.
    let access = request(Some(rest).filter(|_| host)?)?;
    let plain = access.addresses.is_none() && access.statuses.is_none();
    (plain && access.product == Product::Nginx)
        .then_some(Access { product: Product::Apache, ..access })
}
