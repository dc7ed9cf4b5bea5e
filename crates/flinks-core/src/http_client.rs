//! Builds the HTTP client with its TLS library and the settings that apply to every request.
//!
//! Each setting is explicit, because other crates in the build may enable `reqwest` features that
//! change the defaults (T11).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(feature = "rustls-no-provider")]
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "rustls-no-provider")]
use rustls_platform_verifier::Verifier;

use crate::base_url::BaseUrl;
use crate::plain_http::PrivateAddresses;
use crate::template::PRODUCT;
#[cfg(feature = "rustls-no-provider")]
use crate::tls::CryptoProvider;
#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
use crate::tls::{ClientCertificate, RootCertificates};

/// The error returned if building a [`Transport`](crate::Transport) fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildError {
    field: &'static str,
    reason: &'static str,
}

impl BuildError {
    /// Returns the name of the setting that caused the error, such as `base URL`.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// Returns the reason as a verb phrase, such as `is invalid or does not match the private key`.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    const fn new(field: &'static str, reason: &'static str) -> Self {
        Self { field, reason }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to build the transport: {} {}", self.field, self.reason)
    }
}

impl std::error::Error for BuildError {}

/// The TLS settings that a program can choose.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    pub(crate) roots: Option<RootCertificates>,
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    pub(crate) client: Option<ClientCertificate>,
    #[cfg(feature = "rustls-no-provider")]
    pub(crate) provider: CryptoProvider,
}

/// Applies the settings that all transports share and builds the client.
///
/// These settings are applied last, so they override the settings that `builder` already has.
pub(crate) fn build(
    mut builder: reqwest::ClientBuilder,
    base_url: &BaseUrl,
    connect_timeout: Duration,
    tls: &Tls,
) -> Result<reqwest::Client, BuildError> {
    builder = builder
        .user_agent(PRODUCT)
        .connect_timeout(connect_timeout)
        // A verbose connection logs every byte, including secrets (A3).
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
    if base_url.is_loopback() {
        // The addresses are fixed so that a hosts file cannot redirect the unencrypted requests for
        // `localhost` to another machine.
        builder = builder.no_proxy().resolve_to_addrs("localhost", &LOOPBACK);
    } else if base_url.is_plain_http_exception() {
        builder = builder.no_proxy().dns_resolver(PrivateAddresses);
    }
    build_client(with_tls(builder, base_url, tls)?)
}

/// The loopback addresses. `reqwest` replaces port 0 with the port of the URL.
const LOOPBACK: [SocketAddr; 2] =
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0)];

/// Configures rustls explicitly. If the build enables the features for both TLS libraries,
/// `reqwest` uses native-tls by default. With its default rustls configuration, `reqwest` panics if
/// no crypto provider is installed.
#[cfg(feature = "rustls-no-provider")]
fn with_tls(
    builder: reqwest::ClientBuilder,
    base_url: &BaseUrl,
    tls: &Tls,
) -> Result<reqwest::ClientBuilder, BuildError> {
    let provider = tls.provider.get().ok_or(NO_CRYPTO_PROVIDER)?;
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|_| BuildError::new("crypto provider", "supports neither TLS 1.2 nor TLS 1.3"))?;
    let config = if base_url.is_https() {
        let roots = tls.roots.iter().flat_map(RootCertificates::iter).cloned();
        let verifier = Verifier::new_with_extra_roots(roots, provider).map_err(|_| UNUSABLE_ROOTS)?;
        config.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        // Without TLS, no certificate is needed. An empty store also works on a machine without
        // trusted certificates.
        config.with_root_certificates(rustls::RootCertStore::empty())
    };
    let config = match &tls.client {
        None => config.with_no_client_auth(),
        Some(client) => client
            .to_rustls()
            .and_then(|(chain, key)| config.with_client_auth_cert(chain, key).ok())
            .ok_or(INVALID_CLIENT_CERTIFICATE)?,
    };
    Ok(builder.tls_backend_preconfigured(config))
}

/// Configures native-tls.
#[cfg(all(feature = "native-tls", not(feature = "rustls-no-provider")))]
fn with_tls(builder: reqwest::ClientBuilder, _: &BaseUrl, tls: &Tls) -> Result<reqwest::ClientBuilder, BuildError> {
    let mut connector = native_tls::TlsConnector::builder();
    connector.min_protocol_version(Some(native_tls::Protocol::Tlsv12));
    for root in tls.roots.iter().flat_map(RootCertificates::iter) {
        connector.add_root_certificate(native_tls::Certificate::from_der(root).map_err(|_| UNUSABLE_ROOTS)?);
    }
    if let Some(client) = &tls.client {
        connector.identity(client.to_native().ok_or(INVALID_CLIENT_CERTIFICATE)?);
    }
    let problem = if tls.client.is_some() { INVALID_CLIENT_CERTIFICATE } else { BUILD_FAILED };
    Ok(builder.tls_backend_preconfigured(connector.build().map_err(|_| problem)?))
}

#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
const UNUSABLE_ROOTS: BuildError =
    BuildError::new("root certificates", "are missing on this platform, or an added certificate is invalid");
#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
const INVALID_CLIENT_CERTIFICATE: BuildError =
    BuildError::new("client certificate", "is invalid or does not match the private key");
#[cfg(feature = "rustls-no-provider")]
const NO_CRYPTO_PROVIDER: BuildError =
    BuildError::new("crypto provider", "is not installed; install a default rustls provider in the process first");

/// Rejects `https`, because no TLS library is available.
#[cfg(not(any(feature = "native-tls", feature = "rustls-no-provider")))]
fn with_tls(
    builder: reqwest::ClientBuilder,
    base_url: &BaseUrl,
    _: &Tls,
) -> Result<reqwest::ClientBuilder, BuildError> {
    if base_url.is_https() {
        return Err(BuildError::new("base URL", "uses https, which requires a TLS feature such as `rustls`"));
    }
    Ok(builder)
}

#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
fn build_client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, BuildError> {
    builder.build().map_err(|_| BUILD_FAILED)
}

/// Builds the client if no TLS feature is enabled. In such a build, `reqwest` panics if another
/// crate has enabled rustls in `reqwest` and no crypto provider is installed (T11).
#[cfg(not(any(feature = "native-tls", feature = "rustls-no-provider")))]
fn build_client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, BuildError> {
    let built = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.build()));
    built.ok().and_then(Result::ok).ok_or(BUILD_FAILED)
}

#[cfg(feature = "reqwest-0_13")]
pub(crate) const HOOK_WITH_PLAIN_HTTP: BuildError =
    BuildError::new("base URL", "uses plain HTTP to another host, so the HTTP client cannot be customized");
const BUILD_FAILED: BuildError = BuildError::new("HTTP client", "could not be initialized");
