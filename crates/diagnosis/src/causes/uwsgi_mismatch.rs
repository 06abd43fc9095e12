//! The gateway spoke HTTP to a uWSGI socket that expects uWSGI's own binary protocol.
//!
//! ## What you see
//! The connection ends at once without an answer, and uWSGI logs `invalid request block size: 21573
//! (max 4096)...skip`. The number is the start of the request read as a length: 21573 is the `ET`
//! of `GET`, 21327 the `OS` of `POST`.
//!
//! ## Why it happens
//! `socket = ...` in uWSGI speaks `uwsgi`; HTTP needs `http-socket = ...`. The reverse,
//! `uwsgi_pass` of nginx to an HTTP server, even yields a 200 with an error page as its body.
//!
//! ## How to tell
//! uWSGI's log has that line at the moment of the request. The port is often 3031.
//!
//! ## Fix
//! Give uWSGI an `http-socket`, or leave nginx with `uwsgi_pass` between.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{DECIDES, Text, during};
use evidence::{Sign, address};

pub(super) static CAUSE: Cause = Cause {
    id: "uwsgi_mismatch",
    family: Family::F8,
    title: "The target speaks the uwsgi protocol",
    side: Side::AppServer,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::Reset, 0.02), (Sign::Closed, 0.01), (Sign::UwsgiMismatch, 0.94)],
        clues: &[during(Sign::UwsgiMismatch, DECIDES)],
        brings: &[
            "premature_close",
            "connection_reset",
            "response_header_timeout",
            "worker_timeout_killed",
        ],
        reason: |it| it.pair_claims("uwsgi_mismatch"),
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    let path = case.unix_path().unwrap_or_default();
    let confidence = match case.port() {
        _ if !case.turned_away() || !case.plain() => return None,
        Some(3031) => 0.5,
        Some(_) => 0.03,
        None if path.contains("uwsgi") => 0.5,
        None if path.contains("php") || path.contains("fpm") => 0.02,
        None => 0.1,
    };
    Some(Finding::new(
        confidence,
        format!("{} may speak uWSGI's binary protocol and have hung up on HTTP", case.dialled()),
        "uWSGI ends a connection at once on which it finds no packet of its own",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new("Look in uWSGI's log for `invalid request block size: 21573`"),
        Fix::new(format!(
            "If it is there, let uWSGI speak HTTP at {}: `http-socket` instead of `socket` in its \
             configuration",
            case.dialled()
        )),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    if let Some(says) = dossier.pair_says(CAUSE.id) {
        return Some(says);
    }
    let (hop, at) = (dossier.hop(), dossier.address());
    Some(match advice::module(dossier) {
        "uwsgi" => format!("{hop} speaks the uwsgi protocol to {at}, which speaks HTTP"),
        _ if dossier.incident.hop.stack().is_proxy() => {
            format!("{hop} speaks HTTP to {at}, which speaks the uwsgi protocol")
        }
        _ => "HTTP was spoken to uWSGI's `socket`, which speaks the uwsgi protocol".to_owned(),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let to = dossier.upstream().unwrap_or("ADDRESS");
    let http = match address::socket(to) {
        Some(path) => format!("http://unix:{path}"),
        None => format!("http://{to}"),
    };
    let speaks_uwsgi = advice::module(dossier) == "uwsgi";
    let nginx = match speaks_uwsgi {
        true => format!("-uwsgi_pass {to};\nproxy_pass {http};"),
        false => format!("-proxy_pass {http};\ninclude uwsgi_params;\nuwsgi_pass {to};"),
    };
    let lasting = match speaks_uwsgi {
        true => "-    http-socket = ADDRESS\n+    socket = ADDRESS",
        false => "-    socket = ADDRESS\n+    http-socket = ADDRESS",
    };
    Cure {
        before: vec![advice::raw(
            dossier,
            "See whether it speaks HTTP: `HTTP/1.1` comes back, or nothing",
        )],
        now: advice::change(dossier, "Speak what this socket speaks", &[(Hop::Nginx, &nginx)]),
        lasting: vec![Step::diff(
            "Or let uWSGI speak what the proxy speaks, instead",
            Some("uwsgi.ini".to_owned()),
            lasting,
            Risk::Restart,
        )],
        verify: vec![advice::through(dossier, "an answer of the app")],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told};
    use crate::testing::{check_listed, check_not};

    #[test]
    fn its_usual_port() {
        check_listed("head: closed | fresh to=10.0.0.7:3031 after=1ms", "uwsgi_mismatch");
    }

    #[test]
    fn a_socket_of_uwsgi() {
        check_listed("head: reset | fresh to=unix:/run/uwsgi/app.sock after=1ms", "uwsgi_mismatch");
    }

    #[test]
    fn a_reused_connection_was_understood_before() {
        check_not("head: closed | reused to=10.0.0.7:3031 idle=5s", "uwsgi_mismatch");
    }

    #[test]
    fn over_tls_it_cannot_be() {
        check_not("head: closed | fresh tls to=10.0.0.7:3031 after=1ms", "uwsgi_mismatch");
    }

    #[test]
    fn the_letters_of_get_as_a_length() {
        let uwsgi =
            "Fri Nov 20 15:16:30 2026 - invalid request block size: 21573 (max 4096)...skip\n";
        let report = check_report(
            &[("uwsgi.log", uwsgi)],
            "uwsgi_mismatch: HTTP was spoken to uWSGI's `socket`, which speaks the uwsgi protocol",
        );
        check_told(&report, &["+    http-socket = ADDRESS"]);
    }
}
