//! A proxy takes any certificate from its upstream. It works until somebody else answers, and the
//! errors that it hides come back on the day on which it is put right.

use super::files::Files;
use super::{Check, Found, Severity};
use crate::report::Step;
use evidence::What;

pub(super) const CHECK: Check = Check { cause: "tls_unknown_ca", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for it in files.facts() {
        if *it.what() != (What::Verifies { on: false }) {
            continue;
        }
        let statement =
            format!("{} does not verify the certificate of its upstream", it.product().name());
        let step = Step::say(
            "Verify it, and name the authority that signed it: `proxy_ssl_trusted_certificate` in \
             nginx, `ca-file` in HAProxy, `SSLProxyCACertificateFile` in Apache",
        );
        found.say(Severity::Risk, statement, &[it], vec![step]);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    #[test]
    fn verification_that_is_off_is_said_once() {
        check(
            "tls_unknown_ca",
            "h.cfg haproxy: verifies off, verifies off",
            "risk: HAProxy does not verify the certificate of its upstream",
        );
        check_nothing("tls_unknown_ca", "h.cfg haproxy: verifies on");
    }
}
