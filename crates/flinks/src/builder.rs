//! The builder for the Pay, Connect and Outbound clients.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer};

use crate::config::Values;
use crate::error::Error;
use crate::settings::Settings;

/// A builder for a [`pay::Client`](crate::pay::Client), [`connect::Client`](crate::connect::Client)
/// or [`outbound::Client`](crate::outbound::Client).
///
/// Create a builder with the client's `builder` function, from environment variables with
/// [`from_env`](Self::from_env), or from a configuration file:
///
/// ```
/// use flinks::{ClientBuilder, pay};
///
/// #[derive(serde::Deserialize)]
/// struct Configuration {
///     pay: ClientBuilder<pay::Client>,
/// }
///
/// let text = r#"{"pay": {"url": "https://payments-uat.flinksapp.com", "username": "u", "password": "p", "timeout_seconds": 10}}"#;
/// let configuration: Configuration = serde_json::from_str(text)?;
/// let client = configuration.pay.build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The errors that this type returns never contain the value of a field. However, an error returned
/// by the file's parser may quote a line of the file, as the `Display` output of a `toml` error
/// does. For `toml`, print `message()` instead.
///
/// # Variables and fields
///
/// | variable | field | value |
/// | --- | --- | --- |
/// | `FLINKS_PAY_URL` | `url` | Pay's base URL |
/// | `FLINKS_PAY_USERNAME`, `FLINKS_PAY_PASSWORD` | `username`, `password` | The credentials |
/// | `FLINKS_CONNECT_INSTANCE`, or `FLINKS_CONNECT_URL` | `instance`, or `url` | An instance, such as `toolbox`, or a base URL |
/// | `FLINKS_CONNECT_CUSTOMER_ID`, `FLINKS_CONNECT_SECRET_KEY` | `customer_id`, `secret_key` | The customer id and the secret key |
/// | `FLINKS_OUTBOUND_URL` | `url` | Outbound's base URL |
/// | `FLINKS_OUTBOUND_CLIENT_ID`, `FLINKS_OUTBOUND_CLIENT_SECRET` | `client_id`, `client_secret` | The client credentials |
/// | `FLINKS_OUTBOUND_CLIENT_AUTHENTICATION` | `client_authentication` | `fields` (default), `basic` or `none` |
///
/// All of the following fields are optional. `{P}` stands for `PAY`, `CONNECT` or `OUTBOUND`:
///
/// | variable | field | value |
/// | --- | --- | --- |
/// | `FLINKS_{P}_TIMEOUT_SECONDS` | `timeout_seconds` | [`Settings::timeout`] |
/// | `FLINKS_{P}_CONNECT_TIMEOUT_SECONDS` | `connect_timeout_seconds` | [`Settings::connect_timeout`] |
/// | `FLINKS_CONNECT_BANK_TIMEOUT_SECONDS` | `bank_timeout_seconds` | [`Settings::bank_timeout`] |
/// | `FLINKS_{P}_MAX_ATTEMPTS` | `max_attempts` | [`Settings::max_attempts`] |
/// | `FLINKS_ROOT_CERTIFICATES` | `root_certificates` | The path to a PEM file for `Settings::root_certificates` |
/// | `FLINKS_CLIENT_CERTIFICATE`, `FLINKS_CLIENT_KEY` | `client_certificate`, `client_key` | The paths to the PEM files for `Settings::client_certificate` |
/// | `FLINKS_CRYPTO_PROVIDER` | `crypto_provider` | `ring`, `aws-lc-rs` or `process`, for `Settings::crypto_provider` |
/// | `FLINKS_DANGEROUS_PLAIN_HTTP_HOST` | `dangerous_plain_http_host` | [`BaseUrlOptions::dangerous_plain_http_host`](crate::BaseUrlOptions::dangerous_plain_http_host) |
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder<C: sealed::Configure> {
    parts: C::Parts,
    settings: Settings,
    client: PhantomData<fn() -> C>,
}

impl<C: sealed::Configure> ClientBuilder<C> {
    pub(crate) fn new(parts: C::Parts) -> Self {
        Self { parts, settings: Settings::new(), client: PhantomData }
    }

    /// Creates a builder from the product's environment variables.
    ///
    /// ```no_run
    /// let client = flinks::ClientBuilder::<flinks::pay::Client>::from_env()?.build()?;
    /// # Ok::<(), flinks::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if a required variable is not set, or if a value is empty, not UTF-8 or
    /// invalid. The error names the variable.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_values(&Values::from_env(C::FIELDS)?)
    }

    /// Returns the name of each configuration file field, paired with the name of its environment
    /// variable. Product-specific fields come first.
    ///
    /// ```
    /// use flinks::{ClientBuilder, pay};
    ///
    /// let mut variables = ClientBuilder::<pay::Client>::variables();
    /// assert!(variables.any(|(field, variable)| field == "password" && variable == "FLINKS_PAY_PASSWORD"));
    /// ```
    pub fn variables() -> impl Iterator<Item = (&'static str, &'static str)> {
        C::FIELDS.iter().map(|field| (field.key, field.variable))
    }

    /// Applies the values that are set in `settings`. All other settings keep their previous
    /// values.
    pub fn settings(mut self, settings: &Settings) -> Self {
        self.settings = settings.clone().or(self.settings);
        self
    }

    /// Builds the client. No connection is opened until the first call.
    ///
    /// # Errors
    ///
    /// Returns an error if
    ///
    /// - the base URL belongs to another Flinks product, or has a Flinks host and a path,
    /// - the base URL uses `https` but no TLS feature is enabled,
    /// - the platform has no trusted certificates, or
    /// - a certificate, a key or the crypto provider cannot be used.
    pub fn build(self) -> Result<C, Error> {
        C::build(self.parts, &self.settings)
    }

    fn from_values(values: &Values) -> Result<Self, Error> {
        Ok(Self { settings: Settings::from_values(values)?, ..Self::new(C::parts(values)?) })
    }
}

impl<C: sealed::Configure> Clone for ClientBuilder<C> {
    fn clone(&self) -> Self {
        Self { parts: self.parts.clone(), settings: self.settings.clone(), client: PhantomData }
    }
}

/// Omits the credentials.
impl<C: sealed::Configure> fmt::Debug for ClientBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Deserializes a builder from a map of the product's fields. An error names the field and never
/// contains its value.
impl<'de, C: sealed::Configure> Deserialize<'de> for ClientBuilder<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Values::deserialize(deserializer, C::FIELDS)?;
        Self::from_values(&values).map_err(serde::de::Error::custom)
    }
}

pub(crate) mod sealed {
    use crate::config::{Field, Values};
    use crate::error::Error;
    use crate::settings::Settings;

    /// A client that a [`ClientBuilder`](super::ClientBuilder) can build.
    pub trait Configure: Sized {
        /// The arguments that the client is built from.
        type Parts: Clone;
        /// The fields of the client's configuration.
        const FIELDS: &'static [Field];

        fn parts(values: &Values) -> Result<Self::Parts, Error>;
        fn build(parts: Self::Parts, settings: &Settings) -> Result<Self, Error>;
    }
}
