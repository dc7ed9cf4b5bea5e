//! Tests that a documented error response becomes a typed error, that any other response becomes an
//! error that contains the status, and that no error contains text from the response.

use flinks_connect::ErrorKind;

use crate::raw_server::{RawResponse, RawServer, http_response};
use crate::{authorize, generate};

#[tokio::test]
async fn t01_c2_a_401_is_the_documented_error() {
    let body = r#"{"HttpStatusCode":401,"Message":"You must provide a valid auth key","FlinksCode":"UNAUTHORIZED"}"#;
    let server = RawServer::responding("401 Unauthorized", "application/json", body).await;
    for error in [generate(&server).await.unwrap_err(), authorize(&server).await.unwrap_err()] {
        let body = error.body().unwrap();
        assert_eq!(body.http_status_code, Some(401));
        assert_eq!(body.message.as_deref(), Some("You must provide a valid auth key"));
        assert_eq!(body.flinks_code.as_deref(), Some("UNAUTHORIZED"));
        // The program can read the server's text, but the `Display` and `Debug` output does not
        // contain it (A6).
        let text = format!("{error} {error:?} {body:?}");
        assert!(!text.contains("UNAUTHORIZED"), "{text}");
        assert!(!text.contains("valid auth key"), "{text}");
    }
}

#[tokio::test]
async fn a6_an_undocumented_status_may_have_the_documented_error_body() {
    let server =
        RawServer::responding("418 I'm a teapot", "text/plain", r#"{"FlinksCode":"NEW_CODE","Other":[1]}"#).await;
    let error = generate(&server).await.unwrap_err();
    assert_eq!(error.body().unwrap().flinks_code.as_deref(), Some("NEW_CODE"));
}

#[tokio::test]
async fn t07_an_html_error_keeps_its_status() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "502 Bad Gateway"] {
        let server = RawServer::responding(status, "text/html", "<html>canary</html>").await;
        let error = generate(&server).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Status(Some(_))), "{error:?}");
        assert_eq!(error.head().unwrap().content_type(), Some("text/html"));
        assert!(status.starts_with(error.status().unwrap().as_str()));
        let text = format!("{error} {error:?} {error:#?}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn c2_an_error_body_with_status_200_is_an_error() {
    let body = r#"{"HttpStatusCode":401,"FlinksCode":"UNAUTHORIZED"}"#;
    let server = RawServer::responding("200 OK", "application/json", body).await;
    let error = generate(&server).await.unwrap_err();
    assert_eq!(error.body().unwrap().flinks_code.as_deref(), Some("UNAUTHORIZED"));
}

#[tokio::test]
async fn c2_a_malformed_success_is_not_read_as_an_error_body() {
    for (body, field) in [(r#"{"HttpStatusCode":200,"Token":7}"#, "Token"), (r#"{"HttpStatusCode":200}"#, "Token")] {
        let server = RawServer::responding("200 OK", "application/json", body).await;
        let error = generate(&server).await.unwrap_err();
        let ErrorKind::InvalidResponse(invalid) = error.kind() else { panic!("{error:?}") };
        assert_eq!(invalid.field(), Some(field), "{body}");
    }
}

#[tokio::test]
async fn a6_an_unrelated_json_object_is_not_the_documented_error() {
    for body in [r#"{"message":"Forbidden"}"#, "{}"] {
        let server = RawServer::responding("403 Forbidden", "application/json", body).await;
        let error = generate(&server).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Status(Some(_))), "{error:?}");
        assert_eq!(error.status().unwrap(), 403);
    }
}

#[tokio::test]
async fn the_error_of_a_404_suggests_checking_the_base_url() {
    let server = RawServer::start(RawResponse::Bytes(http_response("404 Not Found", "", ""))).await;
    let error = generate(&server).await.unwrap_err().to_string();
    assert!(error.contains("check the base URL"), "{error}");
}
