//! Tests error responses. A documented error response becomes a typed error, and an undocumented
//! response becomes an error that contains the status. No error contains text from the response.

use flinks_outbound::ErrorKind;

use crate::raw_server::{RawResponse, RawServer, http_response};
use crate::refresh;

#[tokio::test]
async fn o7_a_4xx_or_5xx_is_the_documented_error() {
    for (status, code) in [
        ("400 Bad Request", "invalid_grant"),
        ("401 Unauthorized", "invalid_client"),
        ("500 Internal Server Error", "server_error"),
        ("503 Service Unavailable", "temporarily_unavailable"),
    ] {
        let body = format!(r#"{{"error":"{code}","error_description":"text"}}"#);
        let ids = "content-type: application/json\r\nob-correlation-id: c-1\r\nob-trace-id: t-1\r\nretry-after: 5\r\n";
        let server = RawServer::start(RawResponse::Bytes(http_response(status, ids, &body))).await;
        let error = refresh(&server).await.unwrap_err();
        assert!(status.starts_with(error.status().unwrap().as_str()));
        let body = error.body().unwrap();
        assert_eq!(body.error.as_deref(), Some(code));
        assert_eq!(body.error_description.as_deref(), Some("text"));
        let head = error.head().unwrap();
        assert_eq!(head.correlation_id(), Some("c-1"));
        assert_eq!(head.trace_id(), Some("t-1"));
        assert_eq!(head.retry_after(), Some("5"));
    }
}

#[tokio::test]
async fn o7_an_error_body_with_status_200_is_an_error() {
    let server = RawServer::responding("200 OK", "application/json", r#"{"error":"invalid_grant"}"#).await;
    let error = refresh(&server).await.unwrap_err();
    assert_eq!(error.body().unwrap().error.as_deref(), Some("invalid_grant"));
    assert_eq!(error.status().unwrap(), 200);
}

#[tokio::test]
async fn t07_an_html_error_keeps_its_status() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "502 Bad Gateway"] {
        let server = RawServer::responding(status, "text/html", "<html>canary</html>").await;
        let error = refresh(&server).await.unwrap_err();
        assert!(status.starts_with(error.status().unwrap().as_str()));
        let text = format!("{error} {error:?} {error:#?}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn t04_a6_the_error_of_a_malformed_success_contains_no_token() {
    for (body, field) in [
        ("", None),
        ("canary", None),
        ("<html>canary</html>", None),
        (r#"["canary"]"#, None),
        (r#"{"access_token":"canary","token_type":7}"#, Some("token_type")),
        (r#"{"access_token":"canary""#, None),
        (r#"{"access_token":null}"#, Some("access_token")),
        (r#"{"token_type":"bearer"}"#, Some("access_token")),
    ] {
        let server = RawServer::responding("200 OK", "application/json", body).await;
        let error = refresh(&server).await.unwrap_err();
        let ErrorKind::InvalidResponse(invalid) = error.kind() else { panic!("{error:?}") };
        assert_eq!(error.status().unwrap(), 200);
        assert_eq!(error.operation(), Some("token"));
        assert_eq!(invalid.field(), field, "{body}");
        let text = format!("{error} {error:?} {error:#?}");
        assert!(!text.contains("canary"), "{text}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a6_an_unrelated_json_object_is_not_the_documented_error() {
    for body in [r#"{"message":"Forbidden"}"#, "{}"] {
        let server = RawServer::responding("403 Forbidden", "application/json", body).await;
        let error = refresh(&server).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Status(Some(_))), "{error:?}");
        assert_eq!(error.status().unwrap(), 403);
    }
}

#[tokio::test]
async fn t05_a2_no_redirect_is_followed() {
    let target = RawServer::responding("200 OK", "application/json", r#"{"access_token":"t"}"#).await;
    for status in ["301 M", "302 F", "303 S", "307 T", "308 P"] {
        let location = format!("location: {}/elsewhere\r\n", target.base_url);
        let server = RawServer::start(RawResponse::Bytes(http_response(status, &location, ""))).await;
        let error = refresh(&server).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Redirect));
        assert!(status.starts_with(error.status().unwrap().as_str()));
        assert!(!format!("{error} {error:?}").contains("elsewhere"));
        assert_eq!(server.requests().len(), 1);
    }
    assert!(target.requests().is_empty());
}
