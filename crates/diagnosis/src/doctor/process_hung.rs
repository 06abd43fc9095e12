//! Workers that may take for ever: one that hangs is never replaced.

use super::files::Files;
use super::{Check, Found, Severity, change, with_number};
use crate::report::{Risk, Step};
use evidence::{Limit, Product};

pub(super) const CHECK: Check = Check { cause: "process_hung", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for it in files.facts() {
        if it.limit(Limit::Worker) != Some(0)
            || !matches!(it.product(), Product::Gunicorn | Product::Uwsgi)
        {
            continue;
        }
        let statement = format!(
            "{} never replaces a worker that hangs: its timeout is off",
            it.product().name()
        );
        let text = "Give workers a limit that is shorter than the proxy's";
        let step = match with_number(&it.setting.quote, "30") {
            Some(new) => change(text, it, &new, Risk::Restart),
            None => Step::say(text),
        };
        found.say(Severity::Hint, statement, &[it], vec![step]);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    #[test]
    fn a_timeout_that_is_off() {
        check(
            "process_hung",
            "g.py gunicorn: worker 0",
            "hint: gunicorn never replaces a worker that hangs: its timeout is off",
        );
        check_nothing("process_hung", "g.py gunicorn: worker 30s");
        check_nothing("process_hung", "h.cfg haproxy: worker 0");
    }
}
