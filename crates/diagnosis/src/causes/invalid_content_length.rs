//! The `Content-Length` of the target's answer is not a number that fits.
//!
//! ## What you see
//! Status 502 here, in Caddy (`bad Content-Length "abc"`), HAProxy (`PH--`), Apache (`AH01587:
//! Invalid Content-Length`) and newer nginx (`upstream sent invalid "Content-Length" header`);
//! nginx 1.22 answers 200.
//!
//! ## Why it happens
//! The app sets the length by hand from something that is no whole number: a float, `None`, `-1`,
//! text with a unit.
//!
//! ## How to tell
//! The raw answer shows the value.
//!
//! ## Fix
//! Leave the length to the server, or set it to the number of bytes of the encoded body.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::head;
use crate::look::Fix;
use crate::platform;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use evidence::Sign;
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "invalid_content_length",
    family: Family::F9,
    title: "The length of the answer is no number",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::LengthInvalid, 0.93)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let HeadFault::LengthInvalid = case.head_fault()? else {
        return None;
    };
    let value = head::values(case.first_bytes(), "content-length");
    let value = value.map_or(String::new(), |it| format!(": {it}"));
    Some(Finding::new(
        0.9,
        format!("{} sent a Content-Length that is no number of bytes{value}", case.server()),
        "without a length nobody knows where the answer ends",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(
            "Leave `Content-Length` to the app's server, or set it to the number of bytes of the \
             encoded body",
        ),
        Fix::run(
            "See the field, without the gateway",
            format!("curl -sD - -o /dev/null {}/PATH", case.url()),
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!("{} sent a Content-Length that is no length", dossier.server_at()))
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![advice::raw(dossier, "See the value: it must be digits only")],
        vec![
            Step::say(
                "Leave Content-Length to the framework, or give it the number of bytes (not of characters, and never `None` or a negative one)",
            ),
            Step::run("Start the corrected app", platform::restart(dossier), Risk::Restart)
                .at(platform::host_of(dossier)),
        ],
        "See `Content-Length` with digits only",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_length_of_letters() {
        check(
            "head: length_invalid | server=app \
             bytes=485454502f312e3120323030204f4b0d0a436f6e74656e742d4c656e6774683a206162630d0a",
            "invalid_content_length: app sent a Content-Length that is no number of bytes: \
             \"abc\"",
        );
    }

    #[test]
    fn two_lengths_are_another_matter() {
        check_not("head: length_repeated | server=app", "invalid_content_length");
    }

    #[test]
    fn letters_for_a_length() {
        let line = nginx(
            "upstream sent invalid \"Content-Length\" header: \"abc\" while reading response header from upstream",
            "http://127.0.0.1:8000/",
        );
        check_report(
            &[("error.log", &line)],
            "invalid_content_length: 127.0.0.1:8000 sent a Content-Length that is no length",
        );
    }
}
