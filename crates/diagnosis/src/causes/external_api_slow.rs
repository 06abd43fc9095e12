//! The app waits for another service, which answers slowly or not at all.
//!
//! ## What you see
//! 504 at the gateway, or a 500 or 503 from the app after a constant time. Python logs
//! `requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='api.example.com', port=443): Read
//! timed out. (read timeout=30)` or `httpx.ReadTimeout`; Node `ETIMEDOUT`,
//! `UND_ERR_HEADERS_TIMEOUT` or `timeout of 30000ms exceeded`; Java
//! `java.net.SocketTimeoutException: Read timed out`; Go `context deadline exceeded (Client.Timeout
//! exceeded while awaiting headers)`.
//!
//! ## Why it happens
//! A payment, mail, login or AI service is slow today, or limits how fast we may ask. The call has
//! no limit of its own, or one that is longer than the request's, or is repeated.
//!
//! ## How to tell
//! Only routes that call it are slow, and the wait equals the limit of the app's client. Workers
//! wait and use no CPU. If it is the database, it is `db_slow_or_locked`; if the service refuses
//! for quota, `license_or_quota`.
//!
//! ## Fix
//! Give each call a limit below the request's, with what is left of the time. Answer without it,
//! from a cache or later (202). A breaker keeps a dead service from holding all workers. A longer
//! limit at the gateway hides the wait from us and not from callers.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
use crate::signs::window;
use crate::text::{SPEAKS, Text, during};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "external_api_slow",
    family: Family::F13,
    title: "A service that the app calls is too slow",
    side: Side::ThirdParty,
    retry: RetryClass::R2,
    passing: true,
    look: silent,
    fix,
    text: Text {
        behind: &[(Sign::HeadTimedOut, 0.008)],
        clues: &[during(Sign::ExternalTimedOut, 5.5), during(Sign::ExternalFailed, SPEAKS)],
        brings: &[
            "response_header_timeout",
            "unhandled_exception",
            "worker_timeout_killed",
            "worker_pool_exhausted",
            "upstream_own_5xx",
        ],
        ..Text::NONE
    },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Find the timed-out call in the app's log",
            format!(
                "journalctl {} --grep '[Tt]imed out|[Tt]imeout|deadline exceeded'",
                window(case),
            ),
        ),
        Fix::run(
            "Measure that service from the app's host",
            "curl -so /dev/null -w 'connect %{time_connect} tls %{time_appconnect} first byte \
             %{time_starttransfer}\\n' https://SERVICE/",
        ),
        Fix::new("Give the call a limit below the request's, and an answer without it"),
    ]
}
