//! One worker of Gunicorn serves one request at a time: a slow one stops all others.

use super::files::Files;
use super::{Check, Found, Severity, change, with_number};
use crate::report::{Risk, Step};
use evidence::{Limit, Product};

pub(super) const CHECK: Check = Check { cause: "worker_pool_exhausted", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for unit in &files.units {
        let many = ["thread", "gevent", "eventlet", "tornado", "uvicorn"];
        if many.iter().any(|it| unit.mentions(it)) {
            continue;
        }
        let Some((fact, 1)) = unit.limit(Limit::Workers) else { continue };
        if fact.product() != Product::Gunicorn {
            continue;
        }
        let statement = "gunicorn has one worker, which serves one request at a time: a slow one \
                         stops all others";
        let text = "Have more workers, twice the cores and one as a start, or threads";
        let step = match with_number(&fact.setting.quote, "3") {
            Some(new) => change(text, fact, &new, Risk::Restart),
            None => Step::say(text),
        };
        found.say(Severity::Hint, statement, &[fact], vec![step]);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    #[test]
    fn one_worker_is_few() {
        check(
            "worker_pool_exhausted",
            "g.py gunicorn: workers 1",
            "hint: gunicorn has one worker, which serves one request at a time: a slow one stops \
             all others",
        );
    }

    #[test]
    fn two_or_threads_are_fine() {
        for settings in [
            "g.py gunicorn: workers 2",
            "g.py gunicorn: workers 1, threads 8",
            "g.py gunicorn: workers 1, runs gunicorn -k gevent",
            "n.conf nginx: workers 1",
        ] {
            check_nothing("worker_pool_exhausted", settings);
        }
    }
}
