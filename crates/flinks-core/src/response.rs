//! Converts an operation's response into a value or an error.

use std::fmt;
use std::ops::{Deref, RangeInclusive};
use std::pin::Pin;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::body::read_body;
use crate::decode::{Field, ReplyBody, decode, decode_error, is_json};
use crate::error::{Error, ErrorKind, InvalidResponse};
use crate::error_code::error_code;
use crate::head::ResponseHead;
use crate::request::Operation;
use crate::timer::{Timer, in_time};
use crate::transport_error::{TransportError, TransportErrorKind};

/// The response to an operation, before its body has been read.
#[doc(hidden)]
pub struct Response<'t> {
    pub(crate) operation: &'static Operation,
    pub(crate) response: reqwest::Response,
    /// The call's timer.
    pub(crate) timer: Pin<&'t mut Timer>,
}

impl<'t> Response<'t> {
    /// Creates the response to a call that is limited by `timer`.
    pub fn new(operation: &'static Operation, response: reqwest::Response, timer: Pin<&'t mut Timer>) -> Self {
        Self { operation, response, timer }
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns the next chunk of the body, or `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        in_time(self.timer.as_mut(), self.response.chunk()).await
    }
}

/// The body of a documented success response, with the status and selected headers.
pub struct ResponseValue<T> {
    head: ResponseHead,
    value: T,
}

impl<T> ResponseValue<T> {
    pub(crate) fn new(head: ResponseHead, value: T) -> Self {
        Self { head, value }
    }

    /// Returns the status and selected headers of the response, such as the request ids.
    pub fn head(&self) -> &ResponseHead {
        &self.head
    }

    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// Returns the body.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Returns the head (the status and selected headers) and the body.
    pub fn into_parts(self) -> (ResponseHead, T) {
        (self.head, self.value)
    }

    /// Converts the body with `map`.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> ResponseValue<U> {
        ResponseValue { head: self.head, value: map(self.value) }
    }
}

impl<T> Deref for ResponseValue<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for ResponseValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseValue").field("head", &self.head).field("value", &self.value).finish()
    }
}

/// Reads the body of a documented success response. A body with an error code in one of the
/// `error_codes` fields is treated as malformed.
#[doc(hidden)]
pub async fn json_response<T: ReplyBody, E>(
    mut response: Response<'_>,
    error_codes: &[&'static str],
) -> Result<ResponseValue<T>, Error<E>> {
    json_or_else(&mut response, error_codes, |_| None).await
}

/// Reads the body of a documented success response. Also recognizes an error body, because some
/// servers send error bodies with a 2xx status (C2).
///
/// The body is read as an error body if it does not match the success schema, or if one of the
/// `error_codes` fields contains an error code. A token in such a body is not returned. A field
/// that both schemas define is not enough to identify an error body.
#[doc(hidden)]
pub async fn json_or_error_response<T: ReplyBody, E: ReplyBody>(
    mut response: Response<'_>,
    error_codes: &[&'static str],
) -> Result<ResponseValue<T>, Error<E>> {
    json_or_else(&mut response, error_codes, |body| documented_error(body, T::FIELDS.unwrap_or_default())).await
}

async fn json_or_else<T: ReplyBody, E>(
    response: &mut Response<'_>,
    error_codes: &[&'static str],
    read_error: impl FnOnce(&[u8]) -> Option<E>,
) -> Result<ResponseValue<T>, Error<E>> {
    let head = ResponseHead::from_response(response);
    let body = match read_body(response).await {
        Ok(body) => body,
        Err(error) => return Err(Error::new(Some(head), ErrorKind::Transport(error))),
    };
    let invalid = match (decode(&body), error_code(&body, error_codes)) {
        (Ok(value), None) => return Ok(ResponseValue { head, value }),
        (Ok(_), field) => {
            let reason = "contains an error code and a success value";
            InvalidResponse { field, ..InvalidResponse::of_body(reason, body.len()) }
        }
        (Err(invalid), _) => invalid,
    };
    let kind = read_error(&body).map_or(ErrorKind::InvalidResponse(invalid), ErrorKind::ErrorResponse);
    Err(Error::new(Some(head), kind))
}

/// Reads the error body of a response with a 2xx status.
fn documented_error<E: ReplyBody>(body: &[u8], success_fields: &[Field]) -> Option<E> {
    decode_error(body, success_fields).ok().filter(E::is_documented)
}

/// Reads a success response that is documented to have no body. A response with a body is treated
/// as malformed, because a captive portal or a firewall may have sent it.
#[doc(hidden)]
pub async fn empty_response<E>(mut response: Response<'_>) -> Result<ResponseValue<()>, Error<E>> {
    empty_or_else(&mut response, |_| None).await
}

/// Reads a success response that is documented to have no body. Also recognizes an error body,
/// because some servers send error bodies with a 2xx status.
#[doc(hidden)]
pub async fn empty_or_error_response<E: ReplyBody>(mut response: Response<'_>) -> Result<ResponseValue<()>, Error<E>> {
    empty_or_else(&mut response, |body| documented_error(body, &[])).await
}

async fn empty_or_else<E>(
    response: &mut Response<'_>,
    read_error: impl FnOnce(&[u8]) -> Option<E>,
) -> Result<ResponseValue<()>, Error<E>> {
    let head = ResponseHead::from_response(response);
    let body = match read_body(response).await {
        Ok(body) => body,
        Err(error) => return Err(Error::new(Some(head), ErrorKind::Transport(error))),
    };
    if body.is_empty() {
        return Ok(ResponseValue { head, value: () });
    }
    let kind = match read_error(&body) {
        Some(error) => ErrorKind::ErrorResponse(error),
        None => {
            let reason = "must be empty";
            ErrorKind::InvalidResponse(InvalidResponse::of_body(reason, body.len()))
        }
    };
    Err(Error::new(Some(head), kind))
}

/// Reads a response whose status is not 2xx. If the body matches the operation's documented error
/// format, the returned error contains the body, even if the status is undocumented (A6).
#[doc(hidden)]
pub async fn response_error<E: ReplyBody>(mut response: Response<'_>) -> Error<E> {
    let head = ResponseHead::from_response(&response);
    let kind = match read_body(&mut response).await {
        // The status is more important than the body, which may come from a gateway.
        Err(error) if error.kind() == TransportErrorKind::TooLarge => {
            let reason = "is larger than its limit";
            ErrorKind::Status(Some(InvalidResponse::of_body(reason, 0)))
        }
        Err(error) => ErrorKind::Transport(error),
        Ok(body) if body.is_empty() => ErrorKind::Status(None),
        Ok(body) => match decode_error(&body, &[]) {
            Ok(body) => ErrorKind::ErrorResponse(body),
            Err(error) => ErrorKind::Status(Some(InvalidResponse { is_json: is_json(&body), ..error })),
        },
    };
    Error::new(Some(head), kind)
}

/// Returns the value for a documented redirect whose target is not read, such as a 304.
#[doc(hidden)]
pub fn head_response<E>(response: &Response<'_>) -> Result<ResponseValue<()>, Error<E>> {
    Ok(ResponseValue::new(ResponseHead::from_response(response), ()))
}

/// Returns the error for an operation whose error responses are documented to have no body.
#[doc(hidden)]
pub fn status_error(response: &Response<'_>, documented: &[RangeInclusive<u16>]) -> Error<()> {
    let status = response.status().as_u16();
    if documented.iter().any(|range| range.contains(&status)) {
        return Error::new(Some(ResponseHead::from_response(response)), ErrorKind::ErrorResponse(()));
    }
    undocumented_status(response)
}

/// Creates the error returned by an operation with several documented error bodies, none of which
/// is documented for this status.
#[doc(hidden)]
pub fn undocumented_status<E>(response: &Response<'_>) -> Error<E> {
    Error::new(Some(ResponseHead::from_response(response)), ErrorKind::Status(None))
}
