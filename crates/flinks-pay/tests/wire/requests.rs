//! Tests each operation's request: its method, path, headers and body.

use flinks_pay::Secret;
use flinks_pay::types::{AuthorizeRequest, GrantType, SessionRequest};

use crate::client;
use crate::raw_server::RawServer;

#[tokio::test]
async fn p1_authorize_sends_the_documented_form() {
    let server = RawServer::responding("200 OK", "application/json", r#"{"access_token":"t"}"#).await;
    let password = Secret::new("& = + % é \u{1f511}");
    let body = AuthorizeRequest::new(GrantType::ClientCredentials, "user & name", password);
    client(&server).authorize(&body).send().await.unwrap();
    assert_eq!(
        server.only_request(),
        "\
POST /api/v1/authorize HTTP/1.1
accept: application/json
content-type: application/x-www-form-urlencoded
user-agent: flinks-rust/0.1.0
host: [host]
content-length: 97

grant_type=client_credentials&Password=%26+%3D+%2B+%25+%C3%A9+%F0%9F%94%91&Username=user+%26+name"
    );
}

#[tokio::test]
async fn p8_initiate_session_sends_the_bearer_token() {
    let server = RawServer::responding("200 OK", "application/json", r#"{"sessionId":"s","referenceId":"r-1"}"#).await;
    let body = SessionRequest::new("r-1", 10.5, "Ada", "ada@example.com");
    let token = flinks_core::Authorization::bearer(&Secret::new("t"));
    let response = client(&server).initiate_session(&token, &body).send().await.unwrap();
    assert_eq!(response.session_id.expose_secret(), "s");
    assert_eq!(response.reference_id.as_deref(), Some("r-1"));
    assert_eq!(
        server.only_request(),
        "\
POST /api/v1/sessions/initiate HTTP/1.1
accept: application/json
content-type: application/json
user-agent: flinks-rust/0.1.0
host: [host]
authorization: Bearer t
content-length: 90

{\"amount\":10.5,\"customerEmail\":\"ada@example.com\",\"customerName\":\"Ada\",\"referenceId\":\"r-1\"}"
    );
}
