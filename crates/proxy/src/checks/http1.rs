//! The question over HTTP/1.1.

use super::ask::{Question, judged};
use super::{MOST_OF_BODY, USER_AGENT};
use crate::head::{AnswerFraming, Head, answer_head};
use crate::upstream::read_fault;
use crate::upstream::wire::{Io, poll_more};
use bytes::{Buf, BytesMut};
use exchange::{CheckFault, Fault, HeadFault, Limit};
use std::future::poll_fn;
use std::io;
use tokio::io::AsyncWriteExt;

/// `GET`, and whether the status of the answer is good.
pub(super) async fn get(
    question: &mut Question<'_>,
    mut io: Io,
    path: &str,
    host: Option<&str>,
    good: (u16, u16),
) -> Result<(), CheckFault> {
    let base = &question.subject.target().base_path;
    let head = format!(
        "GET {base}{path} HTTP/1.1\r\nhost: {}\r\nuser-agent: {USER_AGENT}\r\naccept: */*\r\n\
         connection: close\r\n\r\n",
        question.host(host),
    );
    let limit = question.whole();
    let failed = match question.within(question.end(), io.write_all(head.as_bytes())).await {
        Some(Ok(())) => None,
        // An answer that is on its way may still explain it.
        Some(Err(error)) => Some(error),
        None => return question.written(None, limit),
    };
    let mut held = BytesMut::new();
    let reading = answer(&mut io, &mut held, &question.subject.limits);
    let read = question.within(question.end(), reading).await;
    let head = match read {
        Some(Ok(head)) => head,
        Some(Err(Unread::Fault(fault))) => return Err(way(fault)),
        Some(Err(_)) | None if failed.is_some() && held.is_empty() => {
            return question.written(failed.map(Err), limit);
        }
        Some(Err(Unread::Io(error))) => {
            question.note(&error);
            return Err(CheckFault::Way(read_fault(&error)));
        }
        None if held.is_empty() => return Err(way(HeadFault::TimedOut(limit))),
        None => return Err(way(HeadFault::Slow(limit))),
    };
    question.decided();
    question.heard(&head.fields);
    let rest = rest(&mut io, held, head.body);
    // How the body ends says nothing of the status.
    let _ = question.within(question.end(), rest).await;
    let _ = question.within(question.end(), io.shutdown()).await;
    judged(head.status, good)
}

fn way(fault: HeadFault) -> CheckFault {
    CheckFault::Way(Fault::Head(fault))
}

enum Unread {
    Fault(HeadFault),
    Io(io::Error),
}

/// The head of the final answer.
async fn answer(io: &mut Io, held: &mut BytesMut, limits: &config::Limits) -> Result<Head, Unread> {
    let mut interim = 0;
    loop {
        while let Some(head) = answer_head(held, limits, false).map_err(Unread::Fault)? {
            held.advance(head.len);
            match head.status {
                100 | 102..200 => interim += 1,
                101 => return Err(Unread::Fault(HeadFault::UnaskedUpgrade)),
                _ => return Ok(head),
            }
            if limits.interim_responses < interim {
                let value = limits.interim_responses as u64;
                let limit = Limit { name: "limits.interim_responses", value };
                return Err(Unread::Fault(HeadFault::TooManyInterim(limit)));
            }
        }
        match poll_fn(|cx| poll_more(io, held, cx, false)).await {
            Ok(0) => return Err(Unread::Fault(HeadFault::Closed)),
            Ok(_) => {}
            Err(error) => return Err(Unread::Io(error)),
        }
    }
}

/// Takes what of the body an honest target sends: one that still writes would see us reset it, and
/// complain in its log with each question.
async fn rest(io: &mut Io, mut held: BytesMut, framing: AnswerFraming) {
    let whole = match framing {
        AnswerFraming::None => 0,
        AnswerFraming::Length(length) => length.min(MOST_OF_BODY),
        // It closes after this answer, as it was asked to.
        AnswerFraming::Chunked | AnswerFraming::Close => MOST_OF_BODY,
    };
    let mut taken = held.len() as u64;
    while taken < whole {
        held.clear();
        match poll_fn(|cx| poll_more(io, &mut held, cx, false)).await {
            Ok(amount) if 0 < amount => taken += amount as u64,
            _ => return,
        }
    }
}
