//! What fuzz targets see of reading.

use super::frames::{Fault, Frames, Source};
use super::head;
use bytes::Bytes;
use config::Limits;
use http::request::Parts;
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

impl Source for VecDeque<Bytes> {
    fn poll_bytes(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        Poll::Ready(Ok(self.pop_front()))
    }
}

/// The frames that come whole in pieces of this size: kinds and payloads.
pub(crate) fn frames_of(bytes: &[u8], size: usize) -> Vec<(u64, Bytes)> {
    let pieces = bytes.chunks(size).map(Bytes::copy_from_slice).collect::<VecDeque<_>>();
    let mut frames = Frames::new(pieces);
    let mut cx = Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    while let Poll::Ready(Ok(Some(frame))) = frames.poll_frame(&mut cx)
        && let Poll::Ready(Ok(payload)) = frames.poll_whole(&mut cx)
    {
        all.push((frame.kind, payload));
    }
    all
}

/// The head of a section, where it is let through.
pub(crate) fn head_of(section: &[u8], limits: &Limits) -> Option<Parts> {
    head::read(section, limits).ok().filter(|it| it.refused.is_none()).map(|it| it.parts)
}
