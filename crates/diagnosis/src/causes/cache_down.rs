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
use crate::look::Fix;
use crate::text::{DECIDES, Text, before};
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
