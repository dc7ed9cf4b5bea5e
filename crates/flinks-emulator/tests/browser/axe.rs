//! Tests the accessibility of the pages with axe-core.

use std::sync::Arc;

use flinks_emulator::{Emulator, Fault, Operation};

use crate::driver::Browser;
use crate::pages::on_each_page;

/// The environment variable that contains the path of axe-core's script.
const AXE_CORE: &str = "AXE_CORE";

pub(crate) fn is_installed() -> bool {
    std::env::var_os(AXE_CORE).is_some()
}

/// Returns the script that lists all rule violations on the current page.
fn check() -> String {
    let axe = std::fs::read_to_string(std::env::var(AXE_CORE).unwrap()).unwrap();
    format!(
        "{axe};
        return axe.run().then(({{ violations }}) => violations.flatMap(({{ id, nodes }}) =>
          nodes.map(({{ html, failureSummary }}) => `${{id}}: ${{html}}: ${{failureSummary}}`)));"
    )
}

pub(crate) async fn pages(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let check = check();
    for (width, look) in [(1280, "&theme=light"), (390, "&theme=dark&language=fr")] {
        browser.emulate(width, false).await;
        on_each_page(&browser, &emulator, look, &check).await;
    }
}

pub(crate) async fn dashboard(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let check = check();
    emulator.fail_always(Operation::PayAuthorize, Fault::status(503));
    emulator.issue_code("https://app.example/");
    browser.http.get(format!("{}/v2/?demo=true", emulator.base_url())).send().await.unwrap();
    browser.http.post(format!("{}/api/v1/authorize", emulator.base_url())).send().await.unwrap();
    for (width, is_dark) in [(1280, false), (390, true)] {
        browser.emulate(width, is_dark).await;
        for page in ["", "/requests/2", "?reveal=true"] {
            browser.open(&format!("{}{page}", emulator.dashboard_url())).await;
            browser.wait_until("return document.readyState === 'complete'").await;
            assert_eq!(browser.script(&check).await, serde_json::json!([]), "{page} at {width} pixels");
        }
    }
}
