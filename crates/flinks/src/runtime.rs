//! The tokio runtime that a call needs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use flinks_core::Clock;
use tokio::runtime::Handle;

use crate::error::Error;
use crate::operation::Operation;

/// Returns an error if there is no runtime, or if the clock cannot sleep in it because its timer is not enabled.
pub(crate) fn require_runtime(operation: Operation, clock: &dyn Clock) -> Result<(), Error> {
    if Handle::try_current().is_err() || !can_sleep(clock) {
        return Err(Error::no_runtime(operation));
    }
    Ok(())
}

/// Whether a clock can sleep in the current runtime. tokio panics if the timer is not enabled, and has no other way to find out.
pub(crate) fn can_sleep(clock: &dyn Clock) -> bool {
    catch_unwind(AssertUnwindSafe(|| drop(clock.sleep(Duration::ZERO)))).is_ok()
}

/// Whether the current runtime lacks a driver that a request needs. Call this only after something has panicked: the check opens a
/// socket, and causes another panic if a driver is missing.
pub(crate) fn lacks_driver() -> bool {
    let sleeps = catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok();
    !sleeps || lacks_io()
}

fn lacks_io() -> bool {
    let Ok(socket) = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)) else { return false };
    if socket.set_nonblocking(true).is_err() {
        return false;
    }
    catch_unwind(AssertUnwindSafe(|| tokio::net::UdpSocket::from_std(socket))).is_err()
}
