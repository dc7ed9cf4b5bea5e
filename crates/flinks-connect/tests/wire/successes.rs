//! Tests success responses, including responses that differ from the document.

use flinks_connect::ErrorKind;
use flinks_connect::types::AuthorizeResponse;

use crate::raw_server::{RawResponse, RawServer, http_response};
use crate::{authorize, generate};

#[tokio::test]
async fn t12_c6_the_status_alone_distinguishes_200_from_203() {
    let body = r#"{"HttpStatusCode":203,"RequestId":"r","SecurityChallenges":[{"Prompt":"Shape?","Iterables":["a"]}]}"#;
    let server = RawServer::responding("203 Non-Authoritative Information", "application/json", body).await;
    let AuthorizeResponse::Challenge(challenge) = authorize(&server).await.unwrap() else { panic!() };
    assert_eq!(challenge.security_challenges.unwrap()[0].prompt.as_deref(), Some("Shape?"));

    let body =
        r#"{"HttpStatusCode":200,"RequestId":"r","Login":{"Id":"l","LastRefresh":"2026-01-01T00:00:00.1234567"}}"#;
    let server = RawServer::responding("200 OK", "application/json", body).await;
    let AuthorizeResponse::Session(session) = authorize(&server).await.unwrap() else { panic!() };
    assert_eq!(session.login.unwrap().id.unwrap().expose_secret(), "l");
}

#[tokio::test]
async fn t13_unknown_and_null_fields_are_accepted() {
    let body = r#"{"HttpStatusCode":200,"Links":null,"Login":null,"New":{"a":[1]},"InstitutionId":null}"#;
    let server = RawServer::responding("200 OK", "application/json", body).await;
    assert!(matches!(authorize(&server).await.unwrap(), AuthorizeResponse::Session(_)));
}

#[tokio::test]
async fn json_is_parsed_whatever_the_content_type() {
    for header in ["content-type: text/plain\r\n", "", "content-type: application/json; charset=utf-8\r\n"] {
        let server = RawServer::start(RawResponse::Bytes(http_response("200 OK", header, r#" {"Token":"t"} "#))).await;
        assert_eq!(generate(&server).await.unwrap().token.expose_secret(), "t");
    }
}

#[tokio::test]
async fn an_undocumented_2xx_status_does_not_lose_the_token() {
    for status in ["201 Created", "202 Accepted"] {
        let server = RawServer::responding(status, "application/json", r#"{"Token":"t"}"#).await;
        assert_eq!(generate(&server).await.unwrap().token.expose_secret(), "t");
        // The type of an `/Authorize` response depends on the status, so an undocumented status is
        // an error.
        let error = authorize(&server).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Status(None)), "{error:?}");
    }
}
