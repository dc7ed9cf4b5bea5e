//! A test server that does not use an HTTP library. The server records the bytes of each request
//! and can respond with any bytes.
//!
//! The tests of other crates include this file by path.

use std::sync::{Arc, Mutex};

use flinks_core::generated::serde_json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The server's response to every request.
#[derive(Clone, Debug)]
pub(crate) enum RawResponse {
    /// Writes these bytes and closes the connection.
    Bytes(Vec<u8>),
    /// Writes these bytes and leaves the connection open.
    ThenSilence(Vec<u8>),
    /// Writes a response with this status. The headers and the JSON strings of the response echo
    /// the whole request.
    Echo(&'static str),
    /// Writes the first byte string once and then repeats the second one until the client
    /// disconnects.
    ThenEndless(Vec<u8>, Vec<u8>),
}

/// A running server that stops when dropped.
pub(crate) struct RawServer {
    /// The server's base URL.
    pub(crate) base_url: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl RawServer {
    /// Starts a server that sends this response to every request.
    pub(crate) async fn start(response: RawResponse) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Errors are ignored: some tests check what happens if the client disconnects.
                tokio::spawn(serve(stream, response.clone(), Arc::clone(&received)));
            }
        });
        Self { base_url, requests, task }
    }

    /// Starts a server that sends a response with this status, content type and body.
    pub(crate) async fn responding(status: &str, content_type: &str, body: &str) -> Self {
        let headers = format!("content-type: {content_type}\r\n");
        Self::start(RawResponse::Bytes(http_response(status, &headers, body))).await
    }

    /// Returns all received requests, with `[host]` instead of the host and the port.
    pub(crate) fn requests(&self) -> Vec<String> {
        let host = self.base_url.trim_start_matches("http://");
        self.requests.lock().unwrap().iter().map(|request| request.replace(host, "[host]")).collect()
    }

    /// Returns the only received request, with LF line endings. Panics unless there is exactly one
    /// request.
    pub(crate) fn only_request(&self) -> String {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.concat().replace("\r\n", "\n")
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Creates an HTTP/1.1 response. `headers` is empty or consists of lines that each end with CR LF.
pub(crate) fn http_response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
        .into_bytes()
}

fn echo(status: &str, request: &str) -> Vec<u8> {
    let line: String = request.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect();
    let text = serde_json::to_string(request).unwrap();
    let headers = format!("location: /{line}\r\nob-correlation-id: {line}\r\nset-cookie: {line}\r\n");
    // The fields match every product's error body but no success body.
    let body = format!(
        r#"{{"error":{text},"error_description":{text},"Message":{text},"FlinksCode":{text},"Token":[{text}],"access_token":[{text}]}}"#
    );
    http_response(status, &headers, &body)
}

async fn serve(mut stream: TcpStream, response: RawResponse, received: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let request = read_request(&mut stream).await?;
    received.lock().unwrap().push(request.clone());
    match response {
        RawResponse::Bytes(bytes) => stream.write_all(&bytes).await,
        RawResponse::Echo(status) => stream.write_all(&echo(status, &request)).await,
        RawResponse::ThenSilence(bytes) => {
            stream.write_all(&bytes).await?;
            // Waits until the client closes the connection.
            stream.read(&mut [0; 1]).await.map(drop)
        }
        RawResponse::ThenEndless(start, chunk) => {
            stream.write_all(&start).await?;
            loop {
                stream.write_all(&chunk).await?;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Ok(text.into_owned());
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
