//! How the body of a reply is read: bounded, and with as few copies as possible.

use std::ops::Deref;

use bytes::Bytes;
use secrecy::zeroize::Zeroizing;

use crate::transport_error::{TransportError, TransportErrorKind};

/// The largest reply that is read: 64 KiB. A token reply has less than 4.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// A body: as it arrived, where that was in one piece; or put together, in memory that is wiped. Pieces are not kept: each may
/// hold on to a buffer that is larger than the whole.
pub(crate) enum Body {
    Piece(Bytes),
    Joined(Zeroizing<Vec<u8>>),
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Piece(piece) => piece,
            Self::Joined(joined) => joined,
        }
    }
}

/// Reads a body of at most [`MAX_RESPONSE_BYTES`]. It makes no copy of a token unless it must.
pub(crate) async fn read_body(mut response: reqwest::Response) -> Result<Body, TransportError> {
    let too_large = TransportError::after_sending(TransportErrorKind::TooLarge);
    let announced = response.content_length().unwrap_or(0);
    if announced > MAX_RESPONSE_BYTES as u64 {
        return Err(too_large);
    }
    let mut body = Body::Piece(Bytes::new());
    while let Some(piece) = response.chunk().await.map_err(|error| TransportError::from_reqwest(&error))? {
        if body.len().saturating_add(piece.len()) > MAX_RESPONSE_BYTES {
            return Err(too_large);
        }
        body = match body {
            Body::Piece(first) if first.is_empty() => Body::Piece(piece),
            Body::Piece(first) => {
                // Sized before the first byte: growing would leave copies of the token behind.
                let mut joined = Zeroizing::new(Vec::with_capacity(MAX_RESPONSE_BYTES));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&piece);
                Body::Joined(joined)
            }
            Body::Joined(mut joined) => {
                joined.extend_from_slice(&piece);
                Body::Joined(joined)
            }
        };
    }
    Ok(body)
}

/// A body without the byte order mark that some servers put before JSON. RFC 8259, section 8.1, allows to skip it.
pub(crate) fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}
