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

use flinks_core::plain_http::{is_host_of_flinks, is_private};

use crate::error::{INVALID_CERTIFICATES, InvalidConfiguration};
#[cfg(feature = "rustls")]
use crate::tls::{self, Certificates};

pub(crate) struct Servers {
    addresses: Vec<ConnectionInfo>,
    is_cluster: bool,
    plain_host: PlainHost,
    #[cfg(feature = "rustls")]
    certificates: Option<Certificates>,
}

impl Servers {
    /// Parses the addresses, and checks that no refresh token would leave this machine in clear text.
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
            builder = builder.async_dns_resolver(ClearText(self.plain_host.clone()));
        }
        Ok(Connection::Cluster(builder.build()?.get_async_connection().await?))
    }

    async fn connect_to_server(&self, timeout: Duration) -> RedisResult<Connection> {
        let mut config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(timeout)).set_response_timeout(Some(timeout));
        if self.is_clear_text() {
            config = config.set_dns_resolver(ClearText(self.plain_host.clone()));
        }
        let connection = self.client()?.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Connection::Single(connection))
    }

    fn is_clear_text(&self) -> bool {
        self.addresses.iter().any(|address| !matches!(address.addr(), ConnectionAddr::TcpTls { .. }))
    }

    /// Returns whether records leave this machine in clear text, as the exception allows.
    pub(crate) fn is_clear_text_to_another_machine(&self) -> bool {
        let is_elsewhere = |address: &ConnectionInfo| match address.addr() {
            ConnectionAddr::Tcp(host, _) => !is_this_machine(host),
            _ => false,
        };
        self.addresses.iter().any(is_elsewhere)
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
fn parse(text: &str, plain_host: &PlainHost) -> Result<ConnectionInfo, InvalidConfiguration> {
    let invalid = |problem| InvalidConfiguration::new("Redis address", problem);
    let address =
        text.into_connection_info().map_err(|_| invalid("is not a URL such as rediss://redis.internal:6380"))?;
    let is_safe = match address.addr() {
        ConnectionAddr::TcpTls { insecure, .. } => !insecure && cfg!(feature = "rustls"),
        ConnectionAddr::Tcp(host, _) if is_this_machine(host) => true,
        ConnectionAddr::Tcp(host, _) => {
            return plain_host.check(host).map_or(Ok(address.clone()), |reason| Err(invalid(reason)));
        }
        ConnectionAddr::Unix(_) => true,
        _ => false,
    };
    if is_safe { Ok(address) } else { Err(invalid("is neither rediss:// nor on this machine")) }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The one host on another machine that clear text may go to, if there is one.
#[derive(Clone, Default)]
pub(crate) struct PlainHost(pub(crate) Option<String>);

impl PlainHost {
    /// Returns why clear text may not go to a host.
    fn check(&self, host: &str) -> Option<&'static str> {
        match &self.0 {
            None => Some("is neither rediss:// nor on this machine"),
            Some(allowed) if is_host_of_flinks(allowed) => {
                Some("is a host of Flinks, to which nothing is sent in clear text")
            }
            Some(allowed) if !self.is(host) || allowed.is_empty() => {
                Some("is in clear text, which is allowed to another host only")
            }
            Some(_) => {
                let is_public = host.parse().is_ok_and(|address: IpAddr| !is_private(address));
                is_public.then_some("is in clear text to an address that is not private")
            }
        }
    }

    fn is(&self, host: &str) -> bool {
        let normalized = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
        self.0.as_deref().is_some_and(|allowed| normalized(allowed) == normalized(host))
    }
}

/// Resolves names to addresses that clear text may go to: those of this machine, and private ones for the one host that is
/// allowed. This is also asked for a node that a cluster announces later.
struct ClearText(PlainHost);

impl AsyncDNSResolver for ClearText {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        host: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
            let may_be_used = |address: &SocketAddr| match self.0.is(host) {
                true => is_private(address.ip()),
                false => address.ip().is_loopback(),
            };
            if found.is_empty() || !found.iter().all(may_be_used) {
                return Err((ErrorKind::InvalidClientConfig, "clear text may not go to this address").into());
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
        let this_machine = ClearText(PlainHost::default());
        for host in ["127.0.0.1", "::1", "localhost"] {
            assert!(this_machine.resolve(host, 1).await.is_ok(), "{host}");
        }
        for host in ["192.0.2.1", "10.0.0.1", "0.0.0.0", "::", "2001:db8::1", ""] {
            assert!(this_machine.resolve(host, 1).await.is_err(), "{host}");
        }
    }

    #[tokio::test]
    async fn a1_clear_text_goes_to_the_one_private_host_that_is_allowed() {
        let allowed = |host: &str| PlainHost(Some(host.to_owned()));
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
        // On the connection, too: the name may resolve to anything by then.
        assert!(ClearText(allowed("10.0.0.7")).resolve("10.0.0.7", 1).await.is_ok());
        assert!(ClearText(allowed("8.8.8.8")).resolve("8.8.8.8", 1).await.is_err());
        assert!(ClearText(allowed("10.0.0.7")).resolve("10.0.0.8", 1).await.is_err());
    }
}
