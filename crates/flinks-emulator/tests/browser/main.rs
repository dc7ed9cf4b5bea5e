//! The paths of a person through the emulator's pages, in a real browser.
//!
//! These tests need Chromium and ChromeDriver (Debian's `chromium` and `chromium-driver`). Without
//! them they are listed as ignored, with a message.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // helpers of tests are tests too
#![allow(clippy::print_stderr)]

mod connect;
mod consent;
mod driver;
mod parent;

use std::process::{Command, Stdio};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::driver::Browser;

fn main() {
    let is_there = ["chromium", "chromedriver"].iter().all(|program| {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    });
    if !is_there {
        eprintln!("no Chromium and ChromeDriver here: the test in a browser is not run");
    }
    let trial = |name: &str, test: fn() -> Result<(), Failed>| Trial::test(name, test).with_ignored_flag(!is_there);
    let trials = vec![
        trial("c5_a_person_connects_an_account_in_an_iframe", || in_browser(connect::a_person_connects_an_account)),
        trial("c5_back_and_reload_in_the_iframe_lose_and_repeat_nothing", || {
            in_browser(connect::back_and_reload_in_the_iframe)
        }),
        trial("c7_back_and_reload_of_the_banks_page_repeat_nothing", || {
            in_browser(connect::back_and_reload_of_the_banks_page)
        }),
        trial("o10_back_and_reload_of_the_consent_page_repeat_nothing", || {
            in_browser(consent::back_and_reload_of_the_consent_page)
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Runs a test in a browser, which ends with it.
fn in_browser<F: Future<Output = ()> + Send + 'static>(test: fn(Arc<Browser>) -> F) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let browser = Arc::new(Browser::start().await);
        // In a separate task, so that the browser ends even if the test panics.
        let outcome = tokio::spawn(test(Arc::clone(&browser))).await;
        browser.quit().await;
        outcome.map_err(Failed::from)
    })
}
