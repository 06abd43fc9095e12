//! The target's answer holds a header line that is not `Name: value`.
//!
//! ## What you see
//! Status 502. nginx logs `upstream sent invalid header: "Bad\x20..."`, Apache `AH01106: bad
//! HTTP/1.1 header returned by PATH`, Go and Caddy `malformed MIME header: missing colon: "..."`,
//! HAProxy marks `PH--`.
//!
//! ## Why it happens
//! An app writes a value with a line break into a field, so that its rest becomes a line of its own
//! (which is also how headers are injected by attackers); a name holds a space; a program prints
//! into its header.
//!
//! ## How to tell
//! The raw answer shows the line.
//!
//! ## Fix
//! Set fields through the framework, and refuse or encode line breaks in values that come from
//! users.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use crate::{head, show};
use evidence::Sign;
use exchange::{BodyFault, HeadFault, Http2};

pub(super) static CAUSE: Cause = Cause {
    id: "invalid_header_line",
    family: Family::F9,
    title: "A field line of the answer cannot be read",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::HeaderBad, 0.88), (Sign::ProtocolError, 0.15)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    if let Some(BodyFault::Trailer) = case.body_fault() {
        return Some(Finding::new(
            0.7,
            format!(
                "{} sent fields after its body that cannot be read or exceed \
                 `limits.response_head`",
                case.server()
            ),
            "the body ended well, and the trailer section after it did not",
        ));
    }
    let HeadFault::FieldLine = case.head_fault()? else {
        return None;
    };
    if case.attempt()?.http2 != Http2::No {
        return Some(Finding::new(
            0.8,
            format!(
                "{} sent a head that HTTP/2 does not allow, or one far above \
                 `limits.response_head`",
                case.server()
            ),
            "it has one status, names in lower case, no field of a connection, and a length that \
             its content keeps (RFC 9113 8.1.1 and 8.2)",
        ));
    }
    let what = culprit(case.first_bytes()).unwrap_or_else(|| "a line that is no field".to_owned());
    Some(Finding::new(
        0.9,
        format!("{} sent {what} in the head of its answer", case.server()),
        "each line of a head is a name without spaces, a colon and a value",
    ))
}

/// What is wrong with the first bad line. A value is never shown.
fn culprit(head: &[u8]) -> Option<String> {
    head::lines(head).find_map(|line| {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Some("a field that is folded over two lines".to_owned());
        }
        let Some(colon) = line.iter().position(|it| *it == b':') else {
            return Some(format!("the line {} without a colon", show::bytes(line)));
        };
        let name = &line[..colon];
        let token = !name.is_empty() && name.iter().all(|it| is_token(*it));
        (!token).then(|| format!("the field name {}", show::bytes(name)))
    })
}

/// RFC 9110 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See the raw answer, without the gateway", format!("curl -v {}/PATH", case.url())),
        Fix::new(
            "Set fields through the app's framework, and encode line breaks in values that come \
             from outside",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let name = dossier.incident.detail.as_deref().filter(|_| dossier.sign() == Sign::HeaderBad);
    let hop = dossier.hop();
    Some(match name {
        Some(name) if is_plain(name) => format!(
            "{} sent the header {name} in a way that {hop} cannot read",
            dossier.server_at()
        ),
        _ => format!("{} sent a header that {hop} cannot read", dossier.server_at()),
    })
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_')
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![advice::raw(
            dossier,
            "See the line: each is `Name: value`, the name without spaces, the value without line breaks",
        )],
        vec![
            Step::say(
                "Let the app build headers with its framework, never from text that may hold a line break, and send each name once",
            ),
            Step::run("Start the corrected app", platform::restart(dossier), Risk::Restart)
                .at(platform::host_of(dossier)),
        ],
        "See only lines of the form `Name: value`",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_line_that_cannot_be_shown() {
        check(
            "head: field_line | server=app",
            "invalid_header_line: app sent a line that is no field in the head of its answer",
        );
    }

    #[test]
    fn over_http2_nobody_saw_the_line() {
        check(
            "head: field_line | http2 fresh server=app",
            "invalid_header_line: app sent a head that HTTP/2 does not allow, or one far above \
             `limits.response_head`",
        );
    }

    #[test]
    fn a_trailer_that_cannot_be_read() {
        check(
            "body: trailer | server=app",
            "invalid_header_line: app sent fields after its body that cannot be read or exceed \
             `limits.response_head`",
        );
    }

    #[test]
    fn a_control_character_is_named_as_such() {
        check_not("head: control_character | server=app", "invalid_header_line");
    }

    #[test]
    fn the_bad_line_is_found_and_its_value_stays_hidden() {
        for (line, expected) in [
            (&b"Bad Name: secret"[..], Some("the field name \"Bad Name\"")),
            (b"no colon here", Some("the line \"no colon here\" without a colon")),
            (b" secret", Some("a field that is folded over two lines")),
            (b"Fine: yes", None),
        ] {
            let head = [b"HTTP/1.1 200 OK\r\nServer: x\r\n", line, b"\r\nNext: y\r\n"].concat();
            assert_eq!(super::culprit(&head).as_deref(), expected);
        }
    }

    #[test]
    fn a_name_with_a_space() {
        let line = nginx(
            "upstream sent invalid header: \"Bad\\x20...\" while reading response header from upstream",
            "http://127.0.0.1:8000/",
        );
        check_report(
            &[("error.log", &line)],
            "invalid_header_line: 127.0.0.1:8000 sent a header that nginx cannot read",
        );
    }
}
