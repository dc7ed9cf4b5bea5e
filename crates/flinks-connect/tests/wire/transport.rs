//! Tests the rules that apply to every call: the client does not follow redirects, limits the
//! response size, enforces timeouts, and does not retry failed requests.

use std::time::Duration;

use flinks_connect::types::{AuthorizeRequest, AuthorizeToken, ErrorResponse, SecretKey};
use flinks_connect::{Client, Error, ErrorKind, Transport, TransportError, TransportErrorKind, Uuid};

use crate::generate;
use crate::raw_server::{RawResponse, RawServer, http_response};

fn transport_error(error: &Error<ErrorResponse>) -> TransportError {
    match error.kind() {
        ErrorKind::Transport(error) => *error,
        kind => panic!("{kind:?}"),
    }
}

#[tokio::test]
async fn t05_a2_no_redirect_is_followed() {
    let target = RawServer::responding("200 OK", "application/json", r#"{"Token":"t"}"#).await;
    for status in ["301 M", "302 F", "303 S", "307 T", "308 P"] {
        let location = format!("location: {}/elsewhere\r\n", target.base_url);
        let server = RawServer::start(RawResponse::Bytes(http_response(status, &location, ""))).await;
        let error = generate(&server).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Redirect));
        assert!(status.starts_with(error.status().unwrap().as_str()));
        assert!(!format!("{error} {error:?}").contains("elsewhere"));
        assert_eq!(server.requests().len(), 1);
    }
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn t06_the_size_of_a_response_is_limited() {
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let endless =
        RawServer::start(RawResponse::ThenEndless(chunked, [&b"1000\r\n"[..], &[b' '; 0x1000], b"\r\n"].concat()))
            .await;
    let announced =
        RawServer::start(RawResponse::ThenSilence(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n".to_vec()))
            .await;
    let long = format!(r#"{{"Token":"t","x":"{}"}}"#, "x".repeat(64 * 1024));
    let long = RawServer::responding("200 OK", "application/json", &long).await;
    for server in [endless, announced, long] {
        let error = generate(&server).await.unwrap_err();
        assert_eq!(transport_error(&error).kind(), TransportErrorKind::TooLarge);
        assert!(error.may_have_been_sent());
        assert_eq!(error.status().unwrap(), 200);
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn timeout_does_not_apply_to_an_operation_with_a_longer_default() {
    let server = RawServer::start(RawResponse::ThenSilence(Vec::new())).await;
    let transport = Transport::builder(server.base_url.parse().unwrap()).timeout(Duration::from_millis(50));
    let client = Client::with_transport(transport.build().unwrap());
    let customer_id = Uuid::nil();
    let key = SecretKey::new("key");
    let token = AuthorizeToken::new("token");
    let request = AuthorizeRequest::new();
    tokio::select! {
        biased;
        // `authorize` starts first, so it would time out first if it had the same timeout.
        outcome = client.authorize(&customer_id, &token, &request).send() => panic!("{:?}", outcome.err()),
        outcome = client.generate_authorize_token(&customer_id, &key).send() => {
            let error = transport_error(&outcome.unwrap_err());
            assert_eq!(error.kind(), TransportErrorKind::Timeout);
            assert!(error.may_have_been_sent());
        }
    }
}

#[tokio::test]
async fn a_broken_response_is_an_error_and_is_not_retried() {
    use TransportErrorKind::{Interrupted, Protocol};
    for (bytes, kind) in [
        (&b""[..], Interrupted),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Protocol),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{", Interrupted),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", Interrupted),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", Protocol),
    ] {
        let server = RawServer::start(RawResponse::Bytes(bytes.to_vec())).await;
        let error = transport_error(&generate(&server).await.unwrap_err());
        assert_eq!(error.kind(), kind, "{}", String::from_utf8_lossy(bytes));
        assert!(error.may_have_been_sent());
        assert_eq!(server.requests().len(), 1);
    }
}
