//! A proxy speaks another protocol than the app server at that port or socket: HTTP to a uwsgi
//! socket, FastCGI to an HTTP server, and the like.

use super::files::Files;
use super::tls_to_plain_port::each;
use super::{Check, Found, Severity};
use crate::pairs::Speech;
use crate::report::Step;
use evidence::What;
use evidence::address::{port, socket};

pub(super) const FASTCGI: Check = Check {
    cause: "fastcgi_mismatch",
    look: |files, found| look(files, "fastcgi_mismatch", found),
};
pub(super) const UWSGI: Check =
    Check { cause: "uwsgi_mismatch", look: |files, found| look(files, "uwsgi_mismatch", found) };

/// One side speaks what the other does not understand.
fn look(files: &Files<'_>, cause: &str, found: &mut Found<'_>) {
    for (dial, fact, address) in each(files) {
        let Some(one) = Speech::spoken(dial.scheme) else { continue };
        for at in files.surely_reached(dial, address) {
            let listens = files.units[at].find(|it| match it.what() {
                What::Listens { address: at, scheme } if meets(at, address) => {
                    Some(Speech::understood(it.product(), *scheme))
                }
                _ => None,
            });
            let Some((proof, Some(other))) = listens else { continue };
            if one.clash(other) != Some(cause) {
                continue;
            }
            let (dialler, server) = (fact.product().name(), proof.product().name());
            let statement = format!(
                "{dialler} speaks {} to {address}, where {server} expects {}",
                one.name(),
                other.name()
            );
            let step = Step::say(match other {
                Speech::FastCgi => "Use `fastcgi_pass` there (Apache: `fcgi://`)",
                Speech::Uwsgi => "Use `uwsgi_pass` there, or have uWSGI listen with `http-socket`",
                _ => "Use `proxy_pass http://` there",
            });
            found.say(Severity::Breaks, statement, &[dial.fact, proof], vec![step]);
        }
    }
}

fn meets(listens: &str, dialled: &str) -> bool {
    match (socket(listens), socket(dialled)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => port(listens).is_some() && port(listens) == port(dialled),
        _ => false,
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
