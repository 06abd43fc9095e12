//! `dig`, `nslookup`, `host`, and the address of a container by `docker inspect`.

use crate::address::is_ip;
use crate::event::Event;
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, span_of};
use crate::sign::Sign;
use crate::trust::Trust;
use std::borrow::Cow;

pub(crate) const NAMES: Reader = Reader {
    name: "dig, nslookup, host and getent",
    product: Product::Shell,
    hooks: &[
        "->>HEADER<<-",
        "server can't find ",
        "can't resolve '",
        "no servers could be reached",
        "not found: ",
        "\tIN\tA",
        " IN A",
        "has address ",
        "IPAddress",
        "getent ",
    ],
    fits: |line| {
        let text = &*line.text;
        let asked = || inspected(text).is_some() || looked_up(text).is_some();
        line.ident.is_none() && (found(line).is_some() || asked())
    },
    read: |line, sink| {
        if let Some(name) = looked_up(&line.text) {
            let Some(answer) = line.below().next() else { return };
            let mut words = answer.text.split_ascii_whitespace();
            if let Some(address) = words.next().filter(|it| is_ip(it)) {
                let span = span_of(&answer.text, address);
                let event = Event::new(Product::Shell, Sign::Resolved, Trust::C, span);
                sink.event_below(&answer, event.upstream(Some(name)).detail(Some(address)));
            }
            return;
        }
        if let Some(name) = inspected(&line.text) {
            let Some(answer) = line.below().next() else { return };
            let address = answer.text.trim().trim_matches(['\'', '"']);
            if is_ip(address) {
                let span = span_of(&answer.text, address);
                let event = Event::new(Product::Docker, Sign::Resolved, Trust::B, span);
                sink.event_below(&answer, event.upstream(Some(name)).detail(Some(address)));
            }
            return;
        }
        let Some(it) = found(line) else { return };
        sink.event(
            Event::new(Product::Shell, it.sign, Trust::C, span_of(&line.text, it.words))
                .upstream(it.name)
                .detail(it.detail),
        );
    },
    source: "BIND 9.18 dig(1), nslookup(1), host(1); busybox nslookup",
    example: "** server can't find shop.internal: NXDOMAIN",
};

struct Found<'a> {
    sign: Sign,
    words: &'a str,
    name: Option<Cow<'a, str>>,
    detail: Option<&'a str>,
}

/// The container in `$ docker inspect shop-1 --format '{{…IPAddress}}'`, whose address comes next.
fn inspected(text: &str) -> Option<&str> {
    let (before, rest) = text.split_once("docker inspect ")?;
    let prompt = before.trim_end();
    let typed = prompt.is_empty() || prompt.ends_with(['$', '#', '>']) || prompt.ends_with("sudo");
    if !typed || !rest.contains("IPAddress") {
        return None;
    }
    let name = |it: &&str| {
        it.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.-".contains(&it))
            && it.starts_with(|it: char| it.is_ascii_alphanumeric())
    };
    // Templates are in quotes, whose words are no names of containers.
    let plain = rest.split(['\'', '"']).step_by(2).flat_map(str::split_ascii_whitespace);
    plain.filter(|it| !it.starts_with('-')).find(name)
}

/// The name in `$ getent hosts app`, whose address comes next.
fn looked_up(text: &str) -> Option<&str> {
    let (before, rest) = text.split_once("getent ")?;
    let prompt = before.trim_end();
    let inside = prompt.contains("docker ") || prompt.contains("kubectl ");
    let typed = prompt.is_empty() || prompt.ends_with(['$', '#', '>']) || inside;
    let mut words = rest.split_ascii_whitespace();
    let table = words.next()?;
    let name = words.next().filter(|it| !it.starts_with('-'))?;
    let known = matches!(table, "hosts" | "ahosts" | "ahostsv4" | "ahostsv6");
    (typed && known && words.next().is_none()).then_some(name)
}

fn code(word: &str) -> Option<Sign> {
    Some(match word {
        "NXDOMAIN" => Sign::NameNotFound,
        "SERVFAIL" => Sign::NameServerFailed,
        "REFUSED" => Sign::NameRefused,
        _ => return None,
    })
}

fn found<'l>(line: &'l Line) -> Option<Found<'l>> {
    let text = line.text.trim();
    // `;; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 1`: the question stands around it.
    if text.starts_with(";; ->>HEADER<<- ") {
        let word = between(text, "status: ", ",")?;
        let asked = |it: Cow<'_, str>| {
            let name = match it.strip_prefix("; <<>> DiG ") {
                Some(rest) => rest
                    .split_once("<<>> ")?
                    .1
                    .split(' ')
                    .find(|it| !it.starts_with(['@', '+', '-'])),
                None => it
                    .strip_prefix(';')
                    .filter(|it| it.contains("IN"))
                    .and_then(|it| it.split(['\t', ' ']).next()),
            };
            let name = name.map(|it| it.trim_end_matches('.')).filter(|it| !it.is_empty());
            name.map(|it| Cow::Owned(it.to_owned()))
        };
        let name = line
            .following()
            .take(12)
            .filter(|it| it.starts_with(';') && !it.starts_with(";;"))
            .find_map(asked)
            .or_else(|| line.preceding().take(4).find_map(asked));
        let status = span_of(text, word);
        let words = &text[status.start - "status: ".len()..status.end];
        return Some(Found { sign: code(word)?, words, name, detail: None });
    }
    if let Some(rest) = text.strip_prefix("** server can't find ") {
        let (name, word) = rest.rsplit_once(": ")?;
        return Some(Found {
            sign: code(word)?,
            words: text,
            name: Some(name.trim_end_matches('.').into()),
            detail: None,
        });
    }
    if let Some(rest) = text.strip_prefix("nslookup: can't resolve '") {
        let name = rest.split('\'').next()?;
        return Some(Found {
            sign: Sign::NameNotFound,
            words: text,
            name: Some(name.into()),
            detail: None,
        });
    }
    if text.starts_with(";; connection timed out; no servers could be reached")
        || text.starts_with(";; no servers could be reached")
    {
        return Some(Found { sign: Sign::NameTimedOut, words: text, name: None, detail: None });
    }
    // `Host shop.internal not found: 3(NXDOMAIN)`.
    if let Some(rest) = text.strip_prefix("Host ") {
        let (name, rest) = rest.split_once(" not found: ")?;
        let word = between(rest, "(", ")")?;
        return Some(Found {
            sign: code(word)?,
            words: text,
            name: Some(name.into()),
            detail: None,
        });
    }
    // `shop.internal.	300	IN	A	192.0.2.7`, `shop.internal has address 192.0.2.7`.
    if let Some((name, address)) = text.split_once(" has address ") {
        let known = is_ip(address) && !name.contains(' ');
        return known.then_some(Found {
            sign: Sign::Resolved,
            words: text,
            name: Some(name.into()),
            detail: Some(address),
        });
    }
    let mut words = text.split_ascii_whitespace();
    let (name, life, class) = (words.next()?, words.next()?, words.next()?);
    let (kind, address) = (words.next()?, words.next()?);
    let answer = class == "IN"
        && matches!(kind, "A" | "AAAA")
        && life.parse::<u32>().is_ok()
        && is_ip(address)
        && words.next().is_none();
    answer.then(|| Found {
        sign: Sign::Resolved,
        words: text,
        name: Some(name.trim_end_matches('.').into()),
        detail: Some(address),
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn a_container_has_an_address() {
        check(
            "$ docker inspect shop-1 --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'\n192.0.2.3",
            "Docker: Resolved upstream=shop-1 detail=192.0.2.3 | 192.0.2.3",
        );
        check_nothing("$ docker inspect shop-1 --format '{{.IPAddress}}'\nError: No such object");
        check_nothing("then call docker inspect shop-1 for its IPAddress\n192.0.2.3");
    }

    #[test]
    fn failures_name_what_was_asked() {
        check(
            "** server can't find shop.internal: NXDOMAIN",
            "the shell: NameNotFound upstream=shop.internal | ** server can't find shop.internal: NXDOMAIN",
        );
        check(
            ";; ->>HEADER<<- opcode: QUERY, status: SERVFAIL, id: 4711\n;; flags: qr rd ra; QUERY: 1\n\n;; \
             QUESTION SECTION:\n;shop.internal.\t\t\tIN\tA",
            "the shell: NameServerFailed upstream=shop.internal | status: SERVFAIL",
        );
        check(
            ";; connection timed out; no servers could be reached",
            "the shell: NameTimedOut | ;; connection timed out; no servers could be reached",
        );
        check(
            "Host shop.internal not found: 5(REFUSED)",
            "the shell: NameRefused upstream=shop.internal | Host shop.internal not found: 5(REFUSED)",
        );
    }

    #[test]
    fn answers_are_a_state() {
        check(
            "shop.internal.\t300\tIN\tA\t192.0.2.7",
            "the shell: Resolved upstream=shop.internal detail=192.0.2.7 | shop.internal.\t300\tIN\tA\t192.0.2.7",
        );
        check_nothing(";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 1");
        check_nothing("my house has address 12");
        check_nothing("GET /** server can't find x: NXDOMAIN");
    }

    #[test]
    fn a_name_that_was_looked_up_by_getent_is_at_what_follows() {
        check(
            "# getent hosts app\n192.0.2.7       app",
            "the shell: Resolved upstream=app detail=192.0.2.7 | 192.0.2.7",
        );
        check(
            "$ docker compose exec web getent ahosts app\n192.0.2.7       STREAM app",
            "the shell: Resolved upstream=app detail=192.0.2.7 | 192.0.2.7",
        );
        check_nothing("# getent hosts app");
        check_nothing("# getent passwd app\n192.0.2.7");
        check_nothing("GET /?q=getent hosts app\n192.0.2.7");
    }
}
