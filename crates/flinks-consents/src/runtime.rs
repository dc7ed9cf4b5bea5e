//! The caller's Tokio runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use flinks::Clock;
use tokio::runtime::{Handle, Id};

use crate::error::ConsentError;

/// Returns the caller's runtime. Returns an error if the caller is not running in a Tokio runtime,
/// or if the clock cannot sleep because the runtime's time driver is disabled.
pub(crate) fn current(clock: &dyn Clock) -> Result<Handle, ConsentError> {
    let runtime = Handle::try_current().map_err(|_| ConsentError::no_runtime())?;
    // Tokio panics if the time driver is disabled and offers no other way to detect this.
    if catch_unwind(AssertUnwindSafe(|| drop(clock.sleep(Duration::ZERO)))).is_err() {
        return Err(ConsentError::no_runtime());
    }
    Ok(runtime)
}

/// Returns whether the caller is running in a runtime other than `runtime` and can wait there.
pub(crate) fn is_other(runtime: Option<Id>, clock: &dyn Clock) -> bool {
    let is_same = Handle::try_current().is_ok_and(|current| Some(current.id()) == runtime);
    !is_same && current(clock).is_ok()
}
