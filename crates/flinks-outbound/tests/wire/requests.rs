//! Tests each operation's request: its method, path, headers and body. Also tests that a call sends
//! no request if its [`SendMarker`] has been abandoned.

use flinks_core::{Authorization, SendMarker};
use flinks_outbound::types::{GrantType, TokenRequest};
use flinks_outbound::{Client, Secret, Transport};

use crate::client;
use crate::raw_server::RawServer;

const TOKEN: &str = r#"{"access_token":"t"}"#;

fn transport(server: &RawServer) -> Transport {
    Transport::new(server.base_url.parse().unwrap()).unwrap()
}

#[tokio::test]
async fn o1_o2_a_code_is_sent_with_the_client_secret_in_the_body() {
    let server = RawServer::responding("200 OK", "application/json", TOKEN).await;
    let body = TokenRequest::new(GrantType::AuthorizationCode)
        .client_id("dc-id")
        .client_secret("the-client-secret")
        .code("the-code")
        .redirect_uri("https://app.example/callback");
    client(&server).token(&body).send().await.unwrap();
    assert_eq!(
        server.only_request(),
        "\
POST /api/v1/token HTTP/1.1
accept: application/json
content-type: application/json
user-agent: flinks-rust/0.1.0
host: [host]
content-length: 155

{\"client_id\":\"dc-id\",\"client_secret\":\"the-client-secret\",\"code\":\"the-code\",\
\"grant_type\":\"authorization_code\",\"redirect_uri\":\"https://app.example/callback\"}"
    );
}

#[tokio::test]
async fn o1_o2_a_refresh_token_is_sent_with_http_basic() {
    let server = RawServer::responding("200 OK", "application/json", TOKEN).await;
    let body = TokenRequest::new(GrantType::RefreshToken).refresh_token("the-refresh");
    let basic = Authorization::basic("dc-id", &Secret::new("the-client-secret"));
    client(&server).token(&body).authorization(&basic).send().await.unwrap();
    assert_eq!(
        server.only_request(),
        "\
POST /api/v1/token HTTP/1.1
accept: application/json
content-type: application/json
user-agent: flinks-rust/0.1.0
host: [host]
authorization: Basic ZGMtaWQ6dGhlLWNsaWVudC1zZWNyZXQ=
content-length: 60

{\"grant_type\":\"refresh_token\",\"refresh_token\":\"the-refresh\"}"
    );
}

#[tokio::test]
async fn o10_revoke_sends_the_bearer_token() {
    let server = RawServer::responding("204 No Content", "text/plain", "").await;
    client(&server).revoke(&Authorization::bearer(&Secret::new("t"))).send().await.unwrap();
    assert_eq!(
        server.only_request(),
        "\
DELETE /api/v1/revoke HTTP/1.1
accept: application/json
user-agent: flinks-rust/0.1.0
host: [host]
authorization: Bearer t

"
    );
}

/// Sends a code exchange and a revocation. Returns both requests as the server received them.
async fn send_both(server: &RawServer, token: Transport, revoke: Transport) -> Vec<String> {
    let body = TokenRequest::new(GrantType::AuthorizationCode).code("the-code");
    Client::with_transport(token).token(&body).send().await.unwrap();
    let authorization = Authorization::bearer(&Secret::new("t"));
    let _ = Client::with_transport(revoke).revoke(&authorization).send().await;
    server.requests()
}

#[tokio::test]
async fn o9_a_send_marker_does_not_change_the_request() {
    let server = RawServer::responding("200 OK", "application/json", TOKEN).await;
    let plain = send_both(&server, transport(&server), transport(&server)).await;
    assert_eq!(plain.len(), 2);

    let server = RawServer::responding("200 OK", "application/json", TOKEN).await;
    let token = SendMarker::new();
    let revoke = SendMarker::new();
    let marked = |marker: &SendMarker| transport(&server).with_marker(marker.clone());
    assert_eq!(send_both(&server, marked(&token), marked(&revoke)).await, plain);
    assert!(!token.abandon(), "a request that the server has received cannot be abandoned");
    assert!(!revoke.abandon(), "a received request without a body cannot be abandoned either");
}

#[tokio::test]
async fn o9_an_abandoned_call_sends_nothing() {
    let server = RawServer::responding("200 OK", "application/json", TOKEN).await;
    let marker = SendMarker::new();
    assert!(marker.abandon());
    let client = Client::with_transport(transport(&server).with_marker(marker));
    let token = TokenRequest::new(GrantType::AuthorizationCode).code("the-code");
    assert!(client.token(&token).send().await.is_err());
    assert!(client.revoke(&Authorization::bearer(&Secret::new("t"))).send().await.is_err());
    assert!(server.requests().is_empty());
}
