//! The builder for a [`PostgresStore`] and the environment variables that configure it.

use std::fmt;
use std::time::Duration;

use flinks_consents::envelope::{EncryptionKeys, Envelope, Key};
use flinks_core::Secret;
use flinks_core::configuration::{Field, Values};
use flinks_core::plain_http::PlainHost;
use serde::{Deserialize, Deserializer};

use crate::address::{Address, Security};
use crate::calls::Server;
use crate::error::InvalidConfiguration;
use crate::pool::Connector;
use crate::schema::Schema;
use crate::store::PostgresStore;
#[cfg(feature = "rustls")]
use crate::tls::{self, Certificates};

/// A builder for a [`PostgresStore`]. Create one with [`PostgresStore::builder`] or
/// [`from_env`](Self::from_env).
#[derive(Clone)]
pub struct PostgresStoreBuilder {
    url: Secret,
    #[cfg(feature = "rustls")]
    certificates: Certificates,
    schema: String,
    timeout: Duration,
    max_connections: usize,
    plain_host: PlainHost,
    envelope: Envelope,
}

/// The default schema.
pub(crate) const DEFAULT_SCHEMA: &str = "flinks";
/// The default timeout for a call. It includes the time to open a connection, and is shorter than
/// the default timeout that `Consents` uses for each store call.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The default size of the connection pool.
const MAX_CONNECTIONS: usize = 10;

impl PostgresStoreBuilder {
    fn new(url: Secret, envelope: Envelope) -> Self {
        Self {
            url,
            #[cfg(feature = "rustls")]
            certificates: Certificates::default(),
            schema: DEFAULT_SCHEMA.to_owned(),
            timeout: TIMEOUT,
            max_connections: MAX_CONNECTIONS,
            plain_host: PlainHost::default(),
            envelope,
        }
    }

    /// Creates a builder from environment variables. The `Deserialize` implementation reads the
    /// same values from the fields of a map, such as a section of a configuration file.
    ///
    /// | variable | field | value |
    /// | --- | --- | --- |
    /// | `FLINKS_POSTGRES_URL` | `url` | the address, such as `postgres://app@db.internal/app?sslmode=verify-full` |
    /// | `FLINKS_POSTGRES_NAME_KEY` | `name_key` | the key that hides ids: 32 bytes in base64 |
    /// | `FLINKS_POSTGRES_KEYS` | `keys` | the encryption keys with their ids, newest first: `2:BASE64,1:BASE64` |
    /// | `FLINKS_POSTGRES_SCHEMA` | `schema` | see [`schema`](Self::schema) |
    /// | `FLINKS_POSTGRES_TIMEOUT_SECONDS` | `timeout_seconds` | see [`timeout`](Self::timeout) |
    /// | `FLINKS_POSTGRES_MAX_CONNECTIONS` | `max_connections` | see [`max_connections`](Self::max_connections) |
    /// | `FLINKS_POSTGRES_ROOT_CERTIFICATES` | `root_certificates` | the path to a PEM file |
    /// | `FLINKS_POSTGRES_CLIENT_CERTIFICATE`, `FLINKS_POSTGRES_CLIENT_KEY` | `client_certificate`, `client_key` | the paths to PEM files |
    /// | `FLINKS_DANGEROUS_PLAIN_POSTGRES_HOST` | `dangerous_plain_postgres_host` | see [`dangerous_plain_postgres_host`](Self::dangerous_plain_postgres_host) |
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
        let url = Secret::new(values.required("url")?);
        let mut builder = Self::new(url, encryption_keys(values)?.into());
        if let Some(schema) = values.optional("schema")? {
            Schema::new(schema.to_owned()).map_err(|error| error.named(values.name("schema")))?;
            builder = builder.schema(schema);
        }
        if let Some(timeout) = values.seconds("timeout_seconds")? {
            builder = builder.timeout(timeout);
        }
        if let Some(count) = values.optional("max_connections")? {
            let invalid = || values.error("max_connections", "must be a whole number, at least 1");
            let count = count.parse().ok().filter(|count| *count > 0).ok_or_else(invalid)?;
            builder = builder.max_connections(count);
        }
        if let Some(host) = values.optional("dangerous_plain_postgres_host")? {
            builder = builder.dangerous_plain_postgres_host(host);
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
                return Err(values.error(key, "requires the `rustls` feature of flinks-postgres").into());
            }
        }
        Ok(self)
    }

    /// Allows connections without TLS to exactly this host, such as a PostgreSQL container in a
    /// `docker compose` network.
    ///
    /// Records are encrypted, but anyone on the network between this process and the host can change
    /// or remove records, and may be able to read the PostgreSQL password. The host must therefore be
    /// private: the store does not connect if the host resolves to an address that is neither
    /// loopback nor private (RFC 1918, RFC 4193). Flinks hosts are rejected. [`build`](Self::build)
    /// logs a warning.
    #[must_use]
    pub fn dangerous_plain_postgres_host(mut self, host: impl Into<String>) -> Self {
        self.plain_host = PlainHost::new(host.into());
        self
    }

    /// Sets the certificate authorities that are trusted to issue the server's certificate, in PEM
    /// format. Default: the platform's certificate authorities.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.roots = Some(pem.into());
        self
    }

    /// Sets the client certificate and its private key, in PEM format. Default: none.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificates.client = Some((certificate.into(), key.into()));
        self
    }

    /// Sets the schema that contains the tables. Default: `flinks`. Stores with different schemas do
    /// not share consents, and a row cannot be moved to another schema.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Sets the timeout for each call, including the time to wait for a connection and to connect.
    /// Default: 3 seconds. The minimum is 1 millisecond.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Sets the maximum number of connections for this store and its clones. Default: 10. The
    /// minimum is 1. If all connections are in use, a call waits until one of them is free.
    #[must_use]
    pub fn max_connections(mut self, max_connections: usize) -> Self {
        self.max_connections = max_connections.max(1);
        self
    }

    /// Builds the store, which connects when it is first used.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidConfiguration`] if:
    ///
    /// - the address is not a valid URL, or contains `options`, `hostaddr` or an option that is not
    ///   listed in the [crate documentation](crate#address);
    /// - the address does not require TLS (`sslmode=disable`, `allow` or `prefer`), and one of its
    ///   hosts is neither a loopback address, nor a Unix socket, nor the host that
    ///   [`dangerous_plain_postgres_host`](Self::dangerous_plain_postgres_host) allows;
    /// - the host that `dangerous_plain_postgres_host` allows is a Flinks host or a public address;
    /// - the schema is not a valid name;
    /// - a certificate or a key is not in PEM format, or certificates are set for an address that
    ///   does not use TLS.
    pub fn build(self) -> Result<PostgresStore, InvalidConfiguration> {
        let schema = Schema::new(self.schema)?;
        let address = Address::parse(self.url.expose_secret(), &self.plain_host, self.timeout)?;
        if address.security == Security::PlainRemote {
            tracing::warn!(
                "the connection to PostgreSQL on another machine is not encrypted, because dangerous_plain_postgres_host is set"
            );
        }
        #[cfg(feature = "rustls")]
        let tls = match address.security {
            Security::Tls => Some(tls::connector(&self.certificates)?),
            Security::Local | Security::PlainRemote => {
                if self.certificates.is_set() {
                    return Err(InvalidConfiguration::new(
                        "certificates",
                        "must not be set for an address without TLS",
                    ));
                }
                None
            }
        };
        let connector = Connector::new(
            address,
            self.plain_host,
            #[cfg(feature = "rustls")]
            tls,
        );
        let server = Server::new(connector, self.timeout, self.max_connections)?;
        Ok(PostgresStore::new(schema, server, self.envelope))
    }
}

impl PostgresStore {
    /// Creates a builder for a store on the server at `url`, such as
    /// `postgres://app@db.internal/app?sslmode=verify-full`. The URL may contain a password.
    ///
    /// `keys` is either [`EncryptionKeys`] or an [`Envelope`] with data keys from a
    /// [`KeyProvider`](flinks_consents::envelope::KeyProvider).
    pub fn builder(url: impl Into<String>, keys: impl Into<Envelope>) -> PostgresStoreBuilder {
        PostgresStoreBuilder::new(Secret::new(url.into()), keys.into())
    }
}

/// The environment variables and fields that configure a store.
const FIELDS: &[Field] = &[
    Field { key: "url", variable: "FLINKS_POSTGRES_URL" },
    Field { key: "name_key", variable: "FLINKS_POSTGRES_NAME_KEY" },
    Field { key: "keys", variable: "FLINKS_POSTGRES_KEYS" },
    Field { key: "schema", variable: "FLINKS_POSTGRES_SCHEMA" },
    Field { key: "timeout_seconds", variable: "FLINKS_POSTGRES_TIMEOUT_SECONDS" },
    Field { key: "max_connections", variable: "FLINKS_POSTGRES_MAX_CONNECTIONS" },
    Field { key: "root_certificates", variable: "FLINKS_POSTGRES_ROOT_CERTIFICATES" },
    Field { key: "client_certificate", variable: "FLINKS_POSTGRES_CLIENT_CERTIFICATE" },
    Field { key: "client_key", variable: "FLINKS_POSTGRES_CLIENT_KEY" },
    Field { key: "dangerous_plain_postgres_host", variable: "FLINKS_DANGEROUS_PLAIN_POSTGRES_HOST" },
];

/// Parses the name key and the encryption keys.
fn encryption_keys(values: &Values) -> Result<EncryptionKeys, InvalidConfiguration> {
    let name_key = Key::from_base64(values.required("name_key")?);
    let name_key = name_key.map_err(|invalid| values.error("name_key", invalid.problem()))?;
    let keys = EncryptionKeys::from_list(name_key, values.required("keys")?);
    keys.map_err(|invalid| values.error("keys", invalid.problem()).into())
}

/// Deserializes a map with the fields that [`PostgresStoreBuilder::from_env`] lists. An error
/// contains the name of the invalid field but never its value.
impl<'de> Deserialize<'de> for PostgresStoreBuilder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Values::deserialize(deserializer, FIELDS)?;
        Self::from_values(&values).map_err(serde::de::Error::custom)
    }
}

/// Shows only the schema, because the address may contain a password and the keys are secret.
impl fmt::Debug for PostgresStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStoreBuilder").field("schema", &self.schema).finish_non_exhaustive()
    }
}
