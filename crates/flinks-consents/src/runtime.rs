//! The tokio runtime that an operation needs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use flinks::Clock;
use tokio::runtime::Handle;

use crate::error::ConsentError;

/// Returns the runtime of the caller, or an error if there is none, or if the clock cannot sleep in it because its time driver is not
/// enabled.
pub(crate) fn current(clock: &dyn Clock) -> Result<Handle, ConsentError> {
    let runtime = Handle::try_current().map_err(|_| ConsentError::no_runtime())?;
    // tokio panics without its time driver, and has no other way to find out.
    if catch_unwind(AssertUnwindSafe(|| drop(clock.sleep(Duration::ZERO)))).is_err() {
        return Err(ConsentError::no_runtime());
    }
    Ok(runtime)
}
