//! Absolute URLs that every URL parser reads the same way.

use url::{Host, Url};

use crate::plain_http;

/// An absolute URL that uses `https`, or `http` to a loopback address.
///
/// All URL parsers interpret an `AbsoluteUrl` in the same way. Some parsers drop line breaks, map
/// look-alike letters to ASCII, replace `\` with `/` or read `0x7f.1` as an IPv4 address, while
/// others do not. Text that parsers interpret differently is rejected.
#[doc(hidden)]
pub struct AbsoluteUrl(Url);

impl AbsoluteUrl {
    /// Parses `text`.
    ///
    /// # Errors
    ///
    /// Returns the reason `text` is invalid, as a verb phrase such as `must not contain user info`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        Self::parse_with(text, None)
    }

    /// Parses `text` like [`parse`](Self::parse), but also accepts plain HTTP to the private host
    /// `plain_http_host`.
    pub(crate) fn parse_with(text: &str, plain_http_host: Option<&str>) -> Result<Self, &'static str> {
        // This check comes before `Url::parse`, which drops or replaces such characters.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err("must not contain a space, a backslash, a control character or a non-ASCII character");
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Err(NOT_ABSOLUTE) };
        // `Url::parse` would accept `https:////host`.
        if !scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) || rest.starts_with('/') {
            return Err(NOT_ABSOLUTE);
        }
        let url = Url::parse(text).map_err(|_| NOT_ABSOLUTE)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => {
                let Some(allowed_host) = plain_http_host else { return Err(NOT_SECURE) };
                if let Some(problem) = plain_http::problem(&url, allowed_host) {
                    return Err(problem);
                }
            }
            _ => return Err(NOT_SECURE),
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match authority_problem(authority, &url) {
            Some(problem) => Err(problem),
            None => Ok(Self(url)),
        }
    }

    /// Returns whether the URL has a fragment.
    pub fn has_fragment(&self) -> bool {
        self.0.fragment().is_some()
    }

    /// Returns the origin of the URL, such as `https://app.example`.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    pub(crate) fn into_url(self) -> Url {
        self.0
    }
}

const NOT_SECURE: &str = "must use https, or http to a loopback address";
const NOT_ABSOLUTE: &str = "must be an absolute URL such as https://host";

/// Returns whether requests to `url` stay on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns the reason the authority of a URL is invalid, or `None` if the authority is valid.
///
/// Rejects user info and port 0. Also rejects a host that another URL parser might read as a
/// different host: except for case, the host must be spelled the same way in the authority and in
/// the parsed `url`. Only an IPv6 address may be spelled in several ways.
fn authority_problem(authority: &str, url: &Url) -> Option<&'static str> {
    if url.port() == Some(0) {
        return Some("must not use port 0");
    }
    if authority.contains('@') {
        return Some("must not contain user info");
    }
    let host = authority.split(':').next().unwrap_or_default();
    match url.host() {
        Some(Host::Domain(domain)) if !domain.split('.').all(is_label) || !host.eq_ignore_ascii_case(domain) => {
            Some("must have a host name of letters, digits, hyphens and dots")
        }
        Some(Host::Ipv4(address)) if host != address.to_string() => {
            Some("must write an IPv4 address as four decimal numbers")
        }
        _ => None,
    }
}

/// Returns whether `label` is a DNS label as defined in RFC 1123: 1 to 63 letters, digits and
/// hyphens, with no hyphen at either end.
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
    fn an_invalid_url_is_rejected_with_its_reason() {
        for (text, reason) in [
            ("https://app.example/ x", "must not contain a space"),
            ("https:\\\\app.example", "must not contain a space, a backslash"),
            ("/done", "must be an absolute URL"),
            ("https:app.example", "must be an absolute URL"),
            ("https:////app.example", "must be an absolute URL"),
            ("https://", "must be an absolute URL"),
            ("ftp://app.example", "must use https, or http to a loopback"),
            ("http://app.example", "must use https, or http to a loopback"),
            ("https://app.example:0", "must not use port 0"),
            ("https://user@app.example", "must not contain user info"),
            ("https://@app.example", "must not contain user info"),
            ("https://a_b.example", "must have a host name"),
            ("https://app.example.", "must have a host name"),
            ("https://%61pp.example", "must have a host name"),
            ("http://0x7f.1", "must write an IPv4 address as four decimal numbers"),
        ] {
            let problem = AbsoluteUrl::parse(text).err().unwrap_or("accepted");
            assert!(problem.starts_with(reason), "{text}: {problem}");
        }
    }

    #[test]
    fn a_url_has_an_origin_and_may_have_a_fragment() {
        let url = AbsoluteUrl::parse("https://APP.example:443/done?a=@#b").unwrap();
        assert_eq!(url.origin(), "https://app.example");
        assert!(url.has_fragment());
        assert!(!AbsoluteUrl::parse("http://[::1]:9/done").unwrap().has_fragment());
    }
}
