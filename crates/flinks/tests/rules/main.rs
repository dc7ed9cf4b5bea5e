//! Tests the rules of the three products against the emulator. Each test advances its own clock.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::string_slice, clippy::unwrap_used)] // test helpers are tests too

mod all;
mod authorization;
mod callbacks;
mod claims;
mod codes;
mod configuration;
mod connect;
mod connections;
mod documents;
mod echoes;
mod index;
mod landing;
mod log_lines;
mod messages;
mod outbound;
mod pages;
mod pay;
mod pool;
mod refresh;
mod replies;
mod runtimes;
mod timeouts;
mod urls;

#[path = "../shared/lines.rs"]
mod lines;
#[path = "../shared/outbound.rs"]
mod outbound_client;
#[path = "../shared/runtimes.rs"]
mod without_drivers;

use std::time::Duration;

use flinks::connect::{AuthorizeToken, LoginId, SecretKey};
use flinks::outbound::ClientAuthentication;
use flinks::pay::{Credentials, NewSession};
use flinks::{BaseUrl, Clock as _, ManualClock, Settings, connect as flinks_connect, pay as flinks_pay};
use flinks_emulator::Emulator;
use flinks_emulator::credentials::*;

use crate::outbound_client::{TIMEOUT, auto_advancing_clock, client_at, waits};

/// An emulator, its clients and their clock.
struct Local {
    emulator: Emulator,
    clock: ManualClock,
    pay: flinks_pay::Client,
    connect: flinks_connect::Client,
}

async fn local() -> Local {
    local_with(|settings| settings).await
}

async fn local_with(change: impl FnOnce(Settings) -> Settings) -> Local {
    local_at(auto_advancing_clock(), change).await
}

async fn local_at(clock: ManualClock, change: impl FnOnce(Settings) -> Settings) -> Local {
    let emulator = Emulator::start().await.unwrap();
    let settings = change(Settings::new().clock(clock.clone()).timeout(TIMEOUT));
    let base_url: BaseUrl = emulator.base_url().parse().unwrap();
    let (pay, connect) = clients(&base_url, &settings);
    Local { emulator, clock, pay, connect }
}

fn clients(base_url: &BaseUrl, settings: &Settings) -> (flinks_pay::Client, flinks_connect::Client) {
    let credentials = Credentials::new(PAY_USERNAME, PAY_PASSWORD).unwrap();
    let pay = flinks_pay::Client::builder(base_url.clone(), credentials).settings(settings).build().unwrap();
    let customer_id = CONNECT_CUSTOMER_ID.parse().unwrap();
    let secret_key = SecretKey::new(CONNECT_SECRET_KEY).unwrap();
    let connect =
        flinks_connect::Client::builder(base_url.clone(), customer_id, secret_key).settings(settings).build().unwrap();
    (pay, connect)
}

fn new_session() -> NewSession {
    NewSession::new(
        "r-1",
        flinks::pay::Cents(10_50),
        flinks::pay::Customer { name: "Ada".to_owned(), email: "ada@example.com".to_owned() },
    )
    .unwrap()
}

fn login_id() -> LoginId {
    LoginId::new(CONNECT_LOGIN_ID).unwrap()
}

impl Local {
    fn outbound(&self, authentication: impl Into<ClientAuthentication>) -> flinks::outbound::Client {
        client_at(&self.emulator, &self.clock, authentication)
    }

    /// Returns the waits between attempts since this method was last called.
    fn waits(&self) -> Vec<Duration> {
        waits(&self.clock)
    }

    fn turn_wall_clock_ahead(&self, by: Duration) {
        self.clock.set_wall(self.clock.wall() + by);
    }

    fn turn_wall_clock_back(&self, by: Duration) {
        self.clock.set_wall(self.clock.wall() - by);
    }

    async fn authorize_token(&self) -> AuthorizeToken {
        self.connect.generate_authorize_token().await.unwrap()
    }
}

/// Sends a GET request and does not follow redirects. Returns the status and the `Location` header.
async fn get(local: &Local, url: &str) -> (u16, Option<String>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = local.emulator.base_url().strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let path = url.strip_prefix(local.emulator.base_url()).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let location = response.lines().find_map(|line| line.strip_prefix("location: "));
    (response[9..12].parse().unwrap(), location.map(str::to_owned))
}
