//! Tests for the emulator's pages in a real browser.
//!
//! The tests need Chromium and ChromeDriver (the `chromium` and `chromium-driver` packages on
//! Debian). If either program is not installed, the test binary prints a message and reports the
//! tests as ignored. The accessibility tests also need axe-core: set `AXE_CORE` to the path of its
//! script.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // Test helpers may panic too.
#![allow(clippy::print_stderr)]

mod axe;
mod connect;
mod consent;
mod dashboard;
#[allow(dead_code)] // The tests of `flinks-demo` use the same driver.
mod driver;
mod pages;
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
        trial("c5_cancel_reaches_the_parent_page_and_starting_over_connects", || {
            in_browser(pages::cancel_and_start_over)
        }),
        trial("c5_two_tabs_and_a_double_click_repeat_nothing", || in_browser(pages::two_tabs_and_a_double_click)),
        trial("o10_two_tabs_and_a_double_click_repeat_nothing", || in_browser(pages::consent_in_two_tabs)),
        trial("the_pages_fit_each_screen_and_their_targets_are_large", || in_browser(pages::sizes)),
        trial("the_focus_ring_appears_only_for_the_keyboard", || in_browser(pages::focus_ring)),
        trial("the_texts_have_enough_contrast", || in_browser(pages::contrast)),
        trial("the_pages_follow_the_rules_of_axe", || in_browser(axe::pages)).with_ignored_flag(!axe::is_installed()),
        trial("the_dashboard_follows_the_rules_of_axe", || in_browser(axe::dashboard))
            .with_ignored_flag(!axe::is_installed()),
        trial("o10_back_and_reload_of_the_consent_page_repeat_nothing", || {
            in_browser(consent::back_and_reload_of_the_consent_page)
        }),
        trial("the_dashboard_follows_all_products_and_its_buttons_work", || in_browser(dashboard::all_products)),
        trial("a_person_acts_as_the_end_user_on_the_dashboard", || in_browser(dashboard::end_user)),
        trial("two_tabs_of_the_dashboard_show_the_same_and_repeat_nothing", || in_browser(dashboard::two_tabs)),
        trial("the_dashboard_shows_hostile_values_as_text", || in_browser(dashboard::hostile_values)),
        trial("the_dashboard_works_with_the_keyboard_and_fits_a_phone", || in_browser(dashboard::keyboard_and_phone)),
        trial("a_browser_signs_in_to_the_dashboard_with_the_token", || in_browser(dashboard::sign_in)),
        trial("p8_back_and_reload_of_the_payment_page_repeat_nothing", || {
            in_browser(pay::back_and_reload_of_the_payment_page)
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
