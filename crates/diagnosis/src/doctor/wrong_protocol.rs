//! A proxy speaks another protocol than the app server at that port or socket: HTTP to a uwsgi
//! socket, FastCGI to an HTTP server, and the like.

use super::files::{Fact, Files};
use super::tls_to_plain_port::each;
use super::{Check, Found, Severity};
use crate::report::Step;
use evidence::address::{port, socket};
use evidence::{Product, Scheme, What};

pub(super) const FASTCGI: Check =
    Check { cause: "fastcgi_mismatch", look: |files, found| look(files, Scheme::FastCgi, found) };
pub(super) const UWSGI: Check =
    Check { cause: "uwsgi_mismatch", look: |files, found| look(files, Scheme::Uwsgi, found) };

/// One side speaks this, and the other one something else.
fn look(files: &Files<'_>, wanted: Scheme, found: &mut Found<'_>) {
    for (dial, fact, address) in each(files) {
        let Some(one) = spoken(dial.scheme) else { continue };
        for at in files.surely_reached(dial, address) {
            let listens = files.units[at].find(|it| match it.what() {
                What::Listens { address: at, scheme } if meets(at, address) => {
                    Some(expected(it, *scheme))
                }
                _ => None,
            });
            let Some((proof, Some(other))) = listens else { continue };
            if one == other || one != wanted && other != wanted {
                continue;
            }
            let (dialler, server) = (fact.product().name(), proof.product().name());
            let statement = format!(
                "{dialler} speaks {} to {address}, where {server} expects {}",
                name(one),
                name(other)
            );
            let step = Step::say(match other {
                Scheme::FastCgi => "Use `fastcgi_pass` there (Apache: `fcgi://`)",
                Scheme::Uwsgi => "Use `uwsgi_pass` there, or have uWSGI listen with `http-socket`",
                _ => "Use `proxy_pass http://` there",
            });
            found.say(Severity::Breaks, statement, &[dial.fact, proof], vec![step]);
        }
    }
}

/// What a proxy speaks, as far as it says so; TLS is another check's.
fn spoken(scheme: Scheme) -> Option<Scheme> {
    match scheme {
        Scheme::Http | Scheme::Https => Some(Scheme::Http),
        Scheme::FastCgi | Scheme::Uwsgi => Some(scheme),
        _ => None,
    }
}

/// What a server expects. php-fpm knows nothing but FastCGI.
fn expected(fact: Fact<'_>, scheme: Scheme) -> Option<Scheme> {
    match (fact.product(), scheme) {
        (Product::PhpFpm, _) => Some(Scheme::FastCgi),
        // An address of uWSGI without a word on its protocol may be of any.
        (_, scheme) => spoken(scheme),
    }
}

fn meets(listens: &str, dialled: &str) -> bool {
    match (socket(listens), socket(dialled)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => port(listens).is_some() && port(listens) == port(dialled),
        _ => false,
    }
}

fn name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::FastCgi => "FastCGI",
        Scheme::Uwsgi => "uwsgi",
        _ => "HTTP",
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    #[test]
    fn http_to_a_uwsgi_socket() {
        check(
            "uwsgi_mismatch",
            "n.conf nginx: dials http://unix:/a.sock; a.ini uwsgi: listens uwsgi://unix:/a.sock",
            "breaks: nginx speaks HTTP to unix:/a.sock, where uWSGI expects uwsgi",
        );
        check(
            "uwsgi_mismatch",
            "n.conf nginx: dials uwsgi://127.0.0.1:80; g.py gunicorn: listens http://:80",
            "breaks: nginx speaks uwsgi to 127.0.0.1:80, where gunicorn expects HTTP",
        );
    }

    #[test]
    fn http_to_php_fpm() {
        check(
            "fastcgi_mismatch",
            "n.conf nginx: dials http://127.0.0.1:9000; w.conf php-fpm: listens 127.0.0.1:9000",
            "breaks: nginx speaks HTTP to 127.0.0.1:9000, where php-fpm expects FastCGI",
        );
    }

    #[test]
    fn the_same_protocol_and_another_port_are_fine() {
        for settings in [
            "n.conf nginx: dials fastcgi://127.0.0.1:9000; w.conf php-fpm: listens 127.0.0.1:9000",
            "n.conf nginx: dials http://127.0.0.1:9001; w.conf php-fpm: listens 127.0.0.1:9000",
            "n.conf nginx: dials uwsgi://unix:/a.sock; a.ini uwsgi: listens /a.sock",
            "n.conf nginx: dials https://127.0.0.1:80; g.py gunicorn: listens http://:80",
        ] {
            check_nothing("fastcgi_mismatch", settings);
            check_nothing("uwsgi_mismatch", settings);
        }
    }
}
