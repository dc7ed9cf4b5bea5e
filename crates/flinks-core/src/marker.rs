//! Records whether a request has left this machine. This information matters if a call fails or is
//! cancelled before its response arrives.
//!
//! A marker has three states. The first poll of the request body changes the state from *unsent* to
//! *sent*. [`SendMarker::abandon`] changes the state from *unsent* to *abandoned*. Only one of
//! these changes can happen:
//!
//! ```text
//!            the body is polled
//!   unsent ───────────────────▶ sent        bytes may have been sent
//!      │
//!      └── abandon() ─────────▶ abandoned   a later poll of the body fails, so nothing is sent
//! ```
//!
//! The recorded state is exact for two reasons. First, hyper polls the body of a request before it
//! flushes the head. Second, hyper replaces a closed pooled connection without polling the body.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::error::InvalidRequest;

/// A marker that records whether a request's body may have left this machine. Clones share one
/// state.
///
/// Pass a clone to [`Transport::with_marker`](crate::Transport::with_marker). After the call has
/// returned an error or has been cancelled, [`abandon`](Self::abandon) returns whether the secrets
/// in the request are still unused. Use a new marker for each call, and the same marker for all
/// attempts of that call.
#[derive(Clone, Debug, Default)]
pub struct SendMarker(Arc<AtomicU8>);

const UNSENT: u8 = 0;
const SENT: u8 = 1;
const ABANDONED: u8 = 2;

impl SendMarker {
    /// Creates a marker for a call that has not sent anything yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Abandons the call if nothing has left this machine. Returns whether the call was abandoned.
    /// An abandoned call never sends anything.
    #[must_use]
    pub fn abandon(&self) -> bool {
        self.change_from_unsent(ABANDONED) == ABANDONED
    }

    /// Records that bytes may be sent from now on. Returns `false` if the call was abandoned.
    fn mark_sent(&self) -> bool {
        self.change_from_unsent(SENT) == SENT
    }

    /// Changes the state to `new` if the current state is *unsent*, and returns the resulting
    /// state.
    fn change_from_unsent(&self, new: u8) -> u8 {
        match self.0.compare_exchange(UNSENT, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new,
            Err(current) => current,
        }
    }
}

/// The markers for one attempt.
#[derive(Clone)]
pub(crate) struct AttemptMarkers {
    /// The marker for the whole call, if the caller has set one.
    call: Option<SendMarker>,
    /// The marker for this attempt.
    attempt: SendMarker,
}

impl AttemptMarkers {
    pub(crate) fn new(call: Option<SendMarker>) -> Self {
        Self { call, attempt: SendMarker::new() }
    }

    /// Wraps the body of `request` so that polling the body sets the markers. A request without a
    /// body is immediately marked as sent, because nothing indicates when its head is sent.
    ///
    /// An empty body is wrapped as well: `reqwest` copies every request whose body can be copied,
    /// and a wrapped body cannot be.
    pub(crate) fn attach(&self, request: &mut reqwest::Request) -> Result<(), InvalidRequest> {
        let body = request.body_mut().take().unwrap_or_default();
        if body.is_end_stream() && !self.mark_sent() {
            return Err(InvalidRequest::new("request", "belongs to an abandoned call"));
        }
        *request.body_mut() = Some(reqwest::Body::wrap(MarkedBody { body, markers: self.clone() }));
        Ok(())
    }

    /// Abandons this attempt if nothing has left this machine. Returns whether it was abandoned.
    pub(crate) fn abandon(&self) -> bool {
        self.attempt.abandon()
    }

    /// Records that bytes may be sent from now on. Returns `false` if the call or the attempt was
    /// abandoned.
    fn mark_sent(&self) -> bool {
        // An abandoned attempt must not mark its call as sent, because another attempt may follow.
        self.attempt.mark_sent() && self.call.as_ref().is_none_or(SendMarker::mark_sent)
    }
}

/// A request body that sets the markers before it yields its first bytes.
struct MarkedBody {
    body: reqwest::Body,
    markers: AttemptMarkers,
}

impl Body for MarkedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if !self.markers.mark_sent() {
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

    /// Returns whether the next frame of a body contains data.
    fn yields_data(body: &mut MarkedBody) -> bool {
        let frame = Pin::new(body).poll_frame(&mut Context::from_waker(std::task::Waker::noop()));
        matches!(frame, Poll::Ready(Some(Ok(_))))
    }

    #[test]
    fn a_call_cannot_be_abandoned_after_its_body_was_polled() {
        let marker = SendMarker::new();
        let mut body = MarkedBody { body: "code".into(), markers: AttemptMarkers::new(Some(marker.clone())) };
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(!body.is_end_stream());
        assert!(yields_data(&mut body));
        assert!(!marker.abandon());
        assert!(marker.mark_sent());
    }

    #[test]
    fn the_body_of_an_abandoned_call_yields_nothing() {
        let marker = SendMarker::new();
        let mut body = MarkedBody { body: "code".into(), markers: AttemptMarkers::new(Some(marker.clone())) };
        assert!(marker.abandon());
        assert!(marker.abandon());
        assert!(!yields_data(&mut body));
    }
}
