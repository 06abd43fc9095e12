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

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::opening::Opening;
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
        behind: &[(Sign::NotHttp, 0.3), (Sign::StatusLineBad, 0.87), (Sign::ProtocolError, 0.28)],
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

#[cfg(test)]
mod tests {
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
}
