//! What must be true of every request.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use url::Url;

use crate::base_url::BaseUrl;
use crate::error::{Error, ErrorKind, InvalidRequest, TransportError};
use crate::marker::{MarkedBody, SendMarker};
use crate::response::ResponseHead;

/// The largest reply that is read: 64 KiB. A token reply has less than 4.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;
/// How long a call may take unless it is told otherwise: 30 seconds.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long making a connection may take unless it is told otherwise: 10 seconds.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An HTTP client for calls that carry credentials, bound to one [`BaseUrl`].
///
/// It follows no redirect and sends no `Referer` (A2), repeats no request by itself, speaks HTTP/1.1 over TLS 1.2
/// or newer (A1), takes no cookies and no compressed replies, reads at most [`MAX_RESPONSE_BYTES`], and gives up
/// after a while. Requests to a loopback address never go through a proxy. All of this holds whatever features
/// other crates of the build switch on in `reqwest`.
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
    /// A transport with the default limits.
    ///
    /// # Errors
    ///
    /// See [`TransportBuilder::build`].
    pub fn new(base_url: BaseUrl) -> Result<Self, BuildError> {
        Self::builder(base_url).build()
    }

    /// A transport with limits of one's own.
    pub fn builder(base_url: BaseUrl) -> TransportBuilder {
        TransportBuilder {
            base_url,
            timeout: DEFAULT_TIMEOUT,
            long_timeout: None,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            http: None,
        }
    }

    /// Returns a clone that records in `marker` whether the body of a request may have left this machine. It shares the
    /// connections of this transport.
    #[must_use]
    pub fn with_marker(&self, marker: SendMarker) -> Self {
        Self { marker: Some(marker), ..self.clone() }
    }

    /// The address that paths are appended to.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// The address of a path, whose arguments are encoded.
    #[doc(hidden)]
    pub fn url(&self, path: &str) -> Url {
        self.base_url.join(path)
    }

    /// What generated code builds requests with.
    #[doc(hidden)]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Sends `request`, once. What comes back is never a redirect.
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
        // RFC 9110 section 8.6 asks for it, hyper leaves it out, and some servers answer 411 then.
        if request.method() == Method::POST && request.body().is_none() {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(marker) = &self.marker {
            mark(&mut request, marker)?;
        }
        let sending = SendMarker::new();
        mark(&mut request, &sending)?;
        let response = self.http.execute(request).await.map_err(|error| {
            let error = TransportError::of(&error);
            // Such as a new connection that the server closed before hyper took the request.
            if sending.abandon() { error.before_sending() } else { error }
        })?;
        if response.status().is_redirection() {
            return Err(Error::new(Some(ResponseHead::of(&response)), ErrorKind::Redirect));
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

/// Limits of a [`Transport`].
#[derive(Clone)]
#[must_use]
pub struct TransportBuilder {
    base_url: BaseUrl,
    timeout: Duration,
    long_timeout: Option<Duration>,
    connect_timeout: Duration,
    http: Option<HttpHook>,
}

type HttpHook = Arc<dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync>;

impl fmt::Debug for TransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportBuilder").field("base_url", &self.base_url.as_str()).finish_non_exhaustive()
    }
}

impl TransportBuilder {
    /// How long a call may take, from the first packet to the last byte of the reply. It bounds each read too, so a
    /// server that sends a byte a second gains nothing.
    ///
    /// Default: 30 seconds. It does not apply to an operation with a longer default: see
    /// [`long_timeout`](Self::long_timeout). Less than a millisecond counts as one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// How long a call may take if the default of its operation is longer than 30 seconds. It bounds the call as
    /// [`timeout`](Self::timeout) bounds the others.
    ///
    /// Default: that of the operation, such as 240 seconds for Connect's `/Authorize`, which may take 210. Less than a
    /// millisecond counts as one.
    pub fn long_timeout(mut self, timeout: Duration) -> Self {
        self.long_timeout = Some(timeout.max(Duration::from_millis(1)));
        self
    }

    /// How long making a connection may take. Default: 10 seconds. Less than a millisecond counts as one.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Adjusts the HTTP client before the transport's own settings are applied: a proxy, a resolver, a local address. What
    /// the transport promises cannot be undone here, such as its redirects, retries, limits, TLS library and versions.
    /// Certificates of one's own are ignored with rustls, which trusts what the platform trusts.
    ///
    /// This is the one place where `reqwest` shows: its version is part of this method's contract.
    pub fn http(
        mut self,
        adjust: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.http = Some(Arc::new(adjust));
        self
    }

    /// Builds the transport.
    ///
    /// # Errors
    ///
    /// A [`BuildError`] where the base URL is `https` and neither TLS feature is on, or where the platform has no
    /// certificate that could be trusted.
    pub fn build(self) -> Result<Transport, BuildError> {
        let builder = reqwest::Client::builder();
        let mut builder = match &self.http {
            Some(adjust) => adjust(builder),
            None => builder,
        };
        builder = builder
            .user_agent(concat!("flinks-rust/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            // It would log each byte, secrets included (A3).
            .connection_verbose(false)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .http1_only()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .no_hickory_dns();
        if self.base_url.is_loopback() {
            // Without the second line, a hosts file could send `localhost` elsewhere, in clear text.
            builder = builder.no_proxy().resolve_to_addrs("localhost", &LOOPBACK);
        }
        let http = build(with_tls(builder, &self.base_url)?)?;
        Ok(Transport {
            http,
            base_url: self.base_url,
            timeout: self.timeout,
            long_timeout: self.long_timeout,
            marker: None,
        })
    }
}

/// Why no [`Transport`] could be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildError(&'static str);

impl BuildError {
    /// What is missing.
    pub fn reason(&self) -> &'static str {
        self.0
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no transport: {}", self.0)
    }
}

impl std::error::Error for BuildError {}

/// One operation, as generated code names it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The `operationId` of the specification.
    pub id: &'static str,
    /// How long it may take, if that is longer than the default.
    pub timeout: Option<Duration>,
}

/// Lets the body of `request` set the marker. A request without a body counts as sent from now on: nothing shows when its head
/// leaves.
fn mark(request: &mut reqwest::Request, marker: &SendMarker) -> Result<(), InvalidRequest> {
    let slot = request.body_mut();
    match slot.take() {
        Some(body) if !hyper::body::Body::is_end_stream(&body) => {
            *slot = Some(reqwest::Body::wrap(MarkedBody { body, marker: marker.clone() }));
        }
        none => {
            *slot = none;
            if !marker.send() {
                return Err(InvalidRequest::new("request", "belongs to a call that was abandoned"));
            }
        }
    }
    Ok(())
}

/// One path argument, percent-encoded but for the unreserved characters of RFC 3986.
#[doc(hidden)]
pub fn encode_path(name: &'static str, value: impl fmt::Display) -> Result<String, InvalidRequest> {
    let value = value.to_string();
    // A URL parser takes a dot segment for a move, in clear and percent-encoded.
    if matches!(value.as_str(), "" | "." | "..") {
        return Err(InvalidRequest::new(name, "is empty or a dot segment"));
    }
    let encoded = match utf8_percent_encode(&value, PATH_SEGMENT).into() {
        Cow::Borrowed(_) => None,
        Cow::Owned(encoded) => Some(encoded),
    };
    // Most need nothing.
    Ok(encoded.unwrap_or(value))
}

/// A header argument that is no secret.
#[doc(hidden)]
pub fn header_text(name: &'static str, value: impl fmt::Display) -> Result<HeaderValue, InvalidRequest> {
    let value = value.to_string();
    // `http` takes bytes above 127 too.
    let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    let value = HeaderValue::try_from(value).ok().filter(|_| is_plain);
    value.ok_or(InvalidRequest::new(name, "holds a control or a non-ASCII character"))
}

/// A form as the body of `request`.
#[doc(hidden)]
pub fn form_body(
    request: reqwest::RequestBuilder,
    body: &impl Serialize,
) -> Result<reqwest::RequestBuilder, InvalidRequest> {
    let form = serde_urlencoded::to_string(body)
        .map_err(|_| InvalidRequest::new("body", "holds a value that a form cannot carry"))?;
    let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    Ok(request.header(CONTENT_TYPE, content_type).body(form))
}

/// reqwest replaces port 0 by the port of the URL.
const LOOPBACK: [SocketAddr; 2] = [
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
];
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Pins the TLS library: with both features on anywhere in the build, reqwest's own default would be native TLS, and
/// its default for rustls panics where no provider is installed.
#[cfg(feature = "rustls")]
fn with_tls(builder: reqwest::ClientBuilder, base_url: &BaseUrl) -> Result<reqwest::ClientBuilder, BuildError> {
    use rustls_platform_verifier::BuilderVerifierExt as _;

    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|_| BuildError("ring has no TLS 1.2 or 1.3"))?;
    let config = match base_url.is_https() {
        true => config.with_platform_verifier().map_err(|_| BuildError("the platform has no trusted certificate"))?,
        // Trusts nothing: no handshake is due, and a machine without certificates can still talk to itself.
        false => config.with_root_certificates(rustls::RootCertStore::empty()),
    };
    Ok(builder.tls_backend_preconfigured(config.with_no_client_auth()))
}

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
fn with_tls(builder: reqwest::ClientBuilder, _: &BaseUrl) -> Result<reqwest::ClientBuilder, BuildError> {
    let builder = builder.tls_danger_accept_invalid_certs(false).tls_danger_accept_invalid_hostnames(false);
    Ok(builder.tls_backend_native().tls_version_min(reqwest::tls::Version::TLS_1_2))
}

#[cfg(any(feature = "native-tls", feature = "rustls"))]
fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, BuildError> {
    builder.build().map_err(|_| CANNOT_BE_BUILT)
}

/// Without a TLS library of our own, reqwest panics if another crate of the build switched on its rustls and nobody
/// installed a provider (T11).
#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, BuildError> {
    let built = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.build()));
    built.ok().and_then(Result::ok).ok_or(CANNOT_BE_BUILT)
}

const CANNOT_BE_BUILT: BuildError = BuildError("the HTTP client cannot be built");

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
fn with_tls(builder: reqwest::ClientBuilder, base_url: &BaseUrl) -> Result<reqwest::ClientBuilder, BuildError> {
    match base_url.is_https() {
        true => Err(BuildError("an https base URL needs the feature `rustls` or `native-tls`")),
        false => Ok(builder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t09_a_path_argument_stays_in_its_segment() {
        for moves in ["", ".", ".."] {
            assert_eq!(encode_path("customerId", moves).unwrap_err().field(), "customerId");
        }
        for (value, encoded) in [
            ("a/b", "a%2Fb"),
            ("..\\..\\x", "..%5C..%5Cx"),
            ("%2e%2e", "%252e%252e"),
            ("a?x=1#y", "a%3Fx%3D1%23y"),
            ("é", "%C3%A9"),
            ("43387ca6-0391", "43387ca6-0391"),
        ] {
            assert_eq!(encode_path("customerId", value).unwrap(), encoded);
        }
    }

    #[test]
    fn an_https_base_url_needs_a_tls_feature() {
        let transport = Transport::new("https://payments.flinksapp.com".parse().unwrap());
        assert_eq!(transport.is_ok(), cfg!(any(feature = "rustls", feature = "native-tls")));
    }
}
