//! The value of a header in the target's answer holds a byte that must not be there, such as NUL.
//!
//! ## What you see
//! Status 502 here; nginx logs `upstream sent invalid header: "X-Ctl: ab\x00..."`, Apache AH10404.
//! HAProxy 2.6, Caddy and Go pass it on.
//!
//! ## Why it happens
//! Binary data or text with line breaks was put into a field without encoding: a file name, a
//! token, a message of an exception.
//!
//! ## How to tell
//! The raw answer shows the byte.
//!
//! ## Fix
//! Encode such values (percent or Base64), or leave the field out.

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
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "control_char_in_header",
    family: Family::F9,
    title: "A field of the answer holds a control character",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::HeaderBad, 0.05), (Sign::HeaderControlChar, 0.93)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let HeadFault::ControlCharacter = case.head_fault()? else {
        return None;
    };
    let what = culprit(case.first_bytes());
    let what = what.unwrap_or_else(|| "a control character in a field".to_owned());
    Some(Finding::new(
        0.9,
        format!("{} sent {what} of its answer", case.server()),
        "a control character can end a field early, and lets one answer look like two",
    ))
}

/// Which byte in which field; the value is never shown.
fn culprit(head: &[u8]) -> Option<String> {
    head::lines(head).find_map(|line| {
        let byte = line.iter().find(|it| it.is_ascii_control() && **it != b'\t')?;
        let name = line.split(|it| *it == b':').next().unwrap_or_default();
        Some(format!("the byte 0x{byte:02x} in the field {}", show::bytes(name)))
    })
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See the raw answer, without the gateway",
            format!("curl -sv {}/PATH 2>&1 >/dev/null | cat -v", case.url()),
        ),
        Fix::new("Encode the value before it becomes a field (percent or Base64)"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} sent a header with a control character, which {} refuses",
        dossier.server_at(),
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![advice::raw(
            dossier,
            "See which header it is: control characters show as `^@`, `^A` and the like",
        )],
        vec![
            Step::say(
                "Let the app encode what it puts there: percent-encoding for file names and URLs (`filename*=UTF-8''...`), Base64 for bytes",
            ),
            Step::run("Start the corrected app", platform::restart(dossier), Risk::Restart)
                .at(platform::host_of(dossier)),
        ],
        "See no `^` in the head",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_zero_byte_in_a_field() {
        check(
            "head: control_character | server=app \
             bytes=485454502f312e3120323030204f4b0d0a582d43746c3a206162000d0a",
            "control_char_in_header: app sent the byte 0x00 in the field \"X-Ctl\" of its answer",
        );
    }

    #[test]
    fn a_field_beyond_what_was_kept() {
        check(
            "head: control_character | server=app",
            "control_char_in_header: app sent a control character in a field of its answer",
        );
    }

    #[test]
    fn a_missing_colon_is_another_matter() {
        check_not("head: field_line | server=app", "control_char_in_header");
    }

    #[test]
    fn a_nul_in_a_header() {
        let line = nginx(
            "upstream sent invalid header: \"X-Ctl: ab\\x00...\" while reading response header from upstream",
            "http://127.0.0.1:8000/",
        );
        check_report(
            &[("error.log", &line)],
            "control_char_in_header: 127.0.0.1:8000 sent a header with a control character, which nginx refuses",
        );
    }
}
