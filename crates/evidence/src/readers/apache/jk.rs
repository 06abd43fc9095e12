//! mod_jk: `[Mon Mar 15 23:59:41 2010] [5575:3004840816] [error] ajp_service::jk_ajp_common.c
//! (2212): (worker1) connecting to tomcat failed`.

use super::Code;
use super::error::connect_sign;
use crate::clock::{self, Stamp};
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(in crate::readers) const JK: Reader = Reader {
    name: "mod_jk log",
    product: Product::Apache,
    hooks: &[
        "tomcat failed",
        "backend failed",
        "Failed opening socket",
        "network problems",
        "Tomcat is down",
        "instances failed",
    ],
    fits: |line| parts(&line.text).is_some(),
    read,
    source: "tomcat-connectors native/common/jk_ajp_common.c, jk_lb_worker.c",
    example: "[Mon Mar 15 23:59:41.123 2010] [5575:3004840816] [error] ajp_service::jk_ajp_common.c \
              (2212): (worker1) connecting to tomcat failed.",
};

fn parts(text: &str) -> Option<(Stamp, &str)> {
    let (at, end) = text.strip_prefix('[').and_then(clock::ctime)?;
    let rest = text[end + 1..].strip_prefix(']')?.trim_start().strip_prefix('[')?;
    let (ids, rest) = rest.split_once("] [")?;
    let numbers = |it: u8| it.is_ascii_digit() || it == b':';
    if !ids.contains(':') || !ids.bytes().all(numbers) {
        return None;
    }
    let (_, message) = rest.split_once("): ").filter(|(it, _)| it.contains(".c ("))?;
    Some((at, message))
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some((at, message)) = parts(&line.text) else { return };
    let errno = between(message, "(errno=", ")").and_then(number);
    let Some((words, sign)) = sign(message, errno) else { return };
    let worker = message.strip_prefix('(').and_then(|it| it.split_once(')')).map(|(it, _)| it);
    let address = ["socket to (", "tomcat ("].iter().find_map(|it| between(message, it, ")"));
    sink.event(
        Event::new(Product::Apache, sign, Trust::C, span_of(&line.text, words))
            .at(Some(at))
            .upstream(address)
            .who(worker),
    );
}

/// The guess that stands behind many of them (`Tomcat is probably not started`) is no part.
fn sign(message: &str, errno: Option<i64>) -> Option<(&str, Sign)> {
    const TABLE: [(&str, Option<Sign>); 7] = [
        ("Failed opening socket to", None),
        ("connecting to backend failed", None),
        ("onnecting to tomcat failed", Some(Sign::ConnectFailed)),
        ("Timeout with waiting reply from tomcat", Some(Sign::HeadTimedOut)),
        ("can't receive the response header message from tomcat", Some(Sign::Disconnected)),
        ("Tomcat is down or refused connection", Some(Sign::Disconnected)),
        ("All tomcat instances failed", Some(Sign::NoLiveUpstream)),
    ];
    let (at, words, sign) =
        TABLE.iter().find_map(|(it, sign)| Some((message.find(it)?, it, sign)))?;
    // Releases differ in the case of the first letter.
    let start = if message[..at].ends_with(['c', 'C']) { at - 1 } else { at };
    let sign = match (sign, errno) {
        (None, code) => connect_sign(code.map(Code::System), false),
        (Some(Sign::Disconnected), Some(104 | 54)) => Sign::Reset,
        (Some(Sign::Disconnected), Some(110 | 60)) => Sign::HeadTimedOut,
        (Some(sign), _) => *sign,
    };
    Some((&message[start..at + words.len()], sign))
}
