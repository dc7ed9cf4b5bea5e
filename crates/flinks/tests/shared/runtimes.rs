//! Runtimes that lack a driver, and the error of a call in such a runtime.

use flinks::Error;
use tokio::runtime::{Builder, Runtime};

pub(crate) const MESSAGE: &str = "no Tokio runtime with time and I/O drivers is running";

/// A runtime with all drivers.
pub(crate) fn full() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[allow(dead_code)] // the errors of consents are another type
pub(crate) fn check(error: &Error, given: &str) {
    assert!(error.to_string().ends_with(MESSAGE), "{given}: {error}");
    assert!(!error.may_have_been_sent(), "{given}");
    assert!(!error.is_transient(), "{given}");
    assert_eq!(error.advice(), flinks::Advice::FixConfiguration, "{given}");
}

/// Makes a call without a runtime, and in each kind of runtime that lacks a driver.
pub(crate) fn in_each<T, E>(call: impl AsyncFn() -> Result<T, E>, check: impl Fn(&E, &str), given: &str) {
    let without_timer = Builder::new_current_thread().enable_io().build().unwrap();
    let without_io = Builder::new_current_thread().enable_time().build().unwrap();
    let bare = Builder::new_current_thread().build().unwrap();
    for (runtime, which) in [(&without_timer, "no timer"), (&without_io, "no I/O"), (&bare, "neither")] {
        let Err(error) = runtime.block_on(call()) else { panic!("{given}, {which}: the call succeeded") };
        check(&error, &format!("{given}, {which}"));
    }
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = std::pin::pin!(call()).poll(&mut context) else { panic!("{given}") };
    check(&error, &format!("{given}, no runtime"));
}
