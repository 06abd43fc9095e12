//! Pieces of code that people paste: where a server listens, and its timeouts
//! (nodejs.org/api/http.html, flask.palletsprojects.com, pkg.go.dev/net/http).

use super::words::{integer, lines, port};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const CODE: Config = Config {
    name: "code",
    product: Product::Unknown,
    fits,
    read,
    source: "https://nodejs.org/api/http.html#serverkeepalivetimeout",
    example: "app.listen(3000, '127.0.0.1');\n",
};

/// The most calls that are looked at.
const MAX_CALLS: usize = 1000;

const CALLS: [(&str, Product); 9] = [
    (".listen(", Product::Node),
    ("app.run(", Product::Flask),
    ("uvicorn.run(", Product::Uvicorn),
    ("web.run_app(", Product::Python),
    ("serve(", Product::Waitress),
    ("ListenAndServe(", Product::Go),
    ("ListenAndServeTLS(", Product::Go),
    ("net.Listen(", Product::Go),
    ("HTTPServer(", Product::Python),
];

const FIELDS: [(&str, Product, Limit); 10] = [
    (".keepAliveTimeout", Product::Node, Limit::KeepAliveClose),
    (".headersTimeout", Product::Node, Limit::Client),
    (".requestTimeout", Product::Node, Limit::Client),
    ("server.timeout", Product::Node, Limit::Worker),
    ("server.setTimeout(", Product::Node, Limit::Worker),
    ("ReadTimeout:", Product::Go, Limit::Client),
    ("ReadHeaderTimeout:", Product::Go, Limit::Client),
    ("WriteTimeout:", Product::Go, Limit::Worker),
    ("IdleTimeout:", Product::Go, Limit::KeepAliveClose),
    ("maxHeaderSize:", Product::Node, Limit::RequestHead),
];

fn fits(_: &str, text: &str) -> bool {
    // A traceback quotes code, and is a log.
    let trace = ["Traceback (", "  File \"", "\n    at ", "goroutine "];
    let log = |it: &str| it.starts_with(|it: char| it.is_ascii_digit() || it == '[');
    !trace.iter().any(|it| text.contains(it))
        && !lines(text).next().is_some_and(log)
        && !read("", text).is_empty()
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Unknown, text);
    let mut calls = 0;
    for line in lines(text).filter(|it| !it.starts_with("//") && !it.starts_with(['#', '*'])) {
        for (name, product) in CALLS {
            let Some(at) = line.find(name) else { continue };
            calls += 1;
            if calls > MAX_CALLS || !starts_word(line, at) {
                break;
            }
            places.product(product);
            call(&mut places, text, &line[at..], name, product);
            break;
        }
        for (name, product, limit) in FIELDS {
            let Some(at) = line.find(name) else { continue };
            places.product(product);
            field(&mut places, &line[at..], name, product, limit);
        }
    }
    places.settings
}

fn starts_word(line: &str, at: usize) -> bool {
    line.as_bytes()[at] == b'.'
        || !line[..at].ends_with(|it: char| it.is_alphanumeric() || matches!(it, '_' | '"' | '`'))
}

fn call<'t>(places: &mut Places<'t>, text: &'t str, from: &'t str, name: &str, product: Product) {
    let start = super::words::offset(text, from);
    let rest = &text[start + name.len()..];
    // Arguments may go on for some lines, but not for ever.
    let end = rest.bytes().take(400).position(|it| it == b')' || it == b';');
    let end = end.unwrap_or_else(|| rest.find('\n').unwrap_or(rest.len()).min(rest.len()));
    let arguments = rest.get(..end).unwrap_or_default();
    let quote = text.get(start..start + name.len() + end).unwrap_or(from);
    let all: Vec<&str> = arguments.split(',').map(str::trim).take(20).collect();
    let keyword = |name: &str| {
        all.iter().find_map(|it| {
            let (key, value) = it.split_once(['=', ':'])?;
            (key.trim() == name).then(|| bare(value))
        })
    };
    let first = all.first().copied().unwrap_or_default();
    let second = all.get(1).copied().unwrap_or_default();
    let address = match product {
        Product::Node => node(first, second, &keyword),
        Product::Go => {
            let it = if name == "net.Listen(" { second } else { first };
            it.starts_with(['"', '`']).then(|| bare(it).to_owned())
        }
        _ => python(product, name, first, second, &keyword),
    };
    let Some(address) = address.filter(|it| it.contains(':') || it.starts_with('/')) else {
        return;
    };
    let quote = if quote.contains('\n') { from.lines().next().unwrap_or(quote) } else { quote };
    let scheme = if name.contains("TLS") { Scheme::Https } else { Scheme::Http };
    places.add(What::Listens { address, scheme }, quote.trim_end());
}

fn bare(word: &str) -> &str {
    word.trim().trim_matches(['"', '\'', '`', '{', '}', '(', ')', ' '])
}

/// `listen(3000)`, `listen(3000, '127.0.0.1')`, `listen({ port, host })`, `listen('/run/a.sock')`.
fn node<'t>(
    first: &'t str,
    second: &'t str,
    keyword: &dyn Fn(&str) -> Option<&'t str>,
) -> Option<String> {
    if first.starts_with(['"', '\'']) && bare(first).starts_with('/') {
        return Some(format!("unix:{}", bare(first)));
    }
    if first.starts_with('{') {
        let number =
            keyword("port").or_else(|| first.split_once("port:").map(|(_, it)| bare(it)))?;
        let host = keyword("host").unwrap_or_default();
        return port(number).map(|it| format!("{host}:{it}"));
    }
    // `process.env.PORT || 3000`.
    let number = first.rsplit("||").next().and_then(|it| port(bare(it)))?;
    let named = second.starts_with(['"', '\'', '`']);
    Some(format!("{}:{number}", if named { bare(second) } else { "" }))
}

fn python<'t>(
    product: Product,
    name: &str,
    first: &'t str,
    second: &'t str,
    keyword: &dyn Fn(&str) -> Option<&'t str>,
) -> Option<String> {
    if name == "HTTPServer(" {
        // `HTTPServer(("127.0.0.1", 8000), Handler)` is cut at the first bracket.
        return first.starts_with('(').then(|| format!("{}:{}", bare(first), bare(second)));
    }
    let given = keyword("host").is_some() || keyword("port").is_some();
    let (host, number) = match product {
        Product::Flask => ("127.0.0.1", "5000"),
        Product::Uvicorn => ("127.0.0.1", "8000"),
        _ if !given => return None,
        _ => ("0.0.0.0", "8080"),
    };
    let host = keyword("host").unwrap_or(host);
    let number = keyword("port").unwrap_or(number);
    let plain = |it: &str| {
        it.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | ':' | '-' | '_'))
    };
    (plain(host) && port(number).is_some()).then(|| format!("{host}:{number}"))
}

fn field<'t>(places: &mut Places<'t>, from: &'t str, name: &str, product: Product, limit: Limit) {
    let rest = from[name.len()..].trim_start();
    let calls = name.ends_with(['(', ':']);
    let Some(value) = (if calls { Some(rest) } else { rest.strip_prefix('=') }) else { return };
    let end = value.find([';', ',', ')', '}', '/', '\n']).unwrap_or(value.len());
    let value = &value[..end];
    let factors: Option<i64> = value.split('*').try_fold(1_i64, |product, it| {
        let scale = match it.trim() {
            "time.Second" => 1000,
            "time.Millisecond" => 1,
            "time.Minute" => 60_000,
            it => integer(&it.replace('_', "")).filter(|it| *it >= 0)?,
        };
        product.checked_mul(scale)
    });
    let end = super::words::offset(from, value) + value.len();
    if product == Product::Go && !value.contains("time.") {
        return;
    }
    places.limit(limit, factors, from.get(..end).unwrap_or(from).trim_end());
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn servers_of_several_languages_are_read() {
        for (text, want) in [
            (
                "const server = app.listen(process.env.PORT || 3000, '127.0.0.1', () => {});\nserver.keepAliveTimeout = 65 * 1000;\nserver.headersTimeout = 66_000;\n",
                "the log: Listens 127.0.0.1:3000; Limit KeepAliveClose 65000; Limit Client 66000",
            ),
            ("server.listen({ port: 8080, host: '0.0.0.0' })", "the log: Listens 0.0.0.0:8080"),
            ("app.listen(3000)", "the log: Listens :3000"),
            (
                "if __name__ == '__main__':\n    app.run(debug=True)\n",
                "the log: Listens 127.0.0.1:5000",
            ),
            ("app.run(host='0.0.0.0', port=8080)", "the log: Listens 0.0.0.0:8080"),
            (
                "uvicorn.run(\"main:app\", host=\"127.0.0.1\", port=80)",
                "the log: Listens 127.0.0.1:80",
            ),
            ("log.Fatal(http.ListenAndServe(\":8080\", nil))", "the log: Listens :8080"),
            (
                "srv := &http.Server{\n  IdleTimeout: 30 * time.Second,\n}",
                "the log: Limit KeepAliveClose 30000",
            ),
        ] {
            check_config("server.js", text, want);
        }
    }

    #[test]
    fn tracebacks_logs_and_prose_are_none() {
        for text in [
            "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    app.run(port=80)",
            "[2026-01-02] app.listen(3000) was called",
            "I call app.listen() and it fails",
            "element.addEventListener('x', f); store.listen(callback)",
            "serve(",
            ".listen({port:",
        ] {
            assert!(!super::fits("a.py", text), "{text}");
        }
    }
}
