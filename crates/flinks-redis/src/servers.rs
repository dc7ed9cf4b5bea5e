//! The servers of a store: one, or the nodes of a cluster, and how to connect to them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::AsyncDNSResolver;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, Pipeline,
    RedisFuture, RedisResult, Value,
};

use crate::error::{INVALID_CERTIFICATES, InvalidConfiguration};
#[cfg(feature = "rustls")]
use crate::tls::{self, Certificates};

pub(crate) struct Servers {
    addresses: Vec<ConnectionInfo>,
    is_cluster: bool,
    #[cfg(feature = "rustls")]
    certificates: Option<Certificates>,
}

impl Servers {
    /// Parses the addresses, and checks that no refresh token would leave this machine in clear text.
    pub(crate) fn new(
        addresses: &[String],
        is_cluster: bool,
        #[cfg(feature = "rustls")] certificates: Option<Certificates>,
    ) -> Result<Self, InvalidConfiguration> {
        let addresses = addresses.iter().map(|address| parse(address)).collect::<Result<Vec<_>, _>>()?;
        let servers = Self {
            addresses,
            is_cluster,
            #[cfg(feature = "rustls")]
            certificates,
        };
        #[cfg(feature = "rustls")]
        servers.check_tls()?;
        servers.client().map_err(|_| INVALID_CERTIFICATES)?;
        Ok(servers)
    }

    #[cfg(feature = "rustls")]
    fn check_tls(&self) -> Result<(), InvalidConfiguration> {
        let is_tls = |address: &ConnectionInfo| matches!(address.addr(), ConnectionAddr::TcpTls { .. });
        if self.addresses.iter().any(is_tls) {
            tls::check_crypto_provider()?;
        }
        self.certificates.as_ref().map_or(Ok(()), tls::check_certificates)
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    /// Connects to the server, or to the cluster. Connecting, and each reply, take at most `timeout`.
    pub(crate) async fn connect(&self, timeout: Duration) -> RedisResult<Connection> {
        if self.is_cluster { self.connect_to_cluster(timeout).await } else { self.connect_to_server(timeout).await }
    }

    async fn connect_to_cluster(&self, timeout: Duration) -> RedisResult<Connection> {
        let mut builder =
            ClusterClientBuilder::new(self.addresses.clone()).connection_timeout(timeout).response_timeout(timeout);
        #[cfg(feature = "rustls")]
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.clone());
        }
        if self.is_clear_text() {
            builder = builder.async_dns_resolver(OnThisMachine);
        }
        Ok(Connection::Cluster(builder.build()?.get_async_connection().await?))
    }

    async fn connect_to_server(&self, timeout: Duration) -> RedisResult<Connection> {
        let mut config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(timeout)).set_response_timeout(Some(timeout));
        if self.is_clear_text() {
            config = config.set_dns_resolver(OnThisMachine);
        }
        let connection = self.client()?.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Connection::Single(connection))
    }

    fn is_clear_text(&self) -> bool {
        self.addresses.iter().any(|address| !matches!(address.addr(), ConnectionAddr::TcpTls { .. }))
    }

    /// Returns a client of the first server.
    fn client(&self) -> RedisResult<redis::Client> {
        let no_address = (ErrorKind::InvalidClientConfig, "no address");
        let address = self.addresses.first().cloned().ok_or(no_address)?;
        #[cfg(feature = "rustls")]
        if let Some(certificates) = &self.certificates {
            return redis::Client::build_with_tls(address, certificates.clone());
        }
        redis::Client::open(address)
    }
}

/// Parses an address that refresh tokens may be sent to: with TLS, or on this machine.
fn parse(text: &str) -> Result<ConnectionInfo, InvalidConfiguration> {
    let invalid = |problem| InvalidConfiguration::new("Redis address", problem);
    let address =
        text.into_connection_info().map_err(|_| invalid("expected a URL such as rediss://redis.internal:6380"))?;
    let is_safe = match address.addr() {
        ConnectionAddr::TcpTls { insecure, .. } => !insecure && cfg!(feature = "rustls"),
        ConnectionAddr::Tcp(host, _) => is_this_machine(host),
        ConnectionAddr::Unix(_) => true,
        _ => false,
    };
    if is_safe { Ok(address) } else { Err(invalid("expected rediss://, or a server on this machine")) }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Resolves names to addresses of this machine only. Clear text must not go to another machine, also
/// not to a node that a cluster announces later.
struct OnThisMachine;

impl AsyncDNSResolver for OnThisMachine {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        host: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
            if found.is_empty() || found.iter().any(|address| !address.ip().is_loopback()) {
                return Err((ErrorKind::InvalidClientConfig, "not on this machine").into());
            }
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

/// A connection to one server or to a cluster. Many calls share it; it matches replies to calls by
/// their order, also if a caller no longer waits for its reply.
#[derive(Clone)]
pub(crate) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(cmd, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a1_clear_text_goes_to_this_machine_only() {
        for host in ["127.0.0.1", "::1", "localhost"] {
            assert!(OnThisMachine.resolve(host, 1).await.is_ok(), "{host}");
        }
        for host in ["192.0.2.1", "0.0.0.0", "::", "2001:db8::1", ""] {
            assert!(OnThisMachine.resolve(host, 1).await.is_err(), "{host}");
        }
    }
}
