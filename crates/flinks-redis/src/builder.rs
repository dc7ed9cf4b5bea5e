//! The builder of a store.

use std::fmt;
use std::time::Duration;

use crate::connection::SharedConnection;
use crate::error::InvalidConfiguration;
use crate::names::Namespace;
use crate::servers::Servers;
use crate::store::RedisStore;
#[cfg(feature = "rustls")]
use crate::tls::Certificates;
use flinks_consents::envelope::EncryptionKeys;

/// A builder for a [`RedisStore`]. [`RedisStore::builder`] creates one.
#[derive(Clone)]
pub struct RedisStoreBuilder {
    addresses: Vec<String>,
    is_cluster: bool,
    #[cfg(feature = "rustls")]
    certificates: Option<Certificates>,
    namespace: String,
    timeout: Duration,
    keys: EncryptionKeys,
}

/// Redis replies within milliseconds, and an end user may be waiting.
const TIMEOUT: Duration = Duration::from_secs(1);

impl RedisStoreBuilder {
    fn new(address: String, keys: EncryptionKeys) -> Self {
        Self {
            addresses: vec![address],
            is_cluster: false,
            #[cfg(feature = "rustls")]
            certificates: None,
            namespace: "flinks".to_owned(),
            timeout: TIMEOUT,
            keys,
        }
    }

    /// Connects to a cluster. `more` are addresses of other nodes: any node that can be reached names
    /// the others.
    #[must_use]
    pub fn cluster(mut self, more: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.is_cluster = true;
        self.addresses.extend(more.into_iter().map(Into::into));
        self
    }

    /// Sets the certificate authorities, in PEM, that the server's certificate must come from. Default:
    /// those of the platform.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates_mut().root_cert = Some(pem.into());
        self
    }

    /// Sets the certificate and the private key, in PEM, with which this client authenticates itself. By
    /// default, a `redis-server` with TLS requires one (`tls-auth-clients`).
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificates_mut().client_tls =
            Some(redis::ClientTlsConfig { client_cert: certificate.into(), client_key: key.into() });
        self
    }

    #[cfg(feature = "rustls")]
    fn certificates_mut(&mut self) -> &mut Certificates {
        self.certificates.get_or_insert(Certificates { client_tls: None, root_cert: None })
    }

    /// Sets the start of all keys in Redis. Default: `flinks`. Stores with different namespaces do not
    /// see each other's consents.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets how long a call may take, including the time to connect. Default: 1 second. The minimum is
    /// one millisecond.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Builds the store. It connects with its first call.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidConfiguration`] if
    ///
    /// - an address is not a URL, or is neither `rediss://` nor on this machine;
    /// - the namespace is empty, or holds a brace, white space or a control character;
    /// - a certificate or a key is not PEM, or certificates are set for a server without `rediss://`;
    /// - an address is `rediss://`, and the process has no default crypto provider of rustls: call
    ///   [`install_default_crypto_provider`](crate::install_default_crypto_provider) at the start of
    ///   `main`.
    pub fn build(self) -> Result<RedisStore, InvalidConfiguration> {
        let namespace = Namespace::new(self.namespace)?;
        let servers = Servers::new(
            &self.addresses,
            self.is_cluster,
            #[cfg(feature = "rustls")]
            self.certificates,
        )?;
        Ok(RedisStore::new(namespace, SharedConnection::new(servers, self.timeout), self.keys))
    }
}

impl RedisStore {
    /// Returns a builder for a store on the server at `address`, such as
    /// `rediss://redis.internal:6380/0`. The address may contain a user name and a password.
    pub fn builder(address: impl Into<String>, keys: EncryptionKeys) -> RedisStoreBuilder {
        RedisStoreBuilder::new(address.into(), keys)
    }
}

/// Does not show the addresses, which may contain a password, nor the keys.
impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
