//! Tests for the emulator's pages in a real browser.
//!
//! The tests need Chromium and ChromeDriver (the `chromium` and `chromium-driver` packages on
//! Debian). If either program is not installed, the test binary prints a message and reports the
//! tests as ignored.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // Helper functions of tests may panic too.
#![allow(clippy::print_stderr)]

mod connect;
mod consent;
#[allow(dead_code)] // The tests of `flinks-demo` use the same driver.
mod driver;
mod parent;
mod pay;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::driver::{in_browser, is_installed};

fn main() {
    let is_installed = is_installed();
    let trial = |name: &str, test: fn() -> Result<(), Failed>| Trial::test(name, test).with_ignored_flag(!is_installed);
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
        trial("p8_back_and_reload_of_the_payment_page_repeat_nothing", || {
            in_browser(pay::back_and_reload_of_the_payment_page)
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
