//! Rules of every request and reply: no redirect, a limit of time, and nothing sent if nothing listens.

use std::time::Duration;

use flinks_pay::types::{AuthorizeRequest, GrantType};
use flinks_pay::{Client, Error, ErrorKind, Secret, Transport, TransportErrorKind};

use crate::raw_server::{Answer, Raw, reply};
use crate::{authorize, client};

fn transport_error(error: &Error<()>) -> flinks_pay::TransportError {
    match error.kind() {
        ErrorKind::Transport(error) => *error,
        kind => panic!("{kind:?}"),
    }
}

#[tokio::test]
async fn t05_a2_no_redirect_is_followed() {
    let target = Raw::replying("200 OK", "application/json", r#"{"access_token":"t"}"#).await;
    for status in ["301 M", "302 F", "303 S", "307 T", "308 P"] {
        let location = format!("location: {}/elsewhere\r\n", target.base_url);
        let server = Raw::start(Answer::Bytes(reply(status, &location, ""))).await;
        let error = authorize(&server).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Redirect));
        assert!(status.starts_with(error.status().unwrap().as_str()));
        assert!(!format!("{error} {error:?}").contains("elsewhere"));
        assert_eq!(server.requests().len(), 1);
    }
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn t06_a_reply_is_bounded_in_time() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec();
    for answer in [Answer::ThenSilence(Vec::new()), Answer::ThenSilence(head)] {
        let server = Raw::start(answer).await;
        let transport = Transport::builder(server.base_url.parse().unwrap()).timeout(Duration::from_millis(50));
        let client = Client::with_transport(transport.build().unwrap());
        let body = AuthorizeRequest::new(GrantType::ClientCredentials, "u", Secret::new("p"));
        // Without a limit the call would never return, and neither would this test.
        let outcome = tokio::time::timeout(Duration::from_secs(10), client.authorize(&body).send()).await;
        let error = transport_error(&outcome.unwrap().unwrap_err());
        assert_eq!(error.kind(), TransportErrorKind::Timeout);
        assert!(error.may_have_been_sent());
    }
}

#[tokio::test]
async fn nothing_is_sent_where_nothing_listens() {
    let server = Raw::replying("200 OK", "application/json", "{}").await;
    let client = client(&server);
    // The port is free again once the listener is gone, which is when connections are refused.
    drop(server);
    let body = AuthorizeRequest::new(GrantType::ClientCredentials, "u", Secret::new("p"));
    loop {
        match client.authorize(&body).send().await {
            Err(error) if !error.may_have_been_sent() => {
                let error = transport_error(&error);
                assert_eq!(error.kind(), TransportErrorKind::Connect);
                assert!(!error.may_have_been_sent());
                break;
            }
            _ => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn a_404_says_to_check_the_base_url() {
    let server = Raw::start(Answer::Bytes(reply("404 Not Found", "", ""))).await;
    let error = authorize(&server).await.unwrap_err().to_string();
    assert!(error.contains("check the base URL"), "{error}");
    let server = Raw::start(Answer::Bytes(reply("403 Forbidden", "", ""))).await;
    let error = authorize(&server).await.unwrap_err().to_string();
    assert!(!error.contains("base URL"), "{error}");
}
