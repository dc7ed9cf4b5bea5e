//! Reads the bytes of a reply: up to a limit, and with as few copies as possible.

use std::ops::Deref;

use bytes::Bytes;
use secrecy::zeroize::Zeroizing;

use crate::transport_error::{TransportError, TransportErrorKind};

/// The largest body that is read: 64 KiB. A token reply has less than 4 KiB.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// The body of a reply.
///
/// Pieces are joined at once, because each may keep a buffer alive that is larger than the whole
/// body.
pub(crate) enum Body {
    /// The body arrived in one piece.
    Piece(Bytes),
    /// The body was joined from several pieces, in memory that is wiped when it is dropped.
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

/// Reads a body of at most [`MAX_RESPONSE_BYTES`]. A body that arrives in one piece is not copied.
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
                // Allocated at full size, because growing would leave copies of a token behind.
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

/// Skips the byte order mark that some servers put before JSON, as RFC 8259 section 8.1 allows.
pub(crate) fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}
