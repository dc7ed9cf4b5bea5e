//! The connection pool.

use std::net::IpAddr;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use flinks_consents::store::StoreError;
use flinks_core::plain_http::PlainHost;
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, Connection, NoTls, Socket};

use crate::address::{Address, Security};
use crate::error::store_error;

/// Opens connections for the pool.
pub(crate) struct Connector {
    address: Address,
    plain_host: PlainHost,
    #[cfg(feature = "rustls")]
    tls: Option<tokio_postgres_rustls::MakeRustlsConnect>,
}

/// An open connection. Dropping this value closes it, even if a statement is still running.
pub(crate) struct OpenConnection {
    pub(crate) client: Client,
    task: JoinHandle<()>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connector {
    pub(crate) fn new(
        address: Address,
        plain_host: PlainHost,
        #[cfg(feature = "rustls")] tls: Option<tokio_postgres_rustls::MakeRustlsConnect>,
    ) -> Self {
        Self {
            address,
            plain_host,
            #[cfg(feature = "rustls")]
            tls,
        }
    }

    async fn connect(&self) -> Result<OpenConnection, StoreError> {
        match self.address.security {
            Security::Tls => self.connect_with_tls().await,
            Security::Local | Security::PlainRemote => open(&self.with_checked_addresses().await?, NoTls).await,
        }
    }

    #[cfg(feature = "rustls")]
    async fn connect_with_tls(&self) -> Result<OpenConnection, StoreError> {
        let tls = self.tls.clone().ok_or(NO_TLS)?;
        open(&self.address.config, tls).await
    }

    #[cfg(not(feature = "rustls"))]
    async fn connect_with_tls(&self) -> Result<OpenConnection, StoreError> {
        Err(NO_TLS)
    }

    /// Returns the configuration with the addresses to which the host names resolve. Returns an
    /// error unless all addresses of a host are loopback addresses or, for the allowed host,
    /// private addresses.
    async fn with_checked_addresses(&self) -> Result<Config, StoreError> {
        let config = &self.address.config;
        let has_name = |host: &Host| matches!(host, Host::Tcp(name) if name.parse::<IpAddr>().is_err());
        if !config.get_hosts().iter().any(has_name) {
            return Ok(config.clone());
        }
        let mut resolved = without_hosts(config);
        let ports = config.get_ports();
        for (index, host) in config.get_hosts().iter().enumerate() {
            let port = ports.get(index).or_else(|| ports.first()).copied().unwrap_or(DEFAULT_PORT);
            match host {
                Host::Tcp(name) => {
                    for address in self.resolve(name, port).await? {
                        resolved.host(address.to_string()).port(port);
                    }
                }
                #[cfg(unix)]
                Host::Unix(path) => {
                    resolved.host_path(path).port(port);
                }
            }
        }
        Ok(resolved)
    }

    async fn resolve(&self, name: &str, port: u16) -> Result<Vec<IpAddr>, StoreError> {
        let found = tokio::net::lookup_host((name, port)).await;
        let found: Vec<IpAddr> = found
            .map_err(|_| StoreError::unavailable("has a host name that cannot be resolved"))?
            .map(|address| address.ip())
            .collect();
        if found.is_empty() || !found.iter().all(|address| self.plain_host.accepts(name, *address)) {
            return Err(NO_TLS);
        }
        Ok(found)
    }
}

/// Copies a configuration without its hosts and ports.
fn without_hosts(config: &Config) -> Config {
    let mut copy = Config::new();
    copy.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs())
        .load_balance_hosts(config.get_load_balance_hosts())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle());
    if let Some(user) = config.get_user() {
        copy.user(user);
    }
    if let Some(password) = config.get_password() {
        copy.password(password);
    }
    if let Some(database) = config.get_dbname() {
        copy.dbname(database);
    }
    if let Some(name) = config.get_application_name() {
        copy.application_name(name);
    }
    if let Some(timeout) = config.get_connect_timeout() {
        copy.connect_timeout(*timeout);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        copy.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        copy.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        copy.keepalives_retries(retries);
    }
    copy
}

const DEFAULT_PORT: u16 = 5432;
const NO_TLS: StoreError = StoreError::misconfigured("has an address that requires TLS");

async fn open<T>(config: &Config, tls: T) -> Result<OpenConnection, StoreError>
where
    T: MakeTlsConnect<Socket>,
    T::TlsConnect: Send,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, connection) = config.connect(tls).await.map_err(|error| store_error(&error))?;
    Ok(OpenConnection { client, task: tokio::spawn(drive(connection)) })
}

/// Processes the messages on a connection until the connection is closed.
///
/// Polling the connection as a future would log the server's notices, which could contain values.
async fn drive<S, T>(mut connection: Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(Ok(_)) = std::future::poll_fn(|context| connection.poll_message(context)).await {}
}

impl Manager for Connector {
    type Type = OpenConnection;
    type Error = StoreError;

    async fn create(&self) -> Result<OpenConnection, StoreError> {
        self.connect().await
    }

    /// Checks whether the connection is open, without sending a request to the server.
    async fn recycle(&self, connection: &mut OpenConnection, _: &Metrics) -> RecycleResult<StoreError> {
        if connection.client.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn connector(url: &str, plain_host: &str) -> Connector {
        let plain_host = PlainHost::new(plain_host.to_owned());
        let address = Address::parse(url, &plain_host, Duration::from_secs(3)).unwrap();
        Connector {
            address,
            plain_host,
            #[cfg(feature = "rustls")]
            tls: None,
        }
    }

    #[tokio::test]
    async fn a1_plain_connections_use_only_loopback_and_private_addresses() {
        let connector = connector("postgres://app:canary@localhost:7/app", "10.0.0.7");
        for host in ["127.0.0.1", "localhost", "10.0.0.7"] {
            assert!(connector.resolve(host, 1).await.is_ok(), "{host}");
        }
        for host in ["192.0.2.1", "10.0.0.1", "0.0.0.0", "2001:db8::1", ""] {
            assert!(connector.resolve(host, 1).await.is_err(), "{host}");
        }
        let resolved = connector.with_checked_addresses().await.unwrap();
        assert!(!resolved.get_hosts().contains(&Host::Tcp("localhost".to_owned())));
        assert!(resolved.get_ports().iter().all(|port| *port == 7));
        assert_eq!(resolved.get_password(), Some(&b"canary"[..]));
    }
}
