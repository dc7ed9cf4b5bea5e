//! Tests the application in a real browser, on wide and narrow screens, in light and dark mode,
//! with the mouse and with the keyboard.
//!
//! The tests need Chromium and ChromeDriver (the packages `chromium` and `chromium-driver` on
//! Debian). If these programs are not installed, the tests print a message and are reported as
//! ignored.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // Helper functions of tests may panic too.
#![allow(clippy::print_stderr)]
#![allow(dead_code)] // The driver has functions for other tests.

#[path = "../../../flinks-emulator/tests/browser/driver.rs"]
mod driver;
mod journey;

use std::process::{Command, Stdio};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::driver::Browser;
use crate::journey::{Input, Screen, journey};

fn main() {
    let is_installed = ["chromium", "chromedriver"].iter().all(|program| {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    });
    if !is_installed {
        eprintln!("Chromium or ChromeDriver is not installed: the browser tests are ignored");
    }
    let trial = |name: &str, screen: Screen, input: Input| {
        Trial::test(name, move || in_browser(screen, input)).with_ignored_flag(!is_installed)
    };
    let trials = vec![
        trial("a_person_uses_the_mouse_on_a_wide_screen", Screen { width: 1280, is_dark: false }, Input::Mouse),
        trial("a_person_uses_the_keyboard_on_a_wide_screen", Screen { width: 1280, is_dark: true }, Input::Keyboard),
        trial("a_person_uses_the_mouse_on_a_phone", Screen { width: 390, is_dark: true }, Input::Mouse),
        trial("a_person_uses_the_keyboard_on_a_phone", Screen { width: 390, is_dark: false }, Input::Keyboard),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Runs the journey in a browser that is started for this purpose and closed afterwards.
fn in_browser(screen: Screen, input: Input) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let browser = Arc::new(Browser::start().await);
        // The journey runs in a separate task, so that the browser is closed even if it panics.
        let outcome = tokio::spawn(journey(Arc::clone(&browser), screen, input)).await;
        browser.quit().await;
        outcome.map_err(Failed::from)
    })
}
