//! A store's servers and the connections to them.

use std::net::SocketAddr;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::AsyncDNSResolver;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, Pipeline,
    RedisFuture, RedisResult, Value,
};

use flinks_core::plain_http::{PlainHost, PlainHostProblem, is_loopback_host};

use crate::batching::BatchingConnection;
use crate::error::{INVALID_CERTIFICATES, InvalidConfiguration};
#[cfg(feature = "rustls")]
use crate::tls::{self, Certificates};

/// A standalone server, or the known nodes of a cluster.
pub(crate) struct Servers {
    addresses: Vec<ConnectionInfo>,
    is_cluster: bool,
    plain_host: PlainHost,
    #[cfg(feature = "rustls")]
    certificates: Option<Certificates>,
}

impl Servers {
    /// Parses the addresses and checks that connections to other machines use TLS, unless the
    /// configuration allows connections without TLS.
    pub(crate) fn new(
        addresses: &[String],
        is_cluster: bool,
        plain_host: PlainHost,
        #[cfg(feature = "rustls")] certificates: Option<Certificates>,
    ) -> Result<Self, InvalidConfiguration> {
        let addresses = addresses.iter().map(|address| parse(address, &plain_host)).collect::<Result<Vec<_>, _>>()?;
        let servers = Self {
            addresses,
            is_cluster,
            plain_host,
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

    /// Connects to the server or cluster. `timeout` limits the connection attempt and the wait for
    /// each response.
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
        if self.has_plain_address() {
            builder = builder.async_dns_resolver(PlainResolver(self.plain_host.clone()));
        }
        Ok(Connection::Cluster(builder.build()?.get_async_connection().await?))
    }

    async fn connect_to_server(&self, timeout: Duration) -> RedisResult<Connection> {
        let mut config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(timeout)).set_response_timeout(Some(timeout));
        if self.has_plain_address() {
            config = config.set_dns_resolver(PlainResolver(self.plain_host.clone()));
        }
        let connection = self.client()?.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Connection::Single(BatchingConnection::new(connection)))
    }

    /// Returns whether at least one address does not use TLS.
    fn has_plain_address(&self) -> bool {
        self.addresses.iter().any(|address| !matches!(address.addr(), ConnectionAddr::TcpTls { .. }))
    }

    /// Returns whether at least one non-loopback address does not use TLS.
    pub(crate) fn has_plain_remote_host(&self) -> bool {
        let is_plain_and_remote = |address: &ConnectionInfo| match address.addr() {
            ConnectionAddr::Tcp(host, _) => !is_loopback_host(host),
            _ => false,
        };
        self.addresses.iter().any(is_plain_and_remote)
    }

    /// Creates a client for the first address.
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

/// Parses an address, which must use TLS unless it is a Unix socket, a loopback address or the
/// allowed host.
fn parse(text: &str, plain_host: &PlainHost) -> Result<ConnectionInfo, InvalidConfiguration> {
    let invalid = |problem| InvalidConfiguration::new("Redis address", problem);
    let address =
        text.into_connection_info().map_err(|_| invalid("must be a URL such as rediss://redis.internal:6380"))?;
    let is_safe = match address.addr() {
        ConnectionAddr::TcpTls { insecure, .. } => !insecure && cfg!(feature = "rustls"),
        ConnectionAddr::Tcp(host, _) if is_loopback_host(host) => true,
        ConnectionAddr::Tcp(host, _) => {
            return plain_host.find_problem(host).map_or(Ok(address.clone()), |found| Err(plain_error(found)));
        }
        ConnectionAddr::Unix(_) => true,
        _ => false,
    };
    if is_safe { Ok(address) } else { Err(invalid(NOT_SAFE)) }
}

/// The message for an address on another machine if the address does not use TLS or disables
/// certificate verification (`#insecure`).
const NOT_SAFE: &str = "must start with rediss:// and verify certificates, unless it is a loopback address";

/// Returns the error for a host to which a connection without TLS is not allowed.
fn plain_error(problem: PlainHostProblem) -> InvalidConfiguration {
    InvalidConfiguration::new(
        "Redis address",
        match problem {
            PlainHostProblem::NoneAllowed => NOT_SAFE,
            PlainHostProblem::OfFlinks => "must not be a Flinks host, even with dangerous_plain_redis_host",
            PlainHostProblem::OtherAllowed => {
                "must start with rediss:// unless its host is the one that dangerous_plain_redis_host allows"
            }
            PlainHostProblem::PublicAddress => "must start with rediss://, because its host is a public address",
        },
    )
}

/// A resolver of host names for connections without TLS. It returns an error unless all addresses
/// of a host are loopback addresses or, for the allowed host, private addresses.
///
/// The connection also uses this resolver for the host names of nodes that a cluster announces
/// later.
struct PlainResolver(PlainHost);

impl AsyncDNSResolver for PlainResolver {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        host: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
            if found.is_empty() || !found.iter().all(|address| self.0.accepts(host, address.ip())) {
                return Err((ErrorKind::InvalidClientConfig, "connections to this address require TLS").into());
            }
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

/// A connection to a standalone server or a cluster. Many calls can use it at the same time. It
/// matches responses to calls by their order, even if some of the calls were cancelled.
#[derive(Clone)]
pub(crate) enum Connection {
    Single(BatchingConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(batching) => Box::pin(batching.send(cmd)),
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
            Self::Single(batching) => batching.connection.req_packed_commands(cmd, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(batching) => batching.connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a1_plain_connections_are_allowed_only_to_loopback() {
        let resolver = PlainResolver(PlainHost::default());
        for host in ["127.0.0.1", "::1", "localhost"] {
            assert!(resolver.resolve(host, 1).await.is_ok(), "{host}");
        }
        for host in ["192.0.2.1", "10.0.0.1", "0.0.0.0", "::", "2001:db8::1", ""] {
            assert!(resolver.resolve(host, 1).await.is_err(), "{host}");
        }
    }

    #[tokio::test]
    async fn a1_plain_connections_are_allowed_to_the_configured_private_host() {
        let allowed = |host: &str| PlainHost::new(host.to_owned());
        for (host, address) in
            [("redis", "redis://redis:6379"), ("Redis.", "redis://redis"), ("10.0.0.7", "redis://10.0.0.7")]
        {
            assert!(parse(address, &allowed(host)).is_ok(), "{address}");
        }
        for (host, address) in [
            ("redis", "redis://other"),
            ("", "redis://redis"),
            ("8.8.8.8", "redis://8.8.8.8"),
            ("169.254.169.254", "redis://169.254.169.254"),
            ("api.flinks.io", "redis://api.flinks.io"),
            ("fin.ag.", "redis://fin.ag"),
        ] {
            assert!(parse(address, &allowed(host)).is_err(), "{address}");
        }
        // The resolver checks the addresses again, because the name may resolve to a different
        // address by then.
        assert!(PlainResolver(allowed("10.0.0.7")).resolve("10.0.0.7", 1).await.is_ok());
        assert!(PlainResolver(allowed("8.8.8.8")).resolve("8.8.8.8", 1).await.is_err());
        assert!(PlainResolver(allowed("10.0.0.7")).resolve("10.0.0.8", 1).await.is_err());
    }
}
