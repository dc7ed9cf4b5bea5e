//! The timer that limits a whole call.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::time::Sleep;

use crate::transport_error::{TransportError, TransportErrorKind};

/// A call's timer. The transport starts the timer when it sends the request.
///
/// Generated code pins the timer in the call's future. If the timeouts of `reqwest` were used
/// instead, each timer would need an allocation, and the response timer would be polled for every
/// chunk.
#[doc(hidden)]
pub type Timer = Option<Sleep>;

/// Waits for a step in a call. Returns an error if the step fails or the timer expires first.
pub(crate) async fn in_time<T>(
    mut timer: Pin<&mut Timer>,
    step: impl Future<Output = Result<T, reqwest::Error>>,
) -> Result<T, TransportError> {
    let mut step = pin!(step);
    poll_fn(|context| {
        // The step is polled first, so a response that has arrived is never discarded.
        if let Poll::Ready(result) = step.as_mut().poll(context) {
            return Poll::Ready(result.map_err(|error| TransportError::from_reqwest(&error)));
        }
        match timer.as_mut().as_pin_mut().map(|timer| timer.poll(context)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(TransportError::after_sending(TransportErrorKind::Timeout))),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    })
    .await
}
