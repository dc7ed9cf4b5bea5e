//! Checks how often frequently called functions allocate memory.
//!
//! This test is a separate binary, because the counting allocator applies to the whole process.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)] // test helpers are tests too

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use allocation_counter::measure;
use flinks::connect::{self, SecretKey};
use flinks::outbound::{self, ClientCredentials};
use flinks::pay::{self, Credentials};
use flinks::{BaseUrl, Settings};

#[test]
fn cloning_a_client_and_reading_a_deadline_do_not_allocate() {
    let client = pay_client();
    let token = runtime().block_on(client.authorize()).unwrap();
    let counted = measure(|| {
        let _ = client.clone();
        assert!(!token.is_expired());
        assert!(token.expires_at().is_some());
    });
    assert_eq!(counted.count_total, 0);
}

/// The same calls made directly with `reqwest` make 63, 59 and 60 allocations. Most of the
/// remaining allocations are made by `reqwest` and hyper, so new versions of those crates can
/// change the counts.
#[test]
fn a_new_token_costs_few_allocations() {
    let pay = pay_client();
    assert_allocations(51, async || drop(pay.authorize().await.unwrap()));
    let connect = connect_client();
    assert_allocations(47, async || drop(connect.generate_authorize_token().await.unwrap()));
    let outbound = outbound_client();
    assert_allocations(51, async || drop(outbound.client_credentials(None).await.unwrap()));
}

/// Asserts that a call on an open connection makes about this number of allocations.
#[track_caller]
fn assert_allocations(expected: u64, call: impl AsyncFn()) {
    const CALLS: u64 = 20;
    const TOLERANCE: u64 = 2;
    let runtime = runtime();
    runtime.block_on(call());
    let counted = measure(|| {
        runtime.block_on(async {
            for _ in 0..CALLS {
                call().await;
            }
        });
    });
    let each = counted.count_total.div_ceil(CALLS);
    assert!(each <= expected + TOLERANCE, "{each} allocations for each call, expected {expected}");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn pay_client() -> pay::Client {
    let credentials = Credentials::new("user", "password").unwrap();
    pay::Client::builder(server(), credentials).settings(&settings()).build().unwrap()
}

fn connect_client() -> connect::Client {
    let customer_id = "43387ca6-0391-4c82-857d-70d95f087ecb".parse().unwrap();
    let secret_key = SecretKey::new("c4569c54-e167-4d34-8de6-f4113bc82414").unwrap();
    connect::Client::builder(server(), customer_id, secret_key).settings(&settings()).build().unwrap()
}

fn outbound_client() -> outbound::Client {
    let credentials = ClientCredentials::new("id", "secret").unwrap();
    outbound::Client::builder(server(), credentials).settings(&settings()).build().unwrap()
}

/// Returns settings that accept repeated tokens, because the server always sends the same token.
fn settings() -> Settings {
    Settings::new().accept_repeated_tokens()
}

/// Starts a server that sends the same response to every request. The server runs in other threads,
/// whose allocations are not counted.
fn server() -> BaseUrl {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || respond(stream));
        }
    });
    url.parse().unwrap()
}

fn respond(mut stream: TcpStream) {
    let body =
        r#"{"access_token":"token","token_type":"Bearer","expires_in":1800,"HttpStatusCode":200,"Token":"token"}"#;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut buffer = vec![0; 4096];
    let mut received = 0;
    while let Ok(more @ 1..) = stream.read(&mut buffer[received..]) {
        received += more;
        if is_complete(&buffer[..received]) {
            received = 0;
            stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    }
}

/// Returns whether the whole body of a request has arrived. Every request announces the length of
/// its body.
fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    body.len() >= length.parse().unwrap()
}
