//! What comes back as a success, also where a server takes liberties with the document.

use std::time::Duration;

use flinks_connect::types::AuthorizeResponse;

use crate::errors::{ask_connect, ask_connect_authorize, ask_outbound, ask_pay};
use crate::raw::{Answer, Raw, reply};

#[tokio::test]
async fn p2_t10_a_lifetime_never_loses_the_token() {
    for (expires_in, seconds) in [
        ("299", Some(299)),
        ("299.0", Some(299)),
        (r#""299""#, Some(299)),
        ("18446744073709551615", Some(86_400)),
        ("1e20", Some(86_400)),
        ("-1", Some(0)),
        ("0", None),
        ("null", None),
        (r#"{"seconds":[1]}"#, None),
    ] {
        let body = format!(r#"{{"access_token":"t","token_type":"bearer","expires_in":{expires_in}}}"#);
        let server = Raw::replying("200 OK", "application/json", &body).await;
        let pay = ask_pay(&server).await.unwrap();
        assert_eq!(pay.access_token.expose_secret(), "t");
        let outbound = ask_outbound(&server).await.unwrap();
        for found in [pay.expires_in, outbound.expires_in] {
            assert_eq!(found.and_then(|found| found.lifetime()), seconds.map(Duration::from_secs), "{expires_in}");
        }
    }
}

#[tokio::test]
async fn t12_c6_200_and_203_are_told_apart_by_status_alone() {
    let body = r#"{"HttpStatusCode":203,"RequestId":"r","SecurityChallenges":[{"Prompt":"Shape?","Iterables":["a"]}]}"#;
    let server = Raw::replying("203 Non-Authoritative Information", "application/json", body).await;
    let AuthorizeResponse::Challenge(challenge) = ask_connect_authorize(&server).await.unwrap() else { panic!() };
    assert_eq!(challenge.security_challenges.unwrap()[0].prompt.as_deref(), Some("Shape?"));

    let body =
        r#"{"HttpStatusCode":200,"RequestId":"r","Login":{"Id":"l","LastRefresh":"2026-01-01T00:00:00.1234567"}}"#;
    let server = Raw::replying("200 OK", "application/json", body).await;
    let AuthorizeResponse::Session(session) = ask_connect_authorize(&server).await.unwrap() else { panic!() };
    assert_eq!(session.login.unwrap().id.unwrap().expose_secret(), "l");
}

#[tokio::test]
async fn t13_a_reply_may_grow_and_may_be_null() {
    let body = r#"{"HttpStatusCode":200,"Links":null,"Login":null,"New":{"a":[1]},"InstitutionId":null}"#;
    let server = Raw::replying("200 OK", "application/json", body).await;
    assert!(matches!(ask_connect_authorize(&server).await.unwrap(), AuthorizeResponse::Session(_)));
}

#[tokio::test]
async fn json_is_json_whatever_its_label() {
    for header in ["content-type: text/plain\r\n", "", "content-type: application/json; charset=utf-8\r\n"] {
        let server = Raw::start(Answer::Bytes(reply("200 OK", header, r#" {"Token":"t"} "#))).await;
        assert_eq!(ask_connect(&server).await.unwrap().token.expose_secret(), "t");
    }
}

#[tokio::test]
async fn another_2xx_is_no_refusal_and_loses_no_token() {
    for status in ["201 Created", "202 Accepted"] {
        let server = Raw::replying(status, "application/json", r#"{"Token":"t","access_token":"t"}"#).await;
        assert_eq!(ask_pay(&server).await.unwrap().access_token.expose_secret(), "t");
        assert_eq!(ask_connect(&server).await.unwrap().token.expose_secret(), "t");
        assert_eq!(ask_outbound(&server).await.unwrap().access_token.expose_secret(), "t");
        // Where the status tells replies apart, one that is not documented tells nothing.
        let error = ask_connect_authorize(&server).await.unwrap_err();
        assert!(matches!(error.kind(), flinks_pay::ErrorKind::Status(None)), "{error:?}");
    }
    let server = Raw::start(Answer::Bytes(reply("204 No Content", "", ""))).await;
    let error = ask_outbound(&server).await.unwrap_err();
    assert!(matches!(error.kind(), flinks_pay::ErrorKind::InvalidResponse(_)), "{error:?}");
}
