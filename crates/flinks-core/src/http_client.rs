//! The settings of the HTTP client that hold for every request, and the TLS library it uses.
//!
//! Each setting is explicit: other crates of the build may switch on features of `reqwest` that
//! change its defaults (T11).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(feature = "rustls-no-provider")]
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "rustls-no-provider")]
use rustls_platform_verifier::Verifier;

use crate::base_url::BaseUrl;
use crate::plain_http::PrivateAddresses;
#[cfg(feature = "rustls-no-provider")]
use crate::tls::CryptoProvider;
#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
use crate::tls::{ClientCertificate, RootCertificates};

/// The reason why a [`Transport`](crate::Transport) could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildError {
    field: &'static str,
    reason: &'static str,
}

impl BuildError {
    /// Returns what cannot be used, such as `base URL`.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// Returns the reason, as the rest of a sentence: `is https, which needs the feature …`.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    const fn new(field: &'static str, reason: &'static str) -> Self {
        Self { field, reason }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no transport: {} {}", self.field, self.reason)
    }
}

impl std::error::Error for BuildError {}

/// The settings of TLS that a program chooses.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    pub(crate) roots: Option<RootCertificates>,
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    pub(crate) client: Option<ClientCertificate>,
    #[cfg(feature = "rustls-no-provider")]
    pub(crate) provider: CryptoProvider,
}

/// Applies the settings of every transport to `builder`, so that none of them can be undone, and
/// builds the client.
pub(crate) fn build(
    mut builder: reqwest::ClientBuilder,
    base_url: &BaseUrl,
    connect_timeout: Duration,
    tls: &Tls,
) -> Result<reqwest::Client, BuildError> {
    builder = builder
        .user_agent(concat!("flinks-rust/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        // Verbose connections log each byte, secrets included (A3).
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
        // The fixed addresses keep a hosts file from sending `localhost` elsewhere in clear text.
        builder = builder.no_proxy().resolve_to_addrs("localhost", &LOOPBACK);
    } else if base_url.is_plain_http_exception() {
        builder = builder.no_proxy().dns_resolver(PrivateAddresses);
    }
    finish(with_tls(builder, base_url, tls)?)
}

/// reqwest replaces port 0 by the port of the URL.
const LOOPBACK: [SocketAddr; 2] =
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0)];

/// Selects the TLS library. If both TLS features are enabled anywhere in the build, reqwest's
/// default is native TLS, and its default for rustls panics if no provider is installed.
#[cfg(feature = "rustls-no-provider")]
fn with_tls(
    builder: reqwest::ClientBuilder,
    base_url: &BaseUrl,
    tls: &Tls,
) -> Result<reqwest::ClientBuilder, BuildError> {
    let provider = tls.provider.get();
    let provider = provider
        .ok_or(BuildError::new("crypto provider", "is to be the one of the process, which has installed none"))?;
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|_| BuildError::new("crypto provider", "offers neither TLS 1.2 nor 1.3"))?;
    let config = if base_url.is_https() {
        let roots = tls.roots.iter().flat_map(RootCertificates::iter).cloned();
        let verifier = Verifier::new_with_extra_roots(roots, provider).map_err(|_| UNUSABLE_ROOTS)?;
        config.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        // Trusts no certificate: there is no handshake, and a machine without certificates can
        // still talk to itself.
        config.with_root_certificates(rustls::RootCertStore::empty())
    };
    let config = match &tls.client {
        None => config.with_no_client_auth(),
        Some(client) => client
            .to_rustls()
            .and_then(|(chain, key)| config.with_client_auth_cert(chain, key).ok())
            .ok_or(CLIENT_CERTIFICATE)?,
    };
    Ok(builder.tls_backend_preconfigured(config))
}

#[cfg(all(feature = "native-tls", not(feature = "rustls-no-provider")))]
fn with_tls(builder: reqwest::ClientBuilder, _: &BaseUrl, tls: &Tls) -> Result<reqwest::ClientBuilder, BuildError> {
    let mut connector = native_tls::TlsConnector::builder();
    connector.min_protocol_version(Some(native_tls::Protocol::Tlsv12));
    for root in tls.roots.iter().flat_map(RootCertificates::iter) {
        connector.add_root_certificate(native_tls::Certificate::from_der(root).map_err(|_| UNUSABLE_ROOTS)?);
    }
    if let Some(client) = &tls.client {
        connector.identity(client.to_native().ok_or(CLIENT_CERTIFICATE)?);
    }
    let problem = if tls.client.is_some() { CLIENT_CERTIFICATE } else { CANNOT_BE_BUILT };
    Ok(builder.tls_backend_preconfigured(connector.build().map_err(|_| problem)?))
}

#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
const UNUSABLE_ROOTS: BuildError =
    BuildError::new("root certificates", "are missing on this platform, or one of those that were added is invalid");
#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
const CLIENT_CERTIFICATE: BuildError =
    BuildError::new("client certificate", "is invalid, or the private key belongs to another certificate");

#[cfg(not(any(feature = "native-tls", feature = "rustls-no-provider")))]
fn with_tls(
    builder: reqwest::ClientBuilder,
    base_url: &BaseUrl,
    _: &Tls,
) -> Result<reqwest::ClientBuilder, BuildError> {
    if base_url.is_https() {
        return Err(BuildError::new("base URL", "is https, which needs the feature `rustls` or `native-tls`"));
    }
    Ok(builder)
}

#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
fn finish(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, BuildError> {
    builder.build().map_err(|_| CANNOT_BE_BUILT)
}

/// If neither TLS feature is enabled, reqwest panics if another crate of the build enabled its
/// rustls and nobody installed a provider (T11).
#[cfg(not(any(feature = "native-tls", feature = "rustls-no-provider")))]
fn finish(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, BuildError> {
    let built = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.build()));
    built.ok().and_then(Result::ok).ok_or(CANNOT_BE_BUILT)
}

#[cfg(feature = "reqwest-0_13")]
pub(crate) const NOT_ADJUSTABLE: BuildError =
    BuildError::new("base URL", "is an exception for plain HTTP, for which the HTTP client cannot be adjusted");
const CANNOT_BE_BUILT: BuildError = BuildError::new("HTTP client", "cannot be built");
