//! The target's answer has two `Content-Length` fields that differ.
//!
//! ## What you see
//! Status 502 here, in Caddy (`message cannot contain multiple Content-Length headers`), HAProxy
//! (`PH--`) and newer nginx (`upstream sent duplicate header line: "Content-Length: 5"`). nginx
//! 1.22 passes it on and cuts the body, Apache answers 200.
//!
//! ## Why it happens
//! The app sets the length by hand and a middleware (compression, an ORM of templates, a proxy in
//! between) adds its own.
//!
//! ## How to tell
//! The raw answer shows both fields.
//!
//! ## Fix
//! Leave the length to the server; let only one layer set it. The gateway cannot choose: whoever
//! behind it chooses the other one takes the rest of this body for the start of the next answer.

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
    id: "duplicate_content_length",
    family: Family::F9,
    title: "The answer states two lengths",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text { behind: &[(Sign::LengthTwice, 0.93)], says, cure, ..Text::NONE },
};

fn look(case: &Case) -> Option<Finding> {
    let HeadFault::LengthRepeated = case.head_fault()? else {
        return None;
    };
    let values = head::values(case.first_bytes(), "content-length");
    let values = values.map_or(String::new(), |it| format!(": {it}"));
    Some(Finding::new(
        0.9,
        format!("{} sent two Content-Length fields that differ{values}", case.server()),
        "two lengths leave it open where the answer ends",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Let only one layer set `Content-Length`: best the server, not the app"),
        Fix::run(
            "See both fields, without the gateway",
            format!("curl -sD - -o /dev/null --ignore-content-length {}/PATH", case.url()),
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!(
        "{} sent Content-Length more than once, and {} refuses to guess which is right",
        dossier.server_at(),
        dossier.hop()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![advice::raw(
            dossier,
            "See the two lines: app and framework, or a middleware, each set one",
        )],
        vec![
            Step::say("Set Content-Length in one place only: leave it to the framework"),
            Step::run("Start the corrected app", platform::restart(dossier), Risk::Restart)
                .at(platform::host_of(dossier)),
        ],
        "See one `Content-Length`",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn two_lengths() {
        check(
            "head: length_repeated | server=app",
            "duplicate_content_length: app sent two Content-Length fields that differ",
        );
    }

    #[test]
    fn one_length_that_is_no_number() {
        check_not("head: length_invalid | server=app", "duplicate_content_length");
    }

    #[test]
    fn nginx_saw_it_twice() {
        let line = nginx(
            "upstream sent duplicate header line: \"Content-Length: 5\", previous value: \"Content-Length: 5\" while reading response header from upstream",
            "http://127.0.0.1:8000/",
        );
        check_report(
            &[("error.log", &line)],
            "duplicate_content_length: 127.0.0.1:8000 sent Content-Length more than once, and nginx refuses to guess which is right",
        );
    }
}
