//! What must be true of every request and reply.

use std::time::Duration;

use flinks_pay::{self as pay, ErrorKind, Secret, Transport};

use crate::errors::{ask_connect, ask_outbound, ask_pay};
use crate::raw::{Answer, Raw, reply};

/// The kind of a transport error, and whether the request may have been received.
fn transport_error<E>(error: &flinks_pay::Error<E>) -> (flinks_pay::TransportErrorKind, bool) {
    match error.kind() {
        ErrorKind::Transport(error) => (error.kind(), error.may_have_been_sent()),
        kind => panic!("{kind:?}"),
    }
}

#[tokio::test]
async fn t05_a2_no_redirect_is_followed() {
    let target = Raw::replying("200 OK", "application/json", r#"{"Token":"t","access_token":"t"}"#).await;
    for status in ["301 M", "302 F", "303 S", "307 T", "308 P"] {
        let location = format!("location: {}/elsewhere\r\n", target.base_url);
        let server = Raw::start(Answer::Bytes(reply(status, &location, ""))).await;
        let pay = ask_pay(&server).await.unwrap_err();
        let connect = ask_connect(&server).await.unwrap_err();
        let outbound = ask_outbound(&server).await.unwrap_err();
        assert!(matches!(pay.kind(), ErrorKind::Redirect));
        assert!(matches!(connect.kind(), ErrorKind::Redirect));
        assert!(matches!(outbound.kind(), ErrorKind::Redirect));
        assert!(status.starts_with(connect.status().unwrap().as_str()));
        assert!(!format!("{connect} {connect:?}").contains("elsewhere"));
        assert_eq!(server.requests().len(), 3);
    }
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn t06_a_reply_is_bounded_in_size() {
    use flinks_pay::TransportErrorKind::TooLarge;
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let endless = Raw::start(Answer::ThenEndless(chunked, [&b"1000\r\n"[..], &[b' '; 0x1000], b"\r\n"].concat())).await;
    let announced =
        Raw::start(Answer::ThenSilence(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n".to_vec())).await;
    let long = format!(r#"{{"Token":"t","x":"{}"}}"#, "x".repeat(64 * 1024));
    let long = Raw::replying("200 OK", "application/json", &long).await;
    for server in [endless, announced, long] {
        let error = ask_connect(&server).await.unwrap_err();
        assert_eq!(transport_error(&error), (TooLarge, true));
        assert_eq!(error.status().unwrap(), 200);
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn t06_a_reply_is_bounded_in_time() {
    use flinks_pay::TransportErrorKind::Timeout;
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec();
    for answer in [Answer::ThenSilence(Vec::new()), Answer::ThenSilence(head)] {
        let server = Raw::start(answer).await;
        let transport = Transport::builder(server.base_url.parse().unwrap()).timeout(Duration::from_millis(50));
        let client = pay::Client::with_transport(transport.build().unwrap());
        let body = pay::types::AuthorizeRequest::new(pay::types::GrantType::ClientCredentials, "u", Secret::new("p"));
        // Without a limit it would wait for ever, and so would this test.
        let outcome = tokio::time::timeout(Duration::from_secs(10), client.authorize(&body).send()).await;
        assert_eq!(transport_error(&outcome.unwrap().unwrap_err()), (Timeout, true));
    }
}

#[tokio::test]
async fn a_timeout_leaves_an_operation_with_a_longer_default_its_time() {
    use flinks_connect::types::{AuthorizeRequest, AuthorizeToken, SecretKey};
    let server = Raw::start(Answer::ThenSilence(Vec::new())).await;
    let transport = Transport::builder(server.base_url.parse().unwrap()).timeout(Duration::from_millis(50));
    let client = flinks_connect::Client::with_transport(transport.build().unwrap());
    let (customer_id, key, token) = (flinks_connect::Uuid::nil(), SecretKey::new("key"), AuthorizeToken::new("token"));
    let request = AuthorizeRequest::new();
    tokio::select! {
        biased;
        // It began first, so that the same timeout would end it first.
        outcome = client.authorize(&customer_id, &token, &request).send() => panic!("{:?}", outcome.err()),
        outcome = client.generate_authorize_token(&customer_id, &key).send() => {
            assert_eq!(transport_error(&outcome.unwrap_err()), (flinks_pay::TransportErrorKind::Timeout, true));
        }
    }
}

#[tokio::test]
async fn a_404_says_to_check_the_base_url() {
    let server = Raw::start(Answer::Bytes(reply("404 Not Found", "", ""))).await;
    for error in [ask_pay(&server).await.unwrap_err().to_string(), ask_connect(&server).await.unwrap_err().to_string()]
    {
        assert!(error.contains("check the base URL"), "{error}");
    }
    let server = Raw::start(Answer::Bytes(reply("403 Forbidden", "", ""))).await;
    assert!(!ask_pay(&server).await.unwrap_err().to_string().contains("base URL"));
}

#[tokio::test]
async fn a_broken_reply_is_an_error_and_is_not_asked_for_again() {
    use flinks_pay::TransportErrorKind::{Interrupted, Protocol};
    for (bytes, kind) in [
        (&b""[..], Interrupted),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Protocol),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{", Interrupted),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", Interrupted),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", Protocol),
    ] {
        let server = Raw::start(Answer::Bytes(bytes.to_vec())).await;
        let error = ask_connect(&server).await.unwrap_err();
        assert_eq!(transport_error(&error), (kind, true), "{}", String::from_utf8_lossy(bytes));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn nothing_is_sent_where_nothing_listens() {
    let server = Raw::replying("200 OK", "application/json", "{}").await;
    let base_url = server.base_url.clone();
    drop(server);
    // The port is free again once the listener is gone, which is when connections are refused.
    let client = pay::Client::new(base_url.parse().unwrap()).unwrap();
    let body = pay::types::AuthorizeRequest::new(pay::types::GrantType::ClientCredentials, "u", Secret::new("p"));
    loop {
        match client.authorize(&body).send().await {
            Err(error) if !error.may_have_been_sent() => {
                assert_eq!(transport_error(&error), (flinks_pay::TransportErrorKind::Connect, false));
                break;
            }
            _ => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_refused_before() {
    let server = Raw::replying("200 OK", "application/json", "{}").await;
    let client = flinks_connect::Client::new(server.base_url.parse().unwrap()).unwrap();
    for key in ["", "key\n", "k\r\nx-injected: 1", "k\0", " key", "clé"] {
        let key = flinks_connect::types::SecretKey::new(key);
        let customer_id = flinks_connect::Uuid::nil();
        let error = client.generate_authorize_token(&customer_id, &key).send().await.unwrap_err();
        let ErrorKind::InvalidRequest(invalid) = error.kind() else { panic!("{error:?}") };
        assert_eq!(invalid.field(), "flinks-auth-key");
        assert!(!error.may_have_been_sent());
    }
    assert!(server.requests().is_empty());
}
