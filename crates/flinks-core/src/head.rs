//! The parts of a reply's head that values and errors keep.

use std::fmt;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

/// The head of a reply: its status, and the few headers that an error report needs. All other
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

    /// Returns `ob-correlation-id`, which Flinks needs for a support request. The server wrote it,
    /// so be careful about showing it (O10).
    pub fn correlation_id(&self) -> Option<&str> {
        text(&self.correlation_id)
    }

    /// Returns `ob-trace-id`, which Flinks needs for a support request. The server wrote it, so be
    /// careful about showing it (O10).
    pub fn trace_id(&self) -> Option<&str> {
        text(&self.trace_id)
    }

    /// Returns `Retry-After` as the server wrote it: seconds, or an HTTP date.
    pub fn retry_after(&self) -> Option<&str> {
        text(&self.retry_after)
    }

    /// Returns `Content-Type` as the server wrote it.
    pub fn content_type(&self) -> Option<&str> {
        text(&self.content_type)
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

/// Prints the status only, because a server wrote the rest (A6).
impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A longer value is dropped: no id is that long.
const MAX_HEADER_BYTES: usize = 256;

fn header(headers: &HeaderMap, name: HeaderName) -> Option<HeaderValue> {
    headers.get(name).filter(|value| value.len() <= MAX_HEADER_BYTES).cloned()
}

fn text(value: &Option<HeaderValue>) -> Option<&str> {
    value.as_ref().and_then(|value| value.to_str().ok())
}
