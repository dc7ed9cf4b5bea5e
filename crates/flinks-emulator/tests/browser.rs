//! A person's path through the page of Connect, in a real browser: a parent page, on another origin, embeds the iframe.
//!
//! It needs Chromium and ChromeDriver (Debian's `chromium` and `chromium-driver`). Where they are not, the test is listed
//! as ignored, and says why.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // helpers of tests are tests too
#![allow(clippy::print_stderr)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flinks_emulator::credentials::*;
use flinks_emulator::{Emulator, Kind, Operation};
use libtest_mimic::{Arguments, Failed, Trial};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

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
        trial("c5_a_person_connects_an_account_in_an_iframe", || in_browser(a_person_connects_an_account)),
        trial("c5_back_and_reload_in_the_iframe_lose_and_repeat_nothing", || in_browser(back_and_reload_in_the_iframe)),
        trial("c7_back_and_reload_of_the_banks_page_repeat_nothing", || in_browser(back_and_reload_of_the_banks_page)),
        trial("o10_back_and_reload_of_the_consent_page_repeat_nothing", || {
            in_browser(back_and_reload_of_the_consent_page)
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

async fn a_person_connects_an_account(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let parent = parent_page(emulator.base_url().to_owned()).await;

    let token = authorize_token(&browser.http, &emulator).await;
    browser.open(&format!("{parent}/?token={token}")).await;
    browser.frame("iframe").await;

    // With the keyboard only, as far as a mistake; then with the mouse.
    browser.wait_for("button").await;
    browser.press(&[TAB, ENTER]).await;
    browser.wait_for("#username").await;
    assert_eq!(browser.text("h1").await, "Log in at FlinksCapital");
    browser.press(&[TAB, BANK_USER_NO_MFA, TAB, "wrong", ENTER]).await;
    browser.wait_for("[role=alert]").await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", BANK_PASSWORD).await;
    browser.click("button").await;
    for answer in ["Montreal", "Canada"] {
        browser.wait_for("#answer").await;
        browser.type_into("#answer", &format!("{answer}{ENTER}")).await;
        // The next question is a new page with an empty field, or with choices.
        browser.wait_until("return !document.querySelector('#answer')?.value").await;
        browser.wait_until("return document.readyState === 'complete'").await;
    }
    browser.wait_for("input[value=Triangle]").await;
    browser.click("input[value=Triangle]").await;
    browser.click("button").await;

    // The iframe ends at redirectUrl, which is the parent's; the parent has heard each step.
    browser.wait_until("return location.pathname === '/done'").await;
    let landed = browser.script("return location.href").await;
    let landed = url::Url::parse(landed.as_str().unwrap()).unwrap();
    let parameters: Vec<(String, String)> = landed.query_pairs().into_owned().collect();
    assert_eq!((parameters[0].0.as_str(), parameters[1].1.as_str()), ("loginId", BANK));
    browser.parent().await;
    let events = browser.script("return events").await;
    let steps: Vec<&str> =
        events.as_array().unwrap().iter().map(|event| event["data"]["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["APP_MOUNTED", "INSTITUTION_SELECTED", "INVALID_PASSWORD", "REDIRECT"]);
    let redirect = &events[3];
    assert_eq!(redirect["data"], json!({"step": "REDIRECT", "institution": BANK, "url": landed.as_str()}));
    assert_eq!(redirect["origin"], emulator.base_url());

    // The token is spent, by the request that showed the page; the login it led to is good.
    let shown = emulator.requests_of(Operation::ConnectIframe);
    let spent = emulator.find(&token).unwrap().spent.unwrap();
    assert_eq!((shown.len(), spent.by), (1, shown[0].number));
    let fresh = authorize_token(&browser.http, &emulator).await;
    let url = format!("{}/v3/{CONNECT_CUSTOMER_ID}/BankingServices/Authorize", emulator.base_url());
    let by_login = json!({"LoginId": parameters[0].1, "MostRecentCached": true});
    let answer = browser.http.post(url).header("flinks-auth-key", &fresh).json(&by_login).send().await.unwrap();
    assert_eq!(answer.status(), 200);

    // A second load with the same token is refused, and the parent hears nothing.
    browser.open(&format!("{parent}/?token={token}")).await;
    browser.frame("iframe").await;
    browser.wait_for("[role=alert]").await;
    assert!(browser.text("[role=alert]").await.contains("valid authorize token"));
    browser.heard_nothing().await;

    // A parent of another origin than redirectUrl hears nothing of a good token either.
    let other = parent.replace("127.0.0.1", "localhost");
    let good = authorize_token(&browser.http, &emulator).await;
    browser.open(&format!("{other}/?token={good}&landing={parent}/done")).await;
    browser.frame("iframe").await;
    browser.wait_for("button").await;
    browser.heard_nothing().await;

    // On a phone nothing has to be scrolled sideways.
    browser.resize(360, 640).await;
    let phone = authorize_token(&browser.http, &emulator).await;
    browser.open(&format!("{}/v2/?authorizeToken={phone}&redirectUrl={parent}/done", emulator.base_url())).await;
    let fits = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.script(fits).await, true);
}

async fn back_and_reload_in_the_iframe(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let parent = parent_page(emulator.base_url().to_owned()).await;
    let token = authorize_token(&browser.http, &emulator).await;
    browser.open(&format!("{parent}/?token={token}")).await;
    browser.frame("iframe").await;

    browser.wait_for("button[name=institution]").await;
    browser.in_frame("location.reload()").await;
    browser.click("button[name=institution]").await;
    browser.wait_for("#username").await;
    browser.in_frame("location.reload()").await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", "wrong").await;
    browser.click("button").await;
    browser.wait_for("[role=alert]").await;
    // A reload of the refusal sends no password again.
    browser.in_frame("location.reload()").await;
    browser.wait_for("[role=alert]").await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", BANK_PASSWORD).await;
    browser.click("button").await;
    browser.wait_for("#answer").await;
    // Back shows the current step, for the login is done.
    browser.in_frame("history.back()").await;
    browser.wait_for("#answer").await;
    assert_eq!(browser.text("label").await, "What city were you born in?");
    browser.type_into("#answer", &format!("Montreal{ENTER}")).await;
    browser.wait_until("return document.querySelector('label')?.innerText === 'What is the best country?'").await;
    browser.type_into("#answer", &format!("Canada{ENTER}")).await;
    browser.click("input[value=Triangle]").await;
    browser.click("button").await;
    browser.wait_until("return location.pathname === '/done'").await;
    let landing = browser.script("return location.href").await;

    // Back from the landing shows that the visit is complete, and leads to the same landing.
    browser.script("history.back()").await;
    browser.wait_for("#continue").await;
    assert_eq!(browser.text("h1").await, "Your account is connected");
    browser.in_frame("location.reload()").await;
    browser.click("#continue").await;
    browser.wait_until("return location.pathname === '/done'").await;
    assert_eq!(browser.script("return location.href").await, landing);

    browser.parent().await;
    let steps = browser.script("return events.map((event) => event.data.step)").await;
    assert_eq!(steps, json!(["APP_MOUNTED", "INSTITUTION_SELECTED", "INVALID_PASSWORD", "REDIRECT"]));
    assert_eq!(emulator.count(Operation::ConnectIframe), 1);
}

/// Goes back from the landing and reloads: the page that the visit ended on leads to the same landing.
async fn back_leads_again_to(browser: &Browser, landing: &Value) {
    browser.back().await;
    browser.wait_for("#continue").await;
    browser.refresh().await;
    browser.click("#continue").await;
    browser.wait_until("return location.pathname === '/done'").await;
    assert_eq!(browser.script("return location.href").await, *landing);
}

async fn back_and_reload_of_the_banks_page(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let parent = parent_page(emulator.base_url().to_owned()).await;
    let start = format!("{}/v3/oauth/authorize?institution_id=14&redirect_uri={parent}/done", emulator.base_url());
    browser.open(&start).await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", &format!("wrong{ENTER}")).await;
    browser.wait_for("[role=alert]").await;
    browser.refresh().await;
    browser.wait_for("[role=alert]").await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", &format!("{BANK_PASSWORD}{ENTER}")).await;
    browser.wait_until("return location.pathname === '/done'").await;
    let landing = browser.script("return location.href").await;
    assert!(landing.as_str().unwrap().contains("loginId="), "{landing}");

    back_leads_again_to(&browser, &landing).await;
    assert_eq!(emulator.count(Operation::ConnectOAuthAuthorize), 1);
}

async fn back_and_reload_of_the_consent_page(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let parent = parent_page(emulator.base_url().to_owned()).await;
    let codes = || emulator.issued().into_iter().filter(|issued| issued.kind == Kind::Code).count();
    let before = codes();
    browser.open(&consent_url(emulator.base_url(), &format!("{parent}/done"))).await;

    // Nothing that grants is focused: a key press on the new page does nothing.
    browser.wait_for("button[value=agree]").await;
    assert_eq!(browser.script("return document.activeElement === document.body").await, true);
    browser.press(&[ENTER, " "]).await;
    assert_eq!(browser.text("h1").await, "Share your data?");
    assert_eq!(codes(), before);

    browser.refresh().await;
    assert_eq!(browser.text("h1").await, "Share your data?");
    assert_eq!(emulator.count(Operation::OutboundAuthorize), 1, "a reload does not begin another visit");
    browser.click("button[value=agree]").await;
    browser.wait_until("return location.pathname === '/done'").await;
    let landing = browser.script("return location.href").await;
    assert!(landing.as_str().unwrap().contains("code="), "{landing}");

    back_leads_again_to(&browser, &landing).await;
    assert_eq!(codes(), before + 1);

    // The next visit gets another code.
    browser.open(&consent_url(emulator.base_url(), &format!("{parent}/done"))).await;
    browser.click("button[value=agree]").await;
    browser.wait_until("return location.pathname === '/done'").await;
    let next = browser.script("return location.href").await;
    assert_ne!(next, landing);
    assert_eq!(next.as_str().unwrap().matches("code=").count(), 1, "{next}");
    assert_eq!(codes(), before + 2);
}

fn consent_url(emulator: &str, redirect_uri: &str) -> String {
    let parameters = [
        ("client_id", OUTBOUND_CLIENT_ID),
        ("redirect_uri", redirect_uri),
        ("response_type", "code"),
        ("scope", "ACCOUNT_BASIC"),
        ("provider_id", OUTBOUND_PROVIDER_ID),
    ];
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("{emulator}/api/v1/authorize?{query}")
}

async fn authorize_token(http: &Client, emulator: &Emulator) -> String {
    let url = format!("{}/v3/{CONNECT_CUSTOMER_ID}/BankingServices/GenerateAuthorizeToken", emulator.base_url());
    let request =
        http.post(url).header("flinks-auth-key", CONNECT_SECRET_KEY).header("content-type", "application/json");
    request.send().await.unwrap();
    let newest = emulator.issued().into_iter().rfind(|issued| issued.kind == Kind::AuthorizeToken);
    newest.unwrap().value
}

/// Serves a page that embeds the iframe and keeps the events that it hears, and `/done`, where the iframe ends.
async fn parent_page(emulator: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let page = r#"<!DOCTYPE html><title>Parent</title><iframe title="Connect" width="400" height="600"></iframe>
        <script>
          const events = [];
          addEventListener("message", (event) => events.push({ data: event.data, origin: event.origin }));
          const query = new URLSearchParams(location.search);
          const landing = query.get("landing") ?? location.origin + "/done";
          const frame = new URL("EMULATOR/v2/");
          frame.searchParams.set("authorizeToken", query.get("token"));
          frame.searchParams.set("redirectUrl", landing);
          document.querySelector("iframe").src = frame;
        </script>"#;
    let page = page.replace("EMULATOR", &emulator);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let page = page.clone();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                let body = if head[..read].starts_with(b"GET /?") {
                    page.as_str()
                } else {
                    "<!DOCTYPE html><title>Done</title>"
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                // A browser opens connections that it does not use.
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    origin
}

/// Two keys, in WebDriver's alphabet.
const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";

/// A headless Chromium, driven by ChromeDriver's HTTP interface (W3C WebDriver).
struct Browser {
    http: Client,
    session: String,
    driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().build().unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromedriver");
        let mut driver = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        // What it prints later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let url = format!("http://127.0.0.1:{}", port.unwrap());
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

    async fn open(&self, url: &str) {
        self.call(Method::POST, "/url", json!({"url": url})).await;
    }

    async fn back(&self) {
        self.call(Method::POST, "/back", json!({})).await;
    }

    async fn refresh(&self) {
        self.call(Method::POST, "/refresh", json!({})).await;
    }

    /// Runs a script that loads another document into the frame, and waits until that document is complete.
    async fn in_frame(&self, script: &str) {
        self.script(&format!("window.isLeft = true; {script}")).await;
        self.wait_until("return !window.isLeft && document.readyState === 'complete'").await;
    }

    async fn script(&self, script: &str) -> Value {
        self.call(Method::POST, "/execute/sync", json!({"script": script, "args": []})).await
    }

    /// Asks again until the page is so far, for at most half a minute. While a page gives way to the next, scripts fail.
    async fn wait_until(&self, script: &str) {
        let started = Instant::now();
        loop {
            let outcome = self.try_call(Method::POST, "/execute/sync", json!({"script": script, "args": []})).await;
            if outcome == Ok(Value::Bool(true)) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "{script}: {outcome:?}");
        }
    }

    async fn wait_for(&self, selector: &str) {
        self.wait_until(&format!("return document.querySelector({selector:?}) !== null")).await;
    }

    async fn element(&self, selector: &str) -> String {
        self.wait_for(selector).await;
        let found = self.call(Method::POST, "/element", json!({"using": "css selector", "value": selector})).await;
        let (_, id) = found.as_object().unwrap().iter().next().unwrap();
        format!("/element/{}", id.as_str().unwrap())
    }

    async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.call(Method::POST, &format!("{element}/click"), json!({})).await;
    }

    /// Presses keys, wherever the focus is.
    async fn press(&self, texts: &[&str]) {
        let keys = texts.concat();
        let actions = keys.chars().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})));
        let actions: Vec<Value> = actions.collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.call(Method::POST, "/actions", json!({"actions": [keyboard]})).await;
    }

    async fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.call(Method::POST, &format!("{element}/value"), json!({"text": text})).await;
    }

    async fn text(&self, selector: &str) -> String {
        self.wait_for(selector).await;
        let text = self.script(&format!("return document.querySelector({selector:?}).innerText")).await;
        text.as_str().unwrap().to_owned()
    }

    async fn frame(&self, selector: &str) {
        let found = self.call(Method::POST, "/element", json!({"using": "css selector", "value": selector})).await;
        self.call(Method::POST, "/frame", json!({"id": found})).await;
    }

    async fn parent(&self) {
        self.call(Method::POST, "/frame", json!({"id": null})).await;
    }

    /// Ends Chromium; dropping it ends ChromeDriver.
    async fn quit(&self) {
        self.call(Method::DELETE, "", json!({})).await;
    }

    /// The parent has heard nothing from the page in the frame. A message of ours, sent from there when all its scripts have
    /// run, comes after whatever it sent.
    async fn heard_nothing(&self) {
        self.wait_until("return document.readyState === 'complete'").await;
        self.script("parent.postMessage('the last', '*')").await;
        self.parent().await;
        self.wait_until("return events.length > 0").await;
        assert_eq!(self.script("return events.map((event) => event.data)").await, json!(["the last"]));
    }

    async fn resize(&self, width: u32, height: u32) {
        self.call(Method::POST, "/window/rect", json!({"width": width, "height": height})).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
