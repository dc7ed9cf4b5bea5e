//! The builder for a [`RedisStore`] and the environment variables that configure it.

use std::fmt;
use std::time::Duration;

use crate::connection::SharedConnection;
use crate::error::InvalidConfiguration;
use crate::names::Namespace;
use crate::servers::Servers;
use crate::store::RedisStore;
#[cfg(feature = "rustls")]
use crate::tls::Certificates;
use flinks_consents::envelope::{EncryptionKeys, Envelope, Key};
use flinks_core::configuration::{Field, Values};
use flinks_core::plain_http::PlainHost;
use serde::{Deserialize, Deserializer};

/// A builder for a [`RedisStore`]. Create one with [`RedisStore::builder`] or
/// [`from_env`](Self::from_env).
#[derive(Clone)]
pub struct RedisStoreBuilder {
    addresses: Vec<String>,
    is_cluster: bool,
    #[cfg(feature = "rustls")]
    certificates: Option<Certificates>,
    namespace: String,
    timeout: Duration,
    plain_host: PlainHost,
    envelope: Envelope,
}

/// The default timeout for a call. It is short, because Redis usually responds within milliseconds
/// and an end user may be waiting.
const TIMEOUT: Duration = Duration::from_secs(1);

impl RedisStoreBuilder {
    fn new(address: String, envelope: Envelope) -> Self {
        Self {
            addresses: vec![address],
            is_cluster: false,
            #[cfg(feature = "rustls")]
            certificates: None,
            namespace: "flinks".to_owned(),
            timeout: TIMEOUT,
            plain_host: PlainHost::default(),
            envelope,
        }
    }

    /// Creates a builder from environment variables. The `Deserialize` implementation reads the
    /// same values from the fields of a map, such as a section of a configuration file.
    ///
    /// | variable | field | value |
    /// | --- | --- | --- |
    /// | `FLINKS_REDIS_URL` | `url` | the address, such as `rediss://redis.internal:6380/0` |
    /// | `FLINKS_REDIS_NAME_KEY` | `name_key` | the key that hides ids: 32 bytes in base64 |
    /// | `FLINKS_REDIS_KEYS` | `keys` | the encryption keys with their ids, newest first: `2:BASE64,1:BASE64` |
    /// | `FLINKS_REDIS_CLUSTER_NODES` | `cluster_nodes` | the addresses of other nodes, separated by commas (see [`cluster`](Self::cluster)) |
    /// | `FLINKS_REDIS_NAMESPACE` | `namespace` | see [`namespace`](Self::namespace) |
    /// | `FLINKS_REDIS_TIMEOUT_SECONDS` | `timeout_seconds` | see [`timeout`](Self::timeout) |
    /// | `FLINKS_REDIS_ROOT_CERTIFICATES` | `root_certificates` | the path to a PEM file |
    /// | `FLINKS_REDIS_CLIENT_CERTIFICATE`, `FLINKS_REDIS_CLIENT_KEY` | `client_certificate`, `client_key` | the paths to PEM files |
    /// | `FLINKS_DANGEROUS_PLAIN_REDIS_HOST` | `dangerous_plain_redis_host` | see [`dangerous_plain_redis_host`](Self::dangerous_plain_redis_host) |
    ///
    /// The first three variables are required. The certificate settings require the `rustls`
    /// feature.
    ///
    /// # Errors
    ///
    /// Returns an error if a required variable is not set, or if a value is empty, invalid or not
    /// valid UTF-8. The error contains the name of the variable.
    pub fn from_env() -> Result<Self, InvalidConfiguration> {
        Self::from_values(&Values::from_env(FIELDS)?)
    }

    /// Returns the name of each field in a configuration file, paired with its environment
    /// variable.
    pub fn variables() -> impl Iterator<Item = (&'static str, &'static str)> {
        FIELDS.iter().map(|field| (field.key, field.variable))
    }

    fn from_values(values: &Values) -> Result<Self, InvalidConfiguration> {
        let url = values.required("url")?;
        let mut builder = Self::new(url.to_owned(), encryption_keys(values)?.into());
        if let Some(nodes) = values.optional("cluster_nodes")? {
            builder = builder.cluster(nodes.split(',').map(str::trim));
        }
        if let Some(namespace) = values.optional("namespace")? {
            Namespace::new(namespace.to_owned()).map_err(|error| error.named(values.name("namespace")))?;
            builder = builder.namespace(namespace);
        }
        if let Some(timeout) = values.seconds("timeout_seconds")? {
            builder = builder.timeout(timeout);
        }
        if let Some(host) = values.optional("dangerous_plain_redis_host")? {
            builder = builder.dangerous_plain_redis_host(host);
        }
        builder.with_certificates_of(values)
    }

    #[cfg(feature = "rustls")]
    fn with_certificates_of(mut self, values: &Values) -> Result<Self, InvalidConfiguration> {
        if let Some(pem) = values.file("root_certificates")? {
            self = self.root_certificates(pem.expose_secret().as_bytes());
        }
        if let Some((certificate, key)) = values.client_certificate()? {
            self = self.client_certificate(certificate.expose_secret().as_bytes(), key.expose_secret().as_bytes());
        }
        Ok(self)
    }

    #[cfg(not(feature = "rustls"))]
    fn with_certificates_of(self, values: &Values) -> Result<Self, InvalidConfiguration> {
        for key in ["root_certificates", "client_certificate", "client_key"] {
            if values.optional(key)?.is_some() {
                return Err(values.error(key, "requires the `rustls` feature of flinks-redis").into());
            }
        }
        Ok(self)
    }

    /// Allows connections without TLS (`redis://`) to exactly this host, such as a Redis container
    /// in a `docker compose` network.
    ///
    /// Records are encrypted, but anyone on the network between this process and the host can read
    /// the Redis password and change or remove records. The host must therefore be private: the
    /// store does not connect if the host resolves to an address that is neither loopback nor
    /// private (RFC 1918, RFC 4193). Flinks hosts are rejected. [`build`](Self::build) logs a
    /// warning.
    #[must_use]
    pub fn dangerous_plain_redis_host(mut self, host: impl Into<String>) -> Self {
        self.plain_host = PlainHost::new(host.into());
        self
    }

    /// Configures the store for a Redis cluster. `other_nodes` are the addresses of additional
    /// nodes, which the store uses if it cannot reach the first node. One reachable node is enough
    /// to find all the others.
    #[must_use]
    pub fn cluster(mut self, other_nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.is_cluster = true;
        self.addresses.extend(other_nodes.into_iter().map(Into::into));
        self
    }

    /// Sets the certificate authorities that are trusted to issue the server's certificate, in PEM
    /// format. Default: the platform's certificate authorities.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates_mut().root_cert = Some(pem.into());
        self
    }

    /// Sets the client certificate and its private key, in PEM format.
    ///
    /// A Redis server with TLS requires a client certificate unless its `tls-auth-clients` option
    /// is set to `no` or `optional`.
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

    /// Sets the prefix of all keys in Redis. Default: `flinks`. Stores with different namespaces do
    /// not share consents.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets the timeout for each call, including the time to connect. Default: 1 second. The
    /// minimum is 1 millisecond.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Builds the store, which connects when it is first used.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidConfiguration`] if:
    ///
    /// - an address is not a valid URL;
    /// - an address does not start with `rediss://` and is neither a loopback address nor the host
    ///   that [`dangerous_plain_redis_host`](Self::dangerous_plain_redis_host) allows;
    /// - the host that `dangerous_plain_redis_host` allows is a Flinks host or a public address;
    /// - the namespace is empty or contains a brace, white space or a control character;
    /// - a certificate or a key is not in PEM format, or certificates are set for an address
    ///   that does not start with `rediss://`;
    /// - an address starts with `rediss://`, but the process has no default crypto provider for
    ///   rustls. Call [`install_default_crypto_provider`](crate::install_default_crypto_provider)
    ///   at the start of `main`.
    pub fn build(self) -> Result<RedisStore, InvalidConfiguration> {
        let namespace = Namespace::new(self.namespace)?;
        let servers = Servers::new(
            &self.addresses,
            self.is_cluster,
            self.plain_host,
            #[cfg(feature = "rustls")]
            self.certificates,
        )?;
        if servers.has_plain_remote_host() {
            tracing::warn!(
                "the connection to Redis on another machine is not encrypted, because dangerous_plain_redis_host is set"
            );
        }
        Ok(RedisStore::new(namespace, SharedConnection::new(servers, self.timeout), self.envelope))
    }
}

impl RedisStore {
    /// Creates a builder for a store on the server at `address`, such as
    /// `rediss://redis.internal:6380/0`. The address may contain a user name and a password.
    ///
    /// `keys` is either [`EncryptionKeys`] or an [`Envelope`] with data keys from a
    /// [`KeyProvider`](flinks_consents::envelope::KeyProvider).
    pub fn builder(address: impl Into<String>, keys: impl Into<Envelope>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(address.into(), keys.into())
    }
}

/// The environment variables and fields that configure a store.
const FIELDS: &[Field] = &[
    Field { key: "url", variable: "FLINKS_REDIS_URL" },
    Field { key: "name_key", variable: "FLINKS_REDIS_NAME_KEY" },
    Field { key: "keys", variable: "FLINKS_REDIS_KEYS" },
    Field { key: "cluster_nodes", variable: "FLINKS_REDIS_CLUSTER_NODES" },
    Field { key: "namespace", variable: "FLINKS_REDIS_NAMESPACE" },
    Field { key: "timeout_seconds", variable: "FLINKS_REDIS_TIMEOUT_SECONDS" },
    Field { key: "root_certificates", variable: "FLINKS_REDIS_ROOT_CERTIFICATES" },
    Field { key: "client_certificate", variable: "FLINKS_REDIS_CLIENT_CERTIFICATE" },
    Field { key: "client_key", variable: "FLINKS_REDIS_CLIENT_KEY" },
    Field { key: "dangerous_plain_redis_host", variable: "FLINKS_DANGEROUS_PLAIN_REDIS_HOST" },
];

/// Parses the name key and the encryption keys.
fn encryption_keys(values: &Values) -> Result<EncryptionKeys, InvalidConfiguration> {
    let name_key = Key::from_base64(values.required("name_key")?);
    let name_key = name_key.map_err(|invalid| values.error("name_key", invalid.problem()))?;
    let keys = EncryptionKeys::from_list(name_key, values.required("keys")?);
    keys.map_err(|invalid| values.error("keys", invalid.problem()).into())
}

/// Deserializes a map with the fields that [`RedisStoreBuilder::from_env`] lists. An error contains
/// the name of the invalid field but never its value.
impl<'de> Deserialize<'de> for RedisStoreBuilder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Values::deserialize(deserializer, FIELDS)?;
        Self::from_values(&values).map_err(serde::de::Error::custom)
    }
}

/// Shows only the namespace, because the addresses may contain a password and the keys are secret.
impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
