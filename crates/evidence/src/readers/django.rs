//! Django: what it says of itself (django/core/handlers, django/core/management).

use crate::product::Product;
use crate::reader::Reader;
use crate::readers::python;
use crate::rule::{self, Rule, rule};
use crate::sign::Sign;

pub(super) const LOG: Reader = Reader {
    name: "Django log",
    product: Product::Django,
    hooks: &[
        "Internal Server Error: ",
        "Service Unavailable: ",
        "Starting development server at ",
        "Starting ASGI/Daphne",
        "Error: That port is already in use",
        "unapplied migration(s)",
    ],
    fits: |line| {
        rule::told(RULES, Product::Django, LOGGERS, line).is_some()
            || rule::told(FAILURES, Product::Django, LOGGERS, line).is_some()
    },
    read: |line, sink| match rule::told(RULES, Product::Django, LOGGERS, line) {
        Some(event) => sink.event(event),
        None => {
            python::read_failure(line, FAILURES, Product::Django, LOGGERS, sink);
        }
    },
    source: "Django 5.2: django/core/handlers/exception.py, django/utils/log.py, django/core/management/commands/runserver.py",
    example: "Internal Server Error: /x",
};

const LOGGERS: &[&str] = &["django"];

const RULES: &[Rule] = &[
    rule("Starting development server at {upstream}", Sign::Listening),
    rule("Starting ASGI/Daphne version {_} development server at {upstream}", Sign::Listening),
    rule("Error: That port is already in use", Sign::PortInUse),
    rule("You have {number} unapplied migration(s)", Sign::MigrationMissing),
];

const FAILURES: &[Rule] = &[
    rule("«Internal Server Error»: {route}", Sign::Answered500),
    rule("«Service Unavailable»: {route}", Sign::Answered503),
];

#[cfg(test)]
mod tests {
    use super::{FAILURES, LOG, RULES};
    use crate::rule::assert_hooked;
    use crate::testing::{check, check_nothing};

    #[test]
    fn its_own_acts_are_read() {
        check(
            "Starting development server at http://127.0.0.1:8000/",
            "Django: Listening upstream=http://127.0.0.1:8000/ | Starting development server at http://127.0.0.1:8000/",
        );
        check(
            "ERROR:django.request:Internal Server Error: /x\nTraceback (most recent call last):\n  File \"/v/site-packages/django/core/handlers/exception.py\", line 1, in inner\n    x\n  File \"/srv/views.py\", line 3, in x\n    y\nValueError: bad 'Connection refused'\n",
            "Django: UnhandledException who=/srv/views.py:3 in x detail=ValueError: bad | ValueError: bad",
        );
        check("Internal Server Error: /x", "Django: Answered500 | Internal Server Error");
    }

    #[test]
    fn an_apps_own_words_are_none_of_its_acts() {
        check_nothing("INFO:shop:Internal Server Error: /x");
        check_nothing("an Internal Server Error: /x");
    }

    #[test]
    fn no_rule_is_passed_over() {
        assert_hooked(LOG.hooks, RULES);
        assert_hooked(LOG.hooks, FAILURES);
    }
}
