//! Checks whether a call has the Tokio runtime and the drivers that it needs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::clock::Clock;

/// Returns whether the current thread is in a Tokio runtime in which `clock` can sleep.
///
/// This function catches the panic that occurs if the runtime's time driver is disabled. Tokio
/// offers no other way to detect this.
pub fn can_sleep(clock: &dyn Clock) -> bool {
    Handle::try_current().is_ok() && catch_unwind(AssertUnwindSafe(|| drop(clock.sleep(Duration::ZERO)))).is_ok()
}

/// Returns whether the current runtime lacks the time driver or the I/O driver. A request needs
/// both drivers.
///
/// Call this function only after a panic, because the check opens a socket and panics internally if
/// a driver is missing.
pub fn lacks_driver() -> bool {
    let has_timer = catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok();
    !has_timer || lacks_io_driver()
}

fn lacks_io_driver() -> bool {
    let Ok(socket) = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)) else { return false };
    if socket.set_nonblocking(true).is_err() {
        return false;
    }
    catch_unwind(AssertUnwindSafe(|| tokio::net::UdpSocket::from_std(socket))).is_err()
}
