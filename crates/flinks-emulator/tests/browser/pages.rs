//! Tests for what all pages for end users have in common: ways back, repeated forms, sizes, focus
//! and contrast.

use std::sync::Arc;

use flinks_emulator::credentials::*;
use flinks_emulator::{Emulator, Kind, Operation};
use serde_json::{Value, json};

use crate::connect::authorize_token;
use crate::consent::consent_url;
use crate::driver::{Browser, ENTER, TAB};
use crate::parent::parent_page;

async fn events(browser: &Browser) -> Value {
    browser.script("return events.map((event) => event.data.step)").await
}

pub(crate) async fn cancel_and_start_over(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let parent = parent_page(emulator.base_url().to_owned()).await;
    let token = authorize_token(&browser.http, &emulator).await;
    browser.open(&format!("{parent}/?token={token}")).await;
    browser.frame("iframe").await;
    browser.click("button[name=institution]").await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", &format!("{BANK_PASSWORD}{ENTER}")).await;
    browser.wait_for("#answer").await;
    browser.click("button[name=back]").await;
    browser.wait_for("#password").await;
    assert_eq!(browser.script("return document.querySelector('#username').value").await, BANK_USER);
    browser.click("button[name=cancel]").await;
    browser.wait_for("button[name=restart]").await;
    browser.parent().await;
    let expected = ["APP_MOUNTED", "INSTITUTION_SELECTED", "COMPONENT_LOAD_CREDENTIAL", "COMPONENT_CLOSE_SESSION"];
    assert_eq!(events(&browser).await, json!(expected));

    browser.frame("iframe").await;
    browser.click("button[name=restart]").await;
    browser.click("button[name=institution]").await;
    browser.type_into("#username", BANK_USER_NO_MFA).await;
    browser.type_into("#password", &format!("{BANK_PASSWORD}{ENTER}")).await;
    browser.wait_until("return location.pathname === '/done'").await;
    assert_eq!(emulator.count(Operation::ConnectIframe), 1);
}

pub(crate) async fn two_tabs_and_a_double_click(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let parent = parent_page(emulator.base_url().to_owned()).await;
    let token = authorize_token(&browser.http, &emulator).await;
    browser.open(&format!("{}/v2/?authorizeToken={token}&redirectUrl={parent}/done", emulator.base_url())).await;
    browser.wait_until("return location.pathname.startsWith('/__pages/connect/')").await;
    let address = browser.script("return location.href").await;
    let [first, second] = browser.new_tab().await;
    browser.open(address.as_str().unwrap()).await;
    browser.double_click("button[name=institution]").await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", "wrong").await;
    browser.double_click("button[type=submit]:not([name])").await;
    browser.wait_for("[role=alert]").await;
    browser.type_into("#password", BANK_PASSWORD).await;
    browser.double_click("button[type=submit]:not([name])").await;
    browser.wait_for("#answer").await;

    // The first tab still shows the list of banks. Its form leads to the current step.
    browser.switch_to(&first).await;
    browser.click("button[name=institution]").await;
    browser.wait_for("#answer").await;
    browser.type_into("#answer", "Montreal").await;
    browser.double_click("button[type=submit]:not([name])").await;
    browser.wait_until("return document.querySelector('label')?.innerText === 'What is the best country?'").await;
    // The second tab still shows the first question. Its answer is not used for the second
    // question.
    browser.switch_to(&second).await;
    browser.type_into("#answer", &format!("Montreal{ENTER}")).await;
    browser.wait_until("return document.querySelector('label')?.innerText === 'What is the best country?'").await;
    assert_eq!(browser.script("return document.querySelector('[role=alert]')").await, Value::Null);
    browser.type_into("#answer", &format!("Canada{ENTER}")).await;
    browser.click("input[value=Triangle]").await;
    browser.double_click("button[type=submit]:not([name])").await;
    browser.wait_until("return location.pathname === '/done'").await;
    let return_url = browser.script("return location.href").await;
    browser.switch_to(&first).await;
    browser.type_into("#answer", &format!("Canada{ENTER}")).await;
    browser.click("#continue").await;
    browser.wait_until("return location.pathname === '/done'").await;
    assert_eq!(browser.script("return location.href").await, return_url);
}

pub(crate) async fn consent_in_two_tabs(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let parent = parent_page(emulator.base_url().to_owned()).await;
    let codes = || emulator.issued().into_iter().filter(|issued| issued.kind == Kind::Code).count();
    let before = codes();
    browser.open(&consent_url(emulator.base_url(), &format!("{parent}/done"))).await;
    browser.wait_until("return location.pathname.startsWith('/__pages/consent/')").await;
    let address = browser.script("return location.href").await;
    let [first, _] = browser.new_tab().await;
    browser.open(address.as_str().unwrap()).await;
    browser.double_click("button[value=agree]").await;
    browser.wait_until("return location.pathname === '/done'").await;
    let return_url = browser.script("return location.href").await;
    browser.switch_to(&first).await;
    browser.click("button[value=refuse]").await;
    browser.wait_until("return location.pathname === '/done'").await;
    assert_eq!(browser.script("return location.href").await, return_url);
    assert_eq!(codes(), before + 1);
}

/// Shows each page for end users once, in two languages, and runs a check on it.
pub(crate) async fn on_each_page(browser: &Browser, emulator: &Emulator, look: &str, check: &str) {
    let return_url = "http://127.0.0.1:8080/done";
    let token = authorize_token(&browser.http, emulator).await;
    let assert_ok = async |page: &str| {
        browser.wait_until("return document.readyState === 'complete'").await;
        assert_eq!(browser.script(check).await, json!([]), "{page}, {look}");
    };
    browser.open(&format!("{}/v2/?authorizeToken={token}&redirectUrl={return_url}{look}", emulator.base_url())).await;
    assert_ok("banks").await;
    browser.click("button[name=institution]").await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", &format!("wrong{ENTER}")).await;
    browser.wait_for("[role=alert]").await;
    assert_ok("login").await;
    browser.type_into("#password", &format!("{BANK_PASSWORD}{ENTER}")).await;
    browser.wait_for("#answer").await;
    assert_ok("question").await;
    browser.type_into("#answer", &format!("Montreal{ENTER}")).await;
    browser.wait_until("return !document.querySelector('#answer')?.value").await;
    browser.type_into("#answer", &format!("Canada{ENTER}")).await;
    browser.wait_for("input[type=radio]").await;
    assert_ok("choices").await;
    browser.click("button[name=cancel]").await;
    browser.wait_for("button[name=restart]").await;
    assert_ok("cancelled").await;
    browser.open(&format!("{}{look}", consent_url(emulator.base_url(), return_url))).await;
    assert_ok("consent").await;
    browser.open(&format!("{}/v2/?authorizeToken={token}{look}", emulator.base_url())).await;
    assert_ok("refusal").await;
    let bank = format!("/v3/oauth/authorize?institution_id=14&redirect_uri={return_url}");
    browser.open(&format!("{}{bank}{look}", emulator.base_url())).await;
    assert_ok("bank").await;
}

/// Returns the targets on the current page that are smaller than 44 by 44 pixels, and whether the
/// page is wider than the screen. The target of a radio button is its label.
const SMALL_TARGETS: &str = "
    const targets = document.querySelectorAll('a, button, input:not([type=hidden], [type=radio]), label:has([type=radio])');
    const small = [...targets].filter((target) => {
      const { width, height } = target.getBoundingClientRect();
      return width < 44 || height < 44;
    });
    const found = small.map((target) => target.outerHTML);
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth > clientWidth ? [...found, `${scrollWidth} > ${clientWidth}`] : found;
";

pub(crate) async fn sizes(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    for (width, look) in [(1280, ""), (390, "&language=fr"), (320, "&language=fr")] {
        browser.emulate(width, false).await;
        on_each_page(&browser, &emulator, look, SMALL_TARGETS).await;
    }
}

pub(crate) async fn focus_ring(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let ring = "return parseFloat(getComputedStyle(document.activeElement).outlineWidth) > 2";
    let open =
        format!("{}/v3/oauth/authorize?institution_id=14&redirect_uri=https://app.example/", emulator.base_url());
    browser.open(&open).await;
    assert_eq!(browser.script("return document.activeElement.id").await, "username");
    assert_eq!(browser.script(ring).await, false, "the page has just been loaded");
    browser.click("#password").await;
    assert_eq!(browser.script("return document.activeElement.id").await, "password");
    assert_eq!(browser.script(ring).await, false, "the field was clicked");
    browser.press(&[TAB]).await;
    assert_eq!(browser.script("return document.activeElement.innerText").await, "Log in");
    assert_eq!(browser.script(ring).await, true);
    browser.press(&[TAB]).await;
    assert_eq!(browser.script("return document.activeElement.innerText").await, "Cancel");
    assert_eq!(browser.script(ring).await, true);
    browser.click("#username").await;
    assert_eq!(browser.script(ring).await, false, "the keyboard is not in use any more");
    // After a wrong password, the name is kept and the password field is focused.
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", &format!("wrong{ENTER}")).await;
    browser.wait_for("[role=alert]").await;
    browser.wait_until("return document.activeElement.id === 'password'").await;
    assert_eq!(browser.script("return document.querySelector('#username').value").await, BANK_USER);
}

/// Returns the text on the current page whose contrast is below 4.5 (WCAG 2.2, success criterion
/// 1.4.3). The script computes each colour by drawing it.
const LOW_CONTRAST: &str = "
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
    const rgb = (colours) => {
      context.clearRect(0, 0, 1, 1);
      for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
      return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (colours) => {
      const [r, g, b] = rgb(colours).map((part) => part / 255)
        .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    for (const element of document.querySelectorAll('body *')) {
      const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join('');
      if (!text || element.closest('noscript, script, [aria-hidden]')) continue;
      const backgrounds = [];
      for (let above = element; above; above = above.parentElement) backgrounds.unshift(getComputedStyle(above).backgroundColor);
      const under = luminance(backgrounds);
      const over = luminance([...backgrounds, getComputedStyle(element).color]);
      const contrast = (Math.max(under, over) + 0.05) / (Math.min(under, over) + 0.05);
      if (contrast < 4.5) found.push(`${text}: ${contrast}`);
    }
    return found;
";

pub(crate) async fn contrast(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    for look in ["&theme=light", "&theme=dark"] {
        on_each_page(&browser, &emulator, look, LOW_CONTRAST).await;
    }
    // Without `theme`, the page follows the browser's preference.
    let background = "return getComputedStyle(document.body).backgroundColor";
    let mut colours = Vec::new();
    for (is_dark, look) in [(false, ""), (true, ""), (false, "&theme=dark"), (true, "&theme=light")] {
        browser.emulate(1280, is_dark).await;
        browser.open(&format!("{}/v2/?demo=true&redirectUrl=x{look}", emulator.base_url())).await;
        colours.push(browser.script(background).await);
    }
    assert_ne!(colours[0], colours[1]);
    assert_eq!(colours[2], colours[1], "theme=dark");
    assert_eq!(colours[3], colours[0], "theme=light");
}
