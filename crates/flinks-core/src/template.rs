//! Remembers the parts of a request that are the same in every call to an operation: the URL and
//! most headers.

use std::ptr;
use std::sync::{PoisonError, RwLock};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use url::Url;

use crate::base_url::BaseUrl;
use crate::error::InvalidRequest;
use crate::request::Operation;

/// The value of the `User-Agent` header in every request.
pub(crate) const PRODUCT: &str = concat!("flinks-rust/", env!("CARGO_PKG_VERSION"));

/// The templates for one transport: one for each operation that has been called.
///
/// Parsing a URL and formatting its host cost more than building the rest of a request, and a
/// client calls the same few operations again and again.
pub(crate) struct Templates {
    base_url: BaseUrl,
    /// The `Host` header, or `None` if the application has adjusted the HTTP client, which then
    /// sets the header itself.
    host: Option<HeaderValue>,
    known: RwLock<Vec<Template>>,
}

struct Template {
    operation: &'static Operation,
    /// The path of the first call. Most operations have only one path. If an operation has several,
    /// a client for a single customer uses only one of them.
    path: Box<str>,
    url: Url,
    headers: HeaderMap,
}

/// Whether the templates contain a `Host` header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostHeader {
    Prepared,
    /// The HTTP client sets the header, because its settings may specify a different host.
    #[cfg(feature = "reqwest-0_13")]
    FromClient,
}

impl Templates {
    pub(crate) fn new(base_url: BaseUrl, host: HostHeader) -> Self {
        let host = match host {
            HostHeader::Prepared => HeaderValue::try_from(base_url.authority()).ok(),
            #[cfg(feature = "reqwest-0_13")]
            HostHeader::FromClient => None,
        };
        Self { base_url, host, known: RwLock::default() }
    }

    /// Returns whether the application has adjusted the HTTP client.
    pub(crate) fn is_client_adjusted(&self) -> bool {
        self.host.is_none()
    }

    pub(crate) fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Returns a request's URL and headers. Arguments in the path must already be percent-encoded.
    pub(crate) fn get(&self, operation: &'static Operation, path: &str) -> Result<(Url, HeaderMap), InvalidRequest> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(template) = find(&known, operation) {
            let url = if *template.path == *path { template.url.clone() } else { self.url(path)? };
            return Ok((url, template.headers.clone()));
        }
        drop(known);
        let (url, headers) = (self.url(path)?, self.headers(operation));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have added the template since the lookup above.
        if find(&known, operation).is_none() {
            known.push(Template { operation, path: path.into(), url: url.clone(), headers: headers.clone() });
        }
        Ok((url, headers))
    }

    fn url(&self, path: &str) -> Result<Url, InvalidRequest> {
        let url = self.base_url.join(path);
        if self.base_url.contains(&url) {
            return Ok(url);
        }
        Err(InvalidRequest::new("path", "must not lead outside the base URL"))
    }

    fn headers(&self, operation: &Operation) -> HeaderMap {
        // Leaves room for a call's own headers, because clones keep the capacity of the hash table.
        let mut headers = HeaderMap::with_capacity(12);
        let fixed = [
            (ACCEPT, operation.accept.map(HeaderValue::from_static)),
            (CONTENT_TYPE, operation.content_type.map(HeaderValue::from_static)),
            (USER_AGENT, Some(HeaderValue::from_static(PRODUCT))),
            (HOST, self.host.clone()),
        ];
        headers.extend(fixed.into_iter().filter_map(|(name, value)| Some((name, value?))));
        headers
    }
}

/// Finds the template for an operation. Operations are static, so it is enough to compare their
/// addresses.
fn find<'a>(known: &'a [Template], operation: &'static Operation) -> Option<&'a Template> {
    known.iter().find(|template| ptr::eq(template.operation, operation))
}

#[cfg(test)]
mod tests {
    use super::*;

    static FIRST: Operation = Operation::new("first").accept("application/json").content_type("text/plain");
    static SECOND: Operation = Operation::new("second");

    fn templates(base_url: &str) -> Templates {
        Templates::new(base_url.parse().unwrap(), HostHeader::Prepared)
    }

    #[test]
    fn a_template_has_the_headers_of_its_operation() {
        let templates = templates("https://a.com");
        for _ in 0..2 {
            let (url, headers) = templates.get(&FIRST, "/x").unwrap();
            assert_eq!(url.as_str(), "https://a.com/x");
            assert_eq!(headers[ACCEPT], "application/json");
            assert_eq!(headers[CONTENT_TYPE], "text/plain");
            assert_eq!(headers[HOST], "a.com");
            let (url, headers) = templates.get(&SECOND, "/y").unwrap();
            assert_eq!(url.as_str(), "https://a.com/y");
            assert!(!headers.contains_key(ACCEPT));
            assert!(!headers.contains_key(CONTENT_TYPE));
        }
        assert_eq!(templates.known.read().unwrap().len(), 2);
    }

    #[test]
    fn a_path_with_other_arguments_has_its_own_url() {
        let templates = templates("https://a.com/flinks");
        for path in ["/v3/1", "/v3/2", "/v3/1"] {
            assert_eq!(templates.get(&FIRST, path).unwrap().0.path(), format!("/flinks{path}"));
        }
        assert_eq!(templates.known.read().unwrap().len(), 1);
    }

    #[test]
    fn t09_a_path_cannot_leave_the_base_url() {
        let templates = templates("https://a.com/flinks");
        for _ in 0..2 {
            assert_eq!(templates.get(&FIRST, "/../x").unwrap_err().field(), "path");
        }
        templates.get(&FIRST, "/x").unwrap();
        assert_eq!(templates.get(&FIRST, "/../x").unwrap_err().field(), "path");
    }

    #[test]
    fn the_host_header_omits_a_default_port_and_keeps_brackets() {
        for (base_url, host) in [
            ("https://A.com", "a.com"),
            ("https://a.com:443/x", "a.com"),
            ("https://a.com:8443", "a.com:8443"),
            ("http://127.0.0.1:80", "127.0.0.1"),
            ("http://127.0.0.1:443", "127.0.0.1:443"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("http://[::1]", "[::1]"),
        ] {
            assert_eq!(templates(base_url).get(&FIRST, "/").unwrap().1[HOST], host, "{base_url}");
        }
    }

    #[test]
    fn a_customized_client_sets_the_host_header_itself() {
        let templates = Templates { host: None, ..templates("https://a.com") };
        assert!(!templates.get(&FIRST, "/").unwrap().1.contains_key(HOST));
    }
}
