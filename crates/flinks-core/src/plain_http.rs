//! Implements the exception to rule A1: plain HTTP to one private host, such as a Docker Compose
//! container.
//!
//! The program's configuration names the host. Every address that the host resolves to must be a
//! loopback address or a private address. For each connection, the client checks exactly the
//! addresses that the connection uses.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hyper_util::client::legacy::connect::dns::GaiResolver;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tower_service::Service as _;
use url::{Host, Url};

/// Flinks' domains. Plain HTTP to these domains and their subdomains is never allowed.
const FLINKS_DOMAINS: [&str; 4] = ["fin.ag", "flinks.com", "flinks.io", "flinksapp.com"];

/// Returns the reason plain HTTP to the host of `url` is rejected, or `None` if the host is
/// accepted. `allowed` is the only host to which the program allows plain HTTP.
pub(crate) fn problem(url: &Url, allowed: &str) -> Option<&'static str> {
    let allowed = normalized(allowed);
    if is_host_of_flinks(&allowed) {
        return Some("must not use plain HTTP for a Flinks host");
    }
    match url.host() {
        Some(Host::Domain(domain)) if domain == allowed => None,
        Some(Host::Ipv4(address)) if address.to_string() == allowed => public_address_problem(address.into()),
        Some(Host::Ipv6(address)) if address.to_string() == allowed.trim_matches(['[', ']']) => {
            public_address_problem(address.into())
        }
        _ => Some("must use https, because plain HTTP is allowed only for another host"),
    }
}

fn normalized(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Returns whether a host is a Flinks domain or a subdomain of one.
pub fn is_host_of_flinks(host: &str) -> bool {
    let host = normalized(host);
    let is_within = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    FLINKS_DOMAINS.into_iter().any(is_within)
}

fn public_address_problem(address: IpAddr) -> Option<&'static str> {
    if is_private(address) { None } else { Some("must not use plain HTTP unless the address is private") }
}

/// Returns whether packets to `address` stay on this machine or within a private network (RFC 1918,
/// RFC 4193).
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// Returns whether a host is `localhost` or a loopback address.
pub fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The remote host, if any, to which a store may connect without TLS.
#[derive(Clone, Debug, Default)]
pub struct PlainHost(Option<String>);

/// The reason an unencrypted connection to a host is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHostProblem {
    /// The configuration allows no host.
    NoneAllowed,
    /// The allowed host is a Flinks host.
    OfFlinks,
    /// The configuration allows only a different host.
    OtherAllowed,
    /// The host is a public address.
    PublicAddress,
}

impl PlainHost {
    pub fn new(host: String) -> Self {
        Self(Some(host))
    }

    /// Returns the reason an unencrypted connection to `host` is not allowed, or `None` if the
    /// connection is allowed.
    pub fn find_problem(&self, host: &str) -> Option<PlainHostProblem> {
        let Some(allowed) = &self.0 else { return Some(PlainHostProblem::NoneAllowed) };
        if is_host_of_flinks(allowed) {
            return Some(PlainHostProblem::OfFlinks);
        }
        if allowed.is_empty() || !self.matches(host) {
            return Some(PlainHostProblem::OtherAllowed);
        }
        let is_public = host.parse().is_ok_and(|address: IpAddr| !is_private(address));
        is_public.then_some(PlainHostProblem::PublicAddress)
    }

    /// Returns whether a connection without TLS may use an address to which `host` resolves. For
    /// the allowed host, the address must be a private or loopback address. For any other host, the
    /// address must be a loopback address.
    pub fn accepts(&self, host: &str, address: IpAddr) -> bool {
        if self.matches(host) { is_private(address) } else { address.is_loopback() }
    }

    fn matches(&self, host: &str) -> bool {
        self.0.as_deref().is_some_and(|allowed| normalized(allowed) == normalized(host))
    }
}

/// A resolver that returns the addresses from the operating system's resolver and fails if any
/// address is public.
pub(crate) struct PrivateAddresses;

impl Resolve for PrivateAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = GaiResolver::new().call(name.as_str().parse()?).await?.collect();
            if !addresses.iter().all(|address| is_private(address.ip())) {
                return Err(PublicAddress.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The error returned by [`PrivateAddresses`] for a host with a public address.
#[derive(Debug)]
pub(crate) struct PublicAddress;

impl fmt::Display for PublicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host has a public address")
    }
}

impl std::error::Error for PublicAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a1_only_loopback_and_private_addresses_are_private() {
        for (address, expected) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.31.255.255", true),
            ("192.168.0.1", true),
            ("::1", true),
            ("fd00::1", true),
            ("::ffff:10.0.0.1", true),
            ("172.32.0.1", false),
            ("100.64.0.1", false),
            // The address of cloud providers' metadata services.
            ("169.254.169.254", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("8.8.8.8", false),
            ("fe80::1", false),
            ("::", false),
            ("::ffff:8.8.8.8", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), expected, "{address}");
        }
    }

    /// Resolves every name to this address and checks the address.
    struct FixedAddress(&'static str);

    impl Resolve for FixedAddress {
        fn resolve(&self, _: Name) -> Resolving {
            PrivateAddresses.resolve(self.0.parse().unwrap())
        }
    }

    #[tokio::test]
    async fn a1_nothing_is_sent_to_a_host_with_a_public_address() {
        // This test's client does not configure TLS, so it needs a default crypto provider.
        #[cfg(any(feature = "aws-lc-rs", feature = "rustls"))]
        crate::tls::install_default_crypto_provider();
        // `getaddrinfo` resolves a textual address to the address itself.
        for address in ["8.8.8.8", "169.254.169.254", "2001:db8::1"] {
            let client = reqwest::Client::builder().no_proxy().dns_resolver(FixedAddress(address)).build().unwrap();
            let error = client.get("http://emulator:9").send().await.unwrap_err();
            let error = crate::transport_error::TransportError::from_reqwest(&error);
            assert_eq!(error.kind(), crate::TransportErrorKind::PublicAddress, "{address}");
            assert!(!error.may_have_been_sent());
        }
        for address in ["127.0.0.1", "10.0.0.1", "fd00::1"] {
            assert!(PrivateAddresses.resolve(address.parse().unwrap()).await.is_ok(), "{address}");
        }
        assert!(PrivateAddresses.resolve("no-such-host.invalid".parse().unwrap()).await.is_err());
    }
}
