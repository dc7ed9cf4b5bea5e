//! Responses that are not JSON.

use std::time::Duration;

use flinks_core::{ErrorKind, Transport, TransportErrorKind};
use tokio::io::AsyncWriteExt as _;

use super::generated::Client;
use super::server::{Server, response};

#[tokio::test]
async fn a_file_is_read_in_chunks_while_it_arrives() {
    let server = Server::start().await;
    let client = server.client();
    let (ready, proceed) = tokio::sync::oneshot::channel();
    let serve = async {
        let (request, mut stream) = server.accept().await;
        let head =
            "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-type: text/CSV\r\nX-Pages: 2\r\ncontent-length: 6\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"a,b").await.unwrap();
        // The rest is sent only after the client has read the first chunk.
        proceed.await.unwrap();
        stream.write_all(b"\xFF\x00\n").await.unwrap();
        request
    };
    let read = async {
        let answer = client.download_statement("2026/01").send().await.unwrap();
        assert_eq!(answer.head().header("x-pages").unwrap(), "2");
        let mut stream = answer.into_inner();
        assert_eq!(stream.content_length(), Some(6));
        let first = stream.chunk().await.unwrap().unwrap();
        assert_eq!(first.as_ref(), b"a,b");
        assert!(!format!("{stream:?}").contains("a,b"));
        ready.send(()).unwrap();
        stream.bytes().await.unwrap()
    };
    let (request, rest) = tokio::join!(serve, read);
    assert_eq!(rest, b"\xFF\x00\n");
    assert_eq!(request.line, "GET /statements/2026%2F01/file HTTP/1.1");
    assert_eq!(request.header("accept"), ["application/pdf, text/csv, application/json"]);
}

#[tokio::test]
async fn a_file_larger_than_64_kib_is_read() {
    let server = Server::start().await;
    let client = server.client();
    let file = "x".repeat(200_000);
    let call = async { client.download_statement("1").send().await.unwrap().into_inner().bytes().await };
    let (_, bytes) = server.exchange(&response(200, "content-type: application/pdf\r\n", &file), call).await;
    assert_eq!(bytes.unwrap().len(), 200_000);
}

#[tokio::test]
async fn a_file_larger_than_the_limit_is_an_error() {
    let server = Server::start().await;
    let client = server.client();
    let announced = response(200, "content-type: application/pdf\r\n", "12345");
    let chunked = "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-type: application/pdf\r\ntransfer-encoding: chunked\r\n\r\n\
                   3\r\n123\r\n2\r\n45\r\n0\r\n\r\n";
    for answer in [announced.as_str(), chunked] {
        for (limit, is_ok) in [(5, true), (4, false)] {
            let call = async {
                let stream = client.download_statement("1").send().await.unwrap().into_inner();
                stream.with_limit(limit).bytes().await
            };
            let (_, bytes) = server.exchange(answer, call).await;
            match bytes {
                Ok(bytes) => {
                    assert!(is_ok, "{answer}");
                    assert_eq!(bytes, b"12345");
                }
                Err(error) => {
                    assert!(!is_ok, "{answer}");
                    assert_eq!(error.kind(), TransportErrorKind::TooLarge);
                    assert!(error.to_string().contains("limit"), "{error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_returned_after_a_chunk_beyond_the_limit() {
    let server = Server::start().await;
    let client = server.client();
    let serve = async {
        let (_, mut stream) = server.accept().await;
        let head = "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-type: text/csv\r\ncontent-length: 6\r\n\r\n";
        stream.write_all(format!("{head}12345").as_bytes()).await.unwrap();
        stream
    };
    let read = async { client.download_statement("1").send().await.unwrap().into_inner().with_limit(4) };
    let (mut connection, mut stream) = tokio::join!(serve, read);
    assert_eq!(stream.chunk().await.unwrap_err().kind(), TransportErrorKind::TooLarge);
    connection.write_all(b"6").await.unwrap();
    assert_eq!(stream.chunk().await.unwrap_err().kind(), TransportErrorKind::TooLarge);
}

#[tokio::test]
async fn a_truncated_file_is_an_error() {
    let server = Server::start().await;
    let client = server.client();
    let answer = "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-type: application/pdf\r\ncontent-length: 9\r\n\r\n123";
    let call = async { client.download_statement("1").send().await.unwrap().into_inner().bytes().await };
    let (_, bytes) = server.exchange(answer, call).await;
    assert_eq!(bytes.unwrap_err().kind(), TransportErrorKind::Interrupted);
}

#[tokio::test]
async fn another_media_type_is_malformed() {
    let server = Server::start().await;
    let client = server.client();
    for media_type in ["text/html", "application/json", ""] {
        let answer = response(200, &format!("content-type: {media_type}\r\n"), "canary");
        let (_, outcome) = server.exchange(&answer, client.download_statement("1").send()).await;
        let error = outcome.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidResponse(_)), "{error}");
        assert!(error.to_string().contains("media type"), "{error}");
    }
}

#[tokio::test]
async fn the_error_body_of_a_file_is_decoded() {
    let server = Server::start().await;
    let client = server.client();
    let answer = response(404, "content-type: application/json\r\nX-Pages: 0\r\n", r#"{"title":"t"}"#);
    let (_, outcome) = server.exchange(&answer, client.download_statement("1").send()).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.body().unwrap().title, "t");
    assert_eq!(error.operation(), Some("downloadStatement"));
    assert_eq!(error.head().unwrap().header("x-pages").unwrap(), "0");
}

#[tokio::test]
async fn the_timeout_includes_the_whole_file() {
    let server = Server::start().await;
    let transport = Transport::new(server.url().parse().unwrap()).unwrap();
    let client = Client::with_transport(transport.with_timeout(Duration::from_millis(200)));
    let answer = "HTTP/1.1 200 X\r\ncontent-type: application/pdf\r\ncontent-length: 9\r\n\r\n123";
    let serve = async {
        let (_, mut stream) = server.accept().await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let read = async { client.download_statement("1").send().await.unwrap().into_inner() };
    let (_open, mut stream) = tokio::join!(serve, read);
    assert_eq!(stream.chunk().await.unwrap().unwrap().as_ref(), b"123");
    assert_eq!(stream.chunk().await.unwrap_err().kind(), TransportErrorKind::Timeout);
}
