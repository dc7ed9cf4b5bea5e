//! A server on a loopback address that records requests.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::generated::Client;

/// A server that sends prepared responses.
pub(crate) struct Server(TcpListener);

impl Server {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.url().parse().unwrap()).unwrap()
    }

    /// Accepts one request and returns it with its connection.
    pub(crate) async fn accept(&self) -> (Request, TcpStream) {
        let (mut stream, _) = self.0.accept().await.unwrap();
        let mut bytes = Vec::new();
        let end = loop {
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
        };
        let mut body = bytes.split_off(end + 4);
        let head = String::from_utf8(bytes).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse::<usize>().unwrap());
        while body.len() < length {
            assert_ne!(stream.read_buf(&mut body).await.unwrap(), 0);
        }
        (Request { line, headers, body }, stream)
    }

    /// Accepts one request, sends `response` and returns the request.
    pub(crate) async fn serve(&self, response: &str) -> Request {
        let (request, mut stream) = self.accept().await;
        stream.write_all(response.as_bytes()).await.unwrap();
        request
    }

    /// Sends `response` to `call`. Returns the request and the result of the call.
    pub(crate) async fn exchange<T>(&self, response: &str, call: impl Future<Output = T>) -> (Request, T) {
        tokio::join!(self.serve(response), call)
    }

    /// Checks that no request is waiting.
    pub(crate) fn assert_idle(self) {
        let error = self.0.into_std().unwrap().accept().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
}

/// A request as received.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Returns the values of all headers with this name.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect()
    }

    /// Returns the names of the headers that depend on the arguments.
    pub(crate) fn header_names(&self) -> Vec<&str> {
        let names = self.headers.iter().map(|(name, _)| name.as_str());
        names
            .filter(|name| !["accept", "content-length", "content-type", "host", "user-agent"].contains(name))
            .collect()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Returns a response with these headers, each of which ends with a line break.
pub(crate) fn response(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

/// Returns a response with a JSON body.
pub(crate) fn json(body: &str) -> String {
    response(200, "content-type: application/json\r\n", body)
}
