//! The tokio runtime of the caller.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use flinks::Clock;
use tokio::runtime::Handle;

use crate::error::ConsentError;

/// Returns the runtime of the caller. Returns an error if there is none, or if its time driver is
/// disabled so that the clock cannot sleep.
pub(crate) fn current(clock: &dyn Clock) -> Result<Handle, ConsentError> {
    let runtime = Handle::try_current().map_err(|_| ConsentError::no_runtime())?;
    // tokio panics without its time driver, and offers no other way to detect that.
    if catch_unwind(AssertUnwindSafe(|| drop(clock.sleep(Duration::ZERO)))).is_err() {
        return Err(ConsentError::no_runtime());
    }
    Ok(runtime)
}
