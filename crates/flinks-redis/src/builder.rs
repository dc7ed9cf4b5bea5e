//! The builder of a store.

use std::fmt;
use std::time::Duration;

use crate::connection::SharedConnection;
use crate::error::InvalidConfiguration;
use crate::names::Namespace;
use crate::servers::{PlainHost, Servers};
use crate::store::RedisStore;
#[cfg(feature = "rustls")]
use crate::tls::Certificates;
use flinks_consents::envelope::{EncryptionKeys, Key};
use flinks_core::configuration::{Field, Values};
use serde::{Deserialize, Deserializer};

/// A builder for a [`RedisStore`]. [`RedisStore::builder`] creates one.
#[derive(Clone)]
pub struct RedisStoreBuilder {
    addresses: Vec<String>,
    is_cluster: bool,
    #[cfg(feature = "rustls")]
    certificates: Option<Certificates>,
    namespace: String,
    timeout: Duration,
    plain_host: PlainHost,
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
            plain_host: PlainHost::default(),
            keys,
        }
    }

    /// Reads the variables, or the fields of a map:
    ///
    /// | variable | field | value |
    /// | --- | --- | --- |
    /// | `FLINKS_REDIS_URL` | `url` | such as `rediss://redis.internal:6380/0` |
    /// | `FLINKS_REDIS_NAME_KEY` | `name_key` | 32 bytes in base64, which hide the ids |
    /// | `FLINKS_REDIS_KEYS` | `keys` | encryption keys with their ids, the newest first: `2:BASE64,1:BASE64` |
    /// | `FLINKS_REDIS_CLUSTER_NODES` | `cluster_nodes` | addresses of other nodes, with commas between: [`cluster`](Self::cluster) |
    /// | `FLINKS_REDIS_NAMESPACE` | `namespace` | [`namespace`](Self::namespace) |
    /// | `FLINKS_REDIS_TIMEOUT_SECONDS` | `timeout_seconds` | [`timeout`](Self::timeout) |
    /// | `FLINKS_REDIS_ROOT_CERTIFICATES` | `root_certificates` | the path of a PEM file |
    /// | `FLINKS_REDIS_CLIENT_CERTIFICATE`, `FLINKS_REDIS_CLIENT_KEY` | `client_certificate`, `client_key` | the paths of PEM files |
    /// | `FLINKS_DANGEROUS_PLAIN_REDIS_HOST` | `dangerous_plain_redis_host` | [`dangerous_plain_redis_host`](Self::dangerous_plain_redis_host) |
    ///
    /// The first three are required.
    ///
    /// # Errors
    ///
    /// Returns an error that names the variable, if a required one is missing, or if a value is empty, not UTF-8 or invalid.
    pub fn from_env() -> Result<Self, InvalidConfiguration> {
        Self::from_values(&Values::from_env(FIELDS)?)
    }

    fn from_values(values: &Values) -> Result<Self, InvalidConfiguration> {
        let url = values.required("url")?;
        let mut builder = Self::new(url.to_owned(), encryption_keys(values)?);
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
        match (values.file("client_certificate")?, values.file("client_key")?) {
            (None, None) => Ok(self),
            (Some(_), None) => Err(values.error("client_key", "is missing").into()),
            (None, Some(_)) => Err(values.error("client_certificate", "is missing").into()),
            (Some(certificate), Some(key)) => {
                Ok(self.client_certificate(certificate.expose_secret().as_bytes(), key.expose_secret().as_bytes()))
            }
        }
    }

    #[cfg(not(feature = "rustls"))]
    fn with_certificates_of(self, values: &Values) -> Result<Self, InvalidConfiguration> {
        for key in ["root_certificates", "client_certificate", "client_key"] {
            if values.optional(key)?.is_some() {
                return Err(values.error(key, "needs the feature `rustls`").into());
            }
        }
        Ok(self)
    }

    /// Allows `redis://` to exactly this host, such as the Redis of `docker compose`, although it is on another machine.
    ///
    /// Records are encrypted, but everyone on the network between this process and the host can read the password of Redis,
    /// and change or remove records. So the host must be private: the store refuses to connect if one of the addresses that the
    /// host resolves to is neither loopback nor private (RFC 1918, RFC 4193). [`build`](Self::build) logs a warning. Hosts of
    /// Flinks are refused.
    #[must_use]
    pub fn dangerous_plain_redis_host(mut self, host: impl Into<String>) -> Self {
        self.plain_host = PlainHost(Some(host.into()));
        self
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
    /// - [`dangerous_plain_redis_host`](Self::dangerous_plain_redis_host) names a host that is not private;
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
            self.plain_host,
            #[cfg(feature = "rustls")]
            self.certificates,
        )?;
        if servers.is_clear_text_to_another_machine() {
            tracing::warn!(
                "consents are sent to Redis on another machine in clear text, because the configuration allows it"
            );
        }
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

/// The configuration of a store.
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

/// Parses the name key, and encryption keys such as `2:BASE64,1:BASE64`, the newest first.
fn encryption_keys(values: &Values) -> Result<EncryptionKeys, InvalidConfiguration> {
    const NOT_KEYS: &str = "is not a list of ids and keys such as 2:BASE64,1:BASE64, with 32 bytes in each key";
    let invalid = || InvalidConfiguration::from(values.error("keys", NOT_KEYS));
    let name_key = Key::from_base64(values.required("name_key")?);
    let name_key = name_key.map_err(|_| values.error("name_key", "is not 32 bytes in base64"))?;
    let mut keys = values.required("keys")?.split(',').map(|entry| {
        let (id, key) = entry.split_once(':').ok_or_else(invalid)?;
        let id: u32 = id.trim().parse().map_err(|_| invalid())?;
        Ok::<_, InvalidConfiguration>((id, Key::from_base64(key).map_err(|_| invalid())?))
    });
    let (id, newest) = keys.next().ok_or_else(invalid)??;
    keys.try_fold(EncryptionKeys::new(name_key, id, newest), |keys, older| {
        let (id, key) = older?;
        keys.with_decryption_key(id, key).map_err(|_| values.error("keys", "has an id twice").into())
    })
}

/// A map with the fields of [`RedisStoreBuilder::from_env`]. An error names the field, and does not show its value.
impl<'de> Deserialize<'de> for RedisStoreBuilder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Values::deserialize(deserializer, FIELDS)?;
        Self::from_values(&values).map_err(serde::de::Error::custom)
    }
}

/// Does not show the addresses, which may contain a password, nor the keys.
impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
