//! Hypercorn: its error log, in Gunicorn's format (hypercorn/logging.py, hypercorn/asyncio/run.py).

use crate::product::Product;
use crate::reader::Reader;
use crate::readers::python;
use crate::rule::{self, Rule, rule};
use crate::sign::Sign;

pub(super) const ERROR: Reader = Reader {
    name: "hypercorn error log",
    product: Product::Hypercorn,
    hooks: &["(CTRL + C to quit)", "Error in ASGI Framework", "ASGI Framework Lifespan error"],
    fits: |line| {
        rule::told(RULES, Product::Hypercorn, LOGGERS, line).is_some()
            || rule::told(FAILURES, Product::Hypercorn, LOGGERS, line).is_some()
    },
    read: |line, sink| match rule::told(RULES, Product::Hypercorn, LOGGERS, line) {
        Some(event) => sink.event(event),
        None => {
            python::read_failure(line, FAILURES, Product::Hypercorn, LOGGERS, sink);
        }
    },
    source: "hypercorn 0.18: hypercorn/asyncio/run.py, hypercorn/asyncio/task_group.py, hypercorn/asyncio/lifespan.py",
    example: "[2026-11-20 15:16:30 +0000] [77] [INFO] Running on http://127.0.0.1:8000 (CTRL + C to quit)",
};

const LOGGERS: &[&str] = &["hypercorn"];

const RULES: &[Rule] = &[rule("Running on {upstream} (CTRL + C to quit)", Sign::Listening)];

const FAILURES: &[Rule] = &[
    rule("Error in ASGI Framework", Sign::UnhandledException),
    rule("ASGI Framework Lifespan error", Sign::BootFailed),
];

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn its_own_acts_are_read() {
        check(
            "[2026-11-20 15:16:30 +0000] [77] [INFO] Running on http://127.0.0.1:8000 (CTRL + C to quit)",
            "hypercorn: Listening upstream=http://127.0.0.1:8000 | Running on http://127.0.0.1:8000 (CTRL + C to quit)",
        );
        check(
            "[2026-11-20 15:16:30 +0000] [77] [ERROR] Error in ASGI Framework\nTraceback (most recent call last):\n  File \"/srv/a.py\", line 2, in f\n    x\nRuntimeError: no\n",
            "hypercorn: UnhandledException who=/srv/a.py:2 in f detail=RuntimeError: no | RuntimeError: no",
        );
        check("Error in ASGI Framework", "hypercorn: UnhandledException | Error in ASGI Framework");
    }

    #[test]
    fn an_apps_own_words_are_none_of_its_acts() {
        check_nothing("INFO:shop:Error in ASGI Framework");
        check_nothing("the caller sent Error in ASGI Framework");
    }
}
