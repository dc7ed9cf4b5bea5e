//! The journey of a person who pays, connects a bank, consents, reads accounts, advances the clock
//! and revokes the consent.

use std::sync::Arc;

use flinks_consents::MemoryStore;
use flinks_demo::{App, Emulated, router, serve};
use flinks_emulator::credentials::{BANK_PASSWORD, BANK_USER_NO_MFA};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;

use crate::driver::{Browser, ENTER, TAB};

#[derive(Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) width: u32,
    pub(crate) is_dark: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Mouse,
    Keyboard,
}

/// A person who uses a browser.
struct Person {
    browser: Arc<Browser>,
    input: Input,
    screen: Screen,
}

impl Person {
    /// Activates an element by clicking it, or by pressing Tab until it has focus and then pressing
    /// Enter.
    async fn activate(&self, selector: &str) {
        self.browser.wait_for(selector).await;
        if self.input == Input::Mouse {
            return self.browser.click(selector).await;
        }
        self.focus(selector).await;
        self.browser.press(&[ENTER]).await;
    }

    /// Presses Tab until an element has focus, and checks that the focus is visible.
    async fn focus(&self, selector: &str) {
        let has_focus = format!("return document.activeElement.matches({selector:?})");
        for _ in 0..60 {
            if self.browser.script(&has_focus).await == true {
                let outline = "return getComputedStyle(document.activeElement).outlineStyle";
                assert_eq!(self.browser.script(outline).await, "solid", "{selector}");
                return;
            }
            self.browser.press(&[TAB]).await;
        }
        panic!("{selector} cannot be reached with the Tab key");
    }

    async fn enter(&self, selector: &str, text: &str) {
        self.browser.wait_for(selector).await;
        match self.input {
            Input::Mouse => self.browser.type_into(selector, text).await,
            Input::Keyboard => {
                self.focus_field(selector).await;
                self.browser.press(&[text]).await;
            }
        }
    }

    async fn focus_field(&self, selector: &str) {
        let has_focus = format!("return document.activeElement.matches({selector:?})");
        for _ in 0..20 {
            if self.browser.script(&has_focus).await == true {
                return;
            }
            self.browser.press(&[TAB]).await;
        }
        panic!("{selector} cannot be reached with the Tab key");
    }

    /// Waits for a page with this heading, checks its layout and accessibility, and saves a
    /// screenshot.
    async fn sees(&self, heading: &str) {
        self.browser.wait_until(&format!("return document.querySelector('h1')?.innerText === {heading:?}")).await;
        self.browser.wait_until("return document.readyState === 'complete'").await;
        let fits = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
        assert_eq!(self.browser.script(fits).await, true, "{heading} does not fit the screen");
        self.check_accessibility(heading).await;
        self.save_screenshot(heading).await;
    }

    /// Checks the page with axe-core if the `AXE_CORE` environment variable contains the path to
    /// `axe.min.js`.
    async fn check_accessibility(&self, heading: &str) {
        let Some(path) = std::env::var_os("AXE_CORE") else { return };
        let script = std::fs::read_to_string(path).unwrap();
        self.browser.script(&script).await;
        self.browser
            .script("window.found = null; axe.run().then((result) => { window.found = result.violations; })")
            .await;
        self.browser.wait_until("return window.found !== null").await;
        let found = "return window.found.map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.html).join(' ')}`)";
        assert_eq!(self.browser.script(found).await, serde_json::json!([]), "{heading}");
    }

    /// Saves a screenshot if the `SCREENSHOTS` environment variable contains the path to a
    /// directory.
    async fn save_screenshot(&self, heading: &str) {
        let Some(directory) = std::env::var_os("SCREENSHOTS") else { return };
        let name =
            format!("{heading} {} {}.png", self.screen.width, if self.screen.is_dark { "dark" } else { "light" });
        std::fs::write(std::path::Path::new(&directory).join(name), self.browser.screenshot().await).unwrap();
    }
}

const OVERVIEW: &str = "Your banks in one place";

pub(crate) async fn journey(browser: Arc<Browser>, screen: Screen, input: Input) {
    let emulated = Arc::new(Emulated::start().await.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = App::new(emulated.clients().unwrap(), MemoryStore::new(), url.clone());
    let app = Arc::new(app);
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let routes = router(Arc::clone(&app), Some(Arc::clone(&emulated)), metrics);
    let server = tokio::spawn(serve(listener, app, routes, std::future::pending()));
    let person = Person { browser, input, screen };
    person.browser.emulate(screen.width, screen.is_dark).await;
    person.browser.open(&url).await;
    person.sees(OVERVIEW).await;

    // Pay: the session token is spent.
    person.activate("a[href='/payments']").await;
    person.sees("Pay a bill").await;
    person.activate("form.fields button").await;
    person.sees("Your payment has started").await;
    person.activate("a.button").await;
    person.sees(OVERVIEW).await;
    assert!(person.browser.text("tr.spent").await.contains("session token"));

    // Connect: the widget in its iframe, and the landing in the whole window.
    person.activate("a[href='/banks/connect']").await;
    person.sees("Connect a bank").await;
    person.browser.frame("iframe").await;
    person.activate("button[name=institution]").await;
    person.browser.wait_for("#username").await;
    person.enter("#username", BANK_USER_NO_MFA).await;
    person.enter("#password", BANK_PASSWORD).await;
    person.activate("button").await;
    person.browser.parent().await;
    person.sees(OVERVIEW).await;
    assert_eq!(person.browser.text(".done").await, "Connected logins: 1");

    // Outbound: consent and accounts.
    person.activate("#consent").await;
    person.sees("Share your data?").await;
    person.activate("button[value=agree]").await;
    person.sees(OVERVIEW).await;
    assert!(person.browser.text(".consents").await.contains("active"));
    person.activate("a[href$='/accounts']").await;
    person.sees("Accounts at bank 1000").await;
    assert!(person.browser.text("table").await.contains("1234.56 CAD"));
    person.activate("main > a.button").await;
    person.sees(OVERVIEW).await;

    // After 30 minutes, the access token has expired. The next call refreshes it.
    let expired = "[...document.querySelectorAll('tr.expired')].some((row) => row.innerText.includes('access token'))";
    assert_eq!(person.browser.script(&format!("return {expired}")).await, false);
    person.activate("button[name=seconds][value='1800']").await;
    person.browser.wait_until(&format!("return {expired}")).await;
    person.sees(OVERVIEW).await;
    person.activate("a[href$='/accounts']").await;
    person.sees("Accounts at bank 1000").await;
    person.activate("main > a.button").await;
    person.sees(OVERVIEW).await;

    // After another 30 days, the refresh token has idled out, and the user must consent again.
    person.activate("button[name=seconds][value='2592000']").await;
    person.sees(OVERVIEW).await;
    person.browser.wait_until("return document.querySelector('.standing').innerText === 'ended'").await;
    person.activate("a[href$='/accounts']").await;
    person.sees("That did not work").await;
    person.activate("a.button").await;
    person.sees(OVERVIEW).await;
    person.activate("#consent").await;
    person.sees("Share your data?").await;
    person.activate("button[value=agree]").await;
    person.sees(OVERVIEW).await;

    // Revoking the consent ends the connection: its tokens are revoked.
    person.activate("form[action$='/revoke'] button").await;
    person.sees(OVERVIEW).await;
    person.browser.wait_until("return document.querySelector('.consents') === null").await;
    person.browser.wait_until("return document.querySelector('tr.revoked') !== null").await;
    server.abort();
}
