//! A response body that is not JSON, read in chunks.

use std::fmt;

use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;

use crate::error::{Error, ErrorKind, InvalidResponse};
use crate::head::ResponseHead;
use crate::response::{Response, ResponseValue};
use crate::transport_error::{TransportError, TransportErrorKind};

/// The default size limit for a [`ByteStream`]: 16 MiB.
pub const DEFAULT_STREAM_BYTES: u64 = 16 * 1024 * 1024;

/// A response body that is not JSON, such as a PDF or CSV file.
///
/// The body is read in chunks as it arrives. The call's timeout applies until the last chunk has
/// been read.
pub struct ByteStream {
    response: reqwest::Response,
    remaining: u64,
}

impl ByteStream {
    /// Returns the length of the body in bytes, if the server announced it.
    pub fn content_length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// Sets the maximum number of bytes that can still be read. The default is
    /// [`DEFAULT_STREAM_BYTES`].
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.remaining = bytes;
        self
    }

    /// Returns the next chunk, or `None` at the end of the body.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection fails, if the call's timeout expires, or if the body is
    /// larger than the limit.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no data is lost: the next call returns the chunk.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        let chunk = self.response.chunk().await.map_err(|error| TransportError::from_reqwest(&error))?;
        let Some(chunk) = chunk else { return Ok(None) };
        match self.remaining.checked_sub(chunk.len() as u64) {
            Some(remaining) => self.remaining = remaining,
            None => {
                // A later call must not return a chunk that follows the discarded one.
                self.remaining = 0;
                return Err(TransportError::after_sending(TransportErrorKind::TooLarge));
            }
        }
        Ok(Some(chunk))
    }

    /// Reads the rest of the body.
    ///
    /// # Errors
    ///
    /// See [`chunk`](Self::chunk).
    pub async fn bytes(mut self) -> Result<Vec<u8>, TransportError> {
        if self.content_length().is_some_and(|length| length > self.remaining) {
            return Err(TransportError::after_sending(TransportErrorKind::TooLarge));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// Omits the body.
impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

/// Starts reading a documented body that is not JSON. A response with another media type is treated
/// as malformed, because a captive portal or a firewall may have sent it.
#[doc(hidden)]
pub fn stream_response<E>(
    response: Response<'_>,
    media_types: &[&'static str],
) -> Result<ResponseValue<ByteStream>, Error<E>> {
    let head = ResponseHead::from_response(&response);
    let sent = response.headers().get(CONTENT_TYPE).map(|sent| sent.to_str().unwrap_or_default());
    if sent.is_some_and(|sent| !media_types.iter().any(|documented| matches(documented, sent))) {
        let reason = "does not have a documented media type";
        return Err(Error::new(Some(head), ErrorKind::InvalidResponse(InvalidResponse::of_body(reason, 0))));
    }
    Ok(ResponseValue::new(head, ByteStream { response: response.response, remaining: DEFAULT_STREAM_BYTES }))
}

/// Returns whether a media type matches a documented media type or range. Parameters are ignored.
fn matches(documented: &str, sent: &str) -> bool {
    let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (documented, sent) = (essence(documented), essence(sent));
    match documented.strip_suffix('*') {
        Some("*/") => true,
        Some(prefix) => sent.starts_with(prefix),
        None => sent == documented,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn media_types_are_compared_without_parameters() {
        for (documented, sent, matches) in [
            ("application/pdf", "application/pdf", true),
            ("text/csv; charset=utf-8", "Text/CSV", true),
            ("text/*", "text/csv; header=present", true),
            ("*/*", "text/html", true),
            ("application/pdf", "text/html; charset=utf-8", false),
            ("image/*", "text/html", false),
        ] {
            assert_eq!(super::matches(documented, sent), matches, "{documented} {sent}");
        }
    }
}
