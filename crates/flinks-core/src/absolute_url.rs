//! URLs that every reader takes for the same URL.

use url::{Host, Url};

use crate::plain_http;

/// An absolute URL that is `https`, or `http` to a loopback address (A1).
///
/// Its text means the same to every reader: a URL parser drops line breaks, folds look-alike
/// letters, turns `\` into `/` and reads `0x7f.1` as an address, and others do not.
#[doc(hidden)]
pub struct AbsoluteUrl(Url);

impl AbsoluteUrl {
    /// Parses `text`. The error is the reason, as the rest of a sentence: `holds user info`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        Self::parse_with(text, None)
    }

    /// Parses `text`, and accepts plain HTTP to the private host `plain_http_host`.
    pub(crate) fn parse_with(text: &str, plain_http_host: Option<&str>) -> Result<Self, &'static str> {
        // Before `Url::parse`, which would change these.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err("holds a space, a backslash, a control or a non-ASCII character");
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Err(NOT_ABSOLUTE) };
        // `Url::parse` would also take `https:////host`.
        if !scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) || rest.starts_with('/') {
            return Err(NOT_ABSOLUTE);
        }
        let url = Url::parse(text).map_err(|_| NOT_ABSOLUTE)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => {
                let problem = plain_http_host.map_or(Some(NOT_SECURE), |host| plain_http::problem(&url, host));
                problem.map_or(Ok(()), Err)?;
            }
            _ => return Err(NOT_SECURE),
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match authority_problem(authority, &url) {
            Some(problem) => Err(problem),
            None => Ok(Self(url)),
        }
    }

    /// Whether it has a fragment.
    pub fn has_fragment(&self) -> bool {
        self.0.fragment().is_some()
    }

    /// Its origin, such as `https://app.example`.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    pub(crate) fn into_url(self) -> Url {
        self.0
    }
}

const NOT_SECURE: &str = "is neither https nor http to a loopback address";
const NOT_ABSOLUTE: &str = "is not an absolute URL, such as https://host";

/// Whether requests to `url` stay on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns why an authority is refused: it has user info, port 0, or a host that another reader may
/// take for another host. So it must spell the host as `url` has it. Only an IPv6 address has
/// several valid spellings.
fn authority_problem(authority: &str, url: &Url) -> Option<&'static str> {
    if url.port() == Some(0) {
        return Some("has port 0");
    }
    if authority.contains('@') {
        return Some("holds user info");
    }
    let host = authority.split(':').next().unwrap_or_default();
    match url.host() {
        Some(Host::Domain(domain)) if !domain.split('.').all(is_label) || !host.eq_ignore_ascii_case(domain) => {
            Some("has a host that is not a name made of letters, digits, hyphens and dots")
        }
        Some(Host::Ipv4(address)) if host != address.to_string() => {
            Some("has an IPv4 address that is not written as four decimal numbers")
        }
        _ => None,
    }
}

/// Whether `label` is a DNS label of RFC 1123: up to 63 letters, digits and inner hyphens.
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
    fn a_url_is_refused_for_its_reason() {
        for (text, reason) in [
            ("https://app.example/ x", "holds a space"),
            ("https:\\\\app.example", "holds a space, a backslash"),
            ("/done", "is not an absolute URL"),
            ("https:app.example", "is not an absolute URL"),
            ("https:////app.example", "is not an absolute URL"),
            ("https://", "is not an absolute URL"),
            ("ftp://app.example", "is neither https nor"),
            ("http://app.example", "is neither https nor"),
            ("https://app.example:0", "has port 0"),
            ("https://user@app.example", "holds user info"),
            ("https://@app.example", "holds user info"),
            ("https://a_b.example", "has a host"),
            ("https://app.example.", "has a host"),
            ("https://%61pp.example", "has a host"),
            ("http://0x7f.1", "has an IPv4 address"),
        ] {
            let problem = AbsoluteUrl::parse(text).err().unwrap_or("is accepted");
            assert!(problem.starts_with(reason), "{text}: {problem}");
        }
    }

    #[test]
    fn a_url_keeps_its_origin_and_reports_its_fragment() {
        let url = AbsoluteUrl::parse("https://APP.example:443/done?a=@#b").unwrap();
        assert_eq!(url.origin(), "https://app.example");
        assert!(url.has_fragment());
        assert!(!AbsoluteUrl::parse("http://[::1]:9/done").unwrap().has_fragment());
    }
}
