//! Tests the rules that apply to every call: redirects are not followed, calls time out, and a
//! refused connection is reported as an unsent request.

use std::time::Duration;

use flinks_pay::types::{AuthorizeRequest, GrantType};
use flinks_pay::{Client, Error, ErrorKind, Secret, Transport, TransportErrorKind};

use crate::raw_server::{RawResponse, RawServer, http_response};
use crate::{authorize, client};

fn transport_error(error: &Error<()>) -> flinks_pay::TransportError {
    match error.kind() {
        ErrorKind::Transport(error) => *error,
        kind => panic!("{kind:?}"),
    }
}

#[tokio::test]
async fn t05_a2_no_redirect_is_followed() {
    let target = RawServer::responding("200 OK", "application/json", r#"{"access_token":"t"}"#).await;
    for status in ["301 M", "302 F", "303 S", "307 T", "308 P"] {
        let location = format!("location: {}/elsewhere\r\n", target.base_url);
        let server = RawServer::start(RawResponse::Bytes(http_response(status, &location, ""))).await;
        let error = authorize(&server).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Redirect));
        assert!(status.starts_with(error.status().unwrap().as_str()));
        assert!(!format!("{error} {error:?}").contains("elsewhere"));
        assert_eq!(server.requests().len(), 1);
    }
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn t06_a_call_times_out_if_the_server_stops_sending() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec();
    for answer in [RawResponse::ThenSilence(Vec::new()), RawResponse::ThenSilence(head)] {
        let server = RawServer::start(answer).await;
        let transport = Transport::builder(server.base_url.parse().unwrap()).timeout(Duration::from_millis(50));
        let client = Client::with_transport(transport.build().unwrap());
        let body = AuthorizeRequest::new(GrantType::ClientCredentials, "u", Secret::new("p"));
        // If the call does not time out by itself, this outer timeout fails the test.
        let outcome = tokio::time::timeout(Duration::from_secs(10), client.authorize(&body).send()).await;
        let error = transport_error(&outcome.unwrap().unwrap_err());
        assert_eq!(error.kind(), TransportErrorKind::Timeout);
        assert!(error.may_have_been_sent());
    }
}

#[tokio::test]
async fn nothing_is_sent_if_the_connection_is_refused() {
    let server = RawServer::responding("200 OK", "application/json", "{}").await;
    let client = client(&server);
    // The listener may close some time after the drop. Once it is closed, connections are refused.
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
async fn the_error_of_a_404_suggests_checking_the_base_url() {
    let server = RawServer::start(RawResponse::Bytes(http_response("404 Not Found", "", ""))).await;
    let error = authorize(&server).await.unwrap_err().to_string();
    assert!(error.contains("check the base URL"), "{error}");
    let server = RawServer::start(RawResponse::Bytes(http_response("403 Forbidden", "", ""))).await;
    let error = authorize(&server).await.unwrap_err().to_string();
    assert!(!error.contains("base URL"), "{error}");
}
