//! A headless Chromium that the tests control through ChromeDriver.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Failed;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// The Enter key in WebDriver's encoding.
pub(crate) const ENTER: &str = "\u{e007}";
/// The Tab key in WebDriver's encoding.
pub(crate) const TAB: &str = "\u{e004}";

/// A headless Chromium, controlled through ChromeDriver's HTTP interface (W3C WebDriver).
pub(crate) struct Browser {
    pub(crate) http: Client,
    session: String,
    driver: Child,
    _profile: tempfile::TempDir,
}

/// Returns whether Chromium and ChromeDriver are installed. If either program is missing, prints
/// that the tests are ignored.
pub(crate) fn is_installed() -> bool {
    let is_installed = ["chromium", "chromedriver"].iter().all(|program| {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    });
    if !is_installed {
        eprintln!("Chromium or ChromeDriver is not installed: the browser tests are ignored");
    }
    is_installed
}

/// Starts a browser, runs a test in it and closes the browser.
pub(crate) fn in_browser<F>(test: impl FnOnce(Arc<Browser>) -> F) -> Result<(), Failed>
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let browser = Arc::new(Browser::start().await);
        // The test runs in a separate task so that the browser is closed even if the test panics.
        let outcome = tokio::spawn(test(Arc::clone(&browser))).await;
        browser.quit().await;
        outcome.map_err(Failed::from)
    })
}

/// Starts ChromeDriver and returns it with its port. Returns `None` if ChromeDriver stops, which
/// can happen because it listens on two addresses and another process may already use the port of
/// the second address.
fn start_driver() -> Option<(Child, String)> {
    let mut command = Command::new("chromedriver");
    let mut driver = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| {
        let line = line.unwrap();
        let (_, port) = line.split_once("started successfully on port ")?;
        Some(port.trim_end_matches('.').to_owned())
    });
    // Discard later output, because a full pipe would block ChromeDriver.
    std::thread::spawn(move || lines.for_each(drop));
    if port.is_none() {
        driver.wait().unwrap();
    }
    Some((driver, port?))
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().build().unwrap();
        let profile = tempfile::tempdir().unwrap();
        let (driver, port) = (0..5).find_map(|_| start_driver()).unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let mut browser = Self { http, session: url, driver, _profile: profile };
        let session = browser.call(Method::POST, "/session", capabilities).await;
        browser.session = format!("{}/session/{}", browser.session, session["sessionId"].as_str().unwrap());
        browser
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        self.try_call(method, path, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    async fn try_call(&self, method: Method, path: &str, body: Value) -> Result<Value, Value> {
        let request = self.http.request(method, format!("{}{path}", self.session)).json(&body);
        let response = request.send().await.unwrap();
        let is_success = response.status().is_success();
        let value = response.json::<Value>().await.unwrap()["value"].take();
        if is_success { Ok(value) } else { Err(value) }
    }

    pub(crate) async fn open(&self, url: &str) {
        self.call(Method::POST, "/url", json!({"url": url})).await;
    }

    pub(crate) async fn back(&self) {
        self.call(Method::POST, "/back", json!({})).await;
    }

    pub(crate) async fn refresh(&self) {
        self.call(Method::POST, "/refresh", json!({})).await;
    }

    /// Runs a script that loads another document into the frame, and then waits until that document
    /// has loaded.
    pub(crate) async fn in_frame(&self, script: &str) {
        self.script(&format!("window.isLeft = true; {script}")).await;
        self.wait_until("return !window.isLeft && document.readyState === 'complete'").await;
    }

    pub(crate) async fn script(&self, script: &str) -> Value {
        self.call(Method::POST, "/execute/sync", json!({"script": script, "args": []})).await
    }

    /// Runs a script repeatedly until it returns `true`. Panics after 30 seconds. A script may fail
    /// while the browser loads the next page, so the function also retries after an error.
    pub(crate) async fn wait_until(&self, script: &str) {
        let started = Instant::now();
        loop {
            let outcome = self.try_call(Method::POST, "/execute/sync", json!({"script": script, "args": []})).await;
            if outcome == Ok(Value::Bool(true)) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "{script}: {outcome:?}");
        }
    }

    pub(crate) async fn wait_for(&self, selector: &str) {
        self.wait_until(&format!("return document.querySelector({selector:?}) !== null")).await;
    }

    async fn element(&self, selector: &str) -> String {
        self.wait_for(selector).await;
        let found = self.call(Method::POST, "/element", json!({"using": "css selector", "value": selector})).await;
        let (_, id) = found.as_object().unwrap().iter().next().unwrap();
        format!("/element/{}", id.as_str().unwrap())
    }

    /// Clicks an element. If the page replaces the element between the search and the click, the
    /// function searches again.
    pub(crate) async fn click(&self, selector: &str) {
        loop {
            let element = self.element(selector).await;
            match self.try_call(Method::POST, &format!("{element}/click"), json!({})).await {
                Err(error) if error["error"] == "stale element reference" => {}
                outcome => break assert!(outcome.is_ok(), "{selector}: {outcome:?}"),
            }
        }
    }

    /// Clicks twice in a row, as an impatient person does.
    pub(crate) async fn double_click(&self, selector: &str) {
        self.wait_for(selector).await;
        let found = self.call(Method::POST, "/element", json!({"using": "css selector", "value": selector})).await;
        let click = ["pointerDown", "pointerUp"].map(|kind| json!({"type": kind, "button": 0}));
        let to_element = json!({"type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": found});
        let actions: Vec<Value> = std::iter::once(to_element).chain(click.clone()).chain(click).collect();
        let mouse =
            json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions});
        self.call(Method::POST, "/actions", json!({"actions": [mouse]})).await;
    }

    /// Opens another tab, switches to it and returns the handles of the old and the new tab.
    pub(crate) async fn new_tab(&self) -> [String; 2] {
        let old = self.call(Method::GET, "/window", json!({})).await.as_str().unwrap().to_owned();
        let new = self.call(Method::POST, "/window/new", json!({"type": "tab"})).await;
        let new = new["handle"].as_str().unwrap().to_owned();
        self.switch_to(&new).await;
        [old, new]
    }

    pub(crate) async fn switch_to(&self, tab: &str) {
        self.call(Method::POST, "/window", json!({"handle": tab})).await;
    }

    /// Sends key presses to the focused element.
    pub(crate) async fn press(&self, texts: &[&str]) {
        let keys = texts.concat();
        let actions = keys.chars().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})));
        let actions: Vec<Value> = actions.collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.call(Method::POST, "/actions", json!({"actions": [keyboard]})).await;
    }

    /// Replaces the text in a field.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.call(Method::POST, &format!("{element}/clear"), json!({})).await;
        self.call(Method::POST, &format!("{element}/value"), json!({"text": text})).await;
    }

    pub(crate) async fn text(&self, selector: &str) -> String {
        self.wait_for(selector).await;
        let text = self.script(&format!("return document.querySelector({selector:?}).innerText")).await;
        text.as_str().unwrap().to_owned()
    }

    pub(crate) async fn frame(&self, selector: &str) {
        let found = self.call(Method::POST, "/element", json!({"using": "css selector", "value": selector})).await;
        self.call(Method::POST, "/frame", json!({"id": found})).await;
    }

    pub(crate) async fn parent(&self) {
        self.call(Method::POST, "/frame", json!({"id": null})).await;
    }

    /// Closes Chromium. ChromeDriver keeps running until the `Browser` is dropped.
    pub(crate) async fn quit(&self) {
        self.call(Method::DELETE, "", json!({})).await;
    }

    /// Asserts that the parent page has received no event from the page in the frame. Once the page
    /// has loaded and its scripts have run, this function sends a message from the frame. That
    /// message must be the first message that the parent page receives.
    pub(crate) async fn assert_parent_received_no_event(&self) {
        self.wait_until("return document.readyState === 'complete'").await;
        self.script("parent.postMessage('end of test', '*')").await;
        self.parent().await;
        self.wait_until("return events.length > 0").await;
        assert_eq!(self.script("return events.map((event) => event.data)").await, json!(["end of test"]));
    }

    /// Goes back from the return URL, reloads the page and asserts that the last page of the visit
    /// links to the same return URL.
    pub(crate) async fn assert_back_links_to(&self, return_url: &Value) {
        self.back().await;
        self.wait_for("#continue").await;
        self.refresh().await;
        self.click("#continue").await;
        self.wait_until("return location.pathname === '/done'").await;
        assert_eq!(self.script("return location.href").await, *return_url);
    }

    /// Shows pages as they appear on a screen of this width, in light or dark colours.
    pub(crate) async fn emulate(&self, width: u32, is_dark: bool) {
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        let scheme = json!({"name": "prefers-color-scheme", "value": if is_dark { "dark" } else { "light" }});
        for (command, parameters) in [
            ("Emulation.setDeviceMetricsOverride", metrics),
            ("Emulation.setEmulatedMedia", json!({"features": [scheme]})),
        ] {
            self.call(Method::POST, "/goog/cdp/execute", json!({"cmd": command, "params": parameters})).await;
        }
    }

    /// Returns a PNG of the visible part of the page.
    pub(crate) async fn screenshot(&self) -> Vec<u8> {
        let image = self.call(Method::GET, "/screenshot", json!({})).await;
        STANDARD.decode(image.as_str().unwrap()).unwrap()
    }

    pub(crate) async fn resize(&self, width: u32, height: u32) {
        self.call(Method::POST, "/window/rect", json!({"width": width, "height": height})).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
