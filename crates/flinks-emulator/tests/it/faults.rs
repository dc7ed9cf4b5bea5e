//! Each fault, seen by a client that reads the socket itself.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use flinks_emulator::credentials::*;
use flinks_emulator::{Fault, Kind, Operation, Request, When};
use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Local, ask, local};

const OPERATION: Operation = Operation::PayAuthorize;

/// A good request to Pay's `/authorize`, with all of it sent.
async fn sent(local: &Local) -> TcpStream {
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

/// All that is read until the server ends the connection, and how it ended it.
async fn read(mut stream: TcpStream) -> (String, Result<(), ErrorKind>) {
    let mut bytes = Vec::new();
    let outcome = stream.read_to_end(&mut bytes).await;
    (String::from_utf8_lossy(&bytes).into_owned(), outcome.map(drop).map_err(|error| error.kind()))
}

/// What one request with a fault reads, and what the ledger says of it.
async fn met(local: &Local, fault: Fault) -> (String, Result<(), ErrorKind>, Request) {
    local.emulator.fail_next(OPERATION, fault.clone());
    let (text, end) = read(sent(local).await).await;
    // The end of the connection can be seen just before it is written down.
    let request = local.emulator.requests().pop().unwrap();
    assert_eq!(request.fault, Some(fault));
    let (after, end_after) = read(sent(local).await).await;
    assert!(after.starts_with("HTTP/1.1 200") && end_after == Ok(()), "the next request meets no fault: {after}");
    (text, end, request)
}

fn tokens(local: &Local) -> usize {
    local.emulator.issued().iter().filter(|issued| issued.kind == Kind::SessionToken).count()
}

#[tokio::test]
async fn a_reply_is_sent_byte_for_byte() {
    let local = local().await;
    let headers = [("Retry-After", "1.5"), ("X-\u{e9}", "a\tb"), ("Content-Type", "text/html")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let fault = Fault::Reply { status: 503, headers, body: "<html>".to_owned() };
    let (text, end, request) = met(&local, fault).await;
    let expected = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1.5\r\nX-\u{e9}: a\tb\r\nContent-Type: text/html\r\n\
                    content-length: 6\r\nconnection: close\r\n\r\n<html>";
    assert_eq!((text.as_str(), end, request.processed), (expected, Ok(()), false));

    let (text, ..) = met(&local, Fault::reply(200, "{}")).await;
    let expected =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    assert_eq!(text, expected);
    let (text, ..) = met(&local, Fault::status(204)).await;
    assert_eq!(text, "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
    let (text, ..) = met(&local, Fault::status(799)).await;
    assert_eq!(text, "HTTP/1.1 799 Fault\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

#[tokio::test]
async fn a_redirect() {
    let local = local().await;
    let fault = Fault::Redirect { status: 307, location: "https://evil.example/".to_owned() };
    let (text, end, request) = met(&local, fault).await;
    let expected = "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://evil.example/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_eq!((text.as_str(), end, request.processed), (expected, Ok(()), false));
}

#[tokio::test]
async fn a_drop_and_a_reset_before_and_after() {
    let local = local().await;
    for (when, processed) in [(When::Before, false), (When::After, true)] {
        let tokens_before = tokens(&local);
        let (text, end, request) = met(&local, Fault::Drop { when }).await;
        assert_eq!((text.as_str(), end, request.processed), ("", Ok(()), processed));
        assert_eq!(tokens(&local) - tokens_before - 1, usize::from(processed));

        let (text, end, request) = met(&local, Fault::Reset { when }).await;
        assert_eq!((text.as_str(), end, request.processed), ("", Err(ErrorKind::ConnectionReset), processed));
    }
}

#[tokio::test]
async fn half_a_body() {
    let local = local().await;
    let (text, end, request) = met(&local, Fault::HalfBody).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let (_, length) = head.split_once("content-length: ").unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    assert_eq!((body.len(), end, request.processed), (length / 2, Ok(()), true));
    assert!(head.starts_with("HTTP/1.1 200 OK") && body.starts_with('{'));

    // Where there is no body, it is half of the head.
    let token = ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token");
    local.emulator.fail_next(Operation::OutboundRevoke, Fault::HalfBody);
    assert!(local.request(Method::DELETE, "/api/v1/revoke").bearer_auth(&token).send().await.is_err());
    assert_eq!(ask(local.accounts(&token)).await.status, 401, "it was processed");
}

#[tokio::test]
async fn garbage() {
    let local = local().await;
    let bytes = b"SSH-2.0-OpenSSH_9.9\r\n\0\x01".to_vec();
    let (text, end, request) = met(&local, Fault::Garbage { bytes }).await;
    assert_eq!((text.as_str(), end, request.processed), ("SSH-2.0-OpenSSH_9.9\r\n\0\x01", Ok(()), false));
}

#[tokio::test]
async fn a_body_without_end() {
    let local = local().await;
    local.emulator.fail_next(OPERATION, Fault::EndlessBody);
    let mut stream = sent(&local).await;
    let mut bytes = vec![0; 4 << 20];
    stream.read_exact(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("xxxx"));
    drop(stream);
    assert_eq!(ask(local.pay_authorize()).await.status, 200);
}

#[tokio::test]
async fn slow_bytes() {
    let local = local().await;
    let started = Instant::now();
    local.emulator.fail_next(OPERATION, Fault::SlowBytes { milliseconds: 1 });
    let (text, end) = read(sent(&local).await).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"access_token\":\"emu_") && end == Ok(()), "{text}");
    // Timers are early by less than a millisecond; half of it is what cannot fail.
    assert!(started.elapsed() >= Duration::from_micros(500) * u32::try_from(text.len()).unwrap());
}

#[tokio::test]
async fn a_delay_before_and_after() {
    let local = local().await;
    for (when, processed) in [(When::Before, true), (When::After, true)] {
        let started = Instant::now();
        let (text, _, request) = met(&local, Fault::Delay { when, milliseconds: 30 }).await;
        assert!(text.starts_with("HTTP/1.1 200") && started.elapsed() >= Duration::from_millis(29));
        assert_eq!(request.processed, processed);
    }
    // Cut off in the middle, which of the two it was can be seen.
    for (when, processed) in [(When::Before, false), (When::After, true)] {
        let count = local.emulator.count(OPERATION);
        let tokens_before = tokens(&local);
        local.emulator.fail_next(OPERATION, Fault::Delay { when, milliseconds: 3_600_000 });
        let stream = sent(&local).await;
        local.emulator.received(OPERATION, count + 1).await;
        while processed && tokens(&local) == tokens_before {
            tokio::task::yield_now().await;
        }
        drop(stream);
        assert_eq!(tokens(&local) - tokens_before, usize::from(processed));
    }
}

#[tokio::test]
async fn a_hold_before_and_after_lasts_until_it_is_released() {
    let local = local().await;
    for when in [When::Before, When::After] {
        let count = local.emulator.count(OPERATION);
        local.emulator.fail_times(OPERATION, Fault::Hold { when }, 3);
        let mut streams = Vec::new();
        for _ in 0..3 {
            streams.push(sent(&local).await);
        }
        local.emulator.received(OPERATION, count + 3).await;
        // The fourth meets no hold, and is answered while three wait.
        assert_eq!(ask(local.pay_authorize()).await.status, 200);
        let waiting = local.emulator.requests().into_iter().filter(|request| request.status.is_none()).count();
        assert_eq!(waiting, 3);
        local.emulator.release();
        for stream in streams {
            assert!(read(stream).await.0.starts_with("HTTP/1.1 200"));
        }
    }
}

#[tokio::test]
async fn a_token_that_was_handed_out_before() {
    let local = local().await;
    let first = local.session_token().await;
    local.emulator.fail_next(OPERATION, Fault::DuplicateToken);
    assert_eq!(local.session_token().await, first);
    assert_ne!(local.session_token().await, first);

    // The library is not that request.
    local.emulator.fail_next(Operation::OutboundToken, Fault::DuplicateToken);
    ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await;
    assert_ne!(local.emulator.issue_code("https://other.example/"), OUTBOUND_CODE);

    let first = local.authorize_token().await;
    local.emulator.fail_next(Operation::ConnectGenerateAuthorizeToken, Fault::DuplicateToken);
    assert_eq!(local.authorize_token().await, first);
}

#[tokio::test]
async fn faults_come_in_order_by_operation_and_as_often_as_told() {
    let local = local().await;
    local.emulator.fail_times(OPERATION, Fault::status(503), 2);
    local.emulator.fail_next(OPERATION, Fault::status(429));
    local.emulator.fail_times(OPERATION, Fault::status(418), 0);
    local.emulator.fail_always(Operation::OutboundToken, Fault::status(500));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(ask(local.pay_authorize()).await.status);
    }
    assert_eq!(statuses, [503, 503, 429, 200]);
    for _ in 0..3 {
        assert_eq!(ask(local.refresh("x")).await.status, 500);
    }
    local.emulator.clear_faults();
    assert_eq!(ask(local.refresh("x")).await.status, 400);
}
