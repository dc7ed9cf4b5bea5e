//! The last net around the generator: a panic becomes an error.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::{Error, Result};

/// The advice for a document that progenitor refuses or panics at.
pub(super) const GAP: &str =
    "this is a gap in the lint: describe what stands here in a plainer way by an overlay action, and teach the lint";

/// Runs a part of the generator and turns a panic into an error.
///
/// # Errors
///
/// Returns an error if `run` fails or panics.
pub(super) fn catch_panic<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    quietly(run)
        .unwrap_or_else(|panic| Err(Error::new(format!("the generator panicked: {}", message(&*panic))).help(GAP)))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("without a message")
}

thread_local! {
    static QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Catches a panic without the text that it would print. Panics of other threads are printed as ever.
fn quietly<T>(run: impl FnOnce() -> T) -> std::thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                print(info);
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
    fn a_panic_becomes_a_message() {
        let panic = quietly(|| panic!("no {}\nsecond line", 7)).unwrap_err();
        assert_eq!(message(&*panic), "no 7");
        assert_eq!(quietly(|| 7).unwrap(), 7);
    }
}
