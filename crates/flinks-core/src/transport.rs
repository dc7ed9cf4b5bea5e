//! Sends requests to one base URL with one HTTP client, and applies limits to each call.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, HeaderValue};

use crate::base_url::BaseUrl;
use crate::error::{Error, ErrorKind, InvalidRequest};
use crate::head::ResponseHead;
use crate::http_client::{self, BuildError, Tls};
use crate::marker::{AttemptMarkers, SendMarker};
use crate::request::{Operation, Request};
use crate::response::Response;
use crate::template::{HostHeader, Templates};
use crate::timer::{Timer, in_time};
#[cfg(feature = "rustls-no-provider")]
use crate::tls::CryptoProvider;
#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
use crate::tls::{ClientCertificate, RootCertificates};

/// The default timeout for a call: 30 seconds.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The default timeout for a connection attempt: 10 seconds.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An HTTP client for authenticated calls to one [`BaseUrl`].
///
/// - The client never follows redirects, never sends a `Referer` header, and never retries.
/// - The client uses HTTP/1.1. Connections use TLS 1.2 or newer, unless the base URL uses `http`.
/// - The client neither stores cookies nor accepts compressed responses.
/// - Every call has a timeout.
/// - A response body is limited to [`MAX_RESPONSE_BYTES`](crate::MAX_RESPONSE_BYTES), unless the
///   operation has its own limit.
/// - Requests to a loopback address never use a proxy.
///
/// These properties do not depend on the `reqwest` features that other crates in the build enable.
///
/// Cloning is cheap, and clones share their connections.
#[derive(Clone)]
pub struct Transport {
    http: reqwest::Client,
    templates: Arc<Templates>,
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

    /// Creates a builder for a transport with custom limits.
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

    /// Returns a clone that records in `marker` whether a request's body may have left this
    /// machine. The clone shares this transport's connections.
    #[must_use]
    pub fn with_marker(&self, marker: SendMarker) -> Self {
        Self { marker: Some(marker), ..self.clone() }
    }

    /// Returns a clone with a different timeout for all operations. The minimum timeout is 1
    /// millisecond. The clone shares this transport's connections.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let timeout = timeout.max(Duration::from_millis(1));
        Self { timeout, long_timeout: Some(timeout), ..self.clone() }
    }

    /// Returns the HTTP client, for requests that the program sends itself.
    ///
    /// The HTTP client shares this transport's proxy, certificates and connections, and does not
    /// follow redirects. Its only timeout is the connect timeout.
    ///
    /// The version in the name of the `reqwest-0_13` feature is the version of `reqwest` whose
    /// types this method exposes.
    #[cfg(feature = "reqwest-0_13")]
    pub fn http_client(&self) -> &reqwest::Client {
        &self.http
    }

    /// Returns the base URL.
    pub fn base_url(&self) -> &BaseUrl {
        self.templates.base_url()
    }

    /// Creates a request. Arguments in the path must already be percent-encoded.
    #[doc(hidden)]
    pub fn request(
        &self,
        operation: &'static Operation,
        method: Method,
        path: &str,
    ) -> Result<Request, InvalidRequest> {
        let (url, headers) = self.templates.get(operation, path)?;
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        Ok(Request { operation, request })
    }

    #[cfg(feature = "multipart")]
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Sends `request` once. A redirect that is not documented for the operation is an error.
    ///
    /// Unless the response is a stream, starts `timer`, which limits the time until the response
    /// has been read.
    #[doc(hidden)]
    pub async fn execute<'t, E>(
        &self,
        request: Request,
        mut timer: Pin<&'t mut Timer>,
    ) -> Result<Response<'t>, Error<E>> {
        let Request { operation, mut request } = request;
        let timeout = match operation.timeout {
            Some(long) => self.long_timeout.unwrap_or(long),
            None => self.timeout,
        };
        // The caller reads a stream after this call returns, so the timeout is set on the request
        // and the timer is not used. A timeout set in a custom HTTP client would apply to every
        // request that does not set a timeout itself.
        if operation.is_streamed || self.templates.is_client_adjusted() {
            *request.timeout_mut() = Some(timeout);
        }
        if !operation.is_streamed {
            timer.set(Some(tokio::time::sleep(timeout)));
        }
        // RFC 9110 section 8.6 requires this header, but hyper omits it for an empty body. Some
        // servers then respond with 411.
        let is_empty = match request.body() {
            Some(body) => body.as_bytes().is_some_and(<[u8]>::is_empty),
            None => request.method() == Method::POST,
        };
        if is_empty {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let markers = AttemptMarkers::new(self.marker.clone());
        markers.attach(&mut request)?;
        let response = in_time(timer.as_mut(), self.http.execute(request)).await.map_err(|error| {
            // For example, the server may have closed a new connection before hyper started
            // sending.
            if markers.abandon() { error.before_sending() } else { error }
        })?;
        let response = Response { operation, response, timer };
        let status = response.status();
        if status.is_redirection() && !operation.redirects.contains(&status.as_u16()) {
            return Err(Error::new(Some(ResponseHead::from_response(&response)), ErrorKind::Redirect));
        }
        Ok(response)
    }
}

/// Prints the base URL, which contains no credentials.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("base_url", &self.base_url().as_str()).finish_non_exhaustive()
    }
}

/// A builder for a [`Transport`] with custom limits and HTTP client settings.
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
    /// Sets the timeout for a call, measured from its start to the last byte of the response. A
    /// slow response does not extend the timeout.
    ///
    /// The default is 30 seconds, and the minimum is 1 millisecond. This timeout does not apply to
    /// operations with a longer default timeout. For these operations, use
    /// [`long_timeout`](Self::long_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Sets the timeout for operations whose default timeout is longer than 30 seconds. For other
    /// operations, use [`timeout`](Self::timeout).
    ///
    /// The default depends on the operation. For example, the default for Connect's `/Authorize`
    /// endpoint is 240 seconds, because a call to this endpoint can take up to 210 seconds. The
    /// minimum timeout is 1 millisecond.
    pub fn long_timeout(mut self, timeout: Duration) -> Self {
        self.long_timeout = Some(timeout.max(Duration::from_millis(1)));
        self
    }

    /// Sets the timeout for a connection attempt. The default is 10 seconds, and the minimum is 1
    /// millisecond.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Trusts these root certificates in addition to the platform's certificates. Use this method,
    /// for example, if a corporate proxy uses its own certificate authority.
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    pub fn root_certificates(mut self, roots: RootCertificates) -> Self {
        self.tls.roots = Some(roots);
        self
    }

    /// Sets the client certificate for TLS client authentication (mTLS).
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    pub fn client_certificate(mut self, certificate: ClientCertificate) -> Self {
        self.tls.client = Some(certificate);
        self
    }

    /// Sets the crypto provider for rustls. The default is [`CryptoProvider::default`].
    #[cfg(feature = "rustls-no-provider")]
    pub fn crypto_provider(mut self, provider: CryptoProvider) -> Self {
        self.tls.provider = provider;
        self
    }

    /// Customizes the HTTP client, for example to set a proxy, a resolver or a local address.
    ///
    /// The transport applies its own settings afterwards, so `adjust` cannot change redirects,
    /// retries, limits, the TLS library or the TLS versions. With rustls, certificates and
    /// identities that `adjust` sets are ignored. Use
    /// [`root_certificates`](Self::root_certificates) and
    /// [`client_certificate`](Self::client_certificate) instead.
    ///
    /// If the base URL uses plain HTTP to a host that is not a loopback address,
    /// [`build`](Self::build) returns an error, because `adjust` could bypass the check on the
    /// host's addresses.
    ///
    /// The version in the name of the `reqwest-0_13` feature is the version of `reqwest` whose
    /// types this method exposes.
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
    /// Returns an error in these cases:
    ///
    /// - The base URL uses `https`, but no TLS feature is enabled.
    /// - The platform has no trusted certificates, or an added root certificate is invalid.
    /// - The client certificate is invalid or does not match its private key.
    /// - No crypto provider is installed.
    /// - The HTTP client is customized, and the base URL uses plain HTTP to another machine.
    pub fn build(self) -> Result<Transport, BuildError> {
        let builder = reqwest::Client::builder();
        #[cfg(feature = "reqwest-0_13")]
        let builder = match &self.http {
            Some(_) if self.base_url.is_plain_http_exception() => {
                return Err(http_client::HOOK_WITH_PLAIN_HTTP);
            }
            Some(adjust) => adjust(builder),
            None => builder,
        };
        #[cfg(feature = "reqwest-0_13")]
        let host = if self.http.is_some() { HostHeader::FromClient } else { HostHeader::Prepared };
        #[cfg(not(feature = "reqwest-0_13"))]
        let host = HostHeader::Prepared;
        let http = http_client::build(builder, &self.base_url, self.connect_timeout, &self.tls)?;
        if self.base_url.is_plain_http_exception() {
            tracing::warn!(
                base_url = self.base_url.as_str(),
                "credentials and tokens are sent to this host over plain HTTP, because the configuration allows it",
            );
        }
        Ok(Transport {
            http,
            templates: Arc::new(Templates::new(self.base_url, host)),
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
