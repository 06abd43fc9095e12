//! Refusals of SELinux and AppArmor, as auditd, the kernel and setroubleshoot write them.
//!
//! `type=AVC msg=audit(EPOCH.ms:ID): avc:  denied  { name_connect } for  pid=5 comm="nginx" …`. Names
//! and paths in a record are those of processes and files on the host; what is not plain text is
//! written as hex.

use crate::clock::{self, Stamp};
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;
use std::borrow::Cow;

pub(super) const LOG: Reader = Reader {
    name: "audit log",
    product: Product::Audit,
    hooks: &["type=AVC", "type=USER_AVC", "type=1400", "type=ANOM_ABEND"],
    fits: |line| is_record(&line.text),
    read,
    source: "ausearch(8); kernel security/selinux/avc.c; auditd 3.0",
    example: "type=AVC msg=audit(1795187790.123:417): avc:  denied  { name_connect } for  pid=5 \
              comm=\"nginx\" dest=8001 scontext=system_u:system_r:httpd_t:s0 \
              tcontext=system_u:object_r:vcom_port_t:s0 tclass=tcp_socket permissive=0",
};

pub(super) const SEALERT: Reader = Reader {
    name: "setroubleshoot message",
    product: Product::Audit,
    hooks: &["SELinux is preventing "],
    fits: |line| line.text.trim_start().starts_with(SEALERT.hooks[0]),
    read: sealert,
    source: "setroubleshoot: SELinux is preventing SOURCE from ACCESS access on the CLASS TARGET",
    example: "SELinux is preventing nginx from name_connect access on the tcp_socket port 8001.",
};

/// Whether a line begins as a record of auditd, or of the kernel's audit, does.
pub(super) fn is_record(text: &str) -> bool {
    let text = match text.strip_prefix("node=") {
        Some(rest) => rest.split_once(' ').map_or("", |(_, it)| it),
        None => text,
    };
    text.starts_with("type=") && text.contains("msg=audit(")
        || text.starts_with("audit: type=")
        || text.starts_with("avc:  denied ")
}

fn read(line: &Line, sink: &mut dyn Sink) {
    if line.text.contains("type=ANOM_ABEND") {
        abend(line, sink);
    } else if let Some(event) = denial(line, &line.text) {
        sink.event(event);
    }
}

/// A process that ended by a signal of its own fault: `… comm="php-fpm" … sig=11`.
fn abend(line: &Line, sink: &mut dyn Sink) {
    let text = &*line.text;
    let signal = field(text, "sig").and_then(number);
    if !matches!(signal, Some(4 | 6 | 7 | 8 | 11)) {
        return;
    }
    let words = &text[text.find("type=ANOM_ABEND").unwrap_or(0)..][..15];
    sink.event(
        Event::new(Product::Audit, Sign::WorkerSegfault, Trust::B, span_of(text, words))
            .at(time(text))
            .who(field(text, "comm").map(str::to_owned))
            .pid(field(text, "pid").and_then(|it| it.parse().ok()))
            .number(signal),
    );
}

/// The refusal that a record tells of. What was allowed and only noted (`permissive=1`) is none. The
/// record may go on in the next lines, where a terminal or a page has wrapped it.
pub(super) fn denial<'a>(line: &Line<'_>, message: &'a str) -> Option<Event<'a>> {
    let record = whole(line, message);
    let inset = line.text.len() - message.len();
    let spanned = |words: &str, alone: &str| {
        let at = message.find(words).map(|at| at..at + words.len());
        let at = at.or_else(|| message.find(alone).map(|at| at..message.trim_end().len()));
        at.map(|it| inset + it.start..inset + it.end)
    };
    let owned = |name: &str| field(&record, name).map(str::to_owned);
    if record.contains("apparmor=\"DENIED\"") {
        let span = spanned("apparmor=\"DENIED\"", "apparmor=")?;
        let what = [owned("operation"), owned("name").or(owned("profile"))];
        let what: Vec<String> = what.into_iter().flatten().collect();
        return Some(
            Event::new(Product::Audit, Sign::ApparmorDenied, Trust::B, span)
                .at(time(&record))
                .who(owned("comm"))
                .pid(field(&record, "pid").and_then(|it| it.parse().ok()))
                .detail((!what.is_empty()).then(|| what.join(" "))),
        );
    }
    let access =
        between(&record, "denied  { ", " }").or_else(|| between(&record, "denied { ", " }"))?;
    if field(&record, "permissive") == Some("1") {
        return None;
    }
    let span = spanned(&format!("denied  {{ {access} }}"), "avc:")?;
    let access = access.to_owned();
    Some(
        Event::new(Product::Audit, Sign::SelinuxDenied, Trust::B, span)
            .at(time(&record))
            .who(owned("comm"))
            .pid(field(&record, "pid").and_then(|it| it.parse().ok()))
            .upstream(owned("path").or_else(|| owned("name")).filter(|it| it.starts_with('/')))
            .number(field(&record, "dest").and_then(number))
            .detail(Some(access)),
    )
}

/// A record with the lines that it was wrapped into, up to where the next one begins.
fn whole<'a>(line: &Line<'_>, message: &'a str) -> Cow<'a, str> {
    const WRAPPED: usize = 3;
    let complete = message.contains("tclass=") || message.contains("requested_mask=");
    if complete {
        return Cow::Borrowed(message);
    }
    let mut whole = message.to_owned();
    let next = line.following().take(WRAPPED);
    for line in next.take_while(|it| !is_record(it) && !it.trim().is_empty()) {
        whole.push(' ');
        whole.push_str(line.trim());
    }
    // Two spaces stand where a line was folded at them.
    Cow::Owned(whole.replace("avc: denied", "avc:  denied").replace("denied {", "denied  {"))
}

/// The value of `name=`, without its quotes.
fn field<'a>(record: &'a str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    loop {
        let at = from + record[from..].find(name)?;
        from = at + name.len();
        let starts = at == 0 || matches!(record.as_bytes()[at - 1], b' ' | b'(');
        if !starts || record.as_bytes().get(from) != Some(&b'=') {
            continue;
        }
        let value = &record[from + 1..];
        return match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => value.split([' ', '\'']).next(),
        };
    }
}

/// `audit(1795187790.123:417)`.
fn time(record: &str) -> Option<Stamp> {
    let (seconds, _) = between(record, "audit(", ")")?.split_once(':')?;
    clock::epoch(seconds.parse().ok()?)
}

/// `SELinux is preventing /usr/sbin/nginx from name_connect access on the tcp_socket port 8001.`
fn sealert(line: &Line, sink: &mut dyn Sink) {
    let whole = whole(line, &line.text);
    let Some((who, rest)) = whole
        .trim_start()
        .strip_prefix("SELinux is preventing ")
        .and_then(|it| it.split_once(" from "))
    else {
        return;
    };
    let Some((access, target)) = rest.split_once(" access on the ") else { return };
    let access = access.trim_start_matches("using the ").to_owned();
    let target = target.split(". ").next().unwrap_or(target).trim_end_matches('.');
    let port = target.split("port ").nth(1).and_then(number);
    let path = target.split(' ').nth(1).filter(|it| it.starts_with('/')).map(str::to_owned);
    let who = who.rsplit('/').next().unwrap_or(who).to_owned();
    let text = &*line.text;
    let end = text.find(" access on the ").map_or(text.len(), |it| it + " access".len());
    let start = text.len() - text.trim_start().len();
    sink.event(
        Event::new(Product::Audit, Sign::SelinuxDenied, Trust::B, start..end.max(start))
            .who(Some(who))
            .upstream(path)
            .number(port)
            .detail(Some(access)),
    );
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    const AVC: &str = "type=AVC msg=audit(1795187790.123:417): avc:  denied  { name_connect } for  \
                       pid=5 comm=\"nginx\" dest=8001 scontext=system_u:system_r:httpd_t:s0 \
                       tcontext=system_u:object_r:x_t:s0 tclass=tcp_socket permissive=";

    #[test]
    fn a_refusal_names_process_access_and_port() {
        check(
            &format!("{AVC}0"),
            "audit: SelinuxDenied who=nginx detail=name_connect number=8001 | denied  { \
             name_connect }",
        );
        check_nothing(&format!("{AVC}1"));
        check(
            "type=AVC msg=audit(1795187790.123:417): avc:  denied  { name_connect } for  pid=5 \
             comm=\"nginx\"\ndest=8001 scontext=system_u:system_r:httpd_t:s0\ntclass=tcp_socket",
            "audit: SelinuxDenied who=nginx detail=name_connect number=8001 | denied  { \
             name_connect }",
        );
        check(
            "type=AVC msg=audit(1795187790.123:417): avc:  denied  { connectto } for  pid=5 \
             comm=\"nginx\" path=\"/run/app.sock\" tclass=unix_stream_socket permissive=0",
            "audit: SelinuxDenied upstream=/run/app.sock who=nginx detail=connectto | denied  { \
             connectto }",
        );
    }

    #[test]
    fn the_kernel_carries_them_too() {
        check(
            "Nov 20 15:16:30 web kernel: audit: type=1400 audit(1795187790.123:31): \
             apparmor=\"DENIED\" operation=\"connect\" profile=\"/usr/sbin/nginx\" \
             name=\"/run/app.sock\" pid=7 comm=\"nginx\" requested_mask=\"wr\" denied_mask=\"wr\"",
            "audit: ApparmorDenied who=nginx detail=connect /run/app.sock | apparmor=\"DENIED\"",
        );
        check(
            "[12.345678] audit: type=1400 audit(1795187790.123:31): avc:  denied  { name_connect } \
             for  pid=5 comm=\"nginx\" dest=8000 tclass=tcp_socket permissive=0",
            "audit: SelinuxDenied who=nginx detail=name_connect number=8000 | denied  { \
             name_connect }",
        );
    }

    #[test]
    fn the_sentence_for_people_says_the_same() {
        check(
            "Nov 20 15:16:30 web setroubleshoot[99]: SELinux is preventing /usr/sbin/nginx from \
             name_connect access on the tcp_socket port 8001. For complete SELinux messages run: \
             sealert -l 0a1b",
            "audit: SelinuxDenied who=nginx detail=name_connect number=8001 | SELinux is \
             preventing /usr/sbin/nginx from name_connect access",
        );
    }

    #[test]
    fn what_stands_in_other_lines_is_no_refusal() {
        check_nothing("GET /?type=AVC msg=audit(1795187790.123:1): avc:  denied  { x } HTTP/1.1");
        check_nothing("type=USER_LOGIN msg=audit(1795187790.123:1): pid=1 acct=\"avc:  denied\"");
        check_nothing("type=AVC msg=audit(");
    }
}
