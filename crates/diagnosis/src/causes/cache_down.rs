//! The app's cache does not answer or takes no writes, and the app cannot do without it.
//!
//! ## What you see
//! 500, or all requests slow at the same time. Node shows `connect ECONNREFUSED 192.0.2.7:6379`,
//! redis-py `Error 111 connecting to redis:6379. Connection refused.`; Redis answers `LOADING Redis
//! is loading the dataset in memory`, `OOM command not allowed when used memory > 'maxmemory'`,
//! `MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to
//! disk`, or `NOAUTH Authentication required.`
//!
//! ## Why it happens
//! The cache was restarted, reached its memory with `noeviction`, has a full disk, or a slow
//! command (`KEYS *`) blocks its only thread.
//!
//! ## How to tell
//! Sessions and limits fail first. If the app goes on without the cache and the database cannot
//! bear it, the visible cause is `db_slow_or_locked` or `worker_pool_exhausted`, and this is the
//! first one.
//!
//! ## Fix
//! Start it, or give it memory and a policy that evicts (`allkeys-lru`). Give calls to it a limit
//! of some 100 ms, and let the app work without it, with a guard so that misses do not all reach
//! the database at once.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::text::{DECIDES, Text, When, before};
use crate::wording;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "cache_down",
    family: Family::F13,
    title: "The app's cache does not answer",
    side: Side::Dependency,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        clues: &[before(Sign::CacheDown, DECIDES)],
        brings: &[
            "crash_at_start",
            "unhandled_exception",
            "response_header_timeout",
            "upstream_own_5xx",
            "crash_loop",
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Ask the cache itself",
            "redis-cli -h CACHE_HOST ping; redis-cli -h CACHE_HOST info memory persistence",
        ),
        Fix::new("Give it memory or a policy that evicts, if it refuses writes"),
        Fix::new("Let the app go on without its cache, with a short limit for each call"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::CacheDown, When::Before)?;
    Some(format!(
        "the app's cache{} does not answer{}",
        wording::named(&seen),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let mut cure = wording::dependency(dossier, Sign::CacheDown, "the cache", 6379);
    cure.lasting = vec![
        Step::say(
            "Give calls to the cache a limit of some 100 ms, and let the app work without it",
        ),
        Step::say(
            "Give Redis `maxmemory` and a policy that evicts (`allkeys-lru`), so that it is not killed for memory",
        ),
    ];
    cure
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn the_cache_is_started_by_its_service() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/db.py\", line 9, in load\n    a\nredis.exceptions.ConnectionError: Error 111 connecting to cache:6379. Connection refused.\n",
            )],
            "cache_down: the app's cache cache:6379 does not answer: redis.exceptions.ConnectionError: Error 111 connecting to cache:6379. Connection refused\n\
             before: See whether the cache can be reached from where the app runs [nc -vz -w 3 cache 6379] checks\n\
             now: Start the cache [sudo systemctl start redis-server] restart\n\
             now: Or correct the address in the app's settings, if the cache is elsewhere\n\
             lasting: Give calls to the cache a limit of some 100 ms, and let the app work without it\n\
             lasting: Give Redis `maxmemory` and a policy that evicts (`allkeys-lru`), so that it is not killed for memory\n\
             verify: the cache can be reached [nc -vz -w 3 cache 6379] checks\n\
             verify: A request that failed gets its answer [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
