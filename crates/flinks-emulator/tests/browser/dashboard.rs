//! Tests for the dashboard in a browser: it follows the emulator without a reload, and each button
//! does what its label says.

use std::sync::Arc;
use std::time::Duration;

use flinks_emulator::credentials::*;
use flinks_emulator::{Config, Emulator, Fault, Kind, Operation, When};
use reqwest::Method;
use serde_json::{Value, json};

use crate::driver::{Browser, ENTER, TAB};
use crate::parent::parent_page;

async fn frozen() -> Emulator {
    let mut config = Config::default();
    config.frozen_clock = true;
    Emulator::start_with(config).await.unwrap()
}

/// An application that calls the three products.
struct Application<'a> {
    browser: &'a Browser,
    emulator: &'a Emulator,
}

impl Application<'_> {
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.browser.http.request(method, format!("{}{path}", self.emulator.base_url()))
    }

    async fn pay_authorize(&self) -> Result<(u16, Value), reqwest::Error> {
        let form = [("grant_type", "client_credentials"), ("Username", PAY_USERNAME), ("Password", PAY_PASSWORD)];
        let response = self.request(Method::POST, "/api/v1/authorize").form(&form).send().await?;
        Ok((response.status().as_u16(), response.json().await.unwrap_or_default()))
    }

    async fn initiate_session(&self, token: &str) {
        let session = json!({"referenceId": "1", "amount": 1, "customerName": "A", "customerEmail": "a@example.com"});
        self.request(Method::POST, "/api/v1/sessions/initiate").bearer_auth(token).json(&session).send().await.unwrap();
    }

    async fn token(&self, mut body: Value) -> Value {
        body["client_id"] = json!(OUTBOUND_CLIENT_ID);
        body["client_secret"] = json!(OUTBOUND_CLIENT_SECRET);
        self.request(Method::POST, "/api/v1/token").json(&body).send().await.unwrap().json().await.unwrap()
    }

    async fn open_consent_page(&self) {
        let query = [
            ("client_id", OUTBOUND_CLIENT_ID),
            ("redirect_uri", OUTBOUND_REDIRECT_URI),
            ("response_type", "code"),
            ("scope", "ACCOUNT_BASIC"),
            ("provider_id", OUTBOUND_PROVIDER_ID),
        ];
        self.request(Method::GET, "/api/v1/authorize").query(&query).send().await.unwrap();
    }
}

impl Browser {
    async fn open_dashboard(&self, emulator: &Emulator) {
        self.open(&emulator.dashboard_url()).await;
        self.script("window.wasReloaded = false").await;
        self.wait_until("return document.querySelector('#live').dataset.on === ''").await;
    }

    /// Waits until the text of an element contains `text`.
    async fn wait_for_text(&self, selector: &str, text: &str) {
        let script = format!("return document.querySelector({selector:?})?.innerText.includes({text:?}) ?? false");
        self.wait_until(&script).await;
    }

    /// Clicks the button with this label in an element.
    async fn click_labelled(&self, selector: &str, label: &str) {
        let find = format!(
            "[...document.querySelectorAll({selector:?} + ' button')].find((found) => found.innerText === {label:?})"
        );
        self.wait_until(&format!("return {find} !== undefined")).await;
        self.script(&format!("{find}.click()")).await;
    }
}

/// Asserts that a condition becomes true.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), wait).await.is_ok(), "{what}");
}

pub(crate) async fn all_products(browser: Arc<Browser>) {
    let emulator = frozen().await;
    let application = Application { browser: &browser, emulator: &emulator };
    browser.open_dashboard(&emulator).await;

    // Pay: the token and the requests appear, and the token is spent.
    let (_, body) = application.pay_authorize().await.unwrap();
    browser.wait_for_text("#r1", "pay.authorize").await;
    browser.wait_for_text("#tokens", "session token").await;
    application.initiate_session(body["access_token"].as_str().unwrap()).await;
    browser.wait_for_text("#r2", "200").await;
    browser.wait_for_text("#tokens", "by request 2").await;

    // Connect and Outbound.
    let path = format!("/v3/{CONNECT_CUSTOMER_ID}/BankingServices/GenerateAuthorizeToken");
    let generate = application.request(Method::POST, &path).header("content-type", "application/json");
    generate.header("flinks-auth-key", CONNECT_SECRET_KEY).send().await.unwrap();
    browser.wait_for_text("#r3", "connect.customer_id").await;
    browser.wait_for_text("#tokens", "authorize token").await;
    application
        .token(
            json!({"grant_type": "authorization_code", "code": OUTBOUND_CODE, "redirect_uri": OUTBOUND_REDIRECT_URI}),
        )
        .await;
    browser.wait_for_text(".consent", "by request 4").await;
    let shown = browser.text("main").await;
    assert!(!shown.contains(body["access_token"].as_str().unwrap()), "{shown}");

    // The clock.
    for (id, seconds) in [
        ("advance-60", 60),
        ("advance-299", 299),
        ("advance-1800", 30 * 60),
        ("advance-2505600", 29 * 24 * 60 * 60),
        ("advance-2592000", 30 * 24 * 60 * 60),
    ] {
        let expected = emulator.now() + Duration::from_secs(seconds);
        browser.click(&format!("#{id}")).await;
        eventually(id, || emulator.now() == expected).await;
        browser
            .wait_until(&format!(
                "return Number(document.querySelector('#clock').dataset.now) === {}",
                expected.as_secs()
            ))
            .await;
    }
    browser.wait_for_text("#tokens", "expired").await;
    browser.script("document.querySelector('#date').value = '2036-01-02T03:04:05'").await;
    browser.click("#to-date button").await;
    eventually("a date", || emulator.now() == Duration::from_secs(2_082_855_845)).await;
    browser.wait_for_text("#clock", "2036-01-02 03:04:05").await;
    browser.script("document.querySelector('#date').value = '2036-01-02T03:04:04'").await;
    browser.click("#to-date button").await;
    browser.wait_for_text("#message", "cannot move backwards").await;
    browser.click("#freeze").await;
    eventually("running", || !emulator.config().frozen_clock).await;
    browser.wait_for_text("#freeze", "Freeze").await;
    browser.click("#freeze").await;
    eventually("frozen", || emulator.config().frozen_clock).await;

    // Faults: the count decreases with each request.
    browser.script("document.querySelector('#fault-times').value = '2'").await;
    browser.click_labelled("#faults", "Lost reply").await;
    browser.wait_for_text("#armed", "2 more requests").await;
    assert!(application.pay_authorize().await.is_err());
    browser.wait_for_text("#armed", "1 more request").await;
    assert!(application.pay_authorize().await.is_err());
    browser.wait_for_text("#armed", "No fault is armed").await;
    assert_eq!(
        emulator.requests_of(Operation::PayAuthorize).last().unwrap().fault,
        Some(Fault::Reset { when: When::After })
    );
    browser.script("document.querySelector('#fault-times').value = 'always'").await;
    browser.click_labelled("#faults", "503, retry after 5 s").await;
    browser.wait_for_text("#armed", "every request").await;
    assert_eq!(application.pay_authorize().await.unwrap().0, 503);
    browser.click("#clear-faults").await;
    browser.wait_for_text("#armed", "No fault is armed").await;
    assert_eq!(application.pay_authorize().await.unwrap().0, 200);

    // A double click has the same effect as one click.
    let before = emulator.now();
    browser.double_click("#advance-60").await;
    eventually("a double click", || emulator.now() > before).await;
    let second =
        "document.querySelector('#advance-60').dispatchEvent(new MouseEvent('click', {detail: 2, bubbles: true}))";
    browser.script(second).await;
    browser.click("#issue-code").await;
    browser.wait_for_text("#message", "gave consent").await;
    assert_eq!(emulator.now(), before + Duration::from_secs(60));

    // Everything so far happened without a reload. A request's page is one click away, and Back
    // returns to the dashboard.
    assert_eq!(browser.script("return window.wasReloaded").await, false);
    browser.click("#r2 a").await;
    browser.wait_for_text("h1", "Request 2").await;
    browser.back().await;
    browser.wait_until("return document.querySelector('#live')?.dataset.on === ''").await;
    browser.click("#reveal").await;
    browser.wait_for_text("#reveal", "Hide values").await;
    browser.wait_for_text("#tokens", body["access_token"].as_str().unwrap()).await;

    browser.script("window.confirm = () => true").await;
    browser.click("#reset").await;
    eventually("reset", || emulator.count(Operation::PayAuthorize) == 0).await;
    browser.wait_for_text("#totals", "0 received").await;
    assert_eq!(browser.script("return document.querySelector('#r2') === null").await, true);
}

pub(crate) async fn end_user(browser: Arc<Browser>) {
    let emulator = frozen().await;
    let application = Application { browser: &browser, emulator: &emulator };
    let parent = parent_page(emulator.base_url().to_owned()).await;
    browser.open_dashboard(&emulator).await;

    // Agree, then revoke at the bank.
    let codes = || emulator.issued().into_iter().filter(|issued| issued.kind == Kind::Code).collect::<Vec<_>>();
    application.open_consent_page().await;
    browser.click_labelled(".visit", "Agree").await;
    eventually("a code", || codes().len() == 2).await;
    let code = codes().pop().unwrap();
    assert_eq!(code.issued_by, emulator.requests_of(Operation::OutboundAuthorizeStep).last().map(|found| found.number));
    browser.wait_until("return document.querySelector('.visit') === null").await;
    let body = json!({"grant_type": "authorization_code", "code": code.value, "redirect_uri": OUTBOUND_REDIRECT_URI});
    let refresh_token = application.token(body).await["refresh_token"].as_str().unwrap().to_owned();
    browser.click(&format!("#revoke-{}", code.subject.unwrap())).await;
    eventually("a revocation", || emulator.find(&refresh_token).unwrap().revoked.is_some()).await;
    browser.wait_for_text(".consent", "revoked").await;

    // Refuse.
    application.open_consent_page().await;
    browser.click_labelled(".visit", "Refuse").await;
    eventually("a refusal", || emulator.count(Operation::OutboundAuthorizeStep) == 2).await;
    browser.wait_until("return document.querySelector('.visit') === null").await;
    assert_eq!(codes().len(), 2);

    // The iframe with security questions.
    let path = format!("/v3/{CONNECT_CUSTOMER_ID}/BankingServices/GenerateAuthorizeToken");
    let generate = application.request(Method::POST, &path).header("content-type", "application/json");
    let token: Value =
        generate.header("flinks-auth-key", CONNECT_SECRET_KEY).send().await.unwrap().json().await.unwrap();
    let redirect_url = format!("{parent}/done");
    let query = [("authorizeToken", token["Token"].as_str().unwrap()), ("redirectUrl", &redirect_url)];
    application.request(Method::GET, "/v2/").query(&query).send().await.unwrap();
    browser.click_labelled(".visit", "Choose FlinksCapital").await;
    browser.click_labelled(".visit", "Wrong password").await;
    eventually("a wrong password", || emulator.count(Operation::ConnectIframeStep) == 2).await;
    browser.click_labelled(".visit", "Log in with questions").await;
    for question in ["city were you born", "best country", "shape do you like"] {
        browser.wait_for_text(".visit", question).await;
        browser.click_labelled(".visit", "Right answer").await;
    }
    browser.wait_until("return document.querySelector('.visit') === null").await;
    let visits = application.request(Method::GET, "/__emulator/visits").send().await.unwrap();
    let visits: Value = visits.json().await.unwrap();
    let visit = visits["visits"].as_array().unwrap().iter().find(|visit| visit["page"] == "connect").unwrap();
    assert_eq!(visit["step"], "complete");

    // The bank's page, and a standing decision.
    application
        .request(Method::GET, "/v3/oauth/authorize")
        .query(&[("institution_id", "14"), ("redirect_uri", &redirect_url)])
        .send()
        .await
        .unwrap();
    browser.click_labelled(".visit", "Cancel").await;
    browser.wait_until("return document.querySelector('.visit') === null").await;
    browser.click("#end-user-outbound-refuses").await;
    eventually("refuses", || emulator.config().outbound.end_user == flinks_emulator::EndUser::Refuses).await;
    browser.wait_until("return document.querySelector('#end-user-outbound-refuses').ariaPressed === 'true'").await;
    browser.click("#end-user-connect-agrees").await;
    eventually("agrees", || emulator.config().connect.end_user == flinks_emulator::EndUser::Agrees).await;
    assert_eq!(browser.script("return window.wasReloaded").await, false);
}

pub(crate) async fn two_tabs(browser: Arc<Browser>) {
    let emulator = frozen().await;
    let application = Application { browser: &browser, emulator: &emulator };
    browser.open_dashboard(&emulator).await;
    let [first, second] = browser.new_tab().await;
    browser.open_dashboard(&emulator).await;
    // A request appears in the visible tab at once, and in the other tab once that tab is shown.
    application.pay_authorize().await.unwrap();
    browser.wait_for_text("#r1", "pay.authorize").await;
    let now = emulator.now();
    browser.double_click("#advance-60").await;
    eventually("the clock of the second tab", || emulator.now() == now + Duration::from_secs(60)).await;
    application.open_consent_page().await;
    browser.wait_for(".visit").await;

    browser.switch_to(&first).await;
    browser.wait_for_text("#r1", "pay.authorize").await;
    let seconds = emulator.now().as_secs();
    browser.wait_until(&format!("return Number(document.querySelector('#clock').dataset.now) === {seconds}")).await;
    browser.click_labelled(".visit", "Agree").await;
    eventually("the answer of the first tab", || emulator.count(Operation::OutboundAuthorizeStep) == 1).await;

    // The second tab no longer offers a decision that has been made.
    browser.switch_to(&second).await;
    browser.wait_until("return document.querySelector('.visit') === null").await;
    // Reload and Back neither lose nor repeat anything.
    let received = emulator.requests().len();
    browser.refresh().await;
    browser.wait_until("return document.querySelector('#live')?.dataset.on === ''").await;
    browser.click("#r1 a").await;
    browser.wait_for_text("h1", "Request 1").await;
    browser.back().await;
    browser.wait_for("#r1").await;
    assert_eq!(emulator.requests().len(), received);
    assert_eq!(emulator.now().as_secs(), seconds);
}

pub(crate) async fn hostile_values(browser: Arc<Browser>) {
    let emulator = frozen().await;
    let application = Application { browser: &browser, emulator: &emulator };
    browser.open_dashboard(&emulator).await;
    let script = "<img src=x onerror=hacked=1><script>hacked=1</script>'\"";
    let long = format!("{script}{}", "x".repeat(9_000));
    for value in [script, &long, "\u{1b}[31m\u{202e}"] {
        let request =
            application.request(Method::GET, &format!("/{script}")).query(&[(value, value), ("scope", value)]);
        let header = value.replace('\u{1b}', " ");
        let request = request.header("user-agent", header.as_bytes()).header("x-a", header.as_bytes());
        request.header("accept-language", header.as_bytes()).send().await.unwrap();
        let request = application.request(Method::POST, "/api/v1/token").header("content-type", script);
        request.body(json!({value: value, "scope": value}).to_string()).send().await.unwrap();
        application.request(Method::POST, "/api/v1/authorize").form(&[(value, value)]).send().await.unwrap();
    }
    emulator.fail_always(Operation::PayAuthorize, Fault::reply(200, script));
    application.pay_authorize().await.unwrap();
    emulator.issue_code(script);
    browser.wait_for_text("#r10", "pay.authorize").await;
    let mut pages = vec![format!("{}?reveal=true", emulator.dashboard_url())];
    pages.extend((1..=10).map(|number| format!("{}/requests/{number}?reveal=true", emulator.dashboard_url())));
    let check = "return [typeof hacked, document.querySelectorAll('img, main script').length, \
                 document.documentElement.scrollWidth <= document.documentElement.clientWidth]";
    assert_eq!(browser.script(check).await, json!(["undefined", 0, true]));
    for page in pages {
        browser.open(&page).await;
        assert_eq!(browser.script(check).await, json!(["undefined", 0, true]), "{page}");
    }
    browser.open(&format!("{}/requests/1", emulator.dashboard_url())).await;
    assert!(browser.text("pre").await.contains(script));
}

pub(crate) async fn keyboard_and_phone(browser: Arc<Browser>) {
    let emulator = frozen().await;
    let application = Application { browser: &browser, emulator: &emulator };
    for width in [1280, 390] {
        for is_dark in [false, true] {
            browser.emulate(width, is_dark).await;
            browser.open_dashboard(&emulator).await;
            let fits = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
            assert_eq!(browser.script(fits).await, true, "{width}");
            let small = "return [...document.querySelectorAll('button, select, nav a, .button, .rows a, summary')]\
                .filter((found) => found.checkVisibility() && found.getBoundingClientRect().height < 44)\
                .map((found) => found.outerHTML)";
            assert_eq!(browser.script(small).await, json!([]), "{width}");
        }
    }
    // The first Tab stop skips to the requests.
    browser.press(&[TAB]).await;
    assert_eq!(browser.script("return document.activeElement.innerText").await, "Skip to the requests");
    browser.press(&[ENTER]).await;
    // Buttons work with the keyboard, and the focus stays on a button whose panel is replaced.
    let now = emulator.now();
    browser.script("document.querySelector('#advance-60').focus()").await;
    browser.press(&[ENTER]).await;
    eventually("Enter", || emulator.now() == now + Duration::from_secs(60)).await;
    let seconds = emulator.now().as_secs();
    browser.wait_until(&format!("return Number(document.querySelector('#clock').dataset.now) === {seconds}")).await;
    assert_eq!(browser.script("return document.activeElement.id").await, "advance-60");
    browser.press(&[" "]).await;
    eventually("Space", || emulator.now() == now + Duration::from_secs(120)).await;
    // The focus stays on a row while other requests arrive.
    application.pay_authorize().await.unwrap();
    browser.wait_for("#r1 a").await;
    browser.script("document.querySelector('#r1 a').focus()").await;
    application.pay_authorize().await.unwrap();
    browser.wait_for("#r2").await;
    assert_eq!(browser.script("return document.activeElement.closest('li').id").await, "r1");
    browser.press(&[ENTER]).await;
    browser.wait_for_text("h1", "Request 1").await;
}

pub(crate) async fn sign_in(browser: Arc<Browser>) {
    let emulator = frozen().await;
    // Browsers resolve this name to a loopback address, but it is not a loopback name.
    emulator.allow_host("emulator.localhost");
    let url = emulator.dashboard_url().replace("127.0.0.1", "emulator.localhost");
    let (address, token) = url.split_once("#token=").unwrap();

    browser.open(address).await;
    browser.wait_for("#sign-in").await;
    browser.type_into("#token", &format!("wrong{ENTER}")).await;
    browser.wait_for_text("#message", "access token is wrong").await;
    assert_eq!(browser.script("return document.querySelector('#tokens') === null").await, true);

    browser.open("about:blank").await;
    browser.open(&url).await;
    browser.wait_for("#tokens").await;
    browser.wait_until("return document.querySelector('#live').dataset.on === ''").await;
    let seen = browser.script("return [location.href, document.cookie]").await;
    assert_eq!(seen, json!([address, ""]), "the token is neither in the address nor readable by scripts");
    let now = emulator.now();
    browser.click("#advance-60").await;
    eventually("a button", || emulator.now() > now).await;
    // The cookie keeps the browser signed in.
    browser.open(address).await;
    browser.wait_for("#tokens").await;
    assert!(!browser.text("main").await.contains(token));
}
