//! Waitress: its log, in the words of Python's logging (waitress/task.py, waitress/server.py).

use crate::product::Product;
use crate::reader::Reader;
use crate::readers::python;
use crate::rule::{self, Rule, rule};
use crate::sign::Sign;

pub(super) const LOG: Reader = Reader {
    name: "waitress log",
    product: Product::Waitress,
    hooks: &[
        "Task queue depth is ",
        "total open connections reached",
        "Serving on ",
        "application-written content exceeded",
        "application returned too few bytes",
        "Exception while serving ",
        "Exception when servicing ",
    ],
    fits: |line| {
        rule::told(RULES, Product::Waitress, LOGGERS, line).is_some()
            || rule::told(FAILURES, Product::Waitress, LOGGERS, line).is_some()
    },
    read: |line, sink| match rule::told(RULES, Product::Waitress, LOGGERS, line) {
        Some(event) => sink.event(event),
        None => {
            python::read_failure(line, FAILURES, Product::Waitress, LOGGERS, sink);
        }
    },
    source: "waitress 3.0: waitress/task.py, waitress/server.py, waitress/channel.py",
    example: "WARNING:waitress.queue:Task queue depth is 3",
};

const LOGGERS: &[&str] = &["waitress"];

const RULES: &[Rule] = &[
    rule("Task queue depth is {number}", Sign::PoolExhausted),
    rule("total open connections reached the connection limit", Sign::AppConcurrencyLimit),
    rule("Serving on {upstream}", Sign::Listening),
    rule(
        "application-written content exceeded the number of bytes specified by Content-Length",
        Sign::ContentLengthMismatch,
    ),
    rule("application returned too few bytes", Sign::ContentLengthMismatch),
];

const FAILURES: &[Rule] = &[
    rule("Exception while serving {route}", Sign::UnhandledException),
    rule("Exception when servicing {caller}", Sign::UnhandledException),
];

#[cfg(test)]
mod tests {
    use super::{FAILURES, LOG, RULES};
    use crate::rule::assert_hooked;
    use crate::testing::{check, check_nothing};

    #[test]
    fn its_own_acts_are_read() {
        check(
            "WARNING:waitress.queue:Task queue depth is 3",
            "waitress: PoolExhausted number=3 | Task queue depth is 3",
        );
        check(
            "INFO:waitress:Serving on http://0.0.0.0:8080",
            "waitress: Listening upstream=http://0.0.0.0:8080 | Serving on http://0.0.0.0:8080",
        );
        check(
            "ERROR:waitress:Exception while serving /Task queue depth is 3",
            "waitress: UnhandledException | Exception while serving",
        );
    }

    #[test]
    fn an_apps_own_words_are_none_of_its_acts() {
        check_nothing("WARNING:shop:Task queue depth is 3");
        check_nothing("a Task queue depth is 3");
    }

    #[test]
    fn no_rule_is_passed_over() {
        assert_hooked(LOG.hooks, RULES);
        assert_hooked(LOG.hooks, FAILURES);
    }
}
