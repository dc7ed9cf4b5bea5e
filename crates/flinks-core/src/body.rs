//! Reads response bodies up to a size limit, with as little copying as possible.

use std::ops::Deref;

use bytes::Bytes;
use secrecy::zeroize::Zeroizing;

use crate::response::Response;
use crate::transport_error::{TransportError, TransportErrorKind};

/// The maximum size of a response body: 64 KiB. A token response is smaller than 4 KiB.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// The body of a response.
///
/// Chunks are joined as they arrive, because even a small chunk can keep alive a buffer that is
/// larger than the whole body.
pub(crate) enum Body {
    /// A body that arrived in one chunk.
    Chunk(Bytes),
    /// A body joined from several chunks. Its memory is wiped when it is dropped.
    Joined(Zeroizing<Vec<u8>>),
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Chunk(chunk) => chunk,
            Self::Joined(joined) => joined,
        }
    }
}

/// Reads a body up to the operation's size limit, which is [`MAX_RESPONSE_BYTES`] by default. A
/// body that arrives in one chunk is not copied.
pub(crate) async fn read_body(response: &mut Response<'_>) -> Result<Body, TransportError> {
    let too_large = TransportError::after_sending(TransportErrorKind::TooLarge);
    let limit = response.operation.max_response_bytes.unwrap_or(MAX_RESPONSE_BYTES);
    let announced = response.response.content_length();
    if announced.is_some_and(|announced| announced > limit as u64) {
        return Err(too_large);
    }
    let mut body = Body::Chunk(Bytes::new());
    // If the length is known, no extra poll is needed to detect the end of the body.
    while announced != Some(body.len() as u64)
        && let Some(chunk) = response.chunk().await?
    {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(too_large);
        }
        body = match body {
            Body::Chunk(first) if first.is_empty() => Body::Chunk(chunk),
            Body::Chunk(first) => {
                let announced = announced.map_or(0, |announced| usize::try_from(announced).unwrap_or(limit));
                let expected = announced.max(MAX_RESPONSE_BYTES);
                let joined = joined(&first, &chunk, expected.min(limit));
                Body::Joined(joined)
            }
            Body::Joined(old) if old.len().saturating_add(chunk.len()) > old.capacity() => {
                Body::Joined(joined(&old, &chunk, old.capacity().saturating_mul(2).min(limit)))
            }
            Body::Joined(mut joined) => {
                joined.extend_from_slice(&chunk);
                Body::Joined(joined)
            }
        };
    }
    Ok(body)
}

/// Joins two parts in a new vector with a capacity of at least `capacity` bytes. Growing a vector
/// in the usual way would leave copies of a token in freed memory.
fn joined(first: &[u8], second: &[u8], capacity: usize) -> Zeroizing<Vec<u8>> {
    let length = first.len().saturating_add(second.len());
    let mut joined = Zeroizing::new(Vec::with_capacity(capacity.max(length)));
    joined.extend_from_slice(first);
    joined.extend_from_slice(second);
    joined
}

/// Skips the byte order mark that some servers put before JSON. RFC 8259 section 8.1 allows parsers
/// to ignore a byte order mark.
pub(crate) fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}
