//! The parts of a response head that are kept in response values and errors.

use std::fmt;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

/// The head of a response: its status, and the headers that an error report needs. All other
/// headers are dropped.
#[derive(Clone)]
pub struct ResponseHead {
    status: StatusCode,
    correlation_id: Option<HeaderValue>,
    trace_id: Option<HeaderValue>,
    retry_after: Option<HeaderValue>,
    content_type: Option<HeaderValue>,
}

impl ResponseHead {
    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the `ob-correlation-id` header. Flinks needs this id to process a support request.
    /// Treat the id as untrusted text, because the server chooses it.
    pub fn correlation_id(&self) -> Option<&str> {
        header_str(self.correlation_id.as_ref())
    }

    /// Returns the `ob-trace-id` header. Flinks needs this id to process a support request. Treat
    /// the id as untrusted text, because the server chooses it.
    pub fn trace_id(&self) -> Option<&str> {
        header_str(self.trace_id.as_ref())
    }

    /// Returns the unparsed `Retry-After` header: a number of seconds or an HTTP date.
    pub fn retry_after(&self) -> Option<&str> {
        header_str(self.retry_after.as_ref())
    }

    /// Returns the unparsed `Content-Type` header.
    pub fn content_type(&self) -> Option<&str> {
        header_str(self.content_type.as_ref())
    }

    pub(crate) fn from_response(response: &reqwest::Response) -> Self {
        let headers = response.headers();
        Self {
            status: response.status(),
            correlation_id: header(headers, const { HeaderName::from_static("ob-correlation-id") }),
            trace_id: header(headers, const { HeaderName::from_static("ob-trace-id") }),
            retry_after: header(headers, RETRY_AFTER),
            content_type: header(headers, CONTENT_TYPE),
        }
    }
}

/// Prints only the status, because the headers are text from the server (A6).
impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The maximum length of a header value. Longer values are dropped, because no id is that long.
const MAX_HEADER_BYTES: usize = 256;

fn header(headers: &HeaderMap, name: HeaderName) -> Option<HeaderValue> {
    headers.get(name).filter(|value| value.len() <= MAX_HEADER_BYTES).cloned()
}

fn header_str(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok())
}
