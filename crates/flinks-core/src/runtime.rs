//! The tokio runtime that a call needs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::clock::Clock;

/// Returns whether there is a runtime in which a clock can sleep. tokio panics if its timer is not enabled, and has no other way to
/// find out.
pub fn can_sleep(clock: &dyn Clock) -> bool {
    Handle::try_current().is_ok() && catch_unwind(AssertUnwindSafe(|| drop(clock.sleep(Duration::ZERO)))).is_ok()
}

/// Returns whether the current runtime lacks a driver that a request needs. Call this only after something has panicked: the check opens a
/// socket, and causes another panic if a driver is missing.
pub fn lacks_driver() -> bool {
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
