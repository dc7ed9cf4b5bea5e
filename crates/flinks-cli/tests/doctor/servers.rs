//! Servers that misbehave.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::net::TcpSocket;

use crate::support::block_on;

/// A server that sends the same response to each request. It runs until the test program exits.
pub(crate) struct Responder {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Responder {
    /// Returns the bytes that the server has received.
    pub(crate) fn received(&self) -> String {
        String::from_utf8_lossy(&self.received.lock().unwrap()).into_owned()
    }
}

/// Starts a server that responds to each request with this text.
pub(crate) fn respond(response: impl Into<String>) -> Responder {
    let response = response.into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let received = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&received);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (response, log) = (response.clone(), Arc::clone(&log));
            std::thread::spawn(move || serve(stream, &response, &log));
        }
    });
    Responder { address, received }
}

fn serve(mut stream: TcpStream, response: &str, log: &Mutex<Vec<u8>>) {
    /// The first byte of a TLS handshake. A handshake does not end with an empty line.
    const HANDSHAKE: u8 = 22;
    let mut head = Vec::new();
    let mut bytes = [0; 16 * 1024];
    while !head.ends_with(b"\r\n\r\n") && head.first() != Some(&HANDSHAKE) {
        match stream.read(&mut bytes) {
            Ok(length) if length > 0 => head.extend(&bytes[..length]),
            _ => break,
        }
    }
    log.lock().unwrap().extend(&head);
    // The client may have closed the connection.
    let _ = stream.write_all(response.as_bytes());
}

/// Starts a proxy that connects every client to the same server, and returns its address.
pub(crate) fn proxy_to(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || tunnel(stream, server));
        }
    });
    address
}

fn tunnel(mut client: TcpStream, server: SocketAddr) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let mut server = TcpStream::connect(server).unwrap();
    let (mut requests, mut sink) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        // A direction stops if either side closes the connection.
        let _ = std::io::copy(&mut requests, &mut sink);
        let _ = sink.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
}

/// Returns a response with these headers, each of which ends with a line break.
pub(crate) fn response(status: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n")
}

/// Returns a `Date` header.
pub(crate) fn date(time: SystemTime) -> String {
    format!("Date: {}\r\n", httpdate::fmt_http_date(time))
}

/// Starts a server that accepts connections and closes them.
pub(crate) fn close() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    address
}

/// Returns an address on which nothing listens.
pub(crate) fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A socket on which connections are established but never served.
pub(crate) fn silent() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A socket that drops the packets for new connections, because its queue is full.
pub(crate) struct Blackhole {
    pub(crate) address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _queue: Vec<TcpStream>,
}

impl Blackhole {
    pub(crate) fn new() -> Self {
        let listener = block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.listen(1).unwrap()
        });
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        let queue = std::iter::from_fn(connect).collect();
        Self { address, _listener: listener, _queue: queue }
    }
}
