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
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::window;
use crate::text::{SPEAKS, Text, When, during};
use crate::{platform, wording};
use evidence::{Sign, Stack};

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
        says,
        cure,
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

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::ExternalTimedOut, When::During)
        .or_else(|| wording::first(dossier, Sign::ExternalFailed, When::During))?;
    let what = match seen.key.sign {
        Sign::ExternalTimedOut => "waited in vain for",
        _ => "got no usable answer from",
    };
    let whom =
        seen.key.upstream.as_deref().map_or_else(|| "another service".to_owned(), wording::brief);
    Some(format!("{} {what} {whom}{}", wording::app(dossier), wording::because(&seen)))
}

fn cure(dossier: &Dossier) -> Cure {
    let seen = wording::first(dossier, Sign::ExternalTimedOut, When::During)
        .or_else(|| wording::first(dossier, Sign::ExternalFailed, When::During));
    let place =
        seen.and_then(|it| it.key.who.clone()).map(|it| format!(" at {}", wording::brief(&it)));
    let limit = match seen.map(|it| it.key.product.stack()) {
        Some(Stack::Python | Stack::Caller) => {
            " (`requests.get(url, timeout=(1, 5))`, `httpx.Timeout(5)`)"
        }
        Some(Stack::Java) => " (`connectTimeout` and `readTimeout` of the client)",
        Some(Stack::Node) => " (`AbortSignal.timeout(5000)`)",
        Some(Stack::Go) => " (`http.Client{Timeout: 5 * time.Second}`)",
        _ => "",
    };
    let mut before = Vec::new();
    if let Some(to) =
        seen.and_then(|it| it.key.upstream.as_deref()).filter(|it| platform::is_plain(it))
    {
        let run =
            format!("curl -sS -o /dev/null -w '%{{http_code}} %{{time_total}}s\\n' https://{to}/");
        before.push(Step::look(
            "See how it answers from where the app runs",
            platform::inside(dossier, &run),
        ));
    }
    Cure {
        before,
        now: vec![Step::say(format!(
            "Give the call{} a limit well below the proxy's{limit}, and answer without it when it is reached",
            place.unwrap_or_default()
        ))],
        lasting: vec![
            Step::say("Answer from a cache, or later (202), where the request can do without"),
            Step::say(
                "Put a breaker in front of it, so that a dead service does not hold all workers",
            ),
        ],
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_text;

    #[test]
    fn the_service_that_was_waited_for() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/venv/lib/python3.11/site-packages/flask/app.py\", line 1, in wsgi_app\n    x\n  File \"/srv/pay.py\", line 4, in pay\n    r = requests.get(url)\nrequests.exceptions.ReadTimeout: HTTPSConnectionPool(host='bank.example.com', port=443): Read timed out. (read timeout=60)\n",
            )],
            "external_api_slow: the app waited in vain for bank.example.com:443: requests.exceptions.ReadTimeout: HTTPSConnectionPool\n\
             before: See how it answers from where the app runs [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' https://bank.example.com:443/] checks\n\
             now: Give the call at /srv/pay.py:4 in pay a limit well below the proxy's (`requests.get(url, timeout=(1, 5))`, `httpx.Timeout(5)`), and answer without it when it is reached\n\
             lasting: Answer from a cache, or later (202), where the request can do without\n\
             lasting: Put a breaker in front of it, so that a dead service does not hold all workers\n\
             verify: A request that failed gets its answer [curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n\
             ' URL] checks",
        );
    }
}
