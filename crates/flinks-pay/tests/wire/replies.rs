//! Tests responses. A documented response becomes a typed result, and an undocumented response
//! becomes an error that contains the status. No error contains text from the response.

use std::time::Duration;

use flinks_pay::ErrorKind;

use crate::authorize;
use crate::raw_server::{RawResponse, RawServer, http_response};

#[tokio::test]
async fn p2_t10_an_unusual_lifetime_does_not_lose_the_token() {
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
        let server = RawServer::responding("200 OK", "application/json", &body).await;
        let response = authorize(&server).await.unwrap();
        assert_eq!(response.access_token.expose_secret(), "t");
        let lifetime = response.expires_in.and_then(flinks_core::ExpiresIn::lifetime);
        assert_eq!(lifetime, seconds.map(Duration::from_secs), "{expires_in}");
    }
}

#[tokio::test]
async fn an_undocumented_2xx_status_does_not_lose_the_token() {
    for status in ["201 Created", "202 Accepted"] {
        let server = RawServer::responding(status, "application/json", r#"{"access_token":"t"}"#).await;
        assert_eq!(authorize(&server).await.unwrap().access_token.expose_secret(), "t");
    }
}

#[tokio::test]
async fn p6_a_400_without_a_body_is_the_documented_error() {
    let server = RawServer::start(RawResponse::Bytes(http_response("400 Bad Request", "", ""))).await;
    let error = authorize(&server).await.unwrap_err();
    assert_eq!(error.status().unwrap(), 400);
    assert_eq!(error.body(), Some(&()));
    assert_eq!(error.to_string(), "operation `authorize` failed: 400 Bad Request");

    let server = RawServer::start(RawResponse::Bytes(http_response("401 Unauthorized", "", ""))).await;
    let error = authorize(&server).await.unwrap_err();
    assert_eq!(error.status().unwrap(), 401);
    assert_eq!(error.body(), None);
}

#[tokio::test]
async fn t07_an_html_error_keeps_its_status() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "502 Bad Gateway"] {
        let server = RawServer::responding(status, "text/html", "<html>canary</html>").await;
        let error = authorize(&server).await.unwrap_err();
        assert!(status.starts_with(error.status().unwrap().as_str()));
        let text = format!("{error} {error:?} {error:#?}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn t04_a6_the_error_of_a_malformed_success_names_the_field_not_the_token() {
    for (body, field) in [
        ("{}", Some("access_token")),
        (r#"{"expires_in":299}"#, Some("access_token")),
        (r#"{"access_token":["canary"]}"#, Some("access_token")),
        (r#"{"access_token":"canary","token_type":7}"#, Some("token_type")),
    ] {
        let server = RawServer::responding("200 OK", "application/json", body).await;
        let error = authorize(&server).await.unwrap_err();
        let ErrorKind::InvalidResponse(invalid) = error.kind() else { panic!("{error:?}") };
        assert_eq!(invalid.field(), field, "{body}");
        let text = format!("{error} {error:?} {error:#?}");
        assert!(!text.contains("canary"), "{text}");
    }
}
