#![doc = include_str!("../README.md")]
// Arithmetic on times and numbers from a client must not overflow. `clippy.toml` lists the
// disallowed methods.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::disallowed_methods))]

mod access;
mod bank;
mod bounded_map;
mod clock;
mod config;
mod control;
pub mod credentials;
mod dashboard;
mod environment;
mod fault;
mod file_error;
mod guide;
mod http;
mod ledger;
mod observer;
mod operation;
mod pages;
mod pkce;
#[cfg(feature = "program")]
pub mod program;
mod record;
mod redaction;
mod return_url;
mod route;
mod rules;
mod scenario;
mod server;
mod shared;
mod start;
mod state;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod visits;
mod wire;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use crate::config::{
    ClientAuthentication, Config, ConnectConfig, ConnectCustomer, EndUser, EventTarget, Limits, OutboundClient,
    OutboundConfig, PayAuthentication, PayConfig, PayUser, Pkce, RedirectUrlPart,
};
pub use crate::fault::{Fault, When};
pub use crate::file_error::FileError;
pub use crate::ledger::{Issued, Kind, Request, Usage};
pub use crate::operation::Operation;
pub use crate::scenario::Scenario;
#[cfg(feature = "tls")]
pub use crate::tls::{ClientCertificates, Tls};

use crate::fault::ScheduledFault;
use crate::record::Recorder;
use crate::server::Server;
use crate::shared::Shared;
use crate::transport::Transport;

/// A running emulator. Dropping it stops the emulator and closes every connection.
///
/// An emulator runs on its own thread with its own runtime, so a test can use any runtime and any
/// client, including a blocking one.
pub struct Emulator {
    shared: Arc<Shared>,
    listener: TcpListener,
    base_url: String,
    server: Server,
}

impl Emulator {
    /// Starts an emulator on a free port on 127.0.0.1 with the default [`Config`].
    ///
    /// # Errors
    ///
    /// Returns an error if no port is available or the operating system cannot start a thread.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Config::default()).await
    }

    /// Starts an emulator on a free port on 127.0.0.1 with this configuration.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is invalid, if no port is available, or if the operating
    /// system cannot start a thread.
    pub async fn start_with(config: Config) -> io::Result<Self> {
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), config).await
    }

    /// Starts an emulator on a loopback address. Port 0 selects a free port.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is not a loopback address or is in use, if a setting is
    /// invalid, or if the operating system cannot start a thread.
    pub async fn listen(address: SocketAddr, config: Config) -> io::Result<Self> {
        Self::open(ListenAddress::Loopback(address), config, Transport::Plain)
    }

    /// Starts an emulator on any address of this machine, including non-loopback addresses. Port 0
    /// selects a free port.
    ///
    /// Listening on an address that other machines can reach is dangerous: the emulator's
    /// credentials are public, traffic is not encrypted, and the emulator stores every request. The
    /// control API accepts requests from other machines only if they carry the access token from
    /// [`dashboard_url`](Self::dashboard_url).
    ///
    /// # Errors
    ///
    /// Returns an error if the address is in use or does not belong to this machine, if a setting
    /// is invalid, or if the operating system cannot start a thread.
    pub async fn dangerously_listen_anywhere(address: SocketAddr, config: Config) -> io::Result<Self> {
        Self::open(ListenAddress::Any(address), config, Transport::Plain)
    }

    fn open(address: ListenAddress, config: Config, transport: Transport) -> io::Result<Self> {
        let address = address.checked()?;
        if let Some(problem) = config.problem() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let listener = TcpListener::bind(address)?;
        let mut address = listener.local_addr()?;
        // A client cannot connect to an unspecified address, so the base URL contains a loopback
        // address.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let base_url = format!("{}://{address}", transport.scheme());
        let shared = Arc::new(Shared::new(config, transport));
        let server = Server::start(&listener, &shared)?;
        Ok(Self { shared, listener, base_url, server })
    }

    /// Returns the base URL that all three products share, such as `http://127.0.0.1:41739`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns the text that the program prints: the base URL, the credentials, and a `curl`
    /// command for each endpoint.
    ///
    /// A credential that differs from the default may be real, so the text contains a placeholder
    /// such as `$PASSWORD` instead.
    pub fn guide(&self) -> String {
        guide::guide(&self.base_url, &self.config())
    }

    /// Returns the environment variables for a program that uses this emulator: the base URLs and
    /// the credentials under the names that the `flinks` crate reads, such as `FLINKS_PAY_URL`.
    ///
    /// The variables contain the configured credentials. If the certificates from [`Tls`] were
    /// written to files, variables such as `SSL_CERT_FILE` make common TLS libraries trust the
    /// emulator; most of these libraries then trust no other authority.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let emulator = flinks_emulator::Emulator::start().await?;
    /// let mut service = std::process::Command::new("my-service");
    /// service.envs(emulator.env());
    /// # Ok(())
    /// # }
    /// ```
    pub fn env(&self) -> Vec<(&'static str, String)> {
        environment::variables(&self.base_url, &self.config(), &self.shared.transport)
    }

    /// Returns the address of the dashboard, which shows the requests, the tokens, the clock and
    /// the faults in a browser.
    ///
    /// If the emulator does not listen on a loopback address, or if [`allow_host`](Self::allow_host)
    /// was called, the fragment of the address contains the access token. Anyone who knows the
    /// token can use the dashboard and the control API.
    pub fn dashboard_url(&self) -> String {
        let Self { base_url, listener, shared, .. } = self;
        let is_loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
        let access = &shared.observer.access;
        if is_loopback && !access.has_hosts() {
            return format!("{base_url}{}", dashboard::PATH);
        }
        format!("{base_url}{}#token={}", dashboard::PATH, access.token())
    }

    /// Accepts this name, such as the name of a container, as the `Host` of requests to the
    /// dashboard and the control API, in addition to loopback names. These requests must carry the
    /// access token from [`dashboard_url`](Self::dashboard_url).
    pub fn allow_host(&self, name: &str) {
        self.shared.observer.access.allow_host(name);
    }

    /// Replaces the unknown values in each request with hashes as soon as the request arrives. A
    /// value is unknown if the emulator neither issued it nor is configured with it.
    ///
    /// This protects real credentials that people send to a local server by mistake. The program
    /// does this by default. The emulator still processes the original request.
    pub fn hide_unknown_values(&self) {
        self.shared.observer.hide_unknown_values();
    }

    /// Starts recording each request and its response in a HAR file (HTTP Archive 1.2). If the file
    /// exists, it is replaced.
    ///
    /// Credentials and tokens are replaced with their names, and values that the emulator does not
    /// know are replaced with hashes. The file is a complete document after each request. It grows
    /// without limit.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be created.
    pub fn record(&self, file: &Path) -> io::Result<()> {
        self.shared.observer.record(Recorder::create(file, self.shared.transport.scheme())?);
        Ok(())
    }

    /// Revokes every code and token of an end user, as if the end user had revoked the consent at
    /// the bank. `subject` is the end user's [`Issued::subject`]. Returns whether the ledger
    /// contains such a code or token.
    pub fn revoke_connection(&self, subject: &str) -> bool {
        self.shared.state().revoke_connection(subject)
    }

    /// Returns the current configuration.
    pub fn config(&self) -> Config {
        self.shared.state().config.clone()
    }

    /// Changes the configuration with effect from the next request. The new settings are not
    /// validated.
    ///
    /// Tokens issued before the change keep their lifetime.
    ///
    /// Requests wait while `change` runs. `change` must not call a method of this emulator, because
    /// that would deadlock.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        self.shared.state().configure(change);
        self.shared.announce_clock_change();
    }

    /// Returns the emulator's current time as a duration since the Unix epoch.
    pub fn now(&self) -> Duration {
        self.shared.state().now()
    }

    /// Advances the emulator's clock. Only [`reset`](Self::reset) can move the clock backwards.
    pub fn advance(&self, by: Duration) {
        self.shared.advance(by);
    }

    /// Schedules a fault for an operation's next request.
    ///
    /// Faults for the same operation are applied in the order they were scheduled, one per request.
    pub fn fail_next(&self, operation: Operation, fault: Fault) {
        self.fail_times(operation, fault, 1);
    }

    /// Schedules a fault for an operation's next `times` requests.
    pub fn fail_times(&self, operation: Operation, fault: Fault, times: u64) {
        self.shared.state().faults.add(ScheduledFault { operation, fault, remaining: Some(times) });
    }

    /// Schedules a fault for every request for an operation until
    /// [`clear_faults`](Self::clear_faults) is called.
    pub fn fail_always(&self, operation: Operation, fault: Fault) {
        self.shared.state().faults.add(ScheduledFault { operation, fault, remaining: None });
    }

    /// Removes all scheduled faults. A fault that already affects a request in progress remains in
    /// effect for that request.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// Releases every request that has arrived so far and is blocked by [`Fault::Hold`]. Requests
    /// that arrive later stay blocked until the next call to `release`.
    pub fn release(&self) {
        self.shared.release();
    }

    /// Waits until `count` requests for an operation have arrived since the start or the last
    /// reset.
    ///
    /// A request has arrived once the emulator has received all of it or the client has
    /// disconnected. From then on, [`release`](Self::release) can release it from [`Fault::Hold`].
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe. Dropping the future has no effect.
    pub async fn received(&self, operation: Operation, count: u64) {
        self.shared.received(operation, count).await;
    }

    /// Returns the requests in the ledger, from oldest to newest.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().ledger.requests().cloned().collect()
    }

    /// Returns the ledger's requests for an operation, from oldest to newest.
    pub fn requests_of(&self, operation: Operation) -> Vec<Request> {
        self.shared.state().ledger.requests().filter(|request| request.operation == Some(operation)).cloned().collect()
    }

    /// Returns how many requests for an operation have arrived since the start or the last reset,
    /// including those that are no longer in the ledger.
    pub fn count(&self, operation: Operation) -> u64 {
        self.shared.state().ledger.count(operation)
    }

    /// Returns how many requests in the ledger [carry](Request::carries) a value, such as a
    /// credential, a code or a token.
    pub fn count_carrying(&self, value: &str) -> u64 {
        self.shared.state().ledger.count_carrying(value)
    }

    /// Returns the codes and tokens in the ledger, ordered by kind and then from oldest to newest.
    pub fn issued(&self) -> Vec<Issued> {
        self.shared.state().ledger.all_issued().cloned().collect()
    }

    /// Returns the record of a code or token, or `None` if it is not in the ledger.
    pub fn find(&self, token: &str) -> Option<Issued> {
        self.shared.state().ledger.find(token).cloned()
    }

    /// Issues an Outbound authorization code, as if a new end user had just given consent and
    /// returned to `redirect_uri`.
    pub fn issue_code(&self, redirect_uri: &str) -> String {
        self.shared.state().issue_code(redirect_uri.to_owned())
    }

    /// Loads a scenario: applies its settings, replaces the banks and their users, resets
    /// everything else as [`reset`](Self::reset) does, and starts the scenario's steps.
    ///
    /// Changes that a previously loaded scenario made to the settings are undone first.
    ///
    /// # Errors
    ///
    /// Returns an error if the scenario's settings are invalid in combination with the current
    /// configuration. In that case, nothing changes.
    pub fn load_scenario(&self, scenario: &Scenario) -> Result<(), FileError> {
        self.shared.load_scenario(scenario)
    }

    /// Returns the loaded scenario, or `None` if no scenario has been loaded.
    pub fn scenario(&self) -> Option<Scenario> {
        self.shared.state().scenario.scenario().cloned()
    }

    /// Resets the emulator to its initial state but keeps the configuration and continues the
    /// numbering of requests.
    ///
    /// This method removes every request, token, session, payment request, login, page visit and
    /// scheduled fault. It closes every connection with a request in flight, and sets the clock to
    /// the machine's time. Finally, it restores the code, refresh token and login from
    /// [`credentials`], and restarts the loaded scenario.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Closes every connection and starts serving again, like a server that restarts and keeps its
    /// database. Clients that connect during the restart wait until the restart is complete.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system cannot provide the required thread or socket.
    ///
    /// # Cancel safety
    ///
    /// This method is not cancel safe. If the future is dropped, the emulator may remain stopped.
    /// To start it, call `restart` again.
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

/// An address to listen on, and whether other machines may reach it.
enum ListenAddress {
    Loopback(SocketAddr),
    Any(SocketAddr),
}

impl ListenAddress {
    fn checked(self) -> io::Result<SocketAddr> {
        match self {
            Self::Loopback(address) if !address.ip().is_loopback() => {
                let message = "expected a loopback address, because the emulator's credentials are public";
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
            Self::Loopback(address) | Self::Any(address) => Ok(address),
        }
    }
}
