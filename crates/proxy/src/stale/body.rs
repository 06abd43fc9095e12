//! An answer's body, a copy of which is kept as it goes by.

use super::shelf::{Kept, Shelf};
use crate::recorder::Recorder;
use crate::upstream::body::{Cut, UpstreamBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::sync::Arc;
use std::task::{Context, Poll};

/// An answer that is being kept; nothing is left of one that does not come to its end.
pub(crate) struct Keeping {
    pub(super) shelf: Arc<Shelf>,
    pub(super) key: Arc<str>,
    /// Until it is done.
    pub(super) kept: Option<Kept>,
    /// The longest body.
    pub(super) most: usize,
    pub(super) body: Vec<u8>,
}

impl Keeping {
    /// Whether it had room.
    fn take(&mut self, data: &[u8]) -> bool {
        let fits = data.len() <= self.most.saturating_sub(self.body.len());
        if !fits || !self.shelf.grow(data.len()) {
            return false;
        }
        self.body.extend_from_slice(data);
        true
    }

    fn finish(mut self) {
        let body = std::mem::take(&mut self.body);
        self.shelf.shrink(body.len());
        if let Some(mut kept) = self.kept.take() {
            kept.body = body.into_boxed_slice().into();
            self.shelf.put(self.key.clone(), kept);
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        if !self.body.is_empty() {
            self.shelf.shrink(self.body.len());
        }
    }
}

pub(crate) struct KeptBody {
    body: Box<UpstreamBody>,
    keeping: Option<Keeping>,
}

impl KeptBody {
    pub(crate) fn new(body: Box<UpstreamBody>, keeping: Keeping) -> KeptBody {
        let mut all = KeptBody { body, keeping: Some(keeping) };
        all.finish_if_whole();
        all
    }

    pub(crate) fn record(&mut self) -> &mut Recorder {
        self.body.record()
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let polled = self.body.poll_frame(cx);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                Some(data) => {
                    self.keeping.take_if(|it| !it.take(data));
                    self.finish_if_whole();
                }
                // Trailers, with which it ends; nothing of them is kept.
                None => self.finish(),
            },
            Poll::Ready(Some(Err(Cut))) => self.keeping = None,
            Poll::Ready(None) => self.finish(),
        }
        polled
    }

    /// Who hands a body on does not ask for what follows its last byte.
    fn finish_if_whole(&mut self) {
        if self.body.size_hint().exact() == Some(0) {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some(keeping) = self.keeping.take() {
            keeping.finish();
        }
    }
}
