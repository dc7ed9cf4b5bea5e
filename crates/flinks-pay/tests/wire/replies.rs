//! The result of each reply: typed if it is documented, with its status if not, and without its text.

use std::time::Duration;

use flinks_pay::ErrorKind;

use crate::authorize;
use crate::raw_server::{Answer, Raw, reply};

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
        let reply = authorize(&server).await.unwrap();
        assert_eq!(reply.access_token.expose_secret(), "t");
        let lifetime = reply.expires_in.and_then(|expires_in| expires_in.lifetime());
        assert_eq!(lifetime, seconds.map(Duration::from_secs), "{expires_in}");
    }
}

#[tokio::test]
async fn another_2xx_is_no_refusal_and_loses_no_token() {
    for status in ["201 Created", "202 Accepted"] {
        let server = Raw::replying(status, "application/json", r#"{"access_token":"t"}"#).await;
        assert_eq!(authorize(&server).await.unwrap().access_token.expose_secret(), "t");
    }
}

#[tokio::test]
async fn p6_a_400_without_a_body_is_the_documented_error() {
    let server = Raw::start(Answer::Bytes(reply("400 Bad Request", "", ""))).await;
    let error = authorize(&server).await.unwrap_err();
    assert_eq!(error.status().unwrap(), 400);
    assert_eq!(error.body(), Some(&()));
    assert_eq!(error.to_string(), "authorize was refused: the server answered 400 Bad Request");

    let server = Raw::start(Answer::Bytes(reply("401 Unauthorized", "", ""))).await;
    let error = authorize(&server).await.unwrap_err();
    assert_eq!(error.status().unwrap(), 401);
    assert_eq!(error.body(), None);
}

#[tokio::test]
async fn t07_an_html_error_keeps_its_status() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "502 Bad Gateway"] {
        let server = Raw::replying(status, "text/html", "<html>canary</html>").await;
        let error = authorize(&server).await.unwrap_err();
        assert!(status.starts_with(error.status().unwrap().as_str()));
        let text = format!("{error} {error:?} {error:#?}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn t04_a6_a_malformed_success_names_its_field_and_holds_no_token() {
    for (body, field) in [
        ("{}", Some("access_token")),
        (r#"{"expires_in":299}"#, Some("access_token")),
        (r#"{"access_token":["canary"]}"#, Some("access_token")),
        (r#"{"access_token":"canary","token_type":7}"#, Some("token_type")),
    ] {
        let server = Raw::replying("200 OK", "application/json", body).await;
        let error = authorize(&server).await.unwrap_err();
        let ErrorKind::InvalidResponse(invalid) = error.kind() else { panic!("{error:?}") };
        assert_eq!(invalid.field(), field, "{body}");
        let text = format!("{error} {error:?} {error:#?}");
        assert!(!text.contains("canary"), "{text}");
    }
}
