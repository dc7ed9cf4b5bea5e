//! The error of every operation, and the errors of an argument and of a body that does not fit.

use std::fmt;

use reqwest::StatusCode;

use crate::head::ResponseHead;
use crate::transport_error::TransportError;

/// The error of an operation. `E` is the operation's documented error body.
///
/// It names the operation and keeps the status and the request ids of a reply. Neither `Debug` nor
/// `Display` contains a URL, a header, a body or a secret, and there is no source. Text that the
/// server wrote is reachable through [`Error::body`] and [`Error::head`] only (A3, A6).
pub struct Error<E = ()>(Box<Inner<E>>);

struct Inner<E> {
    operation: Option<&'static str>,
    head: Option<ResponseHead>,
    kind: ErrorKind<E>,
}

/// The kinds of [`Error`].
#[non_exhaustive]
pub enum ErrorKind<E> {
    /// An argument cannot be sent. No request was sent.
    InvalidRequest(InvalidRequest),
    /// No complete reply arrived. [`TransportError::may_have_been_sent`] returns whether the
    /// request may have reached the server.
    Transport(TransportError),
    /// The operation's documented error body arrived.
    ErrorResponse(E),
    /// The server replied with a 3xx status. Redirects are never followed, because the request
    /// carries a credential (A2).
    Redirect,
    /// The status is not a documented success, and the body is not the documented error body. If
    /// there was a body, this describes why it does not fit.
    Status(Option<InvalidResponse>),
    /// The status is 2xx, and the body does not fit its schema (A6).
    InvalidResponse(InvalidResponse),
}

impl<E> Error<E> {
    /// Returns the kind of the error.
    pub fn kind(&self) -> &ErrorKind<E> {
        &self.0.kind
    }

    /// Returns the `operationId` of the operation.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// Returns the status of the reply, if one arrived.
    pub fn status(&self) -> Option<StatusCode> {
        self.head().map(ResponseHead::status)
    }

    /// Returns the status and the request ids of the reply, if one arrived.
    pub fn head(&self) -> Option<&ResponseHead> {
        self.0.head.as_ref()
    }

    /// Returns the operation's documented error body, if that arrived.
    pub fn body(&self) -> Option<&E> {
        match self.kind() {
            ErrorKind::ErrorResponse(body) => Some(body),
            _ => None,
        }
    }

    /// Returns whether the request may have reached the server: `false` only if it certainly did
    /// not.
    pub fn may_have_been_sent(&self) -> bool {
        match self.kind() {
            ErrorKind::InvalidRequest(_) => false,
            ErrorKind::Transport(error) => error.may_have_been_sent(),
            _ => true,
        }
    }

    /// Converts the documented error body.
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

    /// Sets the operation. Generated code calls this.
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
        write!(f, "{}", self.operation().unwrap_or("the request"))?;
        match self.kind() {
            ErrorKind::InvalidRequest(error) => write!(f, " was not sent: {error}"),
            ErrorKind::Transport(error) => {
                write!(f, " failed: {error}")?;
                self.status().map_or(Ok(()), |status| write!(f, " (status {status})"))
            }
            ErrorKind::ErrorResponse(_) => write!(f, " was refused{}", Answer(self)),
            ErrorKind::Redirect => write!(f, " was redirected, and redirects are not followed{}", Answer(self)),
            ErrorKind::Status(None) => write!(f, " failed{}", Answer(self)),
            ErrorKind::Status(Some(error)) => write!(f, " failed{}; {error}", Answer(self)),
            ErrorKind::InvalidResponse(error) => write!(f, " got a malformed reply{}; {error}", Answer(self)),
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

/// Has no source, because the errors of other crates print URLs and values.
impl<E> std::error::Error for Error<E> {}

struct Answer<'a, E>(&'a Error<E>);

impl<E> fmt::Display for Answer<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.status() {
            Some(StatusCode::NOT_FOUND) => {
                write!(f, ": the server answered {}; check the base URL", StatusCode::NOT_FOUND)
            }
            Some(status) => write!(f, ": the server answered {status}"),
            None => Ok(()),
        }
    }
}

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

/// An argument that cannot be sent. It names the argument, never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidRequest {
    field: &'static str,
    reason: &'static str,
}

impl InvalidRequest {
    pub(crate) fn new(field: &'static str, reason: &'static str) -> Self {
        Self { field, reason }
    }

    /// Returns the argument's name in the specification; `body`, `path` or `request` if it is not a
    /// single argument.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.reason)
    }
}

impl std::error::Error for InvalidRequest {}

/// A body that does not fit its schema. It reports the field, the position and the length, and
/// quotes nothing.
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
    /// Creates the error of a body that is wrong as a whole.
    pub(crate) fn of_body(reason: &'static str, length: usize) -> Self {
        Self { reason, field: None, line: 0, column: 0, length, is_json: false }
    }

    /// Returns whether the body of an error response is JSON, although it is not the documented
    /// error body. Gateways send such replies.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// Returns the name, in the specification, of the field that is missing or has the wrong type.
    pub fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// Returns the line and the column of the mistake, counted from 1. Both are 0 if the body as a
    /// whole is wrong.
    pub fn position(&self) -> (usize, usize) {
        (self.line, self.column)
    }

    /// Returns the length of the body in bytes: 0 if it was empty, or too large to be read.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl fmt::Display for InvalidResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length {
            0 => write!(f, "its body {}", self.reason)?,
            length => write!(f, "its body of {length} bytes {}", self.reason)?,
        }
        if let Some(field) = self.field {
            write!(f, ", in field `{field}`")?;
        }
        if self.line > 0 {
            write!(f, ", at line {} column {}", self.line, self.column)?;
        }
        Ok(())
    }
}

impl fmt::Debug for InvalidResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvalidResponse({self})")
    }
}

impl std::error::Error for InvalidResponse {}
