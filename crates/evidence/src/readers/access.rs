//! Access lines in the common and the combined format, which nginx, Apache, Gunicorn, Tomcat and others
//! write alike: who wrote one is told by what stands around it.

use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, span_of};
use crate::readers::nginx::access::{Access, closing_quote, request};

pub(super) const COMBINED: Reader = Reader {
    name: "access log (common and combined format)",
    product: Product::AccessLog,
    hooks: &[],
    fits: |line| access(line).is_some(),
    read: |line, sink| {
        if let Some(it) = access(line) {
            it.tell(&line.text, sink);
        }
    },
    source: "https://httpd.apache.org/docs/2.4/logs.html#accesslog; \
             https://nginx.org/en/docs/http/ngx_http_log_module.html; gunicorn 23: gunicorn/config.py, AccessLogFormat",
    example: "192.0.2.1 - - [27/Oct/2023:10:30:15 +0000] \"GET /data HTTP/1.1\" 502 157 \"-\" \"curl/8.0\"",
};

/// Statuses that only nginx writes.
fn is_nginx(status: &str) -> bool {
    matches!(status, "009" | "444" | "494" | "495" | "496" | "497" | "499")
}

fn access<'l>(line: &'l Line<'_>) -> Option<Access<'l>> {
    let text = &*line.text;
    let it = request(text)?;
    let plain = it.product == Product::Nginx && !is_nginx(it.status);
    (plain && is_plain(&text[span_of(text, it.status).end..]))
        .then_some(Access { product: Product::AccessLog, ..it })
}

/// The bytes, perhaps the referrer and the agent, perhaps a time as a number, and nothing else.
fn is_plain(rest: &str) -> bool {
    let number = |it: &str| it == "-" || !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    let rest = rest.trim();
    let (bytes, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
    if !number(bytes) {
        return false;
    }
    if rest.starts_with('"') {
        for _ in 0..2 {
            let Some(inner) = rest.trim_start().strip_prefix('"') else { return false };
            let Some(end) = closing_quote(inner) else { return false };
            rest = &inner[end + 1..];
        }
    }
    rest.trim().is_empty() || number(rest.trim())
}

#[cfg(test)]
mod tests {
    use crate::product::Product;
    use crate::source::Arrival;
    use crate::testimony::Testimony;
    use crate::testing::{check, check_nothing};

    const LINE: &str = "192.0.2.1 - - [20/Nov/2026:15:16:30 +0000] \"GET /a HTTP/1.1\" 502 157 \"-\" \"curl/8.5.0\"";
    const ERROR: &str = "2026/11/20 15:16:30 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.1, server: x, request: \"GET /a HTTP/1.1\", upstream: \"http://192.0.2.7:80/a\", host: \"x\"";
    const BOOTED: &str = "[2026-11-20 15:15:57 +0000] [5] [INFO] Starting gunicorn 21.2.0";

    #[test]
    fn lines_that_many_write_alike_name_nobody() {
        check(LINE, "served 502; the proxy: Answered502 status=502 | 502");
        check(
            "192.0.2.1 - - [20/Nov/2026:15:16:30 +0000] \"GET / HTTP/1.0\" 503 299",
            "served 503; the proxy: Answered503 status=503 | 503",
        );
        check(
            "192.0.2.1 - ann [20/Nov/2026:15:16:30 +0000] \"GET / HTTP/1.0\" 504 - \"-\" \"a \\\"502\\\" b\" 1234",
            "served 504; the proxy: Answered504 status=504 | 504",
        );
        check_nothing(&LINE.replace(" 502 ", " 200 "));
    }

    #[test]
    fn a_proxy_that_greets_in_http2_is_told_from_a_scanner() {
        let line = LINE.replace("GET /a HTTP/1.1\" 502", "PRI * HTTP/2.0\" 400");
        let own = line.replace("192.0.2.1", "10.0.3.7");
        check(&own, "served 400; the proxy: Http2ToHttp1 | PRI * HTTP/2.0");
        check(
            &line.replace("192.0.2.1", "100.64.3.7"),
            "served 400; the proxy: Http2ToHttp1 | PRI * HTTP/2.0",
        );
        check_nothing(&line);
        check_nothing(&own.replace(" 400 ", " 200 "));
        check_nothing(&own.replace("PRI * HTTP/2.0", "GET /PRI * HTTP/2.0"));
        check_nothing(&own.replace("PRI *", "GET /").replace("curl/8.5.0", "PRI * HTTP/2.0"));
    }

    #[test]
    fn what_only_one_writes_names_it() {
        check(&LINE.replace(" 502 ", " 499 "), "served 499; nginx: ClientClosed status=499 | 499");
        check(&format!("{LINE} \"-\""), "served 502; nginx: Answered502 status=502 | 502");
        check(
            &format!("example.com:80 {LINE}"),
            "served 502; Apache: Answered502 status=502 | 502",
        );
    }

    /// Who answered, by the first input.
    #[track_caller]
    fn check_writer(inputs: &[(&str, &str)], want: Product) {
        let testimony = Testimony::of(inputs, Arrival::File, 2026);
        let testimony = testimony.settled();
        let keys = testimony.ledger.groups.keys();
        let found: Vec<Product> = keys
            .filter(|it| it.source == 0 && it.sign == crate::Sign::Answered502)
            .map(|it| it.product)
            .collect();
        assert_eq!(found, [want], "{inputs:?}");
        let listed = testimony.sources[0].products.contains(&Product::AccessLog);
        assert_eq!(listed, want == Product::AccessLog, "{:?}", testimony.sources[0].products);
    }

    #[test]
    fn the_name_of_the_file_says_who_wrote_it() {
        for (name, want) in [
            ("access.log", Product::AccessLog),
            ("/var/log/nginx/access.log.1", Product::Nginx),
            ("nginx-access.log", Product::Nginx),
            ("/var/log/apache2/access.log", Product::Apache),
            ("/etc/httpd/logs/access_log", Product::Apache),
            ("ssl_access_log", Product::Apache),
            ("/opt/apache-tomcat-10/logs/localhost_access_log.2026-11-20.txt", Product::Tomcat),
            ("/srv/gunicorn/access.log", Product::Gunicorn),
            ("/var/log/varnish/varnishncsa.log", Product::Varnish),
            ("/srv/nginx-before-gunicorn/access.log", Product::AccessLog),
        ] {
            check_writer(&[(name, LINE)], want);
        }
    }

    #[test]
    fn the_other_lines_of_the_file_say_who_wrote_it() {
        check_writer(&[("a.log", &format!("{ERROR}\n{LINE}\n"))], Product::Nginx);
        check_writer(&[("a.log", &format!("{BOOTED}\n{LINE}\n{LINE}\n"))], Product::Gunicorn);
        // A container in which both run.
        let both = format!("{ERROR}\n{ERROR}\n{BOOTED}\n{LINE}\n");
        check_writer(&[("a.log", &both)], Product::AccessLog);
    }

    #[test]
    fn the_container_says_who_wrote_it() {
        let log = |service: &str| format!("{service}-1  | {LINE}\napp-1  | ready\n");
        check_writer(&[("compose.log", &log("nginx"))], Product::Nginx);
        check_writer(&[("compose.log", &log("web"))], Product::AccessLog);
        let known = format!("web-1  | {ERROR}\napp-1  | {BOOTED}\nweb-1  | {LINE}\n");
        check_writer(&[("compose.log", &known)], Product::Nginx);
        let app = format!("web-1  | {ERROR}\napp-1  | {BOOTED}\napp-1  | {LINE}\n");
        check_writer(&[("compose.log", &app)], Product::Gunicorn);
        check_writer(
            &[("journal", &format!("Nov 20 15:16:30 web1 apache2[12]: {LINE}\n"))],
            Product::Apache,
        );
    }

    #[test]
    fn the_only_proxy_among_the_inputs_wrote_it() {
        let nginx =
            "server {\n  listen 80;\n  location / {\n    proxy_pass http://app:8000;\n  }\n}\n";
        let apache = "<VirtualHost *:80>\n  ProxyPass / http://127.0.0.1:8000/\n</VirtualHost>\n";
        check_writer(&[("access.log", LINE), ("site.conf", nginx)], Product::Nginx);
        check_writer(&[("access.log", LINE), ("site.conf", apache)], Product::Apache);
        check_writer(&[("access.log", LINE), ("error.log", ERROR)], Product::Nginx);
        check_writer(
            &[("access.log", LINE), ("a.conf", nginx), ("b.conf", apache)],
            Product::AccessLog,
        );
        check_writer(&[("access.log", LINE), ("app.log", BOOTED)], Product::AccessLog);
    }

    #[test]
    fn what_an_app_is_made_to_log_is_no_access_line() {
        let text = format!(
            "INFO:     Started server process [12]\nINFO:     Application startup complete.\n{LINE}\n"
        );
        let testimony = Testimony::of(&[("app.log", &text)], Arrival::File, 2026);
        let signs = testimony.ledger.groups.keys().map(|it| it.sign);
        assert!(!signs.into_iter().any(|it| it == crate::Sign::Answered502));
    }
}
