//! Runtimes that lack a driver, and the error that a call on such a runtime returns.

use flinks::Error;
use tokio::runtime::{Builder, Runtime};

pub(crate) const MESSAGE: &str = "not running in a Tokio runtime with time and I/O drivers";

/// Creates a runtime with all drivers.
pub(crate) fn full() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Asserts that a call failed because it had no runtime or its runtime lacks a driver.
#[allow(dead_code)] // the errors of consents have another type
pub(crate) fn check(error: &Error, call_name: &str) {
    assert!(error.to_string().ends_with(MESSAGE), "{call_name}: {error}");
    assert!(!error.may_have_been_sent(), "{call_name}");
    assert!(!error.is_transient(), "{call_name}");
    assert_eq!(error.advice(), flinks::Advice::FixConfiguration, "{call_name}");
}

/// Makes a call without a runtime and on each kind of runtime that lacks a driver.
pub(crate) fn in_each<T, E>(call: impl AsyncFn() -> Result<T, E>, check: impl Fn(&E, &str), call_name: &str) {
    let without_timer = Builder::new_current_thread().enable_io().build().unwrap();
    let without_io = Builder::new_current_thread().enable_time().build().unwrap();
    let bare = Builder::new_current_thread().build().unwrap();
    for (runtime, which) in [(&without_timer, "no timer"), (&without_io, "no I/O"), (&bare, "no drivers")] {
        let Err(error) = runtime.block_on(call()) else { panic!("{call_name}, {which}: the call succeeded") };
        check(&error, &format!("{call_name}, {which}"));
    }
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = std::pin::pin!(call()).poll(&mut context) else { panic!("{call_name}") };
    check(&error, &format!("{call_name}, no runtime"));
}
