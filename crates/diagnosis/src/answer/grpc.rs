//! An answer as the status of a gRPC call: a message, and a `google.rpc.Status` with details, cut to
//! the audience as the problem is.

use super::{Audience, ending, text};
use crate::look::Look;
use exchange::{Attempt, Exchange};

/// A call's status as we give it, besides its code.
pub struct CallStatus {
    /// What libraries show to people.
    pub message: String,
    /// An encoded `google.rpc.Status`, what `grpc-status-details-bin` is for.
    pub details: Vec<u8>,
}

/// Fields of an answer are bounded: callers take 8 KiB of them by default, some of them for all
/// together, and in base64 three bytes are four.
const DETAILS: usize = 3 * 1024;
const MESSAGE: usize = 600;

/// `retry_after` is the seconds after which the call may succeed, where that is known.
#[must_use]
pub fn call_status(
    look: &Look,
    exchange: &Exchange,
    code: u32,
    retry_after: Option<u64>,
    audience: Audience,
) -> CallStatus {
    let message = match audience {
        Audience::Public => look.cause().title,
        Audience::Trusted | Audience::Operator => &look.statement,
    };
    let message: String = super::visible(message).chars().take(MESSAGE).collect();
    let mut status = Message::default()
        .number(1, u64::from(code))
        .text(2, &message)
        .message(3, &any("ErrorInfo", &error_info(look, exchange, audience)))
        .message(3, &any("RequestInfo", &Message::default().text(1, &exchange.id.to_string())));
    if let Some(seconds) = retry_after {
        let delay = Message::default().number(1, seconds);
        status = status.message(3, &any("RetryInfo", &Message::default().message(1, &delay)));
    }
    if audience != Audience::Public {
        let more = any("DebugInfo", &debug_info(look, exchange));
        if status.0.len() + more.0.len() <= DETAILS {
            status = status.message(3, &more);
        }
    }
    CallStatus { message, details: status.0 }
}

/// `google.rpc.ErrorInfo`: the cause, whose it is, and facts by name.
fn error_info(look: &Look, exchange: &Exchange, audience: Audience) -> Message {
    let id = exchange.id.to_string();
    let report = format!("/.well-known/goodgate/reports/{id}");
    let retryable = if look.retryable { "true" } else { "false" };
    let all = [("request_id", id.as_str()), ("retryable", retryable)];
    let inner = [
        ("instance", report.as_str()),
        ("wire", look.wire),
        ("side", look.side().name()),
        ("retry", look.retry.says),
    ];
    let inner = if audience == Audience::Public { &[][..] } else { &inner };
    let info = Message::default().text(1, look.cause().id).text(2, "goodgate");
    all.iter().chain(inner).fold(info, |info, (name, value)| {
        info.message(3, &Message::default().text(1, name).text(2, value))
    })
}

/// `google.rpc.DebugInfo`: a line for each attempt, and what the terminal would show.
fn debug_info(look: &Look, exchange: &Exchange) -> Message {
    let attempts = exchange
        .attempts
        .iter()
        .fold(Message::default(), |all, it| all.text(1, &super::visible(&line(it))));
    attempts.text(2, &text::block(look, exchange, None, false))
}

fn line(attempt: &Attempt) -> String {
    let ms = attempt.phases.total() as f64 / 1e3;
    format!("{}: {}, {ms:.1} ms, {}", attempt.target, attempt.phase.name(), ending(attempt))
}

/// `google.protobuf.Any` around one of `google.rpc`.
fn any(name: &str, message: &Message) -> Message {
    let url = format!("type.googleapis.com/google.rpc.{name}");
    Message::default().text(1, &url).bytes(2, &message.0)
}

/// An encoded message of Protocol Buffers, field by field. As its third version has it, what is zero
/// or empty is left out.
#[derive(Default)]
struct Message(Vec<u8>);

/// Wire types.
const VARINT: u64 = 0;
const BYTES: u64 = 2;

impl Message {
    fn number(mut self, field: u64, value: u64) -> Message {
        if value != 0 {
            self.varint(field << 3 | VARINT);
            self.varint(value);
        }
        self
    }

    fn text(self, field: u64, value: &str) -> Message {
        if value.is_empty() { self } else { self.bytes(field, value.as_bytes()) }
    }

    fn message(self, field: u64, value: &Message) -> Message {
        self.bytes(field, &value.0)
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Message {
        self.varint(field << 3 | BYTES);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self, mut value: u64) {
        while 0x80 <= value {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Case, first_look, testing};

    fn status(case: &str, retry_after: Option<u64>, audience: Audience) -> CallStatus {
        let exchange = testing::exchange(case);
        let look = first_look(&Case::of(&exchange).expect("there is something to explain"));
        call_status(&look, &exchange, 14, retry_after, audience)
    }

    #[test]
    fn numbers_are_seven_bits_a_byte() {
        assert_eq!(Message::default().number(1, 300).0, [0x08, 0xac, 0x02]);
        assert!(Message::default().number(1, 0).0.is_empty());
        assert_eq!(Message::default().text(16, "a").0, [0x82, 0x01, 1, b'a']);
    }

    #[test]
    fn a_stranger_learns_the_cause_and_nothing_inside() {
        let status = status("connect: refused | to=10.0.0.7:8000", None, Audience::Public);
        assert_eq!(status.message, "Nothing listens on the upstream's address");
        let text = String::from_utf8_lossy(&status.details).into_owned();
        assert!(text.contains("process_down"), "{text}");
        assert!(text.contains("retryable"), "{text}");
        for inner in ["10.0.0.7", "wire", "DebugInfo"] {
            assert!(!text.contains(inner), "{inner}: {text}");
        }
    }

    #[test]
    fn a_trusted_caller_learns_each_attempt() {
        let status = status("connect: refused | to=10.0.0.7:8000", Some(1), Audience::Trusted);
        assert!(status.message.contains("10.0.0.7:8000"), "{}", status.message);
        let text = String::from_utf8_lossy(&status.details).into_owned();
        for inner in ["RetryInfo", "http://10.0.0.7:8000: connect, 0.2 ms, connection_refused"] {
            assert!(text.contains(inner), "{inner}: {text}");
        }
    }

    #[test]
    fn details_are_bounded_whatever_is_told() {
        for case in testing::CASES {
            let status = status(case, Some(1), Audience::Operator);
            assert!(status.details.len() <= DETAILS, "{case}: {}", status.details.len());
            assert!(status.message.chars().count() <= MESSAGE, "{case}");
        }
    }

    /// As `SerializeToString` of `googleapis-common-protos` has them.
    #[test]
    fn bytes_are_those_that_other_encoders_write() {
        let info = Message::default()
            .text(1, "process_down")
            .text(2, "goodgate")
            .message(3, &Message::default().text(1, "retryable").text(2, "true"));
        let status =
            Message::default().number(1, 14).text(2, "down").message(3, &any("ErrorInfo", &info));
        let expected = "080e1204646f776e1a570a28747970652e676f6f676c65617069732e636f6d2f676f\
                        6f676c652e7270632e4572726f72496e666f122b0a0c70726f636573735f646f776e\
                        1208676f6f64676174651a110a09726574727961626c65120474727565";
        let hex: String = status.0.iter().map(|it| format!("{it:02x}")).collect();
        assert_eq!(hex, expected);
    }
}
