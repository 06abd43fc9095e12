//! The gateway spoke HTTP to a server that understands FastCGI, such as PHP-FPM.
//!
//! ## What you see
//! The connection ends at once without an answer, or the answer begins with the bytes 01 06 or
//! 01 03. The reverse, FastCGI to an HTTP server, reads `upstream sent unsupported FastCGI protocol
//! version: 72` in nginx, where 72 is the `H` of `HTTP`.
//!
//! ## Why it happens
//! PHP-FPM has no HTTP. It needs a web server before it that translates, with `fastcgi_pass` in
//! nginx or `php_fastcgi` in Caddy.
//!
//! ## How to tell
//! Port 9000 or a socket such as `/run/php/php8.2-fpm.sock` belongs to `php-fpm` in the list of
//! listening sockets.
//!
//! ## Fix
//! Put a web server between, and give the gateway that server's HTTP port.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::opening::Opening;
use crate::report::Cure;
use crate::show;
use crate::text::Text;
use evidence::{Sign, address};
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "fastcgi_mismatch",
    family: Family::F8,
    title: "The target speaks FastCGI",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::Closed, 0.01), (Sign::FastCgiMismatch, 0.94)],
        brings: &[
            "premature_close",
            "connection_reset",
            "response_header_timeout",
            "worker_timeout_killed",
        ],
        reason: |it| it.pair_claims("fastcgi_mismatch"),
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    if let Some(HeadFault::NotHttp | HeadFault::StatusLine) = case.head_fault() {
        return match Opening::of(case.first_bytes()) {
            Opening::FastCgi => Some(Finding::new(
                0.9,
                format!("{} speaks FastCGI, not HTTP", case.dialled()),
                format!("the answer began with {}", show::bytes(case.first_bytes())),
            )),
            _ => None,
        };
    }
    let path = case.unix_path().unwrap_or_default();
    let confidence = match case.port() {
        _ if !case.turned_away() || !case.plain() => return None,
        Some(9000) => 0.3,
        Some(_) => 0.02,
        None if path.contains("php") || path.contains("fpm") => 0.6,
        None => 0.06,
    };
    Some(Finding::new(
        confidence,
        format!("{} may speak FastCGI and have hung up on HTTP", case.dialled()),
        "PHP-FPM ends a connection at once on which it finds no FastCGI record",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let filter = match (case.port(), case.unix_path()) {
        (Some(port), _) => format!("ss -ltnp 'sport = :{port}'"),
        (None, Some(path)) => format!("ss -lxp 'src = {path}'"),
        (None, None) => "ss -ltnxp".to_owned(),
    };
    vec![
        Fix::run("See which program listens there", filter),
        Fix::new(
            "If it is PHP-FPM, put a web server before it that speaks FastCGI (`fastcgi_pass` in \
             nginx, `php_fastcgi` in Caddy), and give the gateway that server's address",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    if let Some(says) = dossier.pair_says(CAUSE.id) {
        return Some(says);
    }
    let (hop, at) = (dossier.hop(), dossier.address());
    Some(match advice::module(dossier) {
        "fastcgi" => format!("{hop} speaks FastCGI to {at}, which does not"),
        _ if dossier.sign() == Sign::FastCgiMismatch => {
            format!("{hop} speaks FastCGI to {at}, which does not")
        }
        _ => format!("{hop} speaks HTTP to {at}, which speaks FastCGI"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let to = dossier.upstream().unwrap_or("ADDRESS");
    let to_http = dossier.sign() == Sign::FastCgiMismatch || advice::module(dossier) == "fastcgi";
    let http = match address::socket(to) {
        Some(path) => format!("http://unix:{path}"),
        None => format!("http://{to}"),
    };
    let (text, nginx, apache) = match to_http {
        true => (
            "Speak HTTP to this port: FastCGI is for php-fpm and its like",
            format!("-fastcgi_pass {to};\nproxy_pass {http};"),
            format!("-ProxyPass / fcgi://{to}/\nProxyPass / http://{to}/"),
        ),
        false => (
            "Speak FastCGI to this port",
            format!(
                "-proxy_pass {http};\ninclude fastcgi_params;\nfastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;\nfastcgi_pass {to};"
            ),
            format!("-ProxyPass / http://{to}/\nProxyPass / fcgi://{to}/"),
        ),
    };
    Cure {
        before: vec![advice::raw(
            dossier,
            "See whether it speaks HTTP: `HTTP/1.1` comes back, or nothing",
        )],
        now: advice::change(dossier, text, &[(Hop::Nginx, &nginx), (Hop::Apache, &apache)]),
        verify: vec![advice::through(dossier, "an answer of the app")],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told, nginx};
    use crate::testing::{check, check_listed, check_not};

    #[test]
    fn a_record_in_answer_to_a_request() {
        check(
            "head: not_http | fresh to=10.0.0.7:9000 bytes=0106000100400000",
            "fastcgi_mismatch: 10.0.0.7:9000 speaks FastCGI, not HTTP",
        );
    }

    #[test]
    fn its_usual_port() {
        check_listed("head: closed | fresh to=10.0.0.7:9000 after=1ms", "fastcgi_mismatch");
    }

    #[test]
    fn a_socket_named_after_php() {
        check_listed(
            "head: reset | fresh to=unix:/run/php/php8.2-fpm.sock after=1ms",
            "fastcgi_mismatch",
        );
    }

    #[test]
    fn a_server_that_told_its_name_speaks_http() {
        check_not(
            "head: closed | fresh to=10.0.0.7:9000 server=gunicorn after=1ms",
            "fastcgi_mismatch",
        );
    }

    #[test]
    fn a_slow_end_means_that_it_was_understood() {
        check_not("head: closed | fresh to=10.0.0.7:9000 after=3s", "fastcgi_mismatch");
    }

    #[test]
    fn an_answer_of_http_to_fastcgi() {
        let line = nginx(
            "upstream sent unsupported FastCGI protocol version: 72 while reading response header from upstream",
            "fastcgi://127.0.0.1:9000",
        );
        let report = check_report(
            &[("error.log", &line)],
            "fastcgi_mismatch: nginx speaks FastCGI to 127.0.0.1:9000, which does not",
        );
        check_told(
            &report,
            &["-    fastcgi_pass 127.0.0.1:9000;", "+    proxy_pass http://127.0.0.1:9000;"],
        );
    }
}
