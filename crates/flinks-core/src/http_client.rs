//! The settings of the HTTP client that hold for every request, and the TLS library it uses.
//!
//! Each setting is explicit: other crates of the build may switch on features of `reqwest` that
//! change its defaults (T11).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::base_url::BaseUrl;

/// The reason why a [`Transport`](crate::Transport) could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildError(&'static str);

impl BuildError {
    /// Returns the reason, such as a missing TLS feature.
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

/// Applies the settings of every transport to `builder`, so that none of them can be undone, and
/// builds the client.
pub(crate) fn build(
    mut builder: reqwest::ClientBuilder,
    base_url: &BaseUrl,
    connect_timeout: Duration,
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
    }
    finish(with_tls(builder, base_url)?)
}

/// reqwest replaces port 0 by the port of the URL.
const LOOPBACK: [SocketAddr; 2] =
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0)];

/// Selects the TLS library. If both TLS features are enabled anywhere in the build, reqwest's
/// default is native TLS, and its default for rustls panics if no provider is installed.
#[cfg(feature = "rustls")]
fn with_tls(builder: reqwest::ClientBuilder, base_url: &BaseUrl) -> Result<reqwest::ClientBuilder, BuildError> {
    use rustls_platform_verifier::BuilderVerifierExt as _;

    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|_| BuildError("needs TLS 1.2 or newer, which ring does not offer"))?;
    let config = if base_url.is_https() {
        config
            .with_platform_verifier()
            .map_err(|_| BuildError("needs a trusted certificate, and the platform has none"))?
    } else {
        // Trusts no certificate: there is no handshake, and a machine without certificates can
        // still talk to itself.
        config.with_root_certificates(rustls::RootCertStore::empty())
    };
    Ok(builder.tls_backend_preconfigured(config.with_no_client_auth()))
}

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
fn with_tls(builder: reqwest::ClientBuilder, _: &BaseUrl) -> Result<reqwest::ClientBuilder, BuildError> {
    let builder = builder.tls_danger_accept_invalid_certs(false).tls_danger_accept_invalid_hostnames(false);
    Ok(builder.tls_backend_native().tls_version_min(reqwest::tls::Version::TLS_1_2))
}

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
fn with_tls(builder: reqwest::ClientBuilder, base_url: &BaseUrl) -> Result<reqwest::ClientBuilder, BuildError> {
    if base_url.is_https() {
        return Err(BuildError("is https, which needs the feature `rustls` or `native-tls`"));
    }
    Ok(builder)
}

#[cfg(any(feature = "native-tls", feature = "rustls"))]
fn finish(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, BuildError> {
    builder.build().map_err(|_| CANNOT_BE_BUILT)
}

/// If neither TLS feature is enabled, reqwest panics if another crate of the build enabled its
/// rustls and nobody installed a provider (T11).
#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
fn finish(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, BuildError> {
    let built = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.build()));
    built.ok().and_then(Result::ok).ok_or(CANNOT_BE_BUILT)
}

const CANNOT_BE_BUILT: BuildError = BuildError("cannot be used, because the HTTP client cannot be built");
