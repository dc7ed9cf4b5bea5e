//! Tests each fault with a client that reads directly from the socket.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use flinks_emulator::credentials::*;
use flinks_emulator::{Fault, Kind, Operation, Request, When};
use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Local, local, send};

const OPERATION: Operation = Operation::PayAuthorize;

/// Sends a valid request to Pay's `/authorize` endpoint and returns the connection.
async fn send_authorize(local: &Local) -> TcpStream {
    let form = "grant_type=client_credentials&Username=emulator-user\
                &Password=emulator+%26+%3D+%2B+%25+%C3%A9+password";
    let head = format!(
        "POST /api/v1/authorize HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        form.len(),
    );
    let address = local.emulator.base_url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}{form}").as_bytes()).await.unwrap();
    stream
}

/// Reads until the server closes the connection. Returns the text that was read and how the
/// connection ended.
async fn read_to_end(mut stream: TcpStream) -> (String, Result<(), ErrorKind>) {
    let mut bytes = Vec::new();
    let outcome = stream.read_to_end(&mut bytes).await;
    (String::from_utf8_lossy(&bytes).into_owned(), outcome.map(drop).map_err(|error| error.kind()))
}

/// Injects a fault into one request. Returns the text that the client read, how the connection
/// ended, and the ledger's record of the request.
async fn send_with_fault(local: &Local, fault: Fault) -> (String, Result<(), ErrorKind>, Request) {
    local.emulator.fail_next(OPERATION, fault.clone());
    let (text, end) = read_to_end(send_authorize(local).await).await;
    // The connection may close before the ledger contains the status, so the status is not checked
    // here.
    let request = local.emulator.requests().pop().unwrap();
    assert_eq!(request.fault, Some(fault));
    let (after, end_after) = read_to_end(send_authorize(local).await).await;
    assert!(after.starts_with("HTTP/1.1 200"), "the next request must succeed: {after}");
    assert_eq!(end_after, Ok(()));
    (text, end, request)
}

fn session_tokens(local: &Local) -> usize {
    local.emulator.issued().iter().filter(|issued| issued.kind == Kind::SessionToken).count()
}

#[tokio::test]
async fn reply_sends_a_response_byte_for_byte() {
    let local = local().await;
    let headers = [("Retry-After", "1.5"), ("X-\u{e9}", "a\tb"), ("Content-Type", "text/html")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let fault = Fault::Reply { status: 503, headers, body: "<html>".to_owned() };
    let (text, end, request) = send_with_fault(&local, fault).await;
    let expected = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1.5\r\nX-\u{e9}: a\tb\r\nContent-Type: text/html\r\n\
                    content-length: 6\r\nconnection: close\r\n\r\n<html>";
    assert_eq!(text.as_str(), expected);
    assert_eq!(end, Ok(()));
    assert!(!request.processed);

    let (text, ..) = send_with_fault(&local, Fault::reply(200, "{}")).await;
    let expected =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    assert_eq!(text, expected);
    let (text, ..) = send_with_fault(&local, Fault::status(204)).await;
    assert_eq!(text, "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
    let (text, ..) = send_with_fault(&local, Fault::status(799)).await;
    assert_eq!(text, "HTTP/1.1 799 Fault\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

#[tokio::test]
async fn redirect_sends_a_status_and_a_location() {
    let local = local().await;
    let fault = Fault::Redirect { status: 307, location: "https://evil.example/".to_owned() };
    let (text, end, request) = send_with_fault(&local, fault).await;
    let expected = "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://evil.example/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_eq!(text.as_str(), expected);
    assert_eq!(end, Ok(()));
    assert!(!request.processed);
}

#[tokio::test]
async fn drop_and_reset_send_nothing_before_or_after_processing() {
    let local = local().await;
    for (when, processed) in [(When::Before, false), (When::After, true)] {
        let tokens_before = session_tokens(&local);
        let (text, end, request) = send_with_fault(&local, Fault::Drop { when }).await;
        assert_eq!(text.as_str(), "");
        assert_eq!(end, Ok(()));
        assert_eq!(request.processed, processed);
        assert_eq!(session_tokens(&local) - tokens_before - 1, usize::from(processed));

        let (text, end, request) = send_with_fault(&local, Fault::Reset { when }).await;
        assert_eq!(text.as_str(), "");
        assert_eq!(end, Err(ErrorKind::ConnectionReset));
        assert_eq!(request.processed, processed);
    }
}

#[tokio::test]
async fn half_body_sends_half_of_the_response() {
    let local = local().await;
    let (text, end, request) = send_with_fault(&local, Fault::HalfBody).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let (_, length) = head.split_once("content-length: ").unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    assert_eq!(body.len(), length / 2);
    assert_eq!(end, Ok(()));
    assert!(request.processed);
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(body.starts_with('{'), "{body}");

    // If the response has no body, the emulator sends half of the head.
    let token = send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token");
    local.emulator.fail_next(Operation::OutboundRevoke, Fault::HalfBody);
    assert!(local.request(Method::DELETE, "/api/v1/revoke").bearer_auth(&token).send().await.is_err());
    assert_eq!(send(local.accounts(&token)).await.status, 401, "the request was processed");
}

#[tokio::test]
async fn garbage_sends_bytes_that_are_not_http() {
    let local = local().await;
    let bytes = b"SSH-2.0-OpenSSH_9.9\r\n\0\x01".to_vec();
    let (text, end, request) = send_with_fault(&local, Fault::Garbage { bytes }).await;
    assert_eq!(text.as_str(), "SSH-2.0-OpenSSH_9.9\r\n\0\x01");
    assert_eq!(end, Ok(()));
    assert!(!request.processed);
}

#[tokio::test]
async fn endless_body_sends_a_body_that_never_ends() {
    let local = local().await;
    local.emulator.fail_next(OPERATION, Fault::EndlessBody);
    let mut stream = send_authorize(&local).await;
    let mut bytes = vec![0; 4 << 20];
    stream.read_exact(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(text.ends_with("xxxx"));
    drop(stream);
    assert_eq!(send(local.pay_authorize()).await.status, 200);
}

#[tokio::test]
async fn slow_bytes_pauses_before_each_byte() {
    let local = local().await;
    let started = Instant::now();
    local.emulator.fail_next(OPERATION, Fault::SlowBytes { milliseconds: 1 });
    let (text, end) = read_to_end(send_authorize(&local).await).await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.contains("\"access_token\":\"emu_"), "{text}");
    assert_eq!(end, Ok(()));
    // A timer may fire up to a millisecond early, so half a millisecond for each byte is a safe
    // lower bound.
    assert!(started.elapsed() >= Duration::from_micros(500) * u32::try_from(text.len()).unwrap());
}

#[tokio::test]
async fn delay_waits_before_or_after_processing() {
    let local = local().await;
    for (when, processed) in [(When::Before, true), (When::After, true)] {
        let started = Instant::now();
        let (text, _, request) = send_with_fault(&local, Fault::Delay { when, milliseconds: 30 }).await;
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(started.elapsed() >= Duration::from_millis(29));
        assert_eq!(request.processed, processed);
    }
    // If the client disconnects during the delay, the tokens show whether the request was
    // processed.
    for (when, processed) in [(When::Before, false), (When::After, true)] {
        let count = local.emulator.count(OPERATION);
        let tokens_before = session_tokens(&local);
        local.emulator.fail_next(OPERATION, Fault::Delay { when, milliseconds: 3_600_000 });
        let stream = send_authorize(&local).await;
        local.emulator.received(OPERATION, count + 1).await;
        while processed && session_tokens(&local) == tokens_before {
            tokio::task::yield_now().await;
        }
        drop(stream);
        assert_eq!(session_tokens(&local) - tokens_before, usize::from(processed));
    }
}

#[tokio::test]
async fn hold_waits_until_it_is_released() {
    let local = local().await;
    for when in [When::Before, When::After] {
        let count = local.emulator.count(OPERATION);
        local.emulator.fail_times(OPERATION, Fault::Hold { when }, 3);
        let mut streams = Vec::new();
        for _ in 0..3 {
            streams.push(send_authorize(&local).await);
        }
        local.emulator.received(OPERATION, count + 3).await;
        // The fourth request is not held. It receives a response while the others wait.
        assert_eq!(send(local.pay_authorize()).await.status, 200);
        let waiting = local.emulator.requests().into_iter().filter(|request| request.status.is_none()).count();
        assert_eq!(waiting, 3);
        local.emulator.release();
        for stream in streams {
            assert!(read_to_end(stream).await.0.starts_with("HTTP/1.1 200"));
        }
    }
}

#[tokio::test]
async fn duplicate_token_repeats_an_earlier_token() {
    let local = local().await;
    let first = local.session_token().await;
    local.emulator.fail_next(OPERATION, Fault::DuplicateToken);
    assert_eq!(local.session_token().await, first);
    assert_ne!(local.session_token().await, first);

    // Issuing a code through the library does not use up a request's fault.
    local.emulator.fail_next(Operation::OutboundToken, Fault::DuplicateToken);
    send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await;
    assert_ne!(local.emulator.issue_code("https://other.example/"), OUTBOUND_CODE);

    let first = local.authorize_token().await;
    local.emulator.fail_next(Operation::ConnectGenerateAuthorizeToken, Fault::DuplicateToken);
    assert_eq!(local.authorize_token().await, first);
}

#[tokio::test]
async fn faults_apply_per_operation_in_order_as_often_as_planned() {
    let local = local().await;
    local.emulator.fail_times(OPERATION, Fault::status(503), 2);
    local.emulator.fail_next(OPERATION, Fault::status(429));
    local.emulator.fail_times(OPERATION, Fault::status(418), 0);
    local.emulator.fail_always(Operation::OutboundToken, Fault::status(500));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(send(local.pay_authorize()).await.status);
    }
    assert_eq!(statuses, [503, 503, 429, 200]);
    for _ in 0..3 {
        assert_eq!(send(local.refresh("x")).await.status, 500);
    }
    local.emulator.clear_faults();
    assert_eq!(send(local.refresh("x")).await.status, 400);
}
