//! Rules C1-C8.

use flinks_emulator::EndUser;
use flinks_emulator::credentials::*;
use serde_json::{Value, json};

use crate::{Local, ask, local, local_with};

const WRONG_KEY: &str = "You must provide a valid auth key";
const WRONG_TOKEN: &str = "You must provide a valid authorize token";

#[tokio::test]
async fn c1_the_key_once_and_the_content_type_once_and_no_body() {
    let local = local().await;
    let body = ask(local.generate()).await.body;
    assert_eq!(body["HttpStatusCode"], 200);
    assert!(body["Token"].as_str().unwrap().starts_with("emu_"));

    let bare = || local.connect("GenerateAuthorizeToken", CONNECT_SECRET_KEY);
    for request in [
        bare(),
        bare().header("content-type", "text/plain"),
        local.generate().header("content-type", "application/json"),
        local.generate().body("{}"),
    ] {
        assert_eq!(ask(request).await.code(), (401, "INVALID_REQUEST"));
    }
}

/// Sends a request with exactly these `Accept` headers. reqwest would add `*/*`.
async fn generate_with(local: &Local, accept: &[&str]) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = local.emulator.base_url().strip_prefix("http://").unwrap();
    let lines: String = accept.iter().map(|value| format!("Accept: {value}\r\n")).collect();
    let request = format!(
        "POST /v3/{CONNECT_CUSTOMER_ID}/BankingServices/GenerateAuthorizeToken HTTP/1.1\r\nHost: {address}\r\n\
         Connection: close\r\nContent-Type: application/json\r\nflinks-auth-key: {CONNECT_SECRET_KEY}\r\n{lines}\r\n"
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    (status, response)
}

#[tokio::test]
async fn c1_a_missing_accept_takes_every_media_type() {
    let local = local().await;
    let (status, response) = generate_with(&local, &[]).await;
    assert_eq!(status, 200, "{response}");
}

#[tokio::test]
async fn c1_an_accept_that_includes_json_is_accepted() {
    let local = local().await;
    for accept in [
        vec!["application/json"],
        vec!["text/html, application/json;q=0.5"],
        vec!["Application/*"],
        vec!["*/*"],
        vec!["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"],
        vec!["application/json; charset=utf-8"],
        vec!["application/json;q=0.001"],
        vec!["application/*;q=0, application/json"],
        // An empty list excludes nothing.
        vec![""],
        // Several lines are one list (RFC 9110, section 5.3).
        vec!["*/*", "application/json"],
        vec!["text/html", "application/json"],
        vec!["application/json", "text/html;q=0"],
    ] {
        let (status, response) = generate_with(&local, &accept).await;
        assert_eq!(status, 200, "{accept:?}: {response}");
    }
}

#[tokio::test]
async fn c1_an_accept_that_excludes_json_is_refused() {
    let local = local().await;
    for accept in [
        vec!["text/html"],
        vec!["application/jsonx, application/json-patch+json"],
        vec!["text/html;q=1, application/json;q=0"],
        vec!["application/json;q=0.000"],
        vec!["text/html", "text/plain"],
        // The most specific range decides (RFC 9110, section 12.5.1).
        vec!["*/*, application/json;q=0"],
        vec!["application/*;q=0, */*"],
        vec!["*/*", "application/json; q=0"],
    ] {
        let (status, response) = generate_with(&local, &accept).await;
        assert_eq!(status, 401, "{accept:?}: {response}");
        assert!(response.contains("INVALID_REQUEST"), "{accept:?}: {response}");
        assert!(response.contains("Accept must include application/json"), "{accept:?}: {response}");
    }
}

#[tokio::test]
async fn c2_a_refusal_says_its_status_a_message_and_a_code() {
    let local = local().await;
    let refused = ask(local.connect("GenerateAuthorizeToken", "wrong")).await;
    let body = json!({"HttpStatusCode": 401, "Message": WRONG_KEY, "FlinksCode": "UNAUTHORIZED"});
    assert_eq!((refused.status, refused.body), (401, body));
}

#[tokio::test]
async fn c3_a_token_is_spent_once_and_dies_after_30_minutes() {
    let local = local().await;
    let by_login = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
    let token = local.authorize_token().await;
    assert_eq!(ask(local.authorize(&token, &by_login)).await.status, 200);
    let again = ask(local.authorize(&token, &by_login)).await;
    assert_eq!((again.code(), &again.body["Message"]), ((401, "ACCESS_DENIED"), &json!(WRONG_TOKEN)));

    for (age, status) in [(1799, 200), (1800, 401)] {
        let token = local.authorize_token().await;
        local.advance(age);
        assert_eq!(ask(local.authorize(&token, &by_login)).await.status, status, "{age}");
    }
}

#[tokio::test]
async fn c4_key_and_token_are_not_taken_for_each_other() {
    let local = local().await;
    let by_login = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
    let token = local.authorize_token().await;
    let json = |request: reqwest::RequestBuilder| request.header("content-type", "application/json");
    for request in [
        json(local.connect("GenerateAuthorizeToken", &token)),
        json(local.connect("GenerateAuthorizeToken", CONNECT_SECRET_KEY).header("flinks-auth-key", &token)),
        json(local.connect("GenerateAuthorizeToken", "").bearer_auth(CONNECT_SECRET_KEY)),
    ] {
        let refused = ask(request).await;
        assert_eq!((refused.code(), &refused.body["Message"]), ((401, "UNAUTHORIZED"), &json!(WRONG_KEY)));
    }
    for request in [
        local.authorize(CONNECT_SECRET_KEY, &by_login),
        local.authorize(&token, &by_login).header("flinks-auth-key", CONNECT_SECRET_KEY),
        local.authorize(&local.session_token().await, &by_login),
        local.authorize("", &by_login).bearer_auth(&token),
    ] {
        let refused = ask(request).await;
        assert_eq!((refused.code(), &refused.body["Message"]), ((401, "ACCESS_DENIED"), &json!(WRONG_TOKEN)));
    }
    assert_eq!(ask(local.authorize(&token, &by_login)).await.status, 200, "nothing of this has spent the token");
}

#[tokio::test]
async fn c8_another_customer_is_refused() {
    let local = local().await;
    for customer_id in ["00000000-0000-4000-8000-000000000009", "..", "%2e%2e", CONNECT_SECRET_KEY] {
        let path = format!("/v3/{customer_id}/BankingServices/GenerateAuthorizeToken");
        let request = local.post(&path).header("flinks-auth-key", CONNECT_SECRET_KEY);
        let answer = ask(request.header("content-type", "application/json")).await;
        assert!([401, 404].contains(&answer.status), "{customer_id}");
    }
    let token = local.authorize_token().await;
    let path = "/v3/00000000-0000-4000-8000-000000000009/BankingServices/Authorize";
    let body = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
    let answer = ask(local.post(path).header("flinks-auth-key", &token).json(&body)).await;
    assert_eq!(answer.code(), (401, "ACCESS_DENIED"));
}

#[tokio::test]
async fn c8_a_guid_is_the_same_in_upper_case() {
    let id = "0000000A-0000-4000-8000-00000000000A";
    let local = local_with(|config| config.connect.customer_id = id.to_owned()).await;
    let path = format!("/v3/{}/BankingServices/", id.to_lowercase());
    let request = local.post(&format!("{path}GenerateAuthorizeToken")).header("content-type", "application/json");
    let token = ask(request.header("flinks-auth-key", CONNECT_SECRET_KEY)).await.text("Token");
    let body = json!({"Institution": BANK, "Username": BANK_USER, "Password": BANK_PASSWORD});
    let request = local.post(&format!("{path}Authorize")).header("flinks-auth-key", token);
    let asked = ask(request.json(&body)).await.text("RequestId");
    let request = local.post(&format!("{path}GenerateAuthorizeToken")).header("content-type", "application/json");
    let token = ask(request.header("flinks-auth-key", CONNECT_SECRET_KEY)).await.text("Token");
    let answer =
        json!({"RequestId": asked.to_uppercase(), "SecurityResponses": {"What city were you born in?": ["Montreal"]}});
    let request = local.post(&format!("{path}Authorize")).header("flinks-auth-key", token);
    assert_eq!(ask(request.json(&answer)).await.status, 203);
}

#[tokio::test]
async fn c5_showing_the_page_spends_the_token() {
    let local = local().await;
    let token = local.authorize_token().await;
    let page = |path: &str, token: &str, url: &str| {
        local.get(path).query(&[("authorizeToken", token), ("redirectUrl", url), ("demo", "true")])
    };
    for url in ["", "javascript:alert(1)", "data:text/html,x", "//evil", "https:\\\\u:p@evil", "https://a.example/#x"] {
        assert_eq!(ask(page("/v2/", &token, url)).await.status, 400, "{url}");
    }
    assert_eq!(ask(local.get("/").query(&[("authorizeToken", &token)])).await.status, 400);

    // As in the brief, without a scheme.
    let shown = ask(page("/", &token, "flinks.com")).await;
    assert!(shown.status == 200 && shown.body.as_str().unwrap().contains("https://flinks.com"));
    let refused = ask(page("/v2/", &token, "flinks.com")).await;
    assert!(refused.status == 401 && refused.body.as_str().unwrap().contains(WRONG_TOKEN));
    for token in [CONNECT_SECRET_KEY, "", &local.session_token().await] {
        assert_eq!(ask(page("/v2/", token, "https://app.example/")).await.status, 401);
    }
    let old = local.authorize_token().await;
    local.advance(1800);
    assert_eq!(ask(page("/v2", &old, "https://app.example/")).await.status, 401);
    let twice = format!("/v2/?authorizeToken={old}&authorizeToken={old}&redirectUrl=https://app.example/");
    assert_eq!(ask(local.get(&twice)).await.status, 400);
}

/// The value of the first attribute of that name on a page.
pub(crate) fn attribute(page: &Value, name: &str) -> Option<String> {
    let (_, after) = page.as_str().unwrap().split_once(&format!(" {name}=\""))?;
    Some(after.split_once('"').unwrap().0.replace("&amp;", "&").replace("&quot;", "\""))
}

/// The address of the form on a page.
pub(crate) fn action(page: &Value) -> String {
    attribute(page, "action").unwrap_or_else(|| panic!("{page}"))
}

/// The step that the form on a page carries.
pub(crate) fn step(page: &Value) -> String {
    let (_, after) = page.as_str().unwrap().split_once("name=\"step\"").unwrap_or_else(|| panic!("{page}"));
    attribute(&json!(after), "value").unwrap()
}

/// The names of the events that a page sends to its parent.
fn events(page: &Value) -> Vec<String> {
    let Some(events) = attribute(page, "data-events") else { return Vec::new() };
    let events: Vec<Value> = serde_json::from_str(&events).unwrap();
    events.iter().map(|event| event["step"].as_str().unwrap().to_owned()).collect()
}

/// Sends the form of a page with these fields, as a browser does, and follows the redirect to the next page.
async fn submit(local: &Local, page: &Value, fields: &[(&str, &str)]) -> Value {
    let form = action(page);
    let step = step(page);
    let fields: Vec<(&str, &str)> = [("step", &*step)].into_iter().chain(fields.iter().copied()).collect();
    let redirect = ask(local.post(&form).form(&fields)).await;
    assert_eq!((redirect.status, redirect.location.as_deref()), (303, Some(&*form)));
    let next = ask(local.get(&form)).await;
    assert_eq!(next.status, 200);
    next.body
}

/// Shows the page in the iframe with a new token.
async fn show_iframe(local: &Local, landing: &str) -> Value {
    let token = local.authorize_token().await;
    let page = ask(local.get("/v2/").query(&[("authorizeToken", &*token), ("redirectUrl", landing)])).await;
    assert_eq!(page.status, 200);
    page.body
}

/// The parameters of an address, in their order.
fn parameters(url: &str) -> Vec<(String, String)> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

#[tokio::test]
async fn c5_the_page_leads_to_the_landing_url_with_a_login_id() {
    let local = local().await;
    let token = local.authorize_token().await;
    let landing = "https://app.example/done?a=%22%3E%3Cscript%3E&b=1";
    let query = [("authorizeToken", &*token), ("redirectUrl", landing)];
    let mut page = ask(local.get("/v2/").query(&query)).await.body;
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
    assert_eq!(local.authorize_afresh(&by_login).await.status, 200);
}

#[tokio::test]
async fn c5_reload_shows_the_same_step_and_sends_no_event_again() {
    let local = local().await;
    let mut page = show_iframe(&local, "https://app.example/").await;
    let address = attribute(&page, "data-address").unwrap();
    assert_eq!(address, action(&page), "the browser goes on at the address of the visit");
    for fields in [
        vec![("institution", BANK)],
        vec![("username", BANK_USER), ("password", "wrong")],
        vec![("username", BANK_USER), ("password", BANK_PASSWORD)],
        vec![("answer", "Montreal")],
    ] {
        page = submit(&local, &page, &fields).await;
        for _ in 0..2 {
            let again = ask(local.get(&address)).await.body;
            assert_eq!((step(&again), events(&again)), (step(&page), Vec::new()));
            assert_eq!(attribute(&again, "role"), attribute(&page, "role"), "an alert stays");
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
        assert_eq!((step(&shown), events(&shown)), (step(&city), Vec::new()));
        assert_eq!(attribute(&shown, "role"), None, "nothing was taken for an answer");
    }
    let country = submit(&local, &city, &[("answer", "Montreal")]).await;
    // The answer to the first question does not answer the second.
    let shown = submit(&local, &city, &[("answer", "Montreal")]).await;
    assert_eq!((step(&shown), events(&shown)), (step(&country), Vec::new()));
    assert_eq!(attribute(&shown, "role"), None);
}

#[tokio::test]
async fn c5_a_visit_that_has_ended_keeps_its_landing_and_makes_no_second_login() {
    let local = local().await;
    let login_page = submit(&local, &show_iframe(&local, "https://app.example/").await, &[("institution", BANK)]).await;
    let credentials = [("username", BANK_USER_NO_MFA), ("password", BANK_PASSWORD)];
    // Two clicks: the browser follows the redirect of the second request only.
    let form = action(&login_page);
    let fields = [("step", &*step(&login_page)), credentials[0], credentials[1]];
    for _ in 0..2 {
        assert_eq!(ask(local.post(&form).form(&fields)).await.status, 303);
    }
    let end = ask(local.get(&form)).await.body;
    assert_eq!(events(&end), ["REDIRECT"]);
    let landing = attribute(&end, "data-url").unwrap();
    for _ in 0..2 {
        let reloaded = ask(local.get(&form)).await.body;
        assert_eq!(attribute(&reloaded, "data-url"), None, "Back from the landing is not sent there again");
        assert!(reloaded.as_str().unwrap().replace("&amp;", "&").contains(&format!("href=\"{landing}\"")));
        assert_eq!(events(&reloaded), Vec::<String>::new());
        assert_eq!(ask(local.post(&form).form(&fields)).await.status, 303);
    }
    // The next visit gets another login, and its landing has it once.
    let page = submit(&local, &show_iframe(&local, &landing).await, &[("institution", BANK)]).await;
    let next = attribute(&submit(&local, &page, &credentials).await, "data-url").unwrap();
    let login_ids = |url: &str| -> Vec<String> {
        parameters(url).into_iter().filter(|(name, _)| name == "loginId").map(|(_, value)| value).collect()
    };
    assert_eq!(login_ids(&next).len(), 1, "{next}");
    assert_ne!(login_ids(&next), login_ids(&landing));
}

fn direct(username: &str, password: &str) -> Value {
    json!({"Institution": BANK, "Username": username, "Password": password, "MostRecentCached": false, "Save": true})
}

#[tokio::test]
async fn c6_200_with_a_login() {
    let local = local().await;
    let connected = local.authorize_afresh(&direct(BANK_USER_NO_MFA, BANK_PASSWORD)).await;
    let body = &connected.body;
    assert_eq!((connected.status, &body["HttpStatusCode"], &body["Institution"]), (200, &json!(200), &json!(BANK)));
    assert_eq!((&body["InstitutionId"], &body["Login"]["Username"]), (&json!(BANK_ID), &json!(BANK_USER_NO_MFA)));
    let last_refresh = body["Login"]["LastRefresh"].as_str().unwrap();
    assert!(last_refresh.len() == 26 && !last_refresh.ends_with('Z'), "{last_refresh}");
    for live in [false, true] {
        let again = json!({"LoginId": body["Login"]["Id"], "MostRecentCached": !live});
        assert_eq!(local.authorize_afresh(&again).await.status, 200);
    }
    let mut unsaved = direct(BANK_USER_NO_MFA, BANK_PASSWORD);
    unsaved["Save"] = json!(false);
    let id = local.authorize_afresh(&unsaved).await.body["Login"]["Id"].clone();
    let answer = local.authorize_afresh(&json!({"LoginId": id, "MostRecentCached": true})).await;
    assert_eq!(answer.code(), (401, "INVALID_LOGIN"));
}

#[tokio::test]
async fn c6_203_asks_and_each_answer_leads_on() {
    let local = local().await;
    let mut asked = local.authorize_afresh(&direct(BANK_USER, BANK_PASSWORD)).await;
    let request_id = asked.text("RequestId");
    let answering = |prompt: &Value, answers: Value| {
        let prompt = prompt.as_str().unwrap();
        json!({"RequestId": request_id, "SecurityResponses": {prompt: answers}})
    };
    for (right, choices) in [("Montreal", 0), ("Canada", 0), ("Triangle", 3)] {
        assert_eq!((asked.status, &asked.body["HttpStatusCode"]), (203, &json!(203)));
        let challenge = &asked.body["SecurityChallenges"][0];
        assert_eq!(challenge["Iterables"].as_array().map_or(0, Vec::len), choices);
        let prompt = challenge["Prompt"].clone();
        for (body, code) in [
            (answering(&prompt, json!(["wrong"])), "INVALID_SECURITY_RESPONSE"),
            (answering(&json!("Another?"), json!([right])), "QUESTION_NOT_FOUND"),
            (answering(&prompt, json!([])), "SECURITYRESPONSES_INCOMPLETE"),
        ] {
            assert_eq!(local.authorize_afresh(&body).await.code(), (401, code));
        }
        asked = local.authorize_afresh(&answering(&prompt, json!([right]))).await;
    }
    assert_eq!((asked.status, asked.text("RequestId")), (200, request_id.clone()));
    let over = local.authorize_afresh(&answering(&json!("x"), json!(["y"]))).await;
    assert_eq!(over.code(), (400, "SESSION_NONEXISTENT"));

    let asked = local.authorize_afresh(&direct(BANK_USER, BANK_PASSWORD)).await;
    local.advance(1800);
    let late = json!({"RequestId": asked.body["RequestId"], "SecurityResponses": {"x": ["y"]}});
    assert_eq!(local.authorize_afresh(&late).await.code(), (401, "SESSION_EXPIRED"));
}

#[tokio::test]
async fn c6_errors_are_told_apart_by_their_code() {
    let local = local().await;
    for (body, expected) in [
        (direct("nobody", BANK_PASSWORD), (401, "INVALID_USERNAME")),
        (direct(BANK_USER, "wrong"), (401, "INVALID_PASSWORD")),
        (direct(BANK_USER_DISABLED, BANK_PASSWORD), (401, "DISABLED_LOGIN")),
        (direct(BANK_USER_UNAVAILABLE, BANK_PASSWORD), (401, "RETRY_LATER")),
        (json!({"LoginId": "00000000-0000-4000-8000-000000000009"}), (401, "INVALID_LOGIN")),
        (json!({"LoginId": "your-login-id"}), (400, "INVALID_REQUEST")),
        (json!({"Institution": "Another", "Username": "a", "Password": "b"}), (400, "INVALID_REQUEST")),
        (json!({"Institution": BANK, "Username": BANK_USER}), (400, "INVALID_REQUEST")),
        (json!({"LoginId": CONNECT_LOGIN_ID, "Save": "true"}), (400, "INVALID_REQUEST")),
        (json!({"LoginId": CONNECT_LOGIN_ID, "Language": "de"}), (400, "INVALID_REQUEST")),
        (json!({"RequestId": CONNECT_LOGIN_ID}), (400, "INVALID_REQUEST")),
        (json!({}), (400, "INVALID_REQUEST")),
        (json!([]), (400, "INVALID_REQUEST")),
    ] {
        let answer = local.authorize_afresh(&body).await;
        assert_eq!(answer.code(), expected, "{body}");
        assert_eq!(answer.body["HttpStatusCode"], expected.0);
    }
    let details = local.authorize_afresh(&json!({"Save": 1, "Tag": 2})).await.body["ValidationDetails"].clone();
    assert_eq!(details.as_object().unwrap().keys().collect::<Vec<_>>(), ["Save", "Tag"]);
}

#[tokio::test]
async fn c6_validation_details_name_the_fields_and_no_value() {
    let local = local().await;
    let mine = CONNECT_LOGIN_ID;
    for (body, fields) in [
        (json!({"LoginId": "canary"}), vec!["LoginId"]),
        (json!({"LoginId": 7, "Save": "canary", "Language": "canary"}), vec!["Language", "LoginId", "Save"]),
        (json!({"LoginId": mine, "Institution": BANK}), vec!["Institution"]),
        (json!({"LoginId": mine, "Username": "canary", "Password": "canary"}), vec!["Password", "Username"]),
        (json!({"Institution": BANK, "Username": "canary"}), vec!["Password"]),
        (json!({"Institution": BANK, "Username": null, "Password": "canary"}), vec!["Username"]),
        (json!({"Institution": "canary", "Username": "a", "Password": "b"}), vec!["Institution"]),
        (json!({"Save": true}), vec!["Institution", "LoginId", "Password", "Username"]),
        (json!({}), vec!["Institution", "LoginId", "Password", "Username"]),
        (json!({"RequestId": mine}), vec!["SecurityResponses"]),
        (json!({"RequestId": mine, "SecurityResponses": null}), vec!["SecurityResponses"]),
        (json!({"SecurityResponses": {"canary": ["canary"]}}), vec!["RequestId"]),
        (json!({"RequestId": mine, "SecurityResponses": {"canary": null}}), vec!["SecurityResponses"]),
    ] {
        let refused = local.authorize_afresh(&body).await;
        assert_eq!(refused.code(), (400, "INVALID_REQUEST"), "{body}");
        let mut named: Vec<&String> = refused.body["ValidationDetails"].as_object().unwrap().keys().collect();
        named.sort();
        assert_eq!(named, fields, "{body}");
        assert!(!refused.body.to_string().contains("canary"), "{}", refused.body);
    }
    let twice = format!(r#"{{"LoginId": "{CONNECT_LOGIN_ID}", "LoginId": "{CONNECT_LOGIN_ID}"}}"#);
    let token = local.authorize_token().await;
    let request = local.connect("Authorize", &token).header("content-type", "application/json").body(twice);
    assert_eq!(ask(request).await.body["ValidationDetails"], json!({"LoginId": ["must occur once"]}));
}

#[tokio::test]
async fn c6_null_counts_as_absent() {
    let local = local().await;
    let nulls = json!({
        "LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true, "Save": null, "Language": null, "Tag": null,
        "Institution": null, "Username": null, "Password": null, "RequestId": null, "SecurityResponses": null,
    });
    assert_eq!(local.authorize_afresh(&nulls).await.status, 200);
    let mut login = direct(BANK_USER_NO_MFA, BANK_PASSWORD);
    login["LoginId"] = Value::Null;
    assert_eq!(local.authorize_afresh(&login).await.status, 200);
}

#[tokio::test]
async fn c5_c7_a_parameter_that_occurs_twice_is_named() {
    let local = local().await;
    for (path, name) in [
        ("/v2/?authorizeToken=canary&redirectUrl=canary&redirectUrl=x", "redirectUrl"),
        ("/v2/?authorizeToken=canary&authorizeToken=canary", "authorizeToken"),
        ("/v3/oauth/authorize?state=canary&state=canary", "state"),
        ("/api/v1/authorize?client_id=canary&client_id=canary", "client_id"),
    ] {
        let refused = ask(local.get(path)).await;
        assert_eq!(refused.status, 400, "{path}");
        let page = refused.body.as_str().unwrap();
        assert!(page.contains(&format!("{name} occurs twice.")), "{page}");
        assert!(!page.contains("canary"), "{page}");
    }
    let page = ask(local.get("/v2/?canary=1&canary=2")).await.body;
    assert!(!page.as_str().unwrap().contains("canary"), "{page}");
}

/// Whether a token is still good after `body` was sent with it.
async fn survives(local: &Local, token: &str, body: &Value) -> bool {
    ask(local.authorize(token, body)).await;
    let good = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
    ask(local.authorize(token, &good)).await.status == 200
}

#[tokio::test]
async fn switch_whether_a_failed_authorize_spends_its_token() {
    for spends in [true, false] {
        let local = local_with(|config| config.connect.failed_authorize_spends_token = spends).await;
        for failing in [direct(BANK_USER, "wrong"), json!({}), json!({"LoginId": "x"})] {
            assert_eq!(survives(&local, &local.authorize_token().await, &failing).await, !spends, "{failing}");
        }
        // A challenge is no failure.
        let asked = direct(BANK_USER, BANK_PASSWORD);
        assert!(!survives(&local, &local.authorize_token().await, &asked).await);
    }
}

#[tokio::test]
async fn switch_whether_an_mfa_answer_spends_a_token() {
    for spends in [true, false] {
        let local = local_with(|config| config.connect.mfa_answer_spends_token = spends).await;
        let first = local.authorize_token().await;
        let asked = ask(local.authorize(&first, &direct(BANK_USER, BANK_PASSWORD))).await.body;
        let prompt = asked["SecurityChallenges"][0]["Prompt"].as_str().unwrap();
        let answer = json!({"RequestId": asked["RequestId"], "SecurityResponses": {prompt: ["Montreal"]}});
        let with_first = ask(local.authorize(&first, &answer)).await;
        assert_eq!(with_first.status, if spends { 401 } else { 203 });

        let other = local.authorize_token().await;
        let prompt = "What is the best country?";
        let next = json!({"RequestId": asked["RequestId"], "SecurityResponses": {prompt: ["Canada"]}});
        let body = if spends { &answer } else { &next };
        assert_eq!(ask(local.authorize(&other, body)).await.status, 203);
        // A spent token that did not begin it is refused either way.
        let stranger = local.authorize_token().await;
        assert!(!survives(&local, &stranger, &json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true})).await);
        assert_eq!(ask(local.authorize(&stranger, &next)).await.code(), (401, "ACCESS_DENIED"));
        // The token that began the session is taken again, although another has answered meanwhile.
        let prompt = "What shape do you like?";
        let last = json!({"RequestId": asked["RequestId"], "SecurityResponses": {prompt: ["Triangle"]}});
        assert_eq!(ask(local.authorize(&first, &last)).await.status, if spends { 401 } else { 200 });
        let good = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
        assert_eq!(ask(local.authorize(&other, &good)).await.status == 200, !spends);
        assert_eq!(ask(local.authorize(&first, &good)).await.status, 401, "the first is spent either way");
    }
}

#[tokio::test]
async fn c7_custom_oauth_comes_back_with_a_login_id_and_the_state() {
    let local = local_with(|config| config.connect.end_user = EndUser::Agrees).await;
    let authorize = |name: &str, value: &str, uri: &str| {
        local.get("/v3/oauth/authorize").query(&[(name, value), ("redirect_uri", uri), ("state", "s &=é")])
    };
    let uri = "https://app.example/back?a=1";
    for (name, value) in [("institution_id", "14"), ("institution", "14"), ("institution", BANK)] {
        let back = ask(authorize(name, value, uri)).await;
        assert_eq!(
            (back.status, back.parameter("state").as_deref(), back.parameter("a").as_deref()),
            (302, Some("s &=é"), Some("1"))
        );
        let login = json!({"LoginId": back.parameter("loginId"), "MostRecentCached": false, "Save": true});
        assert_eq!(local.authorize_afresh(&login).await.status, 200);
    }
    let unknown = ask(authorize("institution_id", "15", uri)).await;
    assert_eq!((unknown.parameter("error").as_deref(), unknown.parameter("loginId")), (Some("invalid_request"), None));
    for uri in ["", "/back", "javascript:1", "https://u@app.example/", "https://app.example/#"] {
        assert_eq!(ask(authorize("institution_id", "14", uri)).await.status, 400, "{uri}");
    }

    local.emulator.configure(|config| config.connect.end_user = EndUser::Refuses);
    let refused = ask(authorize("institution_id", "14", uri)).await;
    assert_eq!(
        (refused.parameter("error").as_deref(), refused.parameter("state").as_deref()),
        (Some("access_denied"), Some("s &=é"))
    );
    assert!(refused.parameter("error_description").is_some());
}

#[tokio::test]
async fn c7_the_end_user_is_asked_on_the_banks_page() {
    let local = local().await;
    let start = async || {
        let query = [("institution_id", "14"), ("redirect_uri", "https://app.example/back"), ("state", "s")];
        let away = ask(local.get("/v3/oauth/authorize").query(&query)).await;
        assert_eq!(away.status, 302);
        away.location.unwrap()
    };
    let address = start().await;
    let page = ask(local.get(&address)).await.body;
    assert_eq!(action(&page), address);
    let refused = submit(&local, &page, &[("username", BANK_USER), ("password", "wrong")]).await;
    assert_eq!(attribute(&refused, "role").as_deref(), Some("alert"));
    let back = ask(local.post(&address).form(&[("username", BANK_USER), ("password", BANK_PASSWORD)])).await;
    assert_eq!((back.status, back.parameter("state").as_deref()), (303, Some("s")));
    // The bank has asked its questions itself.
    let live = json!({"LoginId": back.parameter("loginId"), "MostRecentCached": false, "Save": true});
    assert_eq!(local.authorize_afresh(&live).await.status, 200);

    let cancelled = ask(local.post(&start().await).form(&[("cancel", "true")])).await;
    assert_eq!(cancelled.status, 303);
    assert_eq!(cancelled.parameter("error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn c7_back_and_reload_of_the_banks_page_repeat_nothing() {
    let local = local().await;
    let query = [("institution_id", "14"), ("redirect_uri", "https://app.example/back"), ("state", "s")];
    let address = ask(local.get("/v3/oauth/authorize").query(&query)).await.location.unwrap();
    let page = ask(local.get(&address)).await.body;
    assert_eq!(ask(local.get(&address)).await.body, page, "a reload shows the same");
    let step = step(&page);
    let login = [("step", &*step), ("username", BANK_USER), ("password", BANK_PASSWORD)];
    let back = ask(local.post(&address).form(&login)).await;
    let landing = back.location.unwrap();
    local.decision_stands(&address, &landing, [&login, &[("step", &*step), ("cancel", "true")]]).await;
}

#[tokio::test]
async fn c7_only_whitelisted_origins_are_redirected_to() {
    let allowed = |config: &mut flinks_emulator::Config| {
        config.connect.redirect_origins = vec!["https://app.example".to_owned(), "http://127.0.0.1:8080/".to_owned()];
        config.connect.end_user = EndUser::Agrees;
    };
    let local = local_with(allowed).await;
    for (url, status) in [
        ("https://app.example/x", 302),
        ("https://APP.example:443/", 302),
        ("http://127.0.0.1:8080/", 302),
        ("https://app.example:444/", 400),
        ("http://app.example/", 400),
        ("https://app.example.evil.com/", 400),
    ] {
        let query = [("institution_id", "14"), ("redirect_uri", url)];
        assert_eq!(ask(local.get("/v3/oauth/authorize").query(&query)).await.status, status, "{url}");
        let token = local.authorize_token().await;
        let page = local.get("/v2/").query(&[("authorizeToken", &*token), ("redirectUrl", url)]);
        assert_eq!(ask(page).await.status, if status == 302 { 200 } else { 400 }, "{url}");
    }
}
