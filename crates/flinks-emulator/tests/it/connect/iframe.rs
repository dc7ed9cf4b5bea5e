//! Tests for the page that is shown in an iframe (C5).

use flinks_emulator::RedirectUrlPart;
use flinks_emulator::credentials::*;
use serde_json::{Value, json};

use super::WRONG_TOKEN;
use crate::page::{action, attribute, events, step, submit};
use crate::{Local, local, send};

#[tokio::test]
async fn c5_showing_the_page_spends_the_token() {
    let local = local().await;
    let token = local.authorize_token().await;
    let page = |path: &str, token: &str, url: &str| {
        local.get(path).query(&[("authorizeToken", token), ("redirectUrl", url), ("demo", "true")])
    };
    for url in ["", "javascript:alert(1)", "data:text/html,x", "//evil", "https:\\\\u:p@evil", "https://a.example/#x"] {
        assert_eq!(send(page("/v2/", &token, url)).await.status, 400, "{url}");
    }
    assert_eq!(send(local.get("/").query(&[("authorizeToken", &token)])).await.status, 400);

    // Flinks' documentation has an example without a scheme.
    let shown = send(page("/", &token, "flinks.com")).await;
    assert_eq!(shown.status, 200);
    assert!(shown.body.as_str().unwrap().contains("https://flinks.com"));
    let refused = send(page("/v2/", &token, "flinks.com")).await;
    assert_eq!(refused.status, 401);
    assert!(refused.body.as_str().unwrap().contains(WRONG_TOKEN));
    for token in [CONNECT_SECRET_KEY, "", &local.session_token().await] {
        assert_eq!(send(page("/v2/", token, "https://app.example/")).await.status, 401);
    }
    let expired = local.authorize_token().await;
    local.advance(1800);
    assert_eq!(send(page("/v2", &expired, "https://app.example/")).await.status, 401);
    let duplicate = format!("/v2/?authorizeToken={expired}&authorizeToken={expired}&redirectUrl=https://app.example/");
    assert_eq!(send(local.get(&duplicate)).await.status, 400);
}

/// Requests the iframe page with a new token.
async fn show_iframe(local: &Local, return_url: &str) -> Value {
    let token = local.authorize_token().await;
    let page = send(local.get("/v2/").query(&[("authorizeToken", &*token), ("redirectUrl", return_url)])).await;
    assert_eq!(page.status, 200);
    page.body
}

/// Returns a URL's query parameters in order.
fn parameters(url: &str) -> Vec<(String, String)> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

#[tokio::test]
async fn c5_the_last_step_leads_to_the_return_url_with_a_login_id() {
    let local = local().await;
    let token = local.authorize_token().await;
    let return_url = "https://app.example/done?a=%22%3E%3Cscript%3E&b=1";
    let query = [("authorizeToken", &*token), ("redirectUrl", return_url)];
    let mut page = send(local.get("/v2/").query(&query)).await.body;
    assert_eq!(events(&page), ["APP_MOUNTED"]);
    for (fields, sent, shown) in [
        (vec![("institution", "another")], vec![], "Choose your bank"),
        (vec![("institution", BANK)], vec!["INSTITUTION_SELECTED"], "Log in"),
        (vec![("username", "nobody"), ("password", BANK_PASSWORD)], vec!["INVALID_USERNAME"], "role=\"alert\""),
        (vec![("username", BANK_USER), ("password", "<script>")], vec!["INVALID_PASSWORD"], "role=\"alert\""),
        (vec![("username", BANK_USER), ("password", BANK_PASSWORD)], vec![], "city"),
        (vec![("answer", "Toronto")], vec!["INVALID_SECURITY_RESPONSE"], "city"),
        (vec![("answer", "Montreal")], vec![], "country"),
        (vec![("answer", "Canada")], vec![], "shape"),
        (vec![("answer", "Triangle")], vec!["REDIRECT"], "Continue"),
    ] {
        page = submit(&local, &page, &fields).await;
        let text = page.as_str().unwrap();
        assert!(!text.contains("\"><script>"), "{text}");
        assert!(!text.contains(&token), "{text}");
        assert!(text.contains(shown), "{shown}: {text}");
        assert_eq!(events(&page), sent, "{text}");
    }
    let parameters = parameters(&attribute(&page, "data-url").unwrap());
    let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b", "loginId", "institution"]);
    assert_eq!(parameters[0].1, "\"><script>");
    assert_eq!(parameters[3].1, BANK);

    let by_login = json!({"LoginId": parameters[2].1, "MostRecentCached": true});
    assert_eq!(local.authorize_with_new_token(&by_login).await.status, 200);
}

#[tokio::test]
async fn c5_a_reload_shows_the_same_step_and_repeats_no_event() {
    let local = local().await;
    let mut page = show_iframe(&local, "https://app.example/").await;
    let address = attribute(&page, "data-address").unwrap();
    assert_eq!(address, action(&page), "the page continues at the address of the visit");
    for fields in [
        vec![("institution", BANK)],
        vec![("username", BANK_USER), ("password", "wrong")],
        vec![("username", BANK_USER), ("password", BANK_PASSWORD)],
        vec![("answer", "Montreal")],
    ] {
        page = submit(&local, &page, &fields).await;
        for _ in 0..2 {
            let again = send(local.get(&address)).await.body;
            assert_eq!(step(&again), step(&page));
            assert_eq!(events(&again), Vec::<String>::new());
            assert_eq!(attribute(&again, "role"), attribute(&page, "role"), "an alert is shown again");
        }
    }
    assert_eq!(local.emulator.requests_of(flinks_emulator::Operation::ConnectIframe).len(), 1);
}

#[tokio::test]
async fn c5_a_form_of_an_earlier_step_shows_the_current_step() {
    let local = local().await;
    let first = show_iframe(&local, "https://app.example/").await;
    let login = submit(&local, &first, &[("institution", BANK)]).await;
    let credentials = [("username", BANK_USER), ("password", BANK_PASSWORD)];
    let city = submit(&local, &login, &credentials).await;
    for (stale, fields) in [(&first, vec![("institution", BANK)]), (&login, credentials.to_vec())] {
        let shown = submit(&local, stale, &fields).await;
        assert_eq!(step(&shown), step(&city));
        assert_eq!(events(&shown), Vec::<String>::new());
        assert_eq!(attribute(&shown, "role"), None, "the form was not used as an answer");
    }
    let country = submit(&local, &city, &[("answer", "Montreal")]).await;
    // If the answer to the first question is sent again, it does not answer the second question.
    let shown = submit(&local, &city, &[("answer", "Montreal")]).await;
    assert_eq!(step(&shown), step(&country));
    assert_eq!(events(&shown), Vec::<String>::new());
    assert_eq!(attribute(&shown, "role"), None);
}

#[tokio::test]
async fn c5_an_ended_visit_keeps_its_return_url_and_creates_no_second_login() {
    let local = local().await;
    let login_page = submit(&local, &show_iframe(&local, "https://app.example/").await, &[("institution", BANK)]).await;
    let credentials = [("username", BANK_USER_NO_MFA), ("password", BANK_PASSWORD)];
    // After a double click, the browser follows only the redirect from the second request.
    let form = action(&login_page);
    let fields = [("step", &*step(&login_page)), credentials[0], credentials[1]];
    for _ in 0..2 {
        assert_eq!(send(local.post(&form).form(&fields)).await.status, 303);
    }
    let end = send(local.get(&form)).await.body;
    assert_eq!(events(&end), ["REDIRECT"]);
    let return_url = attribute(&end, "data-url").unwrap();
    for _ in 0..2 {
        let reloaded = send(local.get(&form)).await.body;
        assert_eq!(attribute(&reloaded, "data-url"), None, "Back from the return URL must not lead there again");
        assert!(reloaded.as_str().unwrap().replace("&amp;", "&").contains(&format!("href=\"{return_url}\"")));
        assert_eq!(events(&reloaded), Vec::<String>::new());
        assert_eq!(send(local.post(&form).form(&fields)).await.status, 303);
    }
    // The next visit creates another login. Its return URL contains that login exactly once.
    let page = submit(&local, &show_iframe(&local, &return_url).await, &[("institution", BANK)]).await;
    let next = attribute(&submit(&local, &page, &credentials).await, "data-url").unwrap();
    let login_ids = |url: &str| -> Vec<String> {
        parameters(url).into_iter().filter(|(name, _)| name == "loginId").map(|(_, value)| value).collect()
    };
    assert_eq!(login_ids(&next).len(), 1, "{next}");
    assert_ne!(login_ids(&next), login_ids(&return_url));
}

#[tokio::test]
async fn c5_the_page_keeps_the_configured_part_of_the_return_url() {
    let local = local().await;
    for (part, start) in [
        (RedirectUrlPart::Whole, "https://app.example/a/b?c=1&loginId="),
        (RedirectUrlPart::WithoutQuery, "https://app.example/a/b?loginId="),
        (RedirectUrlPart::OriginOnly, "https://app.example/?loginId="),
    ] {
        local.emulator.configure(|config| config.connect.redirect_url_part = part);
        let page = show_iframe(&local, "https://app.example/a/b?c=1").await;
        let page = submit(&local, &page, &[("institution", BANK)]).await;
        let page = submit(&local, &page, &[("username", BANK_USER_NO_MFA), ("password", BANK_PASSWORD)]).await;
        let url = attribute(&page, "data-url").unwrap();
        assert!(url.starts_with(start), "{url}");
    }
}

#[tokio::test]
async fn c5_c7_the_error_names_a_duplicate_parameter() {
    let local = local().await;
    for (path, name) in [
        ("/v2/?authorizeToken=canary&redirectUrl=canary&redirectUrl=x", "redirectUrl"),
        ("/v2/?authorizeToken=canary&authorizeToken=canary", "authorizeToken"),
        ("/v3/oauth/authorize?state=canary&state=canary", "state"),
        ("/api/v1/authorize?client_id=canary&client_id=canary", "client_id"),
    ] {
        let refused = send(local.get(path)).await;
        assert_eq!(refused.status, 400, "{path}");
        let page = refused.body.as_str().unwrap();
        assert!(page.contains(&format!("{name} appears twice.")), "{page}");
        assert!(!page.contains("canary"), "{page}");
    }
    let page = send(local.get("/v2/?canary=1&canary=2")).await.body;
    assert!(!page.as_str().unwrap().contains("canary"), "{page}");
}
