//! Executes calls: makes the attempts, waits between them, enforces the deadline and logs messages
//! (A5).

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use flinks_core::runtime::{can_sleep, lacks_driver};
use flinks_core::{Clock, TransportErrorKind};
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use crate::error::{Error, Kind, RetryClass};
use crate::operation::Operation;
use crate::running_call::{RunningCall, Server, Success};

/// The policy that determines the maximum number of attempts at an operation for each class of
/// failure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryPolicy {
    /// The operation requests a new token. A lost response costs one unused token.
    AsNeeded,
    /// The operation uses a refresh token.
    Refresh,
    /// The operation uses a refresh token, and every response contains a new refresh token. If a
    /// response is lost, the new token is lost with it, and another attempt with the old token
    /// would be refused.
    RotatingRefresh,
    /// The operation exchanges an authorization code. The exchange is retried only if it is
    /// certain that the server received nothing (O9).
    Code,
    /// The operation spends a token. If the token was not sent, it is returned to the caller.
    Never,
}

impl RetryPolicy {
    /// Returns the maximum number of attempts for a failure of this class, including the first
    /// attempt.
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

/// Executes calls. The deadline for a call covers all of its attempts.
#[derive(Clone)]
pub(crate) struct CallExecutor {
    pub(crate) server: Server,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether the clock may advance at a different rate from the transport's timers.
    pub(crate) has_custom_clock: bool,
    /// The timeout for a whole call, including waits. If no timeout is set, each operation uses its
    /// own default.
    pub(crate) timeout: Option<Duration>,
    /// The timeout for establishing a connection.
    pub(crate) connect_timeout: Duration,
    pub(crate) max_attempts: u32,
}

/// The longest `Retry-After` delay that a call honours. If the server requests a longer delay, the
/// error is returned to the caller.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);
/// The maximum duration of the first wait. The maximum doubles with each subsequent wait, up to
/// `LONGEST_WAIT`.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The maximum duration of any wait.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

impl CallExecutor {
    pub(crate) fn with_timeout(&self, timeout: Duration) -> Self {
        let timeout = timeout.max(Duration::from_millis(1));
        let connect_timeout = self.connect_timeout.min(timeout.mul_f64(0.5));
        Self { timeout: Some(timeout), connect_timeout, ..self.clone() }
    }

    /// Calls `attempt` until it succeeds, until it fails in a way that must not be retried, or
    /// until the maximum number of attempts or the timeout is reached.
    pub(crate) async fn call<T, F>(
        &self,
        operation: Operation,
        policy: RetryPolicy,
        default_timeout: Duration,
        attempt: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Success<T>, Error>>,
    {
        let call = RunningCall::start(operation, &self.server);
        if !self.can_sleep() {
            return call.finish(Err(Error::new(operation, Kind::NoRuntime)));
        }
        let timeout = self.timeout.unwrap_or(default_timeout);
        let outcome = {
            // Pinned in place, because the future is large and each adapter would move it.
            let attempts = pin!(self.attempts(operation, policy, timeout, &call, attempt));
            AssertUnwindSafe(attempts.instrument(call.span().clone())).catch_unwind().await
        };
        call.finish(outcome.unwrap_or_else(|_| {
            Err(Error::new(operation, if lacks_driver() { Kind::NoRuntime } else { Kind::Abandoned }))
        }))
    }

    /// Returns whether the current thread is in a Tokio runtime in which a call can wait.
    ///
    /// With a custom clock, this check tries to sleep. With the system clock, this is unnecessary:
    /// if the runtime has no time driver, the transport's timer panics before anything is sent.
    fn can_sleep(&self) -> bool {
        if self.has_custom_clock {
            can_sleep(self.clock.as_ref())
        } else {
            tokio::runtime::Handle::try_current().is_ok()
        }
    }

    async fn attempts<T, F>(
        &self,
        operation: Operation,
        policy: RetryPolicy,
        timeout: Duration,
        call: &RunningCall,
        mut run_attempt: impl FnMut() -> F,
    ) -> Result<Success<T>, Error>
    where
        F: Future<Output = Result<Success<T>, Error>>,
    {
        let clock = &self.clock;
        let deadline = clock.monotonic().saturating_add(timeout);
        let remaining = || deadline.saturating_sub(clock.monotonic());
        let mut waits = ExponentialBuilder::new()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(usize::MAX)
            .build();
        let mut attempt = 0_u32;
        let mut may_have_been_sent = false;
        loop {
            attempt = attempt.saturating_add(1);
            // Measures real time, because the call's clock may be coarse or, in a test, might not
            // advance.
            let started = Instant::now();
            let running = pin!(run_attempt());
            // The transport's timer limits every attempt to the call's timeout. For the first
            // attempt, a second timer is necessary only if the call uses a different clock.
            let outcome = if attempt == 1 && !self.has_custom_clock {
                running.await
            } else {
                tokio::select! {
                    biased;
                    outcome = running => outcome,
                    () = clock.sleep(remaining()) => Err(Error::new(operation, Kind::Interrupted(TransportErrorKind::Timeout))),
                }
            };
            let took_microseconds = started.elapsed().as_micros();
            let error = match outcome {
                Ok(value) => {
                    tracing::debug!(attempt, took_microseconds, "attempt succeeded");
                    return Ok(value);
                }
                Err(error) => error.after_attempts(attempt, may_have_been_sent),
            };
            may_have_been_sent |= error.may_have_been_sent();
            let requested_wait = error.retry_after_header().and_then(|text| retry_after(text, clock.as_ref()));
            let error = error.with_retry_after(requested_wait);
            tracing::debug!(attempt, took_microseconds, status = error.status(), %error, "attempt failed");

            let max_attempts = policy.max_attempts(error.retry_class()).min(self.max_attempts);
            if attempt >= max_attempts || requested_wait.is_some_and(|wait| wait > MAX_RETRY_AFTER) {
                return Err(error);
            }
            // Full jitter: a random fraction of the wait, so that callers that failed together do
            // not retry together. The wait is never shorter than the wait that the server
            // requested.
            let jittered = waits.next().unwrap_or(LONGEST_WAIT).mul_f64(fastrand::f64());
            let wait = jittered.max(requested_wait.unwrap_or_default());
            // Do not start an attempt if less time remains than connecting may take. Otherwise, the
            // deadline could interrupt the attempt, and the error would no longer show that nothing
            // was sent.
            let needed = if error.retry_class() == RetryClass::NotSent { self.connect_timeout } else { Duration::ZERO };
            if wait.saturating_add(needed) >= remaining() {
                return Err(error);
            }
            tracing::warn!(attempt, wait_milliseconds = wait.as_millis(), %error, "retrying");
            clock.sleep(wait).await;
            call.count_retry();
        }
    }
}

/// Returns how long to pause after the given number of consecutive failures.
///
/// The pause is one second after the first failure and doubles with each subsequent failure, up to
/// one minute. A random amount, up to half of the pause, is subtracted so that processes that
/// failed together do not retry together. A longer pause requested by the server (`retry_after`)
/// takes precedence, up to five minutes.
pub fn backoff(failures: u32, retry_after: Option<Duration>) -> Duration {
    const FIRST: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(60);
    // This limit is shorter than the lifetime of most tokens, so an excessive `Retry-After` cannot
    // delay a refresh until the token has expired.
    const MAX_REQUESTED: Duration = Duration::from_secs(300);
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(MAX);
    let jittered = doubled.mul_f64(0.5 + fastrand::f64() / 2.0);
    jittered.max(retry_after.unwrap_or_default().min(MAX_REQUESTED))
}

/// Parses `Retry-After`: a number of seconds, or an HTTP date (RFC 9110, section 10.2.3). Returns
/// `None` if the header is in neither format.
pub(crate) fn retry_after(text: &str, clock: &dyn Clock) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit in a `u64` exceeds every limit.
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

    /// Runs a call whose attempts fail with `errors` in turn, and returns the error from the call.
    /// Each attempt takes `each_takes`.
    async fn call(errors: impl IntoIterator<Item = Error>, each_takes: Duration) -> Error {
        /// A clock on which a short sleep advances the time and completes immediately, and a long
        /// sleep never completes.
        struct AutoAdvanceClock(crate::ManualClock);
        impl Clock for AutoAdvanceClock {
            fn monotonic(&self) -> Duration {
                self.0.monotonic()
            }
            fn wall(&self) -> std::time::SystemTime {
                self.0.wall()
            }
            fn sleep(&self, duration: Duration) -> crate::Sleep {
                let clock = self.0.clone();
                Box::pin(async move {
                    if duration > LONGEST_WAIT {
                        std::future::pending::<()>().await;
                    }
                    clock.advance(duration);
                })
            }
        }
        let clock = crate::ManualClock::new();
        let base_url = "http://127.0.0.1:9".parse().unwrap();
        let executor = Settings::new().clock(AutoAdvanceClock(clock.clone())).executor(&base_url);
        let mut errors = errors.into_iter();
        let attempt = || {
            clock.advance(each_takes);
            std::future::ready(Err::<Success<()>, _>(errors.next().unwrap()))
        };
        executor.call(OPERATION, RetryPolicy::AsNeeded, Duration::from_secs(30), attempt).await.unwrap_err()
    }

    #[tokio::test]
    async fn a5_error_remembers_that_an_earlier_attempt_may_have_been_sent() {
        let lost = || Error::new(OPERATION, Kind::Interrupted(TransportErrorKind::Timeout));
        let not_sent = || Error::new(OPERATION, Kind::NotSent(TransportErrorKind::Connect));
        let error = call([lost(), not_sent(), not_sent()], Duration::ZERO).await;
        assert!(error.may_have_been_sent());
        assert_eq!(error.attempts(), 3);
        let error = call([not_sent(), not_sent(), not_sent()], Duration::ZERO).await;
        assert!(!error.may_have_been_sent());
    }

    #[tokio::test]
    async fn a5_no_attempt_starts_that_could_not_connect_in_time() {
        // Of the 30 seconds, 8 remain, but connecting may take 10.
        let error = call(
            [
                Error::new(OPERATION, Kind::NotSent(TransportErrorKind::Connect)),
                Error::new(OPERATION, Kind::NotSent(TransportErrorKind::Connect)),
            ],
            Duration::from_secs(22),
        )
        .await;
        assert!(!error.may_have_been_sent());
        assert_eq!(error.attempts(), 1);
        // This limit applies only if no connection could be made. This request was sent, and the
        // waits are short.
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
        fn backoff_doubles_up_to_a_minute(failures in 1_u32..) {
            let pause = backoff(failures, None);
            let longest = Duration::from_secs(if failures > 6 { 60 } else { 1 << (failures - 1) });
            proptest::prop_assert!(pause <= longest);
            proptest::prop_assert!(pause >= longest / 2);
        }
    }

    #[test]
    fn backoff_honours_a_requested_pause_up_to_five_minutes() {
        let seconds = |seconds| backoff(1, Some(Duration::from_secs(seconds)));
        assert_eq!(seconds(0).max(Duration::from_secs(1)), Duration::from_secs(1));
        assert_eq!(seconds(120), Duration::from_secs(120));
        assert_eq!(seconds(9999), Duration::from_secs(300));
    }

    #[test]
    fn retry_after_is_parsed_as_seconds_or_as_a_date() {
        let seconds = |text: &str| retry_after(text, &flinks_core::SystemClock).map(|wait| wait.as_secs());
        assert_eq!(seconds("5"), Some(5));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("99999999999999999999"), Some(u64::MAX));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0));
        for text in ["", "-1", "1.5", "soon", "5s", "+5"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        let later = std::time::SystemTime::now().checked_add(Duration::from_secs(3600)).unwrap();
        assert!(seconds(&httpdate::fmt_http_date(later)).unwrap() >= 3590);
    }
}
