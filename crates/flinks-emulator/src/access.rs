//! Decides who may use the control API and the dashboard, whose responses contain secrets.
//!
//! | request | condition |
//! | --- | --- |
//! | from this machine, to `localhost` or a loopback address | none |
//! | from another machine, to a non-loopback address, or to a name added with [`Access::allow_host`] | carries the access token in a cookie or as a bearer token |
//!
//! Requests with a foreign `Origin` or any other `Host` are always refused, because a browser may
//! show a page from another site whose host name resolves to the emulator's address (DNS
//! rebinding). A browser sends `Origin` only with some requests, so a request is also refused if
//! `Sec-Fetch-Site` shows that it comes from a page on another site or port, unless the request
//! opens the dashboard in a tab.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr as _;
use std::sync::{PoisonError, RwLock};

use hyper::header;
use hyper::http::request::Parts;
use uuid::Uuid;

use crate::http::strip_scheme;

/// The message in the response to a request that is not allowed.
pub(crate) const REFUSAL: &str = "The control API accepts only requests that this machine sends to localhost or a \
    loopback address. Other requests need the access token that the emulator prints at startup, and a Host that is a \
    loopback name, an IP address or a name added with --allow-host.";

pub(crate) struct Access {
    /// The random token that requests from other machines must carry.
    token: String,
    /// The name of the cookie. The name is random, because a browser sends the cookies of a host to
    /// every emulator on that host.
    cookie: String,
    /// The host names that are accepted in addition to loopback names, in lower case.
    hosts: RwLock<Vec<String>>,
}

impl Access {
    pub(crate) fn new() -> Self {
        let cookie = Uuid::new_v4().simple().to_string();
        let cookie = format!("flinks_emulator_{}", cookie.get(..8).unwrap_or_default());
        Self { token: Uuid::new_v4().simple().to_string(), cookie, hosts: RwLock::default() }
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn allow_host(&self, name: &str) {
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        hosts.push(name.to_ascii_lowercase());
    }

    pub(crate) fn has_hosts(&self) -> bool {
        !self.hosts.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(crate) fn allows(&self, peer: SocketAddr, head: &Parts) -> bool {
        is_local(peer, head) || (self.accepts_host(head) && self.has_token(head))
    }

    /// Returns whether the host and the origin of a request are accepted, regardless of which
    /// machine sent the request.
    pub(crate) fn accepts_host(&self, head: &Parts) -> bool {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        // No other site can have an IP address as its host name.
        let is_address = |name: &str| IpAddr::from_str(name.trim_matches(['[', ']'])).is_ok();
        is_own(head, |name| is_address(name) || is_loopback_name(name) || hosts.contains(&name.to_ascii_lowercase()))
    }

    pub(crate) fn is_token(&self, given: &str) -> bool {
        is_equal(given, &self.token)
    }

    /// Returns the value of the `Set-Cookie` header in the response to a successful sign-in.
    pub(crate) fn set_cookie(&self) -> String {
        let Self { token, cookie, .. } = self;
        format!("{cookie}={token}; Path=/__emulator; HttpOnly; SameSite=Strict")
    }

    fn has_token(&self, head: &Parts) -> bool {
        let values = |name| head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = values(header::COOKIE).flat_map(|line| line.split(';')).filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.cookie).then_some(value)
        });
        let mut bearers = values(header::AUTHORIZATION).filter_map(|value| strip_scheme(value, "bearer"));
        cookies.any(|token| self.is_token(token)) || bearers.any(|token| self.is_token(token))
    }
}

/// Compares two strings in time that does not depend on the position of the first difference.
fn is_equal(given: &str, expected: &str) -> bool {
    let differences = given.bytes().zip(expected.bytes()).fold(0, |all, (given, expected)| all | (given ^ expected));
    given.len() == expected.len() && std::hint::black_box(differences) == 0
}

/// Returns whether a request comes from this machine and not from a web page with another origin.
pub(crate) fn is_local(peer: SocketAddr, head: &Parts) -> bool {
    peer.ip().to_canonical().is_loopback() && is_own(head, is_loopback_name)
}

fn is_loopback_name(name: &str) -> bool {
    let address = IpAddr::from_str(name.trim_matches(['[', ']']));
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Returns whether the name in a request's `Host` header is accepted. If the request has an
/// `Origin` header, the origin's host and port must match `Host`.
fn is_own(head: &Parts, accepts: impl Fn(&str) -> bool) -> bool {
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(header::HOST) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if !accepts(name) || is_embedded_elsewhere(head) {
        return false;
    }
    if !head.headers.contains_key(header::ORIGIN) {
        return true;
    }
    text(header::ORIGIN).and_then(|origin| origin.split_once("://")).is_some_and(|(_, origin)| origin == host)
}

/// Returns whether a page from another origin sent the request, for example to load an image.
/// Opening a link is allowed, because it reveals nothing to the other page.
fn is_embedded_elsewhere(head: &Parts) -> bool {
    let is = |name, values: &[&str]| {
        head.headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| values.contains(&value))
    };
    let opens_a_tab = is("sec-fetch-mode", &["navigate"]) && is("sec-fetch-dest", &["document"]);
    is("sec-fetch-site", &["cross-site", "same-site"]) && !opens_a_tab
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOTE: &str = "192.0.2.7:4000";

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = hyper::Request::builder().uri("/__emulator/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_peer_on_another_machine_needs_the_token() {
        let access = Access::new();
        access.allow_host("Emulator.Test");
        let cookie = access.set_cookie();
        let cookie = format!("a=b; {}", cookie.split(';').next().unwrap());
        let bearer = format!("bearer {}", access.token());
        for host in ["localhost:8080", "127.0.0.1", "[::1]:8080", "192.0.2.1:8080", "emulator.test:1", "EMULATOR.TEST"]
        {
            let local = ["localhost:8080", "127.0.0.1", "[::1]:8080"].contains(&host);
            for (peer, is_loopback) in [(REMOTE, false), ("127.0.0.1:1", true), ("[::ffff:127.0.0.1]:1", true)] {
                let peer = peer.parse().unwrap();
                assert_eq!(access.allows(peer, &head(&[("host", host)])), local && is_loopback, "{peer} {host}");
                assert!(access.allows(peer, &head(&[("host", host), ("cookie", &cookie)])), "{peer} {host}");
                assert!(access.allows(peer, &head(&[("host", host), ("authorization", &bearer)])), "{peer} {host}");
            }
        }
    }

    #[test]
    fn a_wrong_token_host_or_origin_is_refused() {
        let access = Access::new();
        let peer = REMOTE.parse().unwrap();
        let token = access.token();
        let short = token.get(..31).unwrap();
        for wrong in ["", "x", short, &format!("{token}x"), &token.to_uppercase()] {
            let bearer = format!("Bearer {wrong}");
            assert!(!access.allows(peer, &head(&[("host", "localhost"), ("authorization", &bearer)])), "{wrong}");
            assert!(!access.is_token(wrong), "{wrong}");
        }
        let bearer = format!("Bearer {token}");
        let carrying = |headers: &[(&str, &str)]| {
            access.allows(peer, &head(&[headers, &[("authorization", bearer.as_str())]].concat()))
        };
        assert!(carrying(&[("host", "localhost")]));
        assert!(carrying(&[("host", "localhost:1"), ("origin", "http://localhost:1")]));
        assert!(!carrying(&[("host", "evil.example")]));
        assert!(!carrying(&[]));
        assert!(!carrying(&[("host", "localhost:1"), ("origin", "http://localhost:2")]));
        assert!(!carrying(&[("host", "localhost"), ("origin", "null")]));
    }

    #[test]
    fn another_page_may_open_the_dashboard_but_not_embed_it() {
        let access = Access::new();
        let allows = |site, mode, dest| {
            let fetch = [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            access.allows("127.0.0.1:1".parse().unwrap(), &head(&[&[("host", "localhost:1")], &fetch[..]].concat()))
        };
        for site in ["cross-site", "same-site"] {
            assert!(allows(site, "navigate", "document"), "{site}");
            assert!(!allows(site, "navigate", "iframe"), "{site}");
            assert!(!allows(site, "no-cors", "image"), "{site}");
            assert!(!allows(site, "cors", "empty"), "{site}");
        }
        assert!(allows("none", "navigate", "document"));
        assert!(allows("same-origin", "cors", "empty"));
    }

    #[test]
    fn the_cookie_is_strict_and_invisible_to_scripts() {
        let cookie = Access::new().set_cookie();
        assert!(cookie.ends_with("; Path=/__emulator; HttpOnly; SameSite=Strict"), "{cookie}");
    }
}
