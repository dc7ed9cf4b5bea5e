//! What each operation sends: method, path, every header, body, as a TCP listener receives it.

use flinks_connect::types::{AuthorizeToken, Language, SecretKey};
use flinks_pay::Secret;
use {flinks_connect as connect, flinks_outbound as outbound, flinks_pay as pay};

use crate::raw::Raw;

const CUSTOMER_ID: &str = "00000000-0000-4000-8000-000000000001";

/// The text of the one request that arrived, line by line.
fn only_request(server: &Raw) -> String {
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.concat().replace("\r\n", "\n")
}

/// Header names are in the request once each, but for those that a test looks at by itself.
fn count(request: &str, header: &str) -> usize {
    let (head, _) = request.split_once("\n\n").unwrap();
    head.lines().filter(|line| line.to_ascii_lowercase().starts_with(&format!("{header}:"))).count()
}

#[tokio::test]
async fn p1_pay_authorize() {
    let server = Raw::replying("200 OK", "application/json", r#"{"access_token":"t"}"#).await;
    let client = pay::Client::new(server.base_url.parse().unwrap()).unwrap();
    let body = pay::types::AuthorizeRequest::new(
        pay::types::GrantType::ClientCredentials,
        "user & name",
        Secret::new("& = + % é \u{1f511}"),
    );
    client.authorize(&body).send().await.unwrap();
    let request = only_request(&server);
    insta::assert_snapshot!("pay_authorize", request);

    let (_, form) = request.split_once("\n\n").unwrap();
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let field =
        |name: &str| fields.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect();
    let (username, password): (Vec<_>, Vec<_>) = (field("Username"), field("Password"));
    assert_eq!((username, password), (vec!["user & name"], vec!["& = + % é \u{1f511}"]));
    assert_eq!(fields.len(), 3);
}

#[tokio::test]
async fn p8_pay_initiate_session() {
    let server = Raw::replying("200 OK", "application/json", r#"{"sessionId":"s","referenceId":"r-1"}"#).await;
    let client = pay::Client::new(server.base_url.parse().unwrap()).unwrap();
    let body = pay::types::SessionRequest::new("r-1", 10.5, "Ada", "ada@example.com");
    let token = flinks_core::Authorization::bearer(&Secret::new("t"));
    let reply = client.initiate_session(&token, &body).send().await.unwrap();
    assert_eq!((reply.session_id.expose_secret(), reply.reference_id.as_deref()), ("s", Some("r-1")));
    insta::assert_snapshot!("pay_initiate_session", only_request(&server));
}

#[tokio::test]
async fn c1_t02_t03_connect_generate_authorize_token() {
    let server = Raw::replying("200 OK", "application/json", r#"{"HttpStatusCode":200,"Token":"t"}"#).await;
    let client = connect::Client::new(server.base_url.parse().unwrap()).unwrap();
    let customer_id = CUSTOMER_ID.parse().unwrap();
    client.generate_authorize_token(&customer_id, &SecretKey::new("the-secret-key")).send().await.unwrap();
    let request = only_request(&server);
    insta::assert_snapshot!("connect_generate_authorize_token", request);
    for (header, times) in [("content-type", 1), ("accept", 1), ("flinks-auth-key", 1), ("api-version", 0)] {
        assert_eq!(count(&request, header), times, "{header}");
    }
}

#[tokio::test]
async fn c6_connect_authorize() {
    let server = Raw::replying("200 OK", "application/json", "{}").await;
    let client = connect::Client::new(server.base_url.parse().unwrap()).unwrap();
    let customer_id = CUSTOMER_ID.parse().unwrap();
    let token = AuthorizeToken::new("the-authorize-token");
    let body = connect::types::AuthorizeRequest::new()
        .institution("FlinksCapital")
        .language(Language::Fr)
        .login_id("the-login-id")
        .most_recent_cached(false)
        .password("the-password")
        .request_id("the-request-id")
        .save(true)
        .security_responses([("Best country?".to_owned(), vec![Secret::new("Canada")])])
        .tag("tag")
        .username("the-username");
    client.authorize(&customer_id, &token, &body).send().await.unwrap();
    insta::assert_snapshot!("connect_authorize", only_request(&server));
}

#[tokio::test]
async fn o1_o2_outbound_token() {
    let server = Raw::replying("200 OK", "application/json", r#"{"access_token":"t"}"#).await;
    let client = outbound::Client::new(server.base_url.parse().unwrap()).unwrap();
    let body = outbound::types::TokenRequest::new(outbound::types::GrantType::AuthorizationCode)
        .client_id("dc-id")
        .client_secret("the-client-secret")
        .code("the-code")
        .redirect_uri("https://app.example/callback");
    client.token(&body).send().await.unwrap();
    insta::assert_snapshot!("outbound_token_code", only_request(&server));

    let server = Raw::replying("200 OK", "application/json", r#"{"access_token":"t"}"#).await;
    let client = outbound::Client::new(server.base_url.parse().unwrap()).unwrap();
    let body =
        outbound::types::TokenRequest::new(outbound::types::GrantType::RefreshToken).refresh_token("the-refresh");
    let basic = outbound::Authorization::basic("dc-id", &Secret::new("the-client-secret"));
    client.token(&body).authorization(&basic).send().await.unwrap();
    insta::assert_snapshot!("outbound_token_refresh_basic", only_request(&server));
}

#[tokio::test]
async fn o9_a_marker_changes_no_byte() {
    let token = outbound::types::TokenRequest::new(outbound::types::GrantType::AuthorizationCode).code("the-code");
    let authorization = outbound::Authorization::bearer(&Secret::new("t"));
    let mut sent = Vec::new();
    for is_marked in [false, true] {
        let server = Raw::replying("200 OK", "application/json", r#"{"access_token":"t"}"#).await;
        let mut transport = outbound::Transport::new(server.base_url.parse().unwrap()).unwrap();
        let markers = [(); 2].map(|()| flinks_core::SendMarker::new());
        for (index, marker) in markers.iter().enumerate() {
            if is_marked {
                transport = transport.with_marker(marker.clone());
            }
            let client = outbound::Client::with_transport(transport.clone());
            if index == 0 {
                client.token(&token).send().await.unwrap();
            } else {
                let _ = client.revoke(&authorization).send().await;
            }
            assert_eq!(marker.abandon(), !is_marked, "a request that was received cannot be abandoned");
        }
        sent.push(server.requests());
    }
    assert_eq!(sent[0], sent[1]);
    assert_eq!(sent[0].len(), 2);
}

#[tokio::test]
async fn o9_a_call_that_was_abandoned_sends_nothing() {
    let server = Raw::replying("200 OK", "application/json", r#"{"access_token":"t"}"#).await;
    let marker = flinks_core::SendMarker::new();
    assert!(marker.abandon());
    let transport = outbound::Transport::new(server.base_url.parse().unwrap()).unwrap().with_marker(marker);
    let client = outbound::Client::with_transport(transport);
    let token = outbound::types::TokenRequest::new(outbound::types::GrantType::AuthorizationCode).code("the-code");
    assert!(client.token(&token).send().await.is_err());
    assert!(client.revoke(&outbound::Authorization::bearer(&Secret::new("t"))).send().await.is_err());
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn o10_outbound_revoke() {
    let server = Raw::replying("204 No Content", "text/plain", "").await;
    let client = outbound::Client::new(server.base_url.parse().unwrap()).unwrap();
    client.revoke(&flinks_core::Authorization::bearer(&Secret::new("t"))).send().await.unwrap();
    insta::assert_snapshot!("outbound_revoke", only_request(&server));
}

#[tokio::test]
async fn a_path_prefix_and_a_trailing_slash_are_kept_apart() {
    let server = Raw::replying("200 OK", "application/json", r#"{"Token":"t"}"#).await;
    for (suffix, path) in [("/", "/v3/"), ("/flinks/", "/flinks/v3/")] {
        let client = connect::Client::new(format!("{}{suffix}", server.base_url).parse().unwrap()).unwrap();
        let customer_id = CUSTOMER_ID.parse().unwrap();
        client.generate_authorize_token(&customer_id, &SecretKey::new("k")).send().await.unwrap();
        let request = server.requests().pop().unwrap();
        assert!(request.starts_with(&format!("POST {path}{CUSTOMER_ID}/BankingServices/")), "{request}");
    }
}
