//! The exception to A1: plain HTTP to one private host, such as a container of `docker compose`.
//!
//! The host is named in the program's configuration. Every address that it resolves to must be
//! loopback or private. This is checked when a connection is made, on the addresses that it uses.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hyper_util::client::legacy::connect::dns::GaiResolver;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tower_service::Service as _;
use url::{Host, Url};

/// The domains of Flinks. Neither they nor the names below them can be the exception.
const FLINKS_DOMAINS: [&str; 4] = ["fin.ag", "flinks.com", "flinks.io", "flinksapp.com"];

/// Returns why plain HTTP to the host of `url` is refused, although the program allows it for
/// `allowed`.
pub(crate) fn problem(url: &Url, allowed: &str) -> Option<&'static str> {
    let allowed = normalized(allowed);
    if is_host_of_flinks(&allowed) {
        return Some("uses plain HTTP, which is never allowed for a host of Flinks");
    }
    match url.host() {
        Some(Host::Domain(domain)) if domain == allowed => None,
        Some(Host::Ipv4(address)) if address.to_string() == allowed => not_private(address.into()),
        Some(Host::Ipv6(address)) if address.to_string() == allowed.trim_matches(['[', ']']) => {
            not_private(address.into())
        }
        _ => Some("uses plain HTTP, which is allowed for another host only"),
    }
}

fn normalized(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Returns whether a host is one of Flinks', or a domain of Flinks'.
pub fn is_host_of_flinks(host: &str) -> bool {
    let host = normalized(host);
    let is_below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    FLINKS_DOMAINS.into_iter().any(is_below)
}

fn not_private(address: IpAddr) -> Option<&'static str> {
    (!is_private(address)).then_some("uses plain HTTP to an address that is not private")
}

/// Returns whether packets to `address` stay on this machine or in a private network (RFC 1918,
/// RFC 4193).
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// Resolves names as the operating system does, and fails if one of the addresses is public.
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

/// The failure of [`PrivateAddresses`].
#[derive(Debug)]
pub(crate) struct PublicAddress;

impl fmt::Display for PublicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host has an address that is not private")
    }
}

impl std::error::Error for PublicAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a1_private_addresses_are_told_from_public_ones() {
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
            // The metadata service of cloud machines.
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

    /// Resolves every name to this address, and checks it.
    struct Everywhere(&'static str);

    impl Resolve for Everywhere {
        fn resolve(&self, _: Name) -> Resolving {
            PrivateAddresses.resolve(self.0.parse().unwrap())
        }
    }

    #[tokio::test]
    async fn a1_nothing_is_sent_to_a_name_with_a_public_address() {
        // For the client of this test.
        #[cfg(any(feature = "aws-lc-rs", feature = "rustls"))]
        crate::tls::install_default_crypto_provider();
        // `getaddrinfo` takes the text of an address for a name that has this address.
        for address in ["8.8.8.8", "169.254.169.254", "2001:db8::1"] {
            let client = reqwest::Client::builder().no_proxy().dns_resolver(Everywhere(address)).build().unwrap();
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
