//! Tests the application in a real browser, on wide and narrow screens, in light and dark mode,
//! with the mouse and with the keyboard.
//!
//! The tests need Chromium and ChromeDriver (the packages `chromium` and `chromium-driver` on
//! Debian). If either program is not installed, the test binary prints a message and reports the
//! tests as ignored.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // Test helpers may panic too.
#![allow(clippy::print_stderr)]

#[allow(dead_code)] // The driver has functions for other tests.
#[path = "../../../flinks-emulator/tests/browser/driver.rs"]
mod driver;
mod journey;

use libtest_mimic::{Arguments, Trial};

use crate::driver::{in_browser, is_installed};
use crate::journey::{Input, Screen, journey};

fn main() {
    let is_installed = is_installed();
    let trial = |name: &str, screen: Screen, input: Input| {
        Trial::test(name, move || in_browser(|browser| journey(browser, screen, input)))
            .with_ignored_flag(!is_installed)
    };
    let trials = vec![
        trial("a_person_uses_the_mouse_on_a_wide_screen", Screen { width: 1280, is_dark: false }, Input::Mouse),
        trial("a_person_uses_the_keyboard_on_a_wide_screen", Screen { width: 1280, is_dark: true }, Input::Keyboard),
        trial("a_person_uses_the_mouse_on_a_phone", Screen { width: 390, is_dark: true }, Input::Mouse),
        trial("a_person_uses_the_keyboard_on_a_phone", Screen { width: 390, is_dark: false }, Input::Keyboard),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
