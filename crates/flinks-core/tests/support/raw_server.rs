//! A server without an HTTP library: it shows the bytes that arrived, and replies with any bytes.
//!
//! The tests of the product crates and of the facade include this file by its path.

use std::sync::{Arc, Mutex};

use flinks_core::generated::serde_json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Writes these bytes, and closes.
    Bytes(Vec<u8>),
    /// Writes these bytes, and then nothing, with the connection open.
    ThenSilence(Vec<u8>),
    /// Writes a reply of this status that holds the whole request, in its headers and as a JSON text in its body.
    Echo(&'static str),
    /// Writes these bytes, and then these again and again, until the client has enough.
    ThenEndless(Vec<u8>, Vec<u8>),
}

/// A running server. Dropping it ends it.
pub(crate) struct Raw {
    /// Its base URL.
    pub(crate) base_url: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Raw {
    /// Starts a server that gives this answer to every request.
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // An error here is a client that left, which some tests are about.
                tokio::spawn(serve(stream, answer.clone(), Arc::clone(&seen)));
            }
        });
        Self { base_url, requests, task }
    }

    /// Starts a server that answers with this status, body and content type.
    pub(crate) async fn replying(status: &str, content_type: &str, body: &str) -> Self {
        Self::start(Answer::Bytes(reply(status, &format!("content-type: {content_type}\r\n"), body))).await
    }

    /// All requests as they arrived, with the port taken out of the host.
    pub(crate) fn requests(&self) -> Vec<String> {
        let host = self.base_url.trim_start_matches("http://");
        self.requests.lock().unwrap().iter().map(|request| request.replace(host, "[host]")).collect()
    }

    /// Returns the only request that arrived, with a line feed at the end of each line.
    pub(crate) fn only_request(&self) -> String {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.concat().replace("\r\n", "\n")
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An HTTP/1.1 reply. `headers` is empty, or lines that each end in CR LF.
pub(crate) fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
        .into_bytes()
}

fn echo(status: &str, request: &str) -> Vec<u8> {
    let line: String = request.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect();
    let text = serde_json::to_string(request).unwrap();
    let headers = format!("location: /{line}\r\nob-correlation-id: {line}\r\nset-cookie: {line}\r\n");
    // One of these fits the error body of each product, and none fits a success.
    let body = format!(
        r#"{{"error":{text},"error_description":{text},"Message":{text},"FlinksCode":{text},"Token":[{text}],"access_token":[{text}]}}"#
    );
    reply(status, &headers, &body)
}

async fn serve(mut stream: TcpStream, answer: Answer, seen: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let request = read_request(&mut stream).await?;
    seen.lock().unwrap().push(request.clone());
    match answer {
        Answer::Bytes(bytes) => stream.write_all(&bytes).await,
        Answer::Echo(status) => stream.write_all(&echo(status, &request)).await,
        Answer::ThenSilence(bytes) => {
            stream.write_all(&bytes).await?;
            // Until the client closes.
            stream.read(&mut [0; 1]).await.map(drop)
        }
        Answer::ThenEndless(start, again) => {
            stream.write_all(&start).await?;
            loop {
                stream.write_all(&again).await?;
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
