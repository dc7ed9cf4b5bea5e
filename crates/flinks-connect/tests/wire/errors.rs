//! Errors: typed if they are documented, with their status if not, and without their text.

use flinks_connect::ErrorKind;

use crate::raw_server::{Answer, Raw, reply};
use crate::{authorize, generate};

#[tokio::test]
async fn t01_c2_a_401_is_the_documented_error() {
    let body = r#"{"HttpStatusCode":401,"Message":"You must provide a valid auth key","FlinksCode":"UNAUTHORIZED"}"#;
    let server = Raw::replying("401 Unauthorized", "application/json", body).await;
    for error in [generate(&server).await.unwrap_err(), authorize(&server).await.unwrap_err()] {
        let body = error.body().unwrap();
        assert_eq!(body.http_status_code, Some(401));
        assert_eq!(body.message.as_deref(), Some("You must provide a valid auth key"));
        assert_eq!(body.flinks_code.as_deref(), Some("UNAUTHORIZED"));
        // Text that a server wrote is reachable, and not printed (A6).
        let text = format!("{error} {error:?} {body:?}");
        assert!(!text.contains("UNAUTHORIZED"), "{text}");
        assert!(!text.contains("valid auth key"), "{text}");
    }
}

#[tokio::test]
async fn a6_an_undocumented_status_is_tried_as_the_documented_error() {
    let server = Raw::replying("418 I'm a teapot", "text/plain", r#"{"FlinksCode":"NEW_CODE","Other":[1]}"#).await;
    let error = generate(&server).await.unwrap_err();
    assert_eq!(error.body().unwrap().flinks_code.as_deref(), Some("NEW_CODE"));
}

#[tokio::test]
async fn t07_an_html_error_keeps_its_status() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "502 Bad Gateway"] {
        let server = Raw::replying(status, "text/html", "<html>canary</html>").await;
        let error = generate(&server).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Status(Some(_))), "{error:?}");
        assert_eq!(error.head().unwrap().content_type(), Some("text/html"));
        assert!(status.starts_with(error.status().unwrap().as_str()));
        let text = format!("{error} {error:?} {error:#?}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn c2_an_error_body_with_200_is_the_error() {
    let body = r#"{"HttpStatusCode":401,"FlinksCode":"UNAUTHORIZED"}"#;
    let server = Raw::replying("200 OK", "application/json", body).await;
    let error = generate(&server).await.unwrap_err();
    assert_eq!(error.body().unwrap().flinks_code.as_deref(), Some("UNAUTHORIZED"));
}

#[tokio::test]
async fn c2_a_malformed_success_is_not_the_error_for_a_field_that_both_have() {
    for (body, field) in [(r#"{"HttpStatusCode":200,"Token":7}"#, "Token"), (r#"{"HttpStatusCode":200}"#, "Token")] {
        let server = Raw::replying("200 OK", "application/json", body).await;
        let error = generate(&server).await.unwrap_err();
        let ErrorKind::InvalidResponse(invalid) = error.kind() else { panic!("{error:?}") };
        assert_eq!(invalid.field(), Some(field), "{body}");
    }
}

#[tokio::test]
async fn a6_an_object_of_somebody_else_is_not_the_documented_error() {
    for body in [r#"{"message":"Forbidden"}"#, "{}"] {
        let server = Raw::replying("403 Forbidden", "application/json", body).await;
        let error = generate(&server).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Status(Some(_))), "{error:?}");
        assert_eq!(error.status().unwrap(), 403);
    }
}

#[tokio::test]
async fn a_404_says_to_check_the_base_url() {
    let server = Raw::start(Answer::Bytes(reply("404 Not Found", "", ""))).await;
    let error = generate(&server).await.unwrap_err().to_string();
    assert!(error.contains("check the base URL"), "{error}");
}
