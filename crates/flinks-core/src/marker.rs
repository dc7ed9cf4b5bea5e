//! Whether a request has left this machine, for a caller who stops waiting for its reply.
//!
//! A marker has three states. The first poll of the request body moves it from *unsent* to *sent*;
//! [`SendMarker::abandon`] moves it from *unsent* to *abandoned*. Only one of the two can win:
//!
//! ```text
//!            the body is polled
//!   unsent ───────────────────▶ sent        bytes may have left
//!      │
//!      └── abandon() ─────────▶ abandoned   a later poll of the body fails, so nothing leaves
//! ```
//!
//! That is exact because hyper polls the body of a request before it flushes the head, and because
//! a connection of the pool that turns out to be closed is replaced without a poll of the body.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::error::InvalidRequest;

/// Records whether the body of a request may have left this machine. Clones share one record.
///
/// Give a clone to [`Transport::with_marker`](crate::Transport::with_marker). When the call returns
/// an error or is cancelled, [`abandon`](Self::abandon) returns whether its secrets are still
/// unused. One marker is for the attempts of one call.
#[derive(Clone, Debug, Default)]
pub struct SendMarker(Arc<AtomicU8>);

const UNSENT: u8 = 0;
const SENT: u8 = 1;
const ABANDONED: u8 = 2;

impl SendMarker {
    /// Creates a marker of a call that has sent nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the call if nothing has left this machine: then nothing will. Returns whether that is
    /// so.
    #[must_use]
    pub fn abandon(&self) -> bool {
        self.leave_unsent(ABANDONED) == ABANDONED
    }

    /// Lets the body of `request` set this marker. A request without a body counts as sent from now
    /// on, because nothing shows when its head leaves.
    pub(crate) fn attach(&self, request: &mut reqwest::Request) -> Result<(), InvalidRequest> {
        let slot = request.body_mut();
        match slot.take() {
            Some(body) if !body.is_end_stream() => {
                *slot = Some(reqwest::Body::wrap(MarkedBody { body, marker: self.clone() }));
            }
            none => {
                *slot = none;
                if !self.send() {
                    return Err(InvalidRequest::new("request", "belongs to a call that was abandoned"));
                }
            }
        }
        Ok(())
    }

    /// Notes that bytes may leave now. Returns `false` if the call was abandoned.
    fn send(&self) -> bool {
        self.leave_unsent(SENT) == SENT
    }

    /// Returns the state after the change: the wanted one, or the one that was reached before.
    fn leave_unsent(&self, wanted: u8) -> u8 {
        match self.0.compare_exchange(UNSENT, wanted, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => wanted,
            Err(reached) => reached,
        }
    }
}

/// A request body that sets a marker before it gives its first bytes.
struct MarkedBody {
    body: reqwest::Body,
    marker: SendMarker,
}

impl Body for MarkedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if !self.marker.send() {
            return Poll::Ready(Some(Err("the call was abandoned".into())));
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the next frame of a body is data.
    fn gives_data(body: &mut MarkedBody) -> bool {
        let frame = Pin::new(body).poll_frame(&mut Context::from_waker(std::task::Waker::noop()));
        matches!(frame, Poll::Ready(Some(Ok(_))))
    }

    #[test]
    fn a_body_that_was_polled_cannot_be_abandoned() {
        let marker = SendMarker::new();
        let mut body = MarkedBody { body: "code".into(), marker: marker.clone() };
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(!body.is_end_stream());
        assert!(gives_data(&mut body));
        assert!(!marker.abandon());
        assert!(marker.send());
    }

    #[test]
    fn an_abandoned_body_gives_nothing() {
        let marker = SendMarker::new();
        let mut body = MarkedBody { body: "code".into(), marker: marker.clone() };
        assert!(marker.abandon());
        assert!(marker.abandon());
        assert!(!gives_data(&mut body));
    }
}
