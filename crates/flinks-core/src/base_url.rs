//! A client's base URL.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::absolute_url::{AbsoluteUrl, is_loopback};

/// The base URL of an API. The URL uses `https`, or `http` to a loopback address.
///
/// Parsing rejects anything that could select another host or put a credential into the URL:
///
/// - user info, a query or a fragment
/// - a backslash or a character that is not visible ASCII
/// - the braces in a placeholder such as `https://{host}`
///
/// Parsing preserves a path prefix and removes a trailing slash.
///
/// The client appends endpoint paths to the base URL. Parsing therefore rejects a URL that already
/// includes an endpoint path, such as `https://host/api/v1/token`.
///
/// ```
/// use flinks_core::BaseUrl;
///
/// let base_url: BaseUrl = "https://toolbox-api.private.fin.ag/".parse()?;
/// assert_eq!(base_url.as_str(), "https://toolbox-api.private.fin.ag");
/// assert!("http://api.flinks.io".parse::<BaseUrl>().is_err());
/// # Ok::<(), flinks_core::InvalidBaseUrl>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BaseUrl(Arc<Parts>);

#[derive(PartialEq, Eq, Hash)]
struct Parts {
    url: Url,
    /// `url` without the trailing slash.
    text: String,
}

impl BaseUrl {
    /// Returns options for parsing a base URL, for example to allow plain HTTP to one private host.
    pub fn options() -> BaseUrlOptions {
        BaseUrlOptions::default()
    }

    /// Returns the URL without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Returns the host in lower case.
    #[doc(hidden)]
    pub fn host(&self) -> &str {
        self.0.url.host_str().unwrap_or_default()
    }

    /// Returns whether the URL has a path prefix.
    #[doc(hidden)]
    pub fn has_path(&self) -> bool {
        self.0.url.path() != "/"
    }

    /// Returns whether the host is a loopback address. Requests to a loopback address stay on this
    /// machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0.url)
    }

    /// Returns whether the scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.0.url.scheme() == "https"
    }

    /// Returns whether requests to this URL leave this machine over plain HTTP. Only
    /// [`BaseUrlOptions::dangerous_plain_http_host`] allows such a URL.
    pub(crate) fn is_plain_http_exception(&self) -> bool {
        !self.is_https() && !self.is_loopback()
    }

    /// Returns the host, and the port if it is not the scheme's default port.
    pub(crate) fn authority(&self) -> String {
        match self.0.url.port() {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        }
    }

    /// Appends `path` to the base URL without parsing the host again.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.0.url.clone();
        match self.0.url.path() {
            "/" => url.set_path(path),
            prefix => url.set_path(&format!("{}{path}", prefix.trim_end_matches('/'))),
        }
        url
    }

    /// Returns whether `url` is under this base URL.
    pub(crate) fn contains(&self, url: &Url) -> bool {
        // The parts are compared one by one, because `Url::origin` would copy them.
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
        Self::options().parse(text)
    }
}

/// Options for parsing a [`BaseUrl`].
///
/// ```
/// use flinks_core::BaseUrl;
///
/// let options = BaseUrl::options().dangerous_plain_http_host("emulator");
/// let base_url = options.parse("http://emulator:8080")?;
/// assert!(options.parse("http://other:8080").is_err());
/// # Ok::<(), flinks_core::InvalidBaseUrl>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until `parse` is called"]
pub struct BaseUrlOptions {
    plain_http_host: Option<String>,
}

impl BaseUrlOptions {
    /// Accepts `http://` URLs for exactly this host, such as an emulator in another container.
    ///
    /// Anyone on the network path to the host can read the credentials and tokens in requests to
    /// the host. Therefore:
    ///
    /// - A client refuses to connect if the host resolves to an address that is neither a loopback
    ///   address nor a private address (RFC 1918, RFC 4193).
    /// - Requests to the host bypass any proxy.
    /// - Each new client for this host logs a warning.
    /// - Flinks' own hosts are rejected.
    pub fn dangerous_plain_http_host(mut self, host: impl Into<String>) -> Self {
        self.plain_http_host = Some(host.into());
        self
    }

    /// Parses a base URL with these options.
    ///
    /// # Errors
    ///
    /// Returns an error if `text` is not a valid [`BaseUrl`].
    pub fn parse(&self, text: &str) -> Result<BaseUrl, InvalidBaseUrl> {
        if text.contains(['{', '}']) {
            return Err(InvalidBaseUrl("must not contain a placeholder in braces"));
        }
        if text.contains('%') {
            return Err(InvalidBaseUrl("must not contain a percent-encoded character"));
        }
        if text.contains('@') {
            return Err(InvalidBaseUrl("must not contain user info"));
        }
        let url = AbsoluteUrl::parse_with(text, self.plain_http_host.as_deref());
        let mut url = url.map_err(InvalidBaseUrl)?.into_url();
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidBaseUrl("must not have a query or a fragment"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        if path.contains('%') {
            return Err(InvalidBaseUrl("must not have a character in its path that needs percent-encoding"));
        }
        if path.contains("//") {
            return Err(InvalidBaseUrl("must not have an empty path segment"));
        }
        if includes_endpoint(&path) {
            return Err(InvalidBaseUrl("must not include the path of an endpoint; the client appends it"));
        }
        url.set_path(&path);
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(BaseUrl(Arc::new(Parts { url, text })))
    }
}

/// Returns whether a path includes an endpoint path or the start of an endpoint path. Such a path
/// has one of these forms:
///
/// - The path ends with `api` and a version (`/api/v1`).
/// - The path contains a version followed directly by a resource id (`/v3/<GUID>/…`).
/// - The path contains a version and ends with an operation (`/api/v1/token`). The operation is
///   `initiate` or an endpoint defined by RFC 6749 or RFC 7009.
///
/// A gateway's prefix, such as `/flinks/v1` or `/api/v1/flinks`, has none of these forms.
fn includes_endpoint(path: &str) -> bool {
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

/// Returns whether a path segment is a version such as `v1`. The segment must be in lower case.
fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns whether a path segment is a GUID, with or without hyphens.
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

impl TryFrom<String> for BaseUrl {
    type Error = InvalidBaseUrl;

    fn try_from(text: String) -> Result<Self, InvalidBaseUrl> {
        text.parse()
    }
}

impl From<BaseUrl> for String {
    fn from(value: BaseUrl) -> Self {
        value.as_str().to_owned()
    }
}

impl AsRef<str> for BaseUrl {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error returned if parsing a [`BaseUrl`] fails. The error never contains the input text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidBaseUrl(&'static str);

impl InvalidBaseUrl {
    /// Returns the reason as a verb phrase, such as `must not contain user info`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a1_a_base_url_is_https_or_loopback() {
        for valid in [
            "https://payments.flinksapp.com",
            "http://127.0.0.1:8080",
            "http://127.1.2.3",
            "http://[::1]:1/",
            "http://localhost:9/flinks/",
        ] {
            let base_url: BaseUrl = valid.parse().unwrap();
            assert_eq!(base_url.as_str(), valid.trim_end_matches('/'));
            assert_eq!(base_url.is_loopback(), !base_url.is_https());
        }
    }

    #[test]
    fn a1_plain_http_is_allowed_only_to_one_private_host() {
        for (host, text) in [
            ("emulator", "http://emulator:8080"),
            ("Emulator.", "http://EMULATOR/flinks"),
            ("10.0.0.5", "http://10.0.0.5"),
            ("fd00::5", "http://[fd00::5]:1"),
            ("emulator", "https://payments.flinksapp.com"),
        ] {
            let base_url = BaseUrl::options().dangerous_plain_http_host(host).parse(text).unwrap();
            assert_eq!(base_url.is_plain_http_exception(), text.starts_with("http:"), "{text}");
        }
        for (host, text, reason) in [
            ("emulator", "http://other", "must use https, because plain HTTP is allowed only for another host"),
            (
                "emulator",
                "http://emulator.evil.com",
                "must use https, because plain HTTP is allowed only for another host",
            ),
            ("", "http://emulator", "must use https, because plain HTTP is allowed only for another host"),
            ("*", "http://emulator", "must use https, because plain HTTP is allowed only for another host"),
            ("8.8.8.8", "http://8.8.8.8", "must not use plain HTTP unless the address is private"),
            ("169.254.169.254", "http://169.254.169.254", "must not use plain HTTP unless the address is private"),
            ("flinks.io", "http://flinks.io", "must not use plain HTTP for a Flinks host"),
            ("API.Flinks.IO.", "http://api.flinks.io", "must not use plain HTTP for a Flinks host"),
            ("fin.ag", "http://fin.ag", "must not use plain HTTP for a Flinks host"),
            ("a.private.fin.ag", "http://a.private.fin.ag", "must not use plain HTTP for a Flinks host"),
            ("ob.flinksapp.com.", "http://ob.flinksapp.com.", "must not use plain HTTP for a Flinks host"),
            ("emulator.", "http://emulator.", "must use https, because plain HTTP is allowed only for another host"),
            ("emulator", "http://u@emulator", "must not contain user info"),
            ("emulator", "http://emulator:0", "must not use port 0"),
        ] {
            let error = BaseUrl::options().dangerous_plain_http_host(host).parse(text).unwrap_err();
            assert!(error.reason().starts_with(reason), "{host} {text}: {error}");
        }
    }

    #[test]
    fn t09_a_base_url_that_could_change_the_host_is_rejected() {
        for invalid in [
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
            assert!(invalid.parse::<BaseUrl>().is_err(), "{invalid:?}");
        }
    }

    #[test]
    fn only_a_url_under_the_base_url_is_contained_in_it() {
        let base_url: BaseUrl = "https://a.com/flinks/".parse().unwrap();
        let contains = |text: &str| base_url.contains(&Url::parse(text).unwrap());
        assert!(contains("https://a.com/flinks/v3/x"));
        assert!(!contains("https://a.com/flinksv3"));
        assert!(!contains("https://a.com/v3"));
        assert!(!contains("https://a.com:8443/flinks/v3"));
        assert!(!contains("https://b.com/flinks/v3"));
    }
}
