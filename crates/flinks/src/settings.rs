//! The settings that do not depend on the product.

use std::sync::Arc;
use std::time::Duration;

#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
use flinks_core::tls;
use flinks_core::{BaseUrl, Clock, DEFAULT_CONNECT_TIMEOUT, SystemClock, Transport};

use crate::config::Values;
use crate::error::Error;
use crate::metrics;
use crate::recent::RecentSecrets;
use crate::retry::CallExecutor;
use crate::running_call::Server;

/// A client's settings: timeouts, retries, clock, TLS and HTTP client.
///
/// The defaults are suitable for production. Several clients can share the same settings.
///
/// ```
/// use std::time::Duration;
/// use flinks::pay::{Client, Credentials, SANDBOX};
///
/// let settings = flinks::Settings::new().timeout(Duration::from_secs(10)).max_attempts(2);
/// let credentials = Credentials::new("user", "password")?;
/// let client = Client::builder(SANDBOX.parse()?, credentials).settings(&settings).build()?;
/// # Ok::<(), flinks::Error>(())
/// ```
#[derive(Clone, Default, derive_more::Debug)]
#[debug("Settings {{ timeout: {timeout:?}, max_attempts: {max_attempts:?}, .. }}")]
#[must_use = "settings do nothing until a client is built with them"]
pub struct Settings {
    clock: Option<Arc<dyn Clock>>,
    timeout: Option<Duration>,
    bank_timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    max_attempts: Option<u32>,
    repeated_tokens: Option<RepeatedTokens>,
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    root_certificates: Option<tls::RootCertificates>,
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    client_certificate: Option<tls::ClientCertificate>,
    #[cfg(feature = "rustls-no-provider")]
    crypto_provider: Option<tls::CryptoProvider>,
    #[cfg(feature = "reqwest-0_13")]
    http: Option<HttpHook>,
}

/// The policy for a single-use token that has already appeared in an earlier response. By default,
/// such a token is rejected.
#[derive(Clone, Copy)]
enum RepeatedTokens {
    Accepted,
}

#[cfg(feature = "reqwest-0_13")]
type HttpHook = Arc<dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync>;

impl Settings {
    /// Creates settings with default values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the timeout for a call, including all of its attempts and the waits between them.
    /// Default: 30 seconds. The minimum is one millisecond.
    ///
    /// For Connect's `/Authorize`, use [`bank_timeout`](Self::bank_timeout) instead.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.max(Duration::from_millis(1)));
        self
    }

    /// Sets the timeout for Connect's `/Authorize`, which waits for a bank's response. Default: 240
    /// seconds, because a live call can take up to 210 seconds. The minimum is one millisecond.
    pub fn bank_timeout(mut self, timeout: Duration) -> Self {
        self.bank_timeout = Some(timeout.max(Duration::from_millis(1)));
        self
    }

    /// Sets the timeout for establishing a connection. Default: 10 seconds. The effective timeout
    /// never exceeds half of the [`timeout`](Self::timeout) or half of the
    /// [`bank_timeout`](Self::bank_timeout), if these are set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Sets the maximum number of attempts for a call, from 1 to 3. Other values are clamped to
    /// this range. Default: 3. A call that spends a token is attempted only once.
    /// [A5](crate::rules)
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts.clamp(1, 3));
        self
    }

    /// Sets the clock. Default: [`SystemClock`](crate::SystemClock). Tests can use
    /// [`ManualClock`](crate::ManualClock).
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Trusts the given certificate authorities, such as one that a corporate proxy uses, in
    /// addition to those that the platform trusts.
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    pub fn root_certificates(mut self, roots: tls::RootCertificates) -> Self {
        self.root_certificates = Some(roots);
        self
    }

    /// Sets the certificate that the client uses to authenticate itself in the TLS handshake
    /// (mTLS). Newer Flinks endpoints require a client certificate.
    ///
    /// ```no_run
    /// use flinks::Settings;
    /// use flinks::tls::ClientCertificate;
    ///
    /// let key = std::fs::read_to_string("client-key.pem")?;
    /// let certificate = ClientCertificate::from_pem(std::fs::read("client.pem")?, key)?;
    /// let settings = Settings::new().client_certificate(certificate);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    pub fn client_certificate(mut self, certificate: tls::ClientCertificate) -> Self {
        self.client_certificate = Some(certificate);
        self
    }

    /// Sets the rustls crypto provider. Default:
    /// [`CryptoProvider::default`](tls::CryptoProvider::default).
    #[cfg(feature = "rustls-no-provider")]
    pub fn crypto_provider(mut self, provider: tls::CryptoProvider) -> Self {
        self.crypto_provider = Some(provider);
        self
    }

    /// Adjusts HTTP client settings, such as the proxy, the resolver or the local address.
    ///
    /// The adjustment is applied before this crate's own settings, so it cannot change the redirect
    /// policy, the retries, the limits, the TLS library or the TLS versions. With rustls,
    /// certificates and identities that the adjustment adds are ignored; use
    /// [`root_certificates`](Self::root_certificates) and
    /// [`client_certificate`](Self::client_certificate) instead.
    ///
    /// This method and the `http_client` method of each client are the only parts of the public API
    /// that use `reqwest`. The feature that enables them is named after the `reqwest` version.
    #[cfg(feature = "reqwest-0_13")]
    pub fn http(
        mut self,
        adjust: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.http = Some(Arc::new(adjust));
        self
    }

    /// Accepts a single-use Pay or Connect token that this client has handed out before.
    ///
    /// By default, such a token is rejected as malformed, because a cache between the client and
    /// Flinks has probably repeated a response, and the token may already be spent. A client and
    /// its clones remember the most recent 16,384 tokens as keyed hashes.
    ///
    /// Use this setting if your Flinks environment accepts one Pay token for several calls and
    /// returns the same token more than once. [P5, C3](crate::rules)
    pub fn accept_repeated_tokens(mut self) -> Self {
        self.repeated_tokens = Some(RepeatedTokens::Accepted);
        self
    }

    /// Returns these settings, with unset values taken from `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            clock: self.clock.or(other.clock),
            timeout: self.timeout.or(other.timeout),
            bank_timeout: self.bank_timeout.or(other.bank_timeout),
            connect_timeout: self.connect_timeout.or(other.connect_timeout),
            max_attempts: self.max_attempts.or(other.max_attempts),
            repeated_tokens: self.repeated_tokens.or(other.repeated_tokens),
            #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
            root_certificates: self.root_certificates.or(other.root_certificates),
            #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
            client_certificate: self.client_certificate.or(other.client_certificate),
            #[cfg(feature = "rustls-no-provider")]
            crypto_provider: self.crypto_provider.or(other.crypto_provider),
            #[cfg(feature = "reqwest-0_13")]
            http: self.http.or(other.http),
        }
    }

    /// Reads the settings from a configuration.
    pub(crate) fn from_values(values: &Values) -> Result<Self, Error> {
        let mut settings = Self {
            timeout: values.seconds("timeout_seconds")?,
            bank_timeout: values.seconds("bank_timeout_seconds")?,
            connect_timeout: values.seconds("connect_timeout_seconds")?,
            ..Self::default()
        };
        if let Some(text) = values.optional("max_attempts")? {
            let attempts = text.parse().ok().filter(|attempts| (1..=3).contains(attempts));
            settings.max_attempts = Some(attempts.ok_or_else(|| values.error("max_attempts", "must be 1, 2 or 3"))?);
        }
        settings.read_tls(values)?;
        Ok(settings)
    }

    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    fn read_tls(&mut self, values: &Values) -> Result<(), Error> {
        if let Some(pem) = values.file("root_certificates")? {
            let roots = tls::RootCertificates::from_pem(pem.expose_secret());
            self.root_certificates = Some(roots.map_err(|error| values.error("root_certificates", error.reason()))?);
        }
        self.client_certificate = match (values.file("client_certificate")?, values.file("client_key")?) {
            (None, None) => None,
            (Some(_), None) => {
                return Err(values.error("client_key", "is not set, but the client certificate is").into());
            }
            (None, Some(_)) => {
                return Err(values.error("client_certificate", "is not set, but the client key is").into());
            }
            (Some(chain), Some(key)) => {
                let certificate = tls::ClientCertificate::from_pem(chain.expose_secret(), key);
                Some(certificate.map_err(|error| {
                    let is_key = error.field() == tls::ClientCertificate::KEY;
                    values.error(if is_key { "client_key" } else { "client_certificate" }, error.reason())
                })?)
            }
        };
        #[cfg(not(feature = "rustls-no-provider"))]
        if values.optional("crypto_provider")?.is_some() {
            return Err(values
                .error("crypto_provider", "requires a TLS feature that uses rustls, such as `rustls`")
                .into());
        }
        #[cfg(feature = "rustls-no-provider")]
        if let Some(text) = values.optional("crypto_provider")? {
            let provider =
                text.parse().map_err(|error: tls::UnknownProvider| values.error("crypto_provider", error.reason()))?;
            self.crypto_provider = Some(provider);
        }
        Ok(())
    }

    /// Rejects the TLS settings, because no TLS feature is enabled.
    #[cfg(not(any(feature = "native-tls", feature = "rustls-no-provider")))]
    fn read_tls(&mut self, values: &Values) -> Result<(), Error> {
        for key in ["root_certificates", "client_certificate", "client_key", "crypto_provider"] {
            if values.optional(key)?.is_some() {
                return Err(values.error(key, "requires the `rustls` or `native-tls` feature").into());
            }
        }
        Ok(())
    }

    /// Returns the set that remembers the single-use tokens that a client hands out, or `None` if
    /// repeated tokens are accepted.
    pub(crate) fn handed_out(&self) -> Option<Arc<RecentSecrets>> {
        match self.repeated_tokens {
            // The set has no time limit, because a cache may repeat an old response at any time.
            None => Some(Arc::new(RecentSecrets::new(Duration::MAX))),
            Some(RepeatedTokens::Accepted) => None,
        }
    }

    pub(crate) fn executor(&self, base_url: &BaseUrl) -> CallExecutor {
        metrics::describe();
        CallExecutor {
            server: Server::new(base_url),
            clock: self.clock.clone().unwrap_or_else(|| Arc::new(SystemClock)),
            has_custom_clock: self.clock.is_some(),
            timeout: self.timeout,
            connect_timeout: self.effective_connect_timeout(),
            max_attempts: self.max_attempts.unwrap_or(3),
        }
    }

    /// Returns the executor for calls that wait for a bank's response.
    #[cfg(feature = "connect")]
    pub(crate) fn bank_executor(&self, base_url: &BaseUrl) -> CallExecutor {
        CallExecutor { timeout: self.bank_timeout, ..self.executor(base_url) }
    }

    /// Returns the timeout for establishing a connection, which is at most half of a call's
    /// timeout. If the connect timeout were as long as the call's timeout, a timeout error would
    /// not show whether anything had been sent.
    fn effective_connect_timeout(&self) -> Duration {
        let half = |timeout: Option<Duration>| timeout.map_or(Duration::MAX, |timeout| timeout.mul_f64(0.5));
        let longest = half(self.timeout).min(half(self.bank_timeout));
        self.connect_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT).min(longest)
    }

    pub(crate) fn transport(&self, base_url: BaseUrl) -> Result<Transport, Error> {
        let mut builder = Transport::builder(base_url);
        // The executor measures a call's deadline with the clock from the settings. The transport's
        // timeout applies even if that clock does not advance, as in a test.
        if let Some(timeout) = self.timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(timeout) = self.bank_timeout {
            builder = builder.long_timeout(timeout);
        }
        builder = builder.connect_timeout(self.effective_connect_timeout());
        #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
        {
            if let Some(roots) = self.root_certificates.clone() {
                builder = builder.root_certificates(roots);
            }
            if let Some(certificate) = self.client_certificate.clone() {
                builder = builder.client_certificate(certificate);
            }
        }
        #[cfg(feature = "rustls-no-provider")]
        if let Some(provider) = self.crypto_provider {
            builder = builder.crypto_provider(provider);
        }
        #[cfg(feature = "reqwest-0_13")]
        if let Some(adjust) = self.http.clone() {
            builder = builder.http(move |http| adjust(http));
        }
        builder.build().map_err(|error| Error::configuration(error.field(), error.reason()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_timeout_is_at_most_half_of_the_timeouts() {
        let base_url = "http://127.0.0.1:9".parse().unwrap();
        let seconds = |settings: Settings| settings.executor(&base_url).connect_timeout.as_secs();
        assert_eq!(seconds(Settings::new()), 10);
        assert_eq!(seconds(Settings::new().connect_timeout(Duration::from_secs(3))), 3);
        assert_eq!(seconds(Settings::new().timeout(Duration::from_secs(8))), 4);
        assert_eq!(seconds(Settings::new().bank_timeout(Duration::from_secs(6))), 3);
        assert_eq!(seconds(Settings::new().bank_timeout(Duration::from_secs(6)).timeout(Duration::from_secs(4))), 2);
    }
}
