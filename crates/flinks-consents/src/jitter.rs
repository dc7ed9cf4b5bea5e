//! Random jitter for waits.

use std::time::Duration;

/// Returns a random duration between `whole / 2` and `whole`, so that several processes do not all
/// wait for exactly the same length of time.
pub(crate) fn jittered(whole: Duration) -> Duration {
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}
