//! The base URL of a client.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use url::Url;

use crate::absolute_url::{AbsoluteUrl, is_loopback};

/// The address that paths are appended to: `https`, or `http` to a loopback address (A1).
///
/// Parsing rejects everything that could choose another host or put a credential into a URL: user
/// info, a query, a fragment, any character outside of visible ASCII, a backslash, and the braces
/// of an unfilled placeholder such as `https://{host}`. A path prefix is kept, and a trailing slash
/// is removed.
///
/// The client appends the path of an endpoint, so parsing rejects a URL that already has one, such
/// as `https://host/api/v1/token`.
///
/// ```
/// use flinks_core::BaseUrl;
///
/// let base_url: BaseUrl = "https://toolbox-api.private.fin.ag/".parse()?;
/// assert_eq!(base_url.as_str(), "https://toolbox-api.private.fin.ag");
/// assert!("http://api.flinks.io".parse::<BaseUrl>().is_err());
/// # Ok::<(), flinks_core::InvalidBaseUrl>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl(Arc<Parts>);

#[derive(PartialEq, Eq, Hash)]
struct Parts {
    url: Url,
    /// `url` without the slash at its end.
    text: String,
}

impl BaseUrl {
    /// Returns the address without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Returns whether requests stay on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0.url)
    }

    /// Returns whether requests are encrypted.
    pub fn is_https(&self) -> bool {
        self.0.url.scheme() == "https"
    }

    /// Returns the address of a path under this one. The host is not parsed again.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.0.url.clone();
        match self.0.url.path() {
            "/" => url.set_path(path),
            prefix => url.set_path(&format!("{}{path}", prefix.trim_end_matches('/'))),
        }
        url
    }

    /// Returns whether `url` is under this address.
    pub(crate) fn contains(&self, url: &Url) -> bool {
        // Compared one by one, because `Url::origin` would copy them.
        url.scheme() == self.0.url.scheme()
            && url.port_or_known_default() == self.0.url.port_or_known_default()
            && url.host_str() == self.0.url.host_str()
            && url
                .path()
                .strip_prefix(self.0.url.path().trim_end_matches('/'))
                .is_some_and(|rest| rest.starts_with('/'))
    }
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBaseUrl> {
        if text.contains(['{', '}']) {
            return Err(InvalidBaseUrl("has a placeholder in braces that is not filled in"));
        }
        if text.contains('%') {
            return Err(InvalidBaseUrl("holds a percent-encoded character"));
        }
        if text.contains('@') {
            return Err(InvalidBaseUrl("holds user info"));
        }
        let mut url = AbsoluteUrl::parse(text).map_err(InvalidBaseUrl)?.into_url();
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidBaseUrl("has a query or a fragment"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        if path.contains('%') {
            return Err(InvalidBaseUrl("has a path with a character that would have to be percent-encoded"));
        }
        if path.contains("//") {
            return Err(InvalidBaseUrl("has a path with an empty segment"));
        }
        if holds_an_endpoint(&path) {
            return Err(InvalidBaseUrl(
                "includes the path of an endpoint; leave it out, because the client appends it",
            ));
        }
        url.set_path(&path);
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self(Arc::new(Parts { url, text })))
    }
}

/// Returns whether a path is more than a prefix. These are:
///
/// - an API's version at its end (`/api/v1`)
/// - the id of a resource after the version (`/v3/<GUID>/…`)
/// - an operation after the version (`/api/v1/token`): an endpoint of RFC 6749 or RFC 7009, or
///   `initiate`
///
/// A prefix that a gateway may have, such as `/flinks/v1` or `/api/v1/flinks`, is none of these.
fn holds_an_endpoint(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let segments: Vec<&str> = path.split('/').collect();
    let Some(version) = segments.iter().position(|segment| is_version(segment)) else {
        return false;
    };
    let (before, after) = segments.split_at(version);
    match after {
        [_] => before.last() == Some(&"api"),
        [_, id, ..] if is_guid(id) => true,
        [.., last] => matches!(*last, "authorize" | "initiate" | "revoke" | "token"),
        [] => false,
    }
}

/// Returns whether a segment is a version such as `v1`, in lower case.
fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns whether a segment is a GUID, with or without hyphens.
fn is_guid(segment: &str) -> bool {
    segment.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        && segment.bytes().filter(u8::is_ascii_hexdigit).count() == 32
}

impl TryFrom<&str> for BaseUrl {
    type Error = InvalidBaseUrl;

    fn try_from(text: &str) -> Result<Self, InvalidBaseUrl> {
        text.parse()
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BaseUrl").field(&self.0.text).finish()
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

/// The reason why a text is not a [`BaseUrl`]. It never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidBaseUrl(&'static str);

impl InvalidBaseUrl {
    /// Returns the reason, as the rest of a sentence: `holds user info`.
    pub fn reason(&self) -> &'static str {
        self.0
    }
}

impl fmt::Display for InvalidBaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid base URL: it {}", self.0)
    }
}

impl std::error::Error for InvalidBaseUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a1_https_or_loopback() {
        for good in [
            "https://payments.flinksapp.com",
            "http://127.0.0.1:8080",
            "http://127.1.2.3",
            "http://[::1]:1/",
            "http://localhost:9/flinks/",
        ] {
            let base_url: BaseUrl = good.parse().unwrap();
            assert_eq!(base_url.as_str(), good.trim_end_matches('/'));
            assert_eq!(base_url.is_loopback(), !base_url.is_https());
        }
    }

    #[test]
    fn t09_a_base_url_cannot_move_the_host() {
        for bad in [
            "",
            "toolbox",
            "/v3",
            "//evil.com",
            "https://{host}",
            "https://www.{baseurl}.com",
            "http://127.0.0.1.evil.com",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://evil.com",
            "https://user@evil.com",
            "https://u:p@evil.com",
            "https://@evil.com",
            "https://evil.com?x=1",
            "https://evil.com?",
            "https://evil.com/#",
            "https://evil.com:0",
            "file:///etc/passwd",
            "ftp://evil.com",
            "javascript:alert(1)",
            "https:\\\\evil.com",
            "https://good.com\\@evil.com",
            " https://good.com",
            "https://good.com\n",
            "https://go\tod.com",
            "https://ｅvil.com",
            "https://clé.com",
            "https://-a.com",
            "https://a_b.com",
            "https://a..com",
            "https://a.com//b",
            "https://a.com/%2e%2e/b",
        ] {
            assert!(bad.parse::<BaseUrl>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_url_under_the_base_is_told_from_one_beside_it() {
        let base_url: BaseUrl = "https://a.com/flinks/".parse().unwrap();
        let contains = |text: &str| base_url.contains(&Url::parse(text).unwrap());
        assert!(contains("https://a.com/flinks/v3/x"));
        assert!(!contains("https://a.com/flinksv3"));
        assert!(!contains("https://a.com/v3"));
        assert!(!contains("https://a.com:8443/flinks/v3"));
        assert!(!contains("https://b.com/flinks/v3"));
    }
}
