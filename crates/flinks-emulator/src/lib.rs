#![doc = include_str!("../README.md")]
// No `+` on a time or a number that others gave, which would panic; no file that is written in place (clippy.toml).
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::disallowed_methods))]

mod bank;
mod bounded_map;
mod clock;
mod config;
mod control;
pub mod credentials;
mod fault;
mod guide;
mod http;
mod ledger;
mod operation;
mod pages;
mod return_url;
mod route;
mod rules;
mod server;
mod shared;
mod start;
mod state;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

pub use crate::config::{ClientAuthentication, Config, ConnectConfig, EndUser, Limits, OutboundConfig, PayConfig};
pub use crate::fault::{Fault, When};
pub use crate::ledger::{Issued, Kind, Request, Usage};
pub use crate::operation::Operation;

use crate::fault::Planned;
use crate::server::Server;
use crate::shared::Shared;

/// A running emulator. Dropping it ends it, and every connection to it.
///
/// It runs on a thread and a runtime of its own, so a test may use any client, a blocking one too, and any runtime.
pub struct Emulator {
    shared: Arc<Shared>,
    listener: TcpListener,
    base_url: String,
    server: Server,
}

impl Emulator {
    /// Starts one on a free port of 127.0.0.1, with the default [`Config`].
    ///
    /// # Errors
    ///
    /// Where no port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Config::default()).await
    }

    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// Where no port can be had, or a setting cannot be meant.
    pub async fn start_with(config: Config) -> io::Result<Self> {
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), config).await
    }

    /// Starts one at `address`, where port 0 is any free port.
    ///
    /// # Errors
    ///
    /// Where the address is not a loopback address, or is taken, or a setting cannot be meant.
    pub async fn listen(address: SocketAddr, config: Config) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let message = "the emulator listens on a loopback address only: its credentials are known to everybody";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Self::dangerously_listen_anywhere(address, config).await
    }

    /// Starts one at `address`, which others may reach: they know its credentials, and what they send it is kept, in clear
    /// text. The control API still answers this machine only.
    ///
    /// # Errors
    ///
    /// Where the address is taken, or not one of this machine, or a setting cannot be meant.
    pub async fn dangerously_listen_anywhere(address: SocketAddr, config: Config) -> io::Result<Self> {
        if let Some(problem) = config.problem() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let listener = TcpListener::bind(address)?;
        let mut address = listener.local_addr()?;
        // "Every address" is none that a client could ask.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let shared = Arc::new(Shared::new(config));
        let server = Server::start(&listener, &shared)?;
        Ok(Self { shared, listener, base_url: format!("http://{address}"), server })
    }

    /// The base URL of all three products, such as `http://127.0.0.1:41739`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The text that the program prints: the credentials, and one command for each endpoint. A configured credential is not in
    /// it, because it may be real.
    pub fn guide(&self) -> String {
        guide::guide(&self.base_url, &self.config())
    }

    /// What is set.
    pub fn config(&self) -> Config {
        self.shared.state().config.clone()
    }

    /// Changes what is set, from the next request on. What was issued keeps the lifetime that it was issued with.
    ///
    /// Requests wait while `change` runs; it must not call this emulator.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        self.shared.state().configure(change);
    }

    /// Now, since the Unix epoch, on the emulator's own clock.
    pub fn now(&self) -> Duration {
        self.shared.state().now()
    }

    /// Puts the emulator's clock forward. Time does not go back.
    pub fn advance(&self, by: Duration) {
        self.shared.state().clock.advance(by);
    }

    /// Lets the next request of an operation meet a fault. Faults of one operation come in the order in which they were
    /// given.
    pub fn fail_next(&self, operation: Operation, fault: Fault) {
        self.fail_times(operation, fault, 1);
    }

    /// Lets the next `times` requests of an operation meet a fault.
    pub fn fail_times(&self, operation: Operation, fault: Fault, times: u64) {
        self.shared.state().faults.add(Planned { operation, fault, left: Some(times) });
    }

    /// Lets every request of an operation meet a fault, until [`clear_faults`](Self::clear_faults).
    pub fn fail_always(&self, operation: Operation, fault: Fault) {
        self.shared.state().faults.add(Planned { operation, fault, left: None });
    }

    /// Takes back the faults that have not come yet.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// Lets go what [`Fault::Hold`] holds now.
    pub fn release(&self) {
        self.shared.release();
    }

    /// Waits until `count` requests of an operation have arrived since the start, or the last reset. A request has arrived when all of it is
    /// here, or its client has given up; a hold of it can be released from then on.
    pub async fn received(&self, operation: Operation, count: u64) {
        self.shared.received(operation, count).await;
    }

    /// The requests that are kept, from the oldest to the newest.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().ledger.requests().cloned().collect()
    }

    /// The requests of an operation that are kept, from the oldest to the newest.
    pub fn requests_of(&self, operation: Operation) -> Vec<Request> {
        self.shared.state().ledger.requests().filter(|request| request.operation == Some(operation)).cloned().collect()
    }

    /// How many requests of an operation have arrived since the start, or the last reset.
    pub fn count(&self, operation: Operation) -> u64 {
        self.shared.state().ledger.count(operation)
    }

    /// How many of the kept requests [carry](Request::carries) a credential, a code or a token.
    pub fn count_carrying(&self, value: &str) -> u64 {
        self.shared.state().ledger.count_carrying(value)
    }

    /// The tokens that are known, by kind and then from the oldest to the newest.
    pub fn issued(&self) -> Vec<Issued> {
        self.shared.state().ledger.all_issued().cloned().collect()
    }

    /// What is known of one token.
    pub fn find(&self, token: &str) -> Option<Issued> {
        self.shared.state().ledger.find(token).cloned()
    }

    /// A code of Outbound, as if a new end user had just agreed and come back to `redirect_uri` (O9, O10).
    pub fn issue_code(&self, redirect_uri: &str) -> String {
        self.shared.state().issue_code(redirect_uri.to_owned(), None)
    }

    /// Forgets every request, token, login, page and fault, ends the requests that are under way, and sets the clock back
    /// to the machine's. The configuration stays, and requests are numbered on.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Ends every connection, as a server that is started anew but keeps its database. Whoever connects meanwhile waits.
    ///
    /// # Errors
    ///
    /// Where the operating system has no thread or socket left.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.server.stop().await;
        self.server = Server::start(&self.listener, &self.shared)?;
        Ok(())
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}
