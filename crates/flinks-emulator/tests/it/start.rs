//! The page at the base URL, which a person opens first.

use flinks_emulator::credentials::*;
use flinks_emulator::{Emulator, Fault, Kind, Operation};
use reqwest::StatusCode;

use crate::page::{action, attribute};
use crate::{Local, ask, local, local_with};

async fn start_page(local: &Local) -> String {
    let page = ask(local.get("/")).await;
    assert_eq!(page.status, 200);
    page.body.as_str().unwrap().to_owned()
}

/// The addresses that a page links to.
fn links(page: &str) -> Vec<String> {
    let links = page.split(" href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"));
    links.filter(|link| !link.starts_with("data:")).collect()
}

/// Requests a link as it stands on a page of the emulator.
async fn follow(local: &Local, link: &str) -> crate::Answer {
    let base = url::Url::parse(local.emulator.base_url()).unwrap();
    let url = base.join(link).unwrap();
    assert_eq!(url.origin(), base.origin(), "{link}");
    ask(local.http.get(url)).await
}

#[tokio::test]
async fn the_base_url_says_what_this_is_and_names_every_endpoint() {
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
            let answer = follow(&local, &link).await;
            assert!(answer.status == 200 || answer.status == 302, "{link}: {}", answer.status);
            assert!(!answer.location.is_some_and(|location| location.contains("error=")), "{link}");
        }
    }
}

#[tokio::test]
async fn the_base_url_with_a_parameter_of_the_iframe_is_the_iframe() {
    let local = local().await;
    for query in ["authorizeToken=", "authorizeToken=x", "redirectUrl=https://app.example/", "demo=true&redirectUrl="] {
        let page = ask(local.get(&format!("/?{query}"))).await;
        assert_eq!(page.status, 401, "{query}");
        assert!(page.body.as_str().unwrap().contains("valid authorize token"), "{query}");
    }
    assert_eq!(ask(local.get("/v2/")).await.status, 401);
    assert_eq!(ask(local.get("/?utm_source=x")).await.status, 200);
}

#[tokio::test]
async fn the_start_page_is_no_request_for_the_iframe() {
    let local = local().await;
    local.emulator.fail_next(Operation::ConnectIframe, Fault::status(503));
    start_page(&local).await;
    assert_eq!(local.emulator.count(Operation::ConnectIframe), 0);
    let request = &local.emulator.requests()[0];
    assert_eq!((request.operation, request.status, request.target.as_str()), (None, Some(200), "/"));
    assert_eq!(ask(local.get("/v2/")).await.status, 503, "the fault is still to come");
}

/// The same rule as for the control API: this machine only, by a loopback name, and no page of another origin.
#[tokio::test]
async fn a_stranger_sees_no_credential_and_no_command() {
    let local = local().await;
    for (name, value) in [("host", "evil.example"), ("origin", "https://evil.example"), ("origin", "null")] {
        let page = ask(local.get("/").header(name, value)).await;
        assert_eq!(page.status, 200);
        let page = page.body.as_str().unwrap();
        assert!(page.contains("Pay, Connect and Outbound"), "{page}");
        for hidden in [
            "curl",
            "/__emulator",
            "/__pages/iframe-demo",
            PAY_USERNAME,
            CONNECT_SECRET_KEY,
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
async fn the_iframe_demo_opens_the_page_with_a_token_of_its_own_and_comes_back() {
    let local = local().await;
    let page = start_page(&local).await;
    assert_eq!(authorize_tokens(&local.emulator), 0, "the page itself issues nothing");
    let form = attribute(&page.clone().into(), "action").unwrap();
    let opened = ask(local.post(&form).header("origin", local.emulator.base_url())).await;
    assert_eq!(opened.status, 303);
    assert_eq!(authorize_tokens(&local.emulator), 1);
    let iframe = follow(&local, &opened.location.unwrap()).await;
    assert_eq!(iframe.status, 200);
    let visit = action(&iframe.body);
    ask(local.post(&visit).form(&[("institution", BANK)])).await;
    ask(local.post(&visit).form(&[("username", BANK_USER_NO_MFA), ("password", BANK_PASSWORD)])).await;
    let return_url = attribute(&ask(local.get(&visit)).await.body, "data-url").unwrap();
    let back = follow(&local, &return_url).await;
    assert_eq!(back.status, 200);
    assert!(back.body.as_str().unwrap().contains("You are back"), "{}", back.body);
    assert!(!page.contains("You are back"), "{page}");
}

#[tokio::test]
async fn a_stranger_cannot_start_the_iframe_demo() {
    let local = local().await;
    for (name, value) in [("host", "evil.example"), ("origin", "https://evil.example"), ("origin", "null")] {
        let refused = ask(local.post("/__pages/iframe-demo").header(name, value)).await;
        assert_eq!((refused.status, refused.location), (403, None), "{name}: {value}");
    }
    assert_eq!(authorize_tokens(&local.emulator), 0);
    assert_eq!(ask(local.get("/__pages/iframe-demo")).await.status, 405);
}

#[tokio::test]
async fn the_consent_page_of_the_start_page_comes_back_with_a_code() {
    let local = local().await;
    let links = links(&start_page(&local).await);
    let consent = links.iter().find(|link| link.contains("/api/v1/authorize?")).unwrap();
    let page = follow(&local, consent).await;
    let back = ask(local.post(&action(&page.body)).form(&[("decision", "agree")])).await;
    let return_url = back.location.unwrap();
    let start = follow(&local, &return_url).await;
    assert_eq!(start.status, 200);
    assert!(start.body.as_str().unwrap().contains("You are back"), "{}", start.body);
    let code =
        url::Url::parse(&return_url).unwrap().query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    assert!(!start.body.as_str().unwrap().contains(&code), "the code is in the address only");
    let redirect_uri = format!("{}/", local.emulator.base_url());
    assert_eq!(ask(local.exchange_code(&code, &redirect_uri)).await.status, 200);
}
