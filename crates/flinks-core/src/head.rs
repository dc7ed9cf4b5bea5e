//! The parts of a response head that are kept in response values and errors.

use std::fmt;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};

use crate::response::Response;

/// The head of a response: its status, the headers that an error report needs, and the headers that
/// the OpenAPI document describes. All other headers are dropped.
#[derive(Clone)]
pub struct ResponseHead {
    status: StatusCode,
    correlation_id: Option<HeaderValue>,
    trace_id: Option<HeaderValue>,
    retry_after: Option<HeaderValue>,
    content_type: Option<HeaderValue>,
    /// The response headers that are documented for the operation.
    documented: Vec<(&'static str, HeaderValue)>,
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

    /// Returns a response header that the OpenAPI document describes for the operation. The value
    /// is marked as sensitive so that `Debug` does not print it. If the response contains several
    /// headers with this name, this method returns the first one.
    ///
    /// A header with its own accessor, such as [`retry_after`](Self::retry_after), is returned even
    /// if the document does not describe it. For any other undocumented header, the result is
    /// `None`. The result is also `None` if the response does not contain the header, or if the
    /// value is longer than 8 KiB (or 256 bytes for an undocumented header).
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        let documented = self.documented.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        documented.map(|(_, value)| value).or_else(|| self.always_kept(name))
    }

    /// Returns one of the headers that are kept even if the document does not describe them.
    fn always_kept(&self, name: &str) -> Option<&HeaderValue> {
        let value = match name.to_ascii_lowercase().as_str() {
            "ob-correlation-id" => &self.correlation_id,
            "ob-trace-id" => &self.trace_id,
            "retry-after" => &self.retry_after,
            "content-type" => &self.content_type,
            _ => return None,
        };
        value.as_ref()
    }

    pub(crate) fn from_response(response: &Response<'_>) -> Self {
        let headers = response.headers();
        let mut head = Self {
            documented: response
                .operation
                .response_headers
                .iter()
                .filter_map(|name| Some((*name, kept(headers.get(*name), MAX_DOCUMENTED_HEADER_BYTES)?)))
                .collect(),
            status: response.status(),
            correlation_id: None,
            trace_id: None,
            retry_after: None,
            content_type: None,
        };
        // A single pass over the few headers of a response is cheaper than a lookup for each name.
        for (name, value) in headers {
            if let Some(slot) = head.slot(name)
                && slot.is_none()
            {
                *slot = kept(Some(value), MAX_HEADER_BYTES);
            }
        }
        head
    }

    /// Returns the slot for a header that is kept even if the document does not describe it.
    fn slot(&mut self, name: &HeaderName) -> Option<&mut Option<HeaderValue>> {
        const CORRELATION_ID: HeaderName = HeaderName::from_static("ob-correlation-id");
        const TRACE_ID: HeaderName = HeaderName::from_static("ob-trace-id");
        let slot = match name {
            name if name == CONTENT_TYPE => &mut self.content_type,
            name if name == RETRY_AFTER => &mut self.retry_after,
            name if name == CORRELATION_ID => &mut self.correlation_id,
            name if name == TRACE_ID => &mut self.trace_id,
            _ => return None,
        };
        Some(slot)
    }
}

/// Prints only the status, because the headers are text from the server (A6).
impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The maximum length of the value of a header that is always kept. Longer values are dropped,
/// because no id is that long.
const MAX_HEADER_BYTES: usize = 256;

/// The maximum length of a documented header's value.
const MAX_DOCUMENTED_HEADER_BYTES: usize = 8 * 1024;

/// Returns a copy of a header's value unless it is longer than `limit`.
fn kept(value: Option<&HeaderValue>, limit: usize) -> Option<HeaderValue> {
    let mut value = value.filter(|value| value.len() <= limit)?.clone();
    value.set_sensitive(true);
    Some(value)
}

fn header_str(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok())
}
