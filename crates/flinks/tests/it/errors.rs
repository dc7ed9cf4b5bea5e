//! What comes back as an error: typed where it is documented, with its status where it is not, and without its text.

use flinks_connect::types::{AuthorizeToken, SecretKey};
use flinks_outbound::types::{GrantType, TokenRequest};
use flinks_pay::{ErrorKind, Secret};
use {flinks_connect as connect, flinks_outbound as outbound, flinks_pay as pay};

use crate::raw::{Answer, Raw, reply};

type PayError = pay::Error<()>;
type ConnectError = connect::Error<connect::types::ErrorResponse>;
type OutboundError = outbound::Error<outbound::types::ErrorResponse>;

pub(crate) async fn ask_pay(server: &Raw) -> Result<pay::types::AuthorizeResponse, PayError> {
    let client = pay::Client::new(server.base_url.parse().unwrap()).unwrap();
    let body =
        pay::types::AuthorizeRequest::new(pay::types::GrantType::ClientCredentials, "user", Secret::new("password"));
    client.authorize(&body).send().await.map(pay::ResponseValue::into_inner)
}

pub(crate) async fn ask_connect(server: &Raw) -> Result<connect::types::GenerateAuthorizeTokenResponse, ConnectError> {
    let client = connect::Client::new(server.base_url.parse().unwrap()).unwrap();
    let customer_id = connect::Uuid::from_u128(1);
    let reply = client.generate_authorize_token(&customer_id, &SecretKey::new("key")).send().await;
    reply.map(connect::ResponseValue::into_inner)
}

pub(crate) async fn ask_connect_authorize(server: &Raw) -> Result<connect::types::AuthorizeResponse, ConnectError> {
    let client = connect::Client::new(server.base_url.parse().unwrap()).unwrap();
    let customer_id = connect::Uuid::from_u128(1);
    let body = connect::types::AuthorizeRequest::new().login_id("login");
    let reply = client.authorize(&customer_id, &AuthorizeToken::new("token"), &body).send().await;
    reply.map(connect::ResponseValue::into_inner)
}

pub(crate) async fn ask_outbound(server: &Raw) -> Result<outbound::types::TokenResponse, OutboundError> {
    let client = outbound::Client::new(server.base_url.parse().unwrap()).unwrap();
    let body = TokenRequest::new(GrantType::RefreshToken).refresh_token("refresh");
    client.token(&body).send().await.map(outbound::ResponseValue::into_inner)
}

#[tokio::test]
async fn p6_pay_400_without_a_body() {
    let server = Raw::start(Answer::Bytes(reply("400 Bad Request", "", ""))).await;
    let error = ask_pay(&server).await.unwrap_err();
    assert_eq!(error.status().unwrap(), 400);
    assert_eq!(error.body(), Some(&()));
    assert_eq!(error.to_string(), "authorize was refused: the server answered 400 Bad Request");

    let server = Raw::start(Answer::Bytes(reply("401 Unauthorized", "", ""))).await;
    let error = ask_pay(&server).await.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), error.body()), (401, None));
}

#[tokio::test]
async fn t01_c2_connect_401() {
    let body = r#"{"HttpStatusCode":401,"Message":"You must provide a valid auth key","FlinksCode":"UNAUTHORIZED"}"#;
    let server = Raw::replying("401 Unauthorized", "application/json", body).await;
    for error in [ask_connect(&server).await.unwrap_err(), ask_connect_authorize(&server).await.unwrap_err()] {
        let body = error.body().unwrap();
        assert_eq!(body.http_status_code, Some(401));
        assert_eq!(body.message.as_deref(), Some("You must provide a valid auth key"));
        assert_eq!(body.flinks_code.as_deref(), Some("UNAUTHORIZED"));
        // Text that a server wrote is reachable, and not printed (A6).
        let text = format!("{error} {error:?} {body:?}");
        assert!(!text.contains("UNAUTHORIZED") && !text.contains("valid auth key"), "{text}");
    }
}

#[tokio::test]
async fn o7_outbound_4xx_and_5xx() {
    for (status, code) in [
        ("400 Bad Request", "invalid_grant"),
        ("401 Unauthorized", "invalid_client"),
        ("500 Internal Server Error", "server_error"),
        ("503 Service Unavailable", "temporarily_unavailable"),
    ] {
        let body = format!(r#"{{"error":"{code}","error_description":"text"}}"#);
        let ids = "content-type: application/json\r\nob-correlation-id: c-1\r\nob-trace-id: t-1\r\nretry-after: 5\r\n";
        let server = Raw::start(Answer::Bytes(reply(status, ids, &body))).await;
        let error = ask_outbound(&server).await.unwrap_err();
        assert!(status.starts_with(error.status().unwrap().as_str()));
        let body = error.body().unwrap();
        assert_eq!((body.error.as_deref(), body.error_description.as_deref()), (Some(code), Some("text")));
        let head = error.head().unwrap();
        assert_eq!((head.correlation_id(), head.trace_id(), head.retry_after()), (Some("c-1"), Some("t-1"), Some("5")));
    }
}

#[tokio::test]
async fn a6_an_undocumented_status_is_tried_as_the_documented_error() {
    let server = Raw::replying("418 I'm a teapot", "text/plain", r#"{"FlinksCode":"NEW_CODE","Other":[1]}"#).await;
    let error = ask_connect(&server).await.unwrap_err();
    assert_eq!(error.body().unwrap().flinks_code.as_deref(), Some("NEW_CODE"));
}

#[tokio::test]
async fn t07_an_html_error_keeps_its_status() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "502 Bad Gateway"] {
        let server = Raw::replying(status, "text/html", "<html>canary</html>").await;
        let pay = ask_pay(&server).await.unwrap_err();
        let (pay_status, pay_text) = (pay.status(), format!("{pay} {pay:?} {pay:#?}"));
        let connect = ask_connect(&server).await.unwrap_err();
        assert!(matches!(connect.kind(), ErrorKind::Status(Some(_))), "{connect:?}");
        assert_eq!(connect.head().unwrap().content_type(), Some("text/html"));
        let outbound = ask_outbound(&server).await.unwrap_err();
        let text = format!("{pay_text} {connect} {connect:?} {outbound} {outbound:#?}");
        for found in [pay_status, connect.status(), outbound.status()] {
            assert!(status.starts_with(found.unwrap().as_str()));
        }
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn t04_a6_a_malformed_success_holds_no_token() {
    for (body, field) in [
        ("", None),
        ("canary", None),
        ("<html>canary</html>", None),
        (r#"["canary"]"#, None),
        (r#"{"access_token":"canary","token_type":7}"#, Some("token_type")),
        (r#"{"access_token":"canary""#, Some("access_token")),
        (r#"{"access_token":null}"#, Some("access_token")),
    ] {
        let server = Raw::replying("200 OK", "application/json", body).await;
        let error = ask_outbound(&server).await.unwrap_err();
        let ErrorKind::InvalidResponse(invalid) = error.kind() else { panic!("{error:?}") };
        assert_eq!((error.status().unwrap().as_u16(), error.operation()), (200, Some("token")));
        if body != r#"{"access_token":"canary""# {
            assert_eq!(invalid.field(), field, "{body}");
        }
        let text = format!("{error} {error:?} {error:#?}");
        assert!(!text.contains("canary"), "{text}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn c2_o7_an_error_body_with_200_is_the_error() {
    let server = Raw::replying("200 OK", "application/json", r#"{"error":"invalid_grant"}"#).await;
    let error = ask_outbound(&server).await.unwrap_err();
    assert_eq!(error.body().unwrap().error.as_deref(), Some("invalid_grant"));
    assert_eq!(error.status().unwrap().as_u16(), 200);
    let server =
        Raw::replying("200 OK", "application/json", r#"{"HttpStatusCode":401,"FlinksCode":"UNAUTHORIZED"}"#).await;
    let error = ask_connect(&server).await.unwrap_err();
    assert_eq!(error.body().unwrap().flinks_code.as_deref(), Some("UNAUTHORIZED"));

    // A success that is malformed has a field in common with the error, which does not make it one.
    let server = Raw::replying("200 OK", "application/json", r#"{"HttpStatusCode":200,"Token":7}"#).await;
    let error = ask_connect(&server).await.unwrap_err();
    let ErrorKind::InvalidResponse(invalid) = error.kind() else { panic!("{error:?}") };
    assert_eq!(invalid.field(), Some("Token"));
}

#[tokio::test]
async fn a6_an_object_of_somebody_else_is_not_the_documented_error() {
    for body in [r#"{"message":"Forbidden"}"#, "{}"] {
        let server = Raw::replying("403 Forbidden", "application/json", body).await;
        let connect = ask_connect(&server).await.unwrap_err();
        let outbound = ask_outbound(&server).await.unwrap_err();
        assert!(matches!(connect.kind(), ErrorKind::Status(Some(_))), "{connect:?}");
        assert!(matches!(outbound.kind(), ErrorKind::Status(Some(_))), "{outbound:?}");
        assert_eq!(connect.status().unwrap(), 403);
    }
}
