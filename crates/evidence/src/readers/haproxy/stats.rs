//! What HAProxy answers when it is asked for its state: `show stat` as CSV, as typed fields, as
//! `name: value`, and the cells of the page of statistics. A check's result is one of the codes of
//! `check_status`.

use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(in crate::readers) const STATS: Reader = Reader {
    name: "HAProxy statistics",
    product: Product::HaProxy,
    hooks: &[
        "L7STS",
        "L7RSP",
        "L7TOUT",
        "L6RSP",
        "L6TOUT",
        "L4CON",
        "L4TOUT",
        "SOCKERR",
        "PROCERR",
        "PROCTOUT",
        ",BACKEND,",
    ],
    fits: |line| row(&line.text).is_some() || code(&line.text).is_some(),
    read,
    source: "HAProxy management guide, 9.1 (CSV format), 9.2 (typed output); HAProxy 2.6.12",
    example: "check_status: L7STS",
};

/// What a check's result says (src/check.c, `check_statuses`).
const CODES: [(&str, Sign); 10] = [
    ("L7STS", Sign::HealthWrongAnswer),
    ("L7RSP", Sign::HealthWrongProtocol),
    ("L7TOUT", Sign::HealthTimedOut),
    ("L6RSP", Sign::HealthWrongProtocol),
    ("L6TOUT", Sign::HealthTimedOut),
    ("L4CON", Sign::HealthConnectFailed),
    ("L4TOUT", Sign::HealthTimedOut),
    ("SOCKERR", Sign::HealthConnectFailed),
    ("PROCERR", Sign::HealthFailed),
    ("PROCTOUT", Sign::HealthTimedOut),
];

fn sign(word: &str) -> Option<Sign> {
    CODES.iter().find(|(it, _)| *it == word).map(|(_, sign)| *sign)
}

fn read(line: &Line, sink: &mut dyn Sink) {
    if let Some(row) = row(&line.text) {
        return row.tell(&line.text, sink);
    }
    let Some((sign, words, status)) = code(&line.text) else { return };
    // The other fields of the same server stand beside it.
    let status = status.or_else(|| field(line, "check_code").and_then(|it| number(&it)));
    let name = field(line, "svname");
    sink.event(
        Event::new(Product::HaProxy, sign, Trust::C, span_of(&line.text, words))
            .number(status)
            .who(name),
    );
}

/// How many lines a server's fields take.
const FIELDS: usize = 120;

/// The value of another field of the same server: after the line, then before it.
fn field(line: &Line, name: &str) -> Option<String> {
    let value = |text: &str| {
        let at = text.find(name)?;
        let rest = text[at + name.len()..].trim_start_matches(['"', ' ']);
        let value = rest.strip_prefix([':', '='])?.trim_matches([' ', '"', ',']);
        (!value.is_empty() && !value.contains(' ')).then(|| value.to_owned())
    };
    let ends = |text: &str| text.contains("check_status") || text.trim().is_empty();
    let after = line.following().take(FIELDS).take_while(|it| !ends(it)).find_map(|it| value(&it));
    after.or_else(|| {
        line.preceding().take(FIELDS).take_while(|it| !ends(it)).find_map(|it| value(&it))
    })
}

/// `check_status: L7STS`, `"check_status": "* L4CON"`, `S.2.1.36.check_status.1:MGP:str:L7STS` and
/// `L7STS/404 in 3ms`.
fn code(text: &str) -> Option<(Sign, &str, Option<i64>)> {
    if let Some(at) = text.find("check_status") {
        let before = text[..at].trim_start_matches([' ', '"', '-', '{', '|']);
        let typed = before.starts_with("S.") && !before.contains(' ');
        if !before.is_empty() && !typed {
            return None;
        }
        let rest = &text[at + "check_status".len()..];
        let value = if typed { rest.rsplit(':').next()? } else { rest };
        let value = value.trim_matches([' ', '"', ':', '=', '*', ',', '|', '\t', '}']);
        return Some((sign(value)?, value, None));
    }
    let (at, known, sign) =
        CODES.iter().find_map(|(it, sign)| Some((text.find(it)?, *it, *sign)))?;
    // A cell of the page: nothing but times and states before it, and how long it took after it.
    let before = &text[..at];
    let cell = before.len() < 200 && !before.contains(['"', '?', '=', '<']);
    let rest = &text[at + known.len()..];
    let (status, rest) = match rest.strip_prefix('/') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            (number(rest), &rest[digits..])
        }
        None => (None, rest),
    };
    let took = rest.strip_prefix(" in ")?;
    let digits = took.bytes().take_while(u8::is_ascii_digit).count();
    let end = text.len() - rest.len();
    (cell && digits > 0 && took[digits..].starts_with("ms")).then(|| (sign, &text[at..end], status))
}

/// A line of the CSV: a server, or a backend as a whole.
struct Row<'a> {
    backend: &'a str,
    server: &'a str,
    state: &'a str,
    check: &'a str,
    status: &'a str,
}

/// The places of fields, which no release has moved.
const STATE: usize = 17;
const CHECK: usize = 36;
const STATUS: usize = 37;

fn row(text: &str) -> Option<Row<'_>> {
    if text.bytes().filter(|it| *it == b',').take(STATUS + 1).count() <= STATUS {
        return None;
    }
    let mut fields = text.split(',');
    let (backend, server) = (fields.next()?, fields.next()?);
    let state = fields.nth(STATE - 2)?;
    let check = fields.nth(CHECK - STATE - 1)?;
    let status = fields.nth(STATUS - CHECK - 1)?;
    let known = ["UP", "DOWN", "MAINT", "NOLB", "DRAIN", "no check"];
    let plain = |it: &str| !it.is_empty() && !it.contains([' ', '"', '/']);
    let row = Row { backend, server, state, check, status };
    (plain(backend) && plain(server) && known.iter().any(|it| state.starts_with(it))).then_some(row)
}

impl Row<'_> {
    fn tell(&self, text: &str, sink: &mut dyn Sink) {
        let event =
            |sign, words: &str| Event::new(Product::HaProxy, sign, Trust::C, span_of(text, words));
        let down = self.state.starts_with("DOWN");
        if self.server == "BACKEND" {
            if down {
                let event = event(Sign::NoLiveUpstream, &text[..span_of(text, self.state).end]);
                sink.event(
                    Event { span: span_of(text, self.state), ..event }.upstream(Some(self.backend)),
                );
            }
            return;
        }
        let who = format!("{}/{}", self.backend, self.server);
        if down {
            sink.event(event(Sign::ServerDown, self.state).who(Some(who.clone())));
        }
        let check = self.check.trim_start_matches(['*', ' ']);
        if let Some(sign) = sign(check) {
            sink.event(event(sign, check).who(Some(who)).number(number(self.status)));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn a_check_is_told_by_its_code_however_it_is_written() {
        check(
            "  check_status: L7STS\n  check_code: 503\n  svname: web1",
            "HAProxy: HealthWrongAnswer who=web1 number=503 | L7STS",
        );
        check("\"check_status\": \"* L4CON\",", "HAProxy: HealthConnectFailed | L4CON");
        check("S.3.1.36.check_status.1:MGP:str:L6RSP", "HAProxy: HealthWrongProtocol | L6RSP");
        check(
            "5m2s DOWN\tL7STS/404 in 3ms\t1\tY\t-",
            "HAProxy: HealthWrongAnswer number=404 | L7STS/404",
        );
        check("1h3m DOWN L4TOUT in 2001ms", "HAProxy: HealthTimedOut | L4TOUT");
    }

    #[test]
    fn the_table_tells_of_servers_and_of_backends() {
        let row = |server: &str, state: &str, check: &str, code: &str| {
            format!(
                "app,{server},0,0,0,1,,5,900,1200,,0,,0,0,0,0,{state},1,1,0,3,1,60,60,,1,3,1,,0,,2,0,,1,{check},{code},3,0,0,0"
            )
        };
        check(
            &row("web1", "DOWN", "L7STS", "404"),
            "HAProxy: ServerDown who=app/web1 | DOWN; HAProxy: HealthWrongAnswer who=app/web1 \
             number=404 | L7STS",
        );
        check(&row("BACKEND", "DOWN", "", ""), "HAProxy: NoLiveUpstream upstream=app | DOWN");
        check_nothing(&row("web1", "UP", "L7OK", "200"));
    }

    #[test]
    fn healthy_checks_and_words_of_others_say_nothing() {
        check_nothing("check_status: L7OK");
        check_nothing("check_status: ");
        check_nothing("192.0.2.1 \"GET /?q=L7STS/404 in 3ms HTTP/1.1\" 200 5");
        check_nothing("what does L7STS mean?");
        check_nothing("please see check_status: L7STS");
    }
}
