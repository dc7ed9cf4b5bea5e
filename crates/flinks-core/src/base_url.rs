//! Where requests go.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use url::{Host, Url};

/// The address that paths are appended to: `https`, or `http` to a loopback address (A1).
///
/// Parsing refuses whatever could choose another host or put a credential into a URL: user info, a query, a
/// fragment, any character outside of visible ASCII, a backslash, and the braces of an unfilled placeholder such
/// as `https://{host}`. A path prefix is kept, a trailing slash is not.
///
/// The client appends the path of an endpoint, so parsing refuses a URL that already has one, such as
/// `https://host/api/v1/token`.
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
    /// The address without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether requests stay on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0.url)
    }

    /// Whether requests are encrypted.
    pub fn is_https(&self) -> bool {
        self.0.url.scheme() == "https"
    }

    /// The address of a path under this one. The host is not read again.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.0.url.clone();
        match self.0.url.path() {
            "/" => url.set_path(path),
            prefix => url.set_path(&format!("{}{path}", prefix.trim_end_matches('/'))),
        }
        url
    }

    /// Whether `url` lies under this address.
    pub(crate) fn contains(&self, url: &Url) -> bool {
        // As `Url::origin`, which would copy them.
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
        // Before `Url::parse`, which drops line breaks, folds look-alike letters and turns `\` into `/`.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(InvalidBaseUrl("it holds a space, a backslash, a control or a non-ASCII character"));
        }
        if text.contains(['{', '}']) {
            return Err(InvalidBaseUrl("a placeholder in braces is not filled in"));
        }
        if text.contains('%') {
            return Err(InvalidBaseUrl("it holds a percent-encoded character"));
        }
        let parsed = Url::parse(text).ok().filter(|_| is_spelled_out(text));
        let mut url = parsed.ok_or(InvalidBaseUrl("it is not an absolute URL, such as https://host"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidBaseUrl("the scheme is not https"));
        }
        if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
            return Err(InvalidBaseUrl("it holds user info"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidBaseUrl("it has a query or a fragment"));
        }
        if let Some(problem) = host_problem(text, &url) {
            return Err(InvalidBaseUrl(problem));
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(InvalidBaseUrl("http is for a loopback address only; use https"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        if path.contains('%') {
            return Err(InvalidBaseUrl("the path holds a character that would have to be percent-encoded"));
        }
        if path.contains("//") {
            return Err(InvalidBaseUrl("the path has an empty segment"));
        }
        if holds_an_endpoint(&path) {
            return Err(InvalidBaseUrl("the path includes an endpoint; leave it out, because the client appends it"));
        }
        url.set_path(&path);
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self(Arc::new(Parts { url, text })))
    }
}

/// Whether the scheme is followed by two slashes and a host. A URL parser also takes `https:host` and `https:////host` for
/// that, and others do not.
#[doc(hidden)]
pub fn is_spelled_out(text: &str) -> bool {
    text.split_once("://")
        .is_some_and(|(scheme, rest)| scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) && !rest.starts_with('/'))
}

/// Returns why the authority of `url` is refused: it has user info, port 0, or a host that another reader of `text` may take
/// for another host. So `text` must spell the host as `url` has it. Only an IPv6 address has several good spellings.
#[doc(hidden)]
pub fn host_problem(text: &str, url: &Url) -> Option<&'static str> {
    if url.port() == Some(0) {
        return Some("the port is 0");
    }
    let spelled = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = spelled.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some("it holds user info");
    }
    let host = authority.split(':').next().unwrap_or_default();
    match url.host() {
        Some(Host::Domain(domain)) if !domain.split('.').all(is_label) || !host.eq_ignore_ascii_case(domain) => {
            Some("the host is not a name made of letters, digits, hyphens and dots")
        }
        Some(Host::Ipv4(address)) if host != address.to_string() => {
            Some("the host is an IPv4 address that is not written as four decimal numbers")
        }
        _ => None,
    }
}

/// Whether a path has more in it than a prefix: an API's version at its end (`/api/v1`), the id of a resource after the
/// version (`/v3/<GUID>/…`), or an operation after it (`/api/v1/token`). The operations are the endpoints of RFC 6749 and
/// RFC 7009, and one that starts something. A prefix such as `/flinks/v1` or `/api/v1/flinks`, which a gateway may have, is
/// none of these.
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

/// `v1`, in lower case.
fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// With or without hyphens.
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

/// Why a text is no [`BaseUrl`]. It names the reason, never the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidBaseUrl(&'static str);

impl InvalidBaseUrl {
    /// What is wrong with it.
    pub fn reason(&self) -> &'static str {
        self.0
    }
}

impl fmt::Display for InvalidBaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid base URL: {}", self.0)
    }
}

impl std::error::Error for InvalidBaseUrl {}

/// Whether a URL stays on this machine: the one reading of that, for the facade, too.
#[doc(hidden)]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A DNS label as RFC 1123 has it: up to 63 letters, digits and inner hyphens.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

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
