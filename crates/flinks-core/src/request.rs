//! Creates the parts of a request. Generated code combines the parts.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use crate::error::InvalidRequest;

/// The operation to which a request belongs.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The `operationId` in the OpenAPI document.
    pub id: &'static str,
    /// The default timeout of the operation, if it is longer than the general default.
    pub timeout: Option<Duration>,
    /// The maximum size of a JSON response in bytes, if it differs from the general maximum.
    pub max_response_bytes: Option<usize>,
    /// The documented response headers, which are kept. The names are in lower case.
    pub response_headers: &'static [&'static str],
    /// The documented redirects. Any other redirect is an error.
    pub redirects: &'static [u16],
}

impl Operation {
    /// Creates an operation with the default timeout and without response headers and redirects.
    pub const fn new(id: &'static str) -> Self {
        Self { id, timeout: None, max_response_bytes: None, response_headers: &[], redirects: &[] }
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

    /// Sets the redirects that are not errors.
    #[must_use]
    pub const fn redirects(self, statuses: &'static [u16]) -> Self {
        Self { redirects: statuses, ..self }
    }
}

/// Percent-encodes a path argument. The unreserved characters of RFC 3986 are not encoded.
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

/// Everything except the unreserved characters of RFC 3986.
pub(crate) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Form-encodes `body` and sets the result as the body of `request`.
#[doc(hidden)]
pub fn form_body(
    request: reqwest::RequestBuilder,
    body: &impl Serialize,
) -> Result<reqwest::RequestBuilder, InvalidRequest> {
    let form = serde_urlencoded::to_string(body)
        .map_err(|_| InvalidRequest::new("body", "contains a value that cannot be form-encoded"))?;
    let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    Ok(request.header(CONTENT_TYPE, content_type).body(form))
}

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
}
