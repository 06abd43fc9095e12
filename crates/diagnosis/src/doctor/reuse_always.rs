//! HAProxy sends the first request of a client on a connection that may just have been closed, and
//! may not repeat it.

use super::files::Files;
use super::{Check, Found, Severity, add, change};
use crate::report::Risk;
use evidence::{Product, What};

pub(super) const CHECK: Check = Check { cause: "keepalive_race", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for unit in &files.units {
        let always = unit.find(|it| match it.what() {
            What::On { option } if option == "http-reuse always" => Some(()),
            _ => None,
        });
        let Some((fact, ())) = always else { continue };
        // A limit of retries is none of what is repeated.
        let repeats = |it: &What| {
            let covers =
                |it: &str| it.contains("empty-response") || it.contains("all-retryable-errors");
            matches!(it, What::Retries { on } if covers(on))
        };
        let haproxy = |it: &super::Fact<'_>| it.product() == Product::HaProxy;
        if files.facts().filter(haproxy).any(|it| repeats(it.what())) {
            continue;
        }
        let statement = "`http-reuse always` sends also the first request of a client on a used \
                         connection, and nothing repeats it where the server has just closed that";
        let safe = change(
            "Send the first request of a client on a new connection",
            fact,
            "http-reuse safe",
            Risk::Reload,
        );
        let repeat = add(
            "Or repeat what got no answer; POST is then repeated too, unless it is excluded",
            fact,
            "retry-on conn-failure empty-response",
            Risk::Reload,
        );
        found.say(Severity::Hint, statement, &[fact], vec![safe, repeat]);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "keepalive_race";

    #[test]
    fn always_without_a_retry() {
        check(
            ID,
            "h.cfg haproxy app: on http-reuse always, retries 3",
            "hint: `http-reuse always` sends also the first request of a client on a used \
             connection, and nothing repeats it where the server has just closed that",
        );
    }

    #[test]
    fn what_is_safe_or_repeated() {
        check_nothing(ID, "h.cfg haproxy app: dials 192.0.2.1:80");
        check_nothing(
            ID,
            "h.cfg haproxy app: on http-reuse always; h.cfg haproxy: retries conn-failure empty-response",
        );
    }
}
