//! Makes a call: its deadline, its attempts, the waits between them, and its log lines (A5).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use flinks_core::runtime::{can_sleep, lacks_driver};
use flinks_core::{Clock, TransportErrorKind};
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use crate::error::{Error, Kind, RetryClass};
use crate::operation::Operation;

/// Which failures of an operation may be followed by another attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryPolicy {
    /// The operation gets something new. A lost reply costs one token.
    AsNeeded,
    /// The operation exchanges a refresh token.
    Refresh,
    /// The operation exchanges a refresh token that each reply replaces. A lost reply holds the next refresh token, so another
    /// attempt with the old one would be refused.
    RotatingRefresh,
    /// The operation exchanges a code. It is repeated only if nothing was received (O9).
    Code,
    /// The operation spends a token, which goes back to the caller if it was not sent.
    Never,
}

impl RetryPolicy {
    /// Returns the maximum number of attempts for a failure of this class, the first one included.
    fn max_attempts(self, class: RetryClass) -> u32 {
        match (self, class) {
            (Self::Never, _) | (_, RetryClass::Final) => 1,
            (_, RetryClass::NotSent) => 3,
            (Self::Code, _) => 1,
            (_, RetryClass::Busy) => 3,
            (Self::RotatingRefresh, _) => 1,
            (Self::Refresh, _) | (_, RetryClass::ExpiredOnArrival) => 2,
            (Self::AsNeeded, _) => 3,
        }
    }
}

/// What calls have in common.
#[derive(Clone)]
pub(crate) struct CallExecutor {
    pub(crate) clock: Arc<dyn Clock>,
    /// For a whole call, waits included; where it was not set, each operation has its own.
    pub(crate) timeout: Option<Duration>,
    /// For making a connection.
    pub(crate) connect_timeout: Duration,
    pub(crate) max_attempts: u32,
}

/// The longest `Retry-After` that is waited for; a longer one is the caller's business.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);
/// The first wait is at most this long, each next one twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

impl CallExecutor {
    pub(crate) fn with_timeout(&self, timeout: Duration) -> Self {
        let timeout = timeout.max(Duration::from_millis(1));
        let connect_timeout = self.connect_timeout.min(timeout.mul_f64(0.5));
        Self { timeout: Some(timeout), connect_timeout, ..self.clone() }
    }

    /// Calls `attempt` until it succeeds, must not be repeated, or the timeout is reached.
    pub(crate) async fn call<T, F>(
        &self,
        operation: Operation,
        repeat: RetryPolicy,
        default_timeout: Duration,
        attempt: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        if !can_sleep(self.clock.as_ref()) {
            return Err(Error::new(operation, Kind::NoRuntime));
        }
        let span = tracing::info_span!("flinks", product = ?operation.product(), operation = operation.id());
        let attempts = self.attempts(operation, repeat, self.timeout.unwrap_or(default_timeout), attempt);
        match AssertUnwindSafe(attempts.instrument(span)).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(_) if lacks_driver() => Err(Error::new(operation, Kind::NoRuntime)),
            Err(_) => Err(Error::new(operation, Kind::Abandoned)),
        }
    }

    async fn attempts<T, F>(
        &self,
        operation: Operation,
        repeat: RetryPolicy,
        timeout: Duration,
        mut attempt_once: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let clock = &self.clock;
        let end = clock.monotonic().saturating_add(timeout);
        let left = || end.saturating_sub(clock.monotonic());
        let mut waits = ExponentialBuilder::new()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(usize::MAX)
            .build();
        let mut attempt = 0_u32;
        let mut may_have_been_sent = false;
        loop {
            attempt = attempt.saturating_add(1);
            // Not the clock of the call, which may be coarse, or stand still in a test.
            let started = Instant::now();
            let outcome = tokio::select! {
                biased;
                outcome = attempt_once() => outcome,
                () = clock.sleep(left()) => Err(Error::new(operation, Kind::Interrupted(TransportErrorKind::Timeout))),
            };
            let took_microseconds = started.elapsed().as_micros();
            let error = match outcome {
                Ok(value) => {
                    tracing::debug!(attempt, took_microseconds, "done");
                    return Ok(value);
                }
                Err(error) => error.after_attempts(attempt, may_have_been_sent),
            };
            may_have_been_sent |= error.may_have_been_sent();
            let asked = error.retry_after_header().and_then(|text| retry_after(text, clock.as_ref()));
            let error = error.with_retry_after(asked);
            tracing::debug!(attempt, took_microseconds, status = error.status(), %error, "failed");

            let max_attempts = repeat.max_attempts(error.retry_class()).min(self.max_attempts);
            if attempt >= max_attempts || asked.is_some_and(|wait| wait > MAX_RETRY_AFTER) {
                return Err(error);
            }
            // Full jitter: anything from nothing to the whole wait, so that many that failed together do not come back
            // together; but not before the server wants it.
            let jittered = waits.next().unwrap_or(LONGEST_WAIT).mul_f64(fastrand::f64());
            let wait = jittered.max(asked.unwrap_or_default());
            // Without the time for a connection, the deadline would end the next try, and hide that nothing was sent.
            let needed = if error.retry_class() == RetryClass::NotSent { self.connect_timeout } else { Duration::ZERO };
            if wait.saturating_add(needed) >= left() {
                return Err(error);
            }
            tracing::warn!(attempt, wait_milliseconds = wait.as_millis(), %error, "trying again");
            clock.sleep(wait).await;
        }
    }
}

/// Returns how long to send nothing after so many failures in a row: one second, doubled up to a minute, or the `retry_after` that
/// the server requested, up to five minutes. A random part of at most half is subtracted, so that processes that failed together do
/// not come back together.
pub fn backoff(failures: u32, retry_after: Option<Duration>) -> Duration {
    const FIRST: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(60);
    // Shorter than the lifetime of most tokens, so that a wrong `Retry-After` ends nothing.
    const MAX_REQUESTED: Duration = Duration::from_secs(300);
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(MAX);
    let jittered = doubled.mul_f64(0.5 + fastrand::f64() / 2.0);
    jittered.max(retry_after.unwrap_or_default().min(MAX_REQUESTED))
}

/// `Retry-After`: seconds, or an HTTP date; none where it is neither (RFC 9110, 10.2.3).
pub(crate) fn retry_after(text: &str, clock: &dyn Clock) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more than any cap.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(clock.wall()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    const OPERATION: Operation = Operation::PayAuthorize;

    /// What comes of these failures, one after the other, each of which takes so long.
    async fn call(errors: impl IntoIterator<Item = Error>, each_takes: Duration) -> Error {
        /// Waits are over at once, and take their time; deadlines do not come.
        struct Hurried(crate::ManualClock);
        impl Clock for Hurried {
            fn monotonic(&self) -> Duration {
                self.0.monotonic()
            }
            fn wall(&self) -> std::time::SystemTime {
                self.0.wall()
            }
            fn sleep(&self, duration: Duration) -> crate::Sleep {
                let clock = self.0.clone();
                Box::pin(async move {
                    match duration <= LONGEST_WAIT {
                        true => clock.advance(duration),
                        false => std::future::pending().await,
                    }
                })
            }
        }
        let clock = crate::ManualClock::new();
        let executor = Settings::new().clock(Hurried(clock.clone())).executor();
        let mut errors = errors.into_iter();
        let once = || {
            clock.advance(each_takes);
            std::future::ready(Err::<(), _>(errors.next().unwrap()))
        };
        executor.call(OPERATION, RetryPolicy::AsNeeded, Duration::from_secs(30), once).await.unwrap_err()
    }

    #[tokio::test]
    async fn a5_an_earlier_try_that_may_have_been_received_is_not_forgotten() {
        let (lost, not_sent) = (
            || Error::new(OPERATION, Kind::Interrupted(TransportErrorKind::Timeout)),
            || Error::new(OPERATION, Kind::NotSent(TransportErrorKind::Connect)),
        );
        let error = call([lost(), not_sent(), not_sent()], Duration::ZERO).await;
        assert!(error.may_have_been_sent() && error.attempts() == 3);
        let error = call([not_sent(), not_sent(), not_sent()], Duration::ZERO).await;
        assert!(!error.may_have_been_sent());
    }

    #[tokio::test]
    async fn a5_no_try_begins_that_could_not_connect_in_time() {
        // Of 30 seconds 8 are left, and a connection may take 10.
        let error = call(
            [
                Error::new(OPERATION, Kind::NotSent(TransportErrorKind::Connect)),
                Error::new(OPERATION, Kind::NotSent(TransportErrorKind::Connect)),
            ],
            Duration::from_secs(22),
        )
        .await;
        assert!(!error.may_have_been_sent() && error.attempts() == 1);
        // A server that answered needs no connection, and the waits are short.
        let error = call(
            [
                Error::new(OPERATION, Kind::Interrupted(TransportErrorKind::Timeout)),
                Error::new(OPERATION, Kind::Interrupted(TransportErrorKind::Timeout)),
            ],
            Duration::from_secs(22),
        )
        .await;
        assert_eq!(error.attempts(), 2);
    }

    proptest::proptest! {
        #[test]
        fn a_pause_grows_to_a_minute(failures in 1_u32..) {
            let pause = backoff(failures, None);
            let longest = Duration::from_secs(if failures > 6 { 60 } else { 1 << (failures - 1) });
            proptest::prop_assert!(pause <= longest);
            proptest::prop_assert!(pause >= longest / 2);
        }
    }

    #[test]
    fn a_requested_pause_is_kept_up_to_five_minutes() {
        let seconds = |seconds| backoff(1, Some(Duration::from_secs(seconds)));
        assert_eq!(seconds(0).max(Duration::from_secs(1)), Duration::from_secs(1));
        assert_eq!(seconds(120), Duration::from_secs(120));
        assert_eq!(seconds(9999), Duration::from_secs(300));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_or_nothing() {
        let seconds = |text: &str| retry_after(text, &flinks_core::SystemClock).map(|wait| wait.as_secs());
        assert_eq!((seconds("5"), seconds(" 0 "), seconds("99999999999999999999")), (Some(5), Some(0), Some(u64::MAX)));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0));
        for text in ["", "-1", "1.5", "soon", "5s", "+5"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        let later = std::time::SystemTime::now().checked_add(Duration::from_secs(3600)).unwrap();
        assert!(seconds(&httpdate::fmt_http_date(later)).unwrap() >= 3590);
    }
}
