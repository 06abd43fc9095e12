//! PHP-FPM ends a worker before PHP ends the script: the caller gets 502, and PHP says nothing.

use super::files::Files;
use super::{Check, Found, Severity, change, duration, with_number};
use crate::report::{Risk, Step};
use evidence::{Limit, Product};

pub(super) const CHECK: Check = Check { cause: "worker_timeout_killed", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let shared = || files.facts().filter(|it| it.product() == Product::Php);
    for unit in &files.units {
        let of_pool = unit.limit(Limit::Worker).filter(|it| it.0.product() == Product::PhpFpm);
        let Some((pool, worker)) = of_pool.filter(|it| it.1 > 0) else { continue };
        let own = unit.limit(Limit::Script);
        let script = own.or_else(|| shared().find_map(|it| Some((it, it.limit(Limit::Script)?))));
        let Some((fact, script)) = script.filter(|it| it.1 > worker) else { continue };
        let statement = format!(
            "php-fpm ends a request after {}, before PHP would end its script after {}: the caller \
             gets 502, and no error of PHP is written",
            duration(worker),
            duration(script)
        );
        let text = "Let PHP end the script first";
        let shorter = (worker / 1000).saturating_sub(5).max(1).to_string();
        let step = match with_number(&fact.setting.quote, &shorter) {
            Some(new) => change(text, fact, &new, Risk::Restart),
            None => Step::say(text),
        };
        found.say(Severity::Hint, statement, &[pool, fact], vec![step]);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "worker_timeout_killed";

    #[test]
    fn the_pool_is_quicker_than_the_language() {
        for settings in [
            "www.conf php-fpm www: worker 30s; php.ini php: script 120s",
            "www.conf php-fpm www: worker 30s, script 120s",
        ] {
            check(
                ID,
                settings,
                "hint: php-fpm ends a request after 30 s, before PHP would end its script after \
                 120 s: the caller gets 502, and no error of PHP is written",
            );
        }
    }

    #[test]
    fn a_pool_that_waits_is_fine() {
        for settings in [
            "www.conf php-fpm www: worker 60s; php.ini php: script 30s",
            "www.conf php-fpm www: worker 30s; php.ini php: script 30s",
            "www.conf php-fpm www: worker 0s; php.ini php: script 30s",
            "www.conf php-fpm www: worker 30s; php.ini php: script 0s",
            "php.ini php: script 120s",
            "g.py gunicorn: worker 30s; php.ini php: script 120s",
        ] {
            check_nothing(ID, settings);
        }
    }
}
