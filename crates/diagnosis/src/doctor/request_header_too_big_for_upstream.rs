//! nginx accepts longer request headers than the app server takes.

use super::files::{Fact, Files};
use super::tls_to_plain_port::each;
use super::{Check, Found, Severity, change, with_number};
use crate::report::{Risk, Step};
use evidence::{Limit, Product};

pub(super) const CHECK: Check = Check { cause: "request_header_too_big_for_upstream", look };

/// `large_client_header_buffers 4 8k`.
const NGINX: i64 = 8 << 10;
/// `buffer-size` of uWSGI.
const UWSGI: i64 = 4 << 10;

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for (dial, _, address) in each(files).filter(|(dial, ..)| dial.fact.is_nginx()) {
        let outer = files.limit_for(dial, Limit::RequestHead);
        let accepts = outer.map_or(NGINX, |it| it.1);
        for at in files.reached(dial, address) {
            let unit = &files.units[at];
            let server = unit.facts.iter().find(|it| it.product() == Product::Uwsgi).copied();
            let set = unit.limit(Limit::RequestHead);
            let Some((fact, takes)) = set.or(server.map(|it| (it, UWSGI))) else { continue };
            if takes >= accepts || takes <= 0 {
                continue;
            }
            // Nobody chose either of two defaults, but cookies still outgrow them.
            let severity = match (outer, set) {
                (None, None) => Severity::Hint,
                _ => Severity::Risk,
            };
            let statement = format!(
                "nginx accepts request headers of {accepts} bytes, but {} takes {takes}: a long \
                 cookie ends in a 502",
                fact.product().name()
            );
            let text = "Let the app server take what nginx accepts";
            let bytes = accepts.saturating_mul(2).min(65_535);
            let new = set.and_then(|(it, _)| with_number(&it.setting.quote, &bytes.to_string()));
            let step = match new {
                Some(new) => change(text, fact, &new, Risk::Restart),
                None => Step::say(format!("{text}: `buffer-size = {bytes}`")),
            };
            let proofs: Vec<Fact<'_>> =
                [Some(fact), outer.map(|it| it.0), Some(dial.fact)].into_iter().flatten().collect();
            found.say(severity, statement, &proofs, vec![step]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "request_header_too_big_for_upstream";

    #[test]
    fn nginx_accepts_more() {
        check(
            ID,
            "n.conf nginx: dials uwsgi://unix:/a.sock, request-head 16k; a.ini uwsgi: listens unix:/a.sock, request-head 8192",
            "risk: nginx accepts request headers of 16384 bytes, but uWSGI takes 8192: a long \
             cookie ends in a 502",
        );
    }

    #[test]
    fn the_defaults_do_not_fit_each_other() {
        check(
            ID,
            "n.conf nginx: dials uwsgi://127.0.0.1:3031; a.ini uwsgi: listens 127.0.0.1:3031",
            "hint: nginx accepts request headers of 8192 bytes, but uWSGI takes 4096: a long \
             cookie ends in a 502",
        );
    }

    #[test]
    fn as_much_is_enough() {
        for settings in [
            "n.conf nginx: dials uwsgi://unix:/a.sock; a.ini uwsgi: listens unix:/a.sock, request-head 8192",
            "n.conf nginx: dials http://127.0.0.1:8000; g.py gunicorn: listens :8000",
        ] {
            check_nothing(ID, settings);
        }
    }
}
