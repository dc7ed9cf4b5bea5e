//! Remembers the URL and the headers of each operation, which are the same in every call.

use std::ptr;
use std::sync::{PoisonError, RwLock};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use url::Url;

use crate::base_url::BaseUrl;
use crate::error::InvalidRequest;
use crate::request::Operation;

/// The `User-Agent` header of every request.
pub(crate) const PRODUCT: &str = concat!("flinks-rust/", env!("CARGO_PKG_VERSION"));

/// The templates of one transport, one for each operation that was called.
///
/// Parsing a URL and formatting its host cost more than the rest of a request, and a client calls
/// the same few operations again and again.
pub(crate) struct Templates {
    base_url: BaseUrl,
    /// The `Host` header, unless the HTTP client sets it.
    host: Option<HeaderValue>,
    known: RwLock<Vec<Template>>,
}

struct Template {
    operation: &'static Operation,
    /// The path in the first call. Most operations have only one path, and a client for one
    /// customer uses only one path of the others.
    path: Box<str>,
    url: Url,
    headers: HeaderMap,
}

/// Whether the templates contain a `Host` header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostHeader {
    Prepared,
    /// The HTTP client sets the header, because its settings may contain another host.
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
        // Another thread may have called the operation since the read.
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
        Err(InvalidRequest::new("path", "must stay under the base URL"))
    }

    fn headers(&self, operation: &Operation) -> HeaderMap {
        // With room for the headers of one call, because clones keep the size of the hash table.
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

/// Finds the template of an operation by its address, because operations are static.
fn find<'a>(known: &'a [Template], operation: &'static Operation) -> Option<&'a Template> {
    known.iter().find(|template| ptr::eq(template.operation, operation))
}
