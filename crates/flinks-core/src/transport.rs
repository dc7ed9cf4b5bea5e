//! Sends requests: one base URL, one HTTP client, and the limits of a call.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, HeaderValue};
use url::Url;

use crate::base_url::BaseUrl;
use crate::error::{Error, ErrorKind, InvalidRequest};
use crate::head::ResponseHead;
use crate::http_client::{self, BuildError, Tls};
use crate::marker::SendMarker;
use crate::request::Operation;
#[cfg(feature = "rustls-no-provider")]
use crate::tls::CryptoProvider;
#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
use crate::tls::{ClientCertificate, RootCertificates};
use crate::transport_error::TransportError;

/// The default timeout of a call: 30 seconds.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The default timeout of a connection attempt: 10 seconds.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An HTTP client for calls that carry credentials, bound to one [`BaseUrl`].
///
/// It follows no redirect and sends no `Referer` (A2), repeats no request by itself, speaks
/// HTTP/1.1 over TLS 1.2 or newer (A1), accepts no cookies and no compressed replies, and reads at
/// most [`MAX_RESPONSE_BYTES`](crate::MAX_RESPONSE_BYTES). Every call has a timeout. Requests to a
/// loopback address never go through a proxy. All of this holds whatever features other crates of
/// the build enable in `reqwest`.
///
/// Cloning is cheap; clones share their connections.
#[derive(Clone)]
pub struct Transport {
    http: reqwest::Client,
    base_url: BaseUrl,
    timeout: Duration,
    long_timeout: Option<Duration>,
    marker: Option<SendMarker>,
}

impl Transport {
    /// Creates a transport with the default limits.
    ///
    /// # Errors
    ///
    /// See [`TransportBuilder::build`].
    pub fn new(base_url: BaseUrl) -> Result<Self, BuildError> {
        Self::builder(base_url).build()
    }

    /// Creates a builder for a transport with other limits.
    pub fn builder(base_url: BaseUrl) -> TransportBuilder {
        TransportBuilder {
            base_url,
            timeout: DEFAULT_TIMEOUT,
            long_timeout: None,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            tls: Tls::default(),
            #[cfg(feature = "reqwest-0_13")]
            http: None,
        }
    }

    /// Returns a clone that records in `marker` whether the body of a request may have left this
    /// machine. It shares the connections of this transport.
    #[must_use]
    pub fn with_marker(&self, marker: SendMarker) -> Self {
        Self { marker: Some(marker), ..self.clone() }
    }

    /// Returns a clone whose calls have another timeout, whatever the operation. It shares the
    /// connections of this transport. Less than a millisecond counts as one.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let timeout = timeout.max(Duration::from_millis(1));
        Self { timeout, long_timeout: Some(timeout), ..self.clone() }
    }

    /// Returns the address that paths are appended to.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Returns the address of a path whose arguments are encoded.
    #[doc(hidden)]
    pub fn url(&self, path: &str) -> Url {
        self.base_url.join(path)
    }

    /// Returns the client with which generated code builds requests.
    #[doc(hidden)]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Sends `request` once. A redirect is an error.
    #[doc(hidden)]
    pub async fn execute<E>(
        &self,
        request: reqwest::RequestBuilder,
        operation: &Operation,
    ) -> Result<reqwest::Response, Error<E>> {
        let unfit = |_| InvalidRequest::new("request", "cannot be built from these arguments");
        let mut request = request.build().map_err(unfit)?;
        if !self.base_url.contains(request.url()) {
            return Err(InvalidRequest::new("path", "leaves the base URL").into());
        }
        let timeout = match operation.timeout {
            Some(long) => self.long_timeout.unwrap_or(long),
            None => self.timeout,
        };
        *request.timeout_mut() = Some(timeout);
        // RFC 9110 section 8.6 requires the header, hyper omits it, and some servers then reply
        // 411.
        if request.method() == Method::POST && request.body().is_none() {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(marker) = &self.marker {
            marker.attach(&mut request)?;
        }
        let sending = SendMarker::new();
        sending.attach(&mut request)?;
        let response = self.http.execute(request).await.map_err(|error| {
            let error = TransportError::from_reqwest(&error);
            // For example, the server closed a new connection before hyper took the request.
            if sending.abandon() { error.before_sending() } else { error }
        })?;
        if response.status().is_redirection() {
            return Err(Error::new(Some(ResponseHead::from_response(&response)), ErrorKind::Redirect));
        }
        Ok(response)
    }
}

/// Prints the base URL, which holds no credential.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("base_url", &self.base_url.as_str()).finish_non_exhaustive()
    }
}

/// The builder of a [`Transport`]: its limits and the settings of its HTTP client.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct TransportBuilder {
    base_url: BaseUrl,
    timeout: Duration,
    long_timeout: Option<Duration>,
    connect_timeout: Duration,
    tls: Tls,
    #[cfg(feature = "reqwest-0_13")]
    http: Option<HttpHook>,
}

#[cfg(feature = "reqwest-0_13")]
type HttpHook = std::sync::Arc<dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync>;

impl fmt::Debug for TransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportBuilder").field("base_url", &self.base_url.as_str()).finish_non_exhaustive()
    }
}

impl TransportBuilder {
    /// Sets the timeout of a call, from the first packet to the last byte of the reply. A server
    /// that sends a byte a second does not extend it.
    ///
    /// Default: 30 seconds. It does not apply to an operation with a longer default: see
    /// [`long_timeout`](Self::long_timeout). Less than a millisecond counts as one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Sets the timeout of a call whose operation has a longer default than 30 seconds.
    /// [`timeout`](Self::timeout) sets it for the others.
    ///
    /// Default: the one of the operation, such as 240 seconds for Connect's `/Authorize`, which may
    /// take 210. Less than a millisecond counts as one.
    pub fn long_timeout(mut self, timeout: Duration) -> Self {
        self.long_timeout = Some(timeout.max(Duration::from_millis(1)));
        self
    }

    /// Sets the timeout of a connection attempt. Default: 10 seconds. Less than a millisecond
    /// counts as one.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Trusts these authorities in addition to those of the platform: for example, the one of a
    /// company's proxy.
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    pub fn root_certificates(mut self, roots: RootCertificates) -> Self {
        self.tls.roots = Some(roots);
        self
    }

    /// Authenticates this client in the TLS handshake (mTLS).
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    pub fn client_certificate(mut self, certificate: ClientCertificate) -> Self {
        self.tls.client = Some(certificate);
        self
    }

    /// Chooses the cryptography of rustls. Default: [`CryptoProvider::default`].
    #[cfg(feature = "rustls-no-provider")]
    pub fn crypto_provider(mut self, provider: CryptoProvider) -> Self {
        self.tls.provider = provider;
        self
    }

    /// Adjusts the HTTP client before the transport's own settings are applied: a proxy, a
    /// resolver, a local address. The settings that make a transport safe cannot be undone here:
    /// redirects, retries, limits, TLS library and versions. Certificates and identities are
    /// ignored with rustls: see [`root_certificates`](Self::root_certificates).
    ///
    /// It cannot be used with a base URL whose host is an exception for plain HTTP, because it could
    /// replace the check of the addresses.
    ///
    /// This is the only public use of `reqwest`, so the feature names its version.
    #[cfg(feature = "reqwest-0_13")]
    pub fn http(
        mut self,
        adjust: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.http = Some(std::sync::Arc::new(adjust));
        self
    }

    /// Builds the transport.
    ///
    /// # Errors
    ///
    /// Returns an error if the base URL is `https` and no TLS feature is enabled, if the platform has
    /// no trusted certificate, if the private key is not the one of the client certificate, or if
    /// there is no crypto provider.
    pub fn build(self) -> Result<Transport, BuildError> {
        let builder = reqwest::Client::builder();
        #[cfg(feature = "reqwest-0_13")]
        let builder = match &self.http {
            Some(_) if self.base_url.is_plain_http_exception() => {
                return Err(http_client::NOT_ADJUSTABLE);
            }
            Some(adjust) => adjust(builder),
            None => builder,
        };
        let http = http_client::build(builder, &self.base_url, self.connect_timeout, &self.tls)?;
        if self.base_url.is_plain_http_exception() {
            tracing::warn!(
                base_url = self.base_url.as_str(),
                "credentials and tokens are sent to this host in plain HTTP, because the configuration allows it",
            );
        }
        Ok(Transport {
            http,
            base_url: self.base_url,
            timeout: self.timeout,
            long_timeout: self.long_timeout,
            marker: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_https_base_url_needs_a_tls_feature() {
        let transport = Transport::new("https://payments.flinksapp.com".parse().unwrap());
        assert_eq!(transport.is_ok(), cfg!(any(feature = "aws-lc-rs", feature = "native-tls", feature = "rustls")));
    }
}
