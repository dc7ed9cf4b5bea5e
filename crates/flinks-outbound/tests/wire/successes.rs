//! Successes, also from a server that takes liberties with the document.

use std::time::Duration;

use flinks_outbound::ErrorKind;

use crate::raw_server::{Answer, Raw, reply};
use crate::refresh;

#[tokio::test]
async fn o3_t10_a_lifetime_never_loses_the_token() {
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
        let reply = refresh(&server).await.unwrap();
        assert_eq!(reply.access_token.expose_secret(), "t");
        let lifetime = reply.expires_in.and_then(|expires_in| expires_in.lifetime());
        assert_eq!(lifetime, seconds.map(Duration::from_secs), "{expires_in}");
    }
}

#[tokio::test]
async fn another_2xx_is_no_refusal_and_loses_no_token() {
    for status in ["201 Created", "202 Accepted"] {
        let server = Raw::replying(status, "application/json", r#"{"access_token":"t"}"#).await;
        assert_eq!(refresh(&server).await.unwrap().access_token.expose_secret(), "t");
    }
    let server = Raw::start(Answer::Bytes(reply("204 No Content", "", ""))).await;
    let error = refresh(&server).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidResponse(_)), "{error:?}");
}
