//! How a question after a target's health failed: a closed set, as faults are.

use crate::{ConnectFault, DnsFault, Fault, HeadFault};

/// Why a target that was asked whether it is well is not taken for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckFault {
    /// There was no answer, for the same reasons as with requests. Limits of time are those of the
    /// upstream, or `health.timeout`.
    Way(Fault),
    /// An answer with a status outside of `health.status`.
    Status(u16),
    /// gRPC: the service is there and does not serve (`NOT_SERVING`, or `UNKNOWN`).
    NotServing,
    /// gRPC: the server does not know the service (status 5).
    UnknownService,
    /// gRPC: the server has no health service (status 12).
    NoHealthService,
    /// gRPC: another status than 0.
    Grpc(u32),
    /// gRPC: a message that is no `HealthCheckResponse`.
    NoAnswer,
}

impl CheckFault {
    /// A word, unique over this set and that of [`Fault`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            CheckFault::Way(fault) => fault.name(),
            CheckFault::Status(_) => "wrong_status",
            CheckFault::NotServing => "not_serving",
            CheckFault::UnknownService => "unknown_service",
            CheckFault::NoHealthService => "no_health_service",
            CheckFault::Grpc(_) => "wrong_grpc_status",
            CheckFault::NoAnswer => "no_health_answer",
        }
    }

    /// The status that was given, where there was one: of HTTP, or of gRPC.
    #[must_use]
    pub fn status(&self) -> Option<u32> {
        match self {
            CheckFault::Status(status) => Some(u32::from(*status)),
            CheckFault::Way(Fault::Head(HeadFault::NotGrpc { status, .. })) => {
                Some(u32::from(*status))
            }
            CheckFault::UnknownService => Some(5),
            CheckFault::NoHealthService => Some(12),
            CheckFault::Grpc(status) => Some(*status),
            CheckFault::Way(_) | CheckFault::NotServing | CheckFault::NoAnswer => None,
        }
    }

    /// It failed before the target had any part in it: our own host was short of something, or nobody
    /// could be asked for the name. Requests may well reach the target meanwhile, by connections that are
    /// open and addresses that are known.
    #[must_use]
    pub fn is_not_of_the_target(&self) -> bool {
        match self {
            CheckFault::Way(Fault::Connect(it)) => matches!(
                it,
                ConnectFault::NoLocalPort | ConnectFault::NoDescriptors | ConnectFault::NoMemory
            ),
            CheckFault::Way(Fault::Resolve(it)) => {
                !matches!(it, DnsFault::NoSuchName | DnsFault::NoAddress)
            }
            _ => false,
        }
    }

    /// The target did answer, and what it says is that it was asked for the wrong thing: for a path
    /// that is not there, needs a login or lies elsewhere, or for a service that it does not have. Not
    /// 408 and 429 (RFC 9110 15.5.9, RFC 6585 4), which speak of time and load.
    #[must_use]
    pub fn asks_for_the_wrong_thing(&self) -> bool {
        match self {
            CheckFault::Status(status)
            | CheckFault::Way(Fault::Head(HeadFault::NotGrpc { status, .. })) => {
                matches!(status, 300..=407 | 409..=428 | 430..=499)
            }
            CheckFault::UnknownService | CheckFault::NoHealthService => true,
            // The codes of gRPC for a caller that may not, or has not said who it is.
            CheckFault::Grpc(status) => matches!(status, 7 | 16),
            CheckFault::Way(_) | CheckFault::NotServing | CheckFault::NoAnswer => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_our_own_host_lacks_is_not_of_the_target() {
        let check = |fault, not| {
            assert_eq!(CheckFault::Way(fault).is_not_of_the_target(), not);
        };
        check(Fault::Connect(ConnectFault::NoDescriptors), true);
        check(Fault::Connect(ConnectFault::NoLocalPort), true);
        check(Fault::Connect(ConnectFault::Refused), false);
        check(Fault::Connect(ConnectFault::NetworkUnreachable), false);
        check(Fault::Resolve(DnsFault::ServerFailure), true);
        check(Fault::Resolve(DnsFault::NoServer), true);
        check(Fault::Resolve(DnsFault::NoSuchName), false);
        check(Fault::Head(HeadFault::Closed), false);
        assert!(!CheckFault::Status(503).is_not_of_the_target());
    }

    #[test]
    fn only_what_blames_the_question_asks_for_the_wrong_thing() {
        let check = |fault: CheckFault, wrong| {
            assert_eq!(fault.asks_for_the_wrong_thing(), wrong, "{fault:?}");
        };
        for wrong in [301, 302, 307, 400, 401, 403, 404, 405, 421] {
            check(CheckFault::Status(wrong), true);
        }
        for own in [200, 204, 299, 408, 429, 500, 503, 600] {
            check(CheckFault::Status(own), false);
        }
        check(CheckFault::UnknownService, true);
        check(CheckFault::NoHealthService, true);
        check(CheckFault::Grpc(16), true);
        check(CheckFault::Grpc(14), false);
        check(CheckFault::NotServing, false);
        let not_grpc = |status| HeadFault::NotGrpc { status, content_type: None };
        check(CheckFault::Way(Fault::Head(not_grpc(404))), true);
        check(CheckFault::Way(Fault::Head(not_grpc(502))), false);
        check(CheckFault::Way(Fault::Connect(ConnectFault::Refused)), false);
    }
}
