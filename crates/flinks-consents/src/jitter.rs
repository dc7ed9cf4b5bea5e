//! Random waits.

use std::time::Duration;

/// Returns a random duration between half of `whole` and `whole`: it stays a wait, and no two processes share it.
pub(crate) fn jittered(whole: Duration) -> Duration {
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}
