//! The error type for all operations, and the errors for invalid arguments and invalid response
//! bodies.

use std::fmt;

use reqwest::StatusCode;

use crate::head::ResponseHead;
use crate::transport_error::TransportError;

/// The error returned by an operation. `E` is the type of the operation's documented error body.
///
/// The error contains the operation's name and the response's status and request ids. `Debug` and
/// `Display` output never contains a URL, a header, a body or a secret. The error has no source.
/// Only [`Error::body`] and [`Error::head`] return text from the server.
pub struct Error<E = ()>(Box<Inner<E>>);

struct Inner<E> {
    operation: Option<&'static str>,
    head: Option<ResponseHead>,
    kind: ErrorKind<E>,
}

/// The kind of an [`Error`].
#[non_exhaustive]
pub enum ErrorKind<E> {
    /// An argument is invalid. No request was sent.
    InvalidRequest(InvalidRequest),
    /// No complete response arrived. [`TransportError::may_have_been_sent`] returns whether the
    /// request may have reached the server.
    Transport(TransportError),
    /// The server responded with the operation's documented error body. For an operation that has
    /// no documented error body, this kind means that the server responded with a documented error
    /// status.
    ErrorResponse(E),
    /// The server responded with a 3xx status. Redirects are never followed, because the request
    /// contains a credential.
    Redirect,
    /// The status is not a documented success status, and the body does not match the documented
    /// error format. The [`InvalidResponse`] describes the mismatch. The value is `None` if the
    /// body is empty or was not read.
    Status(Option<InvalidResponse>),
    /// The status is 2xx, but the body does not match its schema.
    InvalidResponse(InvalidResponse),
}

impl<E> Error<E> {
    /// Returns the kind of error.
    pub fn kind(&self) -> &ErrorKind<E> {
        &self.0.kind
    }

    /// Returns the `operationId` of the operation.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// Returns the status of the response, or `None` if no response arrived.
    pub fn status(&self) -> Option<StatusCode> {
        self.head().map(ResponseHead::status)
    }

    /// Returns the status and selected headers of the response, such as the request ids. Returns
    /// `None` if no response arrived.
    pub fn head(&self) -> Option<&ResponseHead> {
        self.0.head.as_ref()
    }

    /// Returns the operation's documented error body, or `None` for other kinds of errors.
    pub fn body(&self) -> Option<&E> {
        match self.kind() {
            ErrorKind::ErrorResponse(body) => Some(body),
            _ => None,
        }
    }

    /// Returns whether the request may have reached the server. Returns `false` only if it is
    /// certain that the request did not reach the server.
    pub fn may_have_been_sent(&self) -> bool {
        match self.kind() {
            ErrorKind::InvalidRequest(_) => false,
            ErrorKind::Transport(error) => error.may_have_been_sent(),
            _ => true,
        }
    }

    /// Converts the documented error body with `map`.
    pub fn map_body<F>(self, map: impl FnOnce(E) -> F) -> Error<F> {
        let Inner { operation, head, kind } = *self.0;
        let kind = match kind {
            ErrorKind::ErrorResponse(body) => ErrorKind::ErrorResponse(map(body)),
            ErrorKind::InvalidRequest(error) => ErrorKind::InvalidRequest(error),
            ErrorKind::Transport(error) => ErrorKind::Transport(error),
            ErrorKind::Redirect => ErrorKind::Redirect,
            ErrorKind::Status(error) => ErrorKind::Status(error),
            ErrorKind::InvalidResponse(error) => ErrorKind::InvalidResponse(error),
        };
        Error(Box::new(Inner { operation, head, kind }))
    }

    /// Sets the operation. Generated code calls this method.
    #[doc(hidden)]
    #[must_use]
    pub fn in_operation(mut self, operation: &'static str) -> Self {
        self.0.operation = Some(operation);
        self
    }

    pub(crate) fn new(head: Option<ResponseHead>, kind: ErrorKind<E>) -> Self {
        Self(Box::new(Inner { operation: None, head, kind }))
    }
}

impl<E> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation() {
            Some(operation) => write!(f, "operation `{operation}` failed: ")?,
            None => f.write_str("the request failed: ")?,
        }
        match self.kind() {
            ErrorKind::InvalidRequest(error) => write!(f, "{error}; nothing was sent"),
            ErrorKind::Transport(error) => {
                write!(f, "{error}")?;
                self.write_status_suffix(f)
            }
            ErrorKind::ErrorResponse(_) | ErrorKind::Status(None) => {
                self.write_status(f)?;
                self.write_advice(f)
            }
            ErrorKind::Redirect => {
                self.write_status(f)?;
                f.write_str("; redirects are not followed")
            }
            ErrorKind::Status(Some(error)) => {
                self.write_status(f)?;
                write!(f, "; {error}")?;
                self.write_advice(f)
            }
            ErrorKind::InvalidResponse(error) => {
                write!(f, "malformed response: {error}")?;
                self.write_status_suffix(f)
            }
        }
    }
}

impl<E> Error<E> {
    fn write_status(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status() {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("unexpected response"),
        }
    }

    fn write_status_suffix(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status() {
            Some(status) => write!(f, " (status {status})"),
            None => Ok(()),
        }
    }

    fn write_advice(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status() {
            Some(StatusCode::NOT_FOUND) => f.write_str("; check the base URL"),
            _ => Ok(()),
        }
    }
}

impl<E> fmt::Debug for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("operation", &self.0.operation)
            .field("head", &self.0.head)
            .field("kind", &self.0.kind)
            .finish()
    }
}

impl<E> fmt::Debug for ErrorKind<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidRequest(error) => f.debug_tuple("InvalidRequest").field(error).finish(),
            Self::Transport(error) => f.debug_tuple("Transport").field(error).finish(),
            Self::ErrorResponse(_) => f.write_str("ErrorResponse(..)"),
            Self::Redirect => f.write_str("Redirect"),
            Self::Status(error) => f.debug_tuple("Status").field(error).finish(),
            Self::InvalidResponse(error) => f.debug_tuple("InvalidResponse").field(error).finish(),
        }
    }
}

/// The error has no source, because errors from other crates may print URLs and values.
impl<E> std::error::Error for Error<E> {}

impl<E> From<InvalidRequest> for Error<E> {
    fn from(error: InvalidRequest) -> Self {
        Self::new(None, ErrorKind::InvalidRequest(error))
    }
}

impl<E> From<TransportError> for Error<E> {
    fn from(error: TransportError) -> Self {
        Self::new(None, ErrorKind::Transport(error))
    }
}

/// The error returned if an argument is invalid. The error contains the name of the argument, but
/// never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidRequest {
    field: &'static str,
    reason: &'static str,
}

impl InvalidRequest {
    pub(crate) const fn new(field: &'static str, reason: &'static str) -> Self {
        Self { field, reason }
    }

    /// Returns the argument's name in the OpenAPI document, or `body`, `path` or `request` if the
    /// error does not concern a single argument.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid request: {} {}", self.field, self.reason)
    }
}

impl std::error::Error for InvalidRequest {}

/// The error returned if a response body does not match its schema. The error contains the name of
/// the invalid field, the position of the error in the body and the length of the body, but no text
/// from the body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InvalidResponse {
    pub(crate) reason: &'static str,
    pub(crate) field: Option<&'static str>,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) length: usize,
    pub(crate) is_json: bool,
}

impl InvalidResponse {
    /// Creates an error that concerns the body as a whole.
    pub(crate) fn of_body(reason: &'static str, length: usize) -> Self {
        Self { reason, field: None, line: 0, column: 0, length, is_json: false }
    }

    /// Returns whether the body of an error response is valid JSON but does not match the
    /// documented error format. Gateways send such responses.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// Returns the OpenAPI name of the field that is missing or has the wrong type, or `None` if
    /// the field is unknown.
    pub fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// Returns the line and column of the error, starting at 1. Both numbers are 0 if the error
    /// concerns the body as a whole.
    pub fn position(&self) -> (usize, usize) {
        (self.line, self.column)
    }

    /// Returns the length of the body in bytes. The length is 0 if the body is empty or was too
    /// large to read.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl fmt::Display for InvalidResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length {
            0 => write!(f, "the body {}", self.reason)?,
            length => write!(f, "the body of {length} bytes {}", self.reason)?,
        }
        match (self.field, self.line) {
            (Some(field), 0) => write!(f, " (field `{field}`)"),
            (Some(field), line) => write!(f, " (field `{field}`, line {line}, column {})", self.column),
            (None, 0) => Ok(()),
            (None, line) => write!(f, " (line {line}, column {})", self.column),
        }
    }
}

impl fmt::Debug for InvalidResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvalidResponse({self})")
    }
}

impl std::error::Error for InvalidResponse {}
