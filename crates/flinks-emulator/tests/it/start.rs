//! Tests for the start page at the base URL.

use flinks_emulator::credentials::*;
use flinks_emulator::{Emulator, Fault, Kind, Operation};
use reqwest::StatusCode;

use crate::page::{action, attribute};
use crate::{Local, local, local_with, send};

async fn start_page(local: &Local) -> String {
    let page = send(local.get("/")).await;
    assert_eq!(page.status, 200);
    page.body.as_str().unwrap().to_owned()
}

/// Returns the addresses that a page links to.
fn links(page: &str) -> Vec<String> {
    let links = page.split(" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"));
    links.filter(|link| !link.starts_with("data:")).collect()
}

/// Requests the target of a link on one of the emulator's pages.
async fn follow(local: &Local, link: &str) -> crate::ParsedResponse {
    let base = url::Url::parse(local.emulator.base_url()).unwrap();
    let url = base.join(link).unwrap();
    assert_eq!(url.origin(), base.origin(), "{link}");
    send(local.http.get(url)).await
}

#[tokio::test]
async fn the_start_page_describes_the_emulator_and_lists_every_endpoint() {
    let local = local().await;
    let page = start_page(&local).await;
    assert!(page.contains("Pay, Connect and Outbound"), "{page}");
    for path in [
        "POST /api/v1/authorize",
        "POST /api/v1/sessions/initiate",
        "POST /api/v1/paymentrequests",
        "GET /api/v1/paymentrequests/{id}",
        "POST /v3/{customerId}/BankingServices/GenerateAuthorizeToken",
        "POST /v3/{customerId}/BankingServices/Authorize",
        "POST /v3/{customerId}/BankingServices/GetAccountsDetail",
        "GET /v3/{customerId}/BankingServices/GetAccountsDetailAsync/{requestId}",
        "GET /app/",
        "GET /v2/",
        "GET /v3/oauth/authorize",
        "GET /api/v1/authorize",
        "POST /api/v1/token",
        "DELETE /api/v1/revoke",
        "GET /api/fdx/5/accounts",
    ] {
        assert!(page.contains(path), "{path}: {page}");
    }
    let base_url = local.emulator.base_url();
    assert!(page.contains(&format!("curl {base_url}/api/v1/token")), "{page}");
}

#[tokio::test]
async fn every_link_of_the_start_page_works() {
    for is_restricted in [false, true] {
        let local = local_with(|config| {
            if is_restricted {
                config.connect.redirect_origins = vec!["https://app.example".to_owned()];
                config.outbound.redirect_uris = vec!["https://app.example/callback".to_owned()];
            }
        })
        .await;
        let links = links(&start_page(&local).await);
        for path in
            ["/__emulator/", "/__emulator/requests", "/__emulator/tokens", "/v3/oauth/authorize", "/api/v1/authorize"]
        {
            assert!(links.iter().any(|link| link.split('?').next() == Some(path)), "{path}: {links:?}");
        }
        for link in links {
            let response = follow(&local, &link).await;
            assert!(response.status == 200 || response.status == 302, "{link}: {}", response.status);
            assert!(!response.location.is_some_and(|location| location.contains("error=")), "{link}");
        }
    }
}

#[tokio::test]
async fn the_base_url_with_an_iframe_parameter_shows_the_iframe_page() {
    let local = local().await;
    for query in ["authorizeToken=", "authorizeToken=x", "redirectUrl=https://app.example/", "demo=true&redirectUrl="] {
        let page = send(local.get(&format!("/?{query}"))).await;
        assert_eq!(page.status, 401, "{query}");
        assert!(page.body.as_str().unwrap().contains("valid authorize token"), "{query}");
    }
    assert_eq!(send(local.get("/v2/")).await.status, 401);
    assert_eq!(send(local.get("/?utm_source=x")).await.status, 200);
}

#[tokio::test]
async fn the_start_page_does_not_count_as_an_iframe_request() {
    let local = local().await;
    local.emulator.fail_next(Operation::ConnectIframe, Fault::status(503));
    start_page(&local).await;
    assert_eq!(local.emulator.count(Operation::ConnectIframe), 0);
    let request = &local.emulator.requests()[0];
    assert_eq!(request.operation, None);
    assert_eq!(request.status, Some(200));
    assert_eq!(request.target.as_str(), "/");
    assert_eq!(send(local.get("/v2/")).await.status, 503, "the fault was not used up by the start page");
}

/// The start page shows credentials only in response to requests that the control API would accept:
/// requests from this machine that have a loopback host and no foreign origin.
#[tokio::test]
async fn foreign_hosts_and_origins_see_no_credentials_and_no_commands() {
    let local = local().await;
    for (name, value) in [("host", "evil.example"), ("origin", "https://evil.example"), ("origin", "null")] {
        let page = send(local.get("/").header(name, value)).await;
        assert_eq!(page.status, 200);
        let page = page.body.as_str().unwrap();
        assert!(page.contains("Pay, Connect and Outbound"), "{page}");
        for hidden in [
            "curl",
            "/__emulator",
            "/__pages/iframe-demo",
            PAY_USERNAME,
            CONNECT_SECRET_KEY,
            CONNECT_API_KEY,
            CONNECT_CUSTOMER_ID,
            OUTBOUND_CLIENT_ID,
            OUTBOUND_CLIENT_SECRET,
            OUTBOUND_REFRESH_TOKEN,
        ] {
            assert!(!page.contains(hidden), "{hidden}: {page}");
        }
    }
}

#[tokio::test]
async fn the_start_page_shows_no_configured_credential() {
    let local = local_with(|config| {
        config.pay.username = "canary-1".to_owned();
        config.pay.password = "canary-2".to_owned();
        config.connect.secret_key = "canary-3".to_owned();
        config.connect.api_key = "canary-5".to_owned();
        config.outbound.client_secret = "canary-4".to_owned();
    })
    .await;
    let page = start_page(&local).await;
    assert!(page.contains("$SECRET_KEY"), "{page}");
    assert!(!page.contains("canary"), "{page}");
}

#[tokio::test]
async fn the_start_page_cannot_be_framed() {
    let local = local().await;
    let response = local.get("/").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-frame-options"], "DENY");
    assert_eq!(response.headers()["cache-control"], "no-store");
}

fn authorize_tokens(emulator: &Emulator) -> usize {
    emulator.issued().iter().filter(|issued| issued.kind == Kind::AuthorizeToken).count()
}

#[tokio::test]
async fn the_iframe_demo_issues_a_token_and_returns_to_the_start_page() {
    let local = local().await;
    let page = start_page(&local).await;
    assert_eq!(authorize_tokens(&local.emulator), 0, "the start page does not issue a token");
    let form = attribute(&page.clone().into(), "action").unwrap();
    let opened = send(local.post(&form).header("origin", local.emulator.base_url())).await;
    assert_eq!(opened.status, 303);
    assert_eq!(authorize_tokens(&local.emulator), 1);
    let iframe = follow(&local, &opened.location.unwrap()).await;
    assert_eq!(iframe.status, 200);
    let visit = action(&iframe.body);
    send(local.post(&visit).form(&[("institution", BANK)])).await;
    send(local.post(&visit).form(&[("username", BANK_USER_NO_MFA), ("password", BANK_PASSWORD)])).await;
    let return_url = attribute(&send(local.get(&visit)).await.body, "data-url").unwrap();
    let landing = follow(&local, &return_url).await;
    assert_eq!(landing.status, 200);
    assert!(landing.body.as_str().unwrap().contains("You are back"), "{}", landing.body);
    assert!(!page.contains("You are back"), "{page}");
}

#[tokio::test]
async fn foreign_hosts_and_origins_cannot_start_the_iframe_demo() {
    let local = local().await;
    for (name, value) in [("host", "evil.example"), ("origin", "https://evil.example"), ("origin", "null")] {
        let refused = send(local.post("/__pages/iframe-demo").header(name, value)).await;
        assert_eq!(refused.status, 403, "{name}: {value}");
        assert_eq!(refused.location, None, "{name}: {value}");
    }
    assert_eq!(authorize_tokens(&local.emulator), 0);
    assert_eq!(send(local.get("/__pages/iframe-demo")).await.status, 405);
}

#[tokio::test]
async fn the_consent_link_of_the_start_page_returns_with_a_code() {
    let local = local().await;
    let links = links(&start_page(&local).await);
    let consent = links.iter().find(|link| link.contains("/api/v1/authorize?")).unwrap();
    let page = follow(&local, consent).await;
    let redirect = send(local.post(&action(&page.body)).form(&[("decision", "agree")])).await;
    let return_url = redirect.location.unwrap();
    let start = follow(&local, &return_url).await;
    assert_eq!(start.status, 200);
    assert!(start.body.as_str().unwrap().contains("You are back"), "{}", start.body);
    let code =
        url::Url::parse(&return_url).unwrap().query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    assert!(!start.body.as_str().unwrap().contains(&code), "the page must not contain the code");
    let redirect_uri = format!("{}/", local.emulator.base_url());
    assert_eq!(send(local.exchange_code(&code, &redirect_uri)).await.status, 200);
}
