//! The target's answer does not begin with a valid HTTP status line.
//!
//! ## What you see
//! Status 502 here and in Caddy (`malformed HTTP status code "abc"`) and HAProxy (`PH--`). nginx
//! 1.22 passes such an answer on as HTTP/0.9, with access status `009` and `upstream sent no valid
//! HTTP/1.0 header` in its error log; Apache makes a 200 of it.
//!
//! ## Why it happens
//! A hand-written server, a CGI script that prints before its header, a status without three
//! digits, or a worker that writes to the connection of another request.
//!
//! ## How to tell
//! The first line of the raw answer shows it.
//!
//! ## Fix
//! Correct the line: `HTTP/1.1 SP three digits SP reason CR LF`.

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::opening::Opening;
use crate::platform;
use crate::report::{Cure, Step};
use crate::text::Text;
use crate::{head, show};
use evidence::Sign;
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "malformed_status_line",
    family: Family::F9,
    title: "The first line of the answer cannot be read",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::NotHttp, 0.3), (Sign::StatusLineBad, 0.8), (Sign::ProtocolError, 0.28)],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    // Other protocols have causes of their own.
    match (case.head_fault()?, Opening::of(case.first_bytes())) {
        (HeadFault::StatusLine, Opening::Http1 | Opening::Unknown)
        | (HeadFault::NotHttp, Opening::Http1) => {}
        _ => return None,
    }
    let line = show::bytes(head::first_line(case.first_bytes()));
    Some(Finding::new(
        0.9,
        format!("{} began its answer with {line}, which is no HTTP status line", case.server()),
        "a status line is the version, three digits and a reason",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See the raw answer, without the gateway",
            format!("curl -v --http0.9 --max-time 5 {}/PATH", case.url()),
        ),
        Fix::new("Let the app set its status through its framework, and print nothing before it"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!("{} did not begin its answer with a status line of HTTP", dossier.server_at()))
}

fn cure(dossier: &Dossier) -> Cure {
    advice::corrected(
        dossier,
        vec![
            advice::raw(dossier, "See the first bytes: `HTTP/1.1 200 OK` must come first"),
            Step::look(
                "See what the app printed at that second: a `print` to the connection in CGI, or a library that writes before the head",
                platform::app_log(dossier),
            ),
        ],
        vec![
            Step::say(
                "If the bytes are TLS, HTTP/2 or another protocol, dial the port that speaks HTTP",
            ),
            Step::say(
                "If they are text, let the app send the status line first, and nothing before it",
            ),
        ],
        "See `HTTP/1.1` and a status in the first line",
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn a_status_of_letters() {
        check(
            "head: status_line | fresh server=app bytes=485454502f312e31206162630d0a",
            "malformed_status_line: app began its answer with \"HTTP/1.1 abc\", which is no \
             HTTP status line",
        );
    }

    #[test]
    fn tls_is_another_matter() {
        check_not("head: status_line | fresh bytes=15030100020246", "malformed_status_line");
    }

    #[test]
    fn nginx_could_not_read_the_status() {
        let line = nginx(
            "upstream sent invalid status \"20x OK\" while reading response header from upstream",
            "fastcgi://127.0.0.1:9000",
        );
        check_report(
            &[("error.log", &line)],
            "malformed_status_line: 127.0.0.1:9000 did not begin its answer with a status line of HTTP",
        );
    }
}
