//! A documented redirect, which is returned as a result instead of being followed.

use std::fmt;

use reqwest::header::LOCATION;

use crate::error::{Error, ErrorKind, InvalidResponse};
use crate::head::ResponseHead;
use crate::response::{Response, ResponseValue};

/// The target of a redirect that the OpenAPI document describes as a result of an operation, such
/// as the URL of a page for the end user. The client does not follow the redirect.
#[derive(Clone)]
pub struct Redirect {
    location: String,
}

impl Redirect {
    /// Returns the `Location` header: an absolute URL, or a reference relative to the request's
    /// URL. The header may contain a credential, such as an authorization code.
    pub fn location(&self) -> &str {
        &self.location
    }
}

/// Omits the URL.
impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirect").finish_non_exhaustive()
    }
}

/// Reads a documented redirect.
#[doc(hidden)]
pub fn redirect_response<E>(response: &Response<'_>) -> Result<ResponseValue<Redirect>, Error<E>> {
    let head = ResponseHead::from_response(response);
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    match location.filter(|location| !location.is_empty()) {
        Some(location) => Ok(ResponseValue::new(head, Redirect { location: location.to_owned() })),
        None => {
            let reason = "is not needed, but the `Location` header is missing or is not text";
            Err(Error::new(Some(head), ErrorKind::InvalidResponse(InvalidResponse::of_body(reason, 0))))
        }
    }
}
