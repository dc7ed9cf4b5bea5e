//! Successes, also from a server that takes liberties with the document.

use flinks_connect::ErrorKind;
use flinks_connect::types::AuthorizeResponse;

use crate::raw_server::{Answer, Raw, reply};
use crate::{authorize, generate};

#[tokio::test]
async fn t12_c6_200_and_203_are_told_apart_by_status_alone() {
    let body = r#"{"HttpStatusCode":203,"RequestId":"r","SecurityChallenges":[{"Prompt":"Shape?","Iterables":["a"]}]}"#;
    let server = Raw::replying("203 Non-Authoritative Information", "application/json", body).await;
    let AuthorizeResponse::Challenge(challenge) = authorize(&server).await.unwrap() else { panic!() };
    assert_eq!(challenge.security_challenges.unwrap()[0].prompt.as_deref(), Some("Shape?"));

    let body =
        r#"{"HttpStatusCode":200,"RequestId":"r","Login":{"Id":"l","LastRefresh":"2026-01-01T00:00:00.1234567"}}"#;
    let server = Raw::replying("200 OK", "application/json", body).await;
    let AuthorizeResponse::Session(session) = authorize(&server).await.unwrap() else { panic!() };
    assert_eq!(session.login.unwrap().id.unwrap().expose_secret(), "l");
}

#[tokio::test]
async fn t13_a_reply_may_grow_and_may_be_null() {
    let body = r#"{"HttpStatusCode":200,"Links":null,"Login":null,"New":{"a":[1]},"InstitutionId":null}"#;
    let server = Raw::replying("200 OK", "application/json", body).await;
    assert!(matches!(authorize(&server).await.unwrap(), AuthorizeResponse::Session(_)));
}

#[tokio::test]
async fn json_is_json_whatever_its_label() {
    for header in ["content-type: text/plain\r\n", "", "content-type: application/json; charset=utf-8\r\n"] {
        let server = Raw::start(Answer::Bytes(reply("200 OK", header, r#" {"Token":"t"} "#))).await;
        assert_eq!(generate(&server).await.unwrap().token.expose_secret(), "t");
    }
}

#[tokio::test]
async fn another_2xx_is_no_refusal_and_loses_no_token() {
    for status in ["201 Created", "202 Accepted"] {
        let server = Raw::replying(status, "application/json", r#"{"Token":"t"}"#).await;
        assert_eq!(generate(&server).await.unwrap().token.expose_secret(), "t");
        // If the status tells replies apart, one that is not documented tells nothing.
        let error = authorize(&server).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Status(None)), "{error:?}");
    }
}
