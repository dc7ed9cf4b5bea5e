//! Tests for the dashboard over HTTP: its pages, its events and access to it.

use std::time::Duration;

use flinks_emulator::credentials::*;
use flinks_emulator::{Fault, Kind, Operation, When};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::page::{action, attribute};
use crate::{Local, client, local, local_with, send};

/// A value that the emulator does not know, like a real credential that was sent by mistake.
const CANARY: &str = "canary0sk1live2";

impl Local {
    async fn ui(&self, page: &str) -> String {
        let response = self.get(&format!("/__emulator/ui{page}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{page}");
        response.text().await.unwrap()
    }
}

/// The events of an open dashboard.
struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn open(local: &Local, query: &str) -> Self {
        let response = local.get(&format!("/__emulator/ui/events{query}")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// Returns the next event.
    async fn next(&mut self) -> Value {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.strip_prefix("data: ").map(|data| serde_json::from_str(data).unwrap());
                self.text = rest.to_owned();
                match event {
                    Some(event) => return event,
                    None => continue,
                }
            }
            let chunk = self.response.chunk().await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Returns the first event that `is_wanted` accepts.
    async fn next_with(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let search = async {
            loop {
                let event = self.next().await;
                if is_wanted(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), search).await.unwrap()
    }
}

fn has(event: &Value, field: &str, text: &str) -> bool {
    event[field].as_str().is_some_and(|found| found.contains(text))
}

#[tokio::test]
async fn the_dashboard_forbids_everything_from_elsewhere() {
    let local = local().await;
    send(local.pay_authorize()).await;
    for page in ["", "/", "/requests/1", "/requests/99", "/nothing"] {
        let response = local.get(&format!("/__emulator/ui{page}")).send().await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        assert!(header("content-security-policy").starts_with("default-src 'self';"), "{page}");
        assert_eq!(response.headers().get_all("content-security-policy").iter().count(), 1);
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "no-referrer");
        let expected = if ["/requests/99", "/nothing"].contains(&page) { 404 } else { 200 };
        assert_eq!(response.status(), expected, "{page}");
        let text = response.text().await.unwrap();
        for inline in ["<style", " style=", " onclick=", "//cdn", "https://fonts", "data:,"] {
            assert!(!text.contains(inline), "{page}: {inline}");
        }
        assert_eq!(text.matches("<script").count(), 1, "{page}");
    }
    for (asset, media_type) in
        [("style.css", "text/css"), ("script.js", "text/javascript"), ("icon.svg", "image/svg+xml")]
    {
        let response = local.get(&format!("/__emulator/ui/{asset}")).send().await.unwrap();
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(media_type), "{asset}");
    }
    assert_eq!(send(local.post("/__emulator/ui")).await.status, 405);
    assert_eq!(local.emulator.requests().len(), 1, "requests for the dashboard are not recorded");
}

#[tokio::test]
async fn a_request_page_shows_the_request_its_response_and_its_effects() {
    let local = local().await;
    let token = local.session_token().await;
    send(local.initiate_session(&token)).await;
    let page = local.ui("/requests/2").await;
    for text in [
        "<h1>Request 2</h1>",
        "POST /api/v1/sessions/initiate",
        "<dt>Spent</dt><dd>session token from request 1</dd>",
        "<mark class=\"known\">session token from request 1</mark>",
        "200 OK",
        "<mark class=\"known\">sessionId</mark>",
        "pay.initiate_session",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("emu_"), "{page}");
    assert!(!page.contains("a@example.com"), "{page}");
    let revealed = local.ui("/requests/2?reveal=true").await;
    assert!(revealed.contains(&token), "{revealed}");
    assert!(!revealed.contains("a@example.com"), "{revealed}");
    let issuing = local.ui("/requests/1").await;
    assert!(issuing.contains("<dt>Issued</dt><dd>session token from request 1</dd>"), "{issuing}");
    assert!(issuing.contains("Password=<mark class=\"known\">pay.password</mark>"), "{issuing}");
}

#[tokio::test]
async fn an_unknown_value_is_on_no_page_and_in_no_event() {
    let local = local().await;
    let mut events = Events::open(&local, "?reveal=true").await;
    let form = "application/x-www-form-urlencoded";
    for request in [
        local.get(&format!("/{CANARY}")),
        local.get(&format!("/v3/{CANARY}/BankingServices/Authorize?{CANARY}={CANARY}&scope={CANARY}")),
        local.connect("GenerateAuthorizeToken", CANARY).header("content-type", "application/json"),
        local.get("/api/fdx/5/accounts").bearer_auth(CANARY),
        local.post("/api/v1/token").basic_auth(OUTBOUND_CLIENT_ID, Some(CANARY)).json(&json!({CANARY: CANARY})),
        local.post("/api/v1/token").header("cookie", format!("a={CANARY}")).header("x-api-key", CANARY).body(CANARY),
        local.post("/api/v1/authorize").header("content-type", form).body(CANARY),
        local.request(Method::from_bytes(CANARY.as_bytes()).unwrap(), "/api/v1/token"),
        local.initiate_session(&local.session_token().await).json(&json!({
            "referenceId": CANARY, "amount": 1, "customerName": CANARY, "customerEmail": CANARY,
        })),
        local.get("/v3/oauth/authorize").query(&[
            ("institution_id", "x"),
            ("redirect_uri", &format!("https://app.example/?key={CANARY}")),
            ("state", CANARY),
        ]),
    ] {
        send(request).await;
    }
    local.emulator.fail_next(Operation::PayAuthorize, Fault::reply(500, CANARY));
    send(local.pay_authorize()).await;
    let newest = local.emulator.requests().last().unwrap().number;
    let row = format!("id=\"r{newest}\"");
    let mut pages = vec![events.next_with(|event| has(event, "rows", &row)).await.to_string()];
    for query in ["", "?reveal=true", "?failures=true&operation=outbound.token"] {
        pages.push(local.ui(query).await);
        for number in 1..=newest {
            pages.push(local.ui(&format!("/requests/{number}{query}")).await);
        }
    }
    for page in pages {
        assert!(!page.contains(CANARY), "{page}");
    }
    assert_eq!(local.emulator.count_carrying(CANARY), 9, "the library keeps the requests as they were");
}

#[tokio::test]
async fn hidden_unknown_values_are_not_kept_in_the_ledger() {
    let local = local().await;
    local.emulator.hide_unknown_values();
    let token = local.session_token().await;
    send(local.connect("GenerateAuthorizeToken", CANARY).header("content-type", "application/json")).await;
    let body = json!({"referenceId": CANARY, "amount": 1, "customerName": CANARY, "customerEmail": CANARY});
    let session = send(local.post("/api/v1/sessions/initiate").bearer_auth(&token).json(&body)).await;
    assert_eq!(session.body["referenceId"], CANARY, "the rules see the whole request");
    let kept = send(local.get("/__emulator/requests")).await.body.to_string();
    assert!(!kept.contains(CANARY), "{kept}");
    assert!(kept.contains("[hidden "), "{kept}");
    assert_eq!(local.emulator.count_carrying(&token), 1, "known values are kept");
    assert_eq!(local.emulator.count_carrying(PAY_PASSWORD), 1);
    let page = local.ui("/requests/3?reveal=true").await;
    assert!(page.contains(&token), "{page}");
    assert!(!page.contains(CANARY), "{page}");
}

#[tokio::test]
async fn hostile_values_are_shown_as_text() {
    let local = local().await;
    let script = "<script>alert(1)</script>\"'&";
    let long = format!("<img src=x onerror=alert(1)>{}", "x".repeat(55_000));
    let url = format!("/{script}?{script}={script}&scope={script}&redirectUrl={script}");
    for value in [script, &long, "\u{202e}gpj.exe", "a\tb"] {
        let request = local.get(&url).header("user-agent", value.as_bytes()).header("accept-language", script);
        send(request.header("x-!b", script)).await;
        send(local.post("/api/v1/token").header("content-type", script).json(&json!({value: value, "scope": value})))
            .await;
        send(local.post("/api/v1/authorize").form(&[(value, value), ("grant_type", value)])).await;
    }
    let number = local.emulator.requests().last().unwrap().number;
    let mut pages = vec![local.ui("").await, local.ui("?reveal=true").await];
    for number in 1..=number {
        pages.push(local.ui(&format!("/requests/{number}?reveal=true")).await);
    }
    for page in &pages {
        assert_eq!(page.matches("<script").count(), 1, "{page}");
        assert!(!page.contains("<img"), "{page}");
        assert!(!page.contains('\u{202e}'), "{page}");
        assert!(page.len() < 200_000, "{}", page.len());
    }
    let all = pages.concat();
    assert!(all.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(all.contains("&lt;img src=x onerror=alert(1)&gt;"));
    assert!(all.contains("\\u{202e}gpj.exe"));
    assert!(all.contains("more characters)"));
    let hostile_query = local.ui(&format!("?operation={script}&before={script}&reveal={script}")).await;
    assert_eq!(hostile_query.matches("<script").count(), 1, "{hostile_query}");
}

#[tokio::test]
async fn a_request_appears_as_it_arrives_and_again_with_its_outcome() {
    let local = local().await;
    let mut events = Events::open(&local, "").await;
    let first = events.next().await;
    assert!(has(&first, "panels", "0 received"), "{first}");
    local.emulator.fail_next(Operation::PayAuthorize, Fault::Hold { when: When::Before });
    let held = tokio::spawn(local.pay_authorize().send());
    let arrived = events.next_with(|event| has(event, "rows", "id=\"r1\"")).await;
    assert!(has(&arrived, "rows", "In progress"), "{arrived}");
    assert!(has(&arrived, "rows", "hold"), "{arrived}");
    local.emulator.release();
    let completed = events.next_with(|event| has(event, "rows", "id=\"r1\"")).await;
    assert!(has(&completed, "rows", "status good\">200<"), "{completed}");
    assert_eq!(held.await.unwrap().unwrap().status(), 200);

    // A request without a response, and requests that the view excludes.
    let mut failures = Events::open(&local, "?failures=true&operation=pay.authorize").await;
    local.emulator.fail_next(Operation::PayAuthorize, Fault::Reset { when: When::After });
    assert!(local.pay_authorize().send().await.is_err());
    send(local.get("/nothing")).await;
    let failed = failures.next_with(|event| has(event, "rows", "id=\"r2\"")).await;
    assert!(!has(&failed, "rows", "id=\"r1\""), "{failed}");
    assert!(has(&failed, "rows", "without a response"), "{failed}");
    let page = local.ui("?failures=true&operation=pay.authorize").await;
    assert!(page.contains("id=\"r2\""), "{page}");
    assert!(!page.contains("id=\"r1\"") && !page.contains("id=\"r3\""), "{page}");

    local.emulator.reset();
    events.next_with(|event| event["reload"] == true).await;
}

#[tokio::test]
async fn the_panels_follow_the_clock_the_faults_and_the_visits() {
    let local = local().await;
    let mut events = Events::open(&local, "").await;
    events.next().await;
    local.advance(60);
    let moved = events.next_with(|event| has(event, "panels", "id=\"time\"")).await;
    assert!(has(&moved, "panels", &format!("data-now=\"{}", local.emulator.now().as_secs())), "{moved}");
    local.emulator.fail_times(Operation::OutboundToken, Fault::Reset { when: When::After }, 2);
    let armed = events.next_with(|event| has(event, "panels", "id=\"armed\"")).await;
    assert!(has(&armed, "panels", "reset after processing</span> <strong>2</strong> more requests"), "{armed}");
    assert!(local.refresh(OUTBOUND_REFRESH_TOKEN).send().await.is_err());
    let used = events.next_with(|event| has(event, "panels", "id=\"armed\"")).await;
    assert!(has(&used, "panels", "<strong>1</strong> more request<"), "{used}");
    let query = [
        ("client_id", OUTBOUND_CLIENT_ID),
        ("redirect_uri", OUTBOUND_REDIRECT_URI),
        ("response_type", "code"),
        ("scope", "ACCOUNT_BASIC"),
        ("provider_id", OUTBOUND_PROVIDER_ID),
    ];
    let page = send(local.get("/api/v1/authorize").query(&query)).await;
    let address = action(&page.body);
    let visit = events.next_with(|event| has(event, "panels", "id=\"end-user\"")).await;
    assert!(has(&visit, "panels", &format!("data-page=\"{address}\" data-form=\"decision=agree\"")), "{visit}");
    let listed = send(local.get("/__emulator/visits")).await.body;
    assert_eq!(
        listed,
        json!({"visits": [{"page": "consent", "address": address, "step": "decision", "question": null}]})
    );
    send(local.post(&address).form(&[("decision", "agree")])).await;
    let listed = send(local.get("/__emulator/visits")).await.body;
    assert_eq!(listed["visits"][0]["step"], "complete");
}

#[tokio::test]
async fn a_token_is_a_line_from_its_issue_to_its_end() {
    let local = local().await;
    let token = local.session_token().await;
    let line = |page: String, name: &str| {
        let (_, line) = page.split_once(&format!("<strong>{name}</strong>")).unwrap();
        line.split("</ol>").next().unwrap().to_owned()
    };
    let valid = line(local.ui("").await, "session token");
    assert!(valid.contains(">valid<"), "{valid}");
    assert!(valid.contains("issued <time>"), "{valid}");
    assert!(valid.contains("/__emulator/ui/requests/1\">by request 1<"), "{valid}");
    send(local.initiate_session(&token)).await;
    let spent = line(local.ui("").await, "session token");
    assert!(spent.contains(">spent<") && spent.contains("by request 2"), "{spent}");
    let other = local.session_token().await;
    local.advance(299);
    let expired = line(local.ui("").await, "session token");
    assert!(expired.contains(">expired<") && expired.contains("by request 3"), "{expired}");
    assert!(!local.ui("").await.contains(&other));
    assert!(local.ui("?reveal=true").await.contains(&other));

    let access_token = send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token");
    let subject = local.emulator.find(OUTBOUND_REFRESH_TOKEN).unwrap().subject.unwrap();
    assert!(local.ui("").await.contains(&format!("id=\"revoke-{subject}\"")));
    let revoke = |subject: &str| send(local.post("/__emulator/revoke").json(&json!({"subject": subject})));
    assert_eq!(revoke("nobody").await.status, 400);
    assert_eq!(revoke(&subject).await.status, 200);
    let revoked = line(local.ui("").await, "refresh token");
    assert!(revoked.contains(">revoked<") && revoked.contains("without a request"), "{revoked}");
    assert!(!local.ui("").await.contains(&format!("id=\"revoke-{subject}\"")));
    assert_eq!(send(local.accounts(&access_token)).await.status, 401);
    assert_eq!(send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.status, 400);
    assert_eq!(local.emulator.find(OUTBOUND_REFRESH_TOKEN).unwrap().revoked.unwrap().by, 0);
    assert!(!local.emulator.revoke_connection("nobody"));
}

#[tokio::test]
async fn the_dashboard_survives_ten_thousand_requests() {
    let local = local_with(|config| config.limits.requests = 10_000).await;
    let mut events = Events::open(&local, "").await;
    let base_url = local.emulator.base_url().to_owned();
    let senders = (0..8).map(|_| {
        let http = client();
        let url = format!("{base_url}/api/fdx/5/accounts");
        tokio::spawn(async move {
            for _ in 0..1_300 {
                assert_eq!(http.get(&url).send().await.unwrap().status(), 401);
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    assert_eq!(local.emulator.requests().len(), 10_000);
    let last = events.next_with(|event| has(event, "rows", "id=\"r10400\"")).await;
    assert!(last["rows"].as_str().unwrap().matches("<li").count() <= 200, "{last}");
    let page = local.ui("").await;
    assert_eq!(page.matches("<li id=\"r").count(), 100);
    assert!(page.len() < 150_000, "{}", page.len());
    assert!(page.contains("10400 received"), "{page}");
    let older = attribute(&page.split_once("id=\"older\"").unwrap().1.into(), "href").unwrap();
    assert_eq!(older, "/__emulator/ui?before=10301");
    let oldest = local.ui("?before=420").await;
    assert!(oldest.contains("id=\"r401\"") && !oldest.contains("id=\"r420\""), "{oldest}");
    assert!(!oldest.contains("id=\"older\""), "{oldest}");
}

#[tokio::test]
async fn foreign_hosts_and_origins_cannot_see_the_dashboard() {
    let local = local().await;
    send(local.pay_authorize()).await;
    for (name, value) in
        [("host", "evil.example"), ("host", "127.0.0.1.evil.example"), ("origin", "http://evil.example")]
    {
        for page in ["", "/events", "/requests/1"] {
            let response = send(local.get(&format!("/__emulator/ui{page}")).header(name, value)).await;
            assert_eq!(response.status, 403, "{name}: {value}");
            let text = response.body.as_str().unwrap();
            assert!(text.contains("--allow-host"), "{text}");
            assert!(!text.contains("pay.authorize"), "{text}");
        }
        let sign_in = send(local.post("/__emulator/ui/session").header(name, value).body("x")).await;
        assert_eq!(sign_in.status, 403);
    }
}

#[tokio::test]
async fn an_allowed_host_needs_the_token() {
    let local = local().await;
    assert_eq!(local.emulator.dashboard_url(), format!("{}/__emulator/ui", local.emulator.base_url()));
    local.emulator.allow_host("emulator.test");
    let url = local.emulator.dashboard_url();
    let (address, token) = url.split_once("#token=").unwrap();
    assert_eq!(address, format!("{}/__emulator/ui", local.emulator.base_url()));
    assert_eq!(token.len(), 32);
    let get = |path: &str| local.get(path).header("host", "emulator.test:8080");
    let sign_in = |text: String| local.post("/__emulator/ui/session").header("host", "emulator.test:8080").body(text);

    let page = send(get("/__emulator/ui")).await;
    assert_eq!(page.status, 401);
    let page = page.body.as_str().unwrap();
    assert!(page.contains("id=\"sign-in\""), "{page}");
    assert!(!page.contains("Tokens and consents"), "{page}");
    for path in ["/__emulator/tokens", "/__emulator/config"] {
        assert_eq!(send(get(path)).await.status, 403, "{path}");
    }
    let refused = send(sign_in("wrong".to_owned())).await;
    assert_eq!(refused.status, 403);
    let response = sign_in(token.to_owned()).send().await.unwrap();
    assert_eq!(response.status(), 204);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    for path in ["/__emulator/ui", "/__emulator/tokens"] {
        assert_eq!(send(get(path).header("cookie", cookie)).await.status, 200, "{path}");
        assert_eq!(send(get(path).bearer_auth(token)).await.status, 200, "{path}");
        assert_eq!(send(get(path).header("cookie", cookie).header("origin", "http://evil.example")).await.status, 403);
    }
    // Requests from this machine to a loopback name need no token.
    assert_eq!(send(local.get("/__emulator/ui")).await.status, 200);
}

/// A customer id that is not the default.
const CUSTOMER_ID: &str = "7d3c1f7e-90ab-4cde-8f01-23456789abcd";

#[tokio::test]
async fn a_configured_credential_is_on_the_page_only_if_it_is_revealed() {
    let local = local_with(|config| {
        config.connect.secret_key = CANARY.to_owned();
        config.connect.customer_id = CUSTOMER_ID.to_owned();
        config.pay.password = format!("{CANARY} '");
    })
    .await;
    let post = |operation: &str| local.post(&format!("/v3/{CUSTOMER_ID}/BankingServices/{operation}"));
    let generate = post("GenerateAuthorizeToken").header("flinks-auth-key", CANARY);
    let token = send(generate.header("content-type", "application/json")).await.text("Token");
    // The response contains a link with the customer id.
    let by_login = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
    let authorized = send(post("Authorize").header("flinks-auth-key", &token).json(&by_login)).await;
    assert!(authorized.body.to_string().contains(CUSTOMER_ID), "{}", authorized.body);
    for (page, secret) in [("", CANARY), ("/requests/1", CANARY), ("/requests/2", CUSTOMER_ID)] {
        let hidden = local.ui(page).await;
        assert!(!hidden.contains(secret), "{hidden}");
        assert!(local.ui(&format!("{page}?reveal=true")).await.contains(secret), "{page}");
    }
    assert!(local.ui("/requests/1").await.contains("connect.secret_key"));
    assert_eq!(local.emulator.issued().iter().filter(|issued| issued.kind == Kind::AuthorizeToken).count(), 1);
}

#[tokio::test]
async fn the_page_offers_a_command_for_each_endpoint() {
    let local = local().await;
    let page = local.ui("").await.replace("&quot;", "\"").replace("&amp;", "&");
    for line in local.emulator.guide().lines().map(str::trim).filter(|line| line.starts_with("curl ")) {
        assert!(page.contains(&format!(">{line}</pre>")), "{line}: {page}");
    }
    for line in ["FLINKS_PAY_USERNAME=emulator-user\n", "FLINKS_PAY_PASSWORD='emulator & = + % é password'\n"] {
        assert!(page.contains(line), "{line}: {page}");
    }
}
