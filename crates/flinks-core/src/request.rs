//! Creates the parts of a request, which generated code combines.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderName, HeaderValue};
use serde::Serialize;
use url::form_urlencoded;

use crate::error::InvalidRequest;
use crate::parameter_list::{Style, add_query, encode_form};

/// The operation to which a request belongs.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The `operationId` in the OpenAPI document.
    pub id: &'static str,
    /// The media types that a response can have, if the document lists any.
    pub accept: Option<&'static str>,
    /// The media type of the request, unless the body determines it.
    pub content_type: Option<&'static str>,
    /// The default timeout for the operation, if it is longer than the general default.
    pub timeout: Option<Duration>,
    /// The maximum size of a JSON response in bytes, if it differs from the general maximum.
    pub max_response_bytes: Option<usize>,
    /// The documented response headers, which are kept. The names are in lower case.
    pub response_headers: &'static [&'static str],
    /// The documented redirects. Any other redirect is an error.
    pub redirects: &'static [u16],
    /// Whether a response can be a [`ByteStream`](crate::ByteStream), which the caller reads.
    pub is_streamed: bool,
}

impl Operation {
    /// Creates an operation with the default timeout and no documented response headers or
    /// redirects.
    pub const fn new(id: &'static str) -> Self {
        Self {
            id,
            accept: None,
            content_type: None,
            timeout: None,
            max_response_bytes: None,
            response_headers: &[],
            redirects: &[],
            is_streamed: false,
        }
    }

    /// Sets the `Accept` header.
    #[must_use]
    pub const fn accept(self, media_types: &'static str) -> Self {
        Self { accept: Some(media_types), ..self }
    }

    /// Sets the `Content-Type` header.
    #[must_use]
    pub const fn content_type(self, media_type: &'static str) -> Self {
        Self { content_type: Some(media_type), ..self }
    }

    /// Sets the default timeout in seconds.
    #[must_use]
    pub const fn timeout_seconds(self, seconds: u64) -> Self {
        Self { timeout: Some(Duration::from_secs(seconds)), ..self }
    }

    /// Sets the maximum size of a JSON response in bytes.
    #[must_use]
    pub const fn max_response_bytes(self, bytes: usize) -> Self {
        Self { max_response_bytes: Some(bytes), ..self }
    }

    /// Sets the response headers that are kept.
    #[must_use]
    pub const fn response_headers(self, names: &'static [&'static str]) -> Self {
        Self { response_headers: names, ..self }
    }

    /// Sets which redirects are not treated as errors.
    #[must_use]
    pub const fn redirects(self, statuses: &'static [u16]) -> Self {
        Self { redirects: statuses, ..self }
    }

    /// Declares that a response can be a [`ByteStream`](crate::ByteStream).
    #[must_use]
    pub const fn streamed(self) -> Self {
        Self { is_streamed: true, ..self }
    }
}

/// A request for an operation, including the URL and the headers that are the same for every call.
#[doc(hidden)]
pub struct Request {
    pub(crate) operation: &'static Operation,
    pub(crate) request: reqwest::Request,
}

impl Request {
    /// Sets a header, and replaces any existing header with the same name, such as `User-Agent`.
    pub fn header(&mut self, name: HeaderName, value: HeaderValue) {
        self.request.headers_mut().insert(name, value);
    }

    /// Adds a scalar to the query. `None` adds nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be written.
    pub fn query(&mut self, name: &'static str, value: &impl Serialize) -> Result<(), InvalidRequest> {
        let url = self.request.url_mut();
        let mut pairs = url.query_pairs_mut();
        [(name, value)].serialize(serde_urlencoded::Serializer::new(&mut pairs)).map_err(|_| INVALID_REQUEST)?;
        drop(pairs);
        if url.query() == Some("") {
            url.set_query(None);
        }
        Ok(())
    }

    /// Adds a list or an object to the query.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be written.
    pub fn query_list(
        &mut self,
        name: &'static str,
        value: &(impl Serialize + ?Sized),
        style: Style,
    ) -> Result<(), InvalidRequest> {
        *self.request.url_mut() = add_query(self.request.url().clone(), name, value, style)?;
        Ok(())
    }

    /// Sets the body to `body`, written as JSON.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be written.
    pub fn json(&mut self, body: &impl Serialize) -> Result<(), InvalidRequest> {
        self.body(serde_json::to_vec(body).map_err(|_| INVALID_REQUEST)?);
        Ok(())
    }

    /// Sets the body to `body`, form-encoded.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be written.
    pub fn form(&mut self, body: &impl Serialize) -> Result<(), InvalidRequest> {
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(FORM_BYTES));
        body.serialize(serde_urlencoded::Serializer::new(&mut form))
            .map_err(|_| InvalidRequest::new("body", "contains a value that cannot be form-encoded"))?;
        self.body(form.finish());
        Ok(())
    }

    /// Sets the body to `body`, form-encoded. Each entry of a list becomes a separate pair.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be written.
    pub fn form_with_lists(&mut self, body: &impl Serialize) -> Result<(), InvalidRequest> {
        self.body(encode_form(body)?);
        Ok(())
    }

    /// Sets the body.
    pub fn body(&mut self, body: impl Into<reqwest::Body>) {
        *self.request.body_mut() = Some(body.into());
    }
}

pub(crate) const INVALID_REQUEST: InvalidRequest =
    InvalidRequest::new("request", "cannot be built from these arguments");

/// The initial capacity of the buffer for a form, in bytes. A form that fits is written without
/// reallocation.
const FORM_BYTES: usize = 512;

/// Percent-encodes a path argument. Characters that RFC 3986 calls unreserved are not encoded.
#[doc(hidden)]
pub fn encode_path(name: &'static str, value: impl fmt::Display) -> Result<String, InvalidRequest> {
    let value = value.to_string();
    // A URL parser resolves dot segments, even if they are percent-encoded.
    if matches!(value.as_str(), "" | "." | "..") {
        return Err(InvalidRequest::new(name, "must not be empty, `.` or `..`"));
    }
    let encoded = match utf8_percent_encode(&value, UNRESERVED).into() {
        Cow::Borrowed(_) => None,
        Cow::Owned(encoded) => Some(encoded),
    };
    // Most arguments need no encoding.
    Ok(encoded.unwrap_or(value))
}

/// All characters except those that RFC 3986 calls unreserved.
pub(crate) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t09_a_path_argument_cannot_leave_its_path_segment() {
        for invalid in ["", ".", ".."] {
            assert_eq!(encode_path("customerId", invalid).unwrap_err().field(), "customerId");
        }
        for (value, encoded) in [
            ("a/b", "a%2Fb"),
            ("..\\..\\x", "..%5C..%5Cx"),
            ("%2e%2e", "%252e%252e"),
            ("a?x=1#y", "a%3Fx%3D1%23y"),
            ("é", "%C3%A9"),
            ("43387ca6-0391", "43387ca6-0391"),
        ] {
            assert_eq!(encode_path("customerId", value).unwrap(), encoded);
        }
    }

    #[test]
    fn a_header_argument_replaces_a_fixed_header() {
        static OPERATION: Operation = Operation::new("x");
        let request = reqwest::Request::new(reqwest::Method::GET, "http://127.0.0.1/".parse().unwrap());
        let mut request = Request { operation: &OPERATION, request };
        for value in ["fixed", "argument"] {
            request.header(HeaderName::from_static("user-agent"), HeaderValue::from_static(value));
        }
        let values: Vec<_> = request.request.headers().get_all("user-agent").iter().collect();
        assert_eq!(values, ["argument"]);
    }
}
