//! Small answers are held back until they are whole: one that breaks off has then not been begun to be
//! handed on, and can be asked for again or explained. Most are whole already when their head is there.

use super::body::broke;
use super::http2::{Stream, body_fault};
use super::wire::Wire;
use super::{Answered, From, Turn};
use crate::chunked::{Chunked, Piece};
use crate::head::AnswerFraming;
use crate::recorder::Recorder;
use crate::timer::Alarm;
use bytes::BytesMut;
use exchange::{BodyFault, Fault, Phase};
use http::header::{self, HeaderMap};
use std::future::poll_fn;
use std::time::{Duration, Instant};

/// How long an answer of no known length is held back: it may be one of many pieces.
const UNKNOWN: Duration = Duration::from_secs(1);

/// Waits for the rest of an answer of no more than `most` bytes. What it had no room for, or does not know
/// the length of, goes on as it comes; only from a target that cut one lately an answer of no known
/// length is held back too.
pub(crate) async fn hold(
    turn: &Turn<'_>,
    answered: &mut Answered,
    record: &mut Recorder,
    most: usize,
) -> Result<(), Fault> {
    let wanted = match answered.head.body {
        AnswerFraming::None | AnswerFraming::Close => return Ok(()),
        AnswerFraming::Length(length) => match usize::try_from(length) {
            Ok(length) if length <= most => Some(length),
            _ => return Ok(()),
        },
        AnswerFraming::Chunked if is_stream(&answered.head.fields) => return Ok(()),
        AnswerFraming::Chunked if !turn.state().cuts() => return Ok(()),
        AnswerFraming::Chunked => None,
    };
    if matches!(&answered.from, From::Wire(wire) if is_whole(wanted, &wire.held, most)) {
        return Ok(());
    }
    record.enter_once(Phase::ReadBody);
    let gap = turn.gap();
    let Answered { from, alarm, .. } = answered;
    let patience = if wanted.is_none() { UNKNOWN } else { Duration::from_micros(gap.value) };
    let begun = Instant::now();
    loop {
        let since = if wanted.is_none() { begun } else { Instant::now() };
        let within = turn.deadline.min(since + patience);
        let read = match from {
            From::Wire(wire) => more(wire, alarm, within, record).await,
            From::Stream(stream) => more_of_stream(stream, alarm, within, record, wanted).await,
        };
        let whole = match (read, &*from) {
            // Its head came in time, and streams are not cut.
            (None, _) if turn.deadline <= Instant::now() || wanted.is_none() => return Ok(()),
            (None, _) => return Err(Fault::Body(BodyFault::Stalled(gap))),
            (Some(Err(fault)), _) => return Err(Fault::Body(fault)),
            (Some(Ok(0)), From::Wire(wire)) => {
                return Err(Fault::Body(cut(wanted, wire.held.len())));
            }
            // Its end; what follows is read where it is handed on.
            (Some(Ok(0)), From::Stream(_)) => true,
            (Some(Ok(_)), From::Wire(wire)) => is_whole(wanted, &wire.held, most),
            (Some(Ok(_)), From::Stream(stream)) => wanted.unwrap_or(most) <= stream.held_bytes(),
        };
        if whole {
            return Ok(());
        }
    }
}

/// How many bytes came, 0 at the end. `None` where nothing came in time.
async fn more(
    wire: &mut Wire,
    alarm: &Alarm,
    within: Instant,
    record: &mut Recorder,
) -> Option<Result<usize, BodyFault>> {
    let read = alarm.until(within, poll_fn(|cx| wire.poll_more(cx, true))).await?;
    Some(read.map_err(|error| {
        record.attempt_mut().errno = error.raw_os_error();
        broke(&error)
    }))
    .inspect(|read| record.attempt_mut().received += *read.as_ref().unwrap_or(&0) as u64)
}

/// The same of a stream of HTTP/2.
async fn more_of_stream(
    stream: &mut Stream,
    alarm: &Alarm,
    within: Instant,
    record: &mut Recorder,
    wanted: Option<usize>,
) -> Option<Result<usize, BodyFault>> {
    let data = alarm.until(within, poll_fn(|cx| stream.recv.poll_data(cx))).await?;
    Some(match data {
        None => Ok(0),
        Some(Ok(data)) => {
            let amount = data.len();
            let _ = stream.recv.flow_control().release_capacity(amount);
            record.attempt_mut().received += amount as u64;
            stream.held.push_back(data);
            // An empty piece is no end.
            Ok(amount.max(1))
        }
        Some(Err(error)) => {
            let left = wanted.map(|it| it.saturating_sub(stream.held_bytes()) as u64);
            let seen = &stream.lease.connection().seen;
            record.attempt_mut().errno = seen.errno.get();
            Err(body_fault(&error, seen, left))
        }
    })
}

/// Events that come one by one are not for holding back.
fn is_stream(fields: &HeaderMap) -> bool {
    let kind = fields.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    [&b"text/event-stream"[..], b"application/x-ndjson", b"application/grpc"]
        .iter()
        .any(|it| kind.starts_with(it))
}

/// All of it is there, or more than is held back.
fn is_whole(wanted: Option<usize>, held: &BytesMut, most: usize) -> bool {
    match wanted {
        Some(wanted) => wanted <= held.len(),
        None => most < held.len() || chunks_are_whole(held),
    }
}

fn chunks_are_whole(held: &BytesMut) -> bool {
    let mut chunked = Chunked::new(held.len());
    let mut left = &held[..];
    loop {
        match chunked.next(left) {
            Ok(Piece::Need) => return false,
            Ok(Piece::Framing(length) | Piece::Data(length)) => {
                left = left.get(length..).unwrap_or_default();
            }
            // What is wrong is told where it is handed on.
            Ok(Piece::End(_)) | Err(_) => return true,
        }
    }
}

fn cut(wanted: Option<usize>, held: usize) -> BodyFault {
    match wanted {
        Some(wanted) => BodyFault::LengthShort { left: wanted.saturating_sub(held) as u64 },
        None => BodyFault::ChunkCut,
    }
}
