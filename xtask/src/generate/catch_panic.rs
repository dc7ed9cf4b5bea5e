//! Converts a panic in the generator into an error.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::{Error, Result};

/// The help text for a document that makes progenitor fail or panic.
pub(super) const GAP: &str =
    "the lint does not detect this problem: simplify the schema with an overlay action, and extend the lint";

/// Runs part of the generator and converts a panic into an error.
///
/// # Errors
///
/// Returns an error if `run` fails or panics.
pub(super) fn catch_panic<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_quietly(run)
        .unwrap_or_else(|panic| Err(Error::new(format!("the generator panicked: {}", message(&*panic))).help(GAP)))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("no message")
}

thread_local! {
    /// Whether panic messages from this thread are suppressed.
    static QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Catches a panic and suppresses its message. Messages from panics on other threads are still
/// printed.
fn catch_quietly<T>(run: impl FnOnce() -> T) -> std::thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default_hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                default_hook(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_panic_is_its_message() {
        let panic = catch_quietly(|| panic!("no {}\nsecond line", 7)).unwrap_err();
        assert_eq!(message(&*panic), "no 7");
    }

    #[test]
    fn a_result_without_a_panic_is_returned() {
        assert_eq!(catch_quietly(|| 7).unwrap(), 7);
    }
}
