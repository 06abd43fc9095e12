//! Whether a request is tried again, and what a try shows of its target: one table, pure.
//!
//! What has not left us may always be sent again, and what a target says that it did not process. What
//! may have been carried out is repeated only where that does no harm: by its method (RFC 9110 9.2.2),
//! by an `Idempotency-Key` of the caller, or because the target says so (`X-Should-Retry`).

use super::health::Showed;
use exchange::{BodyFault, ConnectFault, Fault, HeadFault, SendFault, TlsFault};
use http::header::HeaderMap;
use http::{Method, header};
use std::time::Duration;

/// What came of a try.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Came<'a> {
    Fault(&'a Fault),
    Status(Answer),
}

/// What of an answer decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `X-Should-Retry`, where the target says so.
    pub(crate) should: Option<bool>,
    pub(crate) retry_after: Option<Duration>,
}

/// How a try went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried<'a> {
    pub(crate) came: Came<'a>,
    /// On a connection that had served before.
    pub(crate) reused: bool,
    /// Bytes of the request that left us.
    pub(crate) sent: u64,
    /// Bytes of the answer that came.
    pub(crate) received: u64,
    /// The whole request had been taken from its client and sent.
    pub(crate) uploaded: bool,
}

/// What there is to try again with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means {
    /// The request does no harm when it is carried out twice.
    pub(crate) repeatable: bool,
    /// There is a target that has not been tried.
    pub(crate) others: bool,
    /// At least half of the time is left.
    pub(crate) half_left: bool,
    /// It was repeated once already because a connection had died.
    pub(crate) was_free: bool,
    /// The longest pause that is waited for.
    pub(crate) patience: Duration,
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    No,
    /// At another target; nothing had been sent.
    Elsewhere,
    /// At the same one, on a new connection; the old one had died, or took nothing any more.
    Same,
    /// Within the budget, at another target where there is one.
    Charged,
    /// After a pause that the target asked for.
    After(Duration),
    /// When a target can be reached again.
    WhenBack,
}

pub(crate) fn again(tried: &Tried<'_>, means: &Means) -> Again {
    match tried.came {
        Came::Status(answer) => after_answer(&answer, means),
        Came::Fault(fault) => after_fault(fault, tried, means),
    }
}

fn after_fault(fault: &Fault, tried: &Tried<'_>, means: &Means) -> Again {
    let charged = if means.repeatable { Again::Charged } else { Again::No };
    match fault {
        _ if fault.unprocessed() => Again::Same,
        Fault::Resolve(_) | Fault::Connect(_) if means.others => Again::Elsewhere,
        Fault::Resolve(_) => Again::WhenBack,
        Fault::Connect(it) if may_come_back(*it) => Again::WhenBack,
        Fault::Connect(_) => Again::No,
        Fault::Tls(TlsFault::LateAlert(_)) => Again::No,
        Fault::Tls(_) if means.others && tried.sent == 0 => Again::Elsewhere,
        Fault::Tls(_) => Again::No,
        Fault::Send(SendFault::Reset | SendFault::Closed) if tried.sent == 0 => Again::Same,
        Fault::Send(SendFault::TimedOut(_)) | Fault::Head(HeadFault::TimedOut(_)) => {
            // Another one may be quicker; the same would not be.
            if means.others && means.half_left { charged } else { Again::No }
        }
        Fault::Send(_) | Fault::Head(HeadFault::Closed | HeadFault::Reset | HeadFault::Errno) => {
            let had_died = tried.reused && tried.received == 0;
            if had_died && means.repeatable && !means.was_free { Again::Same } else { charged }
        }
        Fault::Head(HeadFault::StreamReset(_)) => charged,
        Fault::Body(it) if broke_off(*it) => charged,
        Fault::Head(_) | Fault::Body(_) | Fault::Deadline(_) => Again::No,
    }
}

/// Who listens there restarts, as a rule. What our own host is short of does not come back by waiting
/// for the target.
fn may_come_back(fault: ConnectFault) -> bool {
    matches!(
        fault,
        ConnectFault::Refused
            | ConnectFault::TimedOut(_)
            | ConnectFault::HostUnreachable
            | ConnectFault::NetworkUnreachable
            | ConnectFault::Reset
            | ConnectFault::SocketMissing
            | ConnectFault::SocketStale
            | ConnectFault::BacklogFull
    )
}

/// The answer was on its way and did not come whole, which another try may mend.
fn broke_off(fault: BodyFault) -> bool {
    matches!(
        fault,
        BodyFault::LengthShort { .. }
            | BodyFault::ChunkCut
            | BodyFault::StreamCut
            | BodyFault::StreamReset(_)
            | BodyFault::Reset
            | BodyFault::Stalled(_)
            | BodyFault::Errno
    )
}

fn after_answer(answer: &Answer, means: &Means) -> Again {
    let may = match answer.should {
        Some(should) => should,
        None => means.repeatable,
    };
    match (answer.status, answer.retry_after) {
        _ if !may => Again::No,
        (429 | 503, Some(_)) if means.others && answer.status == 503 => Again::Charged,
        (429 | 503, Some(pause)) if pause <= means.patience => Again::After(pause),
        (429 | 503, Some(_)) => Again::No,
        (502..=504, _) => Again::Charged,
        (429 | 500..=599, _) if answer.should == Some(true) => Again::Charged,
        _ => Again::No,
    }
}

/// What a try shows of its target. `took` is the time until the head of its answer.
pub(crate) fn showed(tried: &Tried<'_>, took: Duration) -> Showed {
    let fault = match tried.came {
        Came::Status(Answer { status: 502..=504, .. }) => return Showed::Ill,
        Came::Status(_) => return Showed::Well(took),
        Came::Fault(fault) => fault,
    };
    let lost = matches!(
        fault,
        Fault::Send(SendFault::Reset | SendFault::Closed | SendFault::Errno)
            | Fault::Head(HeadFault::Closed | HeadFault::Reset | HeadFault::Errno)
    );
    let ours = matches!(
        fault,
        Fault::Connect(
            ConnectFault::NoLocalPort | ConnectFault::NoDescriptors | ConnectFault::NoMemory
        )
    );
    // What a request can bring about on a target that is well.
    let asked_for = match fault {
        Fault::Head(HeadFault::NotGrpc { status, .. }) => !matches!(status, 502..=504),
        Fault::Head(it) => matches!(
            it,
            HeadFault::NoExtendedConnect
                | HeadFault::NotSwitched(_)
                | HeadFault::UnaskedUpgrade
                | HeadFault::TooBig { .. }
                | HeadFault::TooManyFields(_)
        ),
        // Its client took all the time.
        Fault::Deadline(_) => !tried.uploaded,
        _ => false,
    };
    // How soon a caller gives up says nothing of the target.
    let callers = matches!(fault, Fault::Deadline(it) if it.is_callers());
    let died = lost && tried.reused && tried.received == 0;
    if died || ours || callers || asked_for || fault.unprocessed() {
        Showed::Nothing
    } else {
        Showed::Ill
    }
}

/// Carrying it out twice is the same as once, by its method or because the caller gave it a key (the
/// `Idempotency-Key` draft of the IETF).
pub(crate) fn is_repeatable(method: &Method, headers: &HeaderMap) -> bool {
    let idempotent = matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    );
    idempotent || headers.contains_key("idempotency-key")
}

/// What of an answer decides whether it is asked for again.
pub(crate) fn answer(status: u16, fields: &HeaderMap) -> Answer {
    let text = |name: &str| fields.get(name).and_then(|it| it.to_str().ok()).map(str::trim);
    let should = match text("x-should-retry") {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    };
    let finer = text("retry-after-ms").and_then(|it| it.parse().ok()).map(Duration::from_millis);
    // A date would go by two clocks, and is rare: it is left to the caller.
    let seconds = || text(header::RETRY_AFTER.as_str()).and_then(|it| it.parse().ok());
    Answer { status, should, retry_after: finer.or_else(|| seconds().map(Duration::from_secs)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exchange::{DnsFault, Limit};

    const LIMIT: Limit = Limit { name: "timeout.first_byte", value: 0 };

    const GET: Means = Means {
        repeatable: true,
        others: true,
        half_left: true,
        was_free: false,
        patience: Duration::from_secs(5),
    };

    const POST: Means = Means { repeatable: false, ..GET };

    fn fresh(fault: &Fault) -> Tried<'_> {
        Tried { came: Came::Fault(fault), reused: false, sent: 100, received: 0, uploaded: true }
    }

    /// For a request that may be repeated, and for one that may not.
    fn check(tried: Tried<'_>, get: Again, post: Again) {
        assert_eq!((again(&tried, &GET), again(&tried, &POST)), (get, post), "{tried:?}");
    }

    #[test]
    fn what_was_not_sent_goes_elsewhere_whatever_it_is() {
        for fault in [
            Fault::Resolve(DnsFault::ServerFailure),
            Fault::Connect(ConnectFault::Refused),
            Fault::Connect(ConnectFault::NoLocalPort),
            Fault::Tls(TlsFault::Closed),
        ] {
            let tried = Tried { sent: 0, ..fresh(&fault) };
            check(tried, Again::Elsewhere, Again::Elsewhere);
        }
    }

    #[test]
    fn the_only_target_is_waited_for_where_it_may_come_back() {
        let alone = Means { others: false, ..POST };
        let table = [
            (Fault::Connect(ConnectFault::Refused), Again::WhenBack),
            (Fault::Connect(ConnectFault::SocketMissing), Again::WhenBack),
            (Fault::Resolve(DnsFault::TimedOut(LIMIT)), Again::WhenBack),
            (Fault::Connect(ConnectFault::NoDescriptors), Again::No),
            (Fault::Connect(ConnectFault::PermissionDenied), Again::No),
            (Fault::Tls(TlsFault::Closed), Again::No),
        ];
        for (fault, expected) in table {
            assert_eq!(again(&Tried { sent: 0, ..fresh(&fault) }, &alone), expected, "{fault:?}");
        }
    }

    #[test]
    fn a_connection_that_had_died_costs_nothing_once() {
        let fault = Fault::Head(HeadFault::Closed);
        let reused = Tried { reused: true, ..fresh(&fault) };
        check(reused, Again::Same, Again::No);
        assert_eq!(again(&reused, &Means { was_free: true, ..GET }), Again::Charged);
        // Bytes of an answer came: the connection was alive.
        check(Tried { received: 9, ..reused }, Again::Charged, Again::No);
    }

    #[test]
    fn a_new_connection_that_ended_is_charged() {
        for fault in [Fault::Head(HeadFault::Reset), Fault::Send(SendFault::Closed)] {
            check(fresh(&fault), Again::Charged, Again::No);
        }
    }

    #[test]
    fn what_was_not_processed_is_sent_again_whatever_it_is() {
        let fault = Fault::Head(HeadFault::StreamReset(exchange::REFUSED_STREAM));
        check(fresh(&fault), Again::Same, Again::Same);
        let fault = Fault::Send(SendFault::Reset);
        check(Tried { sent: 0, ..fresh(&fault) }, Again::Same, Again::Same);
    }

    #[test]
    fn a_slow_one_is_left_for_another_where_there_is_time() {
        let fault = Fault::Head(HeadFault::TimedOut(LIMIT));
        check(fresh(&fault), Again::Charged, Again::No);
        assert_eq!(again(&fresh(&fault), &Means { others: false, ..GET }), Again::No);
        assert_eq!(again(&fresh(&fault), &Means { half_left: false, ..GET }), Again::No);
    }

    #[test]
    fn what_would_be_the_same_again_is_not_repeated() {
        for fault in [
            Fault::Head(HeadFault::NotHttp),
            Fault::Body(BodyFault::ChunkInvalid),
            Fault::Deadline(LIMIT),
        ] {
            check(fresh(&fault), Again::No, Again::No);
        }
        check(fresh(&Fault::Body(BodyFault::LengthShort { left: 1 })), Again::Charged, Again::No);
    }

    #[test]
    fn answers() {
        let said = |status, should, seconds: Option<u64>| {
            let retry_after = seconds.map(Duration::from_secs);
            let came = Came::Status(Answer { status, should, retry_after });
            Tried { came, reused: false, sent: 9, received: 9, uploaded: true }
        };
        let alone = Means { others: false, ..GET };
        let second = Duration::from_secs(1);
        check(said(200, None, None), Again::No, Again::No);
        check(said(500, None, None), Again::No, Again::No);
        check(said(502, None, None), Again::Charged, Again::No);
        check(said(503, None, None), Again::Charged, Again::No);
        check(said(504, Some(false), None), Again::No, Again::No);
        check(said(503, Some(true), None), Again::Charged, Again::Charged);
        check(said(500, Some(true), None), Again::Charged, Again::Charged);
        check(said(503, None, Some(1)), Again::Charged, Again::No);
        check(said(429, None, Some(1)), Again::After(second), Again::No);
        check(said(429, None, Some(6)), Again::No, Again::No);
        check(said(429, None, None), Again::No, Again::No);
        assert_eq!(again(&said(503, None, Some(1)), &alone), Again::After(second));
        assert_eq!(again(&said(503, None, Some(60)), &alone), Again::No);
    }

    #[test]
    fn what_a_try_shows_of_its_target() {
        let took = Duration::from_millis(5);
        let closed = Fault::Head(HeadFault::Closed);
        let check =
            |tried: Tried<'_>, expected| assert_eq!(showed(&tried, took), expected, "{tried:?}");
        check(fresh(&closed), Showed::Ill);
        check(Tried { reused: true, ..fresh(&closed) }, Showed::Nothing);
        check(fresh(&Fault::Connect(ConnectFault::NoDescriptors)), Showed::Nothing);
        check(fresh(&Fault::Connect(ConnectFault::Refused)), Showed::Ill);
        for (name, expected) in [
            ("timeout.total", Showed::Ill),
            ("grpc-timeout", Showed::Nothing),
            ("x-request-timeout-ms", Showed::Nothing),
        ] {
            check(fresh(&Fault::Deadline(Limit { name, value: 0 })), expected);
        }
        let total = Fault::Deadline(Limit { name: "timeout.total", value: 0 });
        check(fresh(&total), Showed::Ill);
        check(Tried { uploaded: false, ..fresh(&total) }, Showed::Nothing);
        check(fresh(&Fault::Head(HeadFault::UnaskedUpgrade)), Showed::Nothing);
        let status = |status| Tried {
            came: Came::Status(Answer { status, should: None, retry_after: None }),
            ..fresh(&closed)
        };
        check(status(500), Showed::Well(took));
        check(status(503), Showed::Ill);
    }

    #[test]
    fn what_an_answer_says() {
        let said = |lines: &[(&'static str, &'static str)]| {
            let mut fields = HeaderMap::new();
            for (name, value) in lines {
                fields.append(*name, http::HeaderValue::from_static(value));
            }
            let it = answer(503, &fields);
            (it.should, it.retry_after.map(|it| it.as_millis()))
        };
        assert_eq!(said(&[]), (None, None));
        assert_eq!(said(&[("retry-after", "2")]), (None, Some(2_000)));
        assert_eq!(said(&[("retry-after", "2"), ("retry-after-ms", "150")]), (None, Some(150)));
        assert_eq!(said(&[("retry-after", "Sun, 22 Nov 2026 00:00:00 GMT")]), (None, None));
        assert_eq!(said(&[("x-should-retry", "false")]), (Some(false), None));
        assert_eq!(said(&[("x-should-retry", "perhaps")]), (None, None));
    }

    #[test]
    fn which_requests_do_no_harm_twice() {
        let mut keyed = HeaderMap::new();
        keyed.insert("idempotency-key", http::HeaderValue::from_static("\"a\""));
        let none = HeaderMap::new();
        for (method, expected) in [
            (Method::GET, true),
            (Method::PUT, true),
            (Method::DELETE, true),
            (Method::POST, false),
            (Method::PATCH, false),
            (Method::CONNECT, false),
        ] {
            assert_eq!(is_repeatable(&method, &none), expected, "{method}");
        }
        assert!(is_repeatable(&Method::POST, &keyed));
    }
}
