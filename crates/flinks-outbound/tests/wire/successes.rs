//! Tests how success responses are decoded, including responses that differ from the OpenAPI
//! document.

use std::time::Duration;

use flinks_outbound::ErrorKind;

use crate::raw_server::{RawResponse, RawServer, http_response};
use crate::refresh;

#[tokio::test]
async fn o3_t10_an_unusual_lifetime_does_not_lose_the_token() {
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
        let response = refresh(&server).await.unwrap();
        assert_eq!(response.access_token.expose_secret(), "t");
        let lifetime = response.expires_in.and_then(flinks_outbound::ExpiresIn::lifetime);
        assert_eq!(lifetime, seconds.map(Duration::from_secs), "{expires_in}");
    }
}

#[tokio::test]
async fn an_undocumented_2xx_status_does_not_lose_the_token() {
    for status in ["201 Created", "202 Accepted"] {
        let server = RawServer::responding(status, "application/json", r#"{"access_token":"t"}"#).await;
        assert_eq!(refresh(&server).await.unwrap().access_token.expose_secret(), "t");
    }
    let server = RawServer::start(RawResponse::Bytes(http_response("204 No Content", "", ""))).await;
    let error = refresh(&server).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidResponse(_)), "{error:?}");
}
